"""Tests of forecasts in a study: nothing looks ahead, orders come from the training part, and bad files are named."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.config.sequences import SequenceConfig
from simulator.core.protocols import Array
from simulator.recall.sequence_study import network_forecasts, read_column, study
from simulator.recall.sequences import (
    SERIES,
    Split,
    autoregressive,
    best_forecasts,
    best_order,
    persistence,
    sample_series,
)

N = 200
SPLIT = Split(120, N)


class SumLearner:
    """Answers with the sum of the rows so far and the mean of what it was trained on."""

    def __init__(self) -> None:
        self.targets: list[Array] = []

    def update(self, x: Array, target: Array, weight: Array) -> None:
        self.targets.append(target)

    def outputs(self, x: Array) -> Array:
        return np.cumsum(x, axis=2) + np.mean(self.targets)


class SumComponent:
    def sequence_learner(self, shape, seed_list, settings) -> SumLearner:
        return SumLearner()


def series(name="ar2"):
    return sample_series(name, N, np.random.default_rng(0))


@pytest.mark.parametrize("changed", [120, 150, 199])
def test_the_future_changes_no_earlier_forecast(changed):
    before = series()
    after = before.copy()
    after[changed:] += 100.0
    config = SequenceConfig(updates=3)
    until = changed - SPLIT.train_end + 1  # the forecast of the changed value is made before it
    one, other = (network_forecasts(SumComponent(), config, each[None], SPLIT, [0])[0] for each in (before, after))
    np.testing.assert_array_equal(one[:until], other[:until])
    assert len(one) == N - SPLIT.train_end
    assert changed == N - 1 or (one[until:] != other[until:]).all()
    for of_changes in (False, True):
        orders = [best_order(each, SPLIT, 8, of_changes=of_changes) for each in (before, after)]
        assert orders[0] == orders[1]
    for forecasts in (
        persistence,
        lambda x, split: autoregressive(x, split, 2, of_changes=False),
        lambda x, split: autoregressive(x, split, 2, of_changes=True),
    ):
        np.testing.assert_array_equal(forecasts(before, SPLIT)[:until], forecasts(after, SPLIT)[:until])


@pytest.mark.parametrize("of_changes", [False, True])
@pytest.mark.parametrize("name", SERIES)
def test_no_order_of_autoregression_beats_the_law_of_a_series(name, of_changes):
    values = sample_series(name, 20_000, np.random.default_rng(1))
    split = Split(10_000, 20_000)
    test = values[split.train_end :]
    best = ((test - best_forecasts(name, values, split)) ** 2).mean()
    order = best_order(values, split, 8, of_changes=of_changes)
    assert best <= 1.005 * ((test - autoregressive(values, split, order, of_changes=of_changes)) ** 2).mean()


def test_an_autoregression_of_the_values_of_a_series_of_order_2_reaches_its_law():
    values = sample_series("ar2", 20_000, np.random.default_rng(1))
    split = Split(10_000, 20_000)
    order = best_order(values, split, 8, of_changes=False)
    forecasts = autoregressive(values, split, order, of_changes=False)
    assert order == 2
    np.testing.assert_allclose(forecasts, best_forecasts("ar2", values, split), atol=0.2)


@pytest.mark.parametrize(
    ("text", "column", "line"),
    [("a\n1\n", "b", "no column 'b'"), ("a\n1\nx\n", "a", "row 3, column a = 'x'"), ("a\nnan\n", "a", "row 2")],
)
def test_bad_files_are_refused_with_their_place(tmp_path, text, column, line):
    path = tmp_path / "series.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=line):
        read_column(str(path), column)


def test_an_unknown_task_is_refused():
    with pytest.raises(ValueError, match="expected delayed"):
        study("nothing", [], SequenceConfig(), [0])
