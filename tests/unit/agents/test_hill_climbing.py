"""Tests of hill climbing and random search: acceptance and order of evaluations by hand, and learning."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from agents import hill_climbing, random_search
from agents.common.networks.dense import NetworkSettings
from agents.common.policy_search import (
    ACCEPTED,
    BY_SCHEDULE,
    BY_SUCCESS,
    CANDIDATE,
    FIXED,
    INCUMBENT,
    REJECTED,
    UNDECIDED,
    PolicySearchHyperparams,
    adapted_sigma,
    beats,
    compare,
    interpolated,
    reevaluation_due,
    scheduled_sigma,
)
from simulator.core.protocols import EnvSpec, Step
from tests.helpers.jit_entries import from_python
from tests.laws.players import session

adapted_sigma, beats, compare = from_python(adapted_sigma, beats, compare)
interpolated, reevaluation_due, scheduled_sigma = from_python(interpolated, reevaluation_due, scheduled_sigma)
PLAIN = {"episodes": 1, "early_reject": False, "reevaluation_fraction": 0.0, "patience": 0, "anneal": "none"}
SPEC = EnvSpec("by-hand", spaces.Box(-np.inf, np.inf, (2,)), spaces.Discrete(3))


def _agent(**settings):
    return hill_climbing.make(SPEC, [3], hill_climbing.Config(**{**PLAIN, **settings}))


def _episode(agent, reward, n_steps=1, *, truncated=False):
    """One episode that pays ``reward`` in its last step; what the agent knows after it."""
    for left in reversed(range(n_steps)):
        over = np.array([left == 0])
        earned, never = np.float32(reward) * over, np.zeros(1, bool)
        ends = (never, over) if truncated else (over, never)
        obs = np.ones((1, 2), np.float32)
        agent.learn(obs, agent.act(obs), Step(obs, earned.astype(np.float32), *ends, obs))
    return agent.state()


def _episodes(agent, *rewards):
    for reward in rewards:
        state = _episode(agent, reward)
    return state


def _mean(state, whose=INCUMBENT):
    return state["return_sum"][0, whose] / state["n_episodes"][0, whose]


def _hp(**settings):
    plain = PolicySearchHyperparams(1, False, 0.0, 0, 1.0, False, FIXED, 1.0, 2.0, 0.1, 4.0, 100)
    return plain._replace(**settings)


def test_the_first_incumbent_is_evaluated_before_any_candidate():
    agent = _agent(episodes=2)
    first = agent.state()
    np.testing.assert_array_equal(first["evaluated"], first["incumbent"])
    state = _episode(agent, 3.0)
    assert state["evaluating"][0] == INCUMBENT
    np.testing.assert_array_equal(state["evaluated"], first["incumbent"])
    state = _episode(agent, 5.0)
    assert state["evaluating"][0] == CANDIDATE
    assert state["score"][0] == 4.0
    np.testing.assert_array_equal(state["incumbent"], first["incumbent"])
    assert (state["evaluated"] != state["incumbent"])[0, :6].all()


@pytest.mark.parametrize(("score", "wins"), [(6.0, True), (5.0, True), (4.0, False)])
def test_a_candidate_is_accepted_from_a_tie_on(score, wins):
    agent = _agent()
    before = _episode(agent, 5.0)
    after = _episode(agent, score)
    np.testing.assert_array_equal(after["incumbent"], before["evaluated" if wins else "incumbent"])
    assert after["score"][0] == (score if wins else 5.0)


def test_the_incumbent_moves_towards_the_candidate_by_the_step_size():
    agent = _agent(step_size=0.25)
    before = _episode(agent, 5.0)
    after = _episode(agent, 7.0)
    np.testing.assert_allclose(after["incumbent"], 0.75 * before["incumbent"] + 0.25 * before["evaluated"], rtol=1e-6)
    # without evaluating again, the candidate's score passes for the incumbent's
    assert after["evaluating"][0] == CANDIDATE
    assert _mean(after) == 7.0


def test_weights_in_between_are_evaluated_where_incumbents_are_evaluated_again():
    agent = _agent(step_size=0.25, reevaluation_fraction=0.01)
    state = _episodes(agent, 5.0, 7.0)
    assert state["evaluating"][0] == INCUMBENT
    assert state["n_episodes"][0, INCUMBENT] == 0
    np.testing.assert_array_equal(state["evaluated"], state["incumbent"])
    state = _episode(agent, 6.0)
    assert (state["score"][0], state["evaluating"][0]) == (6.0, CANDIDATE)


def test_evaluating_again_replaces_a_lucky_score():
    kept, corrected = _agent(), _agent(reevaluation_fraction=1.0)
    assert _episodes(kept, 9.0, 4.0)["evaluating"][0] == CANDIDATE
    assert _episodes(corrected, 9.0, 4.0)["evaluating"][0] == INCUMBENT
    assert _episode(corrected, 1.0)["score"][0] == 5.0  # the mean of 9 and 1
    before = [agent.state() for agent in (kept, corrected)]
    after = [_episode(agent, 6.0) for agent in (kept, corrected)]
    np.testing.assert_array_equal(after[0]["incumbent"], before[0]["incumbent"])
    np.testing.assert_array_equal(after[1]["incumbent"], before[1]["evaluated"])


@pytest.mark.parametrize(("last", "wins"), [(5.0, True), (4.0, False)])
def test_a_tie_counts_over_as_many_episodes_as_stand_behind_the_incumbent(last, wins):
    agent = _agent(reevaluation_fraction=1.0)
    before = _episodes(agent, 5.0, 0.0, 5.0)  # an incumbent of two episodes, mean 5
    state = _episode(agent, 5.0)
    np.testing.assert_array_equal(state["evaluated"], before["evaluated"])  # it plays on
    after = _episode(agent, last)
    np.testing.assert_array_equal(after["incumbent"], before["evaluated" if wins else "incumbent"])


def test_a_candidate_that_has_fallen_behind_is_rejected_at_once():
    for early_reject, plays_on in ((True, False), (False, True)):
        agent = _agent(episodes=2, early_reject=early_reject)
        before = _episodes(agent, 6.0, 6.0)
        after = _episode(agent, 5.0)
        assert np.array_equal(after["evaluated"], before["evaluated"]) == plays_on
    leading = _agent(episodes=2, early_reject=True)
    before = _episodes(leading, 6.0, 6.0)
    np.testing.assert_array_equal(_episode(leading, 7.0)["evaluated"], before["evaluated"])
    np.testing.assert_array_equal(_episode(leading, 5.0)["incumbent"], before["evaluated"])  # a tie of means


def test_every_step_of_an_evaluation_counts_and_a_cut_episode_counts_as_it_is():
    agent = _agent(reevaluation_fraction=0.5)
    _episode(agent, 5.0, n_steps=7)
    state = _episode(agent, 4.0, n_steps=6, truncated=True)
    # 6 steps of candidates against 7 of the incumbent
    assert (state["env_steps"][0], state["evaluating"][0]) == (13, CANDIDATE)
    assert _mean(state) == 5.0
    state = _episode(agent, 4.0, n_steps=1)
    assert (state["env_steps"][0], state["evaluating"][0]) == (14, INCUMBENT)  # half of the steps each
    before = _episode(agent, 5.0, n_steps=7, truncated=True)
    state = _episodes(agent, 6.0)
    assert state["env_steps"][0] == 22
    np.testing.assert_array_equal(state["incumbent"], before["evaluated"])


def test_a_search_on_a_plateau_restarts_and_the_best_incumbent_is_the_policy():
    agent = _agent(patience=2)
    first = _episode(agent, 5.0)
    state = _episodes(agent, 5.0, 4.0)  # a tie wins, but it is no new height
    best = first["evaluated"]
    np.testing.assert_array_equal(state["best"], best)
    assert (state["evaluating"][0], state["n_stale"][0], state["incumbent_is_best"][0]) == (INCUMBENT, 0, False)
    assert not np.isin(state["incumbent"], best)[0, :6].any()
    state = _episodes(agent, 3.0, 4.0)
    assert state["score"][0] == 4.0
    np.testing.assert_array_equal(agent.policy().network.net.params, best)
    better = state["evaluated"]
    assert _episode(agent, 6.0)["incumbent_is_best"][0]
    np.testing.assert_array_equal(agent.policy().network.net.params, better)


def test_the_policy_is_never_a_candidate():
    agent = _agent()
    for reward in (1.0, 3.0, 2.0, 3.0, 0.0):
        state = _episode(agent, reward)
        np.testing.assert_array_equal(agent.policy().network.net.params, state["incumbent"])


def test_noise_is_normal_and_shrinks_with_success():
    config = hill_climbing.Config(**{**PLAIN, "anneal": "success", "sigma": 0.5, "sigma_min": 0.3, "sigma_max": 1.5})
    agent = hill_climbing.make(SPEC, list(range(2_000)), config)
    over, obs = np.ones(2_000, bool), np.ones((2_000, 2), np.float32)
    sigmas = []
    for reward in (1.0, 2.0, 2.0, 0.0, 0.0, 0.0):
        agent.learn(obs, agent.act(obs), Step(obs, np.full(2_000, reward, np.float32), over, ~over, obs))
        sigmas.append(agent.state()["sigma"][0])
    assert sigmas == [0.5, 0.25, 0.15, 0.3, 0.6, 0.75]
    state = agent.state()
    noise = (state["evaluated"] - state["incumbent"])[:, :6].astype(float).ravel() / 0.75
    assert abs(noise.mean()) < 4 / np.sqrt(noise.size)
    assert noise.std() == pytest.approx(1.0, abs=0.03)
    assert (np.abs(noise) < 1.0).mean() == pytest.approx(0.6827, abs=0.02)
    assert (state["evaluated"][:, 6:] == 0.0).all()  # no biases


@pytest.mark.slow
def test_the_decisions_as_pure_functions():
    hp = _hp(episodes=2, early_reject=True)
    assert compare(hp, 4.0, 1, 5.0, 2) == REJECTED
    assert compare(hp, 5.0, 1, 5.0, 2) == UNDECIDED
    assert compare(hp, 5.0, 2, 5.0, 2) == ACCEPTED
    assert compare(hp, 5.0, 2, 5.0, 3) == UNDECIDED
    assert compare(hp, 5.5, 2, 5.0, 3) == ACCEPTED
    assert compare(hp, np.nan, 2, 5.0, 2) == REJECTED
    assert compare(_hp(episodes=2), 4.0, 1, 5.0, 2) == UNDECIDED
    assert [beats(1.0, 1, 1.0, 1), beats(1.0, 1, 1.0, 2), beats(2.0, 1, 1.0, 2), beats(0.0, 9, 1.0, 2)] == [1, 0, 1, 0]
    assert interpolated(2.0, 3.0, 0.25) == 2.25
    assert interpolated(np.float32(0.1), np.float32(0.3), 1.0) == np.float32(0.3)
    success = _hp(anneal=BY_SUCCESS, sigma=0.5)
    assert [adapted_sigma(success, 0.5, True), adapted_sigma(success, 0.06, True)] == [0.25, 0.05]
    assert [adapted_sigma(success, 0.5, False), adapted_sigma(success, 1.9, False)] == [1, 2]
    assert adapted_sigma(_hp(), 0.5, True) == 0.5
    schedule = _hp(anneal=BY_SCHEDULE, sigma=2.0)
    assert [scheduled_sigma(schedule, clock) for clock in (0, 50, 100, 10_000)] == pytest.approx([2.0, 1.1, 0.2, 0.2])
    due = [reevaluation_due(_hp(reevaluation_fraction=each), 10, 30) for each in (0.0, 0.24, 0.25, 1.0)]
    assert due == [0, 0, 1, 1]
    assert reevaluation_due(_hp(reevaluation_fraction=1.0), 10, 0)


def test_random_search_takes_new_weights_and_keeps_the_best():
    agent = random_search.make(SPEC, [3], random_search.Config(reevaluation_fraction=0.0))
    first = _episode(agent, 5.0)
    second = _episode(agent, 4.0)
    assert (np.abs(second["evaluated"][0, :6]) <= 1 / np.sqrt(2)).all()
    np.testing.assert_array_equal(second["incumbent"], first["incumbent"])
    np.testing.assert_array_equal(_episode(agent, 6.0)["incumbent"], second["evaluated"])
    np.testing.assert_array_equal(agent.policy().network.net.params, second["evaluated"])


def _with(agent, weights):
    agent.restore({**agent.state(), "evaluated": np.array(weights, np.float32).reshape(1, -1)})
    return agent


def test_actions_are_the_greatest_output_and_ties_are_even():
    tied = [[0, 1, 1], [0, 0, 0], [0, 0, 0]]  # weights of both inputs, then biases
    agent = _with(_agent(), tied)
    counts = np.bincount([agent.act(np.array([[2.0, 0.0]]))[0] for _ in range(400)], minlength=3)
    assert counts[0] == 0
    assert abs(counts[1] - 200) < 50
    assert agent.act(np.array([[-2.0, 0.0]]))[0] == 0
    rooms = EnvSpec(
        "rooms", spaces.Discrete(3), spaces.Discrete(2), legal_actions=np.array([[1, 1], [1, 0], [1, 1]], bool)
    )
    numbered = _with(hill_climbing.make(rooms, [0], hill_climbing.Config()), [[0, 1], [0, 1], [1, 0], [0, 0]])
    assert [numbered.act(np.array([room]))[0] for room in (0, 1, 2, 0)] == [1, 0, 0, 1]


def test_boxed_actions_are_squashed_into_their_bounds():
    space = spaces.Box(np.array([-1.0, 0.0], np.float32), np.array([3.0, 8.0], np.float32))
    agent = hill_climbing.make(EnvSpec("box", SPEC.observation, space), [0], hill_climbing.Config())
    _with(agent, [[1.0, 0.0], [0.0, -99.0], [0.0, 0.0]])
    expected = [-1 + 4 * (0.5 + 0.5 * np.tanh(0.7)), 0.0]
    acted = agent.act(np.array([[0.7, 1.0]]))[0]
    np.testing.assert_allclose(acted, expected, rtol=1e-6)
    assert space.contains(acted)


def test_hidden_units_by_hand():
    network = NetworkSettings(hidden=(2,), activation="tanh")
    agent = hill_climbing.make(SPEC, [0], hill_climbing.Config(network=network, bias=True))
    weights = np.random.Generator(np.random.PCG64(1)).normal(size=2 * 2 + 2 + 2 * 3 + 3)
    _with(agent, weights)
    obs = np.array([[0.3, -0.8]])
    hidden = np.tanh(obs @ weights[:4].reshape(2, 2) + weights[4:6])
    out = hidden @ weights[6:12].reshape(2, 3) + weights[12:]
    np.testing.assert_allclose(agent.network.outputs(obs), out, rtol=1e-5)
    assert agent.act(obs)[0] == out.argmax()


@pytest.mark.parametrize(
    ("seen", "action", "said"),
    [
        (spaces.Box(0, 255, (8, 8, 3), np.uint8), SPEC.action, "env-x: observation"),
        (SPEC.observation, spaces.Box(-np.inf, np.inf, (1,)), "env-x: action space"),
        (spaces.Discrete(10**9), SPEC.action, "weights of"),
    ],
)
def test_impossible_envs_are_refused(seen, action, said):
    for player in (hill_climbing, random_search):
        with pytest.raises(ValueError, match=said):
            player.make(EnvSpec("env-x", seen, action), [0], player.Config())


@pytest.mark.slow
@pytest.mark.learning
@pytest.mark.parametrize(("agent", "steps"), [("hill_climbing", 45_000), ("random_search", 30_000)])
def test_cartpole_is_solved(agent, steps):
    one = session(agent, "CartPole-v1", seeds=16, steps=steps, eval_episodes=20)
    evaluator, solved = one.evaluator(), np.zeros(16, bool)
    for _ in range(15):
        one.play(steps // 15)
        solved |= evaluator.evaluate(one.agent, one.step).returns.mean(axis=1) >= 475
    assert solved.sum() >= 14
