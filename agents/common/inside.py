"""Panels of what is inside an agent: tables, exploration, traces, points in a plane.

An agent knows its actions by number. Who shows the panels puts their names in place
(:func:`simulator.core.scene.named_actions`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from agents.common.exploration import Explore, scheduled
from simulator.core.protocols import Array
from simulator.core.scene import BarPanel, CurvePanel, HeatPanel, Panel, PointPanel, TextPanel, action_names

MAX_ROWS = 256  # of a table or of weights that are shown
MAX_COLUMNS = 1_024
MAX_BARS = 64
MAX_POINTS = 200  # of one group
_MAX_SCANNED = 250_000  # entries that are searched for rows that were learned
_MAX_EXACT = 64  # numbers of a point, or points, that principal axes are computed from
_CURVE_POINTS = 65  # of a schedule


def learned_rows(table: Array, first_value: float = 0.0) -> Array:
    """Return the rows of a table [F, A] to show, int64 [R]: all of a small one, of others the first that changed.

    Args:
        table: float [F, A].
        first_value: of every entry before it is learned; entries of actions that do not exist are 0 or this.
    """
    if len(table) <= MAX_ROWS:
        return np.arange(len(table))
    searched = table[: _MAX_SCANNED // table.shape[1]]
    changed = np.zeros(len(searched), np.bool_)
    for column in searched.T:
        changed |= (column != first_value) & (column != 0.0)
    rows = np.flatnonzero(changed)[:MAX_ROWS]
    return rows if len(rows) else np.arange(MAX_ROWS)


def rows_note(rows: Array, n: int, what: str = "states") -> str:
    """Return what a title says of a table of which only some rows are shown."""
    return "" if len(rows) == n else f", {len(rows)} of {n:,} {what}"


def table_panel(
    title: str,
    table: Array,
    rows: Array,
    *,
    legal: Array | None = None,
    row_name: str = "state",
    diverging: bool = True,
    columns: Sequence[str] = (),
) -> HeatPanel:
    """Make a panel of some rows of a table.

    Args:
        title: what the numbers are.
        table: float [F, A].
        rows: int64 [R], which rows.
        legal: bool [F, A] or [1, A]; actions that do not exist are left empty.
        row_name: what a row is.
        diverging: colours part at 0.
        columns: names of the columns; none: those of actions.
    """
    values = np.array(table[rows], np.float64)
    if legal is not None:
        values[~np.broadcast_to(legal if len(legal) == 1 else legal[rows], values.shape)] = np.nan
    return HeatPanel(
        title=title + rows_note(rows, len(table), f"{row_name}s"),
        values=values,
        rows=tuple(f"{row_name} {row}" for row in rows),
        columns=tuple(columns) or action_names(table.shape[1]),
        diverging=diverging,
    )


def exploration_panel(explore: Explore, clock: int) -> Panel:
    """Make a panel of the exploration after ``clock`` environment steps, and of its schedule where it has one."""
    name = "temperature of the softmax" if explore.softmax else "epsilon"
    now = float(scheduled.py_func(explore, clock))
    if not explore.decay_steps:
        return TextPanel("exploration", {name: f"{now:.4g}, constant"})
    clocks = np.linspace(0.0, max(explore.decay_steps, clock), _CURVE_POINTS)
    x = np.unique(np.append(clocks, clock))
    schedule = np.array([scheduled.py_func(explore, at) for at in x])
    return CurvePanel(
        title=f"exploration: {name} {now:.4g} at step {clock:,}",
        x=x,
        y=np.stack([schedule, np.where(x == clock, schedule, np.nan)]),
        names=(name, "now"),
        x_name="environment steps",
    )


def bonus_panel(states: Array, n_states: int, bonus: Array) -> HeatPanel:
    """Make a panel of the bonus [B] that the next visit of some states [B] of ``n_states`` would get."""
    return HeatPanel(
        title="novelty of the next visit" + rows_note(states, n_states),
        values=np.asarray(bonus, np.float64)[:, None],
        rows=tuple(f"state {state}" for state in states),
        columns=("novelty",),
        diverging=False,
    )


def counts_panel(title: str, names: Sequence[str], values: Array, beside: Array | None, beside_name: str) -> BarPanel:
    """Make bars of the first names, with others beside."""
    return BarPanel(
        title=title + ("" if len(names) <= MAX_BARS else f", the first {MAX_BARS} of {len(names):,}"),
        names=tuple(names[:MAX_BARS]),
        values=np.array(values[:MAX_BARS], np.float64),
        beside=None if beside is None else np.array(beside[:MAX_BARS], np.float64),
        beside_name=beside_name,
    )


def plane(points: Array, names: Sequence[str] = ()) -> tuple[Array, tuple[str, str], str]:
    """Project points [P, N] on a plane: two numbers as they are, more on their principal axes.

    Returns:
        Points float64 [P, 2], the names of both axes, and what a title says of the plane.
    """
    points = np.asarray(points, np.float64).reshape(len(points), -1)
    n = points.shape[1]
    own = tuple(names) if len(names) == n else tuple(f"number {k + 1}" for k in range(n))
    if n == 1:
        return np.column_stack([points[:, 0], np.zeros(len(points))]), (own[0], ""), ""
    if n == 2:
        return points, (own[0], own[1]), ""
    centred = points - points.mean(axis=0)
    axes = principal_axes(centred)
    total = float((centred**2).sum())
    projected = centred @ axes
    shown = float((projected**2).sum()) / total if total > 0.0 else 1.0
    note = f", first two principal axes of {n} numbers ({shown:.0%} of the variance)"
    return projected, ("first axis", "second axis"), note


def principal_axes(centred: Array) -> Array:
    """Return the two directions of the largest variance of centred points [P, N], float64 [N, 2]; N is 2 or more.

    Where there are many numbers, 64 of the points stand for all of them. The largest entry of a direction is positive.
    """
    if centred.shape[1] <= _MAX_EXACT:
        axes = np.linalg.eigh(centred.T @ centred)[1][:, :-3:-1]
    else:
        some = centred[spread(0, len(centred), _MAX_EXACT)]
        squares, vectors = np.linalg.eigh(some @ some.T)
        axes = np.zeros((centred.shape[1], 2))
        for k in range(min(2, len(some))):
            if squares[-1 - k] > 1e-10 * max(squares[-1], np.finfo(np.float64).tiny):
                axes[:, k] = some.T @ vectors[:, -1 - k] / np.sqrt(squares[-1 - k])
    largest = np.abs(axes).argmax(axis=0)
    signed: Array = axes * np.where(axes[largest, [0, 1]] < 0.0, -1.0, 1.0)
    return signed


def points_panel(title: str, groups: Mapping[str, Array], *, mark_last: bool = False) -> PointPanel | None:
    """Make a panel of groups of points [P, N] in one plane; None where there are no points.

    Args:
        title: what the points are.
        groups: by name.
        mark_last: mark the last point of the last group.
    """
    parts = [np.asarray(part, np.float64).reshape(len(part), -1) for part in groups.values() if len(part)]
    if not parts:
        return None
    names = tuple(name for name, part in groups.items() if len(part))
    points, (x_name, y_name), note = plane(np.concatenate(parts))
    return PointPanel(
        title=title + note,
        points=points,
        groups=np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
        names=names,
        marked=len(points) - 1 if mark_last else -1,
        x_name=x_name,
        y_name=y_name,
    )


def spread(first: int, last: int, n: int) -> Array:
    """Return at most n whole numbers from ``first`` to before ``last``, evenly spaced, int64."""
    if last - first <= n:
        return np.arange(first, last)
    return first + np.arange(n) * (last - first) // n
