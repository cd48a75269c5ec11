"""External contestants: stable-baselines3 models, Python callables, recorded human episodes, stored runs.

======================================  ===============================================================================
``sb3:DQN``                             a class of stable-baselines3 (extra ``bench``), trained here
``sb3:path/to/model.zip``               a saved model, evaluated without training; setting ``class`` where the file is
unclear
``python:module:name``, ``...py:name``  a callable, without training; see :mod:`simulator.external.callables`
``human:NAME``                          what a person of this name has played in this lab; see :mod:`simulator.play.log`
``human:FILE``                          a person's recorded episodes; see :mod:`simulator.external.recordings`
``cloned:NAME``                         the newest run that has learned to do as this person (``engram play --teach``)
``run:r5``                              what a stored run has learned, without training: seed s by its learner number
                                        s modulo their number; see :mod:`simulator.training.learned`
======================================  ===============================================================================

All but people are evaluated by the engine's evaluator on the evaluation streams of the seed, so their episodes are
paired with those of all other contestants. A person has played what was recorded: a seed's score is the mean of the
episodes recorded with that seed's number, in the environment that agents of that seed train in. These are other
episodes than those of an evaluation, and few: often a single one. A seed without episodes was not played: NaN.
A contestant that does not learn here has the same score at every evaluation.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from simulator.config.codec import unplain
from simulator.config.external import ExternalConfig, evaluation_steps, is_external, is_in_lab
from simulator.config.run import RunConfig, eval_episodes, eval_period
from simulator.core.foreign.python_files import resolved
from simulator.core.jit import working_seconds
from simulator.core.protocols import Policy
from simulator.external import callables, recordings, sb3
from simulator.external.evaluate import (
    EvaluationHarness,
    ExternalFailure,
    Heartbeat,
    TimeLimits,
    one_torch_thread,
    seed_score,
)
from simulator.play import log
from simulator.training import learned
from simulator.training.session import Session


def external(name: str, settings: Mapping[str, Any], run: RunConfig) -> ExternalConfig:
    """Make a validated contestant from outside: its file or class exists, and can play in the environment.

    Args:
        name: ``sb3:...``, ``python:...`` or ``human:...``.
        settings: its own; plain values, lists and tables; the word none is None.
        run: the environment with its settings, seeds, steps and evaluations; its agent is ignored.

    Raises:
        ValueError: it cannot play so; one line.
    """
    if not is_external(name):
        raise ValueError(f"{name}: expected sb3:..., python:..., human:..., cloned:... or run:...")
    kind, _, target = name.partition(":")
    if kind == "cloned":
        kind, target = "run", learned.reference(*log.clone_of(target, run.env, run.env_settings))
    _check_plain(name, "settings", settings)
    seeds = {"seeds": run.seeds, "first_seed": run.first_seed}
    budget = {"steps": run.steps, "eval_every": eval_period(run), "eval_episodes": eval_episodes(run)}
    budget |= {"eval_max_steps": run.eval_max_steps}
    env = {"env": run.env, "env_settings": run.env_settings}
    if kind == "human" and is_in_lab(target):
        played = log.recording_of(target, run.env, run.env_settings)
        target = f"{target}#{log.fingerprint(played)}"
    config = ExternalConfig(kind, target, settings=unplain(settings), **seeds, **budget, **env)  # type: ignore[arg-type]
    if config.file is not None:  # a worker may have another working folder
        config = dataclasses.replace(config, target=config.retargeted(str(resolved(str(config.file)))))
    _check(config)
    return config


def _check(config: ExternalConfig) -> None:
    """Check that a contestant can play, before a tournament begins."""
    if config.kind == "human":
        _recording(config)
        return
    if config.kind == "python":
        callables.load(config)
        return
    if config.kind == "run":
        _check_run(config, EvaluationHarness(config, Heartbeat(lambda: None)))
        return
    sb3.prepare(config)
    with one_torch_thread():
        sb3.check(config, EvaluationHarness(config, Heartbeat(lambda: None)))


def play_external(
    config: ExternalConfig, tick: Callable[[], None], limits: tuple[float, float] = (0.0, 0.0)
) -> dict[str, Any]:
    """Evaluate a contestant in one environment, after training where it is trained here.

    Args:
        config: contestant, environment and seeds.
        tick: called about ten times a second; what it raises passes through.
        limits: :class:`simulator.external.evaluate.TimeLimits`. Training that they end is evaluated there, and scores
            the same from there on.

    Returns:
        Plain values: ``scores`` [S], ``steps`` [K], ``curve`` [S][K], NaN for what failed or was not played;
        ``failed``: ``[{seed, step, reason}]``; ``facts``: ``floor``, ``floor_is``, ``ceiling``, ``ceiling_is``,
        ``threshold``, and of a person ``not_played``, the seeds without episodes, and ``episodes`` [S], their number
        for each seed; ``seconds`` and ``cpu_seconds``,
        compilation excluded; ``exact``: True, since nothing here is interrupted and resumed.

    Raises:
        ValueError: the contestant failed in every seed, or cannot play; one line.
    """
    if config.kind == "sb3":
        sb3.prepare(config)
    heartbeat = Heartbeat(tick)
    began = working_seconds()
    try:
        with one_torch_thread():
            result = _evaluated(config, EvaluationHarness(config, heartbeat, TimeLimits(*limits)))
    except Exception as error:
        if heartbeat.raised is not None:
            raise heartbeat.raised from None
        if isinstance(error, ExternalFailure):
            raise ValueError(str(error)) from None
        raise
    seconds, cpu_seconds = (now - then for now, then in zip(working_seconds(), began, strict=True))
    return {**result, "seconds": seconds, "cpu_seconds": cpu_seconds, "exact": True}


def _evaluated(config: ExternalConfig, harness: EvaluationHarness) -> dict[str, Any]:
    harness.heartbeat()
    steps = evaluation_steps(config)
    facts = harness.facts()
    failed: list[dict[str, Any]] = []
    if config.kind == "sb3":
        curve, failed = sb3.play(config, harness)
        if len(failed) == len(curve):
            raise ExternalFailure(f"every seed failed: {failed[0]['reason']}")
    else:
        play = {"python": callables.play, "human": _human_scores, "run": _run_scores}[config.kind]
        scores = play(config, harness)
        curve = [[score] * len(steps) for score in scores]
    if config.kind == "human":
        counted = Counter(episode.seed for episode in _recording(config).episodes)
        facts["episodes"] = [counted[seed] for seed in config.seed_list]
        facts["not_played"] = [s for s, row in zip(config.seed_list, curve, strict=True) if math.isnan(row[-1])]
    missing = {seed for seed, row in zip(config.seed_list, curve, strict=True) if math.isnan(row[-1])}
    missing -= {failure["seed"] for failure in failed}
    facts["without_score"] = [
        {"seed": seed, "reason": why} for seed, why in harness.without_score.items() if seed in missing
    ]
    return {"scores": [row[-1] for row in curve], "steps": steps, "curve": curve, "failed": failed, "facts": facts}


def _human_scores(config: ExternalConfig, harness: EvaluationHarness) -> list[float]:
    """Return a person's score in every seed; NaN without episodes."""
    seeds = set(config.seed_list)
    returns = recordings.replay(config.target, _recording(config), seeds, harness.make_env, harness.heartbeat)
    return [float(np.mean(returns[seed])) if seed in returns else math.nan for seed in config.seed_list]


def _check_run(config: ExternalConfig, harness: EvaluationHarness) -> learned.StoredAgents:
    if config.settings:
        raise ValueError(f"{config.name}: {next(iter(config.settings))}: no such setting, expected none")
    found = learned.read(config.target)
    learned.check_spaces(found, harness.spec)
    return found


def _run_scores(config: ExternalConfig, harness: EvaluationHarness) -> list[float]:
    """Return the score of a stored run's learner in every seed."""
    found = _check_run(config, harness)
    session = Session(dataclasses.replace(found.config, threads=1, device="cpu"))
    session.agent.restore(found.agent)
    n = found.config.seeds

    def score(seed: int) -> float:
        def policy() -> Policy:
            return learned.SeedPolicy(session.agent.policy(), seed % n, n)

        return seed_score(harness.evaluate(harness.evaluator(seed), policy, 0))

    return [score(seed) for seed in config.seed_list]


def _recording(config: ExternalConfig) -> recordings.Recording:
    if config.settings:
        raise ValueError(f"{config.name}: {next(iter(config.settings))}: no such setting, expected none")
    if is_in_lab(config.target):
        recording = log.recording_of(config.target, config.env, config.env_settings)
        if log.fingerprint(recording) != config.target.rpartition("#")[2]:
            raise ValueError(f"human:{log.parsed(config.target).name} has played on since: begin the tournament again")
        return recording
    recording = recordings.read_recording(config.target)
    recordings.check_env(config.target, recording, config.env, config.env_settings)
    return recording


def _check_plain(name: str, place: str, value: Any) -> None:
    """Check that TOML can hold the settings."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_plain(name, f"{place}.{key}", item)
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            _check_plain(name, f"{place}[{i}]", item)
    elif not isinstance(value, bool | int | float | str | None) or (
        isinstance(value, float) and not math.isfinite(value)
    ):
        raise ValueError(f"{name}: {place} = {value!r}: expected true, false, a finite number, text, a list or a table")
