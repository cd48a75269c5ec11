"""States to draw: numbers that stand for each, walks that met them, and what is known of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from simulator.core.embeddings.walks import rows_of
from simulator.core.protocols import Array
from simulator.core.scene import Scene


@dataclass(frozen=True)
class States:
    """N states. An attribute is None where it is not known.

    Attributes:
        title: where they come from, in a few words.
        kind: "env", "run" or "memory".
        of: what ``vectors`` are: ``observations``, ``successor``, ``place``, ``hidden``, ``codes`` ...
        vectors: float64 [N, F], what stands for each state.
        walks: int64 [W, L], the states met one after the other, each row ended by -1.
        chain: float64 [N, N], the exact chain of random play; nothing leads on from where episodes end.
        adjacency: float64 [N, N], states that a step joins; of random play exact, of a run as met.
        scene: a map with walls or rooms.
        places: int64 [N, 2], row and column of every state, or its room and 0; -1: not on the map.
        rooms: int64 [N], the room of the map that a state is in; -1: a doorway.
        values: float64 [N], exact or learned.
        actions: int64 [N], the best action; -1: none.
        action_names: of all actions.
        classes: int64 [N], of patterns.
        steps: float64 [N], mean time step of an episode at which a state was met; NaN: never.
        visits: int64 [N].
        exact: values and the best actions of every state by the finite MDP.
    """

    title: str
    kind: str
    of: str
    vectors: Array
    walks: Array | None = None
    chain: Array | None = None
    adjacency: Array | None = None
    scene: Scene | None = None
    places: Array | None = None
    rooms: Array | None = None
    values: Array | None = None
    actions: Array | None = None
    action_names: tuple[str, ...] = ()
    classes: Array | None = None
    steps: Array | None = None
    visits: Array | None = None
    exact: ExactValues | None = None
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        """Return N."""
        return len(self.vectors)


@dataclass(frozen=True)
class ExactValues:
    """The optimum of a finite environment, and what one step does: for the quality of linear values."""

    values: Array  # float64 [N], V*; 0 where episodes have ended
    greedy: Array  # bool [N, A], every best action
    reward: Array  # float64 [N, A], mean; minus infinity where the action is not legal
    following: Any  # sparse [N * A, N], probabilities of the next state where a value follows
    gamma: float
    judged: Array  # bool [N], states in which an action is chosen


class Visits(NamedTuple):
    """Visits of N states on walks."""

    count: Array  # type: ignore[assignment]  # int64 [N]
    mean_step: Array  # float64 [N], mean time step of the episode; NaN where a state was not met


class MetStates:
    """States by what they look like, numbered as they are met, and the walks that met them.

    Args:
        max_states: those met later count as not met.
    """

    def __init__(self, max_states: int) -> None:
        self.max_states = max_states
        self.n_left_out = 0
        self.observations: list[Array] = []
        self._number: dict[bytes, int] = {}
        self._walks: list[list[int]] = [[]]
        self._times: list[list[int]] = [[]]

    @classmethod
    def of_all(cls, observations: Array) -> MetStates:
        """Begin with all states of an environment, [N, *obs], none of them met so far."""
        states = cls(len(observations))
        for obs in observations:
            states.number_of(np.asarray(obs))
        return states

    def number_of(self, obs: Array) -> int:
        """Return the number of an observation; -1 where there are too many."""
        key = np.ascontiguousarray(obs).tobytes()
        number = self._number.get(key, -1)
        if number < 0:
            if len(self._number) == self.max_states:
                self.n_left_out += 1
                return -1
            number = self._number[key] = len(self.observations)
            self.observations.append(np.array(obs))
        return number

    def meet(self, obs: Array, time: int) -> int:
        """Add an observation to the walk, at a time step of its episode, and return its number."""
        number = self.number_of(obs)
        if number >= 0:
            self._walks[-1].append(number)
            self._times[-1].append(time)
        else:
            self.end()
        return number

    def end(self) -> None:
        """End the walk: the next observation begins another."""
        if self._walks[-1]:
            self._walks.append([])
            self._times.append([])

    @property
    def walks(self) -> Array:
        """The walks so far, int64 [W, L]."""
        return rows_of([np.array(walk) for walk in self._walks if walk])

    def visits(self) -> Visits:
        """Count the visits of every state."""
        states = np.array([state for walk in self._walks for state in walk], np.int64)
        at = np.array([time for times in self._times for time in times], np.float64)
        visits = np.bincount(states, minlength=len(self.observations))
        total = np.bincount(states, weights=at, minlength=len(self.observations))
        return Visits(visits, np.where(visits > 0, total / np.maximum(visits, 1), np.nan))


def rooms_on_map(scene: Scene) -> Array | None:
    """Number the rooms of a grid, int64 [H, W]: -1 for walls and doorways; None where there are not two rooms.

    A doorway is a free cell with walls on two opposite sides. Rooms are what is left, joined over their sides.
    """
    from scipy import ndimage

    if scene.walls is None:
        return None
    walls = np.pad(np.asarray(scene.walls, np.bool_), 1, constant_values=True)
    across = (walls[1:-1, :-2] & walls[1:-1, 2:]) | (walls[:-2, 1:-1] & walls[2:, 1:-1])
    numbered, n_rooms = ndimage.label(~walls[1:-1, 1:-1] & ~across)
    return np.asarray(numbered, np.int64) - 1 if n_rooms > 1 else None


def rooms_at(scene: Scene, places: Array) -> Array | None:
    """Return the room of every place, int64 [N]; -1: none; None where the map has no rooms."""
    on_map = rooms_on_map(scene)
    if on_map is None:
        return None
    inside = (places >= 0).all(axis=1) & (places[:, 0] < on_map.shape[0]) & (places[:, 1] < on_map.shape[1])
    rows = np.where(inside[:, None], places, 0)
    return np.where(inside, on_map[rows[:, 0], rows[:, 1]], -1)


def flat(observations: Sequence[Array]) -> Array:
    """Put observations in rows of numbers, float64 [N, F]; images by means of the pixels of squares."""
    rows = np.stack([np.asarray(obs, np.float64) for obs in observations])
    if rows.ndim == 4 and max(rows.shape[1:3]) > MAX_SIDE:
        step = -(-max(rows.shape[1:3]) // MAX_SIDE)
        height, width = (size // step * step for size in rows.shape[1:3])
        shape = (len(rows), height // step, step, width // step, step, rows.shape[3])
        rows = rows[:, :height, :width].reshape(shape).mean(axis=(2, 4))
    return rows.reshape(len(rows), -1)


MAX_SIDE = 32  # pixels


def chosen(of: str, offered: Collection[str], order: Sequence[str]) -> str:
    """Return the numbers that stand for a state: those asked for, or the first of ``order`` that is offered.

    Raises:
        ValueError: none of that name; one line.
    """
    if of == "auto":
        return next(name for name in order if name in offered)
    if of not in offered:
        raise ValueError(f"--of {of}: expected {', '.join(offered)}")
    return of
