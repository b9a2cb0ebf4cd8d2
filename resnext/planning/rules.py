"""The rules by which `--preset auto` chooses settings for a set of images.

`RULES` is read from top to bottom. Of the rules about one setting, the first that holds decides. A
flag that the user gave wins over all of them. To add a rule, add a record.

The borders are rules of thumb. A rule's source says what they follow from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace

from resnext.planning.facts import ONE_SPLIT, SMALLEST, Facts, Value, written

YOURS = "your flags"

FEW_GROUPS = 500  # of which one split tests on 100
FEW_GROUPS_OF_A_CLASS = 100  # and on 20
FEW_ORIGINALS = 1_000
MOST_IMBALANCE = 3

# With 100 tested subjects, an accuracy is uncertain by about 10 points.
SMALL_TEST = "Varoquaux 2018, https://arxiv.org/abs/1706.07581"
FEW_IN_TEST = "docs/evaluation.md: below 20 tested groups of a class intervals are a rough guess"
EACH_FOLD_TESTS = "docs/splits.md: every fold tests on each class"
# With 47 to 800 training images in all, a classifier on the frozen network is as good as
# fine-tuning, or better. With more, fine-tuning is better.
KORNBLITH = "Kornblith et al. 2019, https://arxiv.org/abs/1805.08974"
FROZEN_OR_NOT = f"{KORNBLITH}; the limit is a rule of thumb"
WEIGHTING = "Buda et al. 2018, https://arxiv.org/abs/1710.05381; the limit is a rule of thumb"
TRIED = "docs/training.md: the recipe of the preset"
VIEWS = "docs/benchmarks.md: what a frozen network is worth"


@dataclass(frozen=True)
class Fact:
    """A value that is a fact, and not always the same."""

    name: str
    described: str


@dataclass(frozen=True)
class Rule:
    """Say when a setting gets which value, and why."""

    decides: str
    """The setting, by the name of its flag."""
    when: str
    """The condition, in words."""
    holds: Callable[[Facts], bool]
    value: Value | Fact
    reason: str
    """A sentence. Facts are filled in by their names."""
    source: str


@dataclass(frozen=True)
class Decision:
    """Say which value a setting got, and why."""

    decides: str
    value: Value
    reason: str
    source: str
    asked: bool
    """Whether the user decided it."""


def always(_: Facts) -> bool:
    """Hold for every set."""
    return True


RULES: tuple[Rule, ...] = (
    # ------------------------------------------------------------ how it is tested
    Rule(
        "folds", "you ask for one split (`--fold`, `--shares`, `--use-split`, `--keep-split`)",
        holds=lambda facts: bool(facts.one_split),
        value=None,
        reason="You asked for {one_split}.",
        source=YOURS,
    ),
    Rule(
        "folds", "the split is not grouped, by `--split` or because the folder comes split",
        holds=lambda facts: facts.strategy != "grouped",
        value=None,
        reason="The split is {strategy}. Folds are drawn of whole groups.",
        source=YOURS,
    ),
    Rule(
        "folds", "3 groups in the smallest class",
        holds=lambda facts: facts.smallest_groups <= 3,
        value=3,
        reason="Class “{smallest}” has {smallest_groups} groups, and each fold tests on one of "
        "them.",
        source=EACH_FOLD_TESTS,
    ),
    Rule(
        "folds", "4 groups in the smallest class",
        holds=lambda facts: facts.smallest_groups == 4,
        value=4,
        reason="Class “{smallest}” has 4 groups, and each fold tests on one of them.",
        source=EACH_FOLD_TESTS,
    ),
    Rule(
        "folds", f"fewer than {FEW_GROUPS} groups in all",
        holds=lambda facts: facts.groups < FEW_GROUPS,
        value=5,
        reason="{groups} groups are few. One split would test on a fifth of them. On fewer than "
        "100, a score is easily ten points off. With folds every group is tested.",
        source=SMALL_TEST,
    ),
    Rule(
        "folds", f"fewer than {FEW_GROUPS_OF_A_CLASS} groups in the smallest class",
        holds=lambda facts: facts.smallest_groups < FEW_GROUPS_OF_A_CLASS,
        value=5,
        reason="Class “{smallest}” has {smallest_groups} groups. One split would test on fewer "
        "than 20 of them. With folds every group is tested.",
        source=FEW_IN_TEST,
    ),
    Rule(
        "folds", "otherwise",
        holds=always,
        value=None,
        reason="{groups:,} groups, and {smallest_groups:,} in the smallest class, are enough to "
        "test on a fifth of them. Five folds would train six networks in place of one.",
        source=SMALL_TEST,
    ),
    # ------------------------------------------------------------ what is trained
    Rule(
        "preset", "you ask for `--method network` and `--weights none`",
        holds=lambda facts: (facts.asked.get("method"), facts.asked.get("weights"))
        == ("network", "none"),
        value="default",
        reason="You asked for a network that begins with random weights.",
        source=YOURS,
    ),
    Rule(
        "preset", "you ask for `--method network`",
        holds=lambda facts: facts.asked.get("method") == "network",
        value="finetune",
        reason="You asked for --method network. With weights to start from, that is fine-tuning.",
        source=YOURS,
    ),
    Rule(
        "preset", "you ask for `--method probe`",
        holds=lambda facts: facts.asked.get("method") == "probe",
        value="transfer",
        reason="You asked for --method probe.",
        source=YOURS,
    ),
    Rule(
        "preset", "no CUDA GPU",
        holds=lambda facts: facts.device != "cuda",
        value="transfer",
        reason="It is computed on {machine}. Small heads on a frozen network with ImageNet's "
        "weights take minutes there, training all of a network takes hours.",
        source=FROZEN_OR_NOT,
    ),
    Rule(
        "preset", f"fewer than {FEW_ORIGINALS:,} originals",
        holds=lambda facts: facts.originals < FEW_ORIGINALS,
        value="transfer",
        reason="{originals} originals are few. Up to about 800 training images, small heads on a "
        "frozen network with ImageNet's weights are as good as training all of it, or better.",
        source=FROZEN_OR_NOT,
    ),
    Rule(
        "preset", "otherwise",
        holds=always,
        value="finetune",
        reason="There are {originals:,} originals and a GPU. With more than about 800 training "
        "images, training all of a network with ImageNet's weights is better than a frozen one.",
        source=FROZEN_OR_NOT,
    ),
    # ------------------------------------------------------------ how it is trained
    Rule(
        "class_weights", "you ask for `--sampler balanced`",
        holds=lambda facts: facts.asked.get("sampler") == "balanced",
        value="none",
        reason="You asked for --sampler balanced. Classes are met equally often already.",
        source=YOURS,
    ),
    Rule(
        "class_weights", f"the commonest class has over {MOST_IMBALANCE} times the originals of "
        "the rarest",
        holds=lambda facts: facts.imbalance > MOST_IMBALANCE,
        value="balanced",
        reason="Class “{commonest}” has {commonest_originals:,} originals, {imbalance:.1f} times "
        "as many as “{rarest}” with {rarest_originals:,}. Without weights the rarest class would "
        "hardly count.",
        source=WEIGHTING,
    ),
    Rule(
        "class_weights", "otherwise",
        holds=always,
        value="none",
        reason="The commonest class has {commonest_originals:,} originals, the rarest "
        "{rarest_originals:,}. They count alike.",
        source=WEIGHTING,
    ),
    Rule(
        "image_size", "the preset is transfer, and the images are smaller than the network's own "
        "size",
        holds=lambda facts: facts.chosen["preset"] == "transfer" and not facts.fixed_size
        and facts.as_they_are < facts.network_size,
        value=Fact("as_they_are", f"the shorter side of the images, at least {SMALLEST}"),
        reason="The shorter side of the images has {side} pixels in the median. Enlarged to the "
        "{network_size} of {network}, they would be blurred. That costs time and gains nothing.",
        source="docs/benchmarks.md: small images",
    ),
    Rule(
        "image_size", "otherwise",
        holds=always,
        value=Fact("network_size", "the network's own"),
        reason="{network} was made for {network_size} pixels. The shorter side of the images has "
        "{side} in the median.",
        source=KORNBLITH,
    ),
    Rule(
        "batch_size", "the preset is transfer",
        holds=lambda facts: facts.chosen["preset"] == "transfer",
        value=16,
        reason="The heads take many small steps, so that they also learn from {originals:,} "
        "originals.",
        source=TRIED,
    ),
    Rule(
        "batch_size", "otherwise",
        holds=always,
        value=32,
        reason="The learning rates of the recipe go with it. It is computed on {machine}. A batch "
        "that does not fit into a GPU's memory is computed in parts.",
        source=TRIED,
    ),
    Rule(
        "views", "the preset is transfer",
        holds=lambda facts: facts.chosen["preset"] == "transfer",
        value="mirror",
        reason="Each image is also seen mirrored. If your images have no up side, as of skin or "
        "cells, --views d4 is better and takes four times as long. No program can know that.",
        source=VIEWS,
    ),
)  # fmt: skip

DECIDED = tuple(dict.fromkeys(rule.decides for rule in RULES))
"""The flags that are decided, in this order."""
WATCHED = frozenset(
    {*DECIDED, *ONE_SPLIT, "method", "weights", "sampler", "epochs", "repeats", "final"}
) - {"preset"}
"""The user's flags that decide something, or by which the time is estimated."""


def decide(facts: Facts) -> list[Decision]:
    """Decide every setting that a rule holds for; a flag of the user's wins."""
    found: list[Decision] = []
    for name in DECIDED:
        facts = replace(facts, chosen={each.decides: each.value for each in found})
        if name in facts.asked:
            value = facts.asked[name]
            reason = f"You asked for {written(name, value)}."
            found.append(Decision(name, value, reason, YOURS, asked=True))
            continue
        rule = next((each for each in RULES if each.decides == name and each.holds(facts)), None)
        if rule is not None:
            value = getattr(facts, rule.value.name) if isinstance(rule.value, Fact) else rule.value
            reason = rule.reason.format(**facts.named)
            found.append(Decision(name, value, reason, rule.source, asked=False))
    return found


def as_flags(decisions: list[Decision]) -> list[str]:
    """Write what was decided, and not asked for, as words of a command line."""
    return [
        word
        for each in decisions
        if not each.asked and each.value is not None
        for word in written(each.decides, each.value).split()
    ]


def as_table(decisions: list[Decision]) -> list[Mapping[str, Value]]:
    """Give the decisions as plan.json holds them."""
    return [asdict(each) for each in decisions]
