"""Players as arguments of the Python API: one by its name or as a dict, several as a list or by label.

=====================  ===========================================================================================
one                    ``"q_learning"``, or ``{"name": "q_learning", "gamma": 0.9, "explore": {"epsilon_start": 0.2}}``
several                ``["q_learning", "td"]``, dicts among them with ``label`` for another label than the name;
                       or by label: ``{"slow": {"name": "q_learning", "step_size": 0.1}, "td": {}}``
=====================  ===========================================================================================

The settings of one player may also be given beside it (``agent_settings``), and count over those in the dict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simulator.config.codec import own_settings
from simulator.config.field_words import option_meant, settings_of
from simulator.config.run import RunConfig, build
from simulator.config.validation import dotted_names
from simulator.config.validation import settings as known_settings
from simulator.core import registry
from simulator.core.foreign.python_files import label_of
from simulator.external import env_objects

Player = str | Mapping[str, Any]
Players = Player | Sequence[Player] | Mapping[str, Mapping[str, Any]]


def one(table: str, player: Any, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the table of one player: its name and its settings.

    Args:
        table: what errors call it, such as "agent".
        player: a name, a path, or a dict with ``name``.
        settings: more of its settings, which count over those in the dict.

    Raises:
        ValueError: something else; one line.
    """
    if isinstance(player, Mapping):
        return {**player, **(settings or {})}
    if isinstance(player, str | Path):
        return {"name": str(player), **(settings or {})}
    raise ValueError(f"{table} = {str(player)[:60]}: expected a name, or a dict of name and settings")


def several(table: str, players: Any, settings: Mapping[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """Return the tables of several players by their labels.

    Args:
        table: what errors call them, such as "memory".
        players: see the module.
        settings: settings of each of them.

    Raises:
        ValueError: something else, or a label twice; one line.
    """
    if isinstance(players, Mapping) and "name" not in players:
        return {str(label): {**own, **(settings or {})} for label, own in _tables(table, players).items()}
    listed = [players] if isinstance(players, str | Path | Mapping) else players
    if not isinstance(listed, Sequence):
        raise ValueError(f"{table} = {str(players)[:60]}: expected names, dicts, or a dict by label")
    named: dict[str, dict[str, Any]] = {}
    for player in listed:
        own = one(table, player, settings)
        if "name" not in own:
            raise ValueError(f"{table}: {str(own)[:60]}: expected a name in it")
        label = str(own.pop("label", "")) or label_of(str(own["name"])).replace("-", "_")
        if label in named:
            raise ValueError(f"{table}: {label} is there twice, expected a label of its own for each")
        named[label] = own
    return named


def run_config(
    agent: Player,
    env: Any,
    agent_settings: Mapping[str, Any] | None,
    env_settings: Mapping[str, Any] | None,
    settings: Mapping[str, Any],
) -> RunConfig:
    """Make the config of a run; the environment may be an object (:mod:`simulator.external.env_objects`).

    Raises:
        ValueError: an unknown name or a bad value, in one line.
    """
    if not isinstance(env, str | Path | Mapping):
        named = env_objects.named(env)
        env = {"name": named.name, **named.settings}
    tables = {"agent": one("agent", agent, agent_settings), "env": one("env", env, env_settings)}
    _check_of_run(settings, tables)
    return build({**settings, **tables})


def _check_of_run(given: Mapping[str, Any], tables: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse keywords that are settings of a player, with how they are written.

    Raises:
        ValueError: there is one; one line.
    """
    own = [setting.name for setting in own_settings(RunConfig)]
    for key, value in given.items():
        if key in own or option_meant(key, own):
            continue
        for table, kind in (("agent", "agents"), ("env", "envs")):
            player = registry.load(kind, tables[table].get("name", ""))
            if called := settings_of(key, dotted_names(known_settings(player.Config))):
                for part in reversed(called[0].split(".")):
                    value = {part: value}
                raise ValueError(
                    f"{key}: no such setting of a run; {player.name} has it: {table}_settings={value!r:.90}"
                )


def _tables(table: str, players: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    for label, own in players.items():
        if not isinstance(own, Mapping):
            raise ValueError(f"{table}: {label} = {str(own)[:60]}: expected a dict of settings")
    return players
