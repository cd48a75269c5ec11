"""Tests of encoders inside the agent's networks: features, gradients, and who trains which weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from agents.common.networks.network_torch import TorchNetwork
from agents.common.networks.optimizers import OptimizerSettings
from agents.components import autoencoder, vae
from agents.dqn import agent as dqn
from agents.dqn.agent import resolved
from agents.reinforce import agent as reinforce
from simulator.core import registry
from simulator.core.components import Component
from simulator.core.protocols import EnvSpec, Step

NUMBERS = EnvSpec("env", spaces.Box(-1.0, 1.0, (6,), np.float32), spaces.Discrete(3), max_steps=50)
PICTURES = EnvSpec("env", spaces.Box(0, 255, (8, 8, 3), np.uint8), spaces.Discrete(3), max_steps=50)
SEEDS = [3, 4]
SMALL = {"latent_dim": 2, "hidden": (8,), "channels": (3,), "collect": 30, "updates": 40, "batch_size": 8}
KINDS = [(autoencoder, NUMBERS), (vae, NUMBERS), (autoencoder, PICTURES), (vae, PICTURES)]
IDS = ["autoencoder-numbers", "vae-numbers", "autoencoder-pictures", "vae-pictures"]


def observations(spec, n):
    generator = np.random.default_rng(1)
    if spec is PICTURES:
        return generator.integers(0, 2, (n, 2, 8, 8, 3)).astype(np.uint8) * 255
    return generator.uniform(-1.0, 1.0, (n, 2, 6)).astype(np.float32)


def encoder_of(component, spec, **settings):
    return component.make(component.Config(**SMALL, **settings)).encoder(spec, SEEDS)


def network_behind(encoder, *, stacked=False, settings=None):
    layers = encoder.first_layers
    net = TorchNetwork(
        lambda: nn.Sequential(layers.build(), nn.Linear(2, 3)), SEEDS, settings, device="cpu", stacked=stacked
    )
    layers.attach([net])
    return net


def random_layers(component, spec):
    """Return the first layers in float64, with weights, mean and scale that are not their first ones."""
    module = encoder_of(component, spec, stop_gradient=False).build().double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(0.5 * torch.randn(weight.shape, generator=generator, dtype=torch.float64))
    return module


@pytest.mark.parametrize(("component", "spec"), KINDS, ids=IDS)
@pytest.mark.parametrize("stacked", [False, True])
def test_layers_in_a_network_compute_the_features_of_the_encoder_that_learned_the_same(component, spec, stacked):
    plain = encoder_of(component, spec)
    joint = encoder_of(component, spec, stop_gradient=False)
    net = network_behind(joint, stacked=stacked)
    obs = observations(spec, 31)
    for t, row in enumerate(obs[:30]):
        plain.learn(row, t + 1)
        assert not joint.learn(row, t + 1)  # what the agent sees never changes
    head = {name: values for name, values in net.parameters().items() if name.startswith("1.")}
    features = plain.encode(obs[30], ())[:, None]
    expected = np.einsum("sbf,saf->sba", features, head["1.weight"]) + head["1.bias"][:, None]
    np.testing.assert_allclose(net.forward(joint.encode(obs[30], ())[:, None]), expected, atol=1e-5)


@pytest.mark.parametrize(("component", "spec"), KINDS, ids=IDS)
def test_gradients_of_the_layers_equal_finite_differences(component, spec):
    module = random_layers(component, spec)
    names = [name for name, _ in module.named_parameters() if name not in ("mean", "scale")]
    n = 6 if spec is NUMBERS else 192
    x = torch.from_numpy(np.random.default_rng(0).uniform(-1.0, 1.0, (3, n)))
    target = torch.from_numpy(np.random.default_rng(1).standard_normal((3, 2)))

    def loss():
        return (module(x) * target).sum()

    gradients = torch.autograd.grad(loss(), [module.get_parameter(name) for name in names])
    for name, gradient in zip(names, gradients, strict=True):
        weight = module.get_parameter(name).data.view(-1)
        for k in np.linspace(0, len(weight) - 1, 5).astype(int):
            before = weight[k].item()
            values = []
            for shift in (1e-6, -1e-6):
                weight[k] = before + shift
                values.append(loss().item())
            weight[k] = before
            assert gradient.view(-1)[k].item() == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("stacked", [False, True])
def test_a_step_of_the_agents_optimizer_goes_down_autograds_gradient_through_head_and_code(stacked):
    joint = encoder_of(autoencoder, NUMBERS, stop_gradient=False)
    net = network_behind(joint, stacked=stacked, settings=OptimizerSettings(kind="sgd", learning_rate=1.0))
    x = observations(NUMBERS, 5).swapaxes(0, 1)  # [S, B, N]
    before = {name: torch.tensor(values, requires_grad=True) for name, values in net.parameters().items()}
    h = x_t = torch.tensor(x)
    for layer in (0, 1):
        h = torch.tanh(h @ before[f"0.encoder_{layer}_weight"] + before[f"0.encoder_{layer}_bias"])
    outputs = h @ before["1.weight"].transpose(1, 2) + before["1.bias"][:, None]
    np.testing.assert_allclose(net.forward(x_t.numpy()), outputs.detach().numpy(), atol=1e-6)
    output_grad = np.random.default_rng(0).standard_normal(outputs.shape).astype(np.float32)
    outputs.backward(torch.tensor(output_grad))
    net.apply_gradient(output_grad, np.ones(2, np.bool_))
    for name, values in net.parameters().items():
        gradient = before[name].grad
        moved = before[name].detach().numpy() - values
        expected = np.zeros_like(moved) if gradient is None else gradient.numpy()
        np.testing.assert_allclose(moved, expected, atol=1e-5, err_msg=name)
        assert (gradient is None) == (name in ("0.mean", "0.scale"))


def learner(agent, learn, **settings):
    encoder = Component("autoencoder", autoencoder.Config(**SMALL, learn=learn, stop_gradient=False, **settings))
    config = agent.Config(encoder=encoder)
    if agent is dqn:
        config = dqn.Config(encoder=encoder, learning_starts=10, batch_size=8, n_step=1)
    return agent.make(NUMBERS, SEEDS, config)


def played(made, n):
    obs = observations(NUMBERS, n + 1)
    never = np.zeros(2, np.bool_)
    for t in range(n):
        actions = made.act(obs[t])
        made.learn(obs[t], actions, Step(obs[t + 1], np.array([1.0, -1.0], np.float32), never, never, obs[t + 1]))
    return made


FIRST = "0.encoder_0_weight"  # of a network
CODE = "encoder.0.weight"  # the same of the encoder


def online(made):
    """Return the weights of DQN's online networks by name."""
    return made._agent._learner.networks["online"].parameters()


def code(made):
    """Return the encoder's own weights by name."""
    return made.state()["encoder"]["code"]["weights"]


def test_dqns_gradient_trains_the_code_and_nothing_behind_it():
    made = played(learner(dqn, "beforehand"), 30)
    fitted = code(made)
    np.testing.assert_array_equal(online(made)[FIRST], fitted[CODE])
    played(made, 20)
    for k in (0, 1):
        assert np.abs(online(made)[f"0.encoder_{k}_weight"] - fitted[f"encoder.{k}.weight"]).max() > 1e-4
    for name in fitted:  # the decoder, and the encoder's own copy
        np.testing.assert_array_equal(code(made)[name], fitted[name])
    encoder = made.state()["encoder"]
    np.testing.assert_array_equal(online(made)["0.mean"], encoder["mean"][:, 0])
    np.testing.assert_array_equal(online(made)["0.scale"], encoder["scale"][:, 0])


def test_untrained_layers_are_trained_by_the_agent_alone():
    made = learner(dqn, "both", untrained=True)
    first = online(made)[FIRST].copy()
    played(made, 30)
    np.testing.assert_array_equal(online(made)[FIRST], first)
    played(made, 20)
    assert np.abs(online(made)[FIRST] - first).max() > 1e-4


def test_beside_the_agent_both_losses_move_the_same_weights():
    made = played(learner(dqn, "both"), 40)
    before = code(made)
    played(made, 12)  # environment step 52 ends with the agent's update and then the code's
    after = code(made)
    assert np.abs(after["decoder.0.weight"] - before["decoder.0.weight"]).max() > 0.0
    np.testing.assert_array_equal(online(made)[FIRST], after[CODE])
    played(made, 1)  # the agent's alone
    assert np.abs(online(made)[FIRST] - code(made)[CODE]).max() > 0.0
    np.testing.assert_array_equal(code(made)[CODE], after[CODE])


def test_all_networks_begin_with_what_was_learned_beforehand():
    made = played(learner(dqn, "beforehand"), 30)
    for net in made._agent._learner.networks.values():
        np.testing.assert_array_equal(net.parameters()[FIRST], code(made)[CODE])
    made = played(learner(reinforce, "beforehand"), 30)
    for net in (made._agent.learner.policy, made._agent.learner.value):
        np.testing.assert_array_equal(net.parameters()[FIRST], code(made)[CODE])


@pytest.mark.parametrize("socket", ["recurrence", "model"])
def test_other_sockets_that_do_not_go_with_it_are_refused_with_both_sides(socket):
    name = {"recurrence": "gru", "model": "vae"}[socket]
    encoder = Component("autoencoder", autoencoder.Config(**SMALL, stop_gradient=False))
    other = Component(name, registry.load("components", name).module.Config())
    config = resolved(dqn.Config(encoder=encoder, **{socket: other}))
    with pytest.raises(ValueError, match=rf"stop_gradient = false and agent.{socket} = '{name}': expected"):
        dqn.make(NUMBERS, SEEDS, config)
