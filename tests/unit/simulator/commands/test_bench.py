from __future__ import annotations

import json
from pathlib import Path

import pytest

from simulator.commands import bench, main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(bench, "FOLDER", tmp_path)
    return tmp_path


def test_measurements_run_by_name_or_all_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("two", "one_more", "_clock"):
        (folder / f"{name}.py").write_text(f"def main(json):\n    print('measuring')\n    return {{'{name}': json}}\n")
    assert main.main(["bench", "one-more", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"one_more": {"one_more": True}}
    assert err == "measuring\n"
    assert main.main(["bench"]) == 0
    out, err = capsys.readouterr()
    assert out == "measuring\nmeasuring\n"
    assert err == "measured: one_more, two\n"
    assert main.main(["bench", "tow"]) == 2
    assert capsys.readouterr().err.startswith("engram: unknown benchmark 'tow'; did you mean two? (there are one_more")


def test_outside_a_checkout_there_are_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["bench"]) == 2
    assert capsys.readouterr().err.endswith("expected engram bench to run from a checkout\n")
