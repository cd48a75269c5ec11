"""Coverage of the adversarial network: how many of 20 stored digits it makes, with minibatch features and without."""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.patterns import digits
from simulator import console
from simulator.config.presets import find_memory
from simulator.statistics.estimates import confidence_interval

SEEDS = (0, 1, 2, 3)
STORED = 20
SAMPLES = 1_000
CLOSE = 0.9  # overlap of a sample with the stored pattern that counts as generated


def main(json: bool) -> dict[str, Any]:
    """Store digits, generate samples, and count the digits that a sample is close to, for two settings."""
    challenge = digits.make(SEEDS, digits.Config())
    stored = challenge.draw(STORED, 0).stored
    found: dict[str, Any] = {"covered": {}, "close": {}}
    for name in ("gan", "gan-plain"):
        player, settings = find_memory(name)
        memory = player.make(challenge.spec, SEEDS, settings)
        memory.store(stored)
        overlaps = memory.generate(SAMPLES) @ stored.transpose(0, 2, 1) / challenge.spec.n  # [S, samples, stored]
        is_close = overlaps.max(2) >= CLOSE
        nearest = overlaps.argmax(2)
        covered = [len(set(nearest[i][is_close[i]])) / STORED for i in range(len(SEEDS))]
        found["covered"][name] = _mean(np.array(covered))
        found["close"][name] = _mean(is_close.mean(1))
        if not json:
            console.print_result(f"{name:10} covers {found['covered'][name]}, close {found['close'][name]}")
    return found


def _mean(values: Any) -> dict[str, float]:
    interval = confidence_interval(values, np.mean, bounds=(0.0, 1.0))
    return {"mean": float(values.mean()), "low": float(interval.low), "high": float(interval.high)}
