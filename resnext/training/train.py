"""From tables to a trained network and its files: what stands around the loops of the engine."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from resnext import device
from resnext.contracts.errors import InputError
from resnext.contracts.tables import read_split_pictures, write_table
from resnext.data.decoding.levels import Levels
from resnext.data.pixels import PackedPixels, PixelSource
from resnext.device import Compute
from resnext.models.architectures import build, find_architecture
from resnext.models.model_file import ModelCard, save_model
from resnext.models.resnext import zero_residual_branches
from resnext.models.weights import load_pretrained
from resnext.training import engine
from resnext.training.batches import Part
from resnext.training.callback import Callback
from resnext.training.checkpoints import Checkpoints
from resnext.training.recipe import SMALLEST_FOR_ONE, Recipe
from resnext.training.step import quieten_head

CLOCK_COLUMNS = ["epoch", "seconds", "images_per_second", "finished_at"]
HISTORY_COLUMNS = ["epoch", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy"]


@dataclass(frozen=True)
class Parts:
    """The pictures of a split, by part, and the class names in the order of their numbers."""

    classes: tuple[str, ...]
    train: Part
    val: Part
    test: Part

    def describe(self) -> str:
        """Say how many pictures each part has."""
        return f"{len(self.train)} train, {len(self.val)} val and {len(self.test)} test pictures"


def read_parts(manifest: Path, split: Path, pixels: PackedPixels) -> Parts:
    """Join manifest.csv and split.csv into the pictures of each part, with their packed rows.

    Raises:
        InputError: the manifest can't be read.
    """
    table = read_split_pictures(split, manifest)
    classes = tuple(sorted(table["label"].unique()))
    parts = [
        part_of(table[table["split"] == name], pixels, classes) for name in ("train", "val", "test")
    ]
    return Parts(classes, *parts)


def part_of(table: pd.DataFrame, pixels: PackedPixels, classes: Sequence[str]) -> Part:
    """Gather pictures (path, sha256, label) with their packed rows; an unknown class is -1."""
    digests = table["sha256"].tolist()
    numbers = pd.Index(classes).get_indexer(pd.Index(table["label"]))
    return Part(pixels.rows(digests), numbers.astype("int64"), digests, table["path"].tolist())


def start_model(
    recipe: Recipe, classes: Sequence[str], compute: Compute, weights: Path | None
) -> tuple[nn.Module, str]:
    """Set torch up, build the network with its first weights and say where they come from.

    Raises:
        InputError: the device isn't there, or the weights can't be had or don't fit.
    """
    device.apply(compute)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = build(recipe.arch, len(classes))
    if recipe.zero_init_residual:
        zero_residual_branches(model)
    quieten_head(model, recipe)
    return model, load_pretrained(model, recipe.arch, recipe.weights, weights)


def write_summary(model: nn.Module, recipe: Recipe, path: Path) -> None:
    """Write the table of layers, with parameters and multiply-adds for one picture."""
    from torchinfo import summary

    table = summary(
        model,
        input_size=(1, 3, recipe.image_size, recipe.image_size),
        col_names=("output_size", "num_params", "mult_adds"),
        depth=4,
        device="cpu",
        verbose=0,
    )
    text = str(table).replace("Units.MEGABYTES", "M").replace("Units.GIGABYTES", "G")
    path.write_text(f"{text}\n", encoding="utf-8")


def train(
    model: nn.Module,
    source: PixelSource,
    parts: Parts,
    recipe: Recipe,
    compute: Compute,
    *,
    callbacks: Sequence[Callback] = (),
    checkpoints: Checkpoints | None = None,
) -> engine.Fitted:
    """Train on the train part, watching the val part.

    Without a val part the test part is watched, as in the script that the project began as;
    nothing is chosen by it then: the last epoch's weights are kept.

    Raises:
        TrainingError: a loss is not finite.
        InputError: the recipe does not go with the parts.
        KeyboardInterrupt: a callback wanted to stop; a checkpoint was saved.
    """
    _require_trainable(parts, recipe)
    if not len(parts.val):
        recipe = recipe.model_copy(update={"keep": "last"})
    return engine.Training(
        model,
        source,
        parts.train,
        parts.val if len(parts.val) else parts.test,
        recipe,
        compute,
        classes=len(parts.classes),
        as_the_script=not len(parts.val),
        callbacks=callbacks,
        checkpoints=checkpoints,
    ).fit()


def _require_trainable(parts: Parts, recipe: Recipe) -> None:
    """Raise an InputError where the recipe can't be followed with these parts."""
    if len(parts.train) < 2 and recipe.image_size < SMALLEST_FOR_ONE:
        raise InputError(
            "shares",
            f"leave at least 2 training pictures below {SMALLEST_FOR_ONE} px",
            len(parts.train),
            "Batch normalisation can't train on one. Add pictures.",
        )
    if recipe.patience and not len(parts.val):
        raise InputError(
            "patience",
            "be 0 without a validation part",
            recipe.patience,
            "Stopping by the test part would choose by it. Give val a share, or "
            "leave `patience` out.",
        )


def write_result(
    trained: engine.Fitted,
    classes: Sequence[str],
    recipe: Recipe,
    folder: Path,
    levels: Levels = Levels(),
) -> None:
    """Write model.safetensors, history.csv and, with the clock's values, timing.csv.

    Raises:
        OSError: a file can't be written.
    """
    architecture = find_architecture(recipe.arch)
    card = ModelCard(
        classes=tuple(classes),
        architecture=recipe.arch,
        image_size=recipe.image_size,
        mean=architecture.mean,
        std=architecture.std,
        levels=levels,
    )
    save_model(folder / "model.safetensors", trained.weights, card)
    rows = pd.DataFrame([asdict(row) for row in trained.history])
    write_table(rows[HISTORY_COLUMNS], folder / "history.csv")
    write_table(rows[CLOCK_COLUMNS], folder / "timing.csv")
