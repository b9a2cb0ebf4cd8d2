"""Read the pages of the documentation: headings, links, and blocks of code."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGES = [
    *(REPOSITORY / name for name in ("README.md", "README.zh-CN.md", "CONTRIBUTING.md")),
    *sorted(DOCS.glob("*.md")),
]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
FILE = re.compile(r"(?:flows|tasks|resnext|reports|tests|docs)/[\w./-]*")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """Hold one block of code and where it begins."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """Collect the blocks of all pages; with languages, those of these alone."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for each in FENCE.finditer(text):
            line = text.count("\n", 0, each.start()) + 1
            found.append(Block(page, line, each[1], each[2]))
    return [block for block in found if not languages or block.language in languages]


def prose(page: Path) -> str:
    """Give a page without its blocks and words of code."""
    return CODE.sub("", FENCE.sub("", page.read_text(encoding="utf-8")))


def files(page: Path) -> list[str]:
    """Give the files and folders of the repository that a page names in its words of code."""
    words = CODE.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    return [found[0] for word in words if (found := FILE.match(word[1:])) and "<" not in word]


def links(page: Path) -> list[str]:
    """Give the targets of a page's links and pictures."""
    return LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """Give the anchors of a page's headings, as Python-Markdown makes them."""
    headings = HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    return {_slug(heading.replace("`", "")) for heading in headings}


def _slug(heading: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode()
    kept = re.sub(r"[^\w\s-]", "", ascii_only).strip().lower()
    return re.sub(r"[-\s]+", "-", kept)
