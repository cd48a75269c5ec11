"""Tests of players as arguments of the Python API."""

from __future__ import annotations

import pytest

from simulator.arguments import one, several


def test_several_players_get_labels():
    assert several("memory", "hopfield") == {"hopfield": {"name": "hopfield"}}
    assert several("memory", ["a-b", "./mine.py"]) == {"a_b": {"name": "a-b"}, "mine": {"name": "./mine.py"}}
    assert several("agent", {"name": "td", "gamma": 0.9}, {"gamma": 0.5}) == {"td": {"name": "td", "gamma": 0.5}}
    twice = [{"name": "td", "label": "fast"}, {"name": "td"}]
    assert several("agent", twice) == {"fast": {"name": "td"}, "td": {"name": "td"}}
    assert several("agent", {"fast": {"name": "td"}, "td": {}}) == {"fast": {"name": "td"}, "td": {}}


@pytest.mark.parametrize(
    ("players", "line"),
    [
        (["td", "td"], "agent: td is there twice"),
        ([{"gamma": 0.5}], "agent: {'gamma': 0.5}: expected a name"),
        ({"fast": "td"}, "agent: fast = td: expected a dict"),
        (3, "agent = 3: expected names"),
        ([3], "agent = 3: expected a name"),
    ],
)
def test_other_players_are_refused(players, line):
    with pytest.raises(ValueError, match=line):
        several("agent", players)


def test_one_player_is_a_name_or_a_dict():
    assert one("env", {"name": "rooms", "layout": "four"}, {"layout": "six"}) == {"name": "rooms", "layout": "six"}
    with pytest.raises(ValueError, match=r"env = \['rooms'\]: expected a name"):
        one("env", ["rooms"])
