"""Tests of environments from optional extras: the lunar lander (box2d) and Atari games (atari)."""

import gymnasium
import numpy as np
import pytest

from envs.common.gymnasium import adapter as gymnasium_env
from envs.common.gymnasium.adapter import Config
from envs.common.gymnasium.atari import Atari
from simulator.core import rng as streams

pytestmark = pytest.mark.optional

SEEDS = [4, 0]


def _play(env, n_steps, number):
    rng = np.random.Generator(np.random.PCG64(number))
    return [env.step(rng.integers(0, env.spec.action.n, len(SEEDS))) for _ in range(n_steps)][-1]


def _resumes(env_id, config, at):
    """Assert that an environment continues from another's state bit for bit."""
    env, other = (gymnasium_env.make(env_id, SEEDS, config) for _ in range(2))
    env.reset()
    ended = 0
    rng = np.random.Generator(np.random.PCG64(1))
    for _ in range(at):
        step = env.step(rng.integers(0, env.spec.action.n, len(SEEDS)))
        ended += (step.terminated | step.truncated).sum()
    assert other.restore(env.state())
    for number in range(25):
        for one, two in zip(_play(env, 1, number), _play(other, 1, number), strict=True):
            assert one.tobytes() == two.tobytes()
    return ended


def test_the_lander_is_the_single_environment_and_resumes():
    pytest.importorskip("Box2D")
    env = gymnasium_env.make("LunarLander-v3", SEEDS, Config())
    assert (env.spec.max_steps, env.spec.reward_threshold, env.spec.observation.shape) == (1000, 200, (8,))
    singles = [gymnasium.make("LunarLander-v3") for _ in SEEDS]
    first = [single.reset(seed=n)[0] for single, n in zip(singles, streams.derived_seeds(SEEDS, "env"), strict=True)]
    assert (env.reset() == first).all()
    for number in range(150):
        actions = np.array([number % 4, (number // 7) % 4])
        step = env.step(actions)
        for i, single in enumerate(singles):
            final, reward, terminated, truncated, _ = single.step(actions[i])
            assert (step.final_obs[i] == final).all()
            assert step.reward[i] == np.float32(reward)
            assert (step.obs[i] == (single.reset()[0] if terminated or truncated else final)).all()
    assert _resumes("LunarLander-v3", Config(), 230) > 0


def test_the_lander_draws_only_when_asked():
    pytest.importorskip("Box2D")
    env = gymnasium_env.make("LunarLander-v3", SEEDS, Config())
    env.reset()
    assert env.slots[0].unwrapped.render_mode is None
    assert env.scene(0).image.shape == (400, 600, 3)
    assert env.slots[0].unwrapped.render_mode is None


@pytest.fixture
def _atari():
    pytest.importorskip("ale_py")
    pytest.importorskip("cv2")


@pytest.mark.usefixtures("_atari")
def test_pong_is_the_librarys_over_several_games():
    """A game that a lost life ends, so that later episodes are compared too."""
    settings = Atari(terminal_on_life_loss=True, noop_max=4)
    env = gymnasium_env.make("ALE/Breakout-v5", SEEDS, Config(atari=settings))
    assert (env.spec.observation.shape, env.spec.observation.dtype) == ((84, 84), np.uint8)
    assert (env.spec.max_steps, env.spec.action.n) == (27_000, 4)
    singles = [
        gymnasium.wrappers.AtariPreprocessing(
            gymnasium.make("ALE/Breakout-v5", frameskip=1), noop_max=4, terminal_on_life_loss=True
        )
        for _ in SEEDS
    ]
    first = [single.reset(seed=n)[0] for single, n in zip(singles, streams.derived_seeds(SEEDS, "env"), strict=True)]
    assert (env.reset() == first).all()
    ended, rng = 0, np.random.Generator(np.random.PCG64(2))
    for _ in range(120):
        actions = rng.integers(0, 4, len(SEEDS))
        step = env.step(actions)
        for i, single in enumerate(singles):
            final, reward, terminated, truncated, _ = single.step(actions[i])
            assert (step.final_obs[i] == final).all()
            assert (step.reward[i], step.terminated[i]) == (np.float32(reward), terminated)
            ended += terminated
            assert (step.obs[i] == (single.reset()[0] if terminated or truncated else final)).all()
    assert ended > 2


@pytest.mark.usefixtures("_atari")
@pytest.mark.parametrize(("env_id", "at"), [("ALE/Breakout-v5", 170), ("ALE/Pong-v5", 30)])
def test_a_game_resumes_in_the_middle_of_an_episode(env_id, at):
    ended = _resumes(env_id, Config(atari=Atari(terminal_on_life_loss=True)), at)
    assert ended > 0 or "Pong" in env_id


@pytest.mark.usefixtures("_atari")
def test_the_settings_of_a_game():
    config = Config(atari=Atari(greyscale=False, screen=42, full_action_space=True, frame_skip=1), max_steps=3)
    env = gymnasium_env.make("ALE/Pong-v5", SEEDS, config)
    assert (env.spec.observation.shape, env.spec.action.n, env.spec.max_steps) == ((42, 42, 3), 18, 3)
    env.reset()
    assert _play(env, 3, 0).truncated.all()
    assert env.scene(0).image.shape == (210, 160, 3)
    with pytest.raises(ValueError, match=r"kwargs has frameskip, expected it as atari\.frame_skip"):
        gymnasium_env.make("ALE/Pong-v5", [0], Config(kwargs={"frameskip": 2}))


def test_atari_settings_are_refused_for_other_envs():
    with pytest.raises(ValueError, match="these settings are for Atari games"):
        gymnasium_env.make("CartPole-v1", [0], Config(atari=Atari(frame_skip=2)))
