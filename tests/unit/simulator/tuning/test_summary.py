"""Tests of the judgement of a tuning: scales with bounds, equal differences, and what is said of them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from simulator.reporting import tune
from simulator.store.cell_store import SeedRange
from simulator.tuning.search import DEFAULT
from simulator.tuning.summary import JobKey, judged

SPAN = SeedRange(1000, 16)
NAN = float("nan")


def _judged(objective, best, default):
    """Return the judgement of trial 4 on 16 fresh seeds with these scores."""
    pairs = [{"trial": trial, "rung": 1, "key": str(trial), "spans": [SPAN]} for trial in (4, DEFAULT)]
    cells = {
        JobKey(str(trial), SPAN): SimpleNamespace(
            status="done", reason="", span=SPAN, scores=scores, facts={objective: scores}
        )
        for trial, scores in ((4, np.full(16, best)), (DEFAULT, np.full(16, default)))
    }
    settings = {"objective": objective, "confidence": 0.95, "judge_first_seed": 1000, "judge_seeds": 16}
    return judged(SimpleNamespace(plan={"pairs": pairs}), settings, cells, 4)


@pytest.mark.parametrize(("objective", "best", "low"), [("exact", 1.0, 0.588), ("overlap", 0.9, 0.303)])
def test_equal_differences_on_a_scale_with_bounds_have_an_interval(objective, best, low):
    """.206 of all seeds may differ from 16 equal ones (Clopper and Pearson): .794 - .206, .794 (.9) - .206 (2)."""
    difference = _judged(objective, best, 0.0)["difference"]
    assert difference["value"] == pytest.approx(best)
    assert difference["low"] == pytest.approx(low, abs=0.005)


def _summary(difference, confidence=0.95):
    interval = {"value": 1.0, "low": 0.5, "high": 1.5}
    judgement = {"seeds": [1000, 1001], "best": interval, "default": interval, "difference": difference}
    best = {"trial": 3, "value": 2.0}
    common = {"tune": "t1", "status": "done", "search": "random", "player": "a", "place": "b", "seeds": [0]}
    settings = f"confidence = {confidence}"
    return {**common, "settings": settings, "trials": [], "objective": "iqm", "best": best, "judged": judgement}


@pytest.mark.parametrize(
    ("value", "low", "high", "said"),
    [
        (2.0, 1.0, 3.0, "the best trial is better than"),
        (-2.0, -3.0, -1.0, "the best trial is worse than"),
        (2.0, -1.0, 5.0, "no difference from the settings without a search is certain"),
        (0.0, NAN, NAN, "no difference from the settings without a search is certain"),
        (2.0, NAN, NAN, "the best trial is 2 better on every fresh seed, so its difference has no interval"),
        (-2.0, None, None, "the best trial is 2 worse on every fresh seed"),
    ],
)
def test_the_verdict(value, low, high, said):
    (line,) = tune.verdict(_summary({"value": value, "low": low, "high": high}))
    assert line.startswith(said)


def test_the_table_says_the_confidence_of_its_intervals():
    found = tune.tables(_summary({"value": 1.0, "low": 0.5, "high": 1.5}, 0.9), 5)[-1]
    assert found.columns == ["", "iqm [90 % CI]"]
