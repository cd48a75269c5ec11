"""Tests of learning curves: smoothing, bands, training time and training episodes, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simulator.config.run import build
from simulator.core.protocols import Array
from simulator.reporting.curves import SeedCurves, band, records, smoothed, training_curves, training_seconds
from simulator.store.records import PointRows, Rows, RunProgress, RunRecord
from simulator.store.run_records import new_run
from simulator.store.run_store import Store

NAN = float("nan")


def record(step: int = 100, **facts: object) -> RunRecord:
    return RunRecord("r1", "run", "td", "rooms", (0, 1), 100, "", "", {}, "done", "", step, 9.0, 9.0, True, facts)


def test_a_window_ends_at_its_point_and_is_shorter_at_the_beginning() -> None:
    scores = np.array([[1.0, 3.0, 5.0, 7.0], [0.0, 0.0, 6.0, 0.0]])
    np.testing.assert_allclose(smoothed(scores, 2), [[1.0, 2.0, 4.0, 6.0], [0.0, 0.0, 3.0, 3.0]])
    np.testing.assert_allclose(smoothed(scores, 3)[0], [1.0, 2.0, 3.0, 5.0])
    np.testing.assert_allclose(smoothed(scores, 99)[0], [1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(smoothed(scores, 1), scores)


def test_a_missing_point_stays_missing_and_counts_in_no_mean() -> None:
    np.testing.assert_allclose(smoothed(np.array([[2.0, NAN, 4.0, 6.0, NAN]]), 3), [[2.0, NAN, 3.0, 5.0, NAN]])


def test_a_band_is_of_the_smoothed_seeds() -> None:
    scores = np.array([[0.0, 4.0], [0.0, 8.0], [0.0, 12.0], [0.0, 16.0]])
    curves = SeedCurves(np.array([10, 20]), scores)
    assert band(curves)["iqm"] == [0.0, 10.0]
    assert band(curves, smooth=2)["iqm"] == [0.0, 5.0]
    narrow, wide = (band(curves, level, 2) for level in (0.5, 0.95))
    assert wide["low"][1] <= narrow["low"][1] <= 5.0 <= narrow["high"][1] <= wide["high"][1]
    assert band(SeedCurves(np.array([10]), np.full((2, 1), NAN))) == {
        **{"steps": [10], "iqm": [None], "low": [None], "high": [None]}
    }


@pytest.mark.parametrize(
    ("facts", "seconds", "measured"),
    [
        ({"training": 4.0, "evaluation_seconds": [1.0, 4.0]}, [0.5, 1.0, 4.0], True),
        ({"training": 4.0, "evaluation_seconds": [None, 4.0]}, [1.0, 2.0, 4.0], False),
        ({"training": 4.0}, [1.0, 2.0, 4.0], False),
    ],
)
def test_times_are_measured_ones_or_at_mean_speed(facts: dict, seconds: list[float], measured: bool) -> None:
    found = training_seconds(record(**facts), np.array([25, 50, 100]), np.array([50, 100]))
    assert found is not None
    np.testing.assert_allclose(found.seconds, seconds)
    assert found.measured is measured


def test_a_run_without_time_has_none() -> None:
    assert training_seconds(record(), np.array([50]), np.array([50])) is None
    assert training_seconds(record(step=0, training=1.0), np.array([50]), np.array([50])) is None


def test_training_episodes_are_averaged_over_parts_of_the_run(tmp_path: Path) -> None:
    def column(*values: float) -> Array:
        return np.array(values)

    rows = PointRows(  # 400 steps in 400 points: four to a part
        seed=np.array([0, 0, 0, 1]),
        point=np.array([0, 3, 4, 3]),
        step=np.array([1, 4, 5, 4]),
        episodes=np.array([1, 3, 2, 1]),
        return_sum=column(10.0, 6.0, 8.0, 5.0),
        return_min=column(0, 0, 0, 0),
        return_max=column(0, 0, 0, 0),
        return_sq=column(0, 0, 0, 0),
        length_sum=column(1, 3, 1, 4),
    )
    config = build({"seeds": 2, "steps": 400, "agent": {"name": "td"}, "env": {"name": "rooms"}})
    with Store(tmp_path) as store:
        run = store.begin(new_run(config))
        store.checkpoint(run, RunProgress(400, 1.0, 1.0), {}, Rows(rows), "done", {})
        found = training_curves(store, store.find(run))
    assert found.steps.tolist() == [4, 8]
    np.testing.assert_allclose(found.scores, [[4.0, 4.0], [5.0, NAN]])  # 16 / 4 episodes, 8 / 2 and 5 / 1


def test_records_have_a_line_for_each_point() -> None:
    curve = {"steps": [1, 2], "iqm": [0.5, None], "low": [0.0, None], "high": [1.0, None]}
    assert list(records({"run": "r1"}, curve)) == [
        {"run": "r1", "steps": 1, "iqm": 0.5, "low": 0.0, "high": 1.0},
        {"run": "r1", "steps": 2, "iqm": None, "low": None, "high": None},
    ]
