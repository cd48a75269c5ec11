"""Tests of convolutional autoencoders: layers against torch's own by seed, sizes, and errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from memory import conv_autoencoder
from memory.conv_autoencoder.model_torch import ConvAutoencoder, convolve, transposed_convolve, unpool, upsample
from simulator.core import rng
from simulator.core.memories import PatternSpec
from tests.helpers.patterns import patterns_of_seeds
from tests.helpers.seeding import seed_list

pytestmark = pytest.mark.learning


def _numbers(*shape):
    return torch.from_numpy(rng.generators([4], "patterns")[0].standard_normal(shape, np.float32))


@pytest.mark.parametrize(("fan", "out"), [(3, 4), (4, 3), (1, 5), (5, 1)])
def test_convolutions_are_torchs_for_each_seed(fan, out):
    x, w, b = _numbers(2, 5, fan, 4, 7), _numbers(2, out, fan, 5, 5), _numbers(2, out)
    found = convolve(x, {"a.weight": w, "a.bias": b}, "a")
    for s in range(2):
        torch.testing.assert_close(found[s], nn.functional.conv2d(x[s], w[s], b[s], padding=2))


def test_transposed_convolutions_are_torchs_for_each_seed_and_cut():
    x, w, b = _numbers(2, 5, 3, 2, 4), _numbers(2, 3, 6, 2, 2), _numbers(2, 6)
    found = transposed_convolve(x, {"a.weight": w, "a.bias": b}, "a", (3, 7))
    for s in range(2):
        alone = nn.functional.conv_transpose2d(x[s], w[s], b[s], stride=2)[:, :, :3, :7]
        torch.testing.assert_close(found[s], alone)


@pytest.mark.parametrize("size", [(4, 6), (5, 7)])
def test_remembered_places_are_those_of_the_maxima(size):
    x = _numbers(2, 3, *size).abs()
    pooled, places = nn.functional.max_pool2d(x, 2, ceil_mode=True, return_indices=True)
    back = unpool(pooled, places, size)
    assert ((back == x) | (back == 0.0)).all()
    assert ((back != 0.0).sum((2, 3)) == pooled[0, 0].numel()).all()
    torch.testing.assert_close(nn.functional.max_pool2d(back, 2, ceil_mode=True), pooled)


def test_unpooling_by_hand():
    x = torch.tensor([[[[1.0, 2.0]]]])
    assert upsample(x, (2, 3)).tolist() == [[[[1.0, 1.0, 2.0], [1.0, 1.0, 2.0]]]]
    places = torch.tensor([[[[4, 2]]]])  # of a picture of 2 by 3
    assert unpool(x, places, (2, 3)).tolist() == [[[[0.0, 0.0, 2.0], [0.0, 1.0, 0.0]]]]


@pytest.mark.parametrize("decoder", ["unpool", "upsample", "transposed"])
@pytest.mark.parametrize("shape", [(4, 4), (5, 9)])
def test_every_decoder_has_the_pictures_size_and_each_seed_its_own_output(decoder, shape):
    config = conv_autoencoder.Config(channels=(3, 4), latent_dim=6, decoder=decoder)
    model, units = ConvAutoencoder(PatternSpec(shape), config), shape[0] * shape[1]
    weights, x = model.init_weights(rng.generators([1, 2], "weights")), torch.from_numpy(patterns_of_seeds(2, 5, units))
    found = model.reconstruct(weights, x)
    assert found.shape == (2, 5, units)
    for s in range(2):
        alone = {name: part[s : s + 1] for name, part in weights.items()}
        torch.testing.assert_close(model.reconstruct(alone, x[s : s + 1])[0], found[s])
        assert model.codes(alone, x[s : s + 1]).shape == (1, 5, 6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "fields", [{}, {"pool": "mean"}, {"decoder": "unpool"}, {"decoder": "transposed", "recall_mode": "noise_aware"}]
)
def test_patterns_come_back(fields):
    config = conv_autoencoder.Config(
        channels=(12,), latent_dim=40, updates=200, batch_size=24, **{"recall_mode": "fixed_point", **fields}
    )
    memory = conv_autoencoder.make(PatternSpec((4, 6)), seed_list(2), config)
    patterns = patterns_of_seeds(2, 3, 24)
    memory.store(patterns)
    cues = patterns.copy()
    cues[:, :, [3]] *= -1
    found = memory.recall(cues, None, cues if memory.recall_mode == "noise_aware" else None)
    assert (found.patterns * patterns).mean() > 0.7  # chance is 0; a few fresh pairs of seeds came to .83 and more
    assert (memory.energy(patterns).mean(-1) < memory.energy(-patterns).mean(-1)).all()


@pytest.mark.parametrize(
    ("shape", "fields", "said"),
    [
        ((64,), {}, r"shape \(64,\), expected pictures of at least 4 by 4"),
        ((3, 8), {}, r"shape \(3, 8\)"),
        ((4, 4, 4), {}, "expected pictures"),
        ((8, 8), {"decoder": "unpool", "pool": "mean"}, "a mean has no position"),
        ((8, 8), {"channels": ()}, "at least one layer"),
        ((8, 8), {"noise_min": 0.5}, "expected at least"),
    ],
)
def test_patterns_that_are_no_images_are_refused(shape, fields, said):
    with pytest.raises(ValueError, match=said):
        conv_autoencoder.make(PatternSpec(shape), [0], conv_autoencoder.Config(**fields))
