"""Judging: CPU seconds of 20 x 20 x 32 scores with 10,000 resamples, and how many 95 % intervals hold the truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from simulator.core.protocols import Array
from simulator.statistics.aggregates import SharedBootstrap
from simulator.statistics.analysis import DivisionScores, EvaluationCurves, analyze
from simulator.statistics.bootstrap import percentile_interval, resample_counts, resampled_statistics
from simulator.statistics.comparisons import compare
from tests.benchmarks._clock import cpu_seconds, show

C, M, S, RESAMPLES = 20, 20, 32, 10_000
ROUNDS = 3
TRIES, RESAMPLED = 2_000, 2_000  # of the interquartile mean
MATCHES, REFITS = 300, 1_000  # of probabilities, ranks and strengths
SEEDS = (8, 16, 32)
CHALLENGES = (1, 6)
STRENGTHS = {"close": (0.0, 0.5, 1.0, 1.5), "far": (0.0, 1.0, 2.0, 4.0)}
KINDS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Array]] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "exponential": lambda rng, shape: rng.exponential(size=shape),
    "three seeds in ten fail": lambda rng, shape: (rng.random(shape) < 0.7) + 0.1 * rng.normal(size=shape),
}


def main(json: bool) -> dict[str, Any]:
    """CPU seconds of a judgement, and per cent of intervals that hold the truth."""
    analyze(division(0)._replace(threshold=np.zeros(M)), n_bootstrap=10)  # compiles
    seconds = {}
    for name, points in (("scores alone", 0), ("and curves of 20 evaluations", 20)):
        played = division(points)
        seconds[name] = min(
            cpu_seconds(lambda played=played: analyze(played, n_bootstrap=RESAMPLES)) for _ in range(ROUNDS)
        )
    return show(__doc__, {"cpu_seconds": seconds, "covered_percent": {**means_covered(), **matches_covered()}}, json)


def division(points: int) -> DivisionScores:
    """Contestants of known and close strengths."""
    rng = np.random.Generator(np.random.PCG64(0))
    scores = np.linspace(0.3, 0.7, C)[:, None, None] + 0.1 * rng.normal(size=(C, M, S))
    curve = rng.normal(size=(C, S, points)) + np.linspace(0.0, 1.0, points)
    return DivisionScores(
        tuple(f"contestant {i:02d}" for i in range(C)),
        tuple(f"challenge {m:02d}" for m in range(M)),
        tuple(range(S)),
        scores,
        np.zeros((M, S)),
        np.ones((M, S)),
        ("exact random play",) * M,
        ("exact optimum",) * M,
        np.full(M, 0.5),
        (EvaluationCurves(100 * np.arange(1, points + 1), curve),) * M,
    )


def means_covered() -> dict[str, float]:
    """Interquartile means of scores of several kinds, over one challenge and over several."""
    found, rng = {}, np.random.Generator(np.random.PCG64(1))
    for kind, sample in KINDS.items():
        many = np.sort(sample(rng, (2_000_000,)))
        truth = many[500_000:1_500_000].mean()
        for m in CHALLENGES:
            for s in SEEDS:
                counts = np.concatenate(list(resample_counts(np.ones((m, s), np.bool_), RESAMPLED)), axis=1)
                values = resampled_statistics(sample(rng, (TRIES, m * s)), counts)
                low, high = percentile_interval(values.resampled[1], 0.95, s, m * (s - 1))
                found[f"iqm, {kind}, {m} x {s}"] = 100.0 * float(np.mean((low <= truth) & (truth <= high)))
    return found


def matches_covered() -> dict[str, float]:
    """Probabilities, mean ranks and strengths of contestants whose scores obey Bradley and Terry exactly."""
    found, rng = {}, np.random.Generator(np.random.PCG64(2))
    for name, given in STRENGTHS.items():
        strengths = np.array(given)
        better = 1.0 / (1.0 + np.exp(strengths[None, :] - strengths[:, None]))  # [C, C] the row does better
        for m in CHALLENGES:
            for s in SEEDS:
                shared, held = SharedBootstrap(0.95, resample_counts(np.ones((m, s), np.bool_), REFITS), 0), []
                for _ in range(MATCHES):
                    scores = strengths[:, None, None] + rng.gumbel(size=(len(strengths), m, s))
                    held.append(_held(scores, shared, strengths, better))
                for i, what in enumerate(("probability", "mean rank", "strength")):
                    found[f"{what}, {name}, {m} x {s}"] = 100.0 * float(np.mean([each[i] for each in held]))
    return found


def _held(scores: Array, shared: SharedBootstrap, strengths: Array, better: Array) -> list[float]:
    found = compare(scores, None, shared, np.ones(len(scores)), 0.05)
    truths = (
        (found.probability, better[found.pairs[:, 0], found.pairs[:, 1]]),
        (found.mean_rank, 1.0 + better.sum(axis=0) - 0.5),
        (found.strength, strengths - strengths.mean()),
    )
    return [float(np.mean((low <= truth) & (truth <= high))) for (_, low, high), truth in truths]


if __name__ == "__main__":
    main(json=False)
