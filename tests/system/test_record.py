"""Recordings of stored runs: no display, wrong input, and files that are complete or not there."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import simulator
from simulator.store.run_records import new_run
from simulator.store.run_store import Store
from tests.helpers.paths import ROOT

SHORT = {"seeds": 2, "steps": 300, "eval_episodes": 2}
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")


@pytest.fixture
def run(clean_folder):
    """Return a short run in a grid of rooms."""
    return simulator.run("q_learning", "rooms", env_settings={"layout": "four"}, **SHORT)


def frames_of(path):
    """Return the number of frames, and their size."""
    with Image.open(path) as image:
        return getattr(image, "n_frames", 1), image.size


@pytest.mark.parametrize("ending", ["gif", "apng", "png", "cast", "mp4"])
def test_a_server_without_a_display_records(run, run_process, clean_folder, ending):
    if ending == "mp4":
        pytest.importorskip("av", reason="the extra video is not installed")
    env = {name: value for name, value in os.environ.items() if name not in DISPLAYS}
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    words = ("record", "latest", f"x.{ending}", "--episodes", "1", "--max-steps", "20", "--json")
    done = run_process(*words, env={**env, "PYTHONPATH": paths})
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["moments"] <= 21
    path = clean_folder / f"x.{ending}"
    assert path.stat().st_size == found["bytes"] > 500
    assert sorted(file.name for file in clean_folder.iterdir()) == ["lab", path.name]
    if ending in ("gif", "apng"):
        assert frames_of(path) == (found["moments"], (640, 400))
    if ending == "png":
        assert frames_of(path) == (1, (640, 400))
    if ending == "cast":
        head, *events = [json.loads(line) for line in path.read_text().splitlines()]
        assert (head["width"], head["height"]) == (80, 24)
        assert "four rooms" in events[0][2]


def test_returns_are_those_of_the_evaluation(run, engram):
    found = engram("record", "r1", "x.gif", "--episodes", "2", "--seed", "1", "--max-steps", "5000", "--json").json
    session = run.trainer()._session
    returns = session.evaluator().evaluate(session.agent, 300).returns
    np.testing.assert_array_equal(found["returns"], returns[1])
    assert (found["run"], found["seed"], found["step"], found["episodes"]) == ("r1", 1, 300, 2)


def test_nothing_in_the_lab_changes(run, engram, clean_folder):
    def content():
        files = [path for path in (clean_folder / "lab").rglob("*") if path.is_file() and path.suffix != ".sqlite3-shm"]
        return {path: path.read_bytes() for path in files}

    before = content()
    engram("record", "latest", "--episodes", "1", "--max-steps", "5")
    assert content() == before
    assert (clean_folder / "r1.gif").exists()


def test_size_scale_and_speed(run, engram):
    words = ("--episodes", "1", "--max-steps", "3")
    engram("record", "r1", "x.gif", "--size", "321x201", "--scale", "2", "--fps", "20", *words)
    assert frames_of("x.gif") == (4, (642, 402))
    with Image.open("x.gif") as image:
        assert image.info["duration"] == 50
    engram("record", "r1", "x.cast", "--size", "60x20", *words)
    with open("x.cast") as file:
        assert json.loads(file.readline())["width"] == 60


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["r1", "x.txt"], "x.txt: expected a file that ends in .gif, .apng, .png, .mp4 or .cast"),
        (["r1", "-"], "-: expected a file that ends in"),
        (["r9", "x.gif"], "lab lab has no run 'r9'"),
        (["r1", "x.gif", "--seed", "7"], "seed 7: expected one of this run's, 0 to 1"),
        (["r1", "x.gif", "--size", "640"], "--size 640: expected pixels such as 640x400, each 64 to 4,096"),
        (["r1", "x.gif", "--size", "63x99"], "--size 63x99: expected pixels"),
        (
            ["r1", "x.gif", "--size", "4000x99", "--scale", "2"],
            "--size 4000x99 --scale 2: expected at most 4,096",
        ),
        (["r1", "x.cast", "--size", "640x640"], "--size 640x640: expected columns and lines such as 80x24"),
        (["r1", "x.gif", "--fps", "0"], "--fps 0: expected a whole number"),
        (["r1", "nowhere/x.gif"], "nowhere/x.gif: cannot be written (No such file or directory)"),
        (["r1", "lab/runs/x.gif"], "lab/runs/x.gif: it is inside the lab"),
        (["r1", "mine.gif"], "mine.gif already exists, and was not written by Engram"),
    ],
)
def test_wrong_input_is_one_line_and_writes_nothing(run, engram, clean_folder, words, line):
    (clean_folder / "mine.gif").write_text("mine")
    assert engram("record", *words, code=2).error.startswith(line)
    assert sorted(path.name for path in clean_folder.iterdir()) == ["lab", "mine.gif"]


def test_a_recording_is_replaced_and_another_file_only_with_force(run, engram, clean_folder):
    words = ("record", "r1", "x.gif", "--episodes", "1", "--max-steps", "2")
    engram(*words)
    engram(*words)
    (clean_folder / "x.gif").write_text("mine")
    engram(*words, code=2)
    engram(*words, "--force")
    assert frames_of("x.gif")[0] == 3


def test_a_missing_library_for_videos_is_one_line(run, engram, clean_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    assert engram("record", "r1", "x.mp4", code=2).error.startswith("mp4: PyAV is not installed")
    assert [path.name for path in clean_folder.iterdir()] == ["lab"]


def test_an_episode_that_goes_on_is_cut_and_said(run, engram):
    done = engram("record", "r1", "x.gif", "--max-steps", "2", "--json")
    assert "had not ended after 2 steps; --max-steps sets another number" in done.err
    assert (done.json["episodes"], done.json["returns"]) == (1, [])


def test_a_run_that_has_learned_nothing_is_shown_as_it_begins(clean_folder, engram):
    config = simulator.Trainer("q_learning", "FrozenLake-v1", **SHORT)._session.config
    with Store("lab") as store:
        store.begin(new_run(config))
    done = engram("record", "latest", "x.gif", "--episodes", "1", "--json")
    assert "r1 has no checkpoint yet: its agent is shown as it begins" in done.err
    assert done.json["step"] == 0


def test_a_seed_that_failed_is_left_out(clean_folder, engram):
    settings = {"agent_settings": {"fails": {"0": 5}}, **SHORT}
    simulator.run("tests.helpers.breaking_agent", "CartPole-v1", **settings)
    assert engram("record", "latest", "x.gif", "--episodes", "1", "--json").json["seed"] == 1
    assert engram("record", "latest", "y.gif", "--seed", "0", code=2).error.startswith("seed 0 failed at step 5: ")


def test_an_environment_that_draws_itself_is_recorded_to_its_end(clean_folder, engram):
    simulator.run("random_walk", "Pendulum-v1", **SHORT)
    found = engram("record", "latest", "x.gif", "--episodes", "1", "--json").json
    assert found["moments"] == 201
    with Image.open("x.gif") as image:
        image.seek(image.n_frames - 1)
        picture = np.array(image.convert("RGB"))[100:350, 20:320]
    assert ((picture[..., 0] > 150) & (picture[..., 1] < 120)).any()  # the red rod


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_no_file(run, clean_folder, number):
    words = ["record", "r1", "x.apng", "--episodes", "100000", "--size", "1600x1000"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", *words], env=env, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 120
    while not [path for path in clean_folder.iterdir() if path.name.startswith(".x.apng")]:
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert re.search(rf"^engram: {number.name}: nothing was written$", err, re.MULTILINE)
    assert (out, "Traceback" in err) == ("", False)
    assert [path.name for path in clean_folder.iterdir()] == ["lab"]
