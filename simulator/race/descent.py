"""Descents of a function by update rules: all starting points and all step sizes at once, and what came of them.

The step size of a rule is chosen on some starting points and its result is reported on others, which it has not seen.
Starting points are drawn by the streams of seeds. K step sizes, M starting points.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import quantile_test

from simulator.config.race import RaceConfig
from simulator.core import rng
from simulator.core.optimizers import KINDS, Kind, Rule, RuleConfig, coefficients, rule_of, update
from simulator.core.protocols import Array
from simulator.race.objectives import OBJECTIVES, Objective
from simulator.statistics.estimates import confidence_interval

_FORGET_EVERY = 128  # steps after which paths that are over are left out
DRAWN_STEPS = 100  # of a path
Progress = Callable[[int, int, str], None]  # descents that are done, of how many, and the one that begins


class Descents(NamedTuple):
    """Ends of paths."""

    steps: Array  # float64 [K, M], after which the loss was within the tolerance; infinite: not within the steps
    excess: Array  # float64 [K, M], of the loss over its minimum at the end; infinite where it diverged


def starting_points(objective: Objective, seed_list: Sequence[int]) -> Array:
    """Draw a starting point for each seed, [M, 2]."""
    streams = rng.generators(seed_list, "start")
    return np.array([stream.uniform(objective.starts.low, objective.starts.high) for stream in streams])


def path(objective: Objective, rule: Rule, step_sizes: Array, starts: Array) -> Generator[Array, Array | None, None]:
    """Descend from all starting points with all step sizes at once, without an end.

    Args:
        objective: what is descended.
        rule: the update rule.
        step_sizes: [..., 1], which broadcast against the starting points.
        starts: [..., 2].

    Yields:
        The points [..., 2], at first the starting points. What is sent back, a mask [n] over their first axis, leaves
        out all others from then on.
    """
    points = np.array(np.broadcast_arrays(starts, step_sizes)[0])
    first = np.zeros_like(points)
    second = np.zeros_like(points)
    count = 0
    while True:
        kept = yield points
        if kept is not None:
            points, first, second, step_sizes = points[kept], first[kept], second[kept], step_sizes[kept]
        count += 1
        gradient = objective.gradient(points)
        moved = update(rule, gradient, first, second, coefficients(rule, step_sizes, count))
        points = points - moved.step
        first = moved.first
        second = moved.second


def descend(
    objective: Objective, rule: Rule, step_sizes: Array, starts: Array, n_steps: int, tolerance: float
) -> Descents:
    """Descend with step sizes [K] from starts [M, 2], each until it is within the tolerance or out of steps."""
    k, m = len(step_sizes), len(starts)
    steps = np.full(k * m, np.inf)
    excess = np.full(k * m, np.inf)
    active = np.arange(k * m)  # numbers of the paths that go on
    rows = np.repeat(step_sizes, m)[:, None]
    with np.errstate(over="ignore", invalid="ignore"):
        points_at = path(objective, rule, rows, np.tile(starts, (k, 1)))
        points = next(points_at)
        for step in range(n_steps + 1):
            above = objective.loss(points) - objective.minimum  # [active]
            goes_on = np.isinf(steps[active])
            excess[active] = np.where(goes_on, np.where(np.isnan(above), np.inf, above), excess[active])
            steps[active] = np.where(goes_on & (above <= tolerance), step, steps[active])
            kept = None
            if step % _FORGET_EVERY == 0:
                kept = np.isinf(steps[active]) & np.isfinite(excess[active])
                active = active[kept]
            if not len(active):
                break
            points = points_at.send(kept)
    return Descents(steps.reshape(k, m), excess.reshape(k, m))


def best_step_size(descents: Descents) -> int:
    """Return the number of the step size with the lowest median of steps.

    Where that is equal, or infinite, the one with the lowest median at the end; a lucky path or two decide nothing.
    """
    order = np.lexsort((_median(descents.excess), _median(descents.steps)))  # the last key counts first
    return int(order[0])


def _median(values: Array) -> Array:
    """Compute medians of rows, infinite where half of a row is: of an even number the upper middle one."""
    return np.sort(values, 1)[:, values.shape[1] // 2]


def race(
    rules: Sequence[Kind], config: RaceConfig, progress: Progress = lambda done, total, note: None
) -> dict[str, Any]:
    """Let rules descend, and return the JSON object of ``engram race``.

    Raises:
        ValueError: starting points that choose the step size among those of the result.
    """
    reported = range(config.first_seed, config.first_seed + config.seeds)
    chosen_on = range(config.chosen_first_seed, config.chosen_first_seed + config.chosen_on)
    if max(reported.start, chosen_on.start) < min(reported.stop, chosen_on.stop):
        raise ValueError(
            f"--chosen-first-seed {config.chosen_first_seed}: expected other starting points than those of the result, "
            f"seeds {reported.start} to {reported.stop - 1}"
        )
    found: list[dict[str, Any]] = []
    for name in config.objectives:
        objective = OBJECTIVES[name]
        rows: list[dict[str, Any]] = []
        for kind in rules:
            n_done = len(found) * len(rules) + len(rows)
            progress(n_done, len(config.objectives) * len(rules), f"{name}, {kind}")
            rows.append(_result_of(objective, kind, config, reported, chosen_on))
        found.append(
            {
                "objective": name,
                "formula": objective.formula,
                "minima": objective.minima,
                "minimum": objective.minimum,
                "rules": rows,
            }
        )
    return {
        "rules": list(rules),
        "steps": config.steps,
        "tolerance": config.tolerance,
        "step_sizes": sorted(set(config.step_sizes)),
        "seeds": list(reported),
        "chosen_on": list(chosen_on),
        "objectives": found,
    }


def _result_of(
    objective: Objective, kind: Kind, config: RaceConfig, reported: range, chosen_on: range
) -> dict[str, Any]:
    """Choose a rule's step size on some starting points, and descend from others with it."""
    rule = rule_of(RuleConfig(kind, config.beta1, config.beta2, config.eps))
    step_sizes = np.array(sorted(set(config.step_sizes)))
    tried = descend(objective, rule, step_sizes, starting_points(objective, chosen_on), config.steps, config.tolerance)
    best = best_step_size(tried)
    starts = starting_points(objective, reported)
    ends = descend(objective, rule, step_sizes[best : best + 1], starts, config.steps, config.tolerance)
    steps = ends.steps[0]
    reached = np.isfinite(steps).astype(float)
    share = confidence_interval(reached, np.mean, bounds=(0.0, 1.0))
    median = quantile_test(steps, p=0.5).confidence_interval()  # by order statistics, which may be infinite
    quartiles = np.sort(steps)[[len(steps) // 4, len(steps) // 2, 3 * len(steps) // 4]]
    return {
        "rule": kind,
        "step_size": float(step_sizes[best]),
        "at_the_edge": bool(len(step_sizes) > 1 and best in (0, len(step_sizes) - 1)),
        "reached": {"share": float(reached.mean()), "low": share.low, "high": share.high},
        "median_steps": {"median": quartiles[1], "low": median.low, "high": median.high},
        "quartiles": [quartiles[0], quartiles[2]],
        "excess": float(np.median(ends.excess)),
        "per_seed": steps,
        "grid": {"median_steps": _median(tried.steps), "reached": np.isfinite(tried.steps).mean(1)},
        "path": path_of(objective, rule, float(step_sizes[best]), starts[0], config),
    }


def path_of(objective: Objective, rule: Rule, step_size: float, start: Array, config: RaceConfig) -> Array:
    """Return the first steps from one starting point, fewer where it is over before, [T, 2]."""
    points: list[Array] = []
    with np.errstate(over="ignore", invalid="ignore"):
        for point in path(objective, rule, np.array([[step_size]]), start[None]):
            if not np.isfinite(point).all():
                break
            points.append(point[0])
            is_over = objective.loss(point[0]) - objective.minimum <= config.tolerance
            if is_over or len(points) > min(config.steps, DRAWN_STEPS):
                break
    return np.array(points)


def check_rules(names: Sequence[str]) -> list[Kind]:
    """Return the rules of these names, all seven where there are none.

    Raises:
        ValueError: an unknown one; one line.
    """
    from simulator.core.registry import unknown_name_message

    known = {kind: kind for kind in KINDS}
    for name in names:
        if name not in known:
            raise ValueError(unknown_name_message("update rule", name, KINDS, f"expected {', '.join(KINDS)}"))
    return [known[name] for name in dict.fromkeys(names)] or list(KINDS)  # type: ignore[index]
