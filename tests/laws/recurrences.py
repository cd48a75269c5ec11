"""Every recurrence in both agents on the flag probe: sessions, what they did step by step, and the same by hand.

By hand means torch's own cells in float64, from whole prefixes of an episode: nothing is carried on, so nothing can be
carried wrongly.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

from simulator.core import registry
from simulator.core.protocols import Array
from simulator.training.session import Session
from tests.helpers.recurrence import Torch
from tests.laws.players import session

RECURRENCES = [
    name for name in registry.names("components") if "recurrence" in registry.load("components", name).module.SOCKETS
]
AGENTS = ("dqn", "reinforce")
PROBE = "tests.laws.flag_probe"
MIXED = {"delay": 2, "spread": 8, "cut": 0.08, "wage": 0.5}  # episodes of many lengths, with both ends
LENGTH, OVERLAP, BURN_IN = 4, 2, 1  # shorter than episodes, so that sequences begin in their middle
BATCH = 12
STARTS = 120  # steps before dqn's first update
EPISODES = 5  # of an update of reinforce
SEES = {"last_action": True, "last_reward": True}
_DQN = {
    "learning_starts": STARTS,
    "train_frequency": 4,
    "batch_size": BATCH,
    "n_step": 3,
    "sequence": {"length": LENGTH, "overlap": OVERLAP, "burn_in": BURN_IN},
    "network": {"hidden": [6], "activation": "tanh"},
    "optimizer": {"learning_rate": 0.01, "max_grad_norm": 0.0},
}
_REINFORCE = {
    "episodes_per_update": EPISODES,
    "value_steps": 1,
    "ent_coef": 0.1,
    "network": {"hidden": [6], "activation": "tanh"},
    "optimizer": {"learning_rate": 0.01, "max_grad_norm": 0.0},
    "value_optimizer": {"learning_rate": 0.01, "max_grad_norm": 0.0},
}


def settings_of(agent: str, name: str, *, layers: int = 1, **settings: Any) -> dict[str, Any]:
    """Return the settings of an agent with a small recurrence that sees actions and rewards."""
    recurrence = {"name": name, "units": 5, "layers": layers, "init": "uniform", **SEES}
    return {**(_DQN if agent == "dqn" else _REINFORCE), "recurrence": recurrence, **settings}


def probe(agent: str, name: str, *, seeds: int = 1, layers: int = 1, env: Any = MIXED, **settings: Any) -> Session:
    """Return a session on the flag probe."""
    players = {"env_": env, "agent_": settings_of(agent, name, layers=layers, **settings)}
    return session(agent, PROBE, seeds=seeds, eval_episodes=80, **players)


def learner_of(agent: Any) -> Any:
    """Return the learner with the networks."""
    return agent._learner if hasattr(agent, "_learner") else agent.learner


def acting(agent: Any) -> Any:
    """Return what an agent acts with: its ``carry``, and the ``outputs`` of the latest step."""
    state = learner_of(agent).state
    return state.sampler if hasattr(state, "sampler") else state.head


def network(agent: Any) -> Any:
    """Return the network that acts."""
    state = learner_of(agent).state
    return state.online_net if hasattr(state, "online_net") else state.policy.net


class Log(NamedTuple):
    """T steps of S seeds."""

    obs: Array  # [T, S, 3]
    action: Array  # [T, S]
    reward: Array  # [T, S]
    terminated: Array  # [T, S]
    ended: Array  # [T, S]
    final_obs: Array  # [T, S, 3]
    state: Array  # [T, S, C], before the step
    outputs: Array  # [T, S, out]

    def begins(self, i: int) -> Array:
        """Return the steps [N] in which episodes of seed i begin, the one after the log too if it does."""
        return np.concatenate([[0], np.flatnonzero(self.ended[:, i]) + 1])

    def inputs(self, i: int, start: int, stop: int) -> Array:
        """Return the inputs [stop - start, 6] of a recurrence in one episode; its final observation may be the last."""
        rows = []
        for t in range(start, stop):
            first = t > start or start not in self.begins(i)
            is_end = t > start and self.ended[t - 1, i]
            obs = self.final_obs[t - 1, i] if is_end or t == len(self.obs) else self.obs[t, i]
            last = np.zeros(3)
            if first:
                last[self.action[t - 1, i]] = 1.0
                last[2] = self.reward[t - 1, i]
            rows.append(np.concatenate([obs, last]))
        return np.array(rows)


def play(one: Session, n: int) -> Log:
    """Act, step and learn n times, and write down what happened."""
    rows: list[list[Array]] = [[] for _ in Log._fields]
    agent = one.agent
    obs = one.env.observe()
    for _ in range(n):
        state = acting(agent).carry.state.copy()
        action = np.array(agent.act(obs))
        outputs = acting(agent).outputs.copy()
        step = one.env.step(action)
        agent.learn(obs, action, step)
        ended = step.terminated | step.truncated
        parts = (obs, action, step.reward, step.terminated, ended, step.final_obs, state, outputs)
        for row, part in zip(rows, parts, strict=True):
            row.append(np.array(part))
        obs = step.obs
    return Log(*map(np.array, rows))


def joined(one: Log, two: Log) -> Log:
    """Return two logs, one after the other."""
    return Log(*(np.concatenate(parts) for parts in zip(one, two, strict=True)))


class Sequence(NamedTuple):
    """A sequence that the replay should hold."""

    start: int  # step of the log
    length: int
    terminated: bool
    begins_episode: bool


def sequences(log: Log, i: int) -> list[Sequence]:
    """Cut a log into sequences: at ends, and after LENGTH steps, of which OVERLAP come again."""
    found = []
    start = 0
    for t in range(len(log.obs)):
        n = t + 1 - start
        if log.ended[t, i] or n == LENGTH:
            found.append(Sequence(start, n, bool(log.terminated[t, i]), start in log.begins(i)))
            start = t + 1 if log.ended[t, i] else t + 1 - OVERLAP
    return found


# The networks by hand.


def twin(name: str, net: Any, i: int = 0) -> Torch:
    """Return the network of seed i with torch's cell, float64, as it is now."""
    return Torch(name, net, i)


def carry_of(name: str, net: Any, state: Array) -> Any:
    """Return a carry [C] as torch's cell takes it."""
    parts = torch.tensor(state.astype(float).reshape(len(net.layers), -1, net.units))  # [L, carried, H]
    h = parts[:, 0][:, None].contiguous()
    return (h, parts[:, 1][:, None].contiguous()) if name == "lstm" else h


def unrolled(module: Torch, x: Array, carry: Any = None, burn_in: int = 0) -> torch.Tensor:
    """Return the outputs [T, out] at x [T, in]; no gradient flows through the first ``burn_in`` steps."""
    rows = torch.tensor(np.asarray(x, float))
    if not burn_in:
        return module(rows, carry)[0]
    with torch.no_grad():
        outputs, carry = module(rows[:burn_in], carry)
    return torch.cat([outputs, module(rows[burn_in:], carry)[0]])


def action_values(outputs: torch.Tensor, dueling: bool) -> torch.Tensor:
    """Return action values [T, A] of outputs [T, out]."""
    if not dueling:
        return outputs
    return outputs[:, :1] + outputs[:, 1:] - outputs[:, 1:].mean(1, keepdim=True)


def scratch(net: Any) -> Iterator[Array]:
    """Return the working space of a network, which no result may depend on."""
    weights = {net.params.ctypes.data, net.no_carry.ctypes.data}
    for array in (*net, *net.head):
        if isinstance(array, np.ndarray) and array.dtype.kind == "f" and array.ctypes.data not in weights:
            yield array
