"""Peers: libraries with the same settings, and single-file scripts over one environment."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import nn

SHAPE, BATCH, PERIOD, COPY, RATE, GAMMA = (120, 84), 128, 10, 500, 2.5e-4, 0.99
START, CAPACITY, ENV = 200, 50_000, "CartPole-v1"
EPSILON, NORM = 0.05, 10.0  # random actions throughout, and the longest gradient


def stable_baselines3() -> Callable[[int], Any]:
    """DQN of stable-baselines3: what trains one model further."""
    from stable_baselines3 import DQN

    net = {"net_arch": list(SHAPE)}
    model = DQN("MlpPolicy", ENV, policy_kwargs=net, device="cpu", seed=0, max_grad_norm=NORM, **_named())
    return partial(model.learn, reset_num_timesteps=False)


def sbx() -> Callable[[int], Any]:
    """DQN of sbx, which is JAX: likewise, with gradients of any length. Compiled in a first round that is not timed."""
    from sbx import DQN

    model = DQN("MlpPolicy", ENV, policy_kwargs={"net_arch": list(SHAPE)}, seed=0, **_named())
    return partial(model.learn, reset_num_timesteps=False)


def _named() -> dict[str, Any]:
    sizes = {"learning_starts": START, "buffer_size": CAPACITY, "batch_size": BATCH, "train_freq": PERIOD}
    epsilon = {"exploration_initial_eps": EPSILON, "exploration_final_eps": EPSILON}
    learning = {"target_update_interval": COPY, "learning_rate": RATE, "gamma": GAMMA, "gradient_steps": 1}
    return sizes | epsilon | learning


def torch_dqn(steps: int) -> None:
    """A single-file DQN in torch with a numpy replay."""
    env, net, target = gymnasium.make(ENV), _net(*SHAPE), _net(*SHAPE)
    target.load_state_dict(net.state_dict())
    optimizer = torch.optim.Adam(net.parameters(), RATE)
    store = [np.zeros((CAPACITY, 4), np.float32) for _ in range(2)] + [np.zeros(CAPACITY, np.float32) for _ in range(3)]
    generator, (obs, _) = np.random.default_rng(0), env.reset(seed=0)
    for t in range(steps):
        if generator.random() < EPSILON:
            action = int(generator.integers(2))
        else:
            with torch.no_grad():
                action = int(net(torch.from_numpy(obs)[None]).argmax())
        following, reward, terminated, truncated, _ = env.step(action)
        for column, value in zip(store, (obs, following, action, reward, terminated), strict=True):
            column[t % CAPACITY] = value
        obs = env.reset()[0] if terminated or truncated else following
        if t >= START and t % PERIOD == 0:
            picked = generator.integers(0, min(t + 1, CAPACITY), BATCH)
            x, then, act, earned, ended = (torch.from_numpy(column[picked]) for column in store)
            with torch.no_grad():
                goal = earned + GAMMA * (1.0 - ended) * target(then).max(dim=1).values
            q = net(x).gather(1, act.long()[:, None])[:, 0]
            loss = nn.functional.smooth_l1_loss(q, goal)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), NORM)
            optimizer.step()
        if t % COPY == 0:
            target.load_state_dict(net.state_dict())


def torch_reinforce(steps: int) -> None:
    """REINFORCE with a value baseline, an episode at a time, eight to an update."""
    env, policy, value = gymnasium.make(ENV), _tanh(2), _tanh(1)
    optimizers = [torch.optim.Adam(policy.parameters(), 5e-3), torch.optim.Adam(value.parameters(), 1e-2)]
    taken, parts = 0, []
    while taken < steps:
        obs, done, seen, logs, rewards = env.reset(seed=taken)[0], False, [], [], []
        while not done:
            law = torch.distributions.Categorical(logits=policy(torch.from_numpy(obs)))
            action = law.sample()
            seen.append(obs)
            logs.append(law.log_prob(action))
            obs, reward, terminated, truncated, _ = env.step(int(action))
            rewards.append(reward)
            done, taken = terminated or truncated, taken + 1
        returns, total = deque(), 0.0
        for reward in reversed(rewards):
            total = reward + GAMMA * total
            returns.appendleft(total)
        parts.append((torch.from_numpy(np.array(seen)), torch.stack(logs), torch.tensor(list(returns))))
        if len(parts) == 8:
            _improve(optimizers, value, parts)
            parts = []


def _improve(optimizers: list[Any], value: nn.Module, parts: list[Any]) -> None:
    x, logs, returns = (torch.cat(each) for each in zip(*parts, strict=True))
    guess = value(x)[:, 0]
    losses = (-(logs * (returns - guess.detach())).sum() / 8, ((guess - returns) ** 2).mean())
    for optimizer, loss in zip(optimizers, losses, strict=True):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def torch_hill_climbing(steps: int) -> None:
    """Hill climbing of a linear policy, a torch module, one environment."""
    env, policy, taken, best = gymnasium.make(ENV), nn.Linear(4, 2), 0, -1.0
    incumbent = [weights.detach().clone() for weights in policy.parameters()]
    while taken < steps:
        with torch.no_grad():
            for weights, held in zip(policy.parameters(), incumbent, strict=True):
                weights.copy_(held + torch.randn_like(held))
        obs, done, score = env.reset(seed=taken)[0], False, 0.0
        while not done:
            with torch.no_grad():
                action = int(policy(torch.from_numpy(obs)).argmax())
            obs, reward, terminated, truncated, _ = env.step(action)
            score, done, taken = score + reward, terminated or truncated, taken + 1
        if score >= best:
            best, incumbent = score, [weights.detach().clone() for weights in policy.parameters()]


def _net(*hidden: int) -> nn.Sequential:
    first, second = hidden
    return nn.Sequential(nn.Linear(4, first), nn.ReLU(), nn.Linear(first, second), nn.ReLU(), nn.Linear(second, 2))


def _tanh(out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, out))
