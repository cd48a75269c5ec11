"""The config of a sitting: a person plays an environment, or a game against an opponent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from simulator.config import codec
from simulator.config.codec import Format, PlayerEntry, choose, files_of, forget_place, own_settings, table_of
from simulator.config.presets import find_agent
from simulator.config.run import forget_unused
from simulator.config.validation import ConfigSource, check
from simulator.core import registry
from simulator.core.field_types import CountOrZero

Name = Annotated[str, Meta(min_length=1, max_length=40)]
_NAME = re.compile(r"[^\W_][\w.-]*")


@dataclass(frozen=True)
class PlayConfig:
    """A person in one environment, or in one game against an opponent."""

    name: Name = "me"
    """who plays; the episodes compete as human:NAME"""
    first_seed: Annotated[int, Meta(ge=0, le=10**15)] = 0
    """seed of the first episode; every further episode has the next one"""
    run: str = ""
    """stored run whose agents are the opponent, in place of a named one"""
    train_steps: CountOrZero = 0
    """moves of training of the opponent before the first game, in play against another of its kind"""
    learn: bool = False
    """let the opponent go on learning, and exploring, while it plays"""
    env: str = ""
    """the environment's name; empty: it is a game"""
    game: str = ""
    """the game's name; empty: it is an environment"""
    opponent: PlayerEntry | None = None
    """the other side of a game"""
    env_settings: Any = None
    """the environment's own Config"""
    game_settings: Any = None
    """the game's own Config"""

    @property
    def place(self) -> str:
        """The environment's name, or the game's."""
        return self.env or self.game

    @property
    def against(self) -> str:
        """The opponent's name; empty in an environment."""
        return f"run:{self.run}" if self.run else self.opponent.label if self.opponent else ""


def _compose(sources: Sequence[ConfigSource], values: dict[str, Any]) -> PlayConfig:
    name = values.get("name", PlayConfig.name)
    if not _NAME.fullmatch(name) or name.endswith(".json"):
        raise ValueError(f"name = {name!r}: expected letters and digits, with . - _ between them, such as ann")
    if not any("game" in source.values for source in sources):
        env = choose(sources, "env", "envs")
        return PlayConfig(**values, env=env.name, env_settings=env.settings)
    game = choose(sources, "game", "games")
    advice = getattr(registry.load("games", game.name).module, "MATCH_DEFAULTS", {})
    known = [setting for setting in own_settings(PlayConfig) if setting.name in ("train_steps", "learn")]
    names = {setting.name for setting in known}
    defaults = check(known, {key: advice[key] for key in names & advice.keys()}, ConfigSource({}, f"game {game.name}"))
    opponent = None if values.get("run") else choose(sources, "opponent", "agents", find_agent)
    return PlayConfig(**{**defaults, **values}, game=game.name, game_settings=game.settings, opponent=opponent)


def _players(config: PlayConfig) -> dict[str, Any]:
    if config.env:
        return {"env": table_of(config.env, config.env_settings)}
    tables = {"game": table_of(config.game, config.game_settings)}
    if config.opponent is not None:
        tables["opponent"] = {
            **table_of(config.opponent.name, config.opponent.settings),
            "label": config.opponent.label,
        }
    return tables


def _identify(config: PlayConfig, tables: dict[str, Any]) -> Iterable[str]:
    """Count all but labels and places."""
    if config.run:
        tables["run"] = config.run.rpartition("#")[2]
    if config.env:
        forget_place(tables["env"])
        forget_unused(tables["env"])
        yield from files_of("envs", config.env, config.env_settings)
        return
    forget_place(tables["game"])
    yield from files_of("games", config.game, config.game_settings)
    if config.opponent is not None:
        del tables["opponent"]["label"]
        forget_place(tables["opponent"], config.opponent.settings)
        yield from files_of("agents", config.opponent.name, config.opponent.settings)


_TABLES = ("env", "game", "opponent")
codec.register(
    PlayConfig, Format("play", _TABLES, (*_TABLES, "env_settings", "game_settings"), _compose, _players, _identify)
)
