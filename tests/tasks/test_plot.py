import json
from pathlib import Path

import pytest

from resnext.contracts import tables
from tasks.plot import plot
from tasks.stage.artifact import Artifact, Runtime, sha256_of
from tests.reports.figures.samples import history, scores

STEMS = (
    "confidences",
    "confusion",
    "curves",
    "per_class",
    "precision_recall",
    "reliability",
    "roc",
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


@pytest.fixture
def split(tmp_path: Path) -> Artifact:
    folder = tmp_path / "split"
    folder.mkdir()
    (folder / "split.csv").write_text("path,label,split\na,A,train\nb,A,val\nc,A,test\n")
    return artifact(folder)


@pytest.fixture
def model(tmp_path: Path) -> Artifact:
    folder = tmp_path / "model"
    folder.mkdir()
    tables.write_table(history(4), folder / "history.csv")
    (folder / "timing.csv").write_text("epoch,finished_at\n4,2026-01-01T00:00:00Z\n")
    return artifact(folder)


@pytest.fixture
def evaluated(tmp_path: Path) -> Artifact:
    folder, given = tmp_path / "scores", scores(["A", "B"], drawn=["B"])
    folder.mkdir()
    given.write(folder)
    return artifact(folder)


def test_each_figure_is_written_as_png_and_svg(
    runtime: Runtime, split: Artifact, model: Artifact, evaluated: Artifact
) -> None:
    drawn = plot.fn(runtime, split, model, evaluated, False, "val_accuracy", "best")
    assert sorted(drawn.files) == sorted(f"{s}.{kind}" for s in STEMS for kind in ("png", "svg"))


def test_empty_tables_are_drawn_as_sentences(
    runtime: Runtime, split: Artifact, model: Artifact, evaluated: Artifact
) -> None:
    for path in evaluated.folder.glob("*.csv"):
        heading = path.read_text().splitlines()[0]
        path.write_text(heading + "\n")
    empty = artifact(evaluated.folder)
    drawn = plot.fn(runtime, split, model, empty, True, "val_accuracy", "best")
    assert len(drawn.files) == 2 * len(STEMS)


@pytest.mark.parametrize(("metric", "keep"), [("val_loss", "best"), ("val_accuracy", "last")])
def test_another_choice_of_the_epoch_is_another_figure(
    runtime: Runtime, split: Artifact, model: Artifact, evaluated: Artifact, metric: str, keep: str
) -> None:
    rows = history(4).assign(val_loss=[0.9, 0.1, 0.2, 0.3], val_accuracy=[0.1, 0.2, 0.3, 0.4])
    tables.write_table(rows, model.folder / "history.csv")
    model = artifact(model.folder)
    first = plot.fn(runtime, split, model, evaluated, False, "val_accuracy", "best")
    other = plot.fn(runtime, split, model, evaluated, False, metric, keep)
    same = {name for name in first.files if first.files[name] == other.files[name]}
    assert set(first.files) - same == {"curves.png", "curves.svg"}


def test_a_changed_table_is_drawn_again(
    runtime: Runtime, split: Artifact, model: Artifact, evaluated: Artifact
) -> None:
    first = plot.fn(runtime, split, model, evaluated, False, "val_accuracy", "best")
    path = evaluated.folder / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"operating_point": None}))
    changed_scores = artifact(evaluated.folder)
    other = plot.fn(runtime, split, model, changed_scores, False, "val_accuracy", "best")
    changed = {name for name in first.files if first.files[name] != other.files[name]}
    assert changed == {"roc.png", "roc.svg", "precision_recall.png", "precision_recall.svg"}
