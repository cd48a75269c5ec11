"""What ``engram run`` and ``engram resume`` do between the words and the table."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from simulator.commands.driver import drive
from simulator.config.codec import of_record
from simulator.config.run import RunConfig
from simulator.console import interval, print_result, print_status, print_table
from simulator.core.files.escaping import visible
from simulator.core.notices import forget_notices, send_notices_to
from simulator.core.protocols import Snapshot, View
from simulator.store.lab import existing

if TYPE_CHECKING:
    from simulator.store.run_store import Store

Outcome = tuple[Mapping[str, Any] | None, int]
MakeView = Callable[[], View | None]
MOST_LINES = 6  # about seeds that failed


def begin(config: RunConfig, lab: str, make_view: MakeView, label: str = "") -> Outcome:
    """Play a new run; its summary and 0, or 1 where every seed failed, or None and the code of an interruption.

    Raises:
        ValueError: the players cannot be built from these settings, or the lab cannot be used.
    """
    from simulator.store.run_store import Store
    from simulator.training import loop

    announce_compiling()
    forget_notices()
    with Store(lab) as store:
        return _play(loop.run(config, store, label=label), store, make_view())


def resume(run: str, lab: str, make_view: MakeView) -> Outcome:
    """Play a stored run on to its end; see ``begin``.

    Raises:
        ValueError: there is no such run, or it cannot be played on.
    """
    from simulator.store.run_store import Store
    from simulator.training import loop

    announce_compiling()
    forget_notices()
    with Store(existing(lab)) as store:
        record = store.find(run)
        config = of_record(RunConfig, record)
        if record.error:
            print_status(error_line(record.run, record.error))
            print_status(f"{record.run}: it goes on after step {record.step:,}, and fails again unless that is mended")
        return _play(loop.run(config, store, record.run), store, make_view())


def show_summary(summary: Mapping[str, Any]) -> None:
    """Print what a run came to, for people."""
    evaluation, solved, seeds = summary["evaluation"], summary["solved"], summary["seeds"]
    rows: list[tuple[str, Any]] = [
        ("seeds", _range(seeds)),
        ("environment steps per seed", _steps(summary)),
        (f"greedy return, {evaluation['episodes']} episodes a seed", _interval(evaluation)),
        ("seeds left out because they failed", evaluation.get("left_out") or None),
        (f"seeds cut: an episode had not ended after {evaluation.get('cut_after', 0):,} steps", _cut(evaluation)),
        ("seeds without a score: cut, or their policy may never end", evaluation.get("without_score") or None),
        ("exact expected return, mean over seeds", _mean(evaluation["exact_per_seed"])),
        ("best possible", summary.get("optimum")),
        ("largest error of a learned action value", max(_numbers(evaluation.get("value_error")), default=None)),
    ]
    if solved and solved["threshold"] is not None:
        rows += [
            (f"share of seeds that reached {solved['threshold']:g}", solved["fraction"]),
            ("steps to that, median", solved["median_first_steps"]),
            ("share of later evaluations at it", solved["stayed"]),
            ("share of seeds at it in the end", solved.get("final")),
        ]
    if summary["steps_per_second"] is not None:
        rows.append(("steps per second, all seeds", round(summary["steps_per_second"])))
    if not summary["exact"]:
        rows.append(("continued exactly", False))
    known = [row for row in rows if row[1] is not None and row[1] == row[1]]
    label = f", {summary['label']}" if summary.get("label") else ""
    print_table(f"{summary['run']}: {summary['agent']} in {summary['env']}{label}", ("", ""), known)
    for line in failure_lines(summary.get("failed", []), len(seeds)):
        print_result(line)
    if summary.get("lost"):
        print_result(visible(f"{summary['run']}: {summary['lost']}"))
    if summary.get("error"):
        print_result(error_line(summary["run"], summary["error"]))
    print_result(f"next: engram show {summary['run']} - engram list runs")


def error_line(run: str, error: Mapping[str, Any]) -> str:
    """What ended a run: ``r1 failed at step 300: ...``."""
    return f"{run} failed at step {error['step']:,}: {error['reason']}"


def failure_lines(failed: Sequence[Mapping[str, Any]], n_seeds: int) -> list[str]:
    """A line for every seed that failed, or for the first few of many."""
    rest = "every seed failed" if len(failed) == n_seeds else "the others went on"
    lines = [f"seed {each['seed']} failed at step {each['step']:,}: {each['reason']}" for each in failed]
    shown = lines if len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 1], f"{len(lines) - MOST_LINES + 1} more"]
    return [*shown[:-1], f"{shown[-1]}; {rest}"] if shown else []


def _play(snapshots: Iterator[Snapshot], store: Store, view: View | None) -> Outcome:
    snapshot, number = drive(snapshots, view, _begun)
    if snapshot.compile_seconds > 0:
        print_status(f"compiling took {snapshot.compile_seconds:.1f} s, which the times below leave out")
    if not number:
        from simulator.training import summary as results

        return results.summary(store, snapshot.run), 1 if snapshot.phase == "failed" else 0
    done = f"{snapshot.step:,} of {snapshot.steps:,} steps"
    how = signal.Signals(number).name
    print_status(
        f"engram: {how} after {done}, all of it is stored; go on with: engram resume {snapshot.run} --lab {store.lab}"
    )
    return None, 128 + number


def _begun(snapshot: Snapshot) -> None:
    seeds = len(snapshot.seeds)
    print_status(
        f"{snapshot.run}: {snapshot.agent} in {snapshot.env}, seeds: {seeds:,}, steps of each: {snapshot.steps:,}"
    )
    for line in snapshot.warnings:
        print_status(f"{snapshot.run}: {line}")


@cache  # once in a process
def announce_compiling() -> None:
    """Say so when compiling begins."""
    from simulator.core.jit import on_compile

    on_compile(_compiling)
    send_notices_to(print_status)


@cache
def _compiling() -> None:
    print_status("compiling for this machine; it happens once, later starts take it from the cache")


def _interval(evaluation: Mapping[str, Any]) -> str:
    return interval(evaluation["iqm"], evaluation["low"], evaluation["high"], evaluation.get("equal"))


def _steps(summary: Mapping[str, Any]) -> int | str:
    """Steps of each seed: how many there are, of how many, where a run is not over."""
    steps = summary["steps"]
    step = summary.get("step", steps)
    return steps if step == steps else f"{step:,} of {steps:,}"


def _cut(evaluation: Mapping[str, Any]) -> str | None:
    """How many seeds were cut, and which they are not: ``2 of 8``."""
    n_cut = sum(evaluation.get("cut", ()))
    return f"{n_cut} of {len(evaluation['cut'])}" if n_cut else None


def _mean(values: Sequence[float | None] | None) -> float | None:
    known = _numbers(values)
    return sum(known) / len(known) if known else None


def _numbers(values: Sequence[float | None] | None) -> list[float]:
    """Without what is missing: a seed that failed has nothing to add."""
    return [value for value in values or [] if value is not None and math.isfinite(value)]


def _range(seeds: list[int]) -> str:
    return f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0])
