"""Report of a recall benchmark: its tables for terminals, Markdown and LaTeX, and its records for CSV.

Everything reads the summary that ``engram recall --json`` prints (:func:`simulator.recall.summary.summary`). The
Bayes-optimal score is the expected best given the cues: a mean over seeds with its interval, as all scores.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from simulator import console
from simulator.core.wording import plural
from simulator.reporting.tables import Row, Table, interval_columns, print_latex, print_markdown, print_tables

Cell = Mapping[str, Any]  # of the summary: one memory, number of patterns and corruption
Mean = Mapping[str, Any] | None  # mean, low, high
SCORES = ("overlap", "exact")
COLUMNS = (
    *("patterns", "corruption", "memory", "recall", "overlap m", "% of Bayes-optimal overlap"),
    *("perfect-recall rate", "Bayes-optimal rate", "difference to best (paired)", "spurious", "recognition AUC"),
    "seconds",
)
DROPPABLE = (
    *("seconds", "spurious", "recall", "recognition AUC", "% of Bayes-optimal overlap", "Bayes-optimal rate"),
    *("difference to best (paired)", "perfect-recall rate"),
)
LIFTABLE = ("patterns", "corruption")
WAYS = {"by_recall": "recall", "by_code": "code"}  # of looking patterns up -> column of the table
RECALL_MODES = {"single_pass": "one-shot", "fixed_point": "until convergence", "noise_aware": "noise-aware"}


def show(summary: Mapping[str, Any], width: int | None = None) -> None:
    """Print a benchmark on the terminal: a row for every cell, the best first; ``width``: None: as it is."""
    print_tables(tables(summary), width)
    run = summary["run"]
    console.print_next(f"engram plot {run} -o {run}.svg", f"engram report {run} --table")


def show_markdown(summary: Mapping[str, Any]) -> None:
    """Print a Markdown table for every number of patterns: overlap / perfect-recall rate, the Bayes-optimal last."""
    print_markdown(load_tables(summary))


def show_latex(summary: Mapping[str, Any]) -> None:
    """Print the same tables as LaTeX tabulars."""
    print_latex([table._replace(splittable=True) for table in load_tables(summary)])


def tables(summary: Mapping[str, Any]) -> list[Table]:
    """Return all that a terminal shows: a row for every cell, with basins, capacities and failures below it."""
    difference_of = {_place(difference): difference["overlap"] for difference in summary["differences"]}
    rows = [_row(cell, difference_of.get(_place(cell))) for cell in _best_first(summary["cells"])]
    notes = [_basin_line(basin_of) for basin_of in {_place(basin)[:2]: basin for basin in summary["basins"]}.values()]
    notes += [_capacity_line(capacity) for capacity in summary["capacities"]]
    n_seeds = plural(len(summary["seeds"]), "seed")
    title = f"{summary['run']}: {summary['challenge']}, {n_seeds}, mean [95 % CI] over seeds"
    lines = [*notes, *failure_lines(summary), *_refusal_lines(summary)]
    own = Table(title, list(COLUMNS), rows, lines, DROPPABLE, ("memory",), foldable=True, liftable=LIFTABLE)
    return [own, *retrieval_tables(summary)]


def retrieval_tables(summary: Mapping[str, Any]) -> list[Table]:
    """Return a table of looking the stored patterns up; none where the challenge has no such scores.

    A row for each memory by what it recalls, and one for its codes; the best reciprocal rank first.
    """
    cells = [cell for cell in summary["cells"] if cell.get("retrieval") and cell["retrieval"]["by_recall"]]
    if not cells:
        return []
    rows: list[Row] = []
    for load, corruption in dict.fromkeys((cell["patterns"], cell["corruption"]) for cell in cells):
        own_cells = [cell for cell in cells if (cell["patterns"], cell["corruption"]) == (load, corruption)]
        place = [console.format_cell(load), corruption]
        ranked = [(cell, way) for cell in own_cells for way in WAYS if cell["retrieval"][way]]
        for cell, way in sorted(ranked, key=_reciprocal_rank, reverse=True):
            scores = [cell["retrieval"][way][name] for name in ("first", "reciprocal_rank", "topic_precision")]
            rows.append([*place, cell["memory"], WAYS[way], *map(with_interval, scores)])
        rows.append([*place, "Bayes-optimal", "", _exact_ceiling(ceilings(own_cells)[corruption]), "", ""])
    k = cells[0]["retrieval"]["k"]
    title = f"{summary['run']}: looked up among the stored patterns, mean [95 % CI] over seeds"
    columns = ["patterns", "corruption", "memory", "ranked by", "first rate", "mean reciprocal rank"]
    note = (
        "ranked by the cosine of the recalled pattern with the stored ones, or by the distance of codes; first: the "
        f"right one is first; precision at {k}: of the nearest others, those of its topic"
    )
    precision = f"topic precision at {k}"
    columns = [*columns, precision]
    return [Table(title, columns, rows, [note], (precision,), ("memory",), foldable=True, liftable=LIFTABLE)]


def _reciprocal_rank(ranked: tuple[Cell, str]) -> float:
    """Return the mean reciprocal rank of a cell, ranked in one of ``WAYS``."""
    cell, way = ranked
    return float(cell["retrieval"][way]["reciprocal_rank"]["mean"])


def load_tables(summary: Mapping[str, Any]) -> list[Table]:
    """Return a table for every number of patterns: memories by corruption, overlap / perfect-recall rate."""
    shown = []
    for load in dict.fromkeys(cell["patterns"] for cell in summary["cells"]):
        cells = [cell for cell in summary["cells"] if cell["patterns"] == load]
        corruptions = list(dict.fromkeys(cell["corruption"] for cell in cells))
        rows = []
        for memory in dict.fromkeys(cell["memory"] for cell in cells):
            cell_of = {cell["corruption"]: cell for cell in cells if cell["memory"] == memory}
            last = next(iter(cell_of.values()))
            seconds = (last["store_seconds"] or 0.0) + sum(cell["seconds"] or 0.0 for cell in cell_of.values())
            scores = [_both_scores(cell_of[name]) if name in cell_of else "-" for name in corruptions]
            parameters = console.format_cell(last["parameters"])
            rows.append([memory, *scores, with_interval(last["familiarity"]), parameters, console.format_cell(seconds)])
        best = ceilings(cells)
        rows.append(["Bayes-optimal", *(_both_ceilings(best[name]) for name in corruptions), "", "", ""])
        columns = [plural(load, "pattern"), *corruptions, "recognition AUC", "parameters", "seconds"]
        shown.append(Table("", columns, rows))
    return [*shown, *retrieval_tables(summary)]


def ceilings(cells: Sequence[Cell]) -> dict[str, Cell]:
    """Return the cell of the Bayes-optimal score for each corruption: that of the memory that lost the fewest seeds."""
    return {cell["corruption"]: cell for cell in sorted(cells, key=lambda cell: -len(cell["failed"]))}


def show_short(summary: Mapping[str, Any]) -> None:
    """Print the memories of the first cell beside the Bayes-optimal score."""
    cells = _best_first(summary["cells"])
    rows = [
        [cell["memory"], *(with_interval(cell[name]) for name in ("overlap", "exact", "familiarity"))] for cell in cells
    ]
    best = ceilings(cells)[cells[0]["corruption"]]
    rows.append(["Bayes-optimal", with_interval(_ceiling(best, "overlap")), _exact_ceiling(best), ""])
    what = f"{cells[0]['patterns']} {summary['challenge']} per seed, corrupted by {cells[0]['corruption']}"
    title = f"{summary['run']}: {what}, {plural(len(summary['seeds']), 'seed')}, mean [95 % CI]"
    console.print_table(title, ("memory", "overlap m", "perfect-recall rate", "recognition AUC"), rows)


def failure_lines(summary: Mapping[str, Any]) -> list[str]:
    """Describe every cell with failed seeds: their reasons, and that they are excluded."""
    failures: dict[Any, list[Mapping[str, Any]]] = {}
    for failure in summary["failed"]:
        failures.setdefault(_place(failure), []).append(failure)
    lines = []
    for (memory, n_patterns, corruption), failed in failures.items():
        seeds = ", ".join(f"{failure['seed']} ({failure['reason']})" for failure in failed)
        load = f"{n_patterns} patterns" if n_patterns else "its capacity"
        excluded = "nothing of it counts" if len(failed) == len(summary["seeds"]) else "excluded from all numbers"
        lines.append(f"failed: {memory}, {load}, {corruption}: seed {seeds}; {excluded}")
    return lines


def _refusal_lines(summary: Mapping[str, Any]) -> list[str]:
    """Describe every memory and reason for which it cannot store patterns, with the cells where not all of them."""
    cells_of: dict[tuple[str, str], list[str]] = {}
    for refusal in summary["refused"]:
        cell = f"{refusal['patterns']} patterns, {refusal['corruption']}"
        why = refusal["why"].removeprefix(f"{refusal['memory']}, {cell}: ").removeprefix(f"{refusal['memory']}: ")
        cells_of.setdefault((refusal["memory"], why), []).append(cell)
    measured = {cell["memory"] for cell in [*summary["cells"], *summary["capacities"]]}
    lines = []
    for (memory, why), cells in cells_of.items():
        where = f" with {'; '.join(cells)}" if memory in measured else ""
        lines.append(f"cannot store: {memory}{where}: {why}")
    return lines


def records(summary: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a record for every cell and seed, by column."""
    for cell in summary["cells"]:
        record = {"run": summary["run"], **{name: cell[name] for name in ("memory", "patterns", "corruption")}}
        for i, seed in enumerate(summary["seeds"]):
            scores = {name: cell[name]["per_seed"][i] if cell[name] else None for name in SCORES}
            finite = {name: None if value is None or math.isnan(value) else value for name, value in scores.items()}
            yield {**record, "seed": seed, **finite}


def summary_records(summary: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a record for every cell, by column: means over seeds with their intervals, beside the Bayes-optimal."""
    for cell in summary["cells"]:
        record = {"run": summary["run"], **{name: cell[name] for name in ("memory", "patterns", "corruption")}}
        record |= {"recall_mode": cell["recall_mode"], "seeds": len(summary["seeds"]) - len(cell["failed"])}
        for name in (*SCORES, "familiarity"):
            record |= interval_columns(name, cell[name], "mean")
        for name in SCORES:
            record |= interval_columns(f"ceiling_{name}", _ceiling(cell, name), "mean")
        yield record | {name: cell[name] for name in ("spurious", "parameters", "seconds")}


def curve_records(summary: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a record for every point of the curves against corruption and load, as they are drawn."""
    from simulator.reporting.recall_figures import AXES, curves_of

    for kind in AXES:
        for curve in curves_of(summary["cells"], kind):
            for memory in summary["contestants"]:
                own = [point for point in curve.points if point.cell["memory"] == memory]
                for x, cell in sorted(own, key=lambda point: point.x):
                    record = {"run": summary["run"], "against": kind, "curve": curve.title, "axis": curve.axis}
                    record |= {"memory": memory, "x": x}
                    for name in SCORES:
                        record |= interval_columns(name, cell[name], "mean")
                        record |= {f"ceiling_{name}": cell["ceiling"][name]}
                    yield record


def _place(cell: Mapping[str, Any]) -> tuple[str, int, str]:
    return cell["memory"], cell["patterns"], cell["corruption"]


def _best_first(cells: Sequence[Cell]) -> list[Cell]:
    """Sort the cells of each number of patterns and corruption by overlap."""
    conditions = list(dict.fromkeys((cell["patterns"], cell["corruption"]) for cell in cells))

    def key(cell: Cell) -> tuple[int, float]:
        overlap = cell["overlap"]["mean"] if cell["overlap"] else -math.inf
        return conditions.index((cell["patterns"], cell["corruption"])), -overlap

    return sorted(cells, key=key)


def _row(cell: Cell, difference: Mean) -> Row:
    ratio = cell["overlap_ratio"]
    return [
        console.format_cell(cell["patterns"]),
        cell["corruption"],
        cell["memory"],
        _recall_mode(cell),
        with_interval(cell["overlap"]) + _seeds_left(cell),
        f"{ratio['mean']:.1%}" if ratio else "-",
        with_interval(cell["exact"]),
        _exact_ceiling(cell),
        with_interval(difference),
        "-" if cell["spurious"] is None else f"{cell['spurious']:.3f}",
        with_interval(cell["familiarity"]),
        console.format_cell(round(cell["seconds"], 3)),
    ]


def _recall_mode(cell: Cell) -> str:
    """Name the recall procedure; of a noise-aware one, say where there was no evidence."""
    mode: str = cell["recall_mode"]
    shown = RECALL_MODES.get(mode, mode)
    return f"{shown}, no evidence" if mode == "noise_aware" and not cell["used_evidence"] else shown


def _seeds_left(cell: Cell) -> str:
    """Count the seeds behind a row where some failed: `` (1 seed)``."""
    finite = [value for value in (cell["overlap"] or {}).get("per_seed", ()) if not math.isnan(value)]
    return f" ({plural(len(finite), 'seed')})" if cell["failed"] and finite else ""


def _ceiling(cell: Cell, score: str) -> Mean:
    """Return the Bayes-optimal score with its interval."""
    mean = cell["ceiling"][score]
    low, high = cell["ceiling_interval"][score]
    return None if mean is None else {"mean": mean, "low": low, "high": high}


def _exact_ceiling(cell: Cell) -> str:
    """Format the Bayes-optimal perfect-recall rate: ``at least 0.912 [0.900, 0.930]``."""
    ceiling = _ceiling(cell, "exact")
    return "at least " * (ceiling is not None and cell["ceiling_at_least"]) + with_interval(ceiling)


def _both_scores(cell: Cell) -> str:
    """Format overlap / perfect-recall rate: ``.973 ±.004 / .901 ±.012``."""
    return f"{_half_width(cell['overlap'])} / {_half_width(cell['exact'])}{_seeds_left(cell)}"


def _both_ceilings(cell: Cell) -> str:
    """Format the Bayes-optimal scores likewise."""
    at_least = "at least " * bool(cell["ceiling_at_least"])
    return f"{_half_width(_ceiling(cell, 'overlap'))} / {at_least}{_half_width(_ceiling(cell, 'exact'))}"


def _half_width(value: Mean) -> str:
    """Format a mean with half the width of its interval, or with the interval where it is to one side only."""
    if value is None:
        return "-"
    if value["low"] is None:
        return f"{value['mean']:.3f}"
    if value["mean"] in (value["low"], value["high"]):
        return with_interval(value)
    return f"{value['mean']:.3f} ±{(value['high'] - value['low']) / 2:.3f}"


def with_interval(value: Mean) -> str:
    """Format a mean with its interval: ``0.973 [0.969, 0.977]``."""
    if value is None:
        return "-"
    around = "" if value["low"] is None else f" [{value['low']:.3f}, {value['high']:.3f}]"
    return f"{value['mean']:.3f}{around}"


def _basin_line(basin: Mapping[str, Any]) -> str:
    memory = f"{basin['memory']} with {basin['patterns']} patterns"
    radius = with_interval(basin["radius"])
    return f"basin of attraction of {memory}: half are recalled up to a fraction of {radius} flipped"


def _capacity_line(capacity: Mapping[str, Any]) -> str:
    half = _capacity(capacity, "half")
    most = _capacity(capacity, "most")
    return f"capacity of {capacity['memory']} under {capacity['corruption']}: {half} patterns at 50 %, {most} at 99 %"


def _capacity(capacity: Mapping[str, Any], share: str) -> str:
    """Format a capacity; where every seed still held the largest load that was tried, that many at least."""
    return f"at least {capacity['loads'][-1]:,}" if share in capacity["beyond"] else with_interval(capacity[share])
