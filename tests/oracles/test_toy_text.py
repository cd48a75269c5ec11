"""Tests of tabular toy-text environments: equal to Gymnasium's originals bit for bit."""

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.toy_text import FrozenLakeEnv
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TransformReward

from envs.common.gymnasium import adapter, toy_text
from envs.common.gymnasium.adapter import Config, GymnasiumEnv
from simulator.core import rng as streams
from simulator.core.mdp.solve import finite_horizon

SEEDS = [0, 1, 7, 123456]
CASES = [
    ("FrozenLake-v1", {}, 3000),
    ("FrozenLake-v1", {"is_slippery": False}, 1000),
    ("FrozenLake-v1", {"success_rate": 0.8, "map_name": "8x8"}, 1000),
    ("FrozenLake8x8-v1", {}, 2000),
    ("CliffWalking-v1", {}, 2000),
    ("CliffWalkingSlippery-v1", {}, 1500),
    ("Taxi-v4", {}, 2500),
    ("Taxi-v4", {"is_rainy": True}, 1000),
]


def _ids(case):
    return "-".join([case[0], *case[1]])


@pytest.mark.parametrize("case", CASES, ids=_ids)
def test_table_equals_original_slot_by_slot(case):
    env_id, kwargs, n_steps = case
    env = adapter.make(env_id, SEEDS, Config(kwargs=kwargs))
    assert type(env).__name__ == "TabularEnv"
    makers = [lambda: gymnasium.make(env_id, disable_env_checker=True, **kwargs)] * len(SEEDS)
    original = SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP)
    seen, _ = original.reset(seed=streams.derived_seeds(SEEDS, "env"))
    assert (env.reset() == seen).all()
    actions = np.random.default_rng(5).integers(env.spec.action.n, size=(n_steps, len(SEEDS)))
    n_ends = 0
    for action in actions:
        seen, reward, terminated, truncated, infos = original.step(action)
        step = env.step(action)
        ended = terminated | truncated
        n_ends += ended.sum()
        final = np.where(ended, infos.get("final_obs", seen), seen)
        assert (step.obs == seen).all()
        assert (step.reward == reward.astype(np.float32)).all()
        assert (step.terminated == terminated).all()
        assert (step.truncated == (truncated & ~terminated)).all()
        assert (step.final_obs == final).all()
    assert n_ends > 0 or "Cliff" in env_id  # random play hardly ever crosses the cliff: see the next test
    for stream, generator in zip(env.env_batch.stream, original.np_random, strict=True):
        assert (stream == streams.pack_state(generator.bit_generator)).all()


def test_cliff_original_over_many_ends():
    """A short way round the cliff, again and again, so that resets are compared too."""
    envs = [adapter.make("CliffWalking-v1", SEEDS, Config(native=native)) for native in (True, False)]
    assert (envs[0].reset() == envs[1].reset()).all()
    ends = 0
    for action in [0, *[1] * 11, 2] * 3:
        steps = [env.step(np.full(len(SEEDS), action)) for env in envs]
        assert all((a == b).all() for a, b in zip(*steps, strict=True))
        ends += steps[0].terminated.sum()
    assert ends == 3 * len(SEEDS)


@pytest.mark.parametrize("env_id", ["FrozenLake-v1", "Taxi-v4"])
def test_native_or_not_gives_the_same(env_id):
    envs = [adapter.make(env_id, SEEDS, Config(native=native)) for native in (True, False)]
    assert isinstance(envs[1], GymnasiumEnv)
    assert (envs[0].reset() == envs[1].reset()).all()
    for action in np.random.default_rng(2).integers(envs[0].spec.action.n, size=(800, len(SEEDS))):
        steps = [env.step(action) for env in envs]
        for one, other in zip(*steps, strict=True):
            assert one.dtype == other.dtype
            assert (one == other).all()
    specs = [env.spec for env in envs]
    assert specs[0].random_score == specs[1].random_score
    assert specs[0].reward_threshold == specs[1].reward_threshold
    assert (specs[0].mdp.prob == specs[1].mdp.prob).all()


@pytest.mark.parametrize("native", [True, False])
def test_an_end_at_the_time_limit_is_an_end(native):
    """Six steps lead to the goal of the dry lake; with six allowed, the last one terminates and is not cut."""
    config = Config(native=native, kwargs={"is_slippery": False}, max_steps=6)
    env = adapter.make("FrozenLake-v1", [3], config)
    env.reset()
    assert env.spec.max_steps == env.spec.mdp.max_steps == 6
    for action in (1, 1, 2, 1, 2, 2):
        step = env.step(np.array([action]))
    assert (step.terminated[0], step.truncated[0], step.reward[0]) == (True, False, 1)
    assert (step.final_obs[0], step.obs[0]) == (15, 0)
    for _ in range(6):
        step = env.step(np.array([3]))
    assert (step.terminated[0], step.truncated[0]) == (False, True)


def test_specs_have_exact_scores_and_thresholds():
    spec = adapter.make("FrozenLake-v1", [0], Config()).spec
    assert spec.random_score == pytest.approx(0.0139, abs=5e-5)
    assert spec.reward_threshold == 0.70  # registered, and within reach
    assert (spec.observation.n, spec.action.n, spec.max_steps, spec.legal_actions) == (16, 4, 100, None)
    assert (spec.state_obs == np.arange(16)).all()
    taxi = adapter.make("Taxi-v4", [0], Config()).spec
    assert taxi.random_score == pytest.approx(-771.09, abs=5e-3)
    assert taxi.reward_threshold == pytest.approx(7.93 * 0.99, abs=1e-3)  # 8 cannot be reached
    cliff = adapter.make("CliffWalking-v1", [0], Config()).spec
    assert cliff.max_steps is None
    assert cliff.reward_threshold == pytest.approx(-13.13)
    assert -15 < cliff.reward_threshold <= -13  # of all ways only the shortest counts: the next one takes 15 steps
    short = adapter.make("FrozenLake-v1", [0], Config(max_steps=10)).spec
    best = finite_horizon(short.mdp, 10).start_value
    assert short.random_score < short.reward_threshold <= best < 0.7


def test_only_unmodified_envs_are_replaced():
    fickle = adapter.make("Taxi-v4", [0], Config(kwargs={"fickle_passenger": True}))
    assert isinstance(fickle, GymnasiumEnv)
    assert fickle.spec.mdp is None
    assert fickle.spec.reward_threshold == 8

    class Lake(FrozenLakeEnv):
        pass

    assert not toy_text.fits(Lake())
    assert toy_text.fits(FrozenLakeEnv())
    assert not toy_text.fits(TransformReward(FrozenLakeEnv(), lambda reward: 2 * reward))
    assert not toy_text.fits(gymnasium.make("CartPole-v1"))
    assert toy_text.fits(gymnasium.make("Taxi-v4"))


def test_freezing_is_exact():
    env = adapter.make("Taxi-v4", SEEDS, Config())
    env.reset()
    actions = np.random.default_rng(0).integers(6, size=(500, len(SEEDS)))
    for action in actions[:300]:
        env.step(action)
    other = adapter.make("Taxi-v4", SEEDS, Config())
    assert other.restore(env.state())
    for action in actions[300:]:
        for one, two in zip(env.step(action), other.step(action), strict=True):
            assert (one == two).all()


def test_scenes():
    lake = adapter.make("FrozenLake-v1", [0], Config())
    lake.reset()
    scene = lake.scene(0)
    kinds = [mark.kind for mark in scene.marks]
    assert scene.walls.shape == (4, 4)
    assert (kinds.count("lava"), kinds.count("start"), kinds.count("goal"), kinds.count("walker")) == (4, 1, 1, 1)
    assert (scene.places[5] == [1, 1]).all()
    assert scene.actions == ("left", "down", "right", "up")
    assert scene.facts == {"step": "0", "ice": "slippery"}
    cliff = adapter.make("CliffWalking-v1", [0], Config())
    cliff.reset()
    cliff.step(np.array([0]))
    marks = cliff.scene(0).marks
    assert [mark[:2] for mark in marks if mark.kind == "lava"] == [(3, column) for column in range(1, 11)]
    assert marks[-1] == (2, 0, "walker", "")


def test_taxi_scene_shows_the_states_of_its_errand():
    taxi = adapter.make("Taxi-v4", [0], Config())
    state = int(taxi.reset()[0])
    row, column, passenger, destination = state // 100, state // 20 % 5, state // 4 % 5, state % 4
    scene = taxi.scene(0)
    assert scene.walls.shape == (5, 9)
    assert scene.walls[0].tolist() == [False, False, False, True, False, False, False, False, False]
    assert scene.marks[-1][:3] == (row, 2 * column, "walker")
    shown = np.flatnonzero(scene.places[:, 0] >= 0)
    assert len(shown) == 25
    assert {(int(s) // 4 % 5, int(s) % 4) for s in shown} == {(passenger, destination)}
    assert scene.facts["destination"] == "RGYB"[destination]
    assert not scene.walls[tuple(scene.places[shown].T)].any()


@pytest.mark.parametrize("limit", [100, 1000])
def test_the_score_of_random_play_has_the_limit_of_the_episodes(limit: int) -> None:
    table = gymnasium.make("CliffWalking-v1").unwrapped.P
    values = np.zeros(len(table))
    for _ in range(limit):
        backed_up = [
            [p * (reward + (0.0 if done else values[after])) for p, after, reward, done in moves]
            for actions in table.values()
            for moves in actions.values()
        ]
        values = np.array([sum(outcomes) for outcomes in backed_up]).reshape(len(table), -1).mean(1)
    spec = adapter.make("CliffWalking-v1", [0], Config(max_steps=limit)).spec
    assert spec.random_score == pytest.approx(values[36], rel=1e-9)  # -9,512.06 of 1,000 steps, -65,375 without a limit
