"""Report of a tuning: the judgement of the best trial, the trials, and their records for CSV."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from simulator import console
from simulator.core.files.escaping import one_line, visible
from simulator.reporting.tables import Table, print_latex, print_markdown, print_tables
from simulator.reporting.tournament import confidence

Summary = Mapping[str, Any]  # of :func:`simulator.tuning.summary.summary`
SHOWN = 10  # trials of a table for people
ORDER = ("complete", "pruned", "failed", "running", "interrupted", "waiting")


def show(summary: Summary, written: str = "") -> None:
    """Print the result for people, and commands to go on with.

    Args:
        summary: of the tuning.
        written: the file that has the best settings already; empty: none has.
    """
    print_tables(tables(summary, SHOWN))
    for line in verdict(summary):
        console.print_result(visible(line))
    name = summary["tune"]
    if summary["status"] != "done":
        console.print_next(f"engram resume {name}")
    elif summary["best_settings"]:
        command = "run" if summary["objective"] in ("iqm", "mean", "auc") else "recall"
        file = shlex.quote(written or "best.toml")
        write = [] if written else [f"engram resume {name} -o {file}"]
        console.print_next(*write, f"engram {command} --config {file}", f"engram report {name} --csv")


def show_markdown(summary: Summary) -> None:
    """Print both tables as Markdown, every trial among them."""
    print_markdown(tables(summary, len(summary["trials"])))


def show_latex(summary: Summary) -> None:
    """Print both tables as tabulars."""
    print_latex(tables(summary, len(summary["trials"])))


def tables(summary: Summary, n: int) -> list[Table]:
    """Return the table of the trials, the best n of them, and that of the judgement."""
    trials = ranked(summary["trials"])
    names = list(dict.fromkeys(name for trial in trials for name in trial["point"]))
    counts = ", ".join(
        f"{count} {state}" for state in ORDER if (count := sum(trial["state"] == state for trial in trials))
    )
    title = (
        f"{summary['tune']}: {summary['search']} search of {summary['player']} in {summary['place']}, "
        f"{len(summary['seeds'])} seeds, {len(trials)} trials: {counts}"
    )
    columns = ["trial", summary["objective"], *(one_line(name.partition(".")[2]) for name in names), "state"]
    rows = []
    different = list({repr(trial["point"]): trial for trial in reversed(trials)}.values())[::-1]  # the best of each
    if len(different) < len(trials):
        title += f"; {len(different)} different points"
    shown = different if n < len(trials) else trials
    for trial in shown[:n]:
        value = trial["values"][-1] if trial["values"] else None
        rows.append([str(trial["trial"]), console.format_cell(value), *_cells(trial, names), _state(trial)])
    more = [f"{len(shown) - n:,} more: engram report {summary['tune']} --csv"] if len(shown) > n else []
    found = [Table(title, columns, rows, more, labels=(*columns[2:-1], "state"))]
    return [*found, *_judgement(summary)]


def _state(trial: Mapping[str, Any]) -> str:
    if trial["state"] == "failed":
        return f"failed: {one_line(trial['reason'])}"
    return str(trial["state"]) if trial["state"] != "pruned" else f"pruned after rung {len(trial['values'])}"


def _cells(trial: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    values = [trial["point"].get(name) for name in names]
    return [_plain(value) if isinstance(value, list) else console.format_cell(value) for value in values]


def _plain(value: Any) -> Any:
    return ",".join(map(str, value)) if isinstance(value, list) else value


def ranked(trials: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Sort trials: those that were evaluated at the last rung first, the best of them first."""
    return sorted(
        trials,
        key=lambda trial: (
            ORDER.index(trial["state"]),
            -len(trial["values"]),
            -trial["values"][-1] if trial["values"] else 0.0,
            trial["trial"],
        ),
    )


def _judgement(summary: Summary) -> list[Table]:
    judged = summary["judged"]
    if not judged:
        return []
    objective = summary["objective"]
    title = f"on {len(judged['seeds'])} fresh seeds, {judged['seeds'][0]} to {judged['seeds'][-1]}"
    rows = [
        [what, _interval(judged[key])]
        for what, key in ((f"trial {summary['best']['trial']}", "best"), ("without a search", "default"))
    ]
    if judged["difference"]:
        rows.append(["difference, paired mean", _interval(judged["difference"])])
    return [Table(title, ["", f"{objective} [{confidence(summary)} CI]"], rows)]


def _interval(estimate: Mapping[str, Any]) -> str:
    return console.interval(estimate["value"], estimate["low"], estimate["high"])


def verdict(summary: Summary) -> list[str]:
    """Say in words what came of it."""
    judged = summary["judged"]
    if summary["status"] != "done":
        return ["the search is not over"]
    if not summary["best"]:
        return ["no trial was evaluated to its end"]
    if not judged or not judged["difference"]:
        return [f"trial {summary['best']['trial']} was best, and could not be judged"]
    low, high = judged["difference"]["low"], judged["difference"]["high"]
    value = console.format_cell(summary["best"]["value"])
    chosen = f"on the seeds that chose it, it had {value}"
    gap = judged["difference"]["value"]
    if gap and (low is None or np.isnan(low)):  # of equal numbers on a scale without bounds
        better = "better" if gap > 0 else "worse"
        by = f"{console.format_cell(abs(gap))} {better}"
        return [f"the best trial is {by} on every fresh seed, so its difference has no interval; {chosen}"]
    if low is None or high is None or not (low > 0 or high < 0):
        return [f"no difference from the settings without a search is certain; {chosen}"]
    return [f"the best trial is {'better' if low > 0 else 'worse'} than the settings without a search; {chosen}"]


def records(summary: Summary) -> Iterator[dict[str, Any]]:
    """Yield a record of every trial: its point, its state, and the objective at every rung."""
    names = list(dict.fromkeys(name for trial in summary["trials"] for name in trial["point"]))
    n_rungs = max((len(trial["values"]) for trial in summary["trials"]), default=0)
    for trial in summary["trials"]:
        values = [*trial["values"], *[None] * (n_rungs - len(trial["values"]))]
        yield {
            "tune": summary["tune"],
            "trial": trial["trial"],
            "round": trial["round"],
            "state": trial["state"],
            **{name: _plain(trial["point"].get(name)) for name in names},
            **{f"{summary['objective']}_{k + 1}": value for k, value in enumerate(values)},
            "reason": trial["reason"],
        }
