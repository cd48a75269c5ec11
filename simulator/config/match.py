"""The settings of a match: files, flags and calls make one checked ``MatchConfig``, and TOML again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from msgspec import Meta

from simulator.config.presets import strategies
from simulator.config.run import files_of, parse, plain
from simulator.config.validation import ConfigSource, Setting, check, merge, settings
from simulator.core import registry
from simulator.core.field_types import Count, CountOrZero
from simulator.core.files.escaping import checked_name
from simulator.core.files.reading import add_to
from simulator.core.foreign.python_files import identity


class Entrant(NamedTuple):
    """An agent with its settings, under a name of its own."""

    label: str
    agent: str
    settings: Any  # the agent's own Config


@dataclass(frozen=True)
class MatchConfig:
    """Two agents that play one game against each other, over many seeds."""

    game: str
    """the game's name"""
    first: Entrant
    """who is counted"""
    second: Entrant
    """whom it meets"""
    seeds: Annotated[int, Meta(ge=1, le=10**6)] = 8
    """how many seeds, each with streams of its own for both entrants and for the game"""
    first_seed: Annotated[int, Meta(ge=0, le=10**15)] = 0
    """the first seed; the others follow it"""
    episodes: Count = 100
    """episodes, or games, of every seed; where sides take turns each entrant begins half of them"""
    train_steps: CountOrZero = 0
    """moves that an entrant makes before the match, in play against another learner of its kind; where sides take
    turns the last game is played to its end"""
    learn: bool = True
    """entrants go on learning, and exploring, in the match; off: they play what they have learned"""
    game_settings: Any = None
    """the game's own Config"""


_SIDES = ("first", "second")
_TABLES = ("game", *_SIDES)


def match_settings() -> list[Setting]:
    """The settings of a match that are neither a player nor a player's."""
    return [
        each
        for each in settings(MatchConfig)
        if each.name.partition("_")[0] not in _TABLES or each.name == "first_seed"
    ]


def build(values: Mapping[str, Any]) -> MatchConfig:
    """A match from nested tables.

    ``{"game": {"name": "iterated_matrix", "noise": 0.01}, "first": {"name": "tit-for-tat"}, "second": {"name": "td"}}``

    Raises:
        ValueError: a missing, unknown or bad setting, in one line.
    """
    return assemble([ConfigSource(values)])


def from_toml(text: str, where: str) -> MatchConfig:
    """The match that a TOML text describes; ``where`` names it in errors.

    Raises:
        ValueError: something in it is wrong, in one line.
    """
    return assemble([parse(text, where)])


def assemble(layers: Sequence[ConfigSource]) -> MatchConfig:
    """Merge layers of settings into a match, each over the ones before, all over the game's ``MATCH_DEFAULTS``.

    The tables ``first`` and ``second`` hold ``name``, the agent's or a strategy's, ``label`` (the name where it is
    missing) and settings of the agent; the table ``game`` holds ``name`` and the game's settings.

    Raises:
        ValueError: a missing, unknown or bad setting, in one line that says where it was read.
    """
    known = [*match_settings(), *(Setting(table, dict, None, "") for table in _TABLES)]
    parts: dict[str, Any] = {}
    for layer in layers:
        parts |= check(known, {key: value for key, value in layer.values.items() if key not in _TABLES}, layer)
    player = _named(layers, "game", "games")
    entrants = [_entrant(layers, side) for side in _SIDES]
    advice = getattr(player.module, "MATCH_DEFAULTS", {})
    parts = check(known, advice, ConfigSource({}, f"game {player.name}: MATCH")) | parts
    return MatchConfig(player.name, *entrants, **parts, game_settings=_chosen(layers, "game", player, player.Config()))


def find_agent(name: str) -> tuple[registry.Plugin, Any]:
    """The agent of that name, or of the strategy of that name, and its settings.

    Raises:
        ValueError: nobody has that name.
    """
    try:
        player = registry.load("agents", name)
        return player, player.Config()
    except registry.UnknownNameError as error:
        known = strategies()
        if (found := known.get(name.replace("_", "-"))) is None:
            every = [*registry.candidates("agents"), *known]
            raise ValueError(registry.unknown_name_message("agent", name, every, "engram list agents")) from error
    player, own = found
    return player, merge(player.Config(), check(settings(player.Config), own, ConfigSource(own, f"preset {name}")))


def _entrant(layers: Sequence[ConfigSource], side: str) -> Entrant:
    name, layer = _name(layers, side, "agents")
    try:
        player, base = find_agent(name)
    except ValueError as error:
        raise ValueError(f"{layer.where}: {error}" if layer.where else str(error)) from error
    label = next((each["label"] for each in reversed(_of(layers, side)) if "label" in each), name)
    return Entrant(checked_name(str(label), f"{side}.label"), player.name, _chosen(layers, side, player, base))


def _chosen(layers: Sequence[ConfigSource], table: str, player: registry.Plugin, base: Any) -> Any:
    """The player's settings by every layer."""
    for layer, own in zip(layers, _of(layers, table), strict=True):
        left = {key: value for key, value in own.items() if key != "name" and (key != "label" or table == "game")}
        base = merge(base, check(settings(player.Config), left, layer, (table,)))
    return base


def _named(layers: Sequence[ConfigSource], table: str, kind: str) -> registry.Plugin:
    name, layer = _name(layers, table, kind)
    try:
        return registry.load(kind, name)
    except ValueError as error:
        raise ValueError(f"{layer.where}: {error}" if layer.where else str(error)) from error


def _name(layers: Sequence[ConfigSource], table: str, kind: str) -> tuple[str, ConfigSource]:
    """The name that the last layer with one gives, and that layer."""
    for layer, own in zip(reversed(layers), reversed(_of(layers, table)), strict=True):
        if "name" in own:
            if not isinstance(own["name"], str):
                raise ValueError(f"{layer.place((table, 'name'), own['name'])}: expected the name of a player")
            return own["name"], layer
    place = next((f"{layer.where}: " for layer in reversed(layers) if layer.where), "")
    raise ValueError(f"{place}{table}.name is missing: expected the name of a player (engram list {kind})")


def _of(layers: Sequence[ConfigSource], table: str) -> list[Mapping[str, Any]]:
    found = [layer.values.get(table, {}) for layer in layers]
    for layer, own in zip(layers, found, strict=True):
        if not isinstance(own, Mapping):
            raise ValueError(f"{layer.place((table,), own)}: expected a table of settings")
    return found


def to_toml(config: MatchConfig) -> str:
    """Every setting as TOML; ``from_toml`` reads it back as the same match."""
    import tomli_w

    return tomli_w.dumps(_tables(config))


def settings_hash(config: MatchConfig) -> str:
    """SHA-256 of everything that the result depends on, in hex; what a named file holds counts too, labels do not."""
    tables = _tables(config)
    for side in _SIDES:
        del tables[side]["label"]
    for table in _TABLES:
        tables[table]["name"] = identity(tables[table]["name"])
    digest = hashlib.sha256(json.dumps(tables, sort_keys=True, default=str).encode())
    for each in _files(config):
        add_to(digest, each)
    return digest.hexdigest()


def _files(config: MatchConfig) -> list[str]:
    """The files that the settings of the game and of both sides name."""
    chosen = {"game": ("games", config.game, config.game_settings)}
    chosen |= {side: ("agents", each.agent, each.settings) for side in _SIDES for each in [getattr(config, side)]}
    return [path for table in _TABLES for path in files_of(*chosen[table])]


def _tables(config: MatchConfig) -> dict[str, Any]:
    """The nested tables that ``build`` reads."""
    tables: dict[str, Any] = {each.name: getattr(config, each.name) for each in match_settings()}
    tables["game"] = {"name": config.game, **dataclasses.asdict(config.game_settings)}
    for side in _SIDES:
        each: Entrant = getattr(config, side)
        tables[side] = {"name": each.agent, "label": each.label, **dataclasses.asdict(each.settings)}
    found: dict[str, Any] = plain(tables)
    return found
