import shutil
from pathlib import Path

import pytest

from flows import models
from flows.cli import run as command
from flows.serving.address import ServerError
from resnext.contracts.errors import InputError
from tasks.registry.choose_model import choose_model
from tasks.registry.promotion import promote, register
from tasks.registry.versions import About, version_folder
from tasks.stage.runs import MODEL, open_run


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Announce nothing to a server that may run on this machine."""
    monkeypatch.setattr("flows.serving.server.current", lambda: None)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = command.run_command(models.main, name="models.py", arguments=words)
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def registered(store: Path, count: int) -> None:
    for number in range(1, count + 1):
        with open_run(store, f"run{number}----", {}) as run:
            (run / MODEL).write_text(str(number))
        about = About(
            data="猴痘",
            architecture="net",
            classes=("a", "b"),
            score=f"6{number} %",
            decision="kept",
            basis="",
        )
        register(store, run, about)


def test_the_list_is_a_table_with_the_champion_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registered(tmp_path, 2)
    promote(tmp_path, 2, "better by 4 points")
    code, text = said(capsys, "list", "--store", str(tmp_path))
    lines = text.splitlines()
    assert code == 0
    assert lines[0].split() == ["N", "registered", "data", "network", "score", "decision"]
    assert lines[1].split()[0] == "1"
    assert lines[2].split()[:2] == ["*", "2"]
    assert lines[2].endswith("62 %   kept")
    assert lines[3].endswith("version 2 (promotion, better by 4 points).")


def test_promote_and_rollback_say_who_is_champion_and_predictions_follow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registered(tmp_path, 2)
    store = ["--store", str(tmp_path)]
    assert choose_model(None, tmp_path).read_text() == "2", "no champion yet: the newest run's"
    assert said(capsys, "promote", "1", *store) == (0, "Version 1 is champion now.\n")
    assert choose_model(None, tmp_path).read_text() == "1"
    said(capsys, "promote", "2", *store)
    assert said(capsys, "rollback", *store) == (0, "Version 1 is champion now.\n")
    assert choose_model(None, tmp_path).read_text() == "1"


def test_with_several_champions_each_is_listed_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registered(tmp_path, 3)
    promote(tmp_path, 1, "")
    store = ["--store", str(tmp_path)]
    assert said(capsys, "promote", "2", "--registry", "skin", *store) == (
        0, "Version 2 is champion of skin now.\n",
    )  # fmt: skip
    lines = said(capsys, "list", *store)[1].splitlines()
    assert lines[0].split()[:3] == ["N", "registered", "of"]
    assert [line.split()[0] for line in lines[1:4]] == ["*", "*", "3"]
    assert lines[4].startswith("Champion of a, b since ")
    assert lines[5].startswith("Champion of skin since ")
    code, text = said(capsys, "retire", *store)
    assert code == 2
    assert "models.py retire --registry NAME, with one of these names: 'a, b', skin." in text
    assert said(capsys, "retire", "--registry", "a, b", *store) == (
        0, "No model is champion of a, b now. The next retraining starts anew.\n",
    )  # fmt: skip
    assert said(capsys, "promote", "3", *store) == (0, "Version 3 is champion of a, b now.\n")
    assert said(capsys, "rollback", *store) == (0, "Version 1 is champion of a, b now.\n")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["promote"], "N must be given with promote"),
        (["list", "1"], "N must be given with promote and with nothing else, got list 1."),
        (["promote", "5"], "(1 to 1), got 5."),
        (["rollback"], "rollback must have an earlier champion"),
        (["retire"], "retire must have a champion to retire, got none."),
        (["retire", "1"], "N must be given with promote and with nothing else, got retire 1."),
    ],
)
def test_wrong_words_end_with_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], complaint: str
) -> None:
    registered(tmp_path, 1)
    code, text = said(capsys, *words, "--store", str(tmp_path))
    assert code == 2
    assert complaint in text
    assert len(text.splitlines()) == 1


def test_an_empty_registry_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "No model is registered yet." in said(capsys, "list", "--store", str(tmp_path))[1]
    code, text = said(capsys, "list", "--store", str(tmp_path / "nothing"))
    assert code == 2
    assert "--store must be a folder of results" in text


def test_after_retire_nobody_is_champion_and_predictions_take_the_newest_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.registry.announce.announce_promotion", pytest.fail)
    registered(tmp_path, 2)
    store = ["--store", str(tmp_path)]
    said(capsys, "promote", "1", *store)
    code, text = said(capsys, "retire", *store)
    assert (code, text) == (0, "No model is champion now. The next retraining starts anew.\n")
    assert choose_model(None, tmp_path).read_text() == "2"
    lines = said(capsys, "list", *store)[1].splitlines()
    assert not any("*" in line for line in lines)
    assert lines[-1].startswith("No champion since ")
    assert lines[-1].endswith(": version 1 was retired (by hand).")
    assert said(capsys, "rollback", *store) == (0, "Version 1 is champion now.\n")
    assert choose_model(None, tmp_path).read_text() == "1"


def test_a_server_that_does_not_answer_fails_no_promotion(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang() -> str:
        raise ServerError("The Prefect server does not answer.")

    monkeypatch.setattr("flows.serving.server.current", hang)
    registered(tmp_path, 1)
    words = ("promote", "1", "--store", str(tmp_path))
    assert said(capsys, *words) == (0, "Version 1 is champion now.\n")


@pytest.mark.parametrize("damage", ["alter", "remove", "remove the folder"])
@pytest.mark.parametrize("cure", [["promote", "2"], ["retire"]])
def test_predictions_with_a_broken_champion_name_a_remedy_that_works(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str, cure: list[str]
) -> None:
    registered(tmp_path, 2)
    promote(tmp_path, 1, "")
    weights = version_folder(tmp_path, 1) / MODEL
    if damage == "alter":
        weights.resolve().write_text("other")
    elif damage == "remove":
        weights.resolve().unlink()
    else:
        shutil.rmtree(weights.parent)
    with pytest.raises(InputError, match=r"models\.py promote N.*models\.py retire"):
        choose_model(None, tmp_path)
    assert said(capsys, *cure, "--store", str(tmp_path))[0] == 0
    assert choose_model(None, tmp_path).read_text() == "2"
