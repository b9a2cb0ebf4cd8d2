"""What a pipeline run will do: its flags with every gap filled, checked before anything starts."""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from flows.cli.command_line import command_line, words_of
from flows.cli.flags import (
    PRESETS,
    REPOSITORY,
    SYNTHETIC,
    USUAL_DATA,
    DataFlags,
    EvaluationFlags,
    Preset,
    RunFlags,
    SplitFlags,
    Stop,
    TrainingFlags,
)
from reports.evaluation.settings import HALF, EvaluationSettings, positive_class
from resnext.contracts.errors import InputError
from resnext.data.manifest.folders import class_name
from resnext.data.manifest.listing import part_folders
from resnext.data.manifest.settings import ReadingSettings
from resnext.data.split.settings import JOINED_FILE, SplitSettings
from resnext.device import Compute, count_cpus, plan_compute
from resnext.training.recipe import Recipe
from tasks.stage.artifact import Artifact
from tasks.stage.store import is_altered

SHOWN_CLASSES = 20


class SplitTables(NamedTuple):
    """The tables that a split is made with, each known by its bytes."""

    groups: Artifact | None
    given: Artifact | None
    earlier: Artifact | None
    earlier_manifest: Artifact | None
    """By which the pictures of the earlier split are known again, whatever they are called now."""
    earlier_joined: Artifact | None
    """By which the ids are known that were joined to the groups of the earlier split."""

    def keeping(self, split: Path) -> "SplitTables":
        """Give these tables with an earlier split, and with what lies beside it, if anything."""
        return self._replace(
            earlier=Artifact.of_file(split),
            earlier_manifest=_beside(split, "manifest.csv"),
            earlier_joined=_beside(split, JOINED_FILE),
        )


@dataclass(frozen=True)
class Plan:
    """What a pipeline run will do, every value filled in."""

    data: Path | None
    predict: Path | None
    store: Path
    only: Stop | None
    preset: Preset
    split: SplitSettings
    tables: SplitTables
    recipe: Recipe
    weights: Artifact | None
    evaluation: EvaluationSettings
    compute: Compute
    workers: int
    verify: bool
    command: str
    """Gives the same results, wherever they are kept and however fast."""
    asked: str
    """Asks for the same again, every flag included."""
    reading: ReadingSettings = ReadingSettings()
    notes: tuple[str, ...] = ()
    """What a reader of the report should know besides."""

    @property
    def data_name(self) -> str:
        """Call the pictures by their folder, or the demonstration set by what it is."""
        return self.data.name if self.data else SYNTHETIC

    @property
    def name(self) -> str:
        """Name the run for people."""
        return f"{self.data_name}, {self.recipe.arch}"

    @property
    def tags(self) -> tuple[str, ...]:
        """Tag the run in the Prefect UI."""
        return (self.data_name, self.recipe.arch, f"preset: {self.preset}")


def resolve(
    data: DataFlags,
    split: SplitFlags,
    training: TrainingFlags,
    run: RunFlags,
    evaluation: EvaluationFlags = EvaluationFlags(),
) -> Plan:
    """Fill in what was left empty, check everything, and find the device.

    Raises:
        InputError: a value is out of bounds, or a folder or device isn't there.
        pydantic.ValidationError: a value is out of bounds.
    """
    preset = PRESETS[training.preset]
    start, weights = _weights(training.weights)
    pictures = _folder("--data", _asked_folder(data))
    split_settings = _split_settings(split, preset, pictures)
    asked_recipe = given_of(training) | ({"weights": start} if start else {})
    recipe = Recipe(**_chosen(Recipe, preset, asked_recipe))
    store = store_folder(run.store)
    if pictures is not None and store.resolve().is_relative_to(pictures):
        raise InputError(
            "store",
            "lie outside --data",
            f"'{store}'",
            "Its folder would be taken for a class. Name another one.",
        )
    return Plan(
        data=pictures,
        predict=_path("--predict", data.predict),
        store=store,
        only=run.only,
        preset=training.preset,
        split=split_settings,
        tables=_tables(split),
        recipe=recipe,
        weights=weights,
        evaluation=_evaluation(evaluation),
        compute=plan_compute(run.device, recipe.arch, run.deterministic),
        workers=count_cpus() if run.workers is None else max(1, run.workers),
        verify=run.verify,
        command=_command(data, training, split, evaluation, run),
        asked=command_line("full_pipeline.py", data, split, training, evaluation, run),
        reading=reading_of(data),
    )


def require_positive(settings: EvaluationSettings, classes: Sequence[str]) -> None:
    """Check the positive class against the classes that were found.

    Raises:
        InputError: it is none of them, or a threshold is wanted and of what is not said.
    """
    shown = ", ".join(classes[:SHOWN_CLASSES])
    more = f" and {len(classes) - SHOWN_CLASSES} more" if len(classes) > SHOWN_CLASSES else ""
    if settings.positive is not None and settings.positive not in classes:
        raise InputError(
            "positive",
            f"be one of the classes ({shown}{more})",
            f"'{settings.positive}'",
            "Write it as its folder is called.",
        )
    flag = "--sensitivity" if settings.sensitivity is not None else "--threshold"
    wanted = settings.sensitivity is not None or settings.threshold != HALF
    if wanted and positive_class(classes, settings.positive) is None:
        raise InputError(
            flag,
            "go with --positive where no class is known to be the positive one",
            "it alone",
            f"Name one of {shown}{more}.",
        )


def store_folder(path: Path | None) -> Path:
    """Give the store's folder, made where it is missing.

    Raises:
        InputError: it can't be made or written to.
    """
    store = (path or REPOSITORY / "artifacts").absolute()
    try:
        store.mkdir(parents=True, exist_ok=True)
        writable = os.access(store, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise InputError(
            "store",
            "be a folder that can be written to",
            f"'{store}'",
            "Name another one.",
        )
    return store


def name_of(data: DataFlags, training: TrainingFlags) -> str:
    """Name a run by its pictures and its network, before anything is checked."""
    folder = _asked_folder(data)
    arch = training.arch or PRESETS[training.preset].get("arch", Recipe().arch)
    return f"{folder.resolve().name if folder else SYNTHETIC}, {arch}"


def _asked_folder(data: DataFlags) -> Path | None:
    return data.data or (USUAL_DATA if USUAL_DATA.is_dir() else None)


def _weights(text: str | None) -> tuple[str | None, Artifact | None]:
    """Tell a word from a file, which is known by its bytes from here on."""
    if text is None or text in ("none", "imagenet"):
        return text, None
    if not Path(text).is_file():
        what = "a folder" if Path(text).is_dir() else "nothing"
        raise InputError(
            "weights",
            "be none, imagenet or a .safetensors, .pth or .pt file",
            f"'{text}'",
            f"There is {what} at that place. Check the path.",
        )
    return "file", Artifact.of_file(Path(text).absolute())


def _evaluation(flags: EvaluationFlags) -> EvaluationSettings:
    """Fill in how it is evaluated; a class may be written as its folder is on any system."""
    positive = {"positive": class_name(flags.positive)} if flags.positive else {}
    return EvaluationSettings(**given_of(flags) | positive)


def _split_settings(
    flags: SplitFlags, preset: Mapping[str, Any], pictures: Path | None
) -> SplitSettings:
    """Fill in how the pictures are divided; a folder that comes divided is taken as it is.

    Where it comes with two parts alone, --shares says how its train part is shared out.
    """
    _require_one_way(flags)
    renamed = {"split": "strategy", "split_seed": "seed"}
    asked = {renamed.get(name, name): value for name, value in given_of(flags).items()}
    parts = part_folders(pictures) if pictures is not None else []
    against = {"strategy", "fold", "keep_split"} | ({"shares"} if len(parts) > 2 else set())
    chooses = asked.keys() & against or "strategy" in preset
    if flags.use_split or (parts and not chooses):
        asked["strategy"] = "given"
    if "shares" in asked:
        asked["shares"] = _shares(asked["shares"])
    if "fold" in asked:
        asked["fold"] = _fold(asked["fold"])
    settings = SplitSettings(**_chosen(SplitSettings, preset, asked))
    if settings.strategy == "given" and not flags.no_val and settings.shares[1]:
        settings = settings.model_copy(update={"carve_val": True})
    if flags.no_val and settings.strategy != "given":
        raise InputError(
            "no_val",
            "go with a split that comes with the data",
            settings.strategy,
            "To draw parts without validation, give --shares 80,0,20.",
        )
    if flags.keep_split is not None and settings.strategy not in ("grouped", "stratified"):
        raise InputError(
            "keep_split",
            "go with --split grouped or stratified",
            settings.strategy,
            "Name one of them, or leave it out.",
        )
    return settings


def _require_one_way(flags: SplitFlags) -> None:
    """Raise an InputError where two flags say how to divide and can't both be followed."""
    chosen = given_of(flags)
    if flags.use_split is not None:
        against = ["keep_split", "fold", "shares"]
        against += ["split"] if flags.split not in (None, "given") else []
    elif flags.keep_split is not None:
        against = ["fold"]
    else:
        return
    for name in against:
        if name in chosen:
            first = "--use-split" if flags.use_split is not None else "--keep-split"
            raise InputError(
                first,
                f"not go with --{name.replace('_', '-')}",
                "both",
                "Leave one out.",
            )


def _tables(flags: SplitFlags) -> SplitTables:
    """Find the tables that the split is made with.

    Raises:
        InputError: one of them is not there.
    """
    groups = _table("--groups", flags.groups)
    tables = SplitTables(groups, _table("--use-split", flags.use_split), None, None, None)
    earlier = _table("--keep-split", flags.keep_split)
    return tables if earlier is None else tables.keeping(earlier.single_path())


def _beside(file: Path, name: str) -> Artifact | None:
    """Give a file that lies beside another one and is as it was written; None without it."""
    found = file.with_name(name)
    return Artifact.of_file(found) if found.is_file() and not is_altered(found) else None


def _table(flag: str, path: Path | None) -> Artifact | None:
    if path is None:
        return None
    if not path.is_file():
        raise InputError(
            flag,
            "be a CSV file",
            f"'{path}'",
            "There is no such file. Check the path.",
        )
    return Artifact.of_file(path.absolute())


def given_of(flags: BaseModel) -> dict[str, Any]:
    """Give the flags that were set."""
    return {name: value for name, value in flags if value is not None}


def reading_of(flags: BaseModel) -> ReadingSettings:
    """Give which images the flags admit."""
    return ReadingSettings(**_reading_given(flags))


def _reading_given(flags: BaseModel) -> dict[str, Any]:
    asked = given_of(flags)
    return {name: asked[name] for name in ReadingSettings.model_fields if name in asked}


def as_parameters(flags: Mapping[str, BaseModel]) -> dict[str, dict[str, Any]]:
    """Give the flags that were set as JSON values, paths absolute, for a run started elsewhere."""
    return {
        name: {
            key: str(value.absolute()) if isinstance(value, Path) else value
            for key, value in given_of(model).items()
        }
        for name, model in flags.items()
    }


def _chosen(
    model: type[BaseModel], preset: Mapping[str, Any], asked: Mapping[str, Any]
) -> dict[str, Any]:
    """Give the fields of a model that the preset or the user set; the user wins."""
    chosen = {**preset, **asked}
    return {name: value for name, value in chosen.items() if name in model.model_fields}


def _shares(text: str) -> tuple[float, ...]:
    try:
        train, val, test = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(
            "shares",
            "be three numbers",
            f"{text!r}",
            "Write the percentages of train, val and test as in 70,10,20.",
        ) from error
    return train, val, test


def _fold(text: str) -> tuple[int, ...]:
    try:
        number, folds = (int(part) for part in text.split("/"))
    except ValueError as error:
        raise InputError(
            "fold",
            "be two whole numbers",
            f"{text!r}",
            "Write I/K as in 1/5.",
        ) from error
    return number, folds


def _folder(flag: str, path: Path | None) -> Path | None:
    if path is not None and not path.is_dir():
        what = "a file" if path.exists() else "nothing"
        raise InputError(
            flag,
            "be a folder of class folders",
            f"'{path}'",
            f"There is {what} at that place. Check the path.",
        )
    return path.resolve() if path else None


def _path(flag: str, path: Path | None) -> Path | None:
    if path is not None and not path.exists():
        raise InputError(
            flag,
            "be a picture or a folder",
            f"'{path}'",
            "Nothing is there. Check the path.",
        )
    if path is not None and path.is_dir() and not any(map(_may_hold_pictures, path.rglob("*"))):
        raise InputError(
            flag,
            "hold pictures",
            f"'{path}'",
            "There is no file in it.",
        )
    return path.resolve() if path else None


def _may_hold_pictures(path: Path) -> bool:
    """Tell a file, or a link, which may lead to a folder of them."""
    return path.is_file() or path.is_symlink()


def _command(data: DataFlags, *flags: BaseModel) -> str:
    """Write the command line that gives the same results."""
    pictures = data.model_copy(update={"data": data.data and data.data.resolve()})
    words = words_of(pictures, *flags, without=("predict", "store", "workers", "verify", "only"))
    return shlex.join(["python", "flows/full_pipeline.py", *words])
