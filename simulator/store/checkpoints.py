"""Checkpoint files: a tree of arrays and plain values as safetensors, written atomically.

The arrays are the file's tensors; everything else is JSON in its metadata. There, objects are dicts, plain values are
themselves, and a JSON array is ``[kind, ...]`` (see ``_unpack``). Arrays of which a sample shrinks well are compressed
(zlib, level 1): frames and counters become a tenth or less, while trained weights, which would lose a twelfth of their
size for most of the time, are stored as they are. A file is written under a temporary name, fsynced and renamed; its
size and SHA-256 are recorded.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from simulator.core.files.reading import open_file
from simulator.core.protocols import Array, State
from simulator.store.lab_files import open_own
from simulator.store.records import StoreError, StoreFailure

_NATIVE = ("|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8")
_TREE = "state"
_ABOUT = "about"
_SCHEMA = 3  # of a checkpoint's header
_MIN_COMPRESSED = 4096  # bytes of an array from which compressing it is tried
_MIN_SHARED = 1 << 20  # bytes of an array from which it is stored once where it occurs twice
_SAMPLES = 8  # pieces of an array, spread over it, that are compressed to see whether it pays
_SAMPLE_BYTES = 4096  # of each piece
_PAYING_RATIO = 0.7  # of compressed to plain bytes, up to which an array is compressed
_LEVEL = 1  # of zlib: higher ones gain little on frames and take several times as long
_TREE_LIMIT = 24 << 20  # characters; the library cannot read back a header above 100 MB


class Written(NamedTuple):
    """Size and hash of a checkpoint file."""

    size: int  # bytes
    sha256: str  # hexadecimal


class Damaged(ValueError):  # noqa: N818
    """A checkpoint file is damaged."""


def file_of(folder: Path, number: int) -> Path:
    """Return the path of a checkpoint in a run's folder."""
    return folder / f"checkpoint-{number}.safetensors"


def number_of(path: Path) -> int:
    """Return the number of a checkpoint file by its name."""
    return int(path.name.removeprefix("checkpoint-").partition(".")[0])


def write(folder: Path, number: int, state: State, about: dict[str, Any] | None = None) -> Written:
    """Write a checkpoint into a run's folder; see :func:`write_file`."""
    return write_file(file_of(folder, number), state, about)


def write_file(path: Path, state: State, about: dict[str, Any] | None = None) -> Written:
    """Write a state durably and atomically.

    Args:
        path: where.
        state: the content.
        about: header of plain values that describes the file; see :func:`about`.

    Raises:
        StoreFailure: a state that a checkpoint cannot hold.
        OSError: the disk refused it; nothing is left behind.
    """
    data = packed(state, about)
    aside = path.with_name(path.name + ".partial")
    try:
        with open_own(aside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return Written(len(data), hashlib.sha256(data).hexdigest())


def packed(state: State, about: dict[str, Any] | None = None) -> bytes:
    """Serialise a state to the bytes of a file; see :func:`write_file`.

    Raises:
        StoreFailure: a state that a checkpoint cannot hold.
    """
    from safetensors.numpy import save

    arrays: dict[str, Array] = {}
    packed_state = _pack(state, arrays, "state")
    tree = json.dumps(_compress(packed_state, arrays))
    if len(tree) > _TREE_LIMIT:
        raise StoreFailure(f"the state has {len(tree):,} characters of plain values, expected at most {_TREE_LIMIT:,}")
    if about is not None:
        arrays[_ABOUT] = np.frombuffer(json.dumps({"schema": _SCHEMA, **about}).encode(), np.uint8)
    return save(arrays, {_TREE: tree})


def without_replay(state: State) -> State:
    """Return the state of a training run without what its agent experienced (:class:`simulator.core.protocols.Agent`).

    The rest is shared with ``state``. A state without a replay is returned as it is.
    """
    agent = state.get("agent")
    if not isinstance(agent, dict) or "replay" not in agent:
        return state
    return {**state, "agent": {name: value for name, value in agent.items() if name != "replay"}}


def unpacked(data: bytes) -> State:
    """Deserialise a state from verified bytes."""
    from safetensors.numpy import load

    (length,) = struct.unpack_from("<Q", data)
    tree = json.loads(data[8 : 8 + length])["__metadata__"][_TREE]
    state: State = _unpack(json.loads(tree), load(data).__getitem__)
    return state


def about(path: Path) -> dict[str, Any]:
    """Read the header of a checkpoint file.

    Raises:
        StoreError: it has none, or another version of engram wrote it.
    """
    from safetensors import safe_open

    open_own(path, "rb").close()
    with safe_open(path, framework="np") as file:
        if _ABOUT not in file.keys():
            raise StoreError(f"{path} is no checkpoint of a run: it says nothing of itself")
        facts: dict[str, Any] = json.loads(file.get_tensor(_ABOUT).tobytes())
    _check_schema(path, facts)
    return facts


def _check_schema(path: Path, facts: dict[str, Any]) -> None:
    """Refuse a checkpoint of another version.

    Raises:
        StoreError: another version of engram wrote it.
    """
    schema = facts["schema"]
    if schema != _SCHEMA:
        age = "a newer" if schema > _SCHEMA else "an older"
        raise StoreError(
            f"{path} is from {age} engram: its schema is {schema}, expected {_SCHEMA};"
            " engram show and report read its run, to resume it takes that version"
        )


def is_state(path: Path) -> bool:
    """Return whether a file is a state that :func:`packed` made."""
    try:
        read_file(path)
    except ValueError:
        return False
    return True


def read(path: Path, written: Written) -> State:
    """Read the state of a checkpoint file.

    Raises:
        Damaged: the file is missing or has changed.
        StoreError: the file may not be read.
    """
    verify(path, written)
    return _state_in(path)


def read_file(path: Path) -> State:
    """Read the state of a file that :func:`write_file` wrote.

    Raises:
        StoreError: no such file, or not a whole one.
    """
    from safetensors import SafetensorError

    try:
        open_file(path, "a saved state", None).close()
    except ValueError as error:
        raise StoreError(str(error)) from None
    try:
        return _state_in(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}") from None
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"{path} is no saved state, or not a whole one ({' '.join(str(error).split())[:80]})"
        ) from None


def _state_in(path: Path) -> State:
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        if _ABOUT in file.keys():
            _check_schema(path, json.loads(file.get_tensor(_ABOUT).tobytes()))
        tree = file.metadata()[_TREE]
        state: State = _unpack(json.loads(tree), file.get_tensor)
    return state


def sweep(folder: Path, recorded: set[int]) -> None:
    """Remove leftovers of a crash: checkpoint files that are not among the recorded numbers."""
    keep = {file_of(folder, number) for number in recorded}
    for path in folder.glob("checkpoint-*.safetensors*"):
        if path not in keep:
            path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def verify(path: Path, written: Written) -> None:
    """Verify a file.

    Raises:
        Damaged: it is missing or has changed.
        StoreError: it may not be read.
    """
    try:
        with open_own(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size != written.size:
                raise Damaged(f"it has {size} bytes instead of {written.size}")
            if hashlib.file_digest(file, "sha256").hexdigest() != written.sha256:  # type: ignore[arg-type]  # it has readinto
                raise Damaged("its SHA-256 differs from what was written")
    except FileNotFoundError:
        raise Damaged("it is gone") from None
    except PermissionError as error:
        raise StoreError(f"checkpoint {path} cannot be read: {error.strerror}") from error
    except OSError as error:
        raise Damaged(f"it cannot be read: {error.strerror}") from error


def _pack(value: Any, arrays: dict[str, Array], place: str) -> Any:
    """Convert a value to JSON; its arrays go into ``arrays``."""
    if isinstance(value, np.ndarray | np.generic):
        return _pack_array(value, arrays, place)
    if value is None or isinstance(value, bool | float | str):
        return value
    if isinstance(value, int):
        return value if value.bit_length() < 64 else ["int", hex(value)]
    if isinstance(value, list | tuple):
        items = [_pack(item, arrays, f"{place}[{i}]") for i, item in enumerate(value)]
        return ["list" if isinstance(value, list) else "tuple", items]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _pack(item, arrays, f"{place}.{key}") for key, item in value.items()}
    kind = "dict with keys other than strings" if isinstance(value, dict) else type(value).__name__
    raise StoreFailure(f"{place} is a {kind}, expected arrays, numbers, strings, and dicts and lists of them")


def _pack_array(value: Array | np.generic, arrays: dict[str, Array], place: str) -> Any:
    array = np.array(value, order="C", copy=None)
    if array.dtype.hasobject or array.dtype.fields:
        raise StoreFailure(f"{place} is an array of {array.dtype}, expected one of plain numbers")
    kind = "array" if isinstance(value, np.ndarray) else "scalar"
    if array.dtype.str in _NATIVE:
        return [kind, _name_of(array, arrays)]
    name = str(len(arrays))
    arrays[name] = np.frombuffer(array.tobytes(), np.uint8)
    return [kind, name, array.dtype.str, list(array.shape)]


def _name_of(array: Array, arrays: dict[str, Array]) -> str:
    """Add an array to ``arrays``, and return its name; a large one that is there already is not added again.

    A target network begins as a copy of the online network, and so does a running average.
    """
    if array.nbytes >= _MIN_SHARED:
        for name, other in arrays.items():
            is_alike = other.dtype == array.dtype and other.shape == array.shape
            if is_alike and np.array_equal(_bytes_of(other), _bytes_of(array)):
                return name
    name = str(len(arrays))
    arrays[name] = array
    return name


def _compress(tree: Any, arrays: dict[str, Array]) -> Any:
    """Compress the arrays that shrink well, in ``arrays``, and return the tree that says so."""
    with ThreadPoolExecutor() as pool:  # zlib releases the interpreter lock
        shrunk = dict(zip(arrays, pool.map(_shrunk, arrays.values()), strict=True))
    compressed = {name: data for name, data in shrunk.items() if data is not None}
    tree = _noting(tree, arrays, compressed)
    arrays.update({name: np.frombuffer(data, np.uint8) for name, data in compressed.items()})
    return tree


def _shrunk(array: Array) -> bytes | None:
    """Return the compressed bytes of an array; None where a sample of it does not shrink well."""
    if array.nbytes < _MIN_COMPRESSED:
        return None
    data = _bytes_of(array)
    starts = np.linspace(0, max(len(data) - _SAMPLE_BYTES, 0), _SAMPLES).astype(int)
    sample = b"".join(data[start : start + _SAMPLE_BYTES].tobytes() for start in starts)
    if len(zlib.compress(sample, _LEVEL)) > _PAYING_RATIO * len(sample):
        return None
    return zlib.compress(data.data, _LEVEL)


def _bytes_of(array: Array) -> Array:
    return array.reshape(-1).view(np.uint8)


def _noting(tree: Any, arrays: dict[str, Array], compressed: dict[str, bytes]) -> Any:
    """Write type and shape of compressed arrays into their places in the tree."""
    if isinstance(tree, dict):
        return {key: _noting(item, arrays, compressed) for key, item in tree.items()}
    if not isinstance(tree, list):
        return tree
    kind, first, *raw = tree
    if kind in ("list", "tuple"):
        return [kind, [_noting(item, arrays, compressed) for item in first]]
    if kind == "int" or first not in compressed:
        return tree
    return [kind, first, *(raw or (arrays[first].dtype.str, list(arrays[first].shape))), "zlib"]


def _unpack(tree: Any, tensor: Callable[[str], Array]) -> Any:
    if isinstance(tree, dict):
        return {key: _unpack(item, tensor) for key, item in tree.items()}
    if not isinstance(tree, list):
        return tree
    kind, first, *raw = tree
    if kind in ("list", "tuple"):
        items = [_unpack(item, tensor) for item in first]
        return items if kind == "list" else tuple(items)
    if kind == "int":
        return int(first, 16)
    array = tensor(first)
    if raw:
        dtype, shape, *codec = raw
        data = zlib.decompress(array.data) if codec else array.tobytes()
        array = np.frombuffer(data, np.dtype(dtype)).reshape(shape).copy()
    return array[()] if kind == "scalar" else array
