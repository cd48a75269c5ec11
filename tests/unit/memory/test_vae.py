"""Tests of variational autoencoders: divergence against torch and integration, the loss, its bound, and recall."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Bernoulli, Normal, kl_divergence

from memory import vae
from memory.common.networks.layers_torch import mlp
from memory.vae.model_torch import VAE, gaussian_kl
from simulator.core import rng
from simulator.core.memories import PatternSpec
from tests.helpers.patterns import patterns_of_seeds
from tests.helpers.seeding import seed_list

pytestmark = pytest.mark.learning


@given(st.floats(-3, 3), st.floats(-4, 4))
def test_the_divergence_is_torchs_and_an_integral(mean, log_variance):
    m, s = torch.tensor([mean], dtype=torch.float64), torch.tensor([log_variance], dtype=torch.float64)
    found = gaussian_kl(m, s).item()
    q, p = Normal(m, (0.5 * s).exp()), Normal(0.0, 1.0)
    assert found == pytest.approx(kl_divergence(q, p).item(), abs=1e-9)
    x = m + q.scale * torch.linspace(-9, 9, 4_001, dtype=torch.float64)
    whole = torch.trapezoid(q.log_prob(x).exp() * (q.log_prob(x) - p.log_prob(x)), x)
    assert found == pytest.approx(whole.item(), abs=1e-6)


def test_the_divergence_by_hand():
    assert gaussian_kl(torch.zeros(1, 3), torch.zeros(1, 3)).item() == 0.0
    # m = 2, s = log 4: (4 - 1 - log 4 + 4) / 2
    found = gaussian_kl(torch.tensor([2.0]), torch.tensor([4.0]).log()).item()
    assert found == pytest.approx((7 - np.log(4.0)) / 2)


def _model(latent_dim=2):
    model = VAE(PatternSpec((6,)), vae.Config(hidden=(7,), latent_dim=latent_dim))
    return model, model.init_weights(rng.generators(seed_list(2), "weights"))


def test_the_loss_is_what_the_distributions_say():
    model, weights = _model()
    x, noise = torch.from_numpy(patterns_of_seeds(2, 4, 6)), torch.full((2, 4, 2), 0.3)
    mean, log_variance = model.encode(weights, x)
    scale = (0.5 * log_variance).exp()
    out = mlp(weights, "decoder", mean + 0.3 * scale)
    likelihood = Bernoulli(logits=out).log_prob((x + 1) / 2).sum(-1)
    divergence = kl_divergence(Normal(mean, scale), Normal(0.0, 1.0)).sum(-1)
    torch.testing.assert_close(model.loss(weights, x, x, noise, 0.5), 0.5 * divergence - likelihood)


def test_the_loss_in_expectation_bounds_the_likelihood():
    model, weights = _model(latent_dim=1)
    x = torch.from_numpy(patterns_of_seeds(2, 5, 6))
    grid = torch.linspace(-60, 60, 15_001)  # a code may have a deviation of 5 and more
    given_code = mlp(weights, "decoder", grid[None, :, None].expand(2, -1, -1))  # [S, G, N]
    log_p = Bernoulli(logits=given_code[:, None]).log_prob((x[:, :, None] + 1) / 2).sum(-1)  # [S, B, G]
    exact = torch.trapezoid((log_p + Normal(0.0, 1.0).log_prob(grid)).exp(), grid).log()
    mean, log_variance = model.encode(weights, x)
    q = Normal(mean, (0.5 * log_variance).exp())
    density = q.log_prob(grid).exp()
    bound = torch.trapezoid(density * log_p, grid) - gaussian_kl(mean, log_variance)
    assert (bound <= exact + 1e-4).all()
    noise = torch.from_numpy(rng.generators(seed_list(1), "recall")[0].standard_normal((1_000, 1, 1, 1), np.float32))
    sampled = -torch.stack([model.loss(weights, x, x, each.expand(2, 5, 1), 1.0) for each in noise])
    errors = sampled.std(0) / len(noise) ** 0.5
    assert (abs(sampled.mean(0) - bound) < 6.0 * errors + 1e-3).all()


@pytest.mark.slow
@pytest.mark.parametrize("recall_mode", ["single_pass", "fixed_point", "noise_aware"])
def test_patterns_are_restored_and_recognised(recall_mode):
    memory = vae.make(
        PatternSpec((5, 5)),
        seed_list(2),
        vae.Config(hidden=(48,), latent_dim=6, updates=400, batch_size=25, recall_mode=recall_mode),
    )
    patterns = patterns_of_seeds(2, 4, 25)
    memory.store(patterns)
    cues = patterns.copy()
    cues[:, :, [3, 20]] *= -1
    found = memory.recall(cues, None, 1.2 * cues if recall_mode == "noise_aware" else None)
    assert (found.patterns * patterns).mean() > 0.8  # of 120 fresh trainings the worst came to .89, the next to .95
    assert (memory.energy(patterns).mean(-1) < memory.energy(patterns_of_seeds(2, 9, 25, 40)).mean(-1)).all()
    made = memory.generate(60)
    nearest = (made @ patterns.transpose(0, 2, 1)).max(-1) / 25
    chance = (patterns_of_seeds(2, 60, 25, 70) @ patterns.transpose(0, 2, 1)).max(-1) / 25
    assert nearest.mean() > chance.mean() + 0.2
    assert memory.codes(patterns).shape == (2, 4, 6)


def test_a_noise_range_that_runs_backwards_is_refused():
    with pytest.raises(ValueError, match="expected at least"):
        vae.make(PatternSpec((4, 4)), [0], vae.Config(noise_min=0.5))
