"""Temporal-difference learning of state values: TD(0), and TD(lambda) by a field.

Sutton 1988; Sutton and Barto 2018, chapters 6.1 and 12.2 (backward view, accumulating or replacing traces). It
evaluates a given policy, or controls: then it chooses by one-step look-ahead through a model of the world that it
learns from counts. With step size 1 the update is the deterministic rule of the textbooks' grid worlds. Departure:
truncation bootstraps from the observation that the step led to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Literal

import numpy as np

from agents.parts.explore_settings import ExploreSettings, make_explore
from agents.parts.features import BoxFeatures, Features, make_features
from agents.parts.tabular import (
    GivenPolicy,
    GreedyTable,
    check_memory,
    discount,
    given_policy,
    legal_rows,
    load,
    moves,
    n_actions,
    policy_files,
    save,
    trace_buffers,
)
from agents.parts.td_update import Rule, Scratch, Tables, act_all, learn_all, look_ahead_all, stretch_block
from simulator.core import seeds
from simulator.core.compiled import spread
from simulator.core.protocols import Array, Metrics, Policy, Spec, State, Step, Trace
from simulator.core.ranges import Count, PositiveShare, Share
from simulator.core.table import Lanes


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
    """discount per step; none: the world's own, 0.8 in a graph of rooms and 0.99 elsewhere"""
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


TUNED = {
    "six-rooms-td": {
        "about": "TD(0) control of the six rooms, step size 1, random moves that fade away",
        "world": "rooms",
        "steps": 60_000,
        "agent": {"step_size": 1.0, "explore": {"level": 1.0, "last": 0.0, "steps": 40_000}},
        "settings": {"layout": "six"},
    },
}


class TD:
    """S learners; see :class:`simulator.core.protocols.Agent`."""

    def __init__(self, features: Features, rule: Rule, tables: Tables, scratch: Scratch, seed_list: list[int]) -> None:
        self._features, self._rule, self._tables, self._scratch = features, rule, tables, scratch
        self._seeds, self.gamma, self._trace = seed_list, rule.gamma, trace_buffers(None, len(seed_list), 1)
        self.failed_at = tables.failed_at
        if features.discrete:
            self.stretch = self._stretch

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

    def _stretch(self, lanes: Lanes, n: int) -> Trace:
        """N steps of a world by table in one call, with the bits of n rounds of act, step and learn."""
        reward, ended = self._trace = trace_buffers(self._trace, len(self._seeds), n)
        brain = (self._tables, self._rule, self._scratch)
        spread(lambda first, last: stretch_block((first, last), brain, lanes, reward, ended), len(self._seeds))
        return Trace(reward, ended, self._checked())

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


def make(spec: Spec, seed_list: Sequence[int], config: Config) -> TD:
    """Learners for a world of discrete actions.

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
        stream=seeds.words(seed_list, "exploration"),
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
    scratch = Scratch(np.zeros((count, n)), at, at.copy(), moves(legal), legal, given)
    return TD(features, _rule(spec, config, control), tables, scratch, list(seed_list))


def _rule(spec: Spec, config: Config, control: bool) -> Rule:
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


if __name__ == "__main__":
    from agents.parts.show import show_agent

    show_agent("td", make, Config())
