"""Recalled and learned values of a cliff's start beside the exact one: what a maximum over returns adds to it.

The contestants, environments and seeds are those of the tournament ``episodic``, after its training. A value is that of
the best action at the start, and its error is what it exceeds V* by, which value iteration gives.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from simulator.config.codec import assemble
from simulator.config.tournament import TournamentConfig, preset
from simulator.core.mdp.solve import value_iteration
from simulator.tournaments.plan import pairs_of
from simulator.training.session import Session
from tests.benchmarks._clock import show

LEARNERS = ("q_learning", "episodic")


def main(json: bool) -> dict[str, Any]:
    """Errors of the value of the start: median, lowest and highest over seeds."""
    tournament = assemble(TournamentConfig, [preset("episodic")])
    found: dict[str, Any] = {}
    for pair in pairs_of(tournament):
        if pair.config.agent in LEARNERS:
            errors = start_errors(replace(pair.config, seeds=tournament.seeds, first_seed=tournament.first_seed))
            spread = {"median": float(np.median(errors)), "low": float(errors.min()), "high": float(errors.max())}
            challenge = tournament.challenges[pair.challenge].label
            found.setdefault(challenge, {})[tournament.contestants[pair.contestant].label] = spread
    return show(__doc__, found, json)


def start_errors(config: Any) -> np.ndarray:
    """Train, and return the highest action value of the start minus V*, float64 [S]."""
    session = Session(config)
    session.play(config.steps)
    spec = session.env.spec
    start = int(np.argmax(spec.mdp.start))
    learned = session.agent.policy().values(spec.state_obs[start : start + 1])[:, 0]  # [S, A]
    exact = value_iteration(spec.mdp, session.agent.gamma)
    return np.round(learned.max(axis=1) - exact.q[start].max(), 9)
