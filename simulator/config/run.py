"""The settings of a run: from files, flags and calls into one checked ``RunConfig``, and back into TOML."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from simulator.config import imports
from simulator.config.renames import configured, read_stored
from simulator.config.validation import ConfigSource, Setting, check, merge, settings
from simulator.core import registry
from simulator.core.field_types import CountOrZero
from simulator.core.files.reading import add_to, names_file, parse_toml, read_text
from simulator.core.foreign.python_files import identity

if TYPE_CHECKING:
    from simulator.store.records import RunRecord

Device = Annotated[str, Meta(pattern=r"\A(cpu|cuda(:[0-9]{1,3})?)\Z", description="cpu, cuda or cuda:N")]


@dataclass(frozen=True)
class RunConfig:
    """One agent in one environment, over many seeds."""

    agent: str
    """the agent's name"""
    env: str
    """the environment's name"""
    seeds: Annotated[int, Meta(ge=1, le=10**6)] = 8
    """how many seeds learn at once, each on streams of its own"""
    first_seed: Annotated[int, Meta(ge=0, le=10**15)] = 0
    """the first seed; the others follow it"""
    steps: Annotated[int, Meta(ge=1, le=10**12)] = 50_000
    """environment steps of training per seed"""
    eval_every: CountOrZero = 0
    """environment steps between greedy evaluations; 0: a twentieth of steps"""
    eval_episodes: Annotated[int, Meta(ge=1, le=10**6)] = 100
    """episodes per seed of the last greedy evaluation; one on the way plays a tenth, or none where it is exact"""
    eval_max_steps: CountOrZero = 0
    """steps after which an evaluation episode that the environment has not ended is cut, counted as cut and never as a
    return; 0: after the environment's own limit, but not before 100,000"""
    threads: Annotated[int, Meta(ge=0, le=1024)] = 0
    """threads that share the seeds; 0: one per core"""
    device: Device = "cpu"
    """where torch networks compute"""
    agent_settings: Any = None
    """the agent's own Config"""
    env_settings: Any = None
    """the environment's own Config"""


OF_A_CELL = "settings of the cell"  # where the settings of a tournament's cell were read
_PLAYERS = {"agent": "agents", "env": "envs"}  # table of the file -> kind of player


def run_settings() -> list[Setting]:
    """The settings of a run that are neither a player nor a player's."""
    return [each for each in settings(RunConfig) if each.name.partition("_")[0] not in _PLAYERS]


def build(values: Mapping[str, Any]) -> RunConfig:
    """A run from nested tables: ``{"seeds": 16, "agent": {"name": "td", "gamma": 0.9}, "env": {"name": "rooms"}}``.

    Raises:
        ValueError: a missing, unknown or bad setting, in one line.
    """
    return assemble([ConfigSource(values)])


def assemble(layers: Sequence[ConfigSource]) -> RunConfig:
    """A run from layers of settings, each over the ones before. See ``build`` for their form.

    Raises:
        ValueError: a missing, unknown or bad setting, in one line that says where it was read.
    """
    parts: dict[str, Any] = {}
    for layer in layers:
        own = {key: value for key, value in layer.values.items() if key not in _PLAYERS}
        parts |= check([*run_settings(), *(Setting(table, dict, None, "") for table in _PLAYERS)], own, layer)
    for table, kind in _PLAYERS.items():
        player = _player(layers, table, kind)
        known, chosen = settings(player.Config), player.Config()
        for layer in layers:
            own = {key: value for key, value in _table(layer, table).items() if key != "name"}
            chosen = merge(chosen, check(known, own, layer, (table,)))
        parts |= {table: player.name, f"{table}_settings": chosen}
    return RunConfig(**parts)


def load(path: str | Path) -> RunConfig:
    """The run that a TOML file describes.

    Raises:
        ValueError: the file cannot be read, or something in it is wrong, in one line.
    """
    return assemble([read(path)])


def read(path: str | Path) -> ConfigSource:
    """The settings in a TOML file, not yet checked.

    Raises:
        ValueError: the file cannot be read, in one line.
    """
    return parse(read_text(path, "a TOML file", handed=True), str(path))


def parse(text: str, where: str) -> ConfigSource:
    """The settings in a TOML text, not yet checked; ``where`` names it in errors. Says what code they import.

    Raises:
        ValueError: not TOML; says file, line and column.
    """
    try:
        values = parse_toml(text)
    except ValueError as error:
        at = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", str(error))
        if not at:
            raise ValueError(f"{where}: {error}") from None
        line, column = (at[1], at[2]) if at[1] else _end(text)
        reason = str(error)[: at.start()]
        raise ValueError(f"{where}: line {line}, column {column}: {' '.join(reason.split())}") from None
    if where != OF_A_CELL:  # its tournament has said it
        imports.tell(values, where)
    return ConfigSource(values, where)


def from_toml(text: str, where: str) -> RunConfig:
    """The run that a TOML text describes; ``where`` names it in errors.

    Raises:
        ValueError: something in it is wrong, in one line.
    """
    return assemble([parse(text, where)])


def from_stored(record: RunRecord) -> RunConfig:
    """The settings of a stored run, under the names that they have today.

    Raises:
        ValueError: they cannot be had any more, in one line that names the version that made it.
    """
    return configured(assemble, "run", record.settings, f"settings of {record.run}", record.versions)


def stored_tables(record: RunRecord) -> dict[str, Any]:
    """The same as tables, not checked: of players that nobody has any more too."""
    if not record.settings:
        return {}
    where = f"settings of {record.run}"
    return dict(read_stored("run", record.settings, where, record.versions, refuse=False).layer.values)


def is_as_stored(config: RunConfig, record: RunRecord) -> bool:
    """Whether these are a stored run's settings, and the files that they name hold what they held when it began."""
    own = settings_hash(config)
    if own == record.settings_hash:
        return True
    if own != settings_hash(from_stored(record)):
        return False
    return _hash(tomllib.loads(record.settings), config) == record.settings_hash  # under the names of its time


def to_toml(config: RunConfig) -> str:
    """Every setting as TOML; ``from_toml`` reads it back as the same run. None is written as ``"none"``."""
    import tomli_w

    return tomli_w.dumps(_tables(config))


def settings_hash(config: RunConfig) -> str:
    """SHA-256 of everything that the result depends on, in hex: two runs with the same hash give the same bits.

    Where a setting names a file (a map, a policy), what the file holds counts too.
    """
    return _hash(_tables(config), config)


def _hash(tables: dict[str, Any], config: RunConfig) -> str:
    """The same, of the settings as tables."""
    tables = {name: dict(table) if isinstance(table, dict) else table for name, table in tables.items()}
    tables["eval_every"] = eval_period(config)
    tables.pop("threads", None)
    if not tables.get("eval_max_steps"):  # runs that were stored before there was this setting have the same hash
        tables.pop("eval_max_steps", None)
    if tables["env"].get("masks") is False:  # likewise
        del tables["env"]["masks"]
    for player in _PLAYERS:
        tables[player]["name"] = identity(tables[player]["name"])
    digest = hashlib.sha256(json.dumps(tables, sort_keys=True, default=str).encode())
    for table, kind in _PLAYERS.items():
        for path in files_of(kind, getattr(config, table), getattr(config, f"{table}_settings")):
            add_to(digest, path)
    return digest.hexdigest()


def files_of(kind: str, name: str, chosen: Any) -> list[str]:
    """The files that a player's settings name and that are there, as its module's function ``files(config)`` says.

    Where it has none they are the texts that are written as paths (:func:`simulator.core.files.reading.names_file`): a
    file in the working folder that is called like a setting's value is not meant.
    """
    told = getattr(registry.load(kind, name).module, "files", None)
    if told is not None:
        return list(map(str, told(chosen)))
    return [
        value for value in (getattr(chosen, field.name) for field in dataclasses.fields(chosen)) if names_file(value)
    ]


def eval_period(config: RunConfig) -> int:
    """Environment steps between evaluations."""
    return config.eval_every or max(1, config.steps // 20)


def _player(layers: Sequence[ConfigSource], table: str, kind: str) -> registry.Plugin:
    """The player that the last layer with a name names."""
    naming = [layer for layer in layers if "name" in _table(layer, table)]
    place = next((f"{layer.where}: " for layer in reversed(naming or layers) if layer.where), "")
    if not naming:
        raise ValueError(f"{place}{table}.name is missing: expected the name of a player (engram list {kind})")
    name = _table(naming[-1], table)["name"]
    if not isinstance(name, str):
        raise ValueError(f"{naming[-1].place((table, 'name'), name)}: expected the name of a player")
    try:
        return registry.load(kind, name)
    except ValueError as error:
        raise ValueError(f"{place if naming[-1].where else ''}{error}") from error


def _table(layer: ConfigSource, name: str) -> Mapping[str, Any]:
    table = layer.values.get(name, {})
    if not isinstance(table, Mapping):
        raise ValueError(f"{layer.place((name,), table)}: expected a table of settings")
    return table


def _tables(config: RunConfig) -> dict[str, Any]:
    """The nested tables that ``build`` reads."""
    every: dict[str, Any] = plain(dataclasses.asdict(config))
    own = {table: every.pop(f"{table}_settings") for table in _PLAYERS}
    names = {table: every.pop(table) for table in _PLAYERS}
    return every | {table: {"name": names[table], **own[table]} for table in _PLAYERS}


def plain(value: Any) -> Any:
    """Settings as TOML has them: none is a word, sequences are lists."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return "none" if value is None else value


def _end(text: str) -> tuple[int, int]:
    return text.count("\n") + 1, len(text) - text.rfind("\n")
