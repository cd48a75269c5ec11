"""Reports of a person's sitting: what was played, beside what it is compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from simulator import console
from simulator.core.files.escaping import visible
from simulator.reporting.tables import Table, print_latex, print_markdown

Summary = Mapping[str, Any]  # of :func:`simulator.play.log.summary`
COLUMNS = ("seed", "return", "opponent_return", "steps", "terminated", "truncated")


def show(summary: Summary, hints: Sequence[str] = ()) -> None:
    """Print a sitting for people, and ``hints``: commands to go on with."""
    if summary["play"] is None:
        where = f"{summary['env']} against {summary['opponent']}" if summary["opponent"] else summary["env"]
        console.print_result(visible(f"{where}: no episode was played to its end, so nothing is stored"))
    else:
        rows = [row for row in _rows(summary) if row[1] is not None]
        console.print_table(_title(summary), ("", ""), rows)
    if summary.get("taught"):
        _show_taught(summary["taught"])
    if hints:
        console.print_next(*hints)


def show_markdown(summary: Summary) -> None:
    """Print every episode as a Markdown table."""
    print_markdown([_table(summary)])


def show_latex(summary: Summary) -> None:
    """Print every episode as a tabular."""
    print_latex([_table(summary)])


def records(summary: Summary) -> Iterator[dict[str, Any]]:
    """Yield a record of every episode."""
    for episode in summary["episodes"]:
        head = {"play": summary["play"], "name": summary["name"], "env": summary["env"]}
        yield {**head, "opponent": summary["opponent"], **{column: episode.get(column) for column in COLUMNS}}


def _title(summary: Summary) -> str:
    against = f" against {summary['opponent']}" if summary["opponent"] else ""
    label = f", {summary['label']}" if summary["label"] else ""
    return f"{summary['play']}: {summary['name']} in {summary['env']}{against}{label}"


def _rows(summary: Summary) -> list[tuple[str, Any]]:
    episodes = summary["episodes"]
    score = summary["score"]
    paid = [row["opponent_return"] for row in episodes if "opponent_return" in row]
    return [
        ("episodes, few" if score["few"] else "episodes", len(episodes)),
        ("episodes begun and left, not counted", len(summary["abandoned"]) or None),
        ("return, mean [95 % CI]", console.interval(score["mean"], score["low"], score["high"], score["equal"])),
        ("the other side's return, mean", sum(paid) / len(paid) if paid else None),
        ("steps", sum(row["steps"] for row in episodes)),
        ("optimal return", summary["optimum"]),
        ("solved from", summary["threshold"]),
        ("random play", summary["floor"]),
    ]


def _table(summary: Summary) -> Table:
    columns = [column for column in COLUMNS if any(column in row for row in summary["episodes"])]
    rows = [[console.format_cell(row.get(column)) for column in columns] for row in summary["episodes"]]
    return Table(_title(summary), [column.replace("_", " ") for column in columns], rows)


def _show_taught(taught: Mapping[str, Any]) -> None:
    """Print what a run of clones was shown, and how well it does."""
    evaluation = taught["evaluation"]
    held_out = taught["held_out"]
    interval = console.interval(evaluation["iqm"], evaluation["low"], evaluation["high"], evaluation["equal"])
    rows: list[tuple[str, Any]] = [
        ("shown", f"{taught['episodes']:,} episodes, {taught['steps']:,} steps"),
        ("does as shown on held-out steps", _percent(held_out["accuracy"])),
        ("the most frequent action alone would", _percent(taught["most_frequent"])),
        ("error on held-out steps, of half the range", held_out["error"]),
        ("return of the clones, IQM [95 % CI]", interval if evaluation["iqm"] is not None else None),
    ]
    console.print_table(
        f"{taught['run']}: {taught['contestant']}", ("", ""), [row for row in rows if row[1] is not None]
    )


def _percent(fraction: float | None) -> str | None:
    return None if fraction is None else f"{100.0 * fraction:.0f} %"
