"""Tests of REINFORCE's gradient: formulas by hand, and the whole update against autograd."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents import reinforce
from agents.common.networks.dense import NetworkSettings
from agents.common.networks.optimizers import OptimizerSettings
from agents.reinforce import update
from agents.reinforce.agent import build
from simulator.core.protocols import EnvSpec, Step
from tests.helpers.jit_entries import module_from_python
from tests.helpers.networks import weights

formulas = module_from_python(update)
GAMMA = 0.9


def _normal(*shape, seed=0):
    return np.random.Generator(np.random.PCG64(seed)).normal(size=shape)


def test_returns_to_go_by_hand():
    out = np.zeros(5)
    reward, end = np.array([1, 2, 3, 4, 5], np.float32), np.array([3, 5])
    formulas.returns_to_go(reward, end, np.array([0.0, 8.0]), 0.5, out)
    np.testing.assert_array_equal(out, [2.75, 3.5, 3.0, 8.5, 9.0])


def test_the_mean_baseline_is_that_of_the_other_episodes():
    advantage, end = np.array([1.0, 3.0, 5.0, 10.0, 20.0, 30.0]), np.array([2, 3, 6])
    formulas.subtract_leave_one_out_mean(advantage, end)
    # by hand: others of the first episode (5 + 10 + 20 + 30) / 4, of the second 64 / 5, of the third 9 / 3
    np.testing.assert_allclose(advantage, [1 - 16.25, 3 - 16.25, 5 - 12.8, 10 - 3, 20 - 3, 30 - 3])


def test_a_baseline_does_not_move_with_the_consequences_of_its_own_action():
    end, returns = np.array([2, 4]), np.array([1.0, 2.0, 3.0, 4.0])
    better = returns + np.array([7.0, 0.0, 0.0, 0.0])
    baselines = []
    for given in (returns, better):
        advantage = given.copy()
        formulas.subtract_leave_one_out_mean(advantage, end)
        baselines.append(given - advantage)
    np.testing.assert_allclose(baselines[0][:2], baselines[1][:2])
    assert not np.allclose(baselines[0][2:], baselines[1][2:])  # the other episode's does move


def test_normalized_advantages_by_hand():
    advantage = np.array([1.0, 3.0, 99.0])
    formulas.normalize(advantage, 2)
    np.testing.assert_allclose(advantage, [-1.0, 1.0, 99.0], atol=1e-7)
    same = np.full(3, 5.0)
    formulas.normalize(same, 3)
    np.testing.assert_array_equal(same, 0.0)


def test_discounting_by_time_begins_anew_with_every_episode():
    advantage = np.ones(5)
    formulas.discount_by_time(advantage, np.array([3, 5]), 0.5)
    np.testing.assert_array_equal(advantage, [1.0, 0.5, 0.25, 1.0, 0.5])


@pytest.mark.parametrize("moves", [[4, 0, 1, 2, 3], [2, 1, 3, 0, 0]])
def test_the_softmax_gradient_is_that_of_autograd(moves):
    logits, (advantage, bonus, share) = _normal(4, seed=moves[0]), (1.7, 0.3, 0.25)
    exist = moves[1 : 1 + moves[0]]
    given = torch.tensor(logits, requires_grad=True)
    log_probs = torch.log_softmax(given[exist], 0)
    entropy = -(log_probs.exp() * log_probs).sum()
    loss = -share * (advantage * log_probs[exist.index(3)] + bonus * entropy)
    loss.backward()
    dy = np.full(4, 9, np.float32)
    step = formulas.softmax_gradient(logits.astype(np.float32), np.array(moves), 3, advantage, bonus, share, dy)
    np.testing.assert_allclose(dy, given.grad, atol=1e-6)
    np.testing.assert_allclose(step, [loss.item(), entropy.item()], rtol=1e-5)


def test_the_gaussian_gradient_is_that_of_autograd():
    mean, log_std, action = (_normal(3, seed=seed).astype(np.float32) for seed in range(3))
    advantage, bonus, share = -0.8, 0.2, 0.5
    given = [torch.tensor(each, dtype=torch.float64, requires_grad=True) for each in (mean, log_std)]
    law = torch.distributions.Normal(given[0], given[1].exp())
    loss = -share * (advantage * law.log_prob(torch.tensor(action)).sum() + bonus * law.entropy().sum())
    loss.backward()
    dy, dstd = np.zeros(3, np.float32), np.ones(3)
    step = formulas.gaussian_gradient(mean, log_std, action, advantage, bonus, share, dy, dstd)
    np.testing.assert_allclose(dy, given[0].grad, rtol=1e-5)
    np.testing.assert_allclose(dstd, 1.0 + given[1].grad.numpy(), rtol=1e-5)  # added to what was there
    np.testing.assert_allclose(step, [loss.item(), law.entropy().sum().item()], rtol=1e-5)


VARIANTS = [
    {"baseline": "none"},
    {"baseline": "none", "discount_states": True, "ent_coef": 0.1},
    {"baseline": "mean", "normalize_advantages": True},
    {"baseline": "value"},
    {"baseline": "value", "bootstrap": False, "ent_coef": 0.05},
    {"baseline": "value", "normalize_advantages": True, "discount_states": True},
    {"baseline": "value", "value_steps": 3},
]
LENGTHS = ((3, False), (150, True))  # steps of the two episodes of a batch, and whether time cut them


VALUE_RATE = 0.25


@pytest.mark.parametrize("kind", ["compiled", "torch"])
@pytest.mark.parametrize("boxed", [False, True])
@pytest.mark.parametrize("settings", VARIANTS, ids=str)
def test_the_update_is_that_of_autograd(settings, boxed, kind):
    action = spaces.Box(-1.0, 1.0, (2,)) if boxed else spaces.Discrete(3)
    spec = EnvSpec("by-hand", spaces.Box(-9.0, 9.0, (4,)), action, 200)
    config = reinforce.Config(
        episodes_per_update=2,
        gamma=GAMMA,
        network=NetworkSettings((5,), "tanh"),
        optimizer=OptimizerSettings("sgd", learning_rate=1.0),
        value_optimizer=OptimizerSettings("sgd", learning_rate=VALUE_RATE),
        **{"value_steps": 1, "normalize_advantages": False, "ent_coef": 0.0, **settings},
    )
    agent = build(spec, [3, 4], config, torch=kind == "torch")
    before = _learned(agent, boxed)
    batches = _play(agent)
    after = _learned(agent, boxed)
    for i in range(2):
        for name, change in _autograd({name: rows[i] for name, rows in before.items()}, batches[i], config).items():
            moved = after[name][i] - before[name][i]
            np.testing.assert_allclose(moved, change, rtol=1e-3, atol=2e-4, err_msg=name)


def _learned(agent, boxed):
    """Everything that an update changes, [S, P] each."""
    nets = {
        "policy": weights(agent.learner.policy, (4, 5, 2 if boxed else 3)),
        "value": weights(agent.learner.value, (4, 5, 1)),
    }
    return nets | {"log_std": agent.state()["log_std"]}


def _play(agent):
    """Feed both seeds their two episodes; what each went through: (obs, drawn, reward, final obs) of every episode."""
    batches = [[], []]
    obs = _normal(2, 4).astype(np.float32)
    for e, (length, cut) in enumerate(LENGTHS):
        rows = []
        for t in range(length):
            actions = agent.act(obs)
            drawn = agent._actions.copy()
            following, final = (_normal(2, 4, seed=1000 * e + 2 * t + k).astype(np.float32) for k in (1, 2))
            last = np.full(2, t == length - 1)
            reward = _normal(2, seed=5000 + 200 * e + t).astype(np.float32)
            final = np.where(last[:, None], final, following)
            agent.learn(obs, actions, Step(following, reward, last & (not cut), last & cut, final))
            rows.append((obs, drawn, reward))
            obs = following
        for i in range(2):
            columns = [np.stack([row[k][i] for row in rows]) for k in range(3)]
            batches[i].append((*columns, final[i], cut))
    return batches


def _net(params, n_outputs):
    """A layer of 5 tanh units, from flat parameters."""
    parts = [20, 5, 5 * n_outputs, n_outputs]
    w1, b1, w2, b2 = torch.split(params, parts)
    return lambda x: torch.tanh(x @ w1.reshape(4, 5) + b1) @ w2.reshape(5, n_outputs) + b2


def _autograd(start, batch, config):
    """Compute the changes of a seed by the two losses, as a plain script would."""
    params, values, log_std = (
        torch.tensor(start[name], dtype=torch.float64, requires_grad=True) for name in ("policy", "value", "log_std")
    )
    boxed = batch[0][1].shape[1] == 2
    policy, value = _net(params, 2 if boxed else 3), _net(values, 1)
    returns = [_returns(episode, config, value) for episode in batch]
    loss = 0.0
    for (obs, drawn, *_), advantage in zip(batch, _advantages(batch, returns, config, value), strict=True):
        x, y = torch.tensor(obs, dtype=torch.float64), torch.tensor(drawn, dtype=torch.float64)
        out = policy(x)
        law = torch.distributions.Normal(out, log_std.exp()) if boxed else torch.distributions.Categorical(logits=out)
        log_prob, entropy = (law.log_prob(y), law.entropy()) if boxed else (law.log_prob(y[:, 0]), law.entropy())
        if boxed:
            log_prob, entropy = log_prob.sum(1), entropy.sum(1)
        loss = loss - (advantage * log_prob + config.ent_coef * entropy).sum() / config.episodes_per_update
    loss.backward()
    found = {"policy": -params.grad, "value": _value_steps(values.detach(), batch, returns, config)}
    found |= {"log_std": -log_std.grad} if boxed else {}
    return {name: change.numpy() for name, change in found.items()}


def _value_steps(start, batch, returns, config):
    """Take the steps of the value network; the returns stay as they were before the first."""
    params = start.clone().requires_grad_()
    x = torch.tensor(np.concatenate([episode[0] for episode in batch]), dtype=torch.float64)
    for _ in range(config.value_steps if config.baseline == "value" else 0):
        loss = 0.5 * ((_net(params, 1)(x)[:, 0] - torch.cat(returns)) ** 2).mean()
        (slope,) = torch.autograd.grad(loss, params)
        params = (params - VALUE_RATE * slope).detach().requires_grad_()
    return params.detach() - start


def _returns(episode, config, value):
    _, _, reward, final, cut = episode
    tail = value(torch.tensor(final, dtype=torch.float64)[None])[0, 0].item() if cut else 0.0
    following = tail if config.bootstrap and config.baseline == "value" else 0.0
    back = itertools.accumulate(reward[::-1], lambda g, r: r + GAMMA * g, initial=following)
    return torch.tensor(list(back)[1:][::-1], dtype=torch.float64)


def _advantages(batch, returns, config, value):
    found = []
    for e, g in enumerate(returns):
        baseline = torch.zeros(1)
        if config.baseline == "mean":
            baseline = returns[1 - e].mean()
        if config.baseline == "value":
            baseline = value(torch.tensor(batch[e][0], dtype=torch.float64))[:, 0].detach()
        found.append(g - baseline)
    every = torch.cat(found)
    if config.normalize_advantages:
        found = [(a - every.mean()) / every.std(correction=0) for a in found]
    if config.discount_states:
        found = [a * GAMMA ** torch.arange(len(a)) for a in found]
    return found
