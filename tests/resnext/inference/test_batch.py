"""A row a file, in order: whatever files there are, and however often the run is killed."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from resnext.contracts.errors import InputError
from resnext.contracts.tables import read_table
from resnext.data.decoding.levels import Levels
from resnext.data.manifest.reading import Reading
from resnext.data.manifest.settings import ReadingSettings
from resnext.data.manifest.sources import list_sources
from resnext.device import plan_compute
from resnext.inference import batch, shards
from resnext.inference.batch import FileToAnswer, Job, answer_files
from resnext.inference.calibration import AnswerRule
from resnext.inference.execution import Execution, RuntimeName
from resnext.inference.export import export_model
from resnext.inference.model import read_facts
from resnext.inference.reference import build_reference, write_reference
from resnext.inference.tables import batch_table
from resnext.models.model_file import ModelCard
from tests.conftest import REPOSITORY
from tests.resnext.data.samples import picture, save
from tests.resnext.inference.test_export import RULE, model_of

NEW = ("referral", "set", "unlike_training")
CERTAIN = AnswerRule(refer_below=0.5, set_from=0.2)


def job_of(model: Path, **facts: bool) -> Job:
    runtime: RuntimeName = "onnx" if model.suffix == ".onnx" else "torch"
    execution = Execution(runtime=runtime, compute=plan_compute("cpu")).apart
    card = read_facts(model).card
    return Job(model, card, execution, ReadingSettings(), facts.get("thumbnails", False), CERTAIN)


def files_of(*sources: Path) -> list[FileToAnswer]:
    found = list_sources(sources)
    return [FileToAnswer(f"{found.root}/{row.path}", row.path, row.reason) for row in found.files]


def predicted(
    folder: Path, model: Path, workers: int = 1, temperature: float = 1.0
) -> pd.DataFrame:
    """Give the table of a folder."""
    job, files = job_of(model), files_of(folder)
    answered = list(answer_files(job, files, workers))
    return batch_table([file.path for file in files], answered, job.card, temperature, job.rule)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with its export beside it."""
    root = tmp_path_factory.mktemp("model")
    made = model_of(root, "resnext38_32x4d")
    export_model(made, RULE, root / "model.onnx", {})
    return made


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of 40 brightnesses among files that are none."""
    root = tmp_path_factory.mktemp("many")
    for number in range(40):
        save(root / f"{number:02}.png", Image.new("RGB", (40, 40), (6 * number, 0, 0)))
    (root / "00 none.png").write_text("no picture at all")
    (root / "15 empty.png").touch()
    (root / "39 cut.png").write_bytes((root / "39.png").read_bytes()[:60])
    os.mkfifo(root / "20 pipe.png")
    return root


def test_every_file_has_its_own_row_whatever_lies_between(images: Path, model: Path) -> None:
    table = predicted(images, model)
    assert (
        table["path"].tolist()
        == sorted(table["path"])
        == [file.name for file in sorted(images.iterdir())]
    )
    bad = table[table["status"] == "error"].set_index("path")["error"]
    assert bad["00 none.png"] == "not an image, but text"
    assert bad["15 empty.png"] == "empty file"
    assert bad["20 pipe.png"] == "not a regular file"
    assert bad["39 cut.png"].startswith("truncated or damaged")
    good = table[table["status"] == "ok"]
    assert len(good) == 40
    for row in (0, 17, 39):  # each answer is the one that the file gets alone
        alone = predicted(images / f"{row:02}.png", model)
        (mine,) = good[good["path"] == f"{row:02}.png"].to_dict("records")
        (own,) = alone.to_dict("records")
        assert mine["p_a"] == pytest.approx(own["p_a"], abs=1e-6)
        assert mine["sha256"] == own["sha256"]


def test_a_row_says_whether_it_is_referred_and_which_classes_are_possible() -> None:
    card = ModelCard(
        classes=("a", "b|c", "=d"), architecture="resnext38_32x4d", image_size=32,
        mean=(0, 0, 0), std=(1, 1, 1),
    )  # fmt: skip
    shares = np.array([[0.5, 0.3, 0.2], [0.4, 0.35, 0.25], [0.1, 0.2, 0.7]])
    answered = [batch.Answered(Reading(), np.log(row)) for row in shares]
    answered.append(batch.Answered(Reading(reason="empty file")))
    rule = AnswerRule(refer_below=0.5, set_from=0.25)
    table = batch_table(list("1234"), answered, card, 1.0, rule)
    assert table["referral"].tolist() == ["answer", "refer", "answer", ""]
    assert table["set"].tolist() == ["a|b|c", "a|b|c|=d", "=d", ""]
    before = batch_table(list("1234"), answered, card, 1.0)
    assert set(before["referral"]) == set(before["set"]) == {""}
    old = [name for name in table if name not in NEW]
    pd.testing.assert_frame_equal(before[old], table[old])
    assert list(table)[: len(old)] == old, "new columns are the last"


def test_the_bytes_do_not_hang_on_the_number_of_processes_and_runtimes_answer_alike(
    images: Path, model: Path
) -> None:
    alone = predicted(images, model)
    pd.testing.assert_frame_equal(predicted(images, model, workers=2), alone, check_exact=True)
    exported = predicted(images, model.with_suffix(".onnx"))
    pd.testing.assert_frame_equal(exported, alone, atol=1e-5)


def test_every_runtime_says_how_unlike_the_training_images_each_image_is(
    images: Path, model: Path, tmp_path: Path
) -> None:
    rng, files = np.random.default_rng(0), files_of(images)[:12]
    known = rng.random((30, 2048)).astype(np.float32)
    write_reference(build_reference(known, known + 0.5), "", tmp_path / "reference.safetensors")
    jobs = [job_of(file) for file in (model, model.with_suffix(".onnx"))]
    judged = [job._replace(reference=tmp_path / "reference.safetensors") for job in jobs]
    (one, other), without = (
        [[each.unlike for each in answer_files(job, files, 1)] for job in some]
        for some in (judged, jobs)
    )
    answered = [each.logs is not None for each in answer_files(jobs[1], files, 1)]
    assert [not np.isnan(share) for share in one] == answered
    np.testing.assert_array_equal(one, other)
    assert np.isnan(without).all()
    exact = [each.logs for each in answer_files(jobs[1], files, 1) if each.logs is not None]
    again = [each.logs for each in answer_files(judged[1], files, 1) if each.logs is not None]
    np.testing.assert_array_equal(exact, again)


def test_openvino_answers_as_onnx_runtime_does(images: Path, model: Path) -> None:
    pytest.importorskip("openvino", reason="openvino is an extra")
    job = job_of(model.with_suffix(".onnx"))
    by_openvino = job.execution.model_copy(update={"runtime": "openvino"})
    files = files_of(images)[:8]
    one, other = (
        [each.logs for each in answer_files(kind, files, 1) if each.logs is not None]
        for kind in (job, job._replace(execution=by_openvino))
    )
    assert len(one) == len(other) > 4
    assert np.allclose(one, other, atol=1e-4)


def test_a_runtime_that_answers_otherwise_is_refused(
    images: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(model.with_suffix(".onnx"))
    by_openvino = job.execution.model_copy(update={"runtime": "openvino"})
    answers = {"openvino": [0.5, 0.3, 0.2], "onnx": [0.5, 0.3, 0.2]}

    def opened(_: Path, execution: Execution) -> object:
        return lambda pixels: np.log([answers[execution.runtime]] * len(pixels))

    monkeypatch.setattr(batch, "open_predictor", opened)
    batch.require_agreement(job._replace(execution=by_openvino), files_of(images))
    answers["openvino"] = [0.5002, 0.2999, 0.1999]
    batch.require_agreement(job, files_of(images))
    with pytest.raises(InputError, match="runtime must answer as ONNX Runtime does here"):
        batch.require_agreement(job._replace(execution=by_openvino), files_of(images))


def test_images_on_a_gpu_are_answered_here_and_read_in_processes(
    images: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here: list[int] = []

    def opened(*_: object) -> object:
        def judge(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            here.append(len(pixels))
            return np.full((len(pixels), 3), -1.0), np.full(len(pixels), np.nan)

        return judge

    monkeypatch.setattr(batch, "open_judging", opened)
    job = job_of(model)
    on_gpu = job.execution.compute.model_copy(update={"device": "cuda"})
    job = job._replace(execution=Execution(runtime="torch", compute=on_gpu))
    answered = list(answer_files(job, files_of(images), workers=2))
    assert here == [40]
    assert [each.logs is None for each in answered].count(True) == 4


def test_what_is_out_of_the_ordinary_is_noted_for_each_image(tmp_path: Path, model: Path) -> None:
    Image.fromarray(np.full((40, 40), 2000, dtype=np.uint16)).save(tmp_path / "deep.png")
    frames = [picture(40, 40, seed=seed) for seed in (1, 2)]
    frames[0].save(tmp_path / "frames.gif", save_all=True, append_images=frames[1:])
    save(tmp_path / "plain.png", picture(40, 40, seed=3))
    job = job_of(model)
    job = job._replace(card=job.card.model_copy(update={"levels": Levels(uint16=(0, 4095))}))
    deep, several, plain = answer_files(job, files_of(tmp_path), 1)
    assert deep.note == "16 bits, scaled by 4095, as those that the model was made with"
    assert several.note == "the first of several pages or frames"
    assert plain.note == ""
    seen = batch._read_some(job, files_of(tmp_path)[:1])[0].pixels
    assert seen is not None
    assert set(np.unique(seen).tolist()) == {125}  # 2000 / 4095 * 255


# ---------------------------------------------------------------- shards


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SIZE", 8)


def joined(folder: Path, out: Path) -> bytes:
    shards.join_shards(folder, shards.PREDICTIONS, out)
    return out.read_bytes()


def in_shards(folder: Path, job: Job, files: Sequence[FileToAnswer]) -> list[int]:
    """Predict in shards, and give what the progress said."""
    folder.mkdir(exist_ok=True)
    said: list[int] = []
    shards.predict_in_shards(folder, job, files, 1.0, 1, lambda done, _: said.append(done))
    return said


@pytest.mark.usefixtures("small_shards")
def test_shards_that_are_there_are_not_done_again_and_give_the_same_bytes(
    images: Path, model: Path, tmp_path: Path
) -> None:
    job, files = job_of(model.with_suffix(".onnx"), thumbnails=True), files_of(images)
    assert in_shards(tmp_path / "whole", job, files)[-1] == len(files)
    whole = joined(tmp_path / "whole", tmp_path / "whole.csv")
    table = read_table(tmp_path / "whole.csv")
    assert table["path"].tolist() == [file.path for file in files]
    expected = predicted(images, model.with_suffix(".onnx"))
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)

    shutil.copytree(tmp_path / "whole", tmp_path / "half")
    for name in (shards.PREDICTIONS, shards.THUMBNAILS):
        for shard in sorted((tmp_path / "half").glob(f"{name}-*.csv"))[3:]:
            shard.unlink()
    assert in_shards(tmp_path / "half", job, files)[0] == 32, "the first three are there"
    assert joined(tmp_path / "half", tmp_path / "half.csv") == whole
    assert in_shards(tmp_path / "half", job, files) == [], "nothing is left to do"


KILLED = """
import sys
from pathlib import Path
from tests.resnext.inference import test_batch as test
from resnext.inference import shards
if __name__ == "__main__":
    shards.SIZE = 8
    images, model, folder = map(Path, sys.argv[1:])
    shards.predict_in_shards(
        folder, test.job_of(model), test.files_of(images), 1.0, 2, lambda *_: None
    )
"""


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_to_the_same_bytes(
    images: Path, model: Path, tmp_path: Path
) -> None:
    job, files = job_of(model.with_suffix(".onnx")), files_of(images)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SIZE", 8)
        in_shards(tmp_path / "whole", job, files)
    (tmp_path / "program.py").write_text(KILLED)
    words = [str(each) for each in (images, model.with_suffix(".onnx"), tmp_path / "killed")]
    (tmp_path / "killed").mkdir()
    rng = random.Random(0)
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, str(tmp_path / "program.py"), *words], env=environment,
            start_new_session=True,
        )  # fmt: skip
        time.sleep(rng.uniform(2, 4))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = subprocess.run([sys.executable, str(tmp_path / "program.py"), *words], env=environment)
    assert done.returncode == 0
    whole = joined(tmp_path / "whole", tmp_path / "whole.csv")
    assert joined(tmp_path / "killed", tmp_path / "killed.csv") == whole


@pytest.mark.usefixtures("small_shards")
def test_a_fault_that_may_pass_is_marked(model: Path, tmp_path: Path) -> None:
    job = job_of(model.with_suffix(".onnx"))
    save(tmp_path / "a.png", picture(40, 40, seed=1))
    in_shards(tmp_path / "one", job, files_of(tmp_path / "a.png"))
    assert not (tmp_path / "one" / shards.UNSETTLED).exists()
    gone = [FileToAnswer(str(tmp_path / "gone.png"), "gone.png", "")]
    in_shards(tmp_path / "two", job, gone)
    assert (tmp_path / "two" / shards.UNSETTLED).exists()
    assert b"can't be opened: No such file" in joined(tmp_path / "two", tmp_path / "two.csv")
