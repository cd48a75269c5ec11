"""Points of a space that a search tries next: all of a grid, random ones, or those of a Parzen estimator.

A round's points are a function of the settings and of the trials of the rounds before, in the order of their numbers.
Nothing else enters it: a search that is continued after a crash proposes what the undisturbed one would, and the number
of workers changes nothing. Every round, and every random point, has a stream of its own.

Random search: Bergstra and Bengio 2012. Tree-structured Parzen estimator: Bergstra et al. 2011, by Optuna (Akiba et al.
2019), whose sampler is made anew for each round and is told of all trials so far.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from simulator.config.tune import Dimension, TuneConfig, levels_of
from simulator.core import rng

Point = dict[str, Any]  # dotted name -> value


class Tried(NamedTuple):
    """A trial that is over."""

    point: Point
    state: str  # complete, pruned or failed
    values: tuple[float, ...]  # of the objective, at every rung that it was evaluated at


def n_trials(config: TuneConfig) -> int:
    """Return how many points a search tries: of a grid all of its points."""
    return len(grid(config)) if config.search == "grid" else config.trials


def propose(config: TuneConfig, round_number: int, tried: Sequence[Tried]) -> list[Point]:
    """Return the points of a round, numbered from 0.

    Args:
        config: the tuning.
        round_number: of the round.
        tried: all trials of the rounds before.

    Raises:
        ValueError: Optuna is needed and is not installed; one line.
    """
    numbers = range(round_number * config.batch, min((round_number + 1) * config.batch, n_trials(config)))
    if config.search == "grid":
        return grid(config)[numbers.start : numbers.stop]
    if config.search == "random":
        return [random_point(config, number) for number in numbers]
    return parzen_points(config, round_number, tried, len(numbers))


def grid(config: TuneConfig) -> list[Point]:
    """Return every combination of the values of all dimensions; the last one changes fastest."""
    levels = [levels_of(dimension, config.levels) for dimension in config.space]
    names = [dimension.name for dimension in config.space]
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*levels)]


def random_point(config: TuneConfig, number: int) -> Point:
    """Draw the point of a trial from a stream of its own."""
    stream = np.random.Generator(np.random.PCG64(rng.sequence(config.search_seed, "search", number)))
    return {dimension.name: _drawn(dimension, stream) for dimension in config.space}


def _drawn(dimension: Dimension, stream: np.random.Generator) -> Any:
    if dimension.values:
        return dimension.values[int(stream.integers(len(dimension.values)))]
    low, high = dimension.low, dimension.high
    if dimension.whole and dimension.log:  # every whole number has the room around it
        value = round(math.exp(stream.uniform(math.log(low - 0.5), math.log(high + 0.5))))
        return min(max(value, int(low)), int(high))
    if dimension.whole:
        return int(stream.integers(int(low), int(high), endpoint=True))
    if dimension.log:
        return min(max(math.exp(stream.uniform(math.log(low), math.log(high))), low), high)
    return float(stream.uniform(low, high))


def parzen_points(config: TuneConfig, round_number: int, tried: Sequence[Tried], n: int) -> list[Point]:
    """Let Optuna's sampler draw n points after these trials.

    Raises:
        ValueError: Optuna is not installed; one line.
    """
    try:
        import optuna
    except ImportError:
        raise ValueError("search = 'tpe': Optuna is not installed, expected pip install 'engram-rl[tune]'") from None
    entropy = rng.sequence(config.search_seed, "search", round_number)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        # constant_liar: trials of the same round count as bad until they are over, which keeps them apart
        sampler = optuna.samplers.TPESampler(seed=int(entropy.generate_state(1)[0]), constant_liar=True)
    study = optuna.create_study(sampler=sampler, direction="maximize")
    distributions = {dimension.name: _distribution(dimension) for dimension in config.space}
    states = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}
    for trial in tried:
        study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState[states[trial.state]],
                params={each.name: _to_optuna(each, trial.point[each.name]) for each in config.space},
                distributions=distributions,
                value=trial.values[-1] if trial.state == "complete" else None,
                intermediate_values=dict(enumerate(trial.values)),
            )
        )
    asked = [study.ask(distributions) for _ in range(n)]
    return [{each.name: _from_optuna(each, trial.params[each.name]) for each in config.space} for trial in asked]


def _distribution(dimension: Dimension) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if dimension.values:
        return CategoricalDistribution(range(len(dimension.values)))  # by number: values may be lists
    if dimension.whole:
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _to_optuna(dimension: Dimension, value: Any) -> Any:
    return dimension.values.index(value) if dimension.values else value


def _from_optuna(dimension: Dimension, value: Any) -> Any:
    return dimension.values[value] if dimension.values else value
