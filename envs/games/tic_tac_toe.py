"""Tic-tac-toe by PettingZoo's rules: who begins and who follows take turns, three in a row win.

Seen as one number, Discrete(3**9), the base-3 digits of the squares from the mover's view (0 empty, 1 own, 2 the
other's), with the table of moves that exist: a tabular agent plays it as it stands. Pays 1, 0 or -1 when it ends. All
its 5,478 positions are known, so that play is valued exactly: best replies, exploitability, and a model of the game
against perfect play, by which a planner plays perfectly. Needs the extra ``pettingzoo``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from gymnasium import spaces

from envs.common.games.board_game import BoardGame, Rules, show_board
from envs.common.games.tic_tac_toe_tree import N_CODES, N_SQUARES, code, legal_moves, tree
from simulator.core.game_tree import against, perfect
from simulator.core.protocols import EnvSpec

MATCH_DEFAULTS = {"episodes": 100, "train_steps": 20_000, "learn": False}


@dataclass(frozen=True)
class Config:
    """Tic-tac-toe has no settings."""


def make(seed_list: Sequence[int], config: Config) -> BoardGame:
    """A board for every seed.

    Raises:
        ValueError: PettingZoo is not installed.
    """
    return BoardGame(Rules(_spec(), "tictactoe.tictactoe", lambda env: env.board.squares, code, tree()), seed_list)


@cache
def _spec() -> EnvSpec:
    every = tree()
    model = against(every, perfect(every))
    seen, acts = spaces.Discrete(N_CODES), spaces.Discrete(N_SQUARES)
    return EnvSpec("tic_tac_toe", seen, acts, mdp=model, state_obs=every.obs, legal_actions=legal_moves(), gamma=1.0)


def _drawn(seen: int) -> str:
    """The squares by row, as the viewer sees them: own x, the other's o."""
    marks = [".xo"[seen // 3**square % 3] for square in range(N_SQUARES)]
    return " ".join("".join(marks[row::3]) for row in range(3))


if __name__ == "__main__":
    show_board(make([0], Config()), _drawn)
