"""Tests of Trainer: training, playing, saving and loading by hand."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

import simulator


class Corridor(gymnasium.Env):
    """Five places, counted from 1, and actions 3 (left) and 4 (right); the right end pays 1."""

    observation_space = gymnasium.spaces.Discrete(5, start=1)
    action_space = gymnasium.spaces.Discrete(2, start=3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = 3
        return self.place, {}

    def step(self, action):
        self.place += {3: -1, 4: 1}[int(action)]
        return self.place, float(self.place == 5), self.place in (1, 5), False, {}


EXPLORING = {"explore": {"epsilon_start": 0.5}}


@pytest.mark.parametrize("env", ["FrozenLake-v1", "CartPole-v1"])
def test_trainer_learns_predicts_saves_and_loads(tmp_path, env):
    trainer = simulator.Trainer("q_learning", env, seeds=2, eval_episodes=5).learn(300)
    assert trainer.num_timesteps == 300
    made = gymnasium.make(env)
    obs = made.reset(seed=0)[0]
    action, nothing = trainer.predict(obs)
    assert made.action_space.contains(action)
    assert nothing is None
    made.step(action)
    assert trainer.evaluate().shape == (2,)
    trainer.save(tmp_path / "saved")
    loaded = simulator.Trainer.load(tmp_path / "saved")
    np.testing.assert_array_equal(loaded.predict(obs)[0], action)
    trainer.learn(200).save(tmp_path / "one")
    loaded.learn(200).save(tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("content", [None, b"", b"not a trainer", b"\xff" * 400])
def test_a_file_that_is_not_a_trainer_is_refused(tmp_path, content):
    path = tmp_path / "saved"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match="saved"):
        simulator.Trainer.load(path)


def test_a_batch_gives_the_actions_of_its_rows_by_one_seed():
    trainer = simulator.Trainer("q_learning", "CartPole-v1", seeds=3).learn(500)
    rows = 0.02 * np.random.Generator(np.random.PCG64(0)).normal(size=(20, 4)).astype(np.float32)
    greedy = trainer.exported()
    for row, seed in enumerate(trainer.seeds):
        actions, _ = trainer.predict(rows, seed=seed)
        assert actions.shape == (20,)
        alone = [trainer.predict(obs, seed=seed)[0] for obs in rows]
        decided = np.array([len(set(_values(greedy.arrays, row, obs))) == 2 for obs in rows])
        assert decided.any()
        np.testing.assert_array_equal(actions[decided], np.array(alone)[decided])
    with pytest.raises(ValueError, match="seed 7: expected one of 0, 1, 2"):
        trainer.predict(rows, seed=7)


def _values(arrays, row, obs):
    x = np.clip((obs - arrays["low"]) / arrays["width"], 0, 1 - 1e-12) * arrays["n_bins"]
    return arrays["q"][row, int(np.floor(x) @ arrays["strides"])].tolist()


def test_predict_takes_and_gives_what_the_environment_declares():
    trainer = simulator.Trainer("q_learning", Corridor, agent_settings=EXPLORING).learn(600)
    assert trainer.predict(3)[0] == 4
    np.testing.assert_array_equal(trainer.predict([2, 3, 4])[0], [4, 4, 4])
    assert (trainer.observation_space, trainer.action_space) == (Corridor.observation_space, Corridor.action_space)
    blackjack = simulator.Trainer("q_learning", "Blackjack-v1").learn(100)
    hands = [(12, 3, 0), (20, 1, 1)]
    assert blackjack.predict(hands)[0].shape == (2,)
    assert blackjack.predict(hands[0])[0].shape == ()
    box = simulator.Trainer("reinforce", "Pendulum-v1").learn(10)
    assert box.action_space.contains(box.predict(np.zeros(3, np.float32))[0])


@pytest.mark.parametrize("observation", ["left", 0, 6, 2.5, [], [[3]], None])
def test_what_is_no_observation_is_refused_in_one_line(observation):
    trainer = simulator.Trainer("q_learning", Corridor)
    with pytest.raises(ValueError, match=r"predict: .*: expected an observation of Discrete\(5, start=1\)"):
        trainer.predict(observation)


@pytest.mark.parametrize("target", ["max", "sarsa"])
def test_exploring_actions_leave_the_learner_alone(tmp_path, target):
    settings = {"explore": {"epsilon_start": 0.5}, "target": target}
    trainer, other = (simulator.Trainer("q_learning", Corridor(), agent_settings=settings).learn(300) for _ in "ab")
    actions = [int(trainer.predict(3, deterministic=False)[0]) for _ in range(200)]
    assert 20 < actions.count(3) < 90  # a quarter of them in the mean
    np.testing.assert_array_equal(trainer.learn(200).exported().arrays["q"], other.learn(200).exported().arrays["q"])


def test_learn_calls_back_and_ends_where_it_is_told():
    seen = []
    trainer = simulator.Trainer("q_learning", Corridor, seeds=2, agent_settings=EXPLORING)
    trainer.learn(1_000, seen.append)
    assert [snapshot.step for snapshot in seen] == list(range(10, 1_001, 10))
    assert seen[-1].phase == "done"
    curve = trainer.curve()
    assert curve.mean_return.shape == (2, 100)
    assert np.ma.is_masked(curve.mean_return) == bool((curve.episodes == 0).any())
    trainer.learn(steps=1_000, callback=lambda snapshot: snapshot.step < 1_100)
    assert trainer.num_timesteps == 1_100
    assert repr(trainer).endswith("2 seeds, 1,100 steps trained>")
    for wrong in ({}, {"total_timesteps": -1}, {"total_timesteps": 2.5}, {"total_timesteps": 5, "steps": 5}):
        with pytest.raises(ValueError, match="total_timesteps"):
            trainer.learn(**wrong)


def test_many_calls_of_learn_give_the_numbers_of_one():
    one, many = (simulator.Trainer("q_learning", "CartPole-v1", seeds=2) for _ in "ab")
    one.learn(600)
    for n in (1, 99, 500):
        many.learn(n)
    np.testing.assert_array_equal(one.exported().arrays["q"], many.exported().arrays["q"])
    assert one.curve().episodes.sum() == many.curve().episodes.sum()


@pytest.mark.parametrize(
    "env",
    [
        Corridor,
        Corridor(),
        lambda: gymnasium.wrappers.TimeLimit(Corridor(), 9),
        gymnasium.wrappers.TimeLimit(Corridor(), 9),
        gymnasium.wrappers.TransformReward(Corridor(), float),
    ],
    ids=["class", "instance", "function", "wrapped", "wrapped by a function"],
)
def test_an_environment_may_be_an_object(env, tmp_path):
    trainer = simulator.Trainer("q_learning", env, seeds=2, agent_settings=EXPLORING).learn(600)
    np.testing.assert_array_equal(trainer.evaluate(3), [1.0, 1.0])
    trainer.save(tmp_path / "saved")
    with pytest.raises(ValueError, match="its environment was an object: expected env="):
        simulator.Trainer.load(tmp_path / "saved")
    loaded = simulator.Trainer.load(tmp_path / "saved", env)
    np.testing.assert_array_equal(loaded.learn(50).exported().arrays["q"], trainer.learn(50).exported().arrays["q"])


def test_a_stored_run_becomes_a_trainer_and_stays_as_it_is(tmp_path):
    result = simulator.run("q_learning", "FrozenLake-v1", lab=tmp_path, seeds=2, steps=2_000, eval_episodes=3)
    trainer = simulator.Trainer.load("r1", lab=tmp_path)
    assert trainer.num_timesteps == 2_000
    np.testing.assert_array_equal(trainer.evaluate(), result.evaluation)
    trainer.learn(3_000).save(tmp_path.parent / f"{tmp_path.name}.trainer")
    again = simulator.Trainer.load(tmp_path.parent / f"{tmp_path.name}.trainer")
    assert again.num_timesteps == 5_000
    assert simulator.load("r1", lab=tmp_path).summary == result.summary
    np.testing.assert_array_equal(result.trainer().evaluate(), result.evaluation)
    slippery = simulator.Trainer.load("r1", gymnasium.make("FrozenLake-v1", is_slippery=False), lab=tmp_path)
    assert slippery.num_timesteps == 2_000
    with pytest.raises(ValueError, match="r9"):
        simulator.Trainer.load("r9", lab=tmp_path)


def test_a_schedule_refers_to_the_steps_that_are_given():
    settings = {"anneal": "schedule"}
    trainer = simulator.Trainer("hill_climbing", "CartPole-v1", agent_settings=settings, steps=500)
    assert trainer.learn(600).num_timesteps == 600
