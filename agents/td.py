"""Temporal-difference learning of state values: TD(0), and TD(lambda) by a field.

Sutton 1988; Sutton and Barto 2018, chapters 6.1 and 12.2 (backward view, accumulating or replacing traces). It
evaluates a given policy, or controls: then it chooses by one-step look-ahead through a model of the environment that it
learns from counts. With step size 1 the update is the deterministic rule of the textbooks' grid environments.
Departure: truncation bootstraps from the observation that the step led to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Literal, NamedTuple

import numpy as np

from agents.common.exploration import Explore, ExploreSettings, choose, make_explore
from agents.common.tabular import (
    GivenPolicy,
    GreedyTable,
    action_lists,
    check_memory,
    discount,
    given_policy,
    legal_rows,
    load,
    n_actions,
    policy_files,
    save,
    trace_buffers,
)
from agents.common.tile_coding import BoxFeatures, Features, make_features
from simulator.core import rng
from simulator.core.field_types import Count, PositiveShare, Share
from simulator.core.jit import jit, jit_inline, parallel_for
from simulator.core.protocols import Array, EnvSpec, Metrics, Policy, Rollout, State, Step
from simulator.core.rng_compiled import uniform
from simulator.core.transition_table import GOES_ON, TERMINATES, TabularBatch, table_step


@dataclass(frozen=True)
class Config:
    """Settings of TD learning."""

    policy: str = "control"
    """control: look ahead through a learned model; random or optimal: evaluate that policy; or a .npy file [N, A]"""
    decay: Share = 0.0
    """lambda: how much of a trace is left after a step, before the discount; 0 is TD(0)"""
    traces: Literal["accumulating", "replacing"] = "accumulating"
    """whether a state seen again raises its trace by 1 or sets it to 1"""
    step_size: PositiveShare = 0.5
    """share of the TD error that is learned from one step; 1 is the deterministic rule"""
    step_power: Share = 0.0
    """w: the n-th update of a state learns step_size * n**-w; 0 keeps the step size constant"""
    gamma: Share | None = None
    """discount per step; none: the environment's own, 0.8 in a graph of rooms and 0.99 elsewhere"""
    initial: float = 0.0
    """value of every state before it is learned, in units of return"""
    untried_first: bool = True
    """control tries every action of a state once before it prefers any"""
    n_successors: Count = 16
    """distinct next states that the model holds for one state and action"""
    explore: ExploreSettings = field(default_factory=ExploreSettings)
    """exploration while training, with control"""
    box: BoxFeatures = field(default_factory=BoxFeatures)
    """how real-valued observations are cut"""


PRESETS = {
    "six-rooms-td": {
        "description": "TD(0) control of the six rooms, step size 1, random moves that fade away",
        "env": "rooms",
        "steps": 60_000,
        "agent": {"step_size": 1.0, "explore": {"epsilon_start": 1.0, "epsilon_end": 0.0, "decay_steps": 40_000}},
        "env_settings": {"layout": "six"},
    },
}


class TD:
    """S learners; see :class:`simulator.core.protocols.Agent`."""

    def __init__(self, features: Features, rule: Rule, tables: Tables, scratch: Scratch, seed_list: list[int]) -> None:
        self._features, self._rule, self._tables, self._scratch = features, rule, tables, scratch
        self._seeds, self.gamma, self._trace = seed_list, rule.gamma, trace_buffers(None, len(seed_list), 1)
        self.failed_at = tables.failed_at
        if features.discrete:
            self.rollout = self._stretch

    def act(self, obs: Array) -> Array:
        """Actions of the look-ahead or of the given policy, int64 [S]."""
        actions = np.zeros(len(self._seeds), np.int64)
        self._scratch.at[:] = self._features.encode(obs)
        act_all(self._tables, self._rule, self._scratch, actions)
        return actions

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """One update of every seed.

        Raises:
            ValueError: more successors than the model holds.
        """
        self._scratch.at[:] = self._features.encode(obs)
        self._scratch.then[:] = self._features.encode(step.final_obs)
        ends = (step.reward, step.terminated, step.truncated)
        learn_all(self._tables, self._rule, self._scratch, np.asarray(actions, np.int64), ends)
        return self._checked()

    def _stretch(self, env_batch: TabularBatch, n: int) -> Rollout:
        """N steps of an environment by table in one call, with the bits of n rounds of act, step and learn."""
        reward, ended = self._trace = trace_buffers(self._trace, len(self._seeds), n)
        brain = (self._tables, self._rule, self._scratch)
        parallel_for(
            lambda first, last: stretch_block((first, last), brain, env_batch, reward, ended), len(self._seeds)
        )
        return Rollout(reward, ended, self._checked())

    def _checked(self) -> Metrics:
        full = np.flatnonzero(self._tables.overflow)
        if len(full):
            seed, at = self._seeds[full[0]], self._tables.overflow[full[0]] - 1
            n = self._tables.successor.shape[3]
            raise ValueError(f"agent.n_successors = {n}: seed {seed} met more next states than that from state {at}")
        return {"td_error": self._tables.error}

    def policy(self) -> Policy:
        """The greedy look-ahead as of now, or the given policy."""
        if not self._rule.control:
            return GivenPolicy(self._scratch.given, self._tables.v.copy(), self._features, self._seeds)
        q = np.zeros((*self._tables.v.shape, self._tables.gain.shape[2]))
        look_ahead_all(self._tables, self._rule, q)
        return GreedyTable(q, self._scratch.legal, self._features, self._seeds)

    def state(self) -> State:
        """Values, traces, model, counters and streams."""
        return save(self._tables)

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        load(self._tables, state)


def files(config: Config) -> list[str]:
    """The file that the policy comes from; none where it is one that has a name."""
    return policy_files(config.policy)


def make(spec: EnvSpec, seed_list: Sequence[int], config: Config) -> TD:
    """Learners for an environment of discrete actions.

    Raises:
        ValueError: a space or a setting that this agent cannot have.
    """
    n, features, count = n_actions(spec, "td"), make_features(spec, config.box), len(seed_list)
    control, n_states = config.policy == "control", features.n_features
    if features.n_active > 1:
        raise ValueError(f"agent.box.kind = {config.box.kind!r}: td looks states up one by one, expected 'bins'")
    model = (count, n_states, n, config.n_successors) if control else (count, 1, 1, 1)
    check_memory("td", spec, 8 * prod(model) + 24 * count * n_states)
    tables = Tables(
        v=np.full((count, n_states), float(config.initial)),
        trace=np.zeros((count, n_states if config.decay else 1)),
        visits=np.zeros((count, n_states), np.int64),
        successor=np.full(model, -1, np.int32),
        count=np.zeros(model, np.int32),
        gain=np.zeros(model[:3]),
        overflow=np.zeros(count, np.int64),
        clock=np.zeros(count, np.int64),
        stream=rng.pcg64_states(seed_list, "exploration"),
        error=np.zeros(count),
        failed_at=np.zeros(count, np.int64),
    )
    legal = legal_rows(spec, n)
    given = (
        np.zeros((1, n))
        if control
        else np.cumsum(given_policy(spec, config.policy, discount(spec, config.gamma), legal, n_states), axis=1)
    )
    at = np.zeros((count, 1), np.int64)
    scratch = Scratch(np.zeros((count, n)), at, at.copy(), action_lists(legal), legal, given)
    return TD(features, _rule(spec, config, control), tables, scratch, list(seed_list))


def _rule(spec: EnvSpec, config: Config, control: bool) -> Rule:
    return Rule(
        control=control,
        step_size=float(config.step_size),
        power=float(config.step_power),
        gamma=discount(spec, config.gamma),
        decay=float(config.decay),
        replacing=config.traces == "replacing",
        untried_first=config.untried_first,
        initial=float(config.initial),
        explore=make_explore(config.explore),
    )


class Rule(NamedTuple):
    """The settings as compiled code takes them."""

    control: bool  # choose by look-ahead through the model; otherwise by a given policy
    step_size: float
    power: float  # w of n**-w; 0: constant
    gamma: float
    decay: float  # lambda
    replacing: bool  # traces are set to 1 instead of raised by 1
    untried_first: bool
    initial: float
    explore: Explore


class Tables(NamedTuple):
    """Everything S learners know. K successors are remembered; a successor that ends the episode is F + state."""

    v: Array  # float64 [S, F]
    trace: Array  # float64 [S, F]; [S, 1] where lambda is 0
    visits: Array  # int64 [S, F], updates of each state
    successor: Array  # int32 [S, F, A, K], -1 where none is known
    count: Array  # int32 [S, F, A, K]
    gain: Array  # float64 [S, F, A], sum of rewards
    overflow: Array  # int64 [S], 1 + the first feature that had more than K successors, or 0
    clock: Array  # int64 [S], environment steps
    stream: Array  # uint64 [S, 4]
    error: Array  # float64 [S], running mean of |TD error| over about 100 steps
    failed_at: Array  # int64 [S], the step at which a TD error or a value was not finite, or 0; it learns no more then


class Scratch(NamedTuple):
    """Room for compiled code and what is given; never part of the state."""

    prefer: Array  # float64 [S, A]
    at: Array  # int64 [S, 1], the state now
    then: Array  # int64 [S, 1], the state that the step led to
    legal_actions: Array  # int64 [n_observations or 1, 1 + A], how many actions exist, and which
    legal: Array  # bool, the same as a mask, for the policy
    given: Array  # float64 [F, A], the given policy's cumulative probabilities; [1, A] when controlling


@jit_inline
def look_ahead(tables, rule, i, at, action):
    """The value of an action by the learned model, mean reward plus discounted mean of the next; nan: untried."""
    total, n = 0.0, 0
    for k in range(tables.successor.shape[3]):
        then = tables.successor[i, at, action, k]
        if then < 0:
            break
        n += tables.count[i, at, action, k]
        if then < tables.v.shape[1]:
            total += tables.count[i, at, action, k] * rule.gamma * tables.v[i, then]
    return (total + tables.gain[i, at, action]) / n if n else np.nan


@jit_inline
def act_lane(tables, rule, scratch, i):
    """The action of seed i at ``scratch.at``."""
    at = scratch.at[i, 0]
    if not rule.control:
        draw, action = uniform(tables.stream, i), 0
        while action < scratch.given.shape[1] - 1 and scratch.given[at, action] <= draw:
            action += 1
        return action
    legal_actions = scratch.legal_actions[at if scratch.legal_actions.shape[0] > 1 else 0]
    for m in range(1, 1 + legal_actions[0]):
        value = look_ahead(tables, rule, i, at, legal_actions[m])
        if np.isnan(value):
            value = 1e300 if rule.untried_first else rule.initial
        scratch.prefer[i, legal_actions[m]] = value
    return choose(tables.stream, i, scratch.prefer[i], legal_actions, rule.explore, tables.clock[i])


@jit_inline
def _remember(tables, i, at, action, then):
    """Count one more move from ``at`` to ``then``."""
    for k in range(tables.successor.shape[3]):
        if tables.successor[i, at, action, k] < 0:
            tables.successor[i, at, action, k] = then
        if tables.successor[i, at, action, k] == then:
            tables.count[i, at, action, k] += 1
            return
    tables.overflow[i] = max(tables.overflow[i], at + 1)


@jit_inline
def _move(tables, i, at, change):
    """Add to a value of seed i, which fails where that is no finite number; the value then stays."""
    moved = tables.v[i, at] + change
    if np.isfinite(moved):
        tables.v[i, at] = moved
    else:
        tables.failed_at[i] = tables.clock[i]


@jit_inline
def _learn_values(tables, rule, i, at, delta, ends):
    """Move the values along delta, by the traces."""
    step_size = rule.step_size
    tables.visits[i, at] += 1
    if rule.power > 0.0:
        step_size *= tables.visits[i, at] ** -rule.power
    if rule.decay == 0.0:
        _move(tables, i, at, step_size * delta)
        return
    for f in range(tables.trace.shape[1]):
        tables.trace[i, f] *= rule.gamma * rule.decay
    tables.trace[i, at] = 1.0 if rule.replacing else tables.trace[i, at] + 1.0
    for f in range(tables.trace.shape[1]):
        _move(tables, i, f, step_size * delta * tables.trace[i, f])
        if ends:
            tables.trace[i, f] = 0.0


@jit_inline
def learn_lane(tables, rule, scratch, i, action, outcome):
    """Learn from one step of seed i; ``outcome`` is (reward, terminated, whether the episode goes on)."""
    reward, terminated, goes_on = outcome
    at, then = scratch.at[i, 0], scratch.then[i, 0]
    tables.clock[i] += 1
    if tables.failed_at[i] > 0:
        return
    delta = reward + (0.0 if terminated else rule.gamma * tables.v[i, then]) - tables.v[i, at]
    if rule.control:
        _remember(tables, i, at, action, then + tables.v.shape[1] if terminated else then)
        tables.gain[i, at, action] += reward
    _learn_values(tables, rule, i, at, delta, not goes_on)
    if tables.failed_at[i] == 0:
        tables.error[i] += 0.01 * (abs(delta) - tables.error[i])


@jit
def act_all(tables, rule, scratch, actions):
    """Actions of all seeds, written to ``actions`` [S]."""
    for i in range(len(actions)):
        actions[i] = act_lane(tables, rule, scratch, i)


@jit
def learn_all(tables, rule, scratch, actions, step):
    """One update of every seed from ``step`` (reward, terminated, truncated), each [S]."""
    reward, terminated, truncated = step
    for i in range(len(actions)):
        goes_on = not (terminated[i] or truncated[i])
        learn_lane(tables, rule, scratch, i, actions[i], (reward[i], terminated[i], goes_on))


@jit
def look_ahead_all(tables, rule, q):
    """The model's action values, written to ``q`` [S, F, A]; an untried action is worth ``rule.initial``."""
    for i in range(q.shape[0]):
        for at in range(q.shape[1]):
            for action in range(q.shape[2]):
                value = look_ahead(tables, rule, i, at, action)
                q[i, at, action] = rule.initial if np.isnan(value) else value


@jit
def stretch_block(block, brain, env_batch, reward, ended):
    """Act, step and learn for the seeds from block[0] to block[1]; fills reward and ended, [S, T]."""
    tables, rule, scratch = brain
    for i in range(block[0], block[1]):
        for t in range(reward.shape[1]):
            scratch.at[i, 0] = env_batch.table.see[env_batch.place[i]]
            action = act_lane(tables, rule, scratch, i)
            led_to, gain, end = table_step(env_batch, i, action)
            scratch.then[i, 0] = env_batch.table.see[led_to]
            gain = np.float32(gain)
            learn_lane(tables, rule, scratch, i, action, (gain, end == TERMINATES, end == GOES_ON))
            reward[i, t], ended[i, t] = gain, end != GOES_ON


if __name__ == "__main__":
    from agents.common.demo import show_agent

    show_agent("td", make, Config())
