"""The config of a person's recorded games against one opponent, which a tournament counts as a match."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from simulator.config import codec
from simulator.config.codec import Format, PlayerEntry, choose, files_of, forget_place, table_of
from simulator.config.presets import find_agent
from simulator.config.validation import ConfigSource


@dataclass(frozen=True)
class PlayedMatchConfig:
    """A person's recorded games against one opponent, over many seeds."""

    target: str
    """the lab, the person in it, and a fingerprint of what was played: ``/home/me/lab#ann#0123456789abcdef``"""
    game: str
    """the game's name"""
    opponent: PlayerEntry
    """whom the person played against"""
    person_first: bool = True
    """the person's score is that of the match's first side"""
    seeds: Annotated[int, Meta(ge=1, le=10**6)] = 8
    """number of seeds, of one episode each"""
    first_seed: Annotated[int, Meta(ge=0, le=10**15)] = 0
    """first seed; the others follow it"""
    game_settings: Any = None
    """the game's own Config"""


def build(values: Mapping[str, Any]) -> PlayedMatchConfig:
    """Make one of nested tables: ``target``, ``person_first``, and the tables ``game`` and ``opponent``.

    Raises:
        ValueError: a missing, unknown or bad setting, in one line.
    """
    return codec.build(PlayedMatchConfig, values)


def _compose(sources: Sequence[ConfigSource], values: dict[str, Any]) -> PlayedMatchConfig:
    game = choose(sources, "game", "games")
    opponent = choose(sources, "opponent", "agents", find_agent)
    return PlayedMatchConfig(**values, game=game.name, opponent=opponent, game_settings=game.settings)


def _players(config: PlayedMatchConfig) -> dict[str, Any]:
    opponent = config.opponent
    return {
        "game": table_of(config.game, config.game_settings),
        "opponent": {**table_of(opponent.name, opponent.settings), "label": opponent.label},
    }


def _identify(config: PlayedMatchConfig, tables: dict[str, Any]) -> Iterable[str]:
    """Leave out the label and the lab's folder: what was played counts, not where it is."""
    tables["target"] = config.target.rpartition("#")[2]
    del tables["opponent"]["label"]
    forget_place(tables["game"])
    forget_place(tables["opponent"], config.opponent.settings)
    yield from files_of("games", config.game, config.game_settings)
    yield from files_of("agents", config.opponent.name, config.opponent.settings)


codec.register(
    PlayedMatchConfig,
    Format("played", ("game", "opponent"), ("game", "opponent", "game_settings"), _compose, _players, _identify),
)
