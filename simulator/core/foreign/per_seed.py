"""Adapter of players that see one seed at a time: ``make = per_seed(MyAgent)`` lifts a class to S seeds.

An agent's class, of which one object is made for each seed:

===========================================  ==========================================================================
``__init__(spec, config, rng)``              :class:`simulator.core.protocols.EnvSpec`, the file's ``Config``, and a
                                             ``numpy.random.Generator``, the seed's own: all randomness comes from it
``act(obs)``                                 the exploring action; ``obs`` is an int where observations are Discrete,
                                             else an array
``learn(obs, action, reward, next_obs,       one step; ``next_obs`` is what the step itself led to. It may take
terminated)``                                ``truncated`` too, and return a dict of numbers, the metrics
``greedy(obs)``, optional                    the action that is evaluated; without it the best of ``values``, or ``act``
``values(obs)``, optional                    action values [A], for evaluation and views
``reset()``, optional                        an episode begins
===========================================  ==========================================================================

A memory's class, likewise:

===========================================  ==========================================================================
``__init__(spec, config, rng)``              :class:`simulator.core.memories.PatternSpec`, ``Config``, the seed's rng
``store(patterns)``                          patterns float32 [P, N] in place of those before
``recall(cues, known)``                      restored patterns [Q, N] of cues [Q, N]; ``known`` bool [Q, N], units that
                                             are certain, or None. It may take ``evidence`` too
``energy(patterns)``, optional               [Q], the lower the more familiar; without it the mean squared difference
                                             between a pattern and its recall
``recall_mode``, ``domain``, optional        see :class:`simulator.core.memories.Memory`; "single_pass", "continuous"
===========================================  ==========================================================================

The whole state of an object is what its attributes hold (:mod:`simulator.core.foreign.object_state`); a class with
methods ``state()`` and ``restore(state)`` says it itself. A policy is a copy of the object on a stream of its own, so
that evaluation changes nothing.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from simulator.core import rng
from simulator.core.foreign.casts import held
from simulator.core.foreign.faults import Refusal
from simulator.core.foreign.object_state import object_state, restore_object
from simulator.core.memories import PatternSpec, Recall
from simulator.core.protocols import Array, EnvSpec, Metrics, State, Step

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def per_seed(one_seed: type[Any]) -> Callable[[Any, Sequence[int], Any], Any]:
    """Return the ``make`` of a class that sees one seed at a time, an agent's or a memory's.

    Raises:
        ValueError: the class is neither: it lacks a method; one line.
    """
    agent = [name for name in ("act", "learn") if callable(getattr(one_seed, name, None))]
    memory = [name for name in ("store", "recall") if callable(getattr(one_seed, name, None))]
    if len(agent) < 2 and len(memory) < 2:
        expected = "act and learn, of an agent, or store and recall, of a memory"
        raise ValueError(f"{getattr(one_seed, '__name__', one_seed)} has neither the methods {expected}")
    lifted: type[Any] = PerSeedAgent if len(agent) == 2 else PerSeedMemory

    def make(spec: Any, seeds: Sequence[int], config: Any) -> Any:
        """Make an object of the class for every seed."""
        return lifted(one_seed, spec, seeds, config)

    make.one_seed_class = one_seed  # type: ignore[attr-defined]
    return make


class PerSeedAgent:
    """S agents that each see one seed; see :class:`simulator.core.protocols.Agent`."""

    def __init__(self, one_seed: type[Any], spec: EnvSpec, seeds: Sequence[int], config: Any) -> None:
        self.one_seed_class = one_seed
        self._spec = spec
        self._config = config
        self._seeds = list(seeds)
        self._streams = rng.generators(seeds, "exploration")
        self._learners = [one_seed(spec, config, stream) for stream in self._streams]
        self._began = np.ones(len(self._seeds), np.bool_)
        self._takes_truncated = _takes(one_seed.learn, "truncated", 6)
        if gamma := getattr(config, "gamma", None):
            self.gamma = float(gamma)

    def act(self, obs: Array) -> Array:
        """Return exploring actions, [S]."""
        actions = []
        for i, learner in enumerate(self._learners):
            if self._began[i]:
                _reset(learner)
            actions.append(one_action(learner.act(one_part(obs[i])), self._spec, i))
        self._began[:] = False
        return np.array(actions, self._spec.action.dtype)

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Let every seed learn from its own step."""
        found: list[dict[str, float]] = []
        for i, learner in enumerate(self._learners):
            seen = (one_part(obs[i]), one_part(actions[i]), float(step.reward[i]), one_part(step.final_obs[i]))
            ends = (bool(step.terminated[i]), bool(step.truncated[i]))
            metrics = learner.learn(*seen, *ends[: 1 + self._takes_truncated])
            if metrics is not None and not isinstance(metrics, dict):
                raise Refusal(f"{metrics!r:.60} in seed number {i}, expected None or a dict of numbers")
            found.append(metrics or {})
        self._began = step.terminated | step.truncated
        names = dict.fromkeys(name for metrics in found for name in metrics)
        return {name: np.array([float(metrics.get(name, np.nan)) for metrics in found]) for name in names}

    def policy(self) -> PerSeedPolicy:
        """Return copies of all seeds' objects, on streams of their own."""
        streams = rng.generators(self._seeds, "ties")
        copies = []
        for learner, stream, fresh in zip(self._learners, self._streams, streams, strict=True):
            kept = {id(self._spec): self._spec, id(self._config): self._config, id(stream): fresh}
            copies.append(copy.deepcopy(learner, kept))
        return PerSeedPolicy(copies, self._spec)

    def state(self) -> State:
        """Return the state of every seed."""
        return {**_states(self._learners, self._streams), "began": self._began.copy()}

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        _restore(self._learners, self._streams, state)
        self._began = np.array(state["began"], np.bool_)


class PerSeedPolicy:
    """The policy of S agents that each see one seed; see :class:`simulator.core.protocols.Policy`."""

    def __init__(self, learners: list[Any], spec: EnvSpec) -> None:
        self.one_seed_class = type(learners[0])
        self._learners = learners
        self._spec = spec
        self._has_greedy = hasattr(learners[0], "greedy")
        self._has_values = hasattr(learners[0], "values")

    def act(self, obs: Array, first: Array) -> Array:
        """Return the action of ``greedy``, else the best of ``values``, else that of ``act``; [S]."""
        actions = []
        for i, learner in enumerate(self._learners):
            if first[i]:
                _reset(learner)
            actions.append(one_action(self._chosen(learner, one_part(obs[i])), self._spec, i))
        return np.array(actions, self._spec.action.dtype)

    def _chosen(self, learner: Any, obs: Any) -> Any:
        if self._has_greedy:
            return learner.greedy(obs)
        return self._best(learner, obs) if self._has_values else learner.act(obs)

    def _best(self, learner: Any, obs: Any) -> int:
        """Return the first of the best actions, among those that exist at the observation."""
        values = np.array(learner.values(obs), np.float64)
        legal = self._spec.legal_actions
        if legal is not None:
            values[~legal[obs]] = -np.inf
        return int(values.argmax())

    def probs(self, obs: Array) -> Array | None:
        """Return one-hot rows [S, B, A] where actions are the best of ``values``; else None."""
        if self._has_greedy or not self._has_values or hasattr(self._learners[0], "reset"):
            return None
        best = [[self._best(learner, one_part(row)) for row in obs] for learner in self._learners]
        rows: Array = np.eye(self._spec.action.n)[np.array(best)]  # type: ignore[attr-defined]
        return rows

    def values(self, obs: Array) -> Array | None:
        """Return ``values`` [S, B, A], where the class has them."""
        if not self._has_values:
            return None
        return np.array([[learner.values(one_part(row)) for row in obs] for learner in self._learners], np.float64)


class PerSeedMemory:
    """S memories that each see one seed; see :class:`simulator.core.memories.Memory`."""

    def __init__(self, one_seed: type[Any], spec: PatternSpec, seeds: Sequence[int], config: Any) -> None:
        self.one_seed_class = one_seed
        self.recall_mode: str = getattr(one_seed, "recall_mode", "single_pass")
        self.domain: str = getattr(one_seed, "domain", "continuous")
        self._spec = spec
        self._streams = rng.generators(seeds, "training")
        self._memories = [one_seed(spec, config, stream) for stream in self._streams]
        self._takes_evidence = _takes(one_seed.recall, "evidence", 3)

    @property
    def n_parameters(self) -> int:
        """Number of values in the arrays that one seed keeps."""
        return sum(np.size(array) for array in _arrays(_state(self._memories[0])))

    def store(self, patterns: Array) -> None:
        """Store patterns [S, P, N].

        Raises:
            ValueError: no patterns, another shape, or values that are not finite.
        """
        shape = np.shape(patterns)
        if len(shape) != 3 or (shape[0], shape[2]) != (len(self._memories), self._spec.n) or not shape[1]:
            expected = f"[{len(self._memories)} seeds, at least one pattern, {self._spec.n} units]"
            raise ValueError(f"patterns of shape {shape}, expected {expected}")
        if not np.isfinite(patterns).all():
            raise ValueError("a pattern has a value that is not finite, expected numbers from -1 to 1")
        for memory, own in zip(self._memories, patterns, strict=True):
            memory.store(own)

    def recall(self, cues: Array, known: Array | None = None, evidence: Array | None = None) -> Recall:
        """Restore cues [S, Q, N]."""
        patterns = np.empty(cues.shape, np.float32)
        for i, memory in enumerate(self._memories):
            given = [cues[i], None if known is None else known[i], None if evidence is None else evidence[i]]
            restored = memory.recall(*given[: 2 + self._takes_evidence])
            if np.shape(restored) != cues[i].shape:
                raise Refusal(f"an array of shape {np.shape(restored)} in seed number {i}, expected {cues[i].shape}")
            patterns[i] = restored
        energy = np.stack([self.energy(cues), self.energy(patterns)], axis=2)
        return Recall(patterns, energy, np.ones(cues.shape[:2], np.int64))

    def energy(self, patterns: Array) -> Array:
        """Return the class's own ``energy``, or how far recall moves each pattern; [S, Q]."""
        found = []
        for memory, own in zip(self._memories, patterns, strict=True):
            if hasattr(memory, "energy"):
                energy = np.asarray(memory.energy(own), np.float64)
            else:
                energy = np.mean((np.asarray(memory.recall(own, None)) - own) ** 2, axis=1, dtype=np.float64)
            if energy.shape != own.shape[:1]:
                raise Refusal(f"energies of shape {energy.shape}, expected one for each of {len(own)} patterns")
            found.append(energy)
        return np.stack(found)

    def state(self) -> State:
        """Return the state of every seed."""
        return _states(self._memories, self._streams)

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        _restore(self._memories, self._streams, state)


def _takes(method: Callable[..., Any], name: str, position: int) -> bool:
    """Tell whether a method takes one more argument: by name, or as the number ``position`` after self."""
    parameters = inspect.signature(method).parameters.values()
    positional = [parameter for parameter in parameters if parameter.kind in _POSITIONAL]
    every = any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters)
    return every or len(positional) > position or any(parameter.name == name for parameter in positional)


def one_part(value: Any) -> Any:
    """Return one seed's part of an array: a Python number where it is one, else an array."""
    return value.item() if np.ndim(value) == 0 else value


def _reset(learner: Any) -> None:
    if hasattr(learner, "reset"):
        learner.reset()


def one_action(given: Any, spec: EnvSpec, i: int) -> Any:
    """Convert what ``act`` returned to an action of the space.

    Raises:
        Refusal: it is none.
    """
    space: Any = spec.action
    kind = np.dtype(space.dtype)
    action = held(given, kind)
    if hasattr(space, "n"):
        if action is not None and action.size == 1 and 0 <= action.item() < space.n:
            return action.item()
        raise Refusal(f"{_shown(given)} in seed number {i}, expected a whole number from 0 to {space.n - 1}")
    if action is None or action.shape != space.shape or not np.isfinite(action).all():
        raise Refusal(f"{_shown(given)} in seed number {i}, expected numbers of the shape {space.shape}")
    return np.clip(action, space.low, space.high) if hasattr(space, "low") else action


def _shown(given: Any) -> str:
    value = given.item() if isinstance(given, np.generic) else given
    return " ".join(repr(value).split())[:60]


def _state(one: Any) -> State:
    state: State = one.state() if hasattr(one, "state") else object_state(one)
    return state


def _states(every: list[Any], streams: list[np.random.Generator]) -> State:
    """Return the states of all seeds' objects, and their streams."""
    return {"seeds": [_state(one) for one in every], "streams": [object_state(_Stream(stream)) for stream in streams]}


def _restore(every: list[Any], streams: list[np.random.Generator], state: State) -> None:
    for one, own in zip(every, state["seeds"], strict=True):
        one.restore(own) if hasattr(one, "restore") else restore_object(one, own)
    for stream, own in zip(streams, state["streams"], strict=True):
        restore_object(_Stream(stream), own)


class _Stream:
    """A generator as the only attribute of an object."""

    def __init__(self, generator: np.random.Generator) -> None:
        self.generator = generator


def _arrays(state: Any) -> list[Array]:
    """List the arrays of a state, but those of generators."""
    if isinstance(state, np.ndarray):
        return [state]
    if isinstance(state, dict):
        own = [] if state.get("is") == "generator" else list(state.values())
        return [array for value in own for array in _arrays(value)]
    return [array for value in state for array in _arrays(value)] if isinstance(state, list | tuple) else []
