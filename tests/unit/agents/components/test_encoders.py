"""Tests of every encoder: what its features are, and what it learns."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from agents.common.encoders.learned_torch import make_network, unpacked
from agents.components import autoencoder, pca, recall, true_state, vae, window
from envs import rooms
from memory.common.networks.arithmetic_torch import Optimizer
from simulator.core import rng
from simulator.core.mdp.model import policy_chain, transitions, uniform_policy
from simulator.core.protocols import EnvSpec

SPEC = EnvSpec("env", spaces.Box(-1.0, 1.0, (6,), np.float32), spaces.Discrete(3))
PICTURES = EnvSpec("env", spaces.Box(0, 255, (8, 8, 3), np.uint8), spaces.Discrete(3))
SEEDS = [3, 4]
SMALL = {"latent_dim": 2, "hidden": (8,), "channels": (3,), "collect": 30, "updates": 40, "batch_size": 8}


def numbers(n=30, n_seeds=2):
    mixing = np.random.default_rng(1).standard_normal((2, 6))
    code = np.random.default_rng(2).standard_normal((n, n_seeds, 2))
    return np.tanh(code @ mixing).astype(np.float32)


def pictures(n=30):
    return np.random.default_rng(0).integers(0, 2, (n, 2, 8, 8, 3)).astype(np.uint8) * 255


def taught(component, spec, obs):
    encoder = component.encoder(spec, SEEDS)
    for t, row in enumerate(obs):
        encoder.learn(row, t + 1)
    return encoder


@pytest.mark.parametrize("n", [30, 4])  # more observations than numbers, and fewer
@pytest.mark.parametrize("standardize", [False, True])
def test_principal_components_are_those_of_numpys_singular_value_decomposition(n, standardize):
    x = numbers(n)
    config = pca.Config(components=3, collect=n, standardize=standardize)
    encoder = taught(pca.make(config), SPEC, x)
    for i in range(2):
        centred = x[:, i].astype(np.float64) - x[:, i].astype(np.float64).mean(axis=0)
        expected = centred @ np.linalg.svd(centred, full_matrices=False)[2][:3].T
        if standardize:
            expected /= expected.std(axis=0)
        found = np.stack([encoder.encode(row, ())[i] for row in x])
        np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=2e-4)


def test_components_beyond_the_rank_are_zero():
    found = pca.principal_directions(np.outer(np.arange(5.0) - 2.0, [1.0, 2.0, 2.0]), 2)
    np.testing.assert_allclose(found, np.array([[1.0, 2.0, 2.0], [0.0, 0.0, 0.0]]).T / 3.0, atol=1e-12)


@pytest.mark.parametrize("component", [autoencoder, vae])
@pytest.mark.parametrize(("spec", "obs"), [(SPEC, numbers()), (PICTURES, pictures())])
def test_a_network_changes_while_it_learns_and_then_stays(component, spec, obs):
    encoder = component.make(component.Config(**SMALL)).encoder(spec, SEEDS)
    before = encoder.encode(obs[0], ())
    frozen = encoder.frozen()
    changed = [encoder.learn(row, t + 1) for t, row in enumerate(obs)]
    assert changed == [False] * 29 + [True]
    np.testing.assert_array_equal(frozen.encode(obs[0], ()), before)
    after = encoder.encode(obs[0], ())
    assert after.shape == (2, 2)
    assert np.abs(after - before).min() > 0.0
    assert not encoder.learn(obs[1], 31)
    np.testing.assert_array_equal(encoder.encode(obs[0], ()), after)


@pytest.mark.parametrize("component", [autoencoder, vae])
@pytest.mark.parametrize("learn", ["beside", "both"])
def test_a_network_that_learns_beside_the_agent_goes_on_doing_so(component, learn):
    config = component.Config(**SMALL, learn=learn, buffer_size=10)
    encoder = component.make(config).encoder(SPEC, SEEDS)
    x = numbers(60)
    changed = [encoder.learn(row, t + 1) for t, row in enumerate(x)]
    begin = 30 if learn == "both" else 0
    updates = [t + 1 for t in range(60) if changed[t]]
    expected = [t for t in range(begin + 1, 61) if t % 4 == 0]
    assert updates == ([30, *expected] if learn == "both" else expected)


@pytest.mark.parametrize(
    "component",
    [
        autoencoder.make(autoencoder.Config(**SMALL, untrained=True)),
        vae.make(vae.Config(**SMALL, untrained=True, learn="both")),
        pca.make(pca.Config(components=2, collect=30, untrained=True)),
    ],
)
def test_an_untrained_encoder_keeps_its_first_weights(component):
    encoder = component.encoder(SPEC, SEEDS)
    first = encoder.state()["code"]
    for t, row in enumerate(numbers(60)):
        encoder.learn(row, t + 1)
    last = encoder.state()["code"]
    weights = [state.get("weights", {key: state.get(key) for key in ("directions", "mean")}) for state in (first, last)]
    for name, values in weights[0].items():
        np.testing.assert_array_equal(weights[1][name], values)


@pytest.mark.parametrize("variational", [False, True])
@pytest.mark.parametrize("shape", [(6,), (3, 8, 8)])
def test_training_makes_the_loss_smaller(variational, shape):
    config = vae.Config(**SMALL)
    network = make_network(shape, config, variational=variational, convolutional=len(shape) == 3)
    streams = rng.generators(SEEDS, "encoder")
    weights = network.init_weights(streams)
    optimizers = network.make_optimizers(weights)
    patterns = np.sign(np.random.default_rng(0).standard_normal((2, 3, int(np.prod(shape))))).astype(np.float32)
    losses = [network.update(weights, optimizers, patterns, streams, 1e-2, 1.0).numpy() for _ in range(80)]
    assert (np.mean(losses[-10:], axis=0) < 0.9 * np.mean(losses[:10], axis=0)).all()


def test_adam_goes_on_from_its_state():
    def trained(parted):
        network = make_network((6,), vae.Config(**SMALL), variational=True, convolutional=False)
        weights = network.init_weights(rng.generators(SEEDS, "encoder"))
        optimizers = network.make_optimizers(weights)
        patterns = np.swapaxes(numbers(), 0, 1).copy()
        for t in range(6):
            if parted and t == 3:
                saved = optimizers["all"].state()
                weights = {name: weight.detach().clone() for name, weight in weights.items()}
                optimizers = {"all": Optimizer(weights)}
                optimizers["all"].restore(saved)
            streams = unpacked(rng.pcg64_states([10 + t, 20 + t], "training"))
            network.update(weights, optimizers, patterns, streams, 1e-2, 1.0)
        return weights

    for whole, parted in zip(trained(False).values(), trained(True).values(), strict=True):
        np.testing.assert_array_equal(whole.detach().numpy(), parted.detach().numpy())


PATTERNS = np.sign(np.random.default_rng(5).standard_normal((4, 20))).astype(np.float32)
NOISY = EnvSpec(
    "env", spaces.Box(-1.0, 1.0, (20,), np.float32), spaces.Discrete(4), patterns=PATTERNS, corruption="flip:0.2"
)


def looks(n=50):
    stream = np.random.default_rng(6)
    which = stream.integers(4, size=n)
    flipped = np.where(stream.random((n, 20)) < 0.2, -1.0, 1.0)
    return which, (PATTERNS[which] * flipped).astype(np.float32)


def test_a_memory_is_given_the_patterns_and_the_evidence_and_restores_by_bayes_rule():
    encoder = recall.make(recall.Config()).encoder(NOISY, SEEDS)
    assert encoder.n_collected == 0
    _, cues = looks()
    features = encoder.features(cues)
    weights = np.exp(0.5 * np.log(0.8 / 0.2) * cues @ PATTERNS.T)
    posterior_mean = weights / weights.sum(axis=1, keepdims=True) @ PATTERNS
    np.testing.assert_allclose(features[1], posterior_mean, atol=1e-5)
    np.testing.assert_array_equal(encoder.encode(cues[:2], ())[0], features[0, 0])


def test_flip_and_settings_change_what_the_memory_is_told():
    _, cues = looks()
    told, other, none = (
        recall.make(recall.Config(**settings)).encoder(NOISY, SEEDS).features(cues)
        for settings in ({}, {"flip": 0.4}, {"flip": 0.0, "settings": {"beta": 0.5 * float(np.log(4.0))}})
    )
    np.testing.assert_allclose(told, none, atol=1e-5)
    assert np.abs(told - other).max() > 0.1


def test_without_patterns_a_memory_stores_the_most_frequent_observations():
    spec = EnvSpec("env", spaces.MultiBinary(4), spaces.Discrete(2))
    often, rare = np.array([1, 1, 0, 0]), np.array([0, 0, 1, 1])
    config = recall.Config(memory="nearest_neighbor", collect=5, capacity=1)
    encoder = recall.make(config).encoder(spec, [0])
    assert encoder.n_collected == 5
    for t, obs in enumerate((rare, often, often, rare, often)):
        encoder.learn(obs[None], t + 1)
    np.testing.assert_array_equal(encoder.encode(np.array([[0, 1, 0, 0]]), ()), [[1, 1, -1, -1]])


def test_an_untrained_memory_holds_other_patterns():
    which, cues = looks()
    clean, control = (
        np.sign(
            recall.make(recall.Config(memory="nearest_neighbor", untrained=untrained))
            .encoder(NOISY, [0])
            .features(cues)[0]
        )
        for untrained in (False, True)
    )
    assert (clean == PATTERNS[which]).mean() > 0.9
    assert (control == PATTERNS[which]).mean() < 0.8


@pytest.mark.parametrize(
    ("component", "spec", "said"),
    [
        (pca.make(pca.Config(components=7)), SPEC, "components = 7 on env: expected at most the 6 numbers"),
        (vae.make(vae.Config(network="convolutional")), SPEC, "network = convolutional on env.*expected images"),
        (recall.make(recall.Config(memory="hopfield")), SPEC, "stores -1 and \\+1.*signs = true"),
        (recall.make(recall.Config(store="given")), SPEC, "gives no patterns, expected store = seen"),
        (recall.make(recall.Config(settings={"bta": 1})), SPEC, "settings.bta: modern_hopfield has no.*mean beta"),
        (autoencoder.make(autoencoder.Config(collect=0)), SPEC, "collect = 0.*expected at least 1"),
    ],
)
def test_what_does_not_fit_is_refused_with_both_sides(component, spec, said):
    with pytest.raises(ValueError, match=said):
        component.encoder(spec, SEEDS)


def test_the_true_state_is_one_hot_or_the_laplacians_eigenvectors():
    env = rooms.make(SEEDS, rooms.Config(layout="four", observation="pixels", cell_pixels=3))
    spec = env.spec
    onehot = true_state.make(true_state.Config()).encoder(spec, SEEDS)
    np.testing.assert_array_equal(onehot.features(spec.state_obs)[1], np.eye(104))
    np.testing.assert_array_equal(onehot.encode(spec.state_obs[[7, 9]], ()), np.eye(104)[[7, 9]])
    smooth = true_state.make(true_state.Config(laplacian=103)).encoder(spec, SEEDS).features(spec.state_obs)[0]
    np.testing.assert_allclose(smooth.T @ smooth, 104 * np.eye(103), atol=1e-3)
    chain = policy_chain(uniform_policy(spec.mdp), transitions(spec.mdp, ())).toarray()
    known = np.diag(chain) < 1.0  # moves from where play ends are not
    vectors = smooth[known, :5]
    images = (chain @ smooth[:, :5])[known]
    eigenvalues = (images * vectors).sum(axis=0) / (vectors**2).sum(axis=0)  # P = I - L / 4 has the same eigenvectors
    assert (np.diff(eigenvalues) < 0.0).all()
    np.testing.assert_allclose(images, eigenvalues * vectors, atol=1e-4)


def test_a_window_standardizes_what_varied_and_leaves_what_did_not():
    config = window.Config(k=1, standardize=True, collect=30)
    x = numbers()
    x[..., 2] = 0.25  # a number that stands still in random play
    encoder = window.make(config).encoder(SPEC, SEEDS)
    begun = encoder.state()
    for t, row in enumerate(x):
        encoder.learn(row, t + 1)
    features = np.stack([encoder.encode(row, encoder.make_carry()) for row in x])
    np.testing.assert_allclose(features.mean(axis=0), 0.0, atol=1e-4)
    np.testing.assert_allclose(np.delete(features.std(axis=0), 2, axis=1), 1.0, rtol=1e-3)
    moved = x[0].copy()
    moved[:, 2] += 0.5
    np.testing.assert_allclose(encoder.encode(moved, encoder.make_carry())[:, 2], 0.5, rtol=1e-5)
    encoder.restore(begun)  # as if nothing had been seen
    for t, row in enumerate(x):
        encoder.learn(row, t + 1)
    again = np.stack([encoder.encode(row, encoder.make_carry()) for row in x])
    np.testing.assert_array_equal(again, features)
