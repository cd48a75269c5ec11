"""Tests of the Python API."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

import simulator


def test_run_gives_arrays(tmp_path):
    result = simulator.run("q_learning", "rooms", seeds=3, steps=4_000, lab=tmp_path, env_settings={"layout": "four"})
    assert result.evaluation.shape == result.exact.shape == (3,)
    curve = result.curve()
    assert curve.mean_return.shape == (3, len(curve.steps)) == curve.episodes.shape
    steps, scores = result.evaluations()
    assert (steps[-1], scores.shape) == (4_000, (3, 20))
    np.testing.assert_array_equal(scores[:, -1], result.exact)
    again = simulator.load(tmp_path)
    assert again.summary == result.summary
    assert "q_learning in rooms, 3 seeds" in repr(again)


def test_a_bad_name_is_one_line(tmp_path):
    with pytest.raises(ValueError, match="did you mean q_learning"):
        simulator.run("q_lerning", "rooms", lab=tmp_path / "lab")
    assert not (tmp_path / "lab").exists()


@pytest.mark.parametrize("env", ["FrozenLake-v1", "CartPole-v1"])
def test_trainer_learns_predicts_saves_and_loads(tmp_path, env):
    trainer = simulator.Trainer("q_learning", env, seeds=2, eval_episodes=5).learn(300)
    assert trainer.num_timesteps == 300
    obs = gymnasium.make(env).reset(seed=0)[0]
    actions, nothing = trainer.predict(obs)
    assert (actions.shape, nothing) == ((2,), None)
    assert trainer.evaluate().shape == (2,)
    trainer.save(tmp_path / "saved")
    loaded = simulator.Trainer.load(tmp_path / "saved")
    np.testing.assert_array_equal(loaded.predict(obs)[0], actions)
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
