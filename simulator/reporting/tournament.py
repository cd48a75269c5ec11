"""A tournament's summary as tables for people: who is better, how sure that is, and what failed.

Rows of one tier stand together and an empty line parts the tiers, so that nobody reads an order that the data do not
carry. Where a terminal is narrow, whole columns are left out in the order of ``DROPPED`` and wide tables are split;
a number is never cut.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from simulator import console
from simulator.reporting import tournament_text as rows_of
from simulator.reporting.tournament_export import show_csv, show_latex, show_markdown
from simulator.reporting.tournament_text import PLURALS, Row, Summary, decimals, plural, readable, shortened

__all__ = ["Section", "sections", "show", "show_csv", "show_latex", "show_markdown"]  # every form of the tables

DROPPED = (  # the first is the first to go; without the last one, empty lines still part the tiers
    *("lottery", "mean rank", "p (Holm)", "gap", "difference", "score", "first is better", "tier"),
)
LABELS = ("contestant", "first", "second")  # columns whose texts may be shortened
MOST_PAIRS, LABEL_AT_MOST, LABEL_AT_LEAST = 20, 32, 8
MEANINGS = (
    "strength: Bradley-Terry, in log odds; score: interquartile mean of the normalised scores, 0 at the floor and 1 at "
    "the ceiling; gap: how far the scores stay below 1 on average; lottery: share in the maximal lottery. "
    "Brackets hold {level} intervals over seeds."
)


class Section(NamedTuple):
    """A table and what is said below it; no rows: only the words."""

    title: str
    columns: Row
    rows: list[Row]  # an empty text everywhere: a line between tiers
    notes: list[str]


def show(summary: Summary, width: int | None = None) -> None:
    """Print the tournament for people.

    Args:
        summary: what ``engram tournament --json`` prints.
        width: columns of the terminal; None: those of this terminal, and no limit where there is none.
    """
    width, name = width or _room(), readable(summary)["tournament"]
    following = Section("", [], [], [f"next: engram report {name} - engram report {name} --table"])
    for section in [*sections(summary, width), following]:
        if section.rows:
            console.print_table(section.title, section.columns, section.rows)
        for note in section.notes:
            for line in _wrapped(note, width):
                console.print_result(line)
        if section is not following:
            console.print_result()


def sections(summary: Summary, width: int | None = None) -> list[Section]:
    """All that is printed, fitted to a terminal of ``width`` columns: rankings and scores, open pairs, failures."""
    summary = readable(summary)
    found = [Section("", [], [], [rows_of.headline(summary)])]
    for division in rows_of.divisions(summary):
        found += [_ranking(summary, division, width), *_scores(summary, division, width)]
        found += _undecided(summary, division, width)
    found += _matches(summary)
    failed = [rows_of.failure_line(each) for each in summary["failures"]]
    found += [Section("", [], [], failed)] if failed else []
    return _said_once(found)


def _said_once(found: list[Section]) -> list[Section]:
    """Without the notes that an earlier section has."""
    said: set[str] = set()
    told = []
    for section in found:
        told.append(section._replace(notes=[note for note in section.notes if note not in said]))
        said |= set(section.notes) if section.rows else set()
    return told


def _ranking(summary: Summary, division: str, width: int | None) -> Section:
    rows: list[Row] = []
    for tier in rows_of.by_tier(rows_of.ranking_rows(summary, division)):
        rows += [[""] * len(rows_of.RANKING)] * bool(rows) + tier
    columns, rows, left_out = _fitted(list(rows_of.RANKING), rows, width)
    notes = [rows_of.details(summary, division)["tiers_note"], *rows_of.cycle_lines(summary, division)]
    notes.append(MEANINGS.format(level=rows_of.level(summary)))
    return Section(f"ranking of {PLURALS.get(division, division)}", columns, rows, [*notes, *_left_out(left_out)])


def _scores(summary: Summary, division: str, width: int | None) -> list[Section]:
    """The score table, split by its columns where it is too wide."""
    columns, rows = rows_of.score_rows(summary, division)
    rows.insert(-4, [""] * len(columns))
    parts, n = [], len(columns)
    widths = _widths([[shortened(name, LABEL_AT_MOST) for name in columns], *rows])
    widths[0] = min(widths[0], LABEL_AT_MOST)
    start = 1
    while start < n:
        stop = start + 1
        while stop < n and _fits([widths[0], *widths[start : stop + 1]], width):
            stop += 1
        part = [[row[0], *row[start:stop]] for row in (columns, *rows)]
        fitted, body, _ = _fitted(part[0], part[1:], width)
        title = f"scores of {PLURALS.get(division, division)}, interquartile mean over seeds"
        parts.append(Section(title + (", continued" if start > 1 else ""), fitted, body, []))
        start = stop
    return parts


def _undecided(summary: Summary, division: str, width: int | None) -> list[Section]:
    pairs, n = rows_of.undecided(summary, division), len(rows_of.details(summary, division)["pairs"])
    if not pairs:
        return []
    rows = []
    for pair in pairs[:MOST_PAIRS]:
        numbers = (decimals(pair["probability"], 2), console.format_cell(pair["seeds_needed"]))
        less = (decimals(pair["difference"], 3), console.format_cell(pair["p_holm"]))
        rows.append([pair["first"], pair["second"], *numbers, *less])
    columns = ["first", "second", "first is better", "seeds needed", "difference", "p (Holm)"]
    columns, rows, left_out = _fitted(columns, rows, width)
    more = len(pairs) - len(rows)
    notes = [f"and {plural(more, 'pair')} more, in --json"] if more else []
    title = f"not decided among {PLURALS.get(division, division)}: {len(pairs)} of {plural(n, 'pair')}"
    return [Section(title, columns, rows, [*notes, *_left_out(left_out)])]


def _fitted(columns: Row, rows: list[Row], width: int | None) -> tuple[Row, list[Row], list[str]]:
    """The table in ``width`` columns: first columns are left out, then labels are shortened; what was left out."""
    left_out: list[str] = []
    if width is None:
        return columns, rows, left_out
    label = min(LABEL_AT_MOST, max(width // 3, LABEL_AT_LEAST))
    page = _short([columns, *rows], label)
    for name in DROPPED:
        if _fits(_widths(page), width):
            break
        if name in page[0]:
            at = page[0].index(name)
            page = [row[:at] + row[at + 1 :] for row in page]
            left_out.append(name)
    while label > LABEL_AT_LEAST and not _fits(_widths(page), width):
        label -= 1
        page = _short(page, label)
    return page[0], page[1:], left_out


def _short(page: Sequence[Row], label: int) -> list[Row]:
    """The page with labels at most ``label`` wide: of contestants in ``LABELS``, and headings."""
    heads = page[0]
    cells = [
        [shortened(cell, label) if head in LABELS else cell for head, cell in zip(heads, row, strict=True)]
        for row in page[1:]
    ]
    return [[head if head in (*LABELS, *DROPPED) else shortened(head, max(label, 15)) for head in heads], *cells]


def _widths(page: Sequence[Row]) -> list[int]:
    from rich.cells import cell_len

    return [max(map(cell_len, column)) for column in zip(*page, strict=True)]


def _fits(widths: Sequence[int], width: int | None) -> bool:
    """Whether a table with a frame and columns of these widths has room."""
    return width is None or sum(widths) + 3 * len(widths) + 1 <= width


def _matches(summary: Summary) -> list[Section]:
    """Who met whom in games: means over seeds, exact payoffs and exploitability where they are known."""
    known = [name for name in ("expected", "exploitability") if any(each[name] for each in summary.get("matches", ()))]
    rows = [
        [each["first"], each["second"], each["challenge"], *(_both(each[name]) for name in ("scores", *known))]
        for each in summary.get("matches", ())
    ]
    titles = {"expected": "exactly", "exploitability": "a best reply earns"}
    columns = ["first", "second", "game", "they scored", *(titles[name] for name in known)]
    return [Section("matches, means over seeds", columns, rows, [])] if rows else []


def _both(sides: Sequence[float | None] | None) -> str:
    """The numbers of both sides."""
    return " and ".join("-" if side is None else f"{side:.3f}" for side in sides) if sides else "-"


def _left_out(names: Sequence[str]) -> list[str]:
    return [f"left out in this narrow terminal: {', '.join(names)}"] if names else []


def _wrapped(note: str, width: int | None) -> list[str]:
    """The note on lines of ``width``; a percent sign stays with its number."""
    if width is None:
        return [note]
    return [line.replace("\u00a0", " ") for line in textwrap.wrap(note.replace(" %", "\u00a0%"), width)]


def _room() -> int | None:
    if not sys.stdout.isatty():
        return None
    from rich.console import Console

    return Console().width
