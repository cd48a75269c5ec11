"""Tests of stable-baselines3's classes as agents of runs: with a stand-in class, and with the library itself."""

from __future__ import annotations

import importlib.util
import random
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import simulator
from simulator.commands.parsing.help import player_help
from simulator.config.run import build
from simulator.core import registry
from simulator.training.session import Session
from tests.helpers import external_contestants
from tests.helpers.commands import Engram

torch = pytest.importorskip("torch")
needs_library = pytest.mark.skipif(
    importlib.util.find_spec("stable_baselines3") is None, reason="stable_baselines3 is not installed (extra bench)"
)
SMALL: dict[str, Any] = {"steps": 60, "eval_every": 30, "eval_episodes": 3}


class Student:
    """Draws actions from the global generators, and learns at every tenth step to prefer another action.

    :param gain: what a weight
        grows by
    """

    seen: list[Any] = []  # noqa: RUF012 - for tests

    def __init__(
        self, policy: str, env: Any, gain: float = 1.0, breaks: int = 0, seed: int = 0, device: str = "cpu"
    ) -> None:
        self.env, self.gain, self.breaks = env, gain, breaks
        random.seed(seed)
        env.action_space.seed(seed)
        self.num_timesteps = 0
        self._n_updates = 0
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.draws: list[float] = []
        Student.seen.append(self)

    @property
    def policy(self) -> Any:
        return types.SimpleNamespace(
            parameters=lambda: [self.weight],
            state_dict=lambda: {"weight": self.weight},
            load_state_dict=lambda state: self.weight.data.copy_(state["weight"]),
        )

    def get_env(self) -> Any:
        return types.SimpleNamespace(envs=[self.env])

    def set_logger(self, logger: Any) -> None:
        self.logger = logger

    def learn(self, total_timesteps: int, reset_num_timesteps: bool = True) -> None:
        self.asked = (total_timesteps, reset_num_timesteps)
        self.env.reset()
        for _ in range(total_timesteps):
            self.draws.append(random.random() + float(np.random.random()))  # noqa: NPY002 - as the library does
            self.draws[-1] += int(self.env.action_space.sample())
            *_, terminated, truncated, _ = self.env.step(np.int64(int(self.draws[-1] * 2) % self.env.action_space.n))
            self.num_timesteps += 1
            if self.num_timesteps == self.breaks:
                raise ZeroDivisionError("divided\nby zero")
            if self.num_timesteps % 10 == 0:
                self.weight.data += self.gain
                self._n_updates += 1
            if terminated or truncated:
                self.env.reset()

    def predict(self, obs: Any, deterministic: bool = False) -> tuple[Any, None]:
        return np.full(len(obs), int(self.weight.item()) % int(self.env.action_space.n)), None


@pytest.fixture
def student(monkeypatch: pytest.MonkeyPatch) -> str:
    """Install a library whose one class is the student."""
    for name, module in external_contestants.library().items():
        module.Student = Student  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(Student, "seen", [])
    return "sb3:Student"


def test_a_class_is_an_agent_of_runs(student: str, tmp_path: Path) -> None:
    result = simulator.run(student, "FrozenLake-v1", seeds=2, lab=tmp_path, agent_settings={"gain": 2.0}, **SMALL)
    assert (result.summary["agent"], result.summary["status"], result.summary["exact"]) == (student, "done", True)
    assert result.exact is not None
    first, second = Student.seen
    assert first.asked == (60, True)
    assert len(first.draws) == 60
    assert first.draws != second.draws
    assert first.weight.item() == 10.0  # the last step is played and not learned from


def test_a_seed_has_its_results_beside_any_others(student: str, tmp_path: Path) -> None:
    both = simulator.run(student, "CartPole-v1", seeds=2, lab=tmp_path, **SMALL)
    random.random()
    alone = simulator.run(student, "CartPole-v1", seeds=1, first_seed=1, lab=tmp_path, **SMALL)
    assert Student.seen[1].draws == Student.seen[2].draws
    assert both.evaluation[1] == alone.evaluation[0]
    of_both, of_alone = both.curve().mean_return[1], alone.curve().mean_return[0]
    np.testing.assert_array_equal(of_both[np.isfinite(of_both)], of_alone[np.isfinite(of_alone)])


def test_the_global_generators_are_left_as_they_were(student: str, tmp_path: Path) -> None:
    random.seed(3)
    expected = random.random()
    random.seed(3)
    simulator.run(student, "CartPole-v1", seeds=1, lab=tmp_path, **SMALL)
    assert random.random() == expected


def test_what_is_resumed_goes_on_from_the_weights_and_is_not_exact(student: str) -> None:
    config = build({"seeds": 1, **SMALL, "agent": {"name": student}, "env": {"name": "CartPole-v1"}})
    first, second = Session(config), Session(config)
    first.play(35)
    second.restore(first.state())
    before, after = Student.seen
    assert (second.step, second.exact, after.weight.item()) == (35, False, 3.0)
    second.play(25)
    assert (second.step, after.asked) == (60, (25, False))
    assert (before.weight.item(), after.weight.item(), after.num_timesteps) == (3.0, 5.0, 59)


def test_a_seed_whose_weights_are_not_finite_fails_alone(student: str, tmp_path: Path) -> None:
    result = simulator.run(
        student, "CartPole-v1", seeds=2, lab=tmp_path, agent_settings={"gain": 1e38}, **{**SMALL, "steps": 50}
    )
    assert [failure["step"] for failure in result.summary["failed"]] == [40, 40]
    assert result.summary["status"] == "failed"


def test_an_error_of_the_library_is_one_line(student: str, engram: Engram, clean_folder: Path) -> None:
    words = ["run", student, "CartPole-v1", "--seeds", "1", "--steps", "40", "--view", "none"]
    err = engram(*words, "--agent.breaks", "15", code=1).err
    assert "sb3:Student: seed 0: ZeroDivisionError: divided by zero, in step 15" in err.splitlines()[-1]
    err = engram(*words, "--agent.lr", "15", code=2).err
    assert "--agent.lr: unknown option" in err
    err = engram("run", student, "rooms", code=2).err
    assert err == (
        "engram: sb3:Student: not all actions exist everywhere in rooms, of which the library knows nothing\n"
    )
    err = engram("run", "sb3:model.zip", "CartPole-v1", code=2).err
    assert "a saved model does not learn here: engram tournament --agents sb3:model.zip --envs ENV" in err
    assert "unknown class 'Studnt'; did you mean Student?" in engram("run", "sb3:Studnt", "CartPole-v1", code=2).err


def test_its_settings_are_keyword_arguments_of_the_class(student: str) -> None:
    config = registry.load("agents", student).Config()
    assert (config.policy, config.gain, config.breaks, config.total_timesteps) == ("MlpPolicy", 1.0, 0, None)
    (group,) = player_help(("agent",), "agents", student).groups
    texts = {option.name: option.text for option in group.options}
    assert list(texts) == ["policy", "gain", "breaks", "total_timesteps"]
    assert texts["gain"].startswith("what a weight grows by (")


def test_without_the_library_it_is_said_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, engram: Engram, clean_folder: Path
) -> None:
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    expected = "engram: sb3:Missing: stable_baselines3 is not installed; pip install stable-baselines3\n"
    assert engram("run", "sb3:Missing", "CartPole-v1", code=2).err == expected


@needs_library
@pytest.mark.optional
@pytest.mark.parametrize(("name", "env"), [("A2C", "CartPole-v1"), ("SAC", "Pendulum-v1"), ("DQN", "FrozenLake-v1")])
def test_the_library_itself(name: str, env: str, tmp_path: Path) -> None:
    settings = {} if name == "A2C" else {"learning_starts": 20}
    both, alone = (
        simulator.run(f"sb3:{name}", env, seeds=seeds, first_seed=first, lab=tmp_path, agent_settings=settings, **SMALL)
        for seeds, first in ((2, 0), (1, 1))
    )
    assert both.evaluation[1] == alone.evaluation[0]
