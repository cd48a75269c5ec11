"""Noisy cue: look at a damaged pattern, once or several times, then choose the room that belongs to it.

A test of recall and of memory. With one look it asks for cleaning: whoever knows the stored patterns and the noise
chooses best (Bayes). With several looks at the same pattern, each damaged anew, it asks for adding up: the latest look
alone is worth no more than a single one.

=========  ==========================================================================================
action     meaning
=========  ==========================================================================================
j          go to room j; only the action at the last look counts, those before it choose nothing
=========  ==========================================================================================

=============  ==========================================================================================
observation    float32 [N], the pattern with every unit flipped with probability ``flip``; all 0 at the end
=============  ==========================================================================================
0 to N - 1     -1 or +1: the 64 pixels of a digit, row by row, or one unit for the cue ``bit``
=============  ==========================================================================================

=================================================  ======================================================
event                                              reward and end
=================================================  ======================================================
the room of the pattern                            1; terminates
another room                                       0; terminates
a look before the last                             0
=================================================  ======================================================

Pattern k belongs to room k modulo ``rooms``; all patterns are equally likely. Bounds: a player with a perfect memory
adds up all looks and goes to the room of the largest posterior probability, p(k | looks) proportional to
exp(beta sum of looks . x_k), beta = ln((1 - p) / p) / 2. The mean of that probability is ``optimal_return``, and with
the last look alone ``memoryless_return``: exact for ``bit`` (a majority of the looks: .800, .896, .942, .980 for 1, 3,
5, 9 looks at p = .2), and for digits the mean over 65,536 drawn cues (standard error below .002).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from math import comb
from typing import Annotated, Literal, NamedTuple

import msgspec
import numpy as np
from gymnasium import spaces

from envs.common.compiled_env import CompiledEnv, Dynamics
from envs.common.demo import show_env
from envs.common.return_bounds import solved_from
from simulator.core import registry, rng
from simulator.core.jit import jit_inline
from simulator.core.protocols import Array, EnvSpec
from simulator.core.rng_compiled import below, uniform
from simulator.core.scene import Scene

ROOMS = 0  # places in the settings
FLIP = 1
LOOKS = 2
PATTERNS = 3  # and from here on, row by row
CUE = 0  # place in the state: the pattern's number
LOOK = 1  # and from here on: the current look
N_SAMPLES = 65_536
SMALLEST_FLIP = 1e-9  # keeps the weight of a look finite


@dataclass(frozen=True)
class Config:
    """Settings of the noisy cue."""

    cue: Literal["digits", "bit"] = "digits"
    """patterns to recognise: handwritten digits of 8 x 8 pixels, or one unit that is -1 or +1"""
    cues: Annotated[int, msgspec.Meta(ge=2, le=1_000)] = 64
    """number of different digits; a bit has two values"""
    cue_seed: Annotated[int, msgspec.Meta(ge=0)] = 0
    """seed of the choice of digits, apart from the seeds of a run"""
    rooms: Annotated[int, msgspec.Meta(ge=2, le=1_000)] = 2
    """number of rooms to choose among, at most as many as cues"""
    flip: Annotated[float, msgspec.Meta(ge=0.0, le=0.5)] = 0.2
    """probability that a unit of a look is flipped"""
    looks: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 1
    """number of looks at the same pattern, each damaged anew; the choice is made at the last"""


class Bounds(NamedTuple):
    """Mean probability of the best choice."""

    with_memory: float  # by all looks
    without: float  # by the last look alone


def make(seed_list: Sequence[int], config: Config) -> CompiledEnv:
    """Make one player's cue for every seed.

    Raises:
        ValueError: a setting out of range, or more rooms or cues than there are patterns; one line.
    """
    spec = describe(config)
    patterns = stored_patterns(config)
    settings = np.concatenate([[config.rooms, config.flip, config.looks], patterns.ravel()]).astype(np.float64)
    return CompiledEnv(
        spec,
        seed_list,
        Dynamics(_start, _transition, _observe),
        settings,
        np.zeros(LOOK + patterns.shape[1]),
        _Picture(config),
        stream=rng.pcg64_states(seed_list, "env"),
    )


def describe(config: Config) -> EnvSpec:
    """Describe the environment.

    Raises:
        ValueError: see :func:`make`.
    """
    _check(config)
    bounds = _bounds(config)
    return EnvSpec(
        id="noisy_cue",
        observation=spaces.Box(-1.0, 1.0, (stored_patterns(config).shape[1],), np.float32),
        action=spaces.Discrete(config.rooms),
        max_steps=config.looks,
        random_score=1.0 / config.rooms,
        reward_threshold=solved_from(bounds.with_memory),
        optimal_return=bounds.with_memory,
        memoryless_return=bounds.without,
        patterns=stored_patterns(config),
        corruption=f"flip:{config.flip:g}",
    )


@lru_cache(maxsize=64)
def stored_patterns(config: Config) -> Array:
    """Return the patterns without noise, float32 [K, N]: what a memory is to store; pattern k is of room k % rooms."""
    if config.cue == "bit":
        return np.array([[-1.0], [1.0]], np.float32)
    digits = registry.load("challenges", "digits")
    return np.asarray(digits.make([config.cue_seed], digits.Config()).draw(config.cues).stored[0])


@lru_cache(maxsize=64)
def _bounds(config: Config) -> Bounds:
    if config.cue == "bit":
        return Bounds(majority_is_right(config.looks, config.flip), 1.0 - config.flip)
    patterns = stored_patterns(config)
    return Bounds(*(best_choice(patterns, config.rooms, config.flip, looks) for looks in (config.looks, 1)))


def majority_is_right(looks: int, flip: float) -> float:
    """Compute the probability that most of ``looks`` are right, and half of it where they are balanced."""
    weight = [comb(looks, wrong) * flip**wrong * (1.0 - flip) ** (looks - wrong) for wrong in range(looks + 1)]
    return sum(w * (1.0 if 2 * wrong < looks else 0.5 * (2 * wrong == looks)) for wrong, w in enumerate(weight))


def best_choice(patterns: Array, rooms: int, flip: float, looks: int) -> float:
    """Estimate the mean posterior probability of the likeliest room, over cues drawn from a stream of its own.

    The posterior of each drawn cue is exact: all patterns are enumerated.

    Args:
        patterns: [K, N] of -1 and +1, equally likely; pattern k is of room k % rooms.
        rooms: number of rooms.
        flip: probability that a unit of a look is flipped.
        looks: number of looks at the same pattern.
    """
    stream = rng.generators([0], "corruption")[0]
    p = max(flip, SMALLEST_FLIP)
    beta = 0.5 * np.log((1.0 - p) / p)
    right = 0.0
    for _ in range(16):
        shown = patterns[stream.integers(len(patterns), size=N_SAMPLES // 16)]  # [B, N]
        total = shown * (looks - 2.0 * stream.binomial(looks, flip, shown.shape))  # sum of the looks
        log_posterior = beta * (total @ patterns.T)  # [B, K]
        posterior = np.exp(log_posterior - log_posterior.max(axis=1, keepdims=True))
        posterior /= posterior.sum(axis=1, keepdims=True)
        of_room = np.stack([posterior[:, room::rooms].sum(axis=1) for room in range(rooms)], axis=1)
        right += of_room.max(axis=1).sum()
    return float(right / N_SAMPLES)


def _check(config: Config) -> None:
    """Refuse settings out of range; the host has checked its own, Python's callers have not."""
    for name, value in asdict(config).items():
        try:
            msgspec.convert({name: value}, Config)
        except msgspec.ValidationError as error:
            expected = str(error).partition(" - at")[0]
            raise ValueError(f"noisy_cue: {name} = {value!r}: {expected[:1].lower()}{expected[1:]}") from error
    n_cues = 2 if config.cue == "bit" else config.cues
    if config.rooms > n_cues:
        raise ValueError(f"noisy_cue: rooms = {config.rooms}: expected at most as many as cues, {n_cues}")


@jit_inline
def _start(copies, i):
    n_units = copies.state.shape[1] - LOOK
    copies.state[i, CUE] = below(copies.stream, i, (len(copies.settings) - PATTERNS) // n_units)
    _look(copies, i)


@jit_inline
def _look(copies, i):
    """Damage the pattern anew."""
    n_units = copies.state.shape[1] - LOOK
    first = PATTERNS + np.int64(copies.state[i, CUE]) * n_units
    for k in range(n_units):
        unit = copies.settings[first + k]
        copies.state[i, LOOK + k] = -unit if uniform(copies.stream, i) < copies.settings[FLIP] else unit


@jit_inline
def _transition(copies, i, action):
    if copies.episode_step[i] + 1 < copies.settings[LOOKS]:
        _look(copies, i)
        return 0.0, False
    for k in range(LOOK, copies.state.shape[1]):
        copies.state[i, k] = 0.0
    room = np.int64(copies.state[i, CUE]) % np.int64(copies.settings[ROOMS])
    return (1.0 if action == room else 0.0), True


@jit_inline
def _observe(copies, i, obs):
    for k in range(copies.state.shape[1] - LOOK):
        obs[i, k] = copies.state[i, LOOK + k]


class _Picture:
    """Draws the current look, and tells the pattern's number and room."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def __call__(self, state: Array, episode_step: int) -> Scene:
        cue = int(state[CUE])
        look = state[LOOK:].reshape((8, 8) if self._config.cue == "digits" else (1, 1))
        rooms = self._config.rooms
        facts = {"look": f"{episode_step + 1} of {self._config.looks}", "cue": str(cue), "room": str(cue % rooms)}
        actions = tuple(f"room {room}" for room in range(rooms))
        return Scene("noisy cue", walls=look > 0, actions=actions, facts=facts, meanings={"wall": "unit that is +1"})


if __name__ == "__main__":
    show_env("noisy_cue")
