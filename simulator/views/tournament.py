"""Tournament in the terminal: progress, the jobs being played, and the leaderboard with its intervals."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from simulator.core.snapshots import Standing, TournamentSnapshot
from simulator.core.wording import plural
from simulator.reporting.tables import shortened
from simulator.reporting.tournament import PLURALS
from simulator.views.live import LiveView
from simulator.views.style import Part, TerminalStyle, clean, duration, fit, stack

OVER = ("done", "interrupted")  # phases in which nothing is being played
NOW_AT_MOST = 3
BOARD_AT_LEAST = 6  # lines about cells being played; lines that the leaderboard gets first
DROPPED = ("cells", "score")  # columns that go where there is no room, in turn, after the bar and before the interval
LABEL_AT_LEAST = 10
LABEL_AT_MOST = 28
BAR_AT_LEAST = 10
BAR_AT_MOST = 40


class BoardColumn(NamedTuple):
    """A column of the leaderboard."""

    name: str
    cells: list[str]
    style: str = ""


def terminal_view(
    console: Console | None = None, clock: Callable[[], float] = time.monotonic
) -> LiveView[TournamentSnapshot]:
    """Make the live view of a tournament."""
    return LiveView(lambda snapshot, before, size, look: page_of(snapshot, size, look), plain_line, console, clock)


def page_of(snapshot: TournamentSnapshot, size: tuple[int, int], look: TerminalStyle) -> Text:
    """Draw the page for a terminal of ``size`` (columns, lines)."""
    width = max(size[0] - 1, 1)
    height = max(size[1] - 1, 1)
    lines = header(snapshot, width, look)
    extra = _extra(snapshot, width)
    room = height - len(lines)
    ranked = board(snapshot.rows, width, look) if snapshot.rows else []
    lines += extra[: max(room - min(len(ranked), BOARD_AT_LEAST), 0)]
    if height - len(lines) >= 2:
        lines += _within(ranked, height - len(lines))
    for line in lines:
        line.truncate(width)
    return stack([Text() if not line.plain else line for line in lines[:height]])


def header(snapshot: TournamentSnapshot, width: int, look: TerminalStyle) -> list[Text]:
    """Return lines with the tournament and its progress."""
    n = len({row.contestant for row in snapshot.rows})
    contestants: list[Part] = [(plural(n, "contestant"), "")] if n else []
    title: Part = (clean(snapshot.id), "bold")
    counts: list[Part] = [(f"{snapshot.done:,} done", "green"), (f"{snapshot.running:,} running", "")]
    counts += [(f"{snapshot.failed:,} failed", "red")] if snapshot.failed else []
    counts += [(f"{snapshot.reused:,} reused", "dim")] if snapshot.reused else []
    return [
        fit(width, title, ("tournament", "bold cyan"), (snapshot.phase, "dim"), *contestants),
        _progress(snapshot, width, look),
        fit(width, *counts, (duration(snapshot.seconds), "")),
    ]


def _extra(snapshot: TournamentSnapshot, width: int) -> list[Text]:
    """Return lines for free space: warnings, the newest cell, running cells."""
    parts: list[Part] = [(clean(warning), "yellow") for warning in snapshot.warnings[-2:]]
    parts += [(f"newest {clean(snapshot.newest)}", "")] if snapshot.newest else []
    now = snapshot.now if snapshot.phase not in OVER else ()
    suffix = f" and {len(now) - NOW_AT_MOST} more" if len(now) > NOW_AT_MOST else ""
    shown = [f"now {clean(name)}" for name in now[:NOW_AT_MOST]]
    parts += [(name + suffix * (name is shown[-1]), "dim") for name in shown]
    return [fit(width, part) for part in parts]


def _progress(snapshot: TournamentSnapshot, width: int, look: TerminalStyle) -> Text:
    fraction = min(snapshot.progress.done / max(snapshot.planned, 1), 1.0)
    going = snapshot.phase not in OVER and snapshot.left is not None
    left = f"{duration(snapshot.left or 0.0)} left" if going else ""
    words = fit(width, (f" {fraction:4.0%}", ""), (f"{snapshot.progress}", ""), (left, ""))
    length = max(min(width - len(words.plain), 40), 0)
    full = round(length * fraction)
    signs = ("#", ".") if look.ascii else ("━", "─")
    return Text.assemble((signs[0] * full, "green"), (signs[1] * (length - full), "dim"), words)


def board(rows: Sequence[Standing], width: int, look: TerminalStyle) -> list[Text]:
    """Draw the leaderboard, division by division: the best first, an empty line between tiers.

    Where there is no room the bar goes first, then the columns of ``DROPPED`` in turn, then the interval.
    """
    lines: list[Text] = []
    names = list(dict.fromkeys(row.division for row in rows))
    for name in names:
        division_rows = [row for row in rows if row.division == name]
        if len(names) > 1:
            lines.append(fit(width, (PLURALS.get(name, clean(name)), "bold")))
        columns = _columns(division_rows, width, look)
        lines.append(_line([column.name for column in columns], columns, "dim"))
        cells = list(zip(*(column.cells for column in columns), strict=True))
        for above, below, texts in zip([division_rows[0], *division_rows], division_rows, cells, strict=False):
            lines += [Text()] * (above.tier != below.tier) + [_line(texts, columns)]
    return lines


def _columns(rows: Sequence[Standing], width: int, look: TerminalStyle) -> list[BoardColumn]:
    names = [clean(row.contestant) for row in rows]
    columns = [
        BoardColumn("tier", ["-" if row.tier is None else str(row.tier) for row in rows], "dim"),
        BoardColumn("contestant", names, "bold"),
        BoardColumn(
            "strength", [_figure(row.strength) + _interval(row.strength_low, row.strength_high) for row in rows]
        ),
        BoardColumn("score", [_figure(row.score) for row in rows], "green"),
        BoardColumn("cells", [f"{row.done:,}/{row.planned:,}" for row in rows], "dim"),
    ]
    label = max(min(_width(columns[1]), LABEL_AT_MOST, width // 4), LABEL_AT_LEAST)
    columns[1] = columns[1]._replace(cells=[shortened(name, label) for name in names])
    for name in DROPPED:
        if _free(columns, width) >= 0:
            break
        columns = [column for column in columns if column.name != name]
    if _free(columns, width) < 0:
        columns[-1] = BoardColumn("strength", [_figure(row.strength) for row in rows])
    if _free(columns, width) >= BAR_AT_LEAST + 2:
        bar = BoardColumn("", _bars(rows, min(_free(columns, width) - 2, BAR_AT_MOST), look), "cyan")
        columns.insert(3, bar)
    return columns


def _width(column: BoardColumn) -> int:
    return max(map(cell_len, (column.name, *column.cells)))


def _free(columns: Sequence[BoardColumn], width: int) -> int:
    """Return the columns of the terminal that a leaderboard leaves, below 0 if it does not fit."""
    return width - sum(_width(column) + 2 for column in columns) + 2


def _line(texts: Sequence[str], columns: Sequence[BoardColumn], style: str | None = None) -> Text:
    line = Text(no_wrap=True, overflow="crop")
    for text, column in zip(texts, columns, strict=True):
        line.append(set_cell_size(text, _width(column)), column.style if style is None else style).append("  ")
    line.rstrip()
    return line


def _bars(rows: Sequence[Standing], width: int, look: TerminalStyle) -> list[str]:
    """Draw every strength with its interval as a line of characters, all of them on one scale."""
    first, last, line, middle = ("[", "]", "-", "*") if look.ascii else ("├", "┤", "─", "●")
    spans = [(row.strength_low, row.strength, row.strength_high) for row in rows]
    finite = [value for span in spans for value in span if math.isfinite(value)]
    low = min(finite, default=0.0)
    high = max(finite, default=0.0)
    bars = []
    for span in spans:
        signs = [" "] * width
        places = [
            round((v - low) / (high - low) * (width - 1)) if math.isfinite(v) and high > low else None for v in span
        ]
        start, at, stop = places
        if start is not None and stop is not None:
            signs[start : stop + 1] = line * (stop - start + 1)
            signs[start] = first
            signs[stop] = last
        if at is not None:
            signs[at] = middle
        bars.append("".join(signs))
    return bars


def _within(lines: list[Text], height: int) -> list[Text]:
    """Cut lines to ``height``: empty ones go first, then the last ones, and a line says how many."""
    if len(lines) > height:
        lines = [line for line in lines if line.plain]
    if len(lines) > height:
        n_hidden = len(lines) - height + 1
        lines = [*lines[: height - 1], Text(f"and {n_hidden} lines more", "dim")]
    return lines


def _figure(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "-"


def _interval(low: float, high: float) -> str:
    return f" [{low:.2f}, {high:.2f}]" if math.isfinite(low) and math.isfinite(high) else ""


def plain_line(snapshot: TournamentSnapshot) -> str:
    """Format one line for a log."""
    words = [f"{snapshot.id}: {snapshot.progress}"]
    words += [f"{snapshot.failed:,} failed"] if snapshot.failed else []
    words.append(duration(snapshot.seconds))
    if snapshot.phase in OVER:
        words.append(snapshot.phase)
    elif snapshot.left is not None:
        words.append(f"{duration(snapshot.left)} left")
    first = [row.contestant for row in snapshot.rows if row.tier == 1]
    return ", ".join(words) + (f"; first tier: {', '.join(first)}" if first else "")
