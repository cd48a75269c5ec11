"""The settings of a contest between memories: files, flags and calls make one checked ``ArenaConfig``, and back."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from msgspec import Meta

from simulator.config.renames import configured, read_stored
from simulator.config.run import parse, plain
from simulator.config.validation import ConfigSource, Setting, check, merge, settings
from simulator.core import registry
from simulator.core.field_types import CountOrZero
from simulator.core.files.escaping import checked_name
from simulator.core.files.reading import add_to
from simulator.core.foreign.python_files import identity
from simulator.core.stopping import raise_if_stopped

if TYPE_CHECKING:
    from simulator.store.records import RunRecord

Number = Annotated[int, Meta(ge=1, le=10**7)]


class Contestant(NamedTuple):
    """A memory with its settings, under a name of its own."""

    label: str
    memory: str
    settings: Any  # the memory's own Config


@dataclass(frozen=True)
class ArenaConfig:
    """Memories that recall the same corrupted patterns, over many seeds."""

    challenge: str
    """the challenge's name"""
    contestants: tuple[Contestant, ...]
    """who competes"""
    seeds: Annotated[int, Meta(ge=1, le=10**5)] = 8
    """how many seeds, each with patterns, corruption and memories of its own"""
    first_seed: Annotated[int, Meta(ge=0, le=10**15)] = 0
    """the first seed; the others follow it"""
    patterns: Annotated[tuple[Number, ...], Meta(min_length=1)] = (20,)
    """how many patterns are stored; each number makes cells of its own"""
    corruption: Annotated[tuple[str, ...], Meta(min_length=1)] = ("flip:0.2",)
    """kinds of corruption, each with its amount: flip, flips, salt, gauss, erase, hide, block, shift, blur, mix"""
    cues: CountOrZero = 0
    """cues per seed; 0: one of every stored pattern"""
    novel: Number = 100
    """patterns that were never stored, for familiarity and retrieval; fewer where the challenge has no more"""
    basin: bool = False
    """measure the radius of the basins: flipped units that are still repaired"""
    capacity: bool = False
    """search for the loads, up to 4,096, at which half and 99 % of the patterns are still recalled exactly"""
    skip: bool = False
    """a memory that refuses its patterns is marked and left out there; off: its refusal ends the contest"""
    threads: Annotated[int, Meta(ge=0, le=1024)] = 0
    """threads that share the seeds; 0: one per core"""
    challenge_settings: Any = None
    """the challenge's own Config"""


_TABLES = ("memory", "challenge")


def arena_settings() -> list[Setting]:
    """The settings of a contest that are neither a player nor a player's."""
    hidden = ("challenge", "contestants", "challenge_settings")
    return [each for each in settings(ArenaConfig) if each.name not in hidden]


def build(values: Mapping[str, Any]) -> ArenaConfig:
    """A contest from nested tables: ``{"memory": {"hopfield": {"rule": "storkey"}}, "challenge": {"name": "digits"}}``.

    Raises:
        ValueError: a missing, unknown or bad setting, in one line.
    """
    return assemble([ConfigSource(values)])


def from_toml(text: str, where: str) -> ArenaConfig:
    """The contest that a TOML text describes; ``where`` names it in errors.

    Raises:
        ValueError: something in it is wrong, in one line.
    """
    return assemble([parse(text, where)])


def from_stored(record: RunRecord) -> ArenaConfig:
    """The settings of a stored contest, under the names that they have today.

    Raises:
        ValueError: they cannot be had any more, in one line that names the version that made it.
    """
    return configured(assemble, "recall", record.settings, f"settings of {record.run}", record.versions)


def outline(record: RunRecord) -> ArenaConfig:
    """What a stored contest is made of, without its players' settings: also where nobody has them any more."""
    stored = read_stored("recall", record.settings, f"settings of {record.run}", record.versions, refuse=False)
    tables = dict(stored.layer.values)
    contestants = [Contestant(label, str(own.get("name", label)), None) for label, own in tables["memory"].items()]
    known = {field.name for field in dataclasses.fields(ArenaConfig)} - {"challenge"}
    own = {name: tuple(value) if isinstance(value, list) else value for name, value in tables.items() if name in known}
    return ArenaConfig(str(tables["challenge"].get("name")), tuple(contestants), **own)


def is_as_stored(config: ArenaConfig, record: RunRecord) -> bool:
    """Whether these are a stored contest's settings, and the files that they name hold what they held when it began."""
    own = settings_hash(config)
    if own == record.settings_hash:
        return True
    if own != settings_hash(from_stored(record)):
        return False
    return _hash(tomllib.loads(record.settings), config) == record.settings_hash  # under the names of its time


def assemble(layers: Sequence[ConfigSource]) -> ArenaConfig:
    """A contest from layers of settings, each over the ones before.

    A table ``memory`` holds a table for every contestant, by its label: ``name``, the memory's or a preset's (the
    label where it is missing), and settings.

    Raises:
        ValueError: a missing, unknown or bad setting, in one line that says where it was read.
    """
    parts: dict[str, Any] = {}
    known = [*arena_settings(), *(Setting(table, dict, None, "") for table in _TABLES)]
    for layer in layers:
        own = {key: value for key, value in layer.values.items() if key not in _TABLES}
        parts |= check(known, own, layer)
    challenge, chosen = _challenge(layers)
    return ArenaConfig(challenge, _contestants(layers), **parts, challenge_settings=chosen)


def _challenge(layers: Sequence[ConfigSource]) -> tuple[str, Any]:
    for layer in layers:
        for table in _TABLES:
            if not isinstance(layer.values.get(table, {}), Mapping):
                raise ValueError(f"{layer.place((table,), layer.values[table])}: expected a table")
    named = [layer.values["challenge"] for layer in layers if "name" in layer.values.get("challenge", {})]
    if not named:
        raise ValueError("challenge.name is missing: expected the name of a challenge (engram list challenges)")
    player = registry.load("challenges", named[-1]["name"])
    known, chosen = settings(player.Config), player.Config()
    for layer in layers:
        own = {key: value for key, value in layer.values.get("challenge", {}).items() if key != "name"}
        chosen = merge(chosen, check(known, own, layer, ("challenge",)))
    return player.name, chosen


def _contestants(layers: Sequence[ConfigSource]) -> tuple[Contestant, ...]:
    labels = list(dict.fromkeys(label for layer in layers for label in layer.values.get("memory", {})))
    if not labels:
        raise ValueError("expected a memory at least (engram list memories)")
    return tuple(_contestant(checked_name(label, "memory"), layers) for label in labels)


def _contestant(label: str, layers: Sequence[ConfigSource]) -> Contestant:
    tables = [(layer, layer.values.get("memory", {}).get(label, {})) for layer in layers]
    for layer, table in tables:
        if not isinstance(table, Mapping):
            raise ValueError(f"{layer.place(('memory', label), table)}: expected a table of settings")
    names = [table["name"] for _, table in tables if "name" in table]
    player, chosen = find_memory(str(names[-1] if names else label))
    known = settings(player.Config)
    for layer, table in tables:
        own = {key: value for key, value in table.items() if key != "name"}
        chosen = merge(chosen, check(known, own, layer, ("memory", label)))
    return Contestant(label, player.name, chosen)


def find_memory(name: str) -> tuple[registry.Plugin, Any]:
    """The memory of that name or preset, and its settings.

    Raises:
        ValueError: nobody has that name.
    """
    try:
        player = registry.load("memories", name)
        return player, player.Config()
    except registry.UnknownNameError as error:
        presets = memory_presets()
        if (found := presets.get(name.replace("_", "-"))) is None:
            known = [*registry.candidates("memories"), *presets]
            raise ValueError(registry.unknown_name_message("memory", name, known, "engram list memories")) from error
    player, own = found
    layer = ConfigSource(own, f"preset {name}")
    return player, merge(player.Config(), check(settings(player.Config), own, layer))


def memory_presets() -> dict[str, tuple[registry.Plugin, Mapping[str, Any]]]:
    """Name -> memory and settings of the presets in all memories' files (their ``PRESETS``)."""
    players = [registry.load("memories", name) for name in registry.names("memories")]
    return {
        preset: (player, entry.get("memory", {}))
        for player in players
        for preset, entry in getattr(player.module, "PRESETS", {}).items()
    }


def to_toml(config: ArenaConfig) -> str:
    """Every setting as TOML; ``from_toml`` reads it back as the same contest."""
    import tomli_w

    return tomli_w.dumps(_tables(config))


def settings_hash(config: ArenaConfig) -> str:
    """SHA-256 of everything that the result depends on, in hex; what a named file holds counts too."""
    return _hash(_tables(config), config)


def _hash(tables: dict[str, Any], config: ArenaConfig) -> str:
    """The same, of the settings as tables."""
    tables.pop("threads", None)
    for own in (tables["challenge"], *tables["memory"].values()):
        own["name"] = identity(own["name"])
    digest = hashlib.sha256(json.dumps(tables, sort_keys=True, default=str).encode())
    read = getattr(registry.load("challenges", config.challenge).module, "files", None)
    for path in read(config.challenge_settings) if read else ():
        raise_if_stopped()
        digest.update(Path(path).name.encode())
        add_to(digest, path)
    return digest.hexdigest()


def _tables(config: ArenaConfig) -> dict[str, Any]:
    tables: dict[str, Any] = {each.name: getattr(config, each.name) for each in arena_settings()}
    tables["challenge"] = {"name": config.challenge, **dataclasses.asdict(config.challenge_settings)}
    tables["memory"] = {
        each.label: {"name": each.memory, **dataclasses.asdict(each.settings)} for each in config.contestants
    }
    found: dict[str, Any] = plain(tables)
    return found
