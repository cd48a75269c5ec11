"""Tests of whole analyses: tiers, missing and duplicate rows, and reproducible bits."""

import itertools
import json

import numpy as np
import pytest

from simulator.statistics.analysis import DivisionScores, analyze, undecided
from simulator.statistics.estimates import iqm

FEW = 300


def rng(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


def division(means=(0.2, 0.5, 0.55), m=2, s=8, k=3, seed=0, spread=0.1):
    """Return contestants c0, c1, ... whose normalised scores have these means."""
    c, draws = len(means), rng(seed)
    scores = np.array(means)[:, None, None] + spread * draws.normal(size=(c, m, s))
    curves = np.linspace(0.2, 1.0, k)[:, None, None, None] * scores if k else np.zeros((0, c, m, s))
    return DivisionScores(
        tuple(f"c{i}" for i in range(c)),
        tuple(f"m{i}" for i in range(m)),
        tuple(range(s)),
        10.0 + 40.0 * scores,
        np.full((m, s), 10.0),
        np.full((m, s), 50.0),
        ("exact random play",) * m,
        ("exact optimum",) * m,
        np.full(m, 30.0),
        tuple((100 * np.arange(1, k + 1), 10.0 + 40.0 * np.moveaxis(curves[:, :, i], 0, 2)) for i in range(m)),
    )


def chosen(played, rows, labels=None):
    """Return some contestants, in this order, perhaps twice."""
    rows = list(rows)
    return played._replace(
        contestants=tuple(labels or (played.contestants[i] for i in rows)),
        scores=played.scores[rows],
        curves=tuple((steps, curve[rows]) for steps, curve in played.curves),
    )


def entered(played, columns, labels):
    """Return some challenges, in this order, perhaps twice."""
    at = list(columns)
    return played._replace(
        challenges=tuple(labels),
        scores=played.scores[:, at],
        floor=played.floor[at],
        ceiling=played.ceiling[at],
        floor_is=tuple(played.floor_is[i] for i in at),
        ceiling_is=tuple(played.ceiling_is[i] for i in at),
        threshold=played.threshold[at],
        curves=tuple(played.curves[i] for i in at),
    )


def text(result):
    return json.dumps(result, allow_nan=False, sort_keys=True)


def order(result):
    return [(row["contestant"], row["tier"]) for row in result["ranking"]]


def test_everything_is_there_and_is_plain():
    result = analyze(division(), n_bootstrap=FEW)
    assert json.loads(text(result)) == result
    assert order(result)[-1] == ("c0", 2)
    assert {tier for _, tier in order(result)} == {1, 2}
    first, c = result["ranking"][0], result["scores"][0]
    assert first["strength"]["low"] < first["strength"]["value"] < first["strength"]["high"]
    assert sum(row["strength"]["value"] for row in result["ranking"]) == pytest.approx(0.0, abs=1e-9)
    assert sum(row["lottery"] for row in result["ranking"]) == pytest.approx(1.0)
    assert sum(row["mean_rank"]["value"] for row in result["ranking"]) == pytest.approx(6.0)
    assert sum(row["wins"] for row in result["ranking"]) == 3 * 2 * 8
    assert [row["comparisons"] for row in result["ranking"]] == [32.0] * 3
    assert (c["contestant"], c["challenge"], c["seeds"]) == (first["contestant"], "m0", 8)
    assert len(result["scores"]) == len(result["curves"]) == len(result["matrix"]) == 6
    assert len(result["pairs"]) == len(result["profiles"]["contestants"]) == 3
    assert result["cycles"] == []


def test_values_are_those_of_plain_loops():
    played = division()
    result = analyze(played, n_bootstrap=FEW)
    normal = (played.scores - 10.0) / 40.0
    for row in result["ranking"]:
        mine = normal[int(row["contestant"][1])]
        score = {name: found["value"] for name, found in row["score"].items()}
        assert score["iqm"] == pytest.approx(iqm(mine.ravel()))
        assert score["mean"] == pytest.approx(mine.mean())
        assert score["median"] == pytest.approx(np.median(mine.mean(axis=1)))
        assert score["optimality_gap"] == pytest.approx(np.maximum(0.0, 1.0 - mine).mean())
    for row in result["scores"]:
        i, m = int(row["contestant"][1]), int(row["challenge"][1])
        assert row["raw"]["iqm"]["value"] == pytest.approx(iqm(played.scores[i, m]))
        assert row["raw"]["per_seed"] == played.scores[i, m].tolist()
        assert row["normalised"]["median"]["value"] == pytest.approx(np.median(normal[i, m]))
        assert row["auc"]["value"] == pytest.approx(iqm(0.6 * normal[i, m]))
        assert row["solved_fraction"] == np.mean(played.scores[i, m] >= 30.0)
    for pair in result["pairs"]:
        i, j = int(pair["first"][1]), int(pair["second"][1])
        assert pair["probability"]["value"] == pytest.approx((normal[i] > normal[j]).mean())
        assert pair["difference"]["value"] == pytest.approx((normal[i] - normal[j]).mean())
    line = result["profiles"]["contestants"][0]
    mine = normal[int(line["contestant"][1])]
    assert line["value"] == [pytest.approx((mine > tau).mean()) for tau in result["profiles"]["taus"]]
    band = result["curves"][0]
    assert band["steps"] == [100, 200, 300]
    assert band["iqm"][2] == pytest.approx(iqm(played.scores[int(band["contestant"][1]), 0]))


def test_intervals_hold_their_values():
    def check(found):
        if isinstance(found, dict):
            name = next((key for key in ("value", "median", "mean", "iqm") if key in found), None)
            if "low" in found and name and isinstance(found[name], float) and found["low"] is not None:
                assert found["low"] <= found[name] <= found["high"], found
            found = list(found.values())
        for each in found if isinstance(found, list) else []:
            check(each)

    check(analyze(division(m=3, s=12), n_bootstrap=FEW))


@pytest.mark.parametrize("turn", list(itertools.permutations(range(3)))[1::2])
def test_the_same_bits_whatever_the_order_of_contestants(turn):
    played = division()
    assert text(analyze(chosen(played, turn), n_bootstrap=FEW)) == text(analyze(played, n_bootstrap=FEW))


def test_resamples_follow_their_seed():
    played = division()
    assert text(analyze(played, n_bootstrap=FEW, seed=1)) != text(analyze(played, n_bootstrap=FEW))


def test_a_contestant_entered_twice_leaves_the_others_as_they_were():
    played = division((0.2, 0.5, 0.55, 0.8), s=12)
    before = analyze(played, n_bootstrap=FEW)
    for i in range(4):
        twice = analyze(chosen(played, [*range(4), i], ("c0", "c1", "c2", "c3", f"c{i}b")), n_bootstrap=FEW)
        assert [pair for pair in order(twice) if not pair[0].endswith("b")] == order(before)
        rows = {row["contestant"]: row for row in twice["ranking"]}
        assert sum(row["mean_rank"]["value"] for row in rows.values()) == pytest.approx(1 + 2 + 3 + 4 + 5)
        for row in before["ranking"]:
            name = row["contestant"]
            twins = 2 if name == f"c{i}" else 1
            assert rows[name]["lottery"] == pytest.approx(row["lottery"] / twins)
            assert rows[name]["strength"] == row["strength"]
        assert rows[f"c{i}b"]["tier"] == rows[f"c{i}"]["tier"]
        assert rows[f"c{i}b"]["lottery"] == rows[f"c{i}"]["lottery"]
        twin = next(x for x in twice["pairs"] if {x["first"], x["second"]} == {f"c{i}", f"c{i}b"})
        assert (twin["decided"], twin["probability"]["value"], twin["p"], twin["seeds_needed"]) == (
            False,
            0.5,
            1.0,
            None,
        )


@pytest.mark.parametrize("again", [0, 1])
def test_a_challenge_entered_twice_leaves_the_ranking_as_it_was(again):
    played = division((0.2, 0.5, 0.55, 0.6))
    twice = analyze(entered(played, [again, 0, 1], ("twin", "m0", "m1")), n_bootstrap=FEW)
    before = analyze(played, n_bootstrap=FEW)
    if again == 0:  # the distinct challenges come in the same order
        assert text(twice["ranking"]) == text(before["ranking"])
        assert text(twice["pairs"]) == text(before["pairs"])
    assert order(twice) == order(before)
    assert [row["lottery"] for row in twice["ranking"]] == [row["lottery"] for row in before["ranking"]]
    assert len(twice["scores"]) == 12


def test_contestants_with_equal_scores_never_differ():
    played = division((0.4, 0.4, 0.4))
    played = played._replace(scores=np.full_like(played.scores, 26.0))
    result = analyze(played, n_bootstrap=FEW)
    assert order(result) == [("c0", 1), ("c1", 1), ("c2", 1)]
    assert [row["lottery"] for row in result["ranking"]] == pytest.approx([1 / 3] * 3)
    for row in result["ranking"]:
        assert row["score"]["iqm"] == {"value": 0.4, "low": None, "high": None}  # equal, and so few
        assert row["strength"]["value"] == 0.0
    assert all(pair["seeds_needed"] is None and not pair["decided"] for pair in result["pairs"])
    assert undecided(result) == []


def test_tiers_agree_with_the_pairs():
    result = analyze(division((0.3, 0.38, 0.46, 0.54, 0.62), m=1, s=10), n_bootstrap=FEW)
    tier = dict(order(result))
    assert 1 < len(set(tier.values())) < 5
    for pair in result["pairs"]:
        apart = tier[pair["first"]] != tier[pair["second"]]
        assert pair["decided"] or not apart
        assert not pair["decided"] or (pair["p_holm"] < 0.05 and pair["probability"]["low"] > 0.5)
