"""What each contestant scored in each challenge, and over all of them: values with intervals, as plain dicts.

Shapes: C contestants, M challenges, S seeds, K evaluations, B resamples, T heights of a profile.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from simulator.core.protocols import Array
from simulator.statistics.bootstrap import IGNORES, SUMMARIES, Summaries, ends, summaries
from simulator.statistics.estimates import area, has_scale, may_differ, normalise, reaches, solves

MINOR = 1_000  # resamples at most for curves, areas, first solves and profiles
HEIGHTS = 51  # of a performance profile
_RAW = SUMMARIES[:3]


class Draws(NamedTuple):
    """What every interval of one judgement is made with."""

    level: float
    counts: Array  # uint16 [M, B, S]
    seed: int

    def minor(self, m: int) -> Array:
        """The first resamples of challenge m, [B, S]."""
        return np.asarray(self.counts[m, :MINOR])


class Cells(NamedTuple):
    """Statistics of one challenge, rows of contestants."""

    raw: dict[str, Any]  # statistic -> (value, low, high), each [C]
    normalised: dict[str, Any]
    mean: Array  # [C, B] of normalised scores
    gap: Array  # [C, B] their optimality gap


def plain(value: Any) -> float | None:
    """A float, or None for what is no number."""
    return float(value) if value is not None and np.isfinite(value) else None


def triple(found: Any, i: int, name: str = "value") -> dict[str, float | None]:
    """Entry i of (value, low, high) as a dict."""
    return {key: plain(part[i]) for key, part in zip((name, "low", "high"), found, strict=True)}


def with_ends(found: Summaries, level: float, n: Array) -> dict[str, Any]:
    """(value, low, high) of each statistic; ``n`` seeds behind each row."""
    low, high = ends(found.resampled, level, np.broadcast_to(n, found.value.shape), ignores=np.array(IGNORES)[:, None])
    return {name: (found.value[i], low[i], high[i]) for i, name in enumerate(SUMMARIES)}


def cells(scores: Array, floor: Array, ceiling: Array, draws: Draws, m: int) -> Cells:
    """The statistics of challenge m: scores [C, S], floor and ceiling [S]."""
    n = np.isfinite(scores).sum(axis=1)
    uniform = len({*floor.tolist()}) == len({*ceiling.tolist()}) == 1 and has_scale(floor, ceiling)[0]
    found = summaries(scores, draws.counts[m], ceiling[0] if uniform else 1.0)
    raw = with_ends(found, draws.level, n)
    if uniform:  # statistics of normalised scores follow from those of raw ones
        width = ceiling[0] - floor[0]
        shift = np.array([floor[0]] * 3 + [0.0])
        scaled = {name: tuple((x - at) / width for x in raw[name]) for name, at in zip(SUMMARIES, shift, strict=True)}
        return Cells(raw, scaled, (found.resampled[0] - floor[0]) / width, found.resampled[3] / width)
    found = summaries(normalise(scores, floor, ceiling), draws.counts[m])
    return Cells(raw, with_ends(found, draws.level, n), found.resampled[0], found.resampled[3])


def uncertain(values: Array, draws: Draws, m: int, statistic: str) -> Any:
    """(value, low, high) of one statistic of rows [P, S] that are not compared, by the first resamples; each [P]."""
    found, i = summaries(values, draws.minor(m)), SUMMARIES.index(statistic)
    return found.value[i], *ends(found.resampled[i], draws.level, np.isfinite(values).sum(axis=1), ignores=IGNORES[i])


def learning(steps: Array, normalised: Array, raw: Array, threshold: float, draws: Draws, m: int) -> dict[str, Any]:
    """How fast and how lastingly challenge m was learned, from the curves [C, S, K] of its evaluations.

    Returns:
        ``auc``, ``first_solve``, ``stayed``: (value, low, high), each [C], by
        :func:`simulator.statistics.estimates.area` (its interquartile mean over seeds) and
        :func:`simulator.statistics.estimates.solves` (median and mean over the seeds that solved it); ``fraction``:
        share of the seeds that were evaluated which ever solved it, [C].
    """
    reached = reaches(raw, threshold)
    each = [solves(steps, one) for one in reached]
    first, stayed = np.array([one[0] for one in each]), np.array([one[1] for one in each])
    seen = np.isfinite(raw).any(axis=2).sum(axis=1)
    with np.errstate(invalid="ignore"):
        fraction = reached.any(axis=2).sum(axis=1) / seen
    return {
        "auc": uncertain(area(steps, normalised), draws, m, "iqm"),
        "first_solve": uncertain(first, draws, m, "median"),
        "stayed": uncertain(stayed, draws, m, "mean"),
        "fraction": fraction if np.isfinite(threshold) else np.full(len(raw), np.nan),
    }


def row(cell: Cells, learned: dict[str, Any], scores: Array, i: int) -> dict[str, Any]:
    """What contestant i came to in one challenge; scores [C, S]."""
    return {
        "seeds": int(np.isfinite(scores[i]).sum()),
        "raw": {**{name: triple(cell.raw[name], i) for name in _RAW}, "per_seed": [plain(x) for x in scores[i]]},
        "normalised": {name: triple(cell.normalised[name], i) for name in SUMMARIES},
        "auc": triple(learned["auc"], i),
        "first_solve": {**triple(learned["first_solve"], i, "median"), "fraction": plain(learned["fraction"][i])},
        "stayed": triple(learned["stayed"], i, "mean"),
    }


def bands(steps: Array, curves: Array, draws: Draws, m: int) -> list[dict[str, Any]]:
    """Interquartile mean of the curves [C, S, K] of challenge m at each evaluation, with its interval, each."""
    points = np.ascontiguousarray(curves.transpose(0, 2, 1)).reshape(-1, curves.shape[1])  # [C * K, S]
    found = [part.reshape(len(curves), len(steps)) for part in uncertain(points, draws, m, "iqm")]
    return [
        {
            "steps": [int(step) for step in steps],
            **{k: [plain(x) for x in part[i]] for k, part in zip(_BAND, found, strict=True)},
        }
        for i in range(len(curves))
    ]


_BAND = ("iqm", "low", "high")


def overall(normalised: Array, found: list[Cells], draws: Draws) -> dict[str, Any]:
    """Over challenges: (value, low, high) of each statistic, each [C].

    The interquartile mean is of all scores of all challenges; the mean, the median and the optimality gap are of the
    means of challenges, as in rliable (the median is the middle challenge's mean, not a middle seed).

    Args:
        normalised: [C, M, S].
        found: statistics of each challenge.
        draws: level, and counts of these challenges.
    """
    pooled = summaries(normalised.reshape(len(normalised), -1), np.concatenate(list(draws.counts), axis=1))
    mean = [np.stack([each.normalised["mean"][0] for each in found]), np.stack([each.mean for each in found])]
    gap = [np.stack([each.normalised["optimality_gap"][0] for each in found]), np.stack([each.gap for each in found])]
    at = SUMMARIES.index("iqm")
    both = {
        "iqm": (pooled.value[at], pooled.resampled[at]),
        "mean": [_over(part, np.mean) for part in mean],
        "median": [_over(part, np.median) for part in mean],
        "optimality_gap": [_over(part, np.mean) for part in gap],
    }
    known = np.isfinite(normalised).sum(axis=2)  # [C, M]
    n, df = evidence(known)
    heeds = {"iqm": IGNORES[at]}  # the others are of means of challenges, each of all of its seeds
    return {
        name: (value, *ends(drawn, draws.level, n, df, ignores=heeds.get(name, 0.0)))
        for name, (value, drawn) in both.items()
    }


def evidence(known: Array) -> tuple[Array, Array]:
    """Seeds in a challenge, on average over those that have any, and degrees of freedom, from counts [..., M]."""
    challenges = np.maximum((known > 0).sum(axis=-1), 1)
    total = known.sum(axis=-1)
    return total / challenges, np.maximum(total - challenges, 1)


def _over(values: Array, statistic: Any) -> Array:
    """A statistic over the challenges [M, ...] that have a value."""
    if np.isfinite(values).all():
        return np.asarray(statistic(values, axis=0))
    flat = values.reshape(len(values), -1)
    found = np.full(flat.shape[1], np.nan)
    known = np.isfinite(flat)
    for pattern in np.unique(known, axis=1).T:
        at = (known == pattern[:, None]).all(axis=0)
        if pattern.any():
            found[at] = statistic(flat[pattern][:, at], axis=0)
    return found.reshape(values.shape[1:])


def profiles(normalised: Array, draws: Draws) -> dict[str, Any]:
    """Performance profiles: the share of all runs above each height, with pointwise bands (Agarwal et al. 2021, 4.2).

    Args:
        normalised: [C, M, S].
        draws: level, and counts of these challenges.

    Returns:
        ``taus`` [T] and ``value``, ``low``, ``high``, each [C, T].
    """
    known = np.isfinite(normalised)
    top = np.clip(normalised[known].max(initial=1.0), 1.0, 2.0)
    bottom = np.clip(normalised[known].min(initial=0.0), -1.0, 0.0)
    taus = np.linspace(np.floor(10 * bottom) / 10, np.ceil(10 * top) / 10, HEIGHTS)
    c = len(normalised)
    above = (normalised[:, :, :, None] > taus).astype(np.float32).transpose(1, 2, 0, 3)  # [M, S, C, T]
    there = known.transpose(1, 2, 0).astype(np.float32)
    counts = draws.counts[:, :MINOR].astype(np.float32)
    share, runs = np.zeros((counts.shape[1], c, HEIGHTS), np.float32), np.zeros((counts.shape[1], c), np.float32)
    for m in range(len(counts)):
        share += (counts[m] @ above[m].reshape(-1, c * HEIGHTS)).reshape(share.shape)
        runs += counts[m] @ there[m]
    with np.errstate(invalid="ignore"):
        share = np.moveaxis(share.astype(np.float64) / runs[:, :, None], 0, 2)  # [C, T, B]
        value = above.sum(axis=(0, 1), dtype=np.float64) / known.sum(axis=(1, 2))[:, None]
    n, df = (part[:, None] for part in evidence(known.sum(axis=2)))
    low, high = ends(share, draws.level, np.broadcast_to(n, value.shape), np.broadcast_to(df, value.shape))
    other = may_differ(np.maximum(n, 1.0), draws.level)  # where all runs are above, or none is: a share has bounds
    low = np.where(np.isnan(low) & np.isfinite(value) & (n > 1), value * (1.0 - other), low)
    high = np.where(np.isnan(high) & np.isfinite(value) & (n > 1), value + (1.0 - value) * other, high)
    return {"taus": taus, "value": value, "low": low, "high": high}
