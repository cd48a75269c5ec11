"""Episodes of people in the store: one record for each sitting, one checkpoint for each complete episode.

A checkpoint holds all episodes of its sitting, so that after ``kill -9`` every episode that had ended is there. A
person's episodes in an environment are those of all sittings under the same name and settings. Of several with the same
seed the first one counts: a seed that is played again is no new one.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

from simulator.config.codec import plain, stored_tables, table_of
from simulator.config.play import PlayConfig
from simulator.config.run import RunConfig
from simulator.core import registry
from simulator.core.demonstrations import Demonstrations
from simulator.core.experiment_kinds import PLAY, RUN
from simulator.core.protocols import EnvSpec, State
from simulator.external.recordings import RecordedEpisode, Recording, changed_settings
from simulator.machine import machine
from simulator.play.session import PlayedEpisode
from simulator.statistics.estimates import UNBOUNDED, confidence_interval, equal_seeds
from simulator.store.lab import existing
from simulator.store.records import Rows, RunProgress, RunRecord
from simulator.store.run_records import new_record
from simulator.store.run_store import Store
from simulator.training.evaluation import optimum
from simulator.training.summary import last_evaluation

_KINDS = {"env": "envs", "game": "games", "opponent": "agents"}  # of the players in a table
FEW = 30  # episodes below which a mean return is said to be of few


class Sitting:
    """The record of one sitting, held by this process until it is closed.

    Args:
        store: the lab.
        config: its settings.
        references: what the person is compared with.
        label: name of it for people.
    """

    def __init__(self, store: Store, config: PlayConfig, references: References, label: str = "") -> None:
        self._store = store
        self._episodes: list[PlayedEpisode] = []
        self._abandoned: list[int] = []
        self._began = time.monotonic()
        self._cpu_began = time.process_time()
        self._facts = {**references._asdict(), "machines": [machine(1)], "opponent": config.against}
        self._facts |= {"label": label} if label else {}
        self.run = store.begin(
            new_record(
                PLAY,
                config,
                label,
                agent=f"human:{config.name}",
                env=config.place,
                seeds=(config.first_seed,),
                steps=0,
            )
        )

    def add(self, episode: PlayedEpisode) -> None:
        """Store an episode, durably.

        Raises:
            StoreFailure: the disk refused it.
        """
        self._episodes.append(episode)
        self._write("running")

    def abandon(self, seed: int) -> None:
        """Note that an episode was begun and left: it is stored with the next one, or at the end."""
        self._abandoned.append(seed)

    def close(self) -> bool:
        """End the sitting and return whether it has an episode; one without any leaves no record."""
        if not self._episodes:
            self._store.discard(self.run)
            return False
        self._write("done")
        self._store.release(self.run)
        return True

    def _write(self, status: str) -> None:
        seconds = time.monotonic() - self._began
        progress = RunProgress(len(self._episodes), seconds, time.process_time() - self._cpu_began)
        result = {**self._facts, "episodes": [row_of(one) for one in self._episodes], "abandoned": self._abandoned}
        state = {"episodes": [_packed(one) for one in self._episodes]}
        self._store.checkpoint(self.run, progress, state, Rows(), status, result)


class References(NamedTuple):
    """Mean returns to compare a person's with; None where not known."""

    optimum: float | None  # of the best possible player
    floor: float | None  # of random play
    threshold: float | None  # from which the environment counts as solved


def references_of(spec: EnvSpec) -> References:
    """Return the references of an environment."""
    return References(optimum(spec), spec.random_score, spec.reward_threshold)


class AgentScore(NamedTuple):
    """The last evaluation of a stored run in the same environment."""

    run: str
    agent: str
    score: float  # interquartile mean over seeds
    low: float | None
    high: float | None
    seeds: int


def agents_in(store: Store, config: PlayConfig, most: int = 3) -> list[AgentScore]:
    """Return the best stored runs in the environment of a sitting with its settings, the best first."""
    if not config.env:
        return []
    wanted = plain(table_of(config.env, config.env_settings))
    found = []
    for record in store.runs():
        if record.kind != RUN or record.env != config.env or not _is_same(RunConfig, record, "env", wanted):
            continue
        last = last_evaluation(store, record)
        if last["iqm"] is not None:
            found.append(
                AgentScore(record.run, record.agent, last["iqm"], last["low"], last["high"], len(record.seeds))
            )
    return sorted(found, key=lambda one: -one.score)[:most]


def row_of(episode: PlayedEpisode) -> dict[str, Any]:
    """Return an episode as people read it, without its actions."""
    row = {"seed": episode.seed, "return": episode.total, "steps": len(episode.actions)}
    row |= {"terminated": episode.terminated, "truncated": episode.truncated}
    return row if episode.second is None else {**row, "opponent_return": episode.second}


def summary(store: Store, run: str) -> dict[str, Any]:
    """Return the JSON object of a sitting.

    Its keys: ``play``, its id; ``name``, the contestant; ``env``, or the game; ``opponent``, empty in an environment;
    ``episodes``: ``[{seed, return, steps, terminated, truncated}]``, in a game with ``opponent_return``; ``score``, see
    :func:`score_of`; ``abandoned``: seeds of episodes that were begun and left, which no score counts; ``optimum``,
    ``floor``, ``threshold``: mean returns, None where not known; ``label``, ``status``, ``created``, ``seconds``,
    ``cpu_seconds``, ``versions``, ``machines``.
    """
    record = store.find(run)
    episodes = list(record.known("episodes") or ())
    references = {name: record.known(name) for name in References._fields}
    return {
        "play": record.run,
        "label": record.label,
        "name": record.agent,
        "env": record.env,
        "opponent": record.known("opponent") or "",
        "status": record.status,
        "created": record.created,
        "seconds": record.seconds,
        "cpu_seconds": record.cpu_seconds,
        "episodes": episodes,
        "abandoned": list(record.known("abandoned") or ()),
        "score": score_of([row["return"] for row in episodes]),
        **references,
        "versions": record.versions,
        "machines": record.machines,
    }


def score_of(returns: Sequence[float]) -> dict[str, Any]:
    """Return ``mean`` with ``low`` and ``high``, its 95 % bootstrap interval over episodes, and ``few``.

    None where there are too few; ``equal``: how many are all equal, else None.
    """
    values = np.array(returns, np.float64)
    if not len(values):
        return {"mean": None, "low": None, "high": None, "equal": None, "few": True}
    low, high = confidence_interval(values, np.mean, bounds=UNBOUNDED)
    return {
        "mean": float(values.mean()),
        "low": float(low) if np.isfinite(low) else None,
        "high": float(high) if np.isfinite(high) else None,
        "equal": equal_seeds(values),
        "few": len(values) < FEW,
    }


def episodes_of(store: Store, run: str) -> list[PlayedEpisode]:
    """Return the episodes of a stored sitting."""
    record = store.find(run)
    if record.kind != PLAY:
        raise ValueError(f"{record.run} is a {record.kind}, expected recorded play (engram list runs)")
    saved = store.newest(record.run)
    return [_unpacked(packed) for packed in saved.state["episodes"]] if saved else []


def seeds_in(store: Store, name: str, place: Mapping[str, Any]) -> set[int]:
    """Return the seeds of all episodes of a person in one place, also of those that were left."""
    seeds: set[int] = set()
    for record in sittings(store, name, place):
        seeds |= {row["seed"] for row in record.known("episodes") or ()} | set(record.known("abandoned") or ())
    return seeds


def episodes_in(store: Store, name: str, place: Mapping[str, Any]) -> list[PlayedEpisode]:
    """Return all episodes of a person in one place, in the order in which they were played, each seed once.

    Args:
        store: the lab.
        name: the person's.
        place: the tables of a sitting's settings that say where it was: ``env``, or ``game`` and the opponent.
    """
    found: dict[int, PlayedEpisode] = {}
    for record in sittings(store, name, place):
        for episode in episodes_of(store, record.run):
            found.setdefault(episode.seed, episode)
    return list(found.values())


def sittings(store: Store, name: str, place: Mapping[str, Any]) -> Iterator[RunRecord]:
    """Iterate over the sittings of a person in one place, the oldest first."""
    for record in reversed(store.runs()):
        if record.kind == PLAY and record.agent == f"human:{name}":
            if all(_is_same(PlayConfig, record, table, wanted) for table, wanted in place.items()):
                yield record


def place_of(config: PlayConfig) -> dict[str, Any]:
    """Return the tables and settings that say where a sitting is."""
    if config.env:
        return {"env": plain(table_of(config.env, config.env_settings))}
    place = {"game": plain(table_of(config.game, config.game_settings)), "run": config.run}
    place |= {"train_steps": config.train_steps, "learn": config.learn}
    if config.opponent is not None:
        place["opponent"] = plain(table_of(config.opponent.name, config.opponent.settings))
    return place


def _is_same(kind: type[Any], record: RunRecord, table: str, wanted: Any) -> bool:
    """Tell whether a stored experiment has a table of settings; labels are left out, new settings at their defaults."""
    stored = stored_tables(kind, record).get(table)
    if isinstance(stored, Mapping) and isinstance(wanted, Mapping):
        if stored.get("name") != wanted["name"]:
            return False
        player = registry.load(_KINDS[table], wanted["name"])
        later = {key: value for key, value in plain(asdict(player.Config())).items() if key not in stored}
        stored = {**later, **{key: value for key, value in stored.items() if key != "label"}}
    return bool(stored == wanted)


# ---- as a contestant


class HumanName(NamedTuple):
    """A person of a lab, as a contestant names one: ``/home/me/lab#ann``."""

    lab: str
    name: str


def parsed(target: str) -> HumanName:
    """Split ``/home/me/lab#ann#0123456789abcdef``; the end, a fingerprint, may be missing."""
    if "#" not in target:
        raise ValueError(f"{target}: a name in a lab, expected one of a tournament")
    lab, name = target.split("#")[:2]
    return HumanName(lab, name)


def fingerprint(recording: Recording) -> str:
    """Hash the content of a recording, in 16 hex digits."""
    rows = [[*episode._replace(actions=np.asarray(episode.actions).tolist())] for episode in recording.episodes]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def recording_of(target: str, env: str, env_settings: Any) -> Recording:
    """Read the recording of a person in an environment with these settings from a lab.

    Raises:
        ValueError: the person has played no episode there, or there is no such lab; one line.
    """
    lab, name = parsed(target)
    with Store(existing(lab)) as store:
        episodes = episodes_in(store, name, {"env": plain(table_of(env, env_settings))})
        if not episodes:
            reason = _missing(store, name, env)
            raise ValueError(f"human:{name}: {reason}, expected some (engram play {env} --name {name})")
    return as_recording(episodes, env, env_settings)


def as_recording(episodes: Sequence[PlayedEpisode], env: str, env_settings: Any) -> Recording:
    """Convert episodes to the form in which they can be checked and written to a file."""
    rows = [
        RecordedEpisode(one.seed, one.actions.tolist(), one.total, one.terminated, one.truncated) for one in episodes
    ]
    return Recording(env, changed_settings(env_settings), tuple(rows))


def _missing(store: Store, name: str, env: str) -> str:
    known = {record.agent for record in store.runs() if record.kind == PLAY}
    if f"human:{name}" in known:
        return f"no episode in {env} with these settings"
    return "nobody of this name has played in this lab" + (f" ({', '.join(sorted(known))} has)" if known else "")


# ---- as a lesson


CLONE = "behaviour_cloning"  # the agent that does as it was shown


class StoredClone(NamedTuple):
    """A run of clones, and its lab."""

    run: str
    lab: str


def clone_of(target: str, env: str, env_settings: Any) -> StoredClone:
    """Find the newest run of clones of a person in an environment with these settings.

    Args:
        target: ``/home/me/lab#ann``.
        env: name of the environment.
        env_settings: its ``Config``.

    Raises:
        ValueError: there is none; one line.
    """
    lab, name = parsed(target)
    wanted = plain(table_of(env, env_settings))
    with Store(existing(lab)) as store:
        for record in store.runs():
            is_clone = record.kind == RUN and record.agent == CLONE and record.label == f"cloned:{name}"
            if is_clone and record.env == env and _is_same(RunConfig, record, "env", wanted):
                return StoredClone(record.run, lab)
    taught = f"engram play {env} --name {name} --teach"
    raise ValueError(f"cloned:{name}: no clone in {env} with these settings, expected one ({taught})")


def demonstrations_of(episodes: Sequence[PlayedEpisode]) -> Demonstrations:
    """Join the steps of episodes."""
    return Demonstrations(
        obs=np.concatenate([one.obs for one in episodes]),
        actions=np.concatenate([one.actions for one in episodes]),
        episode=np.repeat(np.arange(len(episodes)), [len(one.actions) for one in episodes]),
    )


def _packed(episode: PlayedEpisode) -> State:
    state: State = {name: getattr(episode, name) for name in ("seed", "obs", "actions", "total")}
    state |= {"terminated": episode.terminated, "truncated": episode.truncated}
    return state if episode.second is None else {**state, "second": episode.second}


def _unpacked(packed: State) -> PlayedEpisode:
    return PlayedEpisode(**packed)
