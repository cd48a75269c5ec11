"""One file with all that a run learned, played without Engram: ``.npz``, ``.safetensors``, or ``.onnx`` of one seed.

========================  =============================================================================================
``kind``                  ``table`` or ``network``, see below; ``probabilities`` or ``values`` where there is no more
``agent``, ``env``        the names; ``step``: environment steps trained; ``seeds`` int64 [S]
``values``, ``policy``    action values and probabilities float64 [S, N, A] at each of N observations, where these are
                          Discrete and the agent has them
``legal``                 bool [N, A], or [1, A]: which actions exist
========================  =============================================================================================

A ``table`` acts by the legal action with the highest ``q[:, features].sum``, where ``q`` float64 is [S, F, A]:

========================  =============================================================================================
``encoding`` = index      the observation is its feature
``encoding`` = product    one feature, ``observation @ strides``
``encoding`` = grid       G features, ``floor(x + shifts) @ strides + first`` with
                          ``x = clip((observation - low) / width, 0, 1 - 1e-12) * n_bins``: bins, or tiles of G tilings
========================  =============================================================================================

A ``network`` is dense or convolutional. Its weights are named and shaped as the ``state_dict`` of torch has them,
``network.0.weight`` [S, out, in] and ``network.0.bias`` [S, out]; between dense layers is ``activation`` (relu, tanh):

========================  =============================================================================================
``encoding`` = one_hot    the input has a 1 at the observation, among ``n_classes``
``encoding`` = vector     the input is ``(observation - offset) * factor``
``encoding`` = frames     the input are the newest ``frames`` images, channels first, divided by 255
``output`` = argmax       the legal action with the highest output
``output`` = dueling      the same without output 0, which is the state's value
``output`` = tanh         ``low + (0.5 + 0.5 * tanh(output)) * (high - low)``
``output`` = clip         ``(low + high) / 2 + output * (high - low) / 2``, clipped; the output itself where unbounded
========================  =============================================================================================

A ``network`` with a recurrence carries a state through an episode, float32 [C + D], zeros where an episode begins: what
the layers carry, one after the other, then D numbers of the last action. At input x with the last action, and with the
last reward (0 at first), behind it, a layer of n units computes z = x Wx + b and u = h' Wh, where h' are the first n
numbers that it carries and Wx, b, Wh are ``network.recurrence.0.weight_x`` [S, in, G], ``.bias`` [S, G], ``.weight_h``
[S, n, G]. Its output h is the next layer's input, and the last one's, with x behind it, that of the dense layers:

========================  =============================================================================================
``recurrence`` = elman    ``h = tanh(z + u)``; it carries h
``recurrence`` = gru      gates r, z, n in thirds of G: ``h = (1 - z) h' + z n`` with
                          ``n = tanh(z_n + r (u_n + bias_h))``; it carries h
``recurrence`` = lstm     gates i, f, g, o in quarters of G: ``c = f c' + i g``, ``h = o tanh(c)``; it carries h and c
``n_last_action``         D: 0 where the cell does not see the last action, which is one-hot, or the network's outputs
``n_last_reward``         1 where the cell sees the last reward, 0 where not
``skip``                  whether the dense layers see x behind h
========================  =============================================================================================

With one seed alone, arrays have no axis [S]: without the word ``network.`` they load into a ``torch.nn.Sequential``.
Words are arrays of text in ``.npz``, and JSON in the metadata ``engram_export`` of ``.safetensors``. A memory's arrays
are those of its state. For the names in ``.onnx`` see :mod:`simulator.training.onnx`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from simulator.core.files.writing import check_place, write_file
from simulator.core.protocols import Array, PolicyArrays
from simulator.training.session import Session

ENDINGS = (".npz", ".safetensors", ".onnx")
EXPECTED = ".npz, .safetensors or .onnx"
MAX_ENTRIES = 20_000_000  # of values and policy
_MARK = "engram_export"  # a name in every file
_VERSION = "1"


class Export(NamedTuple):
    """Contents of a file."""

    arrays: dict[str, Array]
    words: dict[str, str]
    obs_shape: tuple[int, ...] = ()  # of one observation
    obs_dtype: str = ""


def of_session(session: Session, row: int | None = None) -> Export:
    """Return what an agent has learned so far.

    Args:
        session: the agent in its environment.
        row: number of the seed that is exported alone; None: all of them.

    Raises:
        ValueError: this agent has nothing that can be exported.
    """
    policy = session.agent.policy()
    spec = session.env.spec
    made: PolicyArrays | None = policy.arrays() if hasattr(policy, "arrays") else None
    per_seed: dict[str, Array] = {} if made is None else dict(made.per_seed)
    shared: dict[str, Array | str] = {} if made is None else dict(made.shared)
    space = spec.observation
    if isinstance(space, spaces.Discrete) and isinstance(spec.action, spaces.Discrete):
        if len(session.seeds) * int(space.n) * int(spec.action.n) <= MAX_ENTRIES:
            everything = np.arange(int(space.n))
            known = {"values": policy.values(everything), "policy": policy.probs(everything)}
            per_seed |= {name: np.asarray(value, np.float64) for name, value in known.items() if value is not None}
            every_action = np.ones((1, int(spec.action.n)), np.bool_)
            shared.setdefault("legal", every_action if spec.legal_actions is None else spec.legal_actions)
    encoder = getattr(session.config.agent_settings, "encoder", None)
    if not per_seed and encoder is not None:
        raise ValueError(
            f"agent.encoder = {encoder.name!r} of {session.config.agent} in {spec.id}: expected none, a policy "
            "behind an encoder cannot be exported"
        )
    if not per_seed:
        raise ValueError(f"{session.config.agent} in {spec.id}: its policy has no arrays, nothing can be exported")
    shared |= {"kind": (made.kind if made else "probabilities" if "policy" in per_seed else "values")}
    shared |= {"agent": session.config.agent, "env": session.config.env, "step": np.array(session.step)}
    seeds = np.array(session.seeds, np.int64)
    if row is not None:
        per_seed = {name: value[row] for name, value in per_seed.items()}
        seeds = seeds[row : row + 1]
    words = {name: value for name, value in shared.items() if isinstance(value, str)}
    arrays = {name: np.asarray(value) for name, value in shared.items() if not isinstance(value, str)}
    dtype = "int64" if space.dtype is not None and space.dtype.kind in "iu" else "float32"
    return Export({**per_seed, **arrays, "seeds": seeds}, words, space.shape or (), dtype)


def write(export: Export, path: Path, *, force: bool = False) -> None:
    """Write an export into a file, whole or not at all; over one that was exported before.

    Args:
        export: the contents.
        path: ends in one of ``ENDINGS``.
        force: replace any other file too.

    Raises:
        ValueError: another ending, or a place that is not to be written or cannot be.
    """
    if path.suffix not in ENDINGS:
        raise ValueError(f"{path}: expected a file that ends in {EXPECTED}")
    force = force or (path.is_file() and _is_export(path))
    check_place(path, force=force)
    words = {**export.words, _MARK: _VERSION}
    arrays = {name: np.asarray(value, order="C") for name, value in export.arrays.items()}
    if path.suffix == ".onnx":
        data = _onnx(export, words)
    elif path.suffix == ".npz":
        page = io.BytesIO()
        named: Mapping[str, Any] = {**arrays, **{name: np.array(word) for name, word in words.items()}}
        np.savez_compressed(page, **named)
        data = page.getvalue()
    else:
        from safetensors.numpy import save

        data = save(arrays, {_MARK: json.dumps(words)})  # one entry: the library writes several in any order
    write_file(path, data, force=force)


def _onnx(export: Export, words: dict[str, str]) -> bytes:
    from simulator.training import onnx

    if words["kind"] == "memory":
        raise ValueError("memories cannot be written as .onnx, expected .npz or .safetensors")
    if len(export.arrays["seeds"]) != 1:
        raise ValueError("an .onnx file holds the policy of one seed, expected --seed (seed= in Python)")
    own = ("q", "values", "policy")
    arrays = {name: value[0] if value.ndim == 3 and name in own else value for name, value in export.arrays.items()}
    return onnx.model(arrays, words, export.obs_shape, export.obs_dtype)


def _is_export(path: Path) -> bool:
    """Tell whether a file is one that :func:`write` wrote."""
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return _MARK in file
        if path.suffix == ".onnx":
            return _MARK.encode() in path.read_bytes()[-4096:]
        from safetensors import safe_open

        with safe_open(path, framework="np") as file:
            return _MARK in (file.metadata() or {})
    except Exception:  # any file may be there
        return False
