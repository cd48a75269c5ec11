"""Every registered player, with environments and settings that the laws use. New players are found by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from simulator.checks.comparison import same, state_of_seed
from simulator.config.run import build
from simulator.core import registry
from simulator.training.loop import Session
from tests.helpers.seeding import FIRST_SEED

AGENTS = registry.names("agents")
ENVS = registry.names("envs")
GAMES = registry.names("games")
SMALL = ("rooms", "FrozenLake-v1", "CartPole-v1")  # by table, by table with a foreign law, and boxes in Python
SOON = {"dqn": {"learning_starts": 20, "batch_size": 8}}  # what else would not begin to learn within the steps of a law

GAME = "tests.laws.game_probe"  # for agents that play games only

Settings = Mapping[str, Any]


def session(agent: str, env: str, *, rollouts: bool = True, **settings: Any) -> Session:
    """Return a short session; ``agent_``, which wins over ``SOON``, and ``env_`` hold the players' settings."""
    tables = {
        "agent": {"name": agent, **SOON.get(agent, {}), **settings.pop("agent_", {})},
        "env": {"name": env, **settings.pop("env_", {})},
    }
    first_seed = FIRST_SEED + settings.pop("first_seed", 0)
    run = {"seeds": 3, "first_seed": first_seed, "steps": 100_000, "eval_episodes": 10, "threads": 1}
    return Session(build({**run, **settings, **tables}), rollouts=rollouts)


@cache
def can_play(agent: str, env: str) -> bool:
    """Return True if an agent accepts an environment."""
    try:
        session(agent, env)
    except ValueError:
        return False
    return True


@cache
def has_rollout(agent: str, env: str) -> bool:
    """Return True if an agent trains in an environment by compiled rollouts."""
    return can_play(agent, env) and session(agent, env)._fast


def pairs() -> list[tuple[str, str]]:
    """Return every agent with every small environment that it accepts, or with the game if it accepts none."""
    return [(agent, env) for agent in AGENTS for env in dict.fromkeys((*SMALL, home(agent))) if can_play(agent, env)]


def home(agent: str) -> str:
    """Return the environment of an agent's own laws: rooms, or the game for agents that play games only."""
    return "rooms" if can_play(agent, "rooms") else GAME


def variants(kind: str, name: str) -> list[dict[str, Any]]:
    """Return settings that change each choice of a player's ``Config`` in turn, nested ones too."""
    config = registry.load(kind, name).Config
    return [{}, *_turned(config)]


def _turned(config: type[Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    hints = get_type_hints(config, include_extras=True)
    defaults = config()
    for field in fields(config):
        hint, now = hints[field.name], getattr(defaults, field.name)
        if is_dataclass(hint):
            found += [{field.name: inner} for inner in _turned(hint)]
        elif get_origin(hint) is Literal:
            found += [{field.name: choice} for choice in get_args(hint) if choice != now]
        elif hint is bool:
            found.append({field.name: not now})
    return found


__all__ = [
    "AGENTS",
    "ENVS",
    "GAME",
    "GAMES",
    "SMALL",
    "can_play",
    "home",
    "pairs",
    "same",
    "session",
    "state_of_seed",
    "variants",
]
