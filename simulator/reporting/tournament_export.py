"""A tournament's summary for other programs and for papers: Markdown, CSV and LaTeX."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from simulator import console
from simulator.core.files.escaping import csv_row, latex_row, markdown, markdown_row
from simulator.reporting.tournament_text import (
    PLURALS,
    RANKING,
    Number,
    Summary,
    by_tier,
    divisions,
    headline,
    level,
    ranking_rows,
    readable,
    score_rows,
)

PER_TABULAR = 3  # challenges beside each other on a printed page
ON_PAPER = ("tier", "contestant", "strength", "score", "mean rank")  # what a page has room for


def show_markdown(summary: Summary) -> None:
    """Print the rankings and the scores as Markdown tables."""
    summary = readable(summary)
    console.print_result(markdown(headline(summary)))
    for division in divisions(summary):
        heads, rows = score_rows(summary, division)
        console.print_result(f"\n**{PLURALS.get(division, division)}**, with {level(summary)} intervals over seeds\n")
        _markdown(RANKING, [row for _, row in ranking_rows(summary, division)])
        console.print_result("\nInterquartile mean of the final scores over seeds\n")
        _markdown(heads, rows)


def show_csv(summary: Summary) -> None:
    """Print one tidy table: a line for each contestant and challenge, the contestant's overall figures repeated.

    Numbers are plain, an interval has columns of its own (``_low``, ``_high``), and what is not known is empty.
    """
    rows = list(_tidy(readable(summary)))
    for row in (rows[0] if rows else ["tournament"], *(each.values() for each in rows)):
        console.print_result(csv_row(row))


def show_latex(summary: Summary) -> None:
    """Print the rankings (``ON_PAPER`` of them) and the scores as tabulars that need no package but booktabs."""
    summary = readable(summary)
    console.print_result(r"% \usepackage{booktabs}")
    for division in divisions(summary):
        kept, lines = [RANKING.index(name) for name in ON_PAPER], []
        for tier in by_tier(ranking_rows(summary, division)):
            lines += [r"\midrule"] * bool(lines) + [latex_row([row[at] for at in kept]) for row in tier]
        console.print_result(_tabular(ON_PAPER, lines))
        heads, rows = score_rows(summary, division)
        for start in range(1, len(heads), PER_TABULAR):
            part = [[row[0], *row[start : start + PER_TABULAR]] for row in (heads, *rows)]
            body = [*map(latex_row, part[1:-4]), r"\midrule", *map(latex_row, part[-4:])]
            console.print_result("\n" + _tabular(part[0], body))


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    console.print_result(markdown_row(map(markdown, columns)))
    console.print_result(markdown_row(["---"] * len(columns)))
    for row in rows:
        console.print_result(markdown_row(map(markdown, row)))


def _tabular(columns: Sequence[str], lines: Sequence[str]) -> str:
    head = [rf"\begin{{tabular}}{{{'l' * len(columns)}}}", r"\toprule", latex_row(columns), r"\midrule"]
    return "\n".join([*head, *lines, r"\bottomrule", r"\end{tabular}"])


def _tidy(summary: Summary) -> Iterator[dict[str, Any]]:
    """A row for each contestant and challenge, by column."""
    standing = {each["contestant"]: each for each in summary["ranking"]}
    marks = {each["label"]: each for each in summary["challenges"]}
    for score in summary["scores"]:
        own, mark = standing.get(score["contestant"], {}), marks.get(score["challenge"], {})
        row = {"tournament": summary["tournament"], "division": own.get("division")}
        row |= {name: score[name] for name in ("contestant", "challenge", "seeds")}
        for scale in ("raw", "normalised"):
            for kind in ("iqm", "mean", "median", "optimality_gap"):
                if scale == "normalised" or kind != "optimality_gap":
                    row |= _three(f"{scale}_{kind}", (score[scale] or {}).get(kind))
        row |= _three("auc", score["auc"]) | _three("first_solve", score["first_solve"], "median")
        row |= {"solved": (score["first_solve"] or {}).get("fraction")} | _three("stayed", score["stayed"], "mean")
        row |= {name: mark.get(name) for name in ("floor", "floor_is", "ceiling", "ceiling_is", "threshold")}
        row |= {f"overall_{name}": own.get(name) for name in ("tier", "wins", "lottery", "left_out")}
        row |= _three("overall_strength", own.get("strength")) | _three("overall_mean_rank", own.get("mean_rank"))
        overall = own.get("score") or {}
        row |= _three("overall_iqm", overall.get("iqm")) | _three("overall_gap", overall.get("optimality_gap"))
        yield row


def _three(name: str, number: Number, middle: str = "value") -> dict[str, Any]:
    """A number with its interval, in three columns."""
    told = number or {}
    return {name: told.get(middle), f"{name}_low": told.get("low"), f"{name}_high": told.get("high")}
