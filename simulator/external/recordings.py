"""A person's recorded episodes: the file, and its check by playing the actions again.

A recording is one JSON object: ``{"engram_recording": 1, "env": "CliffWalking-v1", "settings": {"max_steps": 50},
"episodes": [{"seed": 0, "actions": [0, 1], "return": -2.0, "terminated": true, "truncated": false}]}``. ``settings``
are those of the environment that differ from its defaults. Discrete actions are whole numbers, others lists of numbers.

The n-th episode listed with a seed is the n-th episode of ``make([seed], settings)``: whoever plays on, plays on in
the same environment. Every episode came to its end.
"""

from __future__ import annotations

import dataclasses
import json
import math
from codecs import BOM_UTF8
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import msgspec
import numpy as np

from simulator.config.codec import plain
from simulator.config.validation import ConfigSource, check, merge, settings
from simulator.core.files.reading import read_bytes
from simulator.core.files.writing import write_file
from simulator.core.protocols import Env
from simulator.external.action_check import brief, checked, expected

VERSION = 1
TOLERANCE = 1e-6  # of a return, relative and absolute: rewards may have been added up in another precision


class Episode(NamedTuple):
    """One episode that a person played."""

    seed: int
    actions: Sequence[Any]
    total: float  # its return; "return" in the file
    terminated: bool
    truncated: bool


@dataclass(frozen=True)
class Recording:
    """Episodes in one environment.

    Attributes:
        environment: its name.
        settings: those of its settings that differ from the defaults, as plain tables.
        episodes: in the order in which they were played.
    """

    env: str
    settings: Mapping[str, Any]
    episodes: tuple[Episode, ...]


_Row = TypedDict("_Row", {"seed": int, "actions": list[Any], "return": float, "terminated": bool, "truncated": bool})


@dataclass
class _Head:
    engram_recording: int


@dataclass
class _File:
    env: str
    settings: dict[str, Any]
    episodes: list[_Row]


def changed_settings(config: Any) -> dict[str, Any]:
    """The settings of an environment's ``Config`` that differ from the defaults, as a recording names them."""
    ours, usual = plain(dataclasses.asdict(config)), plain(dataclasses.asdict(type(config)()))
    return {key: value for key, value in ours.items() if value != usual[key]}


def write_recording(path: str | Path, recording: Recording, *, force: bool = False) -> None:
    """Write a recording into a new file; ``force``: over whatever file is there.

    Raises:
        ValueError: a file is there, or the place cannot be written; one line.
    """
    rows = [
        {"seed": each.seed, "actions": np.asarray(each.actions).tolist(), "return": float(each.total)}
        | {"terminated": bool(each.terminated), "truncated": bool(each.truncated)}
        for each in recording.episodes
    ]
    head = {"engram_recording": VERSION, "env": recording.env, "settings": dict(recording.settings)}
    text = json.dumps(head | {"episodes": rows}, allow_nan=False) + "\n"
    write_file(Path(path), text.encode(), force=force, kind=".json")


def read_recording(path: str | Path) -> Recording:
    """Read a recording.

    Raises:
        ValueError: the file cannot be read or is no recording; one line that names the file and the place in it.
    """
    try:
        data = read_bytes(path, "a recording of episodes").removeprefix(BOM_UTF8)
        version = msgspec.json.decode(data, type=_Head).engram_recording
        if version != VERSION:
            raise ValueError(f"{path}: engram_recording = {version}: expected {VERSION}")
        found = msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}, expected a recording of episodes") from None
    episodes = [
        Episode(row["seed"], row["actions"], row["return"], row["terminated"], row["truncated"])
        for row in found.episodes
    ]
    for i, episode in enumerate(episodes):
        _check_episode(f"{path}: episodes[{i}]", episode)
    if not episodes:
        raise ValueError(f"{path}: episodes is empty, expected at least one")
    return Recording(found.env, found.settings, tuple(episodes))


def _check_episode(place: str, episode: Episode) -> None:
    if episode.seed < 0:
        raise ValueError(f"{place}.seed = {episode.seed}: expected a whole number >= 0")
    if not episode.actions:
        raise ValueError(f"{place}.actions is empty, expected at least one")
    if not (episode.terminated or episode.truncated):
        raise ValueError(f"{place} neither terminated nor was truncated, expected an episode that came to its end")


def check_env(path: str | Path, recording: Recording, env: str, config: Any) -> None:
    """Whether a recording is of this environment with these settings.

    Raises:
        ValueError: it is of another one; the line says where they differ.
    """
    if recording.env.replace("-", "_") != env.replace("-", "_"):
        raise ValueError(f"{path}: env = {recording.env!r}: expected {env!r}")
    known = settings(type(config))
    chosen = merge(type(config)(), check(known, recording.settings, ConfigSource({}, str(path)), ("settings",)))
    for field in dataclasses.fields(config):
        ours, theirs = getattr(config, field.name), getattr(chosen, field.name)
        if plain(_table(ours)) != plain(_table(theirs)):
            raise ValueError(f"{path}: settings.{field.name} = {theirs!r}: expected {ours!r}, as in this contest")


def _table(value: Any) -> Any:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value


def replay(
    place: str,
    recording: Recording,
    wanted: Collection[int],
    make: Callable[[list[int]], Env],
    pulse: Callable[[], None],
) -> dict[int, list[float]]:
    """Play recorded actions again.

    Args:
        place: what names the recording in errors.
        recording: the episodes.
        wanted: the seeds whose episodes are to be played; the others are not looked at.
        make: gives the environment of some seeds.
        pulse: called at every step.

    Returns:
        The returns of every wanted seed's episodes, as they came out now; a seed without episodes is missing.

    Raises:
        ValueError: an episode comes out otherwise than it was recorded; the line says which and how.
    """
    envs: dict[int, Env] = {}
    returns: dict[int, list[float]] = {}
    for i, episode in enumerate(recording.episodes):
        seed = episode.seed
        if seed not in wanted:
            continue
        if seed not in envs:
            envs[seed] = make([seed])
            envs[seed].reset()
        found = _replayed(f"{place}: episodes[{i}], seed {seed},", episode, envs[seed], pulse)
        returns.setdefault(seed, []).append(found)
    return returns


def _replayed(place: str, episode: Episode, env: Env, pulse: Callable[[], None]) -> float:
    total, count, ends = 0.0, len(episode.actions), (False, False)
    for t, given in enumerate(episode.actions):
        pulse()
        action = checked(given, env.spec)
        if action is None:
            raise ValueError(f"{place} actions[{t}] = {brief(given)}: expected {expected(env.spec)}")
        step = env.step(np.array([action]))
        total, ends = total + float(step.reward[0]), (bool(step.terminated[0]), bool(step.truncated[0]))
        if any(ends) and t + 1 < count:
            raise ValueError(f"{place} ended after {t + 1} of its {count} actions, expected its end after the last")
    if ends != (episode.terminated, episode.truncated):
        recorded = f"{_ending(episode.terminated, episode.truncated)} as recorded"
        raise ValueError(f"{place} {_ending(*ends)} after its {count} actions, expected that it {recorded}")
    if not math.isclose(total, episode.total, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
        raise ValueError(f"{place} earned {total!r}, expected {episode.total!r} as recorded")
    return total


def _ending(terminated: bool, truncated: bool) -> str:
    ways = [way for way, there in (("terminated", terminated), ("was truncated", truncated)) if there]
    return " and ".join(ways) or "went on"
