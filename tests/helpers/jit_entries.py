"""Call from Python what only compiled code can call."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

from numba import njit


def from_python(*functions: Any) -> tuple[Callable[..., Any], ...]:
    """Wrap inlined functions in entries that Python can call; each compiles at its first call."""
    return tuple(_entry(function) for function in functions)


def module_from_python(module: ModuleType) -> SimpleNamespace:
    """Wrap every compiled function of a module in such an entry."""
    functions = {name: value for name, value in vars(module).items() if hasattr(value, "py_func")}
    return SimpleNamespace(**{name: _entry(function) for name, function in functions.items()})


def _entry(function: Any) -> Callable[..., Any]:
    entry: Callable[..., Any] = njit(error_model="numpy")(lambda *args: function(*args))
    return entry
