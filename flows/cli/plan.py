"""What a pipeline run will do: its flags with every gap filled, checked before anything starts."""

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel

from flows import REPOSITORY
from flows.cli import torchrun
from flows.cli.command_line import README_PYTHON, arguments_of, command_line
from flows.cli.flags import (
    AUTO,
    NOT_FLAGS,
    PRESETS,
    SYNTHETIC,
    USUAL_DATA,
    DecisionFlags,
    Preset,
    flag_name,
    preset_values,
)
from reports.domain import ReportSettings
from reports.evaluation.settings import (
    HALF,
    SHOWN_CLASSES,
    EvaluationSettings,
    positive_class,
)
from resnext.contracts.errors import InputError
from resnext.contracts.formatting import first_few, is_terminal
from resnext.data.manifest.class_folders import class_name, split_folders
from resnext.data.manifest.settings import ReadingSettings
from resnext.data.split.settings import JOINED_FILE, FoldSettings, SplitSettings
from resnext.device import Compute, count_cpus, count_gpus, plan_compute
from resnext.models.architectures import (
    ARCHITECTURES,
    HUB,
    describe_weights,
    find_architecture,
    is_named,
)
from resnext.training.recipe import DEFAULT, Recipe, tagged
from tasks.stage.artifact import PROCESSES, Artifact, Runtime
from tasks.stage.store import is_altered

M = TypeVar("M", bound=BaseModel)
Given = Mapping[str, Any]
"""The flags that were given, by name."""

ELSEWHERE = {"predict", "store", "workers", "jobs", "cluster", "verify", "only", "export"}
ELSEWHERE |= DecisionFlags.model_fields.keys()
"""Flags that change no result of a pipeline run."""
DEVICES = {"cpu": "cores", "cuda": "GPUs"}
BEFORE_TRAINING = ("scan", "split", "plan", "pack", "embed", "shortcuts")
EXCLUDED = {
    "use_split": ("keep_split", "fold", "folds", "shares", "split"),
    "keep_split": ("fold", "folds"),
    "fold": ("folds",),
}
"""Flags that say how to split, and those that each can't be followed with."""
NUMBERS: Mapping[str, tuple[str, int, Any, str, str]] = {
    "shares": (
        ",", 3, float, "be three numbers",
        "Write the percentages of train, val and test as in 70,10,20.",
    ),
    "fold": ("/", 2, int, "be two whole numbers", "Write I/K as in 1/5."),
}  # fmt: skip
"""Flags of several numbers: what stands between them, how many, their kind, rule and remedy."""


class SplitTables(NamedTuple):
    """The tables that a split is made with, each known by its bytes."""

    groups: Artifact | None
    given: Artifact | None
    earlier: Artifact | None
    earlier_manifest: Artifact | None
    """By which the images of the earlier split are recognised, whatever they are called now."""
    earlier_joined: Artifact | None
    """By which the ids are recognised that were joined to the groups of the earlier split."""

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
    only: str | None
    with_probe: bool
    find_doubts: bool
    export: bool
    preset: Preset
    reading: ReadingSettings
    decisions: Artifact | None
    """What a person decided of single images."""
    split: SplitSettings
    folds: FoldSettings
    tables: SplitTables
    attributes: Artifact | None
    """The table that says what images are besides their class, known by its bytes."""
    recipe: Recipe
    weights: Artifact | None
    evaluation: EvaluationSettings
    report: ReportSettings
    compute: Compute
    measured: bool
    """Whether the memory format is measured, as none was asked for."""
    workers: int
    jobs: int | None
    cluster: str
    devices: int
    verify: bool
    command: str
    """Gives the same results, wherever they are kept and however fast."""
    asked: str
    """Asks for the same again, every flag included."""
    flags: tuple[BaseModel, ...] = ()
    """Those that it was made of."""
    notes: tuple[str, ...] = ()
    """What a reader of the report should know besides."""

    @property
    def data_name(self) -> str:
        """Call the images by their folder, or the demonstration set by what it is."""
        return self.data.name if self.data else SYNTHETIC

    @property
    def name(self) -> str:
        """Name the run for people."""
        return f"{self.data_name}, {self.recipe.arch}"

    @property
    def tags(self) -> tuple[str, ...]:
        """Tag the run in the Prefect UI."""
        folds = (f"{self.folds.folds} folds",) if self.folds.folds else ()
        return (self.data_name, self.recipe.arch, f"preset: {self.preset}", *folds)

    @property
    def facts(self) -> dict[str, str]:
        """Say in the record of a run what was asked for, on which images, with which network."""
        network = "" if self.only in BEFORE_TRAINING else self.recipe.arch
        return {"command": self.asked, "data": self.data_name, "network": network}

    @property
    def settings(self) -> dict[str, BaseModel]:
        """Give what says which images are used, how they are split, trained on and evaluated."""
        return {
            "images": self.reading,
            "split": self.split,
            **({"cross-validation": self.folds} if self.folds.folds else {}),
            "training": self.recipe,
            "evaluation": self.evaluation,
        }

    def settings_as_text(self) -> dict[str, str]:
        """Give the settings by name, as in "training: image size"."""
        return {
            f"{about}: {name.replace('_', ' ')}": _plain(value)
            for about, model in self.settings.items()
            for name, value in model
        }

    def flags_as_text(self) -> dict[str, dict[str, str]]:
        """Give the settings by flag, as a report shows them, without those that did not count."""
        idle = {*NOT_FLAGS, *(n for n in Recipe.model_fields if not self.recipe.uses(n))}
        found = {
            about: {
                f"--{flag_name(type(model).__name__, name).replace('_', '-')}": _given(name, value)
                for name, value in model
                if name not in idle or model is self.folds
            }
            for about, model in self.settings.items()
        }
        if self.split.strategy == "given":
            found["split"]["--no-val"] = _plain(not self.split.carve_val)
        found["training"]["--weights"] = (
            f"{self.weights.single_path().name}, a file whose licence you must check"
            if self.weights
            else describe_weights(self.recipe.arch, self.recipe.weights)
        )
        return found

    def runtime(self, run: Path) -> Runtime:
        """Say where things lie for a run of this plan, and how fast to go."""
        return Runtime(
            store=self.store,
            run=run,
            data=self.data,
            workers=self.workers,
            cluster=self.cluster,
            meeting=torchrun.meeting(),
            verify=self.verify,
            progress_bar=is_terminal(sys.stderr),
            script_lines=self.preset == "seed",
        )


def resolve(*flags: BaseModel, program: str = "full_pipeline.py") -> Plan:
    """Fill in what was left empty, check everything, and find the device.

    Args:
        flags: Groups of flags; a group that is left out is empty.
        program: The file in flows/ that they were given to.

    Raises:
        InputError: a value is out of bounds, or a folder or device isn't there.
        pydantic.ValidationError: a value is out of bounds.
    """
    given = given_of(*flags)
    preset = given.get("preset", "default")
    images = _images(given)
    split = _split_settings(given, preset, images)
    weights = _weights(given.get("weights"))
    recipe = build_recipe(given | ({"weights": "file"} if weights else {}), preset)
    _require_stage(given.get("only"), recipe, preset)
    store = _store_outside(images, given)
    # A class may be written as its folder is on any system.
    positive = {"positive": class_name(given["positive"])} if given.get("positive") else {}
    without = ELSEWHERE | ({"preset"} if preset == AUTO else set())  # the chosen one is added
    names = ("deterministic", "memory_format")
    asked = {name: given[name] for name in names if name in given}
    compute = plan_compute(given.get("device", "auto"), **asked)
    devices = _devices(given, compute)
    words = arguments_of(*flags, without=without)
    words += [] if "devices" in given or devices == 1 else ["--devices", str(devices)]
    return Plan(
        data=images,
        predict=_images_to_predict(given.get("predict")),
        store=store,
        only=given.get("only"),
        with_probe=given.get("with_probe", False),
        find_doubts=given.get("find_doubts", False),
        export=given.get("export", not given.get("no_export", True)),
        preset=preset,
        reading=build(ReadingSettings, given),
        decisions=existing_table("decisions", given.get("decisions")),
        split=split,
        folds=build(FoldSettings, given),
        tables=_tables(given),
        attributes=existing_table("attributes", given.get("attributes")),
        recipe=recipe,
        weights=weights,
        evaluation=build(EvaluationSettings, given | positive),
        report=build(ReportSettings, given),
        compute=compute,
        measured="memory_format" not in given,
        workers=max(1, given.get("workers", count_cpus())),
        jobs=given.get("jobs"),
        cluster=given.get("cluster", PROCESSES),
        devices=devices,
        verify=given.get("verify", False),
        command=shlex.join([README_PYTHON, "flows/full_pipeline.py", *words]),
        asked=command_line(program, *flags),
        flags=flags,
    )


def _images(given: Given) -> Path | None:
    """Give the folder of images; None for the demonstration set.

    Raises:
        InputError: it is no folder.
    """
    images = _asked_folder(given)
    if images is None:
        return None
    _require(images.is_dir(), "data", "be a folder of class folders", images)
    return images.resolve()


def _store_outside(images: Path | None, given: Given) -> Path:
    """Give the store.

    Raises:
        InputError: it lies among the images.
    """
    store = store_folder(given.get("store"))
    inside = images is not None and store.resolve().is_relative_to(images)
    remedy = "Its folder would be taken for a class. Name another one."
    _require(not inside, "store", "lie outside --data", store, remedy)
    return store


def _require_stage(only: str | None, recipe: Recipe, preset: Preset) -> None:
    """Check that a run has the stage that it is to stop after.

    Raises:
        InputError: it has not.
    """
    if only == "embed" and recipe.method != "probe":
        remedy = "Only a probe has this stage. Name another one, or give `preset` transfer."
        raise InputError("only", "go with `method` probe", "embed", remedy)
    if only == "plan" and preset != AUTO:
        remedy = "Only it plans what to do by the images."
        raise InputError("only", f"go with `preset` {AUTO}", "plan", remedy)


def given_of(*flags: BaseModel) -> dict[str, Any]:
    """Give the flags that were set, by name."""
    return {name: value for each in flags for name, value in each if value is not None}


def require_no_auto(*flags: BaseModel, program: str) -> None:
    """Check that a program which does not look at the images first is not asked to choose by them.

    Raises:
        InputError: it is.
    """
    if any(getattr(each, "preset", "") == AUTO for each in flags):
        remedy = (
            f"{program} chooses nothing by the images. Run full_pipeline.py --preset {AUTO} --only "
            "plan, and paste the flags of the command in its plan.json."
        )
        raise InputError("preset", f"be {', '.join(PRESETS)} here", AUTO, remedy)


def build(settings: type[M], given: Given, preset: str = "default") -> M:
    """Fill a settings model: a flag wins over the preset, the preset over the model's default."""
    chosen = {**preset_values(preset), **given}
    flags = {name: flag_name(settings.__name__, name) for name in settings.model_fields}
    return settings(
        **{name: _numbers(flag, chosen[flag]) for name, flag in flags.items() if flag in chosen}
    )


def build_recipe(given: Given, preset: str = "default") -> Recipe:
    """Fill the recipe; what the network and its weights say wins over the preset.

    Weights that are for one network choose it, where none was named. A network is given images of
    its usual size.
    """
    preferred = {**preset_values(preset), **given}
    weights = preferred.get("weights", "none")
    if "arch" not in given:
        given = {"arch": _arch_for(weights, preferred.get("arch", DEFAULT.name)), **given}
    record = find_architecture(given["arch"])
    if "image_size" not in preferred or record.fixed_size:
        given = {"image_size": record.input_size, **given}
    if not record.last_norm:
        given = {"zero_init_residual": False, **given}
    return build(Recipe, given, preset)


def _arch_for(weights: str, preferred: str) -> str:
    """Name a network that weights are for: the preferred one where they don't say."""
    if weights.startswith(HUB):
        return tagged(weights)
    wanted = weights if weights in ("bundled", "imagenet") else "name"
    candidates = [find_architecture(preferred), *ARCHITECTURES.values()]
    return next(each.name for each in candidates if getattr(each, wanted))


def _numbers(flag: str, value: Any) -> Any:
    """Read the numbers of a flag that holds several, as text has them; give others as they are."""
    if flag not in NUMBERS or not isinstance(value, str):
        return value
    between, count, kind, rule, remedy = NUMBERS[flag]
    try:
        numbers = tuple(kind(part) for part in value.split(between))
    except ValueError:
        numbers = ()
    if len(numbers) != count:
        raise InputError(flag, rule, repr(value), remedy)
    return numbers


def require_positive(settings: EvaluationSettings, classes: Sequence[str]) -> None:
    """Check the positive class against the classes that were found.

    Raises:
        InputError: it is none of them, or something is wanted of it and which it is is not said.
    """
    wanted = {
        "sensitivity": settings.sensitivity is not None,
        "threshold": settings.threshold != HALF,
        "prevalence": settings.prevalence is not None,
    }
    flag = next((name for name, given in wanted.items() if given), None)
    if positive_class(classes, settings.positive) is None and flag:
        rule = "go with `positive` where no class is known to be the positive one"
        remedy = f"Name one of {first_few(classes, most=SHOWN_CLASSES)}."
        raise InputError(flag, rule, "it alone", remedy)


def store_folder(path: Path | None) -> Path:
    """Give the store's folder, made where it is missing.

    Raises:
        InputError: it can't be made or written to.
    """
    store = (path or REPOSITORY / "artifacts").absolute()
    with suppress(OSError, ValueError):  # the latter of a name that holds a NUL
        store.mkdir(parents=True, exist_ok=True)
    writable = store.is_dir() and os.access(store, os.W_OK)
    _require(writable, "store", "be a folder that can be written to", store, "Name another one.")
    return store


def existing_store(path: Path | None) -> Path:
    """Give the store's folder, which must be there.

    Raises:
        InputError: it is not.
    """
    store = path or REPOSITORY / "artifacts"
    _require(store.is_dir(), "store", "be a folder of results", store)
    return store


def name_of(*flags: BaseModel) -> str:
    """Name a run by its images and its network, before anything is checked."""
    given = given_of(*flags)
    folder, preset = _asked_folder(given), preset_values(given.get("preset", "default"))
    weights = given.get("weights", preset.get("weights", "none"))
    arch = given.get("arch") or _arch_for(weights, preset.get("arch", DEFAULT.name))
    return f"{folder.resolve().name if folder else SYNTHETIC}, {arch}"


def _split_settings(given: Given, preset: str, images: Path | None) -> SplitSettings:
    """Fill in how the images are split; a folder that comes split is taken as it is.

    Where it comes with two parts alone, --shares says how its train part is shared out.
    """
    flag = next((name for name in EXCLUDED if name in given), "")
    for other in EXCLUDED.get(flag, ()):
        if other in given and (other, given[other]) != ("split", "given"):
            raise InputError(flag, f"not go with `{other}`", "both", "Leave one out.")
    parts = split_folders(images) if images is not None else []
    against = {"split", "fold", "folds", "keep_split"} | ({"shares"} if len(parts) > 2 else set())
    chooses = given.keys() & against or "split" in preset_values(preset)
    if "use_split" in given or (parts and not chooses):
        given = {**given, "split": "given"}
    settings = build(SplitSettings, given, preset)
    no_val, strategy = given.get("no_val", False), settings.strategy
    if no_val and strategy != "given":
        remedy = "To draw parts without validation, give --shares 80,0,20."
        raise InputError("no_val", "go with a split that comes with the data", strategy, remedy)
    if "keep_split" in given and strategy not in ("grouped", "stratified"):
        remedy = "Name one of them, or leave it out."
        raise InputError("keep_split", "go with `split` grouped or stratified", strategy, remedy)
    carve = strategy == "given" and not no_val and settings.shares[1] > 0
    return settings.model_copy(update={"carve_val": carve})


def _weights(text: str | None) -> Artifact | None:
    """Give a file of weights, which is known by its bytes from here on; None for a name."""
    if text is None or is_named(text):
        return None
    path = Path(text).absolute()
    rule = f"be none, imagenet, bundled, {HUB}NAME.TAG or a .safetensors, .pth or .pt file"
    _require(path.is_file(), "weights", rule, path)
    return Artifact.of_file(path)


def _devices(given: Given, compute: Compute) -> int:
    """Say how many processes train one network.

    Raises:
        InputError: there are fewer devices, or torchrun started another number of processes.
    """
    started = torchrun.world_size()
    devices: int = given.get("devices", started)
    if started not in (1, devices):
        remedy = "Leave it out: torchrun has said how many there are."
        raise InputError("devices", f"be {started}, as torchrun started", devices, remedy)
    here = torchrun.local_size() if started > 1 else devices
    most = {"cpu": count_cpus, "cuda": count_gpus}.get(compute.device, lambda: 1)()
    if here > most:
        rule = f"be at most {most}, the {DEVICES.get(compute.device, 'device')} of this machine"
        raise InputError("devices", rule, here)
    if devices > 1 and given.get("jobs", 1) > 1:
        rule = "be left out with `jobs`"
        raise InputError("devices", rule, "both", "Train on all devices, or side by side.")
    return devices


def _tables(given: Given) -> SplitTables:
    """Find the tables that the split is made with.

    Raises:
        InputError: one of them is not there.
    """
    groups, table, keep = (
        existing_table(flag, given.get(flag)) for flag in ("groups", "use_split", "keep_split")
    )
    tables = SplitTables(groups, table, None, None, None)
    return tables.keeping(keep.single_path()) if keep else tables


def existing_table(flag: str, path: Path | None) -> Artifact | None:
    """Give a table that a flag names; None without one.

    Raises:
        InputError: it is not there.
    """
    if path is None:
        return None
    _require(path.is_file(), flag, "be a CSV file", path)
    return Artifact.of_file(path.absolute())


def _beside(file: Path, name: str) -> Artifact | None:
    """Give a file that lies beside another one and is as it was written; None without it."""
    found = file.with_name(name)
    return Artifact.of_file(found) if found.is_file() and not is_altered(found) else None


def _asked_folder(given: Given) -> Path | None:
    return given.get("data") or (USUAL_DATA if USUAL_DATA.is_dir() else None)


def _images_to_predict(path: Path | None) -> Path | None:
    if path is None:
        return None
    _require(path.exists(), "predict", "be an image or a folder", path)
    # A link may lead to a folder of images.
    files = [path] if path.is_file() else path.rglob("*")
    some = any(each.is_file() or each.is_symlink() for each in files)
    _require(some, "predict", "hold images", path, "There is no file in it.")
    return path.resolve()


def _require(met: bool, argument: str, rule: str, path: Path, remedy: str = "") -> None:
    """Raise an InputError where a rule about a path is not met; by default say what is there."""
    if not met:
        there = "a folder" if path.is_dir() else "a file" if path.exists() else "nothing"
        remedy = remedy or f"There is {there} at that place. Check the path."
        raise InputError(argument, rule, f"'{path}'", remedy)


def _given(name: str, value: Any) -> str:
    """Write a setting's value as its flag takes it, a large number with thousands apart."""
    if name in NUMBERS and value is not None:
        return NUMBERS[name][0].join(map(_plain, value))
    return f"{value:,}" if name == "max_pixels" else _plain(value)


def _plain(value: object) -> str:
    """Write a setting's value for people."""
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return " / ".join(map(_plain, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
