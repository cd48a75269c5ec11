"""Scenes and panels of every kind, small and always the same, and the stored pictures of them.

``python -m tests.helpers.stored_drawings`` draws the stored pictures anew; look at each before it is committed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simulator.core.protocols import AgentView
from simulator.core.scene import (
    BarPanel,
    CurvePanel,
    HeatPanel,
    Mark,
    PicturePanel,
    PointPanel,
    Scene,
    StripPanel,
    TextPanel,
)
from simulator.core.snapshots import Flash
from simulator.views.drawing.canvas import Canvas, make_surface, open_fonts, pygame_module
from simulator.views.drawing.colours import BACKGROUND
from simulator.views.drawing.environment import draw_environment
from simulator.views.drawing.panels import draw_panel
from tests.helpers.drawn_pages import store_picture
from tests.helpers.paths import ROOT

GOLDEN = ROOT / "tests" / "unit" / "simulator" / "views" / "drawing" / "golden"
SIZE = (300, 220)
WAVE = np.sin(np.arange(60) / 5.0)


def grid_view(n: int = 6) -> AgentView:
    """A room of n x n cells with a wall in it, every kind of mark, values that rise to the goal, and a policy."""
    walls = np.zeros((n, n), np.bool_)
    walls[0] = walls[-1] = walls[:, 0] = walls[:, -1] = True
    walls[2, 2 : n - 2] = True
    free = np.argwhere(~walls)
    marks = (
        Mark(1, 1, "start"),
        Mark(1, n - 2, "goal"),
        Mark(n - 2, n - 2, "lava"),
        Mark(n - 2, 1, "slippery"),
        Mark(n - 2, 2, "key"),
        Mark(3, 1, "door"),
        Mark(3, n - 2, "cue", "A"),
        Mark(n - 3, 2, "walker"),
    )
    values = 1.0 / (1.0 + np.abs(free - [1, n - 2]).sum(axis=1))
    probs = np.tile([0.1, 0.6, 0.25, 0.05], (len(free), 1))
    probs[::3] = 0.25
    probs[::5] = [1.0, 0.0, 0.0, 0.0]
    scene = Scene(
        "a room",
        walls=walls,
        marks=marks,
        places=free,
        actions=("up", "right", "down", "left"),
        facts={"step": "4"},
        meanings={"lava": "hole"},
    )
    return AgentView(scene, values, probs > 0.2, None, probs)


def rooms_view() -> AgentView:
    """Four rooms in a square, with doors between neighbours."""
    rooms = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    doors = np.array([[0, 1], [1, 0], [1, 2], [2, 1], [2, 3], [3, 2]])
    scene = Scene(
        "rooms",
        marks=(Mark(2, 0, "goal"),),
        rooms=rooms,
        doors=doors,
        walker=3,
        places=np.array([[i, 0] for i in range(4)]),
        actions=tuple(f"room {i}" for i in range(4)),
    )
    probs = np.array([[0, 1, 0, 0], [0.2, 0, 0.8, 0], [0, 0, 0, 0], [0, 0, 1, 0]], np.float64)
    return AgentView(scene, np.array([64.0, 80.0, 100.0, 80.0]), probs > 0.5, None, probs)


def lines_view() -> AgentView:
    """A cart with its pole."""
    lines = np.array([[0, 0.2, 1, 0.2], [0.4, 0.2, 0.4, 0.3], [0.4, 0.3, 0.6, 0.3], [0.6, 0.3, 0.6, 0.2]])
    scene = Scene("a machine", lines=np.vstack([lines, [[0.5, 0.3, 0.62, 0.8]]]), facts={"pole": "8.5 degrees"})
    return AgentView(scene, None, None)


def image_view() -> AgentView:
    """A picture that a foreign environment draws."""
    image = np.zeros((20, 30, 3), np.uint8)
    image[5:15, 8:22] = (200, 120, 0)
    image[:, ::5] += 40
    return AgentView(Scene("an image", image=image), None, None)


def chart_view() -> AgentView:
    """A chart of states with named rows and columns, where two actions that are no moves have letters."""
    places = np.argwhere(np.ones((4, 5), np.bool_))
    values = np.linspace(1.0, -0.5, len(places))
    greedy = np.stack([values > 0, values <= 0], axis=1)
    greedy[7] = True  # neither is better
    scene = Scene(
        "sums by cards",
        walls=np.zeros((4, 5), np.bool_),
        marks=(Mark(1, 3, "walker"),),
        places=places,
        actions=("stick", "hit"),
        facts={"step": "1"},
        meanings={"walker": "this hand"},
        row_names=("21", "20", "19", "18"),
        column_names=("ace", "2", "3", "4", "5"),
    )
    return AgentView(scene, values, greedy)


def facts_view() -> AgentView:
    """An environment of which only facts are known."""
    return AgentView(Scene("cards", facts={"sum": "17", "dealer shows": "10", "usable ace": "no"}), None, None)


SCENES: dict[str, Callable[[], AgentView]] = {
    "grid": grid_view,
    "rooms": rooms_view,
    "lines": lines_view,
    "image": image_view,
    "chart": chart_view,
    "facts": facts_view,
}

_CURVE_X = np.arange(0.0, 60.0) * 1000
PANELS = {
    "heat": HeatPanel("Q-table", np.array([[0.5, -1.0, np.nan], [2.0, 0.0, -2.0]]), ("here", "there"), ("a", "b", "c")),
    "weights": HeatPanel("weights", np.outer(WAVE, WAVE), diverging=True, fields=np.stack([np.outer(WAVE, WAVE)] * 60)),
    "counts": HeatPanel("visits", np.arange(40.0).reshape(5, 8), diverging=False),
    "bars": BarPanel("values now", ("left", "right", "idle"), np.array([0.4, -0.7, 0.1]), None, "", 0),
    "beside": BarPanel(
        "overlaps", ("one", "two", "three"), np.array([0.2, 0.9, 0.0]), np.array([0.1, 0.8, 0.1]), "posterior", 1
    ),
    "strip": StripPanel("carried", np.outer(WAVE, np.linspace(-1, 1, 8)), ("h1", "h2"), cuts=(20,)),
    "curve": CurvePanel(
        "return",
        _CURVE_X,
        np.stack([WAVE, WAVE / 2 + 0.5]),
        ("mean of 4 seeds", "another"),
        np.stack([WAVE - 0.2, WAVE / 2 + 0.3]),
        np.stack([WAVE + 0.2, WAVE / 2 + 0.7]),
        {"optimum": 1.1, "threshold": 0.9},
        "steps per seed",
    ),
    "steps": CurvePanel("energy", np.arange(8.0), np.array([[5, 4, 4, 2, 1, np.nan, 0.5, 0]]), steps=True),
    "empty curve": CurvePanel("return", np.zeros(0), np.zeros((1, 0)), levels={"optimum": 1.0}),
    "pictures": PicturePanel(
        "stored", np.stack([np.outer(WAVE[i : i + 8], WAVE[:8]) for i in range(5)]), tuple("abcde")
    ),
    "points": PointPanel(
        "codes", np.stack([np.cos(np.arange(40)), WAVE[:40]], axis=1), np.arange(40) % 4, tuple("wxyz"), 3, "x", "y"
    ),
    "text": TextPanel("settings", {"gamma": "0.99", "step_size": "0.1", "a name": "a text that is too long " * 3}),
}


@dataclass(frozen=True)
class Drawing:
    """A drawing that has a stored picture.

    Attributes:
        name: of the picture's file.
        paint: draws into the rectangle of a canvas.
        scale: pixels of a unit.
    """

    name: str
    paint: Callable[[Canvas], object]
    scale: float = 1.0

    def pixels(self) -> np.ndarray:
        """Draw, and return uint8 [H, W, 3]."""
        return np.array(pygame_module().surfarray.array3d(self.surface()).swapaxes(0, 1))

    def surface(self):
        """Draw on a surface of its own."""
        open_fonts()
        surface = make_surface(round(SIZE[0] * self.scale), round(SIZE[1] * self.scale))
        canvas = Canvas(surface, self.scale)
        canvas.fill(canvas.rect, BACKGROUND)
        self.paint(canvas)
        return surface

    @property
    def path(self) -> Path:
        """Where its picture is stored."""
        return GOLDEN / f"{self.name.replace(' ', '-')}.png"


def _scene(view: AgentView, **more) -> Callable[[Canvas], object]:
    return lambda canvas: draw_environment(canvas, _inside(canvas), view, **more)


def _panel(panel) -> Callable[[Canvas], object]:
    return lambda canvas: draw_panel(canvas, _inside(canvas), panel)


def _inside(canvas: Canvas):
    return canvas.rect.inflate(-canvas.px(16), -canvas.px(12))


def drawings() -> list[Drawing]:
    """Every kind of scene and of panel, some of them twice as large."""
    scenes = [Drawing(name, _scene(make())) for name, make in SCENES.items()]
    path = np.array([[4, 1], [3, 1], [3, 2]])
    return [
        *scenes,
        Drawing("grid with path", _scene(grid_view(), path=path, flash=Flash(3, 2, -0.5))),
        Drawing("small grid", _scene(grid_view(), words=False)),
        Drawing("grid at 2", _scene(grid_view()), 2.0),
        *(Drawing(f"panel {name}", _panel(panel)) for name, panel in PANELS.items()),
        Drawing("panel curve at 2", _panel(PANELS["curve"]), 2.0),
    ]


def store_all() -> None:
    """Write the stored pictures, with a palette."""
    GOLDEN.mkdir(exist_ok=True)
    for drawing in drawings():
        store_picture(drawing.pixels(), drawing.path)


if __name__ == "__main__":
    store_all()
