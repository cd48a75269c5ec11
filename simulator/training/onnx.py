"""One seed's policy as an ONNX model: ``observation`` [B, *obs] -> ``values`` [B, A] and ``action`` int64 [B].

A policy with a recurrence takes three more inputs and gives one more output: ``state`` float32 [B, C + D], which is any
where ``episode_start`` bool [B] is true, ``reward`` float32 [B] of the step before, where the recurrence sees it, and
``next_state``, the ``state`` of the next step; see :mod:`simulator.training.export`.

``values`` are those among which the policy takes the highest, -inf for actions that do not exist; a policy with actions
of real numbers has ``action`` float [B, *action] alone. Messages are those of onnx/onnx.proto, version 8 of the
intermediate representation and 13 of the operators, written field by field. Networks of convolutions are left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.core.protocols import Array
from simulator.training.protobuf import field, number

_TYPES = {"float32": 1, "int64": 7, "bool": 9, "float64": 11}  # TensorProto.DataType


class _Graph:
    """A graph that grows node by node; every value has a name."""

    def __init__(self) -> None:
        self.nodes: list[bytes] = []
        self.constants: dict[str, bytes] = {}

    def constant(self, value: Any, dtype: Any = None) -> str:
        """Add a tensor: dims = 1, data_type = 2, name = 8, raw_data = 9."""
        array = np.ascontiguousarray(value, dtype)
        name = f"c{len(self.constants)}"
        dims = b"".join(number(1, n) for n in np.shape(value))
        kind = number(2, _TYPES[str(array.dtype)])
        self.constants[name] = dims + kind + field(8, name.encode()) + field(9, array.tobytes())
        return name

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: int) -> str:
        """Add a node: input = 1, output = 2, op_type = 4, attribute = 5 (name = 1, i = 3, type = 20)."""
        output = output or f"v{len(self.nodes)}"
        node = b"".join(field(1, name.encode()) for name in inputs)
        node += field(2, output.encode()) + field(4, operator.encode())
        for name, value in attributes.items():
            node += field(5, field(1, name.encode()) + number(3, value) + number(20, 2))
        self.nodes.append(node)
        return output


def model(arrays: dict[str, Array], words: dict[str, str], shape: tuple[int, ...], dtype: str) -> bytes:
    """Serialise a policy.

    Args:
        arrays: of one seed, without the seed axis, as :mod:`simulator.training.export` names them.
        words: likewise.
        shape: of one observation, as the agent sees it.
        dtype: of observations: int64 or float32.

    Raises:
        ValueError: it acts by a network of convolutions, or by a recurrence of the user's own; one line.
    """
    if words.get("encoding") == "frames":
        raise ValueError("a network of convolutions cannot be written as .onnx, expected .npz or .safetensors")
    if words.get("recurrence", "lstm") not in _CELLS:
        raise ValueError(
            f"a recurrence {words['recurrence']!r} cannot be written as .onnx, expected one of {', '.join(_CELLS)}; or "
            ".npz or .safetensors"
        )
    graph = _Graph()
    inputs = [_value("observation", dtype, shape)]
    outputs = [_value("action", "int64", ())]
    if "recurrence" in words:
        memory = _Memory(graph, arrays, words["recurrence"])
        inputs += memory.inputs
        values = _dense(graph, memory.step(_network_input(graph, arrays, words)), arrays, words)
    else:
        memory = None
        values = _values(graph, arrays, words)
    if words.get("output") in ("tanh", "clip"):
        low = arrays["low"]
        _real_action(graph, values, low, arrays["high"], words["output"])
        outputs = [_value("action", "float32", low.shape)]
    else:
        legal = arrays["legal"]
        mask = graph.constant(legal)
        exists = graph.add("Gather", mask, "observation") if len(legal) > 1 else mask
        kind = np.float32 if words["kind"] == "network" else np.float64
        graph.add("Where", exists, values, graph.constant(-np.inf, kind), output="values")
        graph.add("ArgMax", "values", output="action", axis=1, keepdims=0)
        outputs.insert(0, _value("values", np.dtype(kind).name, (legal.shape[1],)))
    if memory is not None:
        outputs.append(memory.carry_on(values, "action" if "legal" in arrays else None))
    body = b"".join(field(1, node) for node in graph.nodes) + field(2, words["agent"].encode())
    body += b"".join(field(5, tensor) for tensor in graph.constants.values())
    body += b"".join(field(11, each) for each in inputs) + b"".join(field(12, output) for output in outputs)
    about = b"".join(field(14, field(1, key.encode()) + field(2, word.encode())) for key, word in sorted(words.items()))
    return number(1, 8) + field(2, b"engram") + field(7, body) + field(8, number(2, 13)) + about


def _values(graph: _Graph, arrays: dict[str, Array], words: dict[str, str]) -> str:
    """Add what leads from the observation to the values of the actions, or to the network's outputs."""
    if words["kind"] != "network":
        table = graph.constant(arrays[{"table": "q", "probabilities": "policy"}.get(words["kind"], "values")])
        encoding = words.get("encoding", "index")
        if encoding == "product":
            parts = graph.add("Mul", "observation", graph.constant(arrays["strides"], np.int64))
            return graph.add("Gather", table, graph.add("ReduceSum", parts, graph.constant([1]), keepdims=0))
        if encoding == "grid":
            return _grid_values(graph, arrays, table)
        return graph.add("Gather", table, "observation")
    return _dense(graph, _network_input(graph, arrays, words), arrays, words)


def _network_input(graph: _Graph, arrays: dict[str, Array], words: dict[str, str]) -> str:
    """Add what leads from the observation to the input of a network."""
    if words["encoding"] == "one_hot":
        return graph.add("Gather", graph.constant(np.eye(int(arrays["n_classes"]), dtype=np.float32)), "observation")
    x = graph.add("Flatten", "observation", axis=1)
    x = graph.add("Sub", x, graph.constant(np.ravel(arrays["offset"]), np.float32))
    return graph.add("Mul", x, graph.constant(np.ravel(arrays["factor"]), np.float32))


def _dense(graph: _Graph, x: str, arrays: dict[str, Array], words: dict[str, str]) -> str:
    """Add the dense layers of a network; the values of the actions, or its outputs."""
    names = [name.removesuffix(".weight") for name in arrays if name.endswith(".weight")]
    for name in names:
        weights = [graph.constant(arrays[f"{name}.{part}"], np.float32) for part in ("weight", "bias")]
        x = graph.add("Gemm", x, *weights, transB=1)
        if name != names[-1]:
            x = graph.add("Tanh" if words["activation"] == "tanh" else "Relu", x)
    if words["output"] == "dueling":
        x = graph.add("Slice", x, *(graph.constant([n]) for n in (1, np.iinfo(np.int64).max, 1)))
    return x


class _Memory:
    """A recurrence: its inputs, its layers, and the state after the step.

    Args:
        graph: grows by it.
        arrays: of one seed.
        cell: a name of ``_CELLS``.
    """

    def __init__(self, graph: _Graph, arrays: dict[str, Array], cell: str) -> None:
        self._graph = graph
        self._arrays = arrays
        self._cell = cell
        self._n_action = int(arrays["n_last_action"])
        n_layers = sum(name.endswith(".weight_h") for name in arrays)
        self._layers = [f"network.recurrence.{at}" for at in range(n_layers)]
        self._units = len(arrays[f"{self._layers[0]}.weight_h"])
        self._n_carried = self._units * _CELLS[cell]
        self._n_state = n_layers * self._n_carried + self._n_action
        self._after: list[str] = []
        self.inputs = [_value("state", "float32", (self._n_state,)), _value("episode_start", "bool", ())]
        if arrays["n_last_reward"]:
            self.inputs.append(_value("reward", "float32", ()))

    def step(self, x: str) -> str:
        """Add the layers; return what the dense layers see."""
        graph = self._graph
        first = self._n_state - self._n_action
        begins = graph.add("Unsqueeze", "episode_start", graph.constant([1]))
        zero = graph.constant(0.0, np.float32)
        state = graph.add("Where", begins, zero, "state")
        if self._n_action:
            x = graph.add("Concat", x, self._columns(state, first, self._n_state), axis=1)
        if self._arrays["n_last_reward"]:
            reward = graph.add("Where", begins, zero, graph.add("Unsqueeze", "reward", graph.constant([1])))
            x = graph.add("Concat", x, reward, axis=1)
        h = x
        for at, name in enumerate(self._layers):
            h = self._layer(name, h, self._columns(state, at * self._n_carried, (at + 1) * self._n_carried))
        return graph.add("Concat", h, x, axis=1) if self._arrays["skip"] else h

    def _layer(self, name: str, x: str, before: str) -> str:
        """Add one layer; its output, and in ``_after`` what it carries on."""
        graph = self._graph
        n = self._units
        weights = {part: graph.constant(self._arrays[f"{name}.{part}"], np.float32) for part in _PARTS}
        z = graph.add("Add", graph.add("MatMul", x, weights["weight_x"]), weights["bias"])
        h_before = self._columns(before, 0, n)
        u = graph.add("MatMul", h_before, weights["weight_h"])
        if self._cell == "gru":
            bias_h = graph.constant(self._arrays[f"{name}.bias_h"], np.float32)
            both = graph.add("Add", self._columns(z, 0, 2 * n), self._columns(u, 0, 2 * n))
            reset, update = (graph.add("Sigmoid", self._columns(both, k * n, (k + 1) * n)) for k in range(2))
            recalled = graph.add("Mul", reset, graph.add("Add", self._columns(u, 2 * n, 3 * n), bias_h))
            candidate = graph.add("Tanh", graph.add("Add", self._columns(z, 2 * n, 3 * n), recalled))
            kept = graph.add("Mul", graph.add("Sub", graph.constant(1.0, np.float32), update), h_before)
            h = graph.add("Add", kept, graph.add("Mul", update, candidate))
            self._after.append(h)
            return h
        sums = graph.add("Add", z, u)
        if self._cell == "elman":
            h = graph.add("Tanh", sums)
            self._after.append(h)
            return h
        kinds = ("Sigmoid", "Sigmoid", "Tanh", "Sigmoid")
        gates = [graph.add(kind, self._columns(sums, k * n, (k + 1) * n)) for k, kind in enumerate(kinds)]
        kept = graph.add("Mul", gates[1], self._columns(before, n, 2 * n))
        c = graph.add("Add", kept, graph.add("Mul", gates[0], gates[2]))
        h = graph.add("Mul", gates[3], graph.add("Tanh", c))
        self._after += [h, c]
        return h

    def carry_on(self, outputs: str, action: str | None) -> bytes:
        """Add the state after the step, with the ``action`` if it is one of several; describe that output."""
        if self._n_action:
            taken = outputs
            if action is not None:
                taken = self._graph.add(
                    "Gather", self._graph.constant(np.eye(self._n_action, dtype=np.float32)), action
                )
            self._after.append(taken)
        self._graph.add("Concat", *self._after, output="next_state", axis=1)
        return _value("next_state", "float32", (self._n_state,))

    def _columns(self, x: str, first: int, last: int) -> str:
        constant = self._graph.constant
        return self._graph.add("Slice", x, constant([first]), constant([last]), constant([1]))


_CELLS = {"elman": 1, "gru": 1, "lstm": 2}  # numbers that a unit carries
_PARTS = ("weight_x", "bias", "weight_h")


def _grid_values(graph: _Graph, arrays: dict[str, Array], table: str) -> str:
    """Add the sum over the tiles of an observation."""

    def real(name: str) -> str:
        return graph.constant(arrays[name], np.float64)

    x = graph.add("Cast", graph.add("Flatten", "observation", axis=1), to=_TYPES["float64"])
    x = graph.add("Div", graph.add("Sub", x, real("low")), real("width"))
    x = graph.add("Clip", x, graph.constant(0.0, np.float64), graph.constant(1.0 - 1e-12, np.float64))
    x = graph.add("Unsqueeze", graph.add("Mul", x, real("n_bins")), graph.constant([1]))
    tiles = graph.add("Floor", graph.add("Add", x, real("shifts")))  # [B, G, D]
    at = graph.add("Mul", tiles, real("strides"))
    at = graph.add("Add", graph.add("ReduceSum", at, graph.constant([2]), keepdims=0), real("first"))
    rows = graph.add("Gather", table, graph.add("Cast", at, to=_TYPES["int64"]))  # [B, G, A]
    return graph.add("ReduceSum", rows, graph.constant([1]), keepdims=0)


def _real_action(graph: _Graph, x: str, low: Array, high: Array, output: str) -> None:
    """Add the action of a Box from the network's outputs."""
    shape = graph.constant([-1, *low.shape], np.int64)
    if not (np.isfinite(low) & np.isfinite(high)).all():
        graph.add("Reshape", x, shape, output="action")
        return
    flat_low, span = (np.ravel(part).astype(np.float32) for part in (low, high - low))
    if output == "tanh":
        half = graph.constant(0.5, np.float32)
        x = graph.add("Add", graph.add("Mul", graph.add("Tanh", x), half), half)
        x = graph.add("Add", graph.add("Mul", x, graph.constant(span)), graph.constant(flat_low))
    else:
        x = graph.add("Add", graph.add("Mul", x, graph.constant(span / 2)), graph.constant(flat_low + span / 2))
        x = graph.add("Min", graph.add("Max", x, graph.constant(flat_low)), graph.constant(flat_low + span))
    graph.add("Reshape", x, shape, output="action")


def _value(name: str, dtype: str, shape: tuple[int, ...]) -> bytes:
    """Describe an input or an output: name = 1, type = 2; its first axis is the batch."""
    dims = field(1, field(2, b"batch")) + b"".join(field(1, number(1, n)) for n in shape)
    tensor = number(1, _TYPES[dtype]) + field(2, dims)
    return field(1, name.encode()) + field(2, field(1, tensor))
