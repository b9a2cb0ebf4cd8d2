"""Say what a page holds: its sections, and how many images of the data.

Both are read off the page itself, so that a section that is added is in the list. Text from the
data is escaped by then, and can't be taken for either.
"""

from __future__ import annotations

import re

from markupsafe import Markup

HEADING = re.compile(r'<h2 id="([\w-]+)">(.*?)</h2>', re.DOTALL)
PICTURE = '<img class="thumb"'
FEWEST_SECTIONS = 4
"""With fewer sections a page needs no list of them."""


def headings(body: str) -> list[tuple[str, Markup]]:
    """Give the sections of a page: the address within it, and the title as it is written there."""
    found = [(name, Markup(title)) for name, title in HEADING.findall(body)]
    return found if len(found) >= FEWEST_SECTIONS else []


def pictures(body: str) -> int:
    """Count the images of the data, heat maps over them too."""
    return body.count(PICTURE)
