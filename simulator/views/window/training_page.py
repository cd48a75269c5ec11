"""Page of a training run: its environment at the left, curves, the inside of its agent and its settings at the right.

The run is one that this process drives, or one of a lab whose policy plays in another process; the page knows only
what both offer.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from simulator.core.protocols import AgentView, Array
from simulator.core.scene import BarPanel, CurvePanel, Panel, TextPanel
from simulator.core.snapshots import ENDED, RunSnapshot, Shown
from simulator.core.wording import plural
from simulator.views.drawing.canvas import SIZE, SMALL, TITLE, Canvas, pygame_module
from simulator.views.drawing.colours import BLUE, FAINT, INK, ORANGE, RULE
from simulator.views.drawing.environment import draw_environment
from simulator.views.drawing.panels import draw_panel
from simulator.views.style import number
from simulator.views.window.change_tab import ChangeableSource, ChangeTab
from simulator.views.window.widgets import (
    HEIGHT,
    Button,
    Focus,
    Tabs,
    columns_of,
    is_click,
    is_key,
    is_with_modifier,
    row_of,
    rows_of,
)

TABS = ("Curves", "Inside", "Settings")
CURVES, INSIDE, SETTINGS, CHANGE = range(4)
KEYS = (
    ("space", "pause, go on"),
    ("n, right", "one step"),
    ("b, left", "one step back, in episodes that are played"),
    ("+, -", "faster, slower"),
    ("f", "full speed, and back"),
    ("., ,", "draw more rarely, more often"),
    ("up, down", "the seed before, the next one"),
    ("w", "one seed, or all of them as a wall"),
    ("1, 2, 3", "curves, inside of the agent, settings"),
    ("page up, down", "scroll what is inside"),
    ("x", "cut the memory that an agent carries; while it trains in the tab of changes"),
    ("r", "from the first episode again, with what is learned by now"),
    ("Shift k", "copy the command that begins a run from what this one has learned"),
)
CHANGE_KEYS = (("4", "change the run: cells, settings, memory"),)
LOADING = "loading ..."
NARROW = 760  # units of width below which curves stand under the environment
LEAST_PANEL = 170  # units of height of a panel
TWO_COLUMNS = 480  # units of width from which words stand in two columns
MAX_FACTS = 40  # lines that a panel of facts has room for
MAX_POINTS = 500  # of a curve


class Speed(Protocol):
    """Speed of what is shown."""

    @property
    def words(self) -> str:
        """The speed in words."""

    @property
    def is_paused(self) -> bool:
        """True while nothing goes on."""

    def pause(self, paused: bool | None = None) -> None:
        """Pause or go on."""

    def step(self) -> None:
        """Go one step on and pause."""

    def change(self, *, faster: bool) -> None:
        """Go faster or slower."""

    def full(self) -> None:
        """Go as fast as it can, or back."""

    def change_every(self, *, more: bool) -> None:
        """Draw more rarely or more often."""


class Source(Protocol):
    """A run that is shown: one of a lab, or one that this process drives.

    Attributes:
        is_live: this process trains it.
        snapshot: its numbers.
        settings: its settings by name.
        wall: all seeds are looked at.
        inside: what is inside the agent is looked at.
    """

    is_live: bool
    snapshot: RunSnapshot
    settings: Mapping[str, str]
    wall: bool
    inside: bool

    @property
    def shown(self) -> Shown | None:
        """Picture of the moment; None where nothing is there yet."""

    @property
    def status(self) -> str:
        """Line that says what is shown, as of when."""

    @property
    def speed(self) -> Speed:
        """Speed of what is shown."""

    @property
    def index(self) -> int:
        """Number of the seed that is watched."""

    @property
    def is_loading(self) -> bool:
        """True until something is seen of what was asked for last."""

    @property
    def next_poll(self) -> float:
        """Seconds until ``poll`` has something to do."""

    def poll(self) -> bool:
        """Look for something new; True: something changed."""

    def step_back(self) -> None:
        """Look at the moment before, where it is kept."""

    def watch(self, index: int) -> None:
        """Watch another seed."""

    def begin_again(self) -> None:
        """Play from the first episode on."""

    def command(self) -> str:
        """Return the command that shows this again."""

    def close(self) -> None:
        """Let go of what it holds."""


@runtime_checkable
class PlayedPolicy(Protocol):
    """A source whose policy plays, and may carry a state from step to step that can be cut."""

    has_memory: bool

    def cut_memory(self) -> None:
        """Set what the policy carries to zero before the next step."""


class TrainingPage:
    """The page; see :class:`simulator.views.window.app.Page`.

    Args:
        source: the run.
        recipe: the command line that makes a run of this id again, or one that begins with what it has learned.
    """

    def __init__(self, source: Source, recipe: Callable[[str, bool], str] | None = None) -> None:
        self.source = source
        self._recipe = recipe
        self.title = f"Engram: {source.snapshot.id}, {source.snapshot.agent} in {source.snapshot.env}"
        self.keys: Sequence[tuple[str, str]] = KEYS
        self._change = ChangeTab(source) if isinstance(source, ChangeableSource) else None
        self.tabs = Tabs((*TABS, "Change") if self._change is not None else TABS, lambda tab: self._scroll_to(0))
        self._first_panel = 0
        self._curves: tuple[RunSnapshot | None, list[CurvePanel]] = (None, [])
        speed = source.speed
        self._buttons = [
            Button(lambda: "Go on" if source.speed.is_paused else "Pause", speed.pause, "space"),
            Button("Step", speed.step, "n"),
            *([] if source.is_live else [Button("Back", source.step_back, "b")]),
            Button("Slower", lambda: speed.change(faster=False), "-"),
            Button("Faster", lambda: speed.change(faster=True), "+"),
            Button(lambda: "One seed" if source.wall else "All seeds", self._toggle_wall, "w"),
        ]
        self._cut = Button("Cut the memory", self._cut_memory, "x")
        self.focus = Focus([self.tabs, *self._buttons])
        if self._change is not None:
            self.keys = (*KEYS, *CHANGE_KEYS)
        self._places: list[Any] = []  # of the seeds on the wall
        self._last: Shown | None = None  # what was seen, until something new is

    @property
    def next_poll(self) -> float:
        """Seconds until there may be something new."""
        return self.source.next_poll

    def poll(self) -> bool:
        """Look for something new."""
        return self.source.poll()

    def command(self) -> str:
        """Return the command that shows this again."""
        return self.source.command()

    def recipe(self, onward: bool) -> str:
        """Return the command that makes the run again, or one that begins with what it has learned."""
        return self._recipe(self.source.snapshot.id, onward) if self._recipe is not None else self.command()

    def close(self) -> None:
        """Let go of the run."""
        self.source.close()

    def go_on_from(self, page: TrainingPage) -> None:
        """Stay at the tab, the place in it, the wall and the picture of another page of the same run."""
        self.tabs.chosen = min(page.tabs.chosen, len(self.tabs.names) - 1)
        self._first_panel = page._first_panel
        self.source.wall = page.source.wall
        self._last = page._last

    def draw(self, canvas: Canvas, rect: Any) -> None:
        """Draw header, environment, tab and buttons."""
        rect = self._draw_head(canvas, rect)
        gap = canvas.px(18)
        body = rect.copy()
        body.height -= canvas.px(HEIGHT + 12)
        if rect.width >= canvas.px(NARROW):
            left, right = columns_of(body, int(body.width * 0.56) - gap, gap)
        else:
            left, right = rows_of(body, int(body.height * 0.5) - gap, gap)
        self.source.inside = self.tabs.chosen == INSIDE
        shown = self._last = self.source.shown or self._last
        changes = self._change if self.tabs.chosen == CHANGE else None
        self.focus.widgets = [self.tabs, *(changes.widgets if changes is not None else []), *self._shown_buttons()]
        if shown is not None:
            environment = self._draw_seeds(canvas, left, shown)
            if changes is not None and environment is not None:
                changes.place_map(canvas, environment, shown)
        else:
            canvas.text(left.center, LOADING, SIZE, FAINT, align="centre")
        self.tabs.rect = pygame_module().Rect(right.left, right.top, right.width, canvas.px(HEIGHT))
        panel = right.copy()
        panel.top += canvas.px(HEIGHT + 10)
        panel.height = max(right.bottom - panel.top, 1)
        self._draw_tab(canvas, panel, shown)
        foot = pygame_module().Rect(rect.left, rect.bottom - canvas.px(HEIGHT), rect.width, canvas.px(HEIGHT))
        left_over = row_of(canvas, foot, self._shown_buttons())
        y = left_over.centery - canvas.line_height(SIZE) / 2
        words = f"{self.source.speed.words}    F1 keys"
        canvas.text((left_over.right, y), words, SIZE, FAINT, align="right", width=left_over.width)
        self.focus.draw(canvas)

    def handle(self, event: Any) -> bool:
        """Take an event."""
        if is_with_modifier(event):
            return False
        if self.source.wall and event.type == pygame_module().MOUSEBUTTONDOWN:
            for i, place in enumerate(self._places):
                if is_click(event, place):
                    self.source.wall = False
                    self.source.watch(i)
                    return True
        if self._change is not None and self.tabs.chosen == CHANGE:
            used = self.focus.handle(event) or self._change.handle(event) or self._press(event)
            self._change.settle(event)
            return used
        has_focus = self.focus.index >= 0 and is_key(event, "left", "right", "return", "up", "down")
        return (
            (self.focus.handle(event) or self._press(event))
            if has_focus
            else (self._press(event) or self.focus.handle(event))
        )

    def _press(self, event: Any) -> bool:
        source = self.source
        speed = source.speed
        n_seeds = len(source.snapshot.seeds)
        actions = {
            ("space",): speed.pause,
            ("n", "right"): speed.step,
            ("b", "left"): source.step_back,
            ("+", "=", "[+]"): lambda: speed.change(faster=True),
            ("-", "[-]"): lambda: speed.change(faster=False),
            ("f",): speed.full,
            (".",): lambda: speed.change_every(more=True),
            (",",): lambda: speed.change_every(more=False),
            ("up",): lambda: source.watch((source.index - 1) % n_seeds),
            ("down",): lambda: source.watch((source.index + 1) % n_seeds),
            ("w",): self._toggle_wall,
            ("r",): source.begin_again,
            ("x",): self._cut_memory,
            ("page down",): lambda: self._scroll(1),
            ("page up",): lambda: self._scroll(-1),
        }
        for names, act in actions.items():
            if is_key(event, *names):
                act()
                return True
        return False

    def _shown_buttons(self) -> list[Button]:
        """Return the buttons at the foot; a run that is driven here is cut in its tab of changes."""
        source = self.source
        return [*self._buttons, *([self._cut] if isinstance(source, PlayedPolicy) and source.has_memory else [])]

    def _cut_memory(self) -> None:
        if isinstance(self.source, PlayedPolicy):
            self.source.cut_memory()

    def _scroll(self, step: int) -> None:
        self._scroll_to(self._first_panel + step)

    def _scroll_to(self, first: int) -> None:
        self._first_panel = max(first, 0)

    def _toggle_wall(self) -> None:
        self.source.wall = not self.source.wall

    def _draw_head(self, canvas: Canvas, rect: Any) -> Any:
        """Draw the run, its status and its progress; return what is left."""
        snapshot = self.source.snapshot
        n_seeds = len(snapshot.seeds)
        words = f"{snapshot.id}  {snapshot.agent} in {snapshot.env}, {plural(n_seeds, 'seed')}"
        wide = canvas.text(rect.topleft, words, TITLE, face="bold", width=rect.width)
        room = rect.width - wide - canvas.px(16)
        y = rect.top + canvas.px(1)
        canvas.text((rect.left + wide + canvas.px(16), y), self.source.status, SIZE, FAINT, width=room)
        bar = pygame_module().Rect(rect.left, rect.top + canvas.px(24), rect.width, canvas.px(4))
        canvas.fill(bar, RULE)
        done = bar.copy()
        done.width = round(bar.width * min(snapshot.step / max(snapshot.steps, 1), 1.0))
        canvas.fill(done, ORANGE if snapshot.phase == "failed" else BLUE)
        left = rect.copy()
        left.top = bar.bottom + canvas.px(12)
        left.height = rect.bottom - left.top
        return left

    def _draw_seeds(self, canvas: Canvas, rect: Any, shown: Shown) -> Any:
        """Draw one seed, and return the rectangle of its environment; or all of them, and return None."""
        if self.source.wall and shown.wall:
            self._draw_wall(canvas, rect, shown)
            return None
        words = "    ".join(f"{name} {text}" for name, text in shown.facts.items())
        words = f"seed {shown.shown.seed}    {words}"
        if self.source.is_loading:
            words = f"seed {self.source.snapshot.seeds[self.source.index]}    {LOADING}"
        canvas.text(rect.topleft, words, SIZE, INK, width=rect.width)
        above = canvas.line_height() + canvas.px(8)
        body = pygame_module().Rect(rect.left, rect.top + above, rect.width, rect.height - above)
        view = without_facts(shown.shown.view, shown.facts)
        tip = draw_environment(canvas, body, view, shown.path, shown.flash, canvas.pointer)
        canvas.tip = tip or canvas.tip
        return body

    def _draw_wall(self, canvas: Canvas, rect: Any, shown: Shown) -> None:
        """Draw all seeds side by side; a click watches one of them alone."""
        n = len(shown.wall)
        columns = max(1, round((n * rect.width / max(rect.height, 1)) ** 0.5))
        self._places = []
        rows = -(-n // columns)
        wide, high = rect.width // columns, rect.height // rows
        for i, seed in enumerate(shown.wall):
            place = pygame_module().Rect(
                rect.left + (i % columns) * wide,
                rect.top + (i // columns) * high,
                wide - canvas.px(8),
                high - canvas.px(8),
            )
            self._places.append(place.copy())
            high_line = canvas.line_height(SMALL)
            chosen = seed.seed == shown.shown.seed
            face = "bold" if chosen else "sans"
            canvas.text(place.topleft, f"seed {seed.seed}", SMALL, INK if chosen else FAINT, face=face)
            place.top += high_line + canvas.px(2)
            place.height = max(place.height - high_line - canvas.px(2), 1)
            draw_environment(canvas, place, seed.view, words=False)

    def _draw_tab(self, canvas: Canvas, rect: Any, shown: Shown | None) -> None:
        if self.tabs.chosen == CURVES:
            self._draw_panels(canvas, rect, self._curve_panels())
            return
        panels: Sequence[Panel]
        if self.tabs.chosen == INSIDE:
            panels = shown.panels if shown is not None else ()
            if not panels:
                words = LOADING if self.source.is_loading else "this agent shows nothing of its inside"
                canvas.text(rect.topleft, words, SIZE, FAINT, width=rect.width)
        elif self.tabs.chosen == SETTINGS or self._change is None:
            panels = settings_panels(self.source.settings)
        else:
            self._change.draw(canvas, rect)
            return
        self._draw_panels(canvas, rect, panels)

    def _draw_panels(self, canvas: Canvas, rect: Any, panels: Sequence[Panel]) -> None:
        """Draw as many panels as fit, one under the other, words in two columns; more of them are scrolled to."""
        self._first_panel = min(self._first_panel, max(len(panels) - 1, 0))
        left = panels[self._first_panel :]
        heights = [_height(canvas, panel) for panel in left]
        is_narrow = rect.width < canvas.px(TWO_COLUMNS)
        n_columns = 1 if is_narrow or not all(isinstance(panel, TextPanel) for panel in panels) else 2
        n_rows = _columns(heights, rect.height, n_columns)
        foot = canvas.px(20) if sum(n_rows) < len(panels) else 0
        n_rows = _columns(heights, rect.height - foot, n_columns) if foot else n_rows
        shown = range(0)
        for column, n in enumerate(n_rows):
            shown = range(shown.stop, shown.stop + n)
            flexible = [i for i in shown if not isinstance(left[i], TextPanel | BarPanel)]
            spare = max(rect.height - foot - sum(heights[i] for i in shown), 0)
            top = rect.top
            for i in shown:
                high = min(heights[i], rect.bottom - foot - top) + (spare // len(flexible) if i in flexible else 0)
                x = rect.left + column * rect.width // n_columns
                place = pygame_module().Rect(x, top, rect.width // n_columns, max(high - canvas.px(14), 1))
                canvas.tip = draw_panel(canvas, place, left[i], canvas.pointer) or canvas.tip
                top += high
        if foot:
            first, last = self._first_panel + 1, self._first_panel + sum(n_rows)
            numbers = f"{first} to {last}" if last > first else f"{first}"
            words = f"{numbers} of {len(panels)}: page up, page down"
            canvas.text((rect.left, rect.bottom - canvas.line_height(SMALL)), words, SMALL, FAINT, width=rect.width)

    def _curve_panels(self) -> list[CurvePanel]:
        snapshot = self.source.snapshot
        if self._curves[0] is not snapshot:
            self._curves = (snapshot, curve_panels(snapshot))
        return self._curves[1]


def without_facts(view: AgentView, said: Mapping[str, str]) -> AgentView:
    """Leave out the facts of a scene that stand elsewhere already."""
    facts = {name: text for name, text in view.scene.facts.items() if said.get(name) != text}
    return view if len(facts) == len(view.scene.facts) else view._replace(scene=replace(view.scene, facts=facts))


def _columns(heights: Sequence[int], room: int, n_columns: int) -> list[int]:
    """Return how many panels stand in each column, one under the other; the first one always stands somewhere."""
    columns = [0] * n_columns
    column = used = 0
    for high in heights:
        if used and used + high > room:
            column += 1
            used = 0
        if column == n_columns:
            break
        columns[column] += 1
        used += high
    return columns


def _height(canvas: Canvas, panel: Panel) -> int:
    """Return the pixels that a panel needs with its title."""
    head = canvas.line_height(TITLE) + canvas.px(24)
    if isinstance(panel, TextPanel):
        return head + min(len(panel.facts), MAX_FACTS) * canvas.px(19)
    if isinstance(panel, BarPanel):
        return head + len(panel.names) * canvas.px(30) + (canvas.px(20) if panel.beside is not None else 0)
    return canvas.px(LEAST_PANEL)


def settings_panels(settings: Mapping[str, str]) -> list[TextPanel]:
    """Make a panel of the run's own settings, and one of each player and of each of its parts."""
    groups: dict[str, dict[str, str]] = {"run": {}}
    for name, value in settings.items():
        group, _, own = name.rpartition(".")
        groups.setdefault(group or "run", {})[own] = "none" if value in ("", "[]") else value
    return [TextPanel(group.replace(".", ": "), facts) for group, facts in groups.items() if facts]


def curve_panels(snapshot: RunSnapshot) -> list[CurvePanel]:
    """Make panels of the evaluations and of the training episodes, beside optimum, threshold and random play."""
    levels = {
        name: float(value)
        for name, value in (
            ("optimum", snapshot.optimum),
            ("threshold", snapshot.reward_threshold),
            ("random play", snapshot.random_score),
        )
        if value is not None and np.isfinite(value)
    }
    n_seeds = len(snapshot.seeds)
    name = f"mean of {n_seeds} seeds, band: all of them" if n_seeds > 1 else "one seed"
    panels = []
    if snapshot.evaluations:
        exact = all(evaluation.exact is not None for evaluation in snapshot.evaluations)
        scores = np.stack([_scores(evaluation) for evaluation in snapshot.evaluations], axis=1)
        steps = np.array([evaluation.step for evaluation in snapshot.evaluations], np.float64)
        kind = "exact expected return" if exact else "return"
        panels.append(_panel(f"evaluation: {kind}", name, steps, scores, levels))
        if (errors := _value_errors(snapshot)) is not None:
            panels.append(_panel("max |Q - Q*|: distance to the exact values", name, steps, errors, {"exact": 0.0}))
    curve = snapshot.curve
    if len(curve.steps):
        steps, returns = _thinned(np.asarray(curve.steps, np.float64), curve.mean_return)
        panels.append(_panel("training episodes: return", name, steps, returns, levels))
    if not panels:
        empty = np.zeros((1, 0))
        state = "no episode has ended yet" if snapshot.phase not in ENDED else "no episode ended"
        panels.append(CurvePanel(f"return ({state})", np.zeros(0), empty, levels=levels))
    return panels


def _scores(evaluation: Any) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a seed that failed has only NaN
        return np.asarray(evaluation.exact if evaluation.exact is not None else np.nanmean(evaluation.returns, axis=1))


def _value_errors(snapshot: RunSnapshot) -> Array | None:
    """Return the largest errors of the action values [S, P]; None where no evaluation knows them."""
    known = [evaluation.value_error for evaluation in snapshot.evaluations]
    if all(errors is None for errors in known):
        return None
    unknown = np.full(len(snapshot.seeds), np.nan)
    return np.stack([unknown if errors is None else errors for errors in known], axis=1)


def _panel(title: str, name: str, steps: Array, values: Array, levels: Mapping[str, float]) -> CurvePanel:
    """Make a panel of values [S, P]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        mean, low, high = (f(values, axis=0)[None] for f in (np.nanmean, np.nanmin, np.nanmax))
    last = mean[0][np.isfinite(mean[0])]
    if len(last):
        name = f"{name}; {number(float(last[-1]))} now"
    several = len(values) > 1
    return CurvePanel(
        title, steps, mean, (name,), low if several else None, high if several else None, levels, "steps per seed"
    )


def _thinned(steps: Array, values: Array) -> tuple[Array, Array]:
    """Average neighbouring points of values [S, P] until few enough are left to draw."""
    n = -(-len(steps) // MAX_POINTS)
    if n <= 1:
        return steps, values
    whole = len(steps) // n * n
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        mean = np.nanmean(values[:, :whole].reshape(len(values), -1, n), axis=2)
    return steps[n - 1 : whole : n], mean
