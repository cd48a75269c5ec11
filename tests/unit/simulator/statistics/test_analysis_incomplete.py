"""Tests of incomplete analyses: missing seeds, contestants, scales and thresholds; games; and bad input."""

import numpy as np
import pytest

from simulator.statistics.analysis import analyze, undecided
from tests.unit.simulator.statistics.test_analysis import FEW, chosen, division, order, text

NOTHING = {"value": None, "low": None, "high": None}


def row_of(result, label):
    return next(row for row in result["ranking"] if row["contestant"] == label)


def pair_of(result, a, b):
    return next(pair for pair in result["pairs"] if {pair["first"], pair["second"]} == {a, b})


def test_pairs_use_the_seeds_that_both_have():
    played = division((0.2, 0.8))
    scores = played.scores.copy()
    scores[0, 0, 3:], scores[1, 0, :2], scores[0, 1] = np.nan, np.nan, np.nan  # common: seed 2 of m0
    result = analyze(played._replace(scores=scores), n_bootstrap=FEW)
    pair = pair_of(result, "c0", "c1")
    assert pair["difference"]["value"] == pytest.approx((scores[1, 0, 2] - scores[0, 0, 2]) / 40.0)
    assert (pair["p"], pair["decided"], pair["probability"]["low"]) == (1.0, False, None)
    assert row_of(result, "c0")["n_excluded"] == 5 + 8
    assert row_of(result, "c1")["n_excluded"] == 2
    assert row_of(result, "c0")["comparisons"] == 1.0
    text(result)


def test_a_contestant_that_played_nothing_has_no_numbers_and_changes_none():
    played = division()
    without = analyze(chosen(played, [1, 2]), n_bootstrap=FEW)
    idle = played._replace(scores=np.where(np.arange(3)[:, None, None] == 0, np.nan, played.scores))
    result = analyze(idle, n_bootstrap=FEW)
    assert text(result["ranking"][:2]) == text(without["ranking"])
    last = result["ranking"][-1]
    assert (last["contestant"], last["tier"], last["strength"], last["lottery"]) == ("c0", None, NOTHING, None)
    assert last["score"]["iqm"] == last["mean_rank"] == NOTHING
    assert last["n_excluded"] == 16
    assert pair_of(result, "c0", "c1")["p"] is None


def test_without_any_score_there_is_no_ranking():
    played = division()
    result = analyze(played._replace(scores=np.full_like(played.scores, np.nan)), n_bootstrap=FEW)
    assert order(result) == [("c0", None), ("c1", None), ("c2", None)]
    assert undecided(result) == []
    text(result)


def test_one_seed_has_values_and_no_intervals():
    result = analyze(division(s=1), n_bootstrap=FEW)
    assert [tier for _, tier in order(result)] == [1, 1, 1]
    first = result["ranking"][0]
    for found in (first["strength"], first["mean_rank"], first["score"]["iqm"], result["pairs"][0]["probability"]):
        assert found["value"] is not None
        assert found["low"] is None
        assert found["high"] is None


def test_one_contestant_is_a_ranking_of_one():
    result = analyze(division((0.5,)), n_bootstrap=FEW)
    assert order(result) == [("c0", 1)]
    assert (result["ranking"][0]["lottery"], result["ranking"][0]["mean_rank"]["value"]) == (1.0, 1.0)
    assert result["pairs"] == result["matrix"] == []


def test_a_scale_that_is_not_known_is_the_worst_and_the_best_measured_mean():
    played = division((0.0, 1.0), m=1)
    unknown = np.full((1, 8), np.nan)
    result = analyze(played._replace(floor=unknown, ceiling=unknown), n_bootstrap=FEW)
    assert row_of(result, "c0")["score"]["mean"]["value"] == pytest.approx(0.0, abs=1e-12)
    assert row_of(result, "c1")["score"]["mean"]["value"] == pytest.approx(1.0)


def test_a_ceiling_at_the_floor_counts_what_reaches_it():
    played = division((0.0, 1.0), m=1)
    result = analyze(played._replace(floor=played.ceiling), n_bootstrap=FEW)
    reached = (played.scores >= 50.0).mean(axis=(1, 2))
    assert [row_of(result, f"c{i}")["score"]["mean"]["value"] for i in (0, 1)] == reached.tolist()


def test_scales_may_differ_from_seed_to_seed():
    played = division((0.3, 0.6), m=1)
    floor = 10.0 + np.arange(8.0)[None]
    result = analyze(played._replace(floor=floor), n_bootstrap=FEW)
    normal = (played.scores - floor) / (50.0 - floor)
    for i in (0, 1):
        assert row_of(result, f"c{i}")["score"]["mean"]["value"] == pytest.approx(normal[i].mean())
        row = next(row for row in result["scores"] if row["contestant"] == f"c{i}")
        assert row["raw"]["mean"]["value"] == pytest.approx(played.scores[i].mean())
        assert row["normalised"]["optimality_gap"]["value"] == pytest.approx(np.maximum(0, 1 - normal[i]).mean())


def test_without_a_threshold_nothing_is_solved():
    played = division()
    row = analyze(played._replace(threshold=np.full(2, np.nan)), n_bootstrap=FEW)["scores"][0]
    assert row["steps_to_threshold"] == {"median": None, "low": None, "high": None}
    assert row["solved_fraction"] is None
    assert row["solved_after_first"] == {"mean": None, "low": None, "high": None}


def test_without_curves_there_is_no_area():
    result = analyze(division(k=0), n_bootstrap=FEW)
    assert result["curves"] == []
    assert result["scores"][0]["auc"] == NOTHING


def test_direct_results_make_cycles_and_even_lotteries():
    wins = np.full((2, 8, 3, 3), np.nan)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        wins[:, :, i, j], wins[:, :, j, i] = 1.0, 0.0
    result = analyze(division((0.5, 0.5, 0.5))._replace(wins=wins), n_bootstrap=FEW)
    assert result["cycles"] == [["c0", "c1", "c2"]]
    assert [row["lottery"] for row in result["ranking"]] == pytest.approx([1 / 3] * 3)
    assert [tier for _, tier in order(result)] == [1, 1, 1]
    assert pair_of(result, "c0", "c1")["probability"]["value"] == 1.0


def test_more_interim_analyses_leave_less_alpha_to_each():
    played = division((0.4, 0.52), m=1, s=12)
    p = analyze(played, n_bootstrap=FEW)["pairs"][0]["p"]
    assert 0.0005 < p < 0.05
    assert analyze(played, n_bootstrap=FEW)["pairs"][0]["decided"]
    strict = analyze(played, n_bootstrap=FEW, n_interim_analyses=100)
    assert not strict["pairs"][0]["decided"]
    assert strict["pairs"][0]["seeds_needed"] > 12
    assert undecided(strict) == [("c1", "c0")]
    assert "one of 100 interim analyses" in strict["tiers_note"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": np.zeros((3, 2, 7))}, r"scores of shape \(3, 2, 7\): expected \(3, 2, 8\)"),
        ({"floor": np.zeros(2)}, r"floor of shape \(2,\): expected \(2, 8\)"),
        ({"wins": np.zeros((2, 8, 3, 2))}, r"wins of shape \(2, 8, 3, 2\): expected \(2, 8, 3, 3\)"),
        ({"contestants": ("a", "b", "a")}, "contestants a: expected one or more labels, each once"),
        ({"curves": ()}, "0 curves: expected one for each of 2 challenges"),
        ({"curves": ((np.arange(3), np.zeros((3, 8, 2))),) * 2}, r"curve of m0 of shape \(3, 8, 2\): expected"),
    ],
)
def test_inconsistent_input_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        analyze(division()._replace(**change))


@pytest.mark.parametrize("settings", [{"confidence": 1.0}, {"n_bootstrap": 0}, {"n_interim_analyses": 0}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match="expected 0 < confidence < 1"):
        analyze(division(), **settings)
