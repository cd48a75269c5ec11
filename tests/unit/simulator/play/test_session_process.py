"""Tests of a session in a process of its own: the same episodes, errors in one line, and an end."""

from __future__ import annotations

import pytest

from simulator.core import registry
from simulator.play.session import EnvSession
from simulator.play.session_process import SessionProcess

pytestmark = pytest.mark.slow
BROKEN = """
import gymnasium
import numpy as np
import time


class Broken(gymnasium.Env):
    observation_space = gymnasium.spaces.Discrete(2)
    action_space = gymnasium.spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        if action == 1:
            raise RuntimeError("the wheel came off")
        if action == 2:
            time.sleep(600)
        return 0, 0.0, False, False, {}


gymnasium.register("Broken-v0", Broken)
"""


def settings(name):
    return registry.load("envs", name).Config()


@pytest.fixture
def session():
    """Return a function that makes a session, and end all of them."""
    made = []

    def make(name, seed=0, **options):
        made.append(SessionProcess(name, settings(name), seed, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def broken(tmp_path):
    (tmp_path / "broken.py").write_text(BROKEN)
    return f"{tmp_path}/broken.py:Broken-v0"


def test_it_plays_the_same_episodes_as_in_this_process(session):
    theirs, ours = session("FrozenLake-v1", 3), EnvSession("FrozenLake-v1", settings("FrozenLake-v1"), 3)
    for seed in (3, 4):
        for one in (theirs, ours):
            one.begin(seed)
            while not one.ended:
                one.act(1)
        assert theirs.episode().obs.tolist() == ours.episode().obs.tolist()
        assert (theirs.total, theirs.steps, theirs.ended) == (ours.total, ours.steps, ours.ended)
        assert theirs.scene().marks == ours.scene().marks


def test_a_refused_action_leaves_the_turn(session):
    one = session("rooms")
    assert one.act(9).refused
    assert one.steps == 0


def test_an_error_of_the_environment_is_one_line(session, broken):
    one = session(broken)
    with pytest.raises(ValueError, match="the wheel came off") as error:
        one.act(1)
    assert "\n" not in str(error.value)


def test_an_environment_that_hangs_can_be_left(session, broken):
    class LeftError(Exception):
        """The person has closed the window."""

    def leave():
        raise LeftError

    one = session(broken)
    assert one.act(0).refused == ""
    one.waiting = leave
    with pytest.raises(LeftError):
        one.act(2)
    one.close()
    assert not one._process.is_alive()


def test_a_process_that_dies_is_told(session, broken):
    one = session(broken)
    one._process.kill()
    with pytest.raises(ValueError, match="the process of the environment has ended"):
        one.act(0)


def test_an_environment_that_cannot_be_made_is_refused():
    with pytest.raises(ValueError, match="unknown layout"):
        SessionProcess("rooms", registry.load("envs", "rooms").Config(layout="nowhere"), 0)
