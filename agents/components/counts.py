"""Bonus by visit counts: 1 / sqrt(n) at the n-th visit of an observation.

The bonus of MBIE-EB (Strehl and Littman 2008), for states in place of pairs of state and action. It is the ceiling that
the other bonuses estimate where observations are too many to be counted. A box of numbers is cut into bins, and their
visits are counted. It saturates: after 10,000 visits the bonus is 1 % of the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from agents.common.inside import bonus_panel, learned_rows
from agents.common.intrinsic import Bonus, IntrinsicConfig, add_bonus, scale_at
from agents.common.tabular import check_memory
from agents.common.tile_coding import BoxFeatures, make_features
from simulator.core.jit import jit_implementation
from simulator.core.protocols import Array, EnvSpec, State
from simulator.core.scene import Panel

SOCKETS = ("intrinsic",)


@dataclass(frozen=True)
class Config(IntrinsicConfig):
    """Settings of the counts."""

    box: BoxFeatures = field(default_factory=BoxFeatures)
    """bins of real-valued observations"""


class VisitCounts:
    """Visits of S learners; see :class:`agents.common.intrinsic.Novelty`.

    Attributes:
        visits: int64 [S, F].
        discrete: an observation is its own number.
    """

    def __init__(self, spec: EnvSpec, n_seeds: int, config: Config) -> None:
        features = make_features(spec, config.box)
        check_memory("counts", spec, 8 * n_seeds * features.n_features)
        self._encode = features.encode
        self._n_active = features.n_active
        self.discrete = features.discrete
        self.visits = np.zeros((n_seeds, features.n_features), np.int64)

    def visit(self, obs: Array) -> Array:
        """Count obs [S, *obs], and return 1 / sqrt(n), float64 [S]; the mean over tiles, where there are some."""
        active = self._encode(obs)  # [S, K]
        rows = np.arange(len(active))[:, None]
        self.visits[rows, active] += 1
        novelty: Array = (1.0 / np.sqrt(self.visits[rows, active])).mean(axis=1)
        return novelty

    def panels(self, index: int) -> tuple[Panel, ...]:
        """Make a panel of the novelty of one seed's states, or bins; none of tiles, which a state has several of."""
        if self._n_active > 1:
            return ()
        visits = self.visits[index]
        rows = learned_rows(visits[:, None])
        return (bonus_panel(rows, len(visits), 1.0 / np.sqrt(visits[rows] + 1.0)),)

    def state(self) -> State:
        """Return the counts."""
        return {"visits": self.visits.copy()}

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self.visits[...] = state["visits"]


class CountedBonus(NamedTuple):
    """The bonus as compiled rollouts take it."""

    visits: Array  # int64 [S, F]
    mean: Array  # float64 [S]
    scale: float
    decay_steps: int


def compiled_bonus(bonus: Bonus | None) -> CountedBonus | None:
    """Return a bonus for compiled rollouts; None where it does not count discrete observations."""
    if bonus is None or not isinstance(bonus.novelty, VisitCounts) or not bonus.novelty.discrete:
        return None
    return CountedBonus(bonus.novelty.visits, bonus.mean, float(bonus.config.scale), bonus.config.decay_steps)


@jit_implementation(add_bonus, inline=True, of=CountedBonus)
def _add_counted(bonus, i, reward, next_obs, clock):
    bonus.visits[i, next_obs] += 1
    paid = scale_at(bonus.scale, bonus.decay_steps, clock) * (1.0 / np.sqrt(bonus.visits[i, next_obs]))
    bonus.mean[i] += 0.01 * (paid - bonus.mean[i])
    return np.float32(reward + paid)


class Counts(NamedTuple):
    """The component; see :class:`agents.common.intrinsic.IntrinsicComponent`."""

    config: Config

    def for_env(self, spec: EnvSpec, seed_list: Sequence[int]) -> VisitCounts:
        """Make counts of an environment's observations.

        Raises:
            ValueError: images, or more bins than memory.
        """
        return VisitCounts(spec, len(seed_list), self.config)


def make(config: Config) -> Counts:
    """Make the component for an agent."""
    return Counts(config)
