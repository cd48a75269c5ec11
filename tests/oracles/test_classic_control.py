"""Tests of compiled classic control and blackjack: equal to Gymnasium's originals bit for bit."""

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.classic_control import AcrobotEnv, CartPoleEnv, MountainCarEnv
from gymnasium.wrappers import TransformReward

from envs.common.compiled_env import CompiledEnv
from envs.common.gymnasium import adapter as gymnasium_env
from envs.common.gymnasium import compiled_equivalents
from envs.common.gymnasium.adapter import Config, GymnasiumEnv
from simulator.core import registry
from tests.oracles.gymnasium_envs import original, same_step

SEEDS = [0, 1, 7, 2**40]
LONG = [("CartPole-v1", 1.0), ("MountainCar-v0", 1.0), ("Acrobot-v1", 0.4), ("Blackjack-v1", 0.2)]


def nips(core):
    core.book_or_nips = "nips"


def noisy(core):
    core.torque_noise_max = 0.7


VARIANTS = [
    ("cartpole", {"sutton_barto_reward": True}, "CartPole-v1", {"sutton_barto_reward": True}, None),
    ("cartpole", {"max_steps": 15}, "CartPole-v1", {}, None),
    ("mountain_car", {"goal_velocity": 0.02, "max_steps": 900}, "MountainCar-v0", {"goal_velocity": 0.02}, None),
    ("acrobot", {"max_steps": 20}, "Acrobot-v1", {}, None),
    ("acrobot", {"equations": "nips"}, "Acrobot-v1", {}, nips),
    ("acrobot", {"torque_noise": 0.7}, "Acrobot-v1", {}, noisy),
    ("blackjack", {"sab": False}, "Blackjack-v1", {"sab": False}, None),
    ("blackjack", {"sab": False, "natural": True}, "Blackjack-v1", {"sab": False, "natural": True}, None),
    ("blackjack", {"natural": True}, "Blackjack-v1", {"natural": True}, None),
]


def _play(env, envs, n_steps, number=5):
    rng = np.random.Generator(np.random.PCG64(number))
    actions = rng.integers(env.spec.action.n, size=(n_steps, len(SEEDS)))
    return sum(same_step(env.step(action), envs, action) for action in actions)


@pytest.mark.parametrize(("env_id", "share"), LONG)
def test_the_id_is_the_original_bit_for_bit_and_over_a_round_trip(env_id, share):
    env, other = (gymnasium_env.make(env_id, SEEDS, Config()) for _ in range(2))
    assert isinstance(env, CompiledEnv)
    envs, seen = original(env_id, SEEDS, {})
    assert env.reset().tobytes() == seen.tobytes()
    half = int(10_000 * share) // 2
    ends = _play(env, envs, half)
    assert other.restore(env.state())
    assert other.observe().tobytes() == env.observe().tobytes()
    env.reset()  # shares nothing with the one that goes on
    assert ends + _play(other, envs, half, 6) > 20


@pytest.mark.parametrize(("name", "settings", "env_id", "kwargs", "change"), VARIANTS)
def test_every_variant_is_the_originals(name, settings, env_id, kwargs, change):
    player = registry.load("envs", name)
    env = player.make(SEEDS, player.Config(**settings))
    envs, seen = original(env_id, SEEDS, kwargs, settings.get("max_steps"), change or (lambda core: None))
    assert env.reset().tobytes() == seen.tobytes()
    assert _play(env, envs, 1_200) > 0


@pytest.mark.parametrize(
    ("name", "positions"), [("cartpole", [0, 2]), ("mountain_car", [0]), ("acrobot", [0, 1, 2, 3])]
)
def test_hidden_velocities_change_nothing_but_what_is_seen(name, positions):
    player = registry.load("envs", name)
    env = player.make(SEEDS, player.Config(max_steps=40))
    hidden = player.make(SEEDS, player.Config(max_steps=40, observe="position"))
    assert hidden.spec.observation.shape == (len(positions),)
    np.testing.assert_array_equal(hidden.spec.observation.high, env.spec.observation.high[positions])
    np.testing.assert_array_equal(hidden.spec.observation.low, env.spec.observation.low[positions])
    assert (hidden.spec.random_score, hidden.spec.reward_threshold) == (
        env.spec.random_score,
        env.spec.reward_threshold,
    )
    np.testing.assert_array_equal(hidden.reset(), env.reset()[:, positions])
    actions = np.random.Generator(np.random.PCG64(5)).integers(env.spec.action.n, size=(200, len(SEEDS)))
    ends = 0
    for row in actions:
        step, seen = env.step(row), hidden.step(row)
        ends += (step.terminated | step.truncated).sum()
        for mine, theirs in zip(seen[1:4], step[1:4], strict=True):
            np.testing.assert_array_equal(mine, theirs)
        np.testing.assert_array_equal(seen.obs, step.obs[:, positions])
        np.testing.assert_array_equal(seen.final_obs, step.final_obs[:, positions])
        np.testing.assert_array_equal(hidden.observe(), env.observe()[:, positions])
    assert ends >= len(SEEDS)


def test_the_car_reaches_the_flag_as_the_originals():
    """Pushing along with the motion: random play never gets there."""
    env = gymnasium_env.make("MountainCar-v0", SEEDS, Config())
    envs, seen = original("MountainCar-v0", SEEDS, {})
    assert env.reset().tobytes() == seen.tobytes()
    arrived = 0
    for _ in range(1_000):
        actions = np.where(env.observe()[:, 1] >= 0, 2, 0)
        step = env.step(actions)
        same_step(step, envs, actions)
        arrived += step.terminated.sum()
    assert arrived > 10


@pytest.mark.parametrize("env_id", [env_id for env_id, _ in LONG])
def test_compiled_and_python_envs_have_the_same_spec(env_id):
    specs = [gymnasium_env.make(env_id, [3], Config(native=native)).spec for native in (True, False)]
    for name in ("id", "observation", "action", "max_steps", "random_score", "reward_threshold", "gamma"):
        assert getattr(specs[0], name) == getattr(specs[1], name)
    assert specs[0].id == env_id
    assert specs[0].reward_threshold == (gymnasium.spec(env_id).reward_threshold or specs[0].reward_threshold)
    env = gymnasium.make(env_id)
    assert specs[0].action == env.action_space
    if env_id != "Blackjack-v1":
        assert specs[0].observation == env.observation_space


def test_the_reward_threshold_depends_on_the_step_limit():
    def solved(env_id, **settings):
        return gymnasium_env.make(env_id, [0], Config(**settings)).spec.reward_threshold

    assert (solved("CartPole-v1"), solved("CartPole-v0")) == (475, 195)
    assert solved("CartPole-v1", max_steps=100) == 95
    assert solved("CartPole-v1", kwargs={"sutton_barto_reward": True}) is None
    assert (solved("Acrobot-v1"), solved("Acrobot-v1", max_steps=90)) == (-100, None)
    assert (solved("MountainCar-v0"), solved("MountainCar-v0", kwargs={"goal_velocity": 0.05})) == (-110, None)


def test_the_floor_is_what_random_play_returns():
    env = gymnasium_env.make("CartPole-v1", list(range(200)), Config())
    env.reset()
    rng, earned, episodes = np.random.Generator(np.random.PCG64(8)), 0.0, 0
    for _ in range(1_000):
        step = env.step(rng.integers(0, 2, 200))
        earned += step.reward.sum()
        episodes += step.terminated.sum()
    assert earned / episodes == pytest.approx(env.spec.random_score, abs=0.5)  # standard error 0.13


def test_only_unmodified_originals_are_replaced():
    class Heavy(CartPoleEnv):
        pass

    backward = CartPoleEnv()
    backward.kinematics_integrator = "semi-implicit euler"
    strong = AcrobotEnv()
    strong.AVAIL_TORQUE = [-2.0, 0.0, 2.0]
    weightless, upward, patched = CartPoleEnv(), MountainCarEnv(), CartPoleEnv()
    weightless.force_mag, upward.gravity = 0.0, -0.0025
    patched.step = lambda action: CartPoleEnv.step(patched, 1 - action)
    for env in (
        Heavy(),
        backward,
        weightless,
        upward,
        patched,
        strong,
        TransformReward(CartPoleEnv(), lambda reward: 2 * reward),
    ):
        assert compiled_equivalents.compiled_equivalent(env, 500) is None
    assert compiled_equivalents.compiled_equivalent(CartPoleEnv(), 500) is not None
    odd = gymnasium_env.make("CartPole-v1", [0], Config(kwargs={"sutton_barto_reward": 1}))
    assert isinstance(odd, GymnasiumEnv)


@pytest.mark.parametrize(
    ("actions", "words"),
    [
        ([0, 2], "seed number 1 was given action 2, expected 0 to 1"),
        ([-1, 0], "seed number 0 was given action -1"),
        ([0.0, 0.5], "seed number 1 was given action 0.5"),
        ([np.nan, 0.0], "seed number 0 was given action nan"),
        ([0], r"shape \(1,\), expected \(2,\)"),
    ],
)
def test_wrong_actions_are_refused_and_move_nothing(actions, words):
    env = gymnasium_env.make("CartPole-v1", [0, 1], Config())
    env.reset()
    env.step(np.array([0, 1]))
    before = env.state()
    with pytest.raises(ValueError, match=words) as refusal:
        env.step(np.array(actions))
    assert "\n" not in str(refusal.value)
    after = env.state()
    assert all(before[name].tobytes() == after[name].tobytes() for name in before)
    env.step(np.array([1.0, 0.0]))  # whole numbers of another type are fine


def test_a_step_holds_until_the_next_but_one():
    env = gymnasium_env.make("CartPole-v1", [0], Config())
    env.reset()
    one = env.step(np.array([0]))
    kept = one.obs.copy()
    env.step(np.array([0]))
    assert one.obs.tobytes() == kept.tobytes()


def test_scenes_are_strokes_within_the_unit_square():
    for env_id, n_lines in (("CartPole-v1", 5), ("MountainCar-v0", 42), ("Acrobot-v1", 3)):
        env = gymnasium_env.make(env_id, [0, 1], Config())
        env.reset()
        for _ in range(30):
            env.step(np.zeros(2, int))
            scene = env.scene(1)
            assert scene.lines.shape == (n_lines, 4)
            assert ((scene.lines >= 0) & (scene.lines <= 1)).all()
            assert len(scene.actions) == env.spec.action.n


def test_an_upright_pole_is_drawn_upright():
    """Worked by hand: the cart in the middle of a track of 4.8, the pole 1 long, its foot 0.15 above the track."""
    env = registry.load("envs", "cartpole").make([0], registry.load("envs", "cartpole").Config())
    env.reset()
    state = env.state()
    state["state"][0] = 0.0
    env.restore(state)
    np.testing.assert_allclose(env.scene(0).lines[-1], [0.5, 0.25 + 0.15 / 4.8, 0.5, 0.25 + 1.15 / 4.8])
