"""Laws over every registered task: its contestants, its scores within their bounds, and seeds alone."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simulator.core import registry
from simulator.core.tasks import Predictor

TASKS = registry.names("tasks")
each_task = pytest.mark.parametrize("name", TASKS)


@each_task
def test_contestants_are_methods_of_the_task_or_memories(name):
    module = registry.load("tasks", name).module
    assert module.DEFAULT
    for contestant in module.DEFAULT:
        assert contestant in module.METHODS or contestant in registry.names("memories")
    assert not set(module.METHODS) & set(registry.names("memories"))  # a name means one thing
    assert all(words and not words[0].isupper() for words in module.METHODS.values())


@each_task
def test_every_method_scores_within_the_bounds_and_alone_as_among_others(name):
    plugin = registry.load("tasks", name)
    together, alone = (plugin.make(seeds, plugin.defaults()) for seeds in ([3, 8], [8]))
    condition = together.conditions[0]
    for method in plugin.module.METHODS:
        contestant = Predictor(method)
        together.check(contestant)
        found, single = (task.play(contestant, condition) for task in (together, alone))
        names = [score.name for score in together.spec.scores]
        assert set(found.scores) <= set(names)
        assert np.isfinite(found.scores[names[0]]).all()
        for score in together.spec.scores:
            values = found.scores.get(score.name)
            if values is not None:
                finite = values[np.isfinite(values)]
                assert (finite >= (-math.inf if score.low is None else score.low)).all()
                assert (finite <= (math.inf if score.high is None else score.high)).all()
                np.testing.assert_array_equal(values[1:], single.scores[score.name])


@each_task
def test_more_to_learn_from_is_no_worse(name):
    """Of the last method, between the least and the most that the default conditions give."""
    plugin = registry.load("tasks", name)
    task = plugin.make(range(4), plugin.defaults())
    first = task.spec.scores[0].name
    least, most = min(task.conditions), max(task.conditions)
    few, many = (
        task.play(Predictor(list(plugin.module.METHODS)[-1]), condition).scores[first].mean()
        for condition in (least, most)
    )
    assert (many > few) == task.spec.higher_is_better
