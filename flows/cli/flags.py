"""The flags of every program, made of the settings models: `--help`, TOML keys and the UI's form.

A class is a group: a box in `--help`, an object of the form, keys of the TOML file. It declares
only what no settings model holds. `@group` adds the fields of settings models, each empty until
`flows.cli.plan` fills it: the user's value wins, then the preset's, then the model's default.
"""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from cyclopts import Group, Parameter
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    FiniteFloat,
    create_model,
)

from flows import REPOSITORY
from flows.cli.form import Form
from reports.domain import ReportSettings
from reports.evaluation.settings import DecisionSettings, EvaluationSettings
from resnext.contracts.remote import is_address
from resnext.data.manifest.settings import ReadingSettings
from resnext.data.split.settings import FoldSettings, SplitSettings
from resnext.device import MemoryFormat
from resnext.inference.execution import RuntimeName
from resnext.training.recipe import Recipe
from tasks.stage.artifact import PROCESSES

T = TypeVar("T", bound=BaseModel)

SYNTHETIC = "synthetic demonstration set"
USUAL_DATA = REPOSITORY / "data" / "45-data"


def full_path(path: Path) -> Path:
    """Give a path from the root on, without `..`; a link stays one, but before a `..`."""
    parts = path.absolute().parts
    plain = len(parts) - parts[::-1].index("..") if ".." in parts else 0
    return Path(*parts[:plain]).resolve() / Path(*parts[plain:])


def full_place(place: Path | str) -> str:
    """Give an address as it is, and a path from the root on."""
    return str(place) if is_address(place) else str(full_path(Path(place)))


def _cluster(text: str) -> str:
    from tasks.stage.cluster import require_cluster  # not needed for `--help`

    return text if text == PROCESSES else require_cluster(text)


FullPath = Annotated[Path, AfterValidator(full_path)]
"""A file or folder, by its full path, so that a run may be started from anywhere."""
Store = Annotated[
    FullPath | None,
    Field(description="folder of all results [default: artifacts in the repository]"),
]
FullPlace = Annotated[str, BeforeValidator(full_place)]
"""A file or folder by its full path, or an address such as s3://bucket/folder."""
Cluster = Annotated[
    str,
    AfterValidator(_cluster),
    Field(
        description="where folds, recipes and shards of predictions are shared out to: processes "
        "of this machine, or the workers at dask://HOST:PORT or ray://HOST:PORT, which must see "
        "--store too [default: processes]"
    ),
]
Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"], Field(description="where to compute [default: auto]")
]
Preset = Literal["default", "seed", "quick", "transfer", "finetune", "auto"]
AUTO = "auto"
"""The preset whose values follow from the images: `flows.training.auto` chooses another one."""

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    # The script that this project began as, exactly.
    "seed": {
        "arch": "resnext38_32x4d",
        "epochs": 20,
        "lr": 1e-4,
        "optimizer": "sgd",
        "momentum": 0.0,
        "weight_decay": 0.0,
        "schedule": "constant",
        "warmup_epochs": 0,
        "label_smoothing": 0.0,
        "augment": "none",
        "keep": "last",
        "split": "random",
        "shares": (80, 0, 20),
    },
    # Takes about two minutes on two cores with the demonstration set.
    "quick": {
        "arch": "resnext38_32x4d",
        "image_size": 64,
        "epochs": 8,
        "batch_size": 16,
        "lr": 5e-4,
        # Without these two the loss falls late, and the seed decides how late.
        "zero_init_residual": True,
        "head_lr": 0.05,
        "warmup_epochs": 1,
        "label_smoothing": 0.0,
        "augment": "flips",
    },
    # A frozen network with ImageNet's weights: a minute or two, and the best with few images.
    "transfer": {
        "method": "probe",
        "weights": "bundled",
        "fit": "centre",
        "batch_size": 16,
        "warmup_epochs": 0,
        "ema_decay": 0.98,
        "augment": "none",
        "keep": "last",
    },
    # All of a network with ImageNet's weights, the last layer alone at first: for some thousand
    # images and a GPU. The rates span a factor of 60 from the last layer to the stem.
    # Source: Kumar et al. 2022, arXiv:2202.10054 (the last layer first); Dosovitskiy et al. 2020,
    # arXiv:2010.11929, section 3.1 (it begins at zero); Howard and Ruder 2018,
    # arXiv:1801.06146 (rates that fall from stage to stage); fastai's `fine_tune` (an epoch for the
    # last layer; Adam at 1e-3, the stem at a hundredth of it); Liu et al. 2022, arXiv:2201.03545,
    # appendix A.2 (AdamW, cosine, 30 epochs, averaged weights, label smoothing of 0.1).
    "finetune": {
        "weights": "bundled",
        "fit": "centre",
        "freeze_epochs": 1,
        "zero_init_head": True,
        "layer_decay": 0.6,
        "ema_decay": 0.999,
    },
}
"""What the flags of a group that are left empty become, by the flag's name."""


def preset_values(preset: str) -> Mapping[str, Any]:
    """Give the values of a preset; of `auto`, those that hold until the images were looked at."""
    return PRESETS["transfer" if preset == AUTO else preset]


FLAG_NAMES: Mapping[tuple[str, str], str] = {
    ("SplitSettings", "strategy"): "split",
    ("SplitSettings", "seed"): "split_seed",
    ("DecisionSettings", "metric"): "judge_by",
}
"""Flags that are called otherwise than the field of the settings that they fill."""
BOUNDS = {"ge": "from {:.10g}", "gt": "above {:.10g}", "le": "to {:.10g}", "lt": "below {:.10g}"}
NAMES = {"config", "port", "webhook", "url", "allow_private", "lost_after", "keep_runs"}
"""What an error may name that is a flag: those of no group, and all that `group` adds."""
NOT_FLAGS = ("carve_val", "folds", "repeats")
"""Fields of SplitSettings that are filled from other flags."""
_boxes: dict[str, Group] = {}
"""The boxes of `--help`, by title, in the order in which they are shown."""


class Flags(Form):
    """Base of the groups: no change after they were read. `group` forbids unknown names."""


def flag_name(model: str, field: str) -> str:
    """Give the name of the flag that fills a field of a settings model."""
    return FLAG_NAMES.get((model, field), field)


def group(
    *settings: type[BaseModel], without: Collection[str] = ()
) -> Callable[[type[T]], type[T]]:
    """Make a class a group of flags: its own fields, then those of the settings models.

    The first sentence of its docstring is the title of its box in `--help`.
    """

    def decorate(own: type[T]) -> type[T]:
        fields: dict[str, Any] = {
            flag_name(model.__name__, name): _empty(model, name)
            for model in settings
            for name in model.model_fields
            if name not in without
        }
        made = create_model(
            own.__name__, __base__=own, __module__=own.__module__, __doc__=own.__doc__,
            __cls_kwargs__={"extra": "forbid"}, **fields,
        )  # fmt: skip
        NAMES.update(made.model_fields)
        title = str(own.__doc__).split("\n")[0].rstrip(".")
        box = _boxes.setdefault(title, Group.create_ordered(title))
        return Parameter(name="*", group=box)(made)

    return decorate


def _empty(model: type[BaseModel], name: str) -> tuple[Any, Any]:
    """Copy a field so that it is empty by default; its text says what it becomes then."""
    field, flag = model.model_fields[name], flag_name(model.__name__, name)
    kind: Any = FiniteFloat if field.annotation is float else field.annotation
    if any(get_origin(part) is tuple for part in (kind, *get_args(kind))):
        kind = str  # as in 70,10,20: one word on a command line
    bounds = [
        text.format(getattr(rule, bound))
        for bound, text in BOUNDS.items()
        for rule in field.metadata
        if hasattr(rule, bound)
    ]
    values = {preset: given.get(flag, field.default) for preset, given in PRESETS.items()}
    default = values.pop("default")
    others = "".join(f"; {preset}: {_plain(v)}" for preset, v in values.items() if v != default)
    between = f" ({' '.join(bounds)})" if bounds else ""
    text = f"{field.description}{between} [default: {_plain(default)}{others}]"
    return Annotated[kind | None, *field.metadata, Field(description=text)], None


def _plain(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", False: "off", True: "on"}[value]
    return ",".join(f"{item:g}" for item in value) if isinstance(value, tuple) else str(value)


@group(ReadingSettings)
class ImageFlags(Flags):
    """Which images."""

    data: FullPath | None = Field(
        None,
        description="folder of class folders, or of train, val and test folders that hold them "
        "[default: data/45-data where it exists, else a synthetic demonstration set that the "
        "program draws]",
    )
    decisions: FullPath | None = Field(
        None,
        description="table (CSV) of path,decision: what a person decided of single images: keep, "
        "drop, label:CLASS or group:NAME. --find-doubts makes one to be filled in "
        "[default: none]",
    )


@group()
class DataFlags(ImageFlags):
    """Which images."""

    predict: FullPath | None = Field(
        None, description="folder of new images to predict with the new model [default: none]"
    )


@group(SplitSettings, without=("fold", *NOT_FLAGS))
class DrawFlags(Flags):
    """How they are split."""

    groups: FullPath | None = Field(
        None,
        description="table (CSV) of path,group: the patient of each image, by its path below "
        "--data or its name; columns such as image_id and patient_id of published metadata are "
        "understood. It wins over what names say [default: none]",
    )


@group(SplitSettings, without=NOT_FLAGS)
class SplitFlags(DrawFlags):
    """How they are split."""

    use_split: FullPath | None = Field(
        None,
        description="table (CSV) of path,split (train, val, test or unused): used as it is, and "
        "audited [default: none]",
    )
    no_val: bool | None = Field(
        None,
        description="leave a split that comes without a validation part as it is: else groups "
        "are taken out of its train part for one, in the ratio of --shares [default: off]",
    )
    keep_split: FullPath | None = Field(
        None,
        description="split.csv of an earlier run: its groups stay where they are, so that scores "
        "stay comparable; new ones are drawn. Renamed images are known by the manifest.csv beside "
        "it, ids of joined groups by the joined_groups.json [default: none]",
    )


@group(FoldSettings)
class FoldFlags(Flags):
    """How it is cross-validated."""


@group(Recipe)
class TrainingFlags(Flags):
    """How the network is trained."""

    preset: Preset = Field(
        "default",
        description="values of all settings that you do not give: default (a recipe that learns), "
        "seed (the script that the project began as), quick (minutes on a laptop), transfer "
        "(a probe on a frozen network with ImageNet's weights, for few images), finetune (all of "
        "such a network, for some thousand images and a GPU), auto (chooses between these two, and "
        "folds, class weights and more, by what is in the folder, and says why: the one to take "
        "first with images of your own) [default: default]",
    )


@group(EvaluationSettings, ReportSettings)
class EvaluationFlags(Flags):
    """How it is evaluated."""

    attributes: FullPath | None = Field(
        None,
        description="table (CSV) of what images are besides their class, such as skin tone, site, "
        "device or age: a column path or group, and one for each. The score is given for each "
        "subgroup, and how far they differ [default: none, subgroups that the scan knows]",
    )


def _registry_name(name: str | None) -> str | None:
    from tasks.registry.versions import require_alias_name  # not needed for `--help`

    return name if name is None else require_alias_name(name)


@group(DecisionSettings)
class DecisionFlags(Flags):
    """When a new model becomes champion."""

    registry: Annotated[str | None, AfterValidator(_registry_name)] = Field(
        None,
        description="name of a champion of its own, whatever the classes are [default: none, "
        "one champion for each set of classes]",
    )
    no_export: bool = Field(
        False, description="register models without model.onnx, which takes half a minute to write "
        "and to check [default: off]",
    )  # fmt: skip


@group()
class MachineFlags(Flags):
    """Where and how to compute."""

    store: Store = None
    device: Device = "auto"
    workers: int | None = Field(
        None, ge=0, le=256,
        description="processes that read images (from 0 to 256) [default: as many as cores]",
    )  # fmt: skip
    jobs: int | None = Field(
        None, ge=1, le=256,
        description="networks that are trained side by side, of folds and comparisons (from 1 to "
        "256); the same bytes whatever it is [default: one a GPU, or as many as the cores bear]",
    )  # fmt: skip
    memory_format: MemoryFormat | None = Field(
        None,
        description="how images and weights lie in memory, which changes the last digits "
        "[default: on a CPU the faster one where a minute's work is ahead, measured once and "
        "kept in the store, else contiguous; on CUDA channels_last]",
    )
    cluster: Cluster = PROCESSES
    devices: int | None = Field(
        None, ge=1, le=4096,
        description="GPUs, or processes on a CPU, that train one network together; each batch is "
        "split over them (from 1 to 4096) [default: 1, or as many as torchrun started]",
    )  # fmt: skip
    deterministic: bool = Field(
        False, description="the same bytes on CUDA too, a little slower [default: off]"
    )
    verify: bool = Field(False, description="hash every image and cached file again [default: off]")


@group()
class CompareFlags(Flags):
    """What is compared, and on what."""

    folds: int = Field(
        5, ge=2, le=100, description="folds, each tested on once (from 2 to 100) [default: 5]"
    )
    seeds: int = Field(
        1, ge=1, le=100,
        description="trainings of each fold, by --seed and the seeds after it (from 1 to 100) "
        "[default: 1]",
    )  # fmt: skip
    splits: Literal["grouped", "random,grouped", "grouped,random"] = Field(
        "grouped",
        description="grouped: the folds alone; random,grouped: one plain random split of all "
        "images besides, to see what it would have said of the same network [default: grouped]",
    )
    trials: int = Field(
        0, ge=0, le=10_000,
        description="settings to try for each fold of each recipe, inside its training part: --lr, "
        "--weight-decay, --augment and --head-lr, or of a probe --epochs and --label-smoothing "
        "instead of the last two. The best are trained with (from 0 to 10000) [default: 0]",
    )  # fmt: skip
    no_probe: bool = Field(
        False,
        description="leave out the frozen probe (preset transfer), which is added where it is not "
        "named, with its own settings: of the flags of training only --seed counts for it "
        "[default: off]",
    )


@group()
class ScheduleFlags(Flags):
    """When to do it again."""

    serve: bool = Field(
        False, description="do it by the clock until Ctrl-C, and not now [default: off]"
    )
    cron: str | None = Field(
        None,
        description="with --serve: when, in five fields: minute, hour, day, month, weekday; the "
        "next three times are printed [default: 0 3 * * 1, Mondays at 03:00]",
    )
    timezone: str | None = Field(
        None,
        description="with --serve: where the clock is, as Europe/Berlin [default: UTC]",
    )

    @property
    def when(self) -> tuple[str, str]:
        """Give the cron expression and the time zone."""
        cron = "0 3 * * 1" if self.cron is None else self.cron  # an empty one is refused
        return cron, "UTC" if self.timezone is None else self.timezone


@group(ReadingSettings, ReportSettings, without=("domain",))
class PredictFlags(Flags):
    """With which model and where."""

    model: FullPath | None = Field(
        None,
        description="a model.safetensors, or an exported .onnx, which predicts faster on a CPU "
        "[default: the champion, else the newest run's]",
    )
    registry: str | None = Field(
        None,
        description="whose champion predicts: a name that retrain.py was given, or classes as "
        "models.py lists them [default: the champion of the newest run's classes]",
    )
    store: Store = None
    device: Device = "auto"
    runtime: RuntimeName | None = Field(
        None,
        description="what computes: torch, or for an exported model onnx or openvino [default: on "
        "a CPU onnx where model.onnx lies beside the model, else torch; from 1,000 files on "
        "openvino instead of onnx, if it is installed and faster]",
    )
    memory_format: MemoryFormat | None = Field(
        None,
        description="how images and weights lie in memory for torch [default: contiguous, on CUDA "
        "channels_last; from 1,000 files on a CPU the faster one, measured once]",
    )
    cluster: Cluster = PROCESSES
    output: FullPlace | None = Field(
        None,
        description="where to write the table besides: a .csv, .parquet or .jsonl file, also at an "
        "address such as s3://bucket/file.csv [default: nowhere]",
    )
    top: int = Field(
        1, ge=1, description="classes to name for each image, the likeliest first [default: 1]"
    )
    history: bool = Field(
        False,
        description="record a single image in the run history too where no Prefect server runs: "
        "one is started, which takes some seconds [default: off]",
    )


@group(ReadingSettings)
class ExternalFlags(Flags):
    """Which labelled images, and which model."""

    needed = ("data",)

    data: FullPath | None = Field(
        None,
        description="images from elsewhere: a folder of class folders that are called like the "
        "model's classes, or a table (CSV) of path,label; it must be given",
    )
    model: FullPath | None = Field(
        None,
        description="a model.safetensors, or an exported .onnx [default: the champion, else the "
        "newest run's]",
    )
    registry: str | None = Field(
        None,
        description="whose champion answers, as of predict.py [default: the champion of the newest "
        "run's classes]",
    )
    groups: FullPath | None = Field(
        None,
        description="table (CSV) of path,group: the patient of each image, as of full_pipeline.py "
        "[default: none]",
    )
    group_pattern: str | None = Field(
        None,
        description="regular expression that finds the patient in each path, as of "
        "full_pipeline.py [default: none]",
    )
    new_groups: bool = Field(
        False,
        description="the groups are others than those that the model learnt from, even if they are "
        "called the same, as patient 1 of another hospital [default: off, images of such groups "
        "are left out]",
    )
    near_duplicates: Literal["join", "report", "off"] = Field(
        "join",
        description="images that look nearly like a training image: join (left out), report "
        "(named, and scored all the same) or off (not searched) [default: join]",
    )
    store: Store = None
    device: Device = "auto"
    runtime: RuntimeName | None = Field(
        None,
        description="what computes, as of predict.py [default: onnx on a CPU where model.onnx lies "
        "beside the model, else torch]",
    )
    memory_format: MemoryFormat | None = Field(
        None,
        description="how images and weights lie in memory for torch [default: contiguous, on CUDA "
        "channels_last]",
    )


@group()
class PageFlags(Flags):
    """A page to try it."""

    page: bool = Field(
        False, description="serve a page that answers pictures in a browser, until Ctrl-C "
        "[default: off]",
    )  # fmt: skip
    host: str | None = Field(
        None,
        description="with --page: the address to listen on. Any but this machine's own needs a "
        "password, user:password in the environment variable RESNEXT_PIPELINE_PAGE_LOGIN "
        "[default: 127.0.0.1]",
    )
    port: int | None = Field(
        None, ge=0, le=65535,
        description="with --page: where it listens (from 0 to 65535; 0 takes any free port) "
        "[default: 8000]",
    )  # fmt: skip


@group()
class ExportFlags(Flags):
    """Which model, and where to."""

    model: FullPath | None = Field(
        None, description="a model.safetensors [default: the champion, else the newest run's]"
    )
    registry: str | None = Field(
        None,
        description="whose champion is exported, as of predict.py [default: the champion of the "
        "newest run's classes]",
    )
    data: FullPath | None = Field(
        None,
        description="class folders whose images the file is checked with [default: those of the "
        "model, which the store holds]",
    )
    output: FullPath | None = Field(
        None, description="where to copy the file besides, as model.onnx [default: nowhere]"
    )
    int8: bool = Field(
        False,
        description="write model.int8.onnx too, which computes in 8 bits: about twice as fast, a "
        "quarter of the size, and its accuracy is measured beside [default: off]",
    )
    hub: FullPath | None = Field(
        None,
        description="a new folder to lay out for a model hub: card, weights, exported model, "
        "configuration, example [default: none]",
    )
    store: Store = None


ConfigFile = Annotated[
    Path | None,
    Parameter(
        name="--config",
        group=_boxes["Where and how to compute"],
        help="TOML file with any of these settings; a flag wins over it [default: none]",
    ),
]
"""Read by `run_command` before the other flags are."""
