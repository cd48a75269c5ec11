"""Tests of optimizers: every rule in every backend against torch.optim; counters, masks and clipping by seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents import behaviour_cloning, dqn, reinforce
from agents.common.networks.optimizers import OptimizerSettings, lr_scale_at
from agents.components import random_network
from memory.common.networks.arithmetic_torch import Optimizer
from simulator.core import optimizers
from simulator.core.optimizers import KINDS as RULES
from simulator.core.protocols import EnvSpec
from tests.helpers.networks import KINDS, data, flat_of, make, module, weights

PEERS = {
    "sgd": lambda params, rate: torch.optim.SGD(params, rate),
    "momentum": lambda params, rate: torch.optim.SGD(params, rate, momentum=0.9),
    "nesterov": lambda params, rate: torch.optim.SGD(params, rate, momentum=0.9, nesterov=True),
    "adagrad": lambda params, rate: torch.optim.Adagrad(params, rate),
    "adadelta": lambda params, rate: torch.optim.Adadelta(params, rate),
    "rmsprop": lambda params, rate: torch.optim.RMSprop(params, rate),
    "adam": lambda params, rate: torch.optim.Adam(params, rate),
}
MASKED = range(40, 47)  # steps in which seed number 1 rests


def _gradients(sizes, t):
    """Return inputs of one row and dL/dy; the gradient of a linear network is their product, whatever its weights."""
    x, dy = data((2, 1, sizes[0]), 2 * t), data((2, 1, sizes[-1]), 2 * t + 1)
    return x, dy * np.float32(10.0 ** (t % 5 - 3))


@pytest.mark.parametrize("rule", RULES)
def test_the_formulas_are_torchs_to_the_last_digits_over_300_steps(rule):
    """In float64, on arrays and on tensors; gradients over four decades, with zeros among them."""
    settings = optimizers.RuleConfig(kind=rule)
    draws = np.random.Generator(np.random.PCG64(4))
    gradients = draws.normal(size=(300, 7)) * 10.0 ** (np.arange(300) % 5 - 2)[:, None]
    gradients[::7, 2] = 0.0
    start = draws.normal(size=7)
    theirs = torch.nn.Parameter(torch.tensor(start))
    peer = PEERS[rule]([theirs], 1e-2)
    filled = optimizers.rule_of(settings)
    for convert in (np.array, torch.tensor):
        weights, first, second = convert(start), convert(np.zeros(7)), convert(np.zeros(7))
        for t, gradient in enumerate(gradients, 1):
            c = optimizers.coefficients(filled, 1e-2, t)
            step, first, second = optimizers.update(filled, convert(gradient), first, second, c)
            weights = weights - step
            if convert is np.array:
                theirs.grad = torch.tensor(gradient)
                peer.step()
        np.testing.assert_allclose(np.asarray(weights), theirs.detach().numpy(), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_the_memories_optimizer_is_torchs(rule):
    draws = np.random.Generator(np.random.PCG64(5))
    start = {"a": draws.normal(size=(2, 3, 5)), "b": draws.normal(size=(2, 1, 70))}
    mine = {name: torch.tensor(value, dtype=torch.float32) for name, value in start.items()}
    theirs = [torch.nn.Parameter(weight.clone()) for weight in mine.values()]
    ours, peer = Optimizer(mine, optimizers.RuleConfig(kind=rule)), PEERS[rule](theirs, 1e-2)
    for _ in range(50):
        ours.minimize(sum((w * w).flatten(1).sum(1) + w.cos().flatten(1).sum(1) for w in mine.values()), 1e-2)
        peer.zero_grad()
        sum((w * w).sum() + w.cos().sum() for w in theirs).backward()
        peer.step()
        ours.restore(ours.state())
    for weight, other in zip(mine.values(), theirs, strict=True):
        np.testing.assert_allclose(weight.detach(), other.detach(), atol=2e-6)


def _networks(sizes, settings, *, tanh=False, kinds=KINDS):
    """Return two seeds of every kind, and each seed as a torch module, with the same initial weights."""
    networks = [make(kind, sizes, (0, 1), settings, tanh=tanh) for kind in kinds]
    return networks, [module(row, sizes, tanh=tanh) for row in weights(networks[0], sizes)]


def _move(made, peer, x, dy):
    """Take one step of a module by torch's own optimizer; ``dy`` is made of the outputs."""
    peer.zero_grad()
    y = made(torch.tensor(x))
    y.backward(torch.tensor(dy(y.detach().numpy())))
    peer.step()


@pytest.mark.parametrize("rule", RULES)
def test_the_rule_is_torchs_over_100_steps_and_a_masked_seed_does_not_count(rule):
    sizes = (5, 3)
    networks, made = _networks(sizes, OptimizerSettings(kind=rule, learning_rate=1e-3))
    peers = [PEERS[rule](each.parameters(), 1e-3) for each in made]
    for t in range(100):
        mask, (x, dy) = np.array([True, t not in MASKED]), _gradients(sizes, t)
        for network in networks:
            network.forward(x)
            network.apply_gradient(dy, mask)
        for i in np.flatnonzero(mask):
            _move(made[i], peers[i], x[i], lambda y, dy=dy[i]: dy)
    for network in networks:
        expected = np.stack([flat_of(each) for each in made])
        np.testing.assert_allclose(weights(network, sizes), expected, atol=2e-7, rtol=0)
        np.testing.assert_array_equal(network.state()["step_count"], [100, 100 - len(MASKED)])


@pytest.mark.parametrize("tanh", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_networks_learn_as_torchs_do_over_100_steps(rule, tanh):
    sizes = (4, 9, 7, 2)
    kinds = KINDS[: 2 if tanh else 3]  # one turn is enough for the slow kind
    networks, made = _networks(sizes, OptimizerSettings(kind=rule, learning_rate=1e-3), tanh=tanh, kinds=kinds)
    peers = [PEERS[rule](each.parameters(), 1e-3) for each in made]
    for t in range(100):
        x, goal = data((2, 8, 4), 2 * t), data((2, 8, 2), 2 * t + 1)
        for network in networks:
            network.apply_gradient((network.forward(x) - goal) / 8, np.ones(2, bool))
        for i in range(2):
            _move(made[i], peers[i], x[i], lambda y, goal=goal[i]: (y - goal) / 8)
    for network in networks:
        expected = np.stack([flat_of(each) for each in made])
        np.testing.assert_allclose(weights(network, sizes), expected, atol=1e-6, rtol=0)


def test_adam_by_hand():
    """Gradient 2 then -1 at rate .1, by algorithm 1 of the paper; the first step is the rate itself."""
    network = make("compiled", (1, 1), (0,), OptimizerSettings(kind="adam", learning_rate=0.1))
    start = float(network.net.params[0, 0])
    m = v = moved = 0.0
    for t, gradient in enumerate((2.0, -1.0), start=1):
        network.forward(np.ones((1, 1, 1)))
        network.apply_gradient(np.full((1, 1, 1), gradient), np.ones(1, bool))
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        moved -= 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        assert float(network.net.params[0, 0]) - start == pytest.approx(moved, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("rule", "slot", "expected"), [("adam", 1, 0.009), ("rmsprop", 0, 0.09), ("adadelta", 0, 0.9)])
def test_the_first_square_is_weighted_to_the_last_digit(rule, slot, expected, kind):
    """Gradient 3: (1 - decay) 9. Formed in float32, 1 - .999 is off by 5e-5, and 100 steps of Adam drift apart."""
    network = make(kind, (1, 1), (0,), OptimizerSettings(kind=rule))
    network.forward(np.ones((1, 1, 1)))
    network.apply_gradient(np.full((1, 1, 1), 3.0), np.ones(1, bool))
    np.testing.assert_allclose(network.state()["moments"][0, slot], expected, rtol=3e-7)


@pytest.mark.parametrize("rule", RULES)
def test_settings_of_the_rule_are_used(rule):
    settings, sizes = OptimizerSettings(kind=rule, learning_rate=0.01, beta1=0.8, beta2=0.7, eps=0.01), (3, 2)
    networks, made = _networks(sizes, settings)
    peer = {
        "sgd": lambda p: torch.optim.SGD(p, 0.01),
        "momentum": lambda p: torch.optim.SGD(p, 0.01, momentum=0.8),
        "nesterov": lambda p: torch.optim.SGD(p, 0.01, momentum=0.8, nesterov=True),
        "adagrad": lambda p: torch.optim.Adagrad(p, 0.01, eps=0.01),
        "adadelta": lambda p: torch.optim.Adadelta(p, 0.01, rho=0.7, eps=0.01),
        "rmsprop": lambda p: torch.optim.RMSprop(p, 0.01, alpha=0.7, eps=0.01),
        "adam": lambda p: torch.optim.Adam(p, 0.01, betas=(0.8, 0.7), eps=0.01),
    }[rule]
    peers = [peer(each.parameters()) for each in made]
    for t in range(20):
        x, dy = _gradients(sizes, t)
        for network in networks:
            network.forward(x)
            network.apply_gradient(dy, np.ones(2, bool))
        for i in range(2):
            _move(made[i], peers[i], x[i], lambda y, dy=dy[i]: dy)
    for network in networks:
        np.testing.assert_allclose(weights(network, sizes), np.stack([flat_of(m) for m in made]), atol=1e-6, rtol=0)


def _bonus(spec, seed_list, config):
    return random_network.make(config).for_env(spec, seed_list)


@pytest.mark.parametrize(
    ("make_player", "config", "name"),
    [
        (dqn.make, dqn.Config, "optimizer"),
        (reinforce.make, reinforce.Config, "optimizer"),
        (reinforce.make, reinforce.Config, "value_optimizer"),
        (behaviour_cloning.make, behaviour_cloning.Config, "optimizer"),
        (_bonus, random_network.Config, "optimizer"),
    ],
)
def test_a_constant_that_the_rule_does_not_have_is_refused(make_player, config, name):
    spec = EnvSpec("box", spaces.Box(-1.0, 1.0, (2,), np.float32), spaces.Discrete(2))
    settings = config(**{name: OptimizerSettings(kind="momentum", eps=0.1)})
    with pytest.raises(ValueError, match=rf"{name}.eps = 0.1 with kind = momentum: expected adagrad, adadelta"):
        make_player(spec, [0], settings)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_shortened_by_each_seeds_own_norm(kind):
    sizes = (2, 1)
    network = make(kind, sizes, (0, 1, 2), OptimizerSettings(kind="sgd", learning_rate=1.0, max_grad_norm=6.5))
    before = weights(network, sizes)
    x = np.array([[[3.0, 4.0]]] * 3)  # gradient (3, 4, 1) dy: norms 5.099 dy
    network.forward(x)
    dy = np.array([1.0, 10.0, -100.0]).reshape(3, 1, 1)
    norms = network.apply_gradient(dy, np.ones(3, bool))
    np.testing.assert_allclose(norms, np.sqrt(26.0) * np.abs(dy.ravel()), rtol=1e-6)
    unit = np.array([3.0, 4.0, 1.0]) / np.sqrt(26.0)
    steps = np.array([np.sqrt(26.0), 6.5, -6.5])[:, None] * unit
    np.testing.assert_allclose(before - weights(network, sizes), steps, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", ["sgd", "adam", "rmsprop"])
def test_lr_scale_scales_the_learning_rate(rule, kind):
    full, half = (make(kind, (3, 4, 2), (0, 1), OptimizerSettings(kind=rule, learning_rate=r)) for r in (0.01, 0.02))
    x, dy = data((2, 5, 3)), data((2, 5, 2), 1)
    for _ in range(5):
        for network, share in ((full, 1.0), (half, 0.5)):
            network.forward(x)
            network.apply_gradient(dy, np.ones(2, bool), share)
    np.testing.assert_allclose(full.state()["params"], half.state()["params"], atol=1e-7)


def test_the_learning_rate_falls_linearly_and_ends_exactly():
    settings = OptimizerSettings(learning_rate=0.4, lr_end=0.1, lr_decay_steps=100)
    assert [0.4 * lr_scale_at(settings, t) for t in (0, 50, 100, 10_000)] == pytest.approx([0.4, 0.25, 0.1, 0.1])
    assert lr_scale_at(OptimizerSettings(learning_rate=0.4, lr_end=0.0, lr_decay_steps=7), 7) == 0.0
    assert lr_scale_at(OptimizerSettings(learning_rate=0.4, lr_end=0.1), 10_000) == 1.0
