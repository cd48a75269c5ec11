"""Recorded human episodes: the file format, and its validation by replay.

A recording is one JSON object: ``{"engram_recording": 1, "env": "CliffWalking-v1", "settings": {"max_steps": 50},
"episodes": [{"seed": 0, "actions": [0, 1], "return": -2.0, "terminated": true, "truncated": false}]}``. ``settings``
are those of the environment that differ from its defaults. Discrete actions are whole numbers, others lists of numbers.

The n-th episode listed with a seed is the n-th episode of ``make([seed], settings)``. Every episode is complete.
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
from simulator.external.action_check import brief, expected_action, valid_action

VERSION = 1
RETURN_TOLERANCE = 1e-6  # relative and absolute: rewards may have been summed in another precision


class RecordedEpisode(NamedTuple):
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
        env: name of the environment.
        settings: those of its settings that differ from the defaults, as plain tables.
        episodes: in the order in which they were played.
    """

    env: str
    settings: Mapping[str, Any]
    episodes: tuple[RecordedEpisode, ...]


_EpisodeRow = TypedDict(
    "_EpisodeRow", {"seed": int, "actions": list[Any], "return": float, "terminated": bool, "truncated": bool}
)


@dataclass
class _Header:
    engram_recording: int


@dataclass
class _File:
    env: str
    settings: dict[str, Any]
    episodes: list[_EpisodeRow]


def changed_settings(config: Any) -> dict[str, Any]:
    """Return the settings of an environment's ``Config`` that differ from the defaults."""
    chosen = plain(dataclasses.asdict(config))
    defaults = plain(dataclasses.asdict(type(config)()))
    return {key: value for key, value in chosen.items() if value != defaults[key]}


def write_recording(path: str | Path, recording: Recording, *, force: bool = False) -> None:
    """Write a recording into a new file; ``force``: over whatever file is there.

    Raises:
        ValueError: a file is there, or the place cannot be written; one line.
    """
    rows = [
        {"seed": episode.seed, "actions": np.asarray(episode.actions).tolist(), "return": float(episode.total)}
        | {"terminated": bool(episode.terminated), "truncated": bool(episode.truncated)}
        for episode in recording.episodes
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
        version = msgspec.json.decode(data, type=_Header).engram_recording
        if version != VERSION:
            raise ValueError(f"{path}: engram_recording = {version}: expected {VERSION}")
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}, expected a recording of episodes") from None
    episodes = [
        RecordedEpisode(row["seed"], row["actions"], row["return"], row["terminated"], row["truncated"])
        for row in file.episodes
    ]
    for i, episode in enumerate(episodes):
        _check_episode(f"{path}: episodes[{i}]", episode)
    if not episodes:
        raise ValueError(f"{path}: episodes is empty, expected at least one")
    return Recording(file.env, file.settings, tuple(episodes))


def _check_episode(place: str, episode: RecordedEpisode) -> None:
    if episode.seed < 0:
        raise ValueError(f"{place}.seed = {episode.seed}: expected a whole number >= 0")
    if not episode.actions:
        raise ValueError(f"{place}.actions is empty, expected at least one")
    if not (episode.terminated or episode.truncated):
        raise ValueError(f"{place} neither terminated nor was truncated, expected a complete episode")


def check_env(path: str | Path, recording: Recording, env: str, config: Any) -> None:
    """Check that a recording is of this environment with these settings.

    Raises:
        ValueError: it is of another one; the line says where they differ.
    """
    if recording.env.replace("-", "_") != env.replace("-", "_"):
        raise ValueError(f"{path}: env = {recording.env!r}: expected {env!r}")
    allowed = settings(type(config))
    chosen = merge(type(config)(), check(allowed, recording.settings, ConfigSource({}, str(path)), ("settings",)))
    for field in dataclasses.fields(config):
        ours = getattr(config, field.name)
        theirs = getattr(chosen, field.name)
        if plain(_table(ours)) != plain(_table(theirs)):
            raise ValueError(f"{path}: settings.{field.name} = {theirs!r}: expected {ours!r}, as in this tournament")


def _table(value: Any) -> Any:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value


def replay(
    place: str,
    recording: Recording,
    seeds: Collection[int],
    make_env: Callable[[list[int]], Env],
    heartbeat: Callable[[], None],
) -> dict[int, list[float]]:
    """Replay recorded actions.

    Args:
        place: names the recording in errors.
        recording: the episodes.
        seeds: seeds whose episodes are replayed; the others are ignored.
        make_env: makes the environment of some seeds.
        heartbeat: called at every step.

    Returns:
        The replayed returns of the episodes of every seed; a seed without episodes is missing.

    Raises:
        ValueError: an episode differs from its recording; the line says which one and how.
    """
    envs: dict[int, Env] = {}
    returns: dict[int, list[float]] = {}
    for i, episode in enumerate(recording.episodes):
        seed = episode.seed
        if seed not in seeds:
            continue
        if seed not in envs:
            envs[seed] = make_env([seed])
            envs[seed].reset()
        total = _replay_episode(f"{place}: episodes[{i}], seed {seed},", episode, envs[seed], heartbeat)
        returns.setdefault(seed, []).append(total)
    return returns


def _replay_episode(place: str, episode: RecordedEpisode, env: Env, heartbeat: Callable[[], None]) -> float:
    """Replay one episode, and return its return."""
    total = 0.0
    n_actions = len(episode.actions)
    terminated = False
    truncated = False
    for t, recorded_action in enumerate(episode.actions):
        heartbeat()
        action = valid_action(recorded_action, env.spec)
        if action is None:
            raise ValueError(f"{place} actions[{t}] = {brief(recorded_action)}: expected {expected_action(env.spec)}")
        step = env.step(np.array([action]))
        total += float(step.reward[0])
        terminated = bool(step.terminated[0])
        truncated = bool(step.truncated[0])
        if (terminated or truncated) and t + 1 < n_actions:
            raise ValueError(f"{place} ended after {t + 1} of its {n_actions} actions, expected its end after the last")
    if (terminated, truncated) != (episode.terminated, episode.truncated):
        recorded = f"{_ending(episode.terminated, episode.truncated)} as recorded"
        raise ValueError(
            f"{place} {_ending(terminated, truncated)} after its {n_actions} actions, expected that it {recorded}"
        )
    if not math.isclose(total, episode.total, rel_tol=RETURN_TOLERANCE, abs_tol=RETURN_TOLERANCE):
        raise ValueError(f"{place} has return {total!r}, expected {episode.total!r} as recorded")
    return total


def _ending(terminated: bool, truncated: bool) -> str:
    endings = [name for name, happened in (("terminated", terminated), ("was truncated", truncated)) if happened]
    return " and ".join(endings) or "went on"
