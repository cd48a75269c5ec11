"""Wrappers of foreign players: arrays are copied and validated, and errors name the player and the call.

A player from elsewhere (a Python file, a dotted name, an entry point) is wrapped when it is loaded. Arrays are copied
in both directions, so that it may change its inputs, and change or keep its outputs. Its errors become one line that
names the player, the call, the error and its source line. Observations must be in the observation space, and arrays
must have the shapes of the contract.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from simulator.core.foreign.casts import held
from simulator.core.foreign.faults import FOREIGN, PlayerError, guarded, player_error
from simulator.core.memories import PatternSpec, Recall
from simulator.core.protocols import Array, EnvSpec, Step

Check = Callable[["Guarded", str, Any], Any]  # (player, method, result) -> the result as it is handed on
METHODS = {  # what a player's class must have
    "agents": ("act", "learn", "policy", "state", "restore"),
    "memories": ("store", "recall", "energy", "state", "restore"),
    "envs": ("reset", "step", "observe", "state", "restore"),
}
_SHARED = ("rollout",)  # works in place on the arrays of both sides, by contract


class Guarded:
    """Wrapper of a foreign player or of an object that it returned; forwards attributes.

    Args:
        inner: the player.
        owner: what errors call it.
        check: looks at what its methods gave.
    """

    __slots__ = ("_check", "_class", "_inner", "_whose")

    def __init__(self, inner: Any, owner: str, check: Check) -> None:
        values = (("_inner", inner), ("_whose", owner), ("_check", check), ("_class", class_name(inner)))
        for name, value in values:
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        try:
            value = getattr(self._inner, name)
        except AttributeError:  # it has none
            raise
        except FOREIGN as error:
            raise player_error(self._call(name), error) from error
        if not callable(value) or isinstance(value, type):
            return value

        @functools.wraps(value)
        def call(*args: Any, **kwargs: Any) -> Any:
            with guarded(self._call(name)):
                if name in _SHARED:
                    return value(*args, **kwargs)
                result = value(*copied(args), **copied(kwargs))
                return self._check(self, name, copied(result))

        return call

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._inner, name, value)

    def refuse(self, name: str, said: str) -> PlayerError:
        """Return an error about a value that one of its methods returned."""
        return PlayerError(f"{self._call(name)} gave {said}")

    def _call(self, name: str) -> str:
        """Name one of its methods: the player, its class and the method."""
        return f"{self._whose}: {self._class}.{name}"


def guarded_make(kind: str, name: str, make: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the ``make`` of a foreign player, so that its players are guarded.

    A ValueError is what ``make`` refuses settings with; it is passed on as it is.
    """
    if kind not in _CHECKS:
        return make
    word, check = _CHECKS[kind]
    owner = f"{word} {name}"

    @functools.wraps(make)
    def build(*args: Any, **kwargs: Any) -> Any:
        try:
            inner = make(*args, **kwargs)
        except ValueError:
            raise
        except FOREIGN as error:
            raise player_error(f"{owner}: make", error) from error
        _check_methods(kind, owner, inner)
        if kind == "envs":
            _check_spec(owner, inner)
        if kind == "agents":
            spec, seeds = inspect.signature(make).bind(*args, **kwargs).args[:2]
            return Guarded(inner, owner, functools.partial(_agent_gave, spec, len(seeds)))
        if kind == "memories":
            spec, seeds = inspect.signature(make).bind(*args, **kwargs).args[:2]
            return Guarded(inner, owner, functools.partial(_memory_gave, spec, len(seeds)))
        return Guarded(inner, owner, check)

    return build


def class_name(player: Any) -> str:
    """Name the class of a player; of one that sees one seed at a time its own, not its adapter's."""
    one_seed = getattr(player, "one_seed_class", None)
    return one_seed.__name__ if isinstance(one_seed, type) else type(player).__name__


def copied(value: Any) -> Any:
    """Copy the arrays of a value, also within tuples, lists and tables."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, tuple):
        parts = [copied(item) for item in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, list):
        return [copied(item) for item in value]
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return value


def _gave(player: Guarded, name: str, result: Any) -> Any:
    """Accept any value."""
    return result


def _agent_gave(spec: EnvSpec, n_seeds: int, agent: Guarded, name: str, result: Any) -> Any:
    if name == "policy":
        check = functools.partial(_agent_gave, spec, n_seeds)
        return Guarded(result, agent._whose + "'s policy", check)
    if name in ("probs", "values") and result is not None:
        shape = np.shape(result)
        n_actions = getattr(spec.action, "n", None)
        if len(shape) != 3 or shape[0] != n_seeds or n_actions not in (None, shape[2]):
            expected = f"[S, B, A]: {n_seeds} seeds, the observations, {n_actions or 'the'} actions"
            raise agent.refuse(name, f"an array of shape {shape}, expected {expected}")
    if name == "act":
        actions = np.asarray(result)
        if actions.dtype.kind not in "biuf" or not actions.ndim:
            raise agent.refuse(name, f"{result!r:.100}, expected an array of one action for each seed")
        return actions
    if name == "learn":
        if result is not None and not isinstance(result, Mapping):
            raise agent.refuse(name, f"{result!r:.100}, expected a table of metrics, name -> [S]")
        metrics = {str(key): np.atleast_1d(np.array(value)) for key, value in (result or {}).items()}
        for key, value in metrics.items():
            if value.shape != (n_seeds,):
                raise agent.refuse(
                    name, f"{key!r} of shape {value.shape}, expected one number for each of {n_seeds} seeds"
                )
        return metrics
    return result


def _memory_gave(spec: PatternSpec, n_seeds: int, memory: Guarded, name: str, result: Any) -> Any:
    if name == "recall":
        if not isinstance(result, tuple) or len(result) != 3:
            raise memory.refuse(name, f"{result!r:.100}, expected a simulator.core.memories.Recall")
        recall = Recall(*map(np.asarray, result))
        n_cues = recall.patterns.shape[1] if recall.patterns.ndim == 3 else "Q"
        energy = recall.energy[..., 0] if recall.energy.ndim == 3 else recall.energy[..., None, None, None]
        for what, array, shape in (
            ("patterns", recall.patterns, (n_seeds, n_cues, spec.n)),
            ("energies at the cues", energy, (n_seeds, n_cues)),
            ("iterations", recall.n_iters, (n_seeds, n_cues)),
        ):
            if array.shape != shape or array.dtype.kind not in "biuf":
                expected = f"numbers [{', '.join(map(str, shape))}]"
                raise memory.refuse(name, f"{what} of type {array.dtype} and shape {array.shape}, expected {expected}")
        return recall
    if name == "energy":
        energy = np.asarray(result)
        if energy.ndim != 2 or len(energy) != n_seeds:
            raise memory.refuse(name, f"an array of shape {energy.shape}, expected [{n_seeds}, Q]")
        return energy
    return result


def _env_gave(env: Guarded, name: str, result: Any) -> Any:
    if name in ("reset", "observe"):
        return _observations(env, name, result)
    if name != "step":
        return result
    if not isinstance(result, tuple) or len(result) != 5:
        raise env.refuse(name, f"{result!r:.100}, expected a Step")
    step = Step(*result)
    reward = held(step.reward, np.dtype(np.float32))
    flags = [held(flag, np.dtype(np.bool_)) for flag in (step.terminated, step.truncated)]
    if reward is None:
        raise env.refuse(name, f"the rewards {step.reward!r:.100}, expected finite numbers")
    if flags[0] is None or flags[1] is None:
        raise env.refuse(name, f"ends {step.terminated!r:.50}, {step.truncated!r:.50}, expected truth values")
    obs = _observations(env, name, step.obs)
    final_obs = _observations(env, name, step.final_obs)
    if not len(reward) == len(flags[0]) == len(flags[1]) == len(obs) == len(final_obs):
        raise env.refuse(name, "arrays of different lengths, expected one entry for each seed")
    return Step(obs, reward, flags[0], flags[1], final_obs)


def _observations(env: Guarded, name: str, given: Any) -> Array:
    """Convert observations of every seed, [S, *obs], to the type of the observation space."""
    space = env.spec.observation
    obs = held(given, np.dtype(space.dtype))
    if obs is None or obs.shape[1:] != tuple(space.shape or ()) or not obs.ndim:
        shown = " ".join(repr(given).split())[:100]
        raise env.refuse(name, f"the observations {shown}, expected values of {space} for each seed")
    low, high = (0, space.n - 1) if hasattr(space, "n") else (space.low, space.high)
    if obs.dtype.kind in "iu":
        within = ((obs >= low) & (obs <= high)).reshape(len(obs), -1).all(axis=1)
        if not within.all():
            invalid = int(np.argmin(within))
            shown = " ".join(np.array2string(obs[invalid], threshold=8).split())[:100]
            raise env.refuse(name, f"seed number {invalid} the observation {shown}, expected a value of {space}")
    return obs


_CHECKS: dict[str, tuple[str, Check]] = {
    "agents": ("agent", _gave),  # its check knows the spec and the seeds, as that of memories
    "envs": ("env", _env_gave),
    "memories": ("memory", _gave),
    "challenges": ("challenge", _gave),
    "games": ("game", _gave),
}


def _check_methods(kind: str, owner: str, inner: Any) -> None:
    """Check that a player has the methods of its kind."""
    required = METHODS.get(kind, ())
    with guarded(f"{owner}: {class_name(inner)}"):
        missing = [name for name in required if not callable(getattr(inner, name, None))]
    if missing:
        expected = f"{', '.join(required[:-1])} and {required[-1]}" if required else ""
        raise PlayerError(f"{owner}: {class_name(inner)} has no method {missing[0]}, expected {expected}")


def _check_spec(owner: str, env: Any) -> None:
    spec = getattr(env, "spec", None)
    if not isinstance(spec, EnvSpec):
        raise PlayerError(f"{owner}: its spec is {spec!r:.100}, expected a simulator.core.protocols.EnvSpec")
