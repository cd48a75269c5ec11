"""Tests of components on the command line: options, list, show, help, completion, report."""

import json

import pytest

from simulator.commands.parsing.completion import candidates
from simulator.commands.parsing.parser import parse

AGENT = "tests.helpers.socket_agent"
TWO = "tests.helpers.two_socket_component"
FEW = ("--steps", "20", "--seeds", "1", "--eval-every", "20", "--eval-episodes", "1", "--eval-max-steps", "20")
RUN = ("run", AGENT, "rooms", *FEW, "--view", "none", "--lab")


@pytest.mark.parametrize(
    "words",
    [
        ("--agent.recurrence", "lstm", "--agent.recurrence.units", "8"),
        ("--agent.recurrence.units", "8", "--agent.recurrence", "lstm"),
        ("--agent.recurrence.units=8", "--agent.recurrence.name=lstm"),
    ],
)
def test_options_choose_a_component_in_any_order(words):
    assert parse(words, [], ("agent",)).players == {"agent": {"recurrence": {"name": "lstm", "units": "8"}}}


def test_an_option_alone_is_a_value_whatever_it_is_called():
    assert parse(("--agent.model", "x"), [], ("agent",)).players == {"agent": {"model": "x"}}
    assert parse(("--agent.a.b.actor-recurrence", "x"), [], ("agent",)).players == {
        "agent": {"a": {"b": {"actor_recurrence": "x"}}}
    }


def test_other_options_take_a_value_or_settings():
    with pytest.raises(ValueError, match="explore was given a value already"):
        parse(("--agent.explore", "3", "--agent.explore.epsilon", "1"), [], ("agent",))


def settings_in(engram, lab, name="r1"):
    return json.loads(engram("show", name, "--lab", lab, "--json").out)["settings"]


def test_a_run_is_stored_with_its_component(engram, tmp_path):
    engram(*RUN, str(tmp_path), "--agent.recurrence", "lstm", "--agent.recurrence.units", "8")
    assert '[agent.recurrence]\nname = "lstm"\nunits = 8\n' in settings_in(engram, str(tmp_path))
    assert "identical" in engram("reproduce", "r1", "--lab", str(tmp_path)).out
    engram("resume", "r1", "--steps", "40", "--lab", str(tmp_path), "--view", "none")
    assert "units = 8\n" in settings_in(engram, str(tmp_path))


def test_options_go_over_the_component_of_a_file(engram, tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('[agent.recurrence]\nname = "lstm"\nunits = 8\nlayers = 2\n')
    engram(*RUN, str(tmp_path / "lab"), "--config", str(file), "--agent.recurrence.units", "4")
    assert 'name = "lstm"\nunits = 4\nlayers = 2\n' in settings_in(engram, str(tmp_path / "lab"))
    engram(*RUN, str(tmp_path / "lab"), "--config", str(file), "--agent.recurrence", "gru")
    assert 'name = "gru"\nunits = 64\nlayers = 1\n' in settings_in(engram, str(tmp_path / "lab"), "r2")


def test_a_preset_chooses_a_component_that_options_change(engram, tmp_path):
    engram(*RUN, str(tmp_path), "--preset", "small-memory", "--agent.recurrence.layers", "2")
    assert 'name = "lstm"\nunits = 4\nlayers = 2\n' in settings_in(engram, str(tmp_path))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ("--agent.recurrence.units", "8"),
            "--agent.recurrence.units 8: no recurrence is chosen, expected --agent",
        ),
        (("--agent.recurrence", TWO), f"--agent.recurrence: {TWO} is an encoder or an intrinsic, agent.recurrence e"),
        (("--agent.recurrence", "lsmt"), "--agent.recurrence: unknown component 'lsmt'; did you mean lstm?"),
        (("--agent.recurrence", "gru", "--agent.recurrence.units", "x"), "--agent.recurrence.units x: expected a whol"),
        (
            ("--agent.recurrence", "gru", "--agent.recurrence.unit", "1"),
            "unit: unknown option; did you mean --agent",
        ),
    ],
)
def test_a_bad_component_is_refused_before_anything_is_written(engram, tmp_path, words, line):
    refused = engram(*RUN, str(tmp_path / "lab"), *words, code=2)
    assert line in refused.err
    assert refused.err.count("\n") == 1
    assert not (tmp_path / "lab").exists()


def test_a_component_is_no_agent(engram):
    assert "it is a component" in engram("run", "lstm", "rooms", code=2).err


def test_components_are_listed_with_their_sockets(engram):
    listed = json.loads(engram("list", "components", "--json").out)
    lstm = next(entry for entry in listed["components"] if entry["name"] == "lstm")
    assert lstm["sockets"] == ["recurrence"]
    assert lstm["about"].startswith("Long short-term memory")
    assert listed["components"] == json.loads(engram("list", "--json").out)["components"]
    row = next(line for line in engram("list", "component").out.splitlines() if line.startswith("lstm"))
    assert row.split()[1] == "recurrence"


def test_a_component_is_shown_with_its_sockets_and_settings(engram, tmp_path):
    shown = engram("show", "lstm").out
    assert "sockets: recurrence" in shown
    assert "forget_bias" in shown
    file = tmp_path / "mine.py"
    file.write_text(f'"""Mine."""\nfrom {TWO} import Config, make\nSOCKETS = ("encoder",)\n')
    for name in (TWO, str(file)):
        (entry,) = json.loads(engram("show", name, "--json").out)["players"]
        assert entry["kind"] == "components"
        assert [setting["name"] for setting in entry["settings"]] == ["size", "decay_steps"]


def test_the_component_of_exactly_that_name_comes_before_a_memory_with_that_alias(engram):
    shown = json.loads(engram("show", "nearest", "--json").out)
    assert [(entry["kind"], entry["name"]) for entry in shown["players"]] == [
        ("components", "nearest"),
        ("memories", "nearest_neighbor"),
    ]


def test_an_agent_is_shown_with_the_components_that_fit(engram):
    (entry,) = json.loads(engram("show", AGENT, "--json").out)["players"]
    rows = {row["name"]: row for row in entry["settings"]}
    assert rows["recurrence"]["default"] == "none"
    assert "elman, gru, lstm" in rows["recurrence"]["expected"]
    assert "lstm" not in rows["encoder"]["expected"]
    assert "critic.recurrence" in rows


def test_help_has_the_settings_of_chosen_components(engram):
    plain = engram("run", AGENT, "rooms", "--help").out
    assert "--agent.recurrence elman|gru|lstm" in plain
    assert "--agent.recurrence.units" not in plain
    chosen = engram("run", AGENT, "rooms", "--agent.recurrence", "lstm", "--help").out
    assert "--agent.recurrence.forget-bias NUMBER" in chosen
    again = ("--agent.recurrence.name", "lstm", "--agent.critic.recurrence", "gru", "--help")
    assert "--agent.critic.recurrence.update-bias" in engram("run", AGENT, "rooms", *again).out
    preset = ("--preset", "small-memory", "--help")
    assert "--agent.recurrence.forget-bias" in engram("run", AGENT, *preset).out
    assert "unknown component" in engram("run", AGENT, "rooms", "--agent.recurrence", "x", "--help", code=2).err


def test_the_shell_completes_components_and_their_settings():
    def offered(*words):
        return [candidate.value for candidate in candidates(["run", AGENT, "rooms", *words])]

    assert offered("--agent.recurrence", "l") == ["lstm"]
    assert "--agent.recurrence.units" not in offered("--agent.rec")
    assert offered("--agent.recurrence", "lstm", "--agent.recurrence.un") == ["--agent.recurrence.units"]
    assert offered("--agent.recurrence=lstm", "--agent.recurrence.init", "o") == ["orthogonal"]


def test_a_report_compares_components_by_their_names_and_changed_settings(engram, tmp_path):
    lab = str(tmp_path)
    small = ("--agent.recurrence", "lstm", "--agent.recurrence.units", "8")
    for words in (small, (*small, "--agent.recurrence.layers", "2"), ("--agent.recurrence", "gru"), ()):
        engram(*RUN, lab, *words)
    runs = json.loads(engram("report", "r1", "r2", "r3", "r4", "--lab", lab, "--json").out)["runs"]
    assert [run["differs"] for run in runs] == [
        {},
        {"agent.recurrence.layers": 2},
        {"agent.recurrence": "gru"},
        {"agent.recurrence": "none"},
    ]
    own = [{name: value for name, value in run["settings"].items() if name.startswith("agent.")} for run in runs]
    assert own[0] == {"agent.recurrence": "lstm", "agent.recurrence.units": 8}
    assert own[3] == {}


def test_imported_components_are_announced(engram, tmp_path):
    file = tmp_path / "run.toml"
    file.write_text(f'[agent]\nencoder = "{TWO}"\n')
    assert f"{file} imports code: {TWO}" in engram(*RUN, str(tmp_path / "lab"), "--config", str(file)).err
