from pathlib import Path
from typing import Any

import pytest

from tasks.registry.announce import announce_promotion, resource_id
from tasks.registry.versions import Version

from prefect.settings import PREFECT_API_URL, temporary_settings

VERSION = Version(
    data="猴痘",
    architecture="net",
    classes=("a", "b"),
    score="62.0 %",
    decision="better",
    basis="",
    number=3,
    run="run",
    created="2025-01-01T00:00:00+00:00",
    weights="",
)


def test_a_promotion_without_a_server_says_nothing_and_asks_nobody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tasks.registry.announce.emit_event", pytest.fail)
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        announce_promotion(tmp_path, VERSION, "better")


def test_a_promotion_that_cannot_be_announced_fails_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(**_: Any) -> None:
        raise RuntimeError("too large")

    monkeypatch.setattr("tasks.registry.announce.emit_event", refuse)
    with temporary_settings(updates={PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        announce_promotion(tmp_path, VERSION, "better")
    assert "was not announced to the Prefect server (too large)" in caplog.text


def test_a_store_is_named_the_same_by_every_path_to_it(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "store")
    assert resource_id(tmp_path / "store") == resource_id(tmp_path / "link")
    assert str(tmp_path) not in resource_id(tmp_path / "store")
