"""stable-baselines3 as a contestant: a class that is trained here, one model for each seed, or a saved model.

A class trains in the environment of its seed, the one in which agents of that seed train, for exactly ``steps``
environment steps; where a rollout is longer than the steps that are left, the last part is played and not learned from.
Its deterministic actions are evaluated. Models are seeded from the seed's stream for weights, on one thread.

Settings are keyword arguments of the class: a list becomes a tuple (``train_freq = [1, "episode"]``), "none" None, and
in ``policy_kwargs`` a dotted name below a key that ends in ``_fn`` or ``_class`` the object of that name
(``activation_fn = "torch.nn.Tanh"``).

Of a saved model names, sizes and weights are read, and no code in the file is executed
(:mod:`simulator.external.sb3_weights_torch`); a model that needs more is refused unless ``--trust-files`` permits it.
"""

from __future__ import annotations

import importlib
import inspect
import json
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from simulator.config.external import ExternalConfig, evaluation_steps
from simulator.core import registry, rng
from simulator.core.files.reading import why_unread
from simulator.core.jit import working_seconds
from simulator.core.protocols import Array, Env, EnvSpec
from simulator.external import sb3_weights_torch
from simulator.external.evaluate import EvaluationHarness, error_text, global_generators, one_hot, seed_score
from simulator.external.trust import trusted

LIBRARY = "stable_baselines3"
NOT_FINITE = "its weights were not finite"
SET_HERE = ("self", "env", "seed", "tensorboard_log", "verbose", "_init_setup_model")  # no settings of a user
_N_SEEDS = 2**32  # that numpy's global generator takes
_PREDICT_BATCH = 1_024  # observations


class ExportedEnv(gymnasium.Env[Any, Any]):
    """One seed's environment as a Gymnasium environment.

    Its random streams are its own: a seed given to ``reset`` changes nothing. The environment begins the next episode
    by itself, in the step that ends one; ``reset`` returns its first observation.
    """

    def __init__(self, env: Env) -> None:
        self.observation_space = env.spec.observation
        self.action_space = env.spec.action
        self._env = env
        self._begun = False
        self.n_steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Return the first observation of the next episode."""
        super().reset(seed=seed)
        obs = self._env.observe() if self._begun else self._env.reset()
        self._begun = True
        return np.array(obs[0]), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one step."""
        step = self._env.step(np.asarray(action)[None])
        self.n_steps += 1
        obs = np.array(step.final_obs[0])
        return obs, float(step.reward[0]), bool(step.terminated[0]), bool(step.truncated[0]), {}


class ModelPolicy:
    """The deterministic actions of a model as the policy of one seed; see :class:`simulator.core.protocols.Policy`."""

    def __init__(self, model: Any, spec: EnvSpec) -> None:
        self._model = model
        self._space = spec.action

    def act(self, obs: Array, first: Array) -> Array:
        """Return actions [1] at obs [1, *obs]."""
        actions: Array = self._model.predict(obs, deterministic=True)[0]
        return actions

    def probs(self, obs: Array) -> Array | None:
        """Return one-hot rows [1, B, A] at obs [B, *obs]; None where actions are not Discrete."""
        if not hasattr(self._space, "n"):
            return None
        parts = [self.act(obs[k : k + _PREDICT_BATCH], obs[:0]) for k in range(0, len(obs), _PREDICT_BATCH)]
        return one_hot(np.concatenate(parts), int(self._space.n))

    def values(self, obs: Array) -> None:
        """Return None: its values are not used."""


def prepare(config: ExternalConfig) -> None:
    """Import the library, and torch with it, before torch's threads and generators are touched.

    Raises:
        ValueError: it is not installed.
    """
    import_library(config.name)


def import_library(name: str) -> None:
    """Import the library for the contestant of this name.

    Raises:
        ValueError: it is not installed.
    """
    try:
        with global_generators(0):  # its imports draw from Python's generator
            importlib.import_module(LIBRARY)
    except ModuleNotFoundError:
        raise ValueError(f"{name}: {LIBRARY} is not installed; pip install stable-baselines3") from None


def check(config: ExternalConfig, harness: EvaluationHarness) -> None:
    """Check that the class or the model can play in this environment.

    Raises:
        ValueError: it cannot; one line.
    """
    number = library_seeds([config.first_seed])[0]
    with global_generators(number):
        if config.file is None:
            build(config, harness, config.first_seed, number)
        else:
            inspect_file(config, harness)


class SeedScores(NamedTuple):
    """Scores of every seed at every evaluation."""

    curve: list[list[float]]  # [S][K], NaN from the failure of a seed on
    failed: list[dict[str, Any]]  # seed, step, reason


def play(config: ExternalConfig, harness: EvaluationHarness) -> SeedScores:
    """Train or load a model for every seed, and evaluate it.

    Raises:
        ValueError: see :func:`check`.
    """
    result = SeedScores([], [])
    for seed, number in zip(config.seed_list, library_seeds(config.seed_list), strict=True):
        with global_generators(number):
            if config.file is not None:
                model = load(config, harness)
                evaluation = harness.evaluate(harness.evaluator(seed), partial(ModelPolicy, model, harness.spec), 0)
                result.curve.append([seed_score(evaluation)] * len(evaluation_steps(config)))
                continue
            training = Training(harness, seed, number)
            training.run(build(config, harness, seed, number))
            result.curve.append(training.scores)
            result.failed.extend(training.failed)
    return result


class Training:
    """Training of one seed's model, with its evaluations."""

    def __init__(self, harness: EvaluationHarness, seed: int, number: int) -> None:
        self._harness = harness
        self._seed = seed
        self._number = number
        self._evaluator = harness.evaluator(seed)
        self._steps = evaluation_steps(harness.config)
        self._began = np.array(working_seconds())
        self._evaluation_seconds = np.zeros(2)
        self.scores: list[float] = []
        self.failed: list[dict[str, Any]] = []

    def run(self, model: Any) -> None:
        """Train; a model that breaks down is recorded in ``failed``, and scores NaN from there on."""
        env = model.get_env().envs[0].unwrapped
        try:
            with no_warnings():
                model.learn(self._harness.config.steps, callback=lambda *_: self._after_step(model, env.n_steps))
        except Exception as error:  # foreign code may raise anything
            if self._harness.heartbeat.raised is not None:
                raise
            self._fail(env.n_steps, error_text(error))
        self.scores += [float("nan")] * (len(self._steps) - len(self.scores))

    def _after_step(self, model: Any, step: int) -> bool:
        """Evaluate where it is due; the library calls it after every environment step. False stops the training."""
        self._harness.heartbeat()
        if step == self._steps[len(self.scores)]:
            if not has_finite_weights(model):
                self._fail(step, NOT_FINITE)
                return False
            self.scores.append(self._score(model, step))
        if step < self._steps[-1] and self._is_over_time():
            self.scores += [self._score(model, step, last=True)] * (len(self._steps) - len(self.scores))
            return False
        return step < self._steps[-1]

    def _is_over_time(self) -> bool:
        """Check if training, without its evaluations, has used up its time."""
        limits = np.array([self._harness.limits.seconds, self._harness.limits.cpu_seconds])  # as working_seconds
        if not limits.any():
            return False
        used = np.array(working_seconds()) - self._began - self._evaluation_seconds
        return bool(((used >= limits) & (limits > 0.0)).any())

    def _score(self, model: Any, step: int, *, last: bool = False) -> float:
        """Evaluate the model without drawing from the generators of its training."""
        began = np.array(working_seconds())
        make_policy = partial(ModelPolicy, model, self._harness.spec)
        with global_generators(self._number):
            is_last = last or step == self._steps[-1]
            evaluation = self._harness.evaluate(self._evaluator, make_policy, step, last=is_last)
        self._evaluation_seconds += np.array(working_seconds()) - began
        return seed_score(evaluation)

    def _fail(self, step: int, reason: str) -> None:
        self.failed.append({"seed": self._seed, "step": step, "reason": reason})


def build(config: ExternalConfig, harness: EvaluationHarness, seed: int, number: int) -> Any:
    """Make a new model in the environment of its seed; ``number`` seeds the library.

    Raises:
        ValueError: no such class or setting, or the class refuses the settings or the environment; one line.
    """
    of_class = algorithm(config.name, config.target)
    parameters = [name for name in inspect.signature(of_class).parameters if name not in SET_HERE]
    for name in config.settings:
        if name not in parameters:
            raise ValueError(f"{config.name}: {registry.unknown_name_message('setting', name, parameters)}")
    env = ExportedEnv(harness.make_env([seed]))
    return new_model(config.name, of_class, config.env, env, config.settings, number)


def new_model(
    name: str, of_class: Any, env_name: str, env: gymnasium.Env[Any, Any], given: Mapping[str, Any], number: int
) -> Any:
    """Make a model of a class with the settings that were given; ``number`` seeds the library.

    Raises:
        ValueError: the class refuses the settings or the environment; one line.
    """
    settings: dict[str, Any] = {"policy": "MlpPolicy", "device": "cpu"}
    settings |= {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    try:
        if settings.get("policy_kwargs"):
            settings["policy_kwargs"] = _with_objects(settings["policy_kwargs"])
        with no_warnings():
            model = of_class(env=env, seed=number, **settings)
    except Exception as error:
        raise ValueError(f"{name}: cannot be made for {env_name}: {error_text(error)}") from None
    model.set_logger(importlib.import_module(f"{LIBRARY}.common.logger").Logger(None, []))  # or it writes into a folder
    return model


def inspect_file(config: ExternalConfig, harness: EvaluationHarness) -> None:
    """Check by its description that a saved model plays in this environment; no code in the file is executed.

    Raises:
        ValueError: the file is no model, or one of another environment; one line.
    """
    assert config.file is not None
    for name in config.settings:
        if name != "class":
            raise ValueError(
                f"{config.name}: {registry.unknown_name_message('setting', name, ['class'])}, expected class alone"
            )
    if "class" in config.settings:
        algorithm(config.name, config.settings["class"])
    try:
        description = sb3_weights_torch.describe(config.file)
        sb3_weights_torch.check(description, harness.spec)
    except sb3_weights_torch.NeedsTrust as error:
        if not trusted():
            raise ValueError(f"{config.name}: {error}") from None
    except ValueError as error:
        raise ValueError(f"{config.name}: {_with_env(str(error), config)}") from None


def load(config: ExternalConfig, harness: EvaluationHarness) -> Any:
    """Load a saved model.

    Raises:
        ValueError: the file is no model, one of another environment, or one that needs code that is in it; one line.
    """
    inspect_file(config, harness)
    assert config.file is not None
    try:
        return sb3_weights_torch.load(config.file, harness.spec, str(config.settings.get("class", "")))
    except sb3_weights_torch.NeedsTrust as error:
        if not trusted():
            raise ValueError(f"{config.name}: {error}") from None
    except ValueError as error:
        raise ValueError(f"{config.name}: {_with_env(str(error), config)}") from None
    return _load_trusted(config, harness)


def _with_env(text: str, config: ExternalConfig) -> str:
    return f"{text} as in {config.env}" if ", expected Box" in text or ", expected Discrete" in text else text


def _load_trusted(config: ExternalConfig, harness: EvaluationHarness) -> Any:
    """Load a saved model by the library, which executes code in the file."""
    of_class = algorithm(config.name, config.settings.get("class") or _saved_class(config))
    try:
        with no_warnings():
            model = of_class.load(config.target, device="cpu")
    except Exception as error:
        raise ValueError(f"{config.name}: cannot be loaded: {error_text(error)}") from None
    for kind in ("observation", "action"):
        ours = getattr(harness.spec, kind)
        theirs = getattr(model, f"{kind}_space")
        if _shape(ours) not in (_shape(theirs), _channels_first(theirs)):
            raise ValueError(f"{config.name}: its {kind}s are {theirs}, expected {ours} as in {config.env}")
    return model


def algorithm(contestant: str, name: str) -> Any:
    """Return the class of that name.

    Raises:
        ValueError: there is none; one line.
    """
    library = importlib.import_module(LIBRARY)
    classes = {key: value for key, value in vars(library).items() if inspect.isclass(value) and hasattr(value, "learn")}
    if name not in classes:
        raise ValueError(
            f"{contestant}: {registry.unknown_name_message('class', name, classes)}, "
            f"expected {', '.join(sorted(classes))}"
        )
    return classes[name]


def _saved_class(config: ExternalConfig) -> str:
    """Infer the class of a saved model from the description of its policy and settings.

    A2C and PPO share their policies, and DDPG is TD3 with other settings: only differences in acting count.
    """
    assert config.file is not None
    if unread := why_unread(config.file):
        raise ValueError(f"{config.name}: {unread}, expected a model that was saved by {LIBRARY}")
    try:
        with zipfile.ZipFile(config.file) as archive:
            data = json.loads(archive.read("data"))
        folder = str(data["policy_class"]["__module__"]).split(".")[1]
    except (OSError, KeyError, IndexError, TypeError, ValueError, zipfile.BadZipFile):
        raise ValueError(f"{config.name}: expected a model that was saved by {LIBRARY}") from None
    return folder.upper() if folder != "common" else "PPO" if "clip_range" in data else "A2C"


def _shape(space: Any) -> tuple[Any, ...]:
    """Return the part of a space that a model depends on."""
    return ("n", int(space.n)) if hasattr(space, "n") else ("shape", *(space.shape or ()))


def _channels_first(space: Any) -> tuple[Any, ...]:
    """Return the same of images whose channels come last: the library puts them first."""
    return ("shape", *space.shape[1:], space.shape[0]) if len(space.shape or ()) == 3 else ()


def library_seeds(seed_list: list[int]) -> list[int]:
    """Derive a seed of the library for each seed."""
    return [number % _N_SEEDS for number in rng.derived_seeds(seed_list, "weights")]


def has_finite_weights(model: Any) -> bool:
    """Tell whether all weights of a model are finite."""
    return all(bool(weights.isfinite().all()) for weights in model.policy.parameters())


def _with_objects(table: Mapping[str, Any]) -> dict[str, Any]:
    """Replace dotted names of functions and classes in a table by these."""
    resolved: dict[str, Any] = {}
    for name, value in table.items():
        resolved[name] = value
        if isinstance(value, Mapping):
            resolved[name] = _with_objects(value)
        elif isinstance(value, str) and name.endswith(("_fn", "_class")):
            module, _, last = value.rpartition(".")
            resolved[name] = getattr(importlib.import_module(module), last)
    return resolved


@contextmanager
def no_warnings() -> Iterator[None]:
    """Silence the library's advice on stderr."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
