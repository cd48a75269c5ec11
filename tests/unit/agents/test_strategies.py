"""Tests of strategies for iterated games: their actions, and refused games."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from gymnasium import spaces

from agents import grudger, memory_one
from agents.memory_one import PRESETS, Config
from simulator.core.games.game import CC, CD, DC, DD, START
from simulator.core.protocols import EnvSpec

SIDE = EnvSpec("iterated", spaces.Discrete(5), spaces.Discrete(2))
C, D = 0, 1


def player(name, seeds=(0,)):
    return memory_one.make(SIDE, list(seeds), Config(**PRESETS[name]["agent"]))


@pytest.mark.parametrize(
    ("name", "does"),
    [
        ("tit-for-tat", [C, C, D, C, D]),
        ("suspicious-tit-for-tat", [D, C, D, C, D]),
        ("win-stay-lose-shift", [C, C, D, D, C]),
        ("grim-trigger", [C, C, D, D, D]),
        ("always-cooperate", [C] * 5),
        ("always-defect", [D] * 5),
    ],
)
def test_certain_actions_use_no_random_number(name, does):
    one = player(name, range(5))
    before = one.state()["stream"]
    np.testing.assert_array_equal(one.act(np.array([START, CC, CD, DC, DD])), does)
    np.testing.assert_array_equal(one.state()["stream"], before)
    np.testing.assert_array_equal(one.probs(np.arange(5))[0].argmax(axis=1), does)


def test_random_actions_have_their_frequencies():
    one = player("generous-tit-for-tat", range(2_000))
    forgives = (one.act(np.full(2_000, CD)) == C).mean()
    assert abs(forgives - 1 / 3) < 4 * np.sqrt(2 / 9 / 2_000)
    np.testing.assert_allclose(one.probs(np.array([DD]))[7], [[1 / 3, 2 / 3]])


def test_a_policy_has_streams_of_its_own():
    one, seen = player("random", range(400)), np.zeros(400, np.int64)
    other, again = one.policy(), one.policy()
    acted = other.act(seen, np.ones(400, bool))
    np.testing.assert_array_equal(acted, again.act(seen, np.ones(400, bool)))
    assert 0.3 < (acted == one.act(seen)).mean() < 0.7


def test_every_preset_is_a_strategy_with_a_sentence():
    assert astuple(Config()) == tuple(PRESETS["tit-for-tat"]["agent"].values())
    for entry in PRESETS.values():
        assert set(entry) == {"description", "agent"}
        assert entry["description"]
        assert all(0.0 <= p <= 1.0 for p in astuple(Config(**entry["agent"])))


def test_a_grudger_remembers_a_defection_until_the_episode_ends():
    one = grudger.make(SIDE, [0, 1], grudger.Config())
    story = [(START, C), (CC, C), (DC, C), (CD, D), (DC, D), (CC, D), (START, C), (DD, D), (DC, D)]
    for seen, does in story:
        acted = one.act(np.array([seen, CC]))
        assert acted.tolist() == [does, C], seen
    kept = one.state()
    restored = grudger.make(SIDE, [0, 1], grudger.Config())
    restored.restore(kept)
    assert restored.act(np.array([CC, CC])).tolist() == [D, C]
    assert one.policy().act(np.array([CC, CC]), np.zeros(2, bool)).tolist() == [C, C]


@pytest.mark.parametrize("module", [memory_one, grudger])
@pytest.mark.parametrize(
    "spaces_", [(spaces.Discrete(6), spaces.Discrete(2)), (spaces.Discrete(5), spaces.Discrete(3))]
)
def test_other_envs_are_refused(module, spaces_):
    name = module.__name__.rpartition(".")[2]
    with pytest.raises(ValueError, match=rf"^{name} on w: .*expected a side of an iterated game of two actions$"):
        module.make(EnvSpec("w", *spaces_), [0], module.Config())
