"""Worlds that extras bring: the lunar lander (box2d) and Atari games (atari), where those are installed."""

import gymnasium
import numpy as np
import pytest

from envs.common.gymnasium import env as gymnasium_world
from envs.common.gymnasium.atari import Atari
from envs.common.gymnasium.env import Config
from simulator.core import rng as streams

SEEDS = [4, 0]


def _play(world, n_steps, number):
    rng = np.random.Generator(np.random.PCG64(number))
    return [world.step(rng.integers(0, world.spec.action.n, len(SEEDS))) for _ in range(n_steps)][-1]


def _resumes(env_id, config, at):
    """A world goes on from another's state, bit for bit, in whatever episode that was."""
    world, other = (gymnasium_world.make(env_id, SEEDS, config) for _ in range(2))
    world.reset()
    ended = 0
    rng = np.random.Generator(np.random.PCG64(1))
    for _ in range(at):
        step = world.step(rng.integers(0, world.spec.action.n, len(SEEDS)))
        ended += (step.terminated | step.truncated).sum()
    assert other.restore(world.state())
    for number in range(25):
        for one, two in zip(_play(world, 1, number), _play(other, 1, number), strict=True):
            assert one.tobytes() == two.tobytes()
    return ended


def test_the_lander_is_the_single_environment_and_resumes():
    pytest.importorskip("Box2D")
    world = gymnasium_world.make("LunarLander-v3", SEEDS, Config())
    assert (world.spec.max_steps, world.spec.solved, world.spec.observation.shape) == (1000, 200, (8,))
    envs = [gymnasium.make("LunarLander-v3") for _ in SEEDS]
    first = [env.reset(seed=n)[0] for env, n in zip(envs, streams.integers(SEEDS, "world"), strict=True)]
    assert (world.reset() == first).all()
    for number in range(150):
        actions = np.array([number % 4, (number // 7) % 4])
        step = world.step(actions)
        for i, env in enumerate(envs):
            final, reward, terminated, truncated, _ = env.step(actions[i])
            assert (step.final_obs[i] == final).all()
            assert step.reward[i] == np.float32(reward)
            assert (step.obs[i] == (env.reset()[0] if terminated or truncated else final)).all()
    assert _resumes("LunarLander-v3", Config(), 230) > 0


def test_the_lander_draws_only_when_asked():
    pytest.importorskip("Box2D")
    world = gymnasium_world.make("LunarLander-v3", SEEDS, Config())
    world.reset()
    assert world.slots[0].unwrapped.render_mode is None
    assert world.scene(0).image.shape == (400, 600, 3)
    assert world.slots[0].unwrapped.render_mode is None


@pytest.fixture
def _atari():
    pytest.importorskip("ale_py")
    pytest.importorskip("cv2")


@pytest.mark.usefixtures("_atari")
def test_pong_is_the_librarys_over_several_games():
    """A game that a lost life ends, so that later episodes are compared too."""
    settings = Atari(terminal_on_life_loss=True, noop_max=4)
    world = gymnasium_world.make("ALE/Breakout-v5", SEEDS, Config(atari=settings))
    assert (world.spec.observation.shape, world.spec.observation.dtype) == ((84, 84), np.uint8)
    assert (world.spec.max_steps, world.spec.action.n) == (27_000, 4)
    envs = [
        gymnasium.wrappers.AtariPreprocessing(
            gymnasium.make("ALE/Breakout-v5", frameskip=1), noop_max=4, terminal_on_life_loss=True
        )
        for _ in SEEDS
    ]
    first = [env.reset(seed=n)[0] for env, n in zip(envs, streams.integers(SEEDS, "world"), strict=True)]
    assert (world.reset() == first).all()
    ended, rng = 0, np.random.Generator(np.random.PCG64(2))
    for _ in range(120):
        actions = rng.integers(0, 4, len(SEEDS))
        step = world.step(actions)
        for i, env in enumerate(envs):
            final, reward, terminated, truncated, _ = env.step(actions[i])
            assert (step.final_obs[i] == final).all()
            assert (step.reward[i], step.terminated[i]) == (np.float32(reward), terminated)
            ended += terminated
            assert (step.obs[i] == (env.reset()[0] if terminated or truncated else final)).all()
    assert ended > 2


@pytest.mark.usefixtures("_atari")
@pytest.mark.parametrize(("env_id", "at"), [("ALE/Breakout-v5", 170), ("ALE/Pong-v5", 30)])
def test_a_game_resumes_in_the_middle_of_an_episode(env_id, at):
    ended = _resumes(env_id, Config(atari=Atari(terminal_on_life_loss=True)), at)
    assert ended > 0 or "Pong" in env_id


@pytest.mark.usefixtures("_atari")
def test_the_settings_of_a_game():
    config = Config(atari=Atari(greyscale=False, screen=42, full_action_space=True, frame_skip=1), max_steps=3)
    world = gymnasium_world.make("ALE/Pong-v5", SEEDS, config)
    assert (world.spec.observation.shape, world.spec.action.n, world.spec.max_steps) == ((42, 42, 3), 18, 3)
    world.reset()
    assert _play(world, 3, 0).truncated.all()
    assert world.scene(0).image.shape == (210, 160, 3)
    with pytest.raises(ValueError, match=r"kwargs has frameskip, expected it as atari\.frame_skip"):
        gymnasium_world.make("ALE/Pong-v5", [0], Config(kwargs={"frameskip": 2}))


def test_other_worlds_have_no_such_settings():
    with pytest.raises(ValueError, match="these settings are for Atari games"):
        gymnasium_world.make("CartPole-v1", [0], Config(atari=Atari(frame_skip=2)))
