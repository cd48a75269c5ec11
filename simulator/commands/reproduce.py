"""``engram reproduce``: run a stored experiment again, from its stored config, and compare every stored number."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Generator, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simulator import console
from simulator.commands.parsing.command import Command, CommandResult, ParsedArgs, lab_of, refuse_unused
from simulator.config.changes import until
from simulator.config.codec import of_record, settings_hash, to_toml
from simulator.config.run import RunConfig
from simulator.config.tournament import TournamentConfig
from simulator.core.experiment_kinds import PLAY, PREDICT, RECALL, TOURNAMENT, TUNE
from simulator.core.files.escaping import visible
from simulator.core.snapshots import Snapshot
from simulator.machine import differences, machine
from simulator.store.cell_store import CellStore, kind_of
from simulator.store.lab import existing
from simulator.store.run_records import changed, changed_files

if TYPE_CHECKING:
    from simulator.commands.live.driver import Wait
    from simulator.store.cell_store import JobKey, JobRecord
    from simulator.store.records import RunRecord
    from simulator.store.run_store import Store


class RowKey(NamedTuple):
    """The place of stored numbers; rows are compared in this order."""

    step: int
    seed: int
    what: str  # curve point, evaluation, failure or refusal


Rows = dict[RowKey, tuple[tuple[str, Any], ...]]  # named numbers


TIMES = ("store_seconds", "machine")  # facts that differ from time to time, and from place to place


def act(args: ParsedArgs) -> CommandResult:
    """Run what is named again; the exit code is 1 where a number differs."""
    lab = lab_of(args.options)
    if kind_of(lab, args.names[0]) != TOURNAMENT:
        refuse_unused(args, "reproduce", "a run", ())
    data = again(args.names[0], lab, args.options.workers)
    return CommandResult(data, show, 0 if data["identical"] else 1)


def again(run: str, lab: str, workers: str = "0") -> dict[str, Any]:
    """Run a stored experiment again in a lab of its own, as far as it was stored.

    Args:
        run: its id, or "latest".
        lab: the folder that holds it.
        workers: where the cells of a tournament run, as ``--workers``.

    Returns:
        The JSON object of the command: ``difference`` is None or the first number, by environment step, that came out
        otherwise; ``files`` are those that changed since, each with how; ``versions`` are the distributions that
        changed since, as [then, now], and ``machine`` what the machine has otherwise than the one that it ran on; see
        :mod:`simulator.machine`.

    Raises:
        ValueError: there is no such run.
    """
    from simulator.store.run_store import Store

    kind = kind_of(lab, run)
    if kind == TOURNAMENT:
        return tournament_again(run, lab, workers)
    if kind == TUNE:
        instead = f"engram tune FILE.toml --lab OTHER repeats it, with the settings that engram show {run} prints"
        raise ValueError(f"{run} is a tuning, expected a run or a tournament ({instead})")
    with Store(existing(lab)) as store, tempfile.TemporaryDirectory(prefix="engram-") as folder, Store(folder) as other:
        record = store.find(run)
        if record.kind == PLAY:
            return play_again(store, record)
        played = _play(record, other)
        stored = rows(store, record.run)
        difference = compare(stored, rows(other, played))
        now = other.find(played).machines[-1:] or [machine()]
    n_points = sum(key.what == "curve point" for key in stored)
    n_evaluations = sum(key.what == "evaluation" for key in stored)
    return {
        "run": record.run,
        "identical": difference is None,
        "compared": {"points": n_points, "evaluations": n_evaluations},
        "difference": difference,
        "files": changed_files(record.files),
        "versions": changed(record.versions),
        "machine": differences(record.machines, now[0]),
        "exact": record.exact,
    }


def play_again(store: Store, record: RunRecord) -> dict[str, Any]:
    """Take the actions of recorded play again, and compare every return.

    Raises:
        ValueError: it is of a game, whose other side is not recorded; or an episode ends elsewhere; one line.
    """
    from simulator.config.play import PlayConfig
    from simulator.core import registry
    from simulator.external.recordings import replay
    from simulator.play import log

    config = of_record(PlayConfig, record)
    if config.game:
        raise ValueError(f"{record.run} is play of a game, expected play of an environment: a game has two sides")
    recording = log.as_recording(log.episodes_of(store, record.run), config.env, config.env_settings)
    make = registry.load("envs", config.env).make
    seeds = {episode.seed for episode in recording.episodes}
    replay(record.run, recording, seeds, lambda own: make(own, config.env_settings), lambda: None)
    return {
        "run": record.run,
        "identical": True,
        "compared": {"episodes": len(recording.episodes)},
        "difference": None,
        "files": changed_files(record.files),
        "versions": changed(record.versions),
        "machine": differences(record.machines, machine(1)),
        "exact": record.exact,
    }


def show(outcome: Mapping[str, Any]) -> None:
    """Print the outcome for people."""
    if "tournament" in outcome:
        _show_tournament(outcome)
        return
    compared = outcome["compared"]
    difference = outcome["difference"]
    if "episodes" in compared:
        console.print_result(f"{outcome['run']}: {compared['episodes']:,} episodes, every return is as recorded")
    elif difference is None:
        numbers = f"{compared['points']:,} curve points and {compared['evaluations']:,} evaluations"
        console.print_result(f"{outcome['run']}: identical, {numbers}, bit for bit")
    else:
        place = f"{difference['what']} of seed {difference['seed']} at step {difference['step']:,}"
        values = f"{difference['number']} was {difference['stored']}, now {difference['again']}"
        console.print_result(f"{outcome['run']}: first differs in the {place}: {values}")
    for path, change in outcome["files"].items():
        console.print_result(visible(f"  {path} {change} since the run: put it back as it was to have its numbers"))
    show_changes(outcome)
    if not outcome["exact"]:
        console.print_result("  the stored run was interrupted where its environment could not be continued exactly")


def show_changes(outcome: Mapping[str, Any]) -> None:
    """Print the versions and facts of the machine that have changed since."""
    for name, (then, now) in {**outcome["versions"], **outcome["machine"]}.items():
        console.print_result(visible(f"  {name.replace('_', ' ')} was {then}, now {now}"))
    if outcome["machine"] and outcome["difference"]:
        console.print_result("  other machines round differently: runs there differ in bits, and agree in distribution")


def rows(store: Store, run: str) -> Rows:
    """Read what a lab holds of a run, as numbers by step, seed and kind."""
    rows_by_key: Rows = {}
    points = store.points(run)
    names = [name for name in points._fields if name not in ("seed", "step")]
    columns = [getattr(points, name) for name in names]
    for i, (step, seed) in enumerate(zip(points.step, points.seed, strict=True)):
        numbers = tuple((name, column[i]) for name, column in zip(names, columns, strict=True))
        rows_by_key[RowKey(int(step), int(seed), "curve point")] = numbers
    for row in store.evaluations(run):
        returns = [(f"return of episode {i}", value) for i, value in enumerate(row.returns)]
        rows_by_key[RowKey(row.step, row.seed, "evaluation")] = (("mean", row.mean), ("exact", row.exact), *returns)
    metrics: dict[RowKey, list[tuple[str, float]]] = {}
    for metric in store.metrics(run):
        metrics.setdefault(RowKey(metric.step, metric.seed, "evaluation"), []).append((metric.name, metric.value))
    rows_by_key |= {key: tuple(numbers) for key, numbers in metrics.items()}
    record = store.find(run)
    for failure in record.failed:
        rows_by_key[RowKey(failure["step"], failure["seed"], "failure")] = (("step", failure["step"]),)
    for n, cell in enumerate(record.known("cells") or (), 1):  # of a recall benchmark
        for failure in cell.get("failed", ()):
            rows_by_key[RowKey(n, failure["seed"], "failure")] = (("cell", n),)
        if "refused" in cell:
            rows_by_key[RowKey(n, record.seeds[0], "refusal")] = (("cell", n),)
    return rows_by_key


def compare(stored: Rows, replayed: Rows) -> dict[str, Any] | None:
    """Find the first number that differs in any bit, by step and seed; None where there is none.

    The second run may go further than what was stored.
    """
    last = max((step for step, _, _ in stored), default=0)
    keys = {*stored, *(key for key in replayed if key[0] <= last)}
    for key in map(RowKey._make, sorted(keys)):
        then = dict(stored.get(key, ()))
        now = dict(replayed.get(key, ()))
        for name in {**then, **now}:
            if not _same(then.get(name), now.get(name)):
                facts = {"stored": _number(then.get(name)), "again": _number(now.get(name))}
                return {"what": key.what, "seed": key.seed, "step": key.step, "number": name, **facts}
    return None


def _play(record: RunRecord, other: Store) -> str:
    """Run a stored experiment again in another lab, as far as it was stored, and return its id there."""
    from simulator.commands.live.driver import Wait, telling

    wait = Wait(unseen=True, doing=f"{record.run}: reproducing")
    with telling(wait):
        return _play_parts(record, other, wait)


def _play_parts(record: RunRecord, other: Store, wait: Wait) -> str:
    from simulator.config.recall import RecallConfig
    from simulator.recall import loop
    from simulator.training import loop as engine
    from simulator.training.extension import extend

    run: str | None = None
    snapshots: Generator[Snapshot, None, None]
    if record.kind == PREDICT:
        from simulator.config.predict import PredictConfig
        from simulator.prediction.loop import predict

        snapshots = predict(of_record(PredictConfig, record), other)
    elif record.kind == RECALL:
        snapshots = loop.recall(of_record(RecallConfig, record), other)
    else:
        config = of_record(RunConfig, record)
        for change in record.extended:  # one part after the other, as it was trained
            part = dataclasses.replace(config, steps=change["from"], changes=until(config.changes, change["from"]))
            for trained in engine.run(part, other, run, keep_replay=change["replay_kept"], stop_at=change["step"]):
                run = trained.id
                wait.last = trained
            extend(other, str(run), change["to"])
            part = dataclasses.replace(config, steps=change["to"], changes=until(config.changes, change["to"]))
            other.take(str(run))
            other.change(str(run), to_toml(part), settings_hash(part))
            other.release(str(run))
        snapshots = engine.run(config, other, run)
    for snapshot in snapshots:
        run = snapshot.id
        wait.last = snapshot
        if record.status != "done" and snapshot.progress.done >= record.step:
            break
    snapshots.close()
    return str(run)


def _same(one: Any, two: Any) -> bool:
    if one is None or two is None:
        return one is two
    return np.float64(one).tobytes() == np.float64(two).tobytes()


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def tournament_again(name: str, lab: str, workers: str = "0") -> dict[str, Any]:
    """Run every cell of a stored tournament that ended well once more.

    Returns:
        The JSON object of ``engram reproduce``: ``difference`` is None, or the first cell with a number
        that differs; ``versions`` are the distributions that changed since, as [then, now].

    Raises:
        ValueError: there is no such tournament, or it cannot be run any more.
    """
    from simulator.tournaments import loop, summary
    from simulator.tournaments.workers.local import workers_of

    with CellStore(existing(lab)) as store, tempfile.TemporaryDirectory(prefix="engram-") as folder:
        record = store.find(store.id_of(name))
        config = of_record(TournamentConfig, record)
        with CellStore(folder) as other:
            for last in loop.play(config, other, partial(workers_of, workers)):
                new_id = last.id
            theirs = _cells(other, other.find(new_id).plan)
        mine = _cells(store, record.plan)
    words = {pair["key"]: summary.named(record.plan, pair) for pair in record.plan["pairs"]}
    theirs_by_seed = {(key, seed): values for (key, _), cell in theirs.items() for seed, values in _by_seed(cell)}
    rows = [(key, seed, values) for (key, _), cell in mine.items() for seed, values in _by_seed(cell)]
    differences_found = ((key, seed, _compared(values, theirs_by_seed.get((key, seed)))) for key, seed, values in rows)
    difference = next(
        (
            {**words[key], "seed": seed, "what": difference_text}
            for key, seed, difference_text in differences_found
            if difference_text
        ),
        None,
    )
    versions = {name: now for cell in mine.values() for name, now in changed(cell.versions).items()}
    made_on = [
        [cell.facts["machine"] for cell in cells.values() if "machine" in cell.facts] for cells in (mine, theirs)
    ]
    compared = {"cells": len(mine), "numbers": sum(len(values) for *_, values in rows)}
    return {
        "tournament": record.name,
        "identical": difference is None and bool(mine),
        "compared": compared,
        "difference": difference,
        "versions": versions,
        "machine": differences(made_on[0], made_on[1][0]) if made_on[1] else {},
    }


def _show_tournament(outcome: Mapping[str, Any]) -> None:
    """Print the outcome for people."""
    compared = outcome["compared"]
    difference = outcome["difference"]
    if difference is None:
        numbers = f"{compared['numbers']:,} numbers of {compared['cells']:,} cells"
        console.print_result(f"{outcome['tournament']}: identical, {numbers}, bit for bit")
    else:
        place = f"{difference['contestant']} in {difference['challenge']}, seed {difference['seed']}"
        console.print_result(f"{outcome['tournament']}: first differs in {place}: {difference['what']}")
    show_changes(outcome)


def _cells(store: CellStore, plan: Mapping[str, Any]) -> dict[JobKey, JobRecord]:
    """Return the cells of a plan that have results, in its order."""
    from simulator.tournaments.plan import cells_of

    stored = store.cells([pair["key"] for pair in plan["pairs"]])
    slots = [(pair["key"], span) for pair, span in cells_of(dict(plan))]
    return {slot: stored[slot] for slot in slots if slot in stored and stored[slot].status == "done"}


def _by_seed(cell: JobRecord) -> Iterator[tuple[int, dict[str, Any]]]:
    """Iterate over every number of a cell by seed; facts of all seeds are repeated for each."""
    n = cell.span[1]
    for i, seed in enumerate(range(cell.span[0], sum(cell.span))):
        numbers: dict[str, Any] = {"score": cell.scores[i].tolist()}
        numbers |= {"second": cell.second[i].tolist()} if len(cell.second) else {}
        numbers |= {
            f"evaluation at {step:,}": value
            for step, value in zip(cell.steps.tolist(), cell.curve[i].tolist() if len(cell.steps) else [], strict=True)
        }
        for name, value in cell.facts.items():
            if name in TIMES:
                continue
            if name == "failed":
                numbers[name] = [item for item in value if item["seed"] == seed]
            else:
                numbers[name] = _of_seed(value, i, n)
        yield seed, numbers


def _of_seed(value: Any, i: int, n: int) -> Any:
    """Return the value of a fact for seed i of n: facts are one for all seeds, [S], or of both sides [2][S]."""
    if not isinstance(value, list):
        return value
    if len(value) == 2 and all(isinstance(side, list) and len(side) == n for side in value):
        return [side[i] for side in value]
    return value[i] if len(value) == n else value


def _compared(mine: Mapping[str, Any], theirs: Mapping[str, Any] | None) -> str:
    """Describe what differs; empty where nothing does."""
    if theirs is None:
        return "it has no result: a player's file or this distribution has changed, or it failed"
    differing = [name for name in mine if repr(mine[name]) != repr(theirs.get(name))]
    return f"other {', '.join(differing)}" if differing else ""


COMMAND = Command(act, (1, 1), ("workers", "trust_files"), examples=("reproduce latest", "reproduce r1 --json"))
