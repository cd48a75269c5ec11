"""Labs with two runs, for tests of damaged files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.system.storing import two_runs


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a lab with two runs; tests must leave it unchanged."""
    return two_runs(tmp_path_factory.mktemp("original") / "lab")


@pytest.fixture
def lab(original: Path, tmp_path: Path) -> Path:
    """Copy that lab."""
    return Path(shutil.copytree(original, tmp_path / "lab"))
