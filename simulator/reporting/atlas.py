"""An atlas in the terminal: each map of states beside the map of rooms, with the same signs and colours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from rich.text import Text

from simulator import console
from simulator.core.protocols import Array
from simulator.core.wording import plural
from simulator.views.atlas_groups import Groups, groups_of, shown_as
from simulator.views.grid import SHADES
from simulator.views.style import TerminalStyle, beside, fit, flow, number

SIGNS = "0123456789abcdefghijklmnopqrstuvwxyz"
INKS = ("#56b4e9", "#e69f00", "#2ec27e", "#d16bb0", "#e0c000", "#9a9aa8", "#e05a50", "#7f8cff")  # on either background
LINES = 16  # of a map of states
COLUMNS = 46
MAX_MAP_LINES = 40
MAX_BRANCHES = 12  # of a tree that are drawn


def show(data: Mapping[str, Any]) -> None:
    """Print every map, its measures, and a line of what they mean."""
    from rich.console import Console

    from simulator.views.style import style_of

    terminal = Console()
    look = style_of(terminal)
    console.print_result(f"{data['atlas']}; {shown_as(data)}")
    for note in data["notes"]:
        console.print_result(note)
    for found in data["maps"]:
        console.print_result()
        for line in lines_of(data, found, terminal.width, look):
            terminal.print(line)
    console.print_result()
    _show_measures(data)


def lines_of(data: Mapping[str, Any], found: Mapping[str, Any], width: int, look: TerminalStyle) -> list[Text]:
    """Draw a map of states, the map of rooms beside or below it, the legend, and a tree where there is one."""
    groups = groups_of(data, found)
    inks = _inks(groups, look)
    left = _plane(found, groups, inks, width)
    right = _rooms(data, groups, inks, look)
    is_wide = right and max(map(len, left)) + 3 + max(map(len, right)) <= width
    drawn = beside(left, right, max(map(len, left)), "   ") if is_wide else [*left, *right]
    title = fit(width, (f"{found['method']}", "bold"), (", ".join(axis for axis in found["axes"] if axis), "dim"))
    legend = [Text.assemble((_sign(k), inks[k]), (f" {name}", "dim")) for k, name in enumerate(groups.names)]
    several = [Text("* several", "dim")] if any("*" in line.plain for line in left) else []
    tree = _tree(found, inks if data["color"] == "cluster" else [], width, look) if found["tree"] is not None else []
    lines = [title, *drawn, *flow(width, [*legend, *several]), *tree]
    for line in lines:
        line.no_wrap = True
        line.truncate(width)
    return lines


def _sign(group: int) -> str:
    return SIGNS[group % len(SIGNS)] if group >= 0 else "."


def _inks(groups: Groups, look: TerminalStyle) -> list[str]:
    """Return the style of every group."""
    if not look.colour:
        return [""] * len(groups.names)
    n = len(groups.names)
    if groups.is_number:
        shades = [SHADES[round(k * (len(SHADES) - 1) / max(n - 1, 1))] for k in range(n)]
        return [f"{'white' if SHADES.index(shade) < len(SHADES) // 2 else 'black'} on {shade}" for shade in shades]
    return [f"bold {INKS[k % len(INKS)]}" for k in range(n)]


def _plane(found: Mapping[str, Any], groups: Groups, inks: Sequence[str], width: int) -> list[Text]:
    """Draw the states in the plane: a sign each, a star where those of different groups share a place."""
    points = np.asarray(found["plane"], np.float64)
    n_columns = max(min(COLUMNS, width), 1)
    low, high = points.min(axis=0), points.max(axis=0)
    size = np.where(high > low, high - low, 1.0)
    column = np.minimum(((points[:, 0] - low[0]) / size[0] * n_columns).astype(np.int64), n_columns - 1)
    row = np.minimum(((high[1] - points[:, 1]) / size[1] * LINES).astype(np.int64), LINES - 1)
    cells: dict[tuple[int, int], int | None] = {}
    for at, group in zip(zip(row, column, strict=True), groups.of_state, strict=True):
        there = (int(at[0]), int(at[1]))
        cells[there] = int(group) if cells.get(there, int(group)) == int(group) else None
    lines = []
    for r in range(LINES):
        line = Text()
        for c in range(n_columns):
            if (r, c) not in cells:
                line.append(" ")
                continue
            group = cells[r, c]
            line.append("*" if group is None else _sign(group), "" if group is None or group < 0 else inks[group])
        lines.append(line)
    return lines


def _rooms(data: Mapping[str, Any], groups: Groups, inks: Sequence[str], look: TerminalStyle) -> list[Text]:
    """Draw the map of a grid, each cell with its group's sign; nothing where there is no grid, or a large one."""
    if data["map"] is None or data["map"]["walls"] is None:
        return []
    walls = np.asarray(data["map"]["walls"], np.bool_)
    if len(walls) > MAX_MAP_LINES:
        return []
    group_at: dict[tuple[int, ...], int] = {}
    for place, group in zip(np.asarray(data["places"]), groups.of_state, strict=True):
        group_at.setdefault((int(place[0]), int(place[1])), int(group))
    wall = "#" if look.ascii else "█"
    lines = []
    for r, row in enumerate(walls):
        line = Text()
        for c, is_wall in enumerate(row):
            if (r, c) in group_at:
                group = group_at[r, c]
                line.append(_sign(group) * 2, inks[group] if group >= 0 else "")
            else:
                line.append(wall * 2 if is_wall else "  ", "grey50" if is_wall else "")
        lines.append(line)
    return lines


def _tree(found: Mapping[str, Any], inks: Sequence[str], width: int, look: TerminalStyle) -> list[Text]:
    """Draw the last merges of a tree sideways: a branch a line, its height and how many states it holds."""
    tree = np.asarray(found["tree"], np.float64)
    labels = np.asarray(found["clusters"])
    n_states = len(tree) + 1
    n_shown = min(MAX_BRANCHES, max(int(found["n_clusters"]), 2))
    first = n_states + len(tree) - (n_shown - 1)  # merges from this node on are drawn
    corner, down, end = ("+- ", "|  ", "`- ") if look.ascii else ("├─ ", "│  ", "└─ ")
    lines = [Text(f"tree, {found['facts'].get('linkage', '')} distance of the last {n_shown - 1} merges", "dim")]

    def draw(node: int, lead: str, own: str) -> None:
        if node >= first:
            merge = tree[node - n_states]
            lines.append(Text.assemble((lead + own, "dim"), (number(merge[2]), "")))
            deeper = lead + {corner: down, end: "   ", "": ""}[own]
            draw(int(merge[0]), deeper, corner)
            draw(int(merge[1]), deeper, end)
            return
        states = leaves(tree, node)
        cluster = int(labels[states[0]])
        ink = inks[cluster] if inks else ""
        count = f"cluster {cluster + 1}, {plural(len(states), 'state')}"
        lines.append(Text.assemble((lead + own, "dim"), (count, ink)))

    draw(n_states + len(tree) - 1, "", "")
    return lines


def leaves(tree: Array, node: int) -> list[int]:
    """Return the states below a node of a tree of scipy's ``linkage``."""
    n_states = len(tree) + 1
    waiting = [node]
    found = []
    while waiting:
        at = waiting.pop()
        if at < n_states:
            found.append(at)
        else:
            waiting += [int(tree[at - n_states][1]), int(tree[at - n_states][0])]
    return found


MEASURES: dict[str, Callable[[Mapping[str, Any]], Any]] = {  # of a map, None where it has none
    "numbers": lambda found: None if found["points"] is None else np.shape(found["points"])[1],
    "trustworthiness": lambda found: (found["neighbours"] or {}).get("trustworthiness"),
    "continuity": lambda found: (found["neighbours"] or {}).get("continuity"),
    "trust by steps": lambda found: (found["neighbours_by_steps"] or {}).get("trustworthiness"),
    "clusters": lambda found: found["n_clusters"],
    "Rand index": lambda found: found["agreement"],
    "V* explained": lambda found: (found["linear"] or {}).get("explained"),
    "optimal actions": lambda found: (found["linear"] or {}).get("optimal"),
}


def measures_of(found: Mapping[str, Any]) -> dict[str, str]:
    """Return what one map keeps, and what it was made with, as texts by name."""
    measures = {name: of(found) for name, of in MEASURES.items()}
    facts = {name.replace("_", " "): _said(value) for name, value in found["facts"].items()}
    known = {name: console.format_cell(value) for name, value in measures.items() if value is not None}
    return {**known, **{name: said for name, said in facts.items() if said}}


def _show_measures(data: Mapping[str, Any]) -> None:
    """Print what every map keeps; columns of what is not known are left out."""
    cells = {name: [of(found) for found in data["maps"]] for name, of in MEASURES.items()}
    cells = {name: column for name, column in cells.items() if any(cell is not None for cell in column)}
    rows = [[found["method"], *row] for found, *row in zip(data["maps"], *cells.values(), strict=True)]
    console.print_table(f"what is kept of {data['states']:,} states", ("map", *cells), rows)
    for found in data["maps"]:
        facts = [f"{name.replace('_', ' ')} {_said(value)}" for name, value in found["facts"].items() if _said(value)]
        if facts:
            console.print_result(f"{found['method']}: {', '.join(facts)}")


def _said(value: Any) -> str:
    if isinstance(value, str):
        return value
    numbers = np.asarray(value) if not isinstance(value, list) else np.zeros(0)
    if numbers.dtype.kind not in "iuf" or numbers.size > 8 or not numbers.size:
        return ""
    return ", ".join(console.format_cell(each) for each in numbers.ravel().tolist())
