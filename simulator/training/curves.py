"""Learning curves: from rewards to episodes to at most 1,000 points per seed, each exact.

A point is the aggregate of the training episodes that ended in its range of environment steps, so a curve does not
depend on how often it is read. A run that goes on to more steps than it was begun with keeps the points that it has;
those after them have the width of the longer run, and are another 1,000 at most.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.core.jit import jit
from simulator.core.protocols import Array, Curve, State
from simulator.store.records import PointRows

MAX_POINTS = 1_000


class _Points(NamedTuple):
    """Aggregates per seed and point, [S, P]."""

    episodes: Array  # int64
    return_sum: Array  # float64, as for the rest
    return_min: Array
    return_max: Array
    return_sq: Array
    length_sum: Array


class LatestEpisode(NamedTuple):
    """The training episode of one seed that ended last."""

    total: float  # return
    length: int  # environment steps


class Span(NamedTuple):
    """Points of one width."""

    first_point: int
    first_step: int  # environment steps before its first point
    width: int  # environment steps of a point

    def point_of(self, step: int) -> int:
        """Return the point in which the episode that ends with step number ``step``, from 0, is counted."""
        return self.first_point + (step - self.first_step) // self.width

    def n_points(self, steps: int) -> int:
        """Return the number of points of a run that ends after ``steps`` in this span."""
        return self.first_point - (self.first_step - steps) // self.width


class Recorder:
    """Learning curve so far, and the running episode, of every seed.

    Args:
        seeds: the run's seeds, [S].
        steps: environment steps per seed of the whole run.
    """

    def __init__(self, seeds: tuple[int, ...], steps: int) -> None:
        self._seeds = np.array(seeds, np.int64)
        self._steps = steps
        self._step = 0
        self._given = 0
        self._running = np.zeros((len(seeds), 2))  # return and length of the episode going on
        self._latest = np.zeros((len(seeds), 2))  # of the latest that ended in this process; length 0: none yet
        self._make_points([Span(0, 0, _width(steps))])

    def _make_points(self, spans: list[Span]) -> None:
        self._spans = spans
        shape = (len(self._seeds), spans[-1].n_points(self._steps))
        zeros = [np.zeros(shape) for _ in range(5)]
        self._points = _Points(np.zeros(shape, np.int64), *zeros)
        self._points.return_min[:] = np.inf
        self._points.return_max[:] = -np.inf

    def extend(self, reward: Array, ended: Array, failed_at: Array | None = None) -> None:
        """Add T steps.

        Args:
            reward: float32 [S, T].
            ended: bool [S, T].
            failed_at: int64 [S], the step from which a seed no longer counts, 0 for a running one.

        Raises:
            ValueError: a reward that is not finite; more steps than the run has, which compiled code would write
                beyond the curve.
        """
        n_steps = reward.shape[1]
        if self._step + n_steps > self._steps:
            raise ValueError(f"step {self._step + n_steps:,} of a run of {self._steps:,} steps")
        failed = np.zeros(len(reward), np.int64) if failed_at is None else failed_at
        for start in [span.first_step for span in self._spans if self._step < span.first_step < self._step + n_steps]:
            n = start - self._step
            self._extend(np.ascontiguousarray(reward[:, :n]), np.ascontiguousarray(ended[:, :n]), failed)
            reward = np.ascontiguousarray(reward[:, n:])
            ended = np.ascontiguousarray(ended[:, n:])
        self._extend(reward, ended, failed)

    def _extend(self, reward: Array, ended: Array, failed: Array) -> None:
        """Add steps of one span."""
        span = self._span_at(self._step)
        i, t = _extend(self._running, self._latest, self._points, self._step, *span, failed, reward, ended)
        if i >= 0:
            where = f"in step {self._step + t + 1:,}"
            raise ValueError(f"seed {self._seeds[i]} got reward {reward[i, t]} {where}, expected a finite number")
        self._step += reward.shape[1]

    def _span_at(self, step: int) -> Span:
        return next(span for span in reversed(self._spans) if span.first_step <= step)

    def drop_running(self) -> None:
        """Drop the running episodes, which could not be continued."""
        self._running[:] = 0.0

    def latest(self, index: int) -> LatestEpisode | None:
        """Return the latest episode of seed number ``index``; None where none has ended in this process."""
        total, length = self._latest[index]
        return LatestEpisode(float(total), int(length)) if length else None

    def running_steps(self, index: int) -> int:
        """Return the steps so far of the episode that seed number ``index`` is in."""
        return int(self._running[index, 1])

    def curve(self) -> Curve:
        """Return every point that has begun."""
        n = self._span_at(self._step - 1).point_of(self._step - 1) + 1 if self._step else 0
        episodes = self._points.episodes[:, :n]
        total = self._points.return_sum[:, :n]
        mean = np.full(total.shape, np.nan)
        np.divide(total, episodes, out=mean, where=episodes > 0)
        return Curve(self._ends(np.arange(n)), mean, episodes.copy())

    def new_rows(self, closed: bool = False) -> PointRows:
        """Return the points that became final since the last call, without empty ones; ``closed``: all are final."""
        closed |= self._step == self._steps
        final = len(self._points.episodes[0]) if closed else self._span_at(self._step).point_of(self._step)
        seed, point = np.nonzero(self._points.episodes[:, self._given : final])
        point += self._given
        self._given = final
        columns = (column[seed, point] for column in self._points)
        return PointRows(self._seeds[seed], point, self._ends(point), *columns)

    def _ends(self, point: Array) -> Array:
        """Return the environment steps at which points end."""
        ends = np.full(point.shape, self._steps)
        for span, following in zip(self._spans, [*self._spans[1:], None], strict=True):
            last = self._steps if following is None else following.first_step
            own = np.minimum(span.first_step + (point - span.first_point + 1) * span.width, last)
            ends = np.where(point >= span.first_point, own, ends)
        return ends

    def state(self) -> State:
        """Return the running episodes, the curve, and how much of it has become rows."""
        numbers = {"step": self._step, "given": self._given, "running": self._running.copy()}
        numbers |= {"steps": self._steps, "spans": {str(i): span._asdict() for i, span in enumerate(self._spans)}}
        return numbers | {name: column.copy() for name, column in self._points._asdict().items()}

    def restore(self, state: State) -> None:
        """Continue from ``state``, which may be of a run that had another number of steps."""
        self._step = state["step"]
        self._given = state["given"]
        self._running[:] = state["running"]
        spans = [Span(**span) for span in state["spans"].values()]
        self._make_points(self._continued(spans, state["steps"]))
        for name, column in self._points._asdict().items():
            n = min(column.shape[1], state[name].shape[1])
            column[:, :n] = state[name][:, :n]

    def _continued(self, spans: list[Span], steps: int) -> list[Span]:
        """Return the spans of a run that was to have ``steps`` steps, and has others now.

        The point that is going on keeps its width, and the next one is the first of the new width.
        """
        last = spans[-1]
        width = _width(self._steps)
        begun = last.n_points(self._step)  # points
        start = min(last.first_step + (begun - last.first_point) * last.width, steps)
        is_border = start == last.first_step + (begun - last.first_point) * last.width
        if steps == self._steps or start >= self._steps or (width == last.width and is_border):
            return spans
        return [*(span for span in spans if span.first_point < begun), Span(begun, start, width)]


def _width(steps: int) -> int:
    return -(-steps // MAX_POINTS)


@jit
def _extend(running, latest, points, step, first_point, first_step, width, failed, reward, ended):
    """Add T steps of every seed; return (seed, step) of the first non-finite reward, or (-1, -1)."""
    for i in range(reward.shape[0]):
        for t in range(reward.shape[1]):
            has_failed = failed[i] > 0 and step + t + 1 >= failed[i]
            if not np.isfinite(reward[i, t]) and (not has_failed or step + t + 1 == failed[i]):
                return i, t  # the environment failed, not the agent
            if has_failed:
                running[i, 0] = 0.0
                running[i, 1] = 0.0
                break
            running[i, 0] += reward[i, t]
            running[i, 1] += 1.0
            if ended[i, t]:
                p = first_point + (step + t - first_step) // width
                gain = running[i, 0]
                points.episodes[i, p] += 1
                points.return_sum[i, p] += gain
                points.return_min[i, p] = min(points.return_min[i, p], gain)
                points.return_max[i, p] = max(points.return_max[i, p], gain)
                points.return_sq[i, p] += gain * gain
                points.length_sum[i, p] += running[i, 1]
                latest[i, 0] = gain
                latest[i, 1] = running[i, 1]
                running[i, 0] = 0.0
                running[i, 1] = 0.0
    return -1, -1
