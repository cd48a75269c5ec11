"""Tabular and tile-coded Q-learning, Sarsa and Expected Sarsa, each single or double.

Watkins and Dayan 1992 (target "max"); Rummery and Niranjan 1994 ("sarsa"); van Seijen et al. 2009 ("expected");
van Hasselt 2010 (double); Sutton and Barto 2018, chapters 6 and 9.5.4. With step size 1 the update is the
deterministic rule of the textbooks' grid worlds. Departures: ties are broken at random; an action that does not exist
is never chosen and never in a maximum; truncation bootstraps from the observation that the step led to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Literal

import numpy as np

from agents.parts.explore_settings import ExploreSettings, make_explore
from agents.parts.features import BoxFeatures, Features, make_features
from agents.parts.q_update import Rule, Scratch, Tables, act_all, learn_all, stretch_block
from agents.parts.tabular import (
    GreedyTable,
    check_memory,
    discount,
    legal_rows,
    load,
    moves,
    n_actions,
    save,
    trace_buffers,
)
from simulator.core import seeds
from simulator.core.compiled import spread
from simulator.core.protocols import Array, Metrics, Spec, State, Step, Trace
from simulator.core.ranges import PositiveShare, Share
from simulator.core.table import Lanes


@dataclass(frozen=True)
class Config:
    """Settings of Q-learning and its relatives."""

    target: Literal["max", "sarsa", "expected"] = "max"
    """what the next state is worth: its best action, the action taken next, or the mean over actions to be taken"""
    double: bool = False
    """two tables, each valued by the other's choice"""
    step_size: PositiveShare = 0.5
    """share of the TD error that is learned from one step; 1 is the deterministic rule"""
    step_power: Share = 0.0
    """w: the n-th update of an entry learns step_size * n**-w; 0 keeps the step size constant"""
    gamma: Share | None = None
    """discount per step; none: the world's own, 0.8 in a graph of rooms and 0.99 elsewhere"""
    initial: float = 0.0
    """value of every entry before it is learned, in units of return; above the truth is optimistic"""
    explore: ExploreSettings = field(default_factory=ExploreSettings)
    """exploration while training"""
    box: BoxFeatures = field(default_factory=BoxFeatures)
    """how real-valued observations are cut"""


TUNED = {
    "six-rooms": {
        "about": "the textbook's exercise: random moves, step size 1",
        "world": "rooms",
        "steps": 60_000,
        "agent": {"step_size": 1.0, "explore": {"level": 1.0}},
        "settings": {"layout": "six"},
    },
    "cliff": {
        "about": "example 6.6 of Sutton and Barto 2018: the greedy path of -13",
        "world": "CliffWalking-v1",
        "steps": 3_000,
        "agent": {"step_size": 0.5, "gamma": 1.0, "explore": {"level": 0.1}},
    },
    "frozen-lake": {
        "about": "a success rate of .73 and more at the end: step size n**-0.55, epsilon falling to .05",
        "world": "FrozenLake-v1",
        "steps": 50_000,
        "agent": {"step_size": 1.0, "step_power": 0.55, "explore": {"level": 1.0, "last": 0.05, "steps": 50_000}},
    },
    "frozen-lake-fast": {
        "about": "the same in 12,000 steps, in nearly as many seeds: values begin at .5, epsilon falls from .5 to 0",
        "world": "FrozenLake-v1",
        "steps": 12_000,
        "agent": {
            "step_size": 1.0,
            "step_power": 0.55,
            "initial": 0.5,
            "explore": {"level": 0.5, "last": 0.0, "steps": 12_000},
        },
    },
    "taxi": {
        "about": "the exact optimum 7.93 in 150,000 steps: eight moves in ten at random",
        "world": "Taxi-v4",
        "steps": 150_000,
        "agent": {"step_size": 1.0, "explore": {"level": 0.85, "last": 0.8, "steps": 150_000}},
    },
    "taxi-fast": {
        "about": "7.8 and more in 60,000 steps",
        "world": "Taxi-v4",
        "steps": 60_000,
        "agent": {"step_size": 1.0, "explore": {"level": 0.4, "last": 0.2, "steps": 60_000}},
    },
}


class QLearning:
    """S learners; see :class:`simulator.core.protocols.Agent`."""

    def __init__(self, features: Features, rule: Rule, tables: Tables, legal: Array, seed_list: list[int]) -> None:
        self._features, self._rule, self._tables, self._seeds = features, rule, tables, seed_list
        row, at = np.zeros(tables.q.shape[::3]), np.zeros((len(seed_list), features.n_active), np.int64)
        self._scratch = Scratch(row, row.copy(), at, at.copy(), moves(legal), legal)
        self.gamma, self._trace = rule.gamma, trace_buffers(None, len(seed_list), 1)
        self.failed_at = tables.failed_at
        if features.discrete:
            self.stretch = self._stretch

    def act(self, obs: Array) -> Array:
        """Exploring actions, int64 [S]."""
        actions = np.zeros(len(self._seeds), np.int64)
        self._scratch.at[:] = self._features.encode(obs)
        act_all(self._tables, self._rule, self._scratch, actions)
        return actions

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """One update of every seed."""
        self._scratch.at[:] = self._features.encode(obs)
        self._scratch.then[:] = self._features.encode(step.final_obs)
        ends = (step.reward, step.terminated, step.truncated)
        learn_all(self._tables, self._rule, self._scratch, np.asarray(actions, np.int64), ends)
        return {"td_error": self._tables.error}

    def _stretch(self, lanes: Lanes, n: int) -> Trace:
        """N steps of a world by table in one call, with the bits of n rounds of act, step and learn."""
        reward, ended = self._trace = trace_buffers(self._trace, len(self._seeds), n)

        brain = (self._tables, self._rule, self._scratch)
        spread(lambda first, last: stretch_block((first, last), brain, lanes, reward, ended), len(self._seeds))
        return Trace(reward, ended, {"td_error": self._tables.error})

    def policy(self) -> GreedyTable:
        """The greedy policy as of now; double tables act by their mean."""
        return GreedyTable(self._tables.q.mean(axis=1), self._scratch.legal, self._features, self._seeds)

    def state(self) -> State:
        """Tables, counters and streams."""
        return save(self._tables)

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        load(self._tables, state)


def make(spec: Spec, seed_list: Sequence[int], config: Config) -> QLearning:
    """Learners for a world of discrete actions.

    Raises:
        ValueError: a space or a setting that this agent cannot have.
    """
    n, features = n_actions(spec, "q_learning"), make_features(spec, config.box)
    legal, count = legal_rows(spec, n), len(seed_list)
    shape = (count, 2 if config.double else 1, features.n_features, n)
    check_memory("q_learning", spec, 8 * prod(shape) * (2 if config.step_power else 1))
    q = np.full(shape, config.initial / features.n_active)
    if features.discrete:
        q *= legal[None, None]
    streams = seeds.words(seed_list, "exploration")
    visits = np.zeros(shape if config.step_power else (count, 1, 1, 1), np.int64)
    ints = (np.full(count, -1), np.zeros(count, np.int64))
    tables = Tables(q, visits, *ints, streams, np.zeros(count), np.zeros(count, np.int64))
    target = ("max", "sarsa", "expected").index(config.target)
    explore = make_explore(config.explore)
    rule = Rule(target, float(config.step_size), float(config.step_power), discount(spec, config.gamma), explore)
    return QLearning(features, rule, tables, legal, list(seed_list))


if __name__ == "__main__":
    from agents.parts.show import show_agent

    show_agent("q_learning", make, Config())
