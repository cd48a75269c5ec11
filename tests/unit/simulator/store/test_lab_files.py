"""Tests of labs from elsewhere: links are not followed, and pipes do not block."""

import os
import shutil
import subprocess
import sys

import pytest

from simulator.tournaments.workers import ray

RUN = ["run", "q_learning", "rooms", "--steps", "600", "--seeds", "1", "--eval-episodes", "1", "--view", "none"]
STOPPED = """
import os, sys
from simulator.config.run import build
from simulator.training.loop import run
from simulator.store.run_store import Store
with Store(sys.argv[1]) as lab:
    config = {"seeds": 1, "steps": 600, "agent": {"name": "q_learning"}, "env": {"name": "rooms"}}
    snapshots = run(build(config), lab, checkpoint_every=0.0)
    for snapshot in snapshots:
        if snapshot.step > 100:
            os._exit(9)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Make a lab with a run that was killed."""
    folder = tmp_path_factory.mktemp("killed") / "lab"
    done = subprocess.run([sys.executable, "-c", STOPPED, str(folder)], capture_output=True, text=True)
    assert done.returncode == 9, done.stderr
    return folder


@pytest.fixture
def lab(killed, tmp_path):
    """Copy that lab."""
    return shutil.copytree(killed, tmp_path / "lab")


def _places(lab):
    return {
        "checked": lab / "checked",
        "writer": lab / "runs" / "r1" / "writer",
        "journal": lab / "runs" / "r1" / "journal",
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["checked", "writer", "journal", "partial"])
def test_a_link_in_a_lab_is_not_followed(lab, tmp_path, name, engram):
    victim = tmp_path / "mine"
    victim.write_text("mine")
    places = _places(lab)
    numbers = [int(path.stem.split("-")[1]) for path in (lab / "runs" / "r1").glob("checkpoint-*.safetensors")]
    places["partial"] = lab / "runs" / "r1" / f"checkpoint-{max(numbers) + 1}.safetensors.partial"
    places[name].unlink(missing_ok=True)
    places[name].symlink_to(victim)
    engram("resume", "r1", "--view", "none", "--lab", str(lab), code=None)
    engram(*RUN, "--lab", str(lab), code=None)
    assert victim.read_text() == "mine"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("command", ["resume", "repair"])
@pytest.mark.parametrize("name", ["checked", "writer", "journal", "checkpoint"])
def test_a_pipe_in_a_lab_does_not_block(lab, tmp_path, name, command, engram):
    places = _places(lab)
    places["checkpoint"] = max((lab / "runs" / "r1").glob("checkpoint-*.safetensors"))
    places[name].unlink(missing_ok=True)
    os.mkfifo(places[name])
    words = {
        "resume": ["resume", "r1", "--view", "none", "--lab", str(lab)],
        "repair": ["repair", str(lab), "-o", str(tmp_path / "new")],
    }
    done = engram(*words[command], code=None)
    assert done.code in (0, 1, 2)
    assert "Traceback" not in done.err
    assert "ENGRAM_DEBUG" not in done.err


def test_cells_on_a_cluster_keep_checkpoints_in_a_private_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(ray.tempfile, "gettempdir", lambda: str(tmp_path))
    planted = tmp_path / f"engram-cells-{os.getuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    fields = ("k", "run", "", str(tmp_path / "scratch"), 1.0, *[None] * (len(ray.JobSpec._fields) - 5))
    with pytest.raises(PermissionError, match="can be written by others"):
        ray.play_task(fields, remote_disk=True)
