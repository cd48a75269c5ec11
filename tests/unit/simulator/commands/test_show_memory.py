"""Tests of ``engram show`` of a memory, and of vectors on the command line of ``show`` and ``recall``."""

from __future__ import annotations

import pytest

VECTORS = ("--patterns-from", "1,-1,1,-1,1,1; 1,1,1,-1,-1,-1")


def test_two_vectors_in_one_command(engram):
    out = engram("recall", "hopfield", *VECTORS).out
    assert ["+", "-", "+", "-", "+", "+", "x1", "-2", "16"] in [line.split() for line in out.splitlines()]
    assert "one-bit errors of stored patterns that recall corrects: 12 of 12" in out
    assert "all units at once: 4 fixed points, no cycle" in out
    shown = engram("show", "hopfield", *VECTORS, "--json").json
    assert shown == engram("recall", "hopfield", *VECTORS, "--json").json
    assert [point["basin"] for point in shown["sections"]["states"]["fixed_points"]] == [16] * 4
    assert shown["patterns"][0] == [1, -1, 1, -1, 1, 1]


def test_a_memory_on_a_challenge_with_settings_and_figures(engram, tmp_path):
    words = (
        "show",
        "hopfield",
        "digits",
        "--patterns",
        "3",
        "--what",
        "weights,recognition",
        "--memory.rule",
        "storkey",
    )
    file = tmp_path / "inside.svg"
    shown = engram(*words, "--picture", str(file), "--json").json
    assert list(shown["sections"]) == ["weights", "recognition"]
    assert {panel["kind"] for panel in shown["panels"]} == {"heat", "curve"}
    assert file.stat().st_size > 1_000
    hebb = engram(*words[:-2], "--json").json
    assert shown["sections"]["weights"] != hebb["sections"]["weights"]
    assert shown["patterns"] == hebb["patterns"]


def test_a_memory_of_a_stored_benchmark(engram, clean_folder):
    words = ("hopfield", "nearest", "glyphs", "--patterns", "3", "--seeds", "2", "--view", "none", "--json")
    run = engram("recall", *words).json
    cell = next(cell for cell in run["cells"] if cell["memory"] == "nearest")
    shown = engram("show", run["run"], "nearest", "--inside", "--seed", "1", "--what", "recognition", "--json").json
    assert (shown["run"], shown["memory"], shown["seed"]) == (run["run"], "nearest", 1)
    assert shown["sections"]["recognition"]["auc"] == pytest.approx(cell["familiarity"]["per_seed"][1])
    assert "expected one of hopfield, nearest" in engram("show", run["run"], "gan", "--inside", code=2).error
    assert "--seed 7: expected one of 0, 1" in engram("show", run["run"], "--inside", "--seed", "7", code=2).error


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("show", "hopfield", "--patterns", "3"), "--patterns: not for a player or an experiment"),
        (("show", "q_learning", "rooms"), "q_learning: expected a memory and a challenge after it"),
        (("show", "hopfield", "digits", "--what", "roc"), "--what roc: not for a memory, expected all, weights"),
        (("show", "hopfield", "digits", "--what", "nearest"), "--what nearest: hopfield: no codes"),
        (("show", "hopfield", "digits", *VECTORS), "--patterns-from: expected one memory and no challenge"),
        (("recall", "hopfield", "--patterns-from", "1,-1;1"), "--patterns-from: row 2 has 1 values and row 1 has 2"),
        (("recall", "hopfield", "--patterns-from", ""), "--patterns-from: expected vectors"),
        (("recall", "hopfield", *VECTORS, "--seeds", "3"), "--seeds: not for --patterns-from"),
        (("recall", "conv_autoencoder", *VECTORS), "conv_autoencoder: patterns of shape (6,)"),
    ],
)
def test_bad_input_is_one_line(engram, words, why):
    assert why in engram(*words, code=2).error
