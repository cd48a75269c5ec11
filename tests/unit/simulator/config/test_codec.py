"""Tests of the codec: TOML to settings and back, and errors with their place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.config import codec
from simulator.config.codec import settings_hash, to_toml
from simulator.config.run import RunConfig, build, eval_period
from simulator.config.validation import ConfigSource
from tests.helpers.commands import Engram
from tests.helpers.toys import PATH, Config, Inner

PLAYERS: dict[str, Any] = {"agent": {"name": PATH}, "env": {"name": PATH}}


def refusal(text: str) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is what is tested
        codec.from_toml(RunConfig, text, "run.toml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def toml(agent: str = "", top: str = "") -> str:
    return f'{top}\n[agent]\nname = "{PATH}"\n{agent}\n[env]\nname = "{PATH}"\n'


def test_missing_settings_have_their_defaults() -> None:
    config = codec.from_toml(RunConfig, toml(), "run.toml")
    assert config == RunConfig(PATH, PATH, agent_settings=Config(), env_settings=Config())
    assert config.agent_settings.inner == Inner(level=0.75)


def test_a_table_within_replaces_only_what_it_names() -> None:
    config = codec.from_toml(RunConfig, toml('inner = {kind = "exponential"}'), "run.toml")
    assert config.agent_settings.inner == Inner(level=0.75, kind="exponential")


def test_integers_are_numbers_and_keep_their_type() -> None:
    config = codec.from_toml(RunConfig, toml("rate = 2", "steps = 7"), "run.toml")
    assert isinstance(config.agent_settings.rate, float)
    assert isinstance(config.steps, int)


BAD = [
    ("step_size = 1.5", "run.toml: agent.step_size = 1.5: expected a number > 0 and <= 1"),
    ("step_size = 0", "run.toml: agent.step_size = 0: expected a number > 0 and <= 1"),
    ("step_size = true", "run.toml: agent.step_size = true: expected a number > 0 and <= 1"),
    ("step_size = nan", "run.toml: agent.step_size = nan: expected a finite number > 0 and <= 1"),
    ("shift = inf", "run.toml: agent.shift = inf: expected a finite number"),
    ("shift = -inf", "run.toml: agent.shift = -inf: expected a finite number"),
    ("shift = 1e400", "run.toml: agent.shift = inf: expected a finite number"),
    ("count = 2.0", "run.toml: agent.count = 2.0: expected a whole number >= 1"),
    (f"{'x' * 10_000} = 1", f"run.toml: agent.{'x' * 161}...{'x' * 85}: no such setting"),
    (f"count = {10**400}", f"run.toml: agent.count = {str(10**400)[:57]}...: expected a whole number >= 1"),
    ("count = true", "run.toml: agent.count = true: expected a whole number >= 1"),
    (
        "count = 9223372036854775808",
        f"run.toml: agent.count = {2**63}: expected a whole number >= 1 and at most {2**63 - 1:,}",
    ),
    ('count = "3"', "run.toml: agent.count = '3': expected a whole number >= 1"),
    ("limit = -1", "run.toml: agent.limit = -1: expected a whole number >= 0 or none"),
    ("double = 1", "run.toml: agent.double = 1: expected true or false"),
    ("title = 1979-05-27", "run.toml: agent.title = datetime.date(1979, 5, 27): expected text"),
    ("hidden = [64, 0]", "run.toml: agent.hidden = [64, 0]: expected a list, each a whole number >= 1"),
    ("kwargs = {a = nan}", "run.toml: agent.kwargs = {'a': nan}: expected a table of settings"),
    ("kwargs = {a = []}", "run.toml: agent.kwargs = {'a': []}: expected a table of settings"),
    ("inner = 5", "run.toml: agent.inner = 5: expected a table of settings"),
    ("inner = {level = 2}", "run.toml: agent.inner.level = 2: expected a number >= 0 and <= 1"),
    ('inner = {kind = "lin"}', "run.toml: agent.inner.kind = 'lin': expected one of linear, exponential"),
    ("inner = {levl = 1}", "run.toml: agent.inner.levl: no such setting; did you mean agent.inner.level?"),
    ("step_siz = 1", "run.toml: agent.step_siz: no such setting; did you mean agent.step_size?"),
    ("zzz = 1", "run.toml: agent.zzz: no such setting"),
]


@pytest.mark.parametrize(("line", "answer"), BAD)
def test_a_bad_setting_is_named_with_its_value_and_what_was_expected(line: str, answer: str) -> None:
    assert refusal(toml(line)) == answer


TOP = [
    ("seeds = 0", "run.toml: seeds = 0: expected a whole number >= 1 and <= 1,000,000"),
    ("steps = 1000000000001", "run.toml: steps = 1000000000001: expected a whole number >= 1 and <= 1,000,000,000,000"),
    ("eval_episodes = -1", "run.toml: eval_episodes = -1: expected a whole number >= 0 and <= 1,000,000"),
    ('device = "gpu"', "run.toml: device = 'gpu': expected cpu, cuda or cuda:N"),
    ("sedes = 3", "run.toml: sedes: no such setting; did you mean seeds?"),
    ("agent_settings = {}", "run.toml: agent_settings: no such setting"),
]


@pytest.mark.parametrize(("line", "answer"), TOP)
def test_a_bad_setting_of_the_run_is_named(line: str, answer: str) -> None:
    assert refusal(toml(top=line)) == answer


PLACES = [
    ("agent = [\n", "run.toml: line 2, column 1: Invalid value"),
    ("seeds = 3\nsteps == 5", "run.toml: line 2, column 8: Invalid value"),
    ("x = 1\nx = 2", "run.toml: line 2, column 6: Cannot overwrite a value"),
    ("x = " + "[" * 9_000, "run.toml: nested too deep"),
    ("x = " + "[" * 99 + "]" * 99, "run.toml: nested too deep, expected at most 64 tables within each other"),
    (".".join("a" * 50_000) + " = 1", "run.toml: nested too deep"),
    (" . ".join(["'a'", '"b\\""'] * 20_000) + " = 1", "run.toml: nested too deep"),
    ("[" + ".".join("a" * 50_000) + "]", "run.toml: nested too deep"),
    ("x = {y = 1, " + ".".join("a" * 50_000) + " = 1}", "run.toml: nested too deep"),
    ("[" + ".".join("a" * 40) + "]\n" + ".".join("a" * 40) + " = 1", "run.toml: nested too deep"),
    ("x = " + "1" * 5_000, "run.toml: found a whole number of 5000 digits, expected at most 19"),
    ("", "run.toml: agent.name is missing: expected the name of a player (engram list agents)"),
    ("agent = 5", "run.toml: agent = 5: expected a table of settings"),
    ("[agent]\nname = 5", "run.toml: agent.name = 5: expected the name of a player"),
    (
        '[agent]\nname = "q_lerning"',
        "run.toml: unknown agent 'q_lerning'; did you mean q_learning? (engram list agents)",
    ),
]


@pytest.mark.parametrize(("text", "answer"), PLACES)
def test_a_broken_text_is_named_with_its_place(text: str, answer: str) -> None:
    assert refusal(text).startswith(answer)


def test_nested_tables_of_options_are_bounded(engram: Engram, tmp_path: Path) -> None:
    key = ".".join("a" * 5_000)
    for words in ([f"--env.kwargs.{key}", "1"], ["--env.kwargs", f"{{{key} = 1}}"], ["--env.kwargs", "[" * 5000]):
        said = engram("run", "td", "CartPole-v1", *words, "--lab", str(tmp_path / "l"), code=2).err
        assert said.startswith("engram: --env.kwargs")
        assert (said.count("\n"), len(said) < 200) == (1, True)


def test_keys_of_many_parts_are_read_up_to_the_bound() -> None:
    key = ".".join("a" * 63)
    assert len(codec.parse(f'{key} = "{"b." * 100}"\n', "x").values) == 1


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'title = "\xe9"')
    for path, reason in (
        (latin, "byte 9 is not UTF-8, expected a TOML file"),
        (tmp_path, "cannot be read: it is a folder"),
    ):
        with pytest.raises(ValueError, match=reason):
            codec.read(path)
    with pytest.raises(ValueError, match=r"no\.toml: cannot be read: No such file"):
        codec.read(tmp_path / "no.toml")


def test_later_layers_win_and_an_error_names_its_own_layer() -> None:
    file = ConfigSource(
        {"seeds": 3, "agent": {"name": PATH, "count": 5, "rate": 2.0}, "env": {"name": PATH}}, "run.toml"
    )
    flags = ConfigSource({"agent": {"count": "7", "inner": {"level": "1"}}}, flags=True)
    config = codec.assemble(RunConfig, [file, flags])
    assert (config.seeds, config.agent_settings.count, config.agent_settings.rate) == (3, 7, 2.0)
    assert config.agent_settings.inner == Inner(level=1.0)
    with pytest.raises(ValueError, match=r"^--agent\.inner\.level 2: expected a number >= 0 and <= 1$"):
        codec.assemble(RunConfig, [file, ConfigSource({"agent": {"inner": {"level": "2"}}}, flags=True)])


FLAGS = [
    ("rate", "2", 2.0),
    ("rate", ".5", 0.5),
    ("count", "1e3", 1_000),
    ("count", "1_000", 1_000),
    ("limit", "none", None),
    ("double", "true", True),
    ("double", "False", False),
    ("title", "5", "5"),
    ("title", "none", "none"),
    ("title", "[1]", "[1]"),
    ("hidden", "64,32", (64, 32)),
    ("hidden", "[64]", (64,)),
    ("hidden", "[]", ()),
    ("kwargs", 'map_name="8x8",slip=false', {"map_name": "8x8", "slip": False}),
    ("kwargs", {"map_name": "8x8", "slip": "0.5"}, {"map_name": "8x8", "slip": 0.5}),
]


@pytest.mark.parametrize(("name", "text", "value"), FLAGS)
def test_an_option_is_parsed_by_the_type_of_its_field(name: str, text: Any, value: Any) -> None:
    config = codec.assemble(RunConfig, [ConfigSource(PLAYERS), ConfigSource({"agent": {name: text}}, flags=True)])
    assert getattr(config.agent_settings, name) == value


@pytest.mark.parametrize("text", ["", "nan", "1e999", "0y10", "5 # five", "5\nx = 1", "--", "\udcff", "9" * 5_000])
def test_an_option_that_is_not_a_number_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"^--agent\.rate .{1,70}: expected a (finite )?number > 0$"):
        codec.assemble(RunConfig, [ConfigSource(PLAYERS), ConfigSource({"agent": {"rate": text}}, flags=True)])


numbers = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(codec="utf-8"), max_size=20)
inners = st.builds(Inner, level=st.floats(0, 1), kind=st.sampled_from(["linear", "exponential"]))
players = st.builds(
    Config,
    step_size=st.floats(0, 1, exclude_min=True),
    rate=st.floats(0, exclude_min=True, allow_infinity=False),
    shift=numbers,
    count=st.integers(1, 2**63 - 1),
    limit=st.none() | st.integers(0, 2**63 - 1),
    double=st.booleans(),
    title=texts.filter(lambda text: text != "none"),
    hidden=st.lists(st.integers(1, 4096), max_size=4).map(tuple),
    kwargs=st.dictionaries(texts, st.booleans() | st.integers(-9, 9) | numbers | texts, max_size=3),
    inner=inners,
)
configs = st.builds(
    RunConfig,
    agent=st.just(PATH),
    env=st.just(PATH),
    seeds=st.integers(1, 10**6),
    first_seed=st.integers(0, 10**15),
    steps=st.integers(1, 10**12),
    eval_every=st.integers(0, 10**12),
    eval_episodes=st.integers(1, 10**6),
    threads=st.integers(0, 1024),
    device=st.sampled_from(["cpu", "cuda", "cuda:1"]),
    agent_settings=players,
    env_settings=players,
)


@pytest.mark.slow
@given(configs)
def test_toml_and_back_is_the_same_run(config: RunConfig) -> None:
    again = codec.from_toml(RunConfig, to_toml(config), "again.toml")
    assert again == config
    assert settings_hash(again) == settings_hash(config)


def test_the_hash_is_about_what_the_result_depends_on() -> None:
    config = build(PLAYERS)
    others = [
        dataclasses.replace(config, seeds=9),
        dataclasses.replace(config, first_seed=1),
        dataclasses.replace(config, steps=1),
        dataclasses.replace(config, eval_every=7),
        dataclasses.replace(config, eval_episodes=7),
        dataclasses.replace(config, agent_settings=Config(rate=2.0)),
        dataclasses.replace(config, env_settings=Config(inner=Inner())),
    ]
    hashes = [settings_hash(each) for each in (config, *others)]
    assert len(set(hashes)) == len(hashes)
    assert all(len(each) == 64 for each in hashes)
    assert settings_hash(dataclasses.replace(config, threads=5)) == hashes[0]
    assert settings_hash(dataclasses.replace(config, eval_every=eval_period(config))) == hashes[0]


def test_evaluations_are_a_twentieth_of_the_run_apart_by_default() -> None:
    config = build(PLAYERS)
    assert eval_period(config) == 2_500
    assert eval_period(dataclasses.replace(config, steps=7)) == 1
    assert eval_period(dataclasses.replace(config, eval_every=11)) == 11


keys = st.sampled_from(["seeds", "steps", "agent", "env", "name", "inner", "level", "rate", "hidden", "kwargs", "x"])
values = st.recursive(
    st.integers() | st.floats() | st.booleans() | texts | st.sampled_from([PATH, "rooms", "none", "td"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


def refused(make: Callable[[], RunConfig]) -> str | None:
    """Return the line of the error, or None if a run was built."""
    try:
        assert isinstance(make(), RunConfig)
    except ValueError as error:
        return str(error)
    return None


@given(st.dictionaries(keys, values, max_size=5))
def test_any_tables_are_a_run_or_one_line(tables: dict[str, Any]) -> None:
    typed = ConfigSource(_texts(tables), flags=True)
    for layers in ([ConfigSource({**PLAYERS, **tables}, "run.toml")], [ConfigSource(PLAYERS), typed]):
        line = refused(lambda layers=layers: codec.assemble(RunConfig, layers))
        assert line is None or (line.isprintable() and len(line) < 400)


def _texts(value: Any) -> Any:
    return {key: _texts(item) for key, item in value.items()} if isinstance(value, dict) else str(value)


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["[agent]", "name", "=", '"td"', "\n", "{", "]", "1", "x"])).map("".join)
)
def test_any_text_is_a_run_or_one_line(text: str) -> None:
    line = refused(lambda: codec.from_toml(RunConfig, text, "run.toml"))
    assert line is None or (line.isprintable() and line.startswith("run.toml: "))
