"""Repeat previous: name the symbol that was shown k steps before (RepeatPrevious of POPGym, Morad et al. 2023).

Symbols are uniform and independent of each other, so nothing but memory helps. Where POPGym deals shuffled decks of 52
cards, symbols are drawn anew here: then the bounds are exact, and counting cards is no way around memory.

=========  =====================================================
action     meaning
=========  =====================================================
j          name symbol j; the first k actions count for nothing
=========  =====================================================

=============  ======================================================
observation    float32 [symbols], a one-hot vector of the symbol shown
=============  ======================================================
0 to n - 1     1 for the symbol that is shown now, else 0
=============  ======================================================

=================================================  ======================================================
event                                              reward and end
=================================================  ======================================================
the symbol of k steps before                       1 / (``steps`` - k)
another symbol                                     minus that
one of the first k steps                           0
``steps`` steps                                    terminates
=================================================  ======================================================

Returns go from -1 to 1. With a memory of k + 1 observations 1 is possible. Without memory every action is right with
probability 1 / n, so the best and random play are both worth 2 / n - 1 (for k = 0 seeing is enough: 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

import msgspec
import numpy as np
from gymnasium import spaces

from envs.common.compiled_env import CompiledEnv, Dynamics
from envs.common.demo import show_env
from envs.common.return_bounds import solved_from
from simulator.core import rng
from simulator.core.jit import jit_inline
from simulator.core.protocols import Array, EnvSpec
from simulator.core.rng_compiled import below
from simulator.core.scene import Scene

SYMBOLS = 0  # places in the settings
STEPS = 1


@dataclass(frozen=True)
class Config:
    """Settings of repeat previous."""

    k: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 4
    """steps between a symbol and its naming"""
    symbols: Annotated[int, msgspec.Meta(ge=2, le=100)] = 4
    """number of different symbols"""
    steps: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 52
    """steps of an episode, more than k"""


def make(seed_list: Sequence[int], config: Config) -> CompiledEnv:
    """Make one row of symbols for every seed.

    Raises:
        ValueError: a setting out of range, or episodes of no more than k steps; one line.
    """
    settings = np.array([config.symbols, config.steps], np.float64)
    dynamics = Dynamics(_start, _transition, _observe)
    stream = rng.pcg64_states(seed_list, "env")
    return CompiledEnv(describe(config), seed_list, dynamics, settings, np.zeros(config.k + 1), _render, stream=stream)


def describe(config: Config) -> EnvSpec:
    """Describe the environment.

    Raises:
        ValueError: see :func:`make`.
    """
    for name, value in asdict(config).items():
        try:
            msgspec.convert({name: value}, Config)
        except msgspec.ValidationError as error:
            expected = str(error).partition(" - at")[0]
            raise ValueError(f"repeat_previous: {name} = {value!r}: {expected[:1].lower()}{expected[1:]}") from error
    if config.steps <= config.k:
        raise ValueError(f"repeat_previous: steps = {config.steps}: expected more than k, {config.k}")
    n = config.symbols
    return EnvSpec(
        id="repeat_previous",
        observation=spaces.Box(0.0, 1.0, (n,), np.float32),
        action=spaces.Discrete(n),
        max_steps=config.steps,
        random_score=2.0 / n - 1.0,
        reward_threshold=solved_from(1.0),
        optimal_return=1.0,
        memoryless_return=2.0 / n - 1.0 if config.k else 1.0,
    )


@jit_inline
def _start(copies, i):
    for k in range(1, copies.state.shape[1]):
        copies.state[i, k] = -1.0  # nothing yet
    copies.state[i, 0] = below(copies.stream, i, np.int64(copies.settings[SYMBOLS]))


@jit_inline
def _transition(copies, i, action):
    """Judge the action by the oldest symbol, then show the next one; the state is the row of symbols, newest first."""
    k = copies.state.shape[1] - 1
    asked = copies.state[i, k]
    for age in range(k, 0, -1):
        copies.state[i, age] = copies.state[i, age - 1]
    copies.state[i, 0] = below(copies.stream, i, np.int64(copies.settings[SYMBOLS]))
    share = 0.0 if asked < 0 else 1.0 / (copies.settings[STEPS] - k)
    return (share if action == asked else -share), copies.episode_step[i] + 1 == copies.settings[STEPS]


@jit_inline
def _observe(copies, i, obs):
    for symbol in range(obs.shape[1]):
        obs[i, symbol] = copies.state[i, 0] == symbol


def _render(state: Array, episode_step: int) -> Scene:
    """Name the symbol that is shown and the one that is asked for."""
    asked = f"{int(state[-1])}" if state[-1] >= 0 else "none yet"
    facts = {"step": str(episode_step), "shown": f"{int(state[0])}", "asked": asked}
    return Scene("repeat previous", facts=facts)


if __name__ == "__main__":
    show_env("repeat_previous")
