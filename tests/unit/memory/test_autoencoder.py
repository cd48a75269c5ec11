"""Tests of autoencoders: penalties against autograd, variants by hand, principal components, and recall."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from memory import autoencoder
from memory.autoencoder.model_torch import ACTIVATION_DERIVATIVES, Autoencoder, contraction
from memory.autoencoder.pretraining_torch import contrastive_divergence_loss, free_energy, pretrain
from memory.common.networks.memory_torch import CueBatch, reconstructions, restoration_of
from memory.common.networks.training_torch import add_noise, cross_entropy, sample_rows
from simulator.core import rng
from simulator.core.memories import PatternSpec
from tests.helpers.patterns import patterns_of_seeds
from tests.helpers.seeding import seed_list

pytestmark = pytest.mark.learning

SMALL = {"hidden": (12,), "updates": 30, "batch_size": 10, "pretrain_updates": 10}
UNITS = PatternSpec((3, 4))


def test_a_linear_autoencoder_finds_the_principal_components():
    stream = rng.generators([0], "patterns")[0]
    mixed = stream.standard_normal((80, 4)) @ stream.standard_normal((4, 10)) + 0.3 * stream.standard_normal((80, 10))
    patterns = (mixed / np.abs(mixed).max()).astype(np.float32)
    variances = np.linalg.svd(patterns - patterns.mean(0), compute_uv=False) ** 2 / len(patterns)
    linear = {"activation": "linear", "output": "linear", "noise": "none"}
    config = autoencoder.Config(**linear, hidden=(2,), batch_size=80, updates=800, learning_rate=0.03)
    memory = autoencoder.make(PatternSpec((10,), is_bipolar=False), [0], config)
    memory.store(patterns[None])
    assert memory.energy(patterns[None]).mean() == pytest.approx(variances[2:].sum(), rel=0.01)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "linear"])
def test_the_contraction_is_the_squared_norm_of_the_jacobian(activation):
    config = autoencoder.Config(**SMALL, activation=activation)
    model = Autoencoder(UNITS, config)
    weights = model.init_weights(rng.generators([3, 4], "weights"))
    x = torch.from_numpy(patterns_of_seeds(2, 3, 12))
    found = contraction(ACTIVATION_DERIVATIVES[activation](model.codes(weights, x)), weights["encoder.0.weight"])
    for s in range(2):
        alone = {name: part[s : s + 1] for name, part in weights.items()}
        for b in range(3):
            jacobian = torch.autograd.functional.jacobian(
                lambda row, alone=alone: model.codes(alone, row[None, None])[0, 0], x[s, b]
            )
            assert found[s, b].item() == pytest.approx(jacobian.square().sum().item(), rel=1e-4)


def _plain_loss(weights, config, x, seen):
    """Return the loss of one seed in float64 NumPy, one row at a time."""
    bend = {"sigmoid": lambda z: 1 / (1 + np.exp(-z)), "tanh": np.tanh, "relu": lambda z: np.maximum(z, 0)}
    w = {name: part[0].double().numpy() for name, part in weights.items()}
    total = 0.0
    for row, given in zip(x, seen, strict=True):
        h = bend[config.activation](given @ w["encoder.0.weight"] + w["encoder.0.bias"][0])
        z = h @ (w["encoder.0.weight"].T if config.tied else w["decoder.0.weight"]) + w["decoder.0.bias"][0]
        total += sum(np.log1p(np.exp(-a * v)) for a, v in zip(row, z, strict=True))
        total += config.sparsity_weight * np.abs(h).sum() + config.latent_l2_weight * (h**2).sum()
        if config.contractive_weight:
            total += config.contractive_weight * ((h * (1 - h))[None] ** 2 * w["encoder.0.weight"] ** 2).sum()
    return total / len(x)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"tied": True, "activation": "tanh"},
        {"sparsity_weight": 0.3},
        {"latent_l2_weight": 0.2, "activation": "tanh"},
        {"contractive_weight": 0.7, "activation": "sigmoid"},
    ],
)
def test_the_loss_of_every_variant_against_a_plain_loop(fields):
    config = autoencoder.Config(**SMALL, **fields)
    model = Autoencoder(UNITS, config)
    weights = model.init_weights(rng.generators([1], "weights"))
    x = patterns_of_seeds(1, 5, 12)
    seen = add_noise(x, "flip", 0.1, 0.4, rng.generators([1], "training"))
    found = model.loss(weights, torch.from_numpy(x), torch.from_numpy(seen))
    assert found.item() == pytest.approx(_plain_loss(weights, config, x[0].astype(float), seen[0]), rel=1e-5)
    assert ("decoder.0.weight" in weights) is not config.tied


def test_a_linear_code_is_not_bounded_by_the_activation():
    config = autoencoder.Config(**{**SMALL, "hidden": (5, 2)}, activation="tanh", linear_code=True)
    model = Autoencoder(UNITS, config)
    weights = model.init_weights(rng.generators([3], "weights"))
    weights["encoder.1.bias"] += 3.0
    x = torch.from_numpy(patterns_of_seeds(1, 3, 12))
    first = torch.tanh(x @ weights["encoder.0.weight"] + weights["encoder.0.bias"])
    expected = first @ weights["encoder.1.weight"] + weights["encoder.1.bias"]
    torch.testing.assert_close(model.codes(weights, x), expected)
    assert (expected > 1.0).any()
    assert [layer.activation for layer in model.encoder_layers(weights, 0)] == ["tanh", "linear"]


def test_dropout_leaves_units_out_and_keeps_the_mean():
    config = autoencoder.Config(**SMALL, dropout=0.25)
    kept = Autoencoder(UNITS, config).dropout_masks(4_000, rng.generators(seed_list(2), "training"))
    assert [tuple(each.shape) for each in kept] == [(2, 4_000, 12)]
    assert kept[0].unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert kept[0].mean(1).numpy() == pytest.approx(np.ones((2, 12)), abs=0.05)


def test_contrastive_divergence_has_the_textbook_gradient():
    stream = rng.generators([5], "weights")
    weights = {
        "rbm.0.weight": torch.from_numpy(stream[0].standard_normal((1, 4, 3), np.float32)).requires_grad_(),
        "rbm.0.bias": torch.zeros(1, 1, 3).requires_grad_(),
        "visible_bias": torch.zeros(1, 1, 4).requires_grad_(),
    }
    visible = torch.tensor([[[1.0, 0.0, 1.0, 1.0]]])
    loss = contrastive_divergence_loss(weights, visible, rng.generators([5], "training"))
    slope = torch.autograd.grad(loss.sum(), weights["rbm.0.weight"])
    with torch.no_grad():
        up = torch.sigmoid(visible @ weights["rbm.0.weight"])
        fired = (torch.from_numpy(rng.generators([5], "training")[0].random((1, 3), np.float32)) < up).float()
        again = torch.sigmoid(fired @ weights["rbm.0.weight"].transpose(1, 2))
        negative = again.transpose(1, 2) @ torch.sigmoid(again @ weights["rbm.0.weight"])
        positive = visible.transpose(1, 2) @ up
    torch.testing.assert_close(slope[0], negative - positive)


def test_the_free_energy_of_a_layer_is_that_of_its_hidden_states_summed():
    stream = rng.generators([5], "weights")[0]
    w, b, a = (torch.from_numpy(stream.standard_normal(shape)) for shape in ((1, 4, 3), (1, 1, 3), (1, 1, 4)))
    v = torch.tensor([1.0, 0.0, 1.0, 1.0], dtype=torch.float64)
    hidden = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 3)
    energies = -(v @ a[0, 0]) - hidden @ b[0, 0] - hidden @ (v @ w[0])
    found = free_energy({"rbm.0.weight": w, "rbm.0.bias": b, "visible_bias": a}, v[None, None])
    assert found.item() == pytest.approx(-torch.logsumexp(-energies, 0).item())


@pytest.mark.parametrize("method", ["autoencoders", "rbms"])
@pytest.mark.parametrize("tied", [False, True])
def test_pretrained_layers_begin_nearer_to_the_patterns(method, tied):
    patterns = patterns_of_seeds(2, 6, 12)
    fields = {"hidden": (20, 16), "batch_size": 10, "pretrain_updates": 300, "activation": "sigmoid", "noise": "none"}
    fields["learning_rate"] = 0.03
    config = autoencoder.Config(**fields, pretrain=method, tied=tied, updates=1)
    model = Autoencoder(UNITS, config)
    weights = model.init_weights(rng.generators(seed_list(2), "weights"))
    x = torch.from_numpy(patterns)
    before = model.energy(weights, x, []).mean(-1)
    pretrain(weights, patterns, config, rng.generators(seed_list(2), "training"))
    with torch.no_grad():
        assert (model.energy(weights, x, []).mean(-1) < 0.8 * before).all()


def test_output_means_by_hand():
    logistic = Autoencoder(UNITS, autoencoder.Config(output="logistic"))
    linear = Autoencoder(UNITS, autoencoder.Config(output="linear"))
    out, evidence = torch.tensor([2.0]), torch.tensor([0.5])
    assert logistic.mean_pattern(out).item() == pytest.approx(np.tanh(1.0))
    assert logistic.mean_pattern(out, evidence).item() == pytest.approx(np.tanh(1.5))
    assert linear.mean_pattern(out).item() == 1.0
    assert linear.mean_pattern(torch.tensor([0.5]), evidence).item() == pytest.approx(np.tanh(np.arctanh(0.5) + 0.5))
    assert cross_entropy(torch.tensor([[1.0, -2.0]]), torch.tensor([[1.0, 0.0]])).item() == pytest.approx(
        np.log1p(np.exp(-1.0)) + 0.5 * (np.log1p(np.exp(2.0)) + np.log1p(np.exp(-2.0))), rel=1e-6
    )


def test_recall_stops_where_a_cue_converges_and_holds_what_is_known():
    cues = torch.tensor([[[1.0, 1.0, 0.0], [8.0, 0.0, 4.0]]])
    known = torch.tensor([[[True, False, False], [False, False, True]]])
    config = autoencoder.Config(recall_mode="fixed_point", max_iters=10)
    found = restoration_of(
        reconstructions(lambda x: x / 2 * (x.abs() > 0.5), lambda x: x.sum(-1), CueBatch(cues, known, None), config)
    )
    # 1: .5, 0, rest. 8: 4, 2, 1, .5, 0, rest, with 4 held
    assert found.patterns.tolist() == [[[1.0, 0.0, 0.0], [0.0, 0.0, 4.0]]]
    assert found.n_iters.tolist() == [[3, 6]]
    wanted = [[2.0, 1.5, 1.0, 1.0] + [np.nan] * 3, [12.0, 8.0, 6.0, 5.0, 4.5, 4.0, 4.0]]
    np.testing.assert_array_equal(found.energy[0].numpy(), wanted)


def test_noise_by_kind():
    rows = np.ones((2, 400, 50), np.float32)
    assert add_noise(rows, "none", 0.0, 1.0, []) is rows
    for kind, worth in (("flip", -1.0), ("erase", 0.0)):
        out = add_noise(rows, kind, 0.1, 0.3, rng.generators(seed_list(2), "training"))
        assert set(np.unique(out)) == {worth, 1.0}
        shares = (out == worth).mean(2)
        assert shares.mean() == pytest.approx(0.2, abs=0.01)
        assert shares.std() > np.sqrt(0.2 * 0.8 / 50)  # more than one amount for all rows would give
    out = add_noise(rows, "gaussian", 0.5, 0.5, rng.generators(seed_list(2), "training")) - rows
    assert out.std() == pytest.approx(0.5, abs=0.01)


def test_rows_are_drawn_from_each_seeds_own_patterns():
    patterns = patterns_of_seeds(2, 3, 12)
    rows = sample_rows(patterns, 200, rng.generators(seed_list(2), "training"))
    for stored, drawn in zip(patterns, rows, strict=True):
        at = (drawn[:, None] == stored[None]).all(-1)
        assert at.any(1).all()
        assert (at.sum(0) > 40).all()


@pytest.mark.parametrize("preset", [None, *autoencoder.PRESETS])
def test_every_preset_restores_patterns(preset):
    fields = dict(autoencoder.PRESETS[preset]["memory"]) if preset else {}
    fields |= {
        "hidden": (48,) * len(fields.get("hidden", (0, 0))),
        "updates": 300,
        "pretrain_updates": 100,
        "batch_size": 25,
    }
    memory = autoencoder.make(PatternSpec((6, 6)), seed_list(2), autoencoder.Config(**fields))
    patterns = patterns_of_seeds(2, 4, 36)
    memory.store(patterns)
    cues = patterns.copy()
    cues[:, :, [3, 20, 31]] *= -1
    evidence = 1.1 * cues if memory.recall_mode == "noise_aware" else None
    found = memory.recall(cues, None, evidence)
    assert ((found.patterns == patterns).all(-1).mean(-1) >= 0.75).all()
    assert (memory.energy(patterns).mean(-1) < memory.energy(patterns_of_seeds(2, 9, 36, 50)).mean(-1)).all()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"contractive_weight": 1.0}, "expected one hidden layer"),
        ({"pretrain": "rbms"}, "expected sigmoid"),
        ({"noise_min": 0.5}, r"noise_max = 0\.4: expected at least noise_min, 0\.5"),
        ({"noise_max": 1.5}, "at most 1"),
        ({"linear_code": True, "pretrain": "autoencoders"}, "linear_code = true with pretrain = autoencoders"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(fields, said):
    with pytest.raises(ValueError, match=said):
        autoencoder.make(UNITS, [0], autoencoder.Config(**fields))
