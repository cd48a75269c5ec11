"""Corruption models by name, as ``flip:0.2``.

=============  ========================================================================================================
``none``       no corruption
``flip:p``     every unit changes its sign with probability p
``flips:k``    exactly k units do
``salt:p``     every unit is replaced by a fair coin with probability p
``gauss:s``    normal noise of standard deviation s
``erase:p``    every unit is lost with probability p, and the mask says which
``hide:p``     every unit is set to -1 with probability p, without a mask
``block:f``    a rectangle covers the fraction f of the picture, and the mask says where
``shift:k``    the picture moves by up to k units along each axis
``blur:s``     a Gaussian filter of width s, and normal noise of standard deviation 0.2
``replace:p``  every unit above -1 moves to a random one at -1 with probability p: another word in its place
``mix:p``      every unit is another stored pattern's with probability p
=============  ========================================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from envs.common.corruption import image, pixelwise
from simulator.core.memories import CorruptionModel, PatternSpec
from simulator.core.registry import unknown_name_message

MAX_DEVIATION = 100.0
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


class _Kind(NamedTuple):
    """A kind of corruption: its constructor, the range of its amount, and the words for that range."""

    make: Callable[[str, PatternSpec, Any], CorruptionModel]
    fits: Callable[[float, PatternSpec], bool]
    expected: Callable[[PatternSpec], str]
    example: str


def parse(text: str, units: PatternSpec) -> CorruptionModel:
    """Make the corruption model that ``name:amount`` stands for.

    Args:
        text: as ``flip:0.2``, ``flips:3`` or ``none``.
        units: specification of the patterns to be corrupted.

    Raises:
        ValueError: an unknown name, or an amount that is missing, no number or out of range; one line.
    """
    if not isinstance(text, str):
        raise ValueError(f"corruption = {text!r}: expected a text as 'flip:0.2'")
    name, colon, amount = (part.strip() for part in text.partition(":"))
    if name == "none" and not colon:
        return pixelwise.Nothing("none", units)
    shown = f"corruption = {text if len(text) <= 60 else text[:57] + '...'!r}"
    if name == "none":
        raise ValueError(f"{shown}: expected 'none' without an amount")
    if name not in _KINDS:
        raise ValueError(unknown_name_message("corruption", name, NAMES, f"one of {', '.join(NAMES)}"))
    kind = _KINDS[name]
    value = float(amount) if _NUMBER.fullmatch(amount) else None
    if value is None or not kind.fits(value, units):
        raise ValueError(f"{shown}: expected {kind.expected(units)}, as '{name}:{kind.example}'")
    return kind.make(f"{name}:{amount}", units, value)


def _probability(make: Callable[[str, PatternSpec, float], CorruptionModel], *, below: bool = False) -> _Kind:
    """Take a probability; ``below``: less than 1, since nothing would be left."""
    expected = "a probability from 0 to below 1" if below else "a probability from 0 to 1"
    return _Kind(make, lambda p, units: 0.0 <= p < 1.0 or (p == 1.0 and not below), lambda units: expected, "0.2")


def _deviation(make: Callable[[str, PatternSpec, float], CorruptionModel]) -> _Kind:
    expected = f"a number from 0.001 to {MAX_DEVIATION:g}"
    return _Kind(make, lambda value, units: 0.001 <= value <= MAX_DEVIATION, lambda units: expected, "0.5")


def _whole(make: Callable[[str, PatternSpec, int], CorruptionModel], most: Callable[[PatternSpec], int]) -> _Kind:
    return _Kind(
        lambda name, units, value: make(name, units, int(value)),
        lambda value, units: value.is_integer() and 0 <= value <= most(units),
        lambda units: f"a whole number from 0 to {most(units)}",
        "1",
    )


def _shortest(units: PatternSpec) -> int:
    """Return the shorter side of a picture; its length where it is of one row."""
    height, width = image.plane(units)
    return min(height, width) if height > 1 else width


def _block(name: str, units: PatternSpec, fraction: float) -> CorruptionModel:
    places = image.blocks(units, fraction)
    if places[:, 2:].prod(axis=1).max() == units.n:
        raise ValueError(f"corruption = {name!r}: covers all {units.n} units, expected a smaller fraction")
    return image.Block(name, units, places)


_KINDS = {
    "flip": _probability(pixelwise.Flip),
    "flips": _whole(pixelwise.Flips, lambda units: units.n),
    "salt": _probability(pixelwise.Salt),
    "gauss": _deviation(pixelwise.Gauss),
    "erase": _probability(pixelwise.Erase, below=True),
    "hide": _probability(pixelwise.Hide, below=True),
    "block": _Kind(_block, lambda f, units: 0.0 < f < 1.0, lambda units: "a fraction between 0 and 1", "0.5"),
    "shift": _whole(image.Shift, lambda units: _shortest(units) - 1),
    "blur": _deviation(image.Blur),
    "replace": _probability(pixelwise.Replace),
    "mix": _probability(image.Mix),
}
NAMES = ("none", *_KINDS)
