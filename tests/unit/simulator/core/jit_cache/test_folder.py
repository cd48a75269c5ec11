"""Tests of the compilation cache: only intact files in a folder of the user's own are loaded."""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.core.jit_cache import folder as code_folder
from simulator.core.jit_cache import numba_files
from tests.helpers.commands import Engram

PROGRAM = """
import numpy as np
from simulator.core.jit import compile_seconds, jit, jit_inline

@jit_inline
def twice(x):
    return 2.0 * x

@jit
def total(row):
    found = 0.0
    for x in row:
        found += twice(x)
    return found

before = compile_seconds()
print(total(np.arange(4.0)), compile_seconds() > before)
"""
COMPILED, WARM = "12.0 True\n", "12.0 False\n"
SAID = "damaged compiled code in"


class Program:
    """A script with two compiled functions, and the folder of its machine code."""

    def __init__(self, folder: Path) -> None:
        self.file, self.kept = folder / "program.py", folder / "kept"
        self.file.write_text(PROGRAM)

    def start(self, **environment: str) -> subprocess.Popen[str]:
        known = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
        place = {} if environment else {"NUMBA_CACHE_DIR": str(self.kept)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        words = [sys.executable, str(self.file)]
        return subprocess.Popen(words, env={**known, **place, **environment}, **pipes)  # type: ignore[call-overload,no-any-return]

    def run(self, **environment: str) -> tuple[str, str]:
        """Return the stdout and stderr of the script in a process of its own."""
        process = self.start(**environment)
        out, err = process.communicate()
        assert process.returncode == 0, err
        return out, err

    def again(self) -> tuple[str, str]:
        """Return the script's stdout in this process, where its functions load their code from disk."""
        code_folder.warn_once.cache_clear()
        out, err = io.StringIO(), io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            patch.setattr(code_folder, "folder", lambda: self.kept)
            patch.setattr(numba_files, "folder", lambda: self.kept)
            exec(compile(self.file.read_text(), str(self.file), "exec"), {"__name__": "program"})
        return out.getvalue(), err.getvalue()

    def files(self) -> list[Path]:
        return sorted(path for path in self.kept.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    made = Program(tmp_path_factory.mktemp("program"))
    assert made.run() == (COMPILED, "")
    return made


def _flip(content: bytes) -> bytes:
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda content: b"",
    "halved": lambda content: content[: len(content) // 2],
    "garbage": lambda content: bytes(range(256)) * (len(content) // 256 + 1),
    "a bit": _flip,
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_are_dropped_and_compiled_again(program: Program, damage: str) -> None:
    assert program.again() == (WARM, "")
    assert len(program.files()) == 4  # of two functions, an index and data
    for path in program.files():
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    assert len(code_folder.survey(program.kept).damaged) == 4
    out, err = program.again()
    assert out == COMPILED
    assert err.count(SAID) == 1
    assert program.again() == (WARM, "")


@pytest.mark.parametrize("end", [code_folder.INDEX, code_folder.DATA])
def test_one_damaged_file_alone(program: Program, end: str) -> None:
    program.again()
    path = next(path for path in program.files() if path.name.startswith("program.total") and path.name.endswith(end))
    path.write_bytes(_flip(path.read_bytes()))
    out, err = program.again()
    assert (out, err.count(SAID)) == (COMPILED, 1)
    assert program.again() == (WARM, "")


def test_code_swapped_for_other_intact_code_is_not_run(program: Program) -> None:
    program.again()
    one, two = (path for path in program.files() if path.name.endswith(code_folder.DATA))
    one.write_bytes(two.read_bytes())
    out, err = program.again()
    assert out.startswith("12.0")
    assert SAID in err


@pytest.mark.slow
def test_processes_that_write_at_once_neither_fail_nor_complain(program: Program) -> None:
    for path in program.files():
        path.unlink()
    started = [program.start() for _ in range(3)]
    ended = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [0, 0, 0]
    assert {out.split()[0] for out, _ in ended} == {"12.0"}
    assert {err for _, err in ended} == {""}
    assert code_folder.survey(program.kept).damaged == ()
    assert program.run() in ((WARM, ""), (COMPILED, ""))  # whose data another swept away compiles once more
    assert program.run() == (WARM, "")


def test_code_of_an_older_source_is_swept_away(program: Program) -> None:
    program.again()
    try:
        program.file.write_text(PROGRAM + "\n# another line\n")
        assert program.again() == (COMPILED, "")
        assert len(program.files()) == 4
    finally:
        program.file.write_text(PROGRAM)


def test_doctor_finds_damage_and_mends_it(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engram: Engram
) -> None:
    program.again()
    monkeypatch.setattr(code_folder, "folder", lambda: program.kept)

    def doctor(*words: str) -> tuple[int, dict[str, str]]:
        done = engram("doctor", "--lab", str(tmp_path / "lab"), "--json", *words, code=None)
        return done.code, next(each for each in done.json["checks"] if each["name"] == "compiled code")

    assert doctor()[1]["found"].endswith("warm (2 functions, all whole)")
    others = program.kept / "somebody.nbi"  # of numba itself, in a folder that the user named
    others.write_bytes(b"")
    path = program.files()[0]
    path.write_bytes(b"")
    code, found = doctor()
    assert (code, found["status"]) == (1, "bad")
    assert "1 damaged files" in found["found"]
    assert "engram doctor --fix" in found["advice"]
    code, found = doctor("--fix")
    assert (code, found["status"]) == (0, "ok")
    assert (path.exists(), others.exists()) == (False, True)
    others.unlink()
    assert doctor()[0] == 0


@pytest.mark.slow
def test_an_unknown_numba_cache_format_is_not_used_and_reported(program: Program) -> None:
    change = "from numba.core import caching\ndel caching.IndexDataCacheFile._load_data\n"
    program.file.write_text(change + PROGRAM)
    try:
        out, err = program.run()
    finally:
        program.file.write_text(PROGRAM)
    assert out == COMPILED
    assert "has another private interface for cached code (IndexDataCacheFile._load_data)" in err
    assert err.count("\n") == 1


@pytest.mark.slow
def test_a_full_disk_costs_the_cache_only(tmp_path: Path) -> None:
    program = Program(tmp_path)
    full = """
import errno, os
real = os.replace
def replace(here, there):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), here)
os.replace = replace
"""
    program.file.write_text(full + PROGRAM)
    out, err = program.run()
    assert out == COMPILED
    assert err == (f"engram: {program.kept}: No space left on device: compiled code is not cached\n")
    assert program.files() == []


# Where the folder is.


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Return the user's cache folder, not made yet, and the spare one among temporary files."""
    cache, spare = tmp_path / "cache", tmp_path / "tmp"
    cache.mkdir()
    spare.mkdir()
    monkeypatch.setattr(code_folder.numba.config, "CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setattr(code_folder.platformdirs, "user_cache_dir", lambda name: str(cache / name))
    monkeypatch.setattr(code_folder.tempfile, "tempdir", str(spare))
    monkeypatch.setenv("ENGRAM_PRIVATE_CODE", "")  # and whatever is set there meanwhile is forgotten
    monkeypatch.setattr(code_folder, "warn_once", lambda line: print(line, file=sys.stderr))
    return cache / "engram-rl", spare / f"engram-rl-{os.geteuid()}"


def _chosen() -> Path:
    found = inspect.unwrap(code_folder.folder)()
    assert found is not None
    assert stat.S_IMODE(found.stat().st_mode) == 0o700
    return found


def test_the_default_folder_is_private(homes: tuple[Path, Path], capfd: pytest.CaptureFixture[str]) -> None:
    home, _ = homes
    assert _chosen().parent == home
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert _chosen().parent == home
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("mode", [0o775, 0o757])
def test_a_default_folder_that_others_could_write_to_is_emptied(
    homes: tuple[Path, Path], capfd: pytest.CaptureFixture[str], mode: int
) -> None:
    home, _ = homes
    planted = _chosen() / "planted"
    planted.touch()
    home.chmod(mode)
    assert _chosen().parent == home
    assert not planted.exists()
    assert "could be written by others: it was emptied" in capfd.readouterr().err


def _owner(monkeypatch: pytest.MonkeyPatch, foreign: Path) -> None:
    """Make a folder look like another user's."""

    def seen(look: Callable[..., os.stat_result]) -> Callable[..., os.stat_result]:
        def look_again(path: Path, **how: bool) -> os.stat_result:
            found = look(path, **how)
            if path != foreign:
                return found
            return os.stat_result((*found[:4], os.geteuid() + 1, *found[5:]))

        return look_again

    monkeypatch.setattr(Path, "stat", seen(Path.stat))  # lstat asks it too


def test_a_default_folder_of_another_user_is_not_used(
    homes: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    home, spare = homes
    home.mkdir()
    _owner(monkeypatch, home)
    assert _chosen().parent == spare
    assert "belongs to another user: compiled code is cached elsewhere" in capfd.readouterr().err


def _unwritable(home: Path) -> None:
    """Put a file in the place of the folder, so that it cannot be made."""
    home.touch()


def test_without_a_home_a_temporary_folder_is_private(
    homes: tuple[Path, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    home, spare = homes
    _unwritable(home)
    assert _chosen().parent == spare
    assert stat.S_IMODE(spare.stat().st_mode) == 0o700
    assert _chosen().parent == spare
    assert capfd.readouterr().err == ""


def _writable_by_all(spare: Path, aside: Path) -> None:
    spare.mkdir()
    spare.chmod(0o777)


def _readable_by_all(spare: Path, aside: Path) -> None:
    spare.mkdir()
    spare.chmod(0o755)


def _link(spare: Path, aside: Path) -> None:
    aside.mkdir(mode=0o700)
    spare.symlink_to(aside)


def _dangling_link(spare: Path, aside: Path) -> None:
    spare.symlink_to(aside)


def _file(spare: Path, aside: Path) -> None:
    spare.touch()


PLANTED = [_writable_by_all, _readable_by_all, _link, _dangling_link, _file]


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_folder_is_not_used(
    homes: tuple[Path, Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    plant: Callable[[Path, Path], None],
) -> None:
    home, spare = homes
    _unwritable(home)
    plant(spare, tmp_path / "aside")
    found = _chosen()
    assert found.parent.parent == spare.parent
    assert found.parent != spare
    assert stat.S_IMODE(found.parent.stat().st_mode) == 0o700
    assert "it is not used, compiled code is cached for this command only" in capfd.readouterr().err
    assert _chosen() == found  # and for the processes that it starts
    assert capfd.readouterr().err == ""


def test_a_planted_folder_of_another_user_is_not_used(
    homes: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    home, spare = homes
    _unwritable(home)
    spare.mkdir(mode=0o700)
    _owner(monkeypatch, spare)
    assert _chosen().parent != spare
    assert f"{spare} belongs to another user: it is not used" in capfd.readouterr().err


def test_a_full_home_is_like_one_that_cannot_be_written(
    homes: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, spare = homes
    real = code_folder.tempfile.TemporaryFile

    def full(**settings: str) -> object:
        if settings["dir"] == home:
            raise OSError(28, "No space left on device")
        return real(**settings)

    monkeypatch.setattr(code_folder.tempfile, "TemporaryFile", full)
    assert _chosen().parent == spare


@pytest.mark.slow
def test_planted_code_is_not_run(tmp_path: Path) -> None:
    """The whole way: what another left where machine code would be is neither read nor run."""
    program = Program(tmp_path)
    cache, spare = tmp_path / "cache", tmp_path / "tmp"
    cache.touch()
    spare.mkdir()
    planted = spare / f"engram-rl-{os.geteuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    out, err = program.run(XDG_CACHE_HOME=str(cache), TMPDIR=str(spare))
    assert out == COMPILED
    assert "can be written by others: it is not used" in err
    assert list(planted.iterdir()) == []
    assert list(spare.iterdir()) == [planted]  # the private folder is gone with the process
