"""Training run in the terminal: progress, speed, learning curve, evaluation, and the map with values and actions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.text import Text

from simulator.core.protocols import AgentView, Array, Curve
from simulator.core.scene import Scene
from simulator.core.snapshots import ENDED, RunSnapshot
from simulator.core.wording import plural
from simulator.views.controls import Controls
from simulator.views.grid import draw_grid, wall_array
from simulator.views.live import LiveView
from simulator.views.plots import curve_plot
from simulator.views.room_graph import room_legend, room_table
from simulator.views.style import Part, TerminalStyle, beside, clean, count, duration, fit, flow, number, stack

MAX_PLOT_HEIGHT = 14  # lines
MIN_PLOT_HEIGHT = 6
MIN_PLOT_WIDTH = 30  # columns that a plot beside the map needs
REDRAW_SECONDS = 0.04  # a slow run gives up to twenty snapshots a second, and each is to be seen
NEARLY = 0.01  # random play within this fraction of the best return teaches nothing by its return


def terminal_view(
    console: Console | None = None, controls: Callable[[], Controls] | None = None
) -> LiveView[RunSnapshot]:
    """Make the live view of a training run; ``controls`` tells the speed and the keys."""
    errors: dict[int, float] = {}  # step -> max |Q - Q*| of the first seed

    def page(snapshot: RunSnapshot, before: RunSnapshot | None, size: tuple[int, int], look: TerminalStyle) -> Text:
        if snapshot.picture is not None and snapshot.picture.q_error is not None:
            errors[snapshot.step] = snapshot.picture.q_error
        return page_of(snapshot, before, size, look, controls() if controls is not None else Controls(), errors)

    def line(snapshot: RunSnapshot) -> str:
        return plain_line(snapshot, controls() if controls is not None else None)

    return LiveView(page, line, console, redraw_seconds=REDRAW_SECONDS)


def page_of(
    snapshot: RunSnapshot,
    before: RunSnapshot | None,
    size: tuple[int, int],
    look: TerminalStyle,
    controls: Controls | None = None,
    errors: Mapping[int, float] | None = None,
) -> Text:
    """Draw the page for a terminal of ``size`` (columns, lines).

    The map is drawn whole where the terminal has room for it: lines above it are left out first. The learning curve
    stands beside the map where there is space, else below it. Where random play scores as well as the optimum the curve
    is not of the return, which says nothing there, but of ``errors``, max |Q - Q*| by environment step.
    """
    controls = controls or Controls()
    width = max(size[0] - 1, 1)
    height = max(size[1] - 1, 1)
    foot = [fit(width, *controls.parts())] if controls.parts() and snapshot.phase not in ENDED else []
    scene = snapshot.picture.scene if snapshot.picture is not None else Scene("")
    head = header(snapshot, before, width, look, controls)
    left = height - len(foot)
    shown = _chosen(head, left - _lines_needed(scene, width, look))
    curve = _curve_of(snapshot, errors or {})
    body = _body(snapshot, curve, width, left - len(shown), look)
    page = [*shown, *body][: height - len(foot)] + foot
    return stack([Text() if not line.plain else line for line in page])


class HeadLine(NamedTuple):
    """A line above the map."""

    rank: int  # those with the highest are left out first; 0: never
    text: Text


def _chosen(head: list[HeadLine], room: int) -> list[Text]:
    """Return the lines that fit, in their order; the most important ones whatever the room is."""
    order = sorted(range(len(head)), key=lambda place: head[place].rank)
    kept = [place for n, place in enumerate(order) if n < room or head[place].rank == 0]
    return [head[place].text for place in sorted(kept)]


def _lines_needed(scene: Scene, width: int, look: TerminalStyle) -> int:
    """Return the lines below the head that show all of the map, or the curve where there is none."""
    walls = wall_array(scene)
    if walls.size:
        n_rows, n_columns = walls.shape
        legend_below = 0 if _cell_beside(n_columns, width, look) else 2
        return 1 + int(n_rows) + legend_below
    return len(scene.rooms) + 3 if scene.rooms is not None else MIN_PLOT_HEIGHT


class PlottedCurve(NamedTuple):
    """The curve that shows whether an agent learns."""

    curve: Curve
    best: float | None
    name: str
    best_name: str


def _curve_of(snapshot: RunSnapshot, errors: Mapping[int, float]) -> PlottedCurve:
    best = snapshot.optimum if snapshot.optimum is not None else snapshot.reward_threshold
    known = snapshot.random_score is not None and best is not None
    if len(errors) < 2 or not known or _return_rises(snapshot):
        return PlottedCurve(snapshot.curve, snapshot.optimum, "return", "optimum")
    steps = sorted(errors)
    values = np.array([[errors[step] for step in steps]])
    name = f"max |Q - Q*|, seed {snapshot.seeds[0]}"
    return PlottedCurve(Curve(np.array(steps), values, np.ones(values.shape, np.int64)), 0.0, name, "exact")


def _return_rises(snapshot: RunSnapshot) -> bool:
    """Tell whether the best return is above random play's, as far as both are known."""
    best = snapshot.optimum if snapshot.optimum is not None else snapshot.reward_threshold
    start = snapshot.random_score
    if start is None or best is None or not (np.isfinite(start) and np.isfinite(best)):
        return False
    return bool(best - start > NEARLY * max(abs(best), abs(start)))


def _body(snapshot: RunSnapshot, plotted: PlottedCurve, width: int, height: int, look: TerminalStyle) -> list[Text]:
    """Draw the map and the learning curve within ``height`` lines."""
    picture = snapshot.picture
    if picture is None or height < 2:
        return _plot(plotted, width, height, look)
    walls = wall_array(picture.scene)
    if not walls.size and picture.scene.rooms is None:
        return _plot(plotted, width, height, look)
    if not walls.size:
        top = [*room_table(picture, width, look), *flow(width, room_legend(picture, look))][:height]
        return [*top, *_plot(plotted, width, height - len(top), look)]
    cell = _cell_beside(walls.shape[1], width, look)
    if not cell:
        return _stacked(plotted, picture, width, height, look)
    drawn = draw_grid(picture, width, height, look, cell)
    left_width = max(walls.shape[1] * cell, *(line.cell_len for line in drawn.lines))
    right_width = width - left_width - 2
    words = flow(right_width, [*drawn.legend, *drawn.notes])
    plot = _plot(plotted, right_width, height - len(words) - 1, look)
    return beside(drawn.lines, [*words, Text(), *plot], left_width)


def _stacked(plotted: PlottedCurve, picture: AgentView, width: int, height: int, look: TerminalStyle) -> list[Text]:
    """Draw the map over its legend over the curve; the legend is cut first, then the map."""
    n_rows = wall_array(picture.scene).shape[0]
    drawn = draw_grid(picture, width, height, look)
    n_words = len(flow(width, [*drawn.legend, *drawn.notes]))
    if 1 + n_rows > height - 1:
        drawn = draw_grid(picture, width, max(height - min(n_words, 2), 2), look)
    words = flow(width, [*drawn.notes, *drawn.legend] if len(drawn.lines) <= n_rows else [*drawn.legend, *drawn.notes])
    page = [*drawn.lines, *words][:height]
    return [*page, *_plot(plotted, width, height - len(page), look)]


def _cell_beside(n_columns: int, width: int, look: TerminalStyle) -> int:
    """Return how many characters wide a cell can be with the curve beside the map; 0: there is no space."""
    return next((cell for cell in ((3, 2) if look.colour else (4, 3, 2)) if _leaves_room(n_columns * cell, width)), 0)


def _leaves_room(map_width: int, width: int) -> bool:
    return width - map_width - 2 >= MIN_PLOT_WIDTH


def _plot(plotted: PlottedCurve, width: int, height: int, look: TerminalStyle) -> list[Text]:
    if height < 1:
        return []
    height = min(MAX_PLOT_HEIGHT, height)
    plot = curve_plot(plotted.curve, width, height, plotted.best, look, plotted.name, plotted.best_name)
    return list(plot.split("\n"))[:height]


def header(
    snapshot: RunSnapshot,
    before: RunSnapshot | None,
    width: int,
    look: TerminalStyle,
    controls: Controls | None = None,
) -> list[HeadLine]:
    """Return lines with the agent, the progress, the speed, the last evaluation and episode, and what to look at."""
    seeds = plural(len(snapshot.seeds), "seed")
    players = f"{clean(snapshot.agent)} in {clean(snapshot.env)}"
    lines = [
        HeadLine(
            0,
            fit(width, (clean(snapshot.id), "bold"), (players, "bold cyan"), (seeds, ""), (snapshot.phase, "dim")),
        ),
        HeadLine(0, _progress(snapshot, width, look, controls or Controls())),
        HeadLine(4, fit(width, *_speed(snapshot, before, controls or Controls()))),
    ]
    if snapshot.evaluations:
        lines.append(HeadLine(2, fit(width, *_evaluation(snapshot, look))))
    if snapshot.last_return is not None:
        lines.append(HeadLine(3, fit(width, *_last_episode(snapshot))))
    if looks := _what_to_look_at(snapshot):
        lines.append(HeadLine(1, fit(width, *looks)))
    medians = [(f"{clean(name)} {number(_finite_median(values))}", "") for name, values in snapshot.metrics.items()]
    if medians:
        lines.append(HeadLine(5, fit(width, ("median over seeds", "dim"), *medians)))
    if snapshot.failed:
        lines.append(HeadLine(0, fit(width, (_failures(snapshot), "red"))))
    if not snapshot.exact:
        inexact = ("the environment could not be continued exactly: new episodes began", "yellow")
        lines.append(HeadLine(0, fit(width, inexact)))
    return lines


def _last_episode(snapshot: RunSnapshot) -> list[Part]:
    assert snapshot.last_return is not None
    steps = f"{count(snapshot.last_length)} step{'s' * (snapshot.last_length != 1)}"
    return [
        (f"last episode of seed {snapshot.seeds[0]}", "dim"),
        (f"return {number(snapshot.last_return)}", "bold"),
        (f"in {steps}", ""),
    ]


def _what_to_look_at(snapshot: RunSnapshot) -> Sequence[Part]:
    """Return what learning is to be seen by: the return against random play's, and Q against its exact values."""
    error = snapshot.picture.q_error if snapshot.picture is not None else None
    known = error is not None and np.isfinite(error)
    best = snapshot.optimum if snapshot.optimum is not None else snapshot.reward_threshold
    start = snapshot.random_score
    if start is None or best is None or not (np.isfinite(start) and np.isfinite(best)):
        return [(f"max |Q - Q*| = {number(error)}, of seed {snapshot.seeds[0]}", "bold")] if known and error else []
    if _return_rises(snapshot):
        goal = "best possible" if snapshot.optimum is not None else "solved"
        rise = [("watch the return rise", ""), (f"random play {number(start)}, {goal} {number(best)}", "dim")]
        return [*rise, (f"max |Q - Q*| = {number(error)}", "dim")] if known and error is not None else rise
    if known and error is not None:
        words = "random play arrives too: watch Q approach its exact values"
        return [(words, ""), (f"max |Q - Q*| = {number(error)}", "bold")]
    return [(f"random play scores {number(start)} already, of {number(best)}", "dim")]


def _finite_median(values: Array) -> float:
    """Median over the seeds [S] whose value is finite; nan where none is."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else float("nan")


def _progress(snapshot: RunSnapshot, width: int, look: TerminalStyle, controls: Controls) -> Text:
    fraction = min(snapshot.step / max(snapshot.steps, 1), 1.0)
    left = (snapshot.seconds / fraction - snapshot.seconds) if fraction > 0 else float("nan")
    if controls.speed is not None:
        left = (snapshot.steps - snapshot.step) / controls.speed
    words = f" {fraction:4.0%}  {count(snapshot.step)} of {count(snapshot.steps)} steps"
    if snapshot.phase not in ENDED and not controls.paused:
        words += f", {duration(left)} left"
    length = max(min(width - len(words), 40), 0)
    full = round(length * fraction)
    signs = ("#", ".") if look.ascii else ("━", "─")
    bar = Text.assemble((signs[0] * full, "green"), (signs[1] * (length - full), "dim"), (words, ""))
    bar.truncate(width)
    return bar


def _slowed(snapshot: RunSnapshot, speed: float) -> list[str]:
    """Describe the time and the rate of a run that is slowed to ``speed`` steps per second and seed."""
    n_seeds = len(snapshot.seeds)
    able = n_seeds * snapshot.step / snapshot.training_seconds if snapshot.training_seconds > 0 else float("inf")
    rate = f"{count(min(n_seeds * speed, able))} steps/s, all seeds"
    return [f"{duration(snapshot.seconds)} of computing", f"slowed to {rate}" if able > n_seeds * speed else rate]


def _speed(snapshot: RunSnapshot, before: RunSnapshot | None, controls: Controls) -> list[Part]:
    if controls.speed is not None:
        return [(words, "") for words in _slowed(snapshot, controls.speed)]
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
    cut = [(f"{plural(n_cut, 'seed')} cut", "yellow")] if n_cut else []
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


def plain_line(snapshot: RunSnapshot, controls: Controls | None = None) -> str:
    """Format one line for a log."""
    words = [f"{snapshot.id}: {snapshot.step:,} of {snapshot.steps:,} steps"]
    if controls is not None and controls.speed is not None:
        words += _slowed(snapshot, controls.speed)
    else:
        words.append(duration(snapshot.seconds))
    if snapshot.training_seconds > 0 and (controls is None or controls.speed is None):
        words.append(f"{count(len(snapshot.seeds) * snapshot.step / snapshot.training_seconds)} steps/s, all seeds")
    if snapshot.evaluations:
        words += [text for text, _ in _evaluation(snapshot, TerminalStyle())[:3]]
    if snapshot.failed:
        words.append(_failures(snapshot))
    if snapshot.compile_seconds:
        words.append(f"compiled in {duration(snapshot.compile_seconds)}")
    return ", ".join(words)
