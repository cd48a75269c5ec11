"""Bonus by the energy of an associative memory: low for patterns that it knows, high for others.

A Hopfield network tells by its energy alone which patterns it has stored, far beyond the number that it can recall
(Bogacz, Brown and Giraud-Carrier 2001: about 0.023 N^2 of them with N units). Any memory with an energy will do.

    x     = signs of random projections of the observation, ``units`` of them (as SimHash, Charikar 2002)
    bonus = (E(x) - E_known) / (E_unknown - E_known), within 0 and 1

E_known is the mean energy of the stored patterns, E_unknown that of patterns of random signs. The memory holds the
latest ``capacity`` observations and is stored anew after every ``store_every`` steps: what is not met again for so long
is forgotten. Until it is stored for the first time everything is new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from agents.common.inside import MAX_BARS, bonus_panel, spread
from agents.common.intrinsic import IntrinsicConfig
from agents.common.projection import RandomProjection
from simulator.core import registry, rng
from simulator.core.field_types import Count
from simulator.core.memories import Memory, PatternSpec
from simulator.core.protocols import Array, EnvSpec, State
from simulator.core.scene import Panel

SOCKETS = ("intrinsic",)
_N_UNKNOWN = 32  # random patterns that E_unknown is the mean of


@dataclass(frozen=True)
class Config(IntrinsicConfig):
    """Settings of familiarity."""

    memory: str = "hopfield"
    """name of the memory, with its defaults: hopfield, modern_hopfield, rbm and so on"""
    units: Count = 128
    """signs of a pattern"""
    capacity: Count = 500
    """observations that are stored, the latest ones"""
    store_every: Count = 50
    """environment steps from one time that the memory is stored to the next"""


class Familiarity:
    """Memories of S learners; see :class:`agents.common.intrinsic.Novelty`."""

    def __init__(self, spec: EnvSpec, seed_list: Sequence[int], config: Config) -> None:
        n_seeds = len(seed_list)
        plugin = registry.load("memories", config.memory)
        _check_memory(plugin, config)
        self._memory: Memory = plugin.make(PatternSpec((config.units,)), list(seed_list), plugin.defaults())
        streams = rng.generators(seed_list, "intrinsic")
        self._project = RandomProjection(spec, "familiarity", streams, config.units)
        unknown = [stream.integers(0, 2, (_N_UNKNOWN, config.units)) for stream in streams]
        offset = [stream.standard_normal(config.units) for stream in streams]
        self._unknown = 2.0 * np.array(unknown, np.float32) - 1.0
        self._offset = np.array(offset, np.float32) / np.float32(np.sqrt(config.units))
        self._store_every = config.store_every
        self._patterns = np.zeros((n_seeds, config.capacity, config.units), np.int8)  # a ring
        self._n_met = 0
        self._known_energy = np.zeros(n_seeds)
        self._unknown_energy = np.zeros(n_seeds)
        self._shown: dict[int, tuple[int, Array]] = {}  # latest panels by seed: times that was stored, and novelty

    def visit(self, obs: Array) -> Array:
        """Return how new obs [S, *obs] are, from 1 to 0, float64 [S], and keep them to be stored."""
        patterns = np.where(self._project(obs) + self._offset >= 0.0, 1, -1).astype(np.int8)
        novelty = self._novelty(patterns[:, None])[:, 0]
        self._patterns[:, self._n_met % self._patterns.shape[1]] = patterns
        self._n_met += 1
        if self._n_met % self._store_every == 0:
            self._store()
        return novelty

    def _novelty(self, patterns: Array) -> Array:
        """Return how new patterns [S, B, N] are, float64 [S, B]."""
        if self._n_met < self._store_every:
            return np.ones(patterns.shape[:2])
        energy = self._memory.energy(patterns.astype(np.float32))
        width = (self._unknown_energy - self._known_energy)[:, None]
        known = np.divide(energy - self._known_energy[:, None], width, out=np.zeros(energy.shape), where=width > 0.0)
        return np.clip(known, 0.0, 1.0)

    def panels(self, index: int) -> tuple[Panel, ...]:
        """Make a panel of the novelty of one seed's states, where observations are discrete."""
        n_classes = self._project.n_classes
        if not n_classes:
            return ()
        states = spread(0, n_classes, MAX_BARS)
        stored = self._n_met // self._store_every  # until the memory is stored anew, nothing changes
        if self._shown.get(index, (-1,))[0] != stored:
            projected = self._project.of_classes(states, index) + self._offset[index]
            patterns = np.where(projected >= 0.0, 1, -1).astype(np.int8)
            every = np.repeat(patterns[None], len(self._offset), axis=0)  # a memory takes patterns of every seed
            self._shown[index] = (stored, self._novelty(every)[index])
        return (bonus_panel(states, n_classes, self._shown[index][1]),)

    def _store(self) -> None:
        stored = self._patterns[:, : self._n_met].astype(np.float32)
        self._memory.store(stored)
        self._known_energy = self._memory.energy(stored).mean(axis=1)
        self._unknown_energy = self._memory.energy(self._unknown).mean(axis=1)

    def state(self) -> State:
        """Return the memories, and the observations to be stored."""
        return {
            "memory": self._memory.state() if self._n_met >= self._store_every else {},
            "patterns": self._patterns.copy(),
            "n_met": self._n_met,
            "known_energy": self._known_energy.copy(),
            "unknown_energy": self._unknown_energy.copy(),
        }

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        if state["memory"]:
            self._memory.restore(state["memory"])
        self._shown.clear()
        self._patterns[...] = state["patterns"]
        self._n_met = state["n_met"]
        self._known_energy = state["known_energy"].copy()
        self._unknown_energy = state["unknown_energy"].copy()


def _check_memory(plugin: registry.Plugin, config: Config) -> None:
    """Try the memory with as many random patterns as it will hold, before a run begins.

    Raises:
        ValueError: it cannot have patterns of this size or so many, or its energy is the same for all patterns.
    """
    place = f"agent.intrinsic = 'familiarity' with memory = {plugin.name!r}"
    generator = np.random.Generator(np.random.PCG64(0))
    patterns = 2.0 * generator.integers(0, 2, (1, config.capacity + _N_UNKNOWN, config.units)).astype(np.float32) - 1.0
    try:
        memory: Memory = plugin.make(PatternSpec((config.units,)), [0], plugin.defaults())
        memory.store(patterns[:, : config.capacity])
    except ValueError as error:
        raise ValueError(
            f"{place}, units = {config.units} and capacity = {config.capacity}: {error}; "
            "expected a memory that holds them"
        ) from None
    energy = memory.energy(patterns)
    if not np.isfinite(energy).all() or np.ptp(energy) == 0.0:
        raise ValueError(
            f"{place}: {plugin.name} has no energy that tells patterns apart, expected a memory with one, "
            "such as hopfield or modern_hopfield"
        )


class FamiliarityComponent(NamedTuple):
    """The component; see :class:`agents.common.intrinsic.IntrinsicComponent`."""

    config: Config

    def for_env(self, spec: EnvSpec, seed_list: Sequence[int]) -> Familiarity:
        """Make empty memories of an environment's observations.

        Raises:
            ValueError: observations that are no numbers, or a memory that does not fit.
        """
        return Familiarity(spec, seed_list, self.config)


def make(config: Config) -> FamiliarityComponent:
    """Make the component for an agent."""
    return FamiliarityComponent(config)
