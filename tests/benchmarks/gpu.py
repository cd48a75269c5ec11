"""Agents with networks on a GPU: their arithmetic beside the CPU's, learning beside it, steps per second, and Pong.

``python -m tests.benchmarks.gpu`` says for every check how far the two are apart. ``--device cpu`` rehearses it without
one. The exit code is 1 where a check failed, and 2 without a GPU.

* Arithmetic: both devices begin with the same weights and take the same actions, which are random; so every
  transition, sample and target is the same, and weights may differ by rounding alone.
* Learning: 64 seeds on both devices; the mean returns of their policies agree within three standard errors.
* Steps per second of wall clock, learning included, with 1, 64 and 1,024 seeds.
* Pong: steps per second of four seeds over a minute; learning it takes far longer.
"""

from __future__ import annotations

import argparse
import json as codec
import sys
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from simulator.config import presets
from simulator.config.run import build
from simulator.core.devices import set_device
from simulator.core.files.escaping import shortened
from simulator.training.session import Session

SGD = {
    "optimizer": {"kind": "sgd", "learning_rate": 0.01}
}  # Adam makes steps of the sign of a gradient that is nearly 0
RANDOM = {"explore": {"epsilon_start": 1.0, "epsilon_end": 1.0}}
DQN = {"name": "dqn", **RANDOM, **SGD, "eval_ema": 0.0, "learning_starts": 64, "buffer_size": 4_096}
CARTPOLE = {"name": "CartPole-v1"}
PIXELS = {"name": "rooms", "layout": "four", "observation": "pixels"}
PCA = {"name": "pca", "components": 2, "collect": 64}
CODES = {"latent_dim": 2, "collect": 64, "updates": 50}
PONG_SECONDS = 60.0


class Check(NamedTuple):
    """Training on two devices from the same weights, and the largest difference of a weight after it."""

    agent: Mapping[str, Any]
    env: Mapping[str, Any]
    steps: int
    tolerance: float


class Study(NamedTuple):
    """A preset that learns on both devices for so many environment steps per seed."""

    preset: str
    steps: int


ARITHMETIC = {
    "dqn": Check(DQN, CARTPOLE, 128, 1e-4),
    "dqn, dueling": Check({**DQN, "dueling": True}, CARTPOLE, 128, 1e-4),
    "dqn, prioritized replay": Check({**DQN, "prioritized": True}, CARTPOLE, 96, 1e-3),
    "dqn, images": Check({**DQN, "batch_size": 16}, PIXELS, 96, 1e-3),
    "dqn, window of observations": Check({**DQN, "encoder": {"name": "window", "k": 4}}, CARTPOLE, 128, 1e-4),
    "dqn, principal components": Check({**DQN, "encoder": PCA}, CARTPOLE, 256, 1e-4),
    "dqn, autoencoder": Check({**DQN, "encoder": CODES | {"name": "autoencoder"}}, CARTPOLE, 256, 1e-3),
    "dqn, variational autoencoder": Check({**DQN, "encoder": CODES | {"name": "vae"}}, CARTPOLE, 256, 1e-3),
    "dqn, transitions imagined by a GAN": Check({**DQN, "model": {"name": "gan"}}, CARTPOLE, 96, 1e-3),
    "dqn, transitions imagined by a VAE": Check({**DQN, "model": {"name": "vae"}}, CARTPOLE, 96, 1e-3),
    "dqn, bonus of a random network": Check({**DQN, "intrinsic": {"name": "random_network"}}, CARTPOLE, 96, 1e-3),
    "reinforce": Check({"name": "reinforce", **SGD, "value_optimizer": SGD["optimizer"]}, CARTPOLE, 128, 1e-4),
}
LEARNING = {"dqn": Study("cartpole-dqn", 6_000), "reinforce": Study("cartpole-reinforce", 12_000)}


def main(json: bool) -> dict[str, Any]:
    """Measure on the GPU; nothing where there is none."""
    import torch

    if not torch.cuda.is_available():
        if not json:
            print("no GPU: nothing measured")
        return {}
    return measure("cuda", json)


def measure(device: str, json: bool, only: Collection[str] = ()) -> dict[str, Any]:
    """Check and time the agents on a device; ``only`` some groups, or all."""
    import torch

    groups: dict[str, tuple[Mapping[str, Any], Callable[[Any], dict[str, Any]]]] = {
        "arithmetic": (ARITHMETIC, lambda check: _arithmetic(check, device)),
        "learning": (LEARNING, lambda study: _learning(*study, device)),
        "speed": (_speeds(), lambda speed: _speed(*speed, device)),
        "pong": ({"ALE/Pong-v5": None}, lambda _: _pong(device)),
    }
    found: dict[str, Any] = {"device": torch.cuda.get_device_name() if device == "cuda" else device}
    began = time.monotonic()
    for name, (named, work) in groups.items():
        if name in only or not only:
            found[name] = dict(_each(named, work, json))
    found["seconds"] = time.monotonic() - began
    return found


def failures(found: Mapping[str, Any]) -> list[str]:
    """Name the checks that failed."""
    return [
        f"{group}, {name}"
        for group, checks in found.items()
        if isinstance(checks, dict)
        for name, check in checks.items()
        if check.get("ok") is False
    ]


def _each(
    named: Mapping[str, Any], work: Callable[[Any], dict[str, Any]], json: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Do each piece of work, and print its line; one that fails does not stop the rest."""
    for name, what in named.items():
        began = time.monotonic()
        try:
            result = work(what)
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            result = {"ok": False, "error": shortened(f"{type(error).__name__}: {error}", 300)}
        result["seconds"] = round(time.monotonic() - began, 1)
        if not json:
            words = ", ".join(f"{key} {_word(value)}" for key, value in result.items() if key != "ok")
            print(f"{'FAILED' if result.get('ok') is False else 'ok':<7}{name}: {words}", flush=True)
        yield name, result


def _word(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _session(agent: Mapping[str, Any], env: Mapping[str, Any], n_seeds: int, device: str, first: int = 0) -> Session:
    given = {"agent": dict(agent), "env": dict(env), "seeds": n_seeds, "first_seed": first, "steps": 10**7}
    return Session(build({**given, "device": device}))


def _arithmetic(check: Check, device: str) -> dict[str, Any]:
    """Train from the same weights on both devices, and compare what comes out."""
    there = _session(check.agent, check.env, 4, device)
    here = _session(check.agent, check.env, 4, "cpu")
    before = _weights(here)
    set_device("cpu")
    here.play(check.steps)
    set_device(device)
    there.play(check.steps)
    set_device("cpu")
    ours = _weights(here)
    theirs = _weights(there)
    difference = max(float(np.abs(value - theirs[name]).max()) for name, value in ours.items())
    moved = max(float(np.abs(value - before[name]).max()) for name, value in ours.items())
    return {
        "ok": difference <= check.tolerance < moved,
        "difference": difference,
        "tolerance": check.tolerance,
        "moved": moved,
    }


def _weights(session: Session) -> dict[str, np.ndarray]:
    """Weights that the policy plays by, [S, ...] by name, in the shapes that all backends share."""
    agent = getattr(session.agent, "_agent", session.agent)  # behind an encoder
    return {name: np.array(value) for name, value in agent.policy().arrays().per_seed.items()}


def _speeds() -> dict[str, tuple[str, int]]:
    return {f"{agent} S={n:,}": (agent, n) for agent in ("dqn", "reinforce") for n in (1, 64, 1_024)}


def _speed(agent: str, n_seeds: int, device: str) -> dict[str, Any]:
    """Steps of all seeds per second of wall clock, past the first updates, over about ten seconds."""
    settings = {"name": agent, **({"buffer_size": 10_000, "train_frequency": 10} if agent == "dqn" else {})}
    session = _session(settings, CARTPOLE, n_seeds, device)
    session.play(1_200)
    steps = 0
    began = time.perf_counter()
    while (seconds := time.perf_counter() - began) < 10.0:
        session.play(200)
        steps += 200
    return {"steps per second": steps * n_seeds / seconds}


def _learning(preset: str, steps: int, device: str) -> dict[str, Any]:
    """Train 64 seeds of a preset on both devices; mean return of their policies, each with its standard error."""
    given = {**presets.find(preset).source().values, "seeds": 64, "steps": steps, "eval_episodes": 20}
    returns = {}
    for name in ("cpu", device):
        session = Session(build({**given, "device": name}))
        session.play(steps)
        means = session.evaluator().evaluate(session.agent, steps).returns.mean(axis=1)
        returns[name] = (float(means.mean()), float(means.std(ddof=1) / np.sqrt(len(means))))
    set_device("cpu")
    (here, error_here), (there, error_there) = returns["cpu"], returns[device]
    error = float(np.hypot(error_here, error_there))
    return {"ok": abs(here - there) <= 3 * error, "cpu": here, "there": there, "standard error": error}


def _pong(device: str) -> dict[str, Any]:
    """Train four seeds on Pong for a minute."""
    if find_spec("ale_py") is None:
        return {"left out": "ale_py is not installed (extra atari)"}
    session = _session({"name": "dqn", "buffer_size": 20_000}, {"name": "ALE/Pong-v5"}, 4, device)
    steps = 0
    began = time.perf_counter()
    while (seconds := time.perf_counter() - began) < PONG_SECONDS:
        session.play(100)
        steps += 100
    return {"steps per seed": steps, "steps per second": steps * 4 / seconds}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", help="cuda, or cpu for a rehearsal")
    parser.add_argument("--only", nargs="+", default=(), choices=("arithmetic", "learning", "speed", "pong"))
    given = parser.parse_args()
    try:
        set_device(given.device)
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    results = measure(given.device, json=False, only=given.only)
    print(codec.dumps(results))
    if failed := failures(results):
        print(f"failed: {'; '.join(failed)}", file=sys.stderr)
        sys.exit(1)
