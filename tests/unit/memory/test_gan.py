"""Tests of GANs: the value of the game, minibatch features, unrolled steps, latent search, and mode coverage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from memory import gan
from memory.common.networks.layers_torch import subset
from memory.common.networks.training_torch import cross_entropy, discriminator_loss, generator_loss
from memory.gan import model_torch
from memory.gan.model_torch import (
    GAN,
    cue_loss,
    minibatch_similarity,
    nearest_cross_entropy,
    posterior_mean,
    search_codes,
)
from simulator.core import rng
from simulator.core.memories import PatternSpec
from tests.helpers.patterns import patterns_of_seeds
from tests.helpers.seeding import seed_list

pytestmark = pytest.mark.learning


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=2, max_size=5))
def test_the_value_at_the_best_discriminator_is_twice_the_jensen_shannon_divergence_less_log_4(counts):
    p, q = (np.array(column, float) / sum(column) for column in zip(*counts, strict=True))
    middle = (p + q) / 2
    divergence = 0.5 * (p * np.log(p / middle)).sum() + 0.5 * (q * np.log(q / middle)).sum()
    odds = torch.tensor(np.log(p / q))  # D = p / (p + q)
    n, m = sum(each for each, _ in counts), sum(each for _, each in counts)
    real = torch.repeat_interleave(odds, torch.tensor([each for each, _ in counts]))
    made = torch.repeat_interleave(odds, torch.tensor([each for _, each in counts]))
    assert (len(real), len(made)) == (n, m)
    found = -discriminator_loss(real[None], made[None]).item()
    assert found == pytest.approx(2 * divergence - np.log(4.0))
    value = (torch.sigmoid(real).log().mean() + (1 - torch.sigmoid(made)).log().mean()).item()
    assert found == pytest.approx(value)
    worse = -discriminator_loss(real[None] + 0.3, made[None] + 0.3).item()
    assert worse < found


def test_minibatch_similarity_by_hand():
    features = torch.tensor([[[[0.0, 0.0]], [[1.0, 2.0]], [[0.0, 1.0]]]])  # one feature of two numbers, three rows
    e = np.exp
    wanted = [e(-3) + e(-1), e(-3) + e(-2), e(-1) + e(-2)]
    assert minibatch_similarity(features)[0, :, 0].tolist() == pytest.approx(wanted, rel=1e-5)


def test_the_coverage_of_each_pattern_is_by_the_generated_one_nearest_to_it():
    logits = torch.tensor([[[3.0, -2.0], [-1.0, -1.5], [0.5, 4.0]]], requires_grad=True)
    patterns = torch.tensor([[[1.0, -1.0], [1.0, 1.0], [1.0, -0.5]]])  # nearest: the first, the third, the first
    found = nearest_cross_entropy(logits, patterns)
    costs = [[cross_entropy(made, each).item() for made in logits[0]] for each in patterns[0]]
    assert found[0].tolist() == pytest.approx([min(row) for row in costs])
    assert [int(np.argmin(row)) for row in costs] == [0, 2, 0]
    (slopes,) = torch.autograd.grad(found.sum(), logits)
    p = 1.0 / (1.0 + np.exp([[-3.0, 2.0], [-0.5, -4.0]]))  # the slope of a logit is p - (1 + x) / 2
    np.testing.assert_allclose(slopes[0, 0], [2.0 * p[0, 0] - 2.0, 2.0 * p[0, 1] - 0.25], rtol=1e-5)
    np.testing.assert_allclose(slopes[0, 1], 0.0)
    np.testing.assert_allclose(slopes[0, 2], p[1] - 1.0, rtol=1e-5)


def test_feature_matching_pulls_the_mean_features_of_generated_patterns_to_those_of_stored_ones():
    model = GAN(PatternSpec((5,)), gan.Config(discriminator_hidden=(6,), latent_dim=2, feature_matching=True))
    weights = model.init_weights(rng.generators(seed_list(2), "weights"))
    real = torch.from_numpy(patterns_of_seeds(2, 7, 5))
    fake = torch.from_numpy(0.5 * patterns_of_seeds(2, 3, 5)).requires_grad_()
    loss = model.generator_loss(weights, real, fake)
    weight, bias = (weights[f"discriminator.hidden.0.{name}"].numpy() for name in ("weight", "bias"))
    inputs = fake.detach().numpy() @ weight + bias
    apart = (np.maximum(real.numpy() @ weight + bias, 0.0).mean(1)) - np.maximum(inputs, 0.0).mean(1)  # [S, F]
    np.testing.assert_allclose(loss.detach(), (apart**2).sum(1), rtol=1e-5)
    (slopes,) = torch.autograd.grad(loss.sum(), fake)
    by_hand = np.einsum("sf,sbf,snf->sbn", -2.0 / 3.0 * apart, (inputs > 0.0).astype(np.float32), weight)
    np.testing.assert_allclose(slopes, by_hand, rtol=1e-4, atol=1e-6)
    assert torch.allclose(model.generator_loss(weights, real, real), torch.zeros(2))


def test_unrolled_steps_are_steps_of_the_discriminator_and_are_differentiated_through():
    units = PatternSpec((5,))
    fields = {"generator_hidden": (4,), "discriminator_hidden": (6,), "latent_dim": 2, "minibatch_features": 2}
    plain = GAN(units, gan.Config(**fields, unrolled_steps=0))
    ahead = GAN(units, gan.Config(**fields, unrolled_steps=2, unrolled_lr=0.3))
    weights = plain.init_weights(rng.generators(seed_list(2), "weights"))
    discriminator = subset(weights, "discriminator")
    for part in discriminator.values():
        part.requires_grad_()
    rows = torch.from_numpy(patterns_of_seeds(2, 7, 5))
    made = torch.from_numpy(0.5 * patterns_of_seeds(2, 6, 5)).requires_grad_()
    stepped = {name: part.detach().clone() for name, part in discriminator.items()}
    for _ in range(2):
        leaves = {name: part.requires_grad_() for name, part in stepped.items()}
        slopes = torch.autograd.grad(plain.discriminator_loss(leaves, rows, made.detach()).sum(), list(leaves.values()))
        stepped = {n: (p - 0.3 * g).detach() for (n, p), g in zip(leaves.items(), slopes, strict=True)}
    loss = ahead.generator_loss(weights, rows, made)
    torch.testing.assert_close(loss, generator_loss(plain.discriminate(stepped, made)))
    through = torch.autograd.grad(loss.sum(), made)[0]
    fixed = torch.autograd.grad(generator_loss(plain.discriminate(stepped, made)).sum(), made)[0]
    assert not torch.allclose(through, fixed, rtol=0.05)
    by, agree = 1e-3, []  # against finite differences, of which some lie across a kink
    for at in np.ndindex(2, 6, 5):
        values = []
        for sign in (1.0, -1.0):
            moved = made.detach().clone()
            moved[at] += sign * by
            values.append(ahead.generator_loss(weights, rows, moved.requires_grad_()).sum().item())
        agree.append(through[at].item() == pytest.approx((values[0] - values[1]) / (2 * by), rel=0.1, abs=1e-3))
    assert np.mean(agree) > 0.35  # of 60 fresh seeds half had .98 and more, the worst .55


def test_the_cue_loss_is_the_likelihood_of_the_cue():
    odds, evidence = torch.tensor([[0.4, -2.0]]), torch.tensor([[0.8, 0.0]])
    p = 1 / (1 + np.exp(-0.4))
    assert cue_loss(odds, evidence).item() == pytest.approx(-np.log(p * np.exp(0.8) + (1 - p) * np.exp(-0.8)), rel=1e-5)


def test_the_posterior_mean_is_bayes_rule_over_the_codes_cue_by_cue():
    logits, evidence = (rng.generators([5], "patterns")[0].standard_normal((2, n, 3)) for n in (4, 5))
    found = posterior_mean(torch.tensor(logits), torch.tensor(evidence), None)
    p = 1.0 / (1.0 + np.exp(-logits))[:, None]
    heard = np.exp(evidence)[:, :, None]  # p(cue | x) of a unit, up to a constant: e for x = +1, 1 / e for -1
    likelihood = (p * heard + (1.0 - p) / heard).prod(-1)  # [S, Q, C]
    expected = (likelihood[..., None] * (2.0 * p - 1.0)).sum(2) / likelihood.sum(2)[..., None]
    np.testing.assert_allclose(found, expected)
    of_units = p * heard / (p * heard + (1.0 - p) / heard)  # given its own value too
    expected = (likelihood[..., None] * (2.0 * of_units - 1.0)).sum(2) / likelihood.sum(2)[..., None]
    both = posterior_mean(torch.tensor(logits), torch.tensor(evidence), torch.tensor(evidence))
    np.testing.assert_allclose(both, expected)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_torch, "MEAN_VALUES", 2 * logits[0].size)  # two cues at a time
        parts = posterior_mean(torch.tensor(logits), torch.tensor(evidence), torch.tensor(evidence))
    assert torch.equal(parts, both)


def test_the_search_finds_the_code_behind_a_cue_in_every_seed():
    w = torch.from_numpy(rng.generators(seed_list(1), "weights")[0].standard_normal((2, 2, 30), np.float32))
    hidden = torch.tensor([[[1.0, -0.5], [-0.7, 0.9]], [[0.2, 1.1], [-1.0, -0.4]]])
    cues = torch.bmm(hidden, w).sign()
    pool = torch.from_numpy(
        np.stack([each.standard_normal((50, 2)) for each in rng.generators(seed_list(2), "recall")])
    )
    config = gan.Config(n_starts=3, latent_steps=40, latent_lr=0.1)
    code = search_codes(lambda z: 3.0 * torch.bmm(z, w), 2.0 * cues, pool.float(), config)
    assert (torch.bmm(code, w).sign() == cues).float().mean(-1).min() > 0.9
    cost = cue_loss(3.0 * torch.bmm(code, w), 2.0 * cues) + 0.5 * code.square().sum(-1)
    begun = cue_loss(3.0 * torch.bmm(pool.float(), w)[:, None], 2.0 * cues[:, :, None])
    assert (
        cost < (begun + 0.5 * pool.float().square().sum(-1)[:, None]).amin(-1)
    ).all()  # than the best that was drawn


@pytest.mark.slow
def test_patterns_are_generated_and_found():
    config = gan.Config(
        generator_hidden=(32,),
        discriminator_hidden=(32,),
        latent_dim=4,
        batch_size=16,
        n_starts=2,
        updates=400,
        learning_rate=4e-3,
    )
    memory = gan.make(PatternSpec((4, 4)), seed_list(2), config)
    patterns = patterns_of_seeds(2, 3, 16)
    memory.store(patterns)
    made = memory.generate(100)
    overlaps = made @ patterns.transpose(0, 2, 1) / 16
    assert overlaps.max(-1).mean() > 0.85
    assert (overlaps.max(1) > 0.85).sum() >= 4  # of six patterns, most are among what is made
    cues = patterns.copy()
    cues[:, :, 5] *= -1
    assert (memory.recall(cues).patterns * patterns).mean() > 0.6  # chance is 0; generators are not exact
    by_mean = gan.make(PatternSpec((4, 4)), seed_list(2), replace(config, estimate="posterior_mean"))
    by_mean.restore(memory.state())
    found = by_mean.recall(cues)
    assert (found.patterns * patterns).mean() > 0.6
    steps = list(by_mean.trajectory(1, cues[1, 0]))
    np.testing.assert_array_equal(steps[-1].pattern, found.patterns[1, 0])
    assert steps[-1].energy == pytest.approx(found.energy[1, 0, -1])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"n_starts": 9, "n_candidates": 4}, "at most memory.n_candidates, 4"),
        ({"generator_hidden": ()}, "at least one layer"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(fields, said):
    with pytest.raises(ValueError, match=said):
        gan.make(PatternSpec((4, 4)), [0], gan.Config(**fields))
