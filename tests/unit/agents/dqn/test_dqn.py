"""Tests of DQN: against a plain torch version of it; its periods, ends of episodes and refused settings."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents import dqn
from agents.common.exploration import ExploreSettings
from agents.common.networks.compiled import make_carry
from agents.common.networks.dense import NetworkSettings
from agents.common.networks.optimizers import OptimizerSettings
from agents.common.replay.prioritized import PrioritySettings, sample, update_priority
from agents.common.spaces import make_observation_adapter
from agents.dqn.update import (
    action_values,
    double_q_value,
    ez_greedy_action,
    make_sampler,
    output_gradient,
    update_params,
)
from simulator.core import rng
from simulator.core.protocols import EnvSpec, Step
from tests.helpers.jit_entries import from_python

SPEC = EnvSpec("toy", spaces.Box(-5, 5, (3,), np.float32), spaces.Discrete(4))
SMALL = NetworkSettings(hidden=(8, 6))
action_values, output_gradient, double_q_value = from_python(action_values, output_gradient, double_q_value)
sample, update_priority, ez_greedy_action = from_python(sample, update_priority, ez_greedy_action)
WALK = np.random.Generator(np.random.PCG64(11))


def _agent(n_seeds=2, **settings):
    return dqn.make(SPEC, list(range(n_seeds)), _config(**settings))


def _config(**settings):
    plain = {"prioritized": False, "n_step": 1, "eval_ema": 0.0}
    given = {"network": SMALL, "batch_size": 16, "buffer_size": 40, "learning_starts": 50, **plain, **settings}
    return dqn.Config(**given)


def _params(agent):
    return update_params(agent._learner.state.hyper, agent._clock)


def _step(obs, n_seeds=2, reward=None, terminated=False, truncated=False):
    flags = [np.full(n_seeds, value) for value in (terminated, truncated)]
    reward = WALK.normal(size=n_seeds) if reward is None else np.full(n_seeds, reward)
    return Step(obs, np.asarray(reward, np.float32), *flags, obs)


def _feed(agent, n, n_seeds=2):
    obs = WALK.normal(size=(n_seeds, 3)).astype(np.float32)
    for t in range(n):
        following = WALK.normal(size=(n_seeds, 3)).astype(np.float32)
        actions = agent.act(obs).copy()
        agent.learn(obs, actions, _step(following, n_seeds, terminated=t % 7 == 6, truncated=t % 7 == 3))
        obs = following


def _module(params, sizes, tanh=False):
    """A torch network with these flat weights."""
    layers, at = [], 0
    for n, m in itertools.pairwise(sizes):
        layer = torch.nn.Linear(int(n), int(m))
        layer.weight.data = torch.from_numpy(params[at : at + n * m].reshape(n, m).T.copy())
        layer.bias.data = torch.from_numpy(params[at + n * m : at + (n + 1) * m].copy())
        layers += [layer, torch.nn.Tanh() if tanh else torch.nn.ReLU()]
        at += (n + 1) * m
    return torch.nn.Sequential(*layers[:-1])


def _flat(module):
    layers = [layer for layer in module if isinstance(layer, torch.nn.Linear)]
    parts = [(layer.weight.detach().numpy().T.ravel(), layer.bias.detach().numpy()) for layer in layers]
    return np.concatenate(list(itertools.chain(*parts)))


def _values(module, x, dueling):
    y = module(x)
    return y[:, :1] + y[:, 1:] - y[:, 1:].mean(dim=1, keepdim=True) if dueling else y


def _plain_update(state, indices, weights, config):
    """One update of seed 0 as a page of torch would write it: the new weights and the TD errors."""
    sizes = [int(n) for n in state.online_net.sizes]
    replay = state.replay
    online, target = (_module(net.params[0], sizes) for net in (state.online_net, state.target_net))
    take = {
        name: torch.from_numpy(np.ascontiguousarray(getattr(replay, name)[0][indices])) for name in replay._fields[1:6]
    }
    with torch.no_grad():
        valued = _values(target, take["next_obs"], config.dueling)
        chooser = _values(online, take["next_obs"], config.dueling) if config.double else valued
        best = valued.gather(1, chooser.argmax(dim=1, keepdim=True))[:, 0]
        goal = take["n_step_return"] + take["discount"] * best
    q = _values(online, take["obs"], config.dueling).gather(1, take["action"].long()[:, None])[:, 0]
    kind = torch.nn.functional.smooth_l1_loss if config.loss == "huber" else torch.nn.functional.mse_loss
    each = kind(q, goal, reduction="none") * (1.0 if config.loss == "huber" else 0.5)
    optimizer = torch.optim.SGD(online.parameters(), lr=config.optimizer.learning_rate)
    (each * torch.from_numpy(weights)).mean().backward()
    optimizer.step()
    return _flat(online), (goal - q).detach().numpy()


VARIANTS = [
    {},
    {"double": False},
    {"dueling": True},
    {"loss": "mse"},
    {"n_step": 3, "dueling": True},
    {"prioritized": True},
    {"prioritized": True, "loss": "mse", "priority": PrioritySettings(alpha=0.9, beta=0.7)},
    {"prioritized": True, "priority": PrioritySettings(kind="rank")},
]


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_an_update_equals_a_plain_torch_one(variant):
    """One step of plain descent, which has the length of the gradient, with draws that weigh differently."""
    settings = {"learning_starts": 10_000, "optimizer": OptimizerSettings("sgd", learning_rate=0.1), **variant}
    agent, config = _agent(**settings), _config(**settings)
    _feed(agent, 60)
    state = agent._learner.state
    target = state.target_net.params
    target += 0.1 * WALK.normal(size=target.shape).astype(np.float32)
    for at, td_error in enumerate(WALK.normal(size=40)):
        update_priority(state.priorities, 0, at, td_error, 40)
    indices, weights = np.zeros(16, np.int64), np.zeros(16, np.float32)
    stream = agent.state()["sample_stream"]
    sample(state.priorities, stream, 0, 40, _params(agent).beta, indices, weights)
    assert (weights.min() < 0.9) == config.prioritized
    expected, td_error = _plain_update(state, indices, weights, config)
    agent._learner.learn(10_000)
    np.testing.assert_allclose(state.online_net.params[0], expected, atol=2e-6)
    if config.prioritized and config.priority.kind == "proportional":
        leaf = state.priorities.tree.shape[1] // 2 + indices[-1]
        priority = (abs(td_error[-1]) + 1e-6) ** config.priority.alpha
        np.testing.assert_allclose(state.priorities.tree[0, leaf], priority, rtol=1e-4)


def test_double_q_lets_the_online_network_choose_and_the_target_value():
    moves = np.array([3, 0, 1, 2])
    online, target = np.array([0.0, 2.0, 1.0]), np.array([9.0, 3.0, 5.0])
    assert double_q_value(online, target, moves) == 3.0
    assert double_q_value(target, target, moves) == 9.0
    assert double_q_value(online, target, np.array([2, 0, 2, 0])) == 5.0  # action 1 does not exist here


def test_dueling_values_have_the_mean_advantage_taken_off():
    q, dy = np.zeros(3, np.float32), np.zeros(4, np.float32)
    action_values(np.array([10.0, 1.0, 2.0, 6.0], np.float32), True, q)
    np.testing.assert_allclose(q, [8.0, 9.0, 13.0])
    output_gradient(np.float32(3.0), 2, True, dy)
    np.testing.assert_allclose(dy, [3.0, -1.0, -1.0, 2.0])


def _changed(agent, n):
    """After which of n steps the online and the target weights changed."""
    state, seen = agent._learner.state, ([], [])
    obs = np.zeros((2, 3), np.float32)
    for t in range(1, n + 1):
        before = [net.params.copy() for net in (state.online_net, state.target_net)]
        agent.learn(obs, agent.act(obs).copy(), _step(WALK.normal(size=(2, 3)).astype(np.float32)))
        for changes, old, net in zip(seen, before, (state.online_net, state.target_net), strict=True):
            if not np.array_equal(old, net.params):
                changes.append(t)
    return seen


def test_periods_count_environment_steps():
    trained, copied = _changed(_agent(learning_starts=20, train_frequency=6, target_update_interval=15), 62)
    assert trained == [24, 30, 36, 42, 48, 54, 60]
    assert copied == [30, 45, 60]  # at 15 the networks are still equal


def test_a_soft_target_follows_after_every_update():
    agent = _agent(learning_starts=20, train_frequency=5, tau=0.25)
    _feed(agent, 19)
    state = agent._learner.state
    old = state.target_net.params.copy()
    _feed(agent, 1)
    np.testing.assert_allclose(state.target_net.params, old + 0.25 * (state.online_net.params - old), atol=1e-7)


def test_the_learning_rate_and_beta_end_exactly_where_they_should():
    decays = OptimizerSettings(learning_rate=0.01, lr_end=0.002, lr_decay_steps=40)
    agent = _agent(optimizer=decays, prioritized=True, priority=PrioritySettings(beta=0.4, beta_steps=80))
    shares = {}
    for t in range(1, 101):
        _feed(agent, 1)
        shares[t] = (_params(agent).lr_scale, _params(agent).beta)
    assert shares[20] == pytest.approx((0.6, 0.55))
    assert shares[40][0] == pytest.approx(0.2)
    assert shares[100] == pytest.approx((0.2, 1.0))


def test_epsilon_is_a_share_of_random_actions_and_evaluation_has_none():
    agent = _agent(
        1, explore=ExploreSettings(epsilon_start=1.0, epsilon_end=0.0, decay_steps=30), learning_starts=10_000
    )
    obs = np.ones((1, 3), np.float32)
    greedy = agent.policy().act(obs, np.ones(1, bool))[0]
    early = []
    for t in range(200):
        action = agent.act(obs)[0]
        early += [action] if t < 30 else []
        assert t < 30 or action == greedy  # exactly zero from step 30 on
        agent.learn(obs, np.array([action]), _step(obs, 1))
    assert len(set(early)) == 4
    assert {int(agent.policy().act(obs, np.ones(1, bool))[0]) for _ in range(50)} == {int(greedy)}


def test_the_average_begins_at_the_networks_weights():
    agent = _agent(learning_starts=20, eval_ema=0.01)
    _feed(agent, 20)
    state = agent._learner.state
    np.testing.assert_array_equal(state.eval_net.params, state.online_net.params)  # one update: all there is
    first = state.online_net.params.copy()
    _feed(agent, 1)
    np.testing.assert_allclose(state.eval_net.params, (first + state.online_net.params) / 2, atol=1e-7)


def test_a_random_action_is_kept_for_k_steps_or_more_with_probability_one_over_k():
    sampler = make_sampler(rng.pcg64_states([5], "exploration"), 1, 4, 4, make_carry(None, 1, 4))
    moves = np.array([4, 0, 1, 2, 3])
    lengths = []
    for _ in range(4_000):
        ez_greedy_action(sampler, 0, moves, 1.0, 8)
        lengths.append(1 + sampler.repeats_left[0])
        for _ in range(sampler.repeats_left[0]):
            assert (
                ez_greedy_action(sampler, 0, moves, 0.0, 8) == sampler.repeated_action[0]
            )  # kept, whatever epsilon is by then
        assert ez_greedy_action(sampler, 0, moves, 0.0, 8) == -1
    share = [np.mean(np.array(lengths) >= k) for k in range(1, 10)]
    np.testing.assert_allclose(share, [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6, 1 / 7, 1 / 8, 0], atol=0.03)
    sampler.repeated_action[0], sampler.repeats_left[0] = 3, 5
    assert ez_greedy_action(sampler, 0, np.array([2, 0, 1, 0, 0]), 0.0, 8) == -1  # it does not exist here: dropped
    assert sampler.repeats_left[0] == 0


def test_scaled_inputs_run_from_minus_one_to_one_where_there_are_bounds():
    low, high = np.array([-2.0, 10.0, -np.inf], np.float32), np.array([2.0, 30.0, np.inf], np.float32)
    spec = EnvSpec("scaled", spaces.Box(low, high), SPEC.action)
    stored = make_observation_adapter(spec, "dqn", normalize=True).encode(
        np.array([[2.0, 10.0, 7.0], [0.0, 25.0, -1.0]])
    )
    np.testing.assert_allclose(stored, [[1.0, -1.0, 7.0], [0.0, 0.5, -1.0]])


def test_evaluation_uses_the_averaged_weights_if_any():
    agent = _agent(learning_starts=20, eval_ema=0.01)
    _feed(agent, 60)
    state = agent._learner.state
    assert not np.array_equal(state.eval_net.params, state.online_net.params)
    obs = WALK.normal(size=(5, 3)).astype(np.float32)
    sizes = [int(n) for n in state.online_net.sizes]
    averaged = _module(state.eval_net.params[0], sizes)(torch.from_numpy(obs)).detach().numpy()
    np.testing.assert_allclose(agent.policy().values(obs)[0], averaged, atol=1e-5)


def test_a_seed_that_diverges_stops_alone():
    settings = {"optimizer": OptimizerSettings(learning_rate=0.01), "learning_starts": 20, "loss": "mse"}
    agent, calm = _agent(**settings), _agent(**settings)
    obs = np.zeros((2, 3), np.float32)
    for t in range(80):
        step = _step(WALK.normal(size=(2, 3)).astype(np.float32))
        wild = step._replace(reward=step.reward.copy())
        if t == 40:
            wild.reward[0] = 3e38  # its square is beyond float32
        for one, given in ((agent, wild), (calm, step)):
            one.learn(obs, one.act(obs).copy(), given)
    state, other = agent._learner.state, calm._learner.state
    assert 41 <= agent.failed_at[0] <= 80
    assert agent.failed_at[1] == 0
    assert np.isfinite(state.online_net.params).all()
    np.testing.assert_array_equal(state.online_net.params[1], other.online_net.params[1])
    assert np.isfinite(state.loss).all()


def test_a_nan_reward_names_seed_step_and_value():
    agent = _agent()
    obs = np.zeros((2, 3), np.float32)
    _feed(agent, 4)
    with pytest.raises(
        ValueError, match=r"toy: seed 0 observed .* and got reward nan in step 5, expected finite numbers"
    ):
        agent.learn(obs, agent.act(obs), _step(obs, reward=np.nan))


@pytest.mark.parametrize(
    ("spec", "settings", "line"),
    [
        (EnvSpec("pull", SPEC.observation, spaces.Box(-1, 1, (1,))), {}, "dqn on pull: action space"),
        (EnvSpec("says", spaces.Text(4), SPEC.action), {}, "dqn on says: observation space"),
        (SPEC, {"batch_size": 64, "buffer_size": 32}, "agent.buffer_size = 32: expected at least agent.batch_size, 64"),
        (SPEC, {"buffer_size": 10**12}, "GiB"),
        (SPEC, {"n_step": 10**12, "learning_starts": 10**12}, "GiB"),
        (
            SPEC,
            {"max_action_repeat": 5, "explore": ExploreSettings("softmax", temperature_start=1.0)},
            "agent.max_action_repeat = 5: expected 1 with",
        ),
    ],
)
def test_invalid_settings_are_refused(spec, settings, line):
    with pytest.raises(ValueError, match=line) as refused:
        dqn.make(spec, [0, 1], dqn.Config(**settings))
    assert "\n" not in str(refused.value)
