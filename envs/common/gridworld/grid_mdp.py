"""A map as a finite MDP: its states, transitions and rewards.

A state is a cell, the keys held and, where the map has a cue, which of the two goals pays. Only states that can be
reached from a start exist, or all of them where cells may change, walls too. They are numbered by cue, then keys, then
in reading order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse

from envs.common.gridworld.layout_model import LayoutRules
from envs.common.gridworld.map_file import GOALS, Map, find_cells
from simulator.core.mdp.markov_chains import can_reach, reachable_from
from simulator.core.mdp.model import GOES_ON, TERMINATES, TRUNCATES, FiniteMDP, checked
from simulator.core.protocols import Array

ACTIONS = ("up", "right", "down", "left")
DIRECTIONS = ((-1, 0), (0, 1), (1, 0), (0, -1))  # rows down, columns right
MAX_CELL_STATES = 2_000_000  # cells times sets of keys
MIN_EPISODE_LIMIT = 100


class MapCells(NamedTuple):
    """The cells of a map, row by row: C = height * width."""

    plan: Map
    shape: tuple[int, int]
    symbol: Array  # '<U1' [C]
    key_bit: Array  # int64 [C], on a key and on the door that it opens: the key's bit; else 0
    n_keys: int
    n_cues: int


class Grid(NamedTuple):
    """The states of a map."""

    cells: MapCells
    cell: Array  # int64 [N]
    keys: Array  # int64 [N], a bit for every key held
    cue: Array  # int64 [N], 0 or 1: 1 where the two goals of the cue have changed rewards
    next_state: Array  # int64 [N, 4]; the state itself where the way is blocked
    start: Array  # float64 [N]
    n_reached: int  # states that can be reached from a start, under either cue
    editable: bool  # cells may change, and every cell is a state

    @property
    def starts_marked(self) -> bool:
        """True where S marks the starts, or where the cue shows."""
        return bool(self.cells.plan.cue) or bool((self.cells.symbol[self.cell[self.start > 0]] == "S").all())


def make_cells(plan: Map) -> MapCells:
    """Make the cells of a map.

    Raises:
        ValueError: more states than a table can hold.
    """
    symbol = np.array([list(row) for row in plan.rows])
    doors = find_cells(plan, "D")
    keys = find_cells(plan, "K")
    if len(keys) > 20 or symbol.size << len(keys) > MAX_CELL_STATES:
        size = f"found {symbol.size:,} cells and {len(keys)} keys"
        raise ValueError(
            f"{plan.source}: {size}, expected at most {MAX_CELL_STATES:,} pairs of a cell and a set of keys"
        )
    key_bit = np.zeros(symbol.shape, np.int64)
    for n, place in enumerate(keys):
        key_bit[place] = 1 << n
    for n, place in enumerate(doors):
        key_bit[place] = 1 << (n if len(keys) > 1 else 0)
    return MapCells(plan, symbol.shape, symbol.ravel(), key_bit.ravel(), len(keys), 2 if plan.cue else 1)


def make_grid(cells: MapCells, rules: LayoutRules) -> Grid:
    """Make every state that can be reached, or every one there is where cells may change.

    Raises:
        ValueError: no start, or one from which no goal can be reached.
    """
    next_state = _next_states(cells)
    n_all = len(next_state)
    n_cells = len(cells.symbol)
    edges = (np.repeat(np.arange(n_all), 4), next_state.ravel())
    graph = sparse.csr_matrix((np.ones(next_state.size), edges), shape=(n_all, n_all))
    hopeful = can_reach(graph, np.tile(_is_goal(cells.symbol), n_all // n_cells))
    is_start = np.zeros(n_all, np.bool_)
    is_start[_start_cells(cells, rules, hopeful[:n_cells])] = True
    is_reached = reachable_from(graph, is_start)
    reached = np.arange(n_all) if rules.editable else np.flatnonzero(is_reached)  # by keys, then cell
    number = np.full(n_all, -1)
    number[reached] = np.arange(len(reached))
    cue = np.arange(cells.n_cues)
    return Grid(
        cells=cells,
        cell=np.tile(reached % n_cells, cells.n_cues),
        keys=np.tile(reached // n_cells, cells.n_cues),
        cue=np.repeat(cue, len(reached)),
        next_state=(number[next_state[reached]] + (cue * len(reached))[:, None, None]).reshape(-1, 4),
        start=np.tile(is_start[reached] / (is_start.sum() * cells.n_cues), cells.n_cues),
        n_reached=int(is_reached.sum()),
        editable=rules.editable,
    )


def make_mdp(grid: Grid, rules: LayoutRules) -> FiniteMDP:
    """Make the MDP of a grid; actions are up, right, down and left. See :class:`envs.rooms.Config` for the rules."""
    plan = grid.cells.plan
    symbol = grid.cells.symbol[grid.cell]
    step_cost = plan.step_cost if rules.step_cost is None else rules.step_cost
    is_goal = _is_goal(symbol)
    is_lava = symbol == "L"
    absorbing = rules.goal == "absorbing"
    goal_end = TRUNCATES if absorbing else TERMINATES
    end = np.where(is_goal, goal_end, np.where(is_lava, TERMINATES, GOES_ON))
    slips = _slips(np.where(symbol == "~", max(plan.slippery, rules.slip), rules.slip), rules.slip_direction)
    direction = (np.arange(4)[:, None] + slips.quarter_turns) % 4  # [A, K]
    next_state = grid.next_state[:, direction]  # [N, A, K]
    reward = (_arrival_rewards(grid) - step_cost)[next_state]
    reward[is_lava | (is_goal & (not absorbing))] = 0.0  # no episode continues after its end
    mdp = FiniteMDP(
        prob=np.ascontiguousarray(np.broadcast_to(slips.prob[:, None, :], next_state.shape)),
        next=next_state,
        reward=reward,
        end=end[next_state].astype(np.uint8),
        start=grid.start,
        legal=np.ones(next_state.shape[:2], np.bool_),
        max_steps=rules.max_steps or plan.max_steps or max(MIN_EPISODE_LIMIT, 4 * grid.n_reached),
    )
    return checked(mdp)


def blocked(cells: MapCells, keys: Array, at: Array) -> Array:
    """Return where cell ``at`` is a wall, or a door whose key is not among ``keys``; shapes broadcast."""
    shut = (cells.symbol == "D")[at] & (cells.key_bit[at] & keys == 0)
    return np.asarray((cells.symbol == "#")[at] | shut)


def _next_states(cells: MapCells) -> Array:
    """Return the next state of all four moves from every cell with every set of keys, int64 [2^keys * C, 4]."""
    height, width = cells.shape
    n_cells = len(cells.symbol)
    row, column = np.divmod(np.arange(n_cells), width)
    keys = np.arange(1 << cells.n_keys)[:, None]
    is_end = _is_goal(cells.symbol) | (cells.symbol == "L")
    key_found = np.where(cells.symbol == "K", cells.key_bit, 0)
    next_state = np.empty((len(keys), n_cells, 4), np.int64)
    for action, (down, right) in enumerate(DIRECTIONS):
        r = row + down
        c = column + right
        inside = (r >= 0) & (r < height) & (c >= 0) & (c < width) & ~is_end
        target = np.where(inside, r * width + c, np.arange(n_cells))
        arrived = np.where(blocked(cells, keys, target), np.arange(n_cells), target)  # [2^keys, C]
        next_state[:, :, action] = (keys | key_found[arrived]) * n_cells + arrived
    if cells.plan.conveyor:
        next_state = _carried(next_state)
    return next_state.reshape(-1, 4)


def _carried(next_state: Array) -> Array:
    """Make moves on a conveyor from free ones, int64 [..., 4]: to the right, or where that is blocked to either side.

    There a turn to the left (action 3) leads up like action 0, and a turn to the right (action 1) down like action 2.
    """
    up, right, down, _ = np.moveaxis(next_state, -1, 0)
    at_wall = right == np.arange(right.size).reshape(right.shape)
    return np.stack([np.where(at_wall, arm, right) for arm in (up, down, down, up)], axis=-1)


def _start_cells(cells: MapCells, rules: LayoutRules, hopeful: Array) -> Array:
    """Return the cells that episodes begin on; ``hopeful`` [C] marks those from which a goal can be reached."""
    plan = cells.plan
    if rules.start == "random" or (rules.start == "layout" and plan.start == "random"):
        free = np.isin(cells.symbol, (" ", "S", "~"))
        if rules.goal == "absorbing":
            free |= _is_goal(cells.symbol)
        starts = np.flatnonzero(free & hopeful)
        if len(starts) == 0:
            raise ValueError(f"{plan.source}: found no floor from which a goal can be reached, expected a start")
        return starts
    marked = np.flatnonzero(cells.symbol == "S")
    if len(marked) == 0:
        raise ValueError(f"{plan.source}: found no 'S', expected a start, or a line 'start: random' above the map")
    if not hopeful[marked].all():
        place = divmod(int(marked[~hopeful[marked]][0]), cells.shape[1])
        raise ValueError(f"{plan.at(*place)}: found 'S' from which no goal can be reached, expected a way to one")
    return marked


def _arrival_rewards(grid: Grid) -> Array:
    """Return the reward of arriving in a state, before the cost of the step, float64 [N]."""
    plan = grid.cells.plan
    symbol = grid.cells.symbol[grid.cell]
    rewards = np.where(symbol == "L", plan.lava, 0.0)
    for goal, reward in plan.rewards.items():
        other = plan.cue.replace(goal, "") if goal in plan.cue else goal
        changed = plan.rewards.get(other, 0.0)
        rewards = np.where(symbol == goal, np.where(grid.cue == 1, changed, reward), rewards)
    for row, column, reward in plan.cell_rewards:
        rewards = np.where(grid.cell == row * grid.cells.shape[1] + column, reward, rewards)
    return rewards


class _Slips(NamedTuple):
    """The directions that a move can take, K of them."""

    prob: Array  # float64 [N, K]
    quarter_turns: Array  # int64 [K], to the right of the intended direction


def _slips(slip: Array, slip_direction: str) -> _Slips:
    """Make the directions from the probability of a slip in every state, [N]."""
    if not slip.any():
        return _Slips(np.ones((len(slip), 1)), np.zeros(1, np.int64))
    turns = [0, 1, 3] if slip_direction == "perpendicular" else [0, 1, 2, 3]
    n_wrong = len(turns) - 1
    wrong = np.repeat(slip[:, None] / n_wrong, n_wrong, axis=1)
    return _Slips(np.concatenate([1.0 - slip[:, None], wrong], axis=1), np.array(turns))


def _is_goal(symbol: Array) -> Array:
    return np.isin(symbol, list(GOALS))
