"""Panels of a replay: how much it holds, and how often its transitions are sampled by their priorities."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.common.inside import spread
from agents.common.replay.prioritized import PROPORTIONAL, UNIFORM, Priorities
from simulator.core.protocols import Array
from simulator.core.scene import CurvePanel, Panel, TextPanel

_N_AGES = 64  # points of the curve over age
_N_SORTED = 2_048  # transitions that the sorted curve is of, at most


def replay_panels(replay: Any, priorities: Priorities, index: int) -> tuple[Panel, ...]:
    """Make panels of one seed's replay, of transitions or of sequences.

    Args:
        replay: the ring buffers, with ``n_added`` [S] and ``action`` [S, N, ...].
        priorities: of what it holds.
        index: number of the seed.
    """
    n_added = int(replay.n_added[index])
    capacity = replay.action.shape[1]
    size = min(n_added, capacity)
    unit = "transitions" if replay.action.ndim == 2 else "sequences"
    facts = {unit: f"{size:,} of {capacity:,}", "added so far": f"{n_added:,}"}
    if not n_added:
        facts = {unit: "none; a run that is over keeps them with --keep-replay only"}
    if priorities.kind == UNIFORM or not size:
        facts["sampling"] = "uniform" if priorities.kind == UNIFORM else "by priority"
        return (TextPanel("replay", facts),)
    relative = relative_probabilities(priorities, index, size)
    facts["largest priority so far"] = f"{priorities.max_priority[index]:.4g}"
    newest_first = np.roll(relative[::-1], n_added % capacity if size == capacity else 0)
    return (
        TextPanel("replay", facts),
        _by_age(newest_first, unit),
        _sorted(relative, unit),
    )


def relative_probabilities(priorities: Priorities, index: int, size: int) -> Array:
    """Return how often each of the first ``size`` slots is sampled, in units of uniform sampling, float64 [size]."""
    if priorities.kind == PROPORTIONAL:
        tree = priorities.tree[index]
        leaves = tree[len(tree) // 2 : len(tree) // 2 + size]
        relative: Array = leaves * (size / tree[1])
        return relative
    by_rank = np.diff(priorities.cumulative[: size + 1]) * (size / priorities.cumulative[size])
    ranked: Array = by_rank[priorities.heap_position[index, :size]]
    return ranked


def _by_age(newest_first: Array, unit: str) -> CurvePanel:
    starts = np.unique(spread(0, len(newest_first), _N_AGES))
    counts = np.diff(np.append(starts, len(newest_first)))
    return CurvePanel(
        title=f"priorities by age: how often {unit} are sampled, 1 is as uniform sampling",
        x=starts + (counts - 1) / 2.0,
        y=np.stack([np.add.reduceat(newest_first, starts) / counts, np.maximum.reduceat(newest_first, starts)]),
        names=("mean", "largest"),
        levels={"uniform": 1.0},
        x_name=f"age, {unit} added since",
    )


def _sorted(relative: Array, unit: str) -> CurvePanel:
    some = np.sort(relative[spread(0, len(relative), _N_SORTED)])[::-1]
    shown = spread(0, len(some), 4 * _N_AGES)
    sample = "" if len(some) == len(relative) else f", {len(some):,} of {len(relative):,}"
    return CurvePanel(
        title=f"priorities of {unit}, the largest first{sample}",
        x=(shown + 0.5) / len(some),
        y=some[shown][None],
        names=("sampled as often as uniformly, times",),
        levels={"uniform": 1.0},
        x_name=f"fraction of {unit}",
    )
