"""Tests of episodes that are played step by step: they are those of the evaluation."""

from __future__ import annotations

import numpy as np
import pytest

import simulator
from simulator.store.run_store import Store
from simulator.training import episode_player
from simulator.training.episode_player import EpisodePlayer
from tests.laws.players import session

EPISODES = 3
GRU = {"learning_starts": 32, "network": {"hidden": [16]}, "recurrence": {"name": "gru", "units": 8}}
RUNS = {
    "tabular": ("q_learning", "rooms", {"env_": {"layout": "four"}}),
    "foreign table": ("q_learning", "FrozenLake-v1", {}),
    "network": ("dqn", "CartPole-v1", {"agent_": {"network": {"hidden": [16]}}}),
    "recurrent": ("dqn", "repeat_previous", {"agent_": GRU}),
    "episodic": ("reinforce", "tests.helpers.breaking_env", {}),
}


def trained(name, **settings):
    """Return a session that has learned a little."""
    agent, env, own = RUNS[name]
    one = session(agent, env, eval_episodes=EPISODES, **own, **settings)
    one.play(300)
    return one


def returns_of(player, n_episodes=EPISODES):
    """Return the returns of the first episodes; NaN for those that were not played to their end."""
    found = np.full(n_episodes, np.nan)
    for moment in player:
        if moment.ended and moment.t < player.max_steps:
            found[moment.episode - 1] = moment.gain
            if moment.episode == n_episodes:
                break
    return found


@pytest.mark.parametrize("name", RUNS)
def test_the_returns_are_those_of_the_evaluation_to_the_bit(name):
    one = trained(name)
    expected = one.evaluator().evaluate(one.agent, one.step).returns
    assert np.isfinite(expected).all()
    for i, seed in enumerate(one.seeds):
        np.testing.assert_array_equal(returns_of(EpisodePlayer(one, seed)), expected[i])


def test_a_restart_plays_the_same_episodes_by_the_newest_policy():
    one = trained("network")
    player = EpisodePlayer(one)
    before = returns_of(player)
    player.restart()
    np.testing.assert_array_equal(returns_of(player), before)
    one.play(500)
    player.restart(one.seeds[2])
    assert next(iter(player)).trained_steps == 800
    player.restart()
    expected = one.evaluator().evaluate(one.agent, one.step).returns
    np.testing.assert_array_equal(returns_of(player), expected[2])


def test_watching_changes_nothing_of_the_session():
    watched, alone = trained("network"), trained("network")
    returns_of(EpisodePlayer(watched))
    watched.play(200)
    alone.play(200)
    np.testing.assert_array_equal(*(each.agent.state()["online"]["params"] for each in (watched, alone)))


def test_a_moment_says_what_is_seen_and_done():
    one = trained("tabular")
    player = EpisodePlayer(one, one.seeds[1])
    q = one.agent.policy().values(np.arange(one.env.spec.observation.n))[1]
    moments = []
    for moment in player:
        moments.append(moment)
        if moment.ended:
            break
    *acting, last = moments
    assert [moment.t for moment in moments] == list(range(len(moments)))
    assert (moments[0].reward, moments[0].gain, moments[0].episode) == (0.0, 0.0, 1)
    for moment in acting:
        np.testing.assert_array_equal(moment.values, q[moment.obs])
        assert moment.values[moment.action] == moment.values.max()
        assert moment.probs[moment.action] > 0
        assert not moment.ended
    assert last.action is None
    assert last.gain == sum(moment.reward for moment in moments)
    np.testing.assert_array_equal(last.view.values, q.max(axis=1))
    assert {moment.seed for moment in moments} == {one.seeds[1]}


def test_an_episode_that_does_not_end_is_cut():
    one = trained("tabular")
    player = EpisodePlayer(one, max_steps=2)
    *_, last = player
    assert (last.t, last.ended, last.truncated, last.action) == (2, True, True, None)
    assert player.step() is None


def test_seeds_that_cannot_be_watched_are_one_line():
    one = trained("network")
    one.failed_at[0] = 7
    first, second, last = one.seeds
    assert EpisodePlayer(one).seed == second
    with pytest.raises(ValueError, match=f"^seed {first} failed at step 7: "):
        EpisodePlayer(one, first)
    with pytest.raises(ValueError, match=f"^seed {last + 1}: expected one of this run's, {first} to {last}$"):
        EpisodePlayer(one, last + 1)
    one.failed_at[:] = 7
    with pytest.raises(ValueError, match=r"^all 3 seeds have failed"):
        EpisodePlayer(one)


def test_a_reward_that_is_not_finite_is_one_line():
    one = session("random_walk", "tests.helpers.breaking_env", env_={"what": "reward", "at": 3})
    player = EpisodePlayer(one, one.seeds[1])
    with pytest.raises(ValueError, match=f"^clock: seed {one.seeds[1]} got a reward that is not finite"):
        returns_of(player)


def test_what_a_recurrence_carries_is_that_of_its_policy():
    one = trained("recurrent")
    player = EpisodePlayer(one, one.seeds[1])
    first, second = player.step(), player.step()
    assert {values.shape for values in first.carried.values()} == {(8,)}
    policy = one.agent.policy()
    env = one.make_env(player._own)
    policy.act(env.reset(), np.ones(3, np.bool_))
    expected = policy.moment(1)
    assert first.carried.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(first.carried[name], values)
    assert any((second.carried[name] != values).any() for name, values in expected.items())
    assert next(iter(EpisodePlayer(trained("network")))).carried == {}


def test_a_memory_that_is_cut_is_that_of_the_next_step():
    one = trained("recurrent")
    whole, cut = EpisodePlayer(one, one.seeds[1]), EpisodePlayer(one, one.seeds[1])
    assert cut.has_memory
    for player in (whole, cut):
        player.step()
        player.step()
    cut.cut_memory()
    expected, found = whole.step(), cut.step()
    assert (expected.forgot, found.forgot) == (False, True)
    assert any((found.carried[name] != values).any() for name, values in expected.carried.items())
    policy = one.agent.policy()
    policy.act(found.obs[None].repeat(3, axis=0), np.ones(3, np.bool_))  # as if an episode began here
    names = [name for name in found.carried if "gate" not in name]
    for name in names:
        np.testing.assert_allclose(found.carried[name], policy.moment(1)[name], atol=1e-6)
    assert not cut.step().forgot
    player = EpisodePlayer(trained("network"))
    player.cut_memory()  # nothing is carried
    assert not player.has_memory
    assert not player.step().forgot


def test_a_stored_run_is_played_by_its_newest_checkpoint(clean_folder):
    settings = {"seeds": 2, "steps": 300, "eval_episodes": EPISODES}
    run = simulator.run("q_learning", "FrozenLake-v1", **settings)
    before = {path: path.stat().st_mtime_ns for path in clean_folder.rglob("*.ckpt")}
    with Store("lab") as store:
        player = episode_player.of_run(store, "latest", seed=1)
        assert next(iter(player)).trained_steps == 300
        player.restart()
        stored = store.evaluations("r1")
        with pytest.raises(ValueError, match="no run 'r7'"):
            episode_player.of_run(store, "r7")
    assert run.run == "r1"
    assert stored
    trainer_session = run.trainer()._session
    expected = trainer_session.evaluator().evaluate(trainer_session.agent, 300).returns
    np.testing.assert_array_equal(returns_of(player), expected[1])
    assert before == {path: path.stat().st_mtime_ns for path in clean_folder.rglob("*.ckpt")}
