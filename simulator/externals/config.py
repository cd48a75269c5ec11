"""The settings of a contestant from outside: into TOML, back, and as a hash of what its result depends on."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from simulator.config import files_of, parse, plain
from simulator.core import plugins
from simulator.core.python_files import identity, with_imports
from simulator.core.ranges import Count, CountOrZero
from simulator.core.reading import add_to
from simulator.settings import Layer, check, overlay, settings

KINDS = ("sb3", "python", "human")


@dataclass(frozen=True)
class ExternalConfig:
    """One contestant from outside in one world, over many seeds."""

    kind: Literal["sb3", "python", "human"]
    """where it is from: stable-baselines3, a Python callable, a person's recorded episodes"""
    target: str
    """which one: a class or a model's file, ``module:name`` or ``file.py:name``, a recording's file"""
    world: str
    """the world's name"""
    seeds: Count = 8
    """how many seeds"""
    first_seed: Annotated[int, Meta(ge=0, le=10**15)] = 0
    """the first seed; the others follow it"""
    steps: Count = 50_000
    """environment steps of training per seed; nothing for those who do not learn here"""
    eval_every: Count = 2_500
    """environment steps between evaluations"""
    eval_episodes: Count = 100
    """episodes per seed of the last evaluation; one on the way plays a tenth, or none where it is exact"""
    eval_max_steps: CountOrZero = 0
    """steps after which an evaluation episode that the environment has not ended is cut; see ``RunConfig``"""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """its own settings: plain values, lists and tables of them"""
    world_settings: Any = None
    """the world's own Config"""

    @property
    def name(self) -> str:
        """What it is called in a tournament."""
        return f"{self.kind}:{self.target}"

    @property
    def seed_list(self) -> list[int]:
        """Its seeds, in order."""
        return list(range(self.first_seed, self.first_seed + self.seeds))

    @property
    def file(self) -> Path | None:
        """The file that its name leads to, or None."""
        path = self.target.rpartition(":")[0] if self.kind == "python" else self.target
        if self.kind == "python" and not path.endswith(".py"):
            return None
        return None if self.kind == "sb3" and not is_model_file(path) else Path(path)

    def retargeted(self, path: str) -> str:
        """The target with another path in place of its file's."""
        return f"{path}:{self.target.rpartition(':')[2]}" if self.kind == "python" else path


def is_external(name: str) -> bool:
    """Whether a contestant's name says that it is from outside: ``sb3:``, ``python:``, ``human:``."""
    kind, colon, target = name.partition(":")
    return kind in KINDS and bool(colon and target)


def is_model_file(target: str) -> bool:
    """Whether what follows ``sb3:`` is a saved model, not a class."""
    return target.endswith(".zip") or "/" in target or "\\" in target


def evaluation_steps(config: ExternalConfig) -> list[int]:
    """Environment steps of the evaluations, as the engine has them: every period, and the end."""
    return [*range(config.eval_every, config.steps, config.eval_every), config.steps]


def to_toml(config: ExternalConfig) -> str:
    """Every setting as TOML; ``from_toml`` reads it back as the same."""
    import tomli_w

    return tomli_w.dumps(_tables(config))


def from_toml(text: str, where: str) -> ExternalConfig:
    """What a TOML text describes; ``where`` names it in errors. Looks at no file: see ``externals.external``.

    Raises:
        ValueError: something in it is wrong, in one line.
    """
    layer, own = parse(text, where), {"world", "world_settings"}
    known = [each for each in settings(ExternalConfig) if each.name not in own]
    values = check(known, {key: value for key, value in layer.values.items() if key != "world"}, layer)
    world = layer.values.get("world")
    for name in ("kind", "target", "world"):
        if name not in layer.values:
            raise ValueError(f"{where}: {name} is missing")
    if not isinstance(world, Mapping) or not isinstance(world.get("name"), str):
        raise ValueError(f"{layer.place(('world',), world)}: expected a table of settings with a name")
    player = plugins.load("worlds", world["name"])
    chosen = {key: value for key, value in world.items() if key != "name"}
    found = overlay(player.Config(), check(settings(player.Config), chosen, Layer({}, where), ("world",)))
    values["settings"] = unplain(values.get("settings", {}))
    return ExternalConfig(**values, world=player.name, world_settings=found)


def settings_hash(config: ExternalConfig) -> str:
    """SHA-256 of everything that the result depends on, in hex.

    Of a file that is named (a model, a Python file or module, a recording, a world's map) what it holds counts, and
    not where it lies; of a Python file that of what it imports of the user's own, too.
    """
    tables = _tables(config)
    if not config.eval_max_steps:  # as in simulator.config.settings_hash
        del tables["eval_max_steps"]
    if config.file is not None:
        tables["target"] = config.retargeted(config.file.name)
    tables["world"]["name"] = identity(tables["world"]["name"])
    digest = hashlib.sha256(json.dumps(tables, sort_keys=True, default=str).encode())
    for path in _files(config):
        add_to(digest, path)
    return digest.hexdigest()


def _files(config: ExternalConfig) -> Iterator[Path]:
    """Whatever files the settings name and that are there."""
    named = [config.file] if config.file is not None else []
    if config.kind == "python" and not named:
        named = [Path(origin) for origin in [_origin(config.target.rpartition(":")[0])] if origin]
    there = [path for path in named if os.path.isfile(path)]
    yield from with_imports(there) if config.kind == "python" else there
    yield from map(Path, files_of("worlds", config.world, config.world_settings))


def _origin(module: str) -> str | None:
    """The file of a module by dotted path, where it can be found."""
    plugins.with_cwd_importable()
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return spec.origin if spec else None


def _tables(config: ExternalConfig) -> dict[str, Any]:
    every: dict[str, Any] = plain(dataclasses.asdict(config))
    return every | {"world": {"name": config.world, **every.pop("world_settings")}}


def unplain(value: Any) -> Any:
    """Settings out of TOML: the word none is None, within tables and lists too."""
    if isinstance(value, Mapping):
        return {key: unplain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [unplain(item) for item in value]
    return None if value == "none" else value
