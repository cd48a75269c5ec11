"""Loops of games: rounds of simultaneous moves, and turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from simulator.core.games.game import RoundGame, Turn, TurnGame
from simulator.core.protocols import Array, CarryingPolicy, Step

BLOCK = 256  # rounds that are played before they are added up, at most
_YES = np.ones(1, np.bool_)
_NO = np.zeros(1, np.bool_)


class Side(NamedTuple):
    """Functions of an agent on one side of a game."""

    act: Callable[[Array, Array], Array]  # (obs [S, *obs], first [S]) -> actions [S]
    learn: Callable[[Array, Array, Step], Any] | None  # or only sees its rewards; None: neither


def make_side(agent: Any, *, learns: bool) -> Side:
    """Wrap a learning agent, or its frozen policy."""
    if learns:
        return Side(lambda obs, first: agent.act(obs), agent.learn)
    policy = agent.policy()
    act = policy.act
    if isinstance(policy, CarryingPolicy) and policy.carried() is not None:
        return Side(act, lambda obs, actions, step: policy.see_reward(step.reward))
    return Side(act, None)


class RoundObs(NamedTuple):
    """Observations of both sides."""

    first: Array  # [S, *obs] of the first side
    second: Array  # [S, *obs] of the second side
    began: Array  # bool [S], seeds whose episode begins here


class RoundsPlayed(NamedTuple):
    """A block of n rounds."""

    obs: RoundObs  # after the last one
    reward: Array  # float64 [n, 2, S]
    ended: Array  # bool [n, S], ends of episodes


def reset_rounds(game: RoundGame) -> RoundObs:
    """Reset a game of rounds."""
    first, second = game.reset()
    return RoundObs(first, second, np.ones(len(first), np.bool_))


def play_rounds(
    game: RoundGame, one: Side, two: Side, obs: RoundObs, n: int, *, truncate: bool = False
) -> RoundsPlayed:
    """Play n rounds of every seed: both act, then both learn.

    Args:
        game: the game.
        one: the first side.
        two: the second side.
        obs: observations now.
        n: number of rounds.
        truncate: to the learners, the last round truncates every episode: it is not continued.
    """
    first, second, began = obs
    reward = np.empty((n, 2, len(began)))
    ended = np.empty((n, len(began)), np.bool_)
    for t in range(n):
        action_one = one.act(first, began)
        action_two = two.act(second, began)
        step_one, step_two = game.step(action_one, action_two)
        if truncate and t == n - 1:
            step_one = step_one._replace(truncated=~step_one.terminated)
            step_two = step_two._replace(truncated=~step_two.terminated)
        if one.learn is not None:
            one.learn(first, action_one, step_one)
        if two.learn is not None:
            two.learn(second, action_two, step_two)
        reward[t, 0] = step_one.reward
        reward[t, 1] = step_two.reward
        began = np.logical_or(step_one.terminated, step_one.truncated, out=ended[t])
        first = step_one.obs
        second = step_two.obs
    return RoundsPlayed(RoundObs(first, second, began), reward, ended)


class Tally:
    """Payoffs of the first episodes of every seed; those beyond the wanted number do not count."""

    def __init__(self, n_seeds: int, episodes: int) -> None:
        self.total = np.zeros((2, n_seeds))  # payoffs of either side
        self.lead = np.zeros(n_seeds)  # rounds that paid the first side more than nothing, less those that paid less
        self.rounds = np.zeros(n_seeds, np.int64)
        self._done = np.zeros(n_seeds, np.int64)  # episodes that ended
        self._wanted = episodes

    def add(self, reward: Array, ended: Array) -> bool:
        """Count rewards [T, 2, S] and ends [T, S]; return whether every seed has played its episodes."""
        after = self._done + ended.cumsum(axis=0)  # [T, S] episodes ended so far
        counts = after - ended < self._wanted
        paid = reward * counts[:, None]
        self.lead += np.sign(paid[:, 0]).sum(axis=0)
        paid[0] += self.total
        self.total = paid.cumsum(axis=0)[-1]  # added in order: the same bits, whatever seeds run beside
        self.rounds += counts.sum(axis=0)
        self._done = after[-1]
        return bool((self._done >= self._wanted).all())

    @property
    def n_done(self) -> int:
        """Episodes that ended and count, of all seeds."""
        return int(np.minimum(self._done, self._wanted).sum())


class TurnAgent:
    """One agent in a game of turns, for one seed, with its pending transition.

    It learns of a move when it is next asked for one, in this game or the next, for only then is it known what the
    move led to.
    """

    def __init__(self, side: Side) -> None:
        self._side = side
        self._began = _YES
        self._obs: Array | None = None  # that it last acted on
        self._action: Array = _NO
        self._reward = 0.0
        self._final_obs: Array | None = None  # None while the game goes on
        self.total = 0.0  # of all payoffs
        self.lead = 0.0  # moves that paid more than nothing, less those that paid less
        self.moves = 0
        self.replaced = 0  # moves that did not exist

    def move(self, obs: Array) -> Array:
        """Return a move at obs [1, *obs]."""
        self.learn(obs)
        action = self._side.act(obs, self._began)
        if self._side.learn is not None:
            self._obs = obs
            self._action = action
            self._reward = 0.0
            self._final_obs = None
        self._began = _NO
        self.moves += 1
        return action

    def learn(self, obs: Array | None = None) -> None:
        """Learn from the last move, if it is pending; ``obs`` is the current observation, None after the last game."""
        if self._side.learn is None or self._obs is None:
            return
        final_obs = obs if self._final_obs is None else self._final_obs
        if final_obs is not None:
            terminated = _NO if self._final_obs is None else _YES
            reward = np.array([self._reward], np.float32)
            step = Step(final_obs if obs is None else obs, reward, terminated, _NO, final_obs)
            self._side.learn(self._obs, self._action, step)
        self._obs = None

    def paid(self, reward: float) -> None:
        """Add the payoff of a move of either side."""
        self._reward += reward
        self.total += reward
        self.lead += (reward > 0) - (reward < 0)

    def over(self, final_obs: Array) -> None:
        """End the game with its final observation."""
        self._final_obs = final_obs
        self._began = _YES


def play_game(game: TurnGame, turn: Turn, turn_agents: tuple[TurnAgent, TurnAgent]) -> Turn:
    """Play one game of one seed from its beginning; ``turn_agents[0]`` begins. Returns the first turn of the next."""
    while True:
        mover = turn_agents[turn.mover[0]]
        turn = game.step(mover.move(turn.obs))
        mover.replaced += bool(turn.replaced[0])
        for side in (0, 1):
            if paid := float(turn.reward[0, side]):
                turn_agents[side].paid(paid)
        if turn.terminated[0]:
            for side in (0, 1):
                turn_agents[side].over(turn.final_obs[side])
            return turn
