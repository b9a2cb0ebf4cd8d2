"""The cache key of a stage: its name, the code that it runs, its inputs.

The code counts as the syntax tree, without comments and docstrings, of the stage's module and
of every project module that it imports, directly or not, inside functions too. A module that
carries other files names them, or a pattern of them, in a literal `CARRIED_FILES`. They count by
their bytes; modules among them count as if they were imported.
Packages from elsewhere count by their versions. What stands in `NOT_COUNTED` shows or keeps what
a stage computes but can't change it; of it only `STORE_VERSION` counts.

Messages don't count: text in a `raise` statement, in a call of logging or `warnings.warn`, and in
an argument `description`. All other text does. So what is written to a file must not stand in one
of these places: where an error's text ends in a file, it is a constant outside of `raise`.
"""

import ast
import hashlib
import importlib.metadata
import importlib.util
import json
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tasks.stage.artifact import Artifact

STORE_VERSION = 2
PROJECT = frozenset({"flows", "tasks", "resnext", "reports"})
NOT_COUNTED = ("tasks.stage", "tasks.callbacks", "prefect")
KEY_LENGTH = 20  # hexadecimal digits, 80 bits: no two keys meet by chance

# Where the name that is imported isn't the name that is installed; the others are the same.
DISTRIBUTIONS = {"PIL": "Pillow", "sklearn": "scikit-learn"}

# Python 3.11 fails where two threads make syntax trees at once.
# Source: https://github.com/python/cpython/issues/106905
_parsing = threading.Lock()

LOGGERS = frozenset({"log", "logger", "logging"})
LEVELS = frozenset({"debug", "info", "warning", "error", "exception", "critical", "log"})


@dataclass(frozen=True)
class Fingerprint:
    """The code behind a stage: project modules by digest, other packages by version."""

    modules: Mapping[str, str]
    packages: Mapping[str, str]


@cache
def fingerprint(module: str) -> Fingerprint:
    """Fingerprint a module and all that it imports.

    Raises:
        ModuleNotFoundError: a project module that is imported doesn't exist.
    """
    modules: dict[str, str] = {}
    packages: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in modules or _not_counted(name):
            continue
        modules[name], imports = _module(name)
        for found in imports:
            top = found.split(".")[0]
            packages |= _version_of(top)
            waiting += [found] if top in PROJECT else []
    return Fingerprint(dict(sorted(modules.items())), dict(sorted(packages.items())))


def cache_key(
    stage: str, module: str, arguments: Mapping[str, object]
) -> tuple[str, dict[str, Any]]:
    """Give the key of a stage's result, and what went into it.

    Raises:
        TypeError: an argument is of a type whose hash could differ between processes.
    """
    code = fingerprint(module)
    ingredients = {
        "stage": stage,
        "store_version": STORE_VERSION,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "modules": dict(code.modules),
        "packages": dict(code.packages),
        "inputs": {name: plain(value, name) for name, value in sorted(arguments.items())},
    }
    return digest_of(ingredients), ingredients


def digest_of(value: object) -> str:
    """Hash a value made of dicts, lists, text and numbers, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]


def plain(value: object, where: str) -> Any:
    """Turn an argument into JSON values that are equal exactly where the arguments are.

    Raises:
        TypeError: the value is none of str, int, float, bool, None, tuple, frozen pydantic
            model, Artifact.
    """
    if value is None or type(value) in (str, int, float, bool):
        return value
    if isinstance(value, Artifact):
        return {"artifact": dict(sorted(value.files.items()))}
    if type(value) is tuple:
        return {"tuple": [plain(item, f"{where}[{i}]") for i, item in enumerate(value)]}
    if isinstance(value, BaseModel) and value.model_config.get("frozen"):
        fields = type(value).model_fields
        return {name: plain(getattr(value, name), f"{where}.{name}") for name in fields}
    raise TypeError(
        f"Stage argument '{where}' must be str, int, float, bool, None, a tuple, a frozen "
        f"pydantic model or an Artifact, got {type(value).__name__}. Its hash could differ "
        "between processes. Turn it into one of these first."
    )


def _not_counted(module: str) -> bool:
    doors = module in ("flows", "tasks", "resnext")  # they set Prefect's defaults, or are a door
    return doors or f"{module}.".startswith(tuple(f"{name}." for name in NOT_COUNTED))


@cache
def _module(name: str) -> tuple[str, frozenset[str]]:
    """Give a module's digest, and the names of what it imports."""
    path = _source_of(name)
    if path is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    with _parsing:
        code = _Code(ast.parse(path.read_bytes()))
    digest = hashlib.sha256(code.text.encode("utf-8", "surrogatepass"))
    imports = {found for node in code.imports for found in _imported(node, name)}
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for pattern in code.carried_files:
        for carried in sorted(path.parent.glob(pattern)):
            if carried.suffix == ".py":
                below = carried.relative_to(path.parent).with_suffix("")
                imports.add(".".join([package, *below.parts]))
            elif carried.is_file():
                digest.update(carried.read_bytes())
    return digest.hexdigest()[:KEY_LENGTH], frozenset(imports)


@cache
def _source_of(name: str) -> Path | None:
    """Find a module's file by its name; to ask the import system would run what is above it."""
    top, *below = name.split(".")
    spec = importlib.util.find_spec(top)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        package = Path(folder).joinpath(*below)
        found = (package / "__init__.py", package.with_name(f"{package.name}.py"))
        for path in found[: 2 if below else 1]:
            if path.is_file():
                return path
    return None


class _Code:
    """A module's syntax tree as text, without messages; what it imports, and what it carries.

    One walk finds all three, since a run that finds everything cached spends much of its time here.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.imports: list[ast.Import | ast.ImportFrom] = []
        self.carried_files: tuple[str, ...] = ()
        self._parts: list[str] = []
        self._read(tree, message=False)
        self.text = " ".join(self._parts)

    def _read(self, value: object, message: bool) -> None:
        """Write down a node, a list of them or a plain value; of a message, all but its text."""
        if isinstance(value, ast.AST):
            self._read_node(value, message)
        elif isinstance(value, list):
            self._parts.append("[")
            for item in value:
                self._read(item, message)
            self._parts.append("]")
        else:
            self._parts.append(repr(value))

    def _read_node(self, node: ast.AST, message: bool) -> None:
        if isinstance(node, ast.Expr) and _is_text(node.value):
            return  # a docstring
        if message and (_is_text(node) or isinstance(node, ast.JoinedStr)):
            self._parts.append("text")
            return
        if isinstance(node, ast.Import | ast.ImportFrom):
            self.imports.append(node)
        elif isinstance(node, ast.Assign):
            self._note_carried(node)
        message = message or _begins_message(node)
        self._parts.append(type(node).__name__)
        for name in node._fields:
            if name != "ctx":  # follows from where the node stands
                self._read(getattr(node, name), message)

    def _note_carried(self, node: ast.Assign) -> None:
        if any(isinstance(t, ast.Name) and t.id == "CARRIED_FILES" for t in node.targets):
            self.carried_files = ast.literal_eval(node.value)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _begins_message(node: ast.AST) -> bool:
    """Tell whether the text below a node is read by a person alone."""
    if isinstance(node, ast.keyword):
        return node.arg == "description"
    if not isinstance(node, ast.Call):
        return isinstance(node, ast.Raise)
    function = node.func
    if not isinstance(function, ast.Attribute) or not isinstance(function.value, ast.Name):
        return False
    owner, name = function.value.id, function.attr
    return (owner in LOGGERS and name in LEVELS) or (owner, name) == ("warnings", "warn")


def _imported(node: ast.Import | ast.ImportFrom, module: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = node.module or ""
    if node.level:
        base = importlib.util.resolve_name("." * node.level + base, module.rpartition(".")[0])
    yield base
    if base.split(".")[0] in PROJECT:
        below = (f"{base}.{alias.name}" for alias in node.names)
        yield from (name for name in below if _source_of(name))


@cache
def _version_of(package: str) -> dict[str, str]:
    if package in (*PROJECT, *NOT_COUNTED) or package in sys.stdlib_module_names:
        return {}
    distribution = DISTRIBUTIONS.get(package, package)
    try:
        return {distribution: importlib.metadata.version(distribution)}
    except importlib.metadata.PackageNotFoundError:  # slow, so only for names of a new kind
        names = importlib.metadata.packages_distributions().get(package, [])
        return {name: importlib.metadata.version(name) for name in sorted(set(names))}
