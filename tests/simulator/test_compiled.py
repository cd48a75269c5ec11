"""Compiled code as values, and pieces that only compiled code can call."""

from __future__ import annotations

import numpy as np
import pytest
from numba import typeof

from simulator.core.compiled import as_value, compiled, handed, lane
from tests.called import called


@lane
def _twice(x):
    return 2.0 * x


@handed
def _sum(row, i):
    return row[i] + _twice(row[0])


@handed
def _product(row, i):
    return row[i] * _twice(row[0])


@compiled
def _apply(function, row, out):
    for i in range(len(row)):
        out[i] = function(row, i)


def test_functions_of_one_signature_are_one_type_to_what_takes_them():
    row, out = np.array([3.0, 4.0]), np.zeros(2)
    values = [as_value(function, row, 0) for function in (_sum, _product)]
    found = []
    for value in values:
        _apply(value, row, out)
        found.append(out.tolist())
    assert found == [[9.0, 10.0], [18.0, 24.0]]
    assert typeof(values[0]) == typeof(values[1])
    assert len(_apply.overloads) == 1


@pytest.mark.parametrize("piece", [_twice, _sum])
def test_pieces_say_that_they_cannot_be_called_from_python(piece):
    row = np.array([1.0])
    if piece is _sum:
        as_value(piece, row, 0)  # compiled before or not
    with pytest.raises(TypeError, match=rf"test_compiled\.{piece.__name__} is a piece of compiled code"):
        piece(row)


def test_compiled_code_calls_them():
    assert called(_twice)[0](4.0) == 8.0
