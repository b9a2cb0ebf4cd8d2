"""Which model predicts new images: one that is named, a champion, or that of the newest run.

Of several champions that of the newest run's classes predicts. Where there is none of them, a
champion that shares a class with that run predicts, with a warning: a set of images grows, and a
decision alone changes the champion. One that shares none is of other images, and is refused.
"""

import logging
import shlex
from pathlib import Path

from resnext.contracts.errors import InputError
from resnext.contracts.formatting import share_with_interval
from resnext.models.model_file import ModelCard, read_card
from tasks.registry.aliases import Alias, all_aliases, choose_alias, label_of, quoted_labels
from tasks.registry.promotion import champion_of
from tasks.registry.versions import FACTS, NUMBER, find_version, intact_weights
from tasks.stage.artifact import Artifact
from tasks.stage.runs import MODEL, newest_model, run_metrics, run_record
from tasks.stage.store import is_altered

log = logging.getLogger(__name__)

NAMED = ("classes", "data", "score")
"""Facts of a model that are named where it is described in a line."""


def choose_model(path: Path | None, store: Path, name: str | None = None) -> Path:
    """Give the file of weights to use.

    Raises:
        InputError: there is none, the champion is broken, no telling which one is meant, or both
            are named.
    """
    if path is not None and name is not None:
        raise InputError("registry", "go without `model`", f"'{name}'", "Leave one of them out.")
    found = path or _champion_model(store, name) or newest_model(store)
    if found is None:
        remedy = "Run flows/full_pipeline.py first, or name a file with `model`."
        raise InputError("store", "hold a finished model", f"'{store}' with none", remedy)
    if found.is_dir() and (found / MODEL).is_file():
        found /= MODEL
    if not found.is_file():
        remedy = "There is no such file. Check the path."
        if found.is_dir():
            remedy = "That folder holds none. Name the folder of a run that trained, or the file."
        raise InputError("model", "be a model.safetensors", f"'{found}'", remedy)
    return found.absolute()


def unaltered(file: Path, what: str) -> Artifact:
    """Give a file that may lie in a store, as it was written there.

    Raises:
        InputError: it was altered since.
    """
    if is_altered(file):
        remedy = "Put the file back, or name another model with `model`."
        got = f"'{file}', which was altered since"
        raise InputError(what, "be as it was written", got, remedy)
    return Artifact.of_file(file)


def _champion_model(store: Path, name: str | None) -> Path | None:
    """Give the weights of the champion that predicts; None where there is none.

    Raises:
        InputError: the champion or its weights are gone, or were altered, or no telling which one
            is meant.
    """
    alias = _alias_of_newest_run(store) if name is None else choose_alias(store, name)
    champion = champion_of(store, alias)
    if champion is None and name is not None:
        got = f"'{name}', which has none since it was retired"
        remedy = "Take that back (models.py rollback), or name a file with `model`."
        raise InputError("registry", "name a champion", got, remedy)
    return None if champion is None else intact_weights(store, champion)


def _alias_of_newest_run(store: Path) -> Alias:
    """Choose among the champions by the newest run's classes; an empty one where none predicts.

    Raises:
        InputError: they are of other images, or several would do.
    """
    aliases, newest = all_aliases(store), newest_classes(store)
    fit = champions = [each for each in aliases if each.champion is not None]
    if newest is not None:
        same = [each for each in aliases if {*each.classes} == newest]
        own = [each for each in same if each.name is None] or same
        fit = [each for each in own or champions if each in champions and newest & {*each.classes}]
        if own and not fit:  # its champion was retired: the newest model predicts
            return Alias()
    if len(fit) == 1 or not champions:
        return fit[0] if fit else Alias()
    listed = "; ".join(
        f"version {each.champion} for {label_of(None, each.classes)}" for each in champions
    )
    run, model = "", newest_model(store)
    if newest is not None:
        run = f", and the newest run's classes are {label_of(None, newest)}"
    this = "" if model is None else f", or take the newest run's: --model {shlex.quote(str(model))}"
    remedy = f"There is {listed}{run}. Say --registry {quoted_labels(champions, ' or ')}{this}."
    raise InputError("registry", "say which champion predicts", "none", remedy)


def newest_classes(store: Path) -> set[str] | None:
    """Give the classes of the newest run that holds a model; None where they can't be read."""
    model = newest_model(store)
    try:
        return None if model is None else {*read_card(model).classes}
    except InputError:
        return None


def log_model(store: Path, model: Path, card: ModelCard, *, chosen: bool) -> None:
    """Say in a line which model predicts; warn where the newest run's classes are others.

    `chosen` is true where the user named the model or its champion.
    """
    log.info("model: %s", _describe_model(store, model, card))
    newest = newest_classes(store)
    if not chosen and newest is not None and newest != {*card.classes}:
        log.warning(
            "The champion predicts, whose classes are %s, and not the newest run, whose classes "
            "are %s. To change that: models.py promote N, or --model FILE",
            label_of(None, card.classes), label_of(None, newest),
        )  # fmt: skip


def _describe_model(store: Path, model: Path, card: ModelCard) -> str:
    """Say which model it is: its version or run, its classes, data, date and score."""
    facts = [
        f"{name} {text}" if name in NAMED else text
        for name, text in facts_of_model(store, model, card).items()
    ]
    return "; ".join([*facts, str(model.resolve())])


def facts_of_model(store: Path, model: Path, card: ModelCard) -> dict[str, str]:
    """Say which model it is: its version or run, classes, data, date, score and network.

    Of a file that lies in no store, data and score are not known.
    """
    folder, classes = model.parent.resolve(), {"classes": label_of(None, card.classes)}
    record = run_record(folder)
    if NUMBER.fullmatch(folder.name) and (folder / FACTS).is_file():
        version = find_version(store, int(folder.name))
        aliases = [each for each in all_aliases(store) if each.champion == version.number]
        name = "".join(f" of {each.name}" for each in aliases[:1] if each.name is not None)
        since = f", champion{name} since {aliases[0].changes[-1].at[:10]}" if aliases else ""
        facts = {"model": f"version {version.number}{since}"} | classes
        facts |= {"data": f"{version.data}, {version.created[:10]}", "score": version.score}
    elif record:
        data = record.get("asked", {}).get("data", "unknown")
        date = str(record.get("started"))[:10]
        facts = {"model": f"run {folder.name}, no champion", "data": f"{data}, {date}"}
        if metrics := run_metrics(folder):
            facts["score"] = share_with_interval(metrics, "balanced_accuracy")
        facts |= classes
    else:
        facts = {"model": "a file"} | classes
    return facts | {"network": f"{card.architecture} at {card.image_size} px"}
