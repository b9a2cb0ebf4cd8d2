"""The pages of the documentation: links lead somewhere, and the bounds on their length hold."""

import re
import tomllib
from pathlib import Path
from typing import get_args
from urllib.parse import unquote, urlsplit

import pytest

from flows.full_pipeline import Stop
from tasks.stage.artifact import Reads
from tasks.stage.decorator import all_stages
from tests.conftest import REPOSITORY
from tests.docs.pages import DOCS, PAGES, anchors, files, links

README_LINES = 150
GLOSSARY_TERMS = 40


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page: Path) -> None:
    for link in links(page):
        parts = urlsplit(link)
        if parts.scheme:
            assert parts.scheme == "https", link
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        assert target.exists(), f"{page.name} links to {link}"
        if page.parent == DOCS:  # else it is no page of the site
            assert target.is_relative_to(DOCS), f"{page.name} links to {link}, outside of docs/"
        if parts.fragment:
            assert parts.fragment in anchors(target), f"{page.name} links to {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    gone = [name for name in files(page) if not (REPOSITORY / name).exists()]
    assert not gone


def test_every_room_has_its_row() -> None:
    rooms = {
        f"{folder.relative_to(REPOSITORY).as_posix()}/"
        for name in ("flows", "tasks", "resnext", "reports")
        for folder in [found.parent for found in (REPOSITORY / name).rglob("__init__.py")]
    }
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([\w/]+/)` \|", text, re.MULTILINE)
    assert rooms <= set(listed), "rooms without a row in docs/architecture.md"


def test_every_page_stands_once_in_the_navigation() -> None:
    config = tomllib.loads((REPOSITORY / "zensical.toml").read_text(encoding="utf-8"))
    listed: list[str] = []

    def collect(entries: list[dict[str, object]]) -> None:
        for entry in entries:
            for value in entry.values():
                if isinstance(value, list):
                    collect(value)
                else:
                    listed.append(str(value))

    collect(config["project"]["nav"])
    assert sorted(listed) == sorted(page.name for page in DOCS.glob("*.md"))


def test_the_readme_is_short_and_the_docs_are_linked_from_it() -> None:
    readme = REPOSITORY / "README.md"
    lines = readme.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= README_LINES
    assert "docs/index.md" in links(readme)


def test_only_and_the_docs_name_the_stages_and_the_tables_that_each_reads() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    order, stages = get_args(Stop), {each.name: each for each in all_stages()}
    assert " -> ".join(order) in text
    rows = dict(re.findall(r"^\| [^|]+ \| `tasks/(\w+)\.py` \| ([^|]+) \|", text, re.MULTILINE))
    assert [name for name in rows if name in order] == [*order]
    for name, reads in rows.items():
        for parameter in stages[name.replace("_", "-")].signature.parameters.values():
            for note in get_args(parameter.annotation):
                names = note.files if isinstance(note, Reads) else ()
                missing = [each for each in names if f"`{each}`" not in reads]
                assert all(each.endswith(".png") for each in missing), f"{name}: {missing}"


def test_the_glossary_is_short_sorted_and_names_each_term_once() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    section = text.partition("## Glossary")[2].partition("\n## ")[0]
    rows = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| ")]
    terms = rows[1:]  # below the heading
    assert 20 <= len(terms) <= GLOSSARY_TERMS
    assert terms == sorted(set(terms), key=str.lower)
