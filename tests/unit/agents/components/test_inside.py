"""Tests of what components show: codes and reconstructions, windows, recalled patterns, novelty of states."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.core.scene import BarPanel, HeatPanel, PicturePanel, PointPanel, StripPanel
from simulator.training.inside import panels_of
from tests.laws.players import session

CODE = {"latent_dim": 3, "hidden": [8], "channels": [3], "batch_size": 8, "updates": 5, "collect": 40}


def _of_kind(panels, kind):
    return [panel for panel in panels if isinstance(panel, kind)]


def _behind(encoder, env="CartPole-v1", steps=60, **env_settings):
    made = session("dqn", env, agent_={"encoder": encoder}, env_=env_settings)
    made.play(steps)
    return made


def test_while_observations_are_collected_there_is_no_code():
    made = _behind({"name": "pca", "components": 2, "collect": 40}, steps=15)
    assert dict(panels_of(made, 0)[0].facts) == {"observations collected": "15 of 40, of random play"}


def test_all_principal_components_restore_the_observation():
    made = _behind({"name": "pca", "components": 4, "collect": 40})
    code, restored = _of_kind(panels_of(made, 1), BarPanel)
    np.testing.assert_allclose(restored.values, restored.beside, atol=1e-5)
    assert restored.beside_name == "observation"
    encoder = made.agent._encoder
    obs = made.env.observe()
    np.testing.assert_allclose(restored.beside, encoder._adapter.encode(obs)[1], rtol=1e-6)
    np.testing.assert_allclose(code.values, encoder.encode(obs, ())[1], rtol=1e-5)


def test_two_of_four_components_leave_the_rest_of_the_variance():
    made = _behind({"name": "pca", "components": 2, "collect": 40})
    restored = _of_kind(panels_of(made, 0), BarPanel)[1]
    code = made.agent._encoder._code
    centred = restored.beside - code._mean[0]
    directions = code._directions[0].astype(np.float64)
    np.testing.assert_allclose(restored.values - code._mean[0], directions @ (directions.T @ centred), atol=1e-5)


def test_the_plane_of_a_code_ends_with_the_present_one():
    made = _behind({"name": "pca", "components": 2, "collect": 40})
    panels = panels_of(made, 2)
    (points,) = _of_kind(panels, PointPanel)
    assert len(points.points) == 20  # steps since the agent began
    assert points.marked == 19
    np.testing.assert_allclose(points.points[-1], _of_kind(panels, BarPanel)[0].values)


@pytest.mark.parametrize("name", ["autoencoder", "vae"])
@pytest.mark.parametrize("env", [{}, {"observation": "pixels", "cell_pixels": 3}])
def test_a_network_shows_what_it_makes_of_its_own_code(name, env):
    made = _behind({"name": name, **CODE}, "rooms" if env else "CartPole-v1", **env)
    panels = panels_of(made, 1)
    code = made.agent._encoder._code
    encoder = made.agent._encoder
    pattern = encoder._adapter.encode(made.env.observe())[1]
    expected = _reconstruction(code, pattern, 1)
    if env:
        (picture,) = _of_kind(panels, PicturePanel)
        shape = encoder._adapter.shape
        pixels = np.clip((expected.reshape(shape) + 1.0) * 127.5, 0.0, 255.0).transpose(1, 2, 0)
        assert picture.captions == ("observation", "reconstruction")
        np.testing.assert_allclose(picture.images[1], pixels, atol=1.0)
    else:
        bars = _of_kind(panels, BarPanel)[1]
        np.testing.assert_allclose(bars.values, expected, atol=1e-4)


def _reconstruction(code, pattern, index):
    """Return tanh of half the logits of a pattern, passed through the layers of one seed in float64."""
    weights = {name: value.detach().numpy()[index].astype(np.float64) for name, value in code._weights.items()}
    x = code.codes(np.repeat(pattern[None, None], code.n_seeds, axis=0))[index].astype(np.float64)
    if "decoder.1.weight" not in weights:  # convolutions: by the network itself
        import torch

        own = {name: value[index : index + 1] for name, value in code._weights.items()}
        logits = code._network.decode(own, torch.tensor(x[None], dtype=torch.float32))
        return np.tanh(0.5 * logits.detach().numpy()[0, 0])
    hidden = x @ weights["decoder.0.weight"] + weights["decoder.0.bias"]
    hidden = np.tanh(hidden) if weights["encoder.1.bias"].size == 3 else np.maximum(hidden, 0.0)
    return np.tanh(0.5 * (hidden @ weights["decoder.1.weight"] + weights["decoder.1.bias"]))[0]


def test_layers_inside_the_agents_network_are_shown_as_they_are_trained():
    made = _behind({"name": "autoencoder", **CODE, "stop_gradient": False}, steps=100)
    panels = panels_of(made, 1)
    network = made.agent._agent._learner.state.online_net
    named = network.seed_parameters(1)
    pattern = made.agent._encoder.encode(made.env.observe(), ())[1].astype(np.float64)
    code = np.tanh(pattern @ named["0.encoder_0_weight"] + named["0.encoder_0_bias"])
    code = np.tanh(code @ named["0.encoder_1_weight"] + named["0.encoder_1_bias"])
    expected = (code - named["0.mean"]) * named["0.scale"]
    np.testing.assert_allclose(_of_kind(panels, BarPanel)[0].values, expected[0], rtol=1e-3, atol=1e-5)


def test_a_window_is_a_strip_of_its_observations():
    made = _behind({"name": "window", "k": 3, "actions": True}, steps=30)
    (strip,) = _of_kind(panels_of(made, 0), StripPanel)
    assert strip.values.shape == (3, 6)
    np.testing.assert_array_equal(strip.values[-1, :4], made.env.observe()[0])
    assert strip.rows[3:] == ("number 4", "last action 0", "last action 1")
    policy = made.agent.policy()
    obs = made.env.observe()
    policy.act(obs, np.ones(3, np.bool_))
    moment = policy.moment(1)
    assert list(moment) == ["features"]
    np.testing.assert_array_equal(moment["features"], [0.0] * 12 + [*obs[1], 0.0, 0.0])


def test_what_is_recalled_stands_beside_the_observation():
    made = _behind({"name": "recall", "collect": 40, "capacity": 4}, "FrozenLake-v1")
    bars = _of_kind(panels_of(made, 0), BarPanel)[0]
    obs = made.env.observe()
    np.testing.assert_array_equal(bars.beside, np.where(np.arange(16) == obs[0], 1.0, -1.0))
    np.testing.assert_allclose(bars.values, made.agent._encoder.encode(obs, ())[0])


@pytest.mark.parametrize("name", ["counts", "familiarity", "nearest", "random_network"])
def test_the_novelty_that_is_shown_is_that_of_the_next_visit(name):
    made = session("q_learning", "FrozenLake-v1", agent_={"intrinsic": {"name": name}})
    made.play(120)
    (shown,) = [panel for panel in _of_kind(panels_of(made, 1), HeatPanel) if panel.title.startswith("novelty")]
    assert shown.rows == tuple(f"state {state}" for state in range(16))
    saved = made.agent._bonus.novelty.state()
    for state in range(16):
        other = session("q_learning", "FrozenLake-v1", agent_={"intrinsic": {"name": name}}).agent._bonus.novelty
        other.restore(saved)
        paid = other.visit(np.full(3, state))[1]
        if name == "random_network":  # that divides by a mean which the visit is a part of
            n = saved["n_visits"][1]
            error = shown.values[state, 0] * saved["error"][1]
            assert paid == pytest.approx(error / (saved["error"][1] + (error - saved["error"][1]) / (n + 1)), rel=1e-3)
        elif name == "nearest":  # likewise, by a mean distance
            assert paid == pytest.approx(shown.values[state, 0], abs=0.02)
        else:
            assert paid == pytest.approx(shown.values[state, 0], rel=1e-6)


def test_imagined_and_real_transitions_share_a_plane():
    model = {"name": "vae", "hidden": [8], "batch_size": 8, "imagined": 8, "warmup": 30}
    made = session("dqn", "CartPole-v1", agent_={"model": model})
    made.play(120)
    (points,) = _of_kind(panels_of(made, 0), PointPanel)
    assert points.names == ("real", "real, next", "imagined", "imagined, next")
    counts = np.bincount(points.groups)
    assert counts[0] == counts[1] == 120
    assert counts[2] == counts[3] > 0
    before = made.env.observe().copy()
    made.play(1)
    kept = made.agent._imagination._model.kept(0, 1)
    np.testing.assert_allclose(kept.obs[0], before[0], rtol=1e-3, atol=1e-4)
