"""Recall benchmark in the terminal: progress, the newest cell, and its first cues and recalls."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from simulator.core.snapshots import RecallSnapshot
from simulator.core.wording import plural
from simulator.views.live import LiveView
from simulator.views.patterns import recall_lines
from simulator.views.style import TerminalStyle, clean, duration, fit, stack

SHOWN = ("overlap", "ceiling_overlap", "exact", "ceiling_exact", "familiarity")


def terminal_view(console: Console | None = None) -> LiveView[RecallSnapshot]:
    """Make the live view of a recall benchmark."""
    return LiveView(lambda snapshot, before, size, look: page_of(snapshot, size, look), plain_line, console)


def page_of(snapshot: RecallSnapshot, size: tuple[int, int], look: TerminalStyle) -> Text:
    """Draw the page for a terminal of ``size`` (columns, lines)."""
    width = max(size[0] - 1, 1)
    height = size[1]
    seeds = plural(len(snapshot.seeds), "seed")
    place = f"memories recall {clean(snapshot.challenge)}"
    cells = str(snapshot.progress)
    lines = [
        fit(width, (clean(snapshot.id), "bold"), (place, "bold cyan"), (seeds, ""), (snapshot.phase, "dim")),
        fit(width, (cells, "green"), (duration(snapshot.seconds), "")),
    ]
    if snapshot.newest:
        shown = [(name.replace("_", " "), snapshot.scores[name]) for name in SHOWN if name in snapshot.scores]
        scores = [(f"{name} {score:.3f}", "") for name, score in shown]
        lines.append(fit(width, (clean(snapshot.newest), "bold"), *scores))
    if snapshot.next_cell:
        lines.append(fit(width, ("now", "dim"), (clean(snapshot.next_cell), "dim")))
    if snapshot.picture is not None:
        lines += recall_lines(snapshot.picture, (width, height - len(lines) - 1), look)
    return stack([Text() if not line.plain else line for line in lines])


def plain_line(snapshot: RecallSnapshot) -> str:
    """Format one line for a log."""
    words = [f"{snapshot.id}: {snapshot.progress}", duration(snapshot.seconds)]
    words += [f"{snapshot.newest}: overlap {snapshot.scores['overlap']:.3f}"] if "overlap" in snapshot.scores else []
    return ", ".join(words)
