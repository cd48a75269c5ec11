"""Compiled equivalents of Gymnasium's environments, for settings that give the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.envs.classic_control import AcrobotEnv, CartPoleEnv, MountainCarEnv
from gymnasium.envs.toy_text import BlackjackEnv
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit

from simulator.core import registry
from simulator.core.protocols import Env, EnvSpec

_MAY_DIFFER = (  # attributes of an original that change no number, or that its equivalent takes over as a setting
    *("spec", "render_mode", "_np_random", "_np_random_seed"),
    *("_sutton_barto_reward", "goal_velocity", "book_or_nips", "torque_noise_max", "sab", "natural"),
)
HARMLESS = (TimeLimit, OrderEnforcing, PassiveEnvChecker)  # wrappers that change no number

Settings = dict[str, Any]


class CompiledEquivalent(NamedTuple):
    """An environment of ours that gives the same numbers."""

    module: Any  # its file
    config: Any  # its settings

    def make(self, seeds: Sequence[int], spec: EnvSpec) -> Env:
        """Make one copy per seed, under the name in ``spec``."""
        env: Env = self.module.make(seeds, self.config)
        env.spec = spec
        return env


def _cartpole(core: Any) -> Settings | None:
    plain = core.kinematics_integrator == "euler" and isinstance(core._sutton_barto_reward, bool)
    return {"sutton_barto_reward": core._sutton_barto_reward} if plain else None


def _mountain_car(core: Any) -> Settings | None:
    return {"goal_velocity": float(core.goal_velocity)} if isinstance(core.goal_velocity, int | float) else None


def _acrobot(core: Any) -> Settings | None:
    if core.book_or_nips not in ("book", "nips") or list(core.AVAIL_TORQUE) != [-1.0, 0.0, 1.0]:
        return None
    return {"equations": core.book_or_nips, "torque_noise": float(core.torque_noise_max)}


def _blackjack(core: Any) -> Settings | None:
    plain = isinstance(core.sab, bool) and isinstance(core.natural, bool)
    return {"sab": core.sab, "natural": core.natural} if plain else None


_EQUIVALENTS: dict[type, tuple[str, Callable[[Any], Settings | None]]] = {
    CartPoleEnv: ("cartpole", _cartpole),
    MountainCarEnv: ("mountain_car", _mountain_car),
    AcrobotEnv: ("acrobot", _acrobot),
    BlackjackEnv: ("blackjack", _blackjack),
}


def is_bare(env: gymnasium.Env[Any, Any]) -> bool:
    """Return whether nothing is wrapped around ``env`` that could change a number."""
    core = env.unwrapped
    while env is not core:
        if type(env) not in HARMLESS:
            return False
        env = env.env  # type: ignore[attr-defined]
    return True


def _is_as_made(core: Any) -> bool:
    """Return whether an original has its class's numbers and methods, but for settings that its equivalent takes over.

    The code that registers it may have changed its gravity since, or replaced one of its methods.
    """
    plain = type(core)()
    return all(
        _is_same(value, getattr(plain, name, None)) for name, value in vars(core).items() if name not in _MAY_DIFFER
    )


def _is_same(value: Any, other: Any) -> bool:
    if value is other:
        return True
    return type(value) is type(other) and bool(np.all(value == other))


def compiled_equivalent(env: gymnasium.Env[Any, Any], max_steps: int | None) -> CompiledEquivalent | None:
    """Return the compiled environment that is equivalent to ``env``, or None."""
    name, settings_of = _EQUIVALENTS.get(type(env.unwrapped), ("", None))
    settings = settings_of(env.unwrapped) if settings_of and is_bare(env) and _is_as_made(env.unwrapped) else None
    if settings is None:
        return None
    player = registry.load("envs", name)
    return CompiledEquivalent(player.module, player.Config(**settings, max_steps=max_steps or 0))
