"""The contract of a game between two sides, and the exact payoffs of memory-one strategies.

A side is any agent: the other side is a part of its environment. ``[S]`` copies of a game are played at once, each on
streams of its own. ``simultaneous`` distinguishes two kinds: in a :class:`RoundGame` both sides move at once, in a
:class:`TurnGame` they take turns, and a game is then played once from either side.

Exact values of memory-one play: Nowak and Sigmund 1993, A strategy of win-stay, lose-shift; Press and Dyson 2012,
Iterated prisoner's dilemma contains strategies that dominate any evolutionary opponent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import numpy as np
from gymnasium import spaces

from simulator.core.protocols import Array, EnvSpec, State, Step
from simulator.core.scene import Scene

if TYPE_CHECKING:
    from simulator.core.games.tree import GameTree

COOPERATE, DEFECT = 0, 1
START, CC, CD, DC, DD = range(5)
"""Observations of an iterated game of two actions: its beginning, or the last outcome, own action first."""
MIRRORED = np.array([START, CC, DC, CD, DD])
"""The same observations from the other side."""


class RoundGame(Protocol):
    """S copies of a game in which both sides move at once. A game's file offers ``Config`` and ``make(seeds, config)``.

    A file may recommend the settings of a match in a table ``MATCH_DEFAULTS``: ``episodes``, ``train_steps``,
    ``learn``.
    """

    specs: tuple[EnvSpec, EnvSpec]  # of each side
    simultaneous: bool  # True
    zero_sum: bool  # payoffs of both sides add up to 0
    symmetric: bool  # both sides have the same actions and payoffs
    bounds: tuple[tuple[float, float], tuple[float, float]]  # lowest and highest payoff of a round, of each side

    def reset(self) -> tuple[Array, Array]:
        """Start an episode in every seed and return both sides' observations, [S, *obs]. The streams are not reset."""

    def step(self, first: Array, second: Array) -> tuple[Step, Step]:
        """Play one round by both sides' actions, [S]. Episodes that end begin again in the same step.

        Raises:
            ValueError: an action that does not exist.
        """

    def expected(self, first: Array, second: Array) -> tuple[Array, Array] | None:
        """Return the expected payoffs per round, [S] each, of memory-one strategies [S, 5]; None for other games.

        See :func:`memory_one_payoffs`.
        """

    def state(self) -> State:
        """Return the whole state."""

    def restore(self, state: State) -> None:
        """Continue from ``state``, in place of ``reset``."""


@runtime_checkable
class DrawnGame(Protocol):
    """A game that can be drawn."""

    def game_scene(self, index: int, side: int) -> Scene:
        """Make a scene of seed number ``index`` as ``side`` sees it; where a game has just ended, of its end."""


class Turn(NamedTuple):
    """Result of one move in S games. A game that ended is followed by a new one, with side 0 to move."""

    mover: Array  # int64 [S], the side to move next
    obs: Array  # [S, *obs], its observation
    reward: Array  # float32 [S, 2], payoffs of both sides
    terminated: Array  # bool [S]
    final_obs: tuple[Array, Array]  # [S, *obs], both sides' last observation, where the game ended
    replaced: Array  # bool [S]: the move was illegal, and a random legal one was played


class TurnGame(Protocol):
    """S copies of a game in which the sides take turns; side 0 begins.

    An illegal move is replaced by a uniformly random legal one, from the game's own stream, and marked as replaced. So
    an agent that does not know which moves are legal still plays to the end.
    """

    specs: tuple[EnvSpec, EnvSpec]
    simultaneous: bool  # False
    zero_sum: bool
    bounds: tuple[tuple[float, float], tuple[float, float]]  # lowest and highest payoff of a game, of each side
    tree: GameTree | None  # all of its positions, where they can be enumerated

    def reset(self) -> Turn:
        """Start a game in every seed."""

    def step(self, actions: Array) -> Turn:
        """Let the side to move take its action, [S].

        Raises:
            ValueError: an action outside the action space.
        """

    def state(self) -> State:
        """Return the whole state."""

    def restore(self, state: State) -> Turn:
        """Continue from ``state``, in place of ``reset``."""


def is_iterated(spec: EnvSpec) -> bool:
    """Tell whether the spec is a side of an iterated game of two actions."""
    return spec.observation == spaces.Discrete(5) and spec.action == spaces.Discrete(2)


def memory_one_payoffs(
    players: tuple[Array, Array],
    payoffs: Array,
    *,
    noise: float = 0.0,
    continuation: float = 1.0,
    rounds: int = 0,
) -> tuple[Array, Array]:
    """Compute the expected payoff per round of two memory-one strategies.

    The last outcome is a Markov chain over CC, CD, DC, DD. With n rounds this is the mean over them; with an unknown
    end the mean total of an episode over its mean length, (1 - w) v0 (1 - w M)^-1 u for continuation w (Nowak and
    Sigmund 1993; Hilbe, Traulsen and Sigmund 2015, equation 2).

    Args:
        players: of either side, [..., 5]: the probability of cooperating at its start, CC, CD, DC and DD, where its
            own action stands first.
        payoffs: [2, 4], of either side at CC, CD, DC, DD as the first side sees them.
        noise: probability that an action is flipped.
        continuation: probability that another round follows, where ``rounds`` is 0.
        rounds: rounds of an episode; 0: it ends by chance.

    Returns:
        (first's, second's), [...] each.

    Raises:
        ValueError: neither a number of rounds nor a continuation below 1.
    """
    if not rounds and not continuation < 1.0:
        raise ValueError(f"continuation = {continuation}: expected a number below 1 where rounds is 0")
    outcomes = _outcomes(*players, noise)  # [..., 5, 4]
    start, chain = outcomes[..., :1, :], outcomes[..., 1:, :]
    mean = _mean_over(start, chain, rounds) if rounds else _until_the_end(start, chain, continuation)
    first, second = np.moveaxis(mean @ np.asarray(payoffs, np.float64).T, -1, 0)
    return first, second


def _outcomes(first: Array, second: Array, noise: float) -> Array:
    """Return the probabilities [..., 5, 4] of CC, CD, DC and DD after each observation of the first side."""
    flipped = [
        (1.0 - noise) * np.asarray(p, np.float64) + noise * (1.0 - np.asarray(p, np.float64)) for p in (first, second)
    ]
    p, q = flipped[0], flipped[1][..., MIRRORED]
    return np.stack([p * q, p * (1.0 - q), (1.0 - p) * q, (1.0 - p) * (1.0 - q)], axis=-1)


def _until_the_end(start: Array, chain: Array, continuation: float) -> Array:
    """Compute (1 - w) v0 (1 - w M)^-1, [..., 4]."""
    system = np.eye(4) - continuation * np.swapaxes(chain, -1, -2)
    visits = np.linalg.solve(system, np.swapaxes(start, -1, -2))[..., 0]
    return (1.0 - continuation) * visits


def _mean_over(start: Array, chain: Array, rounds: int) -> Array:
    """Compute v0 (1 + M + ... + M^(n - 1)) / n, [..., 4], by one matrix power: [[M, 1], [0, 1]]^n holds the sum."""
    block = np.zeros((*chain.shape[:-2], 8, 8))
    block[..., :4, :4], block[..., :4, 4:], block[..., 4:, 4:] = chain, np.eye(4), np.eye(4)
    total = np.linalg.matrix_power(block, rounds)[..., :4, 4:]
    mean: Array = (start @ total)[..., 0, :] / rounds
    return mean
