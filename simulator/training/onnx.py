"""One seed's policy as an ONNX model: ``observation`` [B, *obs] -> ``values`` [B, A] and ``action`` int64 [B].

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
        ValueError: it acts by a network of convolutions; one line.
    """
    if words.get("encoding") == "frames":
        raise ValueError("a network of convolutions cannot be written as .onnx, expected .npz or .safetensors")
    graph = _Graph()
    outputs = [_value("action", "int64", ())]
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
    body = b"".join(field(1, node) for node in graph.nodes) + field(2, words["agent"].encode())
    body += b"".join(field(5, tensor) for tensor in graph.constants.values())
    body += field(11, _value("observation", dtype, shape)) + b"".join(field(12, output) for output in outputs)
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
    names = [name.removesuffix(".weight") for name in arrays if name.endswith(".weight")]
    if words["encoding"] == "one_hot":
        x = graph.add("Gather", graph.constant(np.eye(int(arrays["n_classes"]), dtype=np.float32)), "observation")
    else:
        x = graph.add("Flatten", "observation", axis=1)
        x = graph.add("Sub", x, graph.constant(np.ravel(arrays["offset"]), np.float32))
        x = graph.add("Mul", x, graph.constant(np.ravel(arrays["factor"]), np.float32))
    for name in names:
        weights = [graph.constant(arrays[f"{name}.{part}"], np.float32) for part in ("weight", "bias")]
        x = graph.add("Gemm", x, *weights, transB=1)
        if name != names[-1]:
            x = graph.add("Tanh" if words["activation"] == "tanh" else "Relu", x)
    if words["output"] == "dueling":
        x = graph.add("Slice", x, *(graph.constant([n]) for n in (1, np.iinfo(np.int64).max, 1)))
    return x


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
