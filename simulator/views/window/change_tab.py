"""Tab that changes a run while it learns: cells of its rooms, settings of its agent, and the memory that it carries.

Every change is made at the present step and recorded with it, so that the run can be resumed and reproduced.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from simulator.core.snapshots import ENDED, RunSnapshot, Shown, regret_of
from simulator.views.drawing.canvas import SIZE, SMALL, TITLE, Canvas, pygame_module
from simulator.views.drawing.colours import FAINT, FOCUS, INK, ORANGE
from simulator.views.drawing.environment import Drawn, GridFrame, grid_frame
from simulator.views.style import number
from simulator.views.window.widgets import HEIGHT, SLIDER, Button, Slider, Widget, is_key, no_rect, row_of

BRUSHES = ("wall", "free", "goal", "lava", "ice", "reward")
REWARDS = (-10.0, -5.0, -1.0, -0.5, -0.1, 0.0, 0.1, 0.5, 1.0, 5.0, 10.0)
MAX_LINES = 8  # of changes that were made


@runtime_checkable
class ChangeableSource(Protocol):
    """A run that this process trains, and that can be changed."""

    snapshot: RunSnapshot

    @property
    def shown(self) -> Shown | None:
        """Picture of the run as it is now; None: there is none yet."""

    def change(self, what: str) -> str:
        """Make a change without its step; return why it cannot be made, or nothing."""


class ChangeTab:
    """Controls of the tab, and what a click into the rooms does.

    Args:
        source: the run.
    """

    def __init__(self, source: ChangeableSource) -> None:
        self._source = source
        self._brush = "wall"
        self._message = ""
        self._pending: dict[str, float] = {}
        self._frame: GridFrame | None = None
        self._brushes = [Button(self._label(brush), self._chooser(brush)) for brush in BRUSHES]
        self._reward = Slider("reward of the brush", (REWARDS[0], REWARDS[-1]), -1.0, self._set_reward, stops=REWARDS)
        self._map = MapCursor(self._paint)
        self._cut = Button("Cut the memory here", lambda: self._make("cut"), "x")
        self._sliders: dict[str, Slider] = {}

    @property
    def widgets(self) -> list[Widget]:
        """The controls in the order of Tab."""
        snapshot = self._source.snapshot
        shown: list[Widget] = [*self._brushes, self._reward, self._map] if snapshot.editable else []
        shown += self._sliders.values()
        return [*shown, self._cut] if snapshot.has_memory else shown

    def place_map(self, canvas: Canvas, rect: Any, shown: Shown) -> None:
        """Take the rectangle that the environment was drawn into, and draw the cursor and what a click does there."""
        drawn = Drawn(shown.path is not None, shown.flash is not None)
        self._frame = grid_frame(canvas, rect, shown.shown.view, drawn) if self._source.snapshot.editable else None
        self._map.place(canvas, self._frame)

    def draw(self, canvas: Canvas, rect: Any) -> None:
        """Place the controls in a rectangle, and write what was changed and what it made of the optimum."""
        snapshot = self._source.snapshot
        self._follow(snapshot.changeable)
        widgets: list[Widget] = [*self._brushes, self._reward, self._cut, *self._sliders.values()]
        for widget in widgets:
            widget.rect = no_rect()
        y = rect.top
        gap = canvas.px(10)
        if not (snapshot.editable or snapshot.changeable or snapshot.has_memory):
            words = "nothing of this run can be changed while it learns"
            canvas.text((rect.left, y), words, SIZE, FAINT, width=rect.width)
            return
        if snapshot.editable:
            canvas.text((rect.left, y), "Click a cell to make it", TITLE, face="bold", width=rect.width)
            y += canvas.line_height(TITLE) + canvas.px(6)
            line = pygame_module().Rect(rect.left, y, rect.width, canvas.px(HEIGHT))
            row_of(canvas, line, self._brushes)
            y = line.bottom + gap
            if self._brush == "reward":
                self._reward.rect = pygame_module().Rect(rect.left, y, rect.width // 2, canvas.px(SLIDER))
                y = self._reward.rect.bottom + gap
        if self._sliders:
            canvas.text((rect.left, y), "Settings of the agent", TITLE, face="bold", width=rect.width)
            y += canvas.line_height(TITLE) + canvas.px(6)
            wide = (rect.width - canvas.px(20)) // 2
            for i, slider in enumerate(self._sliders.values()):
                left = rect.left + (i % 2) * (wide + canvas.px(20))
                slider.rect = pygame_module().Rect(left, y + (i // 2) * canvas.px(SLIDER + 6), wide, canvas.px(SLIDER))
            y += (len(self._sliders) + 1) // 2 * canvas.px(SLIDER + 6) + gap
        if snapshot.has_memory:
            line = pygame_module().Rect(rect.left, y, rect.width, canvas.px(HEIGHT))
            row_of(canvas, line, [self._cut])
            y = line.bottom + gap
        self._draw_facts(canvas, rect, y)

    def handle(self, event: Any) -> bool:
        """Paint by a click into the rooms, and cut by a key."""
        if is_key(event, "x") and self._source.snapshot.has_memory:
            self._make("cut")
            return True
        pygame = pygame_module()
        if event.type == pygame.MOUSEBUTTONDOWN and event.button == 1 and self._frame is not None:
            cell = self._frame.cell_at(event.pos)
            if cell is not None:
                self._map.cell = cell
                self._paint(cell)
                return True
        return False

    def settle(self, event: Any) -> None:
        """Make the changes of sliders that are no longer dragged."""
        if self._pending and event.type in (pygame_module().MOUSEBUTTONUP, pygame_module().KEYDOWN):
            pending, self._pending = self._pending, {}
            for name, value in pending.items():
                self._make(f"{name} {value!r}")

    def _draw_facts(self, canvas: Canvas, rect: Any, y: int) -> None:
        snapshot = self._source.snapshot
        facts = []
        if snapshot.optimum is not None:
            facts.append(f"exact optimum now {number(snapshot.optimum)}")
        shown = self._source.shown
        regret = regret_of(shown.shown.view if shown is not None else None, snapshot.optimum)
        if regret is not None:
            facts.append(f"regret of the greedy policy {number(round(regret, 12))}")
        for words, colour, face in (
            ("; ".join(facts), INK, "bold"),
            (self._message, ORANGE, "sans"),
            ("changes so far, stored with the run:" if snapshot.changes else "", FAINT, "sans"),
            *((change, INK, "mono") for change in snapshot.changes[-MAX_LINES:]),
        ):
            if not words or y + canvas.line_height() > rect.bottom:
                continue
            size = SMALL if face == "mono" else SIZE
            y += canvas.paragraph((rect.left, y), words, size, colour, width=rect.width, face=face) + canvas.px(4)

    def _follow(self, settings: Mapping[str, float]) -> None:
        """Give every setting that can change a slider, at its present value."""
        for name in [name for name in self._sliders if name not in settings]:
            del self._sliders[name]
        for name, value in settings.items():
            if name not in self._sliders:
                self._sliders[name] = _slider_of(name, value, self._setter(name))
            elif name not in self._pending:
                self._sliders[name].value = value

    def _label(self, brush: str) -> Any:
        return lambda: f"[{brush}]" if brush == self._brush else brush

    def _chooser(self, brush: str) -> Any:
        def choose() -> None:
            self._brush = brush

        return choose

    def _setter(self, name: str) -> Any:
        def keep(value: float) -> None:
            self._pending[name] = value

        return keep

    def _set_reward(self, value: float) -> None:
        self._brush = "reward"

    def _paint(self, cell: tuple[int, int]) -> None:
        paid = f" {self._reward.value!r}" if self._brush == "reward" else ""
        self._make(f"{self._brush} {cell[0]} {cell[1]}{paid}")

    def _make(self, what: str) -> None:
        if self._source.snapshot.phase in ENDED:
            self._message = "the run is over: nothing changes any more"
            return
        self._message = self._source.change(what)


class MapCursor:
    """A cell of the rooms that the keyboard goes to; Enter does there what a click does.

    Args:
        act: called with the row and the column.
    """

    def __init__(self, act: Any) -> None:
        self.rect = no_rect()
        self.cell = (0, 0)
        self._act = act
        self._frame: GridFrame | None = None

    def place(self, canvas: Canvas, frame: GridFrame | None) -> None:
        """Take the place of the grid."""
        self._frame = frame
        self.rect = no_rect()
        if frame is not None:
            height, width = (side * frame.cell for side in frame.shape)
            self.rect = pygame_module().Rect(frame.left, frame.top, width, height)

    def draw(self, canvas: Canvas, focused: bool) -> None:
        """Draw the cursor."""
        if not focused or self._frame is None:
            return
        row, column = self.cell
        side = self._frame.cell
        place = (self._frame.left + column * side, self._frame.top + row * side, side, side)
        canvas.frame(place, FOCUS, 3)

    def handle(self, event: Any, focused: bool) -> bool:
        """Move by the arrow keys, act by Enter."""
        if not focused or self._frame is None:
            return False
        moves = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
        for name, (rows, columns) in moves.items():
            if is_key(event, name):
                n_rows, n_columns = self._frame.shape
                self.cell = ((self.cell[0] + rows) % n_rows, (self.cell[1] + columns) % n_columns)
                return True
        if is_key(event, "return", "enter"):
            self._act(self.cell)
            return True
        return False


def _slider_of(name: str, value: float, changed: Any) -> Slider:
    """Make the slider of a setting; its range follows from its name, and holds the present value."""
    if name in ("epsilon", "gamma", "lam", "lambda", "trace_decay"):
        return Slider(name, (0.0, 1.0), value, changed)
    if "steps" in name:
        stops = sorted({0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, float(value)})
        return Slider(name, (stops[0], stops[-1]), value, changed, stops=stops)
    if name in ("step_size", "alpha"):
        return Slider(name, (0.001, 1.0), value, changed, logarithmic=True)
    low = min(1e-5, value) if value > 0 else 1e-5
    return Slider(name, (low, max(1.0, value)), value, changed, logarithmic=True)
