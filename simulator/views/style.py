"""Style of the terminal views: numbers, times, and lines that must fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from simulator.core.files.escaping import visible as clean

__all__ = [
    "Part",
    "TerminalStyle",
    "beside",
    "clean",
    "count",
    "duration",
    "fit",
    "flow",
    "number",
    "stack",
    "style_of",
]

Part = tuple[str, str]  # words and their style


class TerminalStyle(NamedTuple):
    """Capabilities of a terminal.

    Attributes:
        ascii: only ASCII characters.
        colour: enough colours to shade a value by its cell's background.
    """

    ascii: bool = False
    colour: bool = False


def style_of(console: Console) -> TerminalStyle:
    """Return the style that this console can show: its encoding, its colours and NO_COLOR decide."""
    shades = console.color_system in ("256", "truecolor") and not console.no_color
    return TerminalStyle(ascii=not console.encoding.startswith("utf") or console.legacy_windows, colour=shades)


def number(value: float) -> str:
    """Format with four significant digits, and k, M, G, T from 10,000 on: ``0.5295``, ``12.35k``; ``-`` for NaN."""
    return _short(value, 1e4)


def count(value: float) -> str:
    """Format with four significant digits, and k, M, G, T from 1,000 on: ``20k``, ``1.235M``."""
    return _short(value, 1e3)


def _short(value: float, suffix_from: float) -> str:
    value = float(value)
    if math.isnan(value):
        return "-"
    value = float(f"{value:.4g}")  # rounded first: 999,950 is 1M and not 1000k
    if abs(value) < suffix_from or abs(value) >= 1e15:
        return _figures(value)
    power = min(int(math.log10(abs(value)) + 1e-9) // 3, 4)
    return _figures(value / 1000**power) + " kMGT"[power]


def _figures(value: float) -> str:
    text = f"{value:.4g}"
    if "e" not in text:
        return "0" if text == "-0" else text
    head, power = text.split("e")
    return f"{head}e{int(power)}"


def duration(seconds: float) -> str:
    """Format a time: ``0.8 s``, ``42 s``, ``3 min 20 s``, ``2 h 05 min``; ``-`` if it is not known."""
    if not math.isfinite(seconds) or seconds < 0:
        return "-"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 360_000:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{count(whole / 86400)} days"


def fit(width: int, *parts: Part, gap: str = "  ") -> Text:
    """Fit parts into one line of at most ``width`` cells: later ones are left out, the first is cut."""
    line = Text(no_wrap=True, overflow="crop")
    for words, style in parts:
        space = gap if line.plain and words else ""
        if not line.plain or cell_len(line.plain) + cell_len(space + words) <= width:
            line.append(space).append(words, style)
    line.truncate(max(width, 0))
    return line


def flow(width: int, items: Sequence[Text], gap: str = "  ") -> list[Text]:
    """Put items one after the other, as many in a line of at most ``width`` cells as fit; a longer one is cut."""
    lines: list[Text] = []
    for item in items:
        if lines and lines[-1].cell_len + len(gap) + item.cell_len <= width:
            lines[-1].append(gap).append_text(item)
            continue
        lines.append(item.copy())
        lines[-1].truncate(max(width, 0))
    return lines


def beside(left: Sequence[Text], right: Sequence[Text], left_width: int, gap: str = "  ") -> list[Text]:
    """Put two columns of lines side by side, the left one at least ``left_width`` cells wide."""
    lines: list[Text] = []
    for at in range(max(len(left), len(right))):
        line = left[at].copy() if at < len(left) else Text()
        if at < len(right) and right[at].plain:
            line.append(" " * (left_width - line.cell_len) + gap).append_text(right[at])
        lines.append(line)
    return lines


def stack(lines: Sequence[Text]) -> Text:
    """Stack lines."""
    page = Text("\n", no_wrap=True, overflow="crop").join(lines)
    page.no_wrap = True
    page.overflow = "crop"
    return page
