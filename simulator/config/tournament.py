"""Config of a tournament: contestants in challenges, over many seeds.

Contestants and challenges keep the settings that they were given, not those they leave at their defaults: the settings
of a contestant in one environment may differ from those in another (``tuned``, ``in``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta

from simulator.config import codec, presets
from simulator.config.codec import Format, labelled, plain_label, table_at
from simulator.config.presets import find_agent, find_memory, memory_presets
from simulator.config.sockets import chosen_in, socket_of
from simulator.config.sockets import expected as fitting_names
from simulator.config.validation import ConfigSource, Setting, check, current_settings, merge, merge_tables, settings
from simulator.core import registry
from simulator.core.field_types import Count, CountOrZero
from simulator.core.files.escaping import checked_name
from simulator.core.files.reading import is_path as is_file
from simulator.core.foreign.python_files import absolute, is_path, resolved

Settings = Mapping[str, Any]
Tables = list[tuple[ConfigSource, Settings]]  # entries of one contestant or challenge, by source
NONE: Settings = MappingProxyType({})
SIDES = {"agent": "env", "memory": "challenge", "player": "game"}  # table of contestants -> of their challenges
KINDS = {"agent": "agents", "memory": "memories", "player": "agents"}
PLACES = {"env": "envs", "challenge": "challenges", "game": "games"}
EXTERNAL = ("sb3:", "python:", "human:", "run:", "cloned:")
_OWN = {  # settings of a challenge that are none of its player's
    "env": [Setting("steps", Count, None, "")],
    "challenge": [
        Setting("patterns", Count, None, ""),
        Setting("corruption", str, None, ""),
        Setting("score", Literal["overlap", "exact"], None, ""),
    ],
    "game": [
        Setting("episodes", Count, None, ""),
        Setting("train_steps", CountOrZero, None, ""),
        Setting("learn", bool, None, ""),
        Setting("self_play", bool, None, ""),
    ],
}
_SWITCH = [Setting("tuned", bool, False, "")]


class Contestant(NamedTuple):
    """A competitor under a label of its own."""

    label: str
    kind: str  # agent, memory or player
    name: str
    settings: Settings  # as they were given
    tuned: bool = False  # use the preset of its file for an environment, where there is one
    elsewhere: Mapping[str, Settings] = NONE  # label of an environment -> settings there, over the others


class ChallengeEntry(NamedTuple):
    """An environment, a recall challenge or a game to compete in, under a label of its own."""

    label: str
    kind: str  # env, challenge or game
    name: str
    settings: Settings
    own: Settings = (
        NONE  # steps of an environment; patterns, corruption and score of a challenge; episodes and so on of a game
    )


Seconds = Annotated[float, Meta(ge=0.0, le=1e9)]


@dataclass(frozen=True)
class TournamentConfig:
    """Contestants in challenges, over many seeds."""

    contestants: tuple[Contestant, ...]
    """the agents and memories that compete"""
    challenges: tuple[ChallengeEntry, ...]
    """the environments, recall challenges and games"""
    seeds: Annotated[int, Meta(ge=1, le=10**6)] = 8
    """number of seeds of each contestant in each challenge, the same for all"""
    first_seed: Annotated[int, Meta(ge=0, le=10**15)] = 0
    """first seed; the others follow it"""
    seeds_per_cell: Annotated[int, Meta(ge=1, le=10**6)] = 16
    """seeds of a cell, which run together; results do not depend on it, except under limits of time"""
    steps: Annotated[int, Meta(ge=1, le=10**12)] = 50_000
    """environment steps of training per seed, where an environment has no number of its own"""
    eval_every: CountOrZero = 0
    """environment steps between greedy evaluations; 0: a twentieth of steps"""
    eval_episodes: Annotated[int, Meta(ge=1, le=10**6)] = 100
    """episodes per seed of the final evaluation, the same for every contestant"""
    eval_max_steps: CountOrZero = 0
    """steps after which an evaluation episode is truncated, and its seed has no score; 0: the environment's own limit,
    but at least 100,000"""
    cpu_seconds: Seconds = 0.0
    """CPU time of training per seed, shared by the seeds of a cell, after which training ends; 0: no limit"""
    wall_seconds: Seconds = 0.0
    """wall-clock time of training, likewise; 0: no limit"""
    failed: Literal["floor", "left-out"] = "floor"
    """score of a failed seed: that of random play, or none; in a game such a seed is left out for every contestant"""
    skip: bool = False
    """leave out a contestant that cannot play a challenge; off: refuse the tournament before it begins"""
    retries: Annotated[int, Meta(ge=0, le=100)] = 2
    """number of times that a cell is run again after its worker died"""
    timeout: Seconds = 0.0
    """seconds after which a cell is given up as failed; 0: never"""
    adaptive: bool = False
    """add seeds while a pair of contestants is undecided, up to max_seeds"""
    max_seeds: Count = 64
    """maximum number of seeds per contestant and challenge, with adaptive"""
    confidence: Annotated[float, Meta(gt=0.5, lt=1.0)] = 0.95
    """confidence level of the intervals"""
    n_bootstrap: Annotated[int, Meta(ge=100, le=10**6)] = 2_000
    """number of bootstrap samples"""


def build(values: Settings) -> TournamentConfig:
    """Make a tournament of nested tables.

    ``{"seeds": 16, "agent": {"td": {}}, "env": {"rooms": {"layout": "four"}}}``: the tables ``agent``, ``memory`` and
    ``player`` hold a table for every contestant, ``env``, ``challenge`` and ``game`` one for every challenge, by label:
    ``name`` (by default the label) and settings.

    Raises:
        ValueError: a missing, unknown or bad setting, in one line.
    """
    return codec.build(TournamentConfig, values)


def preset(name: str) -> ConfigSource:
    """Read a tournament that comes with Engram, or a file where the name is a path.

    Raises:
        ValueError: there is none of that name, or the file cannot be read.
    """
    if is_file(name):
        return codec.read(name)
    files = presets.tournaments()
    if name.replace("_", "-") not in files:
        raise ValueError(registry.unknown_name_message("tournament preset", name, files, "engram list presets"))
    path = presets.TOURNAMENTS / f"{name.replace('_', '-')}.toml"
    return codec.parse(path.read_text("utf-8"), f"preset {name}")


def _compose(sources: Sequence[ConfigSource], values: dict[str, Any]) -> TournamentConfig:
    challenges = tuple(_challenge(kind, *item) for kind in PLACES for item in labelled(sources, kind).items())
    contestants = tuple(
        _contestant(kind, *item, challenges) for kind in SIDES for item in labelled(sources, kind).items()
    )
    for kind, place in SIDES.items():
        mine = [contestant for contestant in contestants if contestant.kind == kind]
        theirs = [challenge for challenge in challenges if challenge.kind == place]
        if bool(mine) != bool(theirs):
            given_kind, missing = (kind, place) if mine else (place, kind)
            raise ValueError(f"{given_kind} {(mine or theirs)[0].label}: expected at least one {missing} beside it")
    if not contestants:
        raise ValueError("expected contestants and challenges: --agents A ... --envs E ..., or a file")
    labels = [contestant.label for contestant in contestants]
    if twice := next((label for label in labels if labels.count(label) > 1), None):
        raise ValueError(f"{twice} competes twice: expected a label of its own for each contestant")
    return TournamentConfig(contestants, challenges, **values)


def _challenge(kind: str, label: str, tables: Tables) -> ChallengeEntry:
    player = _named(PLACES[kind], label, tables)
    host_settings: dict[str, Any] = {}
    chosen: dict[str, Any] = {}
    names = {setting.name for setting in _OWN[kind]}
    for source, table in tables:
        host_settings |= check(_OWN[kind], {key: table[key] for key in names & table.keys()}, source, (kind, label))
        env_settings = {key: value for key, value in table.items() if key not in {"name", *names}}
        known = settings(player.Config)
        chosen = merge_tables(chosen, check(known, env_settings, source, (kind, label), player.name), known)
    return ChallengeEntry(label, kind, player.name, chosen, host_settings)


def _contestant(kind: str, label: str, tables: Tables, challenges: Sequence[ChallengeEntry]) -> Contestant:
    name = str(next((table["name"] for _, table in reversed(tables) if "name" in table), label))
    if run := next((table["run"] for _, table in reversed(tables) if kind == "agent" and "run" in table), None):
        name = f"run:{run}"
    checked_name(name, f"{kind}.{label}.name", most=4096)
    chosen: dict[str, Any] = {}
    elsewhere: dict[str, dict[str, Any]] = {}
    tuned = False
    player: registry.Plugin | None = None  # settings of a contestant from outside are taken as they are
    if is_external(kind, name):
        name = _resolved(name)
    else:
        player, name, chosen = _player(kind, name, tables)
    allowed = settings(player.Config) if player is not None else []
    for source, table in tables:
        switch = {key: table[key] for key in {"tuned"} & table.keys()}
        tuned = check(_SWITCH, switch, source, (kind, label)).get("tuned", tuned)
        player_settings = {key: value for key, value in table.items() if key not in ("name", "tuned", "in", "run")}
        if player is not None:
            known = _known(player, chosen)
            if tuned:
                _check_named(known, player_settings, source, (kind, label))
            player_settings = check(known, player_settings, source, (kind, label), player.name)
        chosen = merge_tables(chosen, player_settings, allowed)
        for place, own in table_at(source, (kind, label, "in"), table.get("in", {})).items():
            path = (kind, label, "in", place)
            where = _place(place, challenges, source, path)
            before = elsewhere.get(where, {})
            env_settings = dict(own)
            if player is not None:
                known = _known(player, merge_tables(chosen, before, allowed))
                env_settings = check(known, own, source, path, player.name)
            elsewhere[where] = merge_tables(before, env_settings, allowed)
    return Contestant(label, kind, name, chosen, tuned, elsewhere)


def _check_named(known: list[Setting], table: Settings, source: ConfigSource, path: tuple[str, ...]) -> None:
    """Refuse settings of a component without its name: a preset that may name one counts in its environment alone.

    Raises:
        ValueError: there are such; one line.
    """
    for setting in known:
        value = table.get(setting.name)
        if not (socket := socket_of(setting.hint)) or chosen_in(setting.default) or not isinstance(value, Mapping):
            continue
        if value and "name" not in value:
            named = ".".join((*path, setting.name, "name"))
            raise ValueError(
                f"{source.name((*path, setting.name))}: no {socket} is chosen, expected {named} too: "
                f"{fitting_names(socket)} (tuned = true names none: a preset counts in its own environment)"
            )


def _known(player: registry.Plugin, chosen: Settings) -> list[Setting]:
    """List a contestant's settings, with those that were chosen so far in place of the defaults."""
    return current_settings(merge(player.Config(), check(settings(player.Config), chosen, ConfigSource(chosen))))


def is_external(kind: str, name: str) -> bool:
    """Tell whether a contestant comes from outside; in games a function plays as an agent does."""
    return name.startswith(EXTERNAL) and not (kind == "player" and name.startswith("python:"))


def _resolved(name: str) -> str:
    """Return the name of an external contestant with an absolute path, so that any folder can resume it."""
    kind, _, target = name.partition(":")
    path, colon, within = target.rpartition(":") if kind == "python" else (target, "", "")
    return f"{kind}:{resolved(path)}{colon}{within}" if is_path(path) else name


def _player(kind: str, name: str, tables: Tables) -> tuple[registry.Plugin, str, dict[str, Any]]:
    """Return the player of a name, the name to keep, and the settings of a preset of that name."""
    if kind == "memory":
        player, _ = find_memory(name)
        _, chosen = memory_presets().get(name.replace("_", "-"), (player, NONE))
        return player, player.name, dict(chosen) if name.replace("-", "_") != player.name else {}
    if kind == "player":
        player = find_agent(name)[0]
        return player, player.name if name.startswith("python:") else absolute(name), {}
    player = _named(KINDS[kind], name, tables)
    return player, player.name if player.variant else absolute(name), dict(player.variant)


def _named(kind: str, label: str, tables: Tables) -> registry.Plugin:
    name = label
    where = ""
    for source, table in tables:
        if "name" in table:
            name = str(table["name"])
            where = source.where
    try:
        return registry.load(kind, name)
    except ValueError as error:
        raise ValueError(f"{where}: {error}" if where else str(error)) from error


def _place(label: str, challenges: Sequence[ChallengeEntry], source: ConfigSource, path: tuple[str, ...]) -> str:
    for challenge in challenges:
        if label == challenge.label or (source.flags and plain_label(label) == plain_label(challenge.label)):
            return challenge.label
    labels = [challenge.label for challenge in challenges]
    message = registry.unknown_name_message("challenge", label, labels, "of this tournament")
    raise ValueError(f"{source.name(path)}: {message}")


def _players(config: TournamentConfig) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for entry in config.challenges:
        tables.setdefault(entry.kind, {})[entry.label] = {"name": entry.name, **entry.settings, **entry.own}
    for contestant in config.contestants:
        table = tables.setdefault(contestant.kind, {})[contestant.label] = {
            "name": contestant.name,
            **contestant.settings,
        }
        if contestant.tuned:
            table["tuned"] = True
        if contestant.elsewhere:
            table["in"] = dict(contestant.elsewhere)
    return tables


def _identify(config: TournamentConfig, tables: dict[str, Any]) -> Iterable[str]:
    """Count the settings alone: the content of files is part of the identity of cells."""
    if not config.eval_max_steps:  # as in simulator.config.run
        tables.pop("eval_max_steps", None)
    return ()


codec.register(
    TournamentConfig,
    Format("tournament", (*SIDES, *PLACES), ("contestants", "challenges"), _compose, _players, _identify),
)
