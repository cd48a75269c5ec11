"""Tests of ``engram show RUN --values``."""

from __future__ import annotations

import simulator

QUICK = {"seeds": 2, "steps": 200, "eval_episodes": 1}


def test_values_are_those_that_were_learned(clean_folder, engram):
    run = simulator.run("q_learning", "rooms", **QUICK)
    table = engram("show", "latest", "--values", "--seed", "1", "--json").json
    learned = run.trainer().exported(1).arrays
    assert (table["run"], table["seed"], table["step"]) == ("r1", 1, 200)
    for row, legal, values, best in zip(
        table["q"], table["legal"], learned["values"].tolist(), table["values"], strict=True
    ):
        assert [q for q in row if q is not None] == [q for q, exists in zip(values, legal, strict=True) if exists]
        assert best == max(q for q in row if q is not None)
    assert table["policy"] == learned["policy"].tolist()
    shown = engram("show", "r1", "--values").out
    assert shown.startswith("r1: q_learning in rooms, seed 0, after 200 steps")
    assert "Q(s, 5)" in shown


def test_what_has_no_table_is_one_line(clean_folder, engram):
    simulator.run("q_learning", "CartPole-v1", **QUICK)
    assert "expected one with Discrete observations" in engram("show", "r1", "--values", code=2).error
    assert engram("show", "r1", "--values", "--seed", "7", code=2).error == "seed 7: expected one of 0, 1"
    assert (
        engram("show", "r1", "--seed", "0", code=2).error == "--seed: expected --values beside it (engram show --help)"
    )
