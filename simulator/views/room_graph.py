"""A graph of rooms drawn with characters: each room's value and best moves."""

from __future__ import annotations

import numpy as np
from rich.text import Text

from simulator.core.protocols import AgentView
from simulator.views.style import TerminalStyle, clean, fit, number

BAR = 20  # characters


def room_table(picture: AgentView, width: int, look: TerminalStyle) -> list[Text]:
    """Format one line per room: the walker, the value as a bar and a number, and the best moves."""
    scene = picture.scene
    values = picture.values
    greedy = picture.greedy
    assert scene.rooms is not None
    lines = [fit(width, (clean(scene.title), "bold"))]
    highest = float(np.nanmax(np.abs(values))) if values is not None and np.isfinite(values).any() else 0.0
    arrow = "->" if look.ascii else "→"
    goals = {mark.row for mark in scene.marks if mark.kind == "goal"}
    for room in range(len(scene.rooms)):
        goal = ("G" if look.ascii else "★") if room in goals else " "
        mark = ("@" if look.ascii else "●") if room == scene.walker else goal
        value = float("nan") if values is None or room >= len(values) else float(values[room])
        fraction = abs(value) / highest if highest > 0 and np.isfinite(value) else 0.0
        bar = ("#" if look.ascii else "█") * round(BAR * min(fraction, 1.0))
        moves = (
            []
            if greedy is None or room >= len(greedy)
            else [clean(scene.actions[a]) for a in np.flatnonzero(greedy[room])]
        )
        shown = f"{arrow} {', '.join(move.removeprefix('room ') for move in moves)}" if moves else ""
        lines.append(
            fit(
                width,
                (f"{mark} room {room}", "bold red" if room == scene.walker else ""),
                (bar.ljust(BAR), "cyan"),
                (number(value).rjust(7), ""),
                (shown, "green"),
            )
        )
    return lines


def room_legend(picture: AgentView, look: TerminalStyle) -> list[Text]:
    """Explain every sign of the table."""
    walker, goal, bar, arrow = ("@", "G", "##", "->") if look.ascii else ("●", "★", "██", "→")
    items = [(walker, "bold red", "agent")]
    if any(mark.kind == "goal" for mark in picture.scene.marks):
        items.append((goal, "", "goal"))
    if picture.values is not None:
        items.append((bar, "cyan", "value of the room, and as a number"))
    if picture.greedy is not None:
        items.append((arrow, "green", "room of the best action"))
    return [Text.assemble((sign, style), (f" {meaning}", "dim")) for sign, style, meaning in items]
