"""Every position of tic-tac-toe, 5,478 of them, of which 4,520 have a move to make.

A position is seen as the base-3 number of its squares, 0 empty, 1 the viewer's, 2 the other's, square 0 the lowest
digit; squares are counted by column, as PettingZoo does (which changes nothing but names).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from operator import getitem

import numpy as np

from simulator.core.game_tree import GameTree

N_SQUARES, N_CODES = 9, 3**9
LINES = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))
_POWERS = tuple(3**square for square in range(N_SQUARES))
_WORTH = tuple(  # [side][square][mark]: 0 empty, then side 0's and side 1's, as that side sees them
    tuple((0, power * (1 + side), power * (2 - side)) for power in _POWERS) for side in (0, 1)
)


def code(squares: Sequence[int], side: int) -> int:
    """The number of a board (0 empty, 1 side 0's, 2 side 1's) as ``side`` sees it."""
    return sum(map(getitem, _WORTH[side], squares))


def legal_moves() -> np.ndarray:
    """Bool [3**9, 9], the empty squares of every number; all of them where there is none: nothing is played there."""
    empty = np.arange(N_CODES)[:, None] // np.array(_POWERS) % 3 == 0
    return empty | ~empty.any(axis=1, keepdims=True)


def has_won(squares: Sequence[int], mark: int) -> bool:
    """Whether a line is full of one mark."""
    return any(squares[a] == squares[b] == squares[c] == mark for a, b, c in LINES)


@cache
def tree() -> GameTree:
    """Every position with a move to make, by the number of marks on the board."""
    layer: dict[tuple[int, ...], int] = {(0,) * N_SQUARES: 0}
    rows: list[tuple[int, int, int, list[int], list[float]]] = []
    for depth in range(N_SQUARES):
        side, below = depth % 2, {}
        first = len(rows) + len(layer)  # the number of the first position of the next layer
        for squares in layer:
            following, gain = [-1] * N_SQUARES, [0.0] * N_SQUARES
            for square in (k for k in range(N_SQUARES) if not squares[k]):
                after = (*squares[:square], side + 1, *squares[square + 1 :])
                if has_won(after, side + 1):
                    gain[square] = 1.0
                elif depth < N_SQUARES - 1:
                    following[square] = below.setdefault(after, first + len(below))
            rows.append((code(squares, side), side, depth, following, gain))
        layer = below
    obs, side, depth, following, gain = (np.array(column) for column in zip(*rows, strict=True))
    return GameTree(obs, side, depth, following, gain, legal_moves()[obs])
