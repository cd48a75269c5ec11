"""A person's recorded games as matches of a tournament, against opponents that are the same in every game.

An opponent that trains before a match would be another one in the tournament than in the sitting: it is refused. A seed
that was not played has no score.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from simulator.config import played_match
from simulator.config.codec import plain, table_of
from simulator.config.played_match import PlayedMatchConfig
from simulator.core import registry
from simulator.matches.match import MatchScores, facts_of
from simulator.play.log import episodes_in, parsed
from simulator.play.session import PlayedEpisode
from simulator.store.lab import existing
from simulator.store.run_store import Store


def match_of(target: str, game: Mapping[str, Any], opponent: Mapping[str, Any], *, first: bool) -> PlayedMatchConfig:
    """Make the match of a person of a lab against an opponent, of all that was played so far.

    Args:
        target: the lab and the person: ``/home/me/lab#ann``.
        game: its table of settings.
        opponent: likewise.
        first: the person's score is that of the match's first side.

    Raises:
        ValueError: an opponent that trains, or one against whom nothing was played; one line.
    """
    config = played_match.build(
        {
            "target": target,
            "person_first": first,
            "seeds": 1,
            "game": game,
            "opponent": {**opponent, "label": "opponent"},
        }
    )
    name = parsed(target).name
    against = config.opponent.name
    if getattr(registry.load("agents", against).module, "TRAINABLE", True):
        raise ValueError(
            f"human:{name} against {against}: it trains anew for every seed, so that the one of the tournament is not"
            " the one that was played against; expected strategies, planner or random_walk beside a person"
        )
    played = _episodes(config)
    if not played:
        raise ValueError(
            f"human:{name}: no game of {config.game} against {opponent['name']} with these settings, expected some"
            f" (engram play {config.game} --against {opponent['name']} --name {name})"
        )
    return replace(config, target=f"{target}#{_fingerprint(played)}")


def result_of(config: PlayedMatchConfig) -> dict[str, Any]:
    """Return the result of a match as :mod:`simulator.matches.match` has it, of recorded games.

    Its facts have ``without_score`` too: the seeds that were not played.

    Raises:
        ValueError: the person has played on since the tournament was planned.
    """
    found = _episodes(config)
    name = parsed(config.target).name
    if _fingerprint(found) != config.target.rpartition("#")[2]:
        raise ValueError(f"human:{name} has played on since: begin the tournament again")
    seeds = range(config.first_seed, config.first_seed + config.seeds)
    game = registry.load("games", config.game).make([config.first_seed], config.game_settings)
    scores = np.full((2, len(seeds)), np.nan)  # of the person and of the opponent
    wins = np.full(len(seeds), np.nan)
    rounds = np.zeros(len(seeds), np.int64)
    for i, seed in enumerate(seeds):
        if (episode := found.get(seed)) is None:
            continue
        payoffs = np.array([episode.total, episode.second or 0.0])
        rounds[i] = len(episode.actions) if game.simultaneous else 1
        scores[:, i] = payoffs / max(rounds[i], 1)
        wins[i] = 0.5 + 0.5 * np.sign(payoffs[0] - payoffs[1])
    if not config.person_first:
        scores, wins = scores[::-1], 1.0 - wins
    none = np.zeros((2, len(seeds)), np.int64)
    facts = facts_of(game, MatchScores(scores, wins, rounds, none, none, None, None))
    reason = f"human:{name} has not played it against {config.opponent.name}"
    facts["without_score"] = [{"seed": seed, "reason": reason} for seed in seeds if seed not in found]
    first, second = scores.tolist()
    empty: dict[str, Any] = {"steps": [], "curve": [[] for _ in seeds], "failed": []}
    return {
        "scores": first,
        "second": second,
        **empty,
        "facts": facts,
        "seconds": 0.0,
        "cpu_seconds": 0.0,
        "exact": True,
    }


def _episodes(config: PlayedMatchConfig) -> dict[int, PlayedEpisode]:
    """Return the games of the person against this opponent, by seed, each the first time that it was played."""
    lab, name = parsed(config.target)
    place = {
        "game": plain(table_of(config.game, config.game_settings)),
        "opponent": plain(table_of(config.opponent.name, config.opponent.settings)),
    }
    with Store(existing(lab)) as store:
        episodes = episodes_in(store, name, place)
    return {one.seed: one for one in episodes if math.isfinite(one.total)}


def _fingerprint(episodes: Mapping[int, PlayedEpisode]) -> str:
    rows = [[seed, one.total, one.second, len(one.actions)] for seed, one in sorted(episodes.items())]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]
