"""More steps for a stored run: what it takes, and what changes with them."""

from __future__ import annotations

import dataclasses
from typing import Any

from simulator.config.changes import scheduled
from simulator.config.codec import is_as_stored, of_record, settings_hash, to_toml
from simulator.config.run import RunConfig, eval_period
from simulator.config.validation import names_of_run
from simulator.core.experiment_kinds import RUN
from simulator.store.records import RunRecord, StoreError
from simulator.store.run_records import not_as_stored
from simulator.store.run_store import ChangedSteps, Store


def extend(store: Store, run: str, steps: int) -> list[str]:
    """Let a stored run go on to ``steps`` environment steps per seed in all; the training loop continues it then.

    Args:
        store: the lab.
        run: id of a run that is over or was interrupted.
        steps: more than it has trained, and fewer or more than it was to train.

    Returns:
        A line for everything that is otherwise than in a run that was begun with ``steps``; the first tells the change.

    Raises:
        ValueError: it has trained so many steps already, every seed failed, its settings changed, a change of it comes
            later, or it is not a training run; one line.
    """
    record = store.find(run)
    _check(record, steps)
    config = of_record(RunConfig, record)
    if not is_as_stored(config, record):
        raise ValueError(not_as_stored(record))
    if steps == config.steps:
        return []
    scheduled(config.changes, steps)
    longer = dataclasses.replace(config, steps=steps)
    change: dict[str, Any] = {"step": record.step, "from": config.steps, "to": steps}
    change["replay_kept"] = not record.known("replay_dropped")
    store.take(record.run)
    try:
        store.extend(record.run, ChangedSteps(steps, to_toml(longer), settings_hash(longer), change))
    finally:
        store.release(record.run)
    return _differences(config, longer, change)


def extension_line(change: dict[str, Any]) -> str:
    """Format a recorded change of steps: ``steps changed from 1,000 to 2,000 after step 1,000``."""
    line = f"steps changed from {change['from']:,} to {change['to']:,} after step {change['step']:,}"
    return line if change["replay_kept"] else f"{line}, where its replay began empty"


def _check(record: RunRecord, steps: int) -> None:
    if record.kind != RUN:
        raise StoreError(f"{record.run} is a recall benchmark, whose cells are its settings: --steps is for runs")
    if steps <= record.step:
        raise StoreError(
            f"--steps {steps}: {record.run} has trained {record.step:,} steps already; "
            "--steps is the total, not how many to add, so expected more"
        )
    if record.status == "failed" and not record.error:
        raise StoreError(f"{record.run}: every seed failed by step {record.step:,}, so no more steps can be trained")


def _differences(config: RunConfig, longer: RunConfig, change: dict[str, Any]) -> list[str]:
    lines = [extension_line(change)]
    of_run = [f"agent.{name}" for name in names_of_run(config.agent_settings)]
    if of_run:
        named = " and ".join(of_run)
        lines.append(f"{named}: as long as the run, {longer.steps:,} steps from here on, {config.steps:,} before")
    if eval_period(config) != eval_period(longer):
        lines.append(
            f"evaluations: every {eval_period(longer):,} steps from here on, every {eval_period(config):,} before"
        )
    if not change["replay_kept"]:
        lines.append(
            "its replay was dropped when it was over (--keep-replay keeps it): it begins empty, so what comes is not"
            " what a run of that many steps would give"
        )
    return lines
