"""The config of a tuning: a space of settings around a run or a recall benchmark, and how it is searched.

A space is a table of dimensions by dotted name: ``{low = 1e-3, high = 1.0, log = true}``, a range of numbers, or
``[0.9, 0.99]``, a list of values. On the command line a range is ``1e-3:1:log``, and a list ``0.9,0.99``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from msgspec import Meta

from simulator.config import codec
from simulator.config.codec import Format, choose, forget_place, table_of
from simulator.config.presets import find_memory, memory_presets
from simulator.config.recall import PatternCount, RecallConfig
from simulator.config.run import RunConfig
from simulator.config.validation import ConfigSource, check, current_settings, is_marked, merge
from simulator.core import registry
from simulator.core.field_types import Count, CountOrZero, OfSize
from simulator.core.foreign.python_files import is_path

TRAINING = "agent"  # tables of the player that is tuned
RECALL = "memory"
OBJECTIVES = {TRAINING: ("iqm", "mean", "auc"), RECALL: ("overlap", "exact")}  # the first is the default
OF_TRAINING = ("steps", "eval_every", "eval_episodes", "eval_max_steps")
OF_RECALL = ("patterns", "corruption")
_RANGE = {"low", "high", "log"}
_FORMS = "LOW:HIGH, LOW:HIGH:log, or values separated by commas"
_TABLES = "{low = 1e-3, high = 1.0, log = true}, a table, or a list of values"
Seconds = Annotated[float, Meta(ge=0.0, le=1e9)]


class Dimension(NamedTuple):
    """A setting that is searched: a range of numbers, or a list of values."""

    name: str  # dotted: "agent.explore.epsilon_start"
    low: float = math.nan  # of a range, both ends included
    high: float = math.nan
    log: bool = False  # evenly spread by its logarithm
    whole: bool = False  # whole numbers alone
    values: tuple[Any, ...] = ()  # of a list; empty: a range

    def table(self) -> Any:
        """Return the form of a TOML file."""
        if self.values:
            return list(self.values)
        ends = (int(self.low), int(self.high)) if self.whole else (self.low, self.high)
        return {"low": ends[0], "high": ends[1], "log": self.log}


def levels_of(dimension: Dimension, n: int) -> list[Any]:
    """Return n evenly spread values of a range, both ends among them, or the values of a list.

    Of whole numbers those that round to the same one count once.
    """
    if dimension.values:
        return list(dimension.values)
    spread = np.geomspace if dimension.log else np.linspace
    values = [float(value) for value in spread(dimension.low, dimension.high, n)]
    values[0], values[-1] = dimension.low, dimension.high  # geomspace may miss them by a rounding
    return sorted({round(value) for value in values}) if dimension.whole else values


@dataclass(frozen=True)
class TuneConfig:
    """A search of settings of an agent in an environment, or of a memory in a challenge."""

    base: RunConfig | RecallConfig
    """what is tuned, with one seed: its settings stand wherever a point of the space has none"""
    space: tuple[Dimension, ...]
    """the settings that are searched, by name"""
    search: Literal["grid", "random", "tpe"] = "random"
    """grid: every combination of values; random: points drawn independently; tpe: the tree-structured Parzen estimator
    of Optuna, which draws where earlier trials were good"""
    trials: Annotated[int, Meta(ge=1, le=100_000)] = 32
    """points of the space that are tried at most"""
    batch: Annotated[int, Meta(ge=1, le=10_000)] = 8
    """trials of a round, which are proposed together: the result depends on it, and not on the number of workers"""
    levels: Annotated[int, Meta(ge=2, le=1_000)] = 5
    """values of a range in a grid, evenly spread"""
    search_seed: Annotated[int, Meta(ge=0, le=10**15)] = 0
    """seed of the proposals"""
    objective: Literal["default", "iqm", "mean", "auc", "overlap", "exact"] = "default"
    """number that is maximised. Of training, iqm (the default) or mean over seeds of the mean return of the last
    evaluation, or auc, the same of the area under the curve of evaluations; of recall, overlap (the default), mean
    agreement, or exact, share of patterns that are restored in every unit"""
    halving: Literal["none", "steps", "seeds"] = "none"
    """successive halving: the trials of a round begin with few steps or with few seeds, and only the best of them get
    more; of steps, they go on with what they have learned"""
    eta: Annotated[int, Meta(ge=2, le=100)] = 3
    """with halving: every rung has so many times the steps or seeds of the one before, and one in so many trials"""
    rungs: Annotated[int, Meta(ge=2, le=20)] = 3
    """with halving: number of rungs, of which the last has all steps and seeds"""
    seeds: Annotated[int, Meta(ge=1, le=10**6)] = 8
    """number of seeds that a trial is evaluated on, the same for all"""
    first_seed: Annotated[int, Meta(ge=0, le=10**15)] = 0
    """first seed; the others follow it"""
    judge_seeds: Annotated[int, Meta(ge=2, le=10**6)] = 16
    """number of fresh seeds on which the best trial is judged in the end, beside the settings without a search"""
    judge_first_seed: Annotated[int, Meta(ge=0, le=10**15)] = 1_000
    """first fresh seed; the others follow it"""
    seeds_per_cell: Annotated[int, Meta(ge=1, le=10**6)] = 16
    """seeds of a cell, which run together; no result depends on it"""
    confidence: Annotated[float, Meta(gt=0.5, lt=1.0)] = 0.95
    """confidence level of the intervals"""
    retries: Annotated[int, Meta(ge=0, le=100)] = 2
    """number of times that a cell is run again after its worker died"""
    timeout: Seconds = 0.0
    """seconds after which a cell is given up as failed; 0: never"""
    steps: Annotated[int, Meta(ge=1, le=10**12)] = 50_000
    """environment steps of training per seed"""
    eval_every: CountOrZero = 0
    """environment steps between greedy evaluations; 0: a twentieth of steps"""
    eval_episodes: Count = 100
    """episodes per seed of the final evaluation"""
    eval_max_steps: CountOrZero = 0
    """steps after which an evaluation episode is truncated, and its seed has no score; 0: the environment's own limit,
    but at least 100,000"""
    patterns: PatternCount = 20
    """number of patterns that a memory stores"""
    corruption: str = "flip:0.2"
    """kind of corruption with its amount"""

    @property
    def table(self) -> str:
        """Table of the player that is tuned: ``agent`` or ``memory``."""
        return TRAINING if isinstance(self.base, RunConfig) else RECALL

    @property
    def chosen(self) -> Any:
        """Settings of the player without a search."""
        return self.base.agent_settings if isinstance(self.base, RunConfig) else self.base.contestants[0].settings

    @property
    def player(self) -> str:
        """Name of the player that is tuned."""
        return self.base.agent if isinstance(self.base, RunConfig) else self.base.contestants[0].name

    @property
    def place(self) -> str:
        """Name of the environment or the challenge."""
        return self.base.env if isinstance(self.base, RunConfig) else self.base.challenge


def build(values: Mapping[str, Any]) -> TuneConfig:
    """Make a tuning of nested tables.

    ``{"trials": 20, "agent": {"name": "td"}, "env": {"name": "rooms"}, "space": {"agent": {"gamma": [0.9, 0.99]}}}``

    Raises:
        ValueError: a missing, unknown or bad setting, in one line.
    """
    return codec.build(TuneConfig, values)


def named(player: str, place: str) -> dict[str, Any]:
    """Return the tables that name an agent and an environment, or a memory and a challenge.

    Raises:
        ValueError: they are neither; one line.
    """
    first, second = _kinds_of(player), _kinds_of(place)
    if "memories" in first and "challenges" in second:
        return {"memory": {"name": player}, "challenge": {"name": place}}
    if "memories" in first and "agents" not in first:
        raise ValueError(f"{place}: expected a recall challenge beside the memory {player}")
    if "challenges" in first or ("envs" in first and "agents" in second):
        raise ValueError(f"{player} {place}: expected the other order, engram tune {place} {player}")
    return {"agent": {"name": player}, "env": {"name": place}}


def _kinds_of(name: str) -> list[str]:
    """Return the kinds of players of a name: of a file by what is in it, of a preset those of its memory."""
    if is_path(name):
        return [kind] if (kind := registry.kind_of(name)) else []
    return [*registry.kinds_of(name), *(["memories"] if name.replace("_", "-") in memory_presets() else [])]


def with_point(config: TuneConfig, point: Mapping[str, Any]) -> RunConfig | RecallConfig:
    """Return the run or the benchmark with the settings of a point, by dotted names.

    Raises:
        ValueError: settings that the player does not have, or values out of range; one line.
    """
    tables: dict[str, Any] = {}
    for name, value in point.items():
        _put(tables, name, value)
    known = current_settings(config.chosen)
    own = check(known, tables.get(config.table, {}), ConfigSource(tables), (config.table,), config.player)
    chosen = merge(config.chosen, own)
    if isinstance(config.base, RunConfig):
        return dataclasses.replace(config.base, agent_settings=chosen)
    (contestant,) = config.base.contestants
    return dataclasses.replace(config.base, contestants=(contestant._replace(settings=chosen),))


def nested_space(space: Mapping[str, Any]) -> dict[str, Any]:
    """Return dimensions by dotted name as nested tables, as a file has them."""
    nested: dict[str, Any] = {}
    for name, entry in space.items():
        _put(nested, name, entry)
    return nested


def _put(tables: dict[str, Any], name: str, value: Any) -> None:
    *within, last = name.split(".")
    for part in within:
        tables = tables.setdefault(part, {})
    tables[last] = value


# ---- reading


def _compose(sources: Sequence[ConfigSource], values: dict[str, Any]) -> TuneConfig:
    has = {table: any(source.values.get(table) for source in sources) for table in (TRAINING, RECALL)}
    if has[TRAINING] == has[RECALL]:
        raise ValueError("expected engram tune AGENT ENV, engram tune MEMORY CHALLENGE, or a file that names either")
    table = TRAINING if has[TRAINING] else RECALL
    for name in OF_RECALL if has[TRAINING] else OF_TRAINING:  # a stored tuning has them all, at their defaults
        if values.get(name, getattr(TuneConfig, name)) != getattr(TuneConfig, name):
            raise ValueError(f"{name} = {values[name]!r}: not for {'an agent' if has[TRAINING] else 'a memory'}")
    objective = values.get("objective", "default")
    if objective not in ("default", *OBJECTIVES[table]):
        raise ValueError(f"objective = {objective!r}: expected {' or '.join(OBJECTIVES[table])} for {table}s")
    base = _run(sources, values) if has[TRAINING] else _recall(sources, values)
    values["objective"] = OBJECTIVES[table][0] if objective == "default" else objective
    config = TuneConfig(base, (), **values)
    config = dataclasses.replace(config, space=_space(sources, config))
    _check_together(config)
    return config


def _run(sources: Sequence[ConfigSource], values: Mapping[str, Any]) -> RunConfig:
    own = {name: values.get(name, getattr(TuneConfig, name)) for name in OF_TRAINING}
    agent = choose(sources, "agent", "agents")
    env = choose(sources, "env", "envs")
    return RunConfig(
        agent.name, env.name, seeds=1, threads=1, **own, agent_settings=agent.settings, env_settings=env.settings
    )


def _recall(sources: Sequence[ConfigSource], values: Mapping[str, Any]) -> RecallConfig:
    own: dict[str, Any] = {name: (values.get(name, getattr(TuneConfig, name)),) for name in OF_RECALL}
    memory = choose(sources, "memory", "memories", find_memory)
    challenge = choose(sources, "challenge", "challenges")
    contestants = (memory._replace(label=memory.name),)
    own["challenge_settings"] = challenge.settings
    return RecallConfig(challenge.name, contestants, seeds=1, threads=1, **own)


def _check_together(config: TuneConfig) -> None:
    """Check settings of the search against each other.

    Raises:
        ValueError: they contradict each other; one line.
    """
    if config.table == RECALL and config.halving == "steps":
        raise ValueError("halving = 'steps': a memory has no steps, expected none or seeds")
    amount = config.steps if config.halving == "steps" else config.seeds
    if config.halving != "none" and amount < config.eta ** (config.rungs - 1):
        raise ValueError(
            f"{config.halving} = {amount:,}: too few for {config.rungs} rungs with eta = {config.eta}, expected at "
            f"least {config.eta ** (config.rungs - 1):,}, or fewer rungs"
        )
    ends = (config.first_seed + config.seeds, config.judge_first_seed + config.judge_seeds)
    if max(config.first_seed, config.judge_first_seed) < min(ends):
        raise ValueError(
            f"judge_first_seed = {config.judge_first_seed}: expected fresh seeds, none of {config.first_seed} to "
            f"{ends[0] - 1}, on which the trials are evaluated"
        )
    if config.search == "grid":
        n_points = math.prod(len(levels_of(dimension, config.levels)) for dimension in config.space)
        if n_points > config.trials:
            raise ValueError(
                f"trials = {config.trials:,}: the grid has {n_points:,} points, expected at least as many trials, "
                "fewer levels, or another search"
            )


def _space(sources: Sequence[ConfigSource], config: TuneConfig) -> tuple[Dimension, ...]:
    """Read the dimensions of all sources; a later one replaces an earlier one of its name.

    Raises:
        ValueError: none, an unknown setting, or a bad range; one line.
    """
    found: dict[str, Dimension] = {}
    for source in sources:
        space = codec.table_at(source, ("space",), source.values.get("space", {}))
        for table in space:
            if table != config.table:
                expected = source.name(("space", config.table, "SETTING")).removeprefix(f"{source.where}: ")
                raise ValueError(f"{source.name(('space', table))}: expected a setting of {config.player}, {expected}")
        for path, entry in leaves(space):
            found[".".join(path)] = _dimension(source, path, entry, config)
    if not found:
        example = f"--space.{config.table}.SETTING LOW:HIGH" if not any(s.where for s in sources) else "[space]"
        raise ValueError(f"expected at least one setting to search: {example} (engram show {config.player})")
    return tuple(found[name] for name in sorted(found))  # in an order that TOML cannot change


def leaves(table: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Iterate over the dimensions in nested tables, with their paths."""
    for key, value in table.items():
        if isinstance(value, Mapping) and not _RANGE & value.keys():
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _dimension(source: ConfigSource, path: tuple[str, ...], entry: Any, config: TuneConfig) -> Dimension:
    """Check one dimension, and the values at its ends by the setting's own type.

    Raises:
        ValueError: one line.
    """
    place = ("space", *path)
    name = ".".join(path)
    if source.flags and isinstance(entry, str) and ":" in entry:
        low, high, *more = entry.split(":")
        if more not in ([], ["log"]):
            raise ValueError(f"{source.place(place, entry)}: expected {_FORMS}")
        entry = {"low": low, "high": high, "log": bool(more)}
    elif source.flags and isinstance(entry, str):
        entry = [text for text in entry.split(",") if text]
    if isinstance(entry, Mapping):
        return _range(source, path, entry, config)
    if not isinstance(entry, list) or len(entry) < 2:
        raise ValueError(f"{source.place(place, entry)}: expected {_FORMS if source.flags else _TABLES}; two at least")
    values = tuple(_checked(source, path, value, config) for value in entry)
    if len({repr(value) for value in values}) < len(values):
        raise ValueError(f"{source.place(place, entry)}: a value stands there twice")
    return Dimension(name, values=tuple(codec.plain(value) for value in values))


def _range(source: ConfigSource, path: tuple[str, ...], entry: Mapping[str, Any], config: TuneConfig) -> Dimension:
    place = ("space", *path)
    if unknown := sorted(entry.keys() - _RANGE):
        raise ValueError(f"{source.name((*place, unknown[0]))}: no such part of a range, expected low, high and log")
    if missing := [end for end in ("low", "high") if end not in entry]:
        raise ValueError(f"{source.name((*place, missing[0]))} is missing: expected {_TABLES}")
    ends = []
    for end in ("low", "high"):
        value = _checked(source, path, entry[end], config)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{source.place((*place, end), entry[end])}: this setting is no number, expected a list")
        ends.append(value)
    low, high = ends
    log = entry.get("log", False)
    if not isinstance(log, bool):
        raise ValueError(f"{source.place((*place, 'log'), log)}: expected true or false")
    if low >= high:
        raise ValueError(f"{source.name(place)}: low = {low} and high = {high}, expected low below high")
    if log and low <= 0:
        raise ValueError(f"{source.name(place)}: low = {low} with log, expected a number above 0")
    if low == 0 and config.table == RECALL and _follows_size(config.chosen, path[1:]):
        raise ValueError(
            f"{source.name(place)}: low = 0, which stands for a rule of the task's size, expected a number above 0, or "
            "a list of values"
        )
    return Dimension(".".join(path), float(low), float(high), log, isinstance(low, int) and isinstance(high, int))


def _follows_size(chosen: Any, path: Sequence[str]) -> bool:
    """Tell whether a setting of a memory, by its names from the outermost table on, follows the size where it is 0."""
    *within, last = path
    for name in within:
        chosen = getattr(chosen, name)
    return any(setting.name == last and is_marked(setting, OfSize) for setting in current_settings(chosen))


def _checked(source: ConfigSource, path: tuple[str, ...], value: Any, config: TuneConfig) -> Any:
    """Convert a value by the type of the setting that it is for.

    Raises:
        ValueError: no such setting, or a value that it cannot have; one line.
    """
    table, *within = path
    nested: Any = value
    for part in reversed(within):
        nested = {part: nested}
    found: Any = check(current_settings(config.chosen), nested, source, ("space", table), config.player)
    for part in within:
        found = found[part]
    return value if isinstance(found, Mapping) else found  # a component is chosen by its name


# ---- writing


def _tables(config: TuneConfig) -> dict[str, Any]:
    space = nested_space({dimension.name: dimension.table() for dimension in config.space})
    if isinstance(config.base, RunConfig):
        agent = table_of(config.base.agent, config.base.agent_settings)
        return {"agent": agent, "env": table_of(config.base.env, config.base.env_settings), "space": space}
    (memory,) = config.base.contestants
    challenge = table_of(config.base.challenge, config.base.challenge_settings)
    return {"memory": table_of(memory.name, memory.settings), "challenge": challenge, "space": space}


def _identify(config: TuneConfig, tables: dict[str, Any]) -> Iterable[str]:
    """Leave out what changes no result; the content of files is part of the identity of cells."""
    for name in ("seeds_per_cell", "retries", "timeout", *(OF_RECALL if config.table == TRAINING else OF_TRAINING)):
        tables.pop(name, None)
    for name in ("agent", "env", "memory", "challenge"):
        if name in tables:
            forget_place(tables[name])
    return ()


codec.register(
    TuneConfig,
    Format("tune", ("agent", "env", "memory", "challenge", "space"), ("base", "space"), _compose, _tables, _identify),
)
