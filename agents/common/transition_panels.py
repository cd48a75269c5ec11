"""Panels of a model of transitions: what it imagines beside what really happened, and how far that is apart."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agents.common.inside import counts_panel, points_panel
from simulator.core.protocols import Array
from simulator.core.scene import Panel, TextPanel


class TransitionSample(NamedTuple):
    """Some transitions of one seed, for a picture."""

    obs: Array  # float [P, F]; of a discrete observation its number, [P, 1]
    action: Array  # int [P]
    next_obs: Array  # float [P, F]


def imagined_panels(real: TransitionSample, imagined: TransitionSample, n_classes: int) -> tuple[Panel, ...]:
    """Make panels of imagined transitions beside real ones; none where nothing is imagined yet.

    Args:
        real: the latest ones.
        imagined: likewise.
        n_classes: of a discrete observation; 0: observations are vectors.
    """
    if not len(real.obs) or not len(imagined.obs):
        return ()
    if n_classes:
        facts = {"imagined transitions that really happened, among the latest": f"{share_seen(real, imagined):.0%}"}
        counts = [np.bincount(part.next_obs[:, 0].astype(np.int64), minlength=n_classes) for part in (imagined, real)]
        shares = [count / count.sum() for count in counts]
        names = [f"state {state}" for state in range(n_classes)]
        bars = counts_panel(
            "fraction of imagined transitions that lead to a state", names, shares[0], shares[1], "real"
        )
        return (TextPanel("model error", facts), bars)
    own, between = model_distances(real, imagined)
    facts = {
        "distance of an imagined transition to the nearest real one": f"{between:.3g}",
        "of a real one to the nearest other": f"{own:.3g}",
    }
    points = points_panel(
        "imagined transitions beside real ones",
        {"real": real.obs, "real, next": real.next_obs, "imagined": imagined.obs, "imagined, next": imagined.next_obs},
    )
    return (TextPanel("model error", facts), *([points] if points else []))


def share_seen(real: TransitionSample, imagined: TransitionSample) -> float:
    """Return the fraction of imagined transitions (s, a, s') between classes that are among the real ones."""
    seen = {row.tobytes() for row in _rows(real)}
    return float(np.mean([row.tobytes() in seen for row in _rows(imagined)]))


def model_distances(real: TransitionSample, imagined: TransitionSample) -> tuple[float, float]:
    """Return mean distances of real and of imagined transitions to the nearest real one of the same action.

    A transition is its observation and the next one, every number in units of its standard deviation among the real
    ones. A real one is not its own nearest. NaN where no action has two real transitions.
    """
    rows = [np.concatenate([part.obs, part.next_obs], axis=1).astype(np.float64) for part in (real, imagined)]
    scale = rows[0].std(axis=0)
    rows = [row / np.where(scale > 1e-9, scale, 1.0) for row in rows]
    squares = (rows[0] ** 2).sum(axis=1)
    nearest = []
    for row, part in zip(rows, (real, imagined), strict=True):
        squared = (row**2).sum(axis=1)[:, None] + squares - 2.0 * row @ rows[0].T
        squared[part.action[:, None] != real.action] = np.inf
        if part is real:
            np.fill_diagonal(squared, np.inf)
        least = squared.min(axis=1)
        known = np.isfinite(least)
        nearest.append(float(np.sqrt(np.maximum(least[known], 0.0)).mean()) if known.any() else np.nan)
    return nearest[0], nearest[1]


def _rows(part: TransitionSample) -> Array:
    """Return transitions between classes as rows int64 [P, 3]."""
    return np.ascontiguousarray(np.stack([part.obs[:, 0], part.action, part.next_obs[:, 0]], axis=1).astype(np.int64))
