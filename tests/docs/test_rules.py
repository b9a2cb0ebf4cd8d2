"""The table of rules in the documentation is the table in the code."""

import re

from reports.sections.plan import ONE_SPLIT
from resnext.planning.rules import RULES, Fact, Rule
from tests.docs.pages import DOCS


def cells(rule: Rule) -> list[str]:
    value = rule.value.described if isinstance(rule.value, Fact) else f"`{rule.value}`"
    shown = ONE_SPLIT if rule.value is None else value
    return [f"`--{rule.decides.replace('_', '-')}`", rule.when, shown, linked(rule.source)]


def linked(source: str) -> str:
    """Write a source as the page does: papers and pages of the documentation as links."""
    source = re.sub(r"([^;]+?), (https://\S+?)(?=;|$)", r"[\1](\2)", source)
    return re.sub(r"docs/(\w+)\.md(?:: ([^;]+))?", lambda m: f"[{m[2] or m[1]}]({m[1]}.md)", source)


def test_the_page_lists_the_rules_as_they_are() -> None:
    text = (DOCS / "training.md").read_text(encoding="utf-8")
    section = text.partition("## Let the program choose")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `--")]
    assert rows == [f"| {' | '.join(cells(rule))} |" for rule in RULES]
