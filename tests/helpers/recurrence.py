"""Recurrent networks of every cell for tests: called from Python, and beside torch's."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch

from agents.common.networks import recurrent
from agents.common.networks.recurrent import Sequences, backward, forward, forward_step
from agents.components import elman, gru, lstm
from simulator.core.jit import jit

CELLS = {"elman": elman, "gru": gru, "lstm": lstm}


@jit
def step_all(net, x, state, out):
    """Step every seed at x [S, in]; ``state`` [S, C] goes on."""
    for i in range(len(x)):
        forward_step(net, i, i, x[i], state[i], out[i])


def make(cell, n_in=3, hidden=(5,), n_outputs=2, seeds=(0,), rows=40, sequences=4, **settings):
    """Make networks of a cell by name."""
    config = CELLS[cell].Config(**{"units": 6, **settings})
    recurrence = CELLS[cell].make(config)
    return recurrent.make_recurrent_net(recurrence, n_in, hidden, n_outputs, True, seeds, rows, sequences)


def sequences_of(net, lengths, carry=None, burn_in=0):
    """Sequences of these lengths."""
    if carry is None:
        carry = np.zeros((len(lengths), len(net.layers) * net.carried))
    skipped = np.full(len(lengths), burn_in, np.int64)
    return Sequences(np.cumsum(lengths).astype(np.int64), np.ascontiguousarray(carry, np.float32), skipped)


def outputs(net, x, sequences, i=0):
    """Outputs [T, out] of seed i at rows x [T, in]."""
    forward(net, i, i, np.ascontiguousarray(x, np.float32), sequences)
    n_out = int(net.head.sizes[-1])
    start = len(x) * int(net.head.sizes[1:-1].sum())
    return net.head.outputs[i, start : start + len(x) * n_out].reshape(len(x), n_out).copy()


def gradient(net, x, dy, sequences, i=0):
    """Gradient [P] from dL/d(outputs) after ``outputs``."""
    backward(net, i, i, np.ascontiguousarray(x, np.float32), np.ascontiguousarray(dy, np.float32), sequences)
    return net.head.gradient[i].copy()


class Torch(torch.nn.Module):
    """The network of seed i in torch's own cells, float64."""

    def __init__(self, cell, net, i=0):
        super().__init__()
        kind = {"elman": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell]
        n_in = net.layers[0].n_in
        self.cell = kind(n_in, net.units, len(net.layers), batch_first=True).double()
        self.skip = net.skip
        named = recurrent.named_weights(net).weights
        flip = np.ones(net.columns)
        if cell == "gru":
            flip[net.units : 2 * net.units] = -1.0  # torch's update gate is 1 - z
        with torch.no_grad():
            for at in range(len(net.layers)):
                part = {
                    name: named[f"recurrence.{at}.{name}"][i].astype(float) for name in ("weight_x", "weight_h", "bias")
                }
                hidden_bias = np.zeros(net.columns)
                if net.hidden_biases:
                    hidden_bias[-net.hidden_biases :] = named[f"recurrence.{at}.bias_h"][i]
                getattr(self.cell, f"weight_ih_l{at}").copy_(torch.tensor((part["weight_x"] * flip).T))
                getattr(self.cell, f"weight_hh_l{at}").copy_(torch.tensor((part["weight_h"] * flip).T))
                getattr(self.cell, f"bias_ih_l{at}").copy_(torch.tensor(part["bias"] * flip))
                getattr(self.cell, f"bias_hh_l{at}").copy_(torch.tensor(hidden_bias))
        sizes = net.head.sizes.tolist()
        layers = []
        for at, (n, m) in enumerate(pairwise(sizes)):
            linear = torch.nn.Linear(n, m).double()
            with torch.no_grad():
                linear.weight.copy_(torch.tensor(named[f"{2 * at}.weight"][i].astype(float)))
                linear.bias.copy_(torch.tensor(named[f"{2 * at}.bias"][i].astype(float)))
            layers += [linear, torch.nn.Tanh()]
        self.head = torch.nn.Sequential(*layers[:-1])
        self.flip = flip

    def forward(self, x, carry=None):
        """Outputs of one sequence x [T, in], and the carry after it."""
        h, after = self.cell(x[None], carry)
        return self.head(torch.cat([h[0], x], 1) if self.skip else h[0]), after

    def flat_gradient(self, net):
        """The gradient in the order of the compiled network's parameters."""
        parts = []
        for at in range(len(net.layers)):
            grads = [getattr(self.cell, f"{name}_l{at}").grad.numpy() for name in ("weight_ih", "weight_hh", "bias_ih")]
            parts += [(grads[0].T * self.flip).ravel(), (grads[1].T * self.flip).ravel(), grads[2] * self.flip]
            if net.hidden_biases:
                parts.append(getattr(self.cell, f"bias_hh_l{at}").grad.numpy()[-net.hidden_biases :])
        for layer in self.head:
            if isinstance(layer, torch.nn.Linear):
                parts += [layer.weight.grad.numpy().T.ravel(), layer.bias.grad.numpy()]
        return np.concatenate(parts)
