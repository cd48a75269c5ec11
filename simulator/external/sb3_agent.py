"""A class of stable-baselines3 as the agent of a run: ``engram run sb3:PPO CartPole-v1``.

The library drives a loop of its own, ``learn``, and so does the host. Each seed's model therefore learns in a thread
whose environment hands the model's action over and waits for the host's step; one thread runs at a time, and each has
states of the global generators of its own, so that a seed's result does not depend on the others. What a model learns
from is the seed's training environment, and its deterministic actions are evaluated, as of every agent.

Settings are keyword arguments of the class (see :mod:`simulator.external.sb3`). A checkpoint holds the weights: a run
that is resumed goes on from these, with a new optimiser and an empty replay, and says that it is not exact.
"""

from __future__ import annotations

import importlib
import inspect
import random
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import field, fields, make_dataclass
from functools import cache, partial
from typing import Any

import gymnasium
import numpy as np

from simulator.config.external import is_model_file
from simulator.core import registry
from simulator.core.field_types import ENDLESS, StepsOfRun
from simulator.core.foreign.faults import PlayerError
from simulator.core.protocols import Array, EnvSpec, Metrics, State, Step
from simulator.external import sb3
from simulator.external.evaluate import error_text, global_generators

FAILED = "its weights were not finite"
_OF_RUN = (*sb3.SET_HERE, "device")
_DOC = re.compile(r":param (\w+):(.*?)(?=\n\s*:|\Z)", re.DOTALL)


class Closed(BaseException):
    """Ends the thread of a model."""


def plugin(name: str) -> registry.Plugin:
    """Return the player of a name such as ``sb3:PPO``.

    Raises:
        ValueError: the library is not installed, it has no such class, or the name is of a saved model; one line.
    """
    target = name.partition(":")[2]
    if is_model_file(target):
        raise ValueError(f"{name}: a saved model does not learn here: engram tournament --agents {name} --envs ENV")
    return registry.Plugin("agents", name, config_of(target), partial(make, target), sys.modules[__name__])


@cache
def config_of(target: str) -> type[Any]:
    """Make the ``Config`` of a class: its keyword arguments with their defaults, and the steps of the run."""
    algorithm = _algorithm(target)
    docs = {key: " ".join(text.split()) for key, text in _DOC.findall(inspect.getdoc(algorithm) or "")}
    settings: list[Any] = []
    for parameter in inspect.signature(algorithm).parameters.values():
        if parameter.name not in _OF_RUN:
            default = "MlpPolicy" if parameter.name == "policy" else parameter.default
            told = {"doc": docs.get(parameter.name, "")}
            settings.append((parameter.name, Any, field(default_factory=partial(_same, default), metadata=told)))
    steps = {"doc": "environment steps in which schedules end; none: those of the run"}
    settings.append(("total_timesteps", StepsOfRun, field(default=None, metadata=steps)))
    return make_dataclass("Config", settings, frozen=True)


def make(target: str, spec: EnvSpec, seeds: Sequence[int], config: Any) -> Sb3Agent:
    """Make a model for every seed.

    Raises:
        ValueError: the class refuses the settings or the environment; one line.
    """
    name = f"sb3:{target}"
    if spec.legal_actions is not None and not spec.legal_actions.all():
        raise ValueError(f"{name}: not all actions exist everywhere in {spec.id}, of which the library knows nothing")
    settings = {each.name: getattr(config, each.name) for each in fields(config) if each.name != "total_timesteps"}
    total = ENDLESS if config.total_timesteps is None else config.total_timesteps
    learners = []
    for seed, number in zip(seeds, sb3.library_seeds(list(seeds)), strict=True):
        build = partial(_model, name, target, spec, settings, number)
        learners.append(Learner(f"{name}: seed {seed}", build, number, total))
    return Sb3Agent(learners, spec)


class HostEnv(gymnasium.Env[Any, Any]):
    """The environment that a model sees: it hands actions to the host and waits for its steps."""

    def __init__(self, spec: EnvSpec) -> None:
        self.observation_space = deepcopy(spec.observation)  # spaces draw from generators of their own
        self.action_space = deepcopy(spec.action)
        self.exchange: Callable[[], None] = lambda: None  # lets the host go on until it has made a step
        self.action: Any = None
        self.moved: tuple[Any, float, bool, bool] | None = None
        self.next_obs: Any = None  # where the next episode begins

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Return the first observation of the episode that the host has begun."""
        super().reset(seed=seed)
        return self.next_obs, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Let the host take the step."""
        self.action = np.asarray(action)
        self.exchange()
        assert self.moved is not None
        return (*self.moved, {})


class Learner:
    """The model of one seed, which learns in a thread of its own while the host waits.

    Args:
        place: names the seed in errors.
        build: makes the model in its environment.
        number: seeds the global generators.
        total: steps that ``learn`` is asked for.
    """

    def __init__(self, place: str, build: Callable[[], Any], number: int, total: int) -> None:
        self._place = place
        self._generators = _Generators(number)
        with self._generators.lent():
            self.model = build()
        self.env: HostEnv = self.model.get_env().envs[0].unwrapped
        self.env.exchange = self._wait
        self._total = total
        self._thread: threading.Thread | None = None
        self._go = threading.Semaphore(0)
        self._back = threading.Semaphore(0)
        self._error: Exception | None = None
        self._closed = False
        self._n_updates = 0
        self.taken = 0  # environment steps that the host has made

    def action(self, obs: Array) -> Any:
        """Let the model learn from the last step until it has chosen an action; ``obs``: where it begins.

        Raises:
            PlayerError: the library raised an error; one line.
        """
        if self._thread is None:
            self.env.next_obs = np.array(obs)
            self._thread = threading.Thread(target=self._learn, daemon=True)
            self._thread.start()
        with self._generators.lent():
            self._go.release()
            self._back.acquire()
        if self._error is not None and self.is_finite():
            failure = PlayerError(f"{self._place}: {error_text(self._error)}")
            failure.happened(max(self.taken, 1))
            raise failure
        return self.env.action

    def give(self, moved: tuple[Any, float, bool, bool], next_obs: Any) -> None:
        """Give the result of the action; the model learns from it in the next call of :meth:`action`."""
        self.env.moved = moved
        self.env.next_obs = next_obs
        self.taken += 1

    def is_finite(self) -> bool:
        """Tell whether all weights are finite."""
        return sb3.has_finite_weights(self.model)

    def has_failed(self) -> bool:
        """Tell whether an update since the last call has made a weight infinite."""
        updates = getattr(self.model, "_n_updates", self.taken)
        if updates == self._n_updates and self._error is None:
            return False
        self._n_updates = updates
        return not self.is_finite()

    def weights(self) -> State:
        """Return the weights by name."""
        return {name: value.detach().cpu().numpy().copy() for name, value in self.model.policy.state_dict().items()}

    def restore(self, weights: State, taken: int) -> None:
        """Set the weights; learning goes on from them after ``taken`` steps."""
        torch = importlib.import_module("torch")
        self.close()
        self.model.policy.load_state_dict({name: torch.as_tensor(np.array(value)) for name, value in weights.items()})
        self.model.num_timesteps = taken
        self.taken = taken

    def close(self) -> None:
        """End the thread."""
        thread = self._thread
        self._thread = None
        if thread is None or not thread.is_alive():
            return
        self._closed = True
        self._go.release()
        thread.join()
        self._closed = False

    def _learn(self) -> None:
        importlib.import_module("torch").set_num_threads(1)
        self._go.acquire()
        try:
            with sb3.no_warnings():
                if not self._closed:
                    left = max(self._total - self.taken, 1)
                    self.model.learn(left, reset_num_timesteps=self.taken == 0)
                while True:  # it has had its steps, and goes on acting
                    self.env.step(self.model.predict(self.env.next_obs)[0])
        except Closed:
            pass
        except Exception as error:
            self._error = error
            self._back.release()

    def _wait(self) -> None:
        """Let the host go on, and wait until it comes back."""
        self._back.release()
        self._go.acquire()
        if self._closed:
            raise Closed


class Sb3Policy:
    """The deterministic actions of the models; see :class:`simulator.core.protocols.Policy`."""

    def __init__(self, models: Sequence[Any], spec: EnvSpec, failed: Array) -> None:
        self._policies = [sb3.ModelPolicy(model, spec) for model in models]
        self._failed = failed
        self._space = spec.action

    def act(self, obs: Array, first: Array) -> Array:
        """Return actions [S] at obs [S, *obs]; any that exists for a seed that failed."""
        return np.stack(
            [
                _any_action(self._space) if self._failed[i] else np.asarray(policy.act(obs[i : i + 1], first)[0])
                for i, policy in enumerate(self._policies)
            ]
        )

    def probs(self, obs: Array) -> Array | None:
        """Return one-hot rows [S, B, A] at obs [B, *obs]; None where actions are not Discrete."""
        if self._failed.any():
            return None
        rows = [policy.probs(obs) for policy in self._policies]
        return None if any(row is None for row in rows) else np.concatenate(rows)  # type: ignore[arg-type]

    def values(self, obs: Array) -> None:
        """Return None: its values are not used."""


class Sb3Agent:
    """Models of one class, one for each seed; see :class:`simulator.core.protocols.Agent`."""

    def __init__(self, learners: Sequence[Learner], spec: EnvSpec) -> None:
        self._learners = learners
        self._spec = spec
        self.failed_at = np.zeros(len(learners), np.int64)

    def __del__(self) -> None:
        for learner in self._learners:
            learner.close()

    def act(self, obs: Array) -> Array:
        """Return exploring actions [S] at obs [S, *obs], after learning from the last step."""
        actions = []
        for i, learner in enumerate(self._learners):
            action = _any_action(self._spec.action)
            if not self.failed_at[i]:
                action = learner.action(obs[i])
                if learner.has_failed():
                    self.failed_at[i] = max(learner.taken, 1)
                    action = _any_action(self._spec.action)
            actions.append(action)
        return np.stack(actions)

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Keep one step of every seed, from which the models learn before their next action."""
        for i, learner in enumerate(self._learners):
            ended = (bool(step.terminated[i]), bool(step.truncated[i]))
            learner.give((np.array(step.final_obs[i]), float(step.reward[i]), *ended), np.array(step.obs[i]))
        return {}

    def policy(self) -> Sb3Policy:
        """Return the current deterministic policy."""
        return Sb3Policy([learner.model for learner in self._learners], self._spec, self.failed_at > 0)

    def state(self) -> State:
        """Return the weights, and how many steps they have learned from."""
        return {
            "taken": [learner.taken for learner in self._learners],
            "weights": [learner.weights() for learner in self._learners],
            "failed_at": self.failed_at.copy(),
        }

    def restore(self, state: State) -> bool:
        """Continue from the weights; False: the optimiser and the replay begin anew."""
        for learner, weights, taken in zip(self._learners, state["weights"], state["taken"], strict=True):
            learner.restore(weights, int(taken))
        self.failed_at[:] = state["failed_at"]
        return False


class _Generators:
    """States of the global generators of random, numpy and torch that belong to one model."""

    def __init__(self, number: int) -> None:
        with global_generators(number):
            self._states = self._read()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Put these states in place of the global ones, and keep how they end."""
        outer = self._read()
        self._write(self._states)
        try:
            yield
        finally:
            self._states = self._read()
            self._write(outer)

    @staticmethod
    def _read() -> tuple[Any, Any, Any]:
        torch = importlib.import_module("torch")
        return random.getstate(), np.random.get_state(legacy=False), torch.get_rng_state()  # noqa: NPY002

    @staticmethod
    def _write(states: tuple[Any, Any, Any]) -> None:
        of_python, of_numpy, of_torch = states
        random.setstate(of_python)
        np.random.set_state(of_numpy)  # noqa: NPY002 - the library uses it
        importlib.import_module("torch").set_rng_state(of_torch)


def _algorithm(target: str) -> Any:
    """Return the class of a name.

    Raises:
        ValueError: the library is not installed, or has no such class; one line.
    """
    name = f"sb3:{target}"
    sb3.import_library(name)
    return sb3.algorithm(name, target)


def _model(name: str, target: str, spec: EnvSpec, settings: dict[str, Any], number: int) -> Any:
    """Make a new model; ``number`` seeds the library."""
    return sb3.new_model(name, _algorithm(target), spec.id, HostEnv(spec), settings, number)


def _any_action(space: Any) -> Array:
    """Return an action that exists, for a seed that failed."""
    if hasattr(space, "n"):
        return np.zeros((), np.int64)
    return np.asarray(np.clip(0.0, space.low, space.high), space.dtype)


def _same(value: Any) -> Any:
    return value
