"""Report of a comparison of predictions: its tables for terminals, Markdown and LaTeX, and its records for CSV.

Everything reads the summary that ``engram predict --json`` prints (:func:`simulator.prediction.summary.summary`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from simulator import console
from simulator.core.wording import plural
from simulator.reporting.recall import with_interval
from simulator.reporting.tables import Row, Table, interval_columns, print_latex, print_markdown, print_tables

Cell = Mapping[str, Any]  # of the summary: one contestant under one condition
DIFFERENCE = "difference to best (paired)"
BEST = "best possible"  # row of the ceiling


def show(summary: Mapping[str, Any], width: int | None = None) -> None:
    """Print a comparison on the terminal: a row for every cell, the best first; ``width``: None: as it is."""
    print_tables(tables(summary), width)
    for line in confusion_lines(summary):
        console.print_result(line)
    run = summary["run"]
    console.print_next(f"engram plot {run} -o {run}.svg", f"engram report {run} --table")


def show_markdown(summary: Mapping[str, Any]) -> None:
    """Print the table as Markdown."""
    print_markdown(tables(summary))


def show_latex(summary: Mapping[str, Any]) -> None:
    """Print the table as a LaTeX tabular."""
    print_latex([table._replace(splittable=True) for table in tables(summary)])


def tables(summary: Mapping[str, Any]) -> list[Table]:
    """Return the table: a row for every condition and contestant, the best first."""
    scores = [score for score in summary["scores"] or () if score["name"] != summary["ceiling"]]
    difference_of = {_place(one): one for one in summary["differences"]}
    rows: list[Row] = []
    for condition in summary["conditions"] or ():
        cells = best_first(summary, condition)
        for cell in cells:
            values = [with_interval(cell["scores"][score["name"]]) for score in scores]
            difference = difference_of.get(_place(cell), {}).get(scores[0]["name"])
            name = cell["contestant"] + seeds_left(summary, cell)
            rows.append([console.format_cell(condition), name, *values, with_interval(difference)])
        if summary["ceiling"] and cells:
            best = with_interval(cells[0]["scores"][summary["ceiling"]])
            rows.append([console.format_cell(condition), BEST, best, *[""] * len(scores)])
    title = f"{summary['run']}: {summary['task']}, {plural(len(summary['seeds']), 'seed')}, mean [95 % CI] over seeds"
    columns = [summary["condition"] or "", "method", *(score["heading"] for score in scores), DIFFERENCE]
    others = [score["heading"] for score in scores[:0:-1]]  # the last one is left out first
    droppable = (*others[:-2], DIFFERENCE, *others[-2:]) if len(others) > 2 else (*others, DIFFERENCE)
    note = [summary["note"]] if summary["note"] and rows else []
    lines = [*note, *failure_lines(summary), *refusal_lines(summary)]
    return [Table(title, columns, rows, lines, droppable, ("method",), foldable=True, liftable=(columns[0],))]


def best_first(summary: Mapping[str, Any], condition: float) -> list[Cell]:
    """Return the cells of a condition, the best by the first score first, without a score last."""
    name = summary["scores"][0]["name"]
    sign = -1.0 if summary["higher_is_better"] else 1.0

    def key(cell: Cell) -> float:
        value = cell["scores"][name]
        return sign * value["mean"] if value else math.inf

    return sorted((cell for cell in summary["cells"] if cell["condition"] == condition), key=key)


def seeds_left(summary: Mapping[str, Any], cell: Cell) -> str:
    """Count the seeds behind a row where some failed: `` (1 seed)``."""
    left = len(summary["seeds"]) - len(cell["failed"])
    return f" ({plural(left, 'seed')})" if cell["failed"] else ""


def failure_lines(summary: Mapping[str, Any]) -> list[str]:
    """Describe every cell with failed seeds: their reasons, and that they are excluded."""
    lines = []
    for cell in summary["cells"]:
        if cell["failed"]:
            seeds = ", ".join(f"{failure['seed']} ({failure['reason']})" for failure in cell["failed"])
            where = f"{cell['contestant']}, {cell['condition']:g} {summary['condition']}"
            lines.append(f"failed: {where}: seed {seeds}; excluded from all numbers")
    return lines


def refusal_lines(summary: Mapping[str, Any]) -> list[str]:
    """Describe every contestant that cannot predict, with the reason."""
    lines = []
    for refusal in summary["refused"]:
        why = refusal["why"].removeprefix(f"{refusal['contestant']}: ")
        lines.append(f"cannot predict: {refusal['contestant']}: {why}")
    return lines


def confusion_lines(summary: Mapping[str, Any]) -> list[str]:
    """Draw the confusion matrix of the best contestant at the last condition, in counts; none: it has none."""
    cells = [cell for cell in summary["cells"] if cell.get("confusion")]
    if not cells:
        return []
    best = next(cell for cell in best_first(summary, cells[-1]["condition"]) if cell.get("confusion"))
    names = [str(name) for name in best["classes"]]
    width = max(len(f"{count:,}") for row in best["confusion"] for count in row)
    width = max(width, *map(len, names))
    head = (
        f"\n{best['contestant']}, {best['condition']:g} {summary['condition']}: true class (row) and predicted (column)"
    )
    lines = [head, " " * width + "  " + " ".join(name.rjust(width) for name in names)]
    for name, row in zip(names, best["confusion"], strict=True):
        counts = " ".join((f"{count:,}" if count else ".").rjust(width) for count in row)
        lines.append(f"{name.rjust(width)}  {counts}")
    return lines


def records(summary: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a record for every cell and seed, by column."""
    names = [score["name"] for score in summary["scores"] or ()]
    for cell in summary["cells"]:
        for i, seed in enumerate(summary["seeds"]):
            values = {name: cell["scores"][name]["per_seed"][i] if cell["scores"][name] else None for name in names}
            finite = {name: None if value is None or math.isnan(value) else value for name, value in values.items()}
            yield {"run": summary["run"], **_named(cell), "seed": seed, **finite}


def summary_records(summary: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a record for every cell, by column: means over seeds with their intervals."""
    for cell in summary["cells"]:
        record = {"run": summary["run"], **_named(cell), "seeds": len(summary["seeds"]) - len(cell["failed"])}
        for score in summary["scores"] or ():
            record |= interval_columns(score["name"], cell["scores"][score["name"]], "mean")
        yield record


def _named(cell: Cell) -> dict[str, Any]:
    return {"contestant": cell["contestant"], "condition": cell["condition"]}


def _place(cell: Mapping[str, Any]) -> tuple[str, float]:
    return cell["contestant"], cell["condition"]


def scored(cells: Sequence[Cell], name: str) -> list[Cell]:
    """Return the cells that have a score."""
    return [cell for cell in cells if cell["scores"].get(name)]
