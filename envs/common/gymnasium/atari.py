"""Atari games (``ALE/Pong-v5``) with the usual preprocessing: frame skip, max pooling, greyscale, 84 x 84.

Frames are given one at a time, uint8 [84, 84]: an agent that wants to see motion stacks them itself. The steps are
those of :class:`gymnasium.wrappers.AtariPreprocessing`. Sources: Mnih et al., Human-level control through deep
reinforcement learning, 2015; Machado et al., Revisiting the Arcade Learning Environment, 2018.

The emulator draws random numbers of its own, and its snapshots leave out what a sticky action would repeat. So one is
taken before every episode, where nothing is to be repeated: an episode is a function of that and of its actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec as GymSpec
from gymnasium.wrappers import AtariPreprocessing, TimeLimit

from simulator.core.field_types import Count, CountOrZero, Share
from simulator.core.protocols import Array

NAMESPACE = "ALE"
_SET_HERE = {
    "frameskip": "atari.frame_skip",
    "repeat_action_probability": "atari.repeat_action_probability",
    "full_action_space": "atari.full_action_space",
    "obs_type": "atari.greyscale",
}


@dataclass(frozen=True)
class Atari:
    """Preprocessing of Atari games (ids of ``ALE/``)."""

    frame_skip: Count = 4
    """frames for which an action is held, seen as the brighter of the last two"""
    noop_max: CountOrZero = 30
    """frames of doing nothing at the start of an episode, at most"""
    greyscale: bool = True
    """uint8 [84, 84]; off: with colours, uint8 [84, 84, 3]"""
    screen: Count = 84
    """pixels along a side of an observation"""
    terminal_on_life_loss: bool = False
    """a lost life ends the episode, and a new game begins"""
    repeat_action_probability: Share = 0.25
    """probability per frame that the action before it is repeated (sticky actions)"""
    full_action_space: bool = False
    """all 18 actions; off: those that do something in this game"""


def is_atari(spec: GymSpec) -> bool:
    """Return whether ``spec`` is one of the emulator's games with frames."""
    return spec.namespace == NAMESPACE


def checked(env_id: str, settings: Atari, spec: GymSpec, kwargs: Mapping[str, Any]) -> None:
    """Refuse settings that do not go together.

    Raises:
        ValueError: one line.
    """
    if not is_atari(spec) and settings != Atari():
        raise ValueError(
            f"environment {env_id}: atari: these settings are for Atari games, expected an id of {NAMESPACE}/"
        )
    for name in kwargs if is_atari(spec) else ():
        if name in _SET_HERE:
            raise ValueError(f"environment {env_id}: kwargs has {name}, expected it as {_SET_HERE[name]}")


def make_kwargs(settings: Atari) -> dict[str, Any]:
    """Return the keyword arguments of the environment itself."""
    return {
        "frameskip": 1,
        "obs_type": "grayscale" if settings.greyscale else "rgb",
        "repeat_action_probability": settings.repeat_action_probability,
        "full_action_space": settings.full_action_space,
    }


def longest(spec: GymSpec, settings: Atari) -> int | None:
    """Return the steps after which the emulator itself truncates an episode."""
    frames = spec.kwargs.get("max_num_frames_per_episode")
    return None if frames is None else -(-int(frames) // settings.frame_skip)


def preprocessed(env: gymnasium.Env[Any, Any], settings: Atari, max_steps: int) -> gymnasium.Env[Any, Any]:
    """Wrap the game with the usual preprocessing, truncated after ``max_steps`` (0: the emulator's limit)."""
    wrapped: gymnasium.Env[Any, Any] = AtariPreprocessing(
        env,
        noop_max=settings.noop_max,
        frame_skip=settings.frame_skip,
        screen_size=settings.screen,
        terminal_on_life_loss=settings.terminal_on_life_loss,
        grayscale_obs=settings.greyscale,
    )
    return TimeLimit(wrapped, max_steps) if max_steps else wrapped


class Emulator:
    """The emulator inside a game, between two episodes.

    Args:
        env: the game.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        self._ale: Any = env.unwrapped.ale  # type: ignore[attr-defined]

    def save(self) -> Array:
        """Return the emulator's memory and random numbers, uint8 [n]."""
        return np.frombuffer(self._ale.cloneState(include_rng=True).serialize(), np.uint8)

    def load(self, saved: Array) -> None:
        """Go back to what :meth:`save` gave; the next reset is then the same again."""
        from ale_py import ALEState

        self._ale.restoreState(ALEState(np.asarray(saved, np.uint8).tobytes()))
