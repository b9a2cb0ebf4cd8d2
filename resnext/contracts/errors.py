"""The one exception that means: what the user gave is wrong.

It does not say how an error is shown: a front end prints it as one line and exits with 2.
"""


class InputError(ValueError):
    """Say in one line which input is wrong, where, and what to do about it."""


class TrainingError(RuntimeError):
    """The training can't go on, for a reason that a person can act on."""
