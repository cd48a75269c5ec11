"""``engram report``: one report for every kind of stored experiment, as tables, figures, a page, CSV, LaTeX, Markdown.

Reads the lab only; nothing is run again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from simulator import console
from simulator.core.files.escaping import visible
from simulator.core.files.writing import check_place
from simulator.reporting import recall, runs, tournament

RUNS = "runs"
RECALL = "a recall benchmark"
TOURNAMENT = "a tournament"
OPTIONS = {  # kind of experiment -> options of the command that mean something for it
    RUNS: ("table", "csv", "latex", "picture", "agent", "env"),
    RECALL: ("table", "csv", "latex", "picture"),
    TOURNAMENT: ("table", "csv", "latex", "picture", "html", "force"),
}
FORMS: dict[str, dict[str, Callable[[Any], None]]] = {  # kind -> form -> printer
    RUNS: {"": runs.show, "table": runs.show_markdown, "csv": runs.show_csv, "latex": runs.show_latex},
    RECALL: {"": recall.show, "table": recall.show_markdown, "csv": recall.show_csv, "latex": recall.show_latex},
    TOURNAMENT: {
        "": tournament.show,
        "table": tournament.show_markdown,
        "csv": tournament.show_csv,
        "latex": tournament.show_latex,
    },
}


class Report(NamedTuple):
    """The report of stored experiments."""

    data: dict[str, Any]  # the JSON object of the command
    show: Callable[[Any], None]


def report(
    kind: str, result: Mapping[str, Any], form: str = "", html: str = "", picture: str = "", *, force: bool = False
) -> Report:
    """Write the files of a report, and return its data with the function that prints it.

    Args:
        kind: ``RUNS``, ``RECALL`` or ``TOURNAMENT``.
        result: their JSON object.
        form: of the printed tables: "table" (Markdown), "csv", "latex"; empty: for people.
        html: file of the page of a tournament; empty: named after it, unless a form or a picture is asked for.
        picture: file of the figures; empty: none.
        force: replace files that Engram did not write.

    Raises:
        ValueError: nothing to draw, or a place that is not to be written or cannot be; one line.
    """
    if kind == TOURNAMENT:
        html = html or ("" if form or picture else f"{result['tournament']}.html")
    if force and not (html or picture):
        raise ValueError("--force: nothing is written, expected --html or --picture beside it")
    if html and picture and os.path.realpath(html) == os.path.realpath(picture):
        raise ValueError(f"--html {html} --picture {picture}: expected two files")
    if html:
        check_place(Path(html), force=force)
    if picture:
        from simulator.reporting import figures

        draw = {RUNS: figures.draw_runs, RECALL: figures.draw_recall, TOURNAMENT: figures.draw_tournament}[kind]
        draw(result, Path(picture), force=force)
    if html:
        from simulator.reporting import html_page

        html_page.write_page(result, Path(html), force=force)

    def show(data: Any) -> None:
        if form or html or not picture:
            FORMS[kind][form](data)
        _tell_written([html, picture], aside=bool(form))

    files = {"picture": picture} if picture and kind != TOURNAMENT else {}
    return Report({**result, **files}, show)


def _tell_written(paths: Sequence[str], *, aside: bool) -> None:
    """Say which files are written; ``aside``: on stderr, since stdout is for the table."""
    for path in filter(None, paths):
        (console.print_status if aside else console.print_result)(visible(f"{path} is written"))
