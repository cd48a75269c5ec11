"""A memory whose chosen seeds fail in a chosen call; the others return the sign of the cue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.core.memories import Recall


@dataclass(frozen=True)
class Config:
    """Chosen failures."""

    seeds: tuple[int, ...] = ()
    """those that break down"""
    at: str = "store"
    """store, recall, trace, energy or codes"""


class BreakingMemory:
    """S memories; see :class:`simulator.core.memories.Memory`."""

    recall_mode, domain, n_parameters = "single_pass", "continuous", 1

    def __init__(self, seed_list, config):
        self._broken = np.isin(seed_list, config.seeds)
        self._at, self._weight = config.at, np.zeros(len(seed_list), np.float32)

    def _spoil(self, values, at, what=np.nan):
        if self._at == at:
            values[self._broken] = what
        return values

    def store(self, patterns):
        self._weight = self._spoil(np.ones(len(patterns), np.float32), "store")

    def recall(self, cues, known=None, evidence=None):
        found = self._spoil(np.where(cues < 0, -1.0, 1.0).astype(np.float32), "recall")
        energy = self._spoil(np.zeros((*cues.shape[:2], 3)), "trace", np.inf)
        energy[:, :, 2] = np.nan  # at rest after one sweep
        return Recall(found, energy, np.ones(cues.shape[:2], np.int64))

    def energy(self, patterns):
        return self._spoil(np.zeros(patterns.shape[:2]), "energy")

    def codes(self, patterns):
        return self._spoil(patterns.copy(), "codes")

    def state(self):
        return {"weight": self._weight, "name": "breaking"}

    def restore(self, state):
        self._weight = np.array(state["weight"])


def make(units, seed_list, config):
    """Make memories for patterns of any shape."""
    return BreakingMemory(seed_list, config)
