"""The researcher's walk: every file, command and line of Python of the manual's page, as they stand there."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from tests.helpers.commands import Engram
from tests.helpers.pages import ShownOutput, shown_outputs, walk

PAGE = "docs/walks/researcher.md"
VARIES = re.compile(r"DQN|PPO|per second|^run |left out|^per ")  # by processor or by speed
SPEED = re.compile(r"\b\d\d+,\d\d\d$")  # steps per CPU-second, in the last column


@pytest.fixture
def study(clean_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder from which Python imports, on a terminal of 100 columns."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.syspath_prepend(clean_folder)
    monkeypatch.delitem(sys.modules, "maze", raising=False)
    return clean_folder


def check(outputs: list[ShownOutput], folder: Path) -> None:
    """Compare the lines that the page shows with those that were printed, but for what varies."""
    for expected, text in outputs:
        printed = text.replace(str(folder), "/home/me/study")
        lines = [_without_speed(line) for line in printed.splitlines()]
        assert lines
        for line in expected.splitlines():
            assert VARIES.search(line) or _without_speed(line) in lines, f"{line}\nis not in\n{printed}"


def _without_speed(line: str) -> str:
    return SPEED.sub("", " ".join(line.split()))


@pytest.mark.slow
def test_the_walk(study: Path, engram: Engram) -> None:
    """Where stable_baselines3 (extra bench) is installed, its run and the report beside ours too."""
    has_other = importlib.util.find_spec("stable_baselines3") is not None
    outputs = shown_outputs(PAGE, walk(PAGE, engram, optional=True))
    assert len(outputs) == 6 + has_other
    check(outputs, study)
    assert (study / "curves.pdf").read_bytes().startswith(b"%PDF")
    assert "\\begin{tabular}" in (study / "table.tex").read_text()
    assert (study / "table.md").read_text().count("\n| ") >= 5
    assert len((study / "seeds.csv").read_text().splitlines()) == 1 + 4 * 16
    assert "optimism 0.3" in (study / "report.html").read_text()
    assert (study / "policy.npz").stat().st_size > 500
    if has_other:
        assert "PPO" in outputs[-1].printed
        assert (study / "all.pdf").read_bytes().startswith(b"%PDF")
