"""The deployments as they are served, and what is said of their schedules."""

from pathlib import Path

import pytest

from flows import ui
from flows.serving import deployments as pool
from flows.serving import server
from resnext.contracts.errors import InputError
from tests.conftest import REPOSITORY


def test_a_schedule_without_its_images_is_paused_where_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "REPOSITORY", tmp_path)
    monkeypatch.chdir(REPOSITORY)
    (tmp_path / "data" / "new").mkdir(parents=True)
    made = {each.name: each for each in pool.served()}
    active = {name: [plan.active for plan in each.schedules or ()] for name, each in made.items()}
    assert active == {
        "full-pipeline": [],
        "retrain-weekly": [False],
        "batch-predict": [True],
        "evaluate": [],
        "compare": [],
    }
    said = {each["name"]: each for each in pool.deployments()}
    for name, each in made.items():
        assert each.entrypoint == said[name]["entrypoint"]
        assert each.parameters == said[name].get("parameters", {})
        assert each.tags == said[name]["tags"]
        assert each.work_pool_name is None


def test_the_page_says_when_each_schedule_comes_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui, "folder_of", lambda _: Path())
    told = [line for line in ui._schedules() if "next: " in line]
    assert [line.endswith("03:00 (UTC)") for line in told] == [True, False]
    assert [line.count("Mon ") for line in told[:1]] == [3]


def test_a_schedule_in_the_file_that_never_comes_is_told_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    never = {"name": "weekly", "description": "", "schedules": [{"cron": "0 3 31 2 *"}]}
    monkeypatch.setattr(ui, "deployments", lambda: [never])
    monkeypatch.setattr(server, "own", pytest.fail)
    with pytest.raises(
        InputError, match=r"The schedule of weekly in prefect\.yaml must name a date"
    ):
        ui.main()
