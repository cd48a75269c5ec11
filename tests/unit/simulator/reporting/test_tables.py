"""Tests of tables of tournaments: exact text, every width, and untrusted labels."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from simulator.reporting import tournament
from simulator.reporting.tables import MIN_LABEL, Table, decimals, fit, seed_ranges, shortened, significant
from simulator.reporting.tournament import show, tables
from tests.helpers.commands import TerminalStream
from tests.helpers.tournament_summaries import HOSTILE, analyzed, summary

GOLDEN = Path(__file__).parent / "golden"
FAILED = {
    "contestant": "dqn",
    "challenge": "rooms",
    "seeds": [3, 4, 5, 7],
    "reason": "it diverged",
    "counted_as": "floor",
}
NUMBER = re.compile(r"-?\d[\d,.]*( \[-?[\d,.]+, -?[\d,.]+\])?( \(\d+ seeds?\))?|-|\d+%|")


def printed(monkeypatch, width: int, found: dict) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    screen = TerminalStream()
    monkeypatch.setattr(sys, "stdout", screen)
    show(found)
    monkeypatch.undo()
    return [re.sub("\x1b\\[[0-9;]*m", "", line).rstrip() for line in screen.getvalue().splitlines()]


def test_golden_text(monkeypatch):
    lines = printed(monkeypatch, 80, summary(failures=[FAILED]))
    assert lines == (GOLDEN / "standings-80.txt").read_text("utf-8").splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("names", [("dqn", "a_rather_long_name_of_a_contestant_that_goes_on"), HOSTILE])
def test_every_width_shows_whole_numbers(monkeypatch, width, names):
    found = summary(names, [f"Challenge-with-a-name-{i}-v0" for i in range(3)], failures=[FAILED])
    lines = printed(monkeypatch, width, found)
    assert max(map(cell_len, lines)) <= width
    cells = [cell.strip() for line in lines if line.startswith("│") for cell in line.strip("│").split("│")]
    whole = [cell for cell in cells if re.match(r"-?\d", cell) and cell not in names and not cell.startswith("100")]
    assert len(whole) > 10
    assert all(NUMBER.fullmatch(cell) for cell in whole)
    assert all(c.isprintable() for line in lines for c in line)


def test_columns_go_in_the_stated_order_and_are_named():
    found = summary()
    seen = [fit(tables(found)[1], width)[0] for width in (200, 90, 80, 60, 50)]
    assert [len(section.columns) for section in seen] == [7, 5, 4, 3, 3]
    assert seen[0].columns == list(tournament.RANKING)
    assert seen[-1].notes[-1] == "left out in this narrow terminal: lottery share, mean rank, optimality gap, score"


def test_a_tier_stands_together_and_an_empty_line_parts_tiers():
    rows = tables(summary(("a", "b", "c", "d", "e")))[1].rows
    assert [row[:2] for row in rows] == [["1", "a"], ["1", "b"], ["", ""], ["2", "c"], ["2", "d"], ["", ""], ["3", "e"]]


def test_scores_stand_next_to_floor_and_ceiling_which_are_named():
    columns, rows, scale = tournament.score_table(summary(), "agent")
    assert columns == ["contestant", "CartPole-v1", "rooms"]
    assert rows[0] == ["dqn", "450.0 [445.8, 454.2]", "900.0 [895.8, 904.2]"]
    assert scale == [
        ["floor (= 0)", "20.00", "40.00"],
        ["normalised by", "measured random play", "measured random play"],
        ["ceiling (= 1)", "500.0", "1,000"],
        ["normalised by", "registered threshold", "exact optimum"],
    ]


def test_wide_score_tables_are_split_and_lose_nothing():
    found = summary(challenges=[f"env_{m}" for m in range(9)])
    (scores,) = [table for table in tables(found) if table.title.startswith("scores")]
    parts = fit(scores, 80)
    assert len(parts) > 2
    assert [name for part in parts for name in part.columns[1:]] == [f"env_{m}" for m in range(9)]
    assert {part.columns[0] for part in parts} == {"contestant"}


def test_undecided_pairs_failures_and_cycles_are_listed():
    found = summary(failures=[FAILED])
    found["divisions"][0]["cycles"] = [["dqn", "q_learning", "random_walk"]]
    shown = tables(found)
    assert shown[-1].notes == ["failed: dqn in rooms, seeds 3 to 5, 7: it diverged (counted as: floor)"]
    assert shown[-2].title == "no significant difference: 2 of 3 pairs of agents"
    assert shown[-2].rows[0] == ["dqn", "q_learning", "0.62 [0.57, 0.67]", "23", "0.080 [0.030, 0.130]", "0.4"]
    assert "cycle: dqn beats q_learning beats random_walk beats dqn: no order agrees with every pair" in shown[1].notes


def test_many_open_pairs_are_cut_short_and_counted():
    found = summary([f"agent_{i}" for i in range(30)])
    shown = next(table for table in tables(found) if table.title.startswith("no significant"))
    assert len(shown.rows) == tournament.MAX_PAIRS
    assert shown.notes[0] == "and 9 pairs more, in --json"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ({"value": 450.0, "low": 445.75, "high": 454.25}, "450.0 [445.8, 454.2]"),
        ({"value": 1350.0, "low": 1345.5, "high": 1354.6}, "1,350 [1,346, 1,355]"),
        ({"value": -0.00012, "low": None, "high": None}, "-0.00012"),
        ({"value": 0.0, "low": -0.5, "high": 0.5}, "0.0000 [-0.5000, 0.5000]"),
        ({"value": 0.0, "low": None, "high": None}, "0"),
        ({"value": 1e200, "low": 1e199, "high": 1e201}, "1e+200 [1e+199, 1e+201]"),
        ({"value": float("nan"), "low": 0.0, "high": 1.0}, "-"),
        (None, "-"),
    ],
)
def test_figures(number, text):
    assert significant(number) == text


def test_decimals_tell_the_score_from_the_bound():
    near = {"value": 99.99999999, "low": 99.99998, "high": 100.0}
    assert significant(near) == "100.0 [100.0, 100.0]"
    assert significant(near, 0.00032) == "100.000000 [99.999980, 100.000000]"
    assert significant({"value": 450.0}, 480.0) == "450.0"


def test_decimals_have_no_negative_nought():
    assert decimals({"value": -0.0004, "low": -0.01, "high": 0.0}, 2) == "0.00 [-0.01, 0.00]"


def test_seeds_and_labels_in_few_words():
    assert seed_ranges([0, 1, 2, 5, 7, 8]) == "0 to 2, 5, 7 to 8"
    assert seed_ranges([]) == ""
    assert shortened("abcdefghij", MIN_LABEL) == "abc..hij"
    assert shortened("日本語日本語", 8) == "日本..語"


def test_settings_keep_their_lines_and_everything_else_is_on_one():
    found = tournament.readable(summary(settings="confidence = 0.9\n\ta = 1\x1b", label="two\nlines\x00"))
    assert found["settings"] == "confidence = 0.9\n        a = 1\\x1b"
    assert found["label"] == r"two lines\x00"
    assert tournament.confidence(found) == "95 %"  # it is not TOML any more
    assert tournament.confidence(summary(settings="confidence = 0.9")) == "90 %"


def test_an_analysis_is_shown():
    found = analyzed()
    shown = tables(found)
    assert [row[1] for row in shown[1].rows if row[1]] == [each["contestant"] for each in found["ranking"]]
    first = next(table for table in shown if table.title.startswith("scores"))
    assert first.rows[0][1].endswith("(5 seeds)")
    assert shown[-1].notes == ["failed: agent_0 in env_0, seed 1: it diverged (counted as: left out)"]


def test_a_tournament_without_results_is_a_sentence(capsys):
    cells = {"planned": 6, "done": 0, "failed": 0, "missing": 6}
    show(summary(status="interrupted", cells=cells, ranking=[], scores=[], divisions=[]))
    assert capsys.readouterr().out.startswith("t1 (classic), interrupted: 0 of 6 cells, 6 missing; 3 contestants")


def test_one_seed_has_no_intervals():
    text = str([fit(table, 80) for table in tables(summary(seeds=1))])
    assert "[0." not in text
    assert "450.0" in text


def test_a_value_that_all_rows_have_is_said_once_before_a_column_is_left_out():
    rows = [["r1", "rooms", "0.5", "12 seconds"], ["r2", "rooms", "0.7", "13 seconds"]]
    table = Table("", ["run", "env", "score", "time"], rows, ["a note"], ("env", "time"))
    assert fit(table, 80) == [table]
    (lifted,) = fit(table, 33)
    assert lifted.columns == ["run", "score", "time"]
    assert lifted.notes == ["a note", "in every row: env rooms"]
    (dropped,) = fit(table, 20)
    assert dropped.columns == ["run", "score"]
    assert dropped.notes == ["a note", "in every row: env rooms", "left out in this narrow terminal: time"]
    one_row = table._replace(rows=rows[:1])
    assert fit(one_row, 33)[0].notes[-1] == "left out in this narrow terminal: env"


def test_failures_with_one_reason_are_one_line():
    failures = [{**FAILED, "seeds": [seed]} for seed in (9, 3, 4)] + [{**FAILED, "reason": "it died", "seeds": [0]}]
    shown = tables({**summary(), "failures": failures})[-1].notes
    assert shown == [
        "failed: dqn in rooms, seeds 3 to 4, 9: it diverged (counted as: floor)",
        "failed: dqn in rooms, seed 0: it died (counted as: floor)",
    ]


def test_a_narrow_table_of_pairs_keeps_the_corrected_p_and_leaves_out_the_difference(capsys):
    found = summary(("a", "b", "c"))
    for at, pair in enumerate(found["divisions"][0]["pairs"]):
        pair |= {name: {"value": 0.1 * at, "low": 0.01, "high": 0.5} for name in ("probability", "difference")}
        pair |= {"p_holm": 0.1 + at / 10}
    show(found, 80)
    pairs = capsys.readouterr().out.split("no significant difference")[1]
    assert "p (Holm)" in pairs
    assert "left out in this narrow terminal: difference" in pairs


def test_a_contestant_without_a_place_is_in_no_pair():
    found = summary(("a", "b", "gone"))
    none = {"value": None, "low": None, "high": None}
    found["ranking"][2] |= {"tier": None, "strength": none, "score": None, "mean_rank": none, "lottery": None}
    for pair in found["divisions"][0]["pairs"]:
        if pair["second"] == "gone":
            pair |= {"decided": False, "probability": none, "difference": none, "p_holm": None, "seeds_needed": None}
    (table,) = [table for table in tables(found) if table.title.startswith("no significant")]
    assert table.title == "no significant difference: 1 of 1 pair of agents"
    assert [row[:2] for row in table.rows] == [["a", "b"]]
