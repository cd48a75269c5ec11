"""Recurrent networks, compiled: layers of a cell unrolled over sequences, and dense layers on top of their states.

Elman 1990; Werbos 1990 (backpropagation through time). What a cell computes stands in its own file in
``agents/components``: ``cell_forward`` and ``cell_backward`` take one row. Here is what all cells share: parameters,
the products of all rows, the order of time, and where sequences begin and end.

A cell's gates are functions of z + u, with z = x Wx + b from the layer's input x and u = h Wh from its last output h.
The parameters of a layer lie flat: Wx [in, G], Wh [H, G], b [G], and, for a cell that has them, biases of the last
columns of u. The layers come first in a seed's parameters; those of the dense layers follow.

Rows are steps, T of them: one sequence after the other, each in the order of time. A sequence begins with a carry,
zeros where an episode begins; neither state nor gradient passes from one sequence to another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Literal, NamedTuple

import numpy as np

from agents.common.networks import dense
from agents.common.networks.dense import NamedWeights, Net, Width, forward_row, make_net, n_params, product
from simulator.core import registry, rng
from simulator.core.components import Component
from simulator.core.field_types import Count, CountOrZero
from simulator.core.jit import compiled_only, jit, jit_inline
from simulator.core.protocols import Array
from simulator.core.sequence_learning import LearnerSettings, SequenceShape


@dataclass(frozen=True)
class RecurrenceConfig:
    """Settings that every cell has."""

    units: Width = 64
    """units of every layer"""
    layers: Count = 1
    """layers; each takes the outputs of the one before it"""
    init: Literal["orthogonal", "uniform"] = "orthogonal"
    """recurrent weights at first: an orthogonal matrix for every gate, or uniform in +-1/sqrt(units)"""
    last_action: bool = True
    """the cell sees the last action beside the observation"""
    last_reward: bool = False
    """the cell sees the last reward beside the observation"""
    skip: bool = True
    """the dense layers see the observation beside the cell's output"""
    truncate: CountOrZero = 0
    """steps of a sequence through which a gradient flows back at most; 0: all of them"""
    trainable: bool = True
    """off: the cell keeps its first weights, as a control"""


class CellShape(NamedTuple):
    """Sizes of a cell's arrays, in numbers per unit."""

    columns: int  # of z and u
    carried: int  # from step to step; the first is its output
    saved: int  # for the gradient, beside z
    hidden_biases: int  # of u, in its last columns
    sums: bool = False  # the cell reads z + u alone, so that both have one gradient; it need not be kept twice


class Recurrence(NamedTuple):
    """A kind of cell with its settings, as ``make`` of its file returns it."""

    cell: Any  # a named tuple of its units, of a class of its own
    shape: CellShape
    settings: RecurrenceConfig
    biases: Callable[[np.random.Generator], Array]  # of one layer at first, [G + hidden biases]
    step: Callable[[Any, Any, Any, tuple[Any, ...]], tuple[Any, ...]] | None = None
    """the cell on tensors of torch: from cell, z and u [..., G], and what is carried, to the same after the step; each
    [..., H], the output first. None: the cell is compiled alone, and refused on a GPU and on images"""
    gates: tuple[str, ...] = ()
    """names of what ``cell_forward`` leaves in z, [H] each, for the views; none: it is not shown"""
    carries: tuple[str, ...] = ("hidden",)
    """names of what is carried, likewise; the first one is the output"""

    def n_params(self, n_in: int) -> int:
        """Return the number of parameters of all layers."""
        return sum(self._layer_params(n) for n in self._layer_inputs(n_in))

    def _layer_inputs(self, n_in: int) -> list[int]:
        return [n_in] + [self.settings.units] * (self.settings.layers - 1)

    def _layer_params(self, n_in: int) -> int:
        units = self.settings.units
        return (n_in + units + 1) * self.shape.columns * units + self.shape.hidden_biases * units

    def layout(self, n_in: int) -> tuple[Layer, ...]:
        """Return where each layer lies."""
        layers, first = [], 0
        for at, n in enumerate(self._layer_inputs(n_in)):
            layers.append(Layer(n, first, at * self.n_carried))
            first += self._layer_params(n)
        return tuple(layers)

    @property
    def n_carried(self) -> int:
        """Numbers that a layer carries."""
        return self.shape.carried * self.settings.units

    @property
    def n_state(self) -> int:
        """Numbers that all layers carry."""
        return self.n_carried * self.settings.layers

    def errors(self) -> RecurrenceErrors:
        """Compare the gradient with finite differences, and single steps with an unrolled sequence."""
        return _errors(self)

    def initial_params(self, n_in: int, seed_list: Sequence[int]) -> Array:
        """Sample the first parameters of every seed from its own stream, float32 [S, P]."""
        rows = []
        for generator in rng.generators(seed_list, "recurrence"):
            rows.append(np.concatenate([self._initial_layer(n, generator) for n in self._layer_inputs(n_in)]))
        return np.array(rows, np.float32)

    def _initial_layer(self, n_in: int, generator: np.random.Generator) -> Array:
        units, columns = self.settings.units, self.shape.columns
        bound = 1.0 / sqrt(units)
        from_input = generator.uniform(-bound, bound, (n_in, columns * units))
        if self.settings.init == "orthogonal":
            from_hidden = np.hstack([_orthogonal(units, generator) for _ in range(columns)])
        else:
            from_hidden = generator.uniform(-bound, bound, (units, columns * units))
        return np.concatenate([from_input.ravel(), from_hidden.ravel(), self.biases(generator)])

    def sequence_learner(self, shape: SequenceShape, seed_list: Sequence[int], settings: LearnerSettings) -> Any:
        """Make S learners of sequences; see :class:`agents.common.networks.sequence_learner.SequenceLearner`."""
        from agents.common.networks.sequence_learner import SequenceLearner

        return SequenceLearner(self, shape, (), seed_list, settings)

    def state_gradients(self, x: Array, seed_list: Sequence[int], scale: float = 1.0) -> Array:
        """Measure dh_T/ds_t, [S, T]; see :func:`agents.common.networks.sequence_learner.state_gradients`."""
        from agents.common.networks.sequence_learner import state_gradients

        return state_gradients(self, x, seed_list, scale)

    def check_state_gradients(self, shape: tuple[int, ...]) -> None:
        """Refuse inputs [S, T, D] whose gradients do not fit; likewise."""
        from agents.common.networks.sequence_learner import check_state_gradients

        check_state_gradients(self, shape)


def recurrence_of(component: Component | None) -> Recurrence | None:
    """Make the cell that was chosen, if one was."""
    if component is None:
        return None
    recurrence: Recurrence = registry.load("components", component.name).make(component.settings)
    return recurrence


def _orthogonal(n: int, generator: np.random.Generator) -> Array:
    """Sample an orthogonal matrix, uniformly (Mezzadri 2007)."""
    q, r = np.linalg.qr(generator.standard_normal((n, n)))
    return np.asarray(q * np.sign(np.diag(r)))


class Layer(NamedTuple):
    """Inputs of a layer, and where it lies."""

    n_in: int
    first: int  # index of its first parameter in a seed's
    carry: int  # index of its first number in a carry


class Sequences(NamedTuple):
    """The sequences of one seed that pass through its network at once."""

    end: Array  # int64 [B], the row behind each sequence's last
    carry: Array  # float32 [B, C], before each sequence's first step
    burn_in: Array  # int64 [B], first steps that get no gradient: they only bring the carry up to date


class RecurrentNet(NamedTuple):
    """S recurrent networks of one shape, and working space for W batches of up to T rows in B sequences."""

    cell: Any
    layout: Array  # int64 [L, 3], a layer a row; see ``Layer``
    units: int  # H
    columns: int  # G, of z and u
    carried: int  # numbers that a layer carries
    saved: int
    hidden_biases: int
    sums: bool
    skip: bool
    truncate: int
    trainable: bool
    params: Array  # float32 [S, P], the array of ``head``
    gradient: Array  # float32 [W, P], the array of ``head``
    head: Net  # dense layers
    z: Array  # float32 [W, L, T * G]; a cell leaves its gates there
    z_grad: Array  # float32 [W, T * G]
    u_grad: Array  # float32 [W, T * G]; empty where it is z_grad
    state: Array  # float32 [W, L, T * carried], after every step
    hidden: Array  # float32 [W, L, T * H], output of every step
    hidden_before: Array  # float32 [W, L, T * H], output of the step before
    kept: Array  # float32 [W, L, T * saved]
    top: Array  # float32 [W, T * (H + in)], inputs of the dense layers where they see the observation
    output_grad: Array  # float32 [W, T * H], at a layer's outputs
    carry_grad: Array  # float32 [W, B, carried]
    no_carry: Array  # float32 [B, C], zeros: where an episode begins
    no_burn_in: Array  # int64 [B], zeros
    end_state: Array  # float32 [W, C], scratch: where a sequence ended
    row: Array  # float32 [W, carried], scratch
    rows: Array  # int64 [W, 2, B], scratch: rows of the sequences that go on, and their numbers
    step_hidden: Array  # float32 [W, B * H], of the sequences that go on
    step_u: Array  # float32 [W, B * G]
    weight_h: Array  # float32 [W, G * H], a layer's Wh transposed once, for the products of the way back
    acting: Array  # float32 [W, 2 G + carried + saved + H + in], scratch of a single step

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Places of the layers in the parameters."""
        return tuple(Layer(*map(int, row)) for row in self.layout)


class Carry(NamedTuple):
    """State that S learners carry from step to step, each in its own episode."""

    state: Array  # float32 [S, C]
    before: Array  # float32 [S, C], before the latest step
    action: Array  # float32 [S, A], the last one: one-hot, or its numbers; zeros in an episode's first step
    reward: Array  # float32 [S, 1], the last one, likewise


def make_recurrent_net(
    recurrence: Recurrence,
    n_in: int,
    hidden: Sequence[int],
    n_outputs: int,
    tanh: bool,
    seed_list: Sequence[int],
    n_rows: int,
    n_sequences: int,
) -> RecurrentNet:
    """Make S networks with random weights from each seed's own streams.

    Their batches have up to ``n_rows`` steps, in up to ``n_sequences`` sequences.
    """
    shape, settings = recurrence.shape, recurrence.settings
    n_seeds, units, n_layers = len(seed_list), settings.units, settings.layers
    columns, carried, saved = (n * units for n in (shape.columns, shape.carried, shape.saved))
    n_top = units + (n_in if settings.skip else 0)
    before = recurrence.initial_params(n_in, seed_list)
    head = make_net((n_top, *hidden, n_outputs), tanh, seed_list, n_rows, before)

    def space(*shape: int) -> Array:
        return np.zeros((n_seeds, *shape), np.float32)

    return RecurrentNet(
        cell=recurrence.cell,
        layout=np.array(recurrence.layout(n_in), np.int64),
        units=units,
        columns=columns,
        carried=carried,
        saved=saved,
        hidden_biases=shape.hidden_biases * units,
        sums=shape.sums,
        skip=settings.skip,
        truncate=settings.truncate,
        trainable=settings.trainable,
        params=head.params,
        gradient=head.gradient,
        head=head,
        z=space(n_layers, n_rows * columns),
        z_grad=space(n_rows * columns),
        u_grad=space(0 if shape.sums else n_rows * columns),
        state=space(n_layers, n_rows * carried),
        hidden=space(n_layers, n_rows * units),
        hidden_before=space(n_layers, n_rows * units),
        kept=space(n_layers, n_rows * saved),
        top=space(n_rows * n_top if settings.skip else 0),
        output_grad=space(n_rows * units),
        carry_grad=space(n_sequences, carried),
        no_carry=np.zeros((n_sequences, n_layers * carried), np.float32),
        no_burn_in=np.zeros(n_sequences, np.int64),
        end_state=space(n_layers * carried),
        row=space(carried),
        rows=np.zeros((n_seeds, 2, n_sequences), np.int64),
        step_hidden=space(n_sequences * units),
        step_u=space(n_sequences * columns),
        weight_h=space(columns * units),
        acting=space(2 * columns + carried + saved + n_top),
    )


def net_bytes(recurrence: Recurrence, n_in: int, hidden: Sequence[int], n_outputs: int, n_rows: int) -> int:
    """Return the memory of one seed's network in bytes: weights, their gradient and moments, and working space."""
    shape, settings = recurrence.shape, recurrence.settings
    n_top = settings.units + (n_in if settings.skip else 0)
    total = recurrence.n_params(n_in) + n_params((n_top, *hidden, n_outputs))
    per_layer = shape.columns + shape.carried + shape.saved + 2
    n_grads = 1 if shape.sums else 2
    per_row = settings.units * (settings.layers * per_layer + n_grads * shape.columns + 1) + 2 * n_top + 3 * sum(hidden)
    return 4 * (5 * total + n_rows * per_row)


def with_params(net: RecurrentNet, params: Array) -> RecurrentNet:
    """Return the network with other weights, on the same working space."""
    return net._replace(params=params, head=net.head._replace(params=params))


def clone(net: RecurrentNet) -> RecurrentNet:
    """Copy a network, with working space of its own for outputs; the copy cannot be trained."""
    head = dense.clone(net.head)
    names = ("z", "state", "hidden", "hidden_before", "kept", "top", "step_hidden", "step_u", "acting")
    fresh = {name: np.zeros_like(getattr(net, name)) for name in names}
    return net._replace(params=head.params, gradient=head.gradient, head=head, **fresh)


def named_weights(net: RecurrentNet) -> NamedWeights:
    """Return copies of the weights by name.

    A layer l has ``recurrence.l.weight_x`` [S, in, G], ``.weight_h`` [S, H, G], ``.bias`` [S, G] and ``.bias_h``, where
    the cell has it; the dense layers are named as those of a ``torch.nn.Sequential``.
    """
    named = {}
    for at, layer in enumerate(net.layers):
        start = layer.first
        parts = {"weight_x": (layer.n_in, net.columns), "weight_h": (net.units, net.columns), "bias": (net.columns,)}
        if net.hidden_biases:
            parts["bias_h"] = (net.hidden_biases,)
        for name, shape in parts.items():
            size = int(np.prod(shape))
            named[f"recurrence.{at}.{name}"] = net.params[:, start : start + size].reshape(-1, *shape).copy()
            start += size
    weights, activation = dense.named_weights(net.head)
    return NamedWeights(named | weights, activation)


# A cell, one row at a time. The file of a cell implements both for its own class.


@compiled_only
def cell_forward(cell: Any, z: Array, u: Array, before: Array, after: Array, saved: Array) -> None:
    """Step a cell.

    Args:
        cell: which one.
        z: [G], from the input; the gates are left there.
        u: [G], from the output of the step before.
        before: [carried].
        after: [carried], written.
        saved: [saved], written: what the gradient needs beside the gates.
    """


@compiled_only
def cell_backward(
    cell: Any,
    z: Array,
    saved: Array,
    before: Array,
    after_grad: Array,
    z_grad: Array,
    u_grad: Array,
    before_grad: Array,
) -> None:
    """Backpropagate through a step.

    Args:
        cell: which one.
        z: [G], the gates.
        saved: [saved].
        before: [carried].
        after_grad: [carried], gradient at what was carried on.
        z_grad: [G], written.
        u_grad: [G], written.
        before_grad: [carried], written: gradient at ``before``, without what flows through u.
    """


# Sequences.


@jit
def forward(net, i, w, x, sequences):
    """Unroll seed i over the rows x [T, in] of its sequences; outputs are left in ``net.head.outputs[w]``."""
    n_rows = x.shape[0]
    inputs = x
    for at in range(len(net.layout)):
        _forward_layer(net, at, i, w, inputs, sequences)
        inputs = net.hidden[w, at, : n_rows * net.units].reshape((n_rows, net.units))
    if net.skip:
        width = net.units + x.shape[1]
        top = net.top[w, : n_rows * width].reshape((n_rows, width))
        for r in range(n_rows):
            for k in range(net.units):
                top[r, k] = inputs[r, k]
            for k in range(x.shape[1]):
                top[r, net.units + k] = x[r, k]
        inputs = top
    dense.forward(net.head, i, w, inputs)


class Parts(NamedTuple):
    """Indices at which the parts of a layer's parameters begin; Wx begins at ``Layer.first``."""

    weight_h: int
    bias: int
    hidden_bias: int


@jit_inline
def layer_at(net, at):
    """Return where a layer lies; an array holds it, so that code is compiled once for any number of layers."""
    return Layer(net.layout[at, 0], net.layout[at, 1], net.layout[at, 2])


@jit_inline
def _parts_of(net, layer):
    weight_h = layer.first + layer.n_in * net.columns
    bias = weight_h + net.units * net.columns
    return Parts(weight_h, bias, bias + net.columns)


@jit_inline
def _rows_at(end, t, rows):
    """List the rows of time t, and their sequences, in ``rows`` [2, B]; return how many sequences last so long."""
    n = 0
    first = 0
    for b in range(len(end)):
        if first + t < end[b]:
            rows[0, n] = first + t
            rows[1, n] = b
            n += 1
        first = end[b]
    return n


@jit_inline
def _longest(end):
    """Return the steps of the longest sequence."""
    longest = 0
    first = 0
    for b in range(len(end)):
        longest = max(longest, end[b] - first)
        first = end[b]
    return longest


@jit
def _forward_layer(net, at, i, w, inputs, sequences):
    layer = layer_at(net, at)
    columns = net.columns
    n_rows = inputs.shape[0]
    parts = _parts_of(net, layer)
    z = net.z[w, at, : n_rows * columns].reshape((n_rows, columns))
    product(inputs, net.params[i, layer.first : parts.weight_h].reshape((layer.n_in, columns)), z)
    rows = net.rows[w]
    for t in range(_longest(sequences.end)):
        n = _rows_at(sequences.end, t, rows)
        _forward_time(net, at, i, w, z, sequences.carry, t, rows[:, :n])


@jit_inline
def _forward_time(net, at, i, w, z, carry, t, rows):
    """Step the n sequences at ``rows`` [2, n], all at time t."""
    layer = layer_at(net, at)
    units = net.units
    columns = net.columns
    n_rows = z.shape[0]
    n = rows.shape[1]
    parts = _parts_of(net, layer)
    state = net.state[w, at, : n_rows * net.carried].reshape((n_rows, net.carried))
    hidden = net.hidden[w, at, : n_rows * units].reshape((n_rows, units))
    hidden_before = net.hidden_before[w, at, : n_rows * units].reshape((n_rows, units))
    kept = net.kept[w, at, : n_rows * net.saved].reshape((n_rows, net.saved))
    h = net.step_hidden[w, : n * units].reshape((n, units))
    u = net.step_u[w, : n * columns].reshape((n, columns))
    for j in range(n):
        row = rows[0, j]
        before = carry[rows[1, j], layer.carry : layer.carry + net.carried] if t == 0 else state[row - 1]
        for k in range(units):
            h[j, k] = before[k]
            hidden_before[row, k] = before[k]
    product(h, net.params[i, parts.weight_h : parts.bias].reshape((units, columns)), u)
    bias = net.params[i, parts.bias : parts.hidden_bias]
    hidden_bias = net.params[i, parts.hidden_bias : parts.hidden_bias + net.hidden_biases]
    for j in range(n):
        row = rows[0, j]
        for c in range(columns):
            z[row, c] += bias[c]
        before = carry[rows[1, j], layer.carry : layer.carry + net.carried] if t == 0 else state[row - 1]
        last_columns = u[j, columns - net.hidden_biases :]
        for c in range(net.hidden_biases):
            last_columns[c] += hidden_bias[c]
        cell_forward(net.cell, z[row], u[j], before, state[row], kept[row])
        for k in range(units):
            hidden[row, k] = state[row, k]


@jit
def backward(net, i, w, x, dy, sequences):
    """Write the gradient [P] to ``net.gradient[w]``, from dL/d(outputs) dy [T, out] after ``forward`` at x."""
    n_rows = x.shape[0]
    units = net.units
    n_top = net.head.sizes[0]
    gradient = net.gradient[w]
    top = net.top[w, : n_rows * n_top] if net.skip else net.hidden[w, len(net.layout) - 1, : n_rows * units]
    dense.backward(net.head, i, w, top.reshape((n_rows, n_top)), dy)
    if not net.trainable:
        gradient[: net.head.first] = np.float32(0.0)
        return
    input_grad = net.head.input_grad[w, : n_rows * n_top].reshape((n_rows, n_top))
    output_grad = net.output_grad[w, : n_rows * units].reshape((n_rows, units))
    for r in range(n_rows):
        for k in range(units):
            output_grad[r, k] = input_grad[r, k]
    for back in range(len(net.layout)):
        at = len(net.layout) - 1 - back
        inputs = x if at == 0 else net.hidden[w, at - 1, : n_rows * units].reshape((n_rows, units))
        _backward_layer(net, at, i, w, inputs, output_grad, gradient, sequences)


@jit
def _backward_layer(net, at, i, w, inputs, output_grad, gradient, sequences):
    """Write the gradient of one layer, and turn that at its outputs into that at its inputs where a layer is below."""
    layer = layer_at(net, at)
    units = net.units
    columns = net.columns
    n_rows = inputs.shape[0]
    parts = _parts_of(net, layer)
    z_grad = net.z_grad[w, : n_rows * columns].reshape((n_rows, columns))
    u_grad = z_grad if net.sums else net.u_grad[w, : n_rows * columns].reshape((n_rows, columns))
    net.carry_grad[w, :, :] = np.float32(0.0)
    weight_h = net.params[i, parts.weight_h : parts.bias].reshape((units, columns))
    transposed = net.weight_h[w].reshape((columns, units))
    for k in range(units):
        for c in range(columns):
            transposed[c, k] = weight_h[k, c]
    rows = net.rows[w]
    longest = _longest(sequences.end)
    for back in range(longest):
        t = longest - 1 - back
        n = _rows_at(sequences.end, t, rows)
        _backward_time(net, at, i, w, output_grad, sequences, t, rows[:, :n])

    product(inputs.T, z_grad, gradient[layer.first : parts.weight_h].reshape((layer.n_in, columns)))
    hidden_before = net.hidden_before[w, at, : n_rows * units].reshape((n_rows, units))
    product(hidden_before.T, u_grad, gradient[parts.weight_h : parts.bias].reshape((units, columns)))
    bias_grad = gradient[parts.bias : parts.hidden_bias]
    bias_grad[:] = np.float32(0.0)
    for r in range(n_rows):
        for c in range(columns):
            bias_grad[c] += z_grad[r, c]
    hidden_bias_grad = gradient[parts.hidden_bias : parts.hidden_bias + net.hidden_biases]
    hidden_bias_grad[:] = np.float32(0.0)
    for r in range(n_rows):
        last_columns = u_grad[r, columns - net.hidden_biases :]
        for c in range(net.hidden_biases):
            hidden_bias_grad[c] += last_columns[c]
    if at > 0:
        product(z_grad, net.params[i, layer.first : parts.weight_h].reshape((layer.n_in, columns)).T, output_grad)


@jit_inline
def _backward_time(net, at, i, w, output_grad, sequences, t, rows):
    """Backpropagate through time t of the sequences at ``rows`` [2, n]."""
    layer = layer_at(net, at)
    units = net.units
    columns = net.columns
    n_rows = output_grad.shape[0]
    n = rows.shape[1]
    z = net.z[w, at, : n_rows * columns].reshape((n_rows, columns))
    z_grad = net.z_grad[w, : n_rows * columns].reshape((n_rows, columns))
    state = net.state[w, at, : n_rows * net.carried].reshape((n_rows, net.carried))
    kept = net.kept[w, at, : n_rows * net.saved].reshape((n_rows, net.saved))
    after_grad = net.row[w]
    h_grad = net.step_hidden[w, : n * units].reshape((n, units))
    u = net.step_u[w, : n * columns].reshape((n, columns))
    for j in range(n):
        row = rows[0, j]
        b = rows[1, j]
        carry_grad = net.carry_grad[w, b]
        if t < sequences.burn_in[b]:
            z_grad[row] = np.float32(0.0)
            u[j] = np.float32(0.0)
        else:
            for k in range(net.carried):
                after_grad[k] = carry_grad[k]
            for k in range(units):
                after_grad[k] += output_grad[row, k]
            before = sequences.carry[b, layer.carry : layer.carry + net.carried] if t == 0 else state[row - 1]
            cell_backward(net.cell, z[row], kept[row], before, after_grad, z_grad[row], u[j], carry_grad)
        if not net.sums:
            u_grad = net.u_grad[w, row * columns : (row + 1) * columns]
            for c in range(columns):
                u_grad[c] = u[j, c]
    product(u, net.weight_h[w].reshape((columns, units)), h_grad)
    cut = net.truncate > 0 and t % net.truncate == 0
    for j in range(n):
        carry_grad = net.carry_grad[w, rows[1, j]]
        if cut or t <= sequences.burn_in[rows[1, j]]:
            carry_grad[:] = np.float32(0.0)
        else:
            for k in range(units):
                carry_grad[k] += h_grad[j, k]


# Acting.


@jit_inline
def forward_step(net, i, w, x, state, out):
    """Step seed i at one observation x [in]: its ``state`` [C] goes on, and ``out`` [out] is written."""
    scratch = net.acting[w]
    top = scratch[2 * net.columns + net.carried + net.saved :]
    for at in range(len(net.layout)):
        inputs = x if at == 0 else top[: net.units]
        layer = layer_at(net, at)
        _step_layer(net, layer, i, inputs, state, scratch)
        for k in range(net.units):
            top[k] = state[layer.carry + k]
    if net.skip:
        for k in range(len(x)):
            top[net.units + k] = x[k]
    forward_row(net.head, i, w, top, out)


@jit_inline
def _step_layer(net, layer, i, inputs, state, scratch):
    columns = net.columns
    parts = _parts_of(net, layer)
    z = scratch[:columns]
    u = scratch[columns : 2 * columns]
    after = scratch[2 * columns : 2 * columns + net.carried]
    saved = scratch[2 * columns + net.carried : 2 * columns + net.carried + net.saved]
    before = state[layer.carry : layer.carry + net.carried]
    bias = net.params[i, parts.bias : parts.hidden_bias]
    for c in range(columns):
        z[c] = bias[c]
        u[c] = np.float32(0.0)
    hidden_bias = net.params[i, parts.hidden_bias : parts.hidden_bias + net.hidden_biases]
    last_columns = u[columns - net.hidden_biases :]
    for c in range(net.hidden_biases):
        last_columns[c] = hidden_bias[c]
    for k in range(layer.n_in):
        value = inputs[k]
        if value != np.float32(0.0):
            weights = net.params[i, layer.first + k * columns : layer.first + (k + 1) * columns]
            for c in range(columns):
                z[c] += value * weights[c]
    weight_h = net.params[i, parts.weight_h : parts.bias].reshape((net.units, columns))
    _add_product(before[: net.units], weight_h, u)
    cell_forward(net.cell, z, u, before, after, saved)
    for k in range(net.carried):
        before[k] = after[k]


@jit_inline
def _add_product(x, matrix, out):
    """Add the product x [K] matrix [K, C] to ``out``, four rows at once: it is read and written a quarter as often."""
    whole = len(x) - len(x) % 4
    for k in range(0, whole, 4):
        x0 = x[k]
        x1 = x[k + 1]
        x2 = x[k + 2]
        x3 = x[k + 3]
        row0 = matrix[k]
        row1 = matrix[k + 1]
        row2 = matrix[k + 2]
        row3 = matrix[k + 3]
        for c in range(len(out)):
            out[c] = out[c] + x0 * row0[c] + x1 * row1[c] + x2 * row2[c] + x3 * row3[c]
    for k in range(whole, len(x)):
        for c in range(len(out)):
            out[c] += x[k] * matrix[k, c]


# Checks.


class RecurrenceErrors(NamedTuple):
    """Differences between the passes of a cell; rounding alone where both of its functions are right."""

    gradient: dict[str, float]  # by part of a layer's parameters: off finite differences, in parts of its norm
    acting: float  # largest difference of outputs between single steps and an unrolled sequence


def _errors(recurrence: Recurrence) -> RecurrenceErrors:
    """Compare the passes of random networks on two sequences of random inputs."""
    n_in, n_outputs, end = 5, 3, (7, 11)
    random = np.random.Generator(np.random.PCG64(0))
    net = make_recurrent_net(recurrence, n_in, (), n_outputs, False, [0], end[-1], len(end))
    net = net._replace(trainable=True, truncate=0)
    net.params[...] += random.normal(0.0, 0.1, net.params.shape)
    x = random.normal(size=(end[-1], n_in)).astype(np.float32)
    output_grad = random.normal(size=(end[-1], n_outputs)).astype(np.float32)
    sequences = Sequences(np.array(end, np.int64), net.no_carry, net.no_burn_in)

    def outputs() -> Array:
        forward(net, 0, 0, x, sequences)
        return net.head.outputs[0, : end[-1] * n_outputs].reshape(end[-1], n_outputs).astype(np.float64)

    unrolled = outputs()
    backward(net, 0, 0, x, output_grad, sequences)
    gradient = net.gradient[0].astype(np.float64)
    errors = {}
    for name, part in _parameter_slices(net):
        own = gradient[part]
        found = []
        for _ in range(3):
            direction = random.normal(size=own.shape)
            direction = direction / np.linalg.norm(direction) + own / max(np.linalg.norm(own), 1e-12)
            slope = _slope(net.params[0], part, direction, lambda: (output_grad * outputs()).sum())
            found.append(abs(slope - own @ direction) / max(abs(slope), float(np.linalg.norm(own)), 1e-12))
        errors[name] = float(np.nan_to_num(max(found), nan=np.inf))
    stepped = np.zeros((end[0], n_outputs), np.float32)
    _step_rows(net, x[: end[0]], np.zeros(net.no_carry.shape[1], np.float32), stepped)
    difference = np.abs(stepped - unrolled[: end[0]]).max()
    return RecurrenceErrors(errors, float(np.nan_to_num(difference, nan=np.inf)))


def _parameter_slices(net: RecurrentNet) -> list[tuple[str, slice]]:
    """Return the place of every part of every layer's parameters, by name."""
    found = []
    for at, layer in enumerate(net.layers):
        start = layer.first
        sizes = {"weight_x": layer.n_in * net.columns, "weight_h": net.units * net.columns, "bias": net.columns}
        if net.hidden_biases:
            sizes["bias_h"] = net.hidden_biases
        for name, size in sizes.items():
            found.append((f"{name} of layer {at}", slice(start, start + size)))
            start += size
    return found


def _slope(params: Array, part: slice, direction: Array, loss: Callable[[], float], step: float = 1e-2) -> float:
    """Return the derivative of a loss along a direction in some of the parameters, by central differences."""
    before = params[part].copy()
    params[part] = before + step * direction
    above = loss()
    params[part] = before - step * direction
    below = loss()
    params[part] = before
    return (above - below) / (2 * step)


@jit
def _step_rows(net, x, state, outputs):
    """Step through the rows x [T, in] one after the other, and write the outputs [T, out]."""
    for t in range(x.shape[0]):
        forward_step(net, 0, 0, x[t], state, outputs[t])
