"""The form that the Prefect UI draws of a group of flags: everyday settings first, the rest folded.

The fields of the group say all of it: no flag is declared twice. A group is given in two shapes:
flat, as in a TOML file, in prefect.yaml and by older runs; and as the form gives it, where
all but the everyday settings lie in `advanced`. Departs from pydantic's own schema in that an empty
field is left out instead of null: the form shows null as a field without a place to write in.
"""

import re
from typing import Any, ClassVar

from pydantic import (
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

EVERYDAY = (
    *("data", "groups", "preset", "epochs", "folds", "seeds", "positive", "model", "output"),
    *("store", "device"),
)
"""Flags that the form shows at once, in this order."""
ADVANCED, AS_USUAL, OWN = "advanced", "as usual", "choose"
WORDS = {"arch": "network", "lr": "learning rate", "ema": "EMA", "val": "validation"}
"""What a word in the name of a flag is short for."""
ON_OFF = {True: "on", False: "off"}
FLAG = re.compile(r"--([a-z][a-z-]*[a-z])")
OF_A_TERMINAL = re.compile(r"; `[^;(\[]*(?= [(\[])")
"""What a description says of a value that only a terminal answers, as `list` of --arch."""
OF_PRESETS = re.compile(r"; (\w+: [^;]+(?:; \w+: [^;]+)*)$")
"""The defaults of other presets, after that of the usual one."""
NONE_IS = re.compile(r"; none: ([^;(]*[^;( ])(?=$| \()")
"""What a description says of no value, which an empty field is."""


class Form(BaseModel):
    """Base of the groups: the same settings flat and as the form has them; no change later."""

    model_config = ConfigDict(frozen=True)
    needed: ClassVar[tuple[str, ...]] = ()
    """Fields that the form asks for; a command line may say itself what is missing."""

    @model_validator(mode="before")
    @classmethod
    def _unfold(cls, given: Any) -> Any:
        """Lay out flat what the form gives; what is null is left empty."""
        if not isinstance(given, dict):
            return given
        rest = given.get(ADVANCED)
        folded = {} if rest in (None, AS_USUAL) else rest
        if not isinstance(folded, dict):  # refused as an unknown name
            return given
        flat = {name: value for name, value in given.items() if name != ADVANCED} | folded
        return {n: v for n, v in flat.items() if v is not None or n not in cls.model_fields}

    @model_serializer(mode="wrap")
    def _fold(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Give what was set as the form has it."""
        defaults = {name: field.default for name, field in type(self).model_fields.items()}
        given = {
            name: ON_OFF[value] if isinstance(value, bool) and defaults[name] is None else value
            for name, value in handler(self).items()
            if getattr(self, name) != defaults[name]
        }
        rest = {name: given.pop(name) for name in [*given] if name not in EVERYDAY}
        return given | ({ADVANCED: rest} if rest else {})

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the group as the form has it; a flat one is admitted too."""
        described = handler(core)
        schema = handler.resolve_ref_schema(described)
        schema.pop("additionalProperties", None)
        rest = {name: _field(name, each) for name, each in schema["properties"].items()}
        shown = {name: rest.pop(name) for name in EVERYDAY if name in rest}
        if cls.needed:
            schema["required"] = [*cls.needed]
        schema["properties"] = _in_order(shown | ({ADVANCED: _folded(rest)} if rest else {}))
        return described


def _in_order(fields: dict[str, JsonSchemaValue]) -> dict[str, JsonSchemaValue]:
    """Number fields, which a database may shuffle."""
    numbered = enumerate(fields.items())
    return {name: field | {"position": position} for position, (name, field) in numbered}


def _folded(fields: dict[str, JsonSchemaValue]) -> JsonSchemaValue:
    """Fold fields away behind a choice."""
    usual = {"type": "string", "enum": [AS_USUAL], "title": AS_USUAL}
    own = {"type": "object", "properties": _in_order(fields), "title": OWN}
    what = _sentence(", ".join(_label(name) for name in fields))
    choice = {"anyOf": [usual, own], "default": AS_USUAL}
    return {"title": "More settings", "description": what, **choice}


def _field(name: str, field: JsonSchemaValue) -> JsonSchemaValue:
    """Describe a field that is left out where it is empty."""
    kinds = [_kind(kind) for kind in field.pop("anyOf", []) if kind.get("type") != "null"]
    if kinds and kinds[0].get("type") == "boolean":  # else an empty one is shown as off
        kinds = [{"type": "string", "enum": [*ON_OFF.values()]}]
    if field.get("default", ...) is None:
        del field["default"]
    if len(kinds) == 1:
        field |= kinds[0]
    elif kinds:
        field["anyOf"] = sorted(kinds, key=lambda kind: "enum" in kind)
    text = _plain(field.get("description", ""), shown="default" in field)
    return field | {"title": _sentence(_label(name), end=""), "description": text}


def _kind(kind: JsonSchemaValue) -> JsonSchemaValue:
    """Name a kind; make a single word a choice, which the form would show as free text."""
    if "const" in kind:
        return {"type": kind["type"], "enum": [kind["const"]], "title": kind["const"]}
    return kind | ({"title": "number"} if kind.get("type") == "number" else {})


def _label(name: str) -> str:
    """Write the name of a flag for people."""
    return " ".join(WORDS.get(word, word) for word in re.split("[_-]", name))


def _plain(text: str, *, shown: bool) -> str:
    """Write the description of a flag without what only a command line knows."""
    what, _, default = OF_A_TERMINAL.sub("", text).partition(" [default: ")
    empty = OF_PRESETS.sub(r" (preset \1)", default.removesuffix("]"))
    if empty == "none" and (said := NONE_IS.search(what)):
        what, empty = NONE_IS.sub("", what), said[1]
    parts = [what] if shown or not default else [what, f"left empty: {empty}"]
    return _with_fields(" ".join(map(_sentence, parts)))


def _with_fields(text: str) -> str:
    """Name the fields of the form instead of flags."""
    return FLAG.sub(lambda found: f"“{_sentence(_label(found[1]), end='')}”", text)


def is_filled_in() -> bool:
    """Tell whether a deployment started this run, by its form or its schedule."""
    from prefect.runtime import deployment  # not needed for `--help`

    return deployment.id is not None


def for_who_started(text: str) -> str:
    """Name flags for who typed a command, fields for who filled in the form."""
    return _with_fields(text) if is_filled_in() else text


def _sentence(text: str, end: str = ".") -> str:
    """Begin with a capital, but for the name of a file; a flag is written out later."""
    first = text.partition(" ")[0].rstrip(":,;")
    return (text[:1].upper() + text[1:] if first.replace("-", "").isalpha() else text) + end
