"""`python -m resnext` answers by a model file alone, and imports nothing heavy for an export."""

import subprocess
import sys
from pathlib import Path

import pytest

from resnext.inference.export import export_model
from tests.conftest import REPOSITORY
from tests.resnext.data.samples import picture, save
from tests.resnext.inference.test_export import model_of

HEAVY = ("torch", "torchvision", "pandas", "prefect", "matplotlib", "timm")
BESIDE_TORCH = ("torchvision", "pandas", "timm", "torch._dynamo")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("alone")
    (root / "own").mkdir()
    export_model(model_of(root, "resnet10t"), {}, root / "model.onnx", {})
    own = model_of(root / "own", "resnext38_32x4d")
    own.rename(root / "own.safetensors")
    save(root / "a.png", picture(60, 40, seed=1))
    return root


def run(*words: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-W", "error", "-m", "resnext", *words]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


def test_it_prints_a_line_an_image_whatever_the_model_file(folder: Path) -> None:
    image = str(folder / "a.png")
    exported = run(image, image, "--model", str(folder / "model.onnx")).stdout.splitlines()
    assert len(exported) == 2
    assert exported[0].startswith(f"{image}: ")
    assert exported[0].endswith(" %")
    assert run(image, "--model", str(folder / "model.safetensors")).stdout == exported[0] + "\n"


@pytest.mark.parametrize(
    ("name", "heavy"),
    [
        ("model.onnx", HEAVY),
        ("own.safetensors", ("torchvision", "pandas", "timm", "torch._dynamo")),
    ],
)
def test_an_answer_needs_none_of_the_heavy_libraries(
    folder: Path, name: str, heavy: tuple[str, ...]
) -> None:
    """Without torch.compile and timm, a network of this project's own is there a second earlier."""
    code = (
        "import sys; from resnext.inference.model import load_model; "
        f"load_model({str(folder / name)!r}, 'cpu').predict({str(folder / 'a.png')!r}); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["none.png"], "error: images must be files that can be decoded, got 'none.png'"),
        (["a.png", "--model", "none.onnx"], "error: model must be an .onnx file that"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(
    folder: Path, words: list[str], expected: str
) -> None:
    given = words if "--model" in words else [*words, "--model", str(folder / "model.onnx")]
    error = run(*given, code=2).stderr
    assert error.startswith(expected)
    assert error.count("\n") == 1
