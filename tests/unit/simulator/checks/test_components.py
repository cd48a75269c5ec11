"""Tests of the laws of components: ours keep them, and each law fails on the fault that it is about."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
from gymnasium import spaces

from agents.common.networks.activations import tanh
from agents.common.networks.recurrent import CellShape, Recurrence, RecurrenceConfig, cell_backward, cell_forward
from simulator.checks import components
from simulator.checks.laws import Law, LawBroken, findings
from simulator.checks.own import check_player
from simulator.config.sockets import fitting
from simulator.core import registry
from simulator.core.jit import jit_implementation

ENV = "CartPole-v1"
PLAY = partial(components.random_play, ENV)
SHARED = [0.0]  # what a fault shares between seeds


class FaultyEncoder:
    """Centres observations by their running mean, with a fault."""

    space = spaces.Box(-np.inf, np.inf, (4,), np.float32)
    n_collected = 0

    def __init__(self, seeds: Any, fault: str) -> None:
        self.n_seeds = len(seeds)
        self.fault = fault
        self.mean = np.zeros((len(seeds), 4))

    def make_carry(self) -> tuple[np.ndarray, ...]:
        return (np.zeros((self.n_seeds, 1)),)

    def encode(self, obs: np.ndarray, carry: tuple[np.ndarray, ...]) -> np.ndarray:
        carry[0][...] += 1
        centred = obs - (self.mean.mean(axis=0) if self.fault == "seeds meet" else self.mean)
        if self.fault == "steps count":
            centred = centred * carry[0]
        return centred.astype(np.float64 if self.fault == "type" else np.float32)

    def see_actions(self, carry: Any, actions: Any) -> None:
        pass

    def features(self, obs: np.ndarray) -> np.ndarray | None:
        shift = 1.0 if self.fault == "features" else 0.0
        return (obs[None] - self.mean[:, None] + shift).astype(np.float32)

    def learn(self, obs: np.ndarray, clock: int) -> bool:
        self.mean += 0.1 * (obs - self.mean)
        return True

    def frozen(self) -> FaultyEncoder:
        if self.fault == "frozen":
            return self
        copy = FaultyEncoder(range(self.n_seeds), self.fault)
        copy.mean = self.mean.copy()
        return copy

    def state(self) -> dict[str, Any]:
        return {} if self.fault == "state" else {"mean": self.mean.copy()}

    def restore(self, state: dict[str, Any]) -> None:
        self.mean = np.array(state.get("mean", self.mean))


class FaultyNovelty:
    """Counts visits by the sign of the first number, with a fault."""

    def __init__(self, seeds: Any, fault: str) -> None:
        self.fault = fault
        self.visits = np.zeros((len(seeds), 2), np.int64)

    def visit(self, obs: np.ndarray) -> np.ndarray:
        rows = np.zeros(len(obs), np.int64) if self.fault == "seeds meet" else np.arange(len(obs))
        which = (obs[:, 0] > 0).astype(np.int64)
        np.add.at(self.visits, (rows, which), 1)
        found = 1.0 / np.sqrt(self.visits[rows, which])
        if self.fault == "never old":
            return np.ones(len(obs))
        return -found if self.fault == "negative" else found

    def state(self) -> dict[str, Any]:
        return {} if self.fault == "state" else {"visits": self.visits.copy()}

    def restore(self, state: dict[str, Any]) -> None:
        self.visits = np.array(state.get("visits", self.visits))


def broken(laws: tuple[Law, ...], made: Any) -> list[str]:
    """Return the methods in which laws are broken."""
    return [found.method for found in findings(laws, components.ComponentCase(made, PLAY)) if not found.passed]


@pytest.mark.parametrize(
    ("fault", "methods"),
    [
        ("", []),
        ("type", ["encode"]),
        ("seeds meet", ["encode", "features"]),
        ("frozen", ["frozen"]),
        ("features", ["features"]),
        ("state", ["state"]),
    ],
)
def test_laws_of_encoders_fail_on_their_fault(fault, methods):
    assert broken(components.ENCODER_LAWS, lambda seeds: FaultyEncoder(seeds, fault)) == methods


@pytest.mark.parametrize(
    ("fault", "methods"),
    [
        ("", []),
        ("negative", ["visit"]),
        ("never old", ["visit"]),
        ("seeds meet", ["visit"]),
        ("state", ["state"]),
    ],
)
def test_laws_of_bonuses_fail_on_their_fault(fault, methods):
    assert broken(components.INTRINSIC_LAWS, lambda seeds: FaultyNovelty(seeds, fault)) == methods


@pytest.mark.parametrize("name", fitting("intrinsic"))
def test_our_bonuses_keep_the_laws(name):
    player = registry.load("components", name)
    env = registry.load("envs", ENV)
    spec = env.make([0], env.defaults()).spec
    made = player.make(player.Config())
    assert broken(components.INTRINSIC_LAWS, lambda seeds: made.for_env(spec, seeds)) == []


class Leaky(NamedTuple):
    """A leaky cell, whose gradient does not flow through the leak."""

    units: int


@jit_implementation(cell_forward, inline=True, of=Leaky)
def _forward(cell, z, u, before, after, saved):
    for k in range(cell.units):
        z[k] = tanh(z[k] + u[k])
        after[k] = np.float32(0.5) * before[k] + np.float32(0.5) * z[k]


@jit_implementation(cell_backward, inline=True, of=Leaky)
def _backward(cell, z, saved, before, after_grad, z_grad, u_grad, before_grad):
    for k in range(cell.units):
        z_grad[k] = np.float32(0.5) * after_grad[k] * (np.float32(1.0) - z[k] * z[k])
        u_grad[k] = z_grad[k]
        before_grad[k] = np.float32(0.0)  # the fault: 0.5 * after_grad[k]


@pytest.mark.slow
def test_a_wrong_gradient_is_found_and_a_right_one_is_not():
    @dataclass(frozen=True)
    class Config(RecurrenceConfig):
        units: int = 6

    leaky = Recurrence(Leaky(6), CellShape(1, 1, 0, 0), Config(), lambda generator: np.zeros(6))
    with pytest.raises(LawBroken, match=r"the gradient of weight_x of layer 0 is .*% off"):
        components.gradients_are_those_of_the_outputs(leaky)
    components.acting_is_what_training_unrolls(leaky)
    player = registry.load("components", "lstm")
    errors = player.make(player.Config(units=6, layers=2)).errors()
    assert max(errors.gradient.values()) < 0.01
    assert errors.acting < 1e-5


def test_what_does_not_fit_is_left_out_with_the_reason():
    found = check_player("table", "rooms")
    assert found["passed"]
    assert {law["env"] for law in found["laws"]} == {"", "q_learning in rooms"}
    (left,) = found["left_out"]
    assert left["env"] == "dqn in rooms"
    assert "table" in left["reason"]
