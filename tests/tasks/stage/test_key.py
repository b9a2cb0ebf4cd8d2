import ast
import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from tasks.stage import key as keys
from tasks.stage.artifact import Artifact

REPOSITORY = Path(__file__).resolve().parents[3]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)

    size: int = 1
    names: tuple[str, ...] = ()


class Open(BaseModel):
    size: int = 1


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An importable project package `pkg` with a.py -> b.py, the second inside a function."""
    folder = tmp_path / "pkg"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "a.py").write_text("import json\ndef f():\n    from pkg import b\n    return b.g()\n")
    (folder / "b.py").write_text("def g():\n    return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "pkg", raising=False)
    monkeypatch.setattr(keys, "PROJECT", frozenset({"pkg"}))
    return folder


def fingerprint_now(module: str = "pkg.a") -> keys.Fingerprint:
    for cached in (keys.fingerprint, keys._module, keys._source_of, keys._version_of):
        cached.cache_clear()
    return keys.fingerprint(module)


def test_a_module_imported_inside_a_function_counts(package: Path) -> None:
    before = fingerprint_now()
    assert set(before.modules) == {"pkg", "pkg.a", "pkg.b"}
    (package / "b.py").write_text("def g():\n    return 2\n")
    assert fingerprint_now() != before


def test_comments_docstrings_and_layout_do_not_count(package: Path) -> None:
    before = fingerprint_now()
    (package / "b.py").write_text(
        textwrap.dedent('''
            """A docstring."""
            # a comment
            def g():
                """Another."""

                return (1)
        ''')
    )
    assert fingerprint_now() == before


def test_a_string_that_is_no_docstring_counts(package: Path) -> None:
    (package / "b.py").write_text("def g():\n    return 'x'\n")
    before = fingerprint_now()
    (package / "b.py").write_text("def g():\n    return 'y'\n")
    assert fingerprint_now() != before


def test_a_carried_file_counts_by_its_bytes(package: Path) -> None:
    (package / "page.j2").write_text("one")
    (package / "b.py").write_text('CARRIED_FILES = ("page.j2",)\ndef g():\n    return 1\n')
    before = fingerprint_now()
    (package / "page.j2").write_text("two")
    assert fingerprint_now() != before


def test_carried_modules_count_as_if_they_were_imported(package: Path) -> None:
    (package / "found").mkdir()
    (package / "b.py").write_text('CARRIED_FILES = ("found/*.py",)\ndef g():\n    return 1\n')
    before = fingerprint_now()
    (package / "found" / "new.py").write_text("import pkg.c\n")
    (package / "c.py").write_text("X = 1\n")
    assert {"pkg.found.new", "pkg.c"} <= set(fingerprint_now().modules)
    assert fingerprint_now() != before


def test_relative_imports_are_followed(package: Path) -> None:
    (package / "a.py").write_text("from . import b\n")
    assert "pkg.b" in fingerprint_now().modules


def test_import_cycles_end(package: Path) -> None:
    (package / "b.py").write_text("import pkg.a\n")
    assert {"pkg.a", "pkg.b"} <= set(fingerprint_now().modules)


def test_packages_from_elsewhere_count_by_version(package: Path) -> None:
    (package / "b.py").write_text("from PIL import Image\nimport numpy.linalg\nimport os\n")
    packages = fingerprint_now().packages
    assert set(packages) == {"Pillow", "numpy"}
    assert packages["numpy"].count(".") == 2


def test_the_modules_that_only_keep_or_show_do_not_count() -> None:
    code = keys.fingerprint("tasks.train")
    assert "resnext.training.engine" in code.modules
    assert "resnext.models.resnext" in code.modules  # imported inside a function of architectures
    assert not [name for name in code.modules if name.startswith(("tasks.stage", "tasks.call"))]
    assert not {"tasks", "resnext"} & {*code.modules}, "defaults of Prefect, the library's door"
    assert not {"prefect"} & {*code.packages, *keys.fingerprint("tasks.predict").packages}


def test_training_does_not_depend_on_reports() -> None:
    assert not [n for n in keys.fingerprint("tasks.train").modules if n.startswith("reports")]


@pytest.mark.parametrize("stage", ["evaluate", "plot", "report", "shortcuts", "subgroups"])
def test_what_is_made_from_tables_reaches_no_torch(stage: str) -> None:
    assert "torch" not in keys.fingerprint(f"tasks.{stage}").packages


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 1.0), (1, True), (0, None), ("1", 1), ((1, 2), (2, 1)), ((), None), (("a",), "a")],
)
def test_unlike_arguments_have_unlike_keys(one: object, other: object) -> None:
    assert keys.digest_of(keys.plain(one, "x")) != keys.digest_of(keys.plain(other, "x"))


@pytest.mark.parametrize(
    "value", [[1], {"a": 1}, {1}, Path("x"), Open(), object(), (1, [2]), b"x", len]
)
def test_arguments_whose_hash_could_differ_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match=r"Stage argument 'x.* must be str, int, float"):
        keys.plain(value, "x")


def test_an_artifact_counts_by_its_digests_not_its_place() -> None:
    here = Artifact(stage="scan", key="k", folder=Path("/here"), files={"a": "1", "b": "2"})
    there = Artifact(stage="scan", key="l", folder=Path("/there"), files={"b": "2", "a": "1"})
    assert keys.plain(here, "x") == keys.plain(there, "x")
    assert keys.plain(here.only(["a"]), "x") != keys.plain(here, "x")


def test_a_model_counts_by_all_its_fields() -> None:
    assert keys.plain(Frozen(names=("a",)), "x") == {"size": 1, "names": {"tuple": ["a"]}}


MESSAGES = '''
import logging, warnings
log = logging.getLogger(__name__)
class Settings(BaseModel):
    """WORDS"""
    size: int = Field(1, description="WORDS")
    """WORDS"""
def f(x):
    if x:
        raise ValueError(f"WORDS {x}" "WORDS" + plural(x, "WORDS")) from None
    log.warning("WORDS %d", x, extra={"plain": True})
    logging.getLogger("a").info(x)
    warnings.warn("WORDS", UserWarning, stacklevel=2)
    return "a"
'''


def test_messages_do_not_count(package: Path) -> None:
    (package / "b.py").write_text(MESSAGES)
    before = fingerprint_now()
    (package / "b.py").write_text(MESSAGES.replace("WORDS", "other words"))
    assert fingerprint_now() == before
    (package / "b.py").write_text(MESSAGES.replace('f"WORDS {x}" "WORDS"', '"none of them"'))
    assert fingerprint_now() == before, "what an f-string puts in is part of the text"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('return "a"', 'return "b"'),
        ('getLogger("a")', 'getLogger("b")'),
        ("ValueError", "TypeError"),
        ("if x:", "if not x:"),
        ("from None", ""),
        ("Field(1", "Field(2"),
        ("UserWarning", "DeprecationWarning"),
    ],
)
def test_all_but_the_text_of_a_message_counts(package: Path, before: str, after: str) -> None:
    (package / "b.py").write_text(MESSAGES)
    first = fingerprint_now()
    (package / "b.py").write_text(MESSAGES.replace(before, after))
    assert fingerprint_now() != first


@pytest.mark.parametrize(
    "text",
    [
        "write(text='{}')",
        "table['{}'] = 1",
        "path.log('{}')",
        "log.append('{}')",
        "warnings.simplefilter('{}')",
        "x = f'{}'",
        "TEXT = '{}'\nraise ValueError(TEXT)",
        "assert x, '{}'",
    ],
)
def test_text_anywhere_else_counts(package: Path, text: str) -> None:
    (package / "b.py").write_text(text.format("one"))
    before = fingerprint_now()
    (package / "b.py").write_text(text.format("two"))
    assert fingerprint_now() != before


STAGES = "scan split pack train predict evaluate explain plot audit report decide drift compare"
STAGES += " size"


class Reworded(ast.NodeTransformer):
    """Reword what a person reads, and nothing else."""

    changed = False

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        return self._reword(node) if isinstance(node.value, ast.Constant) else self._below(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return self._reword(node)

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        return self._reword(node) if node.arg == "description" else self._below(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        told = ast.unparse(node.func).startswith(("log.", "logging.info", "warnings.warn"))
        return self._reword(node) if told else self._below(node)

    def _below(self, node: ast.AST) -> ast.AST:
        return self.generic_visit(node)

    def _reword(self, node: ast.AST) -> ast.AST:
        for below in ast.walk(node):
            for name, value in ast.iter_fields(below):
                values = value if isinstance(value, list) else [value]
                fresh = [self._fresh(each) for each in values]
                setattr(below, name, fresh if isinstance(value, list) else fresh[0])
        return node

    def _fresh(self, value: Any) -> Any:
        text = isinstance(value, ast.Constant) and isinstance(value.value, str)
        if not text and not isinstance(value, ast.JoinedStr):
            return value
        self.changed = True
        return ast.Constant("said in other words")


def copy_of_the_code(root: Path) -> Path:
    for name in ("tasks", "resnext", "reports", "flows"):
        shutil.copytree(REPOSITORY / name, root / name)
    return root


def keys_of_stages(code: Path) -> dict[str, dict[str, str]]:
    """Give the digests of the modules behind each stage of a copy of the code."""
    program = (
        "import json; from tasks.stage.key import fingerprint; print(json.dumps("
        f"{{s: dict(fingerprint('tasks.' + s).modules) for s in '{STAGES}'.split()}}))"
    )
    environment = {**os.environ, "PYTHONPATH": str(code)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=code, env=environment, capture_output=True, check=True
    )
    found: dict[str, dict[str, str]] = json.loads(done.stdout)
    return found


def test_rewording_every_message_of_the_program_changes_no_key(tmp_path: Path) -> None:
    code = copy_of_the_code(tmp_path)
    before = keys_of_stages(code)
    reworded = set()
    for path in code.rglob("*.py"):
        transform = Reworded()
        tree = transform.visit(ast.parse(path.read_text()))
        if transform.changed and path.parent.name != "stage":
            reworded.add(".".join(path.relative_to(code).with_suffix("").parts))
            path.write_text(ast.unparse(ast.fix_missing_locations(tree)))
    assert len(reworded & before["train"].keys()) >= 20, "nearly all modules of train hold messages"
    assert keys_of_stages(code) == before


def test_a_text_that_is_written_to_a_file_changes_the_keys_of_its_stages(tmp_path: Path) -> None:
    code = copy_of_the_code(tmp_path)
    before = keys_of_stages(code)
    for name, text, other in (
        ("resnext/inference/tables.py", 'status="ok"', 'status="good"'),
        (
            "resnext/data/decoding/decode.py",
            "It was removed while",
            "It vanished while",
        ),  # in explained.json
    ):
        path = code / name
        assert text in path.read_text()
        path.write_text(path.read_text().replace(text, other))
    after = keys_of_stages(code)
    assert (
        after["predict"]["resnext.inference.tables"]
        != before["predict"]["resnext.inference.tables"]
    )
    assert (
        after["explain"]["resnext.data.decoding.decode"]
        != before["explain"]["resnext.data.decoding.decode"]
    )
    assert after["evaluate"] == before["evaluate"]


MAY_WRITE_DOWN_ERRORS = {
    "resnext/inference/explain.py",  # of read_scanned, whose two texts are constants: they count
    "resnext/data/manifest/reading.py",  # of a scan, whose key is a digest of all that came out
    "resnext/data/manifest/listing.py",  # the same
    "resnext/contracts/tables.py",  # reads pandas' text, and writes none
    "resnext/__main__.py",  # a program, which prints it
    "resnext/models/download.py",  # says in another error why a file can't be fetched
    "resnext/data/decoding/decode.py",  # reads Pillow's text, and writes none
    "resnext/training/ranks.py",  # reads torch's text, and writes none
}


def test_the_text_of_an_error_goes_into_no_file_unseen() -> None:
    """Text in `raise` counts in no key, so that no stage may write it into its files."""
    found = set()
    for room in ("resnext", "reports"):
        for path in (REPOSITORY / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ExceptHandler) and used_beyond_messages(node):
                    found.add(path.relative_to(REPOSITORY).as_posix())
    assert found <= MAY_WRITE_DOWN_ERRORS


def used_beyond_messages(handler: ast.ExceptHandler) -> bool:
    """Tell whether a caught error is used for more than another error, a log line or its type."""
    told = {
        id(name)
        for node in ast.walk(handler)
        if isinstance(node, ast.Raise)
        or (isinstance(node, ast.Call) and ast.unparse(node.func).startswith(("log.", "type")))
        for name in ast.walk(node)
    }
    names = (node for each in handler.body for node in ast.walk(each))
    return any(
        isinstance(node, ast.Name) and node.id == handler.name and id(node) not in told
        for node in names
    )
