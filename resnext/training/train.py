"""Around the training: from tables to the first network, and from the result to its files."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from resnext import device
from resnext.contracts.tables import read_split_images, write_table
from resnext.data.decoding.levels import Levels
from resnext.data.pixels import PackedPixels
from resnext.device import Compute
from resnext.models.architectures import build, find_architecture, scale_of
from resnext.models.model_file import ModelCard, save_model
from resnext.models.weights import load_pretrained
from resnext.training import engine
from resnext.training.batches import Subset, Subsets
from resnext.training.recipe import Recipe
from resnext.training.step import shrink_head, zero_residual_branches

CLOCK_COLUMNS = ["epoch", "seconds", "images_per_second", "finished_at"]
HISTORY_COLUMNS = ["epoch", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy"]


def read_subsets(manifest: Path, split: Path, pixels: PackedPixels) -> Subsets:
    """Join manifest.csv and split.csv into the images to train, val and test on.

    Raises:
        InputError: the manifest can't be read.
    """
    table = read_split_images(split, manifest)
    classes = tuple(sorted(table["label"].unique()))
    parts = [table[table["split"] == name] for name in ("train", "val", "test")]
    return Subsets(classes, *(subset_of(part, pixels, classes) for part in parts))


def subset_of(table: pd.DataFrame, pixels: PackedPixels, classes: Sequence[str]) -> Subset:
    """Gather images (path, sha256, label) with their packed rows; an unknown class is -1."""
    digests = table["sha256"].tolist()
    numbers = pd.Index(classes).get_indexer(pd.Index(table["label"]))
    return Subset(pixels.rows(digests), numbers.astype("int64"), digests, table["path"].tolist())


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
    last_norm = find_architecture(recipe.arch).last_norm
    if recipe.zero_init_residual and last_norm:
        zero_residual_branches(model, last_norm)
    shrink_head(model, recipe)
    return model, load_pretrained(model, recipe.arch, recipe.weights, weights)


def write_summary(model: nn.Module, recipe: Recipe, path: Path) -> None:
    """Write the table of layers, with parameters and multiply-adds for one image."""
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
    mean, std = scale_of(recipe.arch, recipe.weights)
    card = ModelCard(
        classes=tuple(classes),
        architecture=recipe.arch,
        image_size=recipe.image_size,
        mean=mean,
        std=std,
        levels=levels,
        fit=recipe.fit,
        trained_on=recipe.trained_on,
        probe=recipe.probe_shape if recipe.method == "probe" else None,
    )
    save_model(folder / "model.safetensors", trained.weights, card)
    rows = pd.DataFrame([asdict(row) for row in trained.history])
    write_table(rows[HISTORY_COLUMNS], folder / "history.csv")
    write_table(rows[CLOCK_COLUMNS], folder / "timing.csv")
