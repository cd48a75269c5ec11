"""Maps of grid environments as text files: a few lines ``key: value``, then the grid. They are read strictly.

=========  ============================================================================================
``#``      wall; so is everything outside the map
space      floor
``S``      start; several are equally likely
``G``      goal; what it pays is in the header (``goal: 1``)
0 to 9     other goals, each with a line of its own in the header (``3: 0.5``)
``D K``    door and key: one key opens every door, or the n-th key in reading order opens the n-th door
``L``      lava: ends the episode (``lava: -1`` is what it pays)
``~``      slippery: at least this fraction of moves goes elsewhere (``slippery: 0.5``)
=========  ============================================================================================

More of the header: ``title``; ``start: random`` (any floor instead of S); ``step_cost``, taken from every step;
``max_steps``; ``cue: G1`` (in half of the episodes these two goals change rewards, which is seen on S only).
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from simulator.core.files.escaping import visible
from simulator.core.files.reading import read_text
from simulator.core.files.writing import write_file
from simulator.core.registry import unknown_name_message

MAX_SIDE = 1000  # rows or columns
REWARD_LIMIT = 1e9  # limit of rewards that float32 holds
_DIGITS = "0123456789"
GOALS = "G" + _DIGITS
_SYMBOLS = "# SDKL~" + GOALS
_EXPECTED = "one of '#' ' ' 'S' 'G' '0'-'9' 'D' 'K' 'L' '~'"
_HEADER = re.compile(r"\s*([A-Za-z0-9_]+)\s*:(.*)", re.DOTALL)
_NUMBERS = ("goal", "lava", "slippery", "step_cost")
_KEYS = ("title", "start", "max_steps", "cue", *_NUMBERS)


@dataclass(frozen=True)
class Map:
    """A grid environment.

    Attributes:
        rows: the grid, text rows of equal length.
        title: description in a few words.
        goal: reward of ``G``.
        others: (digit, reward) of the other goals, by digit.
        lava: reward of falling into lava.
        slippery: lowest probability of slipping on ``~``.
        start: "S" or "random".
        step_cost: taken from the reward of every step.
        max_steps: steps after which an episode is cut; 0: by the map's size.
        cue: two goals that change rewards in half of the episodes, or nothing.
        conveyor: every action carries the walker to the right, until a wall stops it and the action chooses an arm; not
            in files.
        cell_rewards: (row, column, reward) of cells that pay otherwise than their symbol says; not in files.
        source: file that it was read from, for errors.
        first_line: the line of the grid's first row there.
    """

    rows: tuple[str, ...]
    title: str = ""
    goal: float = 1.0
    others: tuple[tuple[str, float], ...] = ()
    lava: float = -1.0
    slippery: float = 0.5
    start: str = "S"
    step_cost: float = 0.0
    max_steps: int = 0
    cue: str = ""
    conveyor: bool = False
    cell_rewards: tuple[tuple[int, int, float], ...] = ()
    source: str = field(default="map", compare=False)
    first_line: int = field(default=1, compare=False)

    @property
    def rewards(self) -> dict[str, float]:
        """The reward of every goal symbol."""
        return {"G": self.goal, **dict(self.others)}

    def at(self, row: int, column: int) -> str:
        """Return the place of a cell: ``FILE:line:column``."""
        return f"{self.source}:{self.first_line + row}:{column + 1}"


def load(path: str | os.PathLike[str]) -> Map:
    """Read a map.

    Raises:
        ValueError: no readable file, or not a map; one line that says where and what was expected.
    """
    return parse(read_text(path), visible(os.fspath(path)))


def save(plan: Map, path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Write a map into a new file, so that :func:`load` gives the same one back; ``force``: over whatever is there.

    Raises:
        ValueError: a map that could not be read back, a file that is there, or a place that cannot be written.
    """
    page = text(plan)
    if parse(page, "map") != plan:
        raise ValueError(f"map {plan.title!r}: it cannot be written as text without loss")
    write_file(Path(path), page.encode(), force=force, kind=".map")


def text(plan: Map) -> str:
    """Return the text of a map: settings that differ from the defaults, an empty line, the grid."""
    defaults = Map(())
    lines = [
        f"{key}: {getattr(plan, key)}"
        for key in ("title", "goal", "lava", "slippery", "start", "step_cost", "max_steps", "cue")
        if getattr(plan, key) != getattr(defaults, key)
    ]
    lines += [f"{digit}: {reward!r}" for digit, reward in plan.others]
    return "\n".join([*lines, *([""] if lines else []), *plan.rows, ""])


def parse(page: str, source: str = "map") -> Map:
    """Read a map from its text.

    Raises:
        ValueError: not a map; one line, ``SOURCE:line:column: found ..., expected ...``.
    """
    lines = page.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    while lines and not lines[-1]:
        lines.pop()
    values: dict[str, Any] = {}
    n_header = 0
    for line in lines:
        match = _HEADER.fullmatch(line)
        if line and not match:
            break
        n_header += 1
        if match:
            _header(values, match, f"{source}:{n_header}")
    others = tuple(sorted((key, values.pop(key)) for key in list(values) if key in _DIGITS))
    plan = Map(tuple(lines[n_header:]), others=others, source=source, first_line=n_header + 1, **values)
    _check_grid(plan)
    _check_meaning(plan)
    return plan


def _header(values: dict[str, Any], match: re.Match[str], place: str) -> None:
    key = match[1]
    value = match[2].strip()
    if key not in (*_KEYS, *_DIGITS):
        raise ValueError(
            f"{place}:{match.start(1) + 1}: {unknown_name_message('key', key, _KEYS)}, expected a map's setting or row"
        )
    if key in values:
        raise ValueError(f"{place}:{match.start(1) + 1}: found {key!r} again, expected it once")
    parsed = _parse_value(key, value)
    if parsed.value is None:
        raise ValueError(f"{place}:{match.start(2) + 1}: {key}: found {value[:60]!r}, expected {parsed.expected}")
    values[key] = parsed.value


class _Parsed(NamedTuple):
    """A value, or None and the expected form."""

    value: Any
    expected: str


def _parse_value(key: str, value: str) -> _Parsed:
    """Parse the value of a header line."""
    if key == "title":
        fits = value.isprintable() and len(value) <= 200
        return _Parsed(value if fits else None, "up to 200 printable characters")
    if key == "start":
        return _Parsed(value if value in ("S", "random") else None, "S or random")
    if key == "cue":
        fits = len(value) == 2 and value[0] != value[1] and set(value) <= set(GOALS)
        return _Parsed(value if fits else None, "two different goals, such as G1")
    if key == "max_steps":
        fits = value.isascii() and value.isdecimal() and 0 < len(value) <= 9
        return _Parsed(int(value) if fits else None, "a whole number of at least 0")
    low, high = {"slippery": (0.0, 1.0), "step_cost": (0.0, REWARD_LIMIT)}.get(key, (-REWARD_LIMIT, REWARD_LIMIT))
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    return _Parsed(number if low <= number <= high else None, f"a number from {low:g} to {high:g}")


def _check_grid(plan: Map) -> None:
    """Refuse a grid that is empty, too large, ragged or has characters of no meaning."""
    rows = plan.rows
    if not rows:
        raise ValueError(f"{plan.source}: found no rows, expected a map of at least one")
    for size, axis in ((len(rows), "rows"), (len(rows[0]), "columns")):
        if size > MAX_SIDE:
            raise ValueError(f"{plan.at(0, 0)}: found {size:,} {axis}, expected at most {MAX_SIDE:,}")
    for i, row in enumerate(rows):
        invalid = re.search(f"[^{re.escape(_SYMBOLS)}]", row)
        if invalid:
            raise ValueError(f"{plan.at(i, invalid.start())}: found {invalid[0]!r}, expected {_EXPECTED}")
        if len(row) != len(rows[0]):
            edge = plan.at(i, min(len(row), len(rows[0])))
            raise ValueError(f"{edge}: found a row of {len(row)} cells, expected {len(rows[0])} as in the first row")


def _check_meaning(plan: Map) -> None:
    """Refuse goals without a reward, a map without a goal, keys and doors that do not fit."""
    places = {symbol: find_cells(plan, symbol) for symbol in GOALS + "DK"}
    for digit in _DIGITS:
        if places[digit] and digit not in plan.rewards:
            expected = f"its reward as a line '{digit}: NUMBER' above the map"
            raise ValueError(f"{plan.at(*places[digit][0])}: found {digit!r}, expected {expected}")
    if not any(places[symbol] for symbol in GOALS):
        raise ValueError(f"{plan.source}: found no goal, expected at least one 'G' or digit")
    missing = [symbol for symbol in plan.cue if not places[symbol]]
    if missing:
        raise ValueError(f"{plan.source}: cue: {plan.cue}: found no {missing[0]!r} in the map, expected both goals")
    doors = places["D"]
    keys = places["K"]
    if len(keys) != len(doors) and not (len(keys) == 1 and doors):
        expected = "one key for all doors, or as many keys as doors"
        raise ValueError(
            f"{plan.at(*(doors + keys)[0])}: found {len(doors)} 'D' and {len(keys)} 'K', expected {expected}"
        )


def find_cells(plan: Map, symbol: str) -> list[tuple[int, int]]:
    """Return (row, column) of every cell with this symbol, in reading order."""
    return [(i, match.start()) for i, row in enumerate(plan.rows) for match in re.finditer(re.escape(symbol), row)]
