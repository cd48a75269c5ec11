"""Tests of tournaments on a local Ray: no access from outside, an orderly end after a signal, nothing left behind."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="Ray is not installed (extra cluster)")
pytestmark = [
    pytest.mark.optional,
    pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="looks into /proc"),
]

TOURNAMENT = [
    "tournament",
    "--agents",
    "q_learning",
    "td",
    "--envs",
    "FrozenLake-v1",
    "--steps",
    "1e10",
    "--seeds",
    "1",
]
STRANGER = """
import sys
from ray._raylet import GcsClient
print(GcsClient(address=sys.argv[1]).internal_kv_keys(b"", None, timeout=10))
"""


def descendants(pid: int) -> set[int]:
    """Return a process and every process below it."""
    below = dict[int, list[int]]()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        below.setdefault(parent, []).append(int(path.parent.name))
    found, left = set[int](), [pid]
    while left:
        found.add(left[-1])
        left += below.get(left.pop(), [])
    return found


def listening() -> dict[str, tuple[str, int]]:
    """Map the inode of every listening TCP socket to its address, in hex as the kernel writes it, and port."""
    found = {}
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(path).read_text().splitlines()[1:] if Path(path).exists() else []:
            fields = line.split()
            if fields[3] == "0A":
                address, port = fields[1].split(":")
                found[fields[9]] = address, int(port, 16)
    return found


def sockets_of(pid: int) -> Iterator[str]:
    """Return inodes of the sockets that a process has."""
    for path in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            target = os.readlink(path)
        except OSError:
            continue
        if target.startswith("socket:["):
            yield target[8:-1]


LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def test_access_is_refused_and_a_signal_ends_it_in_order(tmp_path):
    strangers = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    program = [sys.executable, "-m", "simulator", *TOURNAMENT, "--workers", "ray", "--view", "none", "--lab", "lab"]
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as temporary,
        (tmp_path / "said").open("wb") as said,
        subprocess.Popen(program, cwd=tmp_path, stderr=said, env=os.environ | {"TMPDIR": temporary}) as process,
    ):
        while not any("play_task" in command_line(pid) for pid in descendants(process.pid)):
            assert process.poll() is None
            time.sleep(0.2)
        everyone, known = descendants(process.pid), listening()
        open_ports = {(pid, *known[i]) for pid in everyone for i in sockets_of(pid) if i in known}
        assert {address for _, address, _ in open_ports} <= LOOPBACK
        gcs = {port for pid, _, port in open_ports if "gcs_server" in command_line(pid)}
        assert gcs

        token = _token(process.pid, everyone)
        assert len(token) >= 32
        assert not any(token in command_line(pid) for pid in everyone)  # which everybody can read
        (folder,) = Path(temporary).glob("engram-*")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

        for own in ({"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}):
            tried = _stranger(min(gcs), strangers | own)
            assert tried.returncode == 1
            assert "InvalidAuthToken" in tried.stderr
        trusted = _stranger(min(gcs), strangers | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token})
        assert trusted.returncode == 0  # or it would not be the token that they lack

        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
        assert not any(Path(f"/proc/{pid}").exists() and command_line(pid) for pid in everyone)
        assert list(Path(temporary).glob("engram-*")) == []
    *_, last = (tmp_path / "said").read_text().splitlines()
    assert last.startswith("engram: SIGTERM: interrupted after 0 of 2 cells, ")
    assert last.endswith("engram resume t1 --lab lab")


def _stranger(port: int, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Ask Ray for its objects from another process."""
    program = [sys.executable, "-c", STRANGER, f"127.0.0.1:{port}"]
    return subprocess.run(program, capture_output=True, text=True, check=False, env=environment, timeout=60)


def _token(host: int, everyone: set[int]) -> str:
    """Return the token that Ray's processes have in their environment."""
    for pid in everyone - {host}:
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        for each in environment:
            if each.startswith(b"RAY_AUTH_TOKEN="):
                return each.partition(b"=")[2].decode()
    return ""
