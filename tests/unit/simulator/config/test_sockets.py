"""Tests of components in the sockets of settings: forms, layers, errors, TOML, hashes."""

import re

import pytest

import simulator
from agents.components import gru, lstm
from simulator.config import renames
from simulator.config.codec import assemble, from_toml, of_record, settings_hash, tables_of, to_toml
from simulator.config.match import build as build_match
from simulator.config.presets import find_agent
from simulator.config.run import RunConfig, build
from simulator.config.sockets import fitting, sockets_in_file
from simulator.config.tournament import TournamentConfig
from simulator.config.tournament import build as build_tournament
from simulator.config.validation import ConfigSource, current_settings, dotted_names, names_of_run, of_run
from simulator.core import registry
from simulator.core.components import SOCKETS, Component
from simulator.store.run_store import Store
from simulator.tournaments.plan import pairs_of
from simulator.training.session import Session

AGENT = "tests.helpers.socket_agent"
TWO = "tests.helpers.two_socket_component"
LSTM_8 = Component("lstm", lstm.Config(units=8))


def run_of(**agent):
    return build({"agent": {"name": AGENT, **agent}, "env": {"name": "rooms"}, "steps": 20, "seeds": 1})


def recurrence_of(*sources):
    """Return the recurrence of a run whose agent's settings are these, each over the ones before."""
    first = ConfigSource({"agent": {"name": AGENT}, "env": {"name": "rooms"}})
    rest = [
        source if isinstance(source, ConfigSource) else ConfigSource({"agent": {"recurrence": source}})
        for source in sources
    ]
    return assemble(RunConfig, [first, *rest]).agent_settings.recurrence


def options(**agent):
    return ConfigSource({"agent": agent}, flags=True)


@pytest.mark.parametrize("value", ["lstm", {"name": "lstm"}])
def test_a_name_chooses_a_component_with_its_defaults(value):
    assert run_of(recurrence=value).agent_settings.recurrence == Component("lstm", lstm.Config())


@pytest.mark.parametrize("value", [None, "none", {"name": "none"}, {}])
def test_a_socket_can_stay_empty(value):
    assert run_of(recurrence=value).agent_settings.recurrence is None


def test_a_table_has_the_name_and_the_settings():
    assert run_of(recurrence={"name": "lstm", "units": 8}).agent_settings.recurrence == LSTM_8


def test_a_table_within_the_settings_has_sockets_too():
    config = run_of(critic={"recurrence": {"name": "gru", "units": 3}, "width": 2})
    assert config.agent_settings.critic.recurrence == Component("gru", gru.Config(units=3))
    assert from_toml(RunConfig, to_toml(config), "here") == config


def test_names_are_those_of_the_registry(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(f"from {TWO} import *\n")
    found = run_of(encoder=str(file), intrinsic={"name": TWO, "size": 4}).agent_settings
    assert (found.encoder.name, found.encoder.settings.size) == (str(file), 3)
    assert (found.intrinsic.name, found.intrinsic.settings.size) == (TWO, 4)


def test_a_later_source_changes_settings_of_the_chosen_component():
    assert recurrence_of({"name": "lstm", "layers": 2}, {"units": 8}).settings == lstm.Config(units=8, layers=2)
    assert recurrence_of({"name": "lstm", "units": 8}, "lstm") == LSTM_8
    assert recurrence_of("lstm", options(recurrence={"units": "8"})) == LSTM_8


def test_another_component_begins_with_its_own_defaults():
    assert recurrence_of({"name": "lstm", "units": 8, "forget_bias": 2.0}, "gru") == Component("gru", gru.Config())
    assert recurrence_of({"name": "lstm", "units": 8}, options(recurrence={"name": "gru", "units": "3"})) == Component(
        "gru", gru.Config(units=3)
    )


def test_a_later_source_can_empty_a_socket():
    assert recurrence_of("lstm", "none") is None
    assert recurrence_of("lstm", options(recurrence="none")) is None


@pytest.mark.parametrize(
    ("agent", "line"),
    [
        ({"recurrence": "lstmm"}, "agent.recurrence: unknown component 'lstmm'; did you mean lstm? (engram list compo"),
        ({"recurrence": "zebra"}, "agent.recurrence: unknown component 'zebra', agent.recurrence expects a recurrence"),
        ({"recurrence": {"name": "zebra"}}, "agent.recurrence.name: unknown component 'zebra'"),
        ({"recurrence": "dqn"}, "dqn is an agent, agent.recurrence expects a recurrence: elman, gru or lstm"),
        ({"recurrence": TWO}, f"{TWO} is an encoder or an intrinsic, agent.recurrence expects a recurrence: elman"),
        ({"encoder": "lstm"}, "lstm is a recurrence, agent.encoder expects an encoder"),
        ({"critic": {"recurrence": TWO}}, "agent.critic.recurrence expects a recurrence"),
        ({"encoder": AGENT}, f"component {AGENT}: SOCKETS is missing"),
        ({"recurrence": 3}, "agent.recurrence = 3: expected the name of a recurrence, a table of name and settings"),
        ({"recurrence": {"name": 3}}, "agent.recurrence.name = 3: expected the name of a recurrence"),
        ({"recurrence": ["lstm"]}, "agent.recurrence = ['lstm']: expected the name of a recurrence"),
        (
            {"recurrence": {"units": 32}},
            "agent.recurrence.units = 32: no recurrence is chosen, expected agent.recurr",
        ),
        ({"recurrence": {"name": "none", "units": 3}}, "agent.recurrence.units = 3: no recurrence is chosen"),
        ({"recurrence": {"name": "lstm", "unit": 3}}, "agent.recurrence.unit: no such setting; did you mean agent.rec"),
        (
            {"recurrence": {"name": "gru", "hidden_size": 3}},
            "hidden_size: no such setting; gru calls it agent.recu",
        ),
        ({"recurrence": {"name": "gru", "num_layers": 3}}, "num_layers: no such setting; gru calls it agent.recurrenc"),
        ({"recurrence": {"name": "lstm", "units": 0}}, "agent.recurrence.units = 0: expected a whole number >= 1"),
        (
            {"recurrence": {"name": "lstm", "init": "ones"}},
            "agent.recurrence.init = 'ones': expected one of orthog",
        ),
        ({"lstm": {"units": 3}}, "agent.lstm: no such setting; did you mean agent.recurrence = 'lstm'?"),
    ],
)
def test_an_error_is_one_line_with_its_place(agent, line):
    with pytest.raises(ValueError, match=re.escape(line)) as raised:
        run_of(**agent)
    assert "\n" not in str(raised.value)


def test_an_error_in_a_file_names_the_file():
    text = f'[agent]\nname = "{AGENT}"\nrecurrence = {{ name = "gru", units = -1 }}\n[env]\nname = "rooms"\n'
    with pytest.raises(ValueError, match=r"^my\.toml: agent\.recurrence\.units = -1: expected"):
        from_toml(RunConfig, text, "my.toml")
    with pytest.raises(ValueError, match=r"^my\.toml: agent\.recurrence\.name: vae is a"):
        from_toml(RunConfig, text.replace("gru", "vae"), "my.toml")


def test_toml_keeps_every_setting():
    config = run_of(recurrence={"name": "lstm", "units": 8}, intrinsic=TWO)
    text = to_toml(config)
    assert from_toml(RunConfig, text, "here") == config
    assert '[agent.recurrence]\nname = "lstm"\nunits = 8\n' in text
    assert 'model = "none"' in text
    assert build(tables_of(config)) == config


def test_the_hash_is_about_the_component_and_its_settings():
    configs = [run_of(), *(run_of(recurrence=value) for value in ("lstm", "gru", {"name": "lstm", "units": 8}))]
    assert len({settings_hash(config) for config in configs}) == 4
    assert settings_hash(run_of(recurrence={"name": "lstm", "units": 64})) == settings_hash(configs[1])


def test_an_empty_socket_leaves_the_hash_as_it_was_before_there_was_one():
    from simulator.config.codec import hash_of

    config = run_of()
    stored = tables_of(config)
    for socket in SOCKETS:
        del stored["agent"][socket]
    assert hash_of(stored, config) == settings_hash(config)


def test_the_hash_is_about_the_content_of_a_components_file_and_not_its_place(tmp_path):
    def hash_in(folder, text):
        (tmp_path / folder).mkdir(exist_ok=True)
        file = tmp_path / folder / "mine.py"
        file.write_text(text)
        return settings_hash(run_of(encoder=str(file)))

    text = f"from {TWO} import *\n"
    assert hash_in("a", text) == hash_in("b", text) != hash_in("b", f"{text}# changed\n")


def test_settings_of_a_component_can_last_as_long_as_the_run():
    chosen = run_of(intrinsic=TWO, recurrence="lstm").agent_settings
    assert names_of_run(chosen) == ["decay_steps", "intrinsic.decay_steps"]
    filled = of_run(chosen, 20)
    assert (filled.decay_steps, filled.intrinsic.settings.decay_steps) == (20, 20)
    assert filled.recurrence == chosen.recurrence


def test_dotted_names_have_those_of_the_chosen_component():
    names = list(dotted_names(current_settings(run_of(recurrence="lstm").agent_settings)))
    assert {"recurrence", "recurrence.units", "critic.width", "critic.recurrence", "encoder"} <= set(names)
    assert "encoder.size" not in names


def test_presets_and_strategies_choose_components():
    assert find_agent("tests.helpers.socket_agent")[1].recurrence is None
    preset = ConfigSource({"agent": {"recurrence": {"name": "lstm", "units": 4}}}, "preset small-memory")
    assert recurrence_of(preset, options(recurrence={"layers": "2"})).settings == lstm.Config(units=4, layers=2)


def test_a_match_takes_components():
    first = {"name": AGENT, "recurrence": {"name": "gru", "units": 3}}
    config = build_match({"game": {"name": "tic_tac_toe"}, "first": first, "second": {"name": AGENT}})
    assert config.first.settings.recurrence == Component("gru", gru.Config(units=3))
    other = build_match({"game": {"name": "tic_tac_toe"}, "first": {"name": AGENT}, "second": {"name": AGENT}})
    assert settings_hash(config) != settings_hash(other)


def tournament_of(agents, *sources):
    first = ConfigSource({"agent": agents, "env": {"rooms": {}}, "steps": 20})
    return assemble(TournamentConfig, [first, *sources])


def recurrences(tournament):
    return [pair.config.agent_settings.recurrence for pair in pairs_of(tournament)]


def test_a_tournament_takes_components():
    small = {"name": AGENT, "recurrence": {"name": "lstm", "units": 8}}
    chosen = tournament_of({"a": {"name": AGENT}, "b": {"name": AGENT, "recurrence": "gru"}, "c": small})
    assert recurrences(chosen) == [None, Component("gru", gru.Config()), LSTM_8]
    assert len({pair.key for pair in pairs_of(chosen)}) == 3
    assert from_toml(TournamentConfig, to_toml(chosen), "here") == chosen


def test_a_tournaments_options_and_places_go_over_its_file():
    small = {"name": AGENT, "recurrence": {"name": "lstm", "units": 8, "forget_bias": 2.0}}
    more = options(a={"recurrence": {"layers": "2"}}, b={"recurrence": {"name": "gru", "units": "3"}})
    assert recurrences(tournament_of({"a": small, "b": small}, more)) == [
        Component("lstm", lstm.Config(units=8, layers=2, forget_bias=2.0)),
        Component("gru", gru.Config(units=3)),
    ]
    there = {**small, "in": {"rooms": {"recurrence": {"units": 5}}}}
    assert recurrences(tournament_of({"a": there})) == [Component("lstm", lstm.Config(units=5, forget_bias=2.0))]
    with pytest.raises(ValueError, match=r"agent\.a\.in\.rooms\.recurrence\.unit: no such setting; did you mean"):
        build_tournament(
            {"agent": {"a": {**small, "in": {"rooms": {"recurrence": {"unit": 5}}}}}, "env": {"rooms": {}}}
        )


def test_a_tournaments_cells_depend_on_the_files_of_components(tmp_path):
    file = tmp_path / "mine.py"
    keys = []
    for text in (f"from {TWO} import *\n", f"from {TWO} import *\n# changed\n"):
        file.write_text(text)
        keys += [pair.key for pair in pairs_of(tournament_of({"a": {"name": AGENT, "encoder": str(file)}}))]
    assert keys[0] != keys[1]


def test_python_runs_components_and_their_runs_are_read_again(tmp_path):
    few = {"lab": tmp_path, "steps": 20, "seeds": 1, "eval_every": 20, "eval_episodes": 1, "eval_max_steps": 20}
    simulator.run(AGENT, "rooms", agent_settings={"recurrence": {"name": "lstm", "units": 8}}, **few)
    named = simulator.run(AGENT, "rooms", agent_settings={"recurrence": "lstm"}, **few)
    with Store(tmp_path) as store:
        assert of_record(RunConfig, store.find("r1")).agent_settings.recurrence == LSTM_8
        assert of_record(RunConfig, store.find(named.run)).agent_settings.recurrence.settings == lstm.Config()


def test_an_agent_makes_its_component():
    made = Session(run_of(recurrence={"name": "lstm", "units": 8})).agent.made
    assert made.settings == LSTM_8.settings


def test_a_stored_setting_of_a_component_is_read_under_its_name_of_today(monkeypatch):
    changes = (
        renames.RenamedSetting("9.0", "components", "lstm", "cells", "units"),
        renames.RenamedSetting("9.0", "components", "gated", "", "gru"),
    )
    monkeypatch.setattr(renames, "CHANGES", changes)
    text = to_toml(run_of(recurrence="lstm", critic={"recurrence": "gru"}))
    old = text.replace("units = 64", "cells = 8", 1).replace('name = "gru"', 'name = "gated"')
    assert old.count("cells") == old.count("gated") == 1
    stored = renames.read_stored("run", old, "r1", {})
    read = assemble(RunConfig, [stored.source]).agent_settings
    assert (read.recurrence, read.critic.recurrence.name) == (LSTM_8, "gru")
    assert len(stored.notes) == 2
    assert "agent.recurrence.cells is agent.recurrence.units since version 9.0" in stored.notes[0]


def test_every_component_of_ours_fits_a_socket_and_has_settings():
    for name in registry.names("components"):
        assert set(sockets_in_file(name)) <= set(SOCKETS)
        assert sockets_in_file(name) == tuple(registry.load("components", name).module.SOCKETS)
        assert current_settings(registry.load("components", name).defaults())
    assert {"elman", "gru", "lstm"} <= set(fitting("recurrence"))
