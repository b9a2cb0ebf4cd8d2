"""The champion, checked, and prepared to predict the images of a retraining."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from flows.cli.plan import Plan
from resnext.contracts.formatting import first_few
from resnext.data.manifest.class_folders import part_folders
from resnext.device import Compute, plan_compute
from resnext.models.model_file import ModelCard, read_card
from tasks.pack import pack
from tasks.registry.aliases import Alias, all_aliases
from tasks.registry.promotion import champion_of, require_champions_file
from tasks.registry.versions import Version, intact_weights, require_tables
from tasks.scan import read_levels
from tasks.stage.artifact import Artifact, Runtime

SHOWN = 6


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


def require_sound(plan: Plan, name: str | None) -> None:
    """Check every champion that a challenger may be compared with, before images are read.

    Raises:
        InputError: a champion is broken, or there are models and it is unknown which is champion.
    """
    require_champions_file(plan.store)
    classes = _class_folders(plan.data) if plan.data else set()
    for alias in all_aliases(plan.store):
        may_be = not alias.classes or classes & {*alias.classes}
        if alias.name == name and (name is not None or may_be):
            intact_champion(plan.store, alias)


def _class_folders(data: Path) -> set[str]:
    """Name the folders that may be classes, also below train, val and test."""
    tops = [data, *(data / part for part in part_folders(data))]
    with suppress(OSError):  # the scan says what can't be read
        return {path.name for top in tops for path in top.iterdir() if path.is_dir()}
    return set()


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


def settings_of(plan: Plan) -> dict[str, str]:
    """Say which images a model is made of, how split, trained and evaluated, by name."""
    return {
        f"{about}: {name}": value
        for about, facts in plan.settings_in_words().items()
        for name, value in facts.items()
    }


def differences(plan: Plan, champion: Version) -> str:
    """Say which settings are other than the champion's; empty where none is, or none is stored."""
    asked = settings_of(plan)
    changed = [
        f"{name.partition(': ')[2]} {was} -> {asked[name]}"
        for name, was in champion.settings.items()
        if asked.get(name, was) != was
    ]
    if not changed:
        return ""
    return (
        f"these settings are not version {champion.number}'s: {first_few(changed, most=SHOWN)}. "
        "To train as then, give the same flags again"
    )


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
        pixels=pack(own, manifest, card.image_size, other),
        compute=plan_compute(plan.compute.device, card.architecture, plan.compute.deterministic),
        runtime=own,
    )
