"""Tests of every cell beside torch's own, and of what passes from step to step and from sequence to sequence."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agents.common.networks.recurrent import clone
from tests.helpers.recurrence import CELLS, Torch, gradient, make, outputs, sequences_of, step_all

LENGTHS = (7, 1, 12)


def rows(n, n_in=3, seed=0):
    return np.random.default_rng(seed).standard_normal((n, n_in)).astype(np.float32)


def torch_outputs(module, x, lengths):
    parts = np.split(np.arange(len(x)), np.cumsum(lengths)[:-1])
    return torch.cat([module(torch.tensor(x[part].astype(float)))[0] for part in parts])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("skip", [False, True])
def test_outputs_and_gradients_are_torchs(cell, layers, skip):
    net = make(cell, layers=layers, skip=skip, init="uniform")
    x, sequences = rows(20), sequences_of(make(cell, layers=layers), LENGTHS)
    dy = rows(20, 2, seed=1)
    module = Torch(cell, net)
    expected = torch_outputs(module, x, LENGTHS)
    np.testing.assert_allclose(outputs(net, x, sequences), expected.detach(), atol=1e-6)
    (expected * torch.tensor(dy.astype(float))).sum().backward()
    np.testing.assert_allclose(gradient(net, x, dy, sequences), module.flat_gradient(net), atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
def test_acting_step_by_step_equals_the_unrolled_sequence(cell, layers):
    net = make(cell, layers=layers, seeds=(3, 4))
    x = rows(12)
    whole = outputs(net, x, sequences_of(net, (12,)), i=1)
    acting = clone(net)
    state = np.zeros((2, layers * net.carried), np.float32)
    out = np.zeros((2, 2), np.float32)
    for t in range(12):
        step_all(acting, np.stack([x[t], x[t]]), state, out)
        np.testing.assert_allclose(out[1], whole[t], atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_a_carry_continues_a_sequence_and_burn_in_gets_no_gradient(cell):
    net = make(cell, layers=2)
    x = rows(12)
    whole = outputs(net, x, sequences_of(net, (12,)))
    carry = np.concatenate([net.state[0, at].reshape(-1, net.carried)[4] for at in range(2)])[None]
    rest = outputs(net, x[5:], sequences_of(net, (7,), carry))
    np.testing.assert_allclose(rest, whole[5:], atol=1e-6)
    dy = rows(12, 2, seed=1)
    dy[:5] = 0.0
    alone = gradient(net, x[5:], dy[5:], sequences_of(net, (7,), carry))
    outputs(net, x, sequences_of(net, (12,)))
    burnt = gradient(net, x, dy, sequences_of(net, (12,), burn_in=5))
    np.testing.assert_allclose(burnt, alone, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_truncated_gradients_are_those_of_pieces_whose_states_are_constants(cell):
    net, x, dy = make(cell, truncate=5, init="uniform"), rows(12), rows(12, 2, seed=1)
    outputs(net, x, sequences_of(net, (12,)))
    module = Torch(cell, net)
    carry = None
    for piece in (slice(0, 5), slice(5, 10), slice(10, 12)):
        y, carry = module(torch.tensor(x[piece].astype(float)), carry)
        (y * torch.tensor(dy[piece].astype(float))).sum().backward()
        carry = tuple(part.detach() for part in carry) if cell == "lstm" else carry.detach()
    np.testing.assert_allclose(
        gradient(net, x, dy, sequences_of(net, (12,))), module.flat_gradient(net), atol=2e-5, rtol=1e-5
    )


@pytest.mark.parametrize("cell", CELLS)
def test_an_untrained_cell_gets_no_gradient_and_the_layers_above_do(cell):
    net, x, dy = make(cell, trainable=False), rows(12), rows(12, 2, seed=1)
    outputs(net, x, sequences_of(net, (12,)))
    found = gradient(net, x, dy, sequences_of(net, (12,)))
    assert not found[: net.head.first].any()
    assert found[net.head.first :].any()


def test_chrono_biases_are_of_the_stated_times():
    lstm, gru = make("lstm", units=500, chrono=100), make("gru", units=500, chrono=100)
    bias = lstm.params[0, lstm.layers[0].first + (3 + 500) * 2000 :][:2000]
    np.testing.assert_array_equal(bias[:500], -bias[500:1000])
    times = np.exp(bias[500:1000])
    assert 1.0 <= times.min() < 3.0 < 96.0 < times.max() <= 99.0
    bias = gru.params[0, (3 + 500) * 1500 :][:2000]
    assert 96.0 < np.exp(-bias[500:1000]).max() <= 99.0
    assert not bias[:500].any()


def test_seeds_have_weights_of_their_own():
    together, alone = make("lstm", seeds=(0, 7)), make("lstm", seeds=(7,))
    np.testing.assert_array_equal(together.params[1], alone.params[0])
    assert np.abs(together.params[0] - together.params[1]).min() < np.abs(together.params[0] - together.params[1]).max()
