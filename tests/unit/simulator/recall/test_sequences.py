"""Tests of sequence tasks and of forecasts: what is asked for, what is possible, and that nothing looks ahead."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.recall.sequences import (
    TASKS,
    Autoregression,
    Scaler,
    autoregressive,
    drift,
    persistence,
    sample_symbols,
    skill,
    squared_errors,
    walk_forward,
)

DELAY = 7


def generator(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("task", TASKS)
def test_answers_are_the_symbols_of_delay_rows_ago_and_everything_before_them_is_shown(task):
    sampled = sample_symbols(task, 50, generator(), delay=DELAY, symbols=3, copied=2)
    is_answer = sampled.weight > 0
    np.testing.assert_array_equal(is_answer, sampled.x[:, :, 3] > 0)
    for n, t in np.argwhere(is_answer):
        assert sampled.x[n, t - DELAY, :3].argmax() == sampled.target[n, t]
        assert sampled.x[n, t - DELAY, :3].sum() == 1.0
    assert is_answer.sum(axis=1).tolist() == [{"delayed": 1, "copy": 2, "repeat-previous": DELAY}[task]] * 50
    if task != "repeat-previous":
        assert not sampled.x[is_answer][:, :3].any()  # the question shows no symbol
    assert abs(np.mean(sampled.target[is_answer] == 0) - 1 / 3) < 0.15


@pytest.mark.parametrize("numbers", [{"delay": 0}, {"delay": 3, "symbols": 1}, {"delay": 3, "copied": 4}])
def test_impossible_sequences_are_refused(numbers):
    with pytest.raises(ValueError, match="expected delay"):
        sample_symbols("copy", 1, generator(), **{"delay": DELAY, **numbers})


def test_the_optimum_of_a_series_without_error_is_its_noise_and_with_error_what_the_filter_reaches():
    assert Autoregression((1.2, -0.5), 0.3, 0.0).filter().mse == pytest.approx(0.09)
    law = Autoregression((0.9,), 1.0, 2.0)
    best = law.filter()
    p = np.roots([1.0, 4.0 - 0.81 * 4.0 - 1.0, -4.0]).max()  # p = 0.81 * 4 p / (p + 4) + 1
    assert best.mse == pytest.approx(p + 4.0)
    series = law.sample(200_000, generator())
    errors = (series - best.forecasts(series))[100:] ** 2
    assert errors.mean() == pytest.approx(best.mse, rel=0.02)
    split = walk_forward(len(series), 1)[0]
    for forecasts in (
        persistence(series, split),
        drift(series, split),
        autoregressive(series, split, 3, of_changes=True),
    ):
        assert squared_errors(series, split, forecasts).mean() > best.mse


def test_a_series_that_grows_without_bound_has_no_optimum():
    with pytest.raises(ValueError, match="stationary"):
        Autoregression((1.0,), 1.0, 0.0).filter()


def test_least_squares_finds_the_law_of_the_changes():
    changes = Autoregression((0.5, 0.3), 1.0, 0.0).sample(40_000, generator())
    series = np.cumsum(changes)
    split = walk_forward(len(series), 1)[0]
    own = squared_errors(series, split, autoregressive(series, split, 2, of_changes=True))
    assert own.mean() == pytest.approx(1.0, rel=0.03)
    assert skill([own], [squared_errors(series, split, persistence(series, split))]) > 0.3


def test_splits_walk_forward_and_meet_every_value_after_the_first_part_once():
    splits = walk_forward(103, 4)
    assert [split.train_end for split in splits[1:]] == [split.test_end for split in splits[:-1]]
    assert splits[-1].test_end == 103
    assert {split.test_end - split.train_end for split in splits} == {20}
    with pytest.raises(ValueError, match="at least 40 values"):
        walk_forward(39, 4)


@pytest.mark.parametrize(
    "model", [persistence, drift, lambda series, split: autoregressive(series, split, 2, of_changes=True)]
)
def test_nothing_that_comes_later_changes_a_forecast(model):
    series = generator().standard_normal(120).cumsum()
    split = walk_forward(120, 3)[1]
    forecasts = model(series, split)
    for t in (split.train_end, split.test_end - 1):
        later = series.copy()
        later[t:] += 100.0
        np.testing.assert_array_equal(
            model(later, split)[: t - split.train_end + 1], forecasts[: t - split.train_end + 1]
        )


def test_the_scale_is_of_the_training_part():
    train = np.array([0.0, 1.0, 1.0, 4.0])
    scaler = Scaler.of(train)
    np.testing.assert_allclose(scaler.scaled(train).mean(), 0.0, atol=1e-12)
    np.testing.assert_allclose(scaler.change(scaler.scaled(train)), np.diff(train))
    with pytest.raises(ValueError, match="nothing to learn"):
        Scaler.of(np.arange(9.0))
