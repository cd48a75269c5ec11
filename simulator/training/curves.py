"""Learning curves: from rewards to episodes to at most 1,000 points per seed, each exact.

A point is the aggregate of the training episodes that ended in its range of environment steps, so a curve does not
depend on how often it is read.
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


class Recorder:
    """Learning curve so far, and the running episode, of every seed.

    Args:
        seeds: the run's seeds, [S].
        steps: environment steps per seed of the whole run.
    """

    def __init__(self, seeds: tuple[int, ...], steps: int) -> None:
        self.width = -(-steps // MAX_POINTS)  # environment steps of a point
        self._seeds = np.array(seeds, np.int64)
        self._steps = steps
        self._step = 0
        self._given = 0
        self._running = np.zeros((len(seeds), 2))  # return and length of the episode going on
        self._latest = np.zeros((len(seeds), 2))  # of the latest that ended in this process; length 0: none yet
        shape = (len(seeds), -(-steps // self.width))
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
        if self._step + reward.shape[1] > self._steps:
            raise ValueError(f"step {self._step + reward.shape[1]:,} of a run of {self._steps:,} steps")
        failed = np.zeros(len(reward), np.int64) if failed_at is None else failed_at
        i, t = _extend(self._running, self._latest, self._points, self._step, self.width, failed, reward, ended)
        if i >= 0:
            where = f"in step {self._step + t + 1:,}"
            raise ValueError(f"seed {self._seeds[i]} got reward {reward[i, t]} {where}, expected a finite number")
        self._step += reward.shape[1]

    def drop_running(self) -> None:
        """Drop the running episodes, which could not be continued."""
        self._running[:] = 0.0

    def latest(self, index: int) -> LatestEpisode | None:
        """Return the latest episode of seed number ``index``; None where none has ended in this process."""
        total, length = self._latest[index]
        return LatestEpisode(float(total), int(length)) if length else None

    def curve(self) -> Curve:
        """Return every point that has begun."""
        n = -(-self._step // self.width)
        episodes = self._points.episodes[:, :n]
        total = self._points.return_sum[:, :n]
        mean = np.full(total.shape, np.nan)
        np.divide(total, episodes, out=mean, where=episodes > 0)
        return Curve(self._ends(np.arange(n)), mean, episodes.copy())

    def new_rows(self, closed: bool = False) -> PointRows:
        """Return the points that became final since the last call, without empty ones; ``closed``: all are final."""
        closed |= self._step == self._steps
        final = len(self._points.episodes[0]) if closed else self._step // self.width
        seed, point = np.nonzero(self._points.episodes[:, self._given : final])
        point += self._given
        self._given = final
        columns = (column[seed, point] for column in self._points)
        return PointRows(self._seeds[seed], point, self._ends(point), *columns)

    def _ends(self, point: Array) -> Array:
        return np.minimum((point + 1) * self.width, self._steps)

    def state(self) -> State:
        """Return the running episodes, the curve, and how much of it has become rows."""
        numbers = {"step": self._step, "given": self._given, "running": self._running.copy()}
        return numbers | {name: column.copy() for name, column in self._points._asdict().items()}

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self._step = state["step"]
        self._given = state["given"]
        self._running[:] = state["running"]
        for name, column in self._points._asdict().items():
            column[...] = state[name]


@jit
def _extend(running, latest, points, step, width, failed, reward, ended):
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
                p = (step + t) // width
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
