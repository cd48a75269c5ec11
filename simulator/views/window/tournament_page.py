"""Tournament in the window: the leaderboard with its intervals, every cell, and what a running one is doing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from simulator.core.protocols import AgentView
from simulator.core.scene import Panel
from simulator.core.snapshots import ENDED, Standing, TournamentCell, TournamentSnapshot
from simulator.reporting.tournament import PLURALS
from simulator.views.drawing.canvas import SIZE, SMALL, TITLE, Canvas, pygame_module
from simulator.views.drawing.colours import BLUE, FAINT, INK, ORANGE, PAPER, RULE
from simulator.views.drawing.environment import draw_environment
from simulator.views.drawing.panels import draw_panel
from simulator.views.style import duration, number
from simulator.views.window.app import Window
from simulator.views.window.intervals import ValueInterval, axis_of, draw_interval
from simulator.views.window.widgets import columns_of, is_key

ROW = 26  # units of a line of the leaderboard
LOOK_SECONDS = 0.5  # between looks at what is known of the chosen cell, and of the tournament
HIGHEST_PANEL = 320  # units, of what is known of a cell
MAX_CELL = 26  # units of a cell's square
STATUS_ORDER = ("done", "failed", "running", "waiting")


class TournamentSource(Protocol):
    """A tournament that is looked at, as :class:`simulator.tournaments.watching.WatchedTournament` is."""

    snapshot: TournamentSnapshot
    cells: tuple[TournamentCell, ...]
    fault: str

    @property
    def n_looks(self) -> int: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class CellPlay(Protocol):
    """A cell's environment, played by its newest checkpoint."""

    @property
    def view(self) -> AgentView | None: ...  # noqa: D102
    @property
    def status(self) -> str: ...  # noqa: D102
    @property
    def next_poll(self) -> float: ...  # noqa: D102
    def poll(self) -> bool: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class TournamentPage:
    """The standing of a tournament.

    Args:
        tournament: what is known of it.
        known: panels of one cell.
        play: opens a running cell's environment, None where it cannot be shown; None: no cell can.
        lab: its lab, for the command.
        recipe: the command line that makes it again.
        clock: seconds.
    """

    keys = (
        ("arrows", "go from cell to cell; or click one"),
        ("r", "the next running cell"),
        ("f", "the next failed cell"),
    )

    def __init__(
        self,
        tournament: TournamentSource,
        known: Callable[[TournamentCell], Sequence[Panel]],
        play: Callable[[TournamentCell], CellPlay | None] | None = None,
        lab: str = "",
        recipe: Callable[[], str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tournament = tournament
        self._known = known
        self._open = play
        self._lab = lab
        self._recipe = recipe
        self._clock = clock
        self._chosen = -1
        self._follows = True  # whatever runs, until somebody chooses a cell
        self._panels: Sequence[Panel] = ()
        self._playing: CellPlay | None = None
        self._playing_of: TournamentCell | None = None
        self._places: dict[int, Any] = {}
        self._seen = -1
        self._next_look = -math.inf
        self._grid: list[list[int]] = []

    @property
    def title(self) -> str:
        """Title of the window."""
        return f"tournament {self._tournament.snapshot.id}"

    @property
    def next_poll(self) -> float:
        """Seconds until the next look."""
        look = max(self._next_look - self._clock(), 0.0)
        return min(look, self._playing.next_poll) if self._playing is not None else look

    def poll(self) -> bool:
        """Look for news of the tournament and of the chosen cell."""
        changed = self._playing.poll() if self._playing is not None else False
        if self._clock() < self._next_look:
            return changed
        self._next_look = self._clock() + LOOK_SECONDS
        if self._tournament.n_looks != self._seen:
            self._seen = self._tournament.n_looks
            changed = True
        cells = self._tournament.cells
        if self._follows and (self._chosen < 0 or cells[self._chosen].status != "running"):
            running = [i for i, cell in enumerate(cells) if cell.status == "running"]
            self._choose(running[0] if running else max(self._chosen, 0))
        return self._look_at_cell() or changed

    def command(self) -> str:
        """Return the command that shows this again."""
        lab = f" --lab {self._lab}" if self._lab else ""
        return f"engram watch {self._tournament.snapshot.id}{lab}"

    def recipe(self, onward: bool) -> str:
        """Return the command that makes the tournament again; nothing goes on from one."""
        return self._recipe() if self._recipe is not None else self.command()

    def close(self) -> None:
        """Let go of the lab and of the cell that is played."""
        self._stop_playing()
        self._tournament.close()

    def handle(self, event: Any) -> bool:
        """Choose a cell."""
        pygame = pygame_module()
        if event.type == pygame.MOUSEBUTTONDOWN and event.button == 1:
            hit = next((i for i, place in self._places.items() if place.collidepoint(event.pos)), -1)
            self._follows &= hit < 0
            self._choose(hit)
            return hit >= 0
        for key, (down, right) in {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}.items():
            if is_key(event, key):
                self._follows = False
                self._move(down, right)
                return True
        for key, status in {"r": "running", "f": "failed"}.items():
            if is_key(event, key):
                self._follows = False
                self._choose_next(status)
                return True
        return False

    def _choose(self, index: int) -> None:
        if 0 <= index < len(self._tournament.cells):
            self._chosen = index
            self._look_at_cell()

    def _choose_next(self, status: str) -> None:
        cells = self._tournament.cells
        found = [i for i, cell in enumerate(cells) if cell.status == status]
        if found:
            self._choose(next((i for i in found if i > self._chosen), found[0]))

    def _move(self, down: int, right: int) -> None:
        """Go to a neighbour in the grid of cells."""
        rows = [row for row in self._grid if row]
        if not rows:
            return
        at = next(((r, row.index(self._chosen)) for r, row in enumerate(rows) if self._chosen in row), None)
        if at is None:
            self._choose(rows[0][0])
            return
        row = rows[(at[0] + down) % len(rows)]
        self._choose(row[min(max(at[1] + right, 0), len(row) - 1)])

    def _look_at_cell(self) -> bool:
        """Read what is known of the chosen cell; a running one is played where that is possible."""
        if self._chosen < 0:
            return False
        cell = self._tournament.cells[self._chosen]
        panels = tuple(self._known(cell))
        changed = not _are_same(panels, self._panels)
        self._panels = panels
        if cell != self._playing_of:
            self._stop_playing()
            self._playing_of = cell
            changed = True
        if self._playing is None and self._open is not None and cell.folder:
            self._playing = self._open(cell)
        return changed

    def _stop_playing(self) -> None:
        if self._playing is not None:
            self._playing.close()
        self._playing = None
        self._playing_of = None

    # what is drawn

    def draw(self, canvas: Canvas, rect: Any) -> None:
        """Draw the page."""
        snapshot = self._tournament.snapshot
        top = self._draw_head(canvas, rect, snapshot)
        body = rect.copy()
        body.top, body.height = top, max(rect.bottom - top, 0)
        left, right = columns_of(body, int(body.width * 0.54), canvas.px(28))
        board = left.copy()
        board.height = int(left.height * 0.6)
        below = draw_leaderboard(canvas, board, snapshot.rows) + canvas.px(18)
        used = self._draw_cells(canvas, right)
        right.top += used + canvas.px(14)
        right.height = max(body.bottom - right.top, 0)
        if self._playing is not None:
            self._draw_playing(canvas, right, self._playing)
            right = left
            right.top, right.height = int(below), max(int(body.bottom - below), 0)
        self._draw_known(canvas, right)

    def _draw_head(self, canvas: Canvas, rect: Any, snapshot: TournamentSnapshot) -> int:
        y = rect.top
        canvas.text((rect.left, y), f"{self.title}: {snapshot.phase}", TITLE, face="bold", width=rect.width)
        y += canvas.line_height(TITLE) + canvas.px(4)
        counts = {"done": snapshot.done, "running": snapshot.running, "failed": snapshot.failed}
        words = str(snapshot.progress) + (f", {duration(snapshot.seconds)}" if snapshot.seconds else "")
        words += (
            f", {duration(snapshot.left)} left" if snapshot.left is not None and snapshot.phase not in ENDED else ""
        )
        words += "".join(f"; {line}" for line in snapshot.warnings[-1:])
        if snapshot.phase in ("killed", "interrupted"):
            words += f"; go on with engram resume {snapshot.id}"
        fault = self._tournament.fault
        canvas.text((rect.left, y), fault or words, SIZE, ORANGE if fault else FAINT, width=rect.width)
        y += canvas.line_height(SIZE) + canvas.px(6)
        x = rect.left
        high = canvas.px(10)
        canvas.box((rect.left, y, rect.width, high), PAPER, 2)
        for status in ("done", "failed", "running"):
            wide = int(rect.width * counts[status] / max(snapshot.planned, 1))
            _draw_square(canvas, (x, y, wide, high), status)
            x += wide
        canvas.frame((rect.left, y, rect.width, high), RULE)
        y += high + canvas.px(6)
        x = rect.left
        counts["waiting"] = max(snapshot.planned - sum(counts.values()), 0)
        for status in STATUS_ORDER:
            side = canvas.px(11)
            _draw_square(canvas, (x, y + canvas.px(3), side, side), status)
            x += side + canvas.px(5)
            x += canvas.text((x, y), f"{counts[status]:,} {status}", SMALL, INK) + canvas.px(18)
        return y + canvas.line_height(SMALL) + canvas.px(14)

    def _draw_cells(self, canvas: Canvas, rect: Any) -> int:
        """Draw a square for every cell, a line for each contestant and challenge; returns the pixels used."""
        pygame = pygame_module()
        cells = self._tournament.cells
        lines: dict[tuple[str, str], list[int]] = {}
        for i, cell in enumerate(cells):
            lines.setdefault((cell.contestant, cell.challenge), []).append(i)
        used = canvas.text(rect.topleft, "cells", TITLE, face="bold") + canvas.px(16)
        hint = "click one, or go by the arrow keys"
        canvas.text((rect.left + used, rect.top + canvas.px(2)), hint, SMALL, FAINT, width=rect.width - used)
        y = rect.top + canvas.line_height(TITLE) + canvas.px(6)
        self._places = {}
        self._grid = list(lines.values())
        if not lines:
            return y - rect.top
        room = rect.height * 0.5
        high = min(canvas.px(22), room / len(lines))
        line = canvas.line_height(SMALL)
        names = [f"{contestant} in {challenge}" for contestant, challenge in lines]
        shows_names = high >= line * 0.85
        label = min(max(canvas.text_size(name, SMALL)[0] for name in names), rect.width // 2) if shows_names else 0
        most = max(len(row) for row in lines.values())
        side = max(min((rect.width - label - canvas.px(10)) / most, high, canvas.px(MAX_CELL)), 1.0)
        for k, (name, row) in enumerate(zip(names, lines.values(), strict=True)):
            top = y + k * high
            if shows_names:
                canvas.text((rect.left, top + (high - line) / 2), name, SMALL, FAINT, width=label)
            for j, i in enumerate(row):
                pad = 2 if side >= 6 else 0
                place = pygame.Rect(
                    int(rect.left + label + canvas.px(10) + j * side),
                    int(top + (high - side) / 2),
                    max(int(side) - pad, 1),
                    max(int(side) - pad, 1),
                )
                self._places[i] = place
                _draw_square(canvas, place, cells[i].status)
                if i == self._chosen:
                    canvas.frame(place.inflate(6, 6), INK, 2)
                if canvas.pointer is not None and place.collidepoint(canvas.pointer):
                    reason = f": {cells[i].reason}" if cells[i].reason else ""
                    canvas.tip = f"{cells[i].words}, {cells[i].status}{reason}"
        return int(y + len(lines) * high - rect.top)

    def _draw_playing(self, canvas: Canvas, rect: Any, playing: CellPlay) -> None:
        """Draw the environment of the chosen cell."""
        canvas.text(rect.topleft, playing.status, SMALL, FAINT, width=rect.width)
        scene = rect.copy()
        scene.top += canvas.line_height(SMALL) + canvas.px(4)
        scene.height = max(rect.bottom - scene.top, 0)
        if playing.view is not None and scene.height > canvas.px(60):
            canvas.tip = draw_environment(canvas, scene, playing.view, pointer=canvas.pointer) or canvas.tip

    def _draw_known(self, canvas: Canvas, rect: Any) -> None:
        """Draw what is known of the chosen cell, one panel beside the other."""
        if self._chosen < 0 or rect.height < canvas.px(60) or not self._panels:
            return
        gap = canvas.px(20)
        wide = (rect.width - gap * (len(self._panels) - 1)) // len(self._panels)
        for i, panel in enumerate(self._panels):
            part = rect.copy()
            part.left = rect.left + i * (wide + gap)
            part.size = (wide, min(rect.height, canvas.px(HIGHEST_PANEL)))
            canvas.tip = draw_panel(canvas, part, panel, canvas.pointer) or canvas.tip


def draw_leaderboard(canvas: Canvas, rect: Any, rows: Sequence[Standing]) -> float:
    """Draw the standing of every division: tier, contestant, strength with its interval, score, finished cells.

    Returns:
        The height below it.
    """
    if not rows:
        canvas.text(rect.topleft, "leaderboard", TITLE, face="bold")
        place = (rect.left, rect.top + canvas.px(28))
        canvas.text(place, "not enough cells are over to rank anybody", SIZE, FAINT, width=rect.width)
        return float(rect.top + canvas.px(60))
    divisions = list(dict.fromkeys(row.division for row in rows))
    n_lines = len(rows) + 2 * len(divisions)
    high = min(canvas.px(ROW), rect.height / max(n_lines, 1))
    y: float = rect.top
    for name in divisions:
        own = [row for row in rows if row.division == name]
        title = PLURALS.get(name, name) if len(divisions) > 1 else "leaderboard"
        canvas.text((rect.left, y), title, TITLE, face="bold", width=rect.width)
        y = _draw_division(canvas, rect, own, y + canvas.line_height(TITLE) + canvas.px(4), high) + canvas.px(12)
    return y


def _draw_division(canvas: Canvas, rect: Any, rows: Sequence[Standing], y: float, high: float) -> float:
    """Draw the lines of one division, and return the height below them."""
    px = canvas.px
    line = canvas.line_height(SMALL)
    names = max(
        min(max(canvas.text_size(row.contestant, face="bold")[0] for row in rows) + 4, int(rect.width * 0.3)), px(80)
    )
    columns = {"tier": rect.left, "contestant": rect.left + px(40)}
    left = columns["contestant"] + names + px(14)
    right = rect.right - px(130)
    strengths = [ValueInterval(row.strength, row.strength_low, row.strength_high) for row in rows]
    axis = axis_of(strengths)
    for word, x in columns.items():
        canvas.text((x, y), word, SMALL, FAINT)
    canvas.text((left, y), "strength, with its interval", SMALL, FAINT, width=max(right - left, 1))
    canvas.text((rect.right - px(62), y), "score", SMALL, FAINT, align="right")
    canvas.text((rect.right, y), "cells", SMALL, FAINT, align="right")
    y += line + px(4)
    before = rows[0].tier
    for row, strength in zip(rows, strengths, strict=True):
        if row.tier != before:
            canvas.line((rect.left, y), (rect.right, y), RULE)
            before = row.tier
        middle = y + high / 2
        text = middle - canvas.line_height(SIZE) / 2
        canvas.text((columns["tier"] + px(8), text), "-" if row.tier is None else str(row.tier), SIZE, FAINT)
        canvas.text((columns["contestant"], text), row.contestant, SIZE, INK, face="bold", width=names)
        draw_interval(canvas, (left, right), middle, strength, axis)
        score = number(row.score) if math.isfinite(row.score) else "-"
        canvas.text((rect.right - px(62), text), score, SIZE, INK, align="right")
        canvas.text((rect.right, text), f"{row.done:,}/{row.planned:,}", SMALL, FAINT, align="right")
        y += high
    canvas.text((left, y), number(axis[0]), SMALL, FAINT)
    canvas.text((right, y), number(axis[1]), SMALL, FAINT, align="right")
    y += line + px(4)
    words = "all of a tier are significantly better than all of the next one; tier 1 is the best"
    canvas.text((rect.left, y), words, SMALL, FAINT, width=rect.width)
    return y + line


def _draw_square(canvas: Canvas, rect: Any, status: str) -> None:
    """Draw the sign of a status: done is full, running half, failed crossed, waiting empty."""
    place = pygame_module().Rect(rect)
    if not place.width or not place.height:
        return
    canvas.fill(place, BLUE if status == "done" else PAPER)
    if status == "running":
        canvas.fill((place.left, place.centery, place.width, place.bottom - place.centery), BLUE)
    elif status == "failed":
        canvas.fill(place, ORANGE)
        if 6 <= place.width <= 3 * place.height:
            canvas.line(place.topleft, (place.right - 1, place.bottom - 1), PAPER, 1.5)
            canvas.line((place.left, place.bottom - 1), (place.right - 1, place.top), PAPER, 1.5)
    canvas.frame(place, RULE if status == "waiting" else BLUE if status != "failed" else ORANGE)


def _are_same(first: Sequence[Panel], second: Sequence[Panel]) -> bool:
    """Compare panels by what they hold."""
    return repr(first) == repr(second)


class TournamentWindow:
    """View of a tournament that this process plays, in a window; see :class:`simulator.core.snapshots.View`.

    Args:
        known: panels of one cell.
        cells: reads every cell of a tournament by its id.
        play: see :class:`TournamentPage`.
        scale: pixels of a unit of length: auto or a number.

    Raises:
        ValueError: there is no display.
    """

    def __init__(
        self,
        known: Callable[[TournamentCell], Sequence[Panel]],
        cells: Callable[[str], tuple[TournamentCell, ...]],
        play: Callable[[TournamentCell], CellPlay | None] | None = None,
        scale: str = "auto",
    ) -> None:
        self._known = known
        self._cells_of = cells
        self._play = play
        self._scale = scale
        self._live = _Live()
        self._window = Window(TournamentPage(self._live, known, play), scale=scale)

    @property
    def is_open(self) -> bool:
        """True until somebody closes the window."""
        return self._window.is_open

    def show(self, snapshot: TournamentSnapshot) -> None:
        """Draw a snapshot; a closed window stays closed, and the tournament goes on."""
        if not self._window.is_open:
            return
        finished = snapshot.progress.done != self._live.snapshot.progress.done
        moved = snapshot.now != self._live.snapshot.now or snapshot.phase != self._live.snapshot.phase
        if finished or moved or not self._live.cells:
            self._live.cells = self._cells_of(snapshot.id)
        self._live.snapshot = snapshot
        self._live.n_looks += 1
        self._window.redraw()
        self._window.step()

    def close(self) -> None:
        """Leave the last snapshot on the screen."""
        self._window.redraw()
        self._window.step()

    def stay(self) -> None:
        """Show the last snapshot until the window is closed, by Ctrl-C too."""
        self._window.stay()

    def shut(self) -> None:
        """Close the window."""
        self._window.close()


class _Live:
    """State of a tournament that this process plays, as its snapshots say it."""

    def __init__(self) -> None:
        self.snapshot = TournamentSnapshot("", "preparing", 0, 0, 0, 0, 0, 0.0)
        self.cells: tuple[TournamentCell, ...] = ()
        self.fault = ""
        self.n_looks = 0

    def close(self) -> None:
        """Hold nothing."""
