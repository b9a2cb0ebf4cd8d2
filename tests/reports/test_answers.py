"""The table for other programs says what the terminal says, in every format."""

import json
from pathlib import Path
from typing import Any

import fastparquet
import pandas as pd
import pytest

from reports import answers
from reports.answers import require_format, write_answers
from reports.prediction import summarise
from resnext.contracts.errors import InputError
from resnext.contracts.tables import unguarded

RULE = {"positive": "B", "threshold": 0.3}
OK = {"status": "ok", "error": "", "sha256": "1f", "note": ""}
ROWS = [
    {"path": "é.png", "predicted": "A", "confidence": "0.6", "p_A": "0.6", "p_B": "0.35",
     "p_C": "0.05", "calibrated_A": "0.6", "calibrated_B": "0.35", "calibrated_C": "0.05", **OK},
    {"path": "=1.png", "predicted": "", "confidence": "", "p_A": "", "p_B": "", "p_C": "",
     "calibrated_A": "", "calibrated_B": "", "calibrated_C": "", "status": "error",
     "error": "empty file", "sha256": "", "note": ""},
    {"path": "z.png", "predicted": "C", "confidence": "0.9", "p_A": "0.04", "p_B": "0.06",
     "p_C": "0.9", "calibrated_A": "0.04", "calibrated_B": "0.06", "calibrated_C": "0.9", **OK},
]  # fmt: skip


def read(file: Path) -> list[dict[str, Any]]:
    """Read a table in any format, with None for what is empty."""
    if file.suffix == ".jsonl":
        table = pd.DataFrame(map(json.loads, file.read_text(encoding="utf-8").splitlines()))
    elif file.suffix == ".csv":
        table = pd.read_csv(file)
        table["path"] = table["path"].map(unguarded)
    else:
        with file.open("rb") as opened:
            table = fastparquet.ParquetFile(opened).to_pandas()
    rows = table.astype(object).where(table.notna() & (table != ""), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


@pytest.mark.parametrize("suffix", answers.WRITERS)
def test_every_format_holds_the_answers_in_order(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "ROWS_AT_ONCE", 2)
    file = tmp_path / f"table{suffix}"
    file.write_text("an older one")
    write_answers(ROWS, file, RULE, top=2)
    first, bad, last = read(file)
    assert list(first)[:5] == ["path", "answer", "probability", "answer_2", "probability_2"]
    assert (first["path"], first["answer"], first["probability"]) == ("é.png", "B", 0.35)
    assert (first["answer_2"], first["probability_2"], first["predicted"]) == ("A", 0.6, "A")
    assert (bad["path"], bad["error"]) == ("=1.png", "empty file")
    assert [bad[name] for name in ("answer", "probability", "p_A")] == [None] * 3
    assert (last["answer"], last["probability"], last["answer_2"]) == ("C", 0.9, "B")
    assert [each.name for each in tmp_path.iterdir()] == [file.name]


def test_more_classes_than_there_are_leave_their_columns_empty(tmp_path: Path) -> None:
    write_answers(ROWS[:1], tmp_path / "a.jsonl", {}, top=5)
    (row,) = read(tmp_path / "a.jsonl")
    assert [row["answer"], row["answer_3"], row["answer_5"]] == ["A", "C", None]
    assert row["probability_5"] is None


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"output must end in \.csv, \.parquet or \.jsonl"):
        require_format(tmp_path / "a.txt")
    with pytest.raises(InputError, match="output must lie in a folder that is there"):
        require_format(tmp_path / "b" / "a.csv")


def test_a_summary_counts_answers_notes_and_faults() -> None:
    rows = [*ROWS, ROWS[0] | {"note": "16 bits; the first of several pages or frames"}]
    found = summarise(rows, RULE, top=2)
    assert str(found) == "4 images: B 2, C 1, 1 could not be read"
    assert found.notes == {"16 bits": 1, "the first of several pages or frames": 1}
    assert found.faults == ["=1.png (empty file)"]
    assert found.first[0] == ("é.png", "B 35.0 %, A 60.0 % (B counts from 30.0 % on; likeliest: A)")
    assert found.first[1] == ("=1.png", "no prediction: empty file")
    assert str(summarise([], None)) == "no images"


def test_an_image_that_is_referred_has_no_answer(tmp_path: Path) -> None:
    rows = [ROWS[0] | {"referral": "refer", "set": "A|B"}, ROWS[2] | {"referral": "answer"}]
    write_answers([row | {"set": row.get("set", "C")} for row in rows], tmp_path / "a.csv", {}, 1)
    referred, given = read(tmp_path / "a.csv")
    assert [referred[name] for name in ("answer", "probability")] == [None, None]
    assert (referred["predicted"], referred["referral"], referred["set"]) == ("A", "refer", "A|B")
    assert (given["answer"], given["set"]) == ("C", "C")
