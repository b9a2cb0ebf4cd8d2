import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from resnext.contracts import tables
from tasks.plot import plot
from tasks.stage.artifact import Artifact, Runtime, sha256_of
from tests.reports.figures.samples import history, scores, write_scores

STEMS = (
    *("confidences", "confusion", "curves", "net_benefit", "per_class", "precision_recall"),
    *("reliability", "risk_coverage", "roc"),
    *("confidences_narrow", "curves_narrow", "net_benefit_narrow", "per_class_narrow"),
    *("precision_recall_narrow", "reliability_narrow", "risk_coverage_narrow", "roc_narrow"),
)


def artifact(folder: Path) -> Artifact:
    files = {path.name: sha256_of(path) for path in folder.iterdir()}
    clock = {"timing.csv"} & set(files)
    return Artifact(
        stage="s",
        key="k",
        folder=folder,
        files={name: digest for name, digest in files.items() if name not in clock},
        clock_files=tuple(clock),
    )


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("split")
    (folder / "split.csv").write_text("path,label,split\na,A,train\nb,A,val\nc,A,test\n")
    return artifact(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("model")
    rows = history(4).assign(val_loss=[0.9, 0.1, 0.2, 0.3], val_accuracy=[0.1, 0.2, 0.3, 0.4])
    tables.write_table(rows, folder / "history.csv")
    (folder / "timing.csv").write_text("epoch,finished_at\n4,2026-01-01T00:00:00Z\n")
    return artifact(folder)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("scores")
    write_scores(scores(["A", "B"], drawn=["B"]), folder)
    return artifact(folder)


@pytest.fixture(scope="module")
def drawn(
    tmp_path_factory: pytest.TempPathFactory, split: Artifact, model: Artifact, evaluated: Artifact
) -> Mapping[str, str]:
    """Draw all figures; give their digests."""
    runtime = Runtime(store=tmp_path_factory.mktemp("store"), data=split.folder)
    return plot.fn(runtime, split, model, evaluated, False, "val_accuracy", "best").files


def changed(one: Mapping[str, str], other: Mapping[str, str]) -> set[str]:
    assert set(one) == {f"{stem}.{kind}" for stem in STEMS for kind in ("png", "svg")} == set(other)
    return {Path(name).stem for name in one if one[name] != other[name]}


@pytest.mark.parametrize(("metric", "keep"), [("val_loss", "best"), ("val_accuracy", "last")])
def test_another_choice_of_the_epoch_is_another_figure(
    runtime: Runtime,
    split: Artifact,
    model: Artifact,
    evaluated: Artifact,
    drawn: Mapping[str, str],
    metric: str,
    keep: str,
) -> None:
    other = plot.fn(runtime, split, model, evaluated, False, metric, keep)
    assert changed(drawn, other.files) == {"curves", "curves_narrow"}


def test_a_changed_table_is_drawn_again_and_empty_ones_as_sentences(
    runtime: Runtime,
    split: Artifact,
    model: Artifact,
    evaluated: Artifact,
    drawn: Mapping[str, str],
    tmp_path: Path,
) -> None:
    folder = shutil.copytree(evaluated.folder, tmp_path / "scores")
    path = folder / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"operating_point": None}))
    scores = artifact(folder)
    other = plot.fn(runtime, split, model, scores, False, "val_accuracy", "best")
    assert changed(drawn, other.files) == {
        *("roc", "roc_narrow", "precision_recall", "precision_recall_narrow")
    }
    for path in folder.glob("*.csv"):
        path.write_text(path.read_text().splitlines()[0] + "\n")
    empty = plot.fn(runtime, split, model, artifact(folder), True, "val_accuracy", "best")
    assert changed(drawn, empty.files) == set(STEMS)
