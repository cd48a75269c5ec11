"""Records of a training run, as the training loop writes them into the store and reads them back."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.config.codec import content_hashes, settings_hash, to_toml
from simulator.config.run import RunConfig
from simulator.core.experiment_kinds import RUN
from simulator.core.files.escaping import check_label, visible
from simulator.core.files.reading import add_to
from simulator.core.foreign.faults import PlayerError, fault_of
from simulator.core.protocols import Array, EnvSpec, Evaluation, Failure
from simulator.store.records import EvaluationRow, NewRun
from simulator.store.run_store import Store
from simulator.versions import NOT_INSTALLED, version_of

if TYPE_CHECKING:
    from simulator.config.codec import PlayerEntry
    from simulator.config.predict import PredictConfig
    from simulator.config.recall import RecallConfig
    from simulator.store.records import RunRecord

MAX_NAMED = 3  # contestants whose names stand in a record
NOT_FINITE = "its loss was not finite"
VERSIONS = ("engram-rl", "gymnasium", "numpy", "numba", "scipy", "torch")


def new_run(config: RunConfig, label: str = "", keep_replay: bool = False) -> NewRun:
    """Make the record of a new training run.

    Raises:
        ValueError: a label with characters that cannot be seen.
    """
    seeds = seeds_of(config)
    record = new_record(RUN, config, label, agent=config.agent, env=config.env, seeds=seeds, steps=config.steps)
    return replace(record, keep_replay=keep_replay)


def new_record(
    kind: str, config: Any, label: str, *, agent: str, env: str, seeds: tuple[int, ...], steps: int
) -> NewRun:
    """Make the record of a new experiment; see :class:`simulator.store.records.NewRun`.

    Raises:
        ValueError: a label with characters that cannot be seen.
    """
    check_label(label)
    return NewRun(
        kind=kind,
        agent=agent,
        env=env,
        seeds=seeds,
        steps=steps,
        settings=to_toml(config),
        settings_hash=settings_hash(config),
        files=content_hashes(config),
        versions=installed(),
        label=label,
    )


def names_of(contestants: Sequence[PlayerEntry], noun: str) -> str:
    """Return the labels of those that compete, as a record has them in place of an agent: ``4 memories`` of many."""
    n = len(contestants)
    return " ".join(one.label for one in contestants) if n <= MAX_NAMED else f"{n} {noun}"


def installed() -> dict[str, str]:
    """Return the versions of every distribution that a result can depend on."""
    return dict(_installed())


@cache  # reading one takes 3 ms
def _installed() -> dict[str, str]:
    return {name: version_of(name) for name in VERSIONS}


def changed(versions: Mapping[str, str]) -> dict[str, list[str | None]]:
    """Return the distributions whose versions have changed, as [then, now]."""
    changes: dict[str, list[str | None]] = {}
    for name, then in versions.items():
        now = version_of(name)
        if now != then:
            changes[name] = [then, None if now == NOT_INSTALLED else now]
    return changes


def changed_files(files: Mapping[str, str]) -> dict[str, str]:
    """Return the files whose content is another one than its hash says: path -> "has changed" or "is gone"."""
    changes = {}
    for path, then in files.items():
        digest = hashlib.sha256()
        try:
            add_to(digest, Path(path))
        except ValueError:
            changes[path] = "is gone" if not os.path.exists(path) else "cannot be read"
        else:
            if digest.hexdigest() != then:
                changes[path] = "has changed"
    return changes


def not_as_stored(record: RunRecord) -> str:
    """Say which file keeps a stored run from being continued, and what to do."""
    changes = changed_files(record.files)
    what = " and ".join(f"{visible(path)} {change}" for path, change in changes.items())
    what = what or "its settings, or a file that they name, have changed"
    it = "it" if len(changes) == 1 else "them"
    instead = f"engram reproduce {record.run} compares, engram run begins another"
    return f"{record.run}: {what} since it began; put {it} back as before to continue ({instead})"


def seeds_of(config: RunConfig | RecallConfig | PredictConfig) -> tuple[int, ...]:
    """Return the seeds of a run, in order."""
    return tuple(range(config.first_seed, config.first_seed + config.seeds))


def failures(seeds: tuple[int, ...], failed_at: Array) -> tuple[Failure, ...]:
    """List the seeds that failed, in their order; ``failed_at`` int64 [S] is 0 for a seed that goes on."""
    broken = np.flatnonzero(failed_at)
    return tuple(Failure(seeds[i], int(failed_at[i]), NOT_FINITE) for i in broken)


def failure_of(error: BaseException, step: int) -> dict[str, Any]:
    """Describe the error that ended a run, as the store keeps it.

    Args:
        error: what was raised.
        step: the last environment step that was whole, for where the error does not say in which it happened.

    Returns:
        ``reason``: one line; ``kind``, ``file`` and ``line``: class and place of the error behind it, None where a
        value was refused and nothing was raised; ``step``: environment step of training, counted from 1.
    """
    fault = (
        error.fault if isinstance(error, PlayerError) else None if isinstance(error, ValueError) else fault_of(error)
    )
    failure = {"reason": " ".join(str(error if isinstance(error, ValueError) else fault).split())}
    place = {name: getattr(fault, name) or None for name in ("kind", "file", "line")} if fault else {}
    at = error.step if isinstance(error, PlayerError) and error.step else step
    return {**failure, "kind": None, "file": None, "line": None, **place, "step": at}


def outcome(spec: EnvSpec, evaluations: list[Evaluation], failed: tuple[Failure, ...]) -> dict[str, Any]:
    """Return the facts of a run's result, as the store keeps them: plain values, None for NaN."""
    facts: dict[str, Any] = {
        "threshold": spec.reward_threshold,
        "floor": spec.random_score,
        "max_steps": spec.max_steps,
    }
    facts["failed"] = [failure._asdict() for failure in failed]
    if evaluations and evaluations[-1].value_error is not None:
        facts["value_error"] = _plain(evaluations[-1].value_error)
        facts["value_errors"] = [_plain(evaluation.value_error) for evaluation in evaluations]
    return facts


def _plain(values: Array | None) -> list[float | None] | None:
    return None if values is None else [None if x != x else x for x in values.tolist()]


def evaluation_rows(evaluations: list[Evaluation], seeds: tuple[int, ...]) -> Iterator[EvaluationRow]:
    """Iterate over rows, one for every evaluation and seed; NaN for a seed that had failed."""
    for evaluation in evaluations:
        for i, seed in enumerate(seeds):
            exact = None if evaluation.exact is None else float(evaluation.exact[i])
            returns = evaluation.returns[i]
            mean = float(returns.mean()) if len(returns) or exact is None else exact
            yield EvaluationRow(evaluation.step, seed, mean, exact, returns)


def stored_evaluations(store: Store, run: str, until: int) -> list[Evaluation]:
    """Return the stored evaluations of a run, up to an environment step."""
    by_step: dict[int, list[Any]] = {}
    for row in store.evaluations(run):
        if row.step <= until:
            by_step.setdefault(row.step, []).append(row)
    errors = store.find(run).known("value_errors") or []
    return [
        Evaluation(
            step,
            np.stack([row.returns for row in rows]),
            None if all(row.exact is None for row in rows) else np.array([row.exact for row in rows], np.float64),
            None if error is None else np.array(error, np.float64),
        )
        for (step, rows), error in zip_longest(sorted(by_step.items()), errors[: len(by_step)])
    ]
