"""Tic-tac-toe by PettingZoo's rules: the sides take turns, three in a row win. Needs the extra ``pettingzoo``.

All its 5,478 positions are known, so that play is evaluated exactly: best replies, exploitability, and a model of the
game against perfect play, by which a planner plays perfectly.

=========  =====================================================================================================
action     meaning
=========  =====================================================================================================
0 to 8     mark that square; squares are counted by column, as PettingZoo does (which changes nothing but names)
=========  =====================================================================================================

=============  ==================================================================================================
observation    Discrete(3**9): the base-3 number of the squares, square 0 the lowest digit
=============  ==================================================================================================
digit          0 empty, 1 the viewer's mark, 2 the other's
=============  ==================================================================================================

=================================================  ======================================================
event                                              reward and end
=================================================  ======================================================
three in a row                                     1 to the winner, -1 to the other; terminates
a full board                                       0; terminates
=================================================  ======================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from operator import getitem
from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from envs.common.games.board_game import BoardGame, BoardGameRules, show_board
from simulator.core.games.tree import GameTree, against, perfect
from simulator.core.protocols import EnvSpec

N_SQUARES = 9
N_CODES = 3**9
LINES = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))
_POWERS = tuple(3**square for square in range(N_SQUARES))
_CODE_OF_MARK = tuple(  # [side][square][mark]: 0 empty, then side 0's and side 1's, as that side sees them
    tuple((0, power * (1 + side), power * (2 - side)) for power in _POWERS) for side in (0, 1)
)
MATCH_DEFAULTS = {"episodes": 100, "train_steps": 20_000, "learn": False}


@dataclass(frozen=True)
class Config:
    """Tic-tac-toe has no settings."""


def make(seed_list: Sequence[int], config: Config) -> BoardGame:
    """Make a board for every seed.

    Raises:
        ValueError: PettingZoo is not installed.
    """
    cells = np.arange(N_SQUARES).reshape(3, 3).T  # squares are counted by column
    return BoardGame(
        BoardGameRules(_spec(), "tictactoe.tictactoe", lambda env: env.board.squares, code, cells, cells, tree()),
        seed_list,
    )


@cache
def _spec() -> EnvSpec:
    positions = tree()
    return EnvSpec(
        id="tic_tac_toe",
        observation=spaces.Discrete(N_CODES),
        action=spaces.Discrete(N_SQUARES),
        mdp=against(positions, perfect(positions)),
        state_obs=positions.obs,
        legal_actions=legal_moves(),
        gamma=1.0,
    )


def code(squares: Sequence[int], side: int) -> int:
    """Return the number of a board (0 empty, 1 side 0's, 2 side 1's) as ``side`` observes it."""
    return sum(map(getitem, _CODE_OF_MARK[side], squares))


def legal_moves() -> np.ndarray:
    """Mark the empty squares of every number, bool [3**9, 9]; all of them where there is none, at the end of a game."""
    empty = np.arange(N_CODES)[:, None] // np.array(_POWERS) % 3 == 0
    return empty | ~empty.any(axis=1, keepdims=True)


def has_won(squares: Sequence[int], mark: int) -> bool:
    """Return whether a line is full of one mark."""
    return any(squares[a] == squares[b] == squares[c] == mark for a, b, c in LINES)


class _Node(NamedTuple):
    """A position with a move to make."""

    obs: int
    side: int
    depth: int
    next: list[int]  # the position after each move, -1 where there is none
    reward: list[float]  # of each move


@cache
def tree() -> GameTree:
    """Enumerate the 4,520 positions with a move to make, by the number of marks on the board."""
    layer: dict[tuple[int, ...], int] = {(0,) * N_SQUARES: 0}
    nodes: list[_Node] = []
    for depth in range(N_SQUARES):
        side = depth % 2
        next_layer: dict[tuple[int, ...], int] = {}
        first = len(nodes) + len(layer)  # the number of the first position of the next layer
        for squares in layer:
            next_node = [-1] * N_SQUARES
            reward = [0.0] * N_SQUARES
            for square in (k for k in range(N_SQUARES) if not squares[k]):
                after = (*squares[:square], side + 1, *squares[square + 1 :])
                if has_won(after, side + 1):
                    reward[square] = 1.0
                elif depth < N_SQUARES - 1:
                    next_node[square] = next_layer.setdefault(after, first + len(next_layer))
            nodes.append(_Node(code(squares, side), side, depth, next_node, reward))
        layer = next_layer
    columns = [np.array(column) for column in zip(*nodes, strict=True)]
    return GameTree._make([*columns, legal_moves()[columns[0]]])


def _text(obs: int) -> str:
    """Return the squares by row, as the viewer observes them: own x, the other's o."""
    marks = [".xo"[obs // 3**square % 3] for square in range(N_SQUARES)]
    return " ".join("".join(marks[row::3]) for row in range(3))


if __name__ == "__main__":
    show_board(make([0], Config()), _text)
