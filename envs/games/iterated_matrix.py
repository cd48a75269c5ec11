"""Iterated matrix games of two actions: the prisoner's dilemma and its relatives, with noise and an unknown end.

Both sides choose at once. With noise an action is sometimes flipped, and both sides observe the flipped action. The
sides' roles are not exchanged: in matching pennies the first side is the one that wants a match. Axelrod, The Evolution
of Cooperation, 1984; Nowak and Sigmund 1993.

=========  ===========
action     meaning
=========  ===========
0          cooperate
1          defect
=========  ===========

=============  ================================================================
observation    Discrete(5)
=============  ================================================================
0              start of the episode
1, 2, 3, 4     last outcome, own action first: CC, CD, DC, DD
=============  ================================================================

=================================================  ======================================================
event                                              reward and end
=================================================  ======================================================
a round                                            the payoff of its outcome
no further round, after each by chance             terminates
``rounds``, which no side observes                 truncates
=================================================  ======================================================
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
from simulator.core.games.game import CC, START, memory_one_payoffs
from simulator.core.jit import jit
from simulator.core.protocols import Array, EnvSpec, State, Step
from simulator.core.rng_compiled import uniform
from simulator.core.scene import Scene

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
    """game whose payoffs are used"""
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


class MatrixGameRules(NamedTuple):
    """The settings as compiled code takes them."""

    payoffs: Array  # float64 [2, 4]
    noise: float
    continuation: float
    rounds: int


class RoundBuffers(NamedTuple):
    """The results of one round: of both sides [2, S], the ends [S]."""

    obs: Array
    final_obs: Array
    reward: Array
    terminated: Array
    truncated: Array

    def step(self, side: int) -> Step:
        """View the round as one side's step; it is filled again every other round."""
        return Step(self.obs[side], self.reward[side], self.terminated, self.truncated, self.final_obs[side])


def _round_buffers(n_seeds: int) -> RoundBuffers:
    return RoundBuffers(
        obs=np.zeros((2, n_seeds), np.int64),
        final_obs=np.zeros((2, n_seeds), np.int64),
        reward=np.zeros((2, n_seeds), np.float32),
        terminated=np.zeros(n_seeds, np.bool_),
        truncated=np.zeros(n_seeds, np.bool_),
    )


class IteratedMatrix:
    """S copies of the game; see :class:`simulator.core.games.game.RoundGame`."""

    simultaneous = True

    def __init__(self, name: str, rules: MatrixGameRules, seed_list: list[int]) -> None:
        n_seeds = len(seed_list)
        spec = EnvSpec(name, spaces.Discrete(5), spaces.Discrete(2), rules.rounds or None)
        self.specs = (spec, spec)
        self.zero_sum = not rules.payoffs.sum(axis=0).any()
        self.symmetric = bool((rules.payoffs[1] == rules.payoffs[0][[0, 2, 1, 3]]).all())
        self.bounds = tuple((float(row.min()), float(row.max())) for row in rules.payoffs)
        self._rules = rules
        self._seeds = seed_list
        self._noise = rng.pcg64_states(seed_list, "noise")
        self._ending = rng.pcg64_states(seed_list, "ending")
        self._episode_step = np.zeros(n_seeds, np.int64)
        self._buffers = (_round_buffers(n_seeds), _round_buffers(n_seeds))  # in turn
        self._turn = 0

    def reset(self) -> tuple[Array, Array]:
        """Start an episode in every seed; the observations of each side, int64 [S]."""
        self._episode_step[:] = 0
        obs = self._buffers[self._turn].obs
        obs[:] = START
        return obs[0], obs[1]

    def step(self, first: Array, second: Array) -> tuple[Step, Step]:
        """Play both sides' actions, [S]; the round as a step of each side.

        Raises:
            ValueError: an action that is neither 0 nor 1.
        """
        name = self.specs[0].id
        first = action_indices(first, self._episode_step.shape, name)
        second = action_indices(second, self._episode_step.shape, name)
        self._turn ^= 1
        buffers = self._buffers[self._turn]
        invalid = _play_round(self._rules, self._noise, self._ending, self._episode_step, first, second, buffers)
        if invalid >= 0:
            actions = f"{first[invalid]} and {second[invalid]}"
            raise ValueError(f"{name}: seed {self._seeds[invalid]} was given actions {actions}, expected 0 or 1")
        return buffers.step(0), buffers.step(1)

    def expected(self, first: Array, second: Array) -> tuple[Array, Array]:
        """Return exact payoffs per round; see :func:`simulator.core.games.game.memory_one_payoffs`."""
        return memory_one_payoffs(
            (first, second),
            self._rules.payoffs,
            noise=self._rules.noise,
            continuation=self._rules.continuation,
            rounds=self._rules.rounds,
        )

    def game_scene(self, index: int, side: int) -> Scene:
        """Name the last outcome and the payoffs of both sides, [own, other's], as ``side`` sees them."""
        outcomes = ("CC", "CD", "DC", "DD")
        last = self._buffers[self._turn].final_obs[side, index]
        own, theirs = self._rules.payoffs if side == 0 else self._rules.payoffs[::-1][:, [0, 2, 1, 3]]
        pays = {f"{name} pays": f"{own[k]:g}, them {theirs[k]:g}" for k, name in enumerate(outcomes)}
        shown = {} if last == START else {"last round, own action first": outcomes[last - CC]}
        return Scene(self.specs[side].id, actions=("cooperate", "defect"), facts={**shown, **pays})

    def state(self) -> State:
        """Return streams, rounds of the current episodes, and observations."""
        return {
            "noise": self._noise.copy(),
            "ending": self._ending.copy(),
            "episode_step": self._episode_step.copy(),
            "obs": self._buffers[self._turn].obs.T.copy(),
        }

    def restore(self, state: State) -> tuple[Array, Array]:
        """Continue from ``state``; the observations of each side."""
        self._noise[...] = state["noise"]
        self._ending[...] = state["ending"]
        self._episode_step[...] = state["episode_step"]
        obs = self._buffers[self._turn].obs
        obs[...] = state["obs"].T
        return obs[0], obs[1]


def make(seed_list: Sequence[int], config: Config) -> IteratedMatrix:
    """Make one game for every seed.

    Raises:
        ValueError: payoffs of the second side without those of the first.
    """
    if config.second_payoffs is not None and config.payoffs is None:
        raise ValueError("game.second_payoffs: expected game.payoffs beside it")
    payoffs = np.array(config.payoffs or PAYOFFS[config.kind], np.float64)
    if config.payoffs is None and config.kind == "matching_pennies":
        other = -payoffs
    else:
        other = payoffs[[0, 2, 1, 3]] if config.second_payoffs is None else np.array(config.second_payoffs, np.float64)
    name = config.kind if config.payoffs is None else "matrix game"
    rules = MatrixGameRules(np.stack([payoffs, other]), float(config.noise), float(config.continuation), config.rounds)
    return IteratedMatrix(f"iterated {name.replace('_', ' ')}", rules, list(seed_list))


@jit
def _play_round(rules, noise, ending, episode_step, first, second, buffers):
    """Play a round of every seed into ``buffers``; return -1, or the first seed with an action that does not exist."""
    for i in range(len(episode_step)):
        if not (0 <= first[i] <= 1 and 0 <= second[i] <= 1):
            return i
    for i in range(len(episode_step)):
        a = first[i]
        b = second[i]
        if rules.noise > 0.0:
            a ^= uniform(noise, i) < rules.noise
            b ^= uniform(noise, i) < rules.noise
        episode_step[i] += 1
        buffers.final_obs[0, i] = CC + 2 * a + b
        buffers.final_obs[1, i] = CC + 2 * b + a
        buffers.reward[0, i] = rules.payoffs[0, 2 * a + b]
        buffers.reward[1, i] = rules.payoffs[1, 2 * a + b]
        buffers.truncated[i] = episode_step[i] == rules.rounds
        buffers.terminated[i] = rules.rounds == 0 and uniform(ending, i) >= rules.continuation
        done = buffers.truncated[i] or buffers.terminated[i]
        episode_step[i] = 0 if done else episode_step[i]
        for k in range(2):
            buffers.obs[k, i] = START if done else buffers.final_obs[k, i]
    return -1


if __name__ == "__main__":
    game = make([0], Config(noise=0.05))
    walkers = rng.generators([0], "exploration")[0]
    game.reset()
    print(f"{game.specs[0].id}: payoffs {game.bounds[0][0]:g} to {game.bounds[0][1]:g} a round, noise 0.05")
    for _ in range(6):
        chosen = walkers.integers(0, 2, (2, 1))
        mine, theirs = game.step(*chosen)
        outcome = ("CC", "CD", "DC", "DD")[mine.final_obs[0] - 1]
        print(f"actions {chosen[0, 0]} and {chosen[1, 0]}: {outcome}, pays {mine.reward[0]:g} and {theirs.reward[0]:g}")
