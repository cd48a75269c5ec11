"""Training run in the terminal: progress, speed, learning curve, evaluation, and the map with values and actions."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.text import Text

from simulator.core.protocols import Array
from simulator.core.snapshots import ENDED, RunSnapshot
from simulator.views.grid import grid_map
from simulator.views.live import LiveView
from simulator.views.plots import curve_plot
from simulator.views.room_graph import room_table
from simulator.views.style import Part, TerminalStyle, clean, count, duration, fit, number, stack

PLOT_HEIGHT = 12  # lines
MIN_MAP_HEIGHT = 4  # lines


def terminal_view(console: Console | None = None) -> LiveView[RunSnapshot]:
    """Make the live view of a training run."""
    return LiveView(page_of, plain_line, console)


def page_of(snapshot: RunSnapshot, before: RunSnapshot | None, size: tuple[int, int], look: TerminalStyle) -> Text:
    """Draw the page for a terminal of ``size`` (columns, lines)."""
    width = max(size[0] - 1, 1)
    height = size[1]
    page = [*header(snapshot, before, width, look)]
    plot = curve_plot(snapshot.curve, width, min(PLOT_HEIGHT, max(height - 12, 6)), snapshot.optimum, look)
    page += plot.split("\n")
    left = height - len(page) - 2
    if snapshot.picture is not None and left >= MIN_MAP_HEIGHT:
        scene = snapshot.picture.scene
        if scene.walls is not None:
            page += grid_map(snapshot.picture, width, left, look).split("\n")
        elif scene.rooms is not None:
            page += room_table(snapshot.picture, width, look)[:left]
    return stack([Text() if not line.plain else line for line in page])


def header(snapshot: RunSnapshot, before: RunSnapshot | None, width: int, look: TerminalStyle) -> list[Text]:
    """Return lines with the agent, the progress, the speed, and the last evaluation."""
    seeds = f"{len(snapshot.seeds)} seed{'s' if len(snapshot.seeds) > 1 else ''}"
    players = f"{clean(snapshot.agent)} in {clean(snapshot.env)}"
    lines = [
        fit(width, (clean(snapshot.id), "bold"), (players, "bold cyan"), (seeds, ""), (snapshot.phase, "dim")),
        _progress(snapshot, width, look),
        fit(width, *_speed(snapshot, before)),
    ]
    if snapshot.evaluations:
        lines.append(fit(width, *_evaluation(snapshot, look)))
    medians = [(f"{clean(name)} {number(_finite_median(values))}", "") for name, values in snapshot.metrics.items()]
    if medians:
        lines.append(fit(width, ("median over seeds", "dim"), *medians))
    if snapshot.failed:
        lines.append(fit(width, (_failures(snapshot), "red")))
    if not snapshot.exact:
        lines.append(fit(width, ("the environment could not be continued exactly: new episodes began", "yellow")))
    return lines


def _finite_median(values: Array) -> float:
    """Median over the seeds [S] whose value is finite; nan where none is."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else float("nan")


def _progress(snapshot: RunSnapshot, width: int, look: TerminalStyle) -> Text:
    fraction = min(snapshot.step / max(snapshot.steps, 1), 1.0)
    left = (snapshot.seconds / fraction - snapshot.seconds) if fraction > 0 else float("nan")
    words = f" {fraction:4.0%}  {count(snapshot.step)} of {count(snapshot.steps)} steps"
    if snapshot.phase not in ENDED:
        words += f", {duration(left)} left"
    length = max(min(width - len(words), 40), 0)
    full = round(length * fraction)
    signs = ("#", ".") if look.ascii else ("━", "─")
    bar = Text.assemble((signs[0] * full, "green"), (signs[1] * (length - full), "dim"), (words, ""))
    bar.truncate(width)
    return bar


def _speed(snapshot: RunSnapshot, before: RunSnapshot | None) -> list[Part]:
    n_seeds = len(snapshot.seeds)
    parts = [(f"{duration(snapshot.seconds)}", "")]
    if snapshot.training_seconds > 0:
        parts.append((f"{count(n_seeds * snapshot.step / snapshot.training_seconds)} steps/s mean", ""))
    if before is not None and snapshot.training_seconds > before.training_seconds:
        now = n_seeds * (snapshot.step - before.step) / (snapshot.training_seconds - before.training_seconds)
        parts.append((f"{count(now)} now", ""))
    parts.append(("all seeds together", "dim"))
    if snapshot.compile_seconds:
        parts.append((f"compiled once in {duration(snapshot.compile_seconds)}", "dim"))
    return parts


def _evaluation(snapshot: RunSnapshot, look: TerminalStyle) -> list[Part]:
    from simulator.core.episodes import cut_seeds, scores
    from simulator.statistics.estimates import confidence_interval, iqm

    last = snapshot.evaluations[-1]
    broken = np.isin(snapshot.seeds, [failure.seed for failure in snapshot.failed])
    n_cut = int(cut_seeds(last.returns, broken).sum())
    score = scores(last)[~broken]
    score = score[np.isfinite(score)]
    cut = [(f"{n_cut} seed{'s' * (n_cut > 1)} cut", "yellow")] if n_cut else []
    if not len(score):
        return cut
    low, high = confidence_interval(score) if len(score) > 1 else (float("nan"), float("nan"))
    kind = "exact greedy return" if last.exact is not None else "greedy return"
    parts = [(kind, "dim"), (f"IQM {number(iqm(score))}", "bold")]
    if np.isfinite(low):
        parts.append((f"[{number(low)}, {number(high)}]", ""))
    if snapshot.optimum is not None:
        parts.append((f"best possible {number(snapshot.optimum)}", "green"))
    return [*parts, *cut, (f"after {count(last.step)}", "dim")]


def _failures(snapshot: RunSnapshot) -> str:
    first = snapshot.failed[0]
    n_more = len(snapshot.failed) - 1
    suffix = f", and {n_more} more" if n_more else ""
    return f"seed {first.seed} failed at step {first.step:,}: {first.reason}{suffix}"


def plain_line(snapshot: RunSnapshot) -> str:
    """Format one line for a log."""
    words = [f"{snapshot.id}: {snapshot.step:,} of {snapshot.steps:,} steps", duration(snapshot.seconds)]
    if snapshot.training_seconds > 0:
        words.append(f"{count(len(snapshot.seeds) * snapshot.step / snapshot.training_seconds)} steps/s, all seeds")
    if snapshot.evaluations:
        words += [text for text, _ in _evaluation(snapshot, TerminalStyle())[:3]]
    if snapshot.failed:
        words.append(_failures(snapshot))
    if snapshot.compile_seconds:
        words.append(f"compiled in {duration(snapshot.compile_seconds)}")
    return ", ".join(words)
