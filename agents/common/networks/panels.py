"""Panels of networks: the weights of every layer, and the state and the gates of a recurrence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

import numpy as np

from agents.common.inside import MAX_COLUMNS, MAX_ROWS
from agents.common.networks.compiled import AnyNet
from agents.common.networks.dense import Net
from agents.common.networks.recurrent import Carry, Recurrence, RecurrentNet, cell_forward
from simulator.core.jit import jit
from simulator.core.protocols import Array
from simulator.core.scene import HeatPanel


def weight_panel(title: str, weights: Array, fields: Array | None = None) -> HeatPanel:
    """Make a panel of weights [units, inputs], the first ones of a large layer, with each unit's receptive field.

    Args:
        title: which layer.
        weights: float [U, I].
        fields: float [U, H, W], or None.
    """
    n_units, n_inputs = weights.shape
    shown = weights[:MAX_ROWS, :MAX_COLUMNS]
    cut = "" if shown.shape == weights.shape else f", the first {shown.shape[0]} by {shown.shape[1]}"
    return HeatPanel(
        title=f"{title}: {n_units:,} units (rows) by {n_inputs:,} inputs (columns){cut}",
        values=np.array(shown, np.float32),
        fields=None if fields is None else np.array(fields[:MAX_ROWS], np.float32),
    )


def receptive_fields(weights: Array, shape: tuple[int, ...] | None) -> Array | None:
    """Return the weights [U, I] of every unit as a picture [U, H, W] of what it sees; None where that is no picture.

    Args:
        weights: float [U, I]; inputs behind those of the picture, such as the last action, are left out.
        shape: of the picture: [H, W], or [colours, H, W], whose colours stand side by side.
    """
    if shape is None or len(shape) not in (2, 3) or weights.shape[1] < prod(shape):
        return None
    seen = weights[:MAX_ROWS, : prod(shape)]
    if len(shape) == 2:
        return seen.reshape(-1, *shape)
    return seen.reshape(-1, *shape).transpose(0, 2, 1, 3).reshape(len(seen), shape[1], -1)


def network_panels(net: Any, index: int, name: str, shape: tuple[int, ...] | None = None) -> tuple[HeatPanel, ...]:
    """Make a panel for every layer of one seed's network.

    Args:
        net: S networks, compiled or of torch.
        index: number of the seed.
        name: of the network, for the titles.
        shape: of the observation, where it is a picture that the first dense layer sees pixel by pixel.
    """
    if isinstance(net, Net | RecurrentNet):
        layers = compiled_layers(net, index)
    else:
        layers = named_layers(net.seed_parameters(index))
    panels = []
    for at, (layer, weights) in enumerate(layers):
        rows = weights.reshape(len(weights), -1)
        if weights.ndim == 4:  # a convolution: its field is a picture for every channel, side by side
            fields = receptive_fields(rows, weights.shape[1:])
        else:
            fields = receptive_fields(rows, shape) if at == 0 else None
        panels.append(weight_panel(f"weights of {name}, {layer}", rows, fields))
    return tuple(panels)


def compiled_layers(net: AnyNet, index: int) -> Iterator[tuple[str, Array]]:
    """Yield the name and the weights [units, inputs] of every layer of one seed; they are views, not copies."""
    params = net.params[index]
    if isinstance(net, RecurrentNet):
        for at, layer in enumerate(net.layers):
            start = layer.first
            for source, n in (("inputs", layer.n_in), ("its last output", net.units)):
                yield (
                    f"recurrent layer {at + 1} from {source}",
                    params[start : start + n * net.columns].reshape(n, -1).T,
                )
                start += n * net.columns
    head = net.head if isinstance(net, RecurrentNet) else net
    start = head.first
    for at, (n, m) in enumerate(pairwise(head.sizes.tolist())):
        yield f"layer {at + 1}", params[start : start + n * m].reshape(n, m).T
        start += (n + 1) * m


def outputs_of(net: Net, index: int, x: Array) -> Array:
    """Compute the outputs [B, out] of one seed's network at x float32 [B, in], in no working space of the network's."""
    params = net.params[index]
    start = net.first
    layers = list(pairwise(net.sizes.tolist()))
    for at, (n, m) in enumerate(layers):
        x = x @ params[start : start + n * m].reshape(n, m) + params[start + n * m : start + (n + 1) * m]
        if at < len(layers) - 1:
            x = np.tanh(x) if net.tanh else np.maximum(x, np.float32(0.0))
        start += (n + 1) * m
    return x


def named_layers(parameters: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
    """Yield the name and the weights [units, inputs, ...] of every layer of one seed's torch parameters."""
    at = 0
    for name, weights in parameters.items():
        place, _, kind = name.rpartition(".")
        if kind in ("weight_x", "weight_h"):
            source = "inputs" if kind == "weight_x" else "its last output"
            yield f"recurrent layer {int(place.rpartition('.')[2]) + 1} from {source}", weights.T
        elif weights.ndim == 4:
            at += 1
            yield f"layer {at} (convolution)", weights
        elif weights.ndim == 2:
            at += 1
            own = name.startswith("0.") and name.endswith(
                "_weight"
            )  # of an encoder, which has them the other way round
            yield f"layer {at}", weights.T if own else weights


# Recurrences.


class CellWeights(NamedTuple):
    """Weights of one layer of a recurrence, of one seed."""

    weight_x: Array  # float32 [in, G]
    weight_h: Array  # float32 [H, G]
    bias: Array  # float32 [G]
    bias_h: Array  # float32 [B], of the last columns of h Wh


def cell_weights(net: Any, index: int) -> list[CellWeights]:
    """Return the weights of every recurrent layer of one seed."""
    if not isinstance(net, RecurrentNet):
        named = net.seed_parameters(index)
        n_layers = sum(name.endswith("weight_x") for name in named)
        none = np.zeros(0, np.float32)
        names = CellWeights._fields
        return [CellWeights(*(named.get(f"recurrence.{at}.{name}", none) for name in names)) for at in range(n_layers)]
    found = []
    for layer in net.layers:
        rest = net.params[index, layer.first :]
        sizes = np.cumsum([0, layer.n_in * net.columns, net.units * net.columns, net.columns, net.hidden_biases])
        parts = [rest[start:stop] for start, stop in pairwise(sizes.tolist())]
        found.append(CellWeights(parts[0].reshape(-1, net.columns), parts[1].reshape(-1, net.columns), *parts[2:]))
    return found


def recurrent_moment(recurrence: Recurrence, net: Any, index: int, carry: Carry, x: Array) -> dict[str, Array]:
    """Return what one seed carries after its latest step, and the gates of that step, by name.

    The gates are computed anew, from the weights, the inputs and the state before the step.

    Args:
        recurrence: the cell.
        net: S networks, compiled or of torch.
        index: number of the seed.
        carry: of the network.
        x: float32 [in], the inputs of the latest step, behind them the last action and reward as the cell saw them.
    """
    units = recurrence.settings.units
    inputs = np.ascontiguousarray(x, np.float32)
    moment: dict[str, Array] = {}
    for at, weights in enumerate(cell_weights(net, index)):
        place = slice(at * recurrence.n_carried, (at + 1) * recurrence.n_carried)
        before = np.ascontiguousarray(carry.before[index, place])
        z = inputs @ weights.weight_x + weights.bias
        u = before[:units] @ weights.weight_h
        u[len(u) - len(weights.bias_h) :] += weights.bias_h
        after = np.zeros_like(before)
        _step_cell(recurrence.cell, z, u, before, after, np.zeros(recurrence.shape.saved * units, np.float32))
        inputs = after[:units]
        layer = "" if recurrence.settings.layers == 1 else f"layer {at + 1} "
        state = carry.state[index, place].reshape(-1, units)
        for k, part in enumerate(state):
            name = recurrence.carries[k] if k < len(recurrence.carries) else f"carried {k + 1}"
            moment[layer + name] = part.copy()
        for name, gate in zip(recurrence.gates, z.reshape(-1, units), strict=False):
            moment[layer + name] = gate.copy()
    return moment


def moment_of(recurrence: Recurrence | None, net: Any, index: int, carry: Carry, inputs: Array) -> dict[str, Array]:
    """Return the moment of a policy's network after its latest step; empty without a recurrence.

    Args:
        recurrence: the cell, if there is one.
        net: S networks, compiled or of torch.
        index: number of the seed.
        carry: of the network.
        inputs: float32 [S, in], of the latest step; networks of torch keep their own.
    """
    if recurrence is None:
        return {}
    x = inputs[index] if isinstance(net, RecurrentNet) else net.latest_inputs(index)
    return {} if x is None else recurrent_moment(recurrence, net, index, carry, x)


def moment_panels(moment: Mapping[str, Array]) -> tuple[HeatPanel, ...]:
    """Make a panel of what is carried, and of the gates, a row for each."""
    if not moment:
        return ()
    widest = max(len(values) for values in moment.values())
    rows = np.full((len(moment), widest), np.nan)
    for row, values in zip(rows, moment.values(), strict=True):
        row[: len(values)] = values
    return (HeatPanel("recurrent state and gates of the moment", rows, rows=tuple(moment)),)


@jit
def _step_cell(cell, z, u, before, after, saved):
    """Step a cell once; the gates are left in ``z``."""
    cell_forward(cell, z, u, before, after, saved)
