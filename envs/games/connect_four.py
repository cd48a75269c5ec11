"""Connect four by PettingZoo's rules: marks fall to the bottom of one of seven columns, four in a row win.

Seen as two planes of numbers, Box [2, 6, 7]: the mover's marks and the other's, row 0 the top. Pays 1, 0 or -1 when it
ends. An agent is not told which columns are full: a mark for one of these falls into a free column drawn at random,
and the match counts how often that was. Needs the extra ``pettingzoo``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from gymnasium import spaces

from envs.common.games.board_game import BoardGame, Rules, show_board
from simulator.core.protocols import Array, EnvSpec

N_ROWS, N_COLUMNS = 6, 7
MATCH_DEFAULTS = {"episodes": 20, "train_steps": 5_000, "learn": False}


@dataclass(frozen=True)
class Config:
    """Connect four has no settings."""


def make(seed_list: Sequence[int], config: Config) -> BoardGame:
    """A board for every seed.

    Raises:
        ValueError: PettingZoo is not installed.
    """
    seen = spaces.Box(0.0, 1.0, (2, N_ROWS, N_COLUMNS), np.float32)
    spec = EnvSpec("connect_four", seen, spaces.Discrete(N_COLUMNS), gamma=1.0)
    return BoardGame(Rules(spec, "connect_four.connect_four", lambda env: env.board, _planes), seed_list)


def _planes(squares: list[int], side: int) -> Array:
    """A board (0 empty, 1 side 0's, 2 side 1's) as ``side`` sees it, float32 [2, 6, 7]."""
    marks = np.array([side + 1, 2 - side])[:, None]
    return (np.array(squares) == marks).astype(np.float32).reshape(2, N_ROWS, N_COLUMNS)


def _drawn(seen: Array) -> str:
    """The columns from left to right, from the bottom up, as the viewer sees them: own x, the other's o."""
    marks = np.where(seen[0] > 0, "x", np.where(seen[1] > 0, "o", ""))
    return " ".join("".join(column) or "-" for column in marks[::-1].T)


if __name__ == "__main__":
    show_board(make([0], Config()), _drawn)
