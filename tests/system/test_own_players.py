"""Tests of a stranger's way to players of their own, in processes: new, check, and a run, a benchmark, a tournament."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.helpers.commands import RunProcess

RUN = ("--seeds", "2", "--steps", "300", "--eval-episodes", "2", "--view", "none", "--json")


@pytest.fixture
def words(clean_folder, run_process: RunProcess):
    def run(*given: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = run_process(*given, cwd=clean_folder)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def test_an_agent_a_memory_and_an_environment_are_written_checked_and_run(words, clean_folder):
    for kind in ("agent", "memory", "env"):
        words("new", kind, f"my_{kind}")
        assert json.loads(words("check", f"my_{kind}.py", "--json").stdout)["passed"]
    agent = str(clean_folder / "my_agent.py")
    for name in ("my_agent.py", "./my_agent.py", agent, "my_agent"):
        if name == "my_agent":
            assert "did you mean my_agent.py?" in words("run", name, "rooms", *RUN, code=2).stderr
        else:
            assert json.loads(words("run", name, "rooms", *RUN).stdout)["agent"] == agent
    assert json.loads(words("run", "my_agent.py", "my_env.py", *RUN).stdout)["env"].endswith("my_env.py:MyEnv")
    recall = ["recall", "my_memory.py", "nearest_neighbor", "digits", "--patterns", "3", "--seeds", "2"]
    cells = json.loads(words(*recall, "--view", "none", "--json").stdout)["cells"]
    assert [cell["memory"] for cell in cells] == ["my_memory", "nearest_neighbor"]
    tournament = ["tournament", "--agents", "mine=my_agent.py", "random_walk", "--envs", "my_env.py", "--steps", "100"]
    found = json.loads(words(*tournament, "--seeds", "2", "--view", "none", "--json").stdout)
    assert found["contestants"] == ["mine", "random_walk"]


def test_a_file_that_breaks_a_law_fails_in_words(words, clean_folder):
    words("new", "agent", "mine")
    file = clean_folder / "mine.py"
    file.write_text(file.read_text().replace("return values.argmax()", "return 99"))
    done = words("check", "mine.py", "CartPole-v1", code=1)
    assert "Mine.act: gave 99 in seed number" in done.stdout
    assert "expected a whole number from 0 to 1" in done.stdout
    assert done.stderr == "" or "compiling" in done.stderr
