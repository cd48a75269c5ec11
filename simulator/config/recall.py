"""The config of a recall benchmark: memories that recall the same corrupted patterns, over many seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from simulator.config import codec
from simulator.config.codec import (
    Format,
    PlayerEntry,
    choose,
    count_file_names,
    forget_place,
    labelled,
    merged,
    name_in,
    table_of,
)
from simulator.config.presets import find_memory
from simulator.config.validation import ConfigSource
from simulator.core.field_types import CountOrZero

PatternCount = Annotated[int, Meta(ge=1, le=10**7)]


@dataclass(frozen=True)
class RecallConfig:
    """Memories that recall the same corrupted patterns, over many seeds."""

    challenge: str
    """the challenge's name"""
    contestants: tuple[PlayerEntry, ...]
    """the memories that compete"""
    seeds: Annotated[int, Meta(ge=1, le=10**5)] = 8
    """number of seeds, each with patterns, corruption and memories of its own"""
    first_seed: Annotated[int, Meta(ge=0, le=10**15)] = 0
    """first seed; the others follow it"""
    patterns: Annotated[tuple[PatternCount, ...], Meta(min_length=1)] = (20,)
    """number of stored patterns; each number is a condition of its own"""
    corruption: Annotated[tuple[str, ...], Meta(min_length=1)] = ("flip:0.2",)
    """kinds of corruption with their amounts: flip, flips, salt, gauss, erase, hide, replace, block, shift, blur,
    mix"""
    cues: CountOrZero = 0
    """cues per seed; 0: one of every stored pattern"""
    novel: PatternCount = 100
    """held-out patterns, to measure recognition and retrieval; fewer where the challenge has no more"""
    basin: bool = False
    """measure the radius of the basins: flipped units that are still repaired"""
    capacity: bool = False
    """search for the loads, up to 4,096, at which half and 99 % of the patterns are still recalled exactly"""
    skip: bool = False
    """mark and leave out a memory that cannot store its patterns; off: end the benchmark there"""
    threads: Annotated[int, Meta(ge=0, le=1024)] = 0
    """threads that share the seeds; 0: one per core"""
    challenge_settings: Any = None
    """the challenge's own Config"""


def build(values: Mapping[str, Any]) -> RecallConfig:
    """Make a recall benchmark of nested tables.

    ``{"memory": {"hopfield": {"rule": "storkey"}}, "challenge": {"name": "digits"}}``: the table ``memory`` holds a
    table of settings for every contestant by its label, with ``name``, a memory's or a preset's (by default the label).

    Raises:
        ValueError: a missing, unknown or bad setting, in one line.
    """
    return codec.build(RecallConfig, values)


def _compose(sources: Sequence[ConfigSource], values: dict[str, Any]) -> RecallConfig:
    challenge = choose(sources, "challenge", "challenges")
    contestants = []
    for label, tables in labelled(sources, "memory").items():
        player, chosen = find_memory(name_in(tables, label))
        chosen = merged(player, chosen, tables, ("memory", label))
        contestants.append(PlayerEntry(label, player.name, chosen))
    if not contestants:
        raise ValueError("expected at least one memory (engram list memories)")
    return RecallConfig(challenge.name, tuple(contestants), **values, challenge_settings=challenge.settings)


def _players(config: RecallConfig) -> dict[str, Any]:
    return {
        "challenge": table_of(config.challenge, config.challenge_settings),
        "memory": {
            contestant.label: table_of(contestant.name, contestant.settings) for contestant in config.contestants
        },
    }


def _identify(config: RecallConfig, tables: dict[str, Any]) -> Iterable[str]:
    """Leave out the threads, on which no result depends; the names of the challenge's files count."""
    tables.pop("threads", None)
    for table in (tables["challenge"], *tables["memory"].values()):
        forget_place(table)
    return count_file_names(tables["challenge"], "challenges", config.challenge, config.challenge_settings)


codec.register(
    RecallConfig,
    Format(
        "recall",
        ("memory", "challenge"),
        ("challenge", "contestants", "challenge_settings"),
        _compose,
        _players,
        _identify,
    ),
)
