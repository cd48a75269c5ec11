"""Tests of the compiled dense network: against plain NumPy, autograd and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agents.common.networks.dense import clone, forward_row, make_net, n_params
from simulator.core import rng
from simulator.core.jit import jit
from tests.helpers.networks import Compiled, data, flat_of, make, module, plain_outputs

SHAPES = [(3, 2), (1, 1), (5, 7, 3), (4, 13, 5, 2), (6, 3, 9, 5, 1), (2, 5, 4, 3, 8, 7)]  # depths 0 to 4


@jit
def _rows(net, x, y):
    for i in range(x.shape[0]):
        for b in range(x.shape[1]):
            forward_row(net, i, 0, x[i, b], y[i, b])


@pytest.mark.parametrize("tanh", [False, True])
@pytest.mark.parametrize("sizes", SHAPES)
def test_outputs_are_those_of_the_textbook(sizes, tanh):
    network, x = make("compiled", sizes, tanh=tanh), data((3, 11, sizes[0]))
    y = network.forward(x)
    assert y.dtype == np.float32
    for i in range(3):
        expected = plain_outputs(network.net.params[i].astype(np.float64), sizes, x[i], tanh=tanh)
        np.testing.assert_allclose(y[i], expected, atol=1e-6, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("tanh", [False, True])
@pytest.mark.parametrize("sizes", SHAPES)
def test_one_row_alone_equals_the_batch(sizes, tanh):
    network, x = make("compiled", sizes, tanh=tanh), data((3, 6, sizes[0]))
    x[:, 2:4] *= x[:, 2:4] > 0  # inputs of exactly 0 are skipped
    y = np.full((3, 6, sizes[-1]), np.nan, np.float32)
    _rows(network.net, x, y)
    np.testing.assert_allclose(y, network.forward(x), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("tanh", [False, True])
@pytest.mark.parametrize("sizes", SHAPES)
def test_the_gradient_equals_autograds(sizes, tanh):
    network, x, dy = make("compiled", sizes, tanh=tanh), data((3, 9, sizes[0])), data((3, 9, sizes[-1]), 1)
    before = network.net.params.copy()
    network.forward(x)
    norms = network.apply_gradient(dy, np.ones(3, bool))
    for i in range(3):
        made = module(before[i], sizes, tanh=tanh)
        made(torch.tensor(x[i])).backward(torch.tensor(dy[i]))
        expected = flat_of(made, "grad")
        np.testing.assert_allclose(network.net.gradient[i], expected, atol=2e-6, rtol=1e-5)
        assert norms[i] == pytest.approx(np.linalg.norm(expected), rel=1e-5)


@pytest.mark.parametrize("tanh", [False, True])
@pytest.mark.parametrize("sizes", [(3, 2), (3, 5, 4, 2)])
def test_the_gradient_is_that_of_finite_differences(sizes, tanh):
    network, x, dy = make("compiled", sizes, tanh=tanh), data((3, 5, sizes[0])), data((3, 5, sizes[-1]), 1)
    row = network.net.params[1].astype(np.float64)
    network.forward(x)
    network.apply_gradient(dy, np.ones(3, bool))
    found = np.zeros(len(row))
    for k in range(len(row)):
        sides = []
        for way in (1e-6, -1e-6):
            moved = row.copy()
            moved[k] += way
            sides.append((plain_outputs(moved, sizes, x[1], tanh=tanh) * dy[1]).sum())
        found[k] = (sides[0] - sides[1]) / 2e-6
    np.testing.assert_allclose(network.net.gradient[1], found, atol=1e-5, rtol=1e-4)


def test_two_layers_by_hand():
    """Inputs (1, 2); hidden relu(1*1 + 2*1 + 0, 1*1 - 2*1 + 0) = (3, 0); output 3*2 + 0*5 + 1 = 7."""
    network = make("compiled", (2, 2, 1), (0,))
    network.net.params[0] = [1.0, 1.0, 1.0, -1.0, 0.0, 0.0, 2.0, 5.0, 1.0]
    assert network.forward(np.array([[[1.0, 2.0]]])).item() == 7.0
    # dy = 1: output weights get (3, 0), bias 1; the first unit gets 2 times the inputs, the second is shut
    norm = network.apply_gradient(np.ones((1, 1, 1)), np.ones(1, bool))
    np.testing.assert_array_equal(network.net.gradient[0], [2.0, 0.0, 4.0, 0.0, 2.0, 0.0, 3.0, 0.0, 1.0])
    assert norm[0] == pytest.approx(np.sqrt(4 + 16 + 4 + 9 + 1))
    np.testing.assert_array_equal(network.net.params[0], [-1.0, 1.0, -3.0, -1.0, -2.0, 0.0, -1.0, 5.0, 0.0])


def test_weights_begin_uniform_by_fan_in_from_each_seeds_own_stream():
    net = make_net((16, 400, 3), False, [5, 6], 1)
    assert net.params.shape == (2, n_params((16, 400, 3))) == (2, 16 * 400 + 400 + 400 * 3 + 3)
    first, second = net.params[:, : 17 * 400], net.params[:, 17 * 400 :]
    assert 0.249 < np.abs(first).max() <= 0.25  # 1 / sqrt(16)
    assert 0.0495 < np.abs(second).max() <= 0.05  # 1 / sqrt(400)
    np.testing.assert_allclose(first.mean(axis=1), 0.0, atol=0.01)
    np.testing.assert_allclose(first.std(axis=1), 0.25 / np.sqrt(3), rtol=0.05)
    generator = rng.generators([6], "weights")[0]
    np.testing.assert_array_equal(first[1], generator.uniform(-0.25, 0.25, 17 * 400).astype(np.float32))


def test_a_clone_is_updated_and_has_working_space_of_its_own():
    online = make("compiled", (3, 4, 2))
    target, x = Compiled(clone(online.net)), data((3, 5, 3))
    before = online.forward(x)
    online.apply_gradient(np.ones((3, 5, 2)), np.ones(3, bool))
    np.testing.assert_array_equal(target.forward(x), before)
    assert np.abs(online.forward(x) - before).max() > 0.01
    target.polyak_update(online)
    np.testing.assert_array_equal(target.forward(x), online.forward(x))
    assert set(target.state()) == {"params"}


def test_batches_of_other_sizes_than_the_largest_use_the_same_room():
    sizes = (4, 6, 5, 3)
    for n in (1, 7, 16):
        network, x, dy = make("compiled", sizes, batch=16), data((3, n, 4)), data((3, n, 3), 1)
        before = network.net.params.copy()
        network.forward(x)
        network.apply_gradient(dy, np.ones(3, bool))
        made = module(before[2], sizes)
        made(torch.tensor(x[2])).backward(torch.tensor(dy[2]))
        np.testing.assert_allclose(network.net.gradient[2], flat_of(made, "grad"), atol=2e-6, rtol=1e-5)
