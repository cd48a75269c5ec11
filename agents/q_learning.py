"""Tabular and tile-coded Q-learning, Sarsa and Expected Sarsa, each single or double.

Watkins and Dayan 1992 (target "max"); Rummery and Niranjan 1994 ("sarsa"); van Seijen et al. 2009 ("expected");
van Hasselt 2010 (double); Sutton and Barto 2018, chapters 6 and 9.5.4. With step size 1 the update is the
deterministic rule of the textbooks' grid environments. Departures: ties are broken at random; an action that does not
exist is never chosen and never in a maximum; truncation bootstraps from the observation that the step led to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Literal, NamedTuple

import numpy as np

from agents.common.exploration import Explore, ExploreSettings, argmax, choose, expectation, highest, make_explore
from agents.common.tabular import (
    GreedyTable,
    action_lists,
    check_memory,
    discount,
    legal_rows,
    load,
    n_actions,
    save,
    trace_buffers,
)
from agents.common.tile_coding import BoxFeatures, Features, make_features
from simulator.core import rng
from simulator.core.field_types import PositiveShare, Share
from simulator.core.jit import jit, jit_inline, parallel_for
from simulator.core.protocols import Array, EnvSpec, Metrics, Rollout, State, Step
from simulator.core.rng_compiled import uniform
from simulator.core.transition_table import GOES_ON, TERMINATES, TabularBatch, table_step


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
    """discount per step; none: the environment's own, 0.8 in a graph of rooms and 0.99 elsewhere"""
    initial: float = 0.0
    """value of every entry before it is learned, in units of return; above the truth is optimistic"""
    explore: ExploreSettings = field(default_factory=ExploreSettings)
    """exploration while training"""
    box: BoxFeatures = field(default_factory=BoxFeatures)
    """how real-valued observations are cut"""


PRESETS = {
    "six-rooms": {
        "description": "the textbook's exercise: random legal_actions, step size 1",
        "env": "rooms",
        "steps": 60_000,
        "agent": {"step_size": 1.0, "explore": {"epsilon_start": 1.0}},
        "env_settings": {"layout": "six"},
    },
    "cliff": {
        "description": "example 6.6 of Sutton and Barto 2018: the greedy path of -13",
        "env": "CliffWalking-v1",
        "steps": 3_000,
        "agent": {"step_size": 0.5, "gamma": 1.0, "explore": {"epsilon_start": 0.1}},
    },
    "frozen-lake": {
        "description": "a success rate of .73 and more at the end: step size n**-0.55, epsilon falling to .05",
        "env": "FrozenLake-v1",
        "steps": 50_000,
        "agent": {
            "step_size": 1.0,
            "step_power": 0.55,
            "explore": {"epsilon_start": 1.0, "epsilon_end": 0.05, "decay_steps": 50_000},
        },
    },
    "frozen-lake-fast": {
        "description": "the same in 12,000 steps, in nearly as many seeds: initial values .5, epsilon from .5 to 0",
        "env": "FrozenLake-v1",
        "steps": 12_000,
        "agent": {
            "step_size": 1.0,
            "step_power": 0.55,
            "initial": 0.5,
            "explore": {"epsilon_start": 0.5, "epsilon_end": 0.0, "decay_steps": 12_000},
        },
    },
    "taxi": {
        "description": "the exact optimum 7.93 in 150,000 steps: eight moves in ten at random",
        "env": "Taxi-v4",
        "steps": 150_000,
        "agent": {"step_size": 1.0, "explore": {"epsilon_start": 0.85, "epsilon_end": 0.8, "decay_steps": 150_000}},
    },
    "taxi-fast": {
        "description": "7.8 and more in 60,000 steps",
        "env": "Taxi-v4",
        "steps": 60_000,
        "agent": {"step_size": 1.0, "explore": {"epsilon_start": 0.4, "epsilon_end": 0.2, "decay_steps": 60_000}},
    },
}


class QLearning:
    """S learners; see :class:`simulator.core.protocols.Agent`."""

    def __init__(self, features: Features, rule: Rule, tables: Tables, legal: Array, seed_list: list[int]) -> None:
        self._features, self._rule, self._tables, self._seeds = features, rule, tables, seed_list
        row, at = np.zeros(tables.q.shape[::3]), np.zeros((len(seed_list), features.n_active), np.int64)
        self._scratch = Scratch(row, row.copy(), at, at.copy(), action_lists(legal), legal)
        self.gamma, self._trace = rule.gamma, trace_buffers(None, len(seed_list), 1)
        self.failed_at = tables.failed_at
        if features.discrete:
            self.rollout = self._stretch

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

    def _stretch(self, env_batch: TabularBatch, n: int) -> Rollout:
        """N steps of an environment by table in one call, with the bits of n rounds of act, step and learn."""
        reward, ended = self._trace = trace_buffers(self._trace, len(self._seeds), n)

        brain = (self._tables, self._rule, self._scratch)
        parallel_for(
            lambda first, last: stretch_block((first, last), brain, env_batch, reward, ended), len(self._seeds)
        )
        return Rollout(reward, ended, {"td_error": self._tables.error})

    def policy(self) -> GreedyTable:
        """The greedy policy as of now; double tables act by their mean."""
        return GreedyTable(self._tables.q.mean(axis=1), self._scratch.legal, self._features, self._seeds)

    def state(self) -> State:
        """Tables, counters and streams."""
        return save(self._tables)

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        load(self._tables, state)


def make(spec: EnvSpec, seed_list: Sequence[int], config: Config) -> QLearning:
    """Learners for an environment of discrete actions.

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
    streams = rng.pcg64_states(seed_list, "exploration")
    visits = np.zeros(shape if config.step_power else (count, 1, 1, 1), np.int64)
    ints = (np.full(count, -1), np.zeros(count, np.int64))
    tables = Tables(q, visits, *ints, streams, np.zeros(count), np.zeros(count, np.int64))
    target = ("max", "sarsa", "expected").index(config.target)
    explore = make_explore(config.explore)
    rule = Rule(target, float(config.step_size), float(config.step_power), discount(spec, config.gamma), explore)
    return QLearning(features, rule, tables, legal, list(seed_list))


MAX, SARSA, EXPECTED = 0, 1, 2


class Rule(NamedTuple):
    """The settings as compiled code takes them."""

    target: int
    step_size: float
    power: float  # w of n**-w; 0: constant
    gamma: float
    explore: Explore


class Tables(NamedTuple):
    """Everything S learners know; D is 2 for double learning, else 1."""

    q: Array  # float64 [S, D, F, A]
    visits: Array  # int64 [S, D, F, A], updates of each entry; [S, 1, 1, 1] where the step size is constant
    next_action: Array  # int64 [S], the action that Sarsa has already chosen, or -1
    clock: Array  # int64 [S], environment steps
    stream: Array  # uint64 [S, 4]
    error: Array  # float64 [S], running mean of |TD error| over about 100 steps
    failed_at: Array  # int64 [S], the step at which a TD error or a value was not finite, or 0; it learns no more then


class Scratch(NamedTuple):
    """Room for compiled code, and the actions that exist; never part of the state."""

    prefer: Array  # float64 [S, A]
    value: Array  # float64 [S, A]
    at: Array  # int64 [S, k], the active features now
    then: Array  # int64 [S, k], those of the observation that the step led to
    legal_actions: Array  # int64 [n_observations or 1, 1 + A], how many actions exist, and which
    legal: Array  # bool, the same as a mask, for the policy


@jit_inline
def _is_table(tables, scratch):
    """Whether a value is one entry of one table, so that its row can be read where it stands."""
    return tables.q.shape[1] == 1 and scratch.at.shape[1] == 1


@jit_inline
def _add_up(row, tables, which, i, active):
    """Fill row [A] with the values of table ``which``, or of the tables' sum where it is negative."""
    for action in range(row.shape[0]):
        row[action] = 0.0
        for d in range(tables.q.shape[1]):
            if which < 0 or d == which:
                for k in range(active.shape[0]):
                    row[action] += tables.q[i, d, active[k], action]


@jit_inline
def act_lane(tables, rule, scratch, i, first):
    """The exploring action of seed i; ``first`` is the first of the features that are active now."""
    action = tables.next_action[i] if rule.target == SARSA else -1
    if action >= 0:
        tables.next_action[i] = -1
        return action
    legal_actions = scratch.legal_actions[first if scratch.legal_actions.shape[0] > 1 else np.uint64(0)]
    if _is_table(tables, scratch):
        return choose(tables.stream, i, tables.q[i, 0, first], legal_actions, rule.explore, tables.clock[i])
    _add_up(scratch.prefer[i], tables, -1, i, scratch.at[i])
    return choose(tables.stream, i, scratch.prefer[i], legal_actions, rule.explore, tables.clock[i])


@jit_inline
def _bootstrap(tables, rule, scratch, i, d, then):
    """What the observation that the step led to is worth to table d, and the action chosen there, or -1."""
    legal_actions = scratch.legal_actions[then if scratch.legal_actions.shape[0] > 1 else np.uint64(0)]
    if _is_table(tables, scratch):
        row = tables.q[i, 0, then]
        return (
            (highest(row, legal_actions), -1)
            if rule.target == MAX
            else _chosen(tables, rule, i, row, row, legal_actions)
        )
    prefer, value, double = scratch.prefer[i], scratch.value[i], tables.q.shape[1] == 2
    _add_up(value, tables, 1 - d if double else 0, i, scratch.then[i])
    _add_up(prefer, tables, d if rule.target == MAX else -1, i, scratch.then[i])
    return _chosen(tables, rule, i, prefer, value, legal_actions)


@jit_inline
def _chosen(tables, rule, i, prefer, value, legal_actions):
    """What ``value`` says of the choice that ``prefer`` makes, and Sarsa's choice, or -1."""
    if rule.target == EXPECTED:
        return expectation(prefer, value, legal_actions, rule.explore, tables.clock[i]), -1
    if rule.target == MAX:
        return value[argmax(tables.stream, i, prefer, legal_actions)], -1
    action = choose(tables.stream, i, prefer, legal_actions, rule.explore, tables.clock[i])
    return value[action], action


@jit_inline
def _target(tables, rule, scratch, i, d, outcome):
    """What the step was worth; Sarsa's choice is kept while the episode goes on."""
    reward, terminated, goes_on, then = outcome
    if terminated:
        return np.float64(reward)
    bootstrap, action = _bootstrap(tables, rule, scratch, i, d, then)
    if rule.target == SARSA and goes_on:
        tables.next_action[i] = action
    return reward + rule.gamma * bootstrap


@jit_inline
def _step_size(tables, rule, entry):
    """The share of an entry's error that is learned now; counts the update where that share falls."""
    i, d, feature, action = entry
    if rule.power == 0.0:
        return rule.step_size
    tables.visits[i, d, feature, action] += 1
    return rule.step_size * tables.visits[i, d, feature, action] ** -rule.power


@jit_inline
def _move(tables, i, entry, change):
    """Add to a value of seed i, which fails where that is no finite number; the value then stays."""
    d, feature, action = entry
    moved = tables.q[i, d, feature, action] + change
    if np.isfinite(moved):
        tables.q[i, d, feature, action] = moved
    else:
        tables.failed_at[i] = tables.clock[i]


@jit_inline
def learn_lane(tables, rule, scratch, i, moved, outcome):
    """Learn from one step of seed i.

    ``moved`` is (first active feature, action), ``outcome`` (reward, terminated, whether the episode goes on, first
    feature of the observation that the step led to).
    """
    at, action = moved
    tables.clock[i] += 1
    if tables.failed_at[i] > 0:
        return
    d = np.int64(0)
    if tables.q.shape[1] == 2:
        d = np.int64(uniform(tables.stream, i) < 0.5)
    delta = _target(tables, rule, scratch, i, d, outcome)
    if _is_table(tables, scratch):
        delta -= tables.q[i, 0, at, action]
        _move(tables, i, (0, at, action), _step_size(tables, rule, (i, 0, at, action)) * delta)
    else:
        active, n_active = scratch.at[i], scratch.at.shape[1]
        for k in range(n_active):
            delta -= tables.q[i, d, active[k], action]
        for k in range(n_active):
            step_size = _step_size(tables, rule, (i, d, active[k], action)) / n_active
            _move(tables, i, (d, active[k], action), step_size * delta)
    if tables.failed_at[i] == 0:
        tables.error[i] += 0.01 * (abs(delta) - tables.error[i])


@jit
def act_all(tables, rule, scratch, actions):
    """Exploring actions of all seeds at ``scratch.at``, written to ``actions`` [S]."""
    for i in range(len(actions)):
        actions[i] = act_lane(tables, rule, scratch, i, np.uint64(scratch.at[i, 0]))


@jit
def learn_all(tables, rule, scratch, actions, step):
    """One update of every seed from ``step`` (reward, terminated, truncated), each [S]."""
    reward, terminated, truncated = step
    for i in range(len(actions)):
        goes_on = not (terminated[i] or truncated[i])
        moved = (np.uint64(scratch.at[i, 0]), np.uint64(actions[i]))
        outcome = (reward[i], terminated[i], goes_on, np.uint64(scratch.then[i, 0]))
        learn_lane(tables, rule, scratch, i, moved, outcome)


@jit
def stretch_block(block, brain, env_batch, reward, ended):
    """Act, step and learn for the seeds from block[0] to block[1]; fills reward and ended, [S, T]."""
    tables, rule, scratch = brain
    many = not _is_table(tables, scratch)
    for i in range(block[0], block[1]):
        for t in range(reward.shape[1]):
            at = np.uint64(env_batch.table.see[np.uint64(env_batch.place[i])])
            if many:
                scratch.at[i, 0] = at
            action = np.uint64(act_lane(tables, rule, scratch, i, at))
            led_to, gain, end = table_step(env_batch, i, action)
            then, gain = np.uint64(env_batch.table.see[np.uint64(led_to)]), np.float32(gain)
            if many:
                scratch.then[i, 0] = then
            learn_lane(tables, rule, scratch, i, (at, action), (gain, end == TERMINATES, end == GOES_ON, then))
            reward[i, t], ended[i, t] = gain, end != GOES_ON


if __name__ == "__main__":
    from agents.common.demo import show_agent

    show_agent("q_learning", make, Config())
