"""Coverage of the adversarial network: how many of 20 stored digits it makes, and what it recalls, by its settings."""

from __future__ import annotations

from dataclasses import replace
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
CORRUPTION = "flip:0.2"
MEMORIES: dict[str, tuple[str, dict[str, Any]]] = {  # name -> preset, settings
    "gan-plain": ("gan-plain", {}),
    "gan": ("gan", {}),
    "gan, feature_matching": ("gan", {"feature_matching": True}),
    "gan-covering": ("gan-covering", {}),
}
ESTIMATES = {"search": "search", "posterior mean": "posterior_mean"}


def main(json: bool) -> dict[str, Any]:
    """Store digits, generate samples, count the digits that a sample is close to, and recall; for every setting."""
    challenge = digits.make(SEEDS, digits.Config())
    stored = challenge.draw(STORED, 0).stored
    channel = registry.corruption_model(CORRUPTION, challenge.spec)
    cues = channel.corrupt(stored, stored, rng.generators(SEEDS, "corruption"))
    measures = ["covered", "close", *(f"{score}, {how}" for how in ESTIMATES for score in ("overlap", "exact"))]
    found: dict[str, Any] = {measure: {} for measure in measures}
    for name, (preset, changes) in MEMORIES.items():
        player, settings = find_memory(preset)
        memory = player.make(challenge.spec, SEEDS, replace(settings, **changes))
        memory.store(stored)
        overlaps = memory.generate(SAMPLES) @ stored.transpose(0, 2, 1) / challenge.spec.n  # [S, samples, stored]
        is_close = overlaps.max(2) >= CLOSE
        nearest = overlaps.argmax(2)
        covered = [len(set(nearest[i][is_close[i]])) / STORED for i in range(len(SEEDS))]
        found["covered"][name] = _mean(np.array(covered), 0.0)
        found["close"][name] = _mean(is_close.mean(1), 0.0)
        for how, estimate in ESTIMATES.items():
            recalling = player.make(challenge.spec, SEEDS, replace(settings, **{**changes, "estimate": estimate}))
            recalling.restore(memory.state())
            recalled = recalling.recall(cues.values, cues.known, channel.evidence(cues)).patterns
            found[f"overlap, {how}"][name] = _mean(metrics.overlap(recalled, stored), -1.0)
            found[f"exact, {how}"][name] = _mean(metrics.same(recalled, stored, is_bipolar=True).mean(1), 0.0)
        if not json:
            scores = ", ".join(f"{measure} {found[measure][name]['mean']:.3f}" for measure in measures)
            console.print_result(f"{name}: {scores}")
    return found


def _mean(values: Any, lowest: float) -> dict[str, float]:
    interval = confidence_interval(values, np.mean, bounds=(lowest, 1.0))
    return {"mean": float(values.mean()), "low": float(interval.low), "high": float(interval.high)}
