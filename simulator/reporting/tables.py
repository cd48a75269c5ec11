"""Tables of reports: one model of a table, and how it is printed on a terminal and as Markdown, LaTeX and CSV."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from simulator import console
from simulator.console import folded_widths
from simulator.core.files.escaping import csv_row, latex_row, markdown, markdown_row

Row = list[str]
Number = Mapping[str, Any] | None  # value, low, high; each may be None
MAX_DECIMALS = 9
MIN_LABEL = 8  # characters of a shortened label
MAX_LABEL = 32
COLUMNS_PER_TABULAR = 3  # beside the first one, on a printed page


class Table(NamedTuple):
    """A table with its notes; without rows only the notes are shown."""

    title: str
    columns: Row
    rows: list[Row]  # a row of empty texts separates groups
    notes: Sequence[str] = ()
    droppable: tuple[str, ...] = ()  # columns that a narrow terminal leaves out, the first one first
    labels: tuple[str, ...] = ()  # columns whose texts may be shortened
    splittable: bool = False  # a narrow page shows its columns part by part, the first one in every part
    foldable: bool = False  # a narrow terminal folds headings and intervals before it leaves out columns
    liftable: tuple[str, ...] = ()  # never left out, but a narrow terminal says a value once that all rows have


def print_tables(tables: Iterable[Table], width: int | None = None) -> None:
    """Print tables, fitted to the terminal, each with its notes below it, and empty lines between them.

    Args:
        tables: to print; a note that was printed with a table is not repeated.
        width: columns of the terminal; None: those of this terminal, and no limit where there is none.
    """
    width = width or console.terminal_width()
    printed: set[str] = set()
    for at, part in enumerate(part for table in tables for part in fit(table, width)):
        if at:
            console.print_result()
        if part.rows:
            console.print_table(part.title, part.columns, part.rows, width)
        for note in part.notes:
            for line in _wrap(note, width) if note not in printed else ():
                console.print_result(line)
        printed |= set(part.notes) if part.rows else set()


def print_markdown(tables: Iterable[Table]) -> None:
    """Print tables as Markdown; empty rows are left out."""
    for table in tables:
        if table.title:
            console.print_result(f"\n{markdown(table.title)}\n")
        console.print_result(markdown_row(map(markdown, table.columns)))
        console.print_result(markdown_row(["---"] * len(table.columns)))
        for row in table.rows:
            if any(row):
                console.print_result(markdown_row(map(markdown, row)))


def print_latex(tables: Iterable[Table]) -> None:
    """Print tables as tabulars that need no package but booktabs; empty rows become rules."""
    console.print_result(r"% \usepackage{booktabs}")
    for table in tables:
        step = COLUMNS_PER_TABULAR if table.splittable else len(table.columns)
        for start in range(1, len(table.columns), step):
            columns, *rows = _columns_of(table, start, start + step)
            lines = [latex_row(row) if any(row) else r"\midrule" for row in rows]
            head = [rf"\begin{{tabular}}{{{'l' * len(columns)}}}", r"\toprule", latex_row(columns), r"\midrule"]
            console.print_result("\n" + "\n".join([*head, *lines, r"\bottomrule", r"\end{tabular}"]))


def without(table: Table, *names: str) -> Table:
    """Return a table without some of its columns."""
    kept = [at for at, name in enumerate(table.columns) if name not in names]
    columns, *rows = [[row[at] for at in kept] for row in (table.columns, *table.rows)]
    return table._replace(columns=columns, rows=rows)


def lifted(table: Table, names: Sequence[str]) -> tuple[Table, str]:
    """Take out those of the columns that have one value in all rows; the rest, and their values in words."""
    common = _common(table._replace(droppable=tuple(names), liftable=()))
    return without(table, *common), _in_words(table, common)


def print_csv(records: Sequence[Mapping[str, Any]], empty: str = "") -> None:
    """Print records as CSV: plain numbers, None as an empty cell; ``empty``: the only column where there are none."""
    for row in (list(records[0]) if records else [empty], *(record.values() for record in records)):
        console.print_result(csv_row(row))


def interval_columns(name: str, number: Number, middle: str = "value") -> dict[str, Any]:
    """Spread a number with its interval over three columns of a record."""
    values = number or {}
    return {name: values.get(middle), f"{name}_low": values.get("low"), f"{name}_high": values.get("high")}


def fit(table: Table, width: int | None) -> list[Table]:
    """Fit a table to a terminal of ``width`` columns: it is split, or loses columns; then labels are shortened.

    A column with one value in all rows becomes a note before any is left out. A number is never cut. The last note says
    which columns are left out.
    """
    if width is None or not table.rows:
        return [table]
    if not table.splittable:
        return [_narrowed(table, width)]
    widths = _widths([[shortened(name, MAX_LABEL) for name in table.columns], *table.rows])
    widths[0] = min(widths[0], MAX_LABEL)
    parts: list[Table] = []
    start = 1
    while start < len(table.columns):
        stop = start + 1
        while stop < len(table.columns) and _fits([widths[0], *widths[start : stop + 1]], width):
            stop += 1
        columns, *rows = _columns_of(table, start, stop)
        title = table.title + (", continued" if parts else "")
        parts.append(_narrowed(table._replace(title=title, columns=columns, rows=rows), width))
        start = stop
    return parts


def _columns_of(table: Table, start: int, stop: int) -> list[Row]:
    """Return the head and the rows with the first column and those from ``start`` to ``stop``."""
    return [[row[0], *row[start:stop]] for row in (table.columns, *table.rows)]


def _narrowed(table: Table, width: int) -> Table:
    label = min(MAX_LABEL, max(width // 3, MIN_LABEL))
    page = [table.columns, *table.rows]
    if not table.foldable:
        page = _with_short_labels(page, table, label)

    def fits(page: Sequence[Row]) -> bool:
        return folded_widths(page, width) is not None if table.foldable else _fits(_widths(page), width)

    page, common = _without_columns(page, _common(table), fits)
    page, dropped = _without_columns(page, [name for name in table.droppable if name in page[0]], fits)
    whole = page
    while label > MIN_LABEL and not fits(page):
        label -= 1
        page = _with_short_labels(page, table, label)
    if table.foldable and not fits(page):  # its rows become lines, where no label needs to be short
        page = whole
    notes = list(table.notes)
    if common:
        notes.append(f"in every row: {_in_words(table, common)}")
    if dropped:
        notes.append(f"left out in this narrow terminal: {', '.join(dropped)}")
    return table._replace(columns=page[0], rows=page[1:], notes=notes)


def _common(table: Table) -> list[str]:
    """List the columns that have one value in all rows, and may leave the table."""
    values_of = dict(zip(table.columns, zip(*table.rows, strict=True), strict=True))
    names = [name for name in (*table.liftable, *table.droppable) if name in values_of]
    return [name for name in names if len(table.rows) > 1 and len(set(values_of[name])) == 1]


def _in_words(table: Table, common: Sequence[str]) -> str:
    """Name the columns that have one value in all rows, with it."""
    value_of = dict(zip(table.columns, table.rows[0], strict=True))
    return "; ".join(f"{name} {value_of[name]}" for name in common)


def _without_columns(
    page: list[Row], names: Sequence[str], fits: Callable[[Sequence[Row]], bool]
) -> tuple[list[Row], list[str]]:
    """Take columns from a page until it fits; the page, and the names of those that were taken."""
    taken: list[str] = []
    for name in names:
        if fits(page):
            break
        at = page[0].index(name)
        page = [row[:at] + row[at + 1 :] for row in page]
        taken.append(name)
    return page, taken


def _with_short_labels(page: Sequence[Row], table: Table, label: int) -> list[Row]:
    """Shorten the texts of label columns to ``label`` characters, and headings that are labels themselves."""
    columns, *rows = page
    short = [
        [shortened(cell, label) if name in table.labels else cell for name, cell in zip(columns, row, strict=True)]
        for row in rows
    ]
    fixed = columns if table.foldable else (*table.labels, *table.droppable)
    return [[name if name in fixed else shortened(name, max(label, 15)) for name in columns], *short]


def _widths(page: Sequence[Row]) -> list[int]:
    from rich.cells import cell_len

    return [max(map(cell_len, column)) for column in zip(*page, strict=True)]


def _fits(widths: Sequence[int], width: int) -> bool:
    """Check that a framed table with columns of these widths fits."""
    return sum(widths) + 3 * len(widths) + 1 <= width


def _wrap(note: str, width: int | None) -> list[str]:
    """Wrap a note to ``width``; a percent sign stays with its number."""
    if width is None:
        return [note]
    return [line.replace("\u00a0", " ") for line in textwrap.wrap(note.replace(" %", "\u00a0%"), width)]


def shortened(text: str, width: int) -> str:
    """Shorten a text to ``width`` cells of a terminal: two dots replace its middle."""
    from rich.cells import cell_len

    if cell_len(text) <= width:
        return text
    head = text[: len(text) // 2]
    tail = text[len(text) // 2 :]
    while cell_len(head) + cell_len(tail) + 2 > width and head + tail:
        if len(head) > len(tail):
            head = head[:-1]
        else:
            tail = tail[1:]
    return f"{head}..{tail}"


def seed_ranges(seeds: Sequence[int]) -> str:
    """Format seeds: ``0 to 7, 9``."""
    ranges: list[list[int]] = []
    for seed in seeds:
        if ranges and seed == ranges[-1][1] + 1:
            ranges[-1][1] = seed
        else:
            ranges.append([seed, seed])
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in ranges)


def decimals(number: Number, digits: int) -> str:
    """Format with fixed decimals: ``0.912 [0.900, 0.930]``; ``-`` where there is no number."""
    value, low, high = (finite((number or {}).get(name)) for name in ("value", "low", "high"))
    if value is None:
        return "-"
    value, low, high = (
        None if number is None else round(number, digits) + 0.0 for number in (value, low, high)
    )  # no -0.00
    around = "" if low is None or high is None else f" [{low:,.{digits}f}, {high:,.{digits}f}]"
    return f"{value:,.{digits}f}{around}"


def significant(number: Number, spread: float = 0.0) -> str:
    """Format with four figures of the largest of three: ``450.0 [445.8, 454.2]``; all have as many decimals.

    Args:
        number: with its interval.
        spread: a difference that has to show three figures, such as that of floor and ceiling; 0: none.
    """
    value, low, high = (finite((number or {}).get(name)) for name in ("value", "low", "high"))
    largest = max((abs(number) for number in (value, low, high) if number is not None), default=0.0)
    if value is None or largest == 0.0 or 1e-3 <= largest < 1e12:
        digits = [max(3 - _power(largest), 0) if largest else 0]
        digits += [min(max(2 - _power(spread), 0), MAX_DECIMALS)] if spread else []
        return decimals(number, max(digits))
    return f"{value:.4g}" + ("" if low is None or high is None else f" [{low:.4g}, {high:.4g}]")


def _power(size: float) -> int:
    """Return the power of ten of a positive number that is written with four figures: 2 for 99.9999."""
    return int(f"{size:.3e}".partition("e")[2])


def finite(value: float | None) -> float | None:
    """Return a finite number as it is, anything else as None."""
    return None if value is None or not math.isfinite(value) else float(value)
