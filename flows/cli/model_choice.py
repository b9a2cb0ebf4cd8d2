"""Which model answers new pictures: one that is named, a champion, or that of the newest run.

Of several champions the one of the newest run's classes answers. Where there is none of them, a
champion that shares a class with that run answers, with a warning: a set of pictures grows, and who
answers is changed by a decision alone. One that shares none is of other pictures, and is refused.
"""

import logging
import shlex
from pathlib import Path

from flows.cli.terminal import balanced_accuracy
from resnext.contracts.errors import InputError
from resnext.contracts.json_files import read_json
from resnext.models.model_file import ModelCard, read_card
from tasks.registry import registry
from tasks.registry.registry import Pointer
from tasks.registry.versions import FACTS, NUMBER
from tasks.stage.runs import newest_model, run_record

log = logging.getLogger(__name__)


def choose_model(path: Path | None, store: Path, name: str | None = None) -> Path:
    """Give the file of weights to use.

    Raises:
        InputError: there is none, the champion is broken, or no telling which one is meant.
    """
    found = path or champion_model(store, name) or newest_model(store)
    if found is None:
        raise InputError(
            "store",
            "hold a finished model",
            f"'{store}' with none",
            "Run flows/full_pipeline.py first, or name a file with --model.",
        )
    if not found.is_file():
        raise InputError(
            "model",
            "be a model.safetensors",
            f"'{found}'",
            "There is no such file. Check the path.",
        )
    return found.absolute()


def champion_model(store: Path, name: str | None = None) -> Path | None:
    """Give the weights of the champion that answers; None where there is none.

    Raises:
        InputError: the champion or its weights are gone, or were altered, or no telling which one
            is meant.
    """
    alias = _answering(store) if name is None else registry.require_champion(store, name)
    champion = registry.champion_of(store, alias)
    return None if champion is None else registry.whole(store, champion)


def _answering(store: Path) -> Pointer:
    """Choose among the champions by the classes of the newest run; none where none is to answer.

    Raises:
        InputError: they are of other pictures, or several would do.
    """
    known, newest = registry.pointers(store), newest_classes(store)
    crowned = [each for each in known if each.champion is not None]
    if newest is None:
        fit = crowned
    else:
        same = [each for each in known if {*each.classes} == newest]
        own = [each for each in same if each.name is None] or same
        fit = [each for each in own or crowned if each in crowned and newest & {*each.classes}]
        if own and not fit:  # its champion was retired: the newest model answers
            return Pointer()
    if len(fit) == 1 or not crowned:
        return fit[0] if fit else Pointer()
    raise _which_one(store, crowned, newest)


def _which_one(store: Path, crowned: list[Pointer], newest: set[str] | None) -> InputError:
    """Give the error that says that a champion has to be named, and how."""
    champions = "; ".join(
        f"version {each.champion} for {registry.label_of(None, each.classes)}" for each in crowned
    )
    run, model = "", newest_model(store)
    if newest is not None:
        run = f", and the newest run's classes are {registry.label_of(None, [*newest])}"
    this = "" if model is None else f", or take the newest run's: --model {shlex.quote(str(model))}"
    return InputError(
        "registry",
        "say which champion answers",
        "none",
        f"There is {champions}{run}. Say --registry {registry.quoted(crowned, ' or ')}{this}.",
    )


def newest_classes(store: Path) -> set[str] | None:
    """Give the classes of the newest run that holds a model; None where they can't be read."""
    model = newest_model(store)
    try:
        return None if model is None else {*read_card(model).classes}
    except InputError:
        return None


def say_who_answers(store: Path, model: Path, card: ModelCard, *, chosen: bool) -> None:
    """Say in a line which model answers; warn where the newest run's classes are others.

    `chosen` is true where the user named the model or its champion.
    """
    log.info("model: %s", who_answers(store, model, card))
    newest = newest_classes(store)
    if not chosen and newest is not None and newest != {*card.classes}:
        log.warning(
            "the champion answers, whose classes are %s, and not the newest run, whose classes "
            "are %s. To change that: models.py promote N, or --model FILE",
            registry.label_of(None, card.classes), registry.label_of(None, [*newest]),
        )  # fmt: skip


def who_answers(store: Path, model: Path, card: ModelCard) -> str:
    """Say which model it is: its version or run, its classes, data, date and score."""
    folder = model.parent
    whose = f"classes {registry.label_of(None, card.classes)}"
    if NUMBER.fullmatch(folder.name) and (folder / FACTS).is_file():
        version = registry.find(store, int(folder.name))
        facts = [f"version {version.number}{_since(store, version.number)}", whose]
        facts += [f"data {version.data}, {version.created[:10]}", f"score {version.score}"]
    else:
        facts = [*_facts_of_run(folder), whose]
    return "; ".join([*facts, f"{card.architecture} at {card.image_size} px", str(model.resolve())])


def _since(store: Path, number: int) -> str:
    """Say whose champion a version is, and since when; nothing where it is none."""
    aliases = [each for each in registry.pointers(store) if each.champion == number]
    names = [f" of {each.name}" for each in aliases if each.name is not None]
    return (
        f", champion{''.join(names[:1])} since {aliases[0].changes[-1].at[:10]}" if aliases else ""
    )


def _facts_of_run(folder: Path) -> list[str]:
    """Say of which run a model is, where it lies in one's folder."""
    record = run_record(folder)
    if not record:
        return ["a file"]
    data = record.get("asked", {}).get("data", "unknown")
    facts = [f"run {folder.name}, no champion", f"data {data}, {str(record.get('started'))[:10]}"]
    try:
        metrics = read_json(folder / "metrics.json")
    except InputError:
        return facts
    return [*facts, f"score {balanced_accuracy(metrics)}"]
