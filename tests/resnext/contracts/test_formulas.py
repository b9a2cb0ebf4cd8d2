"""No text stands in a table where a spreadsheet would run it, and all come back as they were."""

import ast
import csv
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resnext.contracts import tables
from resnext.data.split import duplicates
from tasks.publish import per_class_rows

SIGNS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
PRODUCT = ["flows", "reports", "resnext", "tasks"]
ROOT = Path(__file__).parents[3]
PRINTED = st.text(st.characters(blacklist_categories=["Cc", "Cs"], blacklist_characters="\ufeff"))
TEXTS = st.lists(
    st.one_of(
        PRINTED,
        st.builds(lambda marks, sign, rest: marks + sign + rest,
                  st.sampled_from(["", "'", "''"]), st.sampled_from("=+-@\uff1d\uff20"), PRINTED),
    ),
    min_size=1, max_size=8,
)  # fmt: skip
ANY_FILE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def cells(path: Path) -> list[str]:
    """Read every cell as a spreadsheet would."""
    with path.open(encoding="utf-8", newline="") as file:
        return [cell for row in csv.reader(file) for cell in row]


@ANY_FILE
@given(texts=TEXTS, name=st.sampled_from(sorted(tables.TEXT_COLUMNS)))
def test_every_column_of_text_is_inert_on_disk_and_comes_back(
    tmp_path: Path, texts: list[str], name: str
) -> None:
    table = pd.DataFrame({name: pd.Series(texts, dtype="str"), "n": 1})
    tables.write_table(table, tmp_path / "table.csv")
    assert not [cell for cell in cells(tmp_path / "table.csv") if cell[:1] in (*SIGNS,)]
    assert tables.read_table(tmp_path / "table.csv")[name].to_list() == texts


@ANY_FILE
@given(texts=TEXTS.map(lambda texts: sorted(set(texts))))
def test_classes_in_the_headings_of_a_confusion_table_are_inert_too(
    tmp_path: Path, texts: list[str]
) -> None:
    counts = [[1] * len(texts)] * len(texts)
    table = tables.confusion_table(counts, texts, texts)
    tables.write_confusion(table, tmp_path / "confusion.csv")
    assert not [cell for cell in cells(tmp_path / "confusion.csv") if cell[:1] in (*SIGNS,)]
    back = tables.read_confusion(tmp_path / "confusion.csv")
    assert back.index.tolist() == back.columns.tolist() == texts


def test_both_pictures_of_a_near_duplicate_are_inert(tmp_path: Path) -> None:
    columns = [name for name in duplicates.COLUMNS if name in tables.TEXT_COLUMNS]
    row = dict.fromkeys(columns, "=x") | {"correlation": 0.9}
    tables.write_table(pd.DataFrame([row]), tmp_path / "near.csv")
    assert "=x" not in cells(tmp_path / "near.csv")
    read = tables.read_table(tmp_path / "near.csv")
    assert [read[name].iloc[0] for name in ("other", "other_label", "verdict")] == ["=x"] * 3


def test_what_people_see_of_a_table_has_no_apostrophe(tmp_path: Path) -> None:
    figures = ["precision", "recall", "specificity", "f1", "auroc"]
    named = [f"{name}{end}" for name in figures for end in ("", "_low", "_high")]
    table = pd.DataFrame([{"class": "=benign", "support": 3, **dict.fromkeys(named, 0.5)}])
    tables.write_table(table, tmp_path / "per_class.csv")
    read = tables.read_table(tmp_path / "per_class.csv")
    assert per_class_rows(read)[0]["class"] == "=benign"
    assert tables.read_rows(tmp_path / "per_class.csv")[0]["class"] == "=benign"


@pytest.mark.parametrize("sign", SIGNS)
def test_what_a_spreadsheet_would_run_is_guarded_and_comes_back(sign: str) -> None:
    for text in (sign, f"'{sign}", f"''{sign}x"):
        assert tables.guarded(text) == f"'{text}"
        assert tables.unguarded(f"'{text}") == text
    assert tables.guarded(f"x{sign}") == f"x{sign}"


def test_nothing_else_writes_a_table() -> None:
    found = {
        str(path.relative_to(ROOT))
        for package in PRODUCT
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("to_csv", "writer", "DictWriter")
    }
    assert found == set(), "each table is written by resnext/contracts/tables.py"
