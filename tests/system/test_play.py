"""Play in a terminal of 24 lines and 80 columns: keys, real time, ``kill -9``, and the terminal's mode afterwards."""

from __future__ import annotations

import json
import re
import signal
import sys
import termios
from pathlib import Path

import pytest

from simulator.commands import main
from tests.system.test_watch import LINES, PATIENCE, terminal

pytestmark = pytest.mark.slow
PROGRAM = [sys.executable, "-m", "simulator"]
LAKE = ["play", "FrozenLake-v1", "--env.kwargs", "is_slippery=false", "--lab", "lab"]
RIGHT, DOWN = "\x1b[C", "\x1b[B"


def listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[dict]:
    capsys.readouterr()
    assert main.main(["list", "runs", "--lab", str(folder / "lab"), "--json"]) == 0
    return json.loads(capsys.readouterr().out)["runs"]


def test_an_env_of_turns_waits_for_keys_and_the_end_waits_for_a_key(tmp_path):
    with open(tmp_path / "out.json", "wb") as out:
        with terminal([*PROGRAM, *LAKE, "--json"], tmp_path, out) as screen:
            screen.wait_for("q quit")
            assert screen.flags_become(termios.ISIG)
            for n, key in enumerate((DOWN, "s", RIGHT, "d", DOWN), 1):
                screen.press(key)
                screen.wait_for(rf"\b{n} step")
            screen.press(RIGHT)
            screen.wait_for("the episode is over: return 1")
            screen.press(RIGHT)  # does nothing: the episode is over
            screen.press(" ")
            screen.wait_for("episode 2, seed 1")
            screen.press("q")
            assert screen.process.wait(PATIENCE) == 0
            assert screen.flags_become(LINES)
    played = json.loads((tmp_path / "out.json").read_text())
    assert [(row["return"], row["steps"]) for row in played["episodes"]] == [(1.0, 6)]
    assert played["abandoned"] == []


def test_an_env_in_real_time_begins_with_the_first_key_and_goes_on_by_itself(tmp_path):
    with open(tmp_path / "out.json", "wb") as out:
        words = ["play", "CartPole-v1", "--lab", "lab", "--episodes", "1", "--pace", "200", "--json"]
        with terminal([*PROGRAM, *words], tmp_path, out) as screen:
            assert re.search(r"\b0 steps", screen.wait_for("p pause"))
            screen.press(RIGHT)
            assert screen.process.wait(PATIENCE) == 0  # to one side without a pause the pole falls soon
            assert screen.flags_become(LINES)
    (episode,) = json.loads((tmp_path / "out.json").read_text())["episodes"]
    assert 5 < episode["steps"] < 30


def test_a_pause_in_real_time_takes_no_step_until_the_next_key(tmp_path):
    words = ["play", "MountainCar-v0", "--lab", "lab", "--pace", "50"]
    with terminal([*PROGRAM, *words], tmp_path) as screen:
        screen.wait_for("p pause")
        screen.press(" ")
        screen.wait_for(r"return -1\d\b")
        screen.press("p")
        screen.press("q")
        assert screen.process.wait(PATIENCE) == 0
        assert "nothing is stored" in screen.wait_for("nothing is stored")
        assert screen.flags_become(LINES)


@pytest.mark.kill
def test_episodes_that_had_ended_survive_a_kill_and_the_next_sitting_goes_on(tmp_path, capsys):
    with terminal([*PROGRAM, *LAKE, "--name", "ann"], tmp_path) as screen:
        screen.wait_for("q quit")
        for key in (RIGHT, DOWN):
            screen.press(key)
        screen.wait_for("the episode is over: return 0")
        screen.press(" ")
        screen.wait_for("episode 2, seed 1")
        screen.press(RIGHT)
        screen.wait_for(r"\b1 step")
        screen.process.send_signal(signal.SIGKILL)
        screen.process.wait(PATIENCE)
    (killed,) = listed(tmp_path, capsys)
    assert (killed["run"], killed["status"], killed["step"]) == ("r1", "killed", 1)
    words = [*LAKE[:-1], str(tmp_path / "lab"), "--name", "ann", "--json", "--actions", "right,down"]
    assert main.main(words) == 0
    assert [row["seed"] for row in json.loads(capsys.readouterr().out)["episodes"]] == [1]
    assert main.main(["reproduce", "r1", "--lab", str(tmp_path / "lab"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["compared"] == {"episodes": 1}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_sitting_and_gives_the_terminal_back(tmp_path, capsys, number):
    with terminal([*PROGRAM, *LAKE], tmp_path) as screen:
        screen.wait_for("q quit")
        for key in (RIGHT, DOWN):
            screen.press(key)
        screen.wait_for("the episode is over: return 0")
        screen.process.send_signal(number)
        assert screen.process.wait(PATIENCE) == 128 + number
        assert screen.flags_become(LINES)
    (stored,) = listed(tmp_path, capsys)
    assert (stored["status"], stored["step"]) == ("done", 1)
