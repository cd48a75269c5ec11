"""Q-learning in four rooms on k features of a state: what is learned, and what the best linear values would do.

Four rooms of 13 by 13 squares, 104 cells, discount .9, a random start, one reward of 1 at the goal. The features of
``atlas`` are learned from 20,000 steps of random play; those of ``true_state`` know the graph. Then Q(s, a) = w_a x(s)
is learned for 200,000 steps of uniformly random behaviour, with normalized least mean squares. Over 16 seeds are given:

* ``return``: exact expected return of the greedy policy, the share of starts from which it comes to the goal;
* ``optimal``: share of the cells in which its action is optimal, of several best ones the share of optimal ones;
* ``best_return``, ``best_optimal``: the same of Q* fitted by these features and a constant, by least squares over all
  cells and actions, which no learner is told.

The step size of features was chosen on seeds from 1000 on (``choose``), for smooth functions with k = 32; a table's is
the agent's default.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from envs import rooms
from simulator.config.run import build
from simulator.core.embeddings.graph import adjacency_of, laplacian_eigenvectors
from simulator.core.jit import set_threads
from simulator.core.mdp.model import (
    TERMINATES,
    TRUNCATES,
    FiniteMDP,
    expected_reward,
    policy_chain,
    transitions,
    uniform_over,
    uniform_policy,
)
from simulator.core.mdp.solve import Solution, evaluate_finite, value_iteration
from simulator.core.protocols import Array
from simulator.statistics.estimates import confidence_interval
from simulator.training.session import Session

GAMMA = 0.9
SEEDS = 16
COLLECT = 20_000
STEPS = 200_000
SIZES = (16, 32)
SWEEPS = 3_000  # of fitted Q-iteration
STEP_SIZES = (0.05, 0.2)
STEP_SIZE = 0.05
TABLE_STEP_SIZE = 0.5
TIE = 1e-9
ENCODERS: dict[str, dict[str, Any]] = {
    "smooth functions of the true graph": {"name": "true_state"},
    "laplacian": {"name": "atlas", "method": "laplacian"},
    "kmeans": {"name": "atlas", "method": "kmeans"},
    "hac": {"name": "atlas", "method": "hac"},
    "skip_gram": {"name": "atlas", "method": "skip_gram"},
    "random projection": {"name": "random_projection"},
}
ALL = "all"  # the column of what has a size of its own


def main(json: bool) -> dict[str, Any]:
    """Train on the features of every encoder at every size, and on a table of the cells."""
    set_threads(1)
    found: dict[str, Any] = {"table of cells": {ALL: measured(None, TABLE_STEP_SIZE)}}
    for row, encoder in ENCODERS.items():
        found[row] = {}
        for k in SIZES:
            found[row][str(k)] = measured(sized(encoder, k), STEP_SIZE)
            if not json:
                print(f"{row:>36} {k:>3}  {_shown(found[row][str(k)])}", flush=True)
    return found


def choose() -> None:
    """Print what every step size comes to on seeds from 1000 on."""
    for step_size in STEP_SIZES:
        encoder = sized(ENCODERS["laplacian"], 32)
        print(step_size, _shown(measured(encoder, step_size, first_seed=1000)), flush=True)


def fixed_points() -> None:
    """Print what linear Q-learning comes to on smooth functions of the true graph, exactly: its fixed point.

    Q = x w with w the least-squares fit of R + gamma P max_a Q over the pairs of random play, each by its share of
    visits, iterated (fitted Q-iteration with all data; Ernst, Geurts and Wehenkel 2005).
    """
    mdp = rooms.make([0], rooms.Config(layout="four")).spec.mdp
    best = value_iteration(mdp, GAMMA)
    judged = ~_ends(mdp)
    smooth = laplacian_eigenvectors(adjacency_of(mdp))
    within = policy_chain(uniform_policy(mdp), transitions(mdp, (TERMINATES, TRUNCATES))).toarray()
    visits = np.linalg.solve(np.eye(len(within)) - within.T, mdp.start)[judged, None]
    lead_on = transitions(mdp, (TERMINATES,))
    for k in SIZES:
        inputs = smooth[:, : k + 1]  # the first one is constant
        weighted = inputs[judged] * visits
        fitting = np.linalg.solve(weighted.T @ inputs[judged], weighted.T)
        q = np.zeros(best.q.shape)
        for _ in range(SWEEPS):
            target = expected_reward(mdp) + GAMMA * (lead_on @ q.max(axis=1)).reshape(q.shape)
            q = inputs @ (fitting @ target[judged])
        print(f"k = {k}: {quality(mdp, best, q)}")


def sized(encoder: dict[str, Any], k: int) -> dict[str, Any]:
    """Give an encoder k numbers."""
    name = {"true_state": "laplacian", "random_projection": "components"}.get(encoder["name"], "size")
    collects = {} if encoder["name"] == "true_state" else {"collect": COLLECT}
    return {**encoder, name: k, **collects}


def measured(encoder: dict[str, Any] | None, step_size: float, first_seed: int = 0) -> dict[str, Any]:
    """Train all seeds and measure their greedy policies: mean, and interval over seeds."""
    agent: dict[str, Any] = {"name": "q_learning", "gamma": GAMMA, "step_size": step_size}
    agent["explore"] = {"epsilon_start": 1.0, "epsilon_end": 1.0}
    n_collected = 0 if encoder is None else encoder.get("collect", 0)
    if encoder is not None:
        agent["encoder"] = encoder
    config = {"seeds": SEEDS, "first_seed": first_seed, "steps": STEPS + n_collected, "threads": 1, "agent": agent}
    session = Session(build({**config, "env": {"name": "rooms", "layout": "four"}}))
    while session.step < config["steps"]:
        session.play(config["steps"] - session.step)
    spec = session.env.spec
    best = value_iteration(spec.mdp, GAMMA)
    policy = session.agent.policy()
    learned = [quality(spec.mdp, best, q) for q in policy.values(spec.state_obs)]
    rows = {name: [each[name] for each in learned] for name in learned[0]}
    features = None if encoder is None else session.agent._encoder.features(spec.state_obs)
    if features is not None:
        fitted = [quality(spec.mdp, best, fit(spec.mdp, best, own)) for own in features.astype(np.float64)]
        rows |= {f"best_{name}": [each[name] for each in fitted] for name in fitted[0]}
    return {name: _interval(np.array(values)) for name, values in rows.items()}


def fit(mdp: FiniteMDP, best: Solution, features: Array) -> Array:
    """Fit Q* [N, A] by features [N, k] and a constant, in the cells where an action is chosen."""
    judged = ~_ends(mdp)
    inputs = np.column_stack([np.ones(len(features)), features])
    return np.asarray(inputs @ (np.linalg.pinv(inputs[judged]) @ best.q[judged]))


def quality(mdp: FiniteMDP, best: Solution, q: Array) -> dict[str, float]:
    """Measure the greedy policy of action values [N, A]."""
    chosen = q >= q.max(axis=1, keepdims=True) - TIE
    share = (chosen & best.greedy).sum(axis=1) / chosen.sum(axis=1)
    expected = evaluate_finite(mdp, uniform_over(chosen), mdp.max_steps)
    return {"return": float(expected), "optimal": float(share[~_ends(mdp)].mean())}


def _ends(mdp: FiniteMDP) -> Array:
    """Mark the states in which an episode has ended, bool [N]."""
    ended = np.zeros(len(mdp.prob), np.bool_)
    ended[mdp.next[(mdp.prob > 0) & (mdp.end > 0)]] = True
    return ended


def _interval(values: Array) -> dict[str, float]:
    mean = float(values.mean())
    if np.ptp(values) == 0.0:
        return {"mean": mean, "low": mean, "high": mean}
    interval = confidence_interval(values, np.mean)
    return {"mean": mean, "low": float(interval.low), "high": float(interval.high)}


def _shown(found: dict[str, Any]) -> str:
    return "  ".join(
        f"{name} {each['mean']:.2f} [{each['low']:.2f}, {each['high']:.2f}]" for name, each in found.items()
    )
