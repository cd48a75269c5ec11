"""Tests of behaviour cloning, with counts worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from agents import behaviour_cloning
from simulator.core import rng
from simulator.core.demonstrations import Demonstrations, write_demonstrations
from simulator.core.protocols import EnvSpec

ROOMS = EnvSpec("rooms", spaces.Discrete(4), spaces.Discrete(3))
PLANE = EnvSpec("plane", spaces.Box(-np.inf, np.inf, (4,), np.float32), spaces.Discrete(2))


@pytest.fixture
def cloned(tmp_path):
    """Return a function that makes clones of what was shown."""

    def make(spec, shown, seeds=(0, 1, 2), **settings):
        path = tmp_path / "shown.safetensors"
        write_demonstrations(path, shown)
        config = behaviour_cloning.Config(demonstrations=str(path), **settings)
        return behaviour_cloning.make(spec, list(seeds), config)

    return make


def test_the_most_frequent_action_is_taken_and_ties_and_unknown_places_are_uniform(cloned):
    obs = [0, 0, 0, 1, 1, 2]
    actions = [2, 2, 1, 0, 1, 1]
    clone = cloned(ROOMS, Demonstrations(np.array(obs), np.array(actions), np.zeros(6, np.int64)))
    expected = [[0, 0, 1], [0.5, 0.5, 0], [0, 1, 0], [1 / 3, 1 / 3, 1 / 3]]
    np.testing.assert_allclose(clone.policy().probs(np.arange(4)), np.broadcast_to(expected, (3, 4, 3)))
    acted = [clone.act(np.array([0, 1, 2])) for _ in range(40)]
    assert {int(row[0]) for row in acted} == {2}
    assert {int(row[1]) for row in acted} == {0, 1}
    assert {int(row[2]) for row in acted} == {1}


def test_illegal_actions_are_never_taken(cloned):
    legal = np.array([[True, True, False], [False, True, True], [True, False, True], [False, False, True]])
    spec = EnvSpec("rooms", spaces.Discrete(4), spaces.Discrete(3), legal_actions=legal)
    clone = cloned(spec, Demonstrations(np.array([0]), np.array([1]), np.array([0])))
    probs = clone.probs(np.arange(4))[0]
    assert not probs[~legal].any()
    np.testing.assert_allclose(probs, [[0, 1, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0, 0, 1]])


def test_held_out_accuracy_leaves_the_whole_episode_out(cloned):
    """Of two episodes each is held out by some seeds: what is only in the other one does not help there."""
    shown = Demonstrations(np.array([0, 1, 0, 2]), np.array([1, 1, 1, 1]), np.array([0, 0, 1, 1]))
    clone = cloned(ROOMS, shown, seeds=range(8))
    accuracy = clone.learn(None, None, None)["held_out_accuracy"]
    # place 0 is in the other episode too: right; place 1 or 2 is not: a third
    np.testing.assert_allclose(accuracy, (1 + 1 / 3) / 2)


def test_of_a_single_step_nothing_is_held_out(cloned):
    clone = cloned(ROOMS, Demonstrations(np.array([0]), np.array([1]), np.array([0])))
    assert clone.learn(None, None, None) == {}


def test_nothing_shown_is_uniform():
    clone = behaviour_cloning.make(ROOMS, [0], behaviour_cloning.Config())
    np.testing.assert_allclose(clone.probs(np.arange(4)), np.full((1, 4, 3), 1 / 3))
    clone = behaviour_cloning.make(PLANE, [0], behaviour_cloning.Config())
    np.testing.assert_allclose(clone.probs(np.zeros((2, 4), np.float32)), np.full((1, 2, 2), 0.5))


@pytest.mark.learning
def test_a_network_learns_a_linear_rule(cloned):
    x = rng.generators([0], "patterns")[0].normal(size=(600, 4)).astype(np.float32)
    shown = Demonstrations(x[:500], (x[:500, 2] + x[:500, 3] > 0).astype(np.int64), np.arange(500) // 100)
    clone = cloned(PLANE, shown, seeds=range(16))
    assert (clone.learn(None, None, None)["held_out_accuracy"] > 0.85).all()
    chosen = clone.probs(x[500:]).argmax(axis=-1)
    assert ((chosen == (x[500:, 2] + x[500:, 3] > 0)).mean(axis=1) > 0.85).all()


@pytest.mark.learning
def test_numbers_are_fitted_by_squares(cloned):
    x = rng.generators([0], "patterns")[0].uniform(-1.0, 1.0, (400, 4)).astype(np.float32)
    spec = EnvSpec("arm", PLANE.observation, spaces.Box(-2.0, 2.0, (1,), np.float32))
    clone = cloned(spec, Demonstrations(x, 2.0 * x[:, :1], np.arange(400) // 100), seeds=range(4))
    assert (clone.learn(None, None, None)["held_out_error"] < 0.1).all()  # of half the range, 2
    np.testing.assert_allclose(clone.act(x[:4]), 2.0 * x[:4, :1], atol=0.4)
    assert clone.probs(x[:1]) is None


def test_a_seed_is_fitted_alike_alone_and_among_others(cloned):
    x = rng.generators([0], "patterns")[0].normal(size=(60, 4)).astype(np.float32)
    shown = Demonstrations(x, (x[:, 0] > 0).astype(np.int64), np.arange(60) // 20)
    together = cloned(PLANE, shown, seeds=(3, 4, 5), updates=20).state()
    alone = cloned(PLANE, shown, seeds=(4,), updates=20).state()
    np.testing.assert_array_equal(together["fitted"][1], alone["fitted"][0])
    assert together["held_out"][1] == alone["held_out"][0]


@pytest.mark.parametrize(
    "shown",
    [
        Demonstrations(np.array([0, 4]), np.array([1, 1]), np.zeros(2, np.int64)),
        Demonstrations(np.array([0, 1]), np.array([1, 3]), np.zeros(2, np.int64)),
        Demonstrations(np.zeros((2, 3)), np.array([1, 1]), np.zeros(2, np.int64)),
    ],
)
def test_demonstrations_of_another_environment_are_refused(cloned, shown):
    with pytest.raises(ValueError, match=r"^behaviour_cloning on rooms: .*of another environment, expected some of"):
        cloned(ROOMS, shown)
