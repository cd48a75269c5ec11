"""Tuning in the window: trials as they come, with intervals, the best so far, and the judgement beside the default."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from simulator.core.scene import PointPanel
from simulator.core.snapshots import ENDED, TuneSnapshot
from simulator.views.drawing.canvas import SIZE, SMALL, TITLE, Canvas, pygame_module
from simulator.views.drawing.colours import BLUE, CHOSEN, FAINT, INK, ORANGE, RULE
from simulator.views.drawing.panels import draw_axes, draw_panel
from simulator.views.style import duration, number
from simulator.views.window.app import Window
from simulator.views.window.intervals import ValueInterval, axis_of, draw_interval
from simulator.views.window.scenes_page import draw_progress
from simulator.views.window.stored_reader import StoredReader
from simulator.views.window.widgets import HEIGHT, Focus, Tabs, columns_of, is_key, is_with_modifier

ROW = 24  # units of a line of a trial
JUDGED_LINES = 5  # of the judgement, below the trials
STATES = ("complete", "pruned", "failed", "running", "interrupted", "waiting")


class TuneStanding(NamedTuple):
    """Stored part of a tuning, as it is now."""

    summary: Mapping[str, Any]  # the JSON object of ``engram tune``
    intervals: Mapping[int, ValueInterval]  # trial -> its newest value over its seeds


class TunePage:
    """Trials of a tuning; see :class:`simulator.views.window.app.Page`.

    Args:
        command: the command line that was typed, or that shows it again.
    """

    next_poll = math.inf
    keys = (
        ("up, down", "go from trial to trial; or click one"),
        ("1, 2 ...", "the settings that are searched"),
    )

    def __init__(self, command: str) -> None:
        self.title = "engram tune"
        self.snapshot: TuneSnapshot | None = None
        self._standing: TuneStanding | None = None
        self._trials: list[Mapping[str, Any]] = []  # the best first
        self._command = command
        self._chosen = -1  # number of the trial that somebody chose; -1: the best one
        self._rows: dict[int, Any] = {}  # trial -> its line
        self._tabs = Tabs(())
        self._focus = Focus([self._tabs])

    def show(self, snapshot: TuneSnapshot | None, standing: TuneStanding | None) -> None:
        """Take what is known by now; None: nothing new."""
        self.snapshot = snapshot or self.snapshot
        if self.snapshot is not None:
            self.title = f"{self.snapshot.id}: {self.snapshot.search} search of {self.snapshot.what}"
        if standing is not None:
            self._standing = standing
            self._trials = sorted(standing.summary["trials"], key=_rank)
            self._tabs.names = tuple(each["name"].partition(".")[2] for each in standing.summary["space"])

    def poll(self) -> bool:
        """Find nothing new: snapshots come from outside."""
        return False

    def command(self) -> str:
        """Return the command line that shows the same again."""
        return self._command

    def close(self) -> None:
        """Hold nothing."""

    def handle(self, event: Any) -> bool:
        """Choose a trial or a setting."""
        if self._focus.handle(event):
            return True
        pygame = pygame_module()
        if event.type == pygame.MOUSEBUTTONDOWN and event.button == 1:
            self._chosen = next((trial for trial, row in self._rows.items() if row.collidepoint(event.pos)), -1)
            return True
        for key, step in {"up": -1, "down": 1}.items():
            if is_key(event, key) and not is_with_modifier(event) and self._trials:
                numbers = [trial["trial"] for trial in self._trials]
                at = numbers.index(self._shown()["trial"]) + step
                self._chosen = numbers[min(max(at, 0), len(numbers) - 1)]
                return True
        return False

    def _interval(self, trial: Mapping[str, Any]) -> ValueInterval:
        """Return the newest value of a trial, with its interval where that is known by now."""
        intervals = self._standing.intervals if self._standing is not None else {}
        return intervals.get(trial["trial"], ValueInterval(trial["values"][-1]))

    def _shown(self) -> Mapping[str, Any]:
        """Return the trial that is chosen, or the best one."""
        return next((trial for trial in self._trials if trial["trial"] == self._chosen), self._trials[0])

    # what is drawn

    def draw(self, canvas: Canvas, rect: Any) -> None:
        """Draw the trials, the objective by trial and by setting, and the judgement."""
        y = self._draw_head(canvas, rect)
        body = rect.copy()
        body.top, body.height = y, max(rect.bottom - y, 0)
        if self._standing is None or not self._trials:
            canvas.text(body.topleft, "no trial has begun yet", SIZE, FAINT)
            return
        left, right = columns_of(body, int(body.width * 0.52), canvas.px(28))
        judged = left.copy()
        judged.height = canvas.px(JUDGED_LINES * ROW)
        judged.bottom = body.bottom
        left.height = max(judged.top - left.top - canvas.px(12), 0)
        self._draw_trials(canvas, left)
        self._draw_judged(canvas, judged, self._standing.summary)
        upper, lower = right.copy(), right.copy()
        upper.height = int(right.height * 0.48)
        lower.top = upper.bottom + canvas.px(14)
        lower.height = right.bottom - lower.top
        self._draw_by_trial(canvas, upper, self._standing)
        self._tabs.rect = pygame_module().Rect(lower.left, lower.top, lower.width, canvas.px(HEIGHT))
        lower.top += canvas.px(HEIGHT + 8)
        lower.height = max(right.bottom - lower.top, 0)
        panel = setting_panel(self._standing.summary, self._trials, self._tabs.chosen, self._shown()["trial"])
        canvas.tip = draw_panel(canvas, lower, panel, canvas.pointer) or canvas.tip
        self._focus.draw(canvas)

    def _draw_head(self, canvas: Canvas, rect: Any) -> int:
        y = rect.top
        canvas.text((rect.left, y), self.title, TITLE, face="bold", width=rect.width)
        y += canvas.line_height(TITLE) + canvas.px(4)
        snapshot = self.snapshot
        if snapshot is None:
            return int(y)
        words = f"{snapshot.phase}, round {snapshot.round:,} of {snapshot.rounds:,}, {snapshot.progress}"
        words += f", {duration(snapshot.seconds)}" + (f"; {snapshot.reused:,} reused" if snapshot.reused else "")
        words += f"; now {', '.join(snapshot.now[:2])}" if snapshot.now and snapshot.phase not in ENDED else ""
        words += "".join(f"; {line}" for line in snapshot.warnings[-1:])
        canvas.text((rect.left, y), words, SIZE, FAINT, width=rect.width)
        y += canvas.line_height(SIZE) + canvas.px(6)
        return draw_progress(canvas, rect, y, snapshot.progress.done / max(snapshot.planned, 1)) + canvas.px(4)

    def _draw_trials(self, canvas: Canvas, rect: Any) -> None:
        """Draw a line for each of the best trials: its number, value and interval, its state and its settings."""
        assert self._standing is not None
        px = canvas.px
        line = canvas.line_height(SMALL)
        objective = self._standing.summary["objective"]
        counts = [(state, sum(trial["state"] == state for trial in self._trials)) for state in STATES]
        words = ", ".join(f"{count:,} {state}" for state, count in counts if count)
        used = canvas.text(rect.topleft, "trials, the best first", TITLE, face="bold") + px(14)
        canvas.text((rect.left + used, rect.top + px(2)), words, SMALL, FAINT, width=max(rect.width - used, 1))
        y = rect.top + canvas.line_height(TITLE) + px(6)
        columns = {"trial": rect.left, objective: rect.left + px(44)}
        left, right = rect.left + px(112), rect.left + px(112) + int(rect.width * 0.3)
        for word, x in columns.items():
            canvas.text((x, y), word, SMALL, FAINT)
        canvas.text((left, y), "with its interval over seeds", SMALL, FAINT, width=right - left)
        canvas.text((right + px(20), y), "settings", SMALL, FAINT)
        y += line + px(4)
        n_shown = max((rect.bottom - y) // px(ROW), 1)
        shown = self._trials[:n_shown]
        axis = axis_of(self._interval(trial) for trial in shown if trial["values"])
        self._rows = {}
        for trial in shown:
            row = pygame_module().Rect(rect.left, y, rect.width, px(ROW))
            self._rows[trial["trial"]] = row
            if trial is self._shown():
                canvas.box(row, CHOSEN, 3)
            middle = row.centery
            text = middle - canvas.line_height(SIZE) / 2
            canvas.text((columns["trial"] + px(4), text), str(trial["trial"]), SIZE, FAINT)
            if trial["values"]:
                interval = self._interval(trial)
                canvas.text((columns[objective], text), number(interval.value), SIZE, INK, face="bold")
                colour = BLUE if trial["state"] == "complete" else FAINT
                draw_interval(canvas, (left, right), middle, interval, axis, colour)
            state = "" if trial["state"] == "complete" else f"{trial['state']}: {trial['reason']}".removesuffix(": ")
            words = "   ".join(filter(None, (state, _point_words(trial["point"]))))
            canvas.text((right + px(20), text), words, SMALL, INK, width=max(rect.right - right - px(20), 1))
            if canvas.pointer is not None and row.collidepoint(canvas.pointer):
                canvas.tip = f"trial {trial['trial']}, {words}"
            y += px(ROW)
        if len(self._trials) > n_shown:
            more = f"{len(self._trials) - n_shown:,} more"
            canvas.text((rect.right, rect.top + px(2)), more, SMALL, FAINT, align="right")

    def _draw_judged(self, canvas: Canvas, rect: Any, summary: Mapping[str, Any]) -> None:
        """Draw the judgement of the best trial beside the settings without a search, on fresh seeds."""
        px = canvas.px
        canvas.line(rect.topleft, rect.topright, RULE)
        y = rect.top + px(6)
        judged = summary["judged"]
        title = "judged on fresh seeds" if not judged else f"judged on {len(judged['seeds'])} fresh seeds"
        canvas.text((rect.left, y), title, TITLE, face="bold")
        y += canvas.line_height(TITLE) + px(6)
        if not judged:
            words = "in the end the best trial and the settings without a search run on seeds that no trial has seen"
            canvas.text((rect.left, y), words, SIZE, FAINT, width=rect.width)
            return
        rows = {f"trial {summary['best']['trial']}": judged["best"], "without a search": judged["default"]}
        intervals = {name: _interval_of(found) for name, found in rows.items()}
        axis = axis_of(intervals.values())
        left, right = rect.left + px(200), rect.left + px(112) + int(rect.width * 0.3) + px(88)
        for name, interval in intervals.items():
            text = y + px(ROW) / 2 - canvas.line_height(SIZE) / 2
            canvas.text((rect.left + px(4), text), name, SIZE, INK)
            canvas.text((rect.left + px(130), text), number(interval.value), SIZE, INK, face="bold")
            colour = ORANGE if name == "without a search" else BLUE
            draw_interval(canvas, (left, right), y + px(ROW) / 2, interval, axis, colour)
            y += px(ROW)
        if judged["difference"]:
            low, high = judged["difference"]["low"], judged["difference"]["high"]
            words = f"difference, paired mean {number(judged['difference']['value'])}"
            words += "" if low is None or high is None else f" [{number(low)}, {number(high)}]"
            canvas.text((rect.left + px(4), y + px(2)), words, SIZE, INK, width=rect.width)

    def _draw_by_trial(self, canvas: Canvas, rect: Any, standing: TuneStanding) -> None:
        """Draw the objective of every trial with its interval, and the best complete one so far."""
        canvas.text(rect.topleft, f"{standing.summary['objective']} by trial", TITLE, face="bold")
        body = rect.copy()
        body.top += canvas.line_height(TITLE) + canvas.px(6)
        body.height = max(rect.bottom - body.top - canvas.px(18), 1)
        trials = sorted((trial for trial in self._trials if trial["values"]), key=lambda trial: trial["trial"])
        low, high = axis_of(self._interval(trial) for trial in trials)
        pad = 0.06 * (high - low)
        n = max((trial["trial"] for trial in self._trials), default=0) + 1
        axes = draw_axes(canvas, body, (-0.5, max(n, 8) - 0.5), (low - pad, high + pad), ("trial", ""))
        best, steps = -math.inf, []
        for trial in trials:
            interval = self._interval(trial)
            x, y = (float(at) for at in axes.points(trial["trial"], interval.value))
            is_complete = trial["state"] == "complete"
            colour = BLUE if is_complete else FAINT
            for end in (interval.low, interval.high):
                if math.isfinite(end):
                    canvas.line((x, y), (x, float(axes.points(trial["trial"], end)[1])), colour, 2)
            canvas.circle((x, y), canvas.px(5), colour, 0 if is_complete else 1.5)
            if trial is self._shown():
                canvas.circle((x, y), canvas.px(8), ORANGE, 2)
            if is_complete and interval.value > best:
                steps += [(x, float(axes.points(0.0, best)[1]))] if math.isfinite(best) else []
                steps.append((x, y))
                best = interval.value
        if steps:
            steps.append((axes.rect.right, steps[-1][1]))
            canvas.lines(np.array(steps), INK, 1)
        y = rect.bottom - canvas.px(16)
        x = axes.rect.left
        for words, colour, width in (("complete", BLUE, 0.0), ("pruned or not over", FAINT, 1.5)):
            canvas.circle((x + canvas.px(5), y + canvas.px(7)), canvas.px(5), colour, width)
            x += canvas.px(14) + canvas.text((x + canvas.px(14), y), words, SMALL, INK) + canvas.px(14)
        canvas.fill((x, y + canvas.px(7), canvas.px(16), max(canvas.px(1), 1)), INK)
        canvas.text((x + canvas.px(22), y), "best so far", SMALL, INK)


def setting_panel(
    summary: Mapping[str, Any], trials: Sequence[Mapping[str, Any]], at: int, marked: int = -1
) -> PointPanel:
    """Make a panel of the objective by one of the settings that are searched; of a list its values by number.

    Args:
        summary: the JSON object of ``engram tune``.
        trials: of it, in any order.
        at: number of the setting.
        marked: number of a trial.
    """
    dimension = summary["space"][min(at, len(summary["space"]) - 1)]
    name = dimension["name"].partition(".")[2]
    shown = [trial for trial in trials if trial["values"]]
    values = [trial["point"][dimension["name"]] for trial in shown]
    if dimension["values"]:
        x = [float(dimension["values"].index(value)) for value in values]
        name += ": " + ", ".join(f"{k} is {value}" for k, value in enumerate(dimension["values"]))
    else:
        x = [math.log10(value) if dimension["log"] else float(value) for value in values]
        name = f"log10 of {name}" if dimension["log"] else name
    points = np.array([x, [trial["values"][-1] for trial in shown]], np.float64).reshape(2, -1).T
    groups = np.array([trial["state"] != "complete" for trial in shown], np.int64)
    chosen = next((k for k, trial in enumerate(shown) if trial["trial"] == marked), -1)
    names = ("complete", "pruned or not over")
    return PointPanel(f"{summary['objective']} by setting", points, groups, names, chosen, name)


def _rank(trial: Mapping[str, Any]) -> tuple[int, int, float, int]:
    """Return the key by which trials are sorted, the best first: those that were evaluated the longest come before."""
    value = trial["values"][-1] if trial["values"] else 0.0
    return -(trial["state"] != "failed"), -len(trial["values"]), -value, trial["trial"]


def _point_words(point: Mapping[str, Any]) -> str:
    shown = {name.partition(".")[2]: value for name, value in point.items()}
    return "  ".join(f"{name} {number(v) if isinstance(v, float) else v}" for name, v in shown.items())


def _interval_of(found: Mapping[str, Any]) -> ValueInterval:
    return ValueInterval(*(math.nan if found[name] is None else found[name] for name in ("value", "low", "high")))


class TuneWindow:
    """View of a tuning that this process runs, in a window; see :class:`simulator.core.snapshots.View`.

    Args:
        read: what is stored of a tuning by its id; None where it cannot be read now.
        command: the command line that was typed.
        scale: pixels of a unit of length: auto or a number.
        clock: seconds.

    Raises:
        ValueError: there is no display.
    """

    def __init__(
        self,
        read: Callable[[str], TuneStanding | None],
        command: str,
        scale: str = "auto",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._reader = StoredReader(read, clock)
        self._page = TunePage(command)
        self._window = Window(self._page, scale=scale)

    @property
    def is_open(self) -> bool:
        """True until somebody closes the window."""
        return self._window.is_open

    def show(self, snapshot: TuneSnapshot) -> None:
        """Draw a snapshot; a closed window stays closed, and the search goes on."""
        if not self._window.is_open:
            return
        state = (snapshot.progress, snapshot.phase, snapshot.round)
        self._page.show(snapshot, self._reader.news(snapshot, state))
        self._window.redraw()
        self._window.step()

    def close(self) -> None:
        """Leave the last snapshot on the screen."""
        self._window.redraw()
        self._window.step()

    def stay(self) -> None:
        """Show the result, which is stored by now with its judgement, until the window is closed, by Ctrl-C too."""
        if self._page.snapshot is not None:
            self._page.show(None, self._read(self._page.snapshot.id))
        self._window.redraw()
        self._window.stay()

    def shut(self) -> None:
        """Close the window."""
        self._window.close()
