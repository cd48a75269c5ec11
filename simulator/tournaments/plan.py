"""The plan of a tournament as data: contestant x challenge x seed block -> cells, named by what they depend on.

A pair's name is the SHA-256 of its complete settings but for the seeds, of the versions of what computes, of the
sources of this distribution that can change a number, and of the files of whoever plays in it from outside, with what
these import of the user's own: a cell of an older player is not taken for one of a newer. Nothing else of a tournament
enters it, so that every tournament of a lab finds it.
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
from simulator.config.tournament import EXTERNAL, SIDES, ChallengeEntry, Contestant, TournamentConfig
from simulator.config.validation import ConfigSource, check, merge, settings
from simulator.core import registry
from simulator.store.cell_store import SeedRange
from simulator.store.run_records import installed

RANDOM = "random_walk"  # the agent whose return is the floor of an environment where that is not known
REFERENCE = -1  # in place of a contestant: random play, which is not ranked
TIMED = ("cpu_seconds", "wall_seconds")
PLAYING = (  # what of simulator/ can change a number
    *("training/*.py", "recall/benchmark.py", "recall/metrics.py", "recall/bayes_optimal.py"),
    *("matches/*.py", "external/*.py", "tournaments/cell_runner.py"),
)


class Matchup(NamedTuple):
    """A contestant, or two of them, in a challenge: a cell without its seeds."""

    contestant: int  # index, or REFERENCE
    second: int  # the other one in a game; -1 elsewhere
    challenge: int
    kind: str  # of cell: run, recall, match, external
    key: str
    config: Any  # with a single seed

    def settings(self, span: SeedRange) -> str:
        """Format the complete settings of the job with these seeds, as TOML."""
        own = dataclasses.replace(self.config, first_seed=span.first, seeds=span.count)
        return codec.to_toml(own)


def pairs_of(tournament: TournamentConfig, refused: dict[tuple[int, int], str] | None = None) -> list[Matchup]:
    """List every pair of a tournament, in the order of its settings.

    Args:
        tournament: its settings.
        refused: filled with the reason for each (contestant, challenge) that cannot be, where they are skipped.

    Raises:
        ValueError: settings that cannot be, in one line that names contestant and challenge.
    """
    found: list[Matchup] = []
    for m, challenge in enumerate(tournament.challenges):
        for c, contestant in enumerate(tournament.contestants):
            if SIDES[contestant.kind] != challenge.kind:
                continue
            if challenge.kind == "game":
                others = range(c + (not challenge.own.get("self_play", False)), len(tournament.contestants))
                rivals = [d for d in others if tournament.contestants[d].kind == contestant.kind]
                found += [_pair(tournament, (c, d), m) for d in rivals]
                continue
            try:
                found.append(_pair(tournament, (c, -1), m))
            except ValueError as error:
                if not tournament.skip or refused is None:
                    raise
                refused[c, m] = " ".join(str(error).split())
    return found


def references(tournament: TournamentConfig) -> list[Matchup]:
    """List random play in every environment, as a reference where its return is not known."""
    envs = [m for m, challenge in enumerate(tournament.challenges) if challenge.kind == "env"]
    plain = Contestant("random play", "agent", RANDOM, {})
    found = []
    for m in envs:
        own = dataclasses.replace(_run(tournament, plain, tournament.challenges[m]), steps=1, eval_every=1)
        found.append(_named(Matchup(REFERENCE, -1, m, "run", "", own), ()))
    return found


def spans_of(first: int, seeds: int, block: int) -> list[SeedRange]:
    """Cut seeds into blocks."""
    return [SeedRange(at, min(block, first + seeds - at)) for at in range(first, first + seeds, block)]


def fitted(wanted: SeedRange, block: int, known: Iterable[SeedRange]) -> list[SeedRange]:
    """Cut seeds into blocks, those that were played among them.

    Args:
        wanted: the seeds.
        block: seeds in a new block.
        known: blocks that were played.
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
    """Yield the jobs of a stored plan, block by block, so that an unfinished tournament is an even one."""
    spans = [[SeedRange(*span) for span in pair["spans"]] for pair in plan["pairs"]]
    for at in range(max(map(len, spans), default=0)):
        for pair, own in zip(plan["pairs"], spans, strict=True):
            if at < len(own):
                yield PlannedJob(pair, own[at])


def stored(pairs: Sequence[Matchup], tournament: TournamentConfig) -> list[dict[str, Any]]:
    """Convert pairs to their stored form: who, where, under which name, with which seeds."""
    spans = spans_of(tournament.first_seed, tournament.seeds, tournament.block)
    return [
        {"contestant": p.contestant, "second": p.second, "challenge": p.challenge, "kind": p.kind, "key": p.key}
        | {"spans": [list(span) for span in spans]}
        for p in pairs
    ]


def _pair(tournament: TournamentConfig, who: tuple[int, int], m: int) -> Matchup:
    contestant = tournament.contestants[who[0]]
    challenge = tournament.challenges[m]
    kind = {"env": "run", "challenge": "recall", "game": "match"}[challenge.kind]
    try:
        if contestant.name.startswith(EXTERNAL):
            kind = "external"
            own = _external(tournament, contestant, challenge)
        elif kind == "match":
            own = _match(tournament, (contestant, tournament.contestants[who[1]]), challenge)
        else:
            own = {"run": _run, "recall": _recall}[kind](tournament, contestant, challenge)
    except ValueError as error:
        raise ValueError(f"{contestant.label} in {challenge.label}: {error}") from None
    times = tuple(getattr(tournament, name) for name in TIMED) if kind in ("run", "external") else ()
    return _named(Matchup(*who, m, kind, "", own), times)


def _named(pair: Matchup, times: tuple[float, ...]) -> Matchup:
    own = dataclasses.replace(pair.config, first_seed=0, seeds=1)
    parts = [pair.kind, codec.settings_hash(own), *_computing(pair.kind), *_sources(own)]
    parts += [repr(times)] if any(times) else []
    return pair._replace(key=hashlib.sha256("\0".join(parts).encode()).hexdigest(), config=own)


@cache
def _computing(kind: str) -> tuple[str, ...]:
    """Return the versions and the hash of the sources that a result can depend on."""
    known = dict(installed())
    if kind == "external":
        known |= {name: version(name) for name in ("stable-baselines3",) if find_spec(name.replace("-", "_"))}
    digest = hashlib.sha256()
    root = registry.ROOT
    for folder in (*(registry.ROOT / name for name in ("agents", "memory", "envs")), root / "simulator" / "core"):
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.read_bytes())
    for name in PLAYING:
        for path in sorted((root / "simulator").glob(name)):
            digest.update(path.read_bytes())
    return (repr(sorted(known.items())), digest.hexdigest())


def _sources(own: Any) -> Iterator[str]:
    """Hash the files that the players read, in hex."""
    names = [("agents", getattr(own, "agent", None)), ("envs", getattr(own, "env", None))]
    names += [("memories", each.name) for each in getattr(own, "contestants", ())]
    names += [("challenges", getattr(own, "challenge", None)), ("games", getattr(own, "game", None))]
    names += [("agents", side.name) for side in (getattr(own, "first", None), getattr(own, "second", None)) if side]
    for kind, name in names:
        if name is not None:
            files = registry.sources(kind, name)
            yield from [hashlib.sha256(path.read_bytes()).hexdigest() for path in files] or [name]


def _run(tournament: TournamentConfig, contestant: Contestant, challenge: ChallengeEntry) -> RunConfig:
    steps = challenge.own.get("steps", tournament.steps)
    outer = {"seeds": 1, "steps": steps, "eval_every": tournament.eval_every, "threads": 1}
    outer |= {"eval_episodes": tournament.eval_episodes, "eval_max_steps": tournament.eval_max_steps}
    layers = [ConfigSource(outer)]
    if contestant.tuned:
        layers += [ConfigSource({"agent": each}) for each in _tuned(contestant, challenge)][:1]
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
            own = check(settings(player.Config), preset.env_settings, ConfigSource(preset.env_settings))
            if merge(player.Config(), own) == wanted:
                yield preset.agent_settings


def _recall(tournament: TournamentConfig, contestant: Contestant, challenge: ChallengeEntry) -> recall.RecallConfig:
    own = {"name": contestant.name, **contestant.settings, **contestant.elsewhere.get(challenge.label, {})}
    values: dict[str, Any] = {"memory": {"memory": own}, "challenge": {"name": challenge.name, **challenge.settings}}
    values |= {
        "patterns": [challenge.own.get("patterns", 20)],
        "corruption": [challenge.own.get("corruption", "flip:0.2")],
    }
    return recall.build({"seeds": 1, "threads": 1, **values})


def _match(tournament: TournamentConfig, sides: tuple[Contestant, Contestant], challenge: ChallengeEntry) -> Any:
    from simulator.config import match as match_config

    first, second = ({"name": each.name, **each.settings, **each.elsewhere.get(challenge.label, {})} for each in sides)
    first["label"] = "first"
    second["label"] = "second"  # what they are called here changes no result
    game = {"name": challenge.name, **challenge.settings}
    own = {key: value for key, value in challenge.own.items() if key != "self_play"}
    return match_config.build({"seeds": 1, **own, "game": game, "first": first, "second": second})


def _external(tournament: TournamentConfig, contestant: Contestant, challenge: ChallengeEntry) -> Any:
    from simulator.external import contestants as externals

    like = _run(tournament, Contestant("", "agent", RANDOM, {}), challenge)
    own = {**contestant.settings, **contestant.elsewhere.get(challenge.label, {})}
    return externals.external(contestant.name, own, like)


def plan_of(config: TournamentConfig, pairs: list[Matchup], refused: dict[tuple[int, int], str]) -> dict[str, Any]:
    """Convert the plan to its stored form, which holds everything that the analysis needs without loading a player."""
    contestants = [
        {"label": each.label, "kind": each.kind, "name": each.name, "settings": _flat(each)}
        for each in config.contestants
    ]
    challenges = [
        {"label": each.label, "kind": each.kind, "name": each.name, "settings": _flat(each)}
        | {"steps": each.own.get("steps", config.steps) if each.kind == "env" else None}
        for each in config.challenges
    ]
    named = [
        {"contestant": config.contestants[c].label, "challenge": config.challenges[m].label, "reason": reason}
        for (c, m), reason in refused.items()
    ]
    plan = {"contestants": contestants, "challenges": challenges, "refused": named, "references": [], "rounds": [[]]}
    return {**plan, "pairs": stored(pairs, config)}


def _flat(who: Any) -> dict[str, Any]:
    """Flatten settings to dotted names."""
    found: dict[str, Any] = {}

    def walk(table: Any, prefix: str) -> None:
        for key, value in table.items():
            walk(value, f"{prefix}{key}.") if hasattr(value, "items") else found.update({prefix + key: value})

    walk(who.settings, "")
    walk(getattr(who, "own", {}), "")
    for place, own in getattr(who, "elsewhere", {}).items():
        walk(own, f"in {place}: ")
    return found | ({"tuned": True} if getattr(who, "tuned", False) else {})


def all_spans(plan: dict[str, Any]) -> list[SeedRange]:
    """List every block of seeds of a plan."""
    return sorted({SeedRange(*span) for pair in plan["pairs"] for span in pair["spans"]})
