"""What a pipeline run is told: one set of models behind flags, TOML file and the UI's form.

A field that is left empty takes its value from the preset. The bounds are those of the models
that the values end up in (`Recipe`, `SplitSettings`), which `flows.cli.plan.resolve` builds.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from reports.evaluation.settings import ComparedBy, EvaluationSettings
from resnext.data.manifest.settings import ReadingSettings, Truncated
from resnext.data.split.settings import SplitSettings
from resnext.training.recipe import (
    Augment,
    ClassWeights,
    Keep,
    Metric,
    Optimizer,
    Recipe,
    Sampler,
    Schedule,
)
from tasks.registry.versions import require_name

REPOSITORY = Path(__file__).resolve().parents[2]
SYNTHETIC = "synthetic demonstration set"
USUAL_DATA = REPOSITORY / "data" / "45-data"

Store = Annotated[
    Path | None,
    Field(description="folder of all results [default: artifacts in the repository]"),
]
Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"], Field(description="where to compute [default: auto]")
]
Preset = Literal["default", "seed", "quick"]
Stop = Literal["scan", "split", "pack", "train", "predict", "evaluate", "explain", "plot", "report"]
Strategy = Literal["grouped", "stratified", "random", "given"]
NearDuplicates = Literal["join", "report", "off"]

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
        "strategy": "random",
        "shares": (80, 0, 20),
    },
    # Ends within two minutes on two cores with the demonstration set.
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
}


def _from_preset(model: type[BaseModel], name: str) -> Any:
    """Describe a flag that is empty until the preset fills it, with the values it can take."""
    field = model.model_fields[name]
    values = {preset: given.get(name, field.default) for preset, given in PRESETS.items()}
    default = values.pop("default")
    others = "".join(f"; {preset}: {_plain(v)}" for preset, v in values.items() if v != default)
    bounds = {
        kind: getattr(rule, kind)
        for rule in field.metadata
        for kind in ("ge", "gt", "le", "lt")
        if hasattr(rule, kind)
    }
    if field.annotation is float:
        bounds["allow_inf_nan"] = False
    text = f"{field.description}{_in_words(bounds)} [default: {_plain(default)}{others}]"
    return Field(default=None, description=text, **bounds)


def _in_words(bounds: Mapping[str, float]) -> str:
    """Say between what a value must lie, since the UI's form does not show it."""
    words = {"ge": "from {:.10g}", "gt": "above {:.10g}", "le": "to {:.10g}", "lt": "below {:.10g}"}
    said = [text.format(bounds[kind]) for kind, text in words.items() if kind in bounds]
    return f" ({' '.join(said)})" if said else ""


def _plain(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", False: "off", True: "on"}[value]
    return ",".join(f"{item:g}" for item in value) if isinstance(value, tuple) else str(value)


class Flags(BaseModel):
    """Base of the flags: nothing unknown, and no change after they were read."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PictureFlags(Flags):
    """Which pictures."""

    data: Annotated[
        Path | None,
        Field(
            description="folder of class folders, or of train, val and test folders that hold them "
            "[default: data/45-data where it exists, else a synthetic demonstration set that the "
            "program draws]"
        ),
    ] = None
    max_pixels: int | None = _from_preset(ReadingSettings, "max_pixels")
    truncated: Truncated | None = _from_preset(ReadingSettings, "truncated")


class DataFlags(PictureFlags):
    """Which pictures, and which new ones."""

    predict: Annotated[
        Path | None,
        Field(description="folder of new pictures to predict with the new model [default: none]"),
    ] = None


class DrawFlags(Flags):
    """How the pictures are divided."""

    split: Strategy | None = _from_preset(SplitSettings, "strategy")
    shares: str | None = _from_preset(SplitSettings, "shares")
    group_pattern: str | None = _from_preset(SplitSettings, "group_pattern")
    groups: Annotated[
        Path | None,
        Field(
            description="table (CSV) of path,group: the patient of each picture, by its path below "
            "--data or its name; columns such as image_id and patient_id of published metadata are "
            "understood. It wins over what names say [default: none]"
        ),
    ] = None
    near_duplicates: NearDuplicates | None = _from_preset(SplitSettings, "near_duplicates")
    hold_out_copies: bool | None = _from_preset(SplitSettings, "hold_out_copies")
    split_seed: int | None = _from_preset(SplitSettings, "seed")


class SplitFlags(DrawFlags):
    """How the pictures are divided, or by which table."""

    fold: str | None = _from_preset(SplitSettings, "fold")
    use_split: Annotated[
        Path | None,
        Field(
            description="table (CSV) of path,split (train, val, test or unused): used as it is, "
            "and audited [default: none]"
        ),
    ] = None
    no_val: Annotated[
        bool | None,
        Field(
            description="leave a split that comes without a validation part as it is: else groups "
            "are taken out of its train part for one, in the ratio of --shares [default: off]"
        ),
    ] = None
    keep_split: Annotated[
        Path | None,
        Field(
            description="split.csv of an earlier run: its groups stay where they are, so that "
            "scores stay comparable; new ones are drawn. Renamed pictures are known by the "
            "manifest.csv beside it, ids of joined groups by the joined_groups.json "
            "[default: none]"
        ),
    ] = None


class TrainingFlags(Flags):
    """How the network is trained."""

    preset: Annotated[
        Preset,
        Field(
            description="what the empty settings are taken from: default (a recipe that learns), "
            "seed (the script that the project began as), quick (minutes on a laptop)"
        ),
    ] = "default"
    arch: str | None = _from_preset(Recipe, "arch")
    weights: str | None = _from_preset(Recipe, "weights")
    image_size: int | None = _from_preset(Recipe, "image_size")
    epochs: int | None = _from_preset(Recipe, "epochs")
    batch_size: int | None = _from_preset(Recipe, "batch_size")
    lr: float | None = _from_preset(Recipe, "lr")
    zero_init_residual: bool | None = _from_preset(Recipe, "zero_init_residual")
    head_lr: float | None = _from_preset(Recipe, "head_lr")
    optimizer: Optimizer | None = _from_preset(Recipe, "optimizer")
    momentum: float | None = _from_preset(Recipe, "momentum")
    weight_decay: float | None = _from_preset(Recipe, "weight_decay")
    schedule: Schedule | None = _from_preset(Recipe, "schedule")
    warmup_epochs: float | None = _from_preset(Recipe, "warmup_epochs")
    step_epochs: int | None = _from_preset(Recipe, "step_epochs")
    step_factor: float | None = _from_preset(Recipe, "step_factor")
    accumulate: int | None = _from_preset(Recipe, "accumulate")
    clip_norm: float | None = _from_preset(Recipe, "clip_norm")
    ema_decay: float | None = _from_preset(Recipe, "ema_decay")
    freeze_epochs: int | None = _from_preset(Recipe, "freeze_epochs")
    label_smoothing: float | None = _from_preset(Recipe, "label_smoothing")
    class_weights: ClassWeights | None = _from_preset(Recipe, "class_weights")
    sampler: Sampler | None = _from_preset(Recipe, "sampler")
    augment: Augment | None = _from_preset(Recipe, "augment")
    mixup: float | None = _from_preset(Recipe, "mixup")
    cutmix: float | None = _from_preset(Recipe, "cutmix")
    keep: Keep | None = _from_preset(Recipe, "keep")
    metric: Metric | None = _from_preset(Recipe, "metric")
    patience: int | None = _from_preset(Recipe, "patience")
    seed: int | None = _from_preset(Recipe, "seed")


class EvaluationFlags(Flags):
    """How it is evaluated."""

    positive: str | None = _from_preset(EvaluationSettings, "positive")
    sensitivity: float | None = _from_preset(EvaluationSettings, "sensitivity")
    threshold: str | float | None = _from_preset(EvaluationSettings, "threshold")


class DecisionFlags(Flags):
    """When a new model becomes champion, and of what."""

    registry: Annotated[
        str | None,
        AfterValidator(lambda name: name if name is None else require_name(name)),
        Field(
            description="name of a champion of its own, whatever the classes are [default: none, "
            "one champion for each set of classes]"
        ),
    ] = None

    judge_by: Annotated[
        ComparedBy, Field(description="figure that must be better [default: balanced_accuracy]")
    ] = "balanced_accuracy"
    margin: Annotated[
        float,
        Field(
            ge=0, lt=1,
            description="the 95 % interval of the difference must lie above this, a share from 0 "
            "to 1 [default: 0]",
        ),
    ] = 0.0  # fmt: skip


class ScheduleFlags(Flags):
    """When to do it again."""

    serve: Annotated[
        bool,
        Field(description="do it by the clock until Ctrl-C, and not now [default: off]"),
    ] = False
    cron: Annotated[
        str | None,
        Field(
            description="with --serve: when, in five fields: minute, hour, day, month, weekday; "
            "the next three times are printed [default: 0 3 * * 1, Mondays at 03:00]"
        ),
    ] = None
    timezone: Annotated[
        str | None,
        Field(description="with --serve: where the clock is, as Europe/Berlin [default: UTC]"),
    ] = None

    @property
    def when(self) -> tuple[str, str]:
        """Give the cron expression and the time zone."""
        cron = "0 3 * * 1" if self.cron is None else self.cron  # an empty one is refused
        return cron, "UTC" if self.timezone is None else self.timezone


class MachineFlags(Flags):
    """Where and how to compute, and what to keep."""

    store: Store = None
    device: Device = "auto"
    workers: Annotated[
        int | None,
        Field(
            ge=0, le=256,
            description="processes that read pictures (from 0 to 256) [default: as many as cores]",
        ),
    ] = None  # fmt: skip
    deterministic: Annotated[
        bool, Field(description="the same bytes on CUDA too, a little slower [default: off]")
    ] = False
    verify: Annotated[
        bool, Field(description="hash every picture and cached file again [default: off]")
    ] = False


class RunFlags(MachineFlags):
    """Where and how to compute, and how far."""

    only: Annotated[Stop | None, Field(description="stop after this stage [default: none]")] = None


class PredictFlags(Flags):
    """With which model and where."""

    model: Annotated[
        Path | None,
        Field(description="a model.safetensors [default: the champion, else the newest run's]"),
    ] = None
    registry: Annotated[
        str | None,
        Field(
            description="whose champion answers: a name that retrain.py was given, or classes as "
            "models.py lists them [default: the champion of the newest run's classes]"
        ),
    ] = None
    max_pixels: int | None = _from_preset(ReadingSettings, "max_pixels")
    truncated: Truncated | None = _from_preset(ReadingSettings, "truncated")
    store: Store = None
    device: Device = "auto"
