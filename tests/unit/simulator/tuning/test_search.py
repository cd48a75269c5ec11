"""Tests of the search by hand: rounds, halving, failures, ties, and what is judged."""

from __future__ import annotations

import pytest

from simulator.config.tune import build
from simulator.tuning.search import DEFAULT, Measured, Rung, best_trial, n_rounds, rungs_of, search, survivors
from tests.helpers.tunings import MEMORY, SMALL


def _run(config, value_of, trials=None):
    """Search with values by hand; return the trials, and what was asked for: [(rung, numbers, steps, seeds)]."""
    trials = [] if trials is None else trials
    asked, searching = [], search(config, trials)
    wanted = next(searching, None)
    while wanted is not None:
        asked.append((wanted[0].rung, [each.trial for each in wanted], wanted[0].steps, wanted[0].seeds))
        measured = {each.trial: value_of(each) for each in wanted}
        try:
            wanted = searching.send(measured)
        except StopIteration:
            break
    return trials, asked


def _by_number(each):
    return Measured(float(each.trial % 7))


def test_without_halving_every_trial_is_complete_and_the_best_is_judged_beside_the_default():
    trials, asked = _run(build(SMALL), _by_number)
    assert asked == [(0, [0, 1, 2], 600, 4), (0, [3, 4, 5], 600, 4), (1, [5, DEFAULT], 600, 3)]
    assert {trial["state"] for trial in trials} == {"complete"}


def test_rungs_have_eta_times_the_steps_or_the_seeds():
    config = build({**SMALL, "halving": "steps", "steps": 900})
    assert rungs_of(config) == [Rung(100, 4), Rung(300, 4), Rung(900, 4)]
    assert survivors(config, 9) == [9, 3, 1]
    assert survivors(config, 4) == [4, 2, 1]
    config = build({**MEMORY, "halving": "seeds", "seeds": 12, "eta": 2})
    assert rungs_of(config) == [Rung(0, 3), Rung(0, 6), Rung(0, 12)]


def test_halving_prunes_within_a_round_and_records_how_far_a_trial_came():
    config = build({**SMALL, "halving": "steps", "steps": 900, "trials": 12, "batch": 9})
    trials, asked = _run(config, lambda each: Measured(float(each.trial) if each.trial >= 0 else 0.0))
    assert asked[:3] == [(0, list(range(9)), 100, 4), (1, [6, 7, 8], 300, 4), (2, [8], 900, 4)]
    assert asked[3:6] == [(0, [9, 10, 11], 100, 4), (1, [11], 300, 4), (2, [11], 900, 4)]
    assert asked[6] == (3, [11, DEFAULT], 900, 3)
    assert [trial["state"] for trial in trials] == ["pruned"] * 8 + ["complete"] + ["pruned"] * 2 + ["complete"]
    assert [len(trial["values"]) for trial in trials] == [1] * 6 + [2, 2, 3, 1, 1, 3]
    assert n_rounds(config) == 2


def test_failed_trials_are_never_the_best_and_equal_ones_are_decided_by_number():
    def value_of(each):
        return Measured(None, "no score of seed 2") if each.trial == 5 else Measured(1.0)

    trials, asked = _run(build(SMALL), value_of)
    assert trials[5] == {"trial": 5, "round": 1, "point": trials[5]["point"], "state": "failed", "values": []} | {
        "reason": "no score of seed 2"
    }
    assert asked[-1][1] == [0, DEFAULT]
    trials, asked = _run(build(SMALL), lambda each: Measured(None, "it broke"))
    assert best_trial(trials) is None
    assert len(asked) == 2  # nothing is judged


def test_where_all_trials_of_a_round_fail_the_next_round_begins():
    config = build({**SMALL, "halving": "steps", "steps": 900})
    trials, asked = _run(config, lambda each: Measured(*((None, "it broke") if 0 <= each.trial < 3 else (1.0,))))
    assert asked[:2] == [(0, [0, 1, 2], 100, 4), (0, [3, 4, 5], 100, 4)]
    assert asked[2:] == [(1, [3], 300, 4), (2, [3], 900, 4), (3, [3, DEFAULT], 900, 3)]
    assert [trial["state"] for trial in trials] == ["failed"] * 3 + ["complete", "pruned", "pruned"]


@pytest.mark.parametrize("kind", ["random", "tpe"])
@pytest.mark.parametrize("halving", ["none", "steps"])
def test_a_search_that_begins_again_with_its_stored_trials_goes_the_same_way(kind, halving):
    config = build({**SMALL, "search": kind, "halving": halving, "steps": 900, "trials": 24, "batch": 6})
    value_of = lambda each: Measured(-abs(each.point.get("agent.step_size", 1.0) - 0.2) * each.steps)  # noqa: E731
    whole, asked = _run(config, value_of)
    for n in (6, 12, 18):
        stored = [dict(trial) for trial in whole[:n]]
        again, asked_again = _run(config, value_of, stored)
        assert again == whole
        assert asked_again == asked
