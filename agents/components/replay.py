"""Replay for a tabular agent: past transitions in place of a model, each drawn with the same probability.

Lin 1992. After every step in the environment its transition joins those that are kept, in place of the oldest where
they are full, and ``planning_steps`` updates of action values follow, each towards the target of one of them. It is the
control for every model: as many updates, none of them from what did not happen.

It differs from a table with ``updates = "sample"`` by what is drawn: a transition, and so a pair (s, a) as often as it
was tried, where the table draws all pairs alike and then one of their outcomes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from agents.common.inside import table_panel
from agents.common.tabular import check_memory
from agents.common.tile_coding import Features
from simulator.core import rng
from simulator.core.field_types import Count
from simulator.core.jit import jit_inline
from simulator.core.protocols import Array, EnvSpec
from simulator.core.rng_compiled import below
from simulator.core.scene import Panel, TextPanel

SOCKETS = ("model",)


@dataclass(frozen=True)
class Config:
    """Settings of replay."""

    buffer_size: Count = 10_000
    """latest transitions, per seed, that are drawn from"""


class KeptTransitions(NamedTuple):
    """The latest C transitions of S seeds. Pair p is state * A + action."""

    pair: Array  # int32 [S, C]
    code: Array  # int32 [S, C], twice the next state, plus 1 where the episode terminated
    reward: Array  # float64 [S, C]
    n_seen: Array  # int64 [S], so far
    n_updates: Array  # int64 [S], from them, so far
    stream: Array  # uint64 [S, 4]


class ReplayPlanning(NamedTuple):
    """Past transitions and how often they are used, as compiled code takes them."""

    transitions: KeptTransitions
    n_steps: int  # updates after every step in the environment


@jit_inline
def keep_transition(kept, i, pair, next_state, terminated, reward):
    """Keep one transition of seed i in place of its oldest."""
    slot = kept.n_seen[i] % kept.pair.shape[1]
    kept.pair[i, slot] = pair
    kept.code[i, slot] = 2 * next_state + terminated
    kept.reward[i, slot] = reward
    kept.n_seen[i] += 1


@jit_inline
def draw_transition(kept, i):
    """Draw the slot of one of the transitions that seed i keeps."""
    return np.int64(below(kept.stream, i, min(kept.n_seen[i], np.int64(kept.pair.shape[1]))))


def kept_panels(planning: ReplayPlanning, index: int, n_actions: int, rows: Array, n_states: int) -> tuple[Panel, ...]:
    """Make panels of the transitions that one seed keeps.

    Args:
        planning: the transitions.
        index: number of the seed.
        n_actions: A.
        rows: int64 [R], the states that are shown.
        n_states: N.
    """
    kept = planning.transitions
    n = min(int(kept.n_seen[index]), kept.pair.shape[1])
    counts = np.bincount(kept.pair[index, :n], minlength=n_states * n_actions).reshape(-1, n_actions)
    facts = {
        "transitions kept": f"{n:,} of {kept.pair.shape[1]:,}",
        "updates from them": f"{int(kept.n_updates[index]):,}",
        "updates after every step": f"{planning.n_steps}",
    }
    heat = table_panel("replay: how often each pair is kept", counts, rows, diverging=False)
    return (TextPanel("planning", facts), heat)


class Replay(NamedTuple):
    """The settings of replay, until the environment is known."""

    config: Config

    def for_env(
        self, spec: EnvSpec, features: Features, n_actions: int, seed_list: list[int], n_steps: int
    ) -> ReplayPlanning:
        """Make room for the transitions of an environment whose observations are looked up one by one.

        Args:
            spec: the environment.
            features: encoding of observations as states.
            n_actions: A.
            seed_list: the run's seeds.
            n_steps: updates after every step in the environment.

        Raises:
            ValueError: more transitions than fit into memory.
        """
        shape = (len(seed_list), self.config.buffer_size)
        check_memory("replay", spec, shape[0] * shape[1] * 16)
        transitions = KeptTransitions(
            pair=np.zeros(shape, np.int32),
            code=np.zeros(shape, np.int32),
            reward=np.zeros(shape),
            n_seen=np.zeros(shape[0], np.int64),
            n_updates=np.zeros(shape[0], np.int64),
            stream=rng.pcg64_states(seed_list, "planning"),
        )
        return ReplayPlanning(transitions, n_steps)


def make(config: Config) -> Replay:
    """Make replay for an agent."""
    return Replay(config)
