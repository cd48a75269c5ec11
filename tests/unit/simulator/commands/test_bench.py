"""Tests of ``engram bench``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simulator.commands import bench
from tests.helpers.commands import Engram


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(bench, "FOLDER", tmp_path)
    return tmp_path


def test_measurements_run_by_name_or_all_together(folder: Path, engram: Engram) -> None:
    for name in ("two", "one_more", "_clock"):
        (folder / f"{name}.py").write_text(f"def main(json):\n    print('measuring')\n    return {{'{name}': json}}\n")
    done = engram("bench", "one-more", "--json")
    assert done.json == {"one_more": {"one_more": True}}
    assert done.err == "measuring\n"
    _, out, err = engram("bench")
    assert out == "measuring\nmeasuring\n"
    assert err == "measured: one_more, two\n"
    error = engram("bench", "tow", code=2).error
    assert error.startswith("unknown benchmark 'tow'; did you mean two? (there are one_more")


def test_a_measurement_without_its_file_is_refused_or_left_out(
    folder: Path, engram: Engram, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs = "NEEDS = {'ENGRAM_PICTURES': 'an idx file'}\n"
    (folder / "own.py").write_text(needs + "def main(json):\n    return 1\n")
    (folder / "two.py").write_text("def main(json):\n    return 2\n")
    assert engram("bench", "own", code=2).error == "ENGRAM_PICTURES is not set: expected the path of an idx file"
    done = engram("bench", "--json")
    assert done.json == {"two": 2}
    assert "own: left out, ENGRAM_PICTURES is not set" in done.err
    monkeypatch.setenv("ENGRAM_PICTURES", str(folder / "none"))
    assert "there is no file" in engram("bench", "own", code=2).error
    monkeypatch.setenv("ENGRAM_PICTURES", str(folder / "two.py"))
    assert engram("bench", "own", "--json").json == {"own": 1}


def test_outside_a_checkout_there_are_none(folder: Path, engram: Engram) -> None:
    assert engram("bench", code=2).err.endswith("expected engram bench to run from a checkout\n")


def test_a_stored_measurement_says_where_it_was_made(folder: Path, engram: Engram) -> None:
    (folder / "results").mkdir()
    (folder / "two.py").write_text("def main(json):\n    return {'speed': {'median': 2.0, 'low': 1.0, 'high': 3.0}}\n")
    engram("bench", "two", "--store", "--json")
    stored = json.loads((folder / "results" / "two.json").read_text())
    assert stored["command"] == "engram bench two"
    assert stored["measured"] == {"speed": {"median": 2.0, "low": 1.0, "high": 3.0}}
    assert stored["machine"]["cpu"]
    assert stored["versions"]["numpy"]
    assert "one benchmark" in engram("bench", "--store", code=2).err
