"""Connect four by PettingZoo's rules: marks fall to the bottom of a column, four in a row win.

Needs the extra ``pettingzoo``. A mark for a full column falls into a random column that is not full, and
the match counts these replaced moves.

=========  ==========================================================
action     meaning
=========  ==========================================================
0 to 6     drop a mark into that column
=========  ==========================================================

=============  ==================================================================================================
observation    float32 [2, 6, 7], row 0 the top
=============  ==================================================================================================
plane 0        1 at the marks of the side to move
plane 1        1 at the other side's marks
=============  ==================================================================================================

=================================================  ======================================================
event                                              reward and end
=================================================  ======================================================
four in a row                                      1 to the winner, -1 to the other; terminates
a full board                                       0; terminates
=================================================  ======================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from gymnasium import spaces

from envs.common.games.board_game import BoardGame, BoardGameRules, show_board
from simulator.core.protocols import Array, EnvSpec

N_ROWS = 6
N_COLUMNS = 7
MATCH_DEFAULTS = {"episodes": 20, "train_steps": 5_000, "learn": False}


@dataclass(frozen=True)
class Config:
    """Connect four has no settings."""


def make(seed_list: Sequence[int], config: Config) -> BoardGame:
    """Make a board for every seed.

    Raises:
        ValueError: PettingZoo is not installed.
    """
    observation = spaces.Box(0.0, 1.0, (2, N_ROWS, N_COLUMNS), np.float32)
    spec = EnvSpec("connect_four", observation, spaces.Discrete(N_COLUMNS), gamma=1.0)
    cells = np.arange(N_ROWS * N_COLUMNS).reshape(N_ROWS, N_COLUMNS)
    clicks = cells % N_COLUMNS
    rules = BoardGameRules(spec, "connect_four.connect_four", lambda env: env.board, _planes, cells, clicks)
    return BoardGame(rules, seed_list)


def _planes(squares: list[int], side: int) -> Array:
    """Return a board (0 empty, 1 side 0's, 2 side 1's) as ``side`` observes it, float32 [2, 6, 7]."""
    marks = np.array([side + 1, 2 - side])[:, None]
    return (np.array(squares) == marks).astype(np.float32).reshape(2, N_ROWS, N_COLUMNS)


def _text(obs: Array) -> str:
    """Return the columns from left to right, from the bottom up, as the viewer observes them: own x, the other's o."""
    marks = np.where(obs[0] > 0, "x", np.where(obs[1] > 0, "o", ""))
    return " ".join("".join(column) or "-" for column in marks[::-1].T)


if __name__ == "__main__":
    show_board(make([0], Config()), _text)
