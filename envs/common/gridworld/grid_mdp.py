"""A map as a finite environment: which states there are, where every move leads, and what it pays.

A state is a cell, the keys held and, where the map has a cue, which of the two goals pays. Only states that can be
reached from a start exist. They are numbered by cue, then keys, then in reading order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from envs.common.gridworld.finite_env import Rules
from envs.common.gridworld.map_file import GOALS, Map, cells
from simulator.core.mdp.markov_chains import leads_to
from simulator.core.mdp.solve import GOES_ON, TERMINATES, TRUNCATES, FiniteMDP, checked
from simulator.core.protocols import Array

ACTIONS = ("up", "right", "down", "left")
STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1))  # rows down, columns right
LARGEST = 2_000_000  # cells times sets of keys
_FEWEST_STEPS = 100


class Field(NamedTuple):
    """The cells of a map, row by row: C = height * width."""

    plan: Map
    shape: tuple[int, int]
    symbol: Array  # '<U1' [C]
    opens: Array  # int64 [C], on a key and on the door that it opens: the key's bit; else 0
    n_keys: int
    n_cues: int


class Grid(NamedTuple):
    """The states of a map."""

    field: Field
    cell: Array  # int64 [N]
    keys: Array  # int64 [N], a bit for every key held
    cue: Array  # int64 [N], 0 or 1: 1 where the two goals of the cue have changed rewards
    moves: Array  # int64 [N, 4], the state led to; itself where the way is blocked
    start: Array  # float64 [N]

    @property
    def starts_marked(self) -> bool:
        """Whether S says where episodes start, or where the cue is seen."""
        return bool(self.field.plan.cue) or bool((self.field.symbol[self.cell[self.start > 0]] == "S").all())


def make_field(plan: Map) -> Field:
    """The cells of a map.

    Raises:
        ValueError: more states than a table can hold.
    """
    symbol = np.array([list(row) for row in plan.rows])
    doors, keys = cells(plan, "D"), cells(plan, "K")
    if len(keys) > 20 or symbol.size << len(keys) > LARGEST:
        found = f"found {symbol.size:,} cells and {len(keys)} keys"
        raise ValueError(f"{plan.source}: {found}, expected at most {LARGEST:,} pairs of a cell and a set of keys")
    opens = np.zeros(symbol.shape, np.int64)
    for n, place in enumerate(keys):
        opens[place] = 1 << n
    for n, place in enumerate(doors):
        opens[place] = 1 << (n if len(keys) > 1 else 0)
    return Field(plan, symbol.shape, symbol.ravel(), opens.ravel(), len(keys), 2 if plan.cue else 1)


def make_grid(field: Field, rules: Rules) -> Grid:
    """Every state that can be reached.

    Raises:
        ValueError: no start, or one from which no goal can be reached.
    """
    moves = _moves(field)
    n_all, n_cells = len(moves), len(field.symbol)
    links = (np.ones(moves.size), (np.repeat(np.arange(n_all), 4), moves.ravel()))
    graph = sparse.csr_matrix(links, shape=(n_all, n_all))
    hopeful = leads_to(graph, np.tile(_is_goal(field.symbol), n_all // n_cells))
    first = np.zeros(n_all, np.bool_)
    first[_starts(field, rules, hopeful[:n_cells])] = True
    reached = np.flatnonzero(leads_to(graph.T.tocsr(), first))  # by keys, then cell
    number = np.full(n_all, -1)
    number[reached] = np.arange(len(reached))
    inner, shift = number[moves[reached]], np.arange(field.n_cues) * len(reached)
    return Grid(
        field,
        np.tile(reached % n_cells, field.n_cues),
        np.tile(reached // n_cells, field.n_cues),
        np.repeat(np.arange(field.n_cues), len(reached)),
        (inner + shift[:, None, None]).reshape(-1, 4),
        np.tile(first[reached] / (first.sum() * field.n_cues), field.n_cues),
    )


def make_mdp(grid: Grid, rules: Rules) -> FiniteMDP:
    """The law of a grid; actions are up, right, down and left. See :class:`envs.rooms.Config` for the rules."""
    plan, at = grid.field.plan, grid.field.symbol[grid.cell]
    cost = plan.step_cost if rules.step_cost is None else rules.step_cost
    pays, goal, lava = _gains(grid) - cost, _is_goal(at), at == "L"
    absorbing = rules.goal == "absorbing"
    ends = np.where(goal, TRUNCATES if absorbing else TERMINATES, np.where(lava, TERMINATES, GOES_ON))
    prob, turns = _slips(np.where(at == "~", max(plan.slippery, rules.slip), rules.slip), rules.slip_kind)
    direction = (np.arange(4)[:, None] + turns) % 4  # [A, K]
    led_to = grid.moves[:, direction]  # [N, A, K]; where a move is blocked, the state itself
    reward = pays[led_to]
    reward[lava | (goal & (not absorbing))] = 0.0  # nobody moves on from an end
    prob = np.ascontiguousarray(np.broadcast_to(prob[:, None, :], led_to.shape))
    legal, end = np.ones(led_to.shape[:2], np.bool_), ends[led_to].astype(np.uint8)
    return checked(FiniteMDP(prob, led_to, reward, end, grid.start, legal, _max_steps(grid, rules)))


def blocked(field: Field, keys: Array, at: Array) -> Array:
    """Whether cell ``at`` is a wall, or a door whose key is not among ``keys``; of two shapes that broadcast."""
    return np.asarray((field.symbol == "#")[at] | ((field.symbol == "D")[at] & (field.opens[at] & keys == 0)))


def _moves(field: Field) -> Array:
    """Where each of the four moves leads from every cell with every set of keys, int64 [2^keys * C, 4]."""
    (height, width), n_cells = field.shape, len(field.symbol)
    row, column = np.divmod(np.arange(n_cells), width)
    keys = np.arange(1 << field.n_keys)[:, None]
    over, found = _is_goal(field.symbol) | (field.symbol == "L"), np.where(field.symbol == "K", field.opens, 0)
    moves = np.empty((len(keys), n_cells, 4), np.int64)
    for a, (down, right) in enumerate(STEPS):
        r, c = row + down, column + right
        inside = (r >= 0) & (r < height) & (c >= 0) & (c < width) & ~over
        target = np.where(inside, r * width + c, np.arange(n_cells))
        led_to = np.where(blocked(field, keys, target), np.arange(n_cells), target)  # [2^keys, C]
        moves[:, :, a] = (keys | found[led_to]) * n_cells + led_to
    return moves.reshape(-1, 4)


def _starts(field: Field, rules: Rules, hopeful: Array) -> Array:
    """The cells that episodes begin on; ``hopeful`` [C] marks those from which a goal can be reached."""
    plan, fixed = field.plan, np.flatnonzero(field.symbol == "S")
    if rules.start == "random" or (rules.start == "layout" and plan.start == "random"):
        free = np.isin(field.symbol, (" ", "S", "~"))
        if rules.goal == "absorbing":
            free |= _is_goal(field.symbol)
        found = np.flatnonzero(free & hopeful)
        if len(found) == 0:
            raise ValueError(f"{plan.source}: found no floor from which a goal can be reached, expected a start")
        return found
    if len(fixed) == 0:
        raise ValueError(f"{plan.source}: found no 'S', expected a start, or a line 'start: random' above the map")
    if not hopeful[fixed].all():
        place = divmod(int(fixed[~hopeful[fixed]][0]), field.shape[1])
        raise ValueError(f"{plan.at(*place)}: found 'S' from which no goal can be reached, expected a way to one")
    return fixed


def _gains(grid: Grid) -> Array:
    """What arriving in a state pays, float64 [N]."""
    plan, rewards = grid.field.plan, grid.field.plan.rewards
    at = grid.field.symbol[grid.cell]
    gains = np.where(at == "L", plan.lava, 0.0)
    for symbol in GOALS:
        other = plan.cue.replace(symbol, "") if symbol in plan.cue else symbol
        if symbol in rewards:
            gains = np.where(at == symbol, np.where(grid.cue == 1, rewards.get(other, 0.0), rewards[symbol]), gains)
    return gains


def _slips(share: Array, kind: str) -> tuple[Array, Array]:
    """Probabilities [N, K] of going a number of quarter turns [K] off the intended way, from shares [N]."""
    if not share.any():
        return np.ones((len(share), 1)), np.zeros(1, np.int64)
    turns: Any = (0, 1, 3) if kind == "perpendicular" else (0, 1, 2, 3)
    wrong = share[:, None] / (len(turns) - 1)
    return np.concatenate([1.0 - share[:, None], np.repeat(wrong, len(turns) - 1, axis=1)], axis=1), np.array(turns)


def _max_steps(grid: Grid, rules: Rules) -> int:
    return rules.max_steps or grid.field.plan.max_steps or max(_FEWEST_STEPS, 4 * len(grid.cell) // grid.field.n_cues)


def _is_goal(symbol: Array) -> Array:
    return np.isin(symbol, list(GOALS))
