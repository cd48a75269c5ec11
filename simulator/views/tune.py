"""Tuning in the terminal: progress, the cells being played, and the best trials so far."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from simulator.core.snapshots import TrialRow, TuneSnapshot
from simulator.views.live import LiveView
from simulator.views.style import Part, TerminalStyle, clean, duration, fit, number, stack

NOW_AT_MOST = 2


def terminal_view(
    console: Console | None = None, clock: Callable[[], float] = time.monotonic
) -> LiveView[TuneSnapshot]:
    """Make the live view of a tuning."""
    return LiveView(lambda snapshot, before, size, look: page_of(snapshot, size, look), plain_line, console, clock)


def page_of(snapshot: TuneSnapshot, size: tuple[int, int], look: TerminalStyle) -> Text:
    """Draw the page for a terminal of ``size`` (columns, lines)."""
    width = max(size[0] - 1, 1)
    counts: list[Part] = [(f"{snapshot.done:,} done", "green"), (f"{snapshot.running:,} running", "")]
    counts += [(f"{snapshot.failed:,} failed", "red")] if snapshot.failed else []
    counts += [(f"{snapshot.reused:,} reused", "dim")] if snapshot.reused else []
    rounds = f"round {snapshot.round:,} of {snapshot.rounds:,}"
    phase = snapshot.phase
    lines = [
        fit(width, (clean(snapshot.id), "bold"), ("tune", "bold cyan"), (clean(snapshot.what), ""), (phase, "dim")),
        fit(width, (snapshot.search, ""), (rounds, ""), (str(snapshot.progress), "")),
        fit(width, *counts, (duration(snapshot.seconds), "")),
    ]
    lines += [fit(width, (clean(warning), "yellow")) for warning in snapshot.warnings[-2:]]
    lines += [fit(width, (f"now {clean(name)}", "dim")) for name in snapshot.now[:NOW_AT_MOST]]
    if snapshot.best:
        lines.append(fit(width, (f"{'trial':>6}  {snapshot.objective:>10}  settings", "dim")))
        lines += [fit(width, (_row(row), "bold" if row is snapshot.best[0] else "")) for row in snapshot.best]
    for line in lines:
        line.truncate(width)
    return stack(lines[: max(size[1] - 1, 1)])


def _row(row: TrialRow) -> str:
    state = "" if row.state == "complete" else f" ({row.state})"
    return f"{row.number:>6}  {number(row.value):>10}  {clean(row.point)}{state}"


def plain_line(snapshot: TuneSnapshot) -> str:
    """Format one line for a log."""
    words = [f"{snapshot.id}: round {snapshot.round:,} of {snapshot.rounds:,}", str(snapshot.progress)]
    words += [f"{snapshot.failed:,} failed"] if snapshot.failed else []
    words.append(duration(snapshot.seconds))
    words += [snapshot.phase] if snapshot.phase in ("judging", "done") else []
    best = f"; best {number(snapshot.best[0].value)}: {snapshot.best[0].point}" if snapshot.best else ""
    return ", ".join(words) + best
