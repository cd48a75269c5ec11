"""Summaries of tournaments made by hand, for tests of tables, figures and pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from simulator.statistics.analysis import DivisionScores, analyze

HOSTILE = (
    "<script>alert(1)</script>",
    r"$\alpha$_{x}",
    "100 % & [sure]",
    "_hidden",
    "tab\tbell\x07 \x1b[31mred",
    "=1+1",
)
NOTE = "Contestants of one tier are not told apart: their intervals overlap."


def around(value: float | None, half: float | None) -> dict[str, float | None]:
    """Return a value with its interval; no interval without a half width."""
    known = value is not None and half is not None
    return {"value": value, "low": value - half if known else None, "high": value + half if known else None}


def summary(
    contestants: Sequence[str] = ("dqn", "q_learning", "random_walk"),
    challenges: Sequence[str] = ("CartPole-v1", "rooms"),
    seeds: int = 8,
    points: int = 5,
    **changes: Any,
) -> dict[str, Any]:
    """Return a tournament in which every contestant is a little better than the next, two to a tier."""
    half = None if seeds == 1 else 0.05
    found = {
        "tournament": "t1",
        "label": "classic",
        "status": "done",
        "created": "2026-01-02 03:04:05",
        "settings": f'seeds = {seeds}\nsteps = 1000\n\n[[contestants]]\nagent = "dqn"\n',
        "versions": {"engram-rl": "0.1.0", "python": "3.11.7"},
        "seconds": 83.0,
        "cpu_seconds": 160.5,
        "seeds": list(range(seeds)),
        "steps": 1000,
        "contestants": [
            {"label": name, "kind": "agent", "name": name, "settings": {"agent.learning_rate": 0.1 * (i + 1)}}
            for i, name in enumerate(contestants)
        ],
        "challenges": [_challenge(name, m) for m, name in enumerate(challenges)],
        "cells": _cells(len(contestants) * len(challenges)),
        "failures": [],
        "ranking": [_rank(name, i, len(contestants), half) for i, name in enumerate(contestants)],
        "scores": [
            _score(name, i, m, seeds, challenges) for i, name in enumerate(contestants) for m in range(len(challenges))
        ],
        "divisions": [_division(contestants, challenges, half, points)],
    }
    return {**found, **changes}


def _cells(n: int) -> dict[str, int]:
    return {"planned": n, "done": n, "failed": 0, "missing": 0, "reused": 0, "played": n}


def _challenge(name: str, m: int) -> dict[str, Any]:
    return {
        "label": name,
        "kind": "env",
        "name": name,
        "settings": {"env.slip": 0.1} if m else {},
        "steps": 1000,
        "floor": 20.0 * (m + 1),
        "floor_is": "measured random play",
        "ceiling": 500.0 * (m + 1),
        "ceiling_is": "exact optimum" if m else "registered threshold",
        "threshold": None if m else 475.0,
    }


def _rank(name: str, i: int, n: int, half: float | None) -> dict[str, Any]:
    level = 0.9 - 0.8 * i / n
    return {
        "contestant": name,
        "division": "agent",
        "tier": 1 + i // 2,
        "strength": around(1.5 - 0.5 * i, None if half is None else 0.4),
        "wins": n - 1.0 - i,
        "mean_rank": around(1.0 + i, None if half is None else 0.5),
        "lottery": 1.0 if i == 0 else 0.0,
        "score": {
            **{kind: around(level, half) for kind in ("iqm", "mean", "median")},
            "optimality_gap": around(1.0 - level, half),
        },
        "n_excluded": 0,
    }


def _score(name: str, i: int, m: int, seeds: int, challenges: Sequence[str]) -> dict[str, Any]:
    n, half = len(challenges), None if seeds == 1 else 4.25
    raw = (m + 1) * (450.0 - 37.5 * i)
    part = None if half is None else 0.01
    each = {kind: around(raw, half) for kind in ("iqm", "mean", "median")}
    normalised = {kind: around(0.9 - 0.08 * i, part) for kind in ("iqm", "mean", "median", "optimality_gap")}
    return {
        "contestant": name,
        "challenge": challenges[m % n],
        "seeds": seeds,
        "raw": {**each, "per_seed": [raw + s for s in range(seeds)]},
        "normalised": normalised,
        "auc": around(0.5, part),
        "steps_to_threshold": {"median": 400.0 + i, "low": 300.0, "high": 500.0},
        "solved_fraction": 0.75,
        "solved_after_first": {
            "mean": 0.5,
            "low": None if half is None else 0.25,
            "high": None if half is None else 0.75,
        },
    }


def _division(contestants: Sequence[str], challenges: Sequence[str], half: float | None, points: int) -> dict[str, Any]:
    pairs = [(a, b) for i, a in enumerate(contestants) for b in contestants[i + 1 :]]
    found = [_pair(a, b, contestants, half) for a, b in pairs]
    taus = [0.0, 0.25, 0.5, 0.75, 1.0]
    return {
        "division": "agent",
        "pairs": found,
        "matrix": [
            {
                "challenge": c,
                **{k: p[k] for k in ("first", "second", "p", "p_holm", "seeds_needed")},
                "probability": 0.7,
            }
            for c in challenges
            for p in found
        ],
        "profiles": {
            "taus": taus,
            "contestants": [_profile(name, i, taus, half) for i, name in enumerate(contestants)],
        },
        "curves": [
            _curve(c, m, name, i, points) for m, c in enumerate(challenges) for i, name in enumerate(contestants)
        ]
        if points
        else [],
        "cycles": [],
        "tiers_note": NOTE,
    }


def _pair(first: str, second: str, contestants: Sequence[str], half: float | None) -> dict[str, Any]:
    apart = contestants.index(second) - contestants.index(first)
    decided = apart > 1
    return {
        "first": first,
        "second": second,
        "probability": around(min(0.5 + 0.12 * apart, 0.95), half),
        "difference": around(0.08 * apart, half),
        "p": 0.001 if decided else 0.2,
        "p_holm": 0.003 if decided else 0.4,
        "decided": decided,
        "seeds_needed": None if decided else 23,
    }


def _profile(name: str, i: int, taus: Sequence[float], half: float | None) -> dict[str, Any]:
    value = [max(1.0 - tau * (1.0 + 0.2 * i), 0.0) for tau in taus]
    spread = [None] * len(taus)
    return {
        "contestant": name,
        "value": value,
        "low": spread if half is None else [max(v - 0.1, 0.0) for v in value],
        "high": spread if half is None else [min(v + 0.1, 1.0) for v in value],
    }


def _curve(challenge: str, m: int, name: str, i: int, points: int) -> dict[str, Any]:
    steps = [200 * (k + 1) for k in range(points)]
    iqm = [(m + 1) * (20.0 + (430.0 - 37.5 * i) * (1.0 - math.exp(-(k + 1) / (2.0 + 0.3 * i)))) for k in range(points)]
    return {
        "challenge": challenge,
        "contestant": name,
        "steps": steps,
        "iqm": iqm,
        "low": [v - 15.0 for v in iqm],
        "high": [v + 15.0 for v in iqm],
    }


def analyzed(n: int = 4, challenges: int = 3, seeds: int = 6, points: int = 4, resamples: int = 100) -> dict[str, Any]:
    """Return the same with statistics by ``analysis``, one seed of the first contestant excluded."""
    names, envs = [f"agent_{i}" for i in range(n)], [f"env_{m}" for m in range(challenges)]
    i, m, s, k = np.ogrid[:n, :challenges, :seeds, : max(points, 1)]
    final = 0.9 - 0.15 * i + 0.02 * m + 0.1 * np.sin(1.7 * s + i + m)  # [C, M, S, 1]
    steps, grown = 100 * np.arange(1, points + 1), final * (1.0 - np.exp(-1.0 - k))
    scores = final[..., 0].copy()
    if seeds > 2:
        scores[0, 0, 1] = np.nan
    ends = np.zeros((challenges, seeds)), np.ones((challenges, seeds))
    curves = tuple((steps, grown[:, each, :, :points]) for each in range(challenges))
    kinds = ("random play",) * challenges, ("exact optimum",) * challenges
    threshold = np.array([0.5] + [np.nan] * (challenges - 1))
    division = DivisionScores(tuple(names), tuple(envs), tuple(range(seeds)), scores, *ends, *kinds, threshold, curves)
    answer = analyze(division, n_bootstrap=resamples)
    found = {key: [{"division": "agent", **each} for each in answer.pop(key)] for key in ("ranking", "scores")}
    failures = [
        {
            "contestant": names[0],
            "challenge": envs[0],
            "seeds": [1],
            "reason": "it diverged",
            "counted_as": "left out",
        }
    ]
    kept = {"failures": failures if seeds > 2 else [], "divisions": [{"division": "agent", **answer}]}
    return summary(names, envs, seeds, points, **found, **kept)
