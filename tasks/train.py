"""Train the network on the split's training part, going on where an earlier run was stopped."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

from resnext import device
from resnext.contracts.formatting import plural
from resnext.training.recipe import Recipe
from tasks.callbacks.discovery import TrainingSetup, callbacks_of
from tasks.callbacks.interrupts import SaveAndStop
from tasks.callbacks.terminal import say
from tasks.embed import open_features
from tasks.pack import Packed, open_pixels
from tasks.scan import read_levels
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage
from tasks.stage.runs import is_over

if TYPE_CHECKING:
    from resnext.training.callback import Callback

log = logging.getLogger(__name__)


@stage(
    run_name="train {recipe.arch} {recipe.image_size}px",
    clock_files=("timing.csv",),
    registered=("model.safetensors",),
)
def train(
    work: Work,
    manifest: Annotated[Artifact, Reads("manifest.csv", "levels.json")],
    split: Annotated[Artifact, Reads("split.csv")],
    pixels: Packed,
    recipe: Recipe,
    compute: device.Compute,
    weights: Annotated[Artifact | None, Reads()] = None,
    features: Annotated[Artifact | None, Reads("features.npy", "originals.txt")] = None,
    devices: int = 1,
) -> None:
    """Write model.safetensors, history.csv, summary.txt and timing.csv.

    `features` are those of the frozen network, for a probe alone. `devices` is the number of
    processes; it is in the key, since it changes numbers, and a checkpoint is for so many.
    """
    train_once(work, manifest, split, pixels, recipe, compute, weights, features, devices=devices)


def train_once(
    work: Work,
    manifest: Artifact,
    split: Artifact,
    pixels: Artifact,
    recipe: Recipe,
    compute: device.Compute,
    weights: Artifact | None,
    features: Artifact | None,
    more: Sequence["Callback"] = (),
    devices: int = 1,
) -> None:
    """Train as the stage does, followed by more callbacks."""
    from resnext.training import distributed
    from resnext.training import train as training
    from resnext.training.checkpoints import Checkpoints
    from resnext.training.engine import Training

    if features is not None:
        return _train_probe(work, manifest, split, recipe, compute, weights, features, more)
    packed = open_pixels(pixels)
    tables = manifest.path("manifest.csv"), split.path("split.csv")
    subsets = training.read_subsets(*tables, packed)
    each = f", {devices} processes" if devices > 1 else ""
    log.info("%s%s; %s", device.describe(compute), each, subsets.describe())
    start = weights.single_path() if weights else None
    model, how = training.start_model(recipe, subsets.classes, compute, start)
    log.info("%s at %d px: %s", recipe.arch, recipe.image_size, how)
    training.write_summary(model, recipe, work.out / "summary.txt")
    callbacks = callbacks_of(TrainingSetup(work, recipe, validates=len(subsets.val) > 0))
    job = distributed.Job(
        manifest=tables[0], split=tables[1], pixels=pixels.path("pixels.npy"),
        digests=pixels.path("pixels.txt"), weights=start, checkpoints=work.scratch,
        recipe=recipe, compute=compute,
    )  # fmt: skip
    ending = SaveAndStop(partial(is_over, work.leader))
    with distributed.together(job, devices, work.meeting) as ranks, ending as stop:
        result = Training(
            model, packed, subsets, recipe, compute, callbacks=[*callbacks, *more, stop],
            checkpoints=Checkpoints(work.scratch, say), ranks=ranks,
        ).fit()  # fmt: skip
    levels = read_levels(manifest)
    return training.write_result(result, subsets.classes, recipe, work.out, levels)


def _train_probe(
    work: Work,
    manifest: Artifact,
    split: Artifact,
    recipe: Recipe,
    compute: device.Compute,
    weights: Artifact | None,
    features: Artifact,
    more: Sequence["Callback"],
) -> None:
    """Train the heads of a probe on features that are there."""
    from resnext.training import probe
    from resnext.training import train as training

    device.apply(compute)
    tables = manifest.path("manifest.csv"), split.path("split.csv")
    given = probe.read_training_set(*tables, *open_features(features), recipe.trained_on)
    network, _ = probe.load_frozen(recipe, weights.single_path() if weights else None)
    log.info("%s; %s", device.describe(compute), plural(len(given.labels), "training image"))
    callbacks = callbacks_of(TrainingSetup(work, recipe, validates=False))
    with SaveAndStop(partial(is_over, work.leader)) as stop:
        result = probe.fit_probe(network, given, recipe, compute, [*callbacks, *more, stop])
    (work.out / "summary.txt").write_text(probe.describe(given, recipe), encoding="utf-8")
    training.write_result(result, given.classes, recipe, work.out, read_levels(manifest))
