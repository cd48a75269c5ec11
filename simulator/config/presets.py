"""Presets: named settings that the files of agents and memories recommend, and tournaments that come with Engram.

A preset stands in the table ``PRESETS`` of a player's file. An agent's preset is for an environment; one with settings
of the agent and no environment is a strategy, which plays games under a name of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.config.validation import ConfigSource, check, merge, settings
from simulator.core import registry
from simulator.core.files.escaping import checked_name

TOURNAMENTS = Path(__file__).parent / "tournament_presets"
EXAMPLE = "example"  # written by engram tournament --init


@dataclass(frozen=True)
class Preset:
    """An agent in an environment, with recommended settings."""

    name: str
    agent: str
    env: str
    description: str = ""
    steps: int = 50_000
    agent_settings: Mapping[str, Any] = field(default_factory=dict)
    env_settings: Mapping[str, Any] = field(default_factory=dict)

    def source(self) -> ConfigSource:
        """Return the settings as a source for the codec."""
        agent = {"name": self.agent, **self.agent_settings}
        env = {"name": self.env, **self.env_settings}
        return ConfigSource({"steps": self.steps, "agent": agent, "env": env}, f"preset {self.name}")


def of_agent(name: str) -> list[Preset]:
    """List the presets in one agent's file.

    Raises:
        ValueError: there is no such agent, or its ``PRESETS`` is invalid.
    """
    player = registry.load("agents", name)
    entries = getattr(player.module, "PRESETS", {})
    try:
        return [_preset(key, player.name, entry) for key, entry in entries.items() if not is_strategy(entry)]
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"agent {player.name}: PRESETS: {error!r}: expected presets with an environment") from error


def _preset(name: str, agent: str, entry: Mapping[str, Any]) -> Preset:
    checked_name(name, f"agent {agent}: PRESETS")
    keys = {"description", "env", "steps", "agent", "env_settings"}
    if unknown := set(entry) - keys:
        raise TypeError(f"{name} has {', '.join(sorted(unknown))}")
    return Preset(
        name,
        agent,
        entry["env"],
        str(entry.get("description", "")),
        entry.get("steps", Preset.steps),
        dict(entry.get("agent", {})),
        dict(entry.get("env_settings", {})),
    )


def every() -> tuple[list[Preset], list[str]]:
    """List the presets of all agents, and a line for each file that cannot be imported."""
    presets = []
    failed = []
    for name in registry.names("agents"):
        try:
            presets += of_agent(name)
        except ValueError as error:
            failed.append(str(error))
    return presets, failed


def find(name: str, agent: str | None = None, env: str | None = None) -> Preset:
    """Find a preset by name, of one agent or any, for one environment or any.

    Raises:
        ValueError: there is none, there are several, or it is meant for another environment; one line.
    """
    offered = of_agent(agent) if agent else every()[0]
    matching = [preset for preset in offered if preset.name == name.replace("_", "-")]
    if not matching:
        if agent and (
            agents_with_it := [preset.agent for preset in every()[0] if preset.name == name.replace("_", "-")]
        ):
            raise ValueError(f"preset {name} is for the agent {' or '.join(agents_with_it)}, not for {agent}")
        names = [preset.name for preset in offered]
        raise ValueError(registry.unknown_name_message("preset", name, names, "engram list presets"))
    if env is not None:
        fitting = [preset for preset in matching if preset.env.replace("-", "_") == env.replace("-", "_")]
        if not fitting:
            raise ValueError(f"preset {name} is for the environment {matching[0].env}, not for {env}")
        matching = fitting
    if len(matching) > 1:
        agents = ", ".join(preset.agent for preset in matching)
        raise ValueError(f"preset {name} belongs to several agents ({agents}): expected the agent's name before it")
    return matching[0]


def is_strategy(entry: Mapping[str, Any]) -> bool:
    """Tell whether an entry of ``PRESETS`` is a strategy for games."""
    return "agent" in entry and set(entry) <= {"description", "agent"}


def strategies() -> dict[str, tuple[registry.Plugin, Mapping[str, Any]]]:
    """Map names to agent and settings of the strategies in all agents' files."""
    players = [registry.load("agents", name) for name in registry.names("agents")]
    return {
        name: (player, entry["agent"])
        for player in players
        for name, entry in getattr(player.module, "PRESETS", {}).items()
        if is_strategy(entry)
    }


def memory_presets() -> dict[str, tuple[registry.Plugin, Mapping[str, Any]]]:
    """Map names to memory and settings of the presets in all memories' files."""
    players = [registry.load("memories", name) for name in registry.names("memories")]
    return {
        name: (player, entry.get("memory", {}))
        for player in players
        for name, entry in getattr(player.module, "PRESETS", {}).items()
    }


def find_agent(name: str) -> tuple[registry.Plugin, Any]:
    """Find an agent, or the agent of a strategy, by name, with its settings.

    Raises:
        ValueError: nothing has that name; one line.
    """
    return _find("agents", name)


def find_memory(name: str) -> tuple[registry.Plugin, Any]:
    """Find a memory or a preset of one by name, with its settings.

    Raises:
        ValueError: nothing has that name; one line.
    """
    return _find("memories", name)


def _find(kind: str, name: str) -> tuple[registry.Plugin, Any]:
    try:
        player = registry.load(kind, name)
        return player, player.defaults()
    except registry.UnknownNameError as error:
        presets = strategies() if kind == "agents" else memory_presets()
        if name.replace("_", "-") not in presets:
            if registry.elsewhere(kind, name):
                raise
            names = [*registry.candidates(kind), *presets]
            message = registry.unknown_name_message(registry.SINGULAR[kind], name, names, f"engram list {kind}")
            raise ValueError(message) from error
    player, preset_settings = presets[name.replace("_", "-")]
    chosen = check(settings(player.Config), preset_settings, ConfigSource(preset_settings, f"preset {name}"))
    return player, merge(player.Config(), chosen)


def tournaments() -> dict[str, str]:
    """Map names to the first line of every tournament that comes with Engram."""
    texts = {path.stem: path.read_text("utf-8") for path in sorted(TOURNAMENTS.glob("*.toml")) if path.stem != EXAMPLE}
    return {name: text.splitlines()[0].removeprefix("# ").rstrip(".") for name, text in texts.items()}
