"""Who enters a tournament, and for what: tables of settings as contestants and challenges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from simulator.arena_config import find_memory, memory_presets
from simulator.core import plugins
from simulator.core.escaping import checked_name
from simulator.core.python_files import absolute, is_path, resolved
from simulator.core.ranges import Count, CountOrZero
from simulator.matches.config import find_agent
from simulator.settings import Layer, Setting, check, settings

Settings = Mapping[str, Any]
Tables = list[tuple[Layer, Settings]]  # what each layer says of one contestant or challenge
NONE: Settings = MappingProxyType({})
SIDES = {"agent": "world", "memory": "challenge", "player": "game"}  # table of contestants -> of what they play
KINDS = {"agent": "agents", "memory": "memories", "player": "agents"}
PLACES = {"world": "worlds", "challenge": "challenges", "game": "games"}
EXTERNAL = ("sb3:", "python:", "human:")
_OWN = {  # settings of a challenge that are none of its player's
    "world": [Setting("steps", Count, None, "")],
    "challenge": [
        Setting("patterns", Count, None, ""),
        Setting("damage", str, None, ""),
        Setting("score", Literal["overlap", "exact"], None, ""),
    ],
    "game": [
        Setting("episodes", Count, None, ""),
        Setting("train_steps", CountOrZero, None, ""),
        Setting("learn", bool, None, ""),
        Setting("self_play", bool, None, ""),
    ],
}


class Contestant(NamedTuple):
    """Who competes, under a label of its own."""

    label: str
    kind: str  # agent, memory or player
    name: str
    settings: Settings  # as they were given
    tuned: bool = False
    elsewhere: Mapping[str, Settings] = NONE  # world label -> settings there, over the others


class Challenge(NamedTuple):
    """What they compete in, under a label of its own."""

    label: str
    kind: str  # world, challenge or game
    name: str
    settings: Settings
    own: Settings = NONE  # steps of a world; patterns, damage and score of a challenge; episodes and so on of a game


def plain_label(label: str) -> str:
    """A label as flags write it."""
    return "".join(letter if letter.isalnum() else "_" for letter in label)


def table_at(layer: Layer, path: tuple[str, ...], value: Any) -> Settings:
    """The value found at ``path`` of a layer, which must be a table."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{layer.place(path, value)}: expected a table of settings")
    return value


def challenge_of(kind: str, label: str, tables: Tables) -> Challenge:
    """A challenge from its tables.

    Raises:
        ValueError: an unknown name or a bad setting; one line.
    """
    player = _named(PLACES[kind], label, tables)
    own: dict[str, Any] = {}
    chosen: dict[str, Any] = {}
    names = {setting.name for setting in _OWN[kind]}
    for layer, table in tables:
        own |= check(_OWN[kind], {key: table[key] for key in names & table.keys()}, layer, (kind, label))
        rest = {key: value for key, value in table.items() if key not in {"name", *names}}
        chosen = _merged(chosen, check(settings(player.Config), rest, layer, (kind, label)))
    return Challenge(label, kind, player.name, chosen, own)


def contestant_of(kind: str, label: str, tables: Tables, challenges: Sequence[Challenge]) -> Contestant:
    """A contestant from its tables; ``challenges`` are those of the tournament.

    Raises:
        ValueError: an unknown name or a bad setting; one line.
    """
    name = str(next((table["name"] for _, table in reversed(tables) if "name" in table), label))
    checked_name(name, f"{kind}.{label}.name", most=4096)
    chosen: dict[str, Any] = {}
    places: dict[str, dict[str, Any]] = {}
    tuned = False
    if name.startswith(EXTERNAL):
        known: list[Setting] | None = None
        name = _from_anywhere(name)
    else:
        player, name, chosen = _player(kind, name, tables)
        known = settings(player.Config)
    for layer, table in tables:
        switch = {key: table[key] for key in {"tuned"} & table.keys()}
        tuned = check([Setting("tuned", bool, False, "")], switch, layer, (kind, label)).get("tuned", tuned)
        rest = {key: value for key, value in table.items() if key not in ("name", "tuned", "in")}
        chosen = _merged(chosen, _checked(known, rest, layer, (kind, label)))
        for place, own in table_at(layer, (kind, label, "in"), table.get("in", {})).items():
            where = _place(place, challenges, layer, (kind, label, "in"))
            places[where] = _merged(places.get(where, {}), _checked(known, own, layer, (kind, label, "in", place)))
    return Contestant(label, kind, name, chosen, tuned, places)


def _from_anywhere(name: str) -> str:
    """The name of a contestant from outside, its path as whoever resumes in another folder would write it."""
    kind, _, target = name.partition(":")
    path, colon, within = target.rpartition(":") if kind == "python" else (target, "", "")
    return f"{kind}:{resolved(path)}{colon}{within}" if is_path(path) else name


def _player(kind: str, name: str, tables: Tables) -> tuple[plugins.Player, str, dict[str, Any]]:
    """The player of that name, its name, and the settings that a preset of that name has."""
    if kind == "memory":
        player, _ = find_memory(name)
        _, preset = memory_presets().get(name.replace("_", "-"), (player, NONE))
        return player, player.name, dict(preset) if name.replace("-", "_") != player.name else {}
    if kind == "player":
        return find_agent(name)[0], absolute(name), {}
    return _named(KINDS[kind], name, tables), absolute(name), {}


def _named(kind: str, label: str, tables: Tables) -> plugins.Player:
    name, layer = label, Layer({})
    for each, table in tables:
        if "name" in table:
            name, layer = str(table["name"]), each
    try:
        return plugins.load(kind, name)
    except ValueError as error:
        raise ValueError(f"{layer.where}: {error}" if layer.where else str(error)) from error


def _checked(known: list[Setting] | None, values: Settings, layer: Layer, path: tuple[str, ...]) -> dict[str, Any]:
    """Settings of a player of ours as its fields want them; those of others as they are."""
    return dict(values) if known is None else check(known, values, layer, path)


def _place(label: str, challenges: Sequence[Challenge], layer: Layer, path: tuple[str, ...]) -> str:
    for each in challenges:
        if label == each.label or (layer.flags and plain_label(label) == plain_label(each.label)):
            return each.label
    known = [each.label for each in challenges]
    raise ValueError(
        f"{layer.name((*path, label))}: {plugins.unknown('challenge', label, known, 'of this tournament')}"
    )


def _merged(base: Settings, over: Settings) -> dict[str, Any]:
    """Nested tables, the latter over the former."""
    found = dict(base)
    for key, value in over.items():
        inner = found.get(key)
        both = isinstance(value, Mapping) and isinstance(inner, Mapping)
        found[key] = _merged(inner, value) if both else value  # type: ignore[arg-type]
    return found
