"""Recurrent agents: trained steps per CPU-second beside the arithmetic limit, beside other libraries, and at 16 seeds.

An LSTM of 64 units on the observation, a linear layer on its output, 32 sequences of 64 steps in an update, one thread,
one after the other in every round. A trained step is one step of one sequence in one update. The limit is the matrix
products of the same updates, of the same shapes, and nothing else. The libraries come with the extra ``bench``; a row
names each that is missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from agents.common.networks.compiled import backward, episodes, forward
from agents.common.networks.dense import product
from simulator.config.run import build
from simulator.core.jit import jit, set_threads
from simulator.training.session import Session
from tests.benchmarks import _recurrent_peers as peers
from tests.benchmarks._clock import alternate, ratio, show

ROUNDS = 5
SEEDS = 16
TRAINED = peers.LENGTH * peers.SEQUENCES  # steps in an update
SB3 = "sb3-contrib RecurrentPPO"
TIANSHOU = "tianshou recurrent DQN"
PEERS = {SB3: ("sb3_contrib", peers.sb3_contrib, 4 * TRAINED), TIANSHOU: ("tianshou", peers.tianshou, 300)}
CELL = {"name": "lstm", "units": peers.UNITS, "last_action": False, "skip": False}
RATE = {"learning_rate": peers.RATE}
DQN = {
    "name": "dqn",
    "recurrence": CELL,
    "network": {"hidden": []},
    "sequence": {"length": peers.LENGTH, "overlap": 0, "burn_in": 0},
    "batch_size": peers.SEQUENCES,
    "buffer_size": peers.CAPACITY,
    "learning_starts": peers.START,
    "train_frequency": peers.PERIOD,
    "target_update_interval": peers.COPY,
    "eval_ema": 0.0,
    "n_step": 1,
    "gamma": peers.GAMMA,
    "optimizer": RATE,
    "explore": {"epsilon_start": peers.EPSILON, "epsilon_end": peers.EPSILON},
}
REINFORCE = {
    "name": "reinforce",
    "recurrence": CELL,
    "network": {"hidden": []},
    "episodes_per_update": peers.SEQUENCES,
    "max_episode_steps": peers.LENGTH,
    "value_steps": 1,
    "gamma": peers.GAMMA,
    "optimizer": RATE,
    "value_optimizer": RATE,
}
MAZE = {"name": "rooms", "layout": "t-maze", "length": 10, "conveyor": True}
CAR = {"name": peers.ENV, "max_steps": peers.EPISODE}
MISSING = "not installed: it comes with the extra bench"
Work = tuple[Callable[[], Any], int]


def main(json: bool) -> dict[str, Any]:
    """Updates beside their products, training beside other libraries, 16 seeds beside one, and a step of acting."""
    import torch

    torch.set_num_threads(1)
    set_threads(1)
    trained = alternate(_updates(), ROUNDS)
    missing = {name: MISSING for name, (module, *_) in PEERS.items() if find_spec(module) is None}
    steps = alternate(_training(missing), ROUNDS)
    times = {f"{ours} / {peer}": ratio(steps, ours, peer) for ours, peer in _PAIRS if peer in steps}
    if TIANSHOU in steps:  # as often as dqn could step, if its updates were products and nothing else took any time
        bound = trained["limit of dqn update"]["median"] * peers.PERIOD / TRAINED
        times[f"products of dqn alone / {TIANSHOU}"] = bound / steps[TIANSHOU]["median"]
    found = {
        "trained_steps_per_cpu_second": trained,
        "share_of_the_limit": {name: ratio(trained, name, f"limit of {name}") for name in ("network", "dqn update")},
        "env_steps_per_cpu_second": {**steps, **missing},
        "times": times,
        "cost_of_16_seeds_in_times_of_16_single_ones": {
            name: ratio(steps, f"{name} S=1", f"{name} S=16") for name in ("dqn", "reinforce")
        },
        "microseconds_of_a_step_without_updates": _acting(),
    }
    return show(__doc__, found, json)


_PAIRS = (
    ("reinforce S=16", SB3),
    ("reinforce S=1", SB3),
    ("dqn S=16", TIANSHOU),
    ("dqn S=1", TIANSHOU),
)


def _session(agent: dict[str, Any], n_seeds: int, env: dict[str, Any]) -> Session:
    return Session(build({"seeds": n_seeds, "steps": 10**7, "threads": 1, "agent": agent, "env": env}))


# Updates alone.


def _updates() -> dict[str, Work]:
    """Forward and backward passes of the network, whole updates of DQN, and the products in both.

    DQN's update samples sequences, unrolls the target and the online network, and steps the optimizer.
    """
    session = _session(DQN, SEEDS, CAR)
    session.play(peers.START)
    learner = session.agent._learner
    batch = learner.state.batch
    learner.learn(session.step)
    n_rows = batch.inputs.shape[1] - peers.SEQUENCES
    ends = np.arange(1, peers.SEQUENCES + 1) * peers.LENGTH
    passes = partial(_passes, learner.state.online_net, batch.inputs[0, :n_rows], batch.output_grad[0, :n_rows], ends)
    shape = (batch.inputs.shape[2], batch.output_grad.shape[2])
    units = SEEDS * TRAINED
    return {
        "network": (passes, units),
        "limit of network": (partial(products, peers.LENGTH, 1, *shape), units),
        "dqn update": (lambda: learner.learn(session.step), units),
        "limit of dqn update": (partial(products, peers.LENGTH + 1, 2, *shape), units),
    }


@jit
def _passes(net, x, output_grad, ends):
    for i in range(net.params.shape[0]):
        forward(net, i, 0, x, episodes(net, ends))
        backward(net, i, 0, x, output_grad, episodes(net, ends))


def products(length: int, n_forward: int, n_in: int, n_out: int) -> None:
    """Multiply what an update of every seed multiplies: ``n_forward`` unrolls of sequences, and one way back."""
    n_rows = peers.SEQUENCES * length
    columns = 4 * peers.UNITS

    def some(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.float32)

    wide = (some(n_rows, n_in), some(n_rows, columns), some(n_rows, peers.UNITS), some(n_rows, n_out))
    step = (some(peers.SEQUENCES, peers.UNITS), some(peers.SEQUENCES, columns))
    back = some(columns, peers.UNITS)  # of the step, transposed once: a transposed one would cost the products more
    weights = (some(n_in, columns), some(peers.UNITS, columns), some(peers.UNITS, n_out), back)
    _multiply(SEEDS, length, n_forward, wide, step, weights)


@jit
def _multiply(n_seeds, length, n_forward, wide, step, weights):
    x, z, hidden, out = wide
    h, u = step
    from_input, from_hidden, top, back = weights
    for _ in range(n_seeds):
        for _ in range(n_forward):
            product(x, from_input, z)
            for _ in range(length):
                product(h, from_hidden, u)
            product(hidden, top, out)
        product(hidden.T, out, top)
        product(out, top.T, hidden)
        for _ in range(length):
            product(u, back, h)
        product(x.T, z, from_input)
        product(hidden.T, z, from_hidden)


# Training.


def _training(missing: Container[str]) -> dict[str, Work]:
    works = {
        f"{name} S={n}": _ours(agent, n) for name, agent in (("dqn", DQN), ("reinforce", REINFORCE)) for n in (1, SEEDS)
    }
    for name, (_, make, steps) in PEERS.items():
        if name not in missing:
            works[name] = (partial(make(), steps), steps)
    return works


def _ours(agent: dict[str, Any], n_seeds: int) -> Work:
    """Training that goes on from round to round, past its first update."""
    session = _session(agent, n_seeds, CAR)
    session.play(peers.START + 200)
    steps = 4 * TRAINED if agent is REINFORCE else 40 * peers.PERIOD
    return lambda: session.play(steps), steps * n_seeds


# Acting.


def _acting() -> dict[str, float]:
    """CPU microseconds of a step of one seed: choosing, stepping the environment, and storing."""
    found = {}
    for name, env in (("rooms t-maze", MAZE), ("MountainCar", CAR)):
        session = _session({"name": "dqn", "recurrence": {"name": "lstm", "units": peers.UNITS}, **_GREEDY}, 1, env)
        session.play(1_000)
        taken = []
        for _ in range(ROUNDS):
            began = time.process_time()
            session.play(10_000)
            taken.append((time.process_time() - began) / 10_000 * 1e6)
        found[name] = float(np.median(taken))
    return found


_GREEDY = {"learning_starts": 10**9, "explore": {"epsilon_start": 0.05, "epsilon_end": 0.05}}
