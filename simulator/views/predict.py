"""Comparison of predictions in the terminal: progress, and a bar for each contestant at the newest condition."""

from __future__ import annotations

from math import isfinite

from rich.console import Console
from rich.text import Text

from simulator.core.snapshots import PredictSnapshot
from simulator.core.wording import plural
from simulator.views.live import LiveView
from simulator.views.style import TerminalStyle, clean, duration, fit, number, stack

MAX_BAR = 40  # columns
MAX_NAME = 24


def terminal_view(console: Console | None = None) -> LiveView[PredictSnapshot]:
    """Make the live view of a comparison."""
    return LiveView(lambda snapshot, before, size, look: page_of(snapshot, size, look), plain_line, console)


def page_of(snapshot: PredictSnapshot, size: tuple[int, int], look: TerminalStyle) -> Text:
    """Draw the page for a terminal of ``size`` (columns, lines)."""
    width = max(size[0] - 1, 1)
    seeds = plural(len(snapshot.seeds), "seed")
    place = f"methods predict {clean(snapshot.task)}"
    lines = [
        fit(width, (clean(snapshot.id), "bold"), (place, "bold cyan"), (seeds, ""), (snapshot.phase, "dim")),
        fit(width, (str(snapshot.progress), "green"), (duration(snapshot.seconds), "")),
    ]
    if snapshot.next_cell:
        lines.append(fit(width, ("now", "dim"), (clean(snapshot.next_cell), "dim")))
    if snapshot.rows:
        condition = snapshot.rows[-1][1]
        lines.append(fit(width, (f"{snapshot.score} at {condition:g} {snapshot.condition}", "")))
        shown = [row for row in snapshot.rows if row[1] == condition][-max(size[1] - len(lines) - 1, 1) :]
        lines += _bars(shown, width, look)
    return stack(lines)


def _bars(rows: list[tuple[str, float, float]], width: int, look: TerminalStyle) -> list[Text]:
    """Draw a bar for each row, the longest for the largest score."""
    most = max((abs(score) for *_, score in rows if isfinite(score)), default=0.0) or 1.0
    label = min(max(len(name) for name, *_ in rows), MAX_NAME)
    room = max(min(MAX_BAR, width - label - 10), 1)
    lines = []
    for name, _, score in rows:
        filled = round(room * abs(score) / most) if isfinite(score) else 0
        bar = ("#" if look.ascii else "█") * filled
        lines.append(fit(width, (clean(name)[:label].ljust(label), ""), (bar, "cyan"), (number(score), "bold")))
    return lines


def plain_line(snapshot: PredictSnapshot) -> str:
    """Format one line for a log."""
    words = [f"{snapshot.id}: {snapshot.progress}", duration(snapshot.seconds)]
    if snapshot.rows:
        words.append(f"{snapshot.newest}: {snapshot.score} {number(snapshot.rows[-1][2])}")
    return ", ".join(words)
