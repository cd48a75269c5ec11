"""Tests of pattern challenges: their patterns by hand and by their properties, and independence of seeds."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from envs.common.patterns import sampling
from envs.common.patterns.sampling import Patterns, Pool, fresh, make_pool
from envs.patterns import correlated, digits, documents, enlarged_digits, glyphs, random_bits, rooms_seen
from envs.patterns.glyphs import NAMES, bitmaps
from simulator.core import registry, rng
from simulator.core.memories import PatternSpec

SETTINGS = [
    (random_bits, {"n_units": 30}),
    (random_bits, {"n_units": 7, "bias": 0.6}),
    (correlated, {"kind": "hierarchical", "n_units": 30, "families": 3}),
    (correlated, {"kind": "biased", "n_units": 12}),
    (correlated, {"kind": "ising", "n_units": 12, "correlation": 0.8}),
    (digits, {}),
    (digits, {"levels": "grey"}),
    (enlarged_digits, {"variants": 2}),
    (enlarged_digits, {"variants": 1, "levels": "grey"}),
    (glyphs, {}),
    (glyphs, {"which": "letters"}),
    (documents, {}),
    (documents, {"features": "tf-idf"}),
    (rooms_seen, {}),
    (rooms_seen, {"layout": "four", "window": 5}),
]
each_challenge = pytest.mark.parametrize(
    ("module", "options"), SETTINGS, ids=lambda x: x.__name__.split(".")[-1] if hasattr(x, "make") else str(x)
)


def _draw(module, options, seed_list, n_stored, n_novel=0):
    return module.make(seed_list, module.Config(**options)).draw(n_stored, n_novel)


@each_challenge
def test_the_first_patterns_depend_on_neither_later_patterns_nor_other_seeds(module, options):
    many, few = _draw(module, options, (5, 3, 9), 12, 8), _draw(module, options, (3,), 4, 3)
    again = _draw(module, options, (9, 3), 12, 5)
    np.testing.assert_array_equal(many.stored[1, :4], few.stored[0])
    np.testing.assert_array_equal(many.labels[1, :4], few.labels[0])
    np.testing.assert_array_equal(again.stored, many.stored[[2, 1]])
    np.testing.assert_array_equal(again.held_out, many.held_out[[2, 1], :5])
    np.testing.assert_array_equal(again.held_out_labels, many.held_out_labels[[2, 1], :5])
    assert not np.array_equal(many.stored[0], many.stored[1])


@each_challenge
def test_patterns_are_distinct_and_of_their_alphabet(module, options):
    challenge = module.make((1, 2), module.Config(**options))
    draw = challenge.draw(12, 9)
    rows = np.concatenate([draw.stored, draw.held_out], axis=1)
    assert rows.shape == (2, 21, challenge.spec.n)
    for seed in range(2):
        assert len(np.unique(rows[seed], axis=0)) == 21
    assert (np.abs(rows) <= 1).all()
    assert (np.abs(rows) == 1).all() == challenge.spec.is_bipolar
    assert [each.dtype for each in draw] == [np.float32, np.float32, np.int64, np.int64]
    assert all(each.flags.c_contiguous for each in draw[:2])


@each_challenge
def test_patterns_are_reproducible_and_limited_in_number(module, options):
    challenge = module.make((4,), module.Config(**options))
    np.testing.assert_array_equal(challenge.draw(5, 2).stored, challenge.draw(5, 2).stored)
    with pytest.raises(ValueError, match=r"0 stored and 1 held-out patterns: expected at least 1 and 0"):
        challenge.draw(0, 1)
    if challenge.max_patterns is not None:
        with pytest.raises(ValueError, match=f"expected at most {challenge.max_patterns:,} in all"):
            challenge.draw(challenge.max_patterns, 1)


def test_digits_keep_their_shape_when_they_are_enlarged():
    settings = enlarged_digits.Config(variants=2, levels="grey")
    challenge = enlarged_digits.make((0,), settings)
    draw = challenge.draw(challenge.max_patterns, 0)
    large = draw.stored[0].reshape(-1, 28, 28)
    small = digits.make((0,), digits.Config(levels="grey"))
    small_draw = small.draw(small.max_patterns, 0)
    assert large.mean() == pytest.approx(small_draw.stored.mean(), abs=0.02)
    for digit in range(10):
        mean = large[draw.labels[0] == digit].mean(0)
        blocks = np.add.reduceat(np.add.reduceat(mean, np.arange(0, 28, 7), 0), np.arange(0, 28, 7), 1) / 49.0
        original = small_draw.stored[0][small_draw.labels[0] == digit].mean(0).reshape(4, 2, 4, 2).mean((1, 3))
        assert np.corrcoef(blocks.ravel(), original.ravel())[0, 1] > 0.97


def test_ten_thousand_enlarged_digits_differ():
    assert enlarged_digits.make((0,), enlarged_digits.Config()).max_patterns == 14_376


def test_all_patterns_can_be_drawn():
    for challenge in (
        random_bits.make((1,), random_bits.Config(n_units=6)),
        rooms_seen.make((1,), rooms_seen.Config()),
    ):
        draw = challenge.draw(challenge.max_patterns, 0)
        assert len(np.unique(draw.stored[0], axis=0)) == challenge.max_patterns
        assert draw.held_out.shape == (1, 0, challenge.spec.n)


@pytest.mark.parametrize("options", [{"kind": "hierarchical", "families": 3}, {"kind": "ising"}])
def test_patterns_do_not_depend_on_how_many_are_made_at_a_time(monkeypatch, options):
    whole = _draw(correlated, {"n_units": 8, **options}, (1, 2), 11, 4)
    monkeypatch.setattr(sampling, "_CHUNK", 16)  # two patterns at a time
    for one, other in zip(_draw(correlated, {"n_units": 8, **options}, (1, 2), 11, 4), whole, strict=True):
        np.testing.assert_array_equal(one, other)


def test_too_rare_patterns_are_refused_in_one_line():
    with pytest.raises(ValueError, match=r"^random_bits: 64 patterns: found \d+ different ones in [\d,]+ tries"):
        random_bits.make((1,), random_bits.Config(n_units=6, bias=0.999)).draw(64, 0)


@pytest.mark.parametrize("bias", [0.0, -0.5, 0.3])
def test_random_bits_have_their_bias_and_are_independent(bias):
    rows = _draw(random_bits, {"n_units": 40, "bias": bias}, (2,), 3000).stored[0]
    assert stats.binomtest(int((rows > 0).sum()), rows.size, (1 + bias) / 2).pvalue > 1e-3
    assert np.abs(np.corrcoef(rows.T) - np.eye(40)).max() < 0.09
    assert np.abs(np.corrcoef(rows[:40]) - np.eye(40)).max() < 0.75


@pytest.mark.parametrize("kind", ["hierarchical", "biased", "ising"])
@pytest.mark.parametrize("correlation", [0.0, 0.36, 0.81])
def test_patterns_have_the_stated_correlation(kind, correlation):
    config = correlated.Config(kind=kind, correlation=correlation, n_units=200, families=4)
    draw = correlated.make(range(60), config).draw(8, 0)
    x = draw.stored.astype(np.float64)
    products = x @ x.transpose(0, 2, 1) / 200  # [S, P, P]
    same = draw.labels[:, :, None] == draw.labels[:, None, :]
    apart = ~np.eye(8, dtype=bool)
    for family in (True, False) if kind == "hierarchical" else (False,):
        which = (same == family) & apart if kind == "hierarchical" else np.broadcast_to(apart, same.shape)
        means = np.array([products[i][which[i]].mean() for i in range(60)])  # one for each seed: independent
        expected = correlated.pattern_correlation(config, same_family=family)
        assert abs(means.mean() - expected) < 4 * means.std(ddof=1) / np.sqrt(60)
    for distance in (0, 1, 2, 5):
        means = (x[:, :, : 200 - distance] * x[:, :, distance:]).mean(axis=(1, 2))
        expected = correlated.unit_correlation(config, distance)
        assert abs(means.mean() - expected) <= 4 * means.std(ddof=1) / np.sqrt(60)


def test_expected_correlations_by_hand():
    config = correlated.Config(kind="ising", correlation=0.5)
    assert [correlated.unit_correlation(config, d) for d in (0, 1, 3)] == [1.0, 0.5, 0.125]
    assert correlated.pattern_correlation(config, same_family=True) == 0.0
    biased = correlated.Config(kind="biased", correlation=0.25)
    assert correlated.unit_correlation(biased, 7) == correlated.pattern_correlation(biased, same_family=False) == 0.25
    assert correlated.pattern_correlation(correlated.Config(correlation=0.3), same_family=True) == 0.3


def test_siblings_have_one_label_and_other_challenges_have_none():
    assert _draw(correlated, {"families": 3}, (1,), 5, 2).labels.tolist() == [[0, 1, 2, 0, 1]]
    assert _draw(correlated, {"families": 3}, (1,), 5, 2).held_out_labels.tolist() == [[2, 0]]
    for module, options in ((correlated, {"kind": "ising"}), (random_bits, {}), (rooms_seen, {})):
        assert (_draw(module, options, (1,), 5).labels == -1).all()


@pytest.mark.parametrize(("levels", "most"), [("two", 1750), ("grey", 1797)])
def test_digits_are_scikit_learns(levels, most):
    from sklearn.datasets import load_digits  # a second, and only here

    challenge = digits.make((7,), digits.Config(levels=levels))
    assert (challenge.max_patterns, challenge.spec.shape) == (most, (8, 8))
    pixels, classes = load_digits(return_X_y=True)
    table = np.where(pixels > 7.5, 1, -1) if levels == "two" else pixels / 8 - 1
    draw = challenge.draw(40, 10)
    for row, label in zip(draw.stored[0], draw.labels[0], strict=True):
        assert classes[np.abs(table - row).max(axis=1) == 0][0] == label
    assert set(np.unique(challenge.draw(300, 0).labels)) == set(range(10))


def test_a_higher_threshold_leaves_less_ink():
    ink = [(_draw(digits, {"threshold": t}, (1,), 100).stored > 0).mean() for t in (0.0, 7.5, 15.0)]
    assert ink[0] > ink[1] > ink[2] > 0


def test_glyphs_are_36_different_drawings_in_one_field():
    pictures = bitmaps()
    assert pictures.shape == (36, 8, 8)
    assert len(np.unique(pictures.reshape(36, -1), axis=0)) == 36
    assert not pictures[:, 7].any()
    assert not pictures[:, :, [0, 6, 7]].any()
    letter = pictures[NAMES.index("T"), :7, 1:6]
    np.testing.assert_array_equal(letter, [[1] * 5] + [[0, 0, 1, 0, 0]] * 6)
    draw = _draw(glyphs, {"which": "digits"}, (3,), 10)
    assert sorted(draw.labels[0]) == list(range(26, 36))
    seven = pictures[33].ravel() * 2.0 - 1.0
    np.testing.assert_array_equal(draw.stored[0, list(draw.labels[0]).index(33)], seven)


def test_rooms_are_seen_as_windows_of_walls(tmp_path):
    path = tmp_path / "map.txt"
    path.write_text("S  #\n# G#\n")
    challenge = rooms_seen.make((1, 2), rooms_seen.Config(layout=str(path), window=3))
    assert challenge.max_patterns == 5
    draw = challenge.draw(5, 0)
    start = np.array([1, 1, 1, 1, -1, -1, 1, 1, -1])  # outside and walls are +1
    goal = np.array([-1, -1, 1, -1, -1, 1, 1, 1, 1])
    start_found, goal_found = ([(row == each).all() for row in draw.stored[0]] for each in (start, goal))
    assert (sum(start_found), sum(goal_found)) == (1, 1)


def test_observations_come_in_the_order_of_a_walk(tmp_path):
    """In a corridor what a walker sees anew is a step from what it has seen."""
    path = tmp_path / "map.txt"
    path.write_text("S       G\n")
    seed_list, checked = range(10), 0
    challenge = rooms_seen.make(seed_list, rooms_seen.Config(layout=str(path), window=19, walk=100_000))
    for rows in challenge.draw(9, 0).stored.reshape(10, 9, 19, 19)[:, :, 9]:
        place = [9 - int(np.flatnonzero(row < 0)[0]) for row in rows]  # floor begins that many cells to the left
        until_goal = place[: place.index(8)]  # from there the walker goes on elsewhere
        for n, now in enumerate(until_goal[1:], 1):
            assert min(abs(now - each) for each in until_goal[:n]) == 1
            checked += 1
    assert checked > 20


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"layout": "six"}, "rooms_seen: layout = 'six': found a graph of rooms, expected a map"),
        ({"layout": "maize"}, "unknown layout 'maize'; did you mean maze or t-maze?"),
        ({"window": 4}, "window = 4: expected an odd number"),
        ({"layout": "corridor", "size": 9}, "size = 9: expected 0"),
    ],
)
def test_bad_rooms_are_one_line(options, line):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        rooms_seen.make((1,), rooms_seen.Config(**options))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.sampled_from([0, 5, 10]), min_size=3, max_size=3), min_size=1, max_size=12))
def test_a_pool_keeps_the_first_of_equal_pictures(rows):
    values, numbers = np.array(rows), np.arange(len(rows))
    for levels, key in (("two", values > 5), ("grey", values)):
        pool = make_pool(Pool(values, numbers, levels, 5.0, 10.0))
        first = sorted(np.unique(key, axis=0, return_index=True)[1])
        assert pool.labels.tolist() == list(first)
        np.testing.assert_array_equal(pool.patterns(np.arange(len(first))), _levelled(key[first], levels))


def test_patterns_of_a_pool_are_drawn_without_a_copy_of_them_all(monkeypatch):
    values = rng.generators([4], "patterns")[0].integers(0, 256, (4_000, 64), np.uint8)
    row = make_pool(Pool(values, np.arange(4_000), "two", 127.5, 255.0)).row
    challenge = Patterns("pictures", PatternSpec((8, 8)), 4_000, [3, 5], row)
    at_once = challenge.draw(3_000, 1_000)
    monkeypatch.setattr(sampling, "_CHUNK", 64 * 100)
    tracemalloc.start()
    in_blocks = challenge.draw(4_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(in_blocks.stored[:, :3_000], at_once.stored)
    np.testing.assert_array_equal(in_blocks.stored[:, 3_000:], at_once.held_out)
    np.testing.assert_array_equal(in_blocks.labels, np.concatenate([at_once.labels, at_once.held_out_labels], 1))
    assert peak < 1.25 * in_blocks.stored.nbytes


def _levelled(values, levels):
    return values * 2.0 - 1.0 if levels == "two" else values / 5.0 - 1.0


def test_two_zeros_are_one():
    assert fresh(np.array([[0.0, 0.5], [-0.0, 0.5]], np.float32), set(), is_bipolar=False).tolist() == [True, False]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["random_bits", "correlated", "digits", "glyphs", "rooms_seen"])
def test_a_challenge_shows_itself(name):
    assert name in registry.names("challenges")
    done = subprocess.run([sys.executable, "-m", f"envs.patterns.{name}"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{name}: patterns of ")
    assert "@" in done.stdout
