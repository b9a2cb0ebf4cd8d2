"""What a comparison trains: each recipe on the folds, on a random split too, and the probe."""

from pathlib import Path
from typing import Any, get_args

from flows.cli.flags import (
    PRESETS,
    CompareFlags,
    DrawFlags,
    FoldFlags,
    ImageFlags,
    MachineFlags,
    Preset,
    TrainingFlags,
)
from flows.cli.plan import Plan, build_recipe, given_of, require_no_auto, resolve
from flows.cli.run import read_toml
from resnext.contracts.errors import InputError
from resnext.models.architectures import ARCHITECTURES, is_architecture, is_named
from resnext.training.recipe import with_settings

PROBE = "transfer"
"""The preset, and the row, of the frozen probe."""
PROBE_NOTE = f"{PROBE} is the frozen probe: small heads on a network that has learnt from ImageNet."
ADDED_NOTE = (
    "It was added. It keeps its own settings, such as image size and epochs, whatever flags are "
    "given; only --seed counts for it."
)
"""What holds besides for a probe that was not named."""

Contestants = dict[str, tuple[Plan, ...]]
"""What is planned of each recipe: the folds, and a random split if that was asked."""


def plan_all(
    recipes: tuple[str, ...],
    compared: CompareFlags,
    data: ImageFlags,
    split: DrawFlags,
    training: TrainingFlags,
    run: MachineFlags,
) -> Contestants:
    """Plan the trainings of every recipe with its first seed.

    Raises:
        InputError: there are too few, two have one name or are the same, or one can't be planned.
        pydantic.ValidationError: a value is out of bounds.
    """
    contestants = name_all(recipes, compared, training)
    require_no_auto(*contestants.values(), program="compare.py")
    splits = splits_of(compared, split)
    plans: Contestants = {}
    seen: dict[tuple[Any, ...], str] = {}
    for name, own in contestants.items():
        found = tuple(resolve(data, *each, own, run) for each in splits)
        with_settings(found[0].recipe, {"seed": found[0].recipe.seed + compared.seeds - 1})
        settings = (found[0].recipe, found[0].weights and found[0].weights.key, found[0].split)
        if settings in seen and name == PROBE:
            continue  # it has another name
        if settings in seen:
            got = f"the same settings for {seen[settings]} and {name}"
            remedy = "Flags win over recipes: leave out those that are to be compared."
            raise InputError("RECIPES", "differ", got, remedy)
        seen[settings] = name
        plans[name] = found
    if len(plans) < 2:
        remedy = "It is compared with itself: name another recipe."
        raise InputError(
            "RECIPES", "be something besides the frozen probe", ", ".join(plans), remedy
        )
    return plans


def name_all(
    recipes: tuple[str, ...], compared: CompareFlags, training: TrainingFlags
) -> dict[str, TrainingFlags]:
    """Give the flags of each recipe by its name; the probe comes last, if nothing is called so.

    Raises:
        InputError: there are too few, two have one name, or one is nothing that can be trained.
    """
    named = {name_of(recipe): recipe for recipe in recipes}
    least = 2 if compared.no_probe else 1
    if len(named) < least or len(named) < len(recipes):
        rule = f"be at least {'two' if compared.no_probe else 'one'}, each of another name"
        remedy = "Name presets, architectures or TOML files, as in: default seed"
        raise InputError("RECIPES", rule, ", ".join(recipes) or "none", remedy)
    if named.get(PROBE, PROBE) != PROBE:
        rule, remedy = f"not be a file called {PROBE}", "The frozen probe has that name. Rename it."
        raise InputError("RECIPES", rule, named[PROBE], remedy)
    found = {
        name: TrainingFlags(**contestant_flags(each, training)) for name, each in named.items()
    }
    if PROBE not in found and not compared.no_probe:
        seed = {name: value for name, value in given_of(training).items() if name == "seed"}
        found[PROBE] = TrainingFlags(preset=PROBE, **seed)
    return found


def splits_of(compared: CompareFlags, split: DrawFlags) -> list[tuple[DrawFlags, FoldFlags]]:
    """Give the splits to train on: the folds, then the random one if it was asked for.

    Raises:
        InputError: the images are not to be split into groups.
    """
    parts = {"split": "grouped"} | given_of(split)
    random = compared.splits != "grouped"
    if parts["split"] in ("random", "given") or (random and parts["split"] != "grouped"):
        rule = "be grouped" if random else "be grouped or stratified"
        remedy = "Leave it out."
        raise InputError("split", f"{rule} to compare on folds", parts["split"], remedy)
    found = [(DrawFlags(**parts), FoldFlags(folds=compared.folds))]
    return found + [(DrawFlags(**parts | {"split": "random"}), FoldFlags())] * random


def name_of(recipe: str) -> str:
    """Call a recipe as it is written, a file by its name alone."""
    return Path(recipe).stem if recipe.endswith(".toml") else recipe


def contestant_flags(recipe: str, common: TrainingFlags) -> dict[str, Any]:
    """Give the training flags of one recipe; what is common to all wins.

    Raises:
        InputError: it is no preset, no architecture and no TOML file of training settings.
    """
    asked = {name: value for name, value in given_of(common).items() if name != "preset"}
    if recipe in get_args(Preset):
        return {"preset": recipe} | asked
    if not recipe.endswith(".toml") and is_architecture(recipe):
        if "arch" in asked:
            rule = "be left out where architectures are compared"
            raise InputError("arch", rule, asked["arch"], f"It would win over {recipe}.")
        return {"preset": common.preset, "arch": recipe} | asked
    if not recipe.endswith(".toml"):
        rule = (
            f"be presets ({', '.join(PRESETS)}), architectures "
            f"({', '.join(ARCHITECTURES)} or another of timm) or TOML files"
        )
        raise InputError("RECIPES", rule, f"'{recipe}'", "Check the name.")
    table = read_toml(Path(recipe), "RECIPES")
    own = {name.replace("-", "_"): value for name, value in table.items()}
    TrainingFlags.model_validate(own, strict=True)  # where true is no number
    settings = {"preset": common.preset} | own
    file = not is_named(settings.get("weights", "none"))
    build_recipe(settings | ({"weights": "file"} if file else {}), settings["preset"])
    return settings | asked
