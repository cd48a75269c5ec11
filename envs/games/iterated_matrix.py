"""Iterated matrix games of two actions: the prisoner's dilemma and its relatives, with noise and an unknown end.

Both sides choose at once, 0 to cooperate or 1 to defect, are paid, and see what was done: Discrete(5), the start or
the last outcome with one's own action first (CC, CD, DC, DD). With noise an action is sometimes flipped; both see what
was really done. An unknown end is a true one (``terminated``), drawn after every round; a fixed number of rounds is a
limit of time (``truncated``) that nobody sees coming. Axelrod, The Evolution of Cooperation, 1984; Nowak and Sigmund
1993. The sides' roles are not exchanged: in matching pennies the first side is the one that wants a match.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np
from gymnasium import spaces
from msgspec import Meta

from simulator.core import rng
from simulator.core.field_types import CountOrZero, PartShare, Share
from simulator.core.foreign.casts import action_indices
from simulator.core.games import CC, START, memory_one_payoffs
from simulator.core.jit import jit
from simulator.core.protocols import Array, EnvSpec, State, Step
from simulator.core.rng_compiled import uniform

_FOUR = "four numbers: the payoffs at CC, CD, DC and DD"
Four = Annotated[tuple[float, ...], Meta(min_length=4, max_length=4, description=_FOUR)]
PAYOFFS = {  # to a side at CC, CD, DC, DD, its own action first: reward, sucker's payoff, temptation, punishment
    "prisoners_dilemma": (3.0, 0.0, 5.0, 1.0),  # Axelrod 1984
    "stag_hunt": (4.0, 0.0, 3.0, 2.0),
    "chicken": (3.0, 1.0, 4.0, 0.0),
    "matching_pennies": (1.0, -1.0, -1.0, 1.0),  # the first side's; the second pays them
}
MATCH_DEFAULTS = {"episodes": 20, "train_steps": 0, "learn": True}


@dataclass(frozen=True)
class Config:
    """Settings of an iterated matrix game."""

    kind: Literal["prisoners_dilemma", "stag_hunt", "chicken", "matching_pennies"] = "prisoners_dilemma"
    """whose payoffs"""
    payoffs: Four | None = None
    """payoffs of the first side at CC, CD, DC, DD, its own action first; none: those of the kind"""
    second_payoffs: Four | None = None
    """payoffs of the second side at the same outcomes, its own action second; none: the game is symmetric"""
    noise: Share = 0.0
    """probability that an action is flipped, of every side in every round"""
    continuation: PartShare = 0.995
    """probability that another round follows, where the end is unknown; the mean length is 1 / (1 - continuation)"""
    rounds: CountOrZero = 0
    """rounds of every episode; 0: the end is unknown"""


class Rules(NamedTuple):
    """The settings as compiled code sees them."""

    payoffs: Array  # float64 [2, 4]
    noise: float
    continuation: float
    rounds: int


class Room(NamedTuple):
    """What one step of both sides gave, [2, S]; the ends [S]."""

    obs: Array
    final_obs: Array
    reward: Array
    terminated: Array
    truncated: Array


class IteratedMatrix:
    """S copies of the game; see :class:`simulator.core.games.RoundGame`."""

    simultaneous = True

    def __init__(self, name: str, rules: Rules, seed_list: list[int]) -> None:
        spec = EnvSpec(name, spaces.Discrete(5), spaces.Discrete(2), rules.rounds or None)
        self.specs, self._rules, self._seeds = (spec, spec), rules, seed_list
        self.zero_sum = not rules.payoffs.sum(axis=0).any()
        self.symmetric = bool((rules.payoffs[1] == rules.payoffs[0][[0, 2, 1, 3]]).all())
        self.bounds = tuple((float(row.min()), float(row.max())) for row in rules.payoffs)
        self._noise, self._ending = (rng.pcg64_states(seed_list, purpose) for purpose in ("noise", "ending"))
        self._clock, self._turn = np.zeros(len(seed_list), np.int64), 0
        self._rooms = tuple(_room(len(seed_list)) for _ in range(2))
        self._steps = tuple(_steps(room) for room in self._rooms)

    def reset(self) -> tuple[Array, Array]:
        """Start an episode in every seed; what each side sees, int64 [S]."""
        self._clock[:] = 0
        seen = self._rooms[self._turn].obs
        seen[:] = START
        return seen[0], seen[1]

    def step(self, first: Array, second: Array) -> tuple[Step, Step]:
        """Both sides' actions, [S]; what the round gave to each.

        Raises:
            ValueError: an action that is neither 0 nor 1.
        """
        shape, name = self._clock.shape, self.specs[0].id
        first, second = action_indices(first, shape, name), action_indices(second, shape, name)
        self._turn ^= 1
        streams = (self._noise, self._ending, self._clock)
        wrong = _round(self._rules, streams, first, second, self._rooms[self._turn])
        if wrong >= 0:
            given = f"{first[wrong]} and {second[wrong]}"
            raise ValueError(
                f"{self.specs[0].id}: seed {self._seeds[wrong]} was given actions {given}, expected 0 or 1"
            )
        return self._steps[self._turn]

    def expected(self, first: Array, second: Array) -> tuple[Array, Array]:
        """Exact payoffs per round; see :func:`simulator.core.games.memory_one_payoffs`."""
        law = {"noise": self._rules.noise, "continuation": self._rules.continuation, "rounds": self._rules.rounds}
        return memory_one_payoffs((first, second), self._rules.payoffs, **law)

    def state(self) -> State:
        """Streams, clocks and what is seen."""
        seen = self._rooms[self._turn].obs
        held = {"noise": self._noise, "ending": self._ending, "clock": self._clock, "seen": seen.T}
        return {name: array.copy() for name, array in held.items()}

    def restore(self, state: State) -> tuple[Array, Array]:
        """Go on from ``state``; what each side sees."""
        self._noise[...], self._ending[...], self._clock[...] = state["noise"], state["ending"], state["clock"]
        seen = self._rooms[self._turn].obs
        seen[...] = state["seen"].T
        return seen[0], seen[1]


def make(seed_list: Sequence[int], config: Config) -> IteratedMatrix:
    """One game for every seed.

    Raises:
        ValueError: payoffs of the second side without those of the first.
    """
    if config.second_payoffs is not None and config.payoffs is None:
        raise ValueError("game.second_payoffs: expected game.payoffs beside it")
    own = np.array(config.payoffs or PAYOFFS[config.kind], np.float64)
    if config.payoffs is None and config.kind == "matching_pennies":
        other = -own
    else:
        other = own[[0, 2, 1, 3]] if config.second_payoffs is None else np.array(config.second_payoffs, np.float64)
    name = config.kind if config.payoffs is None else "matrix game"
    rules = Rules(np.stack([own, other]), float(config.noise), float(config.continuation), config.rounds)
    return IteratedMatrix(f"iterated {name.replace('_', ' ')}", rules, list(seed_list))


def _room(n_seeds: int) -> Room:
    obs, final_obs = np.zeros((2, 2, n_seeds), np.int64)
    ends = np.zeros((2, n_seeds), np.bool_)
    return Room(obs, final_obs, np.zeros((2, n_seeds), np.float32), ends[0], ends[1])


def _steps(room: Room) -> tuple[Step, Step]:
    """The room as each side's step; they are filled again every other round."""
    ends = (room.terminated, room.truncated)
    first, second = (Step(room.obs[k], room.reward[k], *ends, room.final_obs[k]) for k in (0, 1))
    return first, second


@jit
def _round(rules, streams, first, second, room):
    """Play a round of every seed into ``room``; the first seed with an action that does not exist, or -1."""
    noise, ending, clock = streams
    for i in range(len(clock)):
        if not (0 <= first[i] <= 1 and 0 <= second[i] <= 1):
            return i
    for i in range(len(clock)):
        a, b = first[i], second[i]
        if rules.noise > 0.0:
            a ^= uniform(noise, i) < rules.noise
            b ^= uniform(noise, i) < rules.noise
        clock[i] += 1
        room.final_obs[0, i], room.final_obs[1, i] = CC + 2 * a + b, CC + 2 * b + a
        room.reward[0, i], room.reward[1, i] = rules.payoffs[0, 2 * a + b], rules.payoffs[1, 2 * a + b]
        room.truncated[i] = clock[i] == rules.rounds
        room.terminated[i] = rules.rounds == 0 and uniform(ending, i) >= rules.continuation
        over = room.truncated[i] or room.terminated[i]
        clock[i] = 0 if over else clock[i]
        for k in range(2):
            room.obs[k, i] = START if over else room.final_obs[k, i]
    return -1


if __name__ == "__main__":
    game, walkers = make([0], Config(noise=0.05)), rng.generators([0], "exploration")[0]
    game.reset()
    print(f"{game.specs[0].id}: payoffs {game.bounds[0][0]:g} to {game.bounds[0][1]:g} a round, noise 0.05")
    for _ in range(6):
        chosen = walkers.integers(0, 2, (2, 1))
        mine, theirs = game.step(*chosen)
        outcome = ("CC", "CD", "DC", "DD")[mine.final_obs[0] - 1]
        print(f"actions {chosen[0, 0]} and {chosen[1, 0]}: {outcome}, pays {mine.reward[0]:g} and {theirs.reward[0]:g}")
