"""Compiled networks of both kinds, dense and recurrent, behind one set of functions.

An algorithm calls the plain functions here; compiled code takes the one of the network's class. A dense network looks
at rows one by one, so sequences and carries say nothing to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agents.common.networks import dense, recurrent
from agents.common.networks.dense import NamedWeights, Net, NetworkSettings, make_net, n_params
from agents.common.networks.recurrent import Carry, Recurrence, RecurrentNet, Sequences, make_recurrent_net
from simulator.core.jit import compiled_only, jit_implementation, jit_inline, jit_shared
from simulator.core.protocols import Array

AnyNet = Net | RecurrentNet


def make_network(
    n_in: int,
    network: NetworkSettings,
    n_outputs: int,
    recurrence: Recurrence | None,
    seed_list: Sequence[int],
    n_rows: int,
    n_sequences: int,
) -> AnyNet:
    """Make S networks, for batches of up to ``n_rows`` steps in up to ``n_sequences`` sequences."""
    tanh = network.activation == "tanh"
    if recurrence is None:
        return make_net((n_in, *network.hidden, n_outputs), tanh, seed_list, n_rows)
    return make_recurrent_net(recurrence, n_in, network.hidden, n_outputs, tanh, seed_list, n_rows, n_sequences)


def network_bytes(
    n_in: int, network: NetworkSettings, n_outputs: int, recurrence: Recurrence | None, n_rows: int
) -> int:
    """Return the memory of one seed's network in bytes, with its gradient, moments and working space."""
    if recurrence is not None:
        return recurrent.net_bytes(recurrence, n_in, network.hidden, n_outputs, n_rows)
    sizes = (n_in, *network.hidden, n_outputs)
    return 4 * (5 * n_params(sizes) + n_rows * (2 * sum(sizes[1:]) + n_in))


def clone(net: AnyNet) -> AnyNet:
    """Copy a network, with working space of its own for outputs; the copy cannot be trained."""
    return recurrent.clone(net) if isinstance(net, RecurrentNet) else dense.clone(net)


def with_params(net: AnyNet, params: Array) -> AnyNet:
    """Return the network with other weights, on the same working space."""
    return recurrent.with_params(net, params) if isinstance(net, RecurrentNet) else net._replace(params=params)


def named_weights(net: AnyNet) -> NamedWeights:
    """Return copies of the weights by name, and the activation function."""
    return recurrent.named_weights(net) if isinstance(net, RecurrentNet) else dense.named_weights(net)


def make_carry(recurrence: Recurrence | None, n_seeds: int, n_actions: int) -> Carry:
    """Make what S learners carry, at the beginning of their episodes; arrays of no width where it is nothing."""
    widths = (0, 0, 0, 0)
    if recurrence is not None:
        settings = recurrence.settings
        n_state = recurrence.n_state
        widths = (n_state, n_state, n_actions * settings.last_action, int(settings.last_reward))
    return Carry(*(np.zeros((n_seeds, width), np.float32) for width in widths))


def step_networks(net: Any, x: Array, carry: Carry, outputs: Array) -> None:
    """Write the outputs [S, out] of torch's networks at inputs x [S, *in]; what a recurrence carries goes on."""
    if net.is_recurrent:
        stepped = net.step(x, np.concatenate([carry.action, carry.reward], axis=1), carry.state)
        carry.before[...] = carry.state
        carry.state[...] = stepped.state
        outputs[...] = stepped.outputs
    else:
        outputs[...] = net.forward(x[:, None], keep=False)[:, 0]


def carried(carry: Carry) -> tuple[Array, ...] | None:
    """Return copies of what is carried, [S, ...]; None where it is nothing."""
    return tuple(array.copy() for array in carry) if carry.state.shape[1] else None


def carry_on(carry: Carry, saved: tuple[Array, ...]) -> None:
    """Go on from what :func:`carried` returned."""
    for array, before in zip(carry, saved, strict=True):
        array[...] = before


def see_reward(carry: Carry, reward: Array) -> None:
    """Carry the rewards [S] of a step on to the next one, where a recurrence sees them."""
    if carry.reward.shape[1]:
        carry.reward[:, 0] = reward


def n_extra_inputs(recurrence: Recurrence | None, n_actions: int) -> int:
    """Return the number of inputs beside the observation: the last action and the last reward."""
    if recurrence is None:
        return 0
    return n_actions * recurrence.settings.last_action + recurrence.settings.last_reward


def recurrence_arrays(recurrence: Recurrence | None, carry: Carry) -> dict[str, Array | str]:
    """Return what an export says of a recurrence: its cell, and what it sees beside the observation; or nothing."""
    if recurrence is None:
        return {}
    cell = type(recurrence.cell)
    return {
        "recurrence": cell.__name__.lower() if cell.__module__.startswith("agents.components.") else "own",
        "skip": np.array(recurrence.settings.skip),
        "n_last_action": np.array(carry.action.shape[1]),
        "n_last_reward": np.array(carry.reward.shape[1]),
    }


# Carries.


@jit_inline
def begin_episode(carry, i):
    """Forget everything: an episode of seed i begins."""
    carry.state[i, :] = np.float32(0.0)
    carry.before[i, :] = np.float32(0.0)
    carry.action[i, :] = np.float32(0.0)
    carry.reward[i, :] = np.float32(0.0)


@jit_shared
def begin_episodes(carry, first):
    """Forget everything where an episode begins: ``first`` bool [S]."""
    for i in range(len(first)):
        if first[i]:
            begin_episode(carry, i)


def forget(carry: Carry) -> None:
    """Set the state that every seed carries to zero, in the middle of its episode."""
    carry.state[:] = 0.0
    carry.before[:] = 0.0


@jit_inline
def write_action(inputs, action, discrete):
    """Write an action [D] as inputs [A]: its index as one-hot, or its numbers."""
    if discrete:
        write_one_hot(inputs, np.int64(action[0]))
    else:
        for d in range(len(inputs)):
            inputs[d] = action[d]


@jit_inline
def write_one_hot(inputs, index):
    """Write an index as inputs [A], of which there may be none; -1: zeros."""
    for a in range(len(inputs)):
        inputs[a] = np.float32(1.0) if a == index else np.float32(0.0)


@jit_inline
def carry_reward(carry, i, reward):
    """Note the reward of seed i."""
    if carry.reward.shape[1] > 0:
        carry.reward[i, 0] = reward


@jit_inline
def expand_carry(carry, i, x):
    """Write the last action and the last reward of seed i behind the observation in inputs x."""
    n_action = carry.action.shape[1]
    n_reward = carry.reward.shape[1]
    at = len(x) - n_action - n_reward
    for a in range(n_action):
        x[at + a] = carry.action[i, a]
    for k in range(n_reward):
        x[at + n_action + k] = carry.reward[i, k]


# Networks.


@compiled_only
def forward(net: Any, i: int, w: int, x: Array, sequences: Sequences) -> None:
    """Pass the rows x [T, in] of seed i through its network, in row w of the working space."""


@jit_implementation(forward, inline=False, of=Net)
def _forward_dense(net, i, w, x, sequences):
    dense.forward(net, i, w, x)


jit_implementation(forward, inline=False, of=RecurrentNet)(recurrent.forward.py_func)


@compiled_only
def copy_outputs(net: Any, w: int, outputs: Array) -> None:
    """Write the outputs [T, out] of the latest forward pass."""


@jit_implementation(copy_outputs, inline=True, of=Net)
def _copy_outputs_dense(net, w, outputs):
    start = dense.outputs_at(net, outputs.shape[0])
    for r in range(outputs.shape[0]):
        for c in range(outputs.shape[1]):
            outputs[r, c] = net.outputs[w, start + r * outputs.shape[1] + c]


@jit_implementation(copy_outputs, inline=True, of=RecurrentNet)
def _copy_outputs_recurrent(net, w, outputs):
    start = dense.outputs_at(net.head, outputs.shape[0])
    for r in range(outputs.shape[0]):
        for c in range(outputs.shape[1]):
            outputs[r, c] = net.head.outputs[w, start + r * outputs.shape[1] + c]


@compiled_only
def backward(net: Any, i: int, w: int, x: Array, dy: Array, sequences: Sequences) -> None:
    """Write ``net.gradient[w]`` [P], from dL/d(outputs) dy [T, out] after ``forward`` at the same rows."""


@jit_implementation(backward, inline=False, of=Net)
def _backward_dense(net, i, w, x, dy, sequences):
    dense.backward(net, i, w, x, dy)


jit_implementation(backward, inline=False, of=RecurrentNet)(recurrent.backward.py_func)


@compiled_only
def forward_step(net: Any, i: int, w: int, x: Array, carry: Carry, out: Array) -> None:
    """Write the outputs ``out`` [out] of seed i at one row of inputs x [in]; its carried state goes on."""


@jit_implementation(forward_step, inline=True, of=Net)
def _forward_step_dense(net, i, w, x, carry, out):
    dense.forward_row(net, i, w, x, out)


@jit_implementation(forward_step, inline=True, of=RecurrentNet)
def _forward_step_recurrent(net, i, w, x, carry, out):
    for k in range(carry.state.shape[1]):
        carry.before[i, k] = carry.state[i, k]
    recurrent.forward_step(net, i, w, x, carry.state[i], out)


def is_recurrent(net: Any) -> bool:
    """Tell whether the outputs at a row depend on the rows before it."""
    return isinstance(net, RecurrentNet) or getattr(net, "is_recurrent", False)


@jit_implementation(is_recurrent, inline=True, of=Net)
def _is_recurrent_dense(net):
    return False


@jit_implementation(is_recurrent, inline=True, of=RecurrentNet)
def _is_recurrent_recurrent(net):
    return True


@compiled_only
def episodes(net: Any, end: Array) -> Sequences:  # type: ignore[empty-body]
    """Return sequences that end at ``end`` [B], and begin where episodes begin."""


@jit_implementation(episodes, inline=True, of=Net)
def _episodes_dense(net, end):
    return Sequences(end, net.row[0], net.sizes)


@jit_implementation(episodes, inline=True, of=RecurrentNet)
def _episodes_recurrent(net, end):
    return Sequences(end, net.no_carry, net.no_burn_in)


@compiled_only
def forward_after(net: Any, i: int, w: int, row: int, n_rows: int, x: Array, out: Array) -> None:
    """Write the outputs at inputs x [in] that follow on ``row`` of the latest forward pass, which had ``n_rows``."""


@jit_implementation(forward_after, inline=True, of=Net)
def _forward_after_dense(net, i, w, row, n_rows, x, out):
    dense.forward_row(net, i, w, x, out)


@jit_implementation(forward_after, inline=True, of=RecurrentNet)
def _forward_after_recurrent(net, i, w, row, n_rows, x, out):
    for at in range(len(net.layout)):
        carry = recurrent.layer_at(net, at).carry
        for k in range(net.carried):
            net.end_state[w, carry + k] = net.state[w, at, row * net.carried + k]
    recurrent.forward_step(net, i, w, x, net.end_state[w], out)
