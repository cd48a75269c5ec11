"""The config of a comparison of predictions: methods and memories at one task, over many seeds."""

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
from simulator.core import registry


@dataclass(frozen=True)
class PredictConfig:
    """Methods and memories that predict the same, over many seeds."""

    task: str
    """the task's name"""
    contestants: tuple[PlayerEntry, ...]
    """the methods and memories that compete; the settings of a task's own method are None"""
    seeds: Annotated[int, Meta(ge=1, le=10**5)] = 10
    """number of seeds, each with data, splits and learners of its own"""
    first_seed: Annotated[int, Meta(ge=0, le=10**15)] = 0
    """first seed; the others follow it"""
    skip: bool = False
    """mark and leave out a contestant that cannot predict here; off: end there"""
    threads: Annotated[int, Meta(ge=0, le=1024)] = 0
    """threads that share the seeds; 0: one per core"""
    task_settings: Any = None
    """the task's own Config"""


def build(values: Mapping[str, Any]) -> PredictConfig:
    """Make a comparison of nested tables.

    ``{"method": {"als": {}}, "task": {"name": "ratings"}}``: the table ``method`` holds a table for every contestant by
    its label, with ``name``, a method's of the task or a memory's (by default the label), and a memory's settings.

    Raises:
        ValueError: a missing, unknown or bad setting, in one line.
    """
    return codec.build(PredictConfig, values)


def _compose(sources: Sequence[ConfigSource], values: dict[str, Any]) -> PredictConfig:
    task = choose(sources, "task", "tasks")
    module = registry.load("tasks", task.name).module
    named = labelled([source for source in sources if not source.flags], "method")
    if not named:
        sources = [ConfigSource({"method": {name: {} for name in module.DEFAULT}}), *sources]
    contestants = []
    for label, tables in labelled(sources, "method").items():
        name = name_in(tables, label)
        plain = name.replace("-", "_")
        if plain not in module.METHODS:
            player, chosen = _memory(name, task.name, module.METHODS)
            chosen = merged(player, chosen, tables, ("method", label))
            contestants.append(PlayerEntry(label, player.name, chosen))
            continue
        given = [source.name(("method", label, key)) for source, table in tables for key in table if key != "name"]
        if given:
            raise ValueError(f"{given[0]}: {plain} has its settings in the task, expected --task.SETTING")
        contestants.append(PlayerEntry(label, plain, None))
    return PredictConfig(task.name, tuple(contestants), **values, task_settings=task.settings)


def _memory(name: str, task: str, methods: Mapping[str, str]) -> tuple[registry.Plugin, Any]:
    """Find a memory or a preset of one by name, with its settings.

    Raises:
        ValueError: nothing has that name, or it is a method of another task; one line.
    """
    try:
        return find_memory(name)
    except ValueError as error:
        if not str(error).startswith("unknown"):
            raise
        known = [*methods, *registry.names("memories")]
        hint = f"of {task}: {', '.join(methods)}, or a memory: engram list memories"
        raise ValueError(registry.unknown_name_message("method", name, known, hint)) from error


def _players(config: PredictConfig) -> dict[str, Any]:
    methods = {
        one.label: {"name": one.name} if one.settings is None else table_of(one.name, one.settings)
        for one in config.contestants
    }
    return {"task": table_of(config.task, config.task_settings), "method": methods}


def _identify(config: PredictConfig, tables: dict[str, Any]) -> Iterable[str]:
    """Leave out the threads, on which no result depends; the names of the task's files count."""
    tables.pop("threads", None)
    for table in (tables["task"], *tables["method"].values()):
        forget_place(table)
    return count_file_names(tables["task"], "tasks", config.task, config.task_settings)


codec.register(
    PredictConfig,
    Format("predict", ("method", "task"), ("task", "contestants", "task_settings"), _compose, _players, _identify),
)
