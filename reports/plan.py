"""Hold what the page of a plan is made from: which settings were chosen for a set, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.html import render
from reports.sections import plan


@dataclass(frozen=True)
class PlanContent:
    """Hold what plan.json holds, and what the images are called."""

    data_name: str
    synthetic: bool
    facts: Mapping[str, Any]
    decisions: Sequence[Mapping[str, Any]]
    """Each with decides, value, reason, source and asked."""
    expected: Mapping[str, Any]
    """minutes, and the reason."""
    command: str
    """What to type to do the same, whatever the program would choose then."""

    @property
    def title(self) -> str:
        """Head the page."""
        return f"Plan: {self.data_name}"


def render_plan(content: PlanContent) -> str:
    """Render the page as one HTML text."""
    return render("plan.html.j2", content, plan=plan)
