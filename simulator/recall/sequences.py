"""Sequences without an agent: tasks that ask for memory, forecasts of series, and what is possible in each.

A task samples sequences of symbols; a model sees one row after the other, and answers where ``weight`` is 1:

=================  ======================================================================================
delayed            one of K symbols, then blanks, then the question: which symbol was it?
copy               ``n`` symbols, then blanks, then ``n`` questions: the symbols in their order
repeat-previous    symbols without end: which one was it ``delay`` rows ago?
=================  ======================================================================================

The best possible answer is always right; without memory it is right in 1 of K (Hochreiter and Schmidhuber 1997;
Arjovsky, Shah and Bengio 2016; Morad et al. 2023).

A series is forecast one step ahead, from its past alone. A network forecasts the *change* to the next value: one of the
value itself looks good as soon as it repeats the last one. Splits walk forward, and scale and models come from the part
before: what comes later says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from simulator.core.protocols import Array

Task = Literal["delayed", "copy", "repeat-previous"]
TASKS: tuple[Task, ...] = ("delayed", "copy", "repeat-previous")
MIN_TRAINING = 8  # values in the first training part


class SymbolSequences(NamedTuple):
    """N sequences of T rows."""

    x: Array  # float32 [N, T, K + 1], a symbol as one-hot, and 1 in the last column where an answer is asked for
    target: Array  # int64 [N, T], the symbol to answer
    weight: Array  # float32 [N, T], 1 where the answer counts


def n_rows(task: str, delay: int, copied: int) -> int:
    """Return the rows of a sequence; see ``sample_symbols``."""
    return {"delayed": delay + 1, "copy": delay + copied, "repeat-previous": 2 * delay}[task]


def sample_symbols(
    task: Task, n: int, generator: np.random.Generator, *, delay: int, symbols: int = 4, copied: int = 5
) -> SymbolSequences:
    """Sample sequences.

    Args:
        task: which.
        n: sequences.
        generator: where they come from.
        delay: rows from a symbol to its answer: the time over which a model has to remember.
        symbols: K.
        copied: symbols of the task copy, of which ``delay`` has to be at least as many.

    Raises:
        ValueError: numbers that fit no sequence.
    """
    if symbols < 2 or delay < 1 or (task == "copy" and not 1 <= copied <= delay):
        raise ValueError(
            f"{task}: delay = {delay}, symbols = {symbols}, copied = {copied}: expected delay >= 1, symbols >= 2, "
            "and 1 <= copied <= delay"
        )
    length = n_rows(task, delay, copied)
    shown = length if task == "repeat-previous" else length - delay
    symbol = generator.integers(symbols, size=(n, shown))
    x = np.zeros((n, length, symbols + 1), np.float32)
    target = np.zeros((n, length), np.int64)
    x[np.arange(n)[:, None], np.arange(shown), symbol] = 1.0
    answered = symbol[:, : length - delay]
    target[:, delay:] = answered
    x[:, delay:, symbols] = 1.0
    weight = np.zeros((n, length), np.float32)
    weight[:, delay:] = 1.0
    return SymbolSequences(x, target, weight)


# Series.


class Autoregression(NamedTuple):
    """A series z_t = sum_k coefficients_k z_t-k + noise, seen as x_t = z_t + error: its optimum is known."""

    coefficients: tuple[float, ...]
    noise: float  # standard deviation
    error: float  # standard deviation of what is seen around z

    def sample(self, n: int, generator: np.random.Generator) -> Array:
        """Sample n values, float64, after a start that is forgotten."""
        order = len(self.coefficients)
        skipped = 1_000
        z = np.zeros(order + skipped + n)
        noise = generator.standard_normal(len(z)) * self.noise
        for t in range(order, len(z)):
            z[t] = np.dot(self.coefficients, z[t - order : t][::-1]) + noise[t]
        seen: Array = z[-n:] + self.error * generator.standard_normal(n)
        return seen

    def filter(self) -> KalmanFilter:
        """Return the best linear forecaster in the long run (Kalman 1960), the best of all where noise is normal.

        Raises:
            ValueError: the series has no variance that it keeps.
        """
        order = len(self.coefficients)
        transition = np.eye(order, k=-1)
        transition[0] = self.coefficients
        if np.abs(np.linalg.eigvals(transition)).max() >= 1.0:
            raise ValueError(f"coefficients {self.coefficients}: expected a stationary series")
        disturbance = np.zeros((order, order))
        disturbance[0, 0] = self.noise**2
        covariance = disturbance.copy()  # of z_t given the values before t
        for _ in range(100_000):
            variance = covariance[0, 0] + self.error**2
            gain = covariance[:, 0] / variance
            after = covariance - np.outer(gain, covariance[0])
            following = transition @ after @ transition.T + disturbance
            if np.abs(following - covariance).max() <= 1e-14 * np.abs(following).max():
                break
            covariance = following
        return KalmanFilter(transition, gain, float(covariance[0, 0] + self.error**2))


class KalmanFilter(NamedTuple):
    """The forecaster of a series whose law is known."""

    transition: Array  # [P, P]
    gain: Array  # [P]
    mse: float  # of its forecasts: no forecast has a smaller one

    def forecasts(self, series: Array) -> Array:
        """Forecast every value from those before it, [T]; the first one is 0."""
        state = np.zeros(len(self.gain))
        found = np.zeros(len(series))
        for t, value in enumerate(series):
            found[t] = state[0]
            state = self.transition @ (state + self.gain * (value - state[0]))
        return found


class TentMap(NamedTuple):
    """A series x_t = 1 - slope abs(x_t-1) + noise, chaotic where the slope is above 1: no linear model follows it."""

    slope: float
    noise: float  # standard deviation

    def sample(self, n: int, generator: np.random.Generator) -> Array:
        """Sample n values, float64, after a start that is forgotten."""
        skipped = 1_000
        x = np.zeros(skipped + n)
        noise = generator.standard_normal(len(x)) * self.noise
        for t in range(1, len(x)):
            x[t] = 1.0 - self.slope * abs(x[t - 1]) + noise[t]
        return x[skipped:]

    def filter(self) -> TentMap:
        """Return the best forecaster: itself, as nothing is hidden."""
        return self

    @property
    def mse(self) -> float:
        """Mean squared error of the best forecasts."""
        return self.noise**2

    def forecasts(self, series: Array) -> Array:
        """Forecast every value from the one before it, [T]; the first one is 0."""
        return np.concatenate([[0.0], 1.0 - self.slope * np.abs(series[:-1])])


SERIES: dict[str, Autoregression | TentMap | None] = {  # whose law is known
    "random-walk": None,  # steps of a standard normal: nothing but the last value says anything
    "ar2": Autoregression((1.2, -0.5), 1.0, 0.0),
    "noisy-ar1": Autoregression((0.95,), 0.5, 1.0),
    "tent": TentMap(1.5, 0.1),
}


def sample_series(name: str, n: int, generator: np.random.Generator) -> Array:
    """Sample one of ``SERIES``, float64 [n].

    Raises:
        ValueError: an unknown name.
    """
    if name not in SERIES:
        raise ValueError(f"--series {name}: expected {', '.join(SERIES)}")
    law = SERIES[name]
    return np.cumsum(generator.standard_normal(n)) if law is None else law.sample(n, generator)


def best_forecasts(name: str, series: Array, split: Split) -> Array:
    """Forecast the test part of one of ``SERIES`` by its law."""
    law = SERIES[name]
    if law is None:
        return persistence(series, split)
    return law.filter().forecasts(series[: split.test_end])[split.train_end :]


def optimal_mse(name: str) -> float:
    """Return the mean squared error of the best forecast of one of ``SERIES``, in the long run."""
    law = SERIES[name]
    return 1.0 if law is None else law.filter().mse


class Split(NamedTuple):
    """A part to learn from and the part that follows it, as indices of a series."""

    train_end: int
    test_end: int


def walk_forward(n: int, n_splits: int) -> list[Split]:
    """Split a series of n values: test parts of one length, one after the other, each after all that it learns from.

    Raises:
        ValueError: the series is too short.
    """
    size = n // (n_splits + 1)
    if n_splits < 1 or size < MIN_TRAINING:
        raise ValueError(
            f"a series of {n} values in {n_splits} splits: expected at least {MIN_TRAINING * (n_splits + 1)} values"
        )
    first = n - n_splits * size
    return [Split(first + k * size, first + (k + 1) * size) for k in range(n_splits)]


class Scaler(NamedTuple):
    """Mean and standard deviation of the changes of a training part."""

    mean: float
    std: float

    @classmethod
    def of(cls, train: Array) -> Scaler:
        """Fit to a training part [T], and to nothing else.

        Raises:
            ValueError: it never changes in another way.
        """
        changes = np.diff(train)
        std = float(changes.std())
        if std <= 1e-12 * max(1.0, float(np.abs(train).max())):
            raise ValueError(
                "the training part of the series changes by the same amount in every step: nothing to learn"
            )
        return cls(float(changes.mean()), std)

    def scaled(self, series: Array) -> Array:
        """Return the changes [T - 1] of a series in units of the training part."""
        return (np.diff(series) - self.mean) / self.std

    def change(self, scaled: Array) -> Array:
        """Return changes in units of the series."""
        return np.asarray(scaled * self.std + self.mean)


def persistence(series: Array, split: Split) -> Array:
    """Forecast the last value, for every value of the test part."""
    return np.asarray(series[split.train_end - 1 : split.test_end - 1])


def drift(series: Array, split: Split) -> Array:
    """Forecast the last value and the mean change of the training part."""
    return persistence(series, split) + float(np.diff(series[: split.train_end]).mean())


def autoregressive(series: Array, split: Split, order: int, *, of_changes: bool) -> Array:
    """Forecast the next value as a linear function of the last ``order`` ones, by least squares on the training part.

    Args:
        series: [T].
        split: the training part and the test part.
        order: lags.
        of_changes: forecast the change from the last changes instead, ARIMA(order, 1, 0).

    Raises:
        ValueError: the training part is too short for this order.
    """
    values = np.diff(series) if of_changes else series
    last = split.train_end - int(of_changes)  # values of the training part
    if order < 1 or last < 3 * order + 1:
        raise ValueError(f"order = {order}: expected 1 to {max(0, (last - 1) // 3)}, by the training part")
    rows = _lags(values, order, order, last)
    weights, *_ = np.linalg.lstsq(rows, values[order:last], rcond=None)
    predicted = np.asarray(_lags(values, order, last, split.test_end - int(of_changes)) @ weights)
    return persistence(series, split) + predicted if of_changes else predicted


def best_order(series: Array, split: Split, largest: int, *, of_changes: bool) -> int:
    """Choose the order of ``autoregressive`` by Schwarz's criterion (1978), on the training part alone.

    Every order from 1 to ``largest`` is fitted to the same values.
    """
    train = series[: split.train_end]
    values = np.diff(train) if of_changes else train
    largest = min(largest, max(1, (len(values) - 1) // 3))
    target = values[largest:]
    criteria = []
    for order in range(1, largest + 1):
        rows = _lags(values, order, largest, len(values))
        weights, *_ = np.linalg.lstsq(rows, target, rcond=None)
        mse = max(float(((target - rows @ weights) ** 2).mean()), 1e-300)
        criteria.append(len(target) * np.log(mse) + (order + 1) * np.log(len(target)))
    return 1 + int(np.argmin(criteria))


def _lags(values: Array, order: int, start: int, stop: int) -> Array:
    """Return rows [stop - start, 1 + order]: 1, and the ``order`` values before each, the latest first."""
    lags = [values[start - k : stop - k] for k in range(1, order + 1)]
    return np.stack([np.ones(stop - start), *lags], axis=1)


def squared_errors(series: Array, split: Split, forecasts: Array) -> Array:
    """Return the squared errors of forecasts of the test part, [T]."""
    return np.asarray((series[split.train_end : split.test_end] - forecasts) ** 2)


def skill(errors: Sequence[Array], errors_of_persistence: Sequence[Array]) -> float:
    """Return 1 - MSE / MSE of persistence over all test parts: 0 is as good as the last value, below it is worse."""
    return 1.0 - float(np.concatenate(errors).mean() / np.concatenate(errors_of_persistence).mean())
