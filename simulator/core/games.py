"""The contract of a game between two sides, and the exact worth of memory-one play.

A side is an agent of the league as it is: what the other side does is a part of its environment. ``[S]`` copies of a
game are played at once, each on streams of its own. Two kinds are told apart by ``simultaneous``: in a
:class:`RoundGame` both sides move at once, in a :class:`TurnGame` they take turns, and a game is then played once from
either side.

Exact values of memory-one play: Nowak and Sigmund 1993, A strategy of win-stay, lose-shift; Press and Dyson 2012,
Iterated prisoner's dilemma contains strategies that dominate any evolutionary opponent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from gymnasium import spaces

from simulator.core.protocols import Array, EnvSpec, State, Step

if TYPE_CHECKING:
    from simulator.core.game_tree import GameTree

COOPERATE, DEFECT = 0, 1
START, CC, CD, DC, DD = range(5)
"""What a side of an iterated game of two actions sees: its beginning, or the last outcome, its own action first."""
MIRRORED = np.array([START, CC, DC, CD, DD])
"""The same as the other side sees it."""


class RoundGame(Protocol):
    """S copies of a game in which both sides move at once. A game's file offers ``Config`` and ``make(seeds, config)``.

    A file may recommend the settings of a match in a table ``MATCH_DEFAULTS``: ``episodes``, ``train_steps``,
    ``learn``.
    """

    specs: tuple[EnvSpec, EnvSpec]  # what each side sees and can do
    simultaneous: bool  # True
    zero_sum: bool  # what one side is paid, the other pays
    symmetric: bool  # it does not matter which side one is
    bounds: tuple[tuple[float, float], tuple[float, float]]  # lowest and highest payoff of a round, of each side

    def reset(self) -> tuple[Array, Array]:
        """Start an episode in every seed; what each side sees, [S, *obs]. The streams go on where they stand."""

    def step(self, first: Array, second: Array) -> tuple[Step, Step]:
        """Both sides' actions, [S]; what the round gave to each. Episodes that end begin again in the same step.

        Raises:
            ValueError: an action that does not exist.
        """

    def expected(self, first: Array, second: Array) -> tuple[Array, Array] | None:
        """Expected payoff per round, [S] each, of memory-one players [S, 5] as :func:`memory_one_payoffs` has them.

        None where the game is not of that kind.
        """

    def state(self) -> State:
        """Everything needed to go on."""

    def restore(self, state: State) -> None:
        """Go on from ``state``, in place of ``reset``."""


class Turn(NamedTuple):
    """What one move of S games led to. Where a game ended the next has begun, with side 0 to move."""

    mover: Array  # int64 [S], the side to move next
    obs: Array  # [S, *obs], what it sees
    reward: Array  # float32 [S, 2], what the move paid to either side
    terminated: Array  # bool [S]
    final_obs: tuple[Array, Array]  # [S, *obs], the last position as each side sees it, where the game ended
    replaced: Array  # bool [S]: the move does not exist there, and one that does was drawn in its place


class TurnGame(Protocol):
    """S copies of a game in which the sides take turns; side 0 begins.

    A move that does not exist is replaced by one that does, drawn uniformly from the game's own stream, and said so:
    an agent that is not told which moves exist still plays to the end.
    """

    specs: tuple[EnvSpec, EnvSpec]
    simultaneous: bool  # False
    zero_sum: bool
    bounds: tuple[tuple[float, float], tuple[float, float]]  # lowest and highest payoff of a game, of each side
    tree: GameTree | None  # all of its positions, where they can be counted

    def reset(self) -> Turn:
        """Start a game in every seed."""

    def step(self, actions: Array) -> Turn:
        """Let the side to move take its action, [S].

        Raises:
            ValueError: an action outside the action space.
        """

    def state(self) -> State:
        """Everything needed to go on."""

    def restore(self, state: State) -> Turn:
        """Go on from ``state``, in place of ``reset``."""


def is_iterated(spec: EnvSpec) -> bool:
    """Whether a side sees and does what it does in an iterated game of two actions."""
    return spec.observation == spaces.Discrete(5) and spec.action == spaces.Discrete(2)


def memory_one_payoffs(
    players: tuple[Array, Array],
    payoffs: Array,
    *,
    noise: float = 0.0,
    continuation: float = 1.0,
    rounds: int = 0,
) -> tuple[Array, Array]:
    """Expected payoff per round of two memory-one players.

    The last outcome is a Markov chain over CC, CD, DC, DD. With n rounds this is the mean over them; with an unknown
    end the mean total of an episode over its mean length, (1 - w) v0 (1 - w M)^-1 u for continuation w (Nowak and
    Sigmund 1993; Hilbe, Traulsen and Sigmund 2015, equation 2).

    Args:
        players: of either side, [..., 5]: the probability of cooperating at its start, CC, CD, DC and DD, where its
            own action stands first.
        payoffs: [2, 4], of either side at CC, CD, DC, DD as the first side sees them.
        noise: probability that an action is flipped.
        continuation: probability that another round follows, where ``rounds`` is 0.
        rounds: how many rounds an episode has; 0: it ends by chance.

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
    """Probabilities [..., 5, 4] of CC, CD, DC and DD after each of what the first side sees."""
    flipped = [
        (1.0 - noise) * np.asarray(p, np.float64) + noise * (1.0 - np.asarray(p, np.float64)) for p in (first, second)
    ]
    p, q = flipped[0], flipped[1][..., MIRRORED]
    return np.stack([p * q, p * (1.0 - q), (1.0 - p) * q, (1.0 - p) * (1.0 - q)], axis=-1)


def _until_the_end(start: Array, chain: Array, continuation: float) -> Array:
    """(1 - w) v0 (1 - w M)^-1, [..., 4]."""
    system = np.eye(4) - continuation * np.swapaxes(chain, -1, -2)
    visits = np.linalg.solve(system, np.swapaxes(start, -1, -2))[..., 0]
    return (1.0 - continuation) * visits


def _mean_over(start: Array, chain: Array, rounds: int) -> Array:
    """v0 (1 + M + ... + M^(n - 1)) / n, [..., 4], by one matrix power: [[M, 1], [0, 1]]^n holds the sum."""
    block = np.zeros((*chain.shape[:-2], 8, 8))
    block[..., :4, :4], block[..., :4, 4:], block[..., 4:, 4:] = chain, np.eye(4), np.eye(4)
    total = np.linalg.matrix_power(block, rounds)[..., :4, 4:]
    mean: Array = (start @ total)[..., 0, :] / rounds
    return mean
