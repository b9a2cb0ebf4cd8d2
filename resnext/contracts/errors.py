"""The exceptions that name a fault which a person can mend, and that somebody ended a run.

They do not say how an error is shown: the command line prints one line and exits with 2.
"""


class InputError(ValueError):
    """Say in one line which input is wrong: `<argument> must <rule>, got <got>. <remedy>`.

    Args:
        argument: The parameter, setting or thing that is wrong, by its name in Python.
        rule: What it must be or do.
        got: What it is instead.
        remedy: What to do about it, in whole sentences. Settings stand in it as `name`.
    """

    def __init__(self, argument: str, rule: str, got: object, remedy: str = "") -> None:
        super().__init__(argument, rule, got, remedy)
        self.argument, self.rule, self.got, self.remedy = argument, rule, got, remedy

    def __str__(self) -> str:
        sentence = f"{self.argument} must {self.rule}, got {self.got}."
        return f"{sentence} {self.remedy}" if self.remedy else sentence


class TrainingError(RuntimeError):
    """The training can't go on, for a reason that a person can act on."""


class StoppedError(Exception):
    """Somebody asked the process to end: a cancelled run, a worker that stops, `kill`."""


class ExportError(RuntimeError):
    """A model can't be exported, or does not answer as it should."""
