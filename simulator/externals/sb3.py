"""stable-baselines3 as a contestant: a class that is trained here, one model for each seed, or a saved model.

A class trains in the world of its seed, the one in which agents of that seed train, for exactly ``steps`` environment
steps; where a period of collecting is longer than what is left, the last part is played and not learned from. It is
judged by its deterministic actions. Models are seeded from the seed's stream for weights, on one thread.

Settings go to the class as keyword arguments: a list becomes a tuple (``train_freq = [1, "episode"]``), "none" None,
and in ``policy_kwargs`` the text below a name that ends in ``_fn`` or ``_class`` what it names
(``activation_fn = "torch.nn.Tanh"``).

Of a saved model names, sizes and weights are read, and no code that is in the file runs
(:mod:`simulator.externals.sb3_weights_torch`); one that needs more is refused unless ``--trust-files`` says that what
the file contains may run.
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
from typing import Any

import numpy as np

from simulator.core import plugins, seeds
from simulator.core.compiled import working_seconds
from simulator.core.protocols import Array, Spec
from simulator.core.reading import why_unread
from simulator.externals import sb3_weights_torch
from simulator.externals.config import ExternalConfig, evaluation_steps
from simulator.externals.environment import WorldEnv
from simulator.externals.judge import Judge, borrowed, one_hot, said, score
from simulator.externals.trust import trusted

LIBRARY = "stable_baselines3"
NOT_FINITE = "its weights were not finite"
_HOSTS = ("self", "env", "seed", "tensorboard_log", "verbose", "_init_setup_model")  # what the host sets itself
_SEEDS = 2**32  # as many as numpy's global generator takes
_CHUNK = 1_024  # observations that are shown to a model at once


class ModelPolicy:
    """The deterministic actions of a model as the policy of one seed; see :class:`simulator.core.protocols.Policy`."""

    def __init__(self, model: Any, spec: Spec) -> None:
        self._model, self._space = model, spec.action

    def act(self, obs: Array, first: Array) -> Array:
        """Actions [1] at obs [1, *obs]."""
        actions: Array = self._model.predict(obs, deterministic=True)[0]
        return actions

    def probs(self, obs: Array) -> Array | None:
        """One-hot rows [1, B, A] at obs [B, *obs]; None where actions are not Discrete."""
        if not hasattr(self._space, "n"):
            return None
        parts = [self.act(obs[k : k + _CHUNK], obs[:0]) for k in range(0, len(obs), _CHUNK)]
        return one_hot(np.concatenate(parts), int(self._space.n))

    def values(self, obs: Array) -> None:
        """Not asked for."""


def prepare(config: ExternalConfig) -> None:
    """Load the library, and torch with it, before anybody looks at torch's threads and generators.

    Raises:
        ValueError: it is not installed.
    """
    try:
        with borrowed(0):  # what it imports draws from Python's generator
            importlib.import_module(LIBRARY)
    except ModuleNotFoundError:
        raise ValueError(f"{config.name}: {LIBRARY} is not installed; pip install stable-baselines3") from None


def check(config: ExternalConfig, judge: Judge) -> None:
    """Whether the class or the model can play in this world.

    Raises:
        ValueError: it cannot; one line.
    """
    number = _numbers([config.first_seed])[0]
    with borrowed(number):
        if config.file is None:
            build(config, judge, config.first_seed, number)
        else:
            inspect_file(config, judge)


def play(config: ExternalConfig, judge: Judge) -> tuple[list[list[float]], list[dict[str, Any]]]:
    """The score of every seed at every evaluation, [S][K], and the seeds that failed.

    Raises:
        ValueError: see :func:`check`.
    """
    curve, failed = [], []
    for seed, number in zip(config.seed_list, _numbers(config.seed_list), strict=True):
        with borrowed(number):
            if config.file is not None:
                model = load(config, judge)
                found = judge.evaluate(judge.evaluator(seed), partial(ModelPolicy, model, judge.spec), 0)
                curve.append([score(found)] * len(evaluation_steps(config)))
                continue
            training = Training(judge, seed, number)
            training.run(build(config, judge, seed, number))
            curve.append(training.scores)
            failed += training.failed
    return curve, failed


class Training:
    """One seed's model while it learns, and what it scores on the way."""

    def __init__(self, judge: Judge, seed: int, number: int) -> None:
        self._judge, self._seed, self._number = judge, seed, number
        self._evaluator = judge.evaluator(seed)
        self._steps = evaluation_steps(judge.config)
        self._began, self._judging = np.array(working_seconds()), np.zeros(2)
        self.scores: list[float] = []
        self.failed: list[dict[str, Any]] = []

    def run(self, model: Any) -> None:
        """Train; a model that breaks down is noted in ``failed``, and scores nan from there on."""
        env = model.get_env().envs[0].unwrapped
        try:
            with _quiet():
                model.learn(self._judge.config.steps, callback=lambda *_: self._after_step(model, env.steps))
        except Exception as error:  # foreign code may raise anything
            if self._judge.pulse.raised is not None:
                raise
            self._fail(env.steps, said(error))
        self.scores += [float("nan")] * (len(self._steps) - len(self.scores))

    def _after_step(self, model: Any, step: int) -> bool:
        """What the library calls after every environment step; False: enough."""
        self._judge.pulse()
        if step == self._steps[len(self.scores)]:
            if not _finite(model):
                self._fail(step, NOT_FINITE)
                return False
            self.scores.append(self._score(model, step))
        if step < self._steps[-1] and self._is_late():
            self.scores += [self._score(model, step, last=True)] * (len(self._steps) - len(self.scores))
            return False
        return step < self._steps[-1]

    def _is_late(self) -> bool:
        """Whether training, without its evaluations, has taken more time than it was given."""
        limits = np.array(self._judge.limits[::-1])  # wall clock first, as working_seconds gives it
        if not limits.any():
            return False
        return bool(((np.array(working_seconds()) - self._began - self._judging >= limits) & (limits > 0.0)).any())

    def _score(self, model: Any, step: int, *, last: bool = False) -> float:
        """One evaluation, which draws nothing that training would draw."""
        policy, began = partial(ModelPolicy, model, self._judge.spec), np.array(working_seconds())
        with borrowed(self._number):
            found = self._judge.evaluate(self._evaluator, policy, step, last=last or step == self._steps[-1])
        self._judging += np.array(working_seconds()) - began
        return score(found)

    def _fail(self, step: int, reason: str) -> None:
        self.failed.append({"seed": self._seed, "step": step, "reason": reason})


def build(config: ExternalConfig, judge: Judge, seed: int, number: int) -> Any:
    """A new model in the world of its seed.

    Raises:
        ValueError: no such class or setting, or the class refuses the settings or the world; one line.
    """
    kind = _kind(config, config.target)
    known = [name for name in inspect.signature(kind).parameters if name not in _HOSTS]
    for name in config.settings:
        if name not in known:
            raise ValueError(f"{config.name}: {plugins.unknown('setting', name, known)}")
    given = {
        "policy": "MlpPolicy",
        "device": "cpu",
        **{name: _tupled(value) for name, value in config.settings.items()},
    }
    try:
        if given.get("policy_kwargs"):
            given["policy_kwargs"] = _resolved(given["policy_kwargs"])
        with _quiet():
            model = kind(env=WorldEnv(judge.world([seed])), seed=number, **given)
    except Exception as error:
        raise ValueError(f"{config.name}: cannot be made for {config.world}: {said(error)}") from None
    model.set_logger(importlib.import_module(f"{LIBRARY}.common.logger").Logger(None, []))  # or it writes into a folder
    return model


def inspect_file(config: ExternalConfig, judge: Judge) -> None:
    """Whether a saved model, by what its file says of itself, plays in this world; no code of it runs.

    Raises:
        ValueError: the file is no model, or one of another world; one line.
    """
    assert config.file is not None
    for name in config.settings:
        if name != "class":
            raise ValueError(f"{config.name}: {plugins.unknown('setting', name, ['class'])}, expected class alone")
    if "class" in config.settings:
        _kind(config, config.settings["class"])
    try:
        found = sb3_weights_torch.describe(config.file)
        sb3_weights_torch.check(found, judge.spec)
    except sb3_weights_torch.NeedsTrust as error:
        if not trusted():
            raise ValueError(f"{config.name}: {error}") from None
    except ValueError as error:
        raise ValueError(f"{config.name}: {_placed(str(error), config)}") from None


def load(config: ExternalConfig, judge: Judge) -> Any:
    """A saved model, as it is: it learns no more.

    Raises:
        ValueError: the file is no model, one of another world, or one that needs code that is in it; one line.
    """
    inspect_file(config, judge)
    assert config.file is not None
    try:
        return sb3_weights_torch.load(config.file, judge.spec, str(config.settings.get("class", "")))
    except sb3_weights_torch.NeedsTrust as error:
        if not trusted():
            raise ValueError(f"{config.name}: {error}") from None
    except ValueError as error:
        raise ValueError(f"{config.name}: {_placed(str(error), config)}") from None
    return _load_trusted(config, judge)


def _placed(text: str, config: ExternalConfig) -> str:
    return f"{text} as in {config.world}" if ", expected Box" in text or ", expected Discrete" in text else text


def _load_trusted(config: ExternalConfig, judge: Judge) -> Any:
    """A saved model as the library loads it, which runs code that is in the file."""
    kind = _kind(config, config.settings.get("class") or _saved_class(config))
    try:
        with _quiet():
            model = kind.load(config.target, device="cpu")
    except Exception as error:
        raise ValueError(f"{config.name}: cannot be loaded: {said(error)}") from None
    for what in ("observation", "action"):
        ours, theirs = getattr(judge.spec, what), getattr(model, f"{what}_space")
        if _shape(ours) not in (_shape(theirs), _transposed(theirs)):
            raise ValueError(f"{config.name}: its {what}s are {theirs}, expected {ours} as in {config.world}")
    return model


def _kind(config: ExternalConfig, name: str) -> Any:
    """The class of that name."""
    library = importlib.import_module(LIBRARY)
    kinds = {key: each for key, each in vars(library).items() if inspect.isclass(each) and hasattr(each, "learn")}
    if name not in kinds:
        raise ValueError(f"{config.name}: {plugins.unknown('class', name, kinds)}, expected {', '.join(sorted(kinds))}")
    return kinds[name]


def _saved_class(config: ExternalConfig) -> str:
    """The class of a saved model, by what its file says of its policy and settings.

    A2C and PPO share their policies, DDPG is TD3 with other settings: only what tells them apart for playing counts.
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
    """What two spaces must have in common to be played by the same model."""
    return ("n", int(space.n)) if hasattr(space, "n") else ("shape", *(space.shape or ()))


def _transposed(space: Any) -> tuple[Any, ...]:
    """The same of pictures whose channels come last: the library puts them first."""
    return ("shape", *space.shape[1:], space.shape[0]) if len(space.shape or ()) == 3 else ()


def _numbers(seed_list: list[int]) -> list[int]:
    """One seed for the library for each of ours."""
    return [number % _SEEDS for number in seeds.integers(seed_list, "weights")]


def _finite(model: Any) -> bool:
    return all(bool(weights.isfinite().all()) for weights in model.policy.parameters())


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _resolved(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table in which names of functions and classes are replaced by what they name."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        found[name] = value
        if isinstance(value, Mapping):
            found[name] = _resolved(value)
        elif isinstance(value, str) and name.endswith(("_fn", "_class")):
            module, _, last = value.rpartition(".")
            found[name] = getattr(importlib.import_module(module), last)
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's advice on stderr."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
