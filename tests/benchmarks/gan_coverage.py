"""Coverage of the adversarial network: how many of 20 stored digits it makes, and what it recalls, by its settings."""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.patterns import digits
from simulator import console
from simulator.config.presets import find_memory
from simulator.core import registry, rng
from simulator.recall import metrics
from simulator.statistics.estimates import confidence_interval

SEEDS = (0, 1, 2, 3)
STORED = 20
SAMPLES = 1_000
CLOSE = 0.9  # overlap of a sample with the stored pattern that counts as generated
MEMORIES = ("gan-plain", "gan", "gan-feature-matching", "gan-covering")
CORRUPTION = "flip:0.2"


def main(json: bool) -> dict[str, Any]:
    """Store digits, generate samples, count the digits that a sample is close to, and recall; for every setting."""
    challenge = digits.make(SEEDS, digits.Config())
    stored = challenge.draw(STORED, 0).stored
    channel = registry.corruption_model(CORRUPTION, challenge.spec)
    cues = channel.corrupt(stored, stored, rng.generators(SEEDS, "corruption"))
    found: dict[str, Any] = {name: {} for name in ("covered", "close", "overlap", "exact")}
    for name in MEMORIES:
        player, settings = find_memory(name)
        memory = player.make(challenge.spec, SEEDS, settings)
        memory.store(stored)
        overlaps = memory.generate(SAMPLES) @ stored.transpose(0, 2, 1) / challenge.spec.n  # [S, samples, stored]
        is_close = overlaps.max(2) >= CLOSE
        nearest = overlaps.argmax(2)
        covered = [len(set(nearest[i][is_close[i]])) / STORED for i in range(len(SEEDS))]
        recalled = memory.recall(cues.values, cues.known, channel.evidence(cues)).patterns
        found["covered"][name] = _mean(np.array(covered), 0.0)
        found["close"][name] = _mean(is_close.mean(1), 0.0)
        found["overlap"][name] = _mean(metrics.overlap(recalled, stored), -1.0)
        found["exact"][name] = _mean(metrics.same(recalled, stored, is_bipolar=True).mean(1), 0.0)
        if not json:
            scores = ", ".join(f"{measure} {found[measure][name]['mean']:.3f}" for measure in found)
            console.print_result(f"{name:20} {scores}")
    return found


def _mean(values: Any, lowest: float) -> dict[str, float]:
    interval = confidence_interval(values, np.mean, bounds=(lowest, 1.0))
    return {"mean": float(values.mean()), "low": float(interval.low), "high": float(interval.high)}
