"""Tests of devices other than the CPU, on torch's ``meta`` device, whose tensors have shapes and no values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as trees

from agents import dqn, reinforce
from agents.common.replay.sequences import SequenceSettings
from agents.components import gru
from simulator.core import devices
from simulator.core.components import Component
from simulator.core.protocols import EnvSpec, Step

MOVES = ("copy_", "cpu", "to", "_has_compatible_shallow_copy_type")  # what may see two devices
SEEN = {
    "vector": spaces.Box(-1.0, 1.0, (3,), np.float32),
    "class": spaces.Discrete(5),
    "picture": spaces.Box(0, 255, (40, 40, 3), np.uint8),
}
OFTEN = {
    "dqn": dqn.Config(
        learning_starts=20,
        batch_size=8,
        buffer_size=200,
        prioritized=True,
        dueling=True,
        sequence=SequenceSettings(length=6, overlap=3, burn_in=2),
    ),
    "reinforce": reinforce.Config(baseline="value"),
}


class _Apart(TorchFunctionMode):
    """A torch mode that refuses tensors of two devices in one operation and returns zeros to the CPU."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        given = trees.tree_leaves((args, kwargs or {}))
        places = {each.device.type for each in given if isinstance(each, torch.Tensor) and each.ndim}
        assert len(places) < 2 or func.__name__ in MOVES, f"{func.__name__} takes tensors on {sorted(places)}"
        if func is torch.Tensor.cpu:
            return torch.zeros_like(args[0], device="cpu")
        return func(*args, **(kwargs or {}))


@pytest.fixture
def far(monkeypatch):
    monkeypatch.setattr(devices, "_device", "meta")
    with _Apart():
        yield


@pytest.mark.slow
@pytest.mark.parametrize("cell", [None, gru])
@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("player", [dqn, reinforce], ids=["dqn", "reinforce"])
def test_networks_stay_on_their_device(far, player, seen, cell):
    space, name = SEEN[seen], player.__name__.split(".")[-1]
    space.seed(3)
    recurrence = None if cell is None else Component("gru", cell.Config(units=4, last_reward=True))
    config = replace(OFTEN[name], recurrence=recurrence)
    agent = player.make(EnvSpec("toy", space, spaces.Discrete(3)), [0, 1], config)
    obs = np.stack([space.sample() for _ in range(2)])
    for t in range(40):
        actions, following = agent.act(obs), np.stack([space.sample() for _ in range(2)])
        ends = np.array([t % 7 == 6, t % 5 == 4])
        agent.learn(obs, actions, Step(following, np.ones(2, np.float32), ends, np.zeros(2, bool), following))
        obs = following
    agent.restore(agent.state())
    assert agent.policy().act(obs, np.ones(2, bool)).shape == (2,)
    assert list(agent.failed_at) == [0, 0]


def test_tensors_on_two_devices_are_detected(far):
    with pytest.raises(AssertionError, match=r"linear takes tensors on \['cpu', 'meta'\]"):
        torch.nn.functional.linear(torch.zeros(1, 3), torch.zeros(2, 3, device="meta"))
