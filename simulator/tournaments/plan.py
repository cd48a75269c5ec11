"""Plan of a tournament as data: contestant x challenge x seed block -> cells, identified by all that they depend on.

A pair's key is the SHA-256 of its complete settings without the seeds, of the versions of numerical libraries, of our
sources that can change a result, and of the files of external contestants with the user's own imports: a cell of an
older player is not reused for a newer one. Nothing else enters it, so that all tournaments of a lab share cells.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, NamedTuple

from simulator.config import codec, recall
from simulator.config.presets import of_agent
from simulator.config.run import RunConfig
from simulator.config.tournament import SIDES, ChallengeEntry, Contestant, TournamentConfig, is_external
from simulator.config.validation import ConfigSource, check, merge, settings
from simulator.core import registry
from simulator.core.components import Component
from simulator.store.cell_store import SeedRange
from simulator.store.run_records import installed

RANDOM = "random_walk"  # the agent that measures the floor where it is not known
REFERENCE = -1  # in place of a contestant: random play, which is not ranked
TIMED = ("cpu_seconds", "wall_seconds")
RESULT_SOURCES = (  # files of simulator/ that can change a result
    *("training/*.py", "recall/benchmark.py", "recall/metrics.py", "recall/bayes_optimal.py"),
    *("matches/*.py", "external/*.py", "play/log.py", "play/matches.py", "tournaments/cell_runner.py"),
)


class Matchup(NamedTuple):
    """A contestant, or two of them, in a challenge: a cell without its seeds."""

    contestant: int  # index, or REFERENCE
    second: int  # the other one in a game; -1 elsewhere
    challenge: int
    kind: str  # of cell: run, recall, match, played (by a person), external
    key: str
    config: Any  # with a single seed

    def settings(self, span: SeedRange) -> str:
        """Format the complete settings of the job with these seeds, as TOML."""
        config = dataclasses.replace(self.config, first_seed=span.first, seeds=span.count)
        return codec.to_toml(config)


def pairs_of(tournament: TournamentConfig, refused: dict[tuple[int, int], str] | None = None) -> list[Matchup]:
    """List every pair of a tournament, in the order of its settings.

    Args:
        tournament: its settings.
        refused: filled with the reason of every skipped (contestant, challenge).

    Raises:
        ValueError: invalid settings, in one line that names contestant and challenge.
    """
    matchups: list[Matchup] = []
    for m, challenge in enumerate(tournament.challenges):
        for c, contestant in enumerate(tournament.contestants):
            if SIDES[contestant.kind] != challenge.kind:
                continue
            if challenge.kind == "game":
                opponents = range(c + (not challenge.own.get("self_play", False)), len(tournament.contestants))
                rivals = [d for d in opponents if tournament.contestants[d].kind == contestant.kind]
                matchups += [_pair(tournament, (c, d), m) for d in rivals]
                continue
            try:
                matchups.append(_pair(tournament, (c, -1), m))
            except ValueError as error:
                if not tournament.skip or refused is None:
                    raise
                refused[c, m] = " ".join(str(error).split())
    return matchups


def references(tournament: TournamentConfig) -> list[Matchup]:
    """List random play in every environment, as a reference where its return is not known."""
    envs = [m for m, challenge in enumerate(tournament.challenges) if challenge.kind == "env"]
    plain = Contestant("random play", "agent", RANDOM, {})
    matchups = []
    for m in envs:
        config = dataclasses.replace(_run(tournament, plain, tournament.challenges[m]), steps=1, eval_every=1)
        matchups.append(keyed(Matchup(REFERENCE, -1, m, "run", "", config)))
    return matchups


def spans_of(first: int, seeds: int, block: int) -> list[SeedRange]:
    """Cut seeds into blocks."""
    return [SeedRange(at, min(block, first + seeds - at)) for at in range(first, first + seeds, block)]


def fitted(wanted: SeedRange, block: int, known: Iterable[SeedRange]) -> list[SeedRange]:
    """Cut seeds into blocks, reusing stored ones.

    Args:
        wanted: the seeds.
        block: seeds in a new block.
        known: stored blocks.
    """
    end = wanted.first + wanted.count
    longest: dict[int, int] = {}  # first seed -> number of seeds that were played from there
    for span in known:
        if span.first + span.count <= end:
            longest[span.first] = max(span.count, longest.get(span.first, 0))
    spans: list[SeedRange] = []
    at = wanted.first
    while at < end:
        next_known = min((first for first in longest if first > at), default=end)
        spans.append(SeedRange(at, longest.get(at) or min(block, next_known - at, end - at)))
        at += spans[-1].count
    return spans


class PlannedJob(NamedTuple):
    """A job of a stored plan."""

    pair: dict[str, Any]  # the matchup, as the plan has it
    span: SeedRange


def cells_of(plan: dict[str, Any]) -> Iterator[PlannedJob]:
    """Yield the jobs of a stored plan, block by block, so that all contestants progress alike."""
    spans = [[SeedRange(*span) for span in pair["spans"]] for pair in plan["pairs"]]
    for at in range(max(map(len, spans), default=0)):
        for pair, pair_spans in zip(plan["pairs"], spans, strict=True):
            if at < len(pair_spans):
                yield PlannedJob(pair, pair_spans[at])


def stored(pairs: Sequence[Matchup], tournament: TournamentConfig) -> list[dict[str, Any]]:
    """Convert pairs to their stored form: indices, kind, key and spans of seeds."""
    spans = spans_of(tournament.first_seed, tournament.seeds, tournament.seeds_per_cell)
    return [
        {"contestant": p.contestant, "second": p.second, "challenge": p.challenge, "kind": p.kind, "key": p.key}
        | {"spans": [list(span) for span in spans]}
        for p in pairs
    ]


def _pair(tournament: TournamentConfig, contestants: tuple[int, int], m: int) -> Matchup:
    contestant = tournament.contestants[contestants[0]]
    challenge = tournament.challenges[m]
    kind = {"env": "run", "challenge": "recall", "game": "match"}[challenge.kind]
    try:
        if kind == "match":
            kind = _check_plays_games(tournament, contestants)
        if kind == "played":
            config = _played(tournament, contestants, challenge)
        elif is_external(contestant.kind, contestant.name):
            kind = "external"
            config = _external(tournament, contestant, challenge)
        elif kind == "match":
            config = _match(tournament, (contestant, tournament.contestants[contestants[1]]), challenge)
        else:
            config = {"run": _run, "recall": _recall}[kind](tournament, contestant, challenge)
    except ValueError as error:
        raise ValueError(f"{contestant.label} in {challenge.label}: {error}") from None
    times = tuple(getattr(tournament, name) for name in TIMED) if kind in ("run", "external") else ()
    return keyed(Matchup(*contestants, m, kind, "", config), times)


def _check_plays_games(tournament: TournamentConfig, contestants: tuple[int, int]) -> str:
    """Refuse contestants from outside in games, but for functions and for one person; return the kind of the cell.

    Raises:
        ValueError: there is one; one line.
    """
    names = [tournament.contestants[c].name for c in contestants]
    people = [name for name in names if name.startswith("human:")]
    if len(people) == 2:
        raise ValueError("two people do not meet in a tournament, expected an agent or a strategy beside a person")
    for name in names:
        who, _, of = name.partition(":")
        if who == "human" and "#" not in of:
            raise ValueError(f"{name} plays no game: a recording's file is of an environment, expected human:NAME")
        if who == "cloned":
            raise ValueError(
                f"cloned:{of.rpartition('#')[2]} plays no game in a tournament: clones are taught in environments"
                " alone, expected human:NAME, an agent, a strategy or a function"
            )
        if is_external("player", name) and who != "human":
            raise ValueError(f"{name} plays no game in a tournament, expected an agent, a strategy or a function")
    return "played" if people else "match"


def keyed(pair: Matchup, times: tuple[float, ...] = (), stop_at: int = 0) -> Matchup:
    """Return a matchup with the key of everything that its result depends on, but for the seeds.

    ``times``: limits of training time; ``stop_at``: environment step at which a run is evaluated, 0: its end.
    """
    config = dataclasses.replace(pair.config, first_seed=0, seeds=1)
    parts = [pair.kind, codec.settings_hash(config), *_computing(pair.kind), *_sources(config)]
    parts += [repr(times)] if any(times) else []
    parts += [f"until {stop_at}"] if stop_at else []
    return pair._replace(key=hashlib.sha256("\0".join(parts).encode()).hexdigest(), config=config)


@cache
def _computing(kind: str) -> tuple[str, ...]:
    """Return the versions and the hash of the sources that a result can depend on."""
    versions = dict(installed())
    if kind == "external":
        versions |= {name: version(name) for name in ("stable-baselines3",) if find_spec(name.replace("-", "_"))}
    digest = hashlib.sha256()
    root = registry.ROOT
    for folder in (*(registry.ROOT / name for name in ("agents", "memory", "envs")), root / "simulator" / "core"):
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.read_bytes())
    for name in RESULT_SOURCES:
        for path in sorted((root / "simulator").glob(name)):
            digest.update(path.read_bytes())
    return (repr(sorted(versions.items())), digest.hexdigest())


def _sources(config: Any) -> Iterator[str]:
    """Hash the files that the players read, in hex."""
    names = [("agents", getattr(config, "agent", None)), ("envs", getattr(config, "env", None))]
    names += [("memories", contestant.name) for contestant in getattr(config, "contestants", ())]
    names += [("challenges", getattr(config, "challenge", None)), ("games", getattr(config, "game", None))]
    names += [
        ("agents", getattr(config, side).name) for side in ("first", "second", "opponent") if hasattr(config, side)
    ]
    names += [("components", component.name) for component in _components(config)]
    for kind, name in names:
        if name is not None:
            files = registry.sources(kind, name)
            yield from [hashlib.sha256(path.read_bytes()).hexdigest() for path in files] or [name]


def _components(config: Any) -> Iterator[Component]:
    """Iterate over the components in the settings of a config's agents."""
    sides = [side.settings for side in (getattr(config, "first", None), getattr(config, "second", None)) if side]
    for chosen in filter(None, [getattr(config, "agent_settings", None), *sides]):
        yield from codec.components_of(chosen)


def _run(tournament: TournamentConfig, contestant: Contestant, challenge: ChallengeEntry) -> RunConfig:
    steps = challenge.own.get("steps", tournament.steps)
    outer = {"seeds": 1, "steps": steps, "eval_every": tournament.eval_every, "threads": 1}
    outer |= {"eval_episodes": tournament.eval_episodes, "eval_max_steps": tournament.eval_max_steps}
    layers = [ConfigSource(outer)]
    if contestant.tuned:
        layers += [ConfigSource({"agent": preset}) for preset in _tuned(contestant, challenge)][:1]
    agent = {"name": contestant.name, **contestant.settings}
    layers.append(ConfigSource({"agent": agent, "env": {"name": challenge.name, **challenge.settings}}))
    layers.append(ConfigSource({"agent": contestant.elsewhere.get(challenge.label, {})}))
    return codec.assemble(RunConfig, layers)


def _tuned(contestant: Contestant, challenge: ChallengeEntry) -> Iterator[Mapping[str, Any]]:
    """Iterate over the presets of the agent for exactly this environment with its settings."""
    player = registry.load("envs", challenge.name)
    wanted = merge(player.Config(), challenge.settings)
    for preset in of_agent(contestant.name):
        if preset.env.replace("-", "_") == challenge.name.replace("-", "_"):
            preset_env_settings = check(settings(player.Config), preset.env_settings, ConfigSource(preset.env_settings))
            if merge(player.Config(), preset_env_settings) == wanted:
                yield preset.agent_settings


def _recall(tournament: TournamentConfig, contestant: Contestant, challenge: ChallengeEntry) -> recall.RecallConfig:
    memory_table = {"name": contestant.name, **contestant.settings, **contestant.elsewhere.get(challenge.label, {})}
    values: dict[str, Any] = {
        "memory": {"memory": memory_table},
        "challenge": {"name": challenge.name, **challenge.settings},
    }
    values |= {
        "patterns": [challenge.own.get("patterns", 20)],
        "corruption": [challenge.own.get("corruption", "flip:0.2")],
    }
    return recall.build({"seeds": 1, "threads": 1, **values})


def _match(tournament: TournamentConfig, sides: tuple[Contestant, Contestant], challenge: ChallengeEntry) -> Any:
    from simulator.config import match as match_config

    first, second = ({"name": side.name, **side.settings, **side.elsewhere.get(challenge.label, {})} for side in sides)
    first["label"] = "first"
    second["label"] = "second"  # labels change no result
    game = {"name": challenge.name, **challenge.settings}
    host_settings = {key: value for key, value in challenge.own.items() if key != "self_play"}
    return match_config.build({"seeds": 1, **host_settings, "game": game, "first": first, "second": second})


def _played(tournament: TournamentConfig, contestants: tuple[int, int], challenge: ChallengeEntry) -> Any:
    """Make the config of what a person has played against the other contestant."""
    from simulator.play.matches import match_of

    sides = [tournament.contestants[c] for c in contestants]
    first = sides[0].name.startswith("human:")
    person, other = sides if first else sides[::-1]
    game = {"name": challenge.name, **challenge.settings}
    opponent = {"name": other.name, **other.settings, **other.elsewhere.get(challenge.label, {})}
    return match_of(person.name.partition(":")[2], game, opponent, first=first)


def _external(tournament: TournamentConfig, contestant: Contestant, challenge: ChallengeEntry) -> Any:
    from simulator.external import contestants as externals

    like = _run(tournament, Contestant("", "agent", RANDOM, {}), challenge)
    contestant_settings = {**contestant.settings, **contestant.elsewhere.get(challenge.label, {})}
    return externals.external(contestant.name, contestant_settings, like)


def plan_of(config: TournamentConfig, pairs: list[Matchup], refused: dict[tuple[int, int], str]) -> dict[str, Any]:
    """Convert the plan to its stored form, which holds everything that the analysis needs without loading a player."""
    contestants = [
        {"label": contestant.label, "kind": contestant.kind, "name": contestant.name, "settings": _flat(contestant)}
        for contestant in config.contestants
    ]
    challenges = [
        {"label": challenge.label, "kind": challenge.kind, "name": challenge.name, "settings": _flat(challenge)}
        | {"steps": challenge.own.get("steps", config.steps) if challenge.kind == "env" else None}
        for challenge in config.challenges
    ]
    named = [
        {"contestant": config.contestants[c].label, "challenge": config.challenges[m].label, "reason": reason}
        for (c, m), reason in refused.items()
    ]
    plan = {"contestants": contestants, "challenges": challenges, "refused": named, "references": [], "rounds": [[]]}
    return {**plan, "pairs": stored(pairs, config)}


def _flat(entry: Any) -> dict[str, Any]:
    """Flatten settings to dotted names."""
    flat: dict[str, Any] = {}

    def walk(table: Any, prefix: str) -> None:
        for key, value in table.items():
            walk(value, f"{prefix}{key}.") if hasattr(value, "items") else flat.update({prefix + key: value})

    walk(entry.settings, "")
    walk(getattr(entry, "own", {}), "")
    for place, special_settings in getattr(entry, "elsewhere", {}).items():
        walk(special_settings, f"in {place}: ")
    return flat | ({"tuned": True} if getattr(entry, "tuned", False) else {})


def all_spans(plan: dict[str, Any]) -> list[SeedRange]:
    """List every block of seeds of a plan."""
    return sorted({SeedRange(*span) for pair in plan["pairs"] for span in pair["spans"]})
