"""A graph of rooms, given by its R matrix, as a finite environment: action j is the door to room j."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from gymnasium import spaces
from scipy import sparse

from envs.common.gridworld.graph_file import NO_DOOR, RoomGraph
from envs.common.gridworld.layout_model import (
    LayoutModel,
    LayoutRules,
    ObservationConfig,
    ObservationModel,
    box_observations,
    index_observations,
    onehot_observations,
    position_observations,
)
from envs.common.render import paint_rooms, rooms_side, stamp_room
from simulator.core.mdp.markov_chains import can_reach
from simulator.core.mdp.model import GOES_ON, TERMINATES, TRUNCATES, FiniteMDP, checked
from simulator.core.protocols import Array
from simulator.core.scene import Mark, Scene

NO_DOOR_REWARD = -1.0  # of an illegal action: a move without a door
MAX_OUTCOMES = 20_000_000
MAX_PIXELS = 4_000_000
MIN_EPISODE_LIMIT = 100


def make_graph_model(graph: RoomGraph, rules: LayoutRules) -> LayoutModel:
    """Make a finite environment from a graph; the goal is absorbing unless the rules say otherwise.

    Raises:
        ValueError: a room without a door, a start from which no goal can be reached, too many rooms.
    """
    rewards = np.array(graph.rewards, np.float64)
    doors = rewards != NO_DOOR
    start = _start_distribution(graph, rules, doors)
    n_outcomes = int(doors.sum(axis=1).max()) if rules.slip else 1
    if doors.size * n_outcomes > MAX_OUTCOMES:
        size = f"found {len(doors):,} rooms with up to {n_outcomes:,} doors each"
        raise ValueError(f"{graph.source}: {size}, expected at most {MAX_OUTCOMES:,} outcomes of moves")
    outcomes = _outcomes(doors, rules.slip, n_outcomes)
    rooms = np.arange(len(doors))
    paid = np.where(doors[..., None], rewards[rooms[:, None, None], outcomes.next_state], NO_DOOR_REWARD)
    goal_end = TERMINATES if rules.goal == "terminal" else TRUNCATES
    arrives = doors[..., None] & np.isin(outcomes.next_state, graph.goals)
    mdp = FiniteMDP(
        prob=outcomes.prob,
        next=outcomes.next_state,
        reward=paid - (rules.step_cost or 0.0),
        end=np.where(arrives, goal_end, GOES_ON).astype(np.uint8),
        start=start,
        legal=doors,
        max_steps=rules.max_steps or max(MIN_EPISODE_LIMIT, 4 * len(doors)),
    )
    positions = _positions(graph)
    return LayoutModel(
        checked(mdp), partial(_scene, graph, positions, doors), partial(_observations, graph, positions, doors)
    )


def _start_distribution(graph: RoomGraph, rules: LayoutRules, doors: Array) -> Array:
    """Return the probability of each room to be the first, float64 [N]."""
    rooms = np.arange(len(doors))
    shut = np.flatnonzero(~doors.any(axis=1))
    if len(shut):
        raise ValueError(f"{graph.source}: R row {shut[0]}: found no door, expected at least one entry other than -1")
    anywhere = rules.start == "random" or (rules.start == "layout" and graph.random)
    if not anywhere and not graph.starts:
        raise ValueError(f"{graph.source}: found no start, expected a line 'start = ROOM'")
    is_start = np.ones(len(doors), np.bool_) if anywhere else np.isin(rooms, graph.starts)
    hopeful = can_reach(sparse.csr_matrix(doors.astype(float)), np.isin(rooms, graph.goals))
    lost = np.flatnonzero(is_start & ~hopeful)
    if len(lost):
        raise ValueError(
            f"{graph.source}: R row {lost[0]}: found no way from room {lost[0]} to a goal, "
            f"expected one to room {' or '.join(map(str, graph.goals[:10]))}"
        )
    return is_start / is_start.sum()


class _Outcomes(NamedTuple):
    """The outcomes of every room and action."""

    next_state: Array  # int64 [N, A, K]
    prob: Array  # float64 [N, A, K]


def _outcomes(doors: Array, slip: float, n_outcomes: int) -> _Outcomes:
    """Tabulate the outcomes of every move; a slip leads through another door of the room."""
    n = len(doors)
    next_state = np.repeat(np.arange(n), n * n_outcomes).reshape(n, n, n_outcomes)  # no door: stay
    prob = np.zeros(next_state.shape)
    prob[..., 0] = 1.0
    for room, row in enumerate(doors):
        targets = np.flatnonzero(row)
        k = len(targets) if slip else 1
        turns = (np.arange(len(targets))[:, None] + np.arange(k)) % len(targets)
        next_state[room, targets, :k] = targets[turns]
        if k > 1:
            prob[room, targets, 0] = 1.0 - slip
            prob[room, targets, 1:k] = slip / (k - 1)
    return _Outcomes(next_state, prob)


def _positions(graph: RoomGraph) -> Array:
    """Return the place of every room in the unit square, x and y: float64 [N, 2]."""
    if graph.places:
        return np.array(graph.places)
    angle = 2 * np.pi * np.arange(len(graph.rewards)) / len(graph.rewards)
    return np.stack([0.5 + 0.5 * np.sin(angle), 0.5 - 0.5 * np.cos(angle)], axis=1)


def _scene(graph: RoomGraph, positions: Array, doors: Array, state: int, episode_step: int) -> Scene:
    n = len(doors)
    return Scene(
        graph.title,
        marks=tuple(Mark(room, 0, "goal") for room in graph.goals),
        rooms=positions,
        doors=np.argwhere(doors & ~np.eye(n, dtype=np.bool_)),
        walker=state,
        places=np.stack([np.arange(n), np.zeros(n, np.int64)], axis=1),
        actions=tuple(f"room {room}" for room in range(n)),
        facts={"step": str(episode_step)},
    )


def _observations(graph: RoomGraph, positions: Array, doors: Array, config: ObservationConfig) -> ObservationModel:
    rooms = np.arange(len(doors))
    if config.kind == "position":
        return position_observations(positions)
    if config.kind == "onehot":
        return onehot_observations(rooms, len(rooms))
    if config.kind == "walls":
        kinds, obs_of_state = np.unique(doors, axis=0, return_inverse=True)
        return index_observations(obs_of_state.ravel(), len(kinds), kinds)
    if config.kind == "pixels":
        return _pixels(_scene(graph, positions, doors, 0, 0), len(rooms), config.cell_pixels)
    if config.kind == "window":
        expected = "index, position, onehot, walls or pixels"
        raise ValueError(f"{graph.source}: observation = 'window': a graph of rooms has no cells, expected {expected}")
    return index_observations(rooms, len(rooms), doors)


def _pixels(scene: Scene, n_rooms: int, size: int) -> ObservationModel:
    """Observe a picture of the rooms with the walker, uint8 [side, side, 3]."""
    side = rooms_side(n_rooms, size)
    if side * side > MAX_PIXELS:
        raise ValueError(
            f"rooms: cell_pixels = {size}: makes pictures of {side} x {side}, expected at most {MAX_PIXELS:,} pixels"
        )
    background = paint_rooms(scene, size)

    def encode(states: Array) -> Array:
        pictures = np.repeat(background[None], len(states), axis=0)
        for canvas, room in zip(pictures, states, strict=True):
            stamp_room(canvas, scene, int(room), size)
        return pictures

    return box_observations(spaces.Box(0, 255, background.shape, np.uint8), encode, n_rooms)
