"""Tests of presets."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.config import presets
from simulator.config.codec import assemble
from simulator.config.presets import Preset, every, find, of_agent
from simulator.config.run import RunConfig
from tests.helpers import toys
from tests.helpers.toys import PATH


def test_every_preset_is_a_valid_run() -> None:
    found, failed = every()
    assert failed == []
    assert len({(each.agent, each.name) for each in found}) == len(found) > 0
    for each in found:
        config = assemble(RunConfig, [each.source()])
        assert (config.agent, config.steps) == (each.agent, each.steps)
        assert each.description


def test_an_entry_is_a_preset_with_defaults_for_what_it_leaves_out() -> None:
    tuned = {"rate": 2.0, "inner": {"level": 0.5}}
    assert of_agent(PATH) == [
        Preset("tuned", PATH, PATH, "all of it", 77, tuned, {"count": 9}),
        Preset("plain", PATH, PATH),
    ]
    assert find("plain", PATH, PATH).source().values == {
        "steps": 50_000,
        "agent": {"name": PATH},
        "env": {"name": PATH},
    }


def test_presets_are_found_or_refused_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = [Preset("same", "a", "w"), Preset("same", "b", "w"), Preset("same", "b", "v-1")]
    monkeypatch.setattr(presets, "every", lambda: (twice, []))
    assert find("same", env="v_1").agent == "b"
    for words, reason in (
        (("same",), r"^preset same belongs to several agents \(a, b, b\): expected the agent's name before it$"),
        (("same", None, "x"), "^preset same is for the environment w, not for x$"),
        (("sane",), r"^unknown preset 'sane'; did you mean same\? \(engram list presets\)$"),
        (("tuned", "q_learning"), r"^unknown preset 'tuned'"),
    ):
        with pytest.raises(ValueError, match=reason):
            find(*words)


@pytest.mark.parametrize("tuned", [{"x": {}}, {"x": {"env": "w", "wrold": 1}}, {"x": 3}, ["x"]])
def test_a_setting_that_is_not_a_table_is_named(tuned: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toys, "PRESETS", tuned)
    with pytest.raises(ValueError, match=rf"^agent {PATH}: PRESETS: .* expected presets with an environment$"):
        of_agent(PATH)


def test_a_bad_value_names_the_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toys, "PRESETS", {"x": {"env": PATH, "agent": {"rate": 0}}})
    with pytest.raises(ValueError, match=r"^preset x: agent\.rate = 0: expected a number > 0$"):
        assemble(RunConfig, [find("x", PATH).source()])
