"""Plays a stored run again, from its stored settings, and compares every number that was stored."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator import console
from simulator.commands.catalog import is_tournament
from simulator.config.codec import of_record
from simulator.config.run import RunConfig
from simulator.core.files.escaping import visible
from simulator.machine import differences, machine
from simulator.store.lab import existing
from simulator.store.run_records import changed

if TYPE_CHECKING:
    from simulator.store.records import RunRecord
    from simulator.store.run_store import Store

Rows = dict[tuple[int, int, str], tuple[tuple[str, Any], ...]]  # (step, seed, kind) -> named numbers


def again(run: str, lab: str, workers: str = "0") -> dict[str, Any]:
    """Play a stored run, contest or tournament again in a lab of its own, as far as it was stored.

    Args:
        run: its id, or "latest".
        lab: the folder that holds it.
        workers: where the cells of a tournament are played, as ``--workers``.

    Returns:
        The JSON object of the command: ``difference`` is None or the first number, by environment step, that came out
        otherwise; ``versions`` are the distributions that changed since, as [then, now], and ``machine`` what the
        machine has otherwise than the one that it was played on; see :mod:`simulator.machine`.

    Raises:
        ValueError: there is no such run.
    """
    from simulator.store.run_store import Store

    if is_tournament(run, lab):
        from simulator.commands import reproduce_tournament

        return reproduce_tournament.again(run, lab, workers)
    with Store(existing(lab)) as store, tempfile.TemporaryDirectory(prefix="engram-") as folder, Store(folder) as other:
        record = store.find(run)
        played = _play(record, other)
        difference = compare(rows(store, record.run), rows(other, played))
        now = other.find(played).machines[-1:] or [machine()]
        n_points, n_evaluations = len(store.points(record.run).seed), len(store.evaluations(record.run))
    return {
        "run": record.run,
        "identical": difference is None,
        "compared": {"points": n_points, "evaluations": n_evaluations},
        "difference": difference,
        "versions": changed(record.versions),
        "machine": differences(record.machines, now[0]),
        "exact": record.exact,
    }


def show(outcome: Mapping[str, Any]) -> None:
    """Print the outcome for people."""
    if "tournament" in outcome:
        from simulator.commands import reproduce_tournament

        reproduce_tournament.show(outcome)
        return
    compared, found = outcome["compared"], outcome["difference"]
    if found is None:
        numbers = f"{compared['points']:,} curve points and {compared['evaluations']:,} evaluations"
        console.print_result(f"{outcome['run']}: identical, {numbers}, bit for bit")
    else:
        place = f"{found['what']} of seed {found['seed']} at step {found['step']:,}"
        told = f"{found['number']} was {found['stored']}, now {found['again']}"
        console.print_result(f"{outcome['run']}: first differs in the {place}: {told}")
    show_changes(outcome)
    if not outcome["exact"]:
        console.print_result("  the stored run was interrupted where its environment could not be continued exactly")


def show_changes(outcome: Mapping[str, Any]) -> None:
    """Print what is otherwise than when it was stored."""
    for name, (then, now) in {**outcome["versions"], **outcome["machine"]}.items():
        console.print_result(visible(f"  {name.replace('_', ' ')} was {then}, now {now}"))
    if outcome["machine"] and outcome["difference"]:
        console.print_result(
            "  other machines give other last bits, and from there other runs that agree in distribution"
        )


def rows(store: Store, run: str) -> Rows:
    """What a lab holds of a run, as numbers by step, seed and kind."""
    found: Rows = {}
    points = store.points(run)
    names = [name for name in points._fields if name not in ("seed", "step")]
    columns = [getattr(points, name) for name in names]
    for i, (step, seed) in enumerate(zip(points.step, points.seed, strict=True)):
        numbers = tuple((name, column[i]) for name, column in zip(names, columns, strict=True))
        found[int(step), int(seed), "curve point"] = numbers
    for row in store.evaluations(run):
        returns = [(f"return of episode {i}", value) for i, value in enumerate(row.returns)]
        found[row.step, row.seed, "evaluation"] = (("mean", row.mean), ("exact", row.exact), *returns)
    record = store.find(run)
    for failure in record.failed:
        found[failure["step"], failure["seed"], "failure"] = (("step", failure["step"]),)
    for n, cell in enumerate(record.known("cells") or (), 1):  # of a contest between memories
        for failure in cell.get("failed", ()):
            found[n, failure["seed"], "failure"] = (("cell", n),)
        if "refused" in cell:
            found[n, record.seeds[0], "refusal"] = (("cell", n),)
    return found


def compare(stored: Rows, replayed: Rows) -> dict[str, Any] | None:
    """The first number that differs in any bit, by step and seed; None where there is none.

    What was played again may go further than what was stored, to the stored run's last step.
    """
    last = max((step for step, _, _ in stored), default=0)
    keys: Iterable[tuple[int, int, str]] = {*stored, *(key for key in replayed if key[0] <= last)}
    for key in sorted(keys):
        then, now = dict(stored.get(key, ())), dict(replayed.get(key, ()))
        for name in {**then, **now}:
            if not _same(then.get(name), now.get(name)):
                facts = {"stored": _number(then.get(name)), "again": _number(now.get(name))}
                return {"what": key[2], "seed": key[1], "step": key[0], "number": name, **facts}
    return None


def _play(record: RunRecord, other: Store) -> str:
    from simulator.config.recall import RecallConfig, is_recall
    from simulator.recall import loop
    from simulator.training import loop as engine

    run = ""
    snapshots: Iterator[Any]
    if is_recall(record.settings):
        snapshots = loop.recall(of_record(RecallConfig, record), other)
    else:
        snapshots = engine.run(of_record(RunConfig, record), other)
    for snapshot in snapshots:
        run = snapshot.run
        if record.status != "done" and snapshot.step >= record.step:
            break
    snapshots.close()  # type: ignore[attr-defined]
    return run


def _same(one: Any, two: Any) -> bool:
    if one is None or two is None:
        return one is two
    return np.float64(one).tobytes() == np.float64(two).tobytes()


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
