"""The name of a flow run: the one that somebody typed, else the one that says what it does.

The forms of Prefect's UIs fill in a name that they draw from lists of words, and the server draws
one for a run that comes without. Such a name is nobody's wish.
Source: the scripts of the two UIs of Prefect 3.9.1, and `prefect.utilities.names`.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any

import coolname
from coolname.loader import load_config

from prefect import server
from prefect.context import FlowRunContext

OF_NEW_UI = re.compile(
    "(Awesome|Rustic|Small|Gorgeous|Fantastic|Sleek|Intelligent|Unbranded|Refined|Licensed|Generic"
    "|Practical|Ergonomic|Handcrafted|Tasty|Handmade|Incredible)-(.{1,6})"
)
"""An adjective and an animal."""
OF_OLD_UI = re.compile(
    "(alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|omicron|pi|rho|sigma"
    r"|tau|upsilon|phi|chi|psi|omega)(\d{0,3}-([a-z-]+?)(-[a-z]+)?|\d{1,3}(--[a-z]+)?)"
)
"""A letter with a number, a star, place or person, and perhaps a word more.

The list of stars has gaps: one in 150 names has none.
"""


def typed_or(ours: str) -> str:
    """Give the name that somebody typed for the flow run that this is, or ours."""
    context = FlowRunContext.get()
    run = context and context.flow_run
    if not run or run.deployment_id is None or run.auto_scheduled or is_drawn(run.name):
        return ours
    return run.name


def is_drawn(name: str) -> bool:
    """Tell whether a name is one that Prefect may have drawn by chance."""
    if found := OF_NEW_UI.fullmatch(name):
        return found[2] in _listed("ui-v2/assets/deployment_._id.run-*.js", "Aardvark", found[2])
    if found := OF_OLD_UI.fullmatch(name):
        thing = name.partition("-")[2]
        if not thing or thing.startswith("-"):
            return True
        listed = _listed("ui/assets/index-*.js", "andromedae", thing)
        return not {thing, thing.rpartition("-")[0]}.isdisjoint(listed)
    return len(words := name.split("-")) == 2 and {*words} <= _words_of_server()


@cache
def _listed(script: str, first: str, unknown: str) -> frozenset[str]:
    """Give the list of words that begins with `first` in a script of the UI.

    Where no UI is installed, or one without the list, give what is to be found in it.
    """
    for file in Path(server.__file__).parent.glob(script):
        _, found, rest = file.read_text(encoding="utf-8").partition(f"`{first}.")
        if found:
            return frozenset({first, *rest.partition("`")[0].split(".")} - {""})
    return frozenset([unknown])


@cache
def _words_of_server() -> frozenset[str]:
    config: dict[str, Any] = load_config(Path(coolname.__file__).with_name("data"))
    return frozenset(word for each in config.values() for word in each.get("words", ()))
