"""Play by a person in the terminal: the scene, what was just paid, the keys, and what the return is compared with."""

from __future__ import annotations

import numpy as np
from rich.text import Text

from simulator.core.protocols import AgentView, Array
from simulator.core.scene import Scene
from simulator.core.snapshots import ActionKey, PlaySnapshot, ScoreLevel
from simulator.core.wording import plural
from simulator.views.grid import draw_grid
from simulator.views.style import Part, TerminalStyle, clean, fit, flow, number, stack

KEY_SIGNS = {"up": "↑", "right": "→", "down": "↓", "left": "←", " ": "space"}
BOARD_SIGNS = {"own": ("X", "bold cyan"), "other": ("O", "bold yellow")}
_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])  # of a Braille character, by row and column
_SAMPLES = 200  # points along a stroke
MAX_COLUMNS = 72  # of a drawing
MIN_LINES = 4  # of the scene, on however low a terminal


def page(snapshot: PlaySnapshot, size: tuple[int, int], look: TerminalStyle) -> Text:
    """Draw a moment of play into ``size`` (columns, lines)."""
    width, height = size
    head = _head(snapshot, width)
    below = [_said(snapshot, width), *_keys(snapshot, width, look), *_levels(snapshot, width)]
    drawing = scene_lines(snapshot.scene, width, max(height - len(head) - len(below) - 1, MIN_LINES), look)
    return stack([*head, *drawing, *below][: max(height - 1, 1)])


def scene_lines(scene: Scene, width: int, height: int, look: TerminalStyle) -> list[Text]:
    """Draw a scene: a board, a grid, rooms, strokes or a picture, and its facts."""
    facts = [Text(f"{clean(name)}: {clean(str(value))}") for name, value in scene.facts.items()]
    about = flow(width, facts)
    room = max(height - len(about), MIN_LINES)
    if scene.clicks is not None:
        return [*_board(scene, width), *about]
    if scene.walls is not None:
        drawing = draw_grid(AgentView(scene, None, None), width, room, look)
        return [*drawing.lines, *flow(width, [*drawing.legend, *drawing.notes])]
    if scene.rooms is not None:
        return [*_rooms(scene, width), *about]
    if scene.lines is not None:
        return [*_strokes(scene.lines, min(width, MAX_COLUMNS), room, look), *about]
    if scene.image is not None:
        return [*_picture(scene.image, min(width, MAX_COLUMNS), room, look), *about]
    return about or [Text(clean(scene.title), "dim")]


def _head(snapshot: PlaySnapshot, width: int) -> list[Text]:
    wanted = f" of {snapshot.episodes}" if snapshot.episodes else ""
    nth = snapshot.episode + (not snapshot.ended)
    against = f" against {clean(snapshot.opponent)}" if snapshot.opponent else ""
    title = f"{snapshot.id}: {clean(snapshot.name)} in {clean(snapshot.env)}{against}"
    first = fit(width, (title, "bold"), (f"episode {nth}{wanted}, seed {snapshot.seed}", ""))
    parts: list[Part] = [(f"return {number(snapshot.total)}", "bold")]
    if snapshot.second is not None:
        parts.append((f"the other side {number(snapshot.second)}", ""))
    parts.append((plural(snapshot.steps, "step"), ""))
    if snapshot.last_reward is not None:
        parts.append((f"last reward {number(snapshot.last_reward)}", "dim"))
    return [first, fit(width, *parts)]


def _said(snapshot: PlaySnapshot, width: int) -> Text:
    """Say why an action was refused, what the other side did, or that the episode is over."""
    said = clean(snapshot.said)
    if snapshot.ended:
        how = "is over" if snapshot.ended == "terminated" else "was cut by its limit of time"
        return fit(width, (f"the episode {how}: return {number(snapshot.total)}", "bold"), (said, ""))
    return fit(width, (said, "bold yellow" if snapshot.refused else ""))


def _keys(snapshot: PlaySnapshot, width: int, look: TerminalStyle) -> list[Text]:
    """List the keys of the actions that are possible, then those of the program."""
    if snapshot.ended:
        more = [] if snapshot.over else ["space next episode"]
        return flow(width, [Text(words, "dim") for words in (*more, "q quit")])
    items = [_key(action, look) for action in snapshot.actions if action.legal]
    paused = ["p pause"] if snapshot.pace else []
    return flow(width, [*items, *(Text(words, "dim") for words in (*paused, "q quit"))])


def _key(action: ActionKey, look: TerminalStyle) -> Text:
    sign = action.key if look.ascii else KEY_SIGNS.get(action.key, action.key)
    name = clean(action.name)
    if sign == name:
        return Text(sign, "bold")
    return Text.assemble((f"{sign or '-'}", "bold"), f" {name}")


def _levels(snapshot: PlaySnapshot, width: int) -> list[Text]:
    return flow(width, [Text(level_text(level), "dim") for level in snapshot.levels], gap=" | ")


def level_text(level: ScoreLevel) -> str:
    """Format a level: ``r5 q_learning 0.7400 [0.7100, 0.7600]``."""
    between = "" if level.low is None or level.high is None else f" [{number(level.low)}, {number(level.high)}]"
    return f"{clean(level.name)} {number(level.value)}{between}"


def _board(scene: Scene, width: int) -> list[Text]:
    """Draw a board: marks, and in free cells the key of the move that a click there stands for."""
    assert scene.clicks is not None
    marks = {(mark.row, mark.column): mark.kind for mark in scene.marks}
    n_rows, n_columns = scene.clicks.shape
    drops = len(np.unique(scene.clicks)) < scene.clicks.size  # a move is a column
    lines: list[Text] = []
    for row in range(n_rows):
        line = Text("  ")
        for column in range(n_columns):
            sign, style = BOARD_SIGNS.get(marks.get((row, column), ""), ("", ""))
            name = "." if drops else scene.actions[int(scene.clicks[row, column])]
            line.append(f"{sign or name:^3}", style or "dim")
        lines.append(line)
    if drops:
        names = [scene.actions[int(scene.clicks[0, column])] for column in range(n_columns)]
        lines.append(Text("  " + "".join(f"{name:^3}" for name in names), "bold"))
    lines.append(Text("  X you, O the other side", "dim"))
    for line in lines:
        line.truncate(max(width, 0))
    return lines


def _rooms(scene: Scene, width: int) -> list[Text]:
    doors = np.zeros((0, 2), np.int64) if scene.doors is None else np.asarray(scene.doors)
    leads = [str(int(to)) for room, to in doors if room == scene.walker]
    goals = [mark.row for mark in scene.marks if mark.kind == "goal"]
    goal = f"; goal: room {', '.join(map(str, goals))}" if goals else ""
    return [
        fit(width, (clean(scene.title), "bold")),
        fit(width, (f"you are in room {scene.walker}{goal}", "bold")),
        fit(width, (f"doors lead to {', '.join(leads) or 'nowhere'}", "")),
    ]


def _strokes(strokes: Array, width: int, height: int, look: TerminalStyle) -> list[Text]:
    """Draw strokes of the unit square with Braille dots, or with # where there are only ASCII characters."""
    n_rows = max(min(height, width // 2), 1)
    n_columns = min(width, 2 * n_rows)
    across, down = (1, 1) if look.ascii else (2, 4)
    dots = np.zeros((n_rows * down, n_columns * across), np.bool_)
    along = np.linspace(0.0, 1.0, _SAMPLES)
    for x0, y0, x1, y1 in np.asarray(strokes, np.float64):
        x = np.clip(x0 + along * (x1 - x0), 0.0, 1.0) * (dots.shape[1] - 1)
        y = (1.0 - np.clip(y0 + along * (y1 - y0), 0.0, 1.0)) * (dots.shape[0] - 1)
        dots[np.round(y).astype(int), np.round(x).astype(int)] = True
    if look.ascii:
        return [Text("".join("#" if dot else " " for dot in row)) for row in dots]
    cells = dots.reshape(n_rows, down, n_columns, across).swapaxes(1, 2)
    codes = 0x2800 + (cells * _DOTS).sum(axis=(2, 3))
    return [Text("".join(map(chr, row))) for row in codes]


def _picture(image: Array, width: int, height: int, look: TerminalStyle) -> list[Text]:
    """Draw a picture, two pixels a character: with colours as they are, else by characters of its brightness."""
    tall, wide = image.shape[:2]
    n_columns = max(min(width, 2 * height * wide // max(tall, 1)), 1)
    n_rows = max(min(height, n_columns * tall // max(2 * wide, 1)), 1)
    rows = (np.arange(2 * n_rows) + 0.5) * tall // (2 * n_rows)
    columns = (np.arange(n_columns) + 0.5) * wide // n_columns
    small = image[rows.astype(int)][:, columns.astype(int)]
    if not look.colour or look.ascii:
        grey = small[::2].mean(axis=2) / 256.0
        return [Text("".join(" .:-=+*#%@"[int(10 * value)] for value in row)) for row in grey]
    lines = []
    for upper, lower in zip(small[::2], small[1::2], strict=True):
        line = Text()
        for top, bottom in zip(upper, lower, strict=True):
            line.append("▀", f"rgb({','.join(map(str, top))}) on rgb({','.join(map(str, bottom))})")
        lines.append(line)
    return lines


__all__ = ["level_text", "page", "scene_lines"]
