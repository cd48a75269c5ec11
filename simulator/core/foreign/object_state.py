"""State of a plain Python object: what its attributes hold, as values that a checkpoint can store.

Attributes may hold arrays, numbers, texts, None, generators of numpy, lists, tuples, sets, deques and dicts of them,
and objects with such attributes. Functions, classes, spaces, and frozen dataclasses and named tuples (settings and
specifications) are taken for constants: whoever makes the object anew gives them to it again.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from types import ModuleType
from typing import Any

import numpy as np
from gymnasium import spaces

from simulator.core import rng
from simulator.core.protocols import State

_KIND = "is"  # key of a table that stands for something else than a table of attributes
_EXPECTED = "expected arrays, numbers, texts, generators of numpy, and lists, dicts and sets of them"


def object_state(owner: Any) -> State:
    """Copy what the attributes of an object hold.

    Raises:
        ValueError: an attribute cannot be stored; the line names class and attribute.
    """
    return _attributes(owner, type(owner).__name__)


def restore_object(owner: Any, state: State) -> None:
    """Set the attributes of an object of the same class, made anew, to a state of :func:`object_state`.

    Arrays of the same shape, generators, dicts and deques that are there already are filled in place: other attributes
    that refer to them go on referring to them.
    """
    for name in [name for name in vars(owner) if name not in state and not _is_constant(getattr(owner, name))]:
        delattr(owner, name)
    for name, stored in state.items():
        setattr(owner, name, _unpacked(stored, getattr(owner, name, None)))


def _attributes(owner: Any, place: str) -> State:
    values = vars(owner).items()
    return {name: _packed(value, f"{place}.{name}") for name, value in values if not _is_constant(value)}


def _is_constant(value: Any) -> bool:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return bool(value.__dataclass_params__.frozen)  # type: ignore[attr-defined]
    named = isinstance(value, tuple) and hasattr(value, "_fields")
    return named or callable(value) or isinstance(value, ModuleType | spaces.Space | property)


def _packed(value: Any, place: str, *, inside: bool = False) -> Any:
    """Convert a value; ``inside`` a container no objects are allowed, which could not be made again."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.hasobject:
            raise ValueError(f"{place} is an array of objects, {_EXPECTED}")
        return value.copy()
    if isinstance(value, np.random.Generator):
        return {_KIND: "generator", "words": _words(value, place)}
    if isinstance(value, dict):
        keys = [_packed(key, f"a key of {place}", inside=True) for key in value]
        items = [_packed(item, f"{place}[{key!r:.30}]", inside=True) for key, item in value.items()]
        return {_KIND: "dict", "keys": keys, "items": items}
    for kind in (list, tuple, set, deque):
        if isinstance(value, kind):
            items = [_packed(item, f"{place}[{i}]", inside=True) for i, item in enumerate(value)]
            return {_KIND: kind.__name__, "items": items}
    if hasattr(value, "__dict__") and not inside:
        return {_KIND: "object", "attributes": _attributes(value, place)}
    raise ValueError(f"{place} is a {type(value).__name__}, {_EXPECTED}; or methods state and restore of its own")


def _unpacked(stored: Any, present: Any) -> Any:
    """Convert a value back; ``present`` is what an object made anew holds in its place."""
    if isinstance(stored, np.ndarray):
        same = isinstance(present, np.ndarray) and (present.shape, present.dtype) == (stored.shape, stored.dtype)
        if same and present.flags.writeable:
            present[...] = stored
            return present
        return stored.copy()
    if not isinstance(stored, dict):
        return stored
    kind = stored[_KIND]
    if kind == "generator":
        generator = present if isinstance(present, np.random.Generator) else np.random.Generator(np.random.PCG64(0))
        _set_words(generator, stored["words"])
        return generator
    if kind == "object":
        restore_object(present, stored["attributes"])
        return present
    items = [_unpacked(item, None) for item in stored["items"]]
    if kind == "dict":
        table = dict(zip([_unpacked(key, None) for key in stored["keys"]], items, strict=True))
        if not isinstance(present, dict):
            return table
        present.clear()
        present.update(table)  # a defaultdict keeps its default
        return present
    if kind == "deque" and isinstance(present, deque):
        present.clear()
        present.extend(items)  # it keeps its length
        return present
    return {"list": list, "tuple": tuple, "set": set, "deque": deque}[kind](items)


def _words(generator: np.random.Generator, place: str) -> np.ndarray:
    """Return the state of a PCG64 as uint64 [6]: four words, and the half of a draw that is left."""
    bits = generator.bit_generator
    if not isinstance(bits, np.random.PCG64):
        raise ValueError(
            f"{place} draws from {type(bits).__name__}, expected numpy's PCG64, such as the rng it was given"
        )
    half = (bits.state["has_uint32"], bits.state["uinteger"])
    return np.array([*rng.pack_state(bits, drop_half=True), *half], np.uint64)


def _set_words(generator: np.random.Generator, words: np.ndarray) -> None:
    state = rng.unpack_state(words[:4]).state
    generator.bit_generator.state = {**state, "has_uint32": int(words[4]), "uinteger": int(words[5])}
