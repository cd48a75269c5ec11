"""Tables of contests between memories, for people, as Markdown and as CSV.

The best possible is what can be expected at most, given the cues: a mean over seeds with its interval, as all scores.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from simulator import console
from simulator.core.files.escaping import csv_row, markdown, markdown_row
from simulator.reporting.recall_rows import ceilings

_SCORES = ("overlap", "exact")
_PLACE = ("memory", "patterns", "corruption")
COLUMNS = (
    *(
        "patterns",
        "corruption",
        "memory",
        "recall_mode",
        "overlap",
        "of the best possible",
        "exact",
        "best possible exact",
    ),
    *("less than the best", "spurious", "familiarity", "seconds"),
)


def show(found: Mapping[str, Any]) -> None:
    """Print what a contest came to: a row for every cell, the best first."""
    seeds = found["seeds"]
    less = {(each["memory"], each["patterns"], each["corruption"]): each["overlap"] for each in found["differences"]}
    title = f"{found['run']}: {found['challenge']}, {len(seeds)} seeds, means with 95 % intervals over seeds"
    console.print_table(title, COLUMNS, [_row(cell, less) for cell in _sorted(found["cells"])])
    for each in {(each["memory"], each["patterns"]): each for each in found["basins"]}.values():
        who, radius = f"{each['memory']} with {each['patterns']} patterns", _with_interval(each["radius"])
        console.print_result(f"basin of {who}: half of them are repaired up to a share of {radius} flipped")
    for each in found["capacities"]:
        half, most = (_capacity(each, share) for share in ("half", "most"))
        console.print_result(
            f"capacity of {each['memory']} under {each['corruption']}: {half} patterns at 50 %, {most} at 99 %"
        )
    for line in [*failure_lines(found), *_refusal_lines(found)]:
        console.print_result(line)
    console.print_result(f"next: engram report {found['run']} --table - engram list runs")


def failure_lines(found: Mapping[str, Any]) -> list[str]:
    """A line for every cell in which seeds broke down: which, why, and that nothing counts them."""
    lines = []
    for each in {(each["memory"], each["patterns"], each["corruption"]): each for each in found["failed"]}.values():
        same = [one for one in found["failed"] if all(one[name] == each[name] for name in _PLACE)]
        seeds = ", ".join(f"{one['seed']} ({one['reason']})" for one in same)
        what = f"{each['patterns']} patterns" if each["patterns"] else "its capacity"
        rest = "nothing of it counts" if len(same) == len(found["seeds"]) else "left out of every number here"
        lines.append(f"failed: {each['memory']}, {what}, {each['corruption']}: seed {seeds}; {rest}")
    return lines


def _refusal_lines(found: Mapping[str, Any]) -> list[str]:
    """A line for every memory and reason, and for which cells where not for all of them."""
    lines: dict[tuple[str, str], list[str]] = {}
    for each in found["refused"]:
        place = f"{each['patterns']} patterns, {each['corruption']}"
        why = each["why"].removeprefix(f"{each['memory']}, {place}: ").removeprefix(f"{each['memory']}: ")
        lines.setdefault((each["memory"], why), []).append(place)
    played = {each["memory"] for each in [*found["cells"], *found["capacities"]]}
    some = {key: f" with {'; '.join(places)}" * (key[0] in played) for key, places in lines.items()}
    return [f"refused: {memory}{some[memory, why]}: {why}" for memory, why in lines]


def show_short(found: Mapping[str, Any]) -> None:
    """Print the contestants of one cell beside the ceiling."""
    cells = _sorted(found["cells"])
    patterns, corruption = cells[0]["patterns"], cells[0]["corruption"]
    best = ceilings(cells)[corruption]
    rows = [
        [cell["memory"], *(_with_interval(cell[name]) for name in ("overlap", "exact", "familiarity"))]
        for cell in cells
    ]
    rows.append(["best possible", _ceiling(best, "overlap"), _ceiling(best, "exact"), ""])
    seeds = len(found["seeds"])
    title = f"{found['run']}: {patterns} {found['challenge']} of each of {seeds} seeds, corrupted by {corruption}"
    console.print_table(title, ("memory", "units right, from -1 to 1", "exactly right", "familiarity"), rows)


def show_markdown(found: Mapping[str, Any]) -> None:
    """Print a table for every number of patterns: contestants by corruption, overlap / exact, the ceiling last."""
    for load in dict.fromkeys(cell["patterns"] for cell in found["cells"]):
        here = [cell for cell in found["cells"] if cell["patterns"] == load]
        corruptions = list(dict.fromkeys(cell["corruption"] for cell in here))
        columns = (f"{load} patterns", *corruptions, "familiarity", "numbers kept", "seconds")
        console.print_result("\n" + markdown_row(map(markdown, columns)))
        console.print_result(markdown_row(["---"] * len(columns)))
        for name in dict.fromkeys(cell["memory"] for cell in here):
            own = {cell["corruption"]: cell for cell in here if cell["memory"] == name}
            texts = [_pair(own[corruption]) if corruption in own else "-" for corruption in corruptions]
            last = next(iter(own.values()))
            spent = (last["store_seconds"] or 0.0) + sum(cell["seconds"] or 0.0 for cell in own.values())
            rest = [
                _with_interval(last["familiarity"]),
                console.format_cell(last["parameters"]),
                console.format_cell(spent),
            ]
            console.print_result(markdown_row(map(markdown, [name, *texts, *rest])))
        best = ceilings(here)
        texts = [f"**{_best_pair(best[at])}**" for at in corruptions]
        console.print_result(markdown_row(["**best possible**", *texts, "", "", ""]))


def show_csv(found: Mapping[str, Any]) -> None:
    """Print a line for every cell and seed."""
    console.print_result(csv_row(("run", "memory", "patterns", "corruption", "seed", "overlap", "exact")))
    for cell in found["cells"]:
        place = (found["run"], cell["memory"], cell["patterns"], cell["corruption"])
        columns = [cell[name]["per_seed"] if cell[name] else [None] * len(found["seeds"]) for name in _SCORES]
        for seed, *row in zip(found["seeds"], *columns, strict=True):
            known = ["" if value is None or math.isnan(value) else value for value in row]
            console.print_result(csv_row((*place, seed, *known)))


def _sorted(cells: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    places = list(dict.fromkeys((cell["patterns"], cell["corruption"]) for cell in cells))
    order = {place: n for n, place in enumerate(places)}
    best = {id(cell): cell["overlap"]["mean"] if cell["overlap"] else -math.inf for cell in cells}
    return sorted(cells, key=lambda cell: (order[cell["patterns"], cell["corruption"]], -best[id(cell)]))


def _row(cell: Mapping[str, Any], less: Mapping[Any, Any]) -> tuple[Any, ...]:
    share, behind = cell["share_overlap"], less.get((cell["memory"], cell["patterns"], cell["corruption"]))
    return (
        *(
            cell["patterns"],
            cell["corruption"],
            cell["memory"],
            _way(cell),
            _with_interval(cell["overlap"]) + _of(cell),
        ),
        f"{share['mean']:.1%}" if share else None,
        *(_with_interval(cell["exact"]), _ceiling(cell, "exact")),
        *(_with_interval(behind), _number(cell["spurious"])),
        *(_with_interval(cell["familiarity"]), round(cell["seconds"], 3)),
    )


def _way(cell: Mapping[str, Any]) -> str:
    """How a memory recalled; of one that would have heard evidence, whether there was any."""
    return f"{cell['recall_mode']}{'' if cell['heard'] or cell['recall_mode'] != 'noise_aware' else ', no evidence'}"


def _ceiling(cell: Mapping[str, Any], score: str) -> str:
    """The most that can be expected, with its interval: ``at least 0.912 [0.900, 0.930]``."""
    mean, (low, high) = cell["ceiling"][score], cell["ceiling_interval"][score]
    more = "at least " if cell["ceiling_at_least"] and score == "exact" else ""
    return "-" if mean is None else more + _with_interval({"mean": mean, "low": low, "high": high})


def _of(cell: Mapping[str, Any]) -> str:
    """How many seeds a row is about, where some failed: `` (1 seed)``."""
    known = [value for value in (cell["overlap"] or {}).get("per_seed", ()) if not math.isnan(value)]
    return f" ({len(known)} seed{'s' * (len(known) != 1)})" if cell["failed"] and known else ""


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _pair(cell: Mapping[str, Any]) -> str:
    """``.973 ±.004 / .901 ±.012``: half the width of the interval behind each mean, or all of one to one side."""
    return f"{_half_width(cell['overlap'])} / {_half_width(cell['exact'])}{_of(cell)}"


def _best_pair(cell: Mapping[str, Any]) -> str:
    """The ceilings of a cell, likewise."""
    texts = []
    for score in _SCORES:
        mean, (low, high) = cell["ceiling"][score], cell["ceiling_interval"][score]
        known = None if mean is None else {"mean": mean, "low": low, "high": high}
        texts.append("at least " * (score == "exact" and cell["ceiling_at_least"]) + _half_width(known))
    return " / ".join(texts)


def _half_width(value: Mapping[str, Any] | None) -> str:
    if value is None:
        return "-"
    if value["low"] is not None and value["mean"] in (value["low"], value["high"]):  # to one side only
        return _with_interval(value)
    width = "" if value["low"] is None else f" ±{(value['high'] - value['low']) / 2:.3f}"
    return f"{value['mean']:.3f}{width}"


def _capacity(capacity: Mapping[str, Any], share: str) -> str:
    """A capacity; where every seed still held the largest load that was tried, that much at least."""
    return f"at least {capacity['loads'][-1]:,}" if share in capacity["beyond"] else _with_interval(capacity[share])


def _with_interval(value: Mapping[str, Any] | None) -> str:
    if value is None:
        return "-"
    around = "" if value["low"] is None else f" [{value['low']:.3f}, {value['high']:.3f}]"
    return f"{value['mean']:.3f}{around}"
