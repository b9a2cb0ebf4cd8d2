from pathlib import Path

import pytest

from tests.resnext.data.samples import cats_and_dogs


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two classes with two good images each."""
    return cats_and_dogs(tmp_path / "data")
