"""Tests of ``engram doctor``."""

from __future__ import annotations

import tempfile
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from simulator.commands import doctor
from simulator.core import registry
from tests.helpers.commands import Engram


def finding(report: dict[str, object], name: str) -> dict[str, str]:
    return next(each for each in report["checks"] if each["name"] == name)  # type: ignore[attr-defined]


def installed(monkeypatch: pytest.MonkeyPatch, **versions: str | None) -> None:
    """Pretend that these versions are installed; None: not installed."""
    real = doctor.version
    known = {name.replace("_", "-"): found for name, found in versions.items()}

    def version(name: str) -> str:
        found = known[name] if name in known else real(name)
        if found is None:
            raise PackageNotFoundError(name)
        return found

    monkeypatch.setattr(doctor, "version", version)


def test_a_working_installation_passes(tmp_path: Path, engram: Engram) -> None:
    report = engram("doctor", "--lab", str(tmp_path / "lab"), "--json").json
    assert report["ok"]
    assert {"python", "numpy", "torch", "pygame", "cores", "compiled code", "lab", "display"} <= {
        each["name"] for each in report["checks"]
    }
    assert not (tmp_path / "lab").exists()
    assert engram("doctor", "--lab", str(tmp_path)).out.endswith("all requirements are met\n")


def test_the_old_pygame_beside_the_new_one_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, pygame="2.6.1", pygame_ce="2.5.8")
    report = doctor.examine(str(tmp_path))
    assert not report["ok"]
    assert finding(report, "pygame")["found"] == "pygame 2.6.1 and pygame-ce 2.5.8 overwrite each other"
    installed(monkeypatch, pygame="2.6.1", pygame_ce=None)
    assert finding(doctor.examine(str(tmp_path)), "pygame")["status"] == "bad"


def test_missing_libraries_are_bad_and_newer_ones_are_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "constraints.txt").write_text("# pins\nnumpy==1.0\nTomli_W==1.2.0  # same\ntorch==2.13.0\n")
    monkeypatch.setattr(registry, "ROOT", tmp_path)
    installed(monkeypatch, rich=None, numpy="2.4.6", tomli_w="1.2.0", torch="2.13.0+cpu")
    report = doctor.examine(str(tmp_path))
    assert finding(report, "rich") == {
        "name": "rich",
        "status": "bad",
        "found": "not installed",
        "advice": "pip install rich",
    }
    assert finding(report, "numpy")["advice"] == "constraints.txt has 1.0"
    assert finding(report, "numpy")["status"] == "note"
    assert finding(report, "tomli-w")["status"] == finding(report, "torch")["status"] == "ok"
    assert not report["ok"]


def test_a_lab_that_cannot_be_written_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engram: Engram) -> None:
    make = tempfile.TemporaryFile

    def refuse(dir: Path) -> object:
        if dir == tmp_path:
            raise PermissionError(13, "Permission denied")
        return make(dir=dir)

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    out = engram("doctor", "--lab", str(tmp_path / "lab"), code=1).out
    assert "lab cannot be written" in out
    assert out.endswith("1 of these must be fixed\n")


def test_writing_is_tried_where_the_folder_would_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = {name: finding(doctor.examine(str(tmp_path / name)), "lab")["found"] for name in ("a/b", "file")}
    assert "not made yet" in found["a/b"]
    assert "cannot be written" in found["file"]
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_deep_checks_every_player(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_torch_deep", lambda: doctor.HealthCheck("torch device", "ok", "not asked"))
    report = doctor.examine(str(tmp_path), deep=True)
    n = len(registry.names("agents"))
    assert finding(report, "agents")["found"] == f"{n} of {n} can be used"
    monkeypatch.setattr(registry, "names", lambda kind: ("q_learning", "nobody"))
    found = finding(doctor.examine(str(tmp_path), deep=True), "agents")
    assert (found["status"], found["found"]) == ("bad", "1 of 2 can be used")
    assert "unknown agent 'nobody'" in found["advice"]
