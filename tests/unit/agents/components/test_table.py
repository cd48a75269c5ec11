"""Tests of planning from a table: updates by hand, the queue, the Dyna maze, the optimum of a known model."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from agents import q_learning
from agents.common.exploration import ExploreSettings
from agents.common.tile_coding import BoxFeatures
from agents.components import gru, lstm, table
from simulator.core.components import Component
from simulator.core.mdp.solve import expected_steps, value_iteration
from simulator.core.protocols import EnvSpec
from tests.helpers.small_envs import discrete, step
from tests.laws.players import same, session

KINDS = [
    {"planning": planning, "updates": updates}
    for planning in ("uniform", "prioritized")
    for updates in ("expected", "sample")
]


def _agent(n_steps, spec=None, *, alpha=0.5, n_bins=10, **model):
    config = q_learning.Config(
        step_size=alpha,
        gamma=0.5,
        planning_steps=n_steps,
        model=Component("table", table.Config(**model)),
        box=BoxFeatures(n_bins=n_bins),
        explore=ExploreSettings(epsilon_start=0.0),
    )
    return q_learning.make(spec or discrete(4, 2), [0], config)


def _learn(agent, obs, action, *args, **kwargs):
    agent.learn(np.array([obs]), np.array([action]), step(*args, **kwargs))
    return agent.state()["q"][0, 0]


def _priorities(queue, n_pairs):
    """Priorities [S, n_pairs] of a queue: the nodes of its tree that follow those with children."""
    first = queue["priority"].shape[1] // 8
    return queue["priority"][:, first : first + n_pairs]


def test_planning_repeats_the_only_known_transition():
    # one step and three planned ones, each half of the way to 1
    assert _learn(_agent(3), 0, 1, 1.0, 3, terminated=True)[0, 1] == 1.0 - 0.5**4


def test_no_planning_steps_leave_the_update_alone():
    assert _learn(_agent(0), 0, 1, 1.0, 3, terminated=True)[0, 1] == 0.5


def test_expected_updates_weigh_outcomes_by_their_frequency():
    agent = _agent(0, alpha=1.0)
    _learn(agent, 0, 0, 1.0, 1, terminated=True)
    _learn(agent, 0, 0, 3.0, 1, terminated=True)
    _learn(agent, 0, 0, 8.0, 2, terminated=True)
    known = agent.state()["transitions"]
    assert known["code"][0, 0, :3].tolist() == [3, 5, -1]
    assert known["weight"][0, 0, :2].tolist() == [2.0, 1.0]
    assert known["reward"][0, 0, :2].tolist() == [2.0, 8.0]
    planner = _agent(1, alpha=1.0)
    planner.restore(agent.state())
    # the fourth outcome, and then the mean of all
    assert _learn(planner, 0, 0, 2.0, 1, terminated=True)[0, 0] == (3 * 2.0 + 8.0) / 4


def test_prioritized_sweeping_carries_a_reward_back_along_a_chain_in_one_step():
    agent = _agent(2, alpha=1.0, planning="prioritized")
    _learn(agent, 0, 0, 0.0, 1)
    _learn(agent, 1, 0, 0.0, 2)
    q = _learn(agent, 2, 0, 1.0, 3, terminated=True)
    assert q[:3, 0].tolist() == [0.25, 0.5, 1.0]
    assert (agent.state()["queue"]["priority"][0] == 0.0).all()


def test_the_largest_error_comes_first():
    agent = _agent(0, alpha=1e-12, planning="prioritized", step_size=1.0)
    for state, reward in enumerate((1.0, 4.0, 2.0)):
        _learn(agent, state, 0, reward, 3, terminated=True)
    planner = _agent(1, alpha=1e-12, planning="prioritized", step_size=1.0)
    planner.restore(agent.state())
    assert _learn(planner, 3, 1, 0.0, 3, terminated=True)[:3, 0].round(6).tolist() == [0.0, 4.0, 0.0]
    assert _learn(planner, 3, 1, 0.0, 3, terminated=True)[:3, 0].round(6).tolist() == [0.0, 4.0, 2.0]


@pytest.mark.parametrize("env", ["FrozenLake-v1", "Taxi-v4"])
def test_every_node_of_the_queue_is_the_maximum_of_its_children(env):
    settings = {"planning_steps": 2, "model": {"name": "table", "planning": "prioritized"}}
    one = session("q_learning", env, agent_=settings)
    one.play(400)
    tree = one.agent.state()["queue"]["priority"]
    n_inner = tree.shape[1] // 8
    assert (tree[:, :n_inner] == tree[:, 1:].reshape(3, n_inner, 8).max(axis=2)).all()
    waiting = tree[:, n_inner:]
    assert (waiting[waiting > 0.0] > 1e-4).all()
    assert (waiting > 0.0).any()


@pytest.mark.parametrize("target", ["max", "expected"])
@pytest.mark.parametrize("updates", ["expected", "sample"])
def test_the_queue_knows_the_errors_that_the_values_and_the_table_have(updates, target):
    model = {"name": "table", "planning": "prioritized", "updates": updates, "min_priority": 1e-9}
    one = session("q_learning", "FrozenLake-v1", agent_={"planning_steps": 3, "target": target, "model": model})
    one.play(2_000)
    state = one.agent.state()
    table, queue = state["transitions"], state["queue"]
    assert (table["n_updates"] > 1_000).all()
    q = state["q"][:, 0]
    epsilon = 0.1
    v = q.max(axis=2) if target == "max" else (1 - epsilon) * q.max(axis=2) + epsilon * q.mean(axis=2)
    for i in range(3):
        known = np.arange(table["code"].shape[2]) < table["n_outcomes"][i][:, None]
        goes_on = known & (table["code"][i] % 2 == 0)
        share = np.where(known, table["weight"][i], 0.0) / np.maximum(table["total_weight"][i], 1.0)[:, None]
        value = np.where(goes_on, v[i][np.where(goes_on, table["code"][i] // 2, 0)], 0.0)
        error = np.abs((share * (table["reward"][i] + 0.99 * value)).sum(axis=1) - q[i].reshape(-1))
        error[table["n_outcomes"][i] == 0] = 0.0
        priority = _priorities(queue, len(error))[i]
        waiting = np.flatnonzero(priority)
        np.testing.assert_allclose(priority[waiting], error[waiting], atol=1e-12)
        assert set(np.flatnonzero(error > 1e-8)) <= set(waiting)


def test_values_that_traces_changed_are_carried_back_where_they_are_met():
    settings = {"trace_decay": 0.9, "model": {"name": "table", "planning": "prioritized"}}
    one = session("q_learning", "FrozenLake-v1", agent_={"planning_steps": 2, **settings})
    one.play(500)
    assert np.isfinite(one.agent.state()["queue"]["target"]).all()
    assert (one.agent.state()["queue"]["priority"] < 2.0).all()


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("source", ["learned", "true"])
def test_rollouts_have_the_bits_of_single_steps_and_of_seeds_alone(kind, source):
    settings = {"model": {"name": "table", "source": source, **kind}}
    fast, slow = (session("q_learning", "FrozenLake-v1", rollouts=fast, agent_=settings) for fast in (True, False))
    for one in (fast, slow):
        one.play(120)
    same(fast.state(), slow.state())
    alone = session("q_learning", "FrozenLake-v1", seeds=1, first_seed=2, agent_=settings)
    alone.play(120)
    same(alone.agent.state()["q"][0], fast.agent.state()["q"][2])


def _lengths(n_steps, n_seeds=64, **model):
    """Return the steps of the first three episodes in the Dyna maze, [S, 3]."""
    agent = {"step_size": 0.1, "gamma": 0.95}
    if n_steps:
        agent |= {"planning_steps": n_steps, "model": {"name": "table", **model}}
    env = {"layout": "dyna-maze", "max_steps": 100_000}
    one = session("q_learning", "rooms", seeds=n_seeds, agent_=agent, env_=env)
    ends = [[0] for _ in range(n_seeds)]
    step_now = 0
    while min(map(len, ends)) < 4:
        ended = one.agent.rollout(one.env.env_batch, 500).ended
        for i, t in np.argwhere(ended):
            ends[i].append(step_now + t + 1)
        step_now += 500
    return np.diff([each[:4] for each in ends], axis=1), one.env.spec.mdp


@pytest.mark.learning
def test_the_dyna_maze_is_learned_as_in_the_book():
    lengths, mdp = _lengths(0)
    walk = expected_steps(mdp, mdp.legal / mdp.legal.sum(axis=1, keepdims=True))[mdp.start.argmax()]
    off = 4.0 * lengths[:, 0].std() / 8.0
    assert abs(lengths[:, 0].mean() - walk) < off  # nothing is known before the first goal
    # means of 400 fresh seeds: 556, 64.2 and 17.8; the intervals are of four standard errors of 64 seeds
    for n_steps, low, high in ((0, 320, 790), (5, 44, 84), (50, 16.0, 19.6)):
        assert low < _lengths(n_steps)[0][:, 2].mean() < high
    assert _lengths(5, planning="prioritized")[0][:, 2].mean() < 19.0  # 17.4: ten times fewer updates


@pytest.mark.learning
def test_the_true_model_leads_to_the_optimum():
    model = {"name": "table", "source": "true", "planning": "prioritized", "min_priority": 1e-12}
    one = session("q_learning", "FrozenLake-v1", agent_={"planning_steps": 100, "model": model})
    one.play(400)
    spec = one.env.spec
    met = [state for state in range(16) if state not in (5, 7, 11, 12, 15)]
    best = value_iteration(spec.mdp, spec.gamma).q
    found = one.agent.policy().values(spec.state_obs)[:, met]
    assert (np.abs(found - best[met]) < 1e-9).mean() > 0.9  # but for pairs that experience moved last


def test_the_true_model_knows_pairs_of_states_that_are_met():
    one = session("q_learning", "FrozenLake-v1", agent_={"model": {"name": "table", "source": "true"}})
    assert one.agent.state()["transitions"]["n_pairs"].tolist() == [
        44,
        44,
        44,
    ]  # without holes and goal


BOX = EnvSpec("box", spaces.Box(0.0, 1.0, (2,)), spaces.Discrete(2))


@pytest.mark.parametrize(
    ("changed", "spec", "said"),
    [
        ({"model": None, "planning_steps": 3}, None, r"agent\.planning_steps = 3: no model, expected agent"),
        ({"double": True}, None, r"agent\.double = true with agent\.model = 'table'"),
        ({"box": BoxFeatures(kind="tiles")}, BOX, r"agent\.model = 'table' with agent\.box\.kind = 'tiles'"),
        (
            {"model": Component("table", table.Config(source="true"))},
            None,
            r"source = 'true' on by-hand: no finite MDP",
        ),
        (
            {"model": Component("lstm", lstm.Config())},
            None,
            r"agent\.model = 'lstm': q_learning plans with table",
        ),
        ({"model": Component("gru", gru.Config())}, None, r"agent\.model = 'gru': q_learning plans with table"),
    ],
)
def test_what_does_not_go_together_is_refused(changed, spec, said):
    config = q_learning.Config(**{"model": Component("table", table.Config()), **changed})
    with pytest.raises(ValueError, match=said):
        q_learning.make(spec or discrete(3, 2), [0], config)


def test_an_observation_that_hides_the_state_has_no_true_model():
    with pytest.raises(ValueError, match="the observation leaves the state open"):
        session(
            "q_learning",
            "rooms",
            agent_={"model": {"name": "table", "source": "true"}},
            env_={"layout": "four", "observation": "walls"},
        )


def test_too_many_outcomes_are_named():
    agent = _agent(1, n_successors=1)
    _learn(agent, 0, 1, 0.0, 1)
    with pytest.raises(ValueError, match=r"n_successors = 1: seed 0 observed more outcomes of action 1 in state 0"):
        _learn(agent, 0, 1, 0.0, 2)


def test_bins_are_planned_with():
    agent = _agent(1, BOX, n_bins=2)
    there = np.array([[0.9, 0.9]])
    ended = step(1.0, 0, terminated=True)._replace(obs=there, final_obs=there)
    agent.learn(np.array([[0.1, 0.1]]), np.array([1]), ended)
    assert agent.state()["q"][0, 0, 0, 1] == 0.75
