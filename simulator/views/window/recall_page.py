"""Recall in the window: a cue that is painted, a state that flips unit by unit, and the exact posterior beside it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from simulator.core.memories import PatternSpec, RecallMoment
from simulator.core.protocols import Array
from simulator.core.scene import BarPanel, CurvePanel, HeatPanel, PicturePanel, PointPanel, TextPanel
from simulator.views.drawing.canvas import SIZE, SMALL, TITLE, Canvas, pygame_module
from simulator.views.drawing.colours import FAINT, FOCUS, INK, ORANGE, RULE
from simulator.views.drawing.panels import draw_panel
from simulator.views.window.widgets import HEIGHT, SLIDER, Button, Focus, Slider, Tabs, is_key, no_rect, row_of

KINDS = {  # of corruption that the slider sets: (lowest, highest) amount
    "flip": (0.0, 0.5),
    "salt": (0.0, 1.0),
    "erase": (0.0, 0.95),
    "hide": (0.0, 0.95),
    "replace": (0.0, 1.0),
    "block": (0.05, 0.95),
    "gauss": (0.05, 3.0),
    "mix": (0.0, 1.0),
}
LOADS = (1, 2, 3, 5, 8, 10, 15, 20, 30, 50, 75, 100, 150, 200)
SPEEDS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)  # steps per second
MAX_FRAME_SECONDS = 0.02  # of steps that are taken between two drawings
LOOK_SECONDS = 1.0  # between looks into the lab
N_SAMPLES = 24
N_FOLLOWED = 4  # that are shown at every stage
N_STAGES = 10  # of the samples as training goes on
HOT, COLD = 5.0, 0.1  # ends of the temperature's slider


class Recalling(Protocol):
    """An interactive recall, as :class:`simulator.recall.stepping.InteractiveRecall` is."""

    spec: PatternSpec
    stored: Array  # [K, N]
    cue: Any
    truth: int
    is_learning: bool
    uses_evidence: bool
    setup: Any

    @property
    def temperature(self) -> float | None: ...  # noqa: D102
    @temperature.setter
    def temperature(self, value: float) -> None: ...
    @property
    def max_patterns(self) -> int | None: ...  # noqa: D102
    def learn(self) -> Iterator[float]: ...  # noqa: D102
    def load(self, n_patterns: int) -> None: ...  # noqa: D102
    def corrupt(self, corruption: str) -> None: ...  # noqa: D102
    def redraw(self) -> None: ...  # noqa: D102
    def choose(self, pattern: int) -> None: ...  # noqa: D102
    def paint(self, unit: int, value: float) -> None: ...  # noqa: D102
    def moments(self) -> Iterator[RecallMoment]: ...  # noqa: D102
    def samples(self, n: int) -> Array | None: ...  # noqa: D102
    def walk(self, first: int, last: int) -> Array | None: ...  # noqa: D102
    def best(self) -> Array: ...  # noqa: D102
    def pictures(self, patterns: Array) -> Array: ...  # noqa: D102
    def stored_panel(self) -> PicturePanel: ...  # noqa: D102
    def overlap_panel(self, moment: RecallMoment) -> BarPanel: ...  # noqa: D102
    def energy_panel(self, moments: list[RecallMoment]) -> CurvePanel: ...  # noqa: D102
    def weights_panel(self) -> HeatPanel | None: ...  # noqa: D102
    def code_panel(self, first: int, last: int) -> PointPanel | None: ...  # noqa: D102
    def facts_panel(self, moment: RecallMoment) -> TextPanel: ...  # noqa: D102


class Stage(NamedTuple):
    """Samples at one moment of training."""

    share: float  # of the training that was over
    samples: Array  # [n, N]


class Choice(NamedTuple):
    """A memory that may be shown."""

    label: str
    make: Callable[[], Recalling]


@dataclass
class Playing:
    """A recall as far as it has gone, and the moment that is shown."""

    moments: list[RecallMoment]
    rest: Iterator[RecallMoment]
    at: int = 0
    is_over: bool = False

    def forward(self) -> bool:
        """Show the next moment; False: there is none."""
        if self.at + 1 == len(self.moments) and not self.is_over:
            step = next(self.rest, None)
            self.is_over = step is None
            self.moments += [] if step is None else [step]
        if self.at + 1 < len(self.moments):
            self.at += 1
            return True
        return False


class Board:
    """A pattern that is looked at or painted: the cue or the state.

    Args:
        painted: called with a unit and its new value; None: it cannot be painted.
    """

    def __init__(self, painted: Callable[[int, float], None] | None = None) -> None:
        self.rect = no_rect()
        self.image: Array = np.zeros((1, 1))
        self.cursor = 0
        self._grid = no_rect()
        self._painted = painted
        self._stroke = 0.0  # value that a pressed button paints

    def place(self, rect: Any, image: Array) -> None:
        """Give it a rectangle and a picture [H, W], which becomes as large as the rectangle allows."""
        self.rect = rect
        self.image = image
        height, width = image.shape
        side = max(min(rect.width / width, rect.height / height), 1.0)
        self._grid = pygame_module().Rect(*rect.topleft, int(side * width), int(side * height))

    def draw(self, canvas: Canvas, focused: bool) -> None:
        """Draw the picture, and the cursor where it has the focus."""
        canvas.matrix(self._grid, self.image, -1.0, 1.0, diverging=True, as_ink=True)
        canvas.frame(self._grid, FOCUS if focused else RULE, 2 if focused else 1)
        if focused and self._painted is not None:
            canvas.frame(self.cell(self.cursor).inflate(2, 2), ORANGE, 2)

    def cell(self, unit: int) -> Any:
        """Return the rectangle of one unit."""
        height, width = self.image.shape
        row, column = divmod(unit, width)
        grid = self._grid
        left, right = (grid.left + at * grid.width // width for at in (column, column + 1))
        top, bottom = (grid.top + at * grid.height // height for at in (row, row + 1))
        return pygame_module().Rect(left, top, right - left, bottom - top)

    def unit_at(self, place: tuple[int, int] | None) -> int:
        """Return the unit at a place, or -1."""
        if place is None or not self._grid.collidepoint(place):
            return -1
        height, width = self.image.shape
        row = min((place[1] - self._grid.top) * height // max(self._grid.height, 1), height - 1)
        column = min((place[0] - self._grid.left) * width // max(self._grid.width, 1), width - 1)
        return int(row * width + column)

    def handle(self, event: Any, focused: bool) -> bool:
        """Paint with the left button (1), the right one (-1) or the middle one (unknown), or with keys."""
        if self._painted is None:
            return False
        pygame = pygame_module()
        if event.type == pygame.MOUSEBUTTONDOWN and event.button in (1, 2, 3) and self.unit_at(event.pos) >= 0:
            self._stroke = {1: 1.0, 2: 0.0, 3: -1.0}[event.button]
            self._paint(self.unit_at(event.pos), self._stroke)
            return True
        if event.type == pygame.MOUSEMOTION and any(event.buttons) and self.unit_at(event.pos) >= 0:
            self._paint(self.unit_at(event.pos), self._stroke)
            return True
        if not focused or event.type != pygame.KEYDOWN:
            return False
        return self._press(event)

    def _press(self, event: Any) -> bool:
        height, width = self.image.shape
        row, column = divmod(self.cursor, width)
        moves = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
        for name, (down, right) in moves.items():
            if is_key(event, name):
                self.cursor = (row + down) % height * width + (column + right) % width
                return True
        if is_key(event, "space", "return"):
            self._paint(self.cursor, -1.0 if self.image.ravel()[self.cursor] > 0 else 1.0)
            return True
        if is_key(event, "delete", "backspace"):
            self._paint(self.cursor, 0.0)
            return True
        return False

    def _paint(self, unit: int, value: float) -> None:
        self.cursor = unit
        if self._painted is not None and self.image.ravel()[unit] != value:
            self._painted(unit, value)


class RecallPage:
    """A memory that recalls one cue.

    Args:
        choices: memories that may be shown.
        challenge: its name.
        command: formats the command line that shows a memory again.
        progress: how far the stored benchmark is to which they belong; asked now and then.
        clock: seconds.
    """

    def __init__(
        self,
        choices: Sequence[Choice],
        challenge: str,
        command: Callable[[Recalling], str],
        *,
        progress: Callable[[], str] = str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.keys = (
            ("space", "play or pause the recall"),
            ("n, b", "one step forward, one back"),
            ("Home, End", "back to the cue, on to the answer"),
            ("mouse on the cue", "left paints 1, right -1, middle unknown; Tab to it: arrows, space, Delete"),
            ("d", "corrupt anew"),
            ("t", "another type of corruption"),
            ("[, ]", "the pattern before, the one after; or click a stored pattern"),
            ("e", "give or withhold the evidence of the corruption"),
            ("m", "the next memory"),
            ("1 to 4", "overlaps, weights, samples, codes"),
        )
        self._choices = list(choices)
        self._challenge = challenge
        self._command = command
        self._progress = progress
        self._progress_words = progress()
        self._next_look = clock() + LOOK_SECONDS
        self._clock = clock
        self._error = ""
        self._runs = True
        self._due = -math.inf
        self._speed = 10.0
        self._tabs = Tabs(("Overlaps", "Weights", "Samples", "Codes"), lambda index: self._look())
        self._cue_board = Board(self._paint)
        self._state_board = Board()
        self._best_board = Board()
        self._memory = 0
        self._stored_places: list[Any] = []
        self._to = 1  # pattern where the walk through the codes ends
        self.recalling = self._choices[0].make()
        self._begin()

    @property
    def title(self) -> str:
        """Title of the window."""
        return f"{self._choices[self._memory].label} recalls {self._challenge}"

    @property
    def next_poll(self) -> float:
        """Seconds until the next step."""
        if self._learning is not None:
            return 0.0
        look = self._next_look - self._clock() if self._progress_words else math.inf
        rests = not self._runs or (self._playing.is_over and self._playing.at + 1 == len(self._playing.moments))
        return max(min(look, math.inf if rests else self._due - self._clock()), 0.0)

    def poll(self) -> bool:
        """Learn a piece, or take the steps that are due."""
        changed = self._look_into_lab()
        try:
            if self._learning is not None:
                return self._learn()
            return self._step() or changed
        except ValueError as error:
            return self._refuse(str(error))

    def command(self) -> str:
        """Return the command line that shows the same again."""
        return self._command(self.recalling)

    def close(self) -> None:
        """Hold nothing."""

    def handle(self, event: Any) -> bool:
        """Take an event."""
        try:
            return self._handle(event)
        except ValueError as error:
            return self._refuse(str(error))

    # what happens

    def _look_into_lab(self) -> bool:
        if not self._progress_words or self._clock() < self._next_look:
            return False
        self._next_look = self._clock() + LOOK_SECONDS
        before = self._progress_words
        self._progress_words = self._progress() or before
        return self._progress_words != before

    def _begin(self) -> None:
        """Make the controls of a memory, and let it learn."""
        recalling = self.recalling
        kind, _, amount = recalling.setup.corruption.partition(":")
        self._kind = kind if kind in KINDS else "flip"
        most = min(recalling.max_patterns or LOADS[-1], LOADS[-1])
        loads = sorted({*(load for load in LOADS if load <= most), recalling.setup.n_patterns})
        self._corruption = self._corruption_slider(KINDS[self._kind], float(amount or 0.0))
        self._load = Slider(
            "patterns", (loads[0], loads[-1]), recalling.setup.n_patterns, self._set_load, stops=loads, words=_whole
        )
        self._pace = Slider(
            "steps per second", (SPEEDS[0], SPEEDS[-1]), self._speed, self._set_speed, stops=SPEEDS, words=_plain
        )
        sliders = [self._corruption, self._load, self._pace]
        temperature = recalling.temperature
        if temperature is not None:
            span = (min(COLD, temperature), max(HOT, temperature))
            self._temperature = Slider("temperature", span, temperature, self._heat, logarithmic=True)
            sliders.append(self._temperature)
        self._sliders = sliders
        self._buttons = [
            Button(lambda: "Pause" if self._runs else "Play", self._toggle, "space"),
            Button("Back", self._back, "b"),
            Button("Step", self._forward, "n"),
            Button("To the cue", self._restart, "Home"),
            Button("Corrupt anew", self._redraw, "d"),
            Button("Other corruption", self._next_kind, "t"),
            Button(lambda: f"Evidence {'on' if self.recalling.uses_evidence else 'off'}", self._toggle_evidence, "e"),
        ]
        if len(self._choices) > 1:
            self._buttons.append(Button("Next memory", self._next_memory, "m"))
        self._focus = Focus([self._cue_board, *self._buttons, *self._sliders, self._tabs])
        self._start_learning()

    def _start_learning(self) -> None:
        self._error = ""
        self._share = 0.0
        self._stages: list[Stage] = []
        self._learning: Iterator[float] | None = self.recalling.learn()
        self._weights: HeatPanel | None = None
        self._samples: Array | None = None
        self._playing = Playing([], iter(()), is_over=True)

    def _learn(self) -> bool:
        """Learn until a frame is due; samples are drawn at some of the pieces."""
        assert self._learning is not None
        until = self._clock() + MAX_FRAME_SECONDS
        while self._learning is not None:
            share = next(self._learning, None)
            if share is None:
                self._learning = None
                self._weights = self.recalling.weights_panel()
                self._look()
                self._restart()
                return True
            self._share = share
            wanted = len(self._stages) / (N_STAGES - 1)
            if share >= min(wanted, 1.0) or share == 1.0:
                self._keep_stage(share)
            if self._clock() >= until:
                break
        return True

    def _keep_stage(self, share: float) -> None:
        samples = self.recalling.samples(N_SAMPLES)
        if samples is not None:
            self._stages = [*self._stages, Stage(share, samples)][-N_STAGES:]
            self._samples = samples

    def _look(self) -> None:
        """Compute what the chosen tab needs and nothing else does."""
        if self._learning is None and self._tabs.chosen == 2 and self._samples is None:
            self._samples = self.recalling.samples(N_SAMPLES)

    def _restart(self) -> None:
        """Begin at the cue."""
        if self._learning is not None:
            return
        moments = self.recalling.moments()
        self._playing = Playing([next(moments)], moments)
        self._due = self._clock() + 1.0 / self._speed

    def _step(self) -> bool:
        now = self._clock()
        if not self._runs or now < self._due:
            return False
        moved = False
        while self._due <= now and self._clock() - now < MAX_FRAME_SECONDS:
            moved |= self._playing.forward()
            self._due += 1.0 / self._speed
            if self._playing.is_over and self._playing.at + 1 == len(self._playing.moments):
                return True
        self._due = max(self._due, now)
        return moved

    def _refuse(self, words: str) -> bool:
        self._error = words
        self._learning = None
        return True

    def _paint(self, unit: int, value: float) -> None:
        self.recalling.paint(unit, value)
        self._restart()

    def _corrupt(self, amount: float) -> None:
        self.recalling.corrupt(f"{self._kind}:{amount:.3g}")
        self._restart()

    def _next_kind(self) -> None:
        kinds = list(KINDS)
        self._kind = kinds[(kinds.index(self._kind) + 1) % len(kinds)]
        low, high = KINDS[self._kind]
        place = self._focus.widgets.index(self._corruption)
        value = low + 0.4 * (high - low)
        self._corruption = self._corruption_slider((low, high), value)
        self._focus.widgets[place] = self._corruption
        self._sliders[0] = self._corruption
        self._corrupt(value)

    def _corruption_slider(self, span: tuple[float, float], value: float) -> Slider:
        return Slider(f"corruption: {self._kind}", span, value, self._corrupt, words="{:.2f}".format)

    def _set_load(self, n: float) -> None:
        self.recalling.load(round(n))
        self._start_learning()

    def _set_speed(self, speed: float) -> None:
        self._speed = speed
        self._due = self._clock() + 1.0 / speed

    def _heat(self, temperature: float) -> None:
        self.recalling.temperature = temperature
        self._restart()

    def _toggle(self) -> None:
        self._runs = not self._runs
        if self._runs and self._playing.is_over and self._playing.at + 1 >= len(self._playing.moments):
            self._restart()
        self._due = self._clock()

    def _forward(self) -> None:
        self._runs = False
        self._playing.forward()

    def _back(self) -> None:
        self._runs = False
        self._playing.at = max(self._playing.at - 1, 0)

    def _finish(self) -> None:
        self._runs = False
        while self._playing.forward():
            pass

    def _redraw(self) -> None:
        self.recalling.redraw()
        self._restart()

    def _choose(self, pattern: int) -> None:
        self._to = self.recalling.truth
        self.recalling.choose(pattern % len(self.recalling.stored))
        self._restart()

    def _toggle_evidence(self) -> None:
        self.recalling.uses_evidence = not self.recalling.uses_evidence
        self._restart()

    def _next_memory(self) -> None:
        self._memory = (self._memory + 1) % len(self._choices)
        corruption = self.recalling.setup.corruption
        self.recalling = self._choices[self._memory].make()
        self.recalling.corrupt(corruption)
        self._begin()

    def _handle(self, event: Any) -> bool:
        if self._focus.handle(event):
            return True
        pygame = pygame_module()
        if event.type == pygame.MOUSEBUTTONDOWN and event.button == 1 and (k := self._stored_at(event.pos)) >= 0:
            self._choose(k)
            return True
        acts: dict[str, Callable[[], None]] = {
            "space": self._toggle,
            "n": self._forward,
            "b": self._back,
            "home": self._restart,
            "end": self._finish,
            "d": self._redraw,
            "t": self._next_kind,
            "e": self._toggle_evidence,
            "[": lambda: self._choose(self.recalling.truth - 1),
            "]": lambda: self._choose(self.recalling.truth + 1),
        }
        if len(self._choices) > 1:
            acts["m"] = self._next_memory
        for name, act in acts.items():
            if is_key(event, name):
                act()
                return True
        return False

    # what is drawn

    def draw(self, canvas: Canvas, rect: Any) -> None:
        """Draw the page."""
        pygame = pygame_module()
        gap = canvas.px(16)
        top = rect.top + self._draw_head(canvas, rect) + canvas.px(6)
        left_width = int(rect.width * 0.5) - gap
        left = pygame.Rect(rect.left, top, left_width, rect.bottom - top)
        right = pygame.Rect(left.right + 2 * gap, top, rect.right - left.right - 2 * gap, rect.bottom - top)
        left = self._place_controls(canvas, left)
        boards = left.copy()
        boards.height = min(int(left.width / 3 + canvas.px(24)), int(left.height * 0.6))
        self._draw_boards(canvas, boards)
        stored = left.copy()
        stored.top = boards.bottom + canvas.px(8)
        stored.height = max(left.bottom - stored.top, 0)
        self._draw_stored(canvas, stored)
        self._tabs.rect = pygame.Rect(right.left, right.top, right.width, canvas.px(HEIGHT))
        right.top += canvas.px(HEIGHT + 12)
        right.height -= canvas.px(HEIGHT + 12)
        self._draw_tab(canvas, right)
        self._focus.draw(canvas)

    def _draw_head(self, canvas: Canvas, rect: Any) -> int:
        """Draw the title and what is being done; returns the pixels used."""
        setup = self.recalling.setup
        words = f"{self.title}: {setup.n_patterns} patterns, {setup.corruption}, seed {setup.seed}"
        used = canvas.text(rect.topleft, words, TITLE, face="bold", width=rect.width)
        if self._progress_words and used < rect.width * 0.8:
            room = rect.width - used - canvas.px(24)
            canvas.text(rect.topright, self._progress_words, SIZE, FAINT, align="right", width=room)
        line = canvas.line_height(TITLE) + canvas.px(2)
        canvas.text(
            (rect.left, rect.top + line), self._status(), SIZE, ORANGE if self._error else FAINT, width=rect.width
        )
        return line + canvas.line_height(SIZE)

    def _status(self) -> str:
        if self._error:
            return self._error
        if self._learning is not None:
            return f"learning, {self._share:.0%}"
        playing = self._playing
        if not playing.moments:
            return ""
        step = playing.moments[playing.at].step
        words = f"step {playing.at}, sweep {step.iteration}"
        if playing.at == 0:
            words = "at the cue"
        elif playing.is_over and playing.at + 1 == len(playing.moments):
            words += ": the answer"
        elif step.unit >= 0:
            words += f": unit {step.unit} becomes {step.pattern[step.unit]:+.0f}"
        if np.isfinite(step.energy):
            words += f", energy {step.energy:.2f}"
        if np.isfinite(step.temperature):
            words += f", temperature {step.temperature:.2f}"
        if not self.recalling.cue.is_possible:
            words += "; the corruption cannot have made this cue: every pattern counts as as likely"
        return words

    def _place_controls(self, canvas: Canvas, rect: Any) -> Any:
        """Give buttons and sliders places at the foot, as many as a half has room for; returns what is left above."""
        pygame = pygame_module()
        gap = canvas.px(8)
        wide = (rect.width - canvas.px(24)) // 2
        rows: list[tuple[int, list[Any]]] = []
        rows += [(canvas.px(SLIDER), self._sliders[i : i + 2]) for i in range(0, len(self._sliders), 2)][::-1]
        rows += [(canvas.px(HEIGHT), list(buttons)) for buttons in self._button_rows(canvas, rect.width)]
        used = 0
        for high, row in rows:
            is_buttons = high == canvas.px(HEIGHT)
            space = gap if is_buttons else canvas.px(14)  # above it
            fits = used + high + space <= rect.height * 0.5
            y = rect.bottom - used - high
            used += (high + space) * fits
            if is_buttons:
                row_of(canvas, pygame.Rect(rect.left, y, rect.width * fits, high), row)
            else:
                for i, slider in enumerate(row):
                    slider.rect = pygame.Rect(rect.left + i * (wide + canvas.px(24)), y, wide * fits, high)
        above = rect.copy()
        above.height = max(rect.height - used - gap, 0)
        return above

    def _button_rows(self, canvas: Canvas, width: int) -> list[list[Button]]:
        rows: list[list[Button]] = [[]]
        used = 0
        for button in self._buttons:
            wide = button.width(canvas) + canvas.px(6)
            if used + wide > width + canvas.px(6) and rows[-1]:
                rows.append([])
                used = 0
            rows[-1].append(button)
            used += wide
        return rows[::-1]

    def _draw_boards(self, canvas: Canvas, rect: Any) -> None:
        """Draw the cue, the state and the best possible answer."""
        recalling = self.recalling
        playing = self._playing
        state = playing.moments[playing.at].step.pattern if playing.moments else np.zeros(recalling.spec.n)
        images = recalling.pictures(np.stack([recalling.cue.values, state, recalling.best()]))
        names = ("cue (paint it)", "state", "best possible answer")
        gap = canvas.px(14)
        wide = (rect.width - 2 * gap) // 3
        head = canvas.px(22)
        for k, board in enumerate((self._cue_board, self._state_board, self._best_board)):
            x = rect.left + k * (wide + gap)
            canvas.text((x, rect.top), names[k], SIZE, INK, width=wide)
            board.place(pygame_module().Rect(x, rect.top + head, wide, max(rect.height - head, 1)), images[k])
            if k:
                board.draw(canvas, False)
            unit = board.unit_at(canvas.pointer)
            if unit >= 0:
                canvas.tip = f"unit {unit}: {images[k].ravel()[unit]:g}"
        if playing.moments and (unit := playing.moments[playing.at].step.unit) >= 0:
            canvas.frame(self._state_board.cell(unit).inflate(4, 4), ORANGE, 3)

    def _draw_stored(self, canvas: Canvas, rect: Any) -> None:
        """Draw the stored patterns; the one that was corrupted is framed."""
        panel = self.recalling.stored_panel()
        self._stored_places = _draw_pictures(canvas, rect, panel)
        used = canvas.text_size(panel.title)[0] + canvas.px(24)
        _draw_inks(canvas, (rect.left + used, rect.top), rect.width - used)
        if self.recalling.truth < len(self._stored_places):
            canvas.frame(self._stored_places[self.recalling.truth].inflate(4, 4), FOCUS, 3)

    def _stored_at(self, place: tuple[int, int]) -> int:
        return next((k for k, rect in enumerate(self._stored_places) if rect.collidepoint(place)), -1)

    def _draw_tab(self, canvas: Canvas, rect: Any) -> None:
        if self._learning is not None and self._tabs.chosen != 2:
            canvas.text(rect.topleft, f"learning, {self._share:.0%}", SIZE, FAINT)
            return
        draw = (self._draw_overlaps, self._draw_weights, self._draw_samples, self._draw_codes)[self._tabs.chosen]
        draw(canvas, rect)

    def _draw_overlaps(self, canvas: Canvas, rect: Any) -> None:
        playing = self._playing
        if not playing.moments:
            return
        upper, lower = _split(rect, 0.6, canvas.px(16))
        moment = playing.moments[playing.at]
        _draw(canvas, upper, self.recalling.overlap_panel(moment))
        curve, facts = _split(lower, 0.56, canvas.px(20), across=True)
        _draw(canvas, curve, self.recalling.energy_panel(playing.moments[: playing.at + 1]))
        _draw(canvas, facts, self.recalling.facts_panel(moment))

    def _draw_weights(self, canvas: Canvas, rect: Any) -> None:
        if self._weights is None:
            canvas.text(rect.topleft, "this memory has no weights to show", SIZE, FAINT)
            return
        upper, lower = _split(rect, 0.72, canvas.px(12))
        _draw(canvas, upper, self._weights)
        unit = max(board.unit_at(canvas.pointer) for board in (self._cue_board, self._state_board))
        unit = self._cue_board.cursor if unit < 0 and self._focus.index == 0 else unit
        fields = self._weights.fields
        if fields is None or len(fields) != self.recalling.spec.n:
            canvas.text(lower.topleft, "point at a row for the weights of its unit", SMALL, FAINT, width=lower.width)
        elif unit < 0:
            canvas.text(
                lower.topleft,
                "point at a unit of the cue or the state for its weights",
                SMALL,
                FAINT,
                width=lower.width,
            )
        else:
            most = float(np.abs(fields[unit]).max()) or 1.0
            panel = PicturePanel(f"weights of unit {unit} to every other", fields[unit][None], (), (-most, most))
            _draw(canvas, lower, panel)

    def _draw_samples(self, canvas: Canvas, rect: Any) -> None:
        if self._samples is None:
            words = "learning" if self._learning is not None else "this memory makes no new patterns"
            canvas.text(rect.topleft, words, SIZE, FAINT)
            return
        upper, lower = _split(rect, 0.5, canvas.px(16))
        words = f", {self._share:.0%} of the training" if self._learning is not None else ""
        pictures = self.recalling.pictures(self._samples)
        _draw(canvas, upper, PicturePanel(f"new patterns of the memory{words}", pictures, as_ink=True))
        if len(self._stages) > 1:
            n = len(self._stages)
            rows = np.stack([stage.samples[:N_FOLLOWED] for stage in self._stages], axis=1)  # [R, n, N]
            shown = self.recalling.pictures(rows.reshape(-1, rows.shape[2]))
            captions = ("",) * ((len(rows) - 1) * n) + tuple(f"{stage.share:.0%}" for stage in self._stages)
            panel = PicturePanel("some of them as training went on", shown, captions, as_ink=True)
            _draw_pictures(canvas, lower, panel, n)

    def _draw_codes(self, canvas: Canvas, rect: Any) -> None:
        first = self.recalling.truth
        last = self._to if self._to != first else (first + 1) % len(self.recalling.stored)
        last = min(last, len(self.recalling.stored) - 1)
        walk = self.recalling.walk(first, last)
        panel = self.recalling.code_panel(first, last)
        if walk is None and panel is None:
            canvas.text(rect.topleft, "this memory has no hidden codes", SIZE, FAINT)
            return
        upper, lower = _split(rect, 0.7, canvas.px(12))
        if panel is not None:
            _draw(canvas, upper, panel)
        else:
            canvas.text(upper.topleft, "codes of patterns are not known: two random codes", SIZE, FAINT)
        if walk is None:
            canvas.text(lower.topleft, "this memory decodes no codes", SIZE, FAINT)
            return
        title = f"decoded on the line from pattern {first + 1} to {last + 1}; [ and ] go elsewhere"
        pictures = self.recalling.pictures(walk)
        captions = tuple(f"{at:.0%}" for at in np.linspace(0, 1, len(walk)))
        _draw_pictures(canvas, lower, PicturePanel(title, pictures, captions, as_ink=True), len(walk))


def _whole(value: float) -> str:
    return f"{value:.0f}"


def _plain(value: float) -> str:
    return f"{value:g}"


def _draw(canvas: Canvas, rect: Any, panel: Any) -> None:
    """Draw a panel; what lies under the pointer becomes the tip."""
    canvas.tip = draw_panel(canvas, rect, panel, canvas.pointer) or canvas.tip


def _draw_pictures(canvas: Canvas, rect: Any, panel: PicturePanel, n_columns: int = 0) -> list[Any]:
    """Draw pictures in rows of so many, 0: as fit best; returns their rectangles."""
    canvas.text(rect.topleft, panel.title, SIZE, INK, width=rect.width)
    n, height, width = panel.images.shape
    top = rect.top + canvas.px(22)
    foot = canvas.px(15) if any(panel.captions) else 0
    gap = canvas.px(6)

    def factor(columns: int) -> float:
        """Return the pixels of a unit."""
        rows = -(-n // columns)
        wide = (rect.width - gap * (columns - 1)) / columns / width
        return min(wide, ((rect.bottom - top - gap * (rows - 1)) / rows - foot) / height)

    columns = n_columns or max(range(1, n + 1), key=factor)
    side = min(factor(columns), canvas.px(110) / max(height, width))
    if side * min(height, width) < 1:
        return []
    wide, high = max(int(side * width), 1), max(int(side * height), 1)
    places = []
    for k, image in enumerate(panel.images):
        row, column = divmod(k, columns)
        place = pygame_module().Rect(rect.left + column * (wide + gap), top + row * (high + gap + foot), wide, high)
        canvas.matrix(place, image, *panel.span, diverging=True, as_ink=panel.as_ink)
        canvas.frame(place, RULE)
        if k < len(panel.captions) and panel.captions[k]:
            canvas.text((place.centerx, place.bottom + 1), panel.captions[k], SMALL, FAINT, align="centre")
        places.append(place)
    return places


def _draw_inks(canvas: Canvas, place: tuple[int, int], width: int) -> None:
    """Draw what the colours of patterns mean, at the end of a line of so many pixels."""
    entries = ((1.0, "1"), (0.0, "0 or unknown"), (-1.0, "-1"))
    side = canvas.px(11)
    needed = sum(side + canvas.px(19) + canvas.text_size(words, SMALL)[0] for _, words in entries)
    if needed > width:
        return
    x, y = place[0] + width - needed + canvas.px(14), place[1] + canvas.px(2)
    for value, words in entries:
        box = (x, y, side, side)
        canvas.matrix(box, np.array([[value]]), -1.0, 1.0, diverging=True, as_ink=True)
        canvas.frame(box, RULE)
        x += side + canvas.px(5)
        x += canvas.text((x, y - canvas.px(2)), words, SMALL, FAINT) + canvas.px(14)


def _split(rect: Any, share: float, gap: int, *, across: bool = False) -> tuple[Any, Any]:
    """Split a rectangle in two, one above the other or one beside the other."""
    first, second = rect.copy(), rect.copy()
    if across:
        first.width = int((rect.width - gap) * share)
        second.left = first.right + gap
        second.width = rect.right - second.left
    else:
        first.height = int((rect.height - gap) * share)
        second.top = first.bottom + gap
        second.height = rect.bottom - second.top
    return first, second
