"""Tests of the window's page of a tuning: trials by rank, what is chosen, the judgement, and pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from simulator.views.window.intervals import ValueInterval
from simulator.views.window.tune_page import TunePage, TuneStanding, TuneWindow, setting_panel
from tests.helpers.drawn_pages import check_picture, click, draw_page, press
from tests.unit.simulator.views.test_tune import SNAPSHOT

pytest.importorskip("pygame")
pytestmark = pytest.mark.optional
GOLDEN = Path(__file__).parent / "golden"
STATES = ("complete", "pruned", "complete", "failed", "running", "waiting")
VALUES = ([0.2, 0.5], [0.1], [0.4, 0.7], [], [0.3], [])
JUDGED = {
    "seeds": [1000, 1001],
    "best": {"value": 0.6, "low": 0.5, "high": 0.7},
    "default": {"value": 0.4, "low": None, "high": None},
    "difference": {"value": 0.2, "low": 0.1, "high": 0.3},
}


def standing(judged=None):
    trials = [
        {
            "trial": k,
            "round": 0,
            "point": {"agent.step_size": 10.0 ** -(k + 1), "agent.rule": "ab"[k % 2]},
            "state": state,
            "values": values,
            "reason": "seed 2 has no score" if state == "failed" else "",
        }
        for k, (state, values) in enumerate(zip(STATES, VALUES, strict=True))
    ]
    space = [
        {"name": "agent.rule", "low": None, "high": None, "log": False, "values": ["a", "b"]},
        {"name": "agent.step_size", "low": 1e-6, "high": 1.0, "log": True, "values": []},
    ]
    summary = {"trials": trials, "space": space, "objective": "iqm", "judged": judged, "best": {"trial": 2}}
    intervals = {0: ValueInterval(0.5, 0.4, 0.65), 1: ValueInterval(0.1, 0.05, 0.2), 2: ValueInterval(0.7, 0.6, 0.9)}
    return TuneStanding(summary, intervals)


def page_of(judged=None):
    page = TunePage("engram tune q_learning rooms")
    page.show(SNAPSHOT, standing(judged))
    draw_page(page)
    return page


def test_trials_are_ranked_and_chosen_by_keys_and_by_the_mouse():
    page = page_of()
    assert [trial["trial"] for trial in page._trials] == [2, 0, 4, 1, 5, 3]
    assert page._shown()["trial"] == 2
    press(page, "down")
    press(page, "down")
    assert page._shown()["trial"] == 4
    click(page, page._rows[3].center)
    assert page._shown()["trial"] == 3
    click(page, (0, 0))
    assert page._shown()["trial"] == 2  # the best one again


def test_settings_are_places_by_their_logarithm_or_their_number():
    summary = standing().summary
    by_rule, by_size = (setting_panel(summary, summary["trials"], at, 2) for at in (0, 1))
    assert by_rule.points[:, 0].tolist() == [0.0, 1.0, 0.0, 0.0]
    assert by_rule.x_name == "rule: 0 is a, 1 is b"
    assert by_size.points.ravel().tolist() == pytest.approx([-1.0, 0.5, -2.0, 0.1, -3.0, 0.7, -5.0, 0.3])
    assert (by_size.groups.tolist(), by_size.marked) == ([0, 1, 0, 1], 2)


@pytest.mark.parametrize("judged", [None, JUDGED], ids=["searching", "judged"])
def test_pictures(judged):
    page = page_of(judged)
    press(page, "2")
    check_picture(draw_page(page), GOLDEN / f"tune-{'judged' if judged else 'searching'}-1.png")


def test_the_window_reads_the_lab_rarely_and_once_more_at_the_end(monkeypatch):
    reads = []
    now = [0.0]

    def read(name):
        reads.append(name)
        now[0] += 1.0
        return standing(JUDGED)

    window = TuneWindow(read, "engram tune", "1", lambda: now[0])
    window.show(SNAPSHOT)
    window.show(replace(SNAPSHOT, done=13))  # a second was spent on reading, so that nineteen more are not
    assert reads == ["t3"]
    now[0] += 20.0
    window.show(replace(SNAPSHOT, done=13))
    window.show(replace(SNAPSHOT, done=13))  # nothing new
    assert len(reads) == 2
    monkeypatch.setattr(window._window, "stay", lambda: None)
    window.stay()
    assert len(reads) == 3
    window.shut()
    window.show(replace(SNAPSHOT, done=14))
    assert len(reads) == 3
    assert not window.is_open
