"""Hill climbing and random search by hand: who wins, who is judged next, what is given away, and what they learn."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from agents import hill_climbing, random_search
from agents.common.networks.dense import NetworkSettings
from agents.common.policy_search.selection import (
    BY_SCHEDULE,
    BY_SUCCESS,
    FIXED,
    LOSES,
    PLAYS_ON,
    WINS,
    Rule,
    ahead,
    annealed,
    blended,
    is_due,
    scheduled,
    verdict,
)
from simulator.core.protocols import EnvSpec, Step
from tests.called import called
from tests.laws.players import session

ahead, annealed, blended, is_due, scheduled, verdict = called(ahead, annealed, blended, is_due, scheduled, verdict)
CHAMPION, MUTANT = 0, 1
PLAIN = {"episodes": 1, "race": False, "rejudge": 0.0, "restart_after": 0, "anneal": "none"}
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


def _mean(state, whose=CHAMPION):
    return state["total"][0, whose] / state["count"][0, whose]


def _rule(**settings):
    plain = Rule(1, False, 0.0, 0, 1.0, False, FIXED, 1.0, 2.0, 0.1, 4.0, 100)
    return plain._replace(**settings)


def test_the_first_champion_is_judged_before_any_mutant():
    agent = _agent(episodes=2)
    first = agent.state()
    np.testing.assert_array_equal(first["playing"], first["champion"])
    state = _episode(agent, 3.0)
    assert state["who"][0] == CHAMPION
    np.testing.assert_array_equal(state["playing"], first["champion"])
    state = _episode(agent, 5.0)
    assert state["who"][0] == MUTANT
    assert state["score"][0] == 4.0
    np.testing.assert_array_equal(state["champion"], first["champion"])
    assert (state["playing"] != state["champion"])[0, :6].all()


@pytest.mark.parametrize(("score", "wins"), [(6.0, True), (5.0, True), (4.0, False)])
def test_a_mutant_wins_from_a_tie_on(score, wins):
    agent = _agent()
    before = _episode(agent, 5.0)
    after = _episode(agent, score)
    np.testing.assert_array_equal(after["champion"], before["playing" if wins else "champion"])
    assert after["score"][0] == (score if wins else 5.0)


def test_the_champion_moves_towards_the_mutant_by_the_blend():
    agent = _agent(blend=0.25)
    before = _episode(agent, 5.0)
    after = _episode(agent, 7.0)
    np.testing.assert_allclose(after["champion"], 0.75 * before["champion"] + 0.25 * before["playing"], rtol=1e-6)
    assert after["who"][0] == MUTANT  # without judging again, the mutant's score passes for the champion's
    assert _mean(after) == 7.0


def test_a_blend_of_two_is_judged_itself_where_champions_are_judged_again():
    agent = _agent(blend=0.25, rejudge=0.01)
    state = _episodes(agent, 5.0, 7.0)
    assert state["who"][0] == CHAMPION
    assert state["count"][0, CHAMPION] == 0
    np.testing.assert_array_equal(state["playing"], state["champion"])
    state = _episode(agent, 6.0)
    assert (state["score"][0], state["who"][0]) == (6.0, MUTANT)


def test_judging_again_replaces_a_lucky_score():
    kept, corrected = _agent(), _agent(rejudge=1.0)
    assert _episodes(kept, 9.0, 4.0)["who"][0] == MUTANT
    assert _episodes(corrected, 9.0, 4.0)["who"][0] == CHAMPION
    assert _episode(corrected, 1.0)["score"][0] == 5.0  # the mean of 9 and 1
    before = [agent.state() for agent in (kept, corrected)]
    after = [_episode(agent, 6.0) for agent in (kept, corrected)]
    np.testing.assert_array_equal(after[0]["champion"], before[0]["champion"])
    np.testing.assert_array_equal(after[1]["champion"], before[1]["playing"])


@pytest.mark.parametrize(("last", "wins"), [(5.0, True), (4.0, False)])
def test_a_tie_counts_over_as_many_episodes_as_stand_behind_the_champion(last, wins):
    agent = _agent(rejudge=1.0)
    before = _episodes(agent, 5.0, 0.0, 5.0)  # a champion of two episodes, mean 5
    state = _episode(agent, 5.0)
    np.testing.assert_array_equal(state["playing"], before["playing"])  # it plays on
    after = _episode(agent, last)
    np.testing.assert_array_equal(after["champion"], before["playing" if wins else "champion"])


def test_a_mutant_that_has_fallen_behind_is_dropped_at_once():
    for race, plays_on in ((True, False), (False, True)):
        agent = _agent(episodes=2, race=race)
        before = _episodes(agent, 6.0, 6.0)
        after = _episode(agent, 5.0)
        assert np.array_equal(after["playing"], before["playing"]) == plays_on
    ahead_ = _agent(episodes=2, race=True)
    before = _episodes(ahead_, 6.0, 6.0)
    np.testing.assert_array_equal(_episode(ahead_, 7.0)["playing"], before["playing"])
    np.testing.assert_array_equal(_episode(ahead_, 5.0)["champion"], before["playing"])  # a tie of means


def test_every_judging_step_counts_and_a_cut_episode_counts_as_it_is():
    agent = _agent(rejudge=0.5)
    _episode(agent, 5.0, n_steps=7)
    state = _episode(agent, 4.0, n_steps=6, truncated=True)
    assert (state["clock"][0], state["who"][0]) == (13, MUTANT)  # 6 steps of mutants against 7 of the champion
    assert _mean(state) == 5.0
    state = _episode(agent, 4.0, n_steps=1)
    assert (state["clock"][0], state["who"][0]) == (14, CHAMPION)  # half of the steps each
    before = _episode(agent, 5.0, n_steps=7, truncated=True)
    state = _episodes(agent, 6.0)
    assert state["clock"][0] == 22
    np.testing.assert_array_equal(state["champion"], before["playing"])


def test_a_climb_on_a_plateau_starts_again_and_the_best_champion_is_given_away():
    agent = _agent(restart_after=2)
    first = _episode(agent, 5.0)
    state = _episodes(agent, 5.0, 4.0)  # a tie wins, but it is no new height
    best = first["playing"]
    np.testing.assert_array_equal(state["best"], best)
    assert (state["who"][0], state["stale"][0], state["leads"][0]) == (CHAMPION, 0, False)
    assert not np.isin(state["champion"], best)[0, :6].any()
    state = _episodes(agent, 3.0, 4.0)
    assert state["score"][0] == 4.0
    np.testing.assert_array_equal(agent.policy()._reader._net.params, best)
    better = state["playing"]
    assert _episode(agent, 6.0)["leads"][0]
    np.testing.assert_array_equal(agent.policy()._reader._net.params, better)


def test_what_is_given_away_is_never_a_mutant():
    agent = _agent()
    for reward in (1.0, 3.0, 2.0, 3.0, 0.0):
        state = _episode(agent, reward)
        np.testing.assert_array_equal(agent.policy()._reader._net.params, state["champion"])


def test_noise_is_normal_and_shrinks_with_success():
    config = hill_climbing.Config(**{**PLAIN, "anneal": "success", "sigma": 0.5, "lowest": 0.3, "highest": 1.5})
    agent = hill_climbing.make(SPEC, list(range(2_000)), config)
    over, obs = np.ones(2_000, bool), np.ones((2_000, 2), np.float32)
    sigmas = []
    for reward in (1.0, 2.0, 2.0, 0.0, 0.0, 0.0):
        agent.learn(obs, agent.act(obs), Step(obs, np.full(2_000, reward, np.float32), over, ~over, obs))
        sigmas.append(agent.state()["sigma"][0])
    assert sigmas == [0.5, 0.25, 0.15, 0.3, 0.6, 0.75]
    state = agent.state()
    noise = (state["playing"] - state["champion"])[:, :6].astype(float).ravel() / 0.75
    assert abs(noise.mean()) < 4 / np.sqrt(noise.size)
    assert noise.std() == pytest.approx(1.0, abs=0.03)
    assert (np.abs(noise) < 1.0).mean() == pytest.approx(0.6827, abs=0.02)
    assert (state["playing"][:, 6:] == 0.0).all()  # no biases


def test_the_rules_as_pure_functions():
    rule = _rule(episodes=2, race=True)
    assert verdict(rule, 4.0, 1, 5.0, 2) == LOSES
    assert verdict(rule, 5.0, 1, 5.0, 2) == PLAYS_ON
    assert verdict(rule, 5.0, 2, 5.0, 2) == WINS
    assert verdict(rule, 5.0, 2, 5.0, 3) == PLAYS_ON
    assert verdict(rule, 5.5, 2, 5.0, 3) == WINS
    assert verdict(rule, np.nan, 2, 5.0, 2) == LOSES
    assert verdict(_rule(episodes=2), 4.0, 1, 5.0, 2) == PLAYS_ON
    assert [ahead(1.0, 1, 1.0, 1), ahead(1.0, 1, 1.0, 2), ahead(2.0, 1, 1.0, 2), ahead(0.0, 9, 1.0, 2)] == [1, 0, 1, 0]
    assert blended(2.0, 3.0, 0.25) == 2.25
    assert blended(np.float32(0.1), np.float32(0.3), 1.0) == np.float32(0.3)
    success = _rule(anneal=BY_SUCCESS, sigma=0.5)
    assert [annealed(success, 0.5, True), annealed(success, 0.06, True)] == [0.25, 0.05]
    assert [annealed(success, 0.5, False), annealed(success, 1.9, False), annealed(_rule(), 0.5, True)] == [1, 2, 0.5]
    schedule = _rule(anneal=BY_SCHEDULE, sigma=2.0)
    assert [scheduled(schedule, clock) for clock in (0, 50, 100, 10_000)] == pytest.approx([2.0, 1.1, 0.2, 0.2])
    assert [is_due(_rule(rejudge=share), 10, 30) for share in (0.0, 0.24, 0.25, 1.0)] == [0, 0, 1, 1]
    assert is_due(_rule(rejudge=1.0), 10, 0)


def test_random_search_takes_new_weights_and_keeps_the_best():
    agent = random_search.make(SPEC, [3], random_search.Config(rejudge=0.0))
    first = _episode(agent, 5.0)
    second = _episode(agent, 4.0)
    assert (np.abs(second["playing"][0, :6]) <= 1 / np.sqrt(2)).all()
    np.testing.assert_array_equal(second["champion"], first["champion"])
    np.testing.assert_array_equal(_episode(agent, 6.0)["champion"], second["playing"])
    np.testing.assert_array_equal(agent.policy()._reader._net.params, second["playing"])


def _with(agent, weights):
    agent.restore({**agent.state(), "playing": np.array(weights, np.float32).reshape(1, -1)})
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
    np.testing.assert_allclose(agent._reader.outputs(obs), out, rtol=1e-5)
    assert agent.act(obs)[0] == out.argmax()


@pytest.mark.parametrize(
    ("seen", "action", "said"),
    [
        (spaces.Box(0, 255, (8, 8, 3), np.uint8), SPEC.action, "environment-x: observation"),
        (SPEC.observation, spaces.Box(-np.inf, np.inf, (1,)), "environment-x: action space"),
        (spaces.Discrete(10**9), SPEC.action, "weights of"),
    ],
)
def test_impossible_envs_are_refused(seen, action, said):
    for player in (hill_climbing, random_search):
        with pytest.raises(ValueError, match=said):
            player.make(EnvSpec("env-x", seen, action), [0], player.Config())


@pytest.mark.learning
@pytest.mark.parametrize(("agent", "steps"), [("hill_climbing", 45_000), ("random_search", 30_000)])
def test_cartpole_is_solved(agent, steps):
    one = session(agent, "CartPole-v1", seeds=16, steps=steps, eval_episodes=20)
    evaluator, solved = one.evaluator(), np.zeros(16, bool)
    for _ in range(15):
        one.play(steps // 15)
        solved |= evaluator.evaluate(one.agent, one.step).returns.mean(axis=1) >= 475
    assert solved.sum() >= 14
