"""Output of commands: one JSON object, or tables for people, with colours and boxes only on a terminal."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import zip_longest
from typing import Any

from simulator.core.files.escaping import one_line, visible, visible_lines

Row = Sequence[Any]
_WORD = re.compile(r"\[[^\]]*\]|\S+")
_BEFORE_INTERVAL = re.compile(r" \[(?=[-\d])")
_MAX_WORD = 28  # characters of a word that is not broken


def as_json(value: Any) -> str:
    """Format a value as JSON on one line; arrays become lists, and what is not finite becomes null."""
    return json.dumps(_plain(value), allow_nan=False, ensure_ascii=True)


def print_status(line: str) -> None:
    """Print a line about the progress to stderr: stdout is for results."""
    print(_safe(visible(line), sys.stderr.encoding), file=sys.stderr, flush=True)


def print_result(text: str = "") -> None:
    """Print a text for people to stdout."""
    print(_safe(visible_lines(text), sys.stdout.encoding))


_named_lab: ContextVar[str] = ContextVar("named_lab", default="")  # by --lab of this command


@contextmanager
def in_lab(lab: str) -> Iterator[None]:
    """Let :func:`print_next` name the lab, which the commands that go on need too; empty: nobody named one."""
    token = _named_lab.set(lab)
    try:
        yield
    finally:
        _named_lab.reset(token)


def print_next(*commands: str) -> None:
    """Print commands that go on from here, each on a line of its own, with the lab where ``--lab`` named one."""
    lab = f" --lab {shlex.quote(_named_lab.get())}" if _named_lab.get() else ""
    print_result("next:")
    for command in commands:
        print_result(f"  {command}{lab}")


def terminal_width() -> int | None:
    """Return the columns of the terminal; elsewhere those that are asked for by ``COLUMNS``, or None."""
    if not sys.stdout.isatty():
        asked = os.environ.get("COLUMNS", "")
        return int(asked) if asked.isdecimal() and int(asked) else None
    from rich.console import Console

    return Console().width


def print_table(title: str, columns: Sequence[str], rows: Sequence[Row], width: int | None = None) -> None:
    """Print a table for people: drawn by rich on a terminal, plain columns elsewhere. Numbers keep four figures.

    Where it is too wide, cells are folded between words, and intervals before their bracket; where that is not enough,
    each row is printed as lines of its own. Nothing is cut.

    Args:
        title: a line above it.
        columns: their headings; all empty: none.
        rows: of the table.
        width: of the page; None: :func:`terminal_width`.
    """
    width = width or terminal_width()
    title = one_line(title)
    columns = [one_line(column) for column in columns]
    cells = [[format_cell(cell) for cell in row] for row in rows]
    if width is None:
        _plain_table(title, columns, cells)
        return
    widths = folded_widths([columns, *cells], width)
    if widths is None:
        _print_rows_as_lines(title, columns, cells, width)
        return
    if not sys.stdout.isatty():
        _plain_table(title, columns, cells, widths)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = Console()
    form = Table(title=Text(title) if title else None, title_justify="left", show_header=any(columns))
    for column, width in zip(columns, widths, strict=True):
        # as text: in a word, rich would take [bold] for a style
        form.add_column(Text(column), width=width, overflow="fold")
    for row in cells:
        form.add_row(*(Text(_folded(cell, width)) for cell, width in zip(row, widths, strict=True)))
    terminal.print(form)


def folded_widths(page: Sequence[Sequence[str]], width: int) -> list[int] | None:
    """Return the widths of the columns of a framed table that fits a terminal, by folding cells between their words.

    Args:
        page: heading and rows.
        width: of the terminal.

    Returns:
        Characters of each column; None where the longest words do not fit beside each other.
    """
    from rich.cells import cell_len

    columns = list(zip(*page, strict=True))
    widths = [max(map(cell_len, column)) for column in columns]
    shortest = [max(folded_width(cell) for cell in column) for column in columns]
    room = width - 3 * len(columns) - 1
    if sum(shortest) > room:
        return None
    while sum(widths) > room:
        widest = max((i for i in range(len(widths)) if widths[i] > shortest[i]), key=widths.__getitem__)
        widths[widest] -= 1
    return widths


def folded_width(text: str) -> int:
    """Return the width of the longest word of a text; an interval in brackets is one, and very long ones break."""
    from rich.cells import cell_len

    return max((min(cell_len(word), _MAX_WORD) for word in _WORD.findall(text)), default=0)


def _folded(text: str, width: int) -> str:
    """Put an interval that has no room beside its value on a line of its own."""
    from rich.cells import cell_len

    return text if cell_len(text) <= width else _BEFORE_INTERVAL.sub("\n[", text)


def _print_rows_as_lines(title: str, columns: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> None:
    """Print every row as a block of lines, its first cell above them."""
    lines = [title] if title else []
    for row in cells:
        if any(row):
            lines += ["", *textwrap.wrap(f"{columns[0]} {row[0]}".strip(), width)]
            for column, cell in zip(columns[1:], row[1:], strict=True):
                text = f"{column}: {cell}" if column and cell else cell
                lines += textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="    ")
    for line in lines if title else lines[1:]:
        print_result(line)


def format_cell(cell: Any) -> str:
    """Format a cell for people: ``12,000``, ``0.5295``, ``-`` where there is nothing."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "-"
    if isinstance(cell, bool | str):
        return ("no", "yes")[cell] if isinstance(cell, bool) else one_line(cell)
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, float):
        whole = cell.is_integer() or abs(cell) >= 1e4
        return f"{cell:,.0f}" if whole and abs(cell) < 1e15 else f"{cell:.4g}"
    return one_line(str(cell))


def format_bytes(n: int) -> str:
    """Format a size on a disk: ``812 B``, ``45 kB``, ``1.2 MB``, ``451 MB``."""
    if n < 1000:
        return f"{n} B"
    power = next(power for power in range(1, 5) if n < 999.5 * 1000**power or power == 4)
    value = n / 1000**power
    unit = ("kB", "MB", "GB", "TB")[power - 1]
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"


def interval(middle: float | None, low: float | None, high: float | None, equal: int | None = None) -> str:
    """Format an interval, ``-13.02 [-13.4, -12.9]``; ``100 (5 equal)`` if equal scores give no interval."""
    if low is None or high is None or (math.isnan(low) and math.isnan(high)):
        return format_cell(middle) + (f" ({equal} equal)" if equal else "")
    return f"{format_cell(middle)} [{format_cell(low)}, {format_cell(high)}]"


def _plain_table(
    title: str, columns: Sequence[str], cells: Sequence[Sequence[str]], widths: Sequence[int] | None = None
) -> None:
    """Print columns side by side, folded to ``widths``; None: each row is one line."""
    widths = widths or [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    if title:
        print_result(title)
    for row in (columns, *cells) if any(columns) else cells:
        folded = [_lines_of(cell, width) for cell, width in zip(row, widths, strict=True)]
        for parts in zip_longest(*folded, fillvalue=""):
            print_result("  ".join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip())


def _lines_of(cell: str, width: int) -> list[str]:
    return [line for part in _folded(cell, width).split("\n") for line in textwrap.wrap(part, width)] or [""]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # numpy's arrays and scalars
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _safe(text: str, encoding: str | None) -> str:
    """Replace characters that this stream cannot encode."""
    return text.encode(encoding or "utf-8", "backslashreplace").decode(encoding or "utf-8")
