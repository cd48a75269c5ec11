"""Tests of JIT helpers: compiled functions as values, and inlined functions."""

from __future__ import annotations

import gc
from typing import NamedTuple

import numpy as np
import pytest
from numba import typeof

from simulator.core.jit import (
    compiled_only,
    function_pointer,
    jit,
    jit_callback,
    jit_implementation,
    jit_inline,
    jit_or_python,
    jit_shared,
)
from tests.helpers.jit_entries import from_python


@jit_inline
def _twice(x):
    return 2.0 * x


@jit_callback
def _sum(row, i):
    return row[i] + _twice(row[0])


@jit_callback
def _product(row, i):
    return row[i] * _twice(row[0])


@jit
def _apply(function, row, out):
    for i in range(len(row)):
        out[i] = function(row, i)


def test_functions_of_one_signature_are_one_type_to_what_takes_them():
    row, out = np.array([3.0, 4.0]), np.zeros(2)
    values = [function_pointer(function, row, 0) for function in (_sum, _product)]
    found = []
    for value in values:
        _apply(value, row, out)
        found.append(out.tolist())
    assert found == [[9.0, 10.0], [18.0, 24.0]]
    assert typeof(values[0]) == typeof(values[1])
    assert len(_apply.overloads) == 1


def test_inlined_functions_refuse_calls_from_python():
    row = np.array([1.0])
    with pytest.raises(TypeError, match=r"test_jit\._twice"):
        _twice(1.0)  # not compiled yet, or within others
    function_pointer(_sum, row, 0)
    with pytest.raises(TypeError, match=r"test_jit\._sum"):
        _sum(row, 0)


def test_compiled_code_calls_inlined_functions():
    assert from_python(_twice)[0](4.0) == 8.0


@jit_shared
def _thrice(x):
    return 3.0 * x


def _scaled(net, out):
    """Stand in for a backend that works with Python objects."""
    out[0] = net.scale


@jit_implementation(_scaled, inline=True)
def _scaled_array(net, out):
    out[0] = net[0]


@jit_or_python(inline=True)
def _work(net, out):
    _scaled(net, out)
    out[0] = _thrice(out[0])


@jit
def _compiled_work(net, out):
    _work(net, out)


def test_one_text_runs_in_python_and_in_compiled_code_with_the_functions_of_either():
    class ScaleOnly:
        scale = 5.0

    out = np.zeros(1)
    _work(ScaleOnly(), out)
    assert out[0] == 15.0
    _compiled_work(np.array([7.0]), out)
    assert out[0] == 21.0


class _Inner(NamedTuple):
    scale: float


class _Outer(NamedTuple):
    inner: _Inner


class _State(NamedTuple):
    net: _Outer


@compiled_only
def _kind(net):
    """Tell which implementation is called."""


@jit_implementation(_kind, inline=True, of=_Inner)
def _kind_of_inner(net):
    return 1


@jit_implementation(_kind, inline=True, of=_Outer)
def _kind_of_outer(net):
    return 2


@jit
def _compiled_kind(net):
    return _kind(net)


def test_an_argument_of_a_known_class_has_its_own_implementation_whatever_its_fields_are():
    inner = _Inner(1.0)
    outer = _Outer(inner)
    assert [_compiled_kind(net) for net in (inner, outer, _State(outer))] == [1, 2, 2]


@pytest.mark.parametrize("collects", [True, False])
def test_garbage_is_collected_after_a_compilation_as_before_it(collects):
    function = jit(_compiled_kind.py_func)  # not compiled yet
    (gc.enable if collects else gc.disable)()
    try:
        function(_Inner(1.0))
        assert gc.isenabled() is collects
    finally:
        gc.enable()
