"""A grid drawn with characters: walls, marks, the value of every cell and every best move."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from rich.text import Text

from simulator.core.protocols import AgentView, Array
from simulator.core.scene import Scene
from simulator.views.style import TerminalStyle, clean, fit, flow, number, stack

# dark to bright and readable to the colour-blind: eight stops of matplotlib's viridis
SHADES = ("#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725")
SIGNS = {
    "walker": ("●", "@", "bold white on red"),
    "goal": ("★", "G", "bold black on bright_green"),
    "lava": ("▒", "L", "bold yellow on red"),
    "door": ("D", "D", "bold black on bright_white"),
    "key": ("K", "K", "bold black on bright_yellow"),
    "cue": ("?", "?", "bold black on bright_cyan"),
    "passenger": ("P", "P", "bold black on bright_yellow"),
    "start": ("S", "S", "bold"),
    "reward": ("$", "$", "bold"),
    "slippery": ("≈", "~", "bold"),
}  # kind -> sign, ASCII sign, style; a cell with several shows the first
MEANINGS = {
    "walker": "agent",
    "goal": "goal",
    "lava": "ends the episode",
    "door": "door, locked",
    "key": "key",
    "cue": "cue",
    "passenger": "passenger",
    "start": "start",
    "reward": "pays every step there",
    "slippery": "slippery",
}
ENDS = ("goal", "lava")  # cells where no move follows
MOVES = {"up": 1, "right": 2, "down": 4, "left": 8}
ARROWS = " ↑→└↓│┌├←┘─┴┐┤┬·"  # by the sum of the best moves; a dot: all four alike
ASCII_ARROWS = " ^>+v+++<++++++."


class GridCell(NamedTuple):
    """Contents of one cell of the grid."""

    value: float  # NaN: unknown
    arrow: str
    mark: str  # kind, or nothing
    label: str
    wall: bool


class Frame(NamedTuple):
    """The part of the grid that is drawn, and how."""

    rows: range
    columns: range
    cell: int  # characters that a cell is wide, 1 to 4
    low: float  # lowest and highest value
    high: float


def grid_map(picture: AgentView, width: int = 80, height: int | None = None, look: TerminalStyle | None = None) -> Text:
    """Draw the grid with a line above it, and below it the legend, what is cut, and the scene's facts.

    Args:
        picture: a scene with ``walls``, and what the agent thinks.
        width: columns of the terminal to fill at most.
        height: lines to fill at most, title and legend among them; None: as many as needed.
        look: what the terminal can show.
    """
    look = look or TerminalStyle()
    drawn = draw_grid(picture, width, height, look)
    if height is not None:
        n_below = len(flow(width, [*drawn.legend, *drawn.notes]))
        drawn = draw_grid(picture, width, max(height - n_below, 2), look)
    return stack([*drawn.lines, *flow(width, [*drawn.legend, *drawn.notes])])


class GridDrawing(NamedTuple):
    """A drawn grid and the words that belong to it."""

    lines: list[Text]  # the title, then the rows
    legend: list[Text]  # every sign that occurs, explained
    notes: list[Text]  # what is cut, and the scene's facts


def draw_grid(
    picture: AgentView, width: int, height: int | None, look: TerminalStyle, cell: int | None = None
) -> GridDrawing:
    """Draw the grid with walls, marks, values and every best move of every cell.

    With colours a value is the background's shade. Without, it is a number from 0 to 99, or from 0 to 9 where cells are
    three characters wide. Where cells are narrower still only the moves are drawn, and a grid that does not fit is cut
    around the walker, which a note says.

    Args:
        picture: a scene with ``walls``, and what the agent thinks.
        width: columns to fill at most.
        height: lines to fill at most, with the title; None: as many as needed.
        look: what the terminal can show.
        cell: characters that a cell is wide; None: as many as fit.
    """
    scene = picture.scene
    walls = wall_array(scene)
    if not walls.size or width < 1:
        return GridDrawing([fit(width, ("no map", "dim"))], [], [])
    cells = _cells(picture, walls, look)
    margin = max((len(name) for name in scene.row_names), default=-1) + 1  # of the names of rows, if there are any
    named = bool(margin) and height is None
    frame = _frame(picture, walls, (width - margin * named, height), look, cell)
    lines = [fit(width, (clean(scene.title), "bold"))]
    if named and max(len(name) for name in scene.column_names) <= frame.cell:
        names = [scene.column_names[column].ljust(frame.cell) for column in frame.columns]
        lines.append(Text(" " * margin + "".join(names).rstrip(), "dim"))
    for row in frame.rows:
        line = Text(f"{scene.row_names[row]:>{margin - 1}} ", "dim") if named else Text()
        for column in frame.columns:
            _draw(line, cells[row][column], frame, look)
        lines.append(line)
    return GridDrawing(lines, _legend(picture, cells, frame, look), _notes(picture, walls.shape, frame))


def wall_array(scene: Scene) -> Array:
    """Return the walls, bool [H, W]; of size 0 where there are none."""
    return np.atleast_2d(np.asarray(scene.walls, np.bool_)) if scene.walls is not None else np.zeros((0, 0), np.bool_)


def _cells(picture: AgentView, walls: Array, look: TerminalStyle) -> list[list[GridCell]]:
    n_rows, n_columns = walls.shape
    kinds = [[("", "")] * n_columns for _ in range(n_rows)]
    order = {kind: i for i, kind in enumerate(SIGNS)}
    for mark in sorted(picture.scene.marks, key=lambda mark: -order.get(mark.kind, len(order))):
        if 0 <= mark.row < n_rows and 0 <= mark.column < n_columns:
            kinds[mark.row][mark.column] = (mark.kind, mark.label)
    values = place_values(picture, walls.shape)
    moves = _moves(picture, walls.shape, look)
    return [
        [GridCell(float(values[r, c]), str(moves[r, c]), *kinds[r][c], bool(walls[r, c])) for c in range(n_columns)]
        for r in range(n_rows)
    ]


def place_values(picture: AgentView, shape: tuple[int, ...]) -> Array:
    """Return the value of every place, NaN where there is none; of several states at a place the first counts."""
    out = np.full(shape, np.nan)
    if picture.values is not None and picture.scene.places is not None:
        states, places = _shown(picture.scene, shape)
        values = np.asarray(picture.values, np.float64)[states]
        out[places[:, 0], places[:, 1]] = np.where(np.isfinite(values), values, np.nan)
    return out


def _moves(picture: AgentView, shape: tuple[int, ...], look: TerminalStyle) -> Array:
    """Return the sign of every place: an arrow for the best moves, a letter where one other action is the best."""
    signs = np.full(shape, " ")
    if picture.greedy is None or picture.scene.places is None:
        return signs
    states, places = _shown(picture.scene, shape)
    greedy = np.asarray(picture.greedy, np.bool_)[states]
    actions = picture.scene.actions[: greedy.shape[1]]
    greedy = greedy[:, : len(actions)]
    codes = greedy @ np.array([MOVES.get(name, 0) for name in actions], np.int64)
    drawn = np.array(list(ASCII_ARROWS if look.ascii else ARROWS))[codes]
    letters = np.array([letter_of(name) for name in actions] or [" "])
    is_sole = (greedy.sum(axis=1) == 1) & (codes == 0)
    drawn[is_sole] = letters[greedy[is_sole].argmax(axis=1)] if len(actions) else " "
    signs[places[:, 0], places[:, 1]] = drawn
    return signs


def letter_of(action: str) -> str:
    """Return the letter that stands for an action that is no move: ``h`` for hit; a space for a move."""
    return " " if action in MOVES else action[:1].lower()


def _shown(scene: Scene, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Return the states on the map now and their places, last to first, so that the first one is drawn on top."""
    places = np.asarray(scene.places)
    inside = (places >= 0).all(axis=1) & (places[:, 0] < shape[0]) & (places[:, 1] < shape[1])
    states = np.flatnonzero(inside)[::-1]
    return states, places[states]


def _frame(
    picture: AgentView, walls: Array, room: tuple[int, int | None], look: TerminalStyle, cell: int | None
) -> Frame:
    n_rows, n_columns = walls.shape
    width, height = room
    cell = cell or int(np.clip(width // n_columns, 1, 3 if look.colour else 4))
    lines = n_rows if height is None else min(n_rows, max(height - 1, 1))
    marks = {mark.kind: (mark.row, mark.column) for mark in picture.scene.marks}
    centre = marks.get("walker", (n_rows // 2, n_columns // 2))
    values = place_values(picture, walls.shape)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return Frame(
        _window(n_rows, lines, centre[0]),
        _window(n_columns, width // cell, centre[1]),
        cell,
        min(low, 0.0) if high > 0 else low,
        high,
    )


def _window(length: int, room: int, centre: int) -> range:
    if room >= length:
        return range(length)
    start = int(np.clip(centre - room // 2, 0, length - room))
    return range(start, start + room)


def _draw(line: Text, cell: GridCell, frame: Frame, look: TerminalStyle) -> None:
    """Draw one cell: number, arrow and mark, as far as they fit."""
    if cell.wall:
        line.append(("#" if look.ascii else "█") * frame.cell, "grey50")
        return
    style = SIGNS[cell.mark][2] if cell.mark in SIGNS else ""
    mark = _sign(cell.mark, cell.label, look)
    arrow = " " if cell.mark in ENDS else cell.arrow
    fraction = _scaled(cell.value, frame)
    background = _background(fraction) if look.colour else ""
    if cell.mark and frame.cell == 1:
        line.append(mark, style)
        return
    if not look.colour and frame.cell > 2:
        digits = frame.cell - 2
        known = not np.isnan(fraction) and cell.mark not in ENDS
        line.append(" " * digits if not known else f"{int(fraction * (10**digits - 1) + 0.5):>{digits}d}")
        line.append(arrow + (mark if cell.mark else " "), "bold")
        return
    if frame.cell > 1:
        line.append(mark if cell.mark else " ", style if " on " in style else f"{background} bold")
    line.append(arrow + " " * (frame.cell - 2), style if cell.mark in ENDS else background)


def _sign(kind: str, label: str, look: TerminalStyle) -> str:
    """Return the sign of a mark: its label where that is of one character."""
    sign, plain, _ = SIGNS.get(kind, (" ", " ", ""))
    labelled = len(label) == 1 and label.isprintable() and (label.isascii() or not look.ascii)
    return label if labelled else (plain if look.ascii else sign)


def _scaled(value: float, frame: Frame) -> float:
    """Scale to 0 to 1 between lowest and highest. Divided first: the difference of two large values may overflow."""
    if np.isnan(value) or frame.high <= frame.low:
        return 0.0 if value == frame.high else float("nan")
    scale = max(abs(frame.low), abs(frame.high))
    return (value / scale - frame.low / scale) / (frame.high / scale - frame.low / scale)


def _background(fraction: float) -> str:
    if np.isnan(fraction):
        return ""
    shade = min(int(fraction * len(SHADES)), len(SHADES) - 1)
    return f"{'white' if shade < 4 else 'black'} on {SHADES[shade]}"


def _notes(picture: AgentView, shape: tuple[int, ...], frame: Frame) -> list[Text]:
    """Return which rows and columns are drawn where not all are, and the scene's facts."""
    n_rows, n_columns = shape
    cut = [f"rows {frame.rows[0]}-{frame.rows[-1]} of {n_rows}"] if len(frame.rows) < n_rows else []
    if len(frame.columns) < n_columns:
        cut.append(f"columns {frame.columns[0]}-{frame.columns[-1]} of {n_columns}")
    facts = [Text(f"{clean(name)} {clean(text)}") for name, text in picture.scene.facts.items()]
    return [*[Text(", ".join(cut), "yellow")] * bool(cut), *facts]


def _legend(picture: AgentView, cells: list[list[GridCell]], frame: Frame, look: TerminalStyle) -> list[Text]:
    """Explain every sign that is drawn, and those of marks below others, so that it stays while the agent moves."""
    shown = [cells[row][column] for row in frame.rows for column in frame.columns]
    items = []
    if any(cell.wall for cell in shown):
        meaning = clean(picture.scene.meanings.get("wall", "wall"))
        items.append(Text.assemble(("#" if look.ascii else "█", "grey50"), (f" {meaning}", "dim")))
    signs = {(mark.kind, _sign(mark.kind, mark.label, look)): None for mark in picture.scene.marks}
    for kind, sign in sorted(signs, key=lambda mark: list(SIGNS).index(mark[0]) if mark[0] in SIGNS else len(SIGNS)):
        style = SIGNS[kind][2] if kind in SIGNS else ""
        meaning = clean(picture.scene.meanings.get(kind, MEANINGS.get(kind, kind)))
        items.append(Text.assemble((sign, style), (f" {meaning}", "dim")))
    arrows = {cell.arrow for cell in shown if not cell.wall and cell.mark not in ENDS and cell.arrow != " "}
    single, several, any_move = ("^>v<", "+", ".") if look.ascii else ("↑→↓←", "└ ┼", "·")
    if arrows & set(single):
        items.append(Text.assemble((single[1], ""), (" best action", "dim")))
    if arrows - set(single) - {any_move} - {letter_of(name) for name in picture.scene.actions}:
        items.append(Text.assemble((several, ""), (" several are best", "dim")))
    if any_move in arrows:
        items.append(Text.assemble((any_move, ""), (" all are equal", "dim")))
    for name in picture.scene.actions:
        if letter_of(name) in arrows - {" "}:
            items.append(Text.assemble((letter_of(name), ""), (f" {clean(name)}", "dim")))
    return [*items, *_scale(picture, frame, look)]


def _scale(picture: AgentView, frame: Frame, look: TerminalStyle) -> list[Text]:
    """Explain how values are drawn."""
    if picture.values is None:
        return []
    if look.colour:
        shades = [(" ", f"on {shade}") for shade in SHADES]
        return [Text.assemble((f"value {number(frame.low)} ", "dim"), *shades, (f" {number(frame.high)}", "dim"))]
    if frame.cell > 2:
        top = 10 ** (frame.cell - 2) - 1
        return [Text(f"0-{top} value, from {number(frame.low)} to {number(frame.high)}", "dim")]
    return []
