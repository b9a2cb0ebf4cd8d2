"""Render MODEL_CARD.md: what a model is, in the layout that Hugging Face's hub reads.

It is filled from the tables that the report is made from, so that both say the same. Everything
that comes from the data is escaped: it can't end a line, open a tag or break the table.

Source: https://huggingface.co/docs/hub/model-cards (the fields of the head)
"""

from __future__ import annotations

import json
import re
from typing import Any

from reports.content import ReportContent
from reports.evaluation.metrics import METRICS
from reports.html import render
from reports.sections import doubts, split
from resnext.contracts.formatting import MARKS, undefined

MARKS_AND_FLAGS = re.compile(rf"(--[\w-]+ '[^'`]*')|{MARKS.pattern}")


def render_card(content: ReportContent, architecture: str) -> str:
    """Render the card as markdown with a head in YAML."""
    crossing = filter(None, [doubts.warning(content.doubts)])
    cautions = [*content.notes, *split.cautions(content.leakage), *crossing]
    ticks = max(map(len, re.findall("`+", content.command)), default=0)
    return render(
        "card.md.j2",
        content,
        architecture=architecture,
        cautions=[*map(_caution, cautions)],
        head={name: json.dumps(value) for name, value in _head(content, architecture).items()},
        fence="`" * max(3, 1 + ticks),  # more than the command holds
    )


def _caution(text: str) -> str:
    """Escape a text as `plain` does, but for quoted flags, which stand as code to be pasted."""
    one_line = " ".join(text.split())
    said = MARKS_AND_FLAGS.sub(lambda m: f"`{m[0]}`" if m[1] else f"\\{m[0]}", one_line)
    return f"{said[:1].upper()}{said[1:]}"


def _head(content: ReportContent, architecture: str) -> dict[str, Any]:
    """Give the fields that the hub reads, the defined metrics among them; JSON is YAML too."""
    found = [
        {"type": metric.name, "value": content.metrics[metric.name]}
        for metric in METRICS
        if metric.shown in ("bar", "tile") and not undefined(content.metrics.get(metric.name))
    ]
    result = {
        "task": {"type": "image-classification"},
        "dataset": {"name": content.data_name, "type": "imagefolder", "split": "test"},
        "metrics": found,
    }
    return {
        "library_name": "pytorch",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", architecture],
        "model-index": [{"name": architecture, "results": [result] if found else []}],
    }
