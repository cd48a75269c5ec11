"""Report of a tournament as one self-contained HTML file.

The template stands beside this file (``page.html.j2``); everything in it is escaped, and pictures are SVG elements of
the page, with colours that follow its light or dark style. The same summary gives the same bytes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from simulator.core.files.writing import check_place, write_file
from simulator.reporting import tournament
from simulator.reporting.figures import KINDS, Picture, even_parts, pictures_of, svg
from simulator.reporting.tables import Row, decimals, seed_ranges
from simulator.reporting.tournament import PLURALS, Summary, readable
from simulator.views.style import duration

CHALLENGES_PER_TABLE = 5
MAX_PAIRS = 60
PAIRS = ("first", "second", "P(first > second)", "difference", "p (Holm)", "seeds needed")
_DASHES = ("none", "10 4", "2 3", "11 4 2.5 4", "6 2.5", "17 4 6 4")  # of the legend, as in panels


def write_page(summary: Summary, path: Path, *, force: bool = False, in_lab: bool = False) -> None:
    """Write the page into a file; see :func:`simulator.core.files.writing.write_file`.

    Args:
        summary: the JSON object of ``engram tournament``.
        path: the file; one without an ending is marked as Engram's like one that ends in .html.
        force: replace a file that Engram did not write.
        in_lab: the place is Engram's own, inside a lab.

    Raises:
        ValueError: the place is not to be written, or cannot be.
    """
    check_place(path, force=force, in_lab=in_lab)
    write_file(path, page(summary).encode(), force=force, in_lab=in_lab, kind=".html")


def page(summary: Summary) -> str:
    """Render the page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).parent)
    jinja = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    summary = readable(summary)
    return jinja.get_template("page.html.j2").render(
        summary=summary,
        title=summary["label"] or summary["tournament"],
        headline=tournament.headline(summary),
        wall_time=duration(summary["seconds"] or 0.0),
        cpu_time=duration(summary["cpu_seconds"] or 0.0),
        ranking_columns=tournament.RANKING,
        pair_columns=PAIRS,
        boards=[_board(summary, division) for division in tournament.divisions(summary)],
        charts={
            kind: [_chart(picture, f"{kind}{at}") for at, picture in enumerate(pictures_of(summary, kind))]
            for kind in KINDS
        },
        failures=[{**failure, "seeds": seed_ranges(failure["seeds"])} for failure in summary["failures"]],
        confidence=tournament.confidence(summary),
        command=command(summary["tournament"], summary["settings"]),
    )


def command(tournament: str, settings: str) -> str:
    """Return shell lines that repeat it: the settings as a file, and the command."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", tournament).lstrip("-") or "tournament"
    lines = settings.splitlines()
    end = "END"
    while end in lines:
        end += "_"
    return "\n".join([f"cat > {name}.toml <<'{end}'", *lines, end, f"engram tournament {name}.toml"])


def _board(summary: Summary, division: str) -> dict[str, Any]:
    """Return the tables of one division."""
    columns, rows, scale = tournament.score_table(summary, division)
    undecided = tournament.undecided(summary, division)
    scores = []
    for start, stop in even_parts(len(columns) - 1, CHALLENGES_PER_TABLE):
        head, *page = [[row[0], *row[1 + start : 1 + stop]] for row in (columns, *rows, *scale)]
        scores.append({"columns": head, "rows": page[: len(rows)], "scale": page[len(rows) :]})
    return {
        "name": PLURALS.get(division, division),
        "note": tournament.details(summary, division)["tiers_note"],
        "cycles": tournament.cycle_lines(summary, division),
        "tiers": tournament.by_tier(tournament.ranking_rows(summary, division)),
        "scores": scores,
        "pairs": [_pair(pair) for pair in undecided[:MAX_PAIRS]],
        "n_more_pairs": max(len(undecided) - MAX_PAIRS, 0),
        "undecided_title": tournament.undecided_title(summary, division),
    }


def _pair(pair: Summary) -> Row:
    """Return a row, columns ``PAIRS``."""
    probability = decimals(pair["probability"], 2)
    difference = decimals(pair["difference"], 3)
    p = "-" if pair["p_holm"] is None else f"{pair['p_holm']:.2g}"
    n_seeds = "-" if pair["seeds_needed"] is None else f"{pair['seeds_needed']:,}"
    return [pair["first"], pair["second"], probability, difference, p, n_seeds]


def _chart(picture: Picture, name: str) -> dict[str, Any]:
    """Return a picture: its panels as SVG elements, and its legend."""
    from markupsafe import Markup

    panels = []
    for at, panel in enumerate(picture.panels):
        label = f"{picture.title}: {panel.title}" if panel.title else picture.title
        panels.append(Markup(svg(panel, f"{name}-{at}", label)))  # ElementTree has escaped its texts
    legend = [(entry.label, at, _DASHES[at]) for at, entry in enumerate(picture.legend)]
    return {"title": picture.title, "note": picture.note, "panels": panels, "legend": legend}
