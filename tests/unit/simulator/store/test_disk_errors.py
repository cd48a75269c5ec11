"""Tests of disks that are full or read-only: one clear line, and earlier data intact."""

import errno
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from simulator.store import checkpoints, database
from simulator.store.run_store import Store, StoreError, StoreFailure
from tests.system.storing import begin, check_newest, check_rows, child, line, write

NOBODY = 65534


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "what"), [(300_000, "state"), (200_000, "rows")])
def test_a_file_that_may_not_grow(tmp_path, limit, what):
    said = child("storing_scripts", "fill", tmp_path, limit, what)
    assert ("checkpoint-" in said) == (what == "state"), said
    with Store(tmp_path) as store:
        assert store.newest("r1").progress.step == store.find("r1").step


def small_disk(folder):
    """Return words that run a command with one megabyte of disk at ``folder``, or none where that is forbidden."""
    mount = f"mount -t tmpfs -o size=1m tmpfs '{folder}' && exec \"$@\""
    for rights in (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"]):
        words = (*rights, "sh", "-c", mount, "sh")
        if shutil.which("unshare") and subprocess.run([*words, "true"], capture_output=True).returncode == 0:
            return words
    return ()


@pytest.mark.parametrize("what", ["state", "rows"])
def test_a_full_disk(tmp_path, what):
    wrap = small_disk(tmp_path)
    said = child("storing_scripts", "fill", tmp_path, 0 if wrap else 150_000, what, wrap=wrap)
    assert "no space for" in said or "disk full" in said


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO])
def test_a_disk_that_fails_under_a_checkpoint(tmp_path, monkeypatch, code):
    with Store(tmp_path) as store:
        run = begin(store, 1, 2)

        def fail(handle):
            raise OSError(code, os.strerror(code))

        with monkeypatch.context() as patch:
            patch.setattr(checkpoints.os, "fsync", fail)
            with pytest.raises(StoreFailure, match=os.strerror(code)) as error:
                write(store, run, 2, 3)
        line(error.value)
        check_newest(store, run, 2)
        write(store, run, 2, 4)
        check_rows(store, run, (1, 2, 4))


def full():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_lab_that_cannot_be_made_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(database.Path, "replace", lambda path, to: full())
    with pytest.raises(StoreFailure, match="no space for"):
        Store(tmp_path / "new" / "lab")
    assert os.listdir(tmp_path) == []


def test_a_run_that_cannot_begin_leaves_nothing_behind(tmp_path, monkeypatch):
    with Store(tmp_path) as store:
        with monkeypatch.context() as patch:
            patch.setattr("simulator.store.run_store.tables.of_new_run", lambda *args: full())
            with pytest.raises(StoreFailure, match="no space for"):
                begin(store)
        assert os.listdir(tmp_path / "runs") == []
        assert store.runs() == []
        assert begin(store, 1) == "r1"


@pytest.mark.parametrize("inside", ["", "below"])
def test_a_file_in_the_way(tmp_path, inside):
    (tmp_path / "lab").write_text("mine")
    with pytest.raises(StoreError, match=f"lab {tmp_path / 'lab' / inside} is not a folder|Not a directory") as error:
        Store(tmp_path / "lab" / inside)
    line(error.value)
    assert (tmp_path / "lab").read_text() == "mine"


def test_something_else_in_the_place_of_the_database_or_of_the_lab(tmp_path):
    (tmp_path / "lab" / database.NAME).mkdir(parents=True)
    with pytest.raises(StoreError, match="is not a file"):
        Store(tmp_path / "lab")
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(StoreError, match=r"lab .*/round: it is a link that leads to itself, expected"):
        Store(tmp_path / "round")
    with pytest.raises(StoreError, match="File name too long"):
        Store(tmp_path / ("x" * 300))
    (tmp_path / "gone").symlink_to("nowhere")
    with pytest.raises(
        StoreError, match=r"lab .*/gone: it is a link to nowhere, which is not there, expected a folder"
    ):
        Store(tmp_path / "gone")
    assert not (tmp_path / "nowhere").exists()


def test_a_place_where_no_folder_can_be_made():
    with pytest.raises(StoreError, match=r"cannot use /proc/lab: No such file or directory"):
        Store(Path("/proc/lab"))


@pytest.fixture
def shared():
    """Make a folder that other users may read, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def forbid(lab):
    """Take the right to write away and return the user who must ask for the test to be real: root becomes nobody."""
    for path in (lab, *lab.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return NOBODY if os.getuid() == 0 else 0


def allow(lab):
    for path in (lab, *lab.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.mark.parametrize("left", ["closed", "open"])
def test_a_read_only_lab_can_be_read_and_names_why_it_cannot_be_written(shared, left):
    lab = shared / "lab"
    with Store(lab) as store:
        begin(store, 2, 4)
        if left == "closed":
            store.close()
        uid = forbid(lab)
        said = child("storing_scripts", "read_only", lab, uid).splitlines()
        allow(lab)
    refused = f"lab {lab} is read-only: {database.NAME} cannot be written"
    assert said == [refused, refused, f"cannot use {lab / 'new'}: Permission denied"]


@pytest.mark.slow
def test_a_lab_without_read_permission_is_refused(shared):
    lab = shared / "lab"
    with Store(lab) as store:
        begin(store, 2)
    uid = forbid(lab)
    (lab / database.NAME).chmod(0)
    assert "cannot be read" in child("storing_scripts", "hidden", lab, uid)
    lab.chmod(0)
    assert "Permission denied" in child("storing_scripts", "hidden", lab, uid)
    lab.chmod(0o755)
    allow(lab)


def test_a_checkpoint_that_may_not_be_read_is_not_called_damaged(shared):
    lab = shared / "lab"
    with Store(lab) as store:
        begin(store, 2, 4)
    uid = forbid(lab)
    path = lab / "runs" / "r1" / "checkpoint-2.safetensors"
    path.chmod(0)
    assert child("storing_scripts", "newest", lab, uid) == f"checkpoint {path} cannot be read: Permission denied\n"
    allow(lab)


def test_a_reader_without_rights_sees_what_is_written_after_it_came(tmp_path, monkeypatch):
    with Store(tmp_path) as store:
        run = begin(store, 1)
    with monkeypatch.context() as patch:
        patch.setattr(database.os, "access", lambda path, mode: False)
        reader = Store(tmp_path)
    check_rows(reader, run, (1,))
    with Store(tmp_path) as store:
        store.take(run)
        store.newest(run)
        write(store, run, 1, 2)
        check_rows(reader, run, (1, 2))
    check_newest(reader, run, 2)
    reader.close()
