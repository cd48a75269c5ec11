"""Tests of convolutional networks: output sizes, images that are too small, and gradients of every seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agents.common.networks.conv import ConvSettings, ConvSizes, conv_builder, make_body
from agents.common.networks.network_torch import TorchNetwork
from tests.helpers.networks import PLAIN, data, draws
from tests.laws.players import same, state_of_seed

OWN = ConvSettings(frames=2, channels=(3, 5), kernels=(3, 2), strides=(2, 1), hidden=(7,))


def test_the_bodies_of_the_papers_have_the_papers_sizes():
    nature = TorchNetwork(conv_builder(ConvSettings(kind="nature"), (1, 84, 84), 18), [0], device="cpu")
    shapes = [value.shape[1:] for value in nature.parameters().values()]
    assert shapes[::2] == [(32, 4, 8, 8), (64, 32, 4, 4), (64, 64, 3, 3), (512, 3136), (18, 512)]
    assert nature.n_params == 1_693_362  # 8,224 + 32,832 + 36,928 + 1,606,144 + 9,234
    small = TorchNetwork(conv_builder(ConvSettings(kind="small"), (1, 84, 84), 4), [0], device="cpu")
    shapes = [value.shape[1:] for value in small.parameters().values()]
    assert shapes[::2] == [(16, 4, 8, 8), (32, 16, 4, 4), (256, 2592), (4, 256)]


@pytest.mark.parametrize(("side", "n_layers"), [(84, 3), (36, 3), (35, 1), (10, 1), (8, 1)])
def test_the_body_fits_the_image(side, n_layers):
    settings, shape = ConvSettings(frames=3), (2, side, side + 4)
    assert len(make_body(settings, shape).layers) == n_layers
    network = TorchNetwork(conv_builder(settings, shape, 5), [0, 1], device="cpu")
    assert network.forward(np.zeros((2, 3, 6, side, side + 4), np.uint8)).shape == (2, 3, 5)


def test_own_sizes_replace_those_of_the_kind():
    assert make_body(OWN, (1, 9, 8)) == ConvSizes(2, ((3, 3, 2), (5, 2, 1)), 5 * 3 * 2, (7,))


@pytest.mark.parametrize(
    ("settings", "side", "said"),
    [
        (ConvSettings(kind="nature"), 35, "kind = 'nature': images of 35 x 40 pixels, expected at least 36 x 36"),
        (ConvSettings(kind="small"), 19, "kind = 'small': images of 19 x 40 pixels, expected at least 20 x 20"),
        (ConvSettings(), 2, "kind = 'fitting': images of 2 x 40 pixels, expected at least 3 x 3"),
        (OWN, 4, "agent.conv.channels: images of 4 x 40 pixels, expected at least 5 x 5"),
        (ConvSettings(channels=(3, 4), kernels=(3,)), 40, "2, 1, 0 layers, expected as many of each"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_in_one_line(settings, side, said):
    with pytest.raises(ValueError, match=said) as caught:
        conv_builder(settings, (1, side, 40), 3)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("stacked", [False, True])
def test_every_seeds_gradient_equals_autograds(stacked):
    build = conv_builder(OWN, (1, 9, 8), 3)
    network = TorchNetwork(build, [0, 1], PLAIN, device="cpu", stacked=stacked)
    x, dy = draws(0).integers(0, 256, (2, 4, 2, 9, 8), dtype=np.uint8), data((2, 4, 3))
    begun, outputs = network.parameters(), network.forward(x)
    network.apply_gradient(dy, np.ones(2, bool))
    moved = network.parameters()
    for i in range(2):
        made = build()
        for name, value in made.named_parameters():
            value.data = torch.tensor(begun[name][i])
        y = made(torch.tensor(x[i]))
        np.testing.assert_allclose(outputs[i], y.detach(), atol=1e-6)
        y.backward(torch.tensor(dy[i]))
        for name, value in made.named_parameters():
            np.testing.assert_allclose(begun[name][i] - moved[name][i], value.grad, atol=2e-6, err_msg=name)


def _train(seeds):
    network = TorchNetwork(conv_builder(OWN, (1, 9, 8), 3), seeds, PLAIN, device="cpu")
    for t in range(6):
        x = draws(t).integers(0, 256, (4, 5, 2, 9, 8), dtype=np.uint8)[seeds]
        y = network.forward(x)
        network.apply_gradient((y - data((4, 5, 3), t)[seeds]) / 50, np.ones(len(seeds), bool))
    return network.state()


def test_a_seed_alone_has_the_bits_of_the_same_seed_among_others():
    together = _train([0, 1, 2, 3])
    for i in (1, 3):
        same(state_of_seed(_train([i]), 0, 1), state_of_seed(together, i, 4))
