"""Search the settings of a recipe inside the training part of a split."""

import logging
import shutil
from typing import TYPE_CHECKING, Annotated

from resnext.contracts.formatting import percent
from resnext.contracts.json_files import write_json
from resnext.contracts.tables import read_table, write_table
from resnext.device import Compute
from resnext.training.recipe import Recipe
from tasks.pack import Packed, open_pixels
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage
from tasks.stage.key import digest_of
from tasks.train import train_once

if TYPE_CHECKING:
    from resnext.training.callback import Callback

log = logging.getLogger(__name__)

STUDY = "study.db"
SEARCH = "search.json"


@stage(run_name="split the training part")
def split_inside(work: Work, split: Annotated[Artifact, Reads("split.csv")], seed: int) -> None:
    """Write a split.csv that holds out nothing but what is trained on in the split."""
    from resnext.data.split.inner import split_inside as parted

    write_table(parted(read_table(split.path("split.csv")), seed), work.out / "split.csv")


@stage(run_name="search {recipe.arch}", clock_files=(STUDY,))
def search(
    work: Work,
    manifest: Annotated[Artifact, Reads("manifest.csv", "levels.json")],
    split: Annotated[Artifact, Reads("split.csv")],
    pixels: Packed,
    recipe: Recipe,
    compute: Compute,
    trials: int,
    weights: Annotated[Artifact | None, Reads()] = None,
    features: Annotated[Artifact | None, Reads("features.npy", "originals.txt")] = None,
) -> None:
    """Write search.json, the settings with the best balanced accuracy, and the study's SQLite file.

    A search that is killed leaves the study in the scratch folder, and goes on from there.
    """
    from reports.evaluation.comparison import score_of
    from resnext.inference.predict import predict_split
    from resnext.training.search import search as search_settings

    given = (manifest, split, pixels)
    tables = manifest.path("manifest.csv"), split.path("split.csv")

    def score(tried: Recipe, follow: "Callback") -> float:
        folder = work.scratch / f"trial-{digest_of(tried.model_dump())}"
        for old in {*work.scratch.glob("trial-*")} - {folder}:  # what was killed goes on
            shutil.rmtree(old)
        own = work.model_copy(update={"out": folder / "out", "scratch": folder / "scratch"})
        own.out.mkdir(parents=True, exist_ok=True)
        log.info("trying %s", {name: getattr(tried, name) for name in tried.searched})
        train_once(own, *given, tried, compute, weights, features, more=[follow])
        model = own.out / "model.safetensors"
        found = score_of(predict_split(*tables, open_pixels(pixels), model, compute))
        log.info("balanced accuracy %s", percent(found, " "))
        return found

    work.scratch.mkdir(parents=True, exist_ok=True)
    best = search_settings(recipe, trials, work.scratch / STUDY, score)
    log.info("best of %d: %s", trials, best["settings"])
    write_json(best, work.out / SEARCH)
    shutil.copyfile(work.scratch / STUDY, work.out / STUDY)
