"""Presets: settings that an agent's file recommends for an environment, in its ``PRESETS`` table.

An entry with settings of the agent and no environment is a strategy: a contestant of its own name in games, and no run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simulator.config.validation import ConfigSource
from simulator.core import registry
from simulator.core.files.escaping import checked_name


@dataclass(frozen=True)
class Preset:
    """An agent in an environment, with the settings that serve it there."""

    name: str
    agent: str
    env: str
    about: str = ""
    steps: int = 50_000
    agent_settings: Mapping[str, Any] = field(default_factory=dict)
    env_settings: Mapping[str, Any] = field(default_factory=dict)

    def layer(self) -> ConfigSource:
        """The settings as ``config.assemble`` takes them."""
        agent, env = {"name": self.agent, **self.agent_settings}, {"name": self.env, **self.env_settings}
        return ConfigSource({"steps": self.steps, "agent": agent, "env": env}, f"preset {self.name}")


def of_agent(name: str) -> list[Preset]:
    """The presets in one agent's file.

    Raises:
        ValueError: there is no such agent, or its ``PRESETS`` is not what it should be.
    """
    player = registry.load("agents", name)
    tuned = getattr(player.module, "PRESETS", {})
    try:
        return [_preset(key, player.name, entry) for key, entry in tuned.items() if not is_strategy(entry)]
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"agent {player.name}: PRESETS: {error!r}: expected presets with an environment") from error


def is_strategy(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of ``PRESETS`` is a strategy for games."""
    return "agent" in entry and set(entry) <= {"description", "agent"}


def strategies() -> dict[str, tuple[registry.Plugin, Mapping[str, Any]]]:
    """Name -> agent and settings of the strategies in all agents' files."""
    players = [registry.load("agents", name) for name in registry.names("agents")]
    return {
        name: (player, entry["agent"])
        for player in players
        for name, entry in getattr(player.module, "PRESETS", {}).items()
        if is_strategy(entry)
    }


def every() -> tuple[list[Preset], list[str]]:
    """The presets of all agents, and a line for each file that could not be asked."""
    found, failed = [], []
    for name in registry.names("agents"):
        try:
            found += of_agent(name)
        except ValueError as error:
            failed.append(str(error))
    return found, failed


def find(name: str, agent: str | None = None, env: str | None = None) -> Preset:
    """The preset of that name, of one agent or of any, for one environment or for any.

    Raises:
        ValueError: there is none, there are several, or it is meant for another environment; one line.
    """
    offered = of_agent(agent) if agent else every()[0]
    found = [each for each in offered if each.name == name.replace("_", "-")]
    if not found:
        if agent and (others := [each.agent for each in every()[0] if each.name == name.replace("_", "-")]):
            raise ValueError(f"preset {name} is for the agent {' or '.join(others)}, not for {agent}")
        known = [each.name for each in offered]
        raise ValueError(registry.unknown_name_message("preset", name, known, "engram list presets"))
    if env is not None:
        fitting = [each for each in found if each.env.replace("-", "_") == env.replace("-", "_")]
        if not fitting:
            raise ValueError(f"preset {name} is for the environment {found[0].env}, not for {env}")
        found = fitting
    if len(found) > 1:
        agents = ", ".join(each.agent for each in found)
        raise ValueError(f"preset {name} belongs to several agents ({agents}): expected the agent's name before it")
    return found[0]


def _preset(name: str, agent: str, entry: Mapping[str, Any]) -> Preset:
    checked_name(name, f"agent {agent}: PRESETS")
    known = {"description", "env", "steps", "agent", "env_settings"}
    if strange := set(entry) - known:
        raise TypeError(f"{name} has {', '.join(sorted(strange))}")
    own, outer = dict(entry.get("agent", {})), dict(entry.get("env_settings", {}))
    steps = entry.get("steps", Preset.steps)
    return Preset(name, agent, entry["env"], str(entry.get("description", "")), steps, own, outer)
