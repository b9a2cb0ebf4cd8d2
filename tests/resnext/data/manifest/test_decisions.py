"""What a person decided of single images is honoured by the scan and the split, and kept."""

from pathlib import Path

import pandas as pd
import pytest

from resnext.contracts.errors import InputError
from resnext.data.manifest.decisions import decide, describe_decisions
from resnext.data.manifest.scan import Scan, scan
from resnext.data.split.settings import SplitSettings
from resnext.data.split.split_folder import FolderSplit, split_folder
from tests.conftest import make_tree


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "pictures", patients=4)


def decided(root: Path, *lines: str, header: str = "path,decision") -> tuple[Scan, pd.DataFrame]:
    file = root.parent / "decisions.csv"
    file.write_text("\n".join([header, *lines]))
    return decide(scan(root), root, file)


def refused(root: Path, *lines: str) -> str:
    with pytest.raises(InputError) as caught:
        decided(root, *lines)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def split(root: Path, found: Scan, rows: pd.DataFrame) -> FolderSplit:
    settings = SplitSettings(near_duplicates="off", shares=(50, 0, 50))
    return split_folder(root, found.manifest, found.hashes, settings, decided=rows)


def column(table: pd.DataFrame, name: str) -> dict[str, str]:
    return dict(zip(table["path"], table[name], strict=True))


def test_a_dropped_image_is_quarantined_and_a_label_changed_while_no_file_is_touched(
    pictures: Path,
) -> None:
    before = {path: path.read_bytes() for path in pictures.rglob("*.png")}
    found, rows = decided(
        pictures,
        "Blue/B00_01_00.png,drop",
        "Red/R00_01_00.png,label:Blue",
        "Red/R01_01_00.png, KEEP ",
        "Red/R02_01_00.png,",
    )
    assert column(found.quarantine, "reason") == {"Blue/B00_01_00.png": "dropped by decisions.csv"}
    labels = column(found.manifest, "label")
    assert "Blue/B00_01_00.png" not in labels
    assert labels["Red/R00_01_00.png"] == "Blue"
    assert labels["Red/R01_01_00.png"] == "Red"
    assert len(found.hashes) == len(found.odd) == len(found.manifest) == 15
    assert rows["decision"].tolist() == ["drop", "label:Blue", "keep"]
    said = describe_decisions(rows)
    twice = rows.assign(sha256="1")
    assert "about 3 images (2 of them identical to another of them): " in describe_decisions(twice)
    assert said == "A person decided about 3 images: 1 kept, 1 dropped, 1 given another class"
    assert {path: path.read_bytes() for path in pictures.rglob("*.png")} == before


def test_a_renamed_image_keeps_its_decision_and_another_image_under_its_name_gets_none(
    pictures: Path,
) -> None:
    digest = column(scan(pictures).manifest, "sha256")["Blue/B00_01_00.png"]
    (pictures / "Blue" / "B00_01_00.png").rename(pictures / "Blue" / "new.png")
    (pictures / "Blue" / "B00_01_00.png").write_bytes(
        (pictures / "Blue" / "B01_01_00.png").read_bytes()
    )
    header = "path,sha256,kind,decision"
    rows = f"Blue/B00_01_00.png,{digest.upper()},label,drop"  # some programs write it so
    found, _ = decided(pictures, rows, header=header)
    assert found.quarantine["path"].tolist() == ["Blue/new.png"]


def test_a_decision_counts_for_identical_files_of_the_class_and_spares_those_of_another(
    pictures: Path,
) -> None:
    data = (pictures / "Blue" / "B00_01_00.png").read_bytes()
    for twin in ("Blue/twin.png", "Red/twin.png"):
        (pictures / twin).write_bytes(data)
    found, _ = decided(pictures, "Blue/B00_01_00.png,drop")
    assert found.quarantine["path"].tolist() == ["Blue/B00_01_00.png", "Blue/twin.png"]


def test_rows_of_no_image_are_said(pictures: Path) -> None:
    found, rows = decided(pictures, "Blue/gone.png,drop", "Blue/B00_01_00.png,keep")
    assert rows["path"].tolist() == ["Blue/B00_01_00.png"]
    assert found.warnings == (
        "1 of 2 rows of --decisions are about no image that is here: Blue/gone.png",
    )


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["Blue/B00_01_00.png,delete"], "got 'delete' in line 2."),
        (["", "Blue/B00_01_00.png,label:"], "got 'label:' in line 3."),
        (["Blue/B00_01_00.png,label:Green"], "name classes that are there, got 'Green' in line 2."),
        (
            ["Blue/B00_01_00.png,drop", "Blue/B00_01_00.png,group:x"],
            "got 'drop' (line 2) and 'group:x' (line 3) for 'Blue/B00_01_00.png'",
        ),
        (
            ["Red/R00_01_00.png,label:Blue", "Red/R00_01_00.png,label:Red"],
            "must decide one thing of an image",
        ),
        (
            [f"Red/R{n:02}_01_{copy:02}.png,drop" for n in range(4) for copy in (0, 1)],
            "--decisions must leave images of at least 2 classes, got only 'Blue'.",
        ),
        (
            [
                f"{name}/{name[0]}{n:02}_01_{copy:02}.png,drop"
                for name in ("Blue", "Red")
                for n in range(4)
                for copy in (0, 1)
            ],
            "--decisions must leave images of at least 2 classes, got none.",
        ),
        (
            ["Blue/B00_01_00.png,drop", "Blue/B00_01_00.png,keep"],
            "got 'drop' (line 2) and 'keep' (line 3) for 'Blue/B00_01_00.png'",
        ),
    ],
)
def test_a_bad_file_is_refused_with_its_line_and_a_remedy(
    pictures: Path, lines: list[str], expected: str
) -> None:
    assert expected in refused(pictures, *lines)


def test_a_file_without_decisions_is_refused(pictures: Path) -> None:
    with pytest.raises(InputError, match="none named decision"):
        decided(pictures, "Blue/B00_01_00.png", header="path")


def test_a_group_takes_its_own_along_and_a_new_name_makes_one_group(pictures: Path) -> None:
    groups = ["Blue/B00_01_00.png,group:R03", "Red/R00_01_00.png,group:new"]
    found, rows = decided(pictures, *groups, "Blue/B02_01_00.png,group:new")
    made = split(pictures, found, rows)
    group = column(made.split, "group")
    assert group["Blue/B00_01_01.png"] == group["Red/R03_01_00.png"] == "B00=R03"
    assert group["Blue/B02_01_00.png"] == group["Red/R00_01_01.png"] == "B02=R00"
    assert made.joined == {"B00=R03": ["B00", "R03"], "B02=R00": ["B02", "R00"]}
    parts = made.split[made.split["split"] != "unused"].groupby("group")["split"].nunique()
    assert (parts == 1).all(), "no group is on both sides"


def test_a_group_may_be_called_as_the_split_calls_a_joined_one(pictures: Path) -> None:
    data = (pictures / "Red" / "R00_01_00.png").read_bytes()
    (pictures / "Red" / "R01_01_00.png").write_bytes(data)
    found, rows = decided(pictures, "Red/R03_01_00.png,group:R00=R01")
    assert split(pictures, found, rows).joined == {"R00=R01=R03": ["R00", "R01", "R03"]}


def test_copies_follow_their_originals(pictures: Path) -> None:
    found, rows = decided(pictures, "Blue/B00_01_00.png,drop", "Red/R00_01_00.png,label:Blue")
    made = split(pictures, found, rows).split
    row = made.set_index("path").loc["Blue/B00_01_01.png"]
    assert (row["split"], row["reason"]) == ("unused", "copy of an image that a person left out")
    assert column(made, "label")["Red/R00_01_01.png"] == "Blue"
    assert column(made, "label")["Red/R01_01_01.png"] == "Red"
