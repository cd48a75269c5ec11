"""Tests of the adapter of players that see one seed at a time, and of the state that is read off their attributes."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass

import numpy as np
import pytest
from gymnasium import spaces

from simulator import per_seed
from simulator.checks.comparison import same
from simulator.core.foreign.guards import guarded_make
from simulator.core.foreign.object_state import object_state, restore_object
from simulator.core.memories import PatternSpec
from simulator.core.protocols import EnvSpec, Step
from simulator.store import checkpoints

SPEC = EnvSpec("line", spaces.Discrete(5), spaces.Discrete(3))
SEEDS = [4, 9]


@dataclass(frozen=True)
class Config:
    gamma: float = 0.5


class StepCounter:
    """Counts what it is told, and acts by its own stream."""

    def __init__(self, spec, config, rng):
        self.spec = spec
        self.config = config
        self.rng = rng
        self.told = []
        self.began = 0

    def reset(self):
        self.began += 1

    def act(self, obs):
        return int(self.rng.integers(3))

    def learn(self, obs, action, reward, next_obs, terminated, truncated):
        self.told.append((obs, action, reward, next_obs, terminated, truncated))
        return {"n": len(self.told)}


def step_of(obs, *, terminated=(False, False), truncated=(False, False), final_obs=None):
    flags = (np.array(terminated), np.array(truncated))
    return Step(
        np.array(obs), np.array([1.0, 2.0], np.float32), *flags, np.array(obs if final_obs is None else final_obs)
    )


def learners(agent):
    return agent._learners


def test_every_seed_is_told_its_own_step_and_where_episodes_begin():
    agent = per_seed(StepCounter)(SPEC, SEEDS, Config())
    assert agent.gamma == 0.5
    actions = agent.act(np.array([0, 1]))
    step = step_of([0, 2], terminated=(True, False), truncated=(False, False), final_obs=[4, 2])
    metrics = agent.learn(np.array([0, 1]), actions, step)
    assert metrics["n"].tolist() == [1.0, 1.0]
    assert learners(agent)[0].told == [(0, int(actions[0]), 1.0, 4, True, False)]  # final_obs, not the next episode's
    assert learners(agent)[1].told == [(1, int(actions[1]), 2.0, 2, False, False)]
    agent.act(np.array([0, 2]))
    assert [one.began for one in learners(agent)] == [2, 1]


def test_a_seed_draws_the_same_alone():
    together = per_seed(StepCounter)(SPEC, SEEDS, Config())
    alone = per_seed(StepCounter)(SPEC, SEEDS[1:], Config())
    obs = np.zeros(2, int)
    for _ in range(20):
        assert together.act(obs)[1] == alone.act(obs[:1])[0]


def test_a_policy_without_greedy_or_values_acts_on_a_copy_and_a_stream_of_its_own():
    agent = per_seed(StepCounter)(SPEC, SEEDS, Config())
    agent.act(np.zeros(2, int))
    before = agent.state()
    acted = [[agent.policy().act(np.zeros(2, int), np.ones(2, bool)).tolist() for _ in range(3)] for _ in range(2)]
    assert acted[0] == acted[1]
    same(before, agent.state())
    assert agent.policy().probs(np.arange(5)) is None


class Valued(StepCounter):
    reset = property()  # it has none

    def __getattribute__(self, name):
        if name == "reset":
            raise AttributeError(name)
        return super().__getattribute__(name)

    def values(self, obs):
        return np.array([0.0, obs, 2.0])


def test_values_give_the_policy_its_best_action_among_the_legal_ones():
    legal = np.ones((5, 3), bool)
    legal[4] = [True, False, False]
    spec = EnvSpec("line", SPEC.observation, SPEC.action, legal_actions=legal)
    policy = per_seed(Valued)(spec, SEEDS, Config()).policy()
    assert policy.probs(np.arange(5)).argmax(axis=-1).tolist() == [[2, 2, 1, 1, 0]] * 2
    assert policy.act(np.array([3, 4]), np.ones(2, bool)).tolist() == [1, 0]
    assert policy.values(np.arange(5)).shape == (2, 5, 3)


@pytest.mark.parametrize(("given", "said"), [(7, "gave 7 in seed number 0"), ("up", "gave 'up' in seed number 0")])
def test_an_impossible_action_is_refused_with_class_method_and_seed(given, said):
    class Wrong(StepCounter):
        def act(self, obs):
            return given

    agent = guarded_make("agents", "mine", per_seed(Wrong))(SPEC, SEEDS, Config())
    with pytest.raises(ValueError, match=rf"^agent mine: Wrong\.act {said}, expected a whole number from 0 to 2$"):
        agent.act(np.zeros(2, int))


def test_a_class_that_is_neither_agent_nor_memory_is_refused():
    with pytest.raises(ValueError, match=r"Config has neither the methods act and learn, .* or store and recall"):
        per_seed(Config)


class Majority:
    def __init__(self, spec, config, rng):
        self.mean = np.zeros(spec.n)

    def store(self, patterns):
        self.mean = patterns.mean(axis=0)

    def recall(self, cues, known):
        restored = np.repeat(np.sign(self.mean)[None], len(cues), axis=0)
        return restored if known is None else np.where(known, cues, restored)


def test_a_memory_of_one_seed_is_lifted_with_the_distance_of_recall_as_energy():
    memory = per_seed(Majority)(PatternSpec((3,)), SEEDS, Config())
    patterns = np.array([[[1, 1, -1]], [[-1, 1, 1]]], np.float32)
    memory.store(patterns)
    recall = memory.recall(-patterns)
    np.testing.assert_array_equal(recall.patterns, patterns)
    assert recall.energy.tolist() == [[[4.0, 0.0]], [[4.0, 0.0]]]
    assert memory.n_parameters == 3
    with pytest.raises(ValueError, match=r"patterns of shape \(2, 1, 2\), expected \[2 seeds, at least one pattern"):
        memory.store(patterns[:, :, :2])


# state of attributes


class InnerState:
    def __init__(self):
        self.count = 0


class Holder:
    def __init__(self, rng):
        self.rng = rng
        self.same_rng = rng
        self.table = defaultdict(float)
        self.recent = deque(maxlen=2)
        self.weights = np.zeros(3)
        self.first = self.weights[:1]  # a view
        self.inner = InnerState()
        self.config = Config()
        self.key = len  # a constant


def stored(owner):
    return checkpoints.unpacked(checkpoints.packed(object_state(owner)))


def test_attributes_come_back_from_a_checkpoint():
    one = Holder(np.random.Generator(np.random.PCG64(3)))
    one.rng.integers(5, dtype=np.uint32)  # leaves half a draw
    one.table[1, "a"] = 2.5
    one.recent.extend([1, 2, 3])
    one.weights += 4.0
    one.inner.count = 7
    one.late = {3}
    two = Holder(np.random.Generator(np.random.PCG64(0)))
    two.extra = 1
    restore_object(two, stored(one))
    assert (two.table, two.recent, two.inner.count, two.late) == ({(1, "a"): 2.5}, deque([2, 3]), 7, {3})
    assert two.table[9] == 0.0
    assert two.recent.maxlen == 2
    assert not hasattr(two, "extra")
    two.weights[0] = 1.0
    assert two.first[0] == 1.0
    assert two.same_rng is two.rng
    assert [two.rng.integers(99, dtype=np.uint32) for _ in range(3)] == [
        one.rng.integers(99, dtype=np.uint32) for _ in range(3)
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([InnerState()], r"InnerState\.bad\[0\] is a InnerState, expected arrays"),
        (np.array([None]), r"InnerState\.bad is an array of objects"),
        (np.random.Generator(np.random.MT19937(1)), r"InnerState\.bad draws from MT19937, expected numpy's PCG64"),
    ],
)
def test_what_cannot_be_stored_is_named_by_class_and_attribute(value, said):
    owner = InnerState()
    owner.bad = value
    with pytest.raises(ValueError, match=said):
        object_state(owner)
