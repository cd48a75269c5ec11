"""Agents, components and learned memories on a GPU against the CPU's numbers, and their speed there.

``python -m tests.benchmarks.gpu`` takes under 8 minutes. Every check prints a line: the largest difference, what is
tolerated, and ``ok`` or ``FAILED``; a check that fails does not stop the others. Then come environment steps per second
for 1, 64 and 1,024 seeds, and the first minutes of Pong. The last line is one JSON object.

A check makes the same players twice, on the CPU and on the device, and gives both the same observations, rewards and
ends. Agents of vectors are compiled on the CPU; those of images are torch's on both. Exit codes: 0, 1 where a check
failed, 2 without the device.
"""

from __future__ import annotations

import argparse
import json as json_text
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from simulator.config import presets
from simulator.config.run import build
from simulator.core import devices, registry
from simulator.core.memories import PatternSpec
from simulator.core.protocols import Array, EnvSpec, Step
from simulator.training.session import Session

SEEDS = (0, 1, 2)
CELLS = ("elman", "gru", "lstm")
MEMORIES = ("autoencoder", "adversarial_autoencoder", "autoregressive", "conv_autoencoder", "gan", "vae")
SIZES = (1, 64, 1_024)
VECTOR = EnvSpec("vector", spaces.Box(-5.0, 5.0, (3,), np.float32), spaces.Discrete(4))
FORCE = EnvSpec("force", spaces.Box(-5.0, 5.0, (3,), np.float32), spaces.Box(-1.0, 1.0, (2,), np.float32))
PICTURE = EnvSpec("picture", spaces.Box(0, 255, (12, 12), np.uint8), spaces.Discrete(3), 30)
LIMIT = 450.0  # seconds, of everything


class Difference(NamedTuple):
    """The largest absolute difference of some numbers on two devices."""

    name: str
    found: float
    tolerance: float

    @property
    def is_ok(self) -> bool:
        """Tell whether it is tolerated; a NaN is not."""
        return self.found <= self.tolerance


# Agents, on observations that are made up.


def _observed(spec: EnvSpec, generator: np.random.Generator) -> Array:
    shape = (len(SEEDS), *spec.observation.shape)
    if spec.observation.dtype == np.uint8:
        return generator.integers(0, 256, shape).astype(np.uint8)
    return generator.normal(size=shape).astype(np.float32)


def _train(agent: Any, spec: EnvSpec, n: int) -> None:
    """Act, and learn from the same steps whatever the agent did; actions are the generator's own."""
    generator = np.random.default_rng(5)
    obs = _observed(spec, generator)
    for t in range(n):
        agent.act(obs)
        following = _observed(spec, generator)
        reward = generator.normal(size=len(SEEDS)).astype(np.float32)
        if isinstance(spec.action, spaces.Discrete):
            actions = generator.integers(0, int(spec.action.n), len(SEEDS))
        else:
            actions = generator.uniform(-1.0, 1.0, (len(SEEDS), *spec.action.shape))
        terminated, truncated = np.full(len(SEEDS), t % 7 == 6), np.full(len(SEEDS), t % 11 == 3)
        agent.learn(obs, actions, Step(following, reward, terminated, truncated & ~terminated, following))
        obs = following


def _agent(name: str, spec: EnvSpec, device: str, n: int, settings: Mapping[str, Any]) -> Any:
    """Train an agent for n steps on a device."""
    config = build({"agent": {"name": name, **settings}, "env": {"name": "rooms"}}).agent_settings
    devices.set_device(device)
    agent = registry.load("agents", name).make(spec, list(SEEDS), config)
    _train(agent, spec, n)
    return agent


def _weights(agent: Any) -> dict[str, Array]:
    made = agent.policy().arrays()
    return {name: value for name, value in made.per_seed.items() if name.startswith("network.")}


def _compare(name: str, ours: Mapping[str, Array], theirs: Mapping[str, Array], tolerance: float) -> Difference:
    """Compare arrays by name; names that only one has are an error."""
    if ours.keys() != theirs.keys():
        raise ValueError(f"{name}: {sorted(ours)} on the CPU, {sorted(theirs)} on the device")
    return Difference(name, max(_largest(ours[key], theirs[key]) for key in ours), tolerance)


def _relative(ours: Mapping[str, Array], theirs: Mapping[str, Array]) -> float:
    """Root of the mean squared difference over that of the mean square."""
    there = np.concatenate([theirs[name].ravel() for name in ours])
    here = np.concatenate([value.ravel() for value in ours.values()])
    return float(np.linalg.norm(here - there) / np.linalg.norm(here))


def _largest(ours: Any, theirs: Any) -> float:
    return float(np.abs(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)).max(initial=0.0))


# Adam would turn the rounding of a gradient that is nearly 0 into a whole step.
_SGD = {"kind": "sgd", "learning_rate": 0.1}
_CONV = {"kind": "tiny", "frames": 2, "hidden": [16]}
_DQN = {
    "batch_size": 8,
    "buffer_size": 400,
    "learning_starts": 40,
    "train_frequency": 4,
    "n_step": 3,
    "prioritized": True,
    "eval_ema": 0.0,
    "explore": {"epsilon_start": 1.0, "epsilon_end": 1.0},
    "network": {"hidden": [16]},
    "conv": _CONV,
    "optimizer": _SGD,
}
_REINFORCE = {
    "episodes_per_update": 3,
    "network": {"hidden": [16]},
    "conv": _CONV,
    "optimizer": _SGD,
    "value_optimizer": _SGD,
}
_STEPS = {"dqn": 68, "reinforce": 90}


def _settings(agent: str, **more: Any) -> dict[str, Any]:
    if agent == "dqn":
        return {**_DQN, "sequence": {"length": 8, "overlap": 4, "burn_in": 2}, **more}
    return {**_REINFORCE, **more}


def _check_agent(name: str, spec: EnvSpec, device: str, label: str, **more: Any) -> Iterator[Difference]:
    settings = _settings(name, **more)
    ours, theirs = (_agent(name, spec, place, _STEPS[name], settings) for place in ("cpu", device))
    first = _weights(_agent(name, spec, "cpu", 0, settings))
    moved = min(_largest(first[key], value) for key, value in _weights(ours).items())
    if moved < 1e-4:
        raise ValueError(f"{label}: weights moved by {moved:.1e}, expected that all are learned")
    yield _compare(f"{label}: weights", _weights(ours), _weights(theirs), 1e-5)
    losses = [np.asarray(agent.state()["loss" if name == "dqn" else "policy_loss"]) for agent in (ours, theirs)]
    yield Difference(f"{label}: loss", _largest(*losses), 1e-3)


def _plain(name: str, device: str) -> Iterator[Difference]:
    yield from _check_agent(name, VECTOR, device, f"{name}, vectors")
    yield from _check_agent(name, PICTURE, device, f"{name}, images")
    if name == "dqn":
        yield from _check_agent(name, VECTOR, device, "dqn, dueling, mse", dueling=True, loss="mse", double=False)
    else:
        yield from _check_agent(name, FORCE, device, "reinforce, Box actions")


def _recurrent(name: str, cell: str, device: str) -> Iterator[Difference]:
    small = {"name": cell, "units": 8, "last_reward": True}
    yield from _check_agent(name, VECTOR, device, f"{name}, {cell}", recurrence=small)
    yield from _check_agent(
        name, VECTOR, device, f"{name}, {cell}, 2 layers, cut", recurrence={**small, "layers": 2, "truncate": 3}
    )
    yield from _check_agent(name, PICTURE, device, f"{name}, {cell}, images", recurrence=small)


# Components and memories.


def _patterns(n: int, shape: tuple[int, ...] = (36,)) -> Array:
    generator = np.random.default_rng(3)
    size = int(np.prod(shape))
    return np.where(generator.random((len(SEEDS), n, size)) < 0.5, -1.0, 1.0).astype(np.float32)


def _encoder(name: str, device: str) -> Iterator[Difference]:
    """An encoder learns from observations; its codes."""
    component = registry.load("components", name)
    settings = {"learn": "beside", "latent_dim": 4, "batch_size": 16, "buffer_size": 64, "train_frequency": 1}
    for spec in (VECTOR, PICTURE):
        codes = []
        for place in ("cpu", device):
            devices.set_device(place)
            encoder = component.make(component.Config(**settings)).encoder(spec, list(SEEDS))
            generator = np.random.default_rng(2)
            for t in range(60):
                encoder.learn(_observed(spec, generator), t + 1)
            codes.append(encoder.encode(_observed(spec, generator), encoder.make_carry()))
        yield Difference(f"encoder {name}, {spec.id}s: codes", _largest(*codes), 1e-3)


def _model(name: str, device: str) -> Iterator[Difference]:
    """A model learns transitions, and imagines some."""
    component = registry.load("components", name)
    imagined = []
    for place in ("cpu", device):
        devices.set_device(place)
        made = component.make(component.Config(batch_size=16, buffer_size=128, train_frequency=1))
        model = made.transition_model(VECTOR, list(SEEDS))
        generator = np.random.default_rng(2)
        for _ in range(50):
            obs, following = _observed(VECTOR, generator), _observed(VECTOR, generator)
            reward = generator.normal(size=len(SEEDS)).astype(np.float32)
            model.learn(obs, generator.integers(0, 4, len(SEEDS)), reward, following, np.zeros(len(SEEDS), bool))
        imagined.append(model.imagine(64))
    for field in ("obs", "next_obs", "reward"):
        yield Difference(f"model {name}: imagined {field}", _largest(*(getattr(m, field) for m in imagined)), 5e-3)


def _memory(name: str, device: str) -> Iterator[Difference]:
    """A memory stores patterns, and gives energies and recalls damaged cues."""
    plugin = registry.load("memories", name)
    shape = (6, 6)
    patterns = _patterns(12, shape)
    cues = patterns * np.where(np.random.default_rng(4).random(patterns.shape) < 0.1, -1.0, 1.0).astype(np.float32)
    weights, energies, recalled = [], [], []
    for place in ("cpu", device):
        devices.set_device(place)
        memory = plugin.make(PatternSpec(shape), list(SEEDS), plugin.Config(updates=40))
        memory.store(patterns)
        weights.append({key: value for key, value in memory.state()["weights"].items() if key != "order"})
        energies.append(memory.energy(patterns))
        recalled.append(memory.recall(cues).patterns)
    yield Difference(f"memory {name}: weights, relative root mean square", _relative(*weights), 1e-2)
    scale = float(np.abs(energies[0]).mean())
    yield Difference(f"memory {name}: energies, relative", _largest(*energies) / scale, 1e-2)
    yield Difference(
        f"memory {name}: share of recalled units that differ", float((recalled[0] != recalled[1]).mean()), 0.01
    )


def _learning(preset: str, steps: int, device: str) -> Iterator[Difference]:
    """64 seeds of a preset learn on both devices; the mean return of their policies, within three standard errors."""
    given = {**presets.find(preset).source().values, "seeds": 64, "steps": steps, "eval_episodes": 20, "threads": 1}
    means = []
    for place in ("cpu", device):
        session = Session(build({**given, "device": place}))
        session.play(steps)
        means.append(session.evaluator().evaluate(session.agent, steps).returns.mean(axis=1))
    error = np.sqrt(sum(mean.var(ddof=1) / len(mean) for mean in means))
    here, there = (float(mean.mean()) for mean in means)
    yield Difference(
        f"{preset}, {steps:,} steps, mean returns {here:.0f} and {there:.0f}", abs(here - there), 3.0 * error
    )


CHECKS: dict[str, tuple[Callable[..., Iterator[Difference]], tuple[Any, ...]]] = {
    **{f"{agent}-{cell}": (_recurrent, (agent, cell)) for cell in reversed(CELLS) for agent in ("dqn", "reinforce")},
    "learning-dqn": (_learning, ("cartpole-dqn", 6_000)),
    "learning-reinforce": (_learning, ("cartpole-reinforce", 12_000)),
    **{agent: (_plain, (agent,)) for agent in ("dqn", "reinforce")},
    **{f"encoder-{name}": (_encoder, (name,)) for name in ("autoencoder", "vae")},
    **{f"model-{name}": (_model, (name,)) for name in ("gan", "vae")},
    **{f"memory-{name}": (_memory, (name,)) for name in MEMORIES},
}


class Checked(NamedTuple):
    """The differences that a check found, and what stopped it."""

    differences: list[Difference]
    error: str
    seconds: float


def run_check(name: str, device: str) -> Checked:
    """Run one check by name; an error is part of what it returns."""
    function, given = CHECKS[name]
    began = time.perf_counter()
    found: list[Difference] = []
    error = ""
    try:
        found.extend(function(*given, device))
    except Exception as raised:  # one check must not stop the others
        place = raised.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = f" ({place.tb_frame.f_code.co_filename}:{place.tb_lineno})" if place else ""
        error = f"{type(raised).__name__}: {raised}{where}"
    return Checked(found, error, time.perf_counter() - began)


def run_checks(names: list[str], device: str, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Run checks, each in a process of its own, so that they compile side by side."""
    rows: list[dict[str, Any]] = []
    context = multiprocessing.get_context("spawn")
    n_workers = max(1, min(len(names), os.cpu_count() or 1))
    with ProcessPoolExecutor(n_workers, mp_context=context) as pool:
        waiting = {pool.submit(run_check, name, device): name for name in names}
        for future in as_completed(waiting):
            checked = future.result()
            for one in checked.differences:
                say(f"{'ok' if one.is_ok else 'FAILED':7}{one.name}: {one.found:.1e}, tolerated {one.tolerance:.0e}")
                rows.append({**one._asdict(), "ok": one.is_ok})
            if checked.error:
                say(f"FAILED {waiting[future]}: {checked.error}")
                rows.append({"name": waiting[future], "error": checked.error, "ok": False})
    return rows


# Speed.

_SPEED = {"buffer_size": 10_000, "learning_starts": 200}
PLAYERS = {
    "dqn": {"name": "dqn", **_SPEED},
    "reinforce": {"name": "reinforce"},
    "dqn, lstm": {"name": "dqn", **_SPEED, "recurrence": {"name": "lstm"}},
}


def _session(agent: Mapping[str, Any], env: str, seeds: int, device: str) -> Session:
    run = {"seeds": seeds, "steps": 10**9, "device": device, "threads": 1, "agent": dict(agent), "env": {"name": env}}
    return Session(build(run))


def speed(agent: Mapping[str, Any], env: str, seeds: int, device: str, seconds: float, warm_up: int) -> float:
    """Environment steps of all seeds per second of wall clock, learning included."""
    session = _session(agent, env, seeds, device)
    session.play(warm_up, 2.0 * seconds)
    first = session.step
    began = time.perf_counter()
    session.play(10**8, seconds)
    return (session.step - first) * seeds / (time.perf_counter() - began)


def run_speeds(
    names: list[str], device: str, say: Callable[[str], None], seconds: float, until: float
) -> dict[str, dict[str, float]]:
    """Measure agents with every number of seeds, as long as there is time."""
    found: dict[str, dict[str, float]] = {}
    for name in names:
        agent = PLAYERS[name]
        found[name] = {}
        for seeds in SIZES:
            if time.perf_counter() + 3.0 * seconds > until:
                say(f"{name}, {seeds} seeds: not measured, the time is up")
                continue
            try:
                found[name][str(seeds)] = speed(agent, "CartPole-v1", seeds, device, seconds, 300)
                say(f"{name}, CartPole-v1, {seeds:,} seeds: {found[name][str(seeds)]:,.0f} steps/s")
            except Exception as raised:  # out of memory, say: the others still count
                say(f"FAILED {name}, {seeds} seeds: {type(raised).__name__}: {raised}")
    return found


def run_pong(device: str, say: Callable[[str], None], seconds: float) -> dict[str, Any]:
    """Let convolutions, and an LSTM behind them, learn Pong for some time; the return of the latest episodes."""
    missing = [module for module in ("ale_py", "cv2") if find_spec(module) is None]
    if missing:
        say(f"Pong: not played, missing: {', '.join(missing)}")
        return {"missing": missing}
    found: dict[str, Any] = {}
    images = {"buffer_size": 20_000, "learning_starts": 400}
    players = {
        "dqn": ({"name": "dqn", **images}, 0.5),
        "dqn, lstm": ({"name": "dqn", **images, "conv": {"frames": 1}, "recurrence": {"name": "lstm"}}, 0.5),
    }
    for name, (agent, share) in players.items():
        try:
            found[name] = _curve(_session(agent, "ALE/Pong-v5", 8, device), name, say, share * seconds)
        except Exception as raised:
            say(f"FAILED Pong, {name}: {type(raised).__name__}: {raised}")
            found[name] = {"error": f"{type(raised).__name__}: {raised}"}
    return found


def _curve(session: Session, name: str, say: Callable[[str], None], seconds: float, n_points: int = 5) -> Any:
    points = []
    for _ in range(n_points):
        first, began = session.step, time.perf_counter()
        session.play(10**8, seconds / n_points)
        rate = (session.step - first) * len(session.seeds) / (time.perf_counter() - began)
        latest = [session.recorder.latest(i) for i in range(len(session.seeds))]
        known = [episode.total for episode in latest if episode is not None]
        mean = float(np.mean(known)) if known else None
        points.append({"steps": session.step, "return": mean, "steps_per_second": rate})
        shown = "no episode ended yet" if mean is None else f"return {mean:.1f}"
        say(f"Pong, {name}, 8 seeds, {session.step:,} steps each: {shown}, {rate:,.0f} steps/s")
    return points


def main(json: bool, words: tuple[str, ...] = ()) -> dict[str, Any]:
    """Check and measure on the device; see the module.

    Args:
        json: say nothing, and return all of it.
        words: of the command line.
    """
    options = _parser().parse_args(words)
    say: Callable[[str], None] = (lambda line: None) if json else (lambda line: print(line, flush=True))
    try:
        devices.set_device(options.device)
    except ValueError as error:
        say(str(error))
        return {"device": options.device, "missing": str(error)}
    finally:
        devices.set_device("cpu")
    import torch

    is_cpu = options.device == "cpu"
    card = "CPU" if is_cpu else torch.cuda.get_device_name(options.device)
    say(f"{card}, torch {torch.__version__}, {os.cpu_count()} cores")
    began = time.perf_counter()
    found: dict[str, Any] = {"device": card, "torch": torch.__version__}
    found["checks"] = run_checks(list(options.check or CHECKS), options.device, say)
    found["check_seconds"] = time.perf_counter() - began
    n_failed = sum(not row["ok"] for row in found["checks"])
    say(f"{len(found['checks'])} checks, {n_failed} failed, {found['check_seconds']:.0f} s")
    if not options.no_speed:  # Pong comes last: it may take what is left
        found["speeds"] = run_speeds(
            list(options.speed or PLAYERS), options.device, say, options.seconds, began + LIMIT - options.pong
        )
        found["pong"] = run_pong(options.device, say, options.pong)
    found["seconds"] = time.perf_counter() - began
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gpu", description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu to rehearse")
    parser.add_argument("--check", action="append", choices=CHECKS, metavar="NAME", help="this check alone; repeatable")
    parser.add_argument("--speed", action="append", choices=PLAYERS, metavar="AGENT", help="this one alone; repeatable")
    parser.add_argument("--no-speed", action="store_true", help="checks alone")
    parser.add_argument("--seconds", type=float, default=6.0, help="of every speed; default 6")
    parser.add_argument("--pong", type=float, default=100.0, help="seconds of Pong; default 100")
    return parser


if __name__ == "__main__":
    result = main(json=False, words=tuple(sys.argv[1:]))
    print(json_text.dumps(result))
    sys.exit(2 if "missing" in result else int(any(not row["ok"] for row in result["checks"])))
