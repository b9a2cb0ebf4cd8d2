"""A champion for each set of classes and each name, and one from before there were several."""

import json
from pathlib import Path
from typing import Any

import pytest

from resnext.contracts.errors import InputError
from tasks.registry.aliases import (
    Alias,
    Change,
    alias_to_beat,
    all_aliases,
    choose_alias,
    label_of,
    own_alias,
)
from tasks.registry.promotion import (
    champion_of,
    finish_promotion,
    promote,
    register,
    retire,
    rollback,
    versions_of,
)
from tasks.registry.versions import About, all_versions, find_version, require_alias_name
from tasks.stage.runs import MODEL, open_run

POX, FLOWERS = ("Monkeypox", "Others"), ("daisy", "tulip")


def about(classes: tuple[str, ...], **more: Any) -> About:
    facts: dict[str, Any] = {"decision": "better", "verdict": "better", "score": "61 %"} | more
    return About(data="pictures", architecture="net", classes=classes, basis="", **facts)


def admitted(store: Path, classes: tuple[str, ...], **more: Any) -> int:
    number = len(all_versions(store)) + 1
    with open_run(store, f"run{number}----", {}) as run:
        (run / MODEL).write_text(str(number))
    return register(store, run, about(classes, **more)).number


def champions_of(store: Path) -> dict[str, int | None]:
    return {each.label: each.champion for each in all_aliases(store)}


def as_written_before(store: Path, champion: int | None, *promoted: int) -> Path:
    """Write champion.json as it was when a registry had one champion."""
    changes = [
        {"at": f"2026-01-0{n}", "kind": "promotion", "version": v, "previous": None, "why": ""}
        for n, v in enumerate(promoted, start=1)
    ]
    path = store / "registry" / "champion.json"
    path.write_text(json.dumps({"champion": champion, "changes": changes}))
    return path


def test_the_first_model_of_other_classes_is_champion_of_its_own(tmp_path: Path) -> None:
    admitted(tmp_path, POX)
    admitted(tmp_path, FLOWERS)
    assert champions_of(tmp_path) == {"Monkeypox, Others": 1, "daisy, tulip": 2}
    assert admitted(tmp_path, POX, against=1) == 3
    assert champions_of(tmp_path) == {"Monkeypox, Others": 3, "daisy, tulip": 2}
    assert rollback(tmp_path, "", "Monkeypox, Others").champion == 1
    assert champions_of(tmp_path) == {"Monkeypox, Others": 1, "daisy, tulip": 2}


def test_a_name_has_a_champion_of_its_own_whatever_its_classes(tmp_path: Path) -> None:
    admitted(tmp_path, POX)
    admitted(tmp_path, POX, registry="skin")
    assert champions_of(tmp_path) == {"Monkeypox, Others": 1, "skin": 2}
    grown = admitted(tmp_path, (*POX, "Measles"), registry="skin", against=2, verdict="-")
    assert champions_of(tmp_path)["skin"] == 2, "other classes are promoted by hand"
    promote(tmp_path, grown, "by hand")
    assert champions_of(tmp_path) == {"Monkeypox, Others": 1, "skin": 3}
    assert rollback(tmp_path, "", "skin").classes == POX


def test_a_model_can_be_promoted_under_a_name(tmp_path: Path) -> None:
    admitted(tmp_path, POX)
    promote(tmp_path, 1, "by hand", "skin")
    assert champions_of(tmp_path) == {"Monkeypox, Others": 1, "skin": 1}


def test_a_champion_of_before_there_were_several_is_that_of_its_classes(tmp_path: Path) -> None:
    for _ in range(3):
        admitted(tmp_path, POX, verdict="-")
    as_written_before(tmp_path, 2, 1, 2)
    (old,) = all_aliases(tmp_path)
    assert (old.label, old.champion, len(old.changes)) == ("Monkeypox, Others", 2, 2)
    admitted(tmp_path, FLOWERS)
    assert champions_of(tmp_path) == {"Monkeypox, Others": 2, "daisy, tulip": 4}
    assert rollback(tmp_path, "").champion == 1, "the history is still there"
    assert champions_of(tmp_path) == {"Monkeypox, Others": 1, "daisy, tulip": 4}


def test_an_old_history_over_several_sets_of_classes_is_kept_whole(tmp_path: Path) -> None:
    grown = (*POX, "Measles")
    admitted(tmp_path, POX, verdict="-")
    admitted(tmp_path, grown, verdict="-")
    as_written_before(tmp_path, 2, 1, 2)
    assert champions_of(tmp_path) == {"Measles, Monkeypox, Others": 2}
    assert finish_promotion(tmp_path) is None
    rollback(tmp_path, "")
    assert champions_of(tmp_path) == {"Monkeypox, Others": 1}
    path = as_written_before(tmp_path, None, 1)
    record = json.loads(path.read_text())
    record["changes"].append(record["changes"][0] | {"kind": "retirement"})
    path.write_text(json.dumps(record))
    assert rollback(tmp_path, "").champion == 1, "an old retirement is taken back too"


def alias(name: str | None, classes: tuple[str, ...], champion: int | None, at: str = "") -> Alias:
    change = Change(at=at, kind="promotion", version=champion or 0, previous=None, why="")
    return Alias(name=name, classes=classes, champion=champion, changes=(change,))


def test_a_model_is_judged_in_its_name_or_classes_else_in_the_nearest_that_share_one() -> None:
    pox, skin = alias(None, POX, 1), alias("skin", POX, 2)
    rash, gone = alias(None, ("Measles", "Monkeypox", "Others"), 3), alias(None, FLOWERS, None)
    known = (pox, skin, rash, gone)
    assert alias_to_beat(known, None, POX) is pox
    assert alias_to_beat(known, "skin", FLOWERS) is skin
    assert alias_to_beat(known, None, ("Measles", "Others", "Chickenpox")) is rash
    assert alias_to_beat(known, None, ("cat", "dog")) == Alias(classes=("cat", "dog"))
    assert alias_to_beat(known, None, FLOWERS) is gone, "it begins anew, as `retire` says"
    assert alias_to_beat(known, None, ("daisy", "rose")).champion is None
    assert alias_to_beat(known, "new", POX) == Alias(name="new")


def test_which_champion_is_meant_is_asked_only_where_several_could_be(tmp_path: Path) -> None:
    admitted(tmp_path, POX)
    admitted(tmp_path, FLOWERS)
    with pytest.raises(InputError, match=r"retire --registry NAME, with .*: 'Monk.*', 'daisy, tu"):
        retire(tmp_path, "")
    retire(tmp_path, "", "daisy, tulip")  # as the message says
    retire(tmp_path, "")  # only one is left
    with pytest.raises(InputError, match="retire must have a champion"):
        retire(tmp_path, "")
    with pytest.raises(InputError, match="rollback --registry NAME"):
        rollback(tmp_path, "")
    with pytest.raises(
        InputError, match=r"got 'cats'\. Known: 'Monkeypox, Others', 'daisy, tulip'"
    ):
        rollback(tmp_path, "", "cats")


def test_classes_that_read_alike_are_two_champions_and_a_name_tells_them_apart(
    tmp_path: Path,
) -> None:
    admitted(tmp_path, ("a, b", "c"))
    admitted(tmp_path, ("a", "b, c"))
    assert [each.champion for each in all_aliases(tmp_path)] == [1, 2]
    with pytest.raises(InputError, match=r"classes of 2\. .*promote N --registry NAME"):
        retire(tmp_path, "", "a, b, c")
    promote(tmp_path, 2, "", "second")
    assert champion_of(tmp_path, choose_alias(tmp_path, "second")) == find_version(tmp_path, 2)


def test_a_model_is_not_promoted_under_the_classes_of_others(tmp_path: Path) -> None:
    admitted(tmp_path, POX)
    admitted(tmp_path, FLOWERS)
    with pytest.raises(
        InputError, match=r"of the classes Monkeypox, Others, got 2, .*daisy, tulip"
    ):
        promote(tmp_path, 2, "", "Monkeypox, Others")


@pytest.mark.parametrize("name", ["", "a, b", ".x", "a/b", "x" * 65, "a b"])
def test_a_name_can_not_be_taken_for_classes_or_a_path(tmp_path: Path, name: str) -> None:
    admitted(tmp_path, POX)
    with pytest.raises(InputError, match="registry must be up to 64 letters"):
        promote(tmp_path, 1, "", name)
    assert require_alias_name("皮肤-2.v1") == "皮肤-2.v1"


def test_many_classes_are_called_by_the_first(tmp_path: Path) -> None:
    many = tuple(f"c{number:02}" for number in range(40))
    assert label_of(None, many) == "c00, c01, c02, c03, c04, c05 and 34 more"
    admitted(tmp_path, many)
    assert champion_of(tmp_path, choose_alias(tmp_path, label_of(None, many))) is not None


def test_models_are_counted_by_alias(tmp_path: Path) -> None:
    for classes in (POX, FLOWERS, POX):
        admitted(tmp_path, classes, verdict="-", against=None)
    admitted(tmp_path, POX, registry="skin")
    (skin,) = all_aliases(tmp_path)
    assert [each.number for each in versions_of(tmp_path, skin)] == [4]
    pox = own_alias((skin,), find_version(tmp_path, 1))
    assert [each.number for each in versions_of(tmp_path, pox)] == [1, 3]
