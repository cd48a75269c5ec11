"""Tests of the settings of a tournament."""

from __future__ import annotations

import pytest

from simulator.config.codec import assemble, from_toml, settings_hash, to_toml
from simulator.config.tournament import TournamentConfig, build
from simulator.config.validation import ConfigSource
from simulator.tournaments.plan import cells_of, pairs_of, plan_of, references, spans_of
from tests.helpers.tournaments import AGENTS, ENVS, small

EVERYBODY = {
    "agent": {
        "q": {"name": "q_learning", "step_size": 0.5, "in": {"six": {"step_size": 0.25}}},
        "dqn": {"tuned": True},
    },
    "env": {**ENVS, "CartPole-v1": {"steps": 77}},
    "memory": {"hopfield-flow": {}, "mine": {"name": "hopfield", "rule": "storkey"}},
    "challenge": {"digits": {"patterns": 30, "corruption": "erase:0.5", "score": "exact"}},
    "player": {"tit-for-tat": {}, "q2": {"name": "q_learning"}},
    "game": {"iterated_matrix": {"noise": 0.1, "episodes": 7}},
}


def keys(values):
    config = build(values)
    return [pair.key for pair in [*pairs_of(config), *references(config)]]


def test_toml_leads_back_to_the_same_tournament():
    config = build(EVERYBODY)
    again = from_toml(TournamentConfig, to_toml(config), "again")
    assert again == config
    assert settings_hash(again) == settings_hash(config)
    assert settings_hash(build({**EVERYBODY, "seeds": 9})) != settings_hash(config)


def test_pairs_are_played_with_the_settings_that_were_given():
    pairs = {(p.contestant, p.second, p.challenge): p for p in pairs_of(build(EVERYBODY))}
    assert len(pairs) == 2 * 3 + 2 + 1
    assert [pairs[0, -1, m].config.agent_settings.step_size for m in range(3)] == [0.25, 0.5, 0.5]
    assert pairs[0, -1, 2].config.steps == 77
    tuned = pairs[1, -1, 2].config
    assert (tuned.agent_settings.optimizer.learning_rate, tuned.agent_settings.optimizer.lr_decay_steps) == (
        2e-3,
        50_000,
    )
    flow, mine = pairs[2, -1, 3].config, pairs[3, -1, 3].config
    assert [c.contestants[0].settings.rule for c in (flow, mine)] == ["flow", "storkey"]
    assert (flow.patterns, flow.corruption) == ((30,), ("erase:0.5",))
    match = pairs[4, 5, 4].config
    assert (match.first.name, match.second.name, match.episodes) == ("memory_one", "q_learning", 7)
    assert match.game_settings.noise == 0.1


def test_a_cell_is_named_by_what_it_depends_on_and_nothing_else():
    usual = keys(small())
    assert len(set(usual)) == 3 * 2 + 2
    for changes in (
        {"seeds": 9},
        {"first_seed": 4},
        {"seeds_per_cell": 1},
        {"failed": "left-out"},
        {"retries": 0},
        {"confidence": 0.9},
    ):
        assert keys(small(**changes)) == usual, changes
    renamed = {"x": {"name": "q_learning"}, "y": {"name": "td"}, "z": {"name": "random_walk"}}
    assert keys(small(agent=renamed)) == usual
    for changes in ({"steps": 401}, {"eval_every": 100}, {"eval_episodes": 6}, {"cpu_seconds": 1.0}):
        assert not {*keys(small(**changes))[:6]} & {*usual[:6]}, changes


def test_a_player_whose_file_has_changed_is_another_one(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    source = "from agents.random_walk import *\nfrom agents.random_walk import Config, make\n"
    (tmp_path / "players_of_a_test").mkdir()
    (tmp_path / "players_of_a_test" / "walker.py").write_text(source)
    values = small(agent={"mine": {"name": "players_of_a_test.walker"}})
    before = keys(values)
    assert keys(values) == before
    (tmp_path / "players_of_a_test" / "walker.py").write_text(source + "# changed\n")
    assert not {*keys(values)[:2]} & {*before[:2]}


def test_seeds_are_cut_into_blocks():
    assert spans_of(5, 7, 3) == [(5, 3), (8, 3), (11, 1)]
    assert spans_of(0, 2, 16) == [(0, 2)]
    config = build(small(seeds=5, seeds_per_cell=2))
    plan = plan_of(config, pairs_of(config), {})
    cells = list(cells_of(plan))
    assert len(cells) == 6 * 3
    assert [span for _, span in cells] == [(0, 2)] * 6 + [(2, 2)] * 6 + [(4, 1)] * 6  # an even tournament at any time


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "expected contestants and challenges"),
        ({"agent": AGENTS}, "agent q: expected at least one env beside it"),
        (
            small(agent={"dqn": {"tuned": True, "recurrence": {"units": 8}}}),
            r"agent.dqn.recurrence: no recurrence is chosen, expected agent.dqn.recurrence.name too: .*lstm \(tuned",
        ),
        ({"env": ENVS}, "env six: expected at least one agent beside it"),
        (small(agent={"q_lerning": {}}), "q_lerning.*did you mean q_learning"),
        (small(agent={"q": {"name": "q_learning", "stepsize": 1}}), r"agent.q.stepsize: no such setting; did you mean"),
        (small(agent={"q": {"name": "q_learning", "step_size": 2.0}}), r"agent.q.step_size = 2.0: expected a number"),
        (small(agent={"q": {"name": "q_learning", "in": {"five": {}}}}), r"agent.q.in.five: .*'five'"),
        (small(agent={"q": 3}), "agent.q = 3: expected a table of settings"),
        (small(agent=3), "agent = 3: expected a table of settings"),
        (small(env={"rooms": {"steps": 0}}), "env.rooms.steps = 0: expected"),
        (small(seeds=0), "seeds = 0: expected"),
        (small(agent={"": {"name": "td"}}), "agent: found '', expected 1 to 80 characters"),
        (small(failed="nothing"), "failed = 'nothing': expected one of floor, left-out"),
        (small(sedes=3), "sedes: no such setting; did you mean seeds"),
        ({"memory": {"hopfild": {}}, "challenge": {"digits": {}}}, "hopfild.*did you mean hopfield"),
        (
            {"memory": {"nearest_neighbor": {}}, "challenge": {"digits": {"score": "best"}}},
            "score = 'best': expected one of",
        ),
        ({"player": {"tit-for-tit": {}}, "game": {"iterated_matrix": {}}}, "tit-for-tit.*did you mean tit-for-tat"),
        ({"player": {"td": {}}, "game": {"iterated_matrix": {"noise": 3}}}, r"game.iterated_matrix.noise = 3"),
    ],
)
def test_bad_settings_are_refused_in_one_line(values, says):
    with pytest.raises(ValueError, match=says) as error:
        pairs_of(build(values))
    assert "\n" not in str(error.value)


def test_options_may_spell_labels_with_hyphens():
    layers = [
        ConfigSource(small(env={"FrozenLake-v1": {}})),
        ConfigSource({"agent": {"q": {"step_size": "0.5"}}}, flags=True),
    ]
    assert assemble(TournamentConfig, layers).contestants[0].settings == {"step_size": 0.5}
    layers = [*layers, ConfigSource({"env": {"FrozenLake_v1": {"steps": "9"}}}, flags=True)]
    assert assemble(TournamentConfig, layers).challenges[0].own == {"steps": 9}
    with pytest.raises(ValueError, match=r"--agent\.nobody: no agent has this label, expected one of q, td, walk"):
        assemble(TournamentConfig, [*layers, ConfigSource({"agent": {"nobody": {"gamma": "0.5"}}}, flags=True)])
