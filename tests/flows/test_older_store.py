"""A store that an older program wrote: nothing in it is lost.

`stores/2026-11-26.tar.xz` was written by the program of that day, before its modules moved into
their rooms: 64 images of noise in two classes, a whole run, two retrainings, and two registered
versions, the second made champion by hand. The weights began as zeros and stayed so, which is why
68 MB pack into nothing. The figures were left out.
"""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pandas as pd
import pytest

from resnext import load_model
from resnext.contracts.tables import read_table

FLOWS = Path(__file__).parents[2] / "flows"
ARCHIVE = Path(__file__).parent / "stores" / "2026-11-26.tar.xz"
WHOLE = "20261126T112812Z-b40e00d2"
RETRAINED = "20261126T112925Z-a1b48fe4"
RECIPE = ["--arch", "resnext38_32x4d", "--image-size", "32", "--epochs", "1", "--device", "cpu"]


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("older")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


def run(older: Path, program: str, *words: str) -> str:
    """Run a program on the store and give what it said."""
    done = subprocess.run(
        [sys.executable, str(FLOWS / program), *words, "--store", str(older / "store")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def champion(older: Path) -> str:
    (line,) = [x for x in run(older, "models.py", "list").splitlines() if x.startswith("*")]
    return line.split()[1]


def test_runs_and_versions_are_listed(older: Path) -> None:
    listed = run(older, "store.py", "list")
    assert all(name in listed for name in (WHOLE, RETRAINED))
    assert champion(older) == "2"
    assert "exactly as good as version 1" in run(older, "models.py", "list")


def test_the_model_file_answers_as_it_did(older: Path) -> None:
    version = older / "store" / "registry" / "0002"
    before = read_table(version / "predictions.csv")
    answers = load_model(version / "model.safetensors").predict(
        [older / "images" / path for path in before["path"]]
    )
    assert [answer.name for answer in answers] == list(before["predicted"])
    found = [answer.probabilities["Blue"] for answer in answers]
    assert found == pytest.approx(list(before["p_Blue"]), abs=1e-6)


@pytest.mark.usefixtures("prefect_server")
def test_the_champion_predicts(older: Path) -> None:
    said = run(older, "predict.py", str(older / "images"))
    assert "version 2, champion since 2026-11-26" in said
    (table,) = older.glob("store/runs/*/batch_predictions.csv")
    rows = pd.read_csv(table)
    assert len(rows) == 64
    assert set(rows["status"]) == {"ok"}


@pytest.mark.usefixtures("prefect_server")
def test_a_split_is_kept(older: Path) -> None:
    kept = older / "store" / "runs" / RETRAINED / "split.csv"
    words = ["--data", str(older / "images"), "--keep-split", str(kept), "--only", "split"]
    run(older, "full_pipeline.py", *words)
    newest = max((older / "store" / "runs").glob("*/split.csv"))
    columns = ["path", "label", "group", "split"]
    assert read_table(newest)[columns].equals(read_table(kept)[columns])


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_the_champion_is_rolled_back_and_new_images_are_trained_on(older: Path) -> None:
    run(older, "models.py", "rollback")
    assert champion(older) == "1"
    for copy in ("00", "01"):
        first = older / "images" / "Red" / f"R00_01_{copy}.png"
        shutil.copy(first, first.with_name(f"R99_01_{copy}.png"))
    said = run(older, "retrain.py", "--data", str(older / "images"), *RECIPE, "--no-export")
    assert "Version 1 stays champion: version 3 is" in said
    for number in ("0001", "0002"):
        assert (older / "store" / "registry" / number / "model.safetensors").is_file()
