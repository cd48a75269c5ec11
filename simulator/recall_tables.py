"""Tables of contests between memories, for people, as Markdown and as CSV."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator import tables
from simulator.core.escaping import csv_row, markdown, markdown_row

COLUMNS = (
    *("patterns", "damage", "memory", "way", "overlap", "of the best possible", "exact", "best possible exact"),
    *("less than the best", "spurious", "familiarity", "seconds"),
)


def show(found: Mapping[str, Any]) -> None:
    """Print what a contest came to: a row for every cell, the best first."""
    seeds = found["seeds"]
    less = {(each["memory"], each["patterns"], each["damage"]): each["overlap"] for each in found["differences"]}
    title = f"{found['run']}: {found['challenge']}, {len(seeds)} seeds, means with 95 % intervals over seeds"
    tables.table(title, COLUMNS, [_row(cell, less) for cell in _sorted(found["cells"])])
    for each in {(each["memory"], each["patterns"]): each for each in found["basins"]}.values():
        who, radius = f"{each['memory']} with {each['patterns']} patterns", _with_interval(each["radius"])
        tables.tell(f"basin of {who}: half of them are repaired up to a share of {radius} flipped")
    for each in found["capacities"]:
        half, most = (_capacity(each, share) for share in ("half", "most"))
        tables.tell(f"capacity of {each['memory']} under {each['damage']}: {half} patterns at 50 %, {most} at 99 %")
    for each in found["refused"]:
        tables.tell(f"refused: {each['why']}")
    tables.tell(f"next: engram report {found['run']} --table - engram list runs")


def show_short(found: Mapping[str, Any]) -> None:
    """Print the contestants of one cell beside the ceiling."""
    cells = _sorted(found["cells"])
    patterns, damage, best = cells[0]["patterns"], cells[0]["damage"], cells[0]["ceiling"]
    rows = [
        [cell["memory"], *(_with_interval(cell[name]) for name in ("overlap", "exact", "familiarity"))]
        for cell in cells
    ]
    rows.append(["best possible", f"{best['overlap']:.3f}", f"{best['exact']:.3f}", ""])
    title = (
        f"{found['run']}: {patterns} {found['challenge']} of each of {len(found['seeds'])} seeds, damaged by {damage}"
    )
    tables.table(title, ("memory", "units right, from -1 to 1", "exactly right", "familiarity"), rows)


def show_markdown(found: Mapping[str, Any]) -> None:
    """Print one table for every number of patterns: contestants by damage, overlap / exact, and the ceiling last."""
    for load in dict.fromkeys(cell["patterns"] for cell in found["cells"]):
        here = [cell for cell in found["cells"] if cell["patterns"] == load]
        damages = list(dict.fromkeys(cell["damage"] for cell in here))
        columns = (f"{load} patterns", *damages, "familiarity", "numbers kept", "seconds")
        tables.tell("\n" + markdown_row(map(markdown, columns)))
        tables.tell(markdown_row(["---"] * len(columns)))
        for name in dict.fromkeys(cell["memory"] for cell in here):
            own = {cell["damage"]: cell for cell in here if cell["memory"] == name}
            texts = [_pair(own[damage]) if damage in own else "-" for damage in damages]
            last = next(iter(own.values()))
            spent = (last["store_seconds"] or 0.0) + sum(cell["seconds"] for cell in own.values())
            rest = [_with_interval(last["familiarity"]), tables.written(last["parameters"]), tables.written(spent)]
            tables.tell(markdown_row(map(markdown, [name, *texts, *rest])))
        best = {cell["damage"]: cell["ceiling"] for cell in here}
        texts = [f"**{best[damage]['overlap']:.3f} / {best[damage]['exact']:.3f}**" for damage in damages]
        tables.tell(markdown_row(["**best possible**", *texts, "", "", ""]))


def show_csv(found: Mapping[str, Any]) -> None:
    """Print a line for every cell and seed."""
    tables.tell(csv_row(("run", "memory", "patterns", "damage", "seed", "overlap", "exact")))
    for cell in found["cells"]:
        place = (found["run"], cell["memory"], cell["patterns"], cell["damage"])
        for row in zip(found["seeds"], cell["overlap"]["per_seed"], cell["exact"]["per_seed"], strict=True):
            tables.tell(csv_row((*place, *row)))


def _sorted(cells: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    places = list(dict.fromkeys((cell["patterns"], cell["damage"]) for cell in cells))
    order = {place: n for n, place in enumerate(places)}
    return sorted(cells, key=lambda cell: (order[cell["patterns"], cell["damage"]], -cell["overlap"]["mean"]))


def _row(cell: Mapping[str, Any], less: Mapping[Any, Any]) -> tuple[Any, ...]:
    share, behind = cell["share_overlap"], less.get((cell["memory"], cell["patterns"], cell["damage"]))
    return (
        *(cell["patterns"], cell["damage"], cell["memory"], cell["way"], _with_interval(cell["overlap"])),
        f"{share['mean']:.1%}" if share else None,
        *(_with_interval(cell["exact"]), f"{cell['ceiling']['exact']:.3f}"),
        *(_with_interval(behind), f"{cell['spurious']:.3f}"),
        *(_with_interval(cell["familiarity"]), round(cell["seconds"], 3)),
    )


def _pair(cell: Mapping[str, Any]) -> str:
    """``.973 ±.004 / .901 ±.012``: half the width of the interval behind each mean."""
    return f"{_half_width(cell['overlap'])} / {_half_width(cell['exact'])}"


def _half_width(value: Mapping[str, Any]) -> str:
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
