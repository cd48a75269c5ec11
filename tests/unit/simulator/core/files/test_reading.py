"""Tests of reading untrusted files: irregular, too large or inconsistent files are refused before they are read."""

from __future__ import annotations

import gzip
import os
import socket
import struct
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import td
from agents.td import given_policy
from envs.common.gridworld import graph_file
from envs.common.gridworld.map_file import load as load_map
from envs.patterns.idx import read_idx
from envs.patterns.images import read_pictures
from envs.rooms import Config, files
from simulator import api
from simulator.commands import main
from simulator.config import match as matches
from simulator.config import recall
from simulator.config import run as config
from simulator.config.codec import assemble, read, settings_hash
from simulator.config.tournament import preset
from simulator.core.files.reading import (
    LIMIT,
    UnreadableError,
    is_path,
    names_file,
    open_file,
    read_bytes,
    read_npy,
    read_text,
)
from simulator.external.recordings import read_recording

READERS: dict[str, Callable[[Path], object]] = {
    "settings": read,
    "preset of a run": lambda path: main.main(["run", "--preset", str(path)]) == 2 and _refuse(path),
    "preset of a tournament": lambda path: preset(str(path)),
    "map": load_map,
    "rooms": graph_file.load,
    "layout": lambda path: Config(layout=str(path)) and load_map(path),
    "idx": lambda path: read_idx(path, 3),
    "numbers": read_npy,
    "pictures": lambda path: read_pictures(str(path)),
    "policy": lambda path: given_policy(None, str(path), 0.9, np.ones((1, 2)), 3),  # type: ignore[arg-type]
    "recording": read_recording,
    "trainer": api.Trainer.load,
    "bytes": read_bytes,
}


def _refuse(path: Path) -> None:
    read_text(path)


def _fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def _socket(path: Path) -> Path:
    server = socket.socket(socket.AF_UNIX)
    server.bind(os.path.relpath(path))
    server.close()
    return path


def _link(path: Path) -> Path:
    path.symlink_to("/dev/zero")
    return path


ODD = {
    "pipe": _fifo,
    "socket": _socket,
    "device": lambda path: Path("/dev/zero"),
    "link to a device": _link,
    "nothing": lambda path: path,
    "null byte": lambda path: Path("a\0b.toml"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("odd", ODD)
@pytest.mark.timeout(20)
def test_irregular_files_are_refused_at_once(tmp_path, monkeypatch, capsys, reader, odd):
    monkeypatch.chdir(tmp_path)
    place = ODD[odd](tmp_path / "x.toml")
    with pytest.raises(ValueError, match="expected") as error:
        READERS[reader](place)
    assert "\n" not in str(error.value)
    assert "\0" not in str(error.value)


@pytest.mark.parametrize("reader", READERS)
def test_a_folder_is_refused_as_one(tmp_path, reader):
    (tmp_path / "x.toml").mkdir()
    with pytest.raises(ValueError, match=r"a folder|found no images"):
        READERS[reader](tmp_path / "x.toml")


@pytest.mark.parametrize("reader", [name for name in READERS if name != "trainer"])
def test_too_large_files_are_refused_unread_with_the_option_that_allows_them(tmp_path, monkeypatch, reader):
    path = tmp_path / "x.toml"
    with path.open("wb") as file:
        file.truncate(3 << 30)
    tracemalloc.start()
    with pytest.raises(UnreadableError, match=rf"expected at most [\d,]+ \(--max-file-mb or {LIMIT} sets the limit\)"):
        (read_npy if reader == "pictures" else READERS[reader])(_with_head(path) if reader == "idx" else path)
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def _with_head(path: Path) -> Path:
    with path.open("r+b") as file:
        file.write(_idx_head(1 << 16, 1 << 8, (3 << 30) // (1 << 24)))
    return path


def test_the_limit_is_raised_and_lowered_by_a_setting(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_bytes(b"#" * (5 << 20))
    with pytest.raises(UnreadableError, match=r"5,242,880 bytes, expected at most 4,194,304"):
        read_text(path)
    monkeypatch.setenv(LIMIT, "6")
    assert len(read_text(path)) == 5 << 20
    monkeypatch.setenv(LIMIT, "0.5")
    with pytest.raises(UnreadableError, match="expected at most 524,288"):
        read_bytes(path)
    for wrong in ("no", "0", "-1", "nan", "inf"):
        monkeypatch.setenv(LIMIT, wrong)
        with pytest.raises(ValueError, match=f"{LIMIT} = '{wrong}': expected a number of megabytes above 0"):
            read_bytes(path)


def test_the_limit_is_an_option_of_every_command(tmp_path, monkeypatch, engram):
    monkeypatch.setenv(LIMIT, "")
    path = tmp_path / "run.toml"
    path.write_text("#" * (5 << 20) + '\nsteps = 3\nseeds = 1\nagent.name = "td"\nenv.name = "rooms"\n')
    words = ["run", "--config", str(path), "--lab", str(tmp_path / "l"), "--json"]
    assert "--max-file-mb" in engram(*words, code=2).err
    engram(*words, "--max-file-mb", "6")
    engram(*words, "--max-file-mb", "0", code=2)
    commands = map(main.command_of, main.COMMANDS)
    assert all("max_file_mb" in {each.name for each in command.known()} for command in commands)


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_bytes(b"#" * 100)
    real = os.fstat

    def grown(handle: int) -> os.stat_result:
        found = real(handle)
        with path.open("ab") as file:
            file.write(b"#")
        return found

    monkeypatch.setattr(os, "fstat", grown)
    with pytest.raises(UnreadableError, match="it grows while it is read"):
        read_bytes(path)


def test_a_pipe_that_takes_a_files_place_is_not_waited_for(tmp_path, monkeypatch):
    path, real = tmp_path / "x", os.stat
    path.write_text("here")

    def late(place: object, **more: object) -> os.stat_result:
        found = real(place, **more)  # type: ignore[arg-type]
        if place == path:
            path.unlink()
            os.mkfifo(path)
        return found

    monkeypatch.setattr(os, "stat", late)
    with pytest.raises(UnreadableError, match="it is a pipe"):
        open_file(path)


# ---------------------------------------------------------------------------------------------------- heads that lie


def _idx_head(*shape: int) -> bytes:
    return struct.pack(">BBBB", 0, 0, 8, len(shape)) + struct.pack(f">{len(shape)}I", *shape)


def test_an_idx_file_that_unpacks_to_more_than_allowed_is_refused_before_it_does(tmp_path, monkeypatch):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(_idx_head(2048, 32, 32) + bytes(2 << 20)))
    assert read_idx(path, 3).shape == (2048, 32, 32)
    monkeypatch.setenv(LIMIT, "1")
    tracemalloc.start()
    with pytest.raises(UnreadableError, match="2,097,152 bytes, 2048 x 32 x 32 as its head declares, expected at most"):
        read_idx(path, 3)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("shape", [(1 << 20, 1 << 10, 1), (1 << 31, 1 << 31, 9), (0, 3, 3), (2, 2, 2)])
def test_an_idx_file_whose_head_lies_is_refused(tmp_path, shape):
    for pack in (bytes, gzip.compress):
        path = tmp_path / "x"
        path.write_bytes(pack(_idx_head(*shape) + bytes(9)))
        with pytest.raises(ValueError, match=r"after the head, expected \d+ x \d+ x \d+"):
            read_idx(path, 3)


def _npy(head: bytes, body: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    size = struct.pack("<H" if version == b"\x01\x00" else "<I", len(head))
    return b"\x93NUMPY" + version + size + head + body


BROKEN = {
    "cut": b"\x93NUMPY\x01\x00\x36\x00{'descr': '<f8', 'fortran_order': False, 'shape': (12, 6, \n",
    "no dict": _npy(b"[1]\n"),
    "code": _npy(b"__import__('os').system('true')\n"),
    "null": _npy(b"\0" * 20),
    "deep": _npy(b"(" * 5000),
    "long": _npy(b" " * 60000),
    "no type": _npy(b"{'descr': 'what', 'fortran_order': False, 'shape': (1,)}\n"),
    "record": _npy(b"{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}\n", bytes(8)),
    "object": _npy(b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\n", bytes(8)),
    "too much": _npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}\n", bytes(8)),
    "beyond": _npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775808, 4)}\n", bytes(8)),
    "negative": _npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -1)}\n", bytes(8)),
    "bool": _npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': True}\n", bytes(8)),
    "true": _npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (True,)}\n", bytes(8)),
    "false": _npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (False,)}\n"),
    "huge beside none": _npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (0, %d)}\n" % 10**32),
    "large beside none": _npy(b"{'descr': '<f8', 'fortran_order': True, 'shape': (0, %d, 4)}\n" % 2**62),
    "70 dimensions": _npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (%s)}\n" % (b"1," * 70), bytes(8)),
    "many dimensions": _npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (%s)}\n" % (b"9," * 4000)),
    "many digits": _npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (%s,)}\n" % (b"9" * 4000)),
    "too little": _npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}\n", bytes(9)),
    "version 9": _npy(b"{}\n", version=b"\x09\x00"),
    "latin": _npy(b"{'descr': '\xff', 'fortran_order': False, 'shape': (1,)}\n", bytes(8), b"\x03\x00"),
    "zip": b"PK\x03\x04" + bytes(40),
    "empty": b"",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_array_is_one_line(tmp_path, name, engram):
    path = tmp_path / "x.npy"
    path.write_bytes(BROKEN[name])
    words = ["recall", "nearest_neighbor", "images", "--challenge.path", str(path), "--lab", str(tmp_path / "l")]
    said = engram(*words, code=2).err
    assert said.count("\n") == 1
    assert len(said) < 500
    assert "x.npy: " in said
    with pytest.raises(UnreadableError, match=r"x\.npy: .*, expected .*numbers"):
        read_npy(path)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_array_is_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged.npy"
    np.save(path, np.arange(12.0).reshape(3, 4))
    page = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        page[data.draw(st.integers(0, len(page) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(page[: data.draw(st.integers(0, len(page)))])
    try:
        assert read_npy(path).nbytes == 96
    except UnreadableError as error:
        said = str(error)
    else:
        said = ""
    assert "\n" not in said


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(), (0,), (3, 4), (2, 3, 4)])
@pytest.mark.parametrize("dtype", ["<f8", ">f4", "|u1", "|b1", "<i2"])
def test_intact_arrays_are_read_as_numpy_reads_them(tmp_path, order, shape, dtype):
    array = np.asarray(np.arange(np.prod(shape, dtype=int)).reshape(shape) % 2, dtype, order)
    np.save(tmp_path / "x.npy", array)
    found = read_npy(tmp_path / "x.npy")
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype


@pytest.mark.parametrize("length", [100_000, 300_000])
def test_an_array_that_shrinks_or_grows_while_it_is_read_is_refused(tmp_path, monkeypatch, length):
    path, real, seen = tmp_path / "x.npy", os.fstat, list[int]()
    np.save(path, np.zeros(25_000))

    def changed(handle: int) -> os.stat_result:
        found = real(handle)
        seen.append(found.st_size)
        if len(seen) == 2:  # its head was held against its size
            os.truncate(path, length)
        return found

    monkeypatch.setattr(os, "fstat", changed)
    with pytest.raises(UnreadableError, match="it changed meanwhile, expected"):
        read_npy(path)


# -------------------------------------------------------------------------------------------- descriptors and texts


@pytest.fixture
def no_stdin():
    before = os.dup(0)
    yield
    os.dup2(before, 0)
    os.close(before)


@pytest.mark.parametrize(("opened", "said"), [("/dev/zero", "it is a device"), ("/", "it is a folder")])
def test_only_a_pipe_is_read_by_the_number_of_a_descriptor(no_stdin, opened, said):
    handle = os.open(opened, os.O_RDONLY)
    os.dup2(handle, 0)
    for place in (f"/dev/fd/{handle}", f"/proc/self/fd/{handle}", "/dev/stdin"):
        with pytest.raises(UnreadableError, match=said):
            read_text(place, allow_pipe=True)
    os.close(handle)


def test_a_large_file_is_refused_unread_by_the_number_of_its_descriptor_too(tmp_path):
    with (tmp_path / "x").open("w+b") as file:
        file.truncate(5 << 20)
        with pytest.raises(UnreadableError, match=r": 5,242,880 bytes, expected at most 4,194,304"):
            read_text(f"/dev/fd/{file.fileno()}", allow_pipe=True)


@pytest.fixture
def piped():
    """Write so many bytes into a pipe and return the descriptor to read from."""
    handle, into = os.pipe()
    writers = []

    def write(n: int) -> int:
        def work() -> None:
            with suppress(BrokenPipeError), os.fdopen(into, "wb") as file:
                file.write(b"#" * n)

        writers.append(Thread(target=work))
        writers[0].start()
        return handle

    yield write
    os.close(handle)
    writers[0].join()


@pytest.mark.parametrize(("length", "fits"), [((1 << 20), True), ((1 << 20) + 1, False), (3 << 20, False)])
def test_a_pipe_is_read_no_further_than_is_allowed(piped, monkeypatch, length, fits):
    monkeypatch.setenv(LIMIT, "1")
    place = f"/dev/fd/{piped(length)}"
    if fits:
        assert len(read_text(place, allow_pipe=True)) == length
    else:
        with pytest.raises(UnreadableError, match=r": 1,048,577 bytes, expected at most 1,048,576"):
            read_text(place, allow_pipe=True)


def test_a_byte_order_mark_is_skipped(tmp_path, capsys):
    path = tmp_path / "run.toml"
    path.write_bytes(b'\xef\xbb\xbfsteps = 3\nseeds = 1\nagent.name = "td"\nenv.name = "rooms"\n')
    assert read_text(path).startswith("steps")
    assert assemble(config.RunConfig, [read(path)]).steps == 3
    path.write_bytes(b"\xef\xbb\xbfsteps = \n")
    with pytest.raises(ValueError, match=r"run\.toml: line 1, column 9: "):
        read(path)
    path.write_bytes(b"\xff\xfes\0t\0")
    with pytest.raises(UnreadableError, match="byte 0 is not UTF-8, expected a TOML file"):
        read(path)
    (tmp_path / "m.txt").write_bytes(b"\xef\xbb\xbfS G\n")
    assert load_map(tmp_path / "m.txt").rows == ("S G",)


# ------------------------------------------------------------------------------------------------- names and paths


def test_paths_and_names_are_distinguished(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("six", "games", "a.npy", "a.toml"):
        (tmp_path / name).write_text("x")
    assert [is_path(text) for text in ("games", "./games", "games.toml", "a/b", "a.b")] == [
        False,
        True,
        True,
        True,
        False,
    ]
    assert [text for text in ("six", "./six", "a.npy", "b.npy", 3, "a\0.npy") if names_file(text)] == ["./six", "a.npy"]


def test_a_file_in_the_working_folder_does_not_replace_a_preset(tmp_path, monkeypatch, engram):
    before = preset("games")
    monkeypatch.chdir(tmp_path)
    for name in ("games", "games.toml", "cliff", "evil.toml"):
        (tmp_path / name).write_text("seeds = 77\n")
    assert preset("games").values == before.values
    assert preset("./games").values == {"seeds": 77}
    assert preset("games.toml").values == {"seeds": 77}
    for words in ("evil", "../presets/no-games", str(tmp_path / "no")):
        engram("tournament", "--preset", words, "--lab", "l", code=2)
    assert "unknown preset 'evil'" in engram("run", "--preset", "evil", "--lab", "l", code=2).err


def test_a_preset_of_a_run_by_path_is_a_file_of_settings(tmp_path, engram):
    path = tmp_path / "mine.toml"
    path.write_text('steps = 3\nseeds = 1\nagent.name = "td"\nenv.name = "rooms"\n')
    engram("run", "--preset", str(path), "--lab", str(tmp_path / "l"), "--json")


def test_a_file_called_like_a_setting_changes_no_key(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = config.build({"agent": {"name": "td", "policy": "random"}, "env": {"name": "rooms", "layout": "six"}})
    match = matches.build({"first": {"name": "td"}, "second": {"name": "td"}, "game": {"name": "tic_tac_toe"}})
    before = settings_hash(run), settings_hash(match)
    for name in ("six", "random", "td", "rooms", "layout", "tic_tac_toe", "watkins", "accumulating", "terminal"):
        (tmp_path / name).write_text("S G")
    assert (settings_hash(run), settings_hash(match)) == before


@pytest.mark.parametrize("name", ["mine", "mine.txt", "./mine"])
def test_a_file_that_a_setting_means_is_part_of_the_key(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    run = config.build({"agent": {"name": "td"}, "env": {"name": "rooms", "layout": name}})
    keys = set()
    for page in ("S G", "S  G"):
        (tmp_path / name).write_text(page)
        assert files(run.env_settings) == [name]
        keys.add(settings_hash(run))
    assert len(keys) == 2
    (tmp_path / "p").write_bytes(b"1")
    assert td.files(td.Config(policy="p")) == ["p"]
    assert td.files(td.Config(policy="control")) == []


def test_a_pipe_beside_the_pictures_holds_nothing_up(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((2, 2, 2)))
    os.mkfifo(tmp_path / "pipe")
    benchmark = recall.build(
        {"memory": {"nearest_neighbor": {}}, "challenge": {"name": "images", "path": str(tmp_path)}}
    )
    assert len(settings_hash(benchmark)) == 64
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(UnreadableError, match=r"pipe\.png: cannot be read: it is a pipe"):
        read_pictures(str(tmp_path))
