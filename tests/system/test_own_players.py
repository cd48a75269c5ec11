"""Tests of a stranger's way to players of their own: new, check, and a run or a benchmark by the file's name."""

from __future__ import annotations

import pytest

from tests.helpers.commands import Engram, RunProcess

RUN = ("--seeds", "2", "--steps", "300", "--eval-episodes", "2", "--view", "none", "--json")


def test_an_agent_and_an_environment_run_by_the_names_of_their_files(clean_folder, engram: Engram) -> None:
    engram("new", "agent", "my_agent")
    engram("new", "env", "my_env")
    agent = str(clean_folder / "my_agent.py")
    for name in ("my_agent.py", "./my_agent.py", agent):
        found = engram("run", name, "my_env.py", *RUN).json
        assert (found["agent"], found["env"]) == (agent, f"{clean_folder}/my_env.py:MyEnv")
    assert "did you mean my_agent.py?" in engram("run", "my_agent", "rooms", *RUN, code=2).error
    assert engram("show", "my_agent.py", "--json").json["players"][0]["kind"] == "agents"


def test_a_memory_recalls_beside_ours(clean_folder, engram: Engram) -> None:
    engram("new", "memory", "my_memory")
    words = ["recall", "my_memory.py", "nearest_neighbor", "digits", "--patterns", "3", "--seeds", "2"]
    cells = engram(*words, "--view", "none", "--json").json["cells"]
    assert [cell["memory"] for cell in cells] == ["my_memory", "nearest_neighbor"]
    assert engram("show", "my_memory.py", "--json").json["players"][0]["kind"] == "memories"


@pytest.mark.parametrize(("spoilt", "code"), [(False, 0), (True, 1)])
def test_the_exit_code_of_a_check_tells_whether_every_law_holds(
    clean_folder, engram: Engram, run_process: RunProcess, spoilt, code
) -> None:
    engram("new", "agent", "mine")
    file = clean_folder / "mine.py"
    if spoilt:
        file.write_text(file.read_text().replace("return values.argmax()", "return 99"))
    done = run_process("check", "mine.py", "CartPole-v1", cwd=clean_folder, timeout=120)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    said = "Mine.act: gave 99 in seed number"
    assert (said in done.stdout) == spoilt
    assert ("all 9 laws hold" in done.stdout) == (not spoilt)
