"""Page of play: a person acts by keys, buttons or the mouse; beside it what the return is compared with.

An environment of turns takes one action for a key that is pressed, however long it is held. One in real time begins
with the first key and steps at its own pace: an action lasts while its key is held where there is one of doing nothing,
else until the next key.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from simulator.core.protocols import AgentView
from simulator.core.scene import BarPanel, Scene
from simulator.core.snapshots import ActionKey, PlaySnapshot
from simulator.core.wording import plural
from simulator.views.drawing.canvas import SIZE, SMALL, TITLE, Canvas, pygame_module
from simulator.views.drawing.colours import BLUE, CHOSEN, FAINT, INK, ORANGE, PAPER, RULE
from simulator.views.drawing.environment import GridFrame, draw_environment
from simulator.views.drawing.panels import draw_panel
from simulator.views.style import number
from simulator.views.window.widgets import HEIGHT, Button, Focus, columns_of, is_key, is_with_modifier, row_of, rows_of

KEYS = (
    ("arrows, digits", "the actions, as the buttons say"),
    ("click", "on a board: the move of that place"),
    ("space, return", "begin the next episode; in real time begin, or go on"),
    ("p", "pause, in real time"),
)
LETTERS = {"w": "up", "d": "right", "s": "down", "a": "left"}  # beside the arrows
SIGNS = {"up": "↑", "right": "→", "down": "↓", "left": "←"}
NEXT = ("space", "return", "enter")
NARROW = 760  # units of width below which the comparison stands under the scene
MAX_BUTTONS = 24
LATE_STEPS = 3  # steps that are made up for after something took long
IDLE_POLL = 60.0  # seconds, of a page that waits for its person


class Game(Protocol):
    """A sitting that is played here; see :class:`simulator.play.host.Host`."""

    @property
    def over(self) -> bool:
        """True where no episode follows."""

    def act(self, action: Any) -> Any:
        """Take an action."""

    def begin(self) -> None:
        """Begin the next episode."""

    def idle(self) -> Any:
        """Return the action of doing nothing, None where there is none."""

    def snapshot(self) -> PlaySnapshot:
        """Return what a person sees."""


class PlayPage:
    """The page; see :class:`simulator.views.window.app.Page`.

    Args:
        game: the sitting.
        command: the command that begins another one like it.
        clock: seconds, never running backwards.
    """

    def __init__(self, game: Game, command: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.game = game
        self.snapshot = game.snapshot()
        self.title = f"Engram: {self.snapshot.name} plays {self.snapshot.env}"
        self.keys: Sequence[tuple[str, str]] = KEYS
        self._command = command
        self._clock = clock
        self._board: tuple[GridFrame, Scene] | None = None  # where it was drawn
        self._held: list[str] = []  # keys that are down, the newest last
        self._chosen: Any = None  # action of the newest key, in real time
        self._waits = True  # in real time: for the first key, or paused
        self._due = math.inf  # when the next step is, in real time
        self._buttons = [
            Button(lambda i=i: self._words_of(i), lambda i=i: self._press_action(i), self._hint_of(i))  # type: ignore[misc]
            for i in range(min(len(self.snapshot.actions), MAX_BUTTONS))
        ]
        self._next = Button("Next episode", self._begin, "space")
        self.focus = Focus([*self._buttons, self._next])

    @property
    def next_poll(self) -> float:
        """Seconds until the next step in real time."""
        return max(self._due - self._clock(), 0.0) if self._runs else IDLE_POLL

    @property
    def _runs(self) -> bool:
        return bool(self.snapshot.pace) and not self._waits and not self.snapshot.ended

    def poll(self) -> bool:
        """Step in real time, if it is time."""
        changed = False
        for _ in range(LATE_STEPS):
            if not self._runs or self._clock() < self._due:
                break
            action = self._current()
            if action is None:  # begun without an action, and there is none of doing nothing
                self._waits = True
                break
            self._act(action)
            assert self.snapshot.pace
            self._due += 1.0 / self.snapshot.pace
            changed = True
        if self._runs and self._clock() > self._due:
            self._due = self._clock()
        return changed

    def command(self) -> str:
        """Return the command that begins another sitting like this."""
        return self._command

    def close(self) -> None:
        """Do nothing: the sitting is its owner's."""

    # ---- input

    def handle(self, event: Any) -> bool:
        """Take an event."""
        pygame = pygame_module()
        if event.type == pygame.KEYUP:
            name = pygame.key.name(event.key)
            self._held = [held for held in self._held if held != name]
            return False
        if event.type == pygame.KEYDOWN and not is_with_modifier(event):
            return self._press(event) or self.focus.handle(event)
        return self._click(event) or self.focus.handle(event)

    def _press(self, event: Any) -> bool:
        name = pygame_module().key.name(event.key).strip("[]")  # keys of the number block are [1]
        repeats = name in self._held
        if self.focus.index >= 0 and is_key(event, "return", "enter"):
            return False  # it presses the button
        if self.snapshot.ended:
            if name in NEXT and not repeats:
                self._hold(name)
                self._begin()
                return True
            return self._action_of(name) is not None  # no action of an episode that is over
        if self.snapshot.pace and name == "p":
            self._waits = not self._waits or self._chosen is None
            self._due = self._clock()
            return True
        if self.snapshot.pace and name in NEXT:
            self._go_on()
            return True
        action = self._action_of(name)
        if action is None:
            return False
        self._hold(name)
        if self.snapshot.pace:
            self._chosen = action.action
            self._go_on()
        elif not repeats:
            self._act(action.action)
        return True

    def _hold(self, name: str) -> None:
        self._held = [*(held for held in self._held if held != name), name]

    def _action_of(self, name: str) -> ActionKey | None:
        by_key = {action.key: action for action in self.snapshot.actions if action.key}
        return by_key.get(name) or by_key.get(LETTERS.get(name, ""))

    def _click(self, event: Any) -> bool:
        """Take a click on a board."""
        if self._board is None or self.snapshot.ended or event.type != pygame_module().MOUSEBUTTONDOWN:
            return False
        frame, scene = self._board
        cell = frame.cell_at(event.pos) if event.button == 1 else None
        if cell is None or scene.clicks is None:
            return False
        self._act(int(scene.clicks[cell]))
        return True

    def _press_action(self, index: int) -> None:
        if self.snapshot.ended or index >= len(self.snapshot.actions):
            return
        action = self.snapshot.actions[index].action
        if self.snapshot.pace:
            self._chosen = action
            self._go_on()
        else:
            self._act(action)

    def _go_on(self) -> None:
        if self._waits:
            self._waits = False
            self._due = self._clock()

    def _current(self) -> Any:
        """Return the action of the moment: of the newest key that is held; else none, or the latest one."""
        for name in reversed(self._held):
            if (action := self._action_of(name)) is not None:
                return action.action
        idle = self.game.idle()
        chosen = self._chosen
        if idle is None:
            return chosen
        self._chosen = None  # a click, or a key that came and went between two steps, counts once
        return idle if chosen is None else chosen

    def _act(self, action: Any) -> None:
        self.game.act(action)
        self._look()

    def _begin(self) -> None:
        if not self.snapshot.ended or self.game.over:
            return
        self.game.begin()
        self._chosen = None
        self._held = []
        self._waits = True
        self._look()

    def _look(self) -> None:
        self.snapshot = self.game.snapshot()

    # ---- drawing

    def draw(self, canvas: Canvas, rect: Any) -> None:
        """Draw the moment, the actions, and the comparison."""
        rect = self._draw_head(canvas, rect)
        gap = canvas.px(18)
        if rect.width >= canvas.px(NARROW):
            left, right = columns_of(rect, int(rect.width * 0.64) - gap, gap)
        else:
            left, right = rows_of(rect, int(rect.height * 0.66) - gap, gap)
        foot = self._place_buttons(canvas, left)
        body = left.copy()
        body.height = max(foot - left.top - canvas.px(10), 1)
        self._draw_scene(canvas, body)
        self._draw_said(canvas, right)
        self.focus.draw(canvas)

    def _draw_head(self, canvas: Canvas, rect: Any) -> Any:
        """Draw who plays what and the return of this episode; return what is left."""
        snapshot = self.snapshot
        against = f" against {snapshot.opponent}" if snapshot.opponent else ""
        wanted = f" of {snapshot.episodes}" if snapshot.episodes else ""
        nth = snapshot.episode + (not snapshot.ended)
        wide = canvas.text(
            rect.topleft, f"{snapshot.name} in {snapshot.env}{against}", TITLE, face="bold", width=rect.width
        )
        room = rect.width - wide - canvas.px(16)
        words = f"episode {nth}{wanted}, seed {snapshot.seed}    F1 keys"
        canvas.text((rect.left + wide + canvas.px(16), rect.top + canvas.px(1)), words, SIZE, FAINT, width=room)
        y = rect.top + canvas.px(24)
        shown = [f"return {number(snapshot.total)}"]
        if snapshot.second is not None:
            shown.append(f"the other side {number(snapshot.second)}")
        shown.append(plural(snapshot.steps, "step"))
        x = rect.left + canvas.text((rect.left, y), "    ".join(shown), SIZE, INK, face="bold", width=rect.width)
        if snapshot.last_reward is not None:
            reward = snapshot.last_reward
            colour = FAINT if reward == 0 else BLUE if reward > 0 else ORANGE
            sign = "" if reward == 0 else "▲ " if reward > 0 else "▼ "
            words = f"{sign}last reward {number(reward)}"
            canvas.text((x + canvas.px(24), y), words, SIZE, colour, width=max(rect.right - x - canvas.px(24), 0))
        left = rect.copy()
        left.top = y + canvas.line_height() + canvas.px(10)
        left.height = max(rect.bottom - left.top, 1)
        return left

    def _draw_scene(self, canvas: Canvas, rect: Any) -> None:
        scene = self.snapshot.scene
        self._board = None
        if scene.clicks is not None:
            self._board = (_board_frame(canvas, rect, scene), scene)
            _draw_board(canvas, *self._board, active=not self.snapshot.ended)
            return
        tip = draw_environment(canvas, rect, AgentView(scene, None, None), None, None, canvas.pointer)
        canvas.tip = tip or canvas.tip

    def _draw_said(self, canvas: Canvas, rect: Any) -> None:
        """Draw what happened, and under it the comparison."""
        snapshot = self.snapshot
        y = rect.top
        for words, colour in self._lines():
            y += canvas.paragraph((rect.left, y), words, SIZE, colour, width=rect.width) + canvas.px(4)
        if not snapshot.levels:
            return
        own = "this episode"
        names = (own, *(level.name for level in snapshot.levels))
        values = np.array([snapshot.total, *(level.value for level in snapshot.levels)])
        high = min(canvas.px(34 * (len(names) + 2)), rect.bottom - y - canvas.px(12))
        if high > canvas.px(60):
            place = pygame_module().Rect(rect.left, y + canvas.px(12), rect.width, high)
            panel = BarPanel("return beside others", names, values, chosen=0)
            canvas.tip = draw_panel(canvas, place, panel, canvas.pointer) or canvas.tip

    def _lines(self) -> list[tuple[str, Any]]:
        snapshot = self.snapshot
        lines: list[tuple[str, Any]] = []
        if snapshot.ended:
            how = "is over" if snapshot.ended == "terminated" else "was cut by its limit of time"
            lines.append((f"The episode {how}: return {number(snapshot.total)}.", INK))
            lines.append(("q closes." if self.game.over else "Space begins the next one, q closes.", FAINT))
        elif snapshot.pace and self._waits:
            words = "Paused: a key goes on." if snapshot.steps else "The first key begins."
            lines.append((words, INK))
        elif snapshot.scene.clicks is not None and not snapshot.steps:
            lines.append(("Your move: press its number, or click a free place.", INK))
        if snapshot.said:
            lines.append((snapshot.said, ORANGE if snapshot.refused else INK))
        if snapshot.scene.clicks is not None:
            lines.append(("✕ you    ○ the other side", FAINT))
        return lines

    def _place_buttons(self, canvas: Canvas, rect: Any) -> int:
        """Place the buttons at the foot of a rectangle, in as many rows as they need; return their upper edge."""
        snapshot = self.snapshot
        shown = [self._next] if snapshot.ended and not self.game.over else []
        legal = [] if snapshot.ended else [action.legal for action in snapshot.actions]
        for button in (*self._buttons, self._next):
            button.rect = pygame_module().Rect(0, 0, 0, 0)
        shown += [button for button, is_legal in zip(self._buttons, legal, strict=False) if is_legal]
        rows: list[list[Button]] = []
        room = 0
        for button in shown:
            wide = button.width(canvas) + canvas.px(6)
            if not rows or wide > room:
                rows.append([])
                room = rect.width
            rows[-1].append(button)
            room -= wide
        step = canvas.px(HEIGHT + 6)
        top = int(rect.bottom) - step * max(len(rows), 1)
        for i, row in enumerate(rows):
            row_of(canvas, pygame_module().Rect(rect.left, top + i * step, rect.width, canvas.px(HEIGHT)), row)
        return top

    def _words_of(self, index: int) -> str:
        actions = self.snapshot.actions
        return actions[index].name if index < len(actions) else ""

    def _hint_of(self, index: int) -> str:
        action = self.snapshot.actions[index]
        key = SIGNS.get(action.key, action.key)
        return "" if key == action.name else key


def _board_frame(canvas: Canvas, rect: Any, scene: Scene) -> GridFrame:
    """Place a board in a rectangle."""
    assert scene.clicks is not None
    rows, columns = scene.clicks.shape
    cell = max(min(rect.width // columns, rect.height // rows, canvas.px(110)), 4)
    left = rect.left + (rect.width - cell * columns) // 2
    return GridFrame(left, rect.top + (rect.height - cell * rows) // 2, cell, (rows, columns))


def _draw_board(canvas: Canvas, frame: GridFrame, scene: Scene, *, active: bool) -> None:
    """Draw a board: own marks are crosses, the other side's rings; the move under the pointer is lit up."""
    assert scene.clicks is not None
    pygame = pygame_module()
    rows, columns = frame.shape
    marks = {(mark.row, mark.column): mark.kind for mark in scene.marks}
    under = frame.cell_at(canvas.pointer) if active and canvas.pointer is not None else None
    lit = None if under is None else int(scene.clicks[under])
    drops = len(np.unique(scene.clicks)) < scene.clicks.size
    for row in range(rows):
        for column in range(columns):
            place = pygame.Rect(frame.left + column * frame.cell, frame.top + row * frame.cell, frame.cell, frame.cell)
            move = int(scene.clicks[row, column])
            is_free = (row, column) not in marks
            canvas.fill(place, CHOSEN if move == lit and is_free else PAPER)
            canvas.frame(place, RULE, 1)
            if not is_free:
                _draw_side(canvas, place, marks[row, column])
            elif not drops or row == 0:
                name = scene.actions[move] if move < len(scene.actions) else str(move)
                at = (place.centerx, place.centery - canvas.line_height(SMALL) / 2)
                canvas.text(at, name, SMALL, FAINT, align="centre", width=place.width)


def _draw_side(canvas: Canvas, place: Any, kind: str) -> None:
    r = place.width * 0.3
    x, y = place.center
    if kind == "own":
        width = max(place.width / canvas.scale * 0.1, 2)
        canvas.line((x - r, y - r), (x + r, y + r), BLUE, width)
        canvas.line((x - r, y + r), (x + r, y - r), BLUE, width)
    else:
        canvas.circle((x, y), r, ORANGE, max(place.width / canvas.scale * 0.09, 2))


__all__ = ["Game", "PlayPage"]
