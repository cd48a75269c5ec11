"""``engram report``: one report for every kind of stored experiment, as tables, figures, a page, CSV, LaTeX, Markdown.

Reads the lab only; nothing is run again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from simulator import console
from simulator.core.experiment_kinds import PLAY, PREDICT, RECALL, RUN, TOURNAMENT, TUNE, noun_of
from simulator.core.files.escaping import visible
from simulator.core.files.writing import check_place
from simulator.reporting import play, predict, recall, runs, tournament, tune
from simulator.reporting.tables import print_csv

_FORMS = ("table", "csv", "latex", "rows", "picture", "html")
OPTIONS = {  # kind of experiment -> options of the command that mean something for it
    RUN: (*_FORMS, "agent", "env"),
    RECALL: _FORMS,
    PREDICT: _FORMS,
    TOURNAMENT: (*_FORMS, "force"),
    TUNE: ("table", "csv", "latex", "picture"),
    PLAY: ("table", "csv", "latex"),
}
FORMS: dict[str, dict[str, Callable[[Any], None]]] = {  # kind -> form -> printer
    RUN: {"": runs.show, "table": runs.show_markdown, "latex": runs.show_latex},
    RECALL: {"": recall.show, "table": recall.show_markdown, "latex": recall.show_latex},
    PREDICT: {"": predict.show, "table": predict.show_markdown, "latex": predict.show_latex},
    TOURNAMENT: {"": tournament.show, "table": tournament.show_markdown, "latex": tournament.show_latex},
    TUNE: {"": tune.show, "table": tune.show_markdown, "latex": tune.show_latex},
    PLAY: {"": play.show, "table": play.show_markdown, "latex": play.show_latex},
}
ROWS: dict[str, dict[str, Callable[[Any], Iterator[dict[str, Any]]]]] = {  # kind -> rows -> records of --csv
    RUN: {"summary": runs.records, "seeds": runs.seed_records, "curves": runs.curve_records},
    RECALL: {"seeds": recall.records, "summary": recall.summary_records, "curves": recall.curve_records},
    PREDICT: {"seeds": predict.records, "summary": predict.summary_records},
    TOURNAMENT: {
        "summary": tournament.records,
        "seeds": tournament.seed_records,
        "curves": tournament.curve_records,
    },
    TUNE: {"summary": tune.records},
    PLAY: {"seeds": play.records},
}  # the first of a kind is its default


def name_of(kind: str) -> str:
    """Name what is reported together: ``a recall benchmark``, ``training runs``."""
    return "training runs" if kind == RUN else f"a {noun_of(kind)}"


class Report(NamedTuple):
    """The report of stored experiments."""

    data: dict[str, Any]  # the JSON object of the command
    show: Callable[[Any], None]


def report(
    kind: str,
    result: Mapping[str, Any],
    form: str = "",
    html: str = "",
    picture: str = "",
    *,
    force: bool = False,
    rows: str = "",
) -> Report:
    """Write the files of a report, and return its data with the function that prints it.

    Args:
        kind: of these experiments; of runs the result may be of several.
        result: their JSON object; for a page with all settings.
        form: of the printed tables: "table" (Markdown), "csv", "latex"; empty: for people, unless a file is asked for.
        html: file of the page; empty: none, of a tournament one that is named after it, unless a form or a picture is
            asked for.
        picture: file of the figures; empty: none.
        force: replace files that Engram did not write.
        rows: of the CSV, one of ``ROWS``; empty: the default of the kind.

    Raises:
        ValueError: nothing to draw, or a place that is not to be written or cannot be; one line.
    """
    prints = bool(form) or not (html or picture)
    if kind == TOURNAMENT:
        html = html or ("" if form or picture else f"{result['tournament']}.html")
    if force and not (html or picture):
        raise ValueError("--force: nothing is written, expected --html or --picture beside it")
    if html and picture and os.path.realpath(html) == os.path.realpath(picture):
        raise ValueError(f"--html {html} --picture {picture}: expected two files")
    if html:
        check_place(Path(html), force=force)
    if picture:
        _draw(kind, result, Path(picture), force=force)
    if html:
        from simulator.reporting import html_page

        html_page.write_page(result, Path(html), kind, force=force)

    def show(data: Any) -> None:
        if form == "csv":
            show_csv(kind, data, rows)
        elif prints:
            FORMS[kind][form](data)
        _tell_written([html, picture], aside=bool(form))

    files = {"picture": picture} if picture and kind != TOURNAMENT else {}
    return Report({**result, **files}, show)


def show_csv(kind: str, data: Mapping[str, Any], rows: str = "") -> None:
    """Print one tidy table as CSV: a line for each of ``ROWS``; empty: the default of the kind."""
    if rows and rows not in ROWS[kind]:
        raise ValueError(f"--rows {rows}: not for {name_of(kind)}, expected {' or '.join(ROWS[kind])}")
    make_records = ROWS[kind][rows or next(iter(ROWS[kind]))]
    records = list(make_records(tournament.readable(data) if kind == TOURNAMENT else data))
    print_csv(records, "tournament" if kind == TOURNAMENT else "run")
    if not records:
        console.print_status("engram: there are no such rows to print, only the heading")


def _draw(kind: str, result: Mapping[str, Any], path: Path, *, force: bool) -> None:
    """Draw all pictures of a report into one file, and say what there is no picture of."""
    from simulator.reporting import plot

    drawing = plot.drawing_of(kind, result)
    plot.draw(drawing, path, force=force)
    for line in drawing.left_out:
        console.print_status(visible(line))


def _tell_written(paths: Sequence[str], *, aside: bool) -> None:
    """Say which files are written; ``aside``: on stderr, since stdout is for the table."""
    for path in filter(None, paths):
        (console.print_status if aside else console.print_result)(visible(f"{path} is written"))
