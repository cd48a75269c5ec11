"""Gymnasium ids: which there are, and how one is made; whatever goes wrong becomes one clear line."""

from __future__ import annotations

import difflib
import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec, load_env_creator

Env = gymnasium.Env[Any, Any]

_REGISTERED_BY = {"ALE": "ale_py", "engram": "envs.parts.export"}  # namespace -> the module that registers it
_BROUGHT_BY = {  # a module that worlds need -> what installs it
    "Box2D": "gymnasium[box2d]",
    "ale_py": "ale-py",
    "cv2": "opencv-python-headless",
    "mujoco": "gymnasium[mujoco]",
    "jax": "gymnasium[jax]",
    "pygame": "pygame-ce",
}
_DRAWS_ALONG = (
    "gymnasium.envs.box2d.lunar_lander:LunarLander",
)  # simulates its sparks, which triples a step, where it may draw
_SHIMS = ("GymV21Environment-v0", "GymV26Environment-v0")
_OWN_SETTINGS = {
    "render_mode": "leave it out",
    "max_episode_steps": "use max_steps",
    "disable_env_checker": "leave it out",
}


def known_ids() -> list[str]:
    """Every id that is registered now, in order; some need an extra to be made."""
    return sorted(name for name in gymnasium.registry if name not in _SHIMS)


def is_known(env_id: str) -> bool:
    """Whether ``env_id`` is registered, or names the module that would register it (``module:EnvId``)."""
    module, _, name = env_id.rpartition(":")
    return bool(module and name) or name in gymnasium.registry or name.partition("/")[0] in _REGISTERED_BY


def find(env_id: str) -> EnvSpec:
    """The registered spec of ``env_id``; ``module:EnvId`` imports the module first.

    Raises:
        ValueError: the module cannot be imported, or the id is not registered.
    """
    module, _, name = env_id.rpartition(":")
    module = module or _REGISTERED_BY.get(name.partition("/")[0], "")
    if module:
        _import(env_id, module)
    if name not in gymnasium.registry:
        near = difflib.get_close_matches(name, known_ids(), n=3, cutoff=0.5)
        offer = f"the nearest are {', '.join(near)}" if near else "`engram list worlds` shows those there are"
        raise ValueError(f"world {env_id}: no Gymnasium environment of this id is registered; {offer}")
    return gymnasium.registry[name]


def create(
    env_id: str, spec: EnvSpec, kwargs: Mapping[str, Any], max_steps: int, finish: Callable[[Env], Env] | None = None
) -> Env:
    """One environment, its pictures as arrays where it can draw; ``max_steps`` 0 keeps the registered limit.

    ``finish`` puts wrappers around it.

    Raises:
        ValueError: it cannot be made: something is not installed, or a setting in ``kwargs`` is wrong.
    """
    for name, instead in _OWN_SETTINGS.items():
        if name in kwargs:
            raise ValueError(f"world {env_id}: kwargs has {name}, which the host sets itself: {instead}")
    settings = dict(kwargs, disable_env_checker=True)
    if max_steps:
        settings["max_episode_steps"] = max_steps
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old versions, of missing descriptions: not the user's affair
        try:
            env = gymnasium.make(spec, **_pictures(spec), **settings)
            return finish(env) if finish else env
        except Exception as error:
            raise ValueError(f"world {env_id}: {_reason(error, kwargs)}") from error


def _pictures(spec: EnvSpec) -> dict[str, str]:
    """The render mode to ask for: arrays, which cost nothing until they are asked for, but in the lunar lander."""
    entry = spec.entry_point
    if entry in _DRAWS_ALONG:
        return {}
    creator = load_env_creator(entry) if isinstance(entry, str) else entry
    metadata = getattr(creator, "metadata", None)
    modes = metadata.get("render_modes") if isinstance(metadata, dict) else None
    return {"render_mode": "rgb_array"} if "rgb_array" in (modes or ()) else {}


def _import(env_id: str, module: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            loaded = importlib.import_module(module)
        except Exception as error:
            raise ValueError(f"world {env_id}: {module} cannot be imported: {_reason(error, {})}") from error
    if module == "ale_py":
        gymnasium.register_envs(loaded)
        loaded.ALEInterface.setLoggerMode(loaded.LoggerMode.Error)  # or every emulator greets on stderr


def _reason(error: BaseException, kwargs: Mapping[str, Any]) -> str:
    """Why it failed, in one line, with the command that helps where something is not installed."""
    line = " ".join(str(error).split()) or type(error).__name__
    for cause in (error, error.__cause__):
        if isinstance(cause, ModuleNotFoundError) and cause.name in _BROUGHT_BY:
            return f'{cause.name} is not installed; pip install "{_BROUGHT_BY[cause.name]}"'
    if isinstance(error, ImportError):
        return line
    given = f" with kwargs {dict(kwargs)}" if kwargs else ""
    return f"cannot be made{given}: {type(error).__name__}: {line}"
