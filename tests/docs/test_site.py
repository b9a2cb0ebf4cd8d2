"""The built site: `zensical build --strict` has nothing to say, and no page asks another host."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

ASKS = re.compile(r'<(?:link|script|img|iframe|source|object)\b[^>]*?(?:href|src|data)="([^"]+)')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("zensical") is None:
        pytest.skip("Zensical is not installed: pip install --editable '.[docs]'")
    config = REPOSITORY / "zensical.toml"
    place = tmp_path_factory.mktemp("docs")
    shutil.copytree(REPOSITORY / "docs", place / "docs")
    shutil.copy(config, place)
    built = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return place / "site"


def test_no_page_asks_another_host(site: Path) -> None:
    pages = sorted(site.glob("*.html"))
    assert len(pages) > len(list((REPOSITORY / "docs").glob("*.md")))  # 404.html too
    for page in pages:
        text = page.read_text(encoding="utf-8")
        asked = ASKS.findall(text)
        assert asked
        assert 'class="mermaid"' not in text, "Zensical fetches Mermaid from another host"
        assert not [each for each in asked if re.match(r"(https?:)?//", each)], page.name
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"(url\(|@import )[\"']?(https?:)?//", text), style.name
