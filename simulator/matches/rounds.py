"""How a match is played: rounds in which both sides move at once, and games in which they take turns."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from simulator.core.games import RoundGame, Turn, TurnGame
from simulator.core.protocols import Array, Step

BLOCK = 256  # rounds that are played before they are added up, at most
_TICK_EVERY = 0.1  # seconds
_YES, _NO = np.ones(1, np.bool_), np.zeros(1, np.bool_)


class Hand(NamedTuple):
    """What an entrant does in a game."""

    act: Callable[[Array, Array], Array]  # (what is seen [S, *obs], whose episode begins [S]) -> actions [S]
    learn: Callable[[Array, Array, Step], Any] | None  # None: it does not


def playing(agent: Any, *, learns: bool) -> Hand:
    """An agent that goes on learning, or its policy as of now."""
    if learns:
        return Hand(lambda obs, first: agent.act(obs), agent.learn)
    return Hand(agent.policy().act, None)


class Ticker:
    """Calls the host a few times a second, so that it can stop a match by raising something."""

    def __init__(self, tick: Callable[[], Any] | None) -> None:
        self._tick, self._last = tick, time.perf_counter()

    def __call__(self) -> None:
        """Call the host if it is time."""
        if self._tick is not None and time.perf_counter() - self._last >= _TICK_EVERY:
            self._tick()
            self._last = time.perf_counter()


class Seen(NamedTuple):
    """Where a game of rounds stands."""

    first: Array  # [S, *obs], what the first side sees
    second: Array
    began: Array  # bool [S], whose episode begins here


def opened(game: RoundGame) -> Seen:
    """The first views of a game of rounds."""
    first, second = game.reset()
    return Seen(first, second, np.ones(len(first), np.bool_))


def play_rounds(
    game: RoundGame, hands: tuple[Hand, Hand], seen: Seen, n: int, *, cut: bool = False
) -> tuple[Seen, Array, Array]:
    """Play n rounds of every seed: both act, then both learn.

    Args:
        game: the game.
        hands: who plays.
        seen: where the game stands.
        n: how many rounds.
        cut: to the learners, the last round cuts every episode short: it will not be gone on with.

    Returns:
        Where the game stands; rewards float64 [n, 2, S]; the ends of episodes bool [n, S].
    """
    one, two = hands
    first, second, began = seen
    reward, ended = np.empty((n, 2, len(began))), np.empty((n, len(began)), np.bool_)
    for t in range(n):
        chosen, answer = one.act(first, began), two.act(second, began)
        mine, theirs = game.step(chosen, answer)
        if cut and t == n - 1:
            mine, theirs = (step._replace(truncated=~step.terminated) for step in (mine, theirs))
        if one.learn is not None:
            one.learn(first, chosen, mine)
        if two.learn is not None:
            two.learn(second, answer, theirs)
        reward[t, 0], reward[t, 1] = mine.reward, theirs.reward
        began = np.logical_or(mine.terminated, mine.truncated, out=ended[t])
        first, second = mine.obs, theirs.obs
    return Seen(first, second, began), reward, ended


class Tally:
    """What the first episodes of every seed paid; those beyond the wanted number do not count."""

    def __init__(self, n_seeds: int, episodes: int) -> None:
        self.total = np.zeros((2, n_seeds))  # payoffs of either side
        self.lead = np.zeros(n_seeds)  # rounds that paid the first side more than nothing, less those that paid less
        self.rounds = np.zeros(n_seeds, np.int64)
        self._done, self._wanted = np.zeros(n_seeds, np.int64), episodes

    def add(self, reward: Array, ended: Array) -> bool:
        """Count rewards [T, 2, S] and ends [T, S]; whether every seed has played its episodes."""
        after = self._done + ended.cumsum(axis=0)  # [T, S] episodes ended so far
        counts = after - ended < self._wanted
        paid = reward * counts[:, None]
        self.lead += np.sign(paid[:, 0]).sum(axis=0)
        paid[0] += self.total
        self.total = paid.cumsum(axis=0)[-1]  # added in order: the same bits, whatever seeds run beside
        self.rounds += counts.sum(axis=0)
        self._done = after[-1]
        return bool((self._done >= self._wanted).all())


class Seat:
    """One entrant at a board, for one seed: what it last did, until it is its turn again.

    It learns of a move when it is next asked for one, in this game or the next, for only then is it known what the
    move led to.
    """

    def __init__(self, hand: Hand) -> None:
        self._hand, self._began = hand, _YES
        self._obs: Array | None = None  # what it last acted on
        self._action, self._reward, self._end = _NO, 0.0, None
        self.total, self.lead, self.moves, self.replaced = 0.0, 0.0, 0, 0

    def move(self, obs: Array) -> Array:
        """Its move at obs [1, *obs]."""
        self.learn(obs)
        action = self._hand.act(obs, self._began)
        if self._hand.learn is not None:
            self._obs, self._action, self._reward, self._end = obs, action, 0.0, None
        self._began, self.moves = _NO, self.moves + 1
        return action

    def learn(self, obs: Array | None = None) -> None:
        """Learn of the last move, if it is not done yet; ``obs`` is seen now, None after the last game."""
        if self._hand.learn is None or self._obs is None:
            return
        led_to = obs if self._end is None else self._end
        if led_to is not None:
            ended, reward = _NO if self._end is None else _YES, np.array([self._reward], np.float32)
            step = Step(led_to if obs is None else obs, reward, ended, _NO, led_to)
            self._hand.learn(self._obs, self._action, step)
        self._obs = None

    def paid(self, reward: float) -> None:
        """A move of either side paid."""
        self._reward += reward
        self.total += reward
        self.lead += (reward > 0) - (reward < 0)

    def over(self, final_obs: Array) -> None:
        """The game is over, and looks like this."""
        self._end, self._began = final_obs, _YES


def play_game(game: TurnGame, turn: Turn, seats: tuple[Seat, Seat]) -> Turn:
    """Play one game of one seed from its beginning; ``seats[0]`` begins. Gives the beginning of the next."""
    while True:
        mover = seats[turn.mover[0]]
        turn = game.step(mover.move(turn.obs))
        mover.replaced += bool(turn.replaced[0])
        for side in (0, 1):
            if paid := float(turn.reward[0, side]):
                seats[side].paid(paid)
        if turn.terminated[0]:
            for side in (0, 1):
                seats[side].over(turn.final_obs[side])
            return turn
