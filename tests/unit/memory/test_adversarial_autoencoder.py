"""Tests of adversarial autoencoders: normal codes, restoration and samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from memory import adversarial_autoencoder
from memory.adversarial_autoencoder.model_torch import AdversarialAutoencoder
from memory.common.networks.layers_torch import mlp
from memory.common.networks.training_torch import discriminator_loss
from simulator.core import rng
from simulator.core.memories import PatternSpec
from tests.helpers.patterns import patterns_of_seeds
from tests.helpers.seeding import seed_list

pytestmark = pytest.mark.learning


def test_the_discriminator_has_a_classifiers_loss():
    model = AdversarialAutoencoder(
        PatternSpec((6,)), adversarial_autoencoder.Config(hidden=(5,), latent_dim=3, discriminator_hidden=(4,))
    )
    weights = model.init_weights(rng.generators([0, 1], "weights"))
    drawn, codes = (torch.from_numpy(patterns_of_seeds(2, n, 3)) for n in (7, 4))
    found = discriminator_loss(model.discriminate(weights, drawn), model.discriminate(weights, codes))
    for s in range(2):
        alone = {name: part[s : s + 1] for name, part in weights.items()}
        real = mlp(alone, "discriminator", drawn[s : s + 1])
        made = mlp(alone, "discriminator", codes[s : s + 1])
        wanted = binary_cross_entropy_with_logits(real, torch.ones_like(real))
        wanted = wanted + binary_cross_entropy_with_logits(made, torch.zeros_like(made))
        torch.testing.assert_close(found[s], wanted)


def _trained(adversarial_weight):
    config = adversarial_autoencoder.Config(
        hidden=(32,),
        latent_dim=4,
        discriminator_hidden=(24,),
        adversarial_weight=adversarial_weight,
        updates=300,
        batch_size=25,
    )
    memory = adversarial_autoencoder.make(PatternSpec((5, 5)), seed_list(3), config)
    patterns = patterns_of_seeds(3, 6, 25)
    memory.store(patterns)
    return memory, patterns, memory.codes(patterns)


@pytest.mark.slow
def test_codes_become_normal_and_patterns_are_restored():
    _, _, free = _trained(0.0)
    memory, patterns, codes = _trained(3.0)
    off = [abs(np.log(each.std(1)).mean()) for each in (free, codes)]
    assert off[1] < off[0]  # of 40 fresh sets of seeds the worst ratio was .84
    cues = patterns.copy()
    cues[:, :, 7] *= -1
    assert (memory.recall(cues).patterns * patterns).mean() > 0.5  # the worst: .68
    overlaps = (memory.generate(60) @ patterns.transpose(0, 2, 1)).max(-1) / 25
    assert overlaps.mean() > 0.65  # the worst: .76; chance is about .3


def test_a_noise_range_that_runs_backwards_is_refused():
    with pytest.raises(ValueError, match="expected at least"):
        adversarial_autoencoder.make(PatternSpec((4, 4)), [0], adversarial_autoencoder.Config(noise_min=0.5))
