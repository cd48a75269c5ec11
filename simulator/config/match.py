"""The config of a match: two agents that play one game against each other, over many seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from simulator.config import codec
from simulator.config.codec import Format, PlayerEntry, choose, files_of, forget_place, own_settings, table_of
from simulator.config.presets import find_agent
from simulator.config.validation import ConfigSource, check
from simulator.core import registry
from simulator.core.field_types import Count, CountOrZero


@dataclass(frozen=True)
class MatchConfig:
    """Two agents that play one game against each other, over many seeds."""

    game: str
    """the game's name"""
    first: PlayerEntry
    """agent whose score is counted"""
    second: PlayerEntry
    """its opponent"""
    seeds: Annotated[int, Meta(ge=1, le=10**6)] = 8
    """number of seeds, each with random streams of its own for both agents and for the game"""
    first_seed: Annotated[int, Meta(ge=0, le=10**15)] = 0
    """first seed; the others follow it"""
    episodes: Count = 100
    """episodes, or games, per seed; where sides take turns each agent begins half of them"""
    train_steps: CountOrZero = 0
    """moves of training before the match, in play against another learner of the same kind; where sides take turns the
    last game is played to its end"""
    learn: bool = True
    """go on learning, and exploring, in the match; off: play the learned policies"""
    game_settings: Any = None
    """the game's own Config"""


_SIDES = ("first", "second")


def build(values: Mapping[str, Any]) -> MatchConfig:
    """Make a match of nested tables.

    ``{"game": {"name": "iterated_matrix", "noise": 0.01}, "first": {"name": "tit-for-tat"}, "second": {"name": "td"}}``
    The tables ``first`` and ``second`` hold ``name``, an agent's or a strategy's, ``label`` (by default the name) and
    settings of the agent. The game's ``MATCH_DEFAULTS`` stand where nothing is given.

    Raises:
        ValueError: a missing, unknown or bad setting, in one line.
    """
    return codec.build(MatchConfig, values)


def _compose(sources: Sequence[ConfigSource], values: dict[str, Any]) -> MatchConfig:
    game = choose(sources, "game", "games")
    first = choose(sources, "first", "agents", find_agent)
    second = choose(sources, "second", "agents", find_agent)
    advice = getattr(registry.load("games", game.name).module, "MATCH_DEFAULTS", {})
    defaults = check(own_settings(MatchConfig), advice, ConfigSource({}, f"game {game.name}: MATCH_DEFAULTS"))
    return MatchConfig(game.name, first, second, **{**defaults, **values}, game_settings=game.settings)


def _players(config: MatchConfig) -> dict[str, Any]:
    tables = {"game": table_of(config.game, config.game_settings)}
    for side in _SIDES:
        entry: PlayerEntry = getattr(config, side)
        tables[side] = {**table_of(entry.name, entry.settings), "label": entry.label}
    return tables


def _identify(config: MatchConfig, tables: dict[str, Any]) -> Iterable[str]:
    """Leave out the labels, on which no result depends."""
    forget_place(tables["game"])
    yield from files_of("games", config.game, config.game_settings)
    for side in _SIDES:
        entry: PlayerEntry = getattr(config, side)
        del tables[side]["label"]
        forget_place(tables[side], entry.settings)
        yield from files_of("agents", entry.name, entry.settings)


codec.register(
    MatchConfig,
    Format("match", ("game", *_SIDES), ("game", *_SIDES, "game_settings"), _compose, _players, _identify),
)
