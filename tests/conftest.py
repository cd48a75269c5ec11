"""Shared fixtures. Hypothesis has no deadline, so that no test fails because a machine is slow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from simulator.commands import main
from tests.helpers.commands import CommandOutput, Engram, RunProcess
from tests.helpers.paths import ROOT

os.environ.pop("COLUMNS", None)  # tables have the width that a test asks for
settings.register_profile("engram", deadline=None)
settings.load_profile("engram")


@pytest.fixture
def engram(capsys: pytest.CaptureFixture[str]) -> Engram:
    """Call ``engram WORDS`` in this process, check its exit code, and return its output.

    ``code=None`` accepts any exit code. Output that was captured before the call is dropped.
    """

    def call(*words: str, code: int | None = 0) -> CommandOutput:
        capsys.readouterr()
        found = main.main(words)
        out, err = capsys.readouterr()
        assert code is None or found == code, f"engram {' '.join(words)}: exit code {found}, expected {code}\n{err}"
        return CommandOutput(found, out, err)

    return call


@pytest.fixture
def run_process() -> RunProcess:
    """Run ``python -m simulator WORDS`` in a process of its own; keywords are those of ``subprocess.run``."""

    def run(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "simulator", *words]
        defaults = {"capture_output": True, "text": True, "check": False, "timeout": 60, "env": env}
        return subprocess.run(command, **{**defaults, **options})  # type: ignore[call-overload, no-any-return]

    return run


@pytest.fixture
def clean_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, without ``ENGRAM_LAB`` and ``ENGRAM_DEBUG``; the lab is its ``./lab``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ENGRAM_LAB", raising=False)
    monkeypatch.delenv("ENGRAM_DEBUG", raising=False)
    return tmp_path
