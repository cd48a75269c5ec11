"""Tests of learners of sequences: gradients against torch, seeds apart, and how far a gradient reaches."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.core import registry
from simulator.core.sequence_learning import LearnerSettings, SequenceShape

N_IN = 3


def component(name, **settings):
    player = registry.load("components", name)
    return player.make(player.Config(**settings))


def learner(name, seed_list, n_outputs=4, **settings):
    shape = SequenceShape(N_IN, n_outputs, 24, 4)
    return component(name, **settings).sequence_learner(shape, seed_list, LearnerSettings(0.01))


def batch(seed_list):
    parts = []
    for seed in seed_list:
        generator = np.random.default_rng(seed)
        x = generator.standard_normal((4, 6, N_IN)).astype(np.float32)
        parts.append((x, generator.integers(4, size=(4, 6)), (generator.random((4, 6)) < 0.5).astype(np.float32)))
    return tuple(np.stack(each) for each in zip(*parts, strict=True))


def test_the_gradient_of_the_cross_entropy_is_that_of_torch():
    torch = pytest.importorskip("torch")
    made = learner("elman", [3], units=5, skip=False)
    x, target, weight = batch([3])
    loss = made.loss(x, target, weight)
    gradient = made.net.gradient[0].copy()
    params = torch.tensor(made.net.params[0].astype(np.float64), requires_grad=True)
    wx = params[:15].reshape(3, 5)
    wh = params[15:40].reshape(5, 5)
    out = params[45:65].reshape(5, 4)
    h = torch.zeros(4, 5, dtype=torch.float64)
    total = 0.0
    for t in range(6):
        h = torch.tanh(torch.tensor(x[0, :, t].astype(np.float64)) @ wx + h @ wh + params[40:45])
        answers = torch.log_softmax(h @ out + params[65:69], 1)
        total = total - (answers[torch.arange(4), torch.tensor(target[0, :, t])] * torch.tensor(weight[0, :, t])).sum()
    total = total / weight.sum()
    total.backward()
    assert loss[0] == pytest.approx(total.item(), rel=1e-5)
    np.testing.assert_allclose(gradient, params.grad.numpy(), rtol=1e-3, atol=1e-6)


def test_seeds_together_learn_what_they_learn_alone():
    together = learner("elman", [0, 1], units=5)
    alone = learner("elman", [1], units=5)
    both = batch([0, 1])
    for _ in range(3):
        together.update(*both)
        alone.update(*(each[1:] for each in both))
    np.testing.assert_array_equal(together.net.params[1], alone.net.params[0])


def test_an_answer_of_a_window_depends_on_its_rows_alone():
    made = learner("window", [0], k=2)
    x = batch([0])[0]
    before = made.outputs(x)
    x[0, :, 1] += 1.0
    changed = (made.outputs(x) != before).any(axis=(0, 1, 3))
    assert changed.tolist() == [False, True, True, False, False, False]


def test_the_gradient_of_a_linear_elman_cell_is_a_power_of_the_spectral_radius():
    radius = 0.9
    at_rest = np.zeros((1, 8, N_IN), np.float32)  # tanh is linear at 0
    norms = component("elman", units=6).state_gradients(at_rest, [0], radius)
    np.testing.assert_allclose(norms[0], radius ** np.arange(7, -1, -1), rtol=1e-5)
