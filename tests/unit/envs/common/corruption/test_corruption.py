"""Tests of corruption models: samples, likelihoods and evidence against enumeration."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from envs.common.corruption.image import BLUR_NOISE, blocks, covered
from envs.common.corruption.parse import NAMES, parse
from simulator.core import rng
from simulator.core.memories import CERTAIN, Cues, PatternSpec
from tests.oracles.corruption import LOST, law

DISCRETE = (
    ("none", ""),
    ("flip", "0.2"),
    ("flip", "0.7"),
    ("flip", "0"),
    ("flips", "2"),
    ("flips", "0"),
    ("salt", "0.3"),
    ("erase", "0.4"),
    ("hide", "0.3"),
    ("block", "0.5"),
    ("block", "0.3"),
    ("shift", "1"),
    ("replace", "0.3"),
    ("replace", "1"),
    ("replace", "0"),
    ("mix", "0.3"),
    ("mix", "1"),
)
SHAPES = ((2, 3), (6,))
TWO = ((1, 1, -1, -1, 1, -1), (1, -1, -1, 1, 1, 1), (-1, -1, 1, -1, 1, -1), (-1, -1, -1, -1, -1, 1))
GREY = ((0.5, 1, -1, 0, 1, -0.5), (0.5, -1, 0, 0, 1, 0.25), (-1, 1, -1, 0, -1, -0.5))
each_channel = pytest.mark.parametrize(("name", "amount"), DISCRETE)


def _setup(name, amount, shape, stored):
    units = PatternSpec(shape, is_bipolar=stored is TWO)
    channel = parse(f"{name}:{amount}" if amount else name, units)
    stored = tuple(tuple(float(x) for x in pattern) for pattern in stored)
    laws = [law(name, float(amount or 0), pattern, shape, stored) for pattern in stored]
    return channel, np.array(stored, np.float32)[None], laws


def _cues(found):
    """Return enumerated cues of one seed in the form of the contract."""
    known = np.array([[value is not LOST and value != LOST for value in cue] for cue in found])
    values = np.array([[0.0 if value == LOST else value for value in cue] for cue in found], np.float32)
    return Cues(values[None], None if known.all() else known[None])


def _named(cues, seed=0):
    """Return the cues of a seed in the form of the enumeration."""
    rows = cues.values[seed].tolist()
    known = np.ones(cues.values.shape[1:], bool) if cues.known is None else cues.known[seed]
    return [tuple(x + 0.0 if k else LOST for x, k in zip(*pair, strict=True)) for pair in zip(rows, known, strict=True)]


@each_channel
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("stored", [TWO, GREY], ids=["two", "grey"])
def test_likelihood_is_the_enumerated_law_of_every_cue(name, amount, shape, stored):
    channel, patterns, laws = _setup(name, amount, shape, stored)
    found = sorted({cue for each in laws for cue in each}, key=str)
    likelihood = np.exp(channel.log_likelihood(_cues(found), patterns))[0]  # [Q, P]
    expected = np.array([[each.get(cue, 0.0) for each in laws] for cue in found])
    np.testing.assert_allclose(likelihood, expected, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(likelihood.sum(axis=0), 1.0)


@pytest.mark.slow
@each_channel
@pytest.mark.parametrize("stored", [TWO, GREY], ids=["two", "grey"])
def test_samples_follow_the_enumerated_law(name, amount, stored):
    channel, patterns, laws = _setup(name, amount, (2, 3), stored)
    n = 4000
    cues = channel.corrupt(np.repeat(patterns[:, :1], n, axis=1), patterns, rng.generators([11], "corruption"))
    names = _named(cues)
    assert set(names) <= set(laws[0])
    expected = np.array(list(laws[0].values())) * n
    counts = np.array([names.count(cue) for cue in laws[0]])
    rare = expected < 5
    if rare.any():  # together as one
        expected, counts = (np.append(each[~rare], each[rare].sum()) for each in (expected, counts))
    if len(expected) > 1:
        assert stats.chisquare(counts, expected).pvalue > 1e-3
    assert cues.values.dtype == np.float32
    assert (cues.known is None) == (name not in ("erase", "block"))


@each_channel
def test_evidence_is_half_the_log_odds_of_a_unit_alone(name, amount):
    channel, patterns, laws = _setup(name, amount, (2, 3), TWO)
    found = sorted({cue for each in laws for cue in each}, key=str)
    evidence = channel.evidence(_cues(found))
    if name in ("shift", "mix"):
        assert evidence is None
        return
    if name == "replace":  # depends on how many units are at +1, which differ here; see the next test
        return
    assert evidence.dtype == np.float64
    for unit in range(6):
        up, down = (_alone(patterns[0], laws, unit, sign) for sign in (1, -1))
        for cue, said in zip(found, evidence[0, :, unit], strict=True):
            a, b = up.get(cue[unit], 0.0), down.get(cue[unit], 0.0)
            exact = CERTAIN if b == 0 else -CERTAIN if a == 0 else log(a / b) / 2
            assert said == pytest.approx(np.clip(exact, -CERTAIN, CERTAIN), abs=1e-9)


@pytest.mark.parametrize("amount", [0.3, 0.9, 1.0])
@pytest.mark.parametrize("n_up", [2, 4, 6])
def test_evidence_of_replaced_words_is_that_of_each_unit_among_as_many(amount, n_up):
    patterns = [tuple([1.0] * n_up + [-1.0] * (6 - n_up)), tuple([-1.0] * (6 - n_up) + [1.0] * n_up)]
    channel = parse(f"replace:{amount}", PatternSpec((6,)))
    if n_up == 6:
        assert (channel.evidence(Cues(np.ones((1, 1, 6), np.float32))) == CERTAIN).all()
        return
    up, down = (law("replace", amount, pattern, (6,)) for pattern in patterns)  # of the first unit at +1 and at -1
    for cue in sorted({*up, *down}):
        chances = [sum(prob for other, prob in each.items() if other[0] == cue[0]) for each in (up, down)]
        exact = CERTAIN if chances[1] == 0 else -CERTAIN if chances[0] == 0 else log(chances[0] / chances[1]) / 2
        said = channel.evidence(Cues(np.array([[cue]], np.float32)))[0, 0, 0]
        assert said == pytest.approx(np.clip(exact, -CERTAIN, CERTAIN), abs=1e-6)


def _alone(patterns, laws, unit, sign):
    """Return value -> probability of one unit of the cue where the pattern's is ``sign``."""
    which = int(np.flatnonzero(patterns[:, unit] == sign)[0])
    found = {}
    for cue, prob in laws[which].items():
        found[cue[unit]] = found.get(cue[unit], 0.0) + prob
    return found


@pytest.mark.parametrize("name", ["none", "flip:0.2", "flips:2", "salt:0.2", "erase:0.2", "hide:0.2", "block:0.5"])
def test_units_that_are_not_two_valued_give_no_evidence(name):
    channel = parse(name, PatternSpec((2, 3), is_bipolar=False))
    assert channel.evidence(Cues(np.full((1, 1, 6), 0.5, np.float32), np.ones((1, 1, 6), bool))) is None


def test_gauss_by_hand():
    channel = parse("gauss:0.5", PatternSpec((2,)))
    cues = Cues(np.array([[[0.5, -3.0]]], np.float32))
    np.testing.assert_allclose(channel.evidence(cues), [[[2.0, -12.0]]])
    patterns = np.array([[[1, -1], [1, 1], [-1, -1]]], np.float32)
    # squared distances 4.25, 16.25 and 6.25, over 2 * 0.25
    np.testing.assert_allclose(channel.log_likelihood(cues, patterns), [[[-8.5, -32.5, -12.5]]])
    assert parse("gauss:0.1", PatternSpec((2,))).evidence(cues)[0, 0].tolist() == [CERTAIN, -CERTAIN]


def test_gauss_adds_normal_noise_of_its_width():
    x = np.tile(np.array([[1, -1, 1, 1]], np.float32), (1, 2500, 1))
    cues = parse("gauss:0.7", PatternSpec((4,))).corrupt(x, x, rng.generators([5], "corruption"))
    noise = (cues.values - x)[0]
    assert stats.kstest(noise.ravel(), "norm", args=(0.0, 0.7)).pvalue > 1e-3
    assert np.abs(np.corrcoef(noise.T) - np.eye(4)).max() < 0.08


@pytest.mark.parametrize("shape", [(4, 5), (20,)])
def test_blur_is_a_gaussian_filter_over_paper_and_its_noise_is_as_stated(shape):
    channel, sigma = parse("blur:0.8", PatternSpec(shape)), 0.8
    patterns = np.where(rng.generators([3], "patterns")[0].random((1, 3, 20)) < 0.5, 1, -1).astype(np.float32)
    reach = np.arange(-3, 4)  # scipy cuts at four widths
    kernel = np.exp(-(reach**2) / (2 * sigma**2))
    kernel /= kernel.sum()
    height, width = shape if len(shape) == 2 else (1, 20)
    padded = np.pad(patterns.reshape(3, height, width), ((0, 0), (3, 3), (3, 3)), constant_values=-1)
    down = kernel if height > 1 else np.eye(7)[3]
    expected = [
        [(padded[q, i : i + 7, j : j + 7] * np.outer(down, kernel)).sum() for i in range(height) for j in range(width)]
        for q in range(3)
    ]
    np.testing.assert_allclose(channel.blurred(patterns)[0], expected, atol=1e-6)
    many = np.repeat(patterns, 100, axis=1)
    cues = channel.corrupt(many, patterns, rng.generators([4], "corruption"))
    noise = cues.values - channel.blurred(many)
    assert stats.kstest(noise.ravel(), "norm", args=(0.0, BLUR_NOISE)).pvalue > 1e-3
    said = channel.log_likelihood(cues, patterns)[0]
    plain = -((cues.values[0][:, None] - channel.blurred(patterns)[0]) ** 2).sum(axis=2) / (2 * BLUR_NOISE**2)
    np.testing.assert_allclose(said, plain, rtol=1e-6)
    assert channel.evidence(cues) is None


def test_half_a_picture_is_covered_across_or_along():
    units = PatternSpec((8, 8))
    places = blocks(units, 0.5)
    masks = covered(units, places)
    assert len(places) == 10
    assert (masks.sum(axis=1) == 32).all()
    assert {(int(h), int(w)) for h, w in places[:, 2:]} == {(4, 8), (8, 4)}
    assert covered(PatternSpec((10,)), blocks(PatternSpec((10,)), 0.3)).sum(axis=1).tolist() == [3] * 8


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(2, 6), st.floats(0.05, 0.95))
def test_a_block_is_nearest_to_its_fraction(height, width, share):
    units = PatternSpec((height, width))
    sizes = covered(units, blocks(units, share)).sum(axis=1)
    areas = [h * w for h in range(1, height + 1) for w in range(1, width + 1)]
    assert len({abs(n - share * units.n) < min(abs(a - share * units.n) for a in areas) + 1e-6 for n in sizes}) == 1
    assert abs(sizes[0] - share * units.n) == pytest.approx(min(abs(a - share * units.n) for a in areas), abs=1e-6)


def _text(name):
    return {"none": "none", "flips": "flips:3", "gauss": "gauss:0.5", "blur": "blur:1", "shift": "shift:1"}.get(
        name, f"{name}:0.4"
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("is_bipolar", [True, False])
def test_corruption_of_a_seed_depends_on_neither_other_seeds_nor_later_cues(name, is_bipolar):
    units = PatternSpec((3, 4), is_bipolar)
    channel = parse(_text(name), units)
    numbers = np.stack([stream.random((6, 12)) for stream in rng.generators(range(3), "patterns")])
    patterns = (np.sign(numbers - 0.5) if is_bipolar else numbers * 2 - 1).astype(np.float32)
    kept = patterns.copy()
    together = channel.corrupt(patterns, patterns, rng.generators(range(3), "corruption"))
    alone = channel.corrupt(patterns[1:2, :4], patterns[1:2], rng.generators([1], "corruption"))
    np.testing.assert_array_equal(alone.values[0], together.values[1, :4])
    assert (alone.known is None) == (together.known is None)
    if alone.known is not None:
        np.testing.assert_array_equal(alone.known[0], together.known[1, :4])
    np.testing.assert_array_equal(patterns, kept)
    likely = channel.log_likelihood(together, patterns)
    np.testing.assert_array_equal(channel.log_likelihood(Cues(*_first(together)), patterns[1:2, :]), likely[1:2, :4])
    assert np.isfinite(likely[:, np.arange(6), np.arange(6)]).all()


def _first(cues):
    return (None if each is None else each[1:2, :4] for each in cues)


def test_mixing_needs_another_pattern():
    x = np.ones((1, 2, 4), np.float32)
    with pytest.raises(ValueError, match="no other stored pattern, expected at least 2 that differ"):
        parse("mix:0.2", PatternSpec((4,))).corrupt(x, x[:, :1], rng.generators([0], "corruption"))


def test_streams_are_counted():
    x = np.ones((2, 2, 4), np.float32)
    for name in ("flip:0.1", "mix:0.1"):
        with pytest.raises(ValueError, match="found 1 streams, expected one for each of 2 seeds"):
            parse(name, PatternSpec((4,))).corrupt(x, x, rng.generators([0], "corruption"))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("flup:0.2", "unknown corruption 'flup'; did you mean flip or flips?"),
        ("", "unknown corruption '' (one of none, flip, flips"),
        ("flip", "corruption = 'flip': expected a probability from 0 to 1, as 'flip:0.2'"),
        ("flip:", "corruption = 'flip:': expected a prob"),
        ("flip:1.01", "a probability from 0 to 1, as"),
        ("flip:-0.1", "a probability from 0 to 1, as"),
        ("flip:nan", "a probability from 0 to 1, as"),
        ("flip:0_1", "a probability from 0 to 1, as"),
        ("flip:0.1:0.2", "a probability from 0 to 1, as"),
        ("flips:0.5", "corruption = 'flips:0.5': expected a whole number from 0 to 12, as 'flips:1'"),
        ("flips:13", "a whole number from 0 to 12"),
        ("flips:1e999", "a whole number from 0 to 12"),
        ("shift:3", "a whole number from 0 to 2"),
        ("erase:1", "a probability from 0 to below 1"),
        ("hide:1", "a probability from 0 to below 1"),
        ("block:0", "a fraction between 0 and 1"),
        ("block:half", "a fraction between 0 and 1"),
        ("block:0.99", "corruption = 'block:0.99': covers all 12 units, expected a smaller fraction"),
        ("gauss:0", "a number from 0.001 to 100"),
        ("blur:inf", "a number from 0.001 to 100"),
        ("none:1", "corruption = 'none:1': expected 'none' without an amount"),
        (None, "corruption = None: expected a text as 'flip:0.2'"),
    ],
)
def test_bad_corruption_is_one_line(text, line):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        parse(text, PatternSpec((3, 4)))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_are_as_asked_for():
    assert [parse(text, PatternSpec((3, 4))).name for text in ("flip:0.2", " shift : 2 ", "none")] == [
        "flip:0.2",
        "shift:2",
        "none",
    ]
    with pytest.raises(ValueError, match="expected one or two dimensions"):
        parse("blur:1", PatternSpec((2, 2, 3))).corrupt(
            *[np.ones((1, 1, 12), np.float32)] * 2, rng.generators([0], "corruption")
        )
