import sys
import textwrap
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from tasks.stage import key as keys
from tasks.stage.artifact import Artifact


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
    assert "resnext.engine" in code.modules
    assert "resnext.model" in code.modules  # imported inside a function of zoo
    assert not [name for name in code.modules if name.startswith(("tasks.stage", "tasks.watch"))]
    assert "prefect" not in code.packages


def test_training_does_not_depend_on_reports() -> None:
    assert not [n for n in keys.fingerprint("tasks.train").modules if n.startswith("reports")]


@pytest.mark.parametrize("stage", ["evaluate", "plot", "report"])
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
