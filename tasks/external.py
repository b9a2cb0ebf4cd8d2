"""Score a model on labelled images from elsewhere, and compare that with its own test part.

Nothing of the model is changed. Its own files are what lies beside it, in a run's folder and in the
registry's; what is missing or altered there is left out, which is said.
"""

import logging
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from reports.gallery import plots_of
from resnext.contracts.json_files import read_json, write_json
from resnext.contracts.tables import (
    read_confusion,
    read_manifest,
    read_predictions,
    read_table,
    write_table,
)
from resnext.data.split.settings import JOINED_FILE, SplitSettings
from tasks.callbacks.history import call_server
from tasks.drift import DRIFT
from tasks.predict_images import FILES, PREDICTIONS
from tasks.scan import read_levels
from tasks.split import UserTable
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage
from tasks.stage.runs import METRICS
from tasks.stage.store import is_altered

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

if TYPE_CHECKING:
    from reports.evaluation.calibration import Calibration
    from reports.evaluation.uncertainty import Limits

log = logging.getLogger(__name__)

OVERLAP, COMPARISON, PAGE = "overlap.csv", "external.json", "external.html"
OWN_FILES = ("manifest.csv", "split.csv", "hashes.npy", JOINED_FILE, "predictions.csv", METRICS)

Facts = tuple[tuple[str, str], ...]
Rule = tuple[tuple[str, str | float | None], ...]
"""What calibration.json says of new images, by name."""
Scanned = Annotated[Artifact, Reads("manifest.csv", "hashes.npy", "levels.json", "quarantine.csv")]
OneFile = Annotated[Artifact | None, Reads()]


class AboutExternal(BaseModel):
    """What the page says besides the tables, in words."""

    model_config = ConfigDict(frozen=True)

    data_name: str
    model: Facts
    command: str
    environment: Facts


def own_files(model: Path) -> dict[str, Artifact]:
    """Give what lies beside a model of its images and scores, by name, if it was not altered."""
    paths = [model.with_name(name) for name in OWN_FILES]
    altered = [path.name for path in paths if path.is_file() and is_altered(path)]
    if altered:
        log.warning("altered since they were written, and not used: %s", ", ".join(altered))
    there = [path for path in paths if path.is_file() and path.name not in altered]
    return {path.name: Artifact.of_file(path) for path in there}


@stage(run_name="look for known images", log_again="overlap.txt")
def overlap(
    work: Work,
    manifest: Scanned,
    classes: tuple[str, ...],
    settings: SplitSettings,
    new_groups: bool,
    groups: UserTable = None,
    known: OneFile = None,
    parts: OneFile = None,
    hashes: OneFile = None,
    joined: OneFile = None,
) -> None:
    """Write split.csv (test: scored), overlap.csv, overlap.json, overlap.txt and batch_files.csv.

    `known`, `parts`, `hashes` and `joined` are files beside the model, see `own_files`.
    """
    from resnext.data.split import overlap as of

    here = of.group_labelled(
        work.images,
        read_manifest(manifest.path("manifest.csv")),
        np.load(manifest.path("hashes.npy")),
        settings,
        _path(groups),
        levels=read_levels(manifest),
        workers=work.workers,
    )
    found, table = None, pd.DataFrame(columns=of.OVERLAP_COLUMNS, dtype="str")
    phash_alone = known is not None and hashes is None and settings.near_duplicates != "off"
    if known is not None and parts is not None:
        beside = _path(hashes), _path(joined)
        own = of.read_known(known.single_path(), parts.single_path(), *beside)
        found = table = of.find_overlap(here, own, settings.near_duplicates, new_groups=new_groups)
    split = of.choose_scored(here.images, table, classes)
    counts = of.count_overlap(here, split, found, classes, phash_alone=phash_alone)
    counts["unreadable"] = len(read_table(manifest.path("quarantine.csv")))
    write_table(split, work.out / "split.csv")
    write_table(table, work.out / OVERLAP)
    write_json(counts, work.out / "overlap.json")
    scored = here.images.loc[split["split"] == "test", ["path", "sha256"]]
    write_table(scored.assign(reason=""), work.out / FILES)
    words = of.describe_overlap(counts)
    (work.out / "overlap.txt").write_text(f"{words}\n", encoding="utf-8")
    log.info(words)


@stage(run_name="score what is new")
def validate(
    work: Work,
    manifest: Annotated[Artifact, Reads("manifest.csv")],
    split: Annotated[Artifact, Reads("split.csv")],
    answers: Annotated[Artifact, Reads(PREDICTIONS)],
    rule: Rule,
    scores: OneFile = None,
    known: OneFile = None,
    held_out: OneFile = None,
) -> None:
    """Write predictions.csv, what evaluate writes of it, and external.json.

    `rule` is the model's calibration. `scores`, `known` and `held_out` are its metrics.json,
    manifest.csv and predictions.csv, if they are there.
    """
    from reports.evaluation import evaluate as evaluation
    from reports.evaluation import recalibration
    from reports.evaluation.calibration import calibrated
    from reports.evaluation.sample import classes_of, read_sample

    table, own = _labelled(split, answers), dict(rule)
    write_table(table, work.out / "predictions.csv")
    fitted = _calibration(own)
    found = evaluation.evaluate(
        table, fit=lambda *_: evaluation.spread(fitted, table), limits=_limits(own)
    )
    evaluation.write(found, work.out)
    sample = read_sample(table, classes_of(table))
    shares = calibrated(sample.probabilities, fitted.temperature)
    lacking = _lacking(table, held_out)
    content = {
        "scores": _own(scores, found.metrics, same_classes=not any(lacking.values())),
        "lacking": lacking,
        "in_both": _in_both(table, manifest, known, held_out),
        "recalibration": recalibration.measure(replace(sample, probabilities=shares), own),
    }
    write_json(content, work.out / COMPARISON)


def _limits(own: Mapping[str, Any]) -> "Limits":
    """Give the model's limits, of an old model none."""
    from reports.evaluation.uncertainty import Limits

    return Limits(**{each.name: own[each.name] for each in fields(Limits) if each.name in own})


def _labelled(split: Artifact, answers: Artifact) -> pd.DataFrame:
    """Put the answers beside the classes of the images, as in predictions.csv."""
    from reports.evaluation.sample import classes_of

    rows = read_table(split.path("split.csv"))[["path", "label", "group", "split"]]
    table = rows.merge(read_table(answers.path(PREDICTIONS)), on="path")
    calibrated = [f"calibrated_{name}" for name in classes_of(table)]
    return table.drop(columns=["sha256", "note", *calibrated])


def _lacking(table: pd.DataFrame, held_out: Artifact | None) -> dict[str, list[str]]:
    """Name the classes that these images or the model's own test part lack.

    Without its predictions.csv it is taken to hold every class.
    """
    from reports.evaluation import external
    from reports.evaluation.sample import classes_of, evaluated

    if held_out is None:
        return external.lacking(classes_of(table), table["label"])
    own = evaluated(read_predictions(held_out.single_path()))
    return external.lacking(own["label"], table["label"])


def _own(
    scores: Artifact | None, metrics: Mapping[str, Any], *, same_classes: bool
) -> list[dict[str, Any]]:
    """Compare the scores with those of the model's own test part, if they are there."""
    from reports.evaluation import external

    if scores is None:
        return []
    return external.compare(read_json(scores.single_path()), metrics, same_classes=same_classes)


def _in_both(
    table: pd.DataFrame, manifest: Artifact, known: Artifact | None, held_out: Artifact | None
) -> dict[str, Any] | None:
    """Compare the answers to images that the model's own test part holds; None where none is."""
    from reports.evaluation import external

    if known is None or held_out is None:
        return None
    then, now = (read_manifest(each.path("manifest.csv")) for each in (known, manifest))
    return external.in_both(read_predictions(held_out.single_path()), table, then, now)


@stage(run_name="show the external score", log_first="drawing the figures (several seconds)")
def show_external(
    work: Work,
    split: Annotated[Artifact, Reads("split.csv", OVERLAP, "overlap.json")],
    scores: Annotated[Artifact, Reads()],
    drift: Annotated[Artifact | None, Reads(DRIFT)],
    about: AboutExternal,
) -> None:
    """Write external.html, and each figure that these tables show, as .png and .svg."""
    from reports import external
    from reports.drawing import style
    from reports.gallery import plot_some

    images = {}
    for name, figure in plot_some(plots_of(scores.files), scores.path):
        images[name] = style.save_figure(figure, work.out, name)[0].read_bytes()
    page = external.render_external(
        external.ExternalContent(
            data_name=about.data_name,
            model=dict(about.model),
            command=about.command,
            environment=dict(about.environment),
            found=read_json(split.path("overlap.json")),
            overlap=read_table(split.path(OVERLAP)),
            split=read_table(split.path("split.csv")),
            metrics=read_json(scores.path(METRICS)),
            per_class=read_table(scores.path("per_class.csv")),
            confusion=read_confusion(scores.path("confusion.csv")),
            net_benefit=read_table(scores.path("net_benefit.csv")),
            calibration=read_json(scores.path("calibration.json")),
            comparison=read_json(scores.path(COMPARISON)),
            drift=None if drift is None else read_json(drift.path(DRIFT)),
            figures=images,
        )
    )
    (work.out / PAGE).write_text(page, encoding="utf-8")


@task(task_run_name="publish to the UI", cache_policy=NO_CACHE, persist_result=False, retries=0)
def publish_external(name: str, scores: Artifact) -> None:
    """Show the scores beside those of the model's own test part on the flow run's page."""
    from reports.sections.external import short_rows

    rows = short_rows(read_json(scores.path(COMPARISON)), read_json(scores.path(METRICS)))
    description = f"External validation: {name}"
    call_server(lambda: create_table_artifact(table=rows, key="external", description=description))


def _path(artifact: Artifact | None) -> Path | None:
    return None if artifact is None else artifact.single_path()


def _calibration(rule: Mapping[str, Any]) -> "Calibration":
    """Give what a model's calibration.json holds, as the evaluation takes it."""
    from reports.evaluation.calibration import Calibration

    known = {field.name for field in fields(Calibration)}
    own = Calibration(**{name: value for name, value in rule.items() if name in known})
    return replace(own, rule=None if own.threshold is None else "that of the model")
