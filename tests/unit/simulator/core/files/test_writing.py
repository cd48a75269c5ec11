"""Tests of writing: only files that Engram wrote are replaced, and nothing is written into a lab."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import api
from simulator.core.experiment_kinds import RECALL, TOURNAMENT
from simulator.core.files import writing
from simulator.core.files.writing import is_ours, replacing, sealed, write_file
from simulator.reporting import plot
from simulator.reporting.html_page import write_page
from simulator.store.database import create
from tests.helpers.tournament_summaries import summary

SMALL = summary(("a", "b"), ("rooms",), points=2)
TINY = b"\x89PNG\r\n\x1a\n" + bytes.fromhex("0000000d4948445200000001000000010800000000 3a7e9b55".replace(" ", ""))
TINY += bytes.fromhex("0000000a49444154789c63600000000200014 8afa471".replace(" ", "")) + writing._PNG_END
CAST = b'{"version": 2, "width": 80, "height": 24}\n[0, "o", "a"]\n[2.5, "o", "b"]\n'
ENDINGS = {
    **{".html": b"<html>", ".svg": b"<svg/>", ".pdf": b"%PDF-1.4\n%%EOF\n", ".png": TINY, ".apng": TINY},
    **{".gif": b"GIF89a\n;", ".mp4": b"\0\0\0\x09free\n", ".cast": CAST},
}


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    folder = tmp_path / "Lab"
    (folder / "runs" / "r1").mkdir(parents=True)
    create(folder / writing.LAB)
    return folder


@pytest.mark.parametrize("ending", ENDINGS)
def test_engrams_files_are_recognised_until_a_byte_changes(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    for data in (ENDINGS[ending], ENDINGS[ending].replace(b"\n", b"\r\n", 1)):
        write_file(path, data)
        assert is_ours(path)
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert not is_ours(path), at
    for other in (whole[:-1], whole + b"x", whole[1:], b"x" + whole, b""):
        path.write_bytes(other)
        assert not is_ours(path)


def test_the_seal_of_a_cast_is_an_event_at_its_end(tmp_path):
    path = tmp_path / "a.cast"
    write_file(path, CAST)
    *_, last = map(json.loads, path.read_text().splitlines())
    assert last[:2] == [2.5, "m"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_written_in_parts_is_that_written_at_once(tmp_path, ending):
    data = ENDINGS[ending]
    with replacing(tmp_path / f"a{ending}") as file:
        file.write(data[:3])
        file.write(data[3:])
    assert (tmp_path / f"a{ending}").read_bytes() == sealed(data, ending)


def test_a_file_that_is_not_finished_is_not_there(tmp_path):
    def interrupted():
        with replacing(tmp_path / "a.gif") as file:
            file.write(b"GIF89a")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


@given(st.binary(max_size=300), st.sampled_from([".html", ".svg", ".pdf", ".txt", ""]))
def test_a_checksum_follows_the_written_bytes(data, ending):
    whole = sealed(data, ending)
    assert whole.startswith(data)
    assert (whole == data) == (ending in (".txt", ""))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["html", "svg", "png", "pdf", "curves"])
def test_every_figure_and_page_is_complete_and_reproducible(tmp_path, kind):
    found = []
    for at in range(2):
        path = tmp_path / f"{at}.{'svg' if kind == 'curves' else kind}"
        _draw(kind, path)
        assert is_ours(path)
        found.append(path.read_bytes())
    assert found[0] == found[1]
    if kind == "png":
        from PIL import Image

        with Image.open(tmp_path / "0.png") as image:
            image.load()
    if kind in ("svg", "curves"):
        from xml.etree import ElementTree

        ElementTree.fromstring(found[0])


@pytest.mark.parametrize("kind", ["html", "svg", "png", "pdf", "curves"])
def test_a_foreign_file_is_replaced_only_with_force(tmp_path, kind):
    path = tmp_path / f"mine.{'svg' if kind == 'curves' else kind}"
    path.write_text("mine")
    with pytest.raises(ValueError, match=r"already exists, .* or --force to replace it"):
        _draw(kind, path)
    assert path.read_text() == "mine"
    _draw(kind, path, force=True)
    assert is_ours(path)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def _tricks(lab: Path, outside: Path) -> dict[str, Path]:
    """Return paths that lead into a lab, to its database or to an irregular file."""
    database = lab / writing.LAB
    (outside / "link.html").symlink_to(database)
    (outside / "dangling.html").symlink_to(lab / "runs" / "new.html")
    (outside / "folder").symlink_to(lab / "runs")
    os.link(database, outside / "hard.html")
    os.mkfifo(outside / "pipe.html")
    (outside / "dir.html").mkdir()
    (outside / "loop.html").symlink_to(outside / "loop.html")
    server = socket.socket(socket.AF_UNIX)
    server.bind(os.path.relpath(outside / "s.html"))
    server.close()
    return {
        "database": database,
        "log": lab / f"{writing.LAB}-wal",
        "inside": lab / "lock",
        "deep": lab / "runs" / "r1" / "page.html",
        "relative": outside / ".." / lab.name / "checked",
        "missing folder": lab / "a" / "b" / "page.html",
        "symbolic link": outside / "link.html",
        "dangling link": outside / "dangling.html",
        "linked folder": outside / "folder" / "page.html",
        "hard link": outside / "hard.html",
        "pipe": outside / "pipe.html",
        "folder": outside / "dir.html",
        "loop": outside / "loop.html",
        "socket": outside / "s.html",
        "device": Path("/dev/null"),
        "null byte": outside / "a\0.html",
    }


TRICKS = ("database", "log", "inside", "deep", "relative", "missing folder", "symbolic link", "dangling link")
TRICKS += ("linked folder", "hard link", "pipe", "folder", "loop", "socket", "device", "null byte")


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("trick", TRICKS)
def test_no_path_leads_into_a_lab_or_over_an_irregular_file(lab, tmp_path, monkeypatch, trick, force):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outside").mkdir()
    place = _tricks(lab, tmp_path / "outside")[trick]
    before = {each: each.lstat().st_mtime_ns for each in tmp_path.rglob("*")}
    data = (lab / writing.LAB).read_bytes()
    with pytest.raises(ValueError, match="expected a") as error:
        write_page(SMALL, place, force=force)
    assert "\n" not in str(error.value)
    assert (lab / writing.LAB).read_bytes() == data
    assert {each: each.lstat().st_mtime_ns for each in tmp_path.rglob("*")} == before


def test_a_lab_that_lost_its_database_is_a_lab(lab):
    log = lab / f"{writing.LAB}-wal"
    (lab / writing.LAB).rename(log)
    for place in (lab / "lock", lab / f"{writing.LAB}-shm", lab / "runs" / "r1" / "page.html"):
        with pytest.raises(ValueError, match="it is inside the lab"):
            write_page(SMALL, place, force=True)
    log.unlink()
    write_page(SMALL, lab / "page.html")


def test_a_link_to_a_page_of_ours_leads_to_the_page_that_is_written(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link.html").symlink_to(tmp_path / "there" / "page.html")
    write_page(SMALL, tmp_path / "link.html")
    write_page(SMALL, tmp_path / "link.html")
    assert (tmp_path / "link.html").is_symlink()
    assert is_ours(tmp_path / "there" / "page.html")


@pytest.mark.slow
def test_a_foreign_file_in_a_lab_is_not_replaced(lab):
    write_page(SMALL, lab / "t1.html", in_lab=True)
    write_page(SMALL, lab / "t1.html", in_lab=True)
    (lab / "t2.html").write_text("mine")
    with pytest.raises(ValueError, match="already exists"):
        write_page(SMALL, lab / "t2.html", in_lab=True)


@pytest.mark.parametrize("moment", ["fsync", "link"])
def test_a_file_that_comes_to_be_there_meanwhile_is_not_replaced(tmp_path, monkeypatch, moment):
    path, real = tmp_path / "a.html", getattr(os, moment)

    def late(*given: object) -> None:
        path.write_text("mine")
        real(*given)

    monkeypatch.setattr(os, moment, late)
    with pytest.raises(ValueError, match=r"already exists|it has been created meanwhile"):
        write_file(path, b"<html>")
    assert path.read_text() == "mine"
    assert [each.name for each in tmp_path.iterdir()] == ["a.html"]


def test_a_file_system_without_hard_links_is_written_to_all_the_same(tmp_path, monkeypatch):
    def refuse(*given: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    write_file(tmp_path / "a.html", b"<html>")
    assert is_ours(tmp_path / "a.html")
    assert [each.name for each in tmp_path.iterdir()] == ["a.html"]


def test_a_full_disk_leaves_the_old_page_and_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "a.html"
    write_file(path, b"<html>")
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ValueError, match=r"cannot be written \(No space left on device\)"):
        write_file(path, b"<html>new")
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["a.html"]


def test_permissions_of_the_page_that_is_replaced_stay(tmp_path):
    path = tmp_path / "a.html"
    write_file(path, b"<html>")
    path.chmod(0o640)
    write_file(path, b"<html>")
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_trainer_is_saved_over_a_trainer_and_over_nothing_else(tmp_path):
    trainer = api.Trainer("td", "rooms")
    trainer.save(tmp_path / "a.safetensors")
    trainer.learn(10)
    trainer.save(tmp_path / "a.safetensors")
    assert api.Trainer.load(tmp_path / "a.safetensors").num_timesteps == 10
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "mine.partial").write_text("mine too")
    with pytest.raises(ValueError, match="already exists"):
        trainer.save(tmp_path / "mine")
    trainer.save(tmp_path / "mine", force=True)
    assert (tmp_path / "mine.partial").read_text() == "mine too"
    assert api.Trainer.load(tmp_path / "mine").num_timesteps == 10


def test_an_example_is_written_into_no_lab_and_over_no_file_without_force(lab, tmp_path, engram, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text("mine")
    for words in (["mine.toml"], [str(lab / "runs" / "new.toml")], [str(lab / "runs" / "new.toml"), "--force"]):
        assert engram("tournament", "--init", *words, code=2).err.count("\n") == 1
    assert (tmp_path / "mine.toml").read_text() == "mine"
    engram("tournament", "--init", "mine.toml", "--force")
    assert (tmp_path / "mine.toml").read_text().startswith("#")


def _draw(kind: str, path: Path, force: bool = False) -> None:
    if kind == "html":
        write_page(SMALL, path, force=force)
    elif kind == "curves":
        plot.draw(plot.drawing_of(RECALL, CURVES), path, force=force)
    else:
        plot.draw(plot.drawing_of(TOURNAMENT, SMALL, ["tiers"]), path, force=force)


def _cell(load: int, name: str) -> dict[str, object]:
    score = {"mean": 0.5, "low": None, "high": None}
    return {
        "patterns": load,
        "corruption": "flip:0.1",
        "memory": name,
        "overlap": score,
        "exact": score,
        "ceiling": {"overlap": 1.0, "exact": 1.0},
        "failed": [],
    }


NAMES = ["_a", "$x_{$", "b\x1b"]
CURVES = {"run": "r1", "challenge": "digits", "seeds": [0, 1], "contestants": NAMES}
CURVES |= {"cells": [_cell(load, name) for load in (5, 10) for name in NAMES]}
