"""The champion, checked, and prepared to predict the images of a retraining."""

import logging
from dataclasses import dataclass
from pathlib import Path

from flows.cli.plan import Plan
from resnext.contracts.formatting import first_few
from resnext.device import Compute, plan_compute
from resnext.models.model_file import ModelCard, read_card
from tasks.pack import pack
from tasks.registry.aliases import Alias, label_of
from tasks.registry.promotion import champion_of
from tasks.registry.versions import Version, intact_weights, require_tables
from tasks.scan import read_levels
from tasks.stage.artifact import Artifact, Runtime

log = logging.getLogger(__name__)

SHOWN = 6  # settings


@dataclass(frozen=True)
class Champion:
    """A registered model with the pixels that it needs, and where its files go."""

    version: Version
    model: Artifact
    card: ModelCard
    pixels: Artifact
    compute: Compute
    runtime: Runtime
    """Its files get a folder of their own in the run's."""


def intact_champion(store: Path, alias: Alias) -> Version | None:
    """Give an alias's champion, which holds what a retraining needs; None where it starts anew.

    Raises:
        InputError: the champion is broken.
    """
    champion = champion_of(store, alias)
    if champion is not None:
        intact_weights(store, champion)
        require_tables(store, champion)
    return champion


def tested_on_folds(plan: Plan, champion: Version) -> bool:
    """Tell whether the champion, or what challenges it, has no test part of its own."""
    return plan.folds.folds is not None or "cross-validation: folds" in champion.settings


def warn_of_differences(plan: Plan, champion: Version, classes: set[str]) -> None:
    """Say what is other than with the champion: the settings, if it holds any, or the classes."""
    asked = plan.settings_as_text()
    changed = [
        f"{name.partition(': ')[2]} {was} -> {asked[name]}"
        for name, was in champion.settings.items()
        if asked.get(name, was) != was
    ]
    if changed:
        log.warning(
            "These settings are not version %d's: %s. To train as then, give the same flags again",
            champion.number, first_few(dict.fromkeys(changed), most=SHOWN),
        )  # fmt: skip
    if classes != {*champion.classes}:
        log.warning(
            "The classes are %s, and those of the champion (version %d) are %s. A model of other "
            "classes is never promoted by itself. Promote it by hand (models.py promote N), or "
            "name a champion of its own: --registry NAME",
            label_of(None, classes), champion.number, label_of(None, champion.classes),
        )  # fmt: skip


def prepare_champion(
    plan: Plan, runtime: Runtime, version: Version, manifest: Artifact
) -> Champion:
    """Check the champion's weights, and pack the images at the size and levels that it takes.

    Raises:
        InputError: the weights are gone or were altered.
    """
    weights = intact_weights(plan.store, version)
    card = read_card(weights)
    folder = (runtime.run or plan.store) / "champion"
    folder.mkdir()
    own = runtime.model_copy(update={"run": folder})
    other = None if card.levels == read_levels(manifest) else card.levels
    return Champion(
        version=version,
        model=Artifact.of_file(weights),
        card=card,
        pixels=pack(own, manifest, card.image_size, other, card.fit),
        compute=plan_compute(plan.compute.device, deterministic=plan.compute.deterministic),
        runtime=own,
    )
