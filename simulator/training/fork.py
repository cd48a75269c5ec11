"""Forks: a new run that is another one up to a step, and from there has changes of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from simulator.config.changes import parse, scheduled, until
from simulator.config.codec import is_as_stored, of_record
from simulator.config.run import RunConfig
from simulator.core.experiment_kinds import RUN, noun_of
from simulator.store.records import PointRows, Rows, RunRecord, Saved, StoreError
from simulator.store.run_records import new_run, not_as_stored
from simulator.store.run_store import Store


def fork(store: Store, run: str, at: int | None = None, changes: Sequence[str] = (), label: str = "") -> str:
    """Begin a run that is a stored one up to a step, and return its id; the training loop continues it.

    It goes on from the stored run's newest checkpoint where that is not later than the step. Otherwise it is trained
    again from the beginning, which gives the same bits. Changes of the stored run after the step are left out.

    Args:
        store: the lab.
        run: id of a run, or "latest".
        at: environment step; None: that of the newest checkpoint.
        changes: of the new run alone, none before the step.
        label: name of it; by default which run it was forked from, and where.

    Raises:
        ValueError: no such run or step, a change before it, or settings that changed since; one line.
    """
    record = store.find(run)
    if record.kind != RUN:
        raise StoreError(f"{record.run} is a {noun_of(record.kind)}, expected a run of an agent")
    config = of_record(RunConfig, record)
    if not is_as_stored(config, record):
        raise ValueError(not_as_stored(record))
    saved = store.newest(record.run)
    step = (saved.progress.step if saved else 0) if at is None else at
    if step >= config.steps:
        longer = f"engram resume {record.run} --steps trains it on"
        raise ValueError(f"--at {step}: {record.run} is over after {config.steps:,} steps, expected fewer; {longer}")
    for change in map(parse, changes):
        if change.step < step:
            raise ValueError(f"change '{change}': {record.run} is forked at step {step:,}, expected no earlier step")
    forked = dataclasses.replace(config, changes=scheduled((*until(config.changes, step + 1), *changes), config.steps))
    use = saved if saved is not None and saved.progress.step <= step else None
    if use is None and record.extended:
        raise ValueError(f"--at {step}: {record.run} was extended, so it is forked at its newest checkpoint or later")
    new = store.begin(new_run(forked, label or f"{record.run} until step {step:,}", record.keep_replay))
    try:
        if use is not None:
            _copy(store, record, use, new)
    except BaseException:
        store.discard(new)
        raise
    store.release(new)
    return new


def _copy(store: Store, record: RunRecord, saved: Saved, new: str) -> None:
    """Write the checkpoint of a run, and the rows that belong to it, as those of another."""
    step = saved.progress.step
    points = store.points(record.run)
    kept = points.step <= step
    rows = Rows(
        PointRows(*(column[kept] for column in points)),
        tuple(row for row in store.evaluations(record.run) if row.step <= step),
        tuple(row for row in store.metrics(record.run) if row.step <= step),
    )
    own = store.find(new).result or {}  # its label and files
    store.checkpoint(
        new, saved.progress, saved.state, rows, status="interrupted", result={**(record.result or {}), **own}
    )
