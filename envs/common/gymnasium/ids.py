"""Gymnasium ids: lookup and construction, with one-line errors."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import gymnasium
from gymnasium.envs.registration import EnvSpec as GymSpec
from gymnasium.envs.registration import load_env_creator

from simulator.core.files.escaping import MAX_PATH, shortened, visible
from simulator.core.foreign import own_packages
from simulator.core.foreign.faults import FOREIGN, fault_of
from simulator.core.foreign.python_files import PREFIX
from simulator.core.registry import reason

SingleEnv = gymnasium.Env[Any, Any]

_REGISTERED_BY = {
    "ALE": "ale_py",
    "engram": "envs.common.gymnasium.export",
}  # namespace -> the module that registers it
_PREFIXES = {"MiniGrid": "minigrid", "BabyAI": "minigrid"}  # first word of an id -> the module that registers it
_BROUGHT_BY = {  # module that environments need -> its distribution
    "Box2D": "gymnasium[box2d]",
    "ale_py": "ale-py",
    "cv2": "opencv-python-headless",
    "mujoco": "gymnasium[mujoco]",
    "jax": "gymnasium[jax]",
    "minigrid": "minigrid",
    "pygame": "pygame-ce",
}
_DRAWS_ALONG = (
    "gymnasium.envs.box2d.lunar_lander:LunarLander",
)  # simulates its sparks, which triples a step, where it may draw
_SHIMS = ("GymV21Environment-v0", "GymV26Environment-v0")
_CLASS = "class."  # before the name of a class of a file, which is not an id
_OWN_SETTINGS = {
    "render_mode": "leave it out",
    "max_episode_steps": "use max_steps",
    "disable_env_checker": "leave it out",
}


def known_ids() -> list[str]:
    """Return every registered id, in order; some need an extra to be made."""
    return sorted(env_id for env_id in gymnasium.registry if env_id not in _SHIMS and not env_id.startswith(PREFIX))


def is_known(env_id: str) -> bool:
    """Return whether ``env_id`` is registered, or names the module that would register it (``module:EnvId``)."""
    module, _, name = env_id.rpartition(":")
    return bool(module and name) or name in gymnasium.registry or bool(_registering(name))


def find(env_id: str) -> GymSpec:
    """Return the registered spec of ``env_id``; ``module:EnvId`` imports the module first.

    Raises:
        ValueError: the module cannot be imported, or the id is not registered.
    """
    module, _, name = env_id.rpartition(":")
    module = module or ("" if name in gymnasium.registry else _registering(name))
    if module:
        _import(env_id, module)
    if name not in gymnasium.registry:
        similar = difflib.get_close_matches(name, known_ids(), n=3, cutoff=0.5)
        offer = f"the nearest are {', '.join(similar)}" if similar else "`engram list envs` shows all"
        raise ValueError(f"environment {env_id}: no Gymnasium environment of this id is registered; {offer}")
    return gymnasium.registry[name]


def _registering(name: str) -> str:
    """Return the module that registers an id, by its namespace or its first word; empty if none is known."""
    return _REGISTERED_BY.get(name.partition("/")[0]) or _PREFIXES.get(name.partition("-")[0], "")


def files_of(env_id: str) -> list[str]:
    """Return the files of ``module:EnvId``: of the module that registers it, and of the environment's class.

    Raises:
        ValueError: see :func:`find`.
    """
    entry: Any = find(env_id).entry_point
    module = env_id.rpartition(":")[0]
    with warnings.catch_warnings(), contextlib.suppress(Exception):  # reported when it is made
        warnings.simplefilter("ignore")
        entry = load_env_creator(entry) if isinstance(entry, str) else entry
    modules = [sys.modules.get(module), sys.modules.get(getattr(entry, "__module__", ""))]
    modules += own_packages.go_on(module) if module in own_packages.NAMES else ()
    files = [getattr(module, "__file__", None) for module in modules]
    return [file for file in dict.fromkeys(files) if file]


def load_file(load: Callable[[], Any]) -> Any:
    """Load the module of a Python file; the ids of the file are registered again, if no other file takes them."""
    before = dict(gymnasium.registry)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ids that another file has registered too
        module = load()
    for env_id, spec in list(gymnasium.registry.items()):
        if before.get(env_id) is not spec:
            gymnasium.registry[_own_id(module, env_id)] = replace(spec, id=_own_id(module, env_id))
    return module


def id_in_file(file: str, module: Any, name: str) -> str:
    """Return the id of an environment of a Python file: a registered one, or a class by name.

    Raises:
        ValueError: there is none of that name; one line.
    """
    own_id = _own_id(module, name)
    member = vars(module).get(name)
    if own_id in gymnasium.registry:
        return own_id
    if name in gymnasium.registry:  # by what it imports
        gymnasium.registry[own_id] = replace(gymnasium.registry[name], id=own_id)
        return own_id
    if isinstance(member, type) and issubclass(member, gymnasium.Env):
        of_class = _own_id(module, f"{_CLASS}{name}")
        gymnasium.registry[of_class] = GymSpec(of_class, entry_point=cast(Any, member))
        return of_class
    shown = visible(shortened(file, MAX_PATH))
    called = visible(shortened(name))
    raise ValueError(f"environment {shown}: no environment is called {called} there; {instead_of_file(module)}")


def only_env(module: Any) -> str | None:
    """Return the only environment of a file: the one id that it registers, else its one class; None: several or none.

    A class that another class of the file extends does not count.
    """
    ids = _ids(module)
    classes = _classes(module)
    own = [one for one in classes.values() if one.__module__ == module.__name__]
    last = [one for one in own if not any(other is not one and issubclass(other, one) for other in own)]
    if ids:
        return ids[0] if len(ids) == 1 else None
    return last[0].__name__ if len(last) == 1 and last[0].__name__ in classes else None


def instead_of_file(module: Any) -> str:
    """Describe the expected name behind the path of a file, with the names that it holds."""
    names = sorted({*_ids(module), *_classes(module)} - {"Env"})
    offered = ", ".join(names[:8])
    return f"expected FILE.py:NAME, an id that it registers or a class of gymnasium.Env; it has {offered or 'none'}"


def _ids(module: Any) -> list[str]:
    """List the ids that a file registers."""
    start = _own_id(module, "")
    ids = [env_id.removeprefix(start) for env_id in gymnasium.registry if env_id.startswith(start)]
    return [env_id for env_id in ids if not env_id.startswith(_CLASS)]


def _classes(module: Any) -> dict[str, type[SingleEnv]]:
    """Map names to the classes of environments in a file, imported ones too."""
    members = vars(module).items()
    return {name: value for name, value in members if isinstance(value, type) and issubclass(value, gymnasium.Env)}


def _own_id(module: Any, name: str) -> str:
    return f"{module.__name__}/{name.replace('/', '.')}"


def create(
    env_id: str,
    spec: GymSpec,
    kwargs: Mapping[str, Any],
    max_steps: int,
    finish: Callable[[SingleEnv], SingleEnv] | None = None,
) -> SingleEnv:
    """Make one environment that renders arrays, if it can; ``max_steps`` 0 keeps the registered limit.

    ``finish`` puts wrappers around it.

    Raises:
        ValueError: it cannot be made: something is not installed, or a setting in ``kwargs`` is wrong.
    """
    for name, instead in _OWN_SETTINGS.items():
        if name in kwargs:
            raise ValueError(f"environment {env_id}: kwargs has {name}, which the host sets itself: {instead}")
    settings = dict(kwargs, disable_env_checker=True)
    if max_steps:
        settings["max_episode_steps"] = max_steps
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old versions and missing descriptions, irrelevant to the user
        try:
            env = gymnasium.make(spec, **_pictures(spec), **settings)
            return finish(env) if finish else env
        except FOREIGN as error:
            raise ValueError(f"environment {env_id}: {_reason(error, kwargs)}") from error


def _pictures(spec: GymSpec) -> dict[str, Any]:
    """Return the render mode: arrays, which cost nothing until they are asked for, except in the lunar lander."""
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
            if module in own_packages.NAMES:  # envs:EnvId is a module of the user's
                any(env_id.rpartition(":")[2] in gymnasium.registry for _ in own_packages.go_on(module))
        except FOREIGN as error:
            hint = _to_install(error) or reason(error)
            raise ValueError(f"environment {env_id}: {module} cannot be imported: {hint}") from error
    if module == "ale_py":
        gymnasium.register_envs(loaded)
        loaded.ALEInterface.setLoggerMode(loaded.LoggerMode.Error)  # or every emulator greets on stderr


def _reason(error: BaseException, kwargs: Mapping[str, Any]) -> str:
    """Describe a failure in one line, with the command that installs what is missing."""
    line = " ".join(str(error).split()) or type(error).__name__
    if hint := _to_install(error):
        return hint
    if isinstance(error, ImportError):
        return line
    with_kwargs = f" with kwargs {dict(kwargs)}" if kwargs else ""
    return f"cannot be made{with_kwargs}: {fault_of(error)}"


def _to_install(error: BaseException) -> str:
    """Name the missing package and the command that installs it, where that is the reason; else empty."""
    for cause in (error, error.__cause__):
        if isinstance(cause, ModuleNotFoundError) and cause.name in _BROUGHT_BY:
            return f'{cause.name} is not installed; pip install "{_BROUGHT_BY[cause.name]}"'
    return ""
