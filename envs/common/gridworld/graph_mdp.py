"""A graph of rooms, given by its R matrix, as a finite environment: action j is the door to room j."""

from __future__ import annotations

from functools import partial

import numpy as np
from gymnasium import spaces
from scipy import sparse

from envs.common.gridworld.finite_env import Ground, Look, Rules, Views, boxed, indexed, onehot, placed
from envs.common.gridworld.graph_file import NO_DOOR, RoomGraph
from envs.common.render import paint_rooms, rooms_side, stamp_room
from simulator.core.mdp.markov_chains import leads_to
from simulator.core.mdp.solve import GOES_ON, TERMINATES, TRUNCATES, FiniteMDP, checked
from simulator.core.protocols import Array
from simulator.core.scene import Mark, Scene

NO_DOOR_REWARD = -1.0  # what a move without a door pays if it is sent all the same
MOST_OUTCOMES = 20_000_000
MOST_PIXELS = 4_000_000
_FEWEST_STEPS = 100


def make_rooms(graph: RoomGraph, rules: Rules) -> Ground:
    """The rooms as a finite environment; the goal is absorbing unless the rules say otherwise.

    Raises:
        ValueError: a room without a door, a start from which no goal can be reached, too many rooms.
    """
    rewards = np.array(graph.rewards, np.float64)
    doors = rewards != NO_DOOR
    start = _starts(graph, rules, doors)
    widest = int(doors.sum(axis=1).max()) if rules.slip else 1
    if doors.size * widest > MOST_OUTCOMES:
        found = f"found {len(doors):,} rooms with up to {widest:,} doors each"
        raise ValueError(f"{graph.source}: {found}, expected at most {MOST_OUTCOMES:,} outcomes of moves")
    led_to, prob = _ways(doors, rules.slip, widest)
    cost, rooms = rules.step_cost or 0.0, np.arange(len(doors))
    paid = np.where(doors[..., None], rewards[rooms[:, None, None], led_to], NO_DOOR_REWARD) - cost
    over = TERMINATES if rules.goal == "terminal" else TRUNCATES
    arrives = doors[..., None] & np.isin(led_to, graph.goals)
    end = np.where(arrives, over, GOES_ON).astype(np.uint8)
    max_steps = rules.max_steps or max(_FEWEST_STEPS, 4 * len(doors))
    mdp = checked(FiniteMDP(prob, led_to, paid, end, start, doors, max_steps))
    places = _places(graph)
    return Ground(mdp, partial(_scene, graph, places, doors), partial(_views, graph, places, doors))


def _starts(graph: RoomGraph, rules: Rules, doors: Array) -> Array:
    """The probability of each room to be the first, float64 [N]."""
    shut = np.flatnonzero(~doors.any(axis=1))
    if len(shut):
        raise ValueError(f"{graph.source}: R row {shut[0]}: found no door, expected at least one entry other than -1")
    anywhere = rules.start == "random" or (rules.start == "layout" and graph.random)
    if not anywhere and not graph.starts:
        raise ValueError(f"{graph.source}: found no start, expected a line 'start = ROOM'")
    first = np.ones(len(doors), np.bool_) if anywhere else np.isin(np.arange(len(doors)), graph.starts)
    lost = np.flatnonzero(first & ~leads_to(sparse.csr_matrix(doors.astype(float)), _among(graph.goals, len(doors))))
    if len(lost):
        raise ValueError(
            f"{graph.source}: R row {lost[0]}: found no way from room {lost[0]} to a goal, "
            f"expected one to room {' or '.join(map(str, graph.goals[:10]))}"
        )
    return first / first.sum()


def _among(rooms: tuple[int, ...], n: int) -> Array:
    return np.isin(np.arange(n), rooms)


def _ways(doors: Array, slip: float, widest: int) -> tuple[Array, Array]:
    """Where every move leads and how probably: both [N, A, K]. A slip leads through another door of the room."""
    n = len(doors)
    led_to = np.repeat(np.arange(n), n * widest).reshape(n, n, widest)  # no door: stay
    prob = np.zeros(led_to.shape)
    prob[..., 0] = 1.0
    for room, row in enumerate(doors):
        ways = np.flatnonzero(row)
        n_ways = len(ways) if slip else 1
        turns = (np.arange(len(ways))[:, None] + np.arange(n_ways)) % len(ways)
        led_to[room, ways, :n_ways] = ways[turns]
        if n_ways > 1:
            prob[room, ways, 0] = 1.0 - slip
            prob[room, ways, 1:n_ways] = slip / (n_ways - 1)
    return led_to, prob


def _places(graph: RoomGraph) -> Array:
    """Where every room is drawn in the unit square, x and y: float64 [N, 2]."""
    if graph.places:
        return np.array(graph.places)
    angle = 2 * np.pi * np.arange(len(graph.rewards)) / len(graph.rewards)
    return np.stack([0.5 + 0.5 * np.sin(angle), 0.5 - 0.5 * np.cos(angle)], axis=1)


def _scene(graph: RoomGraph, places: Array, doors: Array, state: int, clock: int) -> Scene:
    n = len(doors)
    return Scene(
        graph.title,
        marks=tuple(Mark(room, 0, "goal") for room in graph.goals),
        rooms=places,
        doors=np.argwhere(doors & ~np.eye(n, dtype=np.bool_)),
        walker=state,
        places=np.stack([np.arange(n), np.zeros(n, np.int64)], axis=1),
        actions=tuple(f"room {room}" for room in range(n)),
        facts={"step": str(clock)},
    )


def _views(graph: RoomGraph, places: Array, doors: Array, look: Look) -> Views:
    every = np.arange(len(doors))
    if look.kind == "position":
        return placed(places)
    if look.kind == "onehot":
        return onehot(every, len(every))
    if look.kind == "walls":
        kinds, see = np.unique(doors, axis=0, return_inverse=True)
        return indexed(see.ravel(), len(kinds), kinds)
    if look.kind == "pixels":
        return _pixels(_scene(graph, places, doors, 0, 0), look.cell_pixels)
    if look.kind == "window":
        expected = "index, position, onehot, walls or pixels"
        raise ValueError(f"{graph.source}: observation = 'window': a graph of rooms has no cells, expected {expected}")
    return indexed(every, len(every), doors)


def _pixels(scene: Scene, size: int) -> Views:
    """The picture of the rooms with the walker, uint8 [side, side, 3]."""
    assert scene.rooms is not None
    n = len(scene.rooms)
    side = rooms_side(n, size)
    if side * side > MOST_PIXELS:
        raise ValueError(
            f"rooms: cell_pixels = {size}: makes pictures of {side} x {side}, expected at most {MOST_PIXELS:,} pixels"
        )
    background = paint_rooms(scene, size)

    def compute(states: Array) -> Array:
        pictures = np.repeat(background[None], len(states), axis=0)
        for canvas, room in zip(pictures, states, strict=True):
            stamp_room(canvas, scene, int(room), size)
        return pictures

    return boxed(spaces.Box(0, 255, background.shape, np.uint8), compute, n)
