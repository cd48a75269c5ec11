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
    for room in range(len(scene.rooms)):
        mark = ("@" if look.ascii else "●") if room == scene.walker else " "
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
                (f"{mark} room {room}", "bold red" if mark.strip() else ""),
                (bar.ljust(BAR), "cyan"),
                (number(value).rjust(7), ""),
                (shown, "green"),
            )
        )
    return lines
