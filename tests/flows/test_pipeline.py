"""The pipeline as a user runs it: the program, on a copy of the code that tests may change."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from resnext.contracts.tables import read_table
from tasks.stage.runs import run_record, runs

REPOSITORY = Path(__file__).resolve().parents[2]
TINY = ["--image-size", "32", "--epochs", "1", "--batch-size", "8", "--device", "cpu"]
TINY += ["--arch", "resnext38_32x4d"]
AFTER_SCAN = {"split", "pack", "train", "predict", "evaluate", "explain", "plot", "report"}
AFTER_SCAN |= {"cues", "shortcuts", "subgroups", "cover", "covered", "reference"}
BEFORE_TRAINING = {"split", "pack", "cues", "shortcuts"}
FIGURES = ["curves", "confusion", "per_class", "roc", "precision_recall", "reliability"]
FIGURES += ["confidences", "curves_narrow", "per_class_narrow", "reliability_narrow"]
FIGURES += ["net_benefit", "risk_coverage"]
FIGURES += ["confidences_narrow", "net_benefit_narrow", "precision_recall_narrow"]
FIGURES += ["risk_coverage_narrow", "roc_narrow"]
FILES = {
    *("manifest.csv", "quarantine.csv", "contents.txt", "hashes.npy", "levels.json"),
    "decided.csv",
    *("split.csv", "leakage.json", "near.csv", "division.txt", "pairs.json", "joined_groups.json"),
    "originals.txt",
    *("pixels.npy", "pixels.txt", "model.safetensors", "history.csv", "timing.csv", "summary.txt"),
    "prediction_timing.csv",
    *("predictions.csv", "calibration.json", "per_class.csv", "confusion.csv", "metrics.json"),
    *("roc.csv", "precision_recall.csv", "reliability.csv", "confidences.csv", "explained.json"),
    *("class_reliability.csv", "calibration_curve.csv", "net_benefit.csv"),
    *(f"{stem}.{kind}" for stem in FIGURES for kind in ("png", "svg")),
    *("cues.csv", "shortcuts.csv", "shortcuts.txt", "covered.csv", "covered_predictions.csv"),
    *("subgroups.csv", "subgroup_gaps.csv", "subgroups.json"),
    *("report.html", "MODEL_CARD.md"),
    *("risk_coverage.csv", "reference.safetensors"),
}


class Project:
    """A copy of the code with pictures and a store of its own."""

    def __init__(self, root: Path, server: str) -> None:
        self.root, self.code = root, root / "code"
        self.data, self.store = root / "pictures", root / "store"
        for package in ("flows", "tasks", "resnext", "reports"):
            shutil.copytree(REPOSITORY / package, self.code / package)
        draw_pictures(self.data)
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(self.code),
            "PREFECT_API_URL": server,
            "PREFECT_HOME": str(root / "prefect"),
        }

    def start(self, *words: str, program: str = "full_pipeline.py") -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-W", "error", str(self.code / "flows" / program), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.root,
            env=self.environment,
        )

    def start_pipeline(self, *words: str) -> "subprocess.Popen[str]":
        return self.start("--data", str(self.data), "--store", str(self.store), *TINY, *words)

    def run(self, *words: str) -> str:
        """Run the pipeline to a good end and give what it said."""
        return finish(self.start_pipeline(*words))

    def digests(self) -> dict[str, str]:
        latest = self.store / "latest"
        return {name: (latest / name).resolve().parent.name for name in FILES}


def finish(process: "subprocess.Popen[str]") -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    return out + err


def computed(said: str) -> set[str]:
    """Give the stages that said that they computed something."""
    return set(re.findall(r"^(\S+) +done in", said, re.MULTILINE))


def draw_pictures(root: Path) -> None:
    random = np.random.default_rng(0)
    for name, prefix in (("Blue", "B"), ("Red", "R")):
        (root / name).mkdir(parents=True)
        for patient in range(10):
            for copy in range(2):
                draw_one(root / name / f"{prefix}{patient:02}_01_{copy:02}.png", random)


def draw_one(path: Path, random: np.random.Generator) -> None:
    pixels = random.integers(0, 200, (16, 16, 3), dtype=np.uint8)
    pixels[..., 2 if path.parent.name == "Blue" else 0] += 55
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> tuple[Project, str]:
    """A project after its first run, and what that run said."""
    project = Project(tmp_path_factory.mktemp("project"), prefect_server)
    before = snapshot(project.data)
    said = project.run()
    assert snapshot(project.data) == before, "the user's pictures are never changed"
    return project, said


@pytest.fixture
def project(first: tuple[Project, str]) -> Project:
    return first[0]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*.png"))}


def test_the_first_run_computes_everything_and_says_where_the_report_is(
    first: tuple[Project, str],
) -> None:
    project, said = first
    assert computed(said) == {"scan"} | AFTER_SCAN
    assert "40 images in 2 classes: Blue 20, Red 20" in said
    assert "CPU" in said
    assert re.search(r"^Blue +\d", said, re.MULTILINE), "the per-class table"
    assert re.search(
        r"; balanced accuracy \d+\.\d %( \(95 % interval \d+ to \d+ %\))?$", said, re.MULTILINE
    )
    assert f"Report: {project.store / 'latest' / 'report.html'}" in said


def test_the_run_folder_holds_every_file_under_its_fixed_name(project: Project) -> None:
    latest = project.store / "latest"
    assert {path.name for path in latest.iterdir()} == FILES | {"run.json", "artifacts.txt"}
    assert (latest / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_tables_have_the_columns_that_scripts_rely_on(project: Project) -> None:
    columns = {
        "manifest.csv": "path label sha256 phash bytes width height mode format orientation",
        "quarantine.csv": "path reason",
        "decided.csv": "path sha256 kind decision",
        "split.csv": "path label group copy split reason",
        "history.csv": "epoch lr train_loss train_accuracy val_loss val_accuracy",
        "timing.csv": "epoch seconds images_per_second finished_at",
        "prediction_timing.csv": "images seconds images_per_second",
        "predictions.csv": "path label group split predicted confidence p_Blue p_Red status error",
        "per_class.csv": "class support precision precision_low precision_high recall recall_low "
        "recall_high specificity specificity_low specificity_high f1 f1_low f1_high auroc "
        "auroc_low auroc_high average_precision average_precision_low average_precision_high "
        "calibration_slope calibration_slope_low calibration_slope_high calibration_intercept "
        "calibration_intercept_low calibration_intercept_high",
        "roc.csv": "class false_positive_rate true_positive_rate low high",
        "precision_recall.csv": "class recall precision low high",
        "reliability.csv": "when bin_low bin_high n confidence accuracy low high",
        "confidences.csv": "bin_low bin_high right wrong",
        "class_reliability.csv": "class when bin_low bin_high n confidence accuracy low high",
        "calibration_curve.csv": "when class probability observed low high",
        "net_benefit.csv": "class threshold net_benefit low high treat_all",
        "confusion.csv": "true Blue Red",
        "subgroups.csv": "attribute subgroup figure class value low high images groups note",
        "subgroup_gaps.csv": "attribute figure class gap low high highest lowest note",
        "shortcuts.csv": "cue auroc auroc_low auroc_high images groups note",
        "covered.csv": "covered figure value low high images groups",
    }
    latest = project.store / "latest"
    found = {name: " ".join(pd.read_csv(latest / name).columns) for name in columns}
    assert found == columns


def test_another_rate_trains_anew_on_the_same_split(project: Project) -> None:
    assert computed(project.run("--lr", "0.01")) == AFTER_SCAN - BEFORE_TRAINING | {"scan"}


@pytest.mark.parametrize(
    ("file", "line", "stages"),
    [
        ("resnext/training/engine.py", "# a comment", set()),
        ("reports/pages/page.css", "/* a change */", {"report"}),
        (
            "reports/evaluation/metrics.py",
            "CHANGED = True",
            {"evaluate", "report", "shortcuts", "subgroups", "covered"},
        ),
    ],
)
def test_a_line_of_code_computes_anew_the_stages_that_run_it(
    project: Project, file: str, line: str, stages: set[str]
) -> None:
    with (project.code / file).open("a") as code:
        code.write(f"\n{line}\n")
    assert computed(project.run()) == {"scan"} | stages


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("flip a byte", "altered after it was written (model.safetensors)"),
        ("delete", "lacks model.safetensors"),
    ],
)
def test_a_damaged_model_is_found_and_computed_again_to_the_same_bytes(
    project: Project, damage: str, words: str
) -> None:
    model = (project.store / "latest" / "model.safetensors").resolve()
    good = model.read_bytes()
    if damage == "delete":
        model.unlink()
    else:
        model.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    said = project.run()
    assert words in said
    assert computed(said) == {"scan", "train"}, "the same bytes again: what follows is a hit"
    assert model.read_bytes() == good


def test_an_added_picture_recomputes_everything_after_the_scan(project: Project) -> None:
    added = project.data / "Blue" / "B99_01_00.png"
    draw_one(added, np.random.default_rng(99))
    try:
        assert computed(project.run()) == {"scan"} | AFTER_SCAN
    finally:
        added.unlink()


def test_two_runs_at_once_train_once_and_end_alike(project: Project) -> None:
    both = [project.start_pipeline("--seed", "5") for _ in range(2)]
    said = [finish(process) for process in both]
    assert sorted("train" in computed(text) for text in said) == [False, True]
    runs = sorted((project.store / "runs").iterdir())[-4:]
    ends = [run for run in runs if run.is_dir()][-2:]
    one, other = ({name: (run / name).resolve() for name in FILES} for run in ends)
    assert one == other


LONGER = ["3" if word == "1" else word for word in TINY]  # epochs


@pytest.fixture(scope="module")
def uninterrupted(first: tuple[Project, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a training of several epochs that nothing stopped."""
    project, store = first[0], tmp_path_factory.mktemp("whole")
    finish(project.start("--data", str(project.data), *LONGER, "--store", str(store)))
    return store


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_training_that_was_stopped_goes_on_to_the_same_bytes(
    project: Project, uninterrupted: Path, tmp_path: Path, stop: signal.Signals
) -> None:
    words, stopped = ["--data", str(project.data), *LONGER], tmp_path / "stopped"
    process = project.start(*words, "--store", str(stopped))
    end = time.monotonic() + 120
    while not list(stopped.glob("train/*.scratch/step-*.pt")):
        assert time.monotonic() < end, "no checkpoint appeared"
        time.sleep(0.02)
    process.send_signal(stop)
    _, err = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "Traceback" not in err
    assert ("goes on from there" in err) == (stop == signal.SIGINT)
    said = finish(project.start(*words, "--store", str(stopped)))
    assert "going on after step" in said
    for name in ("model.safetensors", "history.csv", "predictions.csv"):
        one, other = ((store / "latest" / name).read_bytes() for store in (uninterrupted, stopped))
        assert one == other, name
    assert not list(stopped.glob("train/*.scratch"))


def run_without(project: Project, libraries: set[str], *words: str) -> str:
    """Run the pipeline in a process that must not import these libraries; give what it said."""
    probe = (
        "import sys; sys.argv = sys.argv[1:]; import runpy\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        f"heavy = {sorted(libraries)!r}\n"
        "assert not set(heavy) & set(sys.modules), set(heavy) & set(sys.modules)"
    )
    program = str(project.code / "flows" / "full_pipeline.py")
    given = [program, "--data", str(project.data), "--store", str(project.store), *TINY, *words]
    done = subprocess.run(
        [sys.executable, "-c", probe, *given],
        cwd=project.root,  # which is where Python looks first for what is imported
        env=project.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_cached_run_imports_no_heavy_library(project: Project) -> None:
    project.run()
    said = run_without(project, {"torch", "torchvision", "sklearn", "scipy", "matplotlib"})
    assert computed(said) == {"scan"}


def test_only_report_is_built_again_from_earlier_tables_without_torch(project: Project) -> None:
    project.run()
    before = project.digests(), (project.store / "latest" / "report.html").read_bytes()
    for stage in ("evaluate", "plot", "report"):
        shutil.rmtree(project.store / stage)
    said = run_without(project, {"torch", "torchvision"}, "--only", "report")
    assert computed(said) == {"scan", "evaluate", "plot", "report"}
    digests, page = before
    assert project.digests() == digests
    assert (project.store / "latest" / "report.html").read_bytes() == page


def without_what_is_drawn(project: Project) -> None:
    for stage in ("explain", "plot"):
        shutil.rmtree(project.store / stage)


def test_only_explain_draws_no_figures_and_loads_nothing_to_draw_with(project: Project) -> None:
    project.run()
    without_what_is_drawn(project)
    said = run_without(project, {"matplotlib", "scipy"}, "--only", "explain")
    assert computed(said) == {"scan", "explain"}
    run = runs(project.store)[-1]
    assert (run / "explained.json").exists()
    assert not (run / "curves.png").exists()


def test_explain_and_plot_run_side_by_side_each_with_lines_of_its_own(project: Project) -> None:
    """Nothing heavy is loaded before them, so that both import at the same time."""
    project.run()
    before = project.digests()
    without_what_is_drawn(project)
    said = project.run("--only", "plot")
    assert computed(said) == {"scan", "explain", "plot"}
    begun = [said.index(each) for each in ("explain   drawing heat maps", "plot      drawing the")]
    done = [said.index(f"{stage:<9} done in") for stage in ("explain", "plot")]
    assert max(begun) < min(done)
    run = runs(project.store)[-1]
    assert (run / "explained.json").exists()
    assert (run / "curves.png").exists()
    assert computed(project.run()) == {"scan"}
    assert project.digests() == before


@pytest.mark.parametrize(
    ("fault", "ending", "said"),
    [
        (
            "from resnext.contracts.errors import InputError; raise InputError('data', 'be', 1)",
            "failed: data must be, got 1.",
            "error: --data must be, got 1.",
        ),
        ("import time; time.sleep(100)", "interrupted", "Stopped. Every finished stage is kept"),
    ],
    ids=["wrong input", "Ctrl-C"],
)
def test_where_plot_fails_or_is_stopped_the_run_ends_after_explain_and_keeps_it(
    project: Project, fault: str, ending: str, said: str
) -> None:
    project.run()
    without_what_is_drawn(project)
    gallery = project.code / "reports" / "gallery.py"
    before = gallery.read_text(encoding="utf-8")
    gallery.write_text(f"{before}\n\ndef plot_all(*_, **_options):\n    {fault}\n")
    try:
        process = project.start_pipeline()
        assert process.stderr is not None
        heard = next(line for line in process.stderr if "drawing the figures" in line)
        if ending == "interrupted":
            process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    finally:
        gallery.write_text(before, encoding="utf-8")
    assert process.returncode == (1 if ending == "interrupted" else 2)
    assert "Traceback" not in heard + err
    assert said in err
    record = run_record(runs(project.store)[-1])
    assert record["status"] == ending
    made = {name.partition("/")[0] for name in record["artifacts"]}
    assert "explain" in made
    assert "plot" not in made
    assert computed(project.run()) == {"scan", "plot"}


def test_an_unknown_positive_class_is_said_right_after_the_scan(project: Project) -> None:
    process = project.start_pipeline("--positive", "Green", "--seed", "77")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert computed(out + err) == {"scan"}
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: --positive must be one of the classes (Blue, Red), got 'Green'.")


def test_another_positive_class_evaluates_anew_and_trains_nothing(project: Project) -> None:
    stages = computed(project.run("--positive", "Blue", "--sensitivity", "0.9"))
    assert "evaluate" in stages
    assert not stages & {"split", "pack", "train", "predict"}
    metrics = json.loads((project.store / "latest" / "metrics.json").read_text())
    assert metrics["operating_point"]["positive"] == "Blue"
    project.run()


def test_a_frozen_probe_is_tested_on_the_same_split_where_it_is_asked_for(
    project: Project,
) -> None:
    said = project.run("--with-probe")
    assert "train" not in computed(said), "the network is that of before"
    latest = project.store / "latest"
    (line,) = re.findall(r"^A frozen probe \(tf_efficientnet_lite2\) .*$", said, re.MULTILINE)
    metrics = json.loads((latest / "probe" / "metrics.json").read_text())
    assert f": {100 * metrics['accuracy']:.1f} % of {metrics['n']} test images right" in line
    assert "A frozen probe (tf_efficientnet_lite2) on" in (latest / "report.html").read_text()
    own, probe = (read_table(folder / "predictions.csv") for folder in (latest, latest / "probe"))
    tested = [set(each.loc[each["split"] == "test", "path"]) for each in (own, probe)]
    assert tested[0] == tested[1]


def test_only_stops_after_a_stage_and_latest_stays_at_the_newest_whole_run(
    project: Project,
) -> None:
    whole = (project.store / "latest").resolve()
    said = project.run("--only", "split", "--split-seed", "9")
    assert computed(said) == {"scan", "split", "audit"}
    run = runs(project.store)[-1]
    assert (run / "split.csv").exists()
    assert f"Audit: {run / 'audit.html'}" in said
    assert "Blue" in (run / "audit.html").read_text(encoding="utf-8")
    assert not (run / "model.safetensors").exists()
    assert (project.store / "latest").resolve() == whole != run
    report = project.run("--only", "report")
    assert f"Report: {runs(project.store)[-1] / 'report.html'}" in report
    assert (project.store / "latest").resolve() == whole


def test_a_run_writes_down_every_flag_and_its_command_can_be_pasted(
    project: Project, tmp_path: Path
) -> None:
    """Every flag, and quoted: a folder with a blank and a quote in its name."""
    data = tmp_path / "it's mine"
    shutil.copytree(project.data, data)
    words = ["--data", str(data), "--store", str(tmp_path / "a store"), *TINY, "--only", "split"]
    config = tmp_path / "mine.toml"
    config.write_text("split-seed = 3\n")
    given = ["--config", str(config), "--workers", "0", "--verify"]
    said = finish(project.start(*words, *given))
    (run,) = runs(tmp_path / "a store")
    asked = run_record(run)["asked"]["command"]
    for flag in ("--only split", "--workers 0", "--verify", "--device cpu", "--split-seed 3"):
        assert flag in asked
    done = subprocess.run(
        asked,
        shell=True,
        cwd=project.root,
        env=project.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert computed(said) == {"scan", "split", "audit"}
    assert computed(done.stderr) == {"scan"}, "the same again: all is cached"
    _, again = runs(tmp_path / "a store")
    assert run_record(again)["asked"]["command"] == asked
    listed = ["list", "--store", str(tmp_path / "a store")]
    assert finish(project.start(*listed, program="store.py")).count(asked) == 2


def split_of(project: Project) -> dict[str, str]:
    """Give the split of the newest run, also of one that `--only` stopped."""
    table = pd.read_csv(runs(project.store)[-1] / "split.csv")
    return dict(zip(table["path"], table["split"], strict=True))


def test_an_earlier_split_is_kept_when_pictures_are_added(project: Project, tmp_path: Path) -> None:
    project.run("--only", "split")
    before = split_of(project)
    earlier = shutil.copy(runs(project.store)[-1] / "split.csv", tmp_path / "earlier.csv")
    added = [project.data / "Blue" / f"B{n}_01_00.png" for n in (97, 98, 99)]
    for number, path in enumerate(added):
        draw_one(path, np.random.default_rng(1000 + number))
    try:
        project.run("--only", "split", "--keep-split", str(earlier), "--split-seed", "3")
        after = split_of(project)
    finally:
        for path in added:
            path.unlink()
    assert {path: after[path] for path in before} == before
    assert len(after) == len(before) + 3


def test_a_folder_that_comes_divided_is_audited_and_validation_is_taken_out_of_train(
    project: Project, tmp_path: Path
) -> None:
    random = np.random.default_rng(7)
    for part in ("train", "test"):
        for label in ("Blue", "Red"):
            (tmp_path / "data" / part / label).mkdir(parents=True)
            for number in range(3):
                draw_one(tmp_path / "data" / part / label / f"{part}-{number}.png", random)
    train, test = (tmp_path / "data" / part / "Red" for part in ("train", "test"))
    shutil.copy(train / "train-0.png", test / "leaked.png")
    words = ["--data", str(tmp_path / "data"), "--store", str(project.store), *TINY]
    said = finish(project.start(*words, "--only", "split"))
    assert "12 images" not in said
    assert "13 images in 2 classes: Blue 6, Red 7" in said
    assert "Validation: 2 images of 2 groups were taken out of train for it" in said
    assert "WARNING: the score will be too good. Of 7 test images, 1 (14.3 %) have an iden" in said
    found = split_of(project)
    parts = pd.Series(found).value_counts().to_dict()
    assert parts == {"test": 7, "train": 4, "val": 2}
    assert {path for path, part in found.items() if part == "test"} == {
        path for path in found if path.startswith("test/")
    }
    assert found["train/Red/train-0.png"] == "train"  # it reaches into test
    page = (runs(project.store)[-1] / "audit.html").read_text(encoding="utf-8")
    assert "the split that came with the data" in page
    assert "2 images of 2 groups, taken out of train" in page
    said = finish(project.start(*words, "--only", "train", "--no-val"))
    assert set(split_of(project).values()) == {"train", "test"}
    assert "; test loss " in said
    assert "Train_acc" not in said
    said = finish(project.start(*words, "--only", "train", "--preset", "seed", "--split", "given"))
    assert "Epoch: 1, Train_acc:" in said
    project.run()


def test_new_pictures_are_predicted_with_the_new_model(project: Project) -> None:
    said = project.run("--predict", str(project.data / "Red"))
    table = pd.read_csv(project.store / "latest" / "batch_predictions.csv")
    assert len(table) == 20
    assert " ".join(table.columns) == (
        "path predicted confidence p_Blue p_Red calibrated_Blue calibrated_Red status error "
        "sha256 note referral set unlike_training"
    )
    assert len(pd.read_csv(project.store / "latest" / "manifest.csv")) == 40
    assert "were in the model's data already; drift is not measured." in said
    assert json.loads((project.store / "latest" / "drift.json").read_text())


def test_one_picture_is_predicted_with_the_newest_model(project: Project) -> None:
    picture = project.data / "Blue" / "B00_01_00.png"
    said = finish(project.start("--store", str(project.store), str(picture), program="predict.py"))
    assert re.search(r"^B00_01_00.png: (Blue|Red) \d+\.\d %$", said, re.MULTILINE)
    assert "no calibration.json" not in said
    assert "were in the model's data already; drift is not measured." in said


def test_new_pictures_are_held_against_those_that_the_model_was_made_with(
    project: Project, tmp_path: Path
) -> None:
    random = np.random.default_rng(7)
    (tmp_path / "Blue").mkdir()
    for number in range(12):
        draw_one(tmp_path / "Blue" / f"{number}.png", random)
    words = ["--store", str(project.store), str(tmp_path)]
    said = finish(project.start(*words, program="predict.py"))
    assert re.search(r"Drift: of the 12 new images \d+ % are predicted (Blue|Red) \(", said)
    run = Path(re.findall(r"^Predictions \(12\): (.*)$", said, re.MULTILINE)[0]).parent
    assert pd.read_csv(run / "drift.csv")["new_n"].sum() == 12


def test_a_picture_that_cannot_be_read_is_told_apart_from_the_rest(
    project: Project, tmp_path: Path
) -> None:
    shutil.copy(project.data / "Blue" / "B00_01_00.png", tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    model = (project.store / "latest" / "model.safetensors").resolve()
    words = ["--store", str(project.store), "--model", str(model), str(tmp_path)]
    said = finish(project.start(*words, program="predict.py"))
    assert "bad.png: no prediction" in said
    assert "calibrated_ columns repeat p_ (temperature 1): no calibration.json" in said
    table = pd.read_csv(re.findall(r"^Predictions \(2\): (.*)$", said, re.MULTILINE)[0])
    assert dict(zip(table["path"], table["status"], strict=True)) == {
        "bad.png": "error",
        "good.png": "ok",
    }


def test_altered_weights_are_not_used_to_predict(project: Project) -> None:
    model = (project.store / "latest" / "model.safetensors").resolve()
    good = model.read_bytes()
    model.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    picture = str(project.data / "Blue" / "B00_01_00.png")
    process = project.start("--store", str(project.store), picture, program="predict.py")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "error: --model must be as it was written" in err
    project.run()


def test_the_store_is_listed_and_pruned(project: Project) -> None:
    words = ["list", "--artifacts", "--store", str(project.store)]
    listed = finish(project.start(*words, program="store.py"))
    assert re.search(r"^train +\w{20} +finished", listed, re.MULTILINE)
    words = ["prune", "--keep-runs", "1", "--store", str(project.store)]
    finish(project.start(*words, program="store.py"))
    assert computed(project.run()) == {"scan"}, "what the kept run uses is still there"


@pytest.mark.parametrize(
    ("pictures", "expected"),
    [
        ({}, "at least 2 class folders, got none"),
        ({"Only": 4}, "at least 2 class folders, got 1"),
        ({"Many": 6, "Few": 1}, "got 1 in 'Few'"),
        ({"A": -1, "B": -1}, "--data must hold a readable"),
    ],
)
def test_pictures_that_cannot_be_split_get_one_line_and_exit_code_2(
    pictures: dict[str, int], expected: str, project: Project, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    random = np.random.default_rng(1)
    for name, count in pictures.items():
        (data / name).mkdir()
        for number in range(count):
            draw_one(data / name / f"{number}.png", random)
        if count < 0:
            (data / name / "x.jpg").write_bytes(b"no picture")
    process = project.start("--data", str(data), "--store", str(tmp_path / "store"), *TINY)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "Traceback" not in err
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert expected in line
