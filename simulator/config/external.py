"""Config of an external contestant in one environment: stable-baselines3, a Python callable, or a recording."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from simulator.config import codec
from simulator.config.codec import Format, choose, files_of, forget_place, table_of, unplain
from simulator.config.run import forget_unused
from simulator.config.validation import ConfigSource
from simulator.core import registry
from simulator.core.field_types import Count, CountOrZero
from simulator.core.foreign.python_files import with_imports

KINDS = ("sb3", "python", "human", "run", "cloned")


@dataclass(frozen=True)
class ExternalConfig:
    """One external contestant in one environment, over many seeds."""

    kind: Literal["sb3", "python", "human", "run"]
    """origin: stable-baselines3, a Python callable, a person's recorded episodes, a stored run"""
    target: str
    """a class or a model's file, ``module:name`` or ``file.py:name``, a recording's file or a person of a lab, or a
    stored run"""
    env: str
    """the environment's name"""
    seeds: Count = 8
    """number of seeds"""
    first_seed: Annotated[int, Meta(ge=0, le=10**15)] = 0
    """first seed; the others follow it"""
    steps: Count = 50_000
    """environment steps of training per seed; unused by a contestant that does not learn"""
    eval_every: Count = 2_500
    """environment steps between evaluations"""
    eval_episodes: Count = 100
    """episodes per seed of the final evaluation; an earlier one takes a tenth, or none where the return is exact"""
    eval_max_steps: CountOrZero = 0
    """steps after which an evaluation episode is truncated; see ``RunConfig``"""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """its own settings: plain values, lists and tables of them"""
    env_settings: Any = None
    """the environment's own Config"""

    @property
    def name(self) -> str:
        """Its name in a tournament."""
        return f"{self.kind}:{self.target}"

    @property
    def seed_list(self) -> list[int]:
        """Its seeds, in order."""
        return list(range(self.first_seed, self.first_seed + self.seeds))

    @property
    def file(self) -> Path | None:
        """The file that its name leads to, or None."""
        if self.kind == "run" or (self.kind == "human" and is_in_lab(self.target)):
            return None
        path = self.target.rpartition(":")[0] if self.kind == "python" else self.target
        if self.kind == "python" and not path.endswith(".py"):
            return None
        return None if self.kind == "sb3" and not is_model_file(path) else Path(path)

    def retargeted(self, path: str) -> str:
        """Return the target with another path in place of its file's."""
        return f"{path}:{self.target.rpartition(':')[2]}" if self.kind == "python" else path


def is_external(name: str) -> bool:
    """Tell whether a contestant's name is of one from outside: one of ``KINDS`` and a colon before something."""
    kind, colon, target = name.partition(":")
    return kind in KINDS and bool(colon and target)


def is_in_lab(target: str) -> bool:
    """Tell whether the target of ``human:`` or ``cloned:`` names a person of a lab, not a recording's file."""
    return "#" in target or not ("/" in target or "\\" in target or target.endswith(".json"))


def in_lab(target: str, lab: str | Path) -> str:
    """Resolve the name of a person, ``ann``, to a lab and the name in it: ``/home/me/lab#ann``."""
    return target if "#" in target else f"{Path(lab).resolve()}#{target}"


def is_model_file(target: str) -> bool:
    """Tell whether the target of ``sb3:`` is a saved model, not a class."""
    return target.endswith(".zip") or "/" in target or "\\" in target


def evaluation_steps(config: ExternalConfig) -> list[int]:
    """Return the environment steps of the evaluations, as the engine has them: every period, and the end."""
    return [*range(config.eval_every, config.steps, config.eval_every), config.steps]


def _compose(sources: Sequence[ConfigSource], values: dict[str, Any]) -> ExternalConfig:
    """Make the config; looks at no file of the contestant: see ``contestants.external``."""
    for name in ("kind", "target"):
        if name not in values:
            raise ValueError(f"{sources[-1].where}: {name} is missing")
    env = choose(sources, "env", "envs")
    values["settings"] = unplain(values.get("settings", {}))
    return ExternalConfig(**values, env=env.name, env_settings=env.settings)


def _players(config: ExternalConfig) -> dict[str, Any]:
    return {"env": table_of(config.env, config.env_settings)}


def _identify(config: ExternalConfig, tables: dict[str, Any]) -> Iterable[str | Path]:
    """Name a file without its folder.

    The content of a file that is named (a model, a Python file or module, a recording, an environment's map) counts; of
    a Python file that of the user's own files that it imports, too.
    """
    if not config.eval_max_steps:  # as in simulator.config.run
        tables.pop("eval_max_steps", None)
    if config.kind == "run" or (config.kind == "human" and is_in_lab(config.target)):
        tables["target"] = config.target.rpartition("#")[2]  # what was learned or played; not where it is
    if config.file is not None:
        tables["target"] = config.retargeted(config.file.name)
    forget_place(tables["env"])
    forget_unused(tables["env"])
    return [*_own_files(config), *files_of("envs", config.env, config.env_settings)]


def _own_files(config: ExternalConfig) -> Iterator[Path]:
    """Iterate over the existing files of the contestant."""
    named = [config.file] if config.file is not None else []
    if config.kind == "python" and not named:
        named = [Path(origin) for origin in [_origin(config.target.rpartition(":")[0])] if origin]
    existing = [path for path in named if os.path.isfile(path)]
    yield from with_imports(existing) if config.kind == "python" else existing


def _origin(module: str) -> str | None:
    """Return the file of a module by dotted path, if it can be found."""
    registry.with_cwd_importable()
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return spec.origin if spec else None


codec.register(ExternalConfig, Format("external", ("env",), ("env", "env_settings"), _compose, _players, _identify))
