"""Tests of completion in the shell: what is offered for words, and where scripts are installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from simulator.commands.main import COMMANDS
from simulator.commands.parsing.completion import SCRIPTS, candidates, preset_names
from simulator.config import presets
from simulator.core import registry
from tests.helpers.commands import Engram
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.usefixtures("clean_folder")


def offered(*words: str) -> list[str]:
    return [candidate.value for candidate in candidates(words)]


def test_commands_and_names_stand_at_their_places() -> None:
    assert offered("") == list(COMMANDS)
    assert offered("tour") == ["tournament"]
    assert offered("run", "q") == ["q_learning"]
    assert offered("run", "double-q") == ["double_q_learning"]
    assert {"rooms", "cartpole", "CartPole-v1"} <= set(offered("run", "dqn", ""))
    assert offered("run", "dqn", "rooms", "") == []
    assert offered("recall", "hopfield", "dig") == ["digits"]
    assert "hopfield-flow" in offered("recall", "hop")
    assert offered("list", "gam") == ["games"]
    assert offered("--install-completion", "z") == ["zsh"]
    assert offered("nothing", "") == []


def test_options_are_of_the_command_and_of_the_named_players() -> None:
    assert offered("run", "--see") == ["--seeds"]
    assert offered("run", "q_learning", "rooms", "--agent.step") == ["--agent.step-size", "--agent.step-size-exponent"]
    assert offered("run", "--seeds", "2", "td", "--agent.lam") == ["--agent.lambda-"]
    assert offered("recall", "hopfield", "digits", "--memory.hopfield.ru") == ["--memory.hopfield.rule"]
    assert offered("run", "no_such_agent", "--agent.") == []


def test_values_of_options() -> None:
    assert offered("run", "--view", "") == ["terminal", "window", "none"]
    assert offered("run", "--view=n") == ["--view=none"]
    assert offered("run", "q_learning", "rooms", "--agent.target", "s") == ["sarsa"]
    assert offered("run", "--preset", "taxi") == ["taxi-dqn", "taxi", "taxi-fast"]
    assert offered("tournament", "--agents", "td", "planner", "--envs", "fro") == ["frozen_lake"]
    assert offered("run", "q_learning", "--json", "roo") == ["rooms"]
    assert offered("run", "q_learning", "rooms", "--config", "") == []
    assert offered("run", "--steps", "10", "q") == ["q_learning"]


def test_runs_of_the_lab_are_offered(engram: Engram) -> None:
    assert offered("resume", "") == ["latest"]
    engram("run", "random_walk", "rooms", "--steps", "5", "--seeds", "1", "--view", "none")
    assert offered("resume", "") == ["r1", "latest"]
    assert [candidate.description for candidate in candidates(["report", "r1"])] == ["random_walk in rooms, done"]


def test_presets_are_remembered_so_that_no_player_is_imported() -> None:
    assert preset_names("memories") == list(presets.memory_presets())
    assert preset_names("agents") == [preset.name for preset in presets.every()[0]]
    calls = "from simulator.commands.parsing.completion import candidates as c; c(['recall', '']); c(['run', 'td', ''])"
    loaded = "import sys; print(*{'numba', 'torch', 'agents.td', 'memory.rbm'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", f"{calls}\n{loaded}"], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout.split() == []


def test_scripts_are_installed_once(engram: Engram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".bashrc").write_text("alias ll='ls -l'")
    for shell in SCRIPTS:
        monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
        for _ in range(2):
            out = engram("--install-completion").out
        assert engram("--show-completion").out == SCRIPTS[shell]
        script = Path(out.splitlines()[0].removeprefix("wrote "))
        assert script.read_text() == SCRIPTS[shell]
        assert str(script) in out.splitlines()[-1]
    start = (tmp_path / ".bashrc").read_text().splitlines()
    assert start[0] == "alias ll='ls -l'"
    assert len(start) == 2
    assert start[1].startswith('source "')
    assert len((tmp_path / ".zshrc").read_text().splitlines()) == 1
    assert not (tmp_path / ".config" / "fish" / "config.fish").exists()


def test_other_shells_are_refused(engram: Engram, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--install-completion ksh: expected bash, zsh or fish" in engram("--install-completion", "ksh", code=2).err
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert "--show-completion SHELL=tcsh: expected bash, zsh or fish" in engram("--show-completion", code=2).err


def test_bash_completes_by_the_script(tmp_path: Path) -> None:
    program = tmp_path / "engram"
    program.write_text(f"#!/bin/sh\nPYTHONPATH='{ROOT}' exec '{sys.executable}' -m simulator \"$@\"\n")
    program.chmod(0o755)
    lines = ["engram run q", "engram run q_learning rooms --view=n", "./engram run td roo"]
    tries = "".join(
        f"COMP_LINE='{line}'; COMP_POINT={len(line)}; _engram; echo \"${{COMPREPLY[*]}}\"\n" for line in lines
    )
    script = f"PATH='{tmp_path}':$PATH\n{SCRIPTS['bash']}{tries}"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["q_learning", "none", "rooms"]


def test_every_registered_player_is_offered() -> None:
    assert set(registry.names("agents")) <= set(offered("run", ""))
    assert set(registry.names("challenges")) <= set(offered("recall", "hopfield", ""))
