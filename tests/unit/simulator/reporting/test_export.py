"""Tests of tournaments as Markdown, CSV and LaTeX: read back by other programs."""

from __future__ import annotations

import csv
import io
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.core.experiment_kinds import TOURNAMENT
from simulator.core.files.escaping import latex
from simulator.reporting import report, tournament
from simulator.reporting.figures import svg
from simulator.reporting.html_page import write_page
from simulator.reporting.tournament import show_latex, show_markdown
from simulator.reporting.tournament_figures import pictures_of
from tests.helpers.tournament_summaries import HOSTILE, analyzed, summary


def test_markdown_tables_have_as_many_cells_in_every_row(capsys):
    show_markdown(summary(("a|b", *HOSTILE)))
    blocks = [block.splitlines() for block in capsys.readouterr().out.split("\n\n") if block.startswith("|")]
    assert [len(block) for block in blocks] == [9, 13]
    for block in blocks:
        assert len({line.replace("\\|", "").count("|") for line in block}) == 1
    assert blocks[0][2].startswith(r"| 1 | a\|b | 1.50 [1.10, 1.90] |")
    assert r"\<script\>alert(1)\</script\>" in blocks[0][3]
    assert r"\$\\alpha\$\_{x}" in blocks[0][4]


def test_csv_is_one_tidy_table(capsys):
    report.show_csv(TOURNAMENT, summary(("dqn", 'a "quoted", name'), seeds=1))
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["contestant"], row["challenge"]) for row in rows] == [
        (name, env) for name in ("dqn", 'a "quoted", name') for env in ("CartPole-v1", "rooms")
    ]
    assert float(rows[0]["raw_iqm"]) == 450.0
    assert rows[0]["raw_iqm_low"] == ""
    assert (rows[1]["ceiling"], rows[1]["ceiling_is"], rows[1]["threshold"]) == ("1000.0", "exact optimum", "")
    assert {row["overall_tier"] for row in rows} == {"1"}


def test_csv_keeps_every_digit_of_an_analysis(capsys):
    found = analyzed()
    report.show_csv(TOURNAMENT, found)
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [float(row["normalised_iqm"]) for row in rows] == [
        each["normalised"]["iqm"]["value"] for each in found["scores"]
    ]
    assert [int(row["seeds"]) for row in rows][:2] == [5, 6]


def test_csv_of_nothing_is_a_heading(capsys):
    report.show_csv(TOURNAMENT, summary(ranking=[], scores=[], divisions=[]))
    assert capsys.readouterr().out == "tournament\n"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a_b 5% & #1 $x$ {y}", r"a\_b 5\% \& \#1 \$x\$ \{y\}"),
        ("\\~^", r"\textbackslash{}\textasciitilde{}\textasciicircum{}"),
        ("-0.5 [-1, 2] a-b", r"$-$0.5 {[}$-$1, 2{]} a{-}b"),
        ("naïve \u03b1", "naive {?}"),
        ("*<a>|\"'`", r"{*}\textless{}a\textgreater{}\textbar{}''{'}{`}"),
    ],
)
def test_latex_escapes(text, escaped):
    assert latex(text) == escaped


@given(st.text())
def test_latex_of_any_text_is_plain_and_balanced(text):
    found = latex(text)
    assert found.isascii()
    bare = found.replace(r"\{", "").replace(r"\}", "")
    depth = 0
    for sign in bare:
        depth += (sign == "{") - (sign == "}")
        assert depth >= 0
    assert depth == 0
    assert not set("%&#") & set(bare.replace(r"\%", "").replace(r"\&", "").replace(r"\#", ""))


def test_latex_tabulars_are_closed_and_tiers_are_parted(capsys):
    show_latex(summary(("a", "b", "c", "[d]"), [f"w{m}" for m in range(4)]))
    text = capsys.readouterr().out
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == text.count(r"\toprule") == 3
    tabular = text.split(r"\end{tabular}")[0].splitlines()
    assert tabular[0] == r"% \usepackage{booktabs}"
    body = tabular[tabular.index(r"\midrule") + 1 : tabular.index(r"\bottomrule")]
    assert [line.split(" & ")[0] for line in body] == ["1", "1", r"\midrule", "2", "2"]
    assert body[-1].startswith("2 & {[}d{]} & ")
    assert all(line.count(" & ") == 4 for line in body if line != r"\midrule")


@pytest.mark.slow
@pytest.mark.parametrize("n_without", [1, 3])
def test_a_contestant_without_score_is_in_no_tier_in_any_format(n_without, capsys, tmp_path):
    found = summary()
    for each in found["ranking"][-n_without:]:
        none = {"value": None, "low": None, "high": None}
        each |= {"tier": None, "strength": none, "mean_rank": none, "lottery": None, "score": None}
    for show in (tournament.show, show_markdown, partial(report.show_csv, TOURNAMENT), show_latex):
        show(found)
    said = capsys.readouterr().out
    assert "None" not in said
    assert said.count("| - | random_walk | - |") == 1
    assert r"{-} & random\_walk & {-} & {-} & {-} \\" in said
    write_page(found, tmp_path / "t1.html")
    page = (tmp_path / "t1.html").read_text()
    assert "None" not in page
    assert page.count('<td class="number">-</td><td class="name">random_walk</td>') == 1
    drawn = [svg(panel, "a", each.title) for each in pictures_of(found, "tiers") for panel in each.panels]
    assert [("no tier" in each, "None" in each) for each in drawn] == [(True, False)] * (n_without < 3)
