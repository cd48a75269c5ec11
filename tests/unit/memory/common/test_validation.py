"""Tests of the validation of patterns and cues."""

from __future__ import annotations

import numpy as np
import pytest

from memory.common import validation
from memory.common.validation import check, check_evidence, check_known, hold
from simulator.core.memories import PatternSpec

UNITS = PatternSpec((5,))


def test_a_stored_vector_with_a_zero_is_refused_with_its_entry():
    with pytest.raises(ValueError, match=r"pattern 0 of seed number 0: unit 1 is 0, expected -1 or \+1"):
        check([[[1, 0, -1, 0, 1]]], 1, UNITS, "pattern", domain="bipolar")


@pytest.mark.parametrize("block", [1, 10, 1 << 20])
def test_the_first_bad_entry_is_named_whatever_is_checked_at_a_time(block, monkeypatch):
    monkeypatch.setattr(validation, "BLOCK_VALUES", block)
    cues = np.ones((2, 3, 5))
    cues[1, 2, 3] = 0.5
    with pytest.raises(ValueError, match=r"cue 2 of seed number 1: unit 3 is 0.5, expected -1, 0 or \+1"):
        check(cues, 2, UNITS, "cue", domain="cue")


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.01])
def test_numbers_are_from_minus_one_to_one(value):
    cues = np.zeros((1, 1, 5))
    cues[0, 0, 4] = value
    with pytest.raises(ValueError, match=r"unit 4 is .*, expected a number from -1 to 1"):
        check(cues, 1, UNITS, "cue")


@pytest.mark.parametrize("shape", [(1, 5), (2, 1, 5), (1, 1, 4), (1, 0, 5)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"cues of shape .*: expected \(1 seeds, some cues, 5 units\)"):
        check(np.ones(shape), 1, UNITS, "cue")


def test_valid_patterns_come_back_as_contiguous_float32():
    found = check(np.ones((1, 5, 2), np.int64).transpose(0, 2, 1), 1, UNITS, "cue", domain="bipolar")
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    assert found.shape == (1, 2, 5)


def test_masks_and_evidence():
    cues = np.ones((1, 2, 5), np.float32)
    assert not check_known(None, cues).any()
    with pytest.raises(ValueError, match="known units of shape"):
        check_known(np.ones((1, 1, 5), bool), cues)
    for evidence in (np.full(cues.shape, np.nan), np.ones((1, 1, 5)), None):
        with pytest.raises(ValueError, match="hopfield: evidence of shape"):
            check_evidence(evidence, cues, "hopfield")


def test_known_units_are_held():
    known = np.array([[[True, False]]])
    np.testing.assert_array_equal(hold(np.array([[[1.0, 1.0]]]), np.array([[[-1.0, -1.0]]]), known), [[[-1.0, 1.0]]])
