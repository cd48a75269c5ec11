"""Tests of panels that agents share: tables, planes, exploration, priorities, models."""

from __future__ import annotations

import numpy as np
import pytest

from agents.common.exploration import Explore
from agents.common.inside import (
    MAX_ROWS,
    exploration_panel,
    learned_rows,
    plane,
    points_panel,
    principal_axes,
    spread,
    table_panel,
)
from agents.common.replay.buffer import make_replay
from agents.common.replay.panels import relative_probabilities, replay_panels
from agents.common.replay.prioritized import (
    PrioritySettings,
    add_priority,
    make_priorities,
    update_priority,
)
from agents.common.transition_panels import TransitionSample, imagined_panels, model_distances, share_seen
from simulator.core.jit import jit
from simulator.core.scene import CurvePanel, TextPanel


def test_a_small_table_is_shown_whole_with_illegal_actions_empty():
    table = np.array([[1.0, 2.0], [3.0, 4.0]])
    panel = table_panel("Q", table, learned_rows(table), legal=np.array([[True, False], [True, True]]))
    np.testing.assert_array_equal(panel.values, [[1.0, np.nan], [3.0, 4.0]])
    assert (panel.title, panel.rows, panel.columns) == ("Q", ("state 0", "state 1"), ("action 0", "action 1"))


def test_of_a_large_table_the_rows_that_were_learned_are_shown():
    table = np.full((1_000, 3), 0.5)
    table[[7, 400, 999], [0, 1, 2]] = -1.0
    rows = learned_rows(table, 0.5)
    assert rows.tolist() == [7, 400, 999]
    assert table_panel("Q", table, rows).title == "Q, 3 of 1,000 states"
    assert len(learned_rows(np.zeros((1_000, 3)))) == MAX_ROWS


def test_exploration_is_a_curve_of_its_schedule_with_the_present_point():
    panel = exploration_panel(Explore(False, 1.0, 0.0, 100, False), 25)
    assert isinstance(panel, CurvePanel)
    at = int(np.flatnonzero(panel.x == 25)[0])
    assert panel.y[0, at] == panel.y[1, at] == 0.75
    assert np.isfinite(panel.y[1]).sum() == 1
    assert (panel.y[0, 0], panel.y[0, -1]) == (1.0, 0.0)
    constant = exploration_panel(Explore(True, 0.3, 0.0, 0, False), 25)
    assert isinstance(constant, TextPanel)
    assert dict(constant.facts) == {"temperature of the softmax": "0.3, constant"}


def test_two_numbers_are_their_own_plane():
    points, names, note = plane([[1.0, 2.0], [3.0, 5.0]], ("x", "y"))
    np.testing.assert_array_equal(points, [[1.0, 2.0], [3.0, 5.0]])
    assert (names, note) == (("x", "y"), "")


@pytest.mark.parametrize("n", [5, 100])
def test_more_numbers_are_projected_on_the_axes_of_the_largest_variance(n):
    random = np.random.Generator(np.random.PCG64(3))
    axes = np.linalg.qr(random.normal(size=(n, 2)))[0]
    scores = random.normal(size=(60, 2)) * [5.0, 1.0]
    scores -= scores.mean(axis=0)
    scores[:, 1] -= scores[:, 0] * (scores[:, 0] @ scores[:, 1]) / (scores[:, 0] @ scores[:, 0])  # uncorrelated
    found = principal_axes(scores @ axes.T)
    np.testing.assert_allclose(np.abs(found.T @ axes), np.eye(2), atol=1e-6)
    points, _, note = plane(scores @ axes.T + 7.0)
    np.testing.assert_allclose(np.abs(points), np.abs(scores), atol=1e-6)
    assert note == f", first two principal axes of {n} numbers (100% of the variance)"


def test_groups_of_points_share_a_plane_and_the_last_one_is_marked():
    panel = points_panel(
        "codes", {"before": np.zeros((3, 2)), "none": np.zeros((0, 2)), "now": [[1.0, 2.0]]}, mark_last=True
    )
    assert panel.names == ("before", "now")
    assert panel.groups.tolist() == [0, 0, 0, 1]
    assert panel.marked == 3
    assert points_panel("codes", {"none": np.zeros((0, 2))}) is None


def test_numbers_are_spread_evenly():
    assert spread(3, 6, 10).tolist() == [3, 4, 5]
    assert spread(0, 10, 5).tolist() == [0, 2, 4, 6, 8]


@jit
def _prioritize(priorities, errors):
    for slot in range(len(errors)):
        add_priority(priorities, 0, slot, slot)
        update_priority(priorities, 0, slot, errors[slot], slot + 1)


def test_proportional_priorities_are_shares_of_their_power():
    errors = np.array([1.0, 4.0, 9.0, 2.0])
    priorities = make_priorities(PrioritySettings(alpha=0.5, eps=1e-9), 1, 8)
    _prioritize(priorities, errors)
    roots = np.sqrt(errors)
    np.testing.assert_allclose(relative_probabilities(priorities, 0, 4), 4 * roots / roots.sum(), rtol=1e-6)


def test_rank_priorities_follow_the_rank_in_the_heap():
    priorities = make_priorities(PrioritySettings(kind="rank", alpha=1.0), 1, 4)
    _prioritize(priorities, np.array([1.0, 4.0, 9.0]))
    found = relative_probabilities(priorities, 0, 3)
    total = 1.0 + 1 / 2 + 1 / 3
    assert found[2] == pytest.approx(3 / total)  # the largest error has rank 1
    np.testing.assert_allclose(np.sort(found), 3 * np.array([1 / 3, 1 / 2, 1.0]) / total)


@pytest.mark.parametrize(("n_added", "newest_first"), [(3, [2, 1, 0]), (4, [3, 2, 1, 0]), (6, [1, 0, 3, 2])])
def test_ages_are_counted_from_the_newest_slot(n_added, newest_first):
    replay = make_replay(1, 4, 1, 1, 0.9)
    replay.n_added[0] = n_added
    priorities = make_priorities(PrioritySettings(alpha=1.0, eps=1e-9), 1, 4)
    errors = np.array([1.0, 2.0, 3.0, 4.0])[: min(n_added, 4)]
    _prioritize(priorities, errors)
    said, by_age, by_size = replay_panels(replay, priorities, 0)
    relative = len(errors) * errors / errors.sum()
    np.testing.assert_allclose(by_age.y[0], relative[newest_first], rtol=1e-6)
    np.testing.assert_array_equal(by_age.x, np.arange(len(errors)))
    np.testing.assert_allclose(by_size.y[0], np.sort(relative)[::-1], rtol=1e-6)
    assert said.facts["added so far"] == str(n_added)


def _between_classes(*rows):
    table = np.array(rows)
    return TransitionSample(table[:, :1], table[:, 1], table[:, 2:])


def test_imagined_transitions_between_classes_are_looked_up_among_real_ones():
    real = _between_classes((0, 1, 2), (2, 0, 1), (2, 0, 1))
    imagined = _between_classes((0, 1, 2), (0, 0, 2), (2, 0, 1), (1, 1, 1))
    assert share_seen(real, imagined) == 0.5
    _, bars = imagined_panels(real, imagined, 3)
    np.testing.assert_allclose(bars.values, [0.0, 0.5, 0.5])
    np.testing.assert_allclose(bars.beside, [0.0, 2 / 3, 1 / 3])


def test_imagined_transitions_of_numbers_are_measured_to_the_nearest_real_one():
    real = TransitionSample(np.array([[0.0], [2.0], [0.0]]), np.array([0, 0, 1]), np.array([[1.0], [1.0], [1.0]]))
    imagined = TransitionSample(np.array([[1.0], [0.0]]), np.array([0, 1]), np.array([[1.0], [1.0]]))
    std = np.std([0.0, 2.0, 0.0])
    own, between = model_distances(real, imagined)
    assert own == pytest.approx(2.0 / std)  # the third has no other of its action
    assert between == pytest.approx((1.0 / std + 0.0) / 2)
    assert imagined_panels(real, imagined._replace(obs=np.zeros((0, 1))), 0) == ()
