"""Render MODEL_CARD.md: what a model is, in the layout that Hugging Face's hub reads.

It is filled from the tables that the report is made from, so that both say the same. Everything
that comes from the data is escaped: it can't end a line, open a tag or break the table.

Source: https://huggingface.co/docs/hub/model-cards (the fields of the head)
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from reports.evaluation.metrics import METRICS
from reports.html import ReportContent
from reports.sections import score
from reports.sections.split import cautions, leak_verdict, random_verdict
from resnext.contracts.formatting import count, plain, undefined

USE = """from resnext import load_model

model = load_model("model.safetensors")
answer = model.predict("picture.jpg")
print(answer.name, answer.probabilities)"""


def render_card(content: ReportContent, architecture: str) -> str:
    """Render the card as markdown with a head in YAML."""
    return "\n".join(
        [
            *_head(content, architecture),
            f"# {plain(architecture)}, trained on {plain(content.data_name)}",
            "",
            *_warnings(content),
            "## What it does",
            "",
            f"It gives a picture one of {count(len(content.classes))} classes: "
            f"{', '.join(plain(name) for name in content.classes)}. It always answers with one of "
            "them, even when a picture shows none.",
            "",
            "## What it may be used for",
            "",
            "Research and teaching. **It is not a medical device**: it may be used neither to "
            "diagnose nor to treat anybody.",
            "",
            "## How to use it",
            "",
            "With this project installed, in a folder that holds `model.safetensors` and, for "
            "calibrated probabilities, `calibration.json`:",
            "",
            "```python",
            USE,
            "```",
            "",
            "## How it was evaluated",
            "",
            *_evaluation(content),
            "## How it was trained",
            "",
            *_settings(content.settings),
            "## How to get it again",
            "",
            *_code(content.command),
        ]
    )


def _head(content: ReportContent, architecture: str) -> list[str]:
    """Write the fields that the hub reads; JSON is YAML too."""
    head: dict[str, Any] = {
        "library_name": "pytorch",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", architecture],
        "model-index": [{"name": architecture, "results": _results(content)}],
    }
    return ["---", *(f"{name}: {json.dumps(value)}" for name, value in head.items()), "---", ""]


def _results(content: ReportContent) -> list[dict[str, Any]]:
    """Give the figures of the test part that are defined."""
    found = [
        {"type": metric.name, "value": content.metrics[metric.name]}
        for metric in METRICS
        if metric.shown in ("bar", "tile") and not undefined(content.metrics.get(metric.name))
    ]
    task = {"type": "image-classification"}
    dataset = {"name": content.data_name, "type": "imagefolder", "split": "test"}
    return [{"task": task, "dataset": dataset, "metrics": found}] if found else []


def _warnings(content: ReportContent) -> list[str]:
    said = [*content.notes, *cautions(content.leakage)]
    if content.synthetic:
        said.insert(0, "The pictures are synthetic drawings: nothing follows about patients.")
    return [line for text in said for line in (f"> {plain(text)}", "")]


def _evaluation(content: ReportContent) -> list[str]:
    """Give the score, what the split leaks, and the table of classes."""
    sentences = [
        score.verdict(content.metrics, content.per_class),
        *score.sentences(content.metrics, content.calibration, content.per_class),
        leak_verdict(content.leakage)[1],
        random_verdict(content.leakage),
    ]
    return [
        *(line for text in sentences if text for line in (plain(text), "")),
        *score.score_table(content.metrics, content.per_class),
        "",
        *_classes(content),
    ]


def _classes(content: ReportContent) -> list[str]:
    names = [metric.title for metric in score.class_metrics(content.per_class)]
    lines = [f"| class | pictures | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
    for row in score.class_rows(content.per_class):
        cells = map(score.in_one_line, row["cells"])
        lines.append(f"| {plain(row['name'])} | {count(row['support'])} | {' | '.join(cells)} |")
    return [*lines, ""]


def _settings(settings: Mapping[str, Mapping[str, str]]) -> list[str]:
    lines = ["| setting | value |", "|---|---|"]
    for section, facts in settings.items():
        lines += [
            f"| {plain(section)}: {plain(name)} | {plain(value)} |" for name, value in facts.items()
        ]
    return [*lines, ""]


def _code(command: str) -> list[str]:
    """Fence a command by more backticks than it holds."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", command)), default=0))
    return [f"{fence}console", "$ " + " ".join(command.split()), fence, ""]
