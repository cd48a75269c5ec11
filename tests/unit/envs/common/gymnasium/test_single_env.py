"""Tests of Gymnasium ids as environments: against single environments, saved states, spaces and errors."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from envs.common.gymnasium import adapter as gymnasium_env
from envs.common.gymnasium.adapter import Config
from simulator.core import rng as streams
from tests.helpers.probe_env import Probe

SEEDS = [3, 0, 99]
FREEZABLE = ["FrozenLake-v1", "CartPole-v1", "Acrobot-v1", "MountainCarContinuous-v0", "Blackjack-v1", "test/Probe-v0"]


def _unseeded(t, rng):
    return np.random.default_rng().random(2)  # draws beside its generator: cannot be played again


class Foreign(Probe):
    """An environment with a generator of another kind."""

    def reset(self, *, seed=None, options=None):
        if seed is not None:
            self.np_random = np.random.Generator(np.random.MT19937(seed))
        self.t = 0
        return self.np_random.random(2), {}


@pytest.fixture(autouse=True)
def _registered():
    gymnasium.register("test/Probe-v0", Probe, max_episode_steps=10, reward_threshold=4.0)
    gymnasium.register("test/Unseeded-v0", lambda: Probe(see=_unseeded))
    gymnasium.register("test/Foreign-v0", lambda: Foreign(see=lambda t, rng: rng.random(2)))
    yield
    for name in [name for name in gymnasium.registry if name.startswith("test/")]:
        del gymnasium.registry[name]


def _actions(spec, n_steps):
    rng, n_seeds = np.random.default_rng(1), len(SEEDS)
    if isinstance(spec.action, spaces.Discrete):
        return rng.integers(spec.action.n, size=(n_steps, n_seeds))
    return rng.uniform(spec.action.low, spec.action.high, (n_steps, n_seeds, *spec.action.shape)).astype(np.float32)


def _same(one, other):
    return all(a.dtype == b.dtype and a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Acrobot-v1", "MountainCarContinuous-v0", "Pendulum-v1"])
def test_every_slot_is_the_single_environment(env_id):
    env = gymnasium_env.make(env_id, SEEDS, Config(max_steps=40, native=False))
    singles = [gymnasium.make(env_id, max_episode_steps=40) for _ in SEEDS]
    numbers = streams.derived_seeds(SEEDS, "env")
    first = [single.reset(seed=n)[0] for single, n in zip(singles, numbers, strict=True)]
    assert env.reset().tobytes() == np.stack(first).tobytes()
    for action in _actions(env.spec, 130):
        step = env.step(action)
        assert step.obs.flags.c_contiguous
        assert step.reward.dtype == np.float32
        for i, single in enumerate(singles):
            final, reward, terminated, truncated, _ = single.step(action[i])
            seen = single.reset()[0] if terminated or truncated else final
            assert (step.obs[i] == seen).all()
            assert (step.final_obs[i] == final).all()
            assert step.reward[i] == np.float32(reward)
            assert (step.terminated[i], step.truncated[i]) == (terminated, truncated and not terminated)
        assert (env.observe() == step.obs).all()


@pytest.mark.parametrize(
    "env_id",
    ["FrozenLake-v1", "CartPole-v1", "Acrobot-v1", "MountainCarContinuous-v0", "Blackjack-v1", "test/Probe-v0"],
)
@pytest.mark.parametrize("at", [0, 7, 90])
def test_freezing_is_exact(env_id, at):
    config = Config(native=False)
    env, other = (gymnasium_env.make(env_id, SEEDS, config) for _ in range(2))
    env.reset()
    actions = _actions(env.spec, at + 90)
    for action in actions[:at]:
        env.step(action)
    assert other.restore(env.state())
    assert other.observe().tobytes() == env.observe().tobytes()
    for action in actions[at:]:
        assert _same(env.step(action), other.step(action))
    again = gymnasium_env.make(env_id, SEEDS, config)
    assert again.restore(other.state())  # what was played again can be played again


@pytest.mark.parametrize(("env_id", "at"), [("test/Unseeded-v0", 5), ("test/Foreign-v0", 20)])
def test_an_env_that_cannot_replay_begins_a_new_episode(env_id, at):
    env, other = (gymnasium_env.make(env_id, SEEDS, Config()) for _ in range(2))
    env.reset()
    for action in _actions(env.spec, at):
        env.step(action)
    assert not other.restore(env.state())
    assert [slot.unwrapped.t for slot in other.slots] == [0] * len(SEEDS)
    other.step(np.zeros(len(SEEDS), int))


def test_the_first_episode_of_a_foreign_generator_is_exact():
    env, other = (gymnasium_env.make("test/Foreign-v0", SEEDS, Config()) for _ in range(2))
    env.reset()
    for action in _actions(env.spec, 9):
        env.step(action)
    assert other.restore(env.state())


def test_an_altered_state_is_noticed_where_it_was_altered():
    env, other = (gymnasium_env.make("CartPole-v1", SEEDS, Config(native=False)) for _ in range(2))
    env.reset()
    for action in _actions(env.spec, 6):
        env.step(action)
    state = env.state()
    state["slots"][1]["actions"][2] ^= 1
    assert not other.restore(state)
    assert [len(slot.actions) for slot in other.slots] == [len(env.slots[0].actions), 0, len(env.slots[2].actions)]
    assert (other.observe()[[0, 2]] == env.observe()[[0, 2]]).all()


def test_seeds_alone_and_together():
    config = Config(native=False)
    together = gymnasium_env.make("CartPole-v1", SEEDS, config)
    alone = [gymnasium_env.make("CartPole-v1", [seed], config) for seed in SEEDS]
    first = together.reset()
    assert all((first[i] == env.reset()[0]).all() for i, env in enumerate(alone))
    for action in _actions(together.spec, 60):
        step = together.step(action)
        for i, env in enumerate(alone):
            assert _same([part[i : i + 1] for part in step], env.step(action[i : i + 1]))


def test_blackjack_is_seen_as_an_index():
    env = gymnasium_env.make("Blackjack-v1", SEEDS, Config(native=False))
    assert env.spec.observation == spaces.Discrete(32 * 11 * 2)
    obs = env.reset()
    for i, slot in enumerate(env.slots):
        player, dealer, ace = slot.unwrapped._get_obs()
        assert obs[i] == (player * 11 + dealer) * 2 + int(ace)


def test_finite_spaces_begin_at_0():
    offset = {"observation": spaces.Discrete(5, start=-2), "action": spaces.Discrete(3, start=4)}
    gymnasium.register("test/Offset-v0", lambda: Probe(see=lambda t, rng: t % 5 - 2, **offset))
    env = gymnasium_env.make("test/Offset-v0", [0], Config())
    assert (env.spec.observation, env.spec.action) == (spaces.Discrete(5), spaces.Discrete(3))
    assert env.reset().tolist() == [0]
    assert env.step(np.array([2])).obs.tolist() == [1]
    assert env.slots[0].unwrapped.got == [6]
    pairs = spaces.MultiDiscrete([3, 4], start=[0, 1])
    gymnasium.register("test/Pairs-v0", lambda: Probe(observation=pairs, see=lambda t, rng: np.array([t % 3, 4])))
    env = gymnasium_env.make("test/Pairs-v0", [0], Config())
    assert env.spec.observation == spaces.Discrete(12)
    env.reset()
    assert env.step(np.array([0])).obs.tolist() == [7]


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        ({"observation": spaces.Dict(a=spaces.Discrete(2))}, "the observation space is Dict"),
        ({"observation": spaces.MultiDiscrete([999] * 9)}, "expected at most 10000000"),
        ({"observation": spaces.Text(3)}, "expected Discrete, MultiDiscrete"),
        ({"action": spaces.MultiBinary(2)}, "expected Discrete or Box"),
    ],
)
def test_other_spaces_are_refused(space, expected):
    gymnasium.register("test/Odd-v0", lambda: Probe(**space))
    with pytest.raises(ValueError, match=expected) as refusal:
        gymnasium_env.make("test/Odd-v0", [0], Config())
    assert "\n" not in str(refusal.value)


def test_specs():
    spec = gymnasium_env.make("Pendulum-v1", [0], Config()).spec
    assert (spec.id, spec.max_steps, spec.reward_threshold, spec.random_score, spec.mdp) == (
        "Pendulum-v1",
        200,
        None,
        None,
        None,
    )
    probe = gymnasium_env.make("test/Probe-v0", [0], Config()).spec
    assert (probe.max_steps, probe.reward_threshold) == (10, 4)
    assert gymnasium_env.make("test/Probe-v0", [0], Config(max_steps=3)).spec.max_steps == 3


def test_scene_draws_without_a_display(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    env = gymnasium_env.make("MountainCar-v0", [0, 1], Config(native=False))
    env.reset()
    env.step(np.array([1, 1]))
    scene = env.scene(1)
    assert scene.image.shape == (400, 600, 3)
    assert scene.facts == {"step": "1"}
    probe = gymnasium_env.make("test/Probe-v0", [0], Config())
    probe.reset()
    assert probe.scene(0).image is None


def test_views_may_share_memory():
    """An environment that writes every view into the same array, as some do to save time."""
    memory = np.zeros(2)

    def see(t, rng):
        memory[:] = t
        return memory

    gymnasium.register("test/Same-v0", lambda: Probe(see=see))
    env = gymnasium_env.make("test/Same-v0", [0], Config())
    env.reset()
    kept = [env.step(np.array([0])) for _ in range(11)][-1]
    last = env.step(np.array([0]))
    assert kept.obs[0].tolist() == [11, 11]
    assert last.terminated[0]
    assert (last.final_obs[0].tolist(), last.obs[0].tolist()) == ([12, 12], [0, 0])


def test_infinities_of_both_signs_are_seen():
    """Only nan is refused; the sum of these is nan."""
    gymnasium.register("test/Wide-v0", lambda: Probe(see=lambda t, rng: np.array([np.inf, -np.inf])))
    env = gymnasium_env.make("test/Wide-v0", [0], Config())
    env.reset()
    assert env.step(np.array([0])).obs.tolist() == [[np.inf, -np.inf]]
