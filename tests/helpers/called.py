"""Pieces that only compiled code can call, as a test can call them."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

from numba import njit


def called(*env_batch: Any) -> tuple[Callable[..., Any], ...]:
    """The lanes, each behind an entry from Python; compiled when it is called first."""
    return tuple(_entry(lane) for lane in env_batch)


def _entry(lane: Any) -> Callable[..., Any]:
    entry: Callable[..., Any] = njit(error_model="numpy")(lambda *args: lane(*args))
    return entry


def entries(module: ModuleType) -> SimpleNamespace:
    """Everything compiled in a module, likewise."""
    found = {name: piece for name, piece in vars(module).items() if hasattr(piece, "py_func")}
    return SimpleNamespace(**{name: _entry(piece) for name, piece in found.items()})
