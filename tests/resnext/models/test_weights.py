import argparse
import hashlib
import http.client
import io
import os
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn
from urllib.error import URLError

import pytest
import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from resnext.contracts.errors import InputError
from resnext.models import download
from resnext.models.architectures import ARCHITECTURES, MEAN, STD, build
from resnext.models.model_file import ModelCard, save_model
from resnext.models.weights import load_pretrained

ARCH = "resnext50_32x4d"  # what a Small is said to be, where the name is only spoken of
State = dict[str, Tensor]
FOLDER = Path("hub") / "checkpoints"


class Small(nn.Module):
    """Stands for a network whose tensors have torchvision's names."""

    def __init__(self, classes: int = 2, width: int = 4) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = nn.Sequential(nn.Conv2d(width, width, 1, bias=False))
        self.fc = nn.Linear(width, classes)


BODY = ["conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var"]
BODY += ["layer1.0.weight"]


def drawn(classes: int = 2, width: int = 4) -> State:
    """Give the tensors of a network that has seen something."""
    state = Small(classes, width).state_dict()
    return {name: tensor + 1 for name, tensor in state.items()}


def write(content: Any, file: Path, zipped: bool = True) -> None:
    if file.suffix.lower() == ".safetensors":
        save_file(content, file)
    else:
        torch.save(content, file, _use_new_zipfile_serialization=zipped)


def saved(folder: Path, content: object) -> Path:
    write(content, folder / "w.pth")
    return folder / "w.pth"


def start(file: Path, model: nn.Module | None = None) -> tuple[State, str]:
    """Load a file into a fresh network."""
    model = model or Small()
    said = load_pretrained(model, ARCH, "file", file)
    assert len(said.splitlines()) == 1
    return model.state_dict(), said


def refusal(file: Path, model: nn.Module | None = None, arch: str = ARCH) -> str:
    """Give the one line that a file is refused with."""
    with pytest.raises(InputError) as caught:
        load_pretrained(model or Small(), arch, "file", file)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def same(state: State, expected: State, names: list[str]) -> bool:
    return all(torch.equal(state[name], expected[name]) for name in names)


# ---------------------------------------------------------------- what is loaded


def test_without_weights_the_network_stays_as_it_was_drawn() -> None:
    model = Small()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert load_pretrained(model, ARCH, "none", None) == "weights start from random values"
    assert same(model.state_dict(), before, list(before))


@pytest.mark.parametrize("zipped", [True, False])  # False: as torch wrote before 1.6
@pytest.mark.parametrize("ending", ["pth", "pt", "PTH", "pth.tar", "safetensors", "SafeTensors"])
def test_a_file_of_either_kind_is_loaded_to_the_last_tensor(
    tmp_path: Path, ending: str, zipped: bool
) -> None:
    expected, file = drawn(), tmp_path / f"w.{ending}"
    write(expected, file, zipped)
    state, said = start(file)
    assert same(state, expected, list(expected))
    assert said == (
        f"weights start from w.{ending}: 9 tensors loaded, 0 initialised anew, 0 left over"
    )


def test_torchvisions_own_network_is_loaded_to_the_last_tensor(tmp_path: Path) -> None:
    theirs = torchvision.models.resnext50_32x4d(num_classes=2)
    model = build(ARCH, 2)
    state, said = start(saved(tmp_path, theirs.state_dict()), model)
    assert same(state, theirs.state_dict(), list(state))
    assert "320 tensors loaded, 0 initialised anew, 0 left over" in said


@pytest.mark.parametrize("wide", ["weight and bias", "weight alone", "bias alone", "none"])
def test_a_head_that_does_not_fit_stays_as_it_was_drawn_as_a_whole(
    tmp_path: Path, wide: str
) -> None:
    expected, five = drawn(), drawn(classes=5)
    expected |= {name: five[name] for name in ("fc.weight", "fc.bias") if name[3:] in wide}
    if wide == "none":
        expected = {name: tensor for name, tensor in expected.items() if name[:3] != "fc."}
    model = Small()
    head = {name: model.state_dict()[name].clone() for name in ("fc.weight", "fc.bias")}
    state, said = start(saved(tmp_path, expected), model)
    assert same(state, expected, BODY)
    assert same(state, head, list(head))
    left = "0 left over" if wide == "none" else "2 left over (fc.weight, fc.bias)"
    assert said.endswith(f"7 tensors loaded, 2 initialised anew (fc.weight, fc.bias), {left}")


@pytest.mark.parametrize(
    "counter", [None, torch.tensor([3]), torch.tensor(3.0, dtype=torch.float16)]
)
def test_a_missing_or_odd_counter_of_batches_is_no_fault(
    tmp_path: Path, counter: Tensor | None
) -> None:
    expected = drawn()
    expected.pop("bn1.num_batches_tracked")
    if counter is not None:
        expected["bn1.num_batches_tracked"] = counter
    state, said = start(saved(tmp_path, expected))
    assert same(state, expected, BODY)
    assert state["bn1.num_batches_tracked"] == 0
    assert "8 tensors loaded, 0 initialised anew" in said


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_numbers_of_any_width_become_float32(
    tmp_path: Path, dtype: torch.dtype, ending: str
) -> None:
    narrow = {name: t.to(dtype) for name, t in drawn().items() if t.is_floating_point()}
    write(narrow, tmp_path / f"w.{ending}")
    state, _ = start(tmp_path / f"w.{ending}")
    assert same(state, {name: t.float() for name, t in narrow.items()}, list(narrow))
    assert {state[name].dtype for name in narrow} == {torch.float32}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([f"loss.w{n}" for n in range(7)], "7 left over (loss.w0, loss.w1, loss.w2, loss.w3, "
         "loss.w4 and 2 more)"),
        (["loss\n\x1b[31m" + "x" * 500], f"1 left over (loss\\n\\x1b[31m{'x' * 70})"),
        (["head.fc.weight", "n_averaged"], "2 left over (head.fc.weight, n_averaged)"),
    ],
)  # fmt: skip
def test_what_is_left_over_is_named_in_one_line(
    tmp_path: Path, names: list[str], said: str
) -> None:
    extra = {name: torch.zeros(1) for name in names}
    assert start(saved(tmp_path, drawn() | extra))[1].endswith(said)


# ---------------------------------------------------------------- wrappers


@pytest.mark.parametrize(
    "entry", ["state_dict", "model", "model_ema", "state_dict_ema", "model_state_dict"]
)
def test_weights_in_an_entry_are_found_and_the_entry_is_said(tmp_path: Path, entry: str) -> None:
    expected = drawn()
    content = {"epoch": 3, "arch": "x", "optimizer": {"state": {}}, entry: expected}
    state, said = start(saved(tmp_path, content))
    assert same(state, expected, BODY)
    assert f"from w.pth (its entry {entry}): 9 tensors loaded" in said


@pytest.mark.parametrize(
    "entries",
    [("state_dict", "state_dict_ema"), ("model", "model_ema"), ("model_ema", "model")],
)
@pytest.mark.parametrize("empty", [None, {}])
def test_averaged_weights_come_first_and_an_empty_entry_is_passed_over(
    tmp_path: Path, entries: tuple[str, str], empty: object
) -> None:
    last, expected = drawn() if entries[1].endswith("ema") else empty, drawn()
    content = {entries[0]: last, entries[1]: expected}
    state, said = start(saved(tmp_path, content))
    assert same(state, expected, BODY)
    assert f"(its entry {entries[1]})" in said


@pytest.mark.parametrize(
    "prefix",
    ["module.", "_orig_mod.", "model.", "backbone.", "module._orig_mod.", "_orig_mod.module."],
)
@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_what_wrappers_put_before_names_is_taken_off(
    tmp_path: Path, prefix: str, ending: str
) -> None:
    expected = drawn()
    content = {prefix + name: tensor for name, tensor in expected.items()}
    write(content, tmp_path / f"w.{ending}")
    state, said = start(tmp_path / f"w.{ending}")
    assert same(state, expected, list(expected))
    assert "9 tensors loaded, 0 initialised anew, 0 left over" in said


def test_two_networks_in_one_file_are_refused(tmp_path: Path) -> None:
    both = {
        f"{prefix}.{name}": t for prefix in ("model", "backbone") for name, t in drawn().items()
    }
    assert "It holds conv1.weight twice, under two prefixes." in refusal(saved(tmp_path, both))


def test_what_torchs_own_averaging_and_data_parallel_write_is_loaded(tmp_path: Path) -> None:
    model = Small()
    averaged = torch.optim.swa_utils.AveragedModel(nn.DataParallel(model))
    state, said = start(saved(tmp_path, {"model_ema": averaged.state_dict()}))
    assert same(state, model.state_dict(), list(state))
    assert said.endswith("9 tensors loaded, 0 initialised anew, 1 left over (n_averaged)")


def test_a_checkpoint_with_the_words_of_a_command_line_is_loaded(tmp_path: Path) -> None:
    expected = drawn()
    content = {"state_dict": expected, "args": argparse.Namespace(model="x", lr=0.1)}
    assert same(start(saved(tmp_path, content))[0], expected, BODY)


# ---------------------------------------------------------------- this project's own


def card(arch: str = ARCH) -> ModelCard:
    return ModelCard(classes=("NA", "猴痘"), architecture=arch, image_size=64, mean=MEAN, std=STD)


def test_a_model_of_this_project_is_loaded_and_said_in_its_own_words(tmp_path: Path) -> None:
    expected = drawn()
    save_model(tmp_path / "model.safetensors", expected, card())
    state, said = start(tmp_path / "model.safetensors")
    assert same(state, expected, list(expected))
    assert "from model.safetensors (resnext50_32x4d at 64 px for NA, 猴痘): 9 tensors" in said


def test_a_model_of_this_project_of_another_architecture_is_refused_by_its_card(
    tmp_path: Path,
) -> None:
    save_model(tmp_path / "model.safetensors", drawn(), card("resnext38_32x4d"))
    assert refusal(tmp_path / "model.safetensors") == (
        f"weights must belong to {ARCH}, got '{tmp_path / 'model.safetensors'}'. It is a "
        "resnext38_32x4d at 64 px for NA, 猴痘. Name other weights, or `arch` resnext38_32x4d."
    )


def test_a_card_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    save_file(drawn(), tmp_path / "w.safetensors", metadata={"resnext": "{}"})
    assert "It is damaged" in refusal(tmp_path / "w.safetensors")


# ---------------------------------------------------------------- other architectures


def test_another_width_is_refused_with_the_count_and_both_shapes_and_nothing_is_loaded(
    tmp_path: Path,
) -> None:
    file, model = saved(tmp_path, drawn(width=8)), Small()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert refusal(file, model) == (
        f"weights must belong to {ARCH}, got '{file}'. Tensors that don't fit: 6, the "
        "first conv1.weight, 8x3x3x3 there and 4x3x3x3 in the network. Name other weights."
    )
    assert same(model.state_dict(), before, list(before))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layer1.0.weight": None}, "the first layer1.0.weight, none there and 4x4x1x1 in the"),
        ({"layer1.1.weight": torch.zeros(2)}, "the first layer1.1.weight, 2 there and none in the"),
        ({"bn1.bias": torch.tensor(0.0)}, "the first bn1.bias, scalar there and 4 in the"),
        ({"bn1.bias": torch.zeros(4).char()}, "the first bn1.bias, 4 int8 there and 4 in the"),
        ({"bn1.bias": torch.zeros(4).to_sparse()}, "bn1.bias, 4 sparse_coo there and 4 in the"),
        ({"bn1.bias": torch.zeros(4, device="meta")}, "bn1.bias, none there and 4 in the"),
    ],
)
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")  # of saving a tensor on meta
def test_one_tensor_that_does_not_fit_is_enough_to_refuse(
    tmp_path: Path, change: dict[str, Tensor | None], words: str
) -> None:
    state = {name: t for name, t in (drawn() | change).items() if t is not None}
    said = refusal(saved(tmp_path, state))
    assert "Tensors that don't fit: 1," in said
    assert words in said


def test_a_network_that_holds_the_smaller_one_whole_is_refused_and_named(tmp_path: Path) -> None:
    save_file(build("resnext50_32x4d", 5).state_dict(), tmp_path / "w.safetensors")
    said = refusal(tmp_path / "w.safetensors", build("resnext38_32x4d", 2), "resnext38_32x4d")
    # A block has three convolutions and three batch norms of four tensors beside the counter: 15.
    # Each of the four stacks has one block more.
    assert "Tensors that don't fit: 60, the first layer1.2.bn1.bias, 128 there and none in" in said
    assert said.endswith("Name other weights, or `arch` resnext50_32x4d, which they fit.")


# ---------------------------------------------------------------- damage


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e300])
def test_weights_that_are_not_finite_in_float32_are_refused(tmp_path: Path, value: float) -> None:
    state = {name: t.double() if t.is_floating_point() else t for name, t in drawn().items()}
    state["layer1.0.weight"][0, 0] = value
    file = saved(tmp_path, state)
    assert refusal(file) == (
        f"weights must be finite numbers, got '{file}'. Tensors with NaN or infinity: 1 "
        "(layer1.0.weight). Name weights of a training that did not fail."
    )


def whole(file: Path) -> bytes:
    """Give the bytes of a file of that name that holds weights."""
    write(drawn(), file)
    return file.read_bytes()


def other(file: Path) -> Path:
    return file.with_name("x.pth" if file.suffix == ".safetensors" else "x.safetensors")


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Path.mkdir, "It is a folder. Name a file."),
        (Path.exists, "There is no such file. Check the path."),
        (os.mkfifo, "It is no regular file. Name another."),
        (lambda path: path.write_bytes(b""), "It is empty. Fetch it again"),
        (lambda path: path.write_text("hello world\n" * 9), "It is damaged, cut short or another"),
        (lambda path: path.write_bytes(bytes(range(256))), "It is damaged, cut short or another"),
        (lambda path: zipfile.ZipFile(path, "w").close(), "It is damaged, cut short or another"),
        (lambda path: zipfile.ZipFile(path, "w").writestr("x", "hello"), "It is damaged, cut"),
        (lambda path: path.write_bytes(whole(path)[:-1]), "It is damaged, cut short or another"),
        (lambda path: path.write_bytes(whole(path)[:400]), "It is damaged, cut short or another"),
        (lambda path: path.write_bytes(whole(other(path))), "It is damaged, cut short or another"),
    ],
    ids=["folder", "nothing", "pipe", "empty", "text", "bytes", "empty zip", "zip", "cut", "half",
         "under the name of the other kind"],
)  # fmt: skip
def test_what_holds_no_weights_gets_one_line(
    tmp_path: Path, ending: str, make: Callable[[Path], object], words: str
) -> None:
    file = tmp_path / f"w.{ending}"
    make(file)
    said = refusal(file)
    assert said.startswith(
        "weights must be none, imagenet or a .safetensors or .pth file of weights, got "
        f"'{file}'. {words}"
    )


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_gets_one_line(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"w.{ending}"
    file.write_bytes(b"x")
    file.chmod(0)
    assert "It can't be opened: Permission denied." in refusal(file)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1], "It holds a list, no tensors by name."),
        (torch.zeros(2), "It holds a Tensor, no tensors by name."),
        ({}, "It holds no tensors by name. Name"),
        ({"conv1.weight": 3}, "It holds no tensors by name (conv1.weight)."),
        ({0: torch.zeros(1)}, "It holds no tensors by name (0)."),
        ({"student": {}, "teacher": {}}, "It holds no tensors by name (student, teacher)."),
        ({"state_dict": {"a": {}}}, "It holds no tensors by name (a)."),
    ],
)
def test_a_file_without_tensors_by_name_is_refused(
    tmp_path: Path, content: object, words: str
) -> None:
    assert words in refusal(saved(tmp_path, content))


# ---------------------------------------------------------------- pickles


class Attack:
    """Touches a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch '{self.file}'",)


@pytest.mark.parametrize(
    "dump",
    [
        pickle.dumps,
        lambda attack: pickle.dumps(attack, protocol=2),
        lambda attack: torch_bytes({"state_dict": drawn(), "extra": attack}),
        lambda attack: torch_bytes({"args": argparse.Namespace(x=attack)}),
        lambda attack: torch_bytes(attack, _use_new_zipfile_serialization=False),
    ],
    ids=["pickle", "old pickle", "zip", "command line", "legacy"],
)
def test_a_pickle_that_asks_for_code_runs_nothing_and_gets_one_line(
    tmp_path: Path, dump: Callable[[Attack], bytes]
) -> None:
    (tmp_path / "w.pth").write_bytes(dump(Attack(tmp_path / "ran")))
    refusal(tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()
    pickle.loads(pickle.dumps(Attack(tmp_path / "ran")))
    assert (tmp_path / "ran").exists(), "else this says nothing"


def torch_bytes(content: object, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def test_what_a_pickle_asks_for_is_named(tmp_path: Path) -> None:
    assert "It asks for torch.nn.modules" in refusal(saved(tmp_path, {"model": nn.Linear(1, 1)}))


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_a_pickle_is_only_ever_read_as_plain_tensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    asked, load = [], torch.load

    def watched(*args: Any, **options: Any) -> Any:
        asked.append(options["weights_only"])
        return load(*args, **options)

    monkeypatch.setattr(torch, "load", watched)
    write(drawn(), tmp_path / f"w.{ending}")
    start(tmp_path / f"w.{ending}")
    assert asked == ([True] if ending == "pth" else [])


def test_what_is_let_through_for_one_file_stays_out_otherwise(tmp_path: Path) -> None:
    start(saved(tmp_path, drawn()))
    assert argparse.Namespace not in torch.serialization.get_safe_globals()


# ---------------------------------------------------------------- imagenet


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder in which torch.hub keeps files, not there yet."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    return tmp_path / "home" / FOLDER


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Publish weights of a Small under their hash, on this disk, and give the file."""
    file = saved(tmp_path, drawn(classes=1000))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    file = file.rename(tmp_path / f"small-{digest[:8]}.pth")
    record = replace(ARCHITECTURES[ARCH], imagenet=file.as_uri())
    monkeypatch.setitem(ARCHITECTURES, ARCH, record)
    return file


def imagenet(arch: str = ARCH) -> str:
    """Give the one line that --weights imagenet is refused with."""
    with pytest.raises(InputError) as caught:
        load_pretrained(Small(), arch, "imagenet", None)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_imagenets_weights_are_downloaded_once(hub: Path, published: Path) -> None:
    expected, model = torch.load(published), Small()
    said = load_pretrained(model, ARCH, "imagenet", None)
    assert same(model.state_dict(), expected, BODY)
    assert said == (
        f"weights start from imagenet ({published.name}): 7 tensors loaded, 2 initialised anew "
        "(fc.weight, fc.bias), 2 left over (fc.weight, fc.bias)"
    )
    published.unlink()  # a file put there by hand needs no connection either
    assert "7 tensors loaded" in load_pretrained(Small(), ARCH, "imagenet", None)
    assert [file.name for file in hub.iterdir()] == [published.name]


def test_imagenet_for_an_architecture_without_such_weights_is_refused() -> None:
    assert imagenet("resnext38_32x4d") == (
        "weights imagenet must go with a network that has them, got resnext38_32x4d. "
        "`arch` list shows which have some. Use another `arch`, or `weights` none."
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            URLError(OSError(-2, "Name or service\nnot known")),
            "[Errno -2] Name or service not known",
        ),
        (TimeoutError(), "TimeoutError"),
        (http.client.IncompleteRead(b""), "IncompleteRead(0 bytes read)"),
        (PermissionError(13, "Permission denied"), "[Errno 13] Permission denied"),
    ],
)
def test_offline_the_file_to_fetch_and_where_to_put_it_are_said(
    hub: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def offline(*_: object, **__: object) -> NoReturn:
        raise error

    monkeypatch.setattr(torch.hub, "urlopen", offline)
    assert imagenet() == (
        "weights imagenet must find resnext50_32x4d-1a0047aa.pth or download it, got neither "
        f"({reason}). To go on without a connection, fetch "
        "https://download.pytorch.org/models/resnext50_32x4d-1a0047aa.pth by hand and save it as "
        f"{hub}/resnext50_32x4d-1a0047aa.pth."
    )
    assert not list(hub.iterdir())


def test_a_folder_set_within_torch_is_the_one_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    torch.hub.set_dir(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_text("a file where a folder should be")
    assert (
        f"save it as {tmp_path}/elsewhere/checkpoints/resnext50_32x4d-1a0047aa.pth." in imagenet()
    )


def test_a_download_that_was_damaged_is_said_and_not_kept(hub: Path, published: Path) -> None:
    published.write_bytes(published.read_bytes()[:-1])
    said = imagenet()
    assert said.startswith(f"weights imagenet must download {published.name} whole, got other")
    assert said.endswith(
        "The download was damaged on its way and not kept. Run again, or fetch "
        f"{published.as_uri()} by hand and save it as {hub / published.name}."
    )
    assert not list(hub.iterdir())


@pytest.mark.parametrize("content", [b"", b"<html>404</html>"])
def test_a_damaged_file_in_torchs_folder_is_said_with_the_way_out(
    hub: Path, published: Path, content: bytes
) -> None:
    hub.mkdir(parents=True)
    (hub / published.name).write_bytes(content)
    found = hashlib.sha256(content).hexdigest()[:8]
    assert imagenet() == (
        f"weights imagenet must find a file with the SHA-256 {published.stem[-8:]}... at "
        f"{hub / published.name}, got {found}.... It is damaged. Delete it and run again, or fetch "
        f"{published.as_uri()} by hand and save it as {hub / published.name}."
    )


# ---------------------------------------------------------------- Hugging Face and packages


def test_without_a_connection_the_file_on_hugging_face_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def offline(*_: object, **__: object) -> NoReturn:
        raise URLError(OSError(-2, "Name or service not known"))

    monkeypatch.setattr(download, "urlopen", offline)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError) as caught:
        load_pretrained(Small(), ARCH, "timm/resnext50_32x4d.a1h_in1k", None)
    assert str(caught.value) == (
        "weights timm/resnext50_32x4d.a1h_in1k must find timm/resnext50_32x4d.a1h_in1k in the "
        "cache of Hugging Face or download it, got neither ([Errno -2] Name or service not known). "
        "To go on without a connection, fetch https://huggingface.co/timm/resnext50_32x4d.a1h_in1k/"
        "resolve/main/model.safetensors by hand and name the file with `weights`. `weights` "
        "bundled needs none."
    )


def test_what_hugging_faces_cache_holds_needs_no_connection(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "model.safetensors"
    save_file(drawn(classes=1000), file)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: str(file))
    model = Small()
    said = load_pretrained(model, ARCH, "timm/resnext50_32x4d.a1h_in1k", None)
    assert "7 tensors loaded, 2 initialised anew" in said
    assert same(model.state_dict(), load_file(file), BODY)


def test_bundled_weights_give_the_logits_of_their_authors_network() -> None:
    """The values are those of the package that the weights were published for, in float32.

    model = EfficientNet.from_pretrained("efficientnet-lite2", weights_path=...).eval()
    with efficientnet_lite_pytorch 0.1.0, torch 2.14, on the image below.
    """
    network = build("tf_efficientnet_lite2", 1000).eval()
    said = load_pretrained(network, "tf_efficientnet_lite2", "bundled", None)
    assert said == (
        "weights start from bundled (efficientnet-lite2-9656183e.pth): 386 tensors loaded, "
        "0 initialised anew, 0 left over"
    )
    image = torch.arange(3 * 260 * 260, dtype=torch.float32).reshape(1, 3, 260, 260)
    with torch.inference_mode():
        logits = network(image.mul(0.001).sin())[0]
    first = [-1.0326735973, 0.8070341349, -0.1358353049, -1.7209968567]
    assert logits[:4].tolist() == pytest.approx(first, abs=1e-4)
    assert int(logits.argmax()) == 905
    assert float(logits.max()) == pytest.approx(6.8892536163, abs=1e-4)


def test_bundled_weights_that_were_altered_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "__init__.py").touch()
    (tmp_path / "damaged" / "net-00000000.pth").write_bytes(b"other")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"^weights bundled must find a file with the SHA-256 000"):
        download.from_package("damaged/net-00000000.pth")
    with pytest.raises(InputError, match="install the package no-such again"):
        download.from_package("no_such/net-00000000.pth")
