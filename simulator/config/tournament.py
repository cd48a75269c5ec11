"""The settings of a tournament: files and flags make one checked ``TournamentConfig``, and TOML again.

Contestants and challenges keep the settings that they were given, not those they leave at their defaults: what a
contestant is in one environment may differ from what it is in another (``tuned``, ``in``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from simulator.config.renames import configured, read_stored
from simulator.config.run import parse, plain
from simulator.config.tournament_entries import (
    PLACES,
    SIDES,
    Challenge,
    Contestant,
    Settings,
    Tables,
    challenge_of,
    contestant_of,
    plain_label,
    table_at,
)
from simulator.config.validation import ConfigSource, Setting, check, settings
from simulator.core.field_types import Count, CountOrZero
from simulator.core.files.escaping import checked_name

if TYPE_CHECKING:
    from simulator.store.cell_store import TournamentRecord

Seconds = Annotated[float, Meta(ge=0.0, le=1e9)]


@dataclass(frozen=True)
class TournamentConfig:
    """Contestants that meet in challenges, over many seeds."""

    contestants: tuple[Contestant, ...]
    """who competes"""
    challenges: tuple[Challenge, ...]
    """what they compete in"""
    seeds: Annotated[int, Meta(ge=1, le=10**6)] = 8
    """how many seeds each contestant plays in each challenge, the same for all"""
    first_seed: Annotated[int, Meta(ge=0, le=10**15)] = 0
    """the first seed; the others follow it"""
    block: Annotated[int, Meta(ge=1, le=10**6)] = 16
    """seeds that are played together in one cell; results do not depend on it, but for limits of time"""
    steps: Annotated[int, Meta(ge=1, le=10**12)] = 50_000
    """environment steps of training per seed, in an environment that names no number of its own"""
    eval_every: CountOrZero = 0
    """environment steps between greedy evaluations; 0: a twentieth of steps"""
    eval_episodes: Annotated[int, Meta(ge=1, le=10**6)] = 100
    """episodes per seed of the last greedy evaluation, the same for every contestant"""
    eval_max_steps: CountOrZero = 0
    """steps after which an evaluation episode that the environment has not ended is cut, counted as cut and never as a
    return; 0: after the environment's own limit, but not before 100,000"""
    cpu_seconds: Seconds = 0.0
    """CPU time for training, after which it ends even before its steps: so much for each seed of a cell, which its
    seeds have together; 0: no limit"""
    wall_seconds: Seconds = 0.0
    """the same by the clock on the wall"""
    failed: Literal["floor", "left-out"] = "floor"
    """what counts where a seed failed: the floor of the challenge, what random play comes to, or nothing; of a game
    nothing does, and everybody's seed is left out"""
    skip: bool = False
    """a contestant that cannot play a challenge is left out there; off: it is refused before anything is played"""
    retries: Annotated[int, Meta(ge=0, le=100)] = 2
    """how often a cell is taken up again whose worker died"""
    timeout: Seconds = 0.0
    """seconds after which a cell is given up as failed; 0: never"""
    adaptive: bool = False
    """seeds are added where a pair of contestants is undecided, until all are decided or most_seeds are played"""
    most_seeds: Count = 64
    """seeds per contestant and challenge at most; counts only with adaptive"""
    level: Annotated[float, Meta(gt=0.5, lt=1.0)] = 0.95
    """level of the intervals"""
    resamples: Annotated[int, Meta(ge=100, le=10**6)] = 2_000
    """bootstrap samples"""


_PLAYED_BY = ("contestants", "challenges")


def tournament_settings() -> list[Setting]:
    """The settings of a tournament that are no players."""
    return [each for each in settings(TournamentConfig) if each.name not in _PLAYED_BY]


def build(values: Settings) -> TournamentConfig:
    """A tournament from nested tables: ``{"seeds": 16, "agent": {"td": {}}, "env": {"rooms": {"layout": "four"}}}``.

    Raises:
        ValueError: a missing, unknown or bad setting, in one line.
    """
    return assemble([ConfigSource(values)])


def from_toml(text: str, where: str) -> TournamentConfig:
    """The tournament that a TOML text describes; ``where`` names it in errors.

    Raises:
        ValueError: something in it is wrong, in one line.
    """
    return assemble([parse(text, where)])


def from_stored(record: TournamentRecord) -> TournamentConfig:
    """The settings of a stored tournament, under the names that they have today.

    Raises:
        ValueError: they cannot be had any more, in one line that names the version that made it.
    """
    return configured(assemble, "tournament", record.settings, f"settings of {record.name}", record.versions)


def stored_tables(record: TournamentRecord) -> dict[str, Any]:
    """The same as tables, not checked, of players that nobody has any more too; what is not there has its default."""
    where = f"settings of {record.name}"
    found = read_stored("tournament", record.settings, where, record.versions, refuse=False)
    return {**{each.name: each.default for each in tournament_settings()}, **found.layer.values}


def assemble(layers: Sequence[ConfigSource]) -> TournamentConfig:
    """A tournament from layers of settings, each over the ones before.

    The tables ``agent``, ``memory`` and ``player`` hold a table for every contestant, ``env``, ``challenge`` and
    ``game`` one for every challenge, by label: ``name`` (the label where it is missing) and settings.

    Raises:
        ValueError: a missing, unknown or bad setting, in one line that says where it was read.
    """
    tables = [*SIDES, *SIDES.values()]
    known = [*tournament_settings(), *(Setting(table, dict, None, "") for table in tables)]
    parts: dict[str, Any] = {}
    for layer in layers:
        _flat(layer, tables)
        parts |= check(known, {key: value for key, value in layer.values.items() if key not in tables}, layer)
    challenges = tuple(challenge_of(kind, *each) for kind in PLACES for each in _tables_of(kind, layers))
    contestants = tuple(contestant_of(kind, *each, challenges) for kind in SIDES for each in _tables_of(kind, layers))
    for kind, place in SIDES.items():
        mine, theirs = [c for c in contestants if c.kind == kind], [c for c in challenges if c.kind == place]
        if bool(mine) != bool(theirs):
            there, missing = (kind, place) if mine else (place, kind)
            raise ValueError(f"{there} {(mine or theirs)[0].label}: expected at least one {missing} beside it")
    if not contestants:
        raise ValueError("expected contestants and what they compete in: --agents A ... --envs W ..., or a file")
    labels = [each.label for each in contestants]
    if twice := next((label for label in labels if labels.count(label) > 1), None):
        raise ValueError(f"{twice} competes twice: expected a label of its own for each contestant")
    return TournamentConfig(contestants, challenges, **parts)


def _flat(layer: ConfigSource, tables: Sequence[str]) -> None:
    for table in tables:
        for label, own in table_at(layer, (table,), layer.values.get(table, {})).items():
            table_at(layer, (table, label), own)


def _tables_of(kind: str, layers: Sequence[ConfigSource]) -> list[tuple[str, Tables]]:
    """Label -> what every layer says of it. Flags write ``_`` where a label has ``-`` or the like."""
    found: dict[str, Tables] = {}
    for layer in layers:
        for label, table in layer.values.get(kind, {}).items():
            meant = [each for each in found if plain_label(each) == plain_label(label)] if layer.flags else []
            if layer.flags and not meant:
                near = ", ".join(found) or "nobody"
                raise ValueError(f"{layer.name((kind, label))}: no {kind} is called so, expected one of {near}")
            found.setdefault(meant[0] if meant else _label(layer, kind, label), []).append((layer, table))
    return list(found.items())


def _label(layer: ConfigSource, kind: str, label: str) -> str:
    return checked_name(label, f"{layer.where}: {kind}" if layer.where else kind)


def to_toml(config: TournamentConfig) -> str:
    """Every setting as TOML; ``from_toml`` reads it back as the same tournament."""
    import tomli_w

    return tomli_w.dumps(_tables(config))


def settings_hash(config: TournamentConfig) -> str:
    """SHA-256 of the settings, in hex: a tournament of the same hash is the same tournament."""
    tables = _tables(config)
    if not config.eval_max_steps:  # tournaments that were stored before there was this setting have the same hash
        del tables["eval_max_steps"]
    return hashlib.sha256(json.dumps(tables, sort_keys=True, default=str).encode()).hexdigest()


def _tables(config: TournamentConfig) -> dict[str, Any]:
    tables: dict[str, Any] = {each.name: getattr(config, each.name) for each in tournament_settings()}
    for challenge in config.challenges:
        own = {"name": challenge.name, **challenge.settings, **challenge.own}
        tables.setdefault(challenge.kind, {})[challenge.label] = own
    for each in config.contestants:
        more = ({"tuned": True} if each.tuned else {}) | ({"in": dict(each.elsewhere)} if each.elsewhere else {})
        tables.setdefault(each.kind, {})[each.label] = {"name": each.name, **each.settings, **more}
    found: dict[str, Any] = plain(tables)
    return found
