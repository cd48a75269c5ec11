"""Tests of learning: every agent solves the five probe environments in each of 16 seeds, with the right values."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from simulator.core import registry
from simulator.core.mdp.model import uniform_policy
from simulator.core.mdp.solve import evaluate_finite
from tests.laws.players import AGENTS, GAME, home, session
from tests.laws.probes import GAMMA, VALUES, mdp

STEPS = 4_000
BEST = {"constant": 1.0, "observed": 0.0, "delayed": 1.0, "action": 1.0, "both": 1.0}  # return of an episode
SETTINGS = {  # at a constant rate, Adam bursts long after it has converged
    "dqn": {"optimizer": {"lr_decay_steps": STEPS}, "network": {"hidden": [16, 16]}}
}
# A wrong action costs 1 and more. 100 episodes of "observed" come to 0 with a standard deviation of 0.1.
PLAYED = 0.6
# Of 20 fresh sets of 16 seeds for each agent and probe, the worst value was 5e-3 away (dqn).
VALUED = 0.02


@pytest.mark.learning
@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("agent", [agent for agent in AGENTS if home(agent) != GAME])
def test_probe(agent, kind):
    one = _trained(agent, kind)
    policy = one.agent.policy()
    seen = one.env.spec.state_obs
    returns = evaluate_finite(mdp(kind), policy.probs(seen), 10) if policy.probs(seen) is not None else None
    floor = evaluate_finite(mdp(kind), uniform_policy(mdp(kind)), 10)
    if agent in ("random_walk", "behaviour_cloning"):  # nothing was shown
        np.testing.assert_allclose(returns, floor)
        return
    if returns is not None:
        np.testing.assert_allclose(returns, BEST[kind], atol=1e-6)
    played = one.evaluator().evaluate(one.agent, STEPS).returns.mean(axis=1)
    np.testing.assert_allclose(played, BEST[kind], atol=PLAYED)
    values = policy.values(seen)
    if values is not None:
        best = values.max(axis=-1)  # [S, N]
        np.testing.assert_allclose(best, np.broadcast_to(VALUES[kind], best.shape), atol=VALUED)


def _trained(agent, kind):
    known = {field.name for field in fields(registry.load("agents", agent).Config)}
    settings = {**SETTINGS.get(agent, {}), **({"gamma": GAMMA} if "gamma" in known else {})}
    one = session(
        agent, "tests.laws.probes", seeds=16, steps=STEPS, eval_episodes=100, agent_=settings, env_={"kind": kind}
    )
    one.play(STEPS)
    return one
