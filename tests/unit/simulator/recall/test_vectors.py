"""Tests of patterns written as text: what is taken, and what is refused with row and column."""

from __future__ import annotations

import re

import numpy as np
import pytest

from simulator.recall.vectors import parse_vectors

TWO = [[1, -1, 1], [1, 1, -1]]


@pytest.mark.parametrize(
    "text",
    ["1,-1,1; 1,1,-1", "1 -1 1\n1 1 -1", "[1, -1, 1], [1, 1, -1]", "+1,-1,+1;1,1,-1;", "1 0 1; 1 1 0", "+,-,+;+,+,-"],
)
def test_ways_to_write_two_vectors(text):
    np.testing.assert_array_equal(parse_vectors(text), TWO)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1,-1,1; 1,1", "row 2 has 2 values and row 1 has 3: expected vectors of one length, a unit each"),
        ("1,-1; 1,2", "row 2, column 2 is '2': expected -1 and +1, or 0 and 1"),
        ("1,x", "row 1, column 2 is 'x'"),
        ("[1, 0, -1, 0, 1]", "row 1, column 2 is 0, and row 1, column 3 is -1: expected -1 and +1, or 0 and 1"),
        ("1,-1; -1,1; 1,-1", "rows 1 and 3 are the same: expected different vectors"),
        ("1; -1", "vectors of 1 unit: expected at least 2"),
        ("", "expected vectors"),
        (" ; ", "expected vectors"),
    ],
)
def test_what_is_refused(text, why):
    with pytest.raises(ValueError, match=re.escape(why)):
        parse_vectors(text)
