"""A tournament as one HTML file that needs nothing else: no scripts, no fonts, no pictures from anywhere.

The template stands beside this file (``page.html.j2``); everything in it is escaped, and pictures are SVG elements of
the page, with colours that follow its light or dark style. The same summary gives the same bytes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from simulator.core.files.writing import check_place, write_file
from simulator.reporting import tournament_text as rows_of
from simulator.reporting.figure_panels import KINDS, Picture, even_parts, pictures_of
from simulator.reporting.tournament_text import PLURALS, Row, Summary, decimals, readable
from simulator.views.style import duration

ACROSS = 5  # challenges beside each other in a table
MOST_PAIRS = 60
_DASHES = ("none", "10 4", "2 3", "11 4 2.5 4", "6 2.5", "17 4 6 4")  # of the legend, as in panels


def write_page(summary: Summary, path: Path, *, force: bool = False, in_lab: bool = False) -> None:
    """Write the page into a file; see :func:`simulator.core.files.writing.write_file`.

    Args:
        summary: what ``engram tournament --json`` prints.
        path: the file; one without an ending is sealed like one that ends in .html.
        force: replace a file that Engram did not write.
        in_lab: the place is Engram's own, inside a lab.

    Raises:
        ValueError: the place is not to be written, or cannot be.
    """
    check_place(path, force=force, in_lab=in_lab)
    write_file(path, page(summary).encode(), force=force, in_lab=in_lab, kind=".html")


def page(summary: Summary) -> str:
    """The page as text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).parent)
    jinja = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    told = readable(summary)
    return jinja.get_template("page.html.j2").render(
        told=told,
        title=told["label"] or told["tournament"],
        headline=rows_of.headline(told),
        took=[duration(told[name] or 0.0) for name in ("seconds", "cpu_seconds")],
        boards=[_board(told, division) for division in rows_of.divisions(told)],
        charts={
            kind: [_chart(picture, f"{kind}{at}") for at, picture in enumerate(pictures_of(told, kind))]
            for kind in KINDS
        },
        failures=[{**each, "seeds": rows_of.spans(each["seeds"])} for each in told["failures"]],
        sure=rows_of.level(told),
        command=command(told["tournament"], told["settings"]),
    )


def command(tournament: str, settings: str) -> str:
    """What to type to repeat it: the settings as a file, and the command. A shell takes it as it is."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", tournament).lstrip("-") or "tournament"
    end, lines = "END", settings.splitlines()
    while end in lines:
        end += "_"
    return "\n".join([f"cat > {name}.toml <<'{end}'", *lines, end, f"engram tournament {name}.toml"])


def _board(told: Summary, division: str) -> dict[str, Any]:
    """The tables of one division."""
    columns, rows = rows_of.score_rows(told, division)
    open_pairs = rows_of.undecided(told, division)
    found = rows_of.details(told, division)
    return {
        "name": PLURALS.get(division, division),
        "note": found["tiers_note"],
        "cycles": rows_of.cycle_lines(told, division),
        "tiers": rows_of.by_tier(rows_of.ranking_rows(told, division)),
        "scores": [_part(columns, rows, *each) for each in even_parts(len(columns) - 1, ACROSS)],
        "pairs": [_pair(pair) for pair in open_pairs[:MOST_PAIRS]],
        "more_pairs": max(len(open_pairs) - MOST_PAIRS, 0),
        "open": len(open_pairs),
        "n_pairs": len(found["pairs"]),
    }


def _part(columns: Row, rows: list[Row], start: int, stop: int) -> dict[str, Any]:
    """A few challenges of the score table; marks are the rows of floor and ceiling."""
    page = [[row[0], *row[1 + start : 1 + stop]] for row in (columns, *rows)]
    return {"columns": page[0], "rows": page[1:-4], "marks": page[-4:]}


def _pair(pair: Summary) -> Row:
    needed = "-" if pair["seeds_needed"] is None else f"{pair['seeds_needed']:,}"
    chance, less = decimals(pair["probability"], 2), decimals(pair["difference"], 3)
    p = "-" if pair["p_holm"] is None else f"{pair['p_holm']:.2g}"
    return [pair["first"], pair["second"], chance, less, p, needed]


def _chart(picture: Picture, name: str) -> dict[str, Any]:
    """A picture: its panels as SVG elements, and its legend."""
    from markupsafe import Markup

    from simulator.reporting.figures import svg

    panels = []
    for at, panel in enumerate(picture.panels):
        label = f"{picture.title}: {panel.title}" if panel.title else picture.title
        panels.append(Markup(svg(panel, f"{name}-{at}", label)))  # whoever wrote the XML has escaped its texts
    legend = [(entry.label, at, _DASHES[at]) for at, entry in enumerate(picture.legend)]
    return {"title": picture.title, "note": picture.note, "panels": panels, "legend": legend}
