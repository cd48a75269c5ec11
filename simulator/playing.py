"""What ``engram run`` and ``engram resume`` do between the words and the table."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from simulator.catalog import existing
from simulator.config import RunConfig, from_toml
from simulator.core.protocols import Snapshot, View
from simulator.sitting import sit
from simulator.tables import interval, say, table, tell

if TYPE_CHECKING:
    from simulator.store import Store

Outcome = tuple[Mapping[str, Any] | None, int]
MakeView = Callable[[], View | None]


def begin(config: RunConfig, lab: str, make_view: MakeView) -> Outcome:
    """Play a new run; its summary and 0, or None and the exit code of an interrupted sitting.

    Raises:
        ValueError: the players cannot be built from these settings, or the lab cannot be used.
    """
    from simulator import engine
    from simulator.store import Store

    announce_compiling()
    with Store(lab) as store:
        return _play(engine.run(config, store), store, make_view())


def resume(run: str, lab: str, make_view: MakeView) -> Outcome:
    """Play a stored run on to its end; see ``begin``.

    Raises:
        ValueError: there is no such run, or it cannot be played on.
    """
    from simulator import engine
    from simulator.store import Store

    announce_compiling()
    with Store(existing(lab)) as store:
        record = store.find(run)
        config = from_toml(record.settings, f"settings of {record.run}")
        return _play(engine.run(config, store, record.run), store, make_view())


def show_summary(summary: Mapping[str, Any]) -> None:
    """Print what a run came to, for people."""
    evaluation, solved, seeds = summary["evaluation"], summary["solved"], summary["seeds"]
    rows: list[tuple[str, Any]] = [
        ("seeds", _range(seeds)),
        ("environment steps per seed", summary["steps"]),
        (f"greedy return, {evaluation['episodes']} episodes a seed", _interval(evaluation)),
        ("exact expected return, mean over seeds", _mean(evaluation["exact_per_seed"])),
        ("best possible", summary.get("optimum")),
        ("largest error of a learned action value", max(evaluation.get("value_error") or [math.nan])),
    ]
    if solved and solved["threshold"] is not None:
        rows += [
            (f"share of seeds that reached {solved['threshold']:g}", solved["fraction"]),
            ("steps to that, median", solved["median_first_steps"]),
            ("share of later evaluations at it", solved["stayed"]),
        ]
    if summary["steps_per_second"] is not None:
        rows.append(("steps per second, all seeds", round(summary["steps_per_second"])))
    if not summary["exact"]:
        rows.append(("continued exactly", False))
    known = [row for row in rows if row[1] is not None and row[1] == row[1]]
    table(f"{summary['run']}: {summary['agent']} in {summary['world']}", ("", ""), known)
    tell(f"next: engram show {summary['run']} - engram list runs")


def _play(snapshots: Iterator[Snapshot], store: Store, view: View | None) -> Outcome:
    snapshot, number = sit(snapshots, view, _begun)
    if snapshot.compile_seconds > 0:
        say(f"compiling took {snapshot.compile_seconds:.1f} s, which the times below leave out")
    if not number:
        from simulator import results

        return results.summary(store, snapshot.run), 0
    done = f"{snapshot.step:,} of {snapshot.steps:,} steps"
    how = signal.Signals(number).name
    say(f"engram: {how} after {done}, all of it is stored; go on with: engram resume {snapshot.run} --lab {store.lab}")
    return None, 128 + number


def _begun(snapshot: Snapshot) -> None:
    seeds = len(snapshot.seeds)
    say(f"{snapshot.run}: {snapshot.agent} in {snapshot.world}, seeds: {seeds:,}, steps of each: {snapshot.steps:,}")
    for line in snapshot.warnings:
        say(f"{snapshot.run}: {line}")


@cache  # once in a process
def announce_compiling() -> None:
    """Say so when compiling begins."""
    from simulator.core.compiled import on_compile

    on_compile(_compiling)


@cache
def _compiling() -> None:
    say("compiling for this machine; it happens once, later starts take it from the cache")


def _interval(evaluation: Mapping[str, Any]) -> str:
    return interval(evaluation["iqm"], evaluation["low"], evaluation["high"])


def _mean(values: list[float] | None) -> float | None:
    known = [value for value in values or [] if value is not None and math.isfinite(value)]
    return sum(known) / len(known) if known else None


def _range(seeds: list[int]) -> str:
    return f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0])
