"""PettingZoo's board games as games between two sides: one deterministic board per seed.

The original's rules are stepped without its wrappers: those answer an illegal move by ending the game, where this
answers by a move that exists (see :class:`simulator.core.games.game.TurnGame`), and they copy every view. The board is
read as it stands, a list of 0 (empty), 1 (who began) and 2; move number a exists while its square a is empty.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from simulator.core import rng
from simulator.core.foreign.casts import held
from simulator.core.games.game import Turn
from simulator.core.games.tree import GameTree
from simulator.core.protocols import Array, EnvSpec, State
from simulator.core.scene import Mark, Scene


class BoardGameRules(NamedTuple):
    """Rules of a board game that its original does not declare."""

    spec: EnvSpec
    module: str  # below pettingzoo.classic
    squares: Callable[[Any], list[int]]  # the original -> its board
    observe: Callable[[list[int], int], Any]  # (board, side) -> the observation of that side
    cells: Array  # int64 [H, W], the square at every cell of the drawn board
    clicks: Array  # int64 [H, W], the move that a click on the cell stands for
    tree: GameTree | None = None


class BoardGame:
    """S boards; see :class:`simulator.core.games.game.TurnGame`."""

    simultaneous = False
    zero_sum = True
    bounds = ((-1.0, 1.0), (-1.0, 1.0))

    def __init__(self, rules: BoardGameRules, seed_list: Sequence[int]) -> None:
        build = original(rules.spec.id, rules.module)
        observation = rules.spec.observation
        self.specs = (rules.spec, rules.spec)
        self.tree = rules.tree
        self._rules = rules
        self._seeds = list(seed_list)
        self._boards = [build() for _ in seed_list]
        self._names = tuple(build().possible_agents)
        self._moves: list[list[int]] = [[] for _ in seed_list]
        self._ended: list[list[int] | None] = [None for _ in seed_list]  # boards of games that ended with the last move
        self._streams = rng.generators(seed_list, "noise")
        self._n_actions = int(rules.spec.action.n)  # type: ignore[attr-defined]
        self._blank = np.zeros((len(self._seeds), *(observation.shape or ())), observation.dtype)

    def reset(self) -> Turn:
        """Start a game in every seed."""
        for i in range(len(self._boards)):
            self._begin(i)
        return self._with_observations(self._empty_turn())

    def step(self, actions: Array) -> Turn:
        """Let the side to move take its action, [S].

        Raises:
            ValueError: an action outside the action space.
        """
        turn = self._empty_turn()
        for i, board in enumerate(self._boards):
            self._ended[i] = None
            action = self._check_action(i, actions[i])
            squares = self._rules.squares(board)
            if squares[action]:
                action = self._random_move(i, squares)
                turn.replaced[i] = True
            board.step(action)
            self._moves[i].append(action)
            if board.terminations[self._names[0]]:
                self._end(i, turn)
        return self._with_observations(turn)

    def _check_action(self, i: int, action: Any) -> int:
        index = held(action, np.dtype(np.int64))
        if index is not None and index.shape == () and 0 <= index < self._n_actions:
            return int(index)
        invalid_action = f"seed {self._seeds[i]} was given action {action}"
        raise ValueError(f"{self.specs[0].id}: {invalid_action}, expected 0 to {self._n_actions - 1}")

    def _random_move(self, i: int, squares: list[int]) -> int:
        """Draw a legal move from the seed's own stream."""
        free = [action for action in range(self._n_actions) if not squares[action]]
        return free[int(self._streams[i].random() * len(free))]

    def _end(self, i: int, turn: Turn) -> None:
        """Write the end of a game to ``turn`` and begin the next."""
        board = self._boards[i]
        squares = self._rules.squares(board)
        turn.terminated[i] = True
        for side, name in enumerate(self._names):
            turn.reward[i, side] = board.rewards[name]
            turn.final_obs[side][i] = self._rules.observe(squares, side)
        self._begin(i)
        self._ended[i] = list(squares)

    def _begin(self, i: int) -> None:
        self._boards[i].reset()
        self._moves[i] = []
        self._ended[i] = None

    def _empty_turn(self) -> Turn:
        """Make a turn in which nothing has happened yet."""
        n = len(self._boards)
        return Turn(
            mover=np.zeros(n, np.int64),
            obs=self._blank,
            reward=np.zeros((n, 2), np.float32),
            terminated=np.zeros(n, np.bool_),
            final_obs=(self._blank.copy(), self._blank.copy()),
            replaced=np.zeros(n, np.bool_),
        )

    def _with_observations(self, turn: Turn) -> Turn:
        """Return the turn with the sides to move and their observations."""
        movers = np.array([len(moves) % 2 for moves in self._moves], np.int64)
        squares = [self._rules.squares(board) for board in self._boards]
        obs = [self._rules.observe(*position) for position in zip(squares, movers.tolist(), strict=True)]
        return turn._replace(mover=movers, obs=np.array(obs, self._blank.dtype))

    def game_scene(self, index: int, side: int) -> Scene:
        """Draw a board as ``side`` sees it; a game that ended with the last move as it ended."""
        squares = np.array(self._ended[index] or self._rules.squares(self._boards[index]))
        on_board = squares[self._rules.cells]
        marks = tuple(
            Mark(int(row), int(column), "own" if on_board[row, column] == side + 1 else "other")
            for row, column in np.argwhere(on_board)
        )
        return Scene(
            self.specs[side].id.replace("_", " "),
            walls=np.zeros(on_board.shape, np.bool_),
            marks=marks,
            actions=tuple(str(action + 1) for action in range(self._n_actions)),
            clicks=self._rules.clicks,
        )

    def state(self) -> State:
        """Return the moves of every game, and the streams."""
        streams = np.stack([rng.pack_state(stream.bit_generator) for stream in self._streams])
        return {"moves": [list(moves) for moves in self._moves], "streams": streams}

    def restore(self, state: State) -> Turn:
        """Play every seed's game again, up to its last move."""
        for i, moves in enumerate(state["moves"]):
            self._begin(i)
            for action in moves:
                self._boards[i].step(int(action))
                self._moves[i].append(int(action))
        self._streams = [np.random.Generator(rng.unpack_state(words)) for words in state["streams"]]
        return self._with_observations(self._empty_turn())


def original(name: str, module: str) -> Callable[[], Any]:
    """Return the class of PettingZoo's game, without its wrappers.

    Raises:
        ValueError: PettingZoo is not installed.
    """
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # it greets on stdout
    try:
        return import_module(f"pettingzoo.classic.{module}").raw_env
    except ImportError as error:
        raise ValueError(f"{name} needs PettingZoo ({error}): pip install pettingzoo") from None


def show_board(game: BoardGame, text: Callable[[Any], str]) -> None:
    """Print one game of random moves."""
    walker = rng.generators([0], "exploration")[0]
    turn = game.reset()
    print(f"{game.specs[0].id}: observes {game.specs[0].observation}, acts {game.specs[0].action}")
    print("as the side to move sees it: its own marks x, the other's o")
    for move in range(1, 100):
        action = walker.integers(0, game.specs[0].action.n, 1)  # type: ignore[attr-defined]
        mover = int(turn.mover[0])
        turn = game.step(action)
        said = f"move {move}, side {mover} plays {action[0]}" + (", replaced" if turn.replaced[0] else "")
        print(f"{said}: {text(turn.final_obs[0][0] if turn.terminated[0] else turn.obs[0])}")
        if turn.terminated[0]:
            print(f"paid {turn.reward[0, 0]:g} and {turn.reward[0, 1]:g}")
            return
