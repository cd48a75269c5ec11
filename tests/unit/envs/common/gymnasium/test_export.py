"""Tests of the rooms as Gymnasium environments: Gymnasium's checker, seeds, and one against many."""

from __future__ import annotations

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import envs
from envs.common.gymnasium.export import RoomsEnv
from envs.rooms import Config, make
from simulator.core import registry

IDS = ("engram/Rooms-v0", "engram/SixRooms-v0")
SETTINGS = [
    ("engram/SixRooms-v0", {}),
    ("engram/SixRooms-v0", {"goal": "terminal", "observation": "pixels"}),
    ("engram/Rooms-v0", {"slip": 0.3, "max_steps": 7}),
    ("engram/Rooms-v0", {"layout": "t-maze", "length": 1}),
    ("engram/Rooms-v0", {"layout": "key-door", "observation": "window", "max_steps": 5}),
    ("engram/Rooms-v0", {"layout": "corridor", "length": 2, "sensor_noise": 0.4}),
]


def test_both_ids_are_registered_and_nothing_heavy_is_loaded():
    assert envs.__doc__
    assert set(IDS) <= set(gymnasium.registry)
    heavy = {"numba", "torch", "scipy", "envs.common.gymnasium.export"}
    code = f"import sys, envs; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("name", "settings"), [*((name, {}) for name in IDS), *SETTINGS])
def test_gymnasiums_checker_passes(name, settings):
    check_env(gymnasium.make(name, **settings).unwrapped)


@pytest.mark.parametrize(("name", "settings"), SETTINGS)
def test_a_vector_is_one_environment_per_slot(name, settings):
    """Bit for bit what Gymnasium's own vector makes of single environments."""
    ours = gymnasium.make_vec(name, 3, **settings)
    theirs = SyncVectorEnv([lambda: gymnasium.make(name, **settings)] * 3, autoreset_mode=AutoresetMode.SAME_STEP)
    assert ours.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    ours.action_space.seed(1)
    equal(ours.reset(seed=[7, 1, 2**40]), theirs.reset(seed=[7, 1, 2**40]))
    ended = 0
    for _ in range(60):
        actions = ours.action_space.sample()
        mine, its = ours.step(actions), theirs.step(actions)
        equal(mine, its)
        ended += "final_obs" in mine[4]
    assert ended
    equal(ours.reset(), theirs.reset())
    equal(ours.reset(seed=5), theirs.reset(seed=5))
    equal(ours.reset(seed=[None, 8, None]), theirs.reset(seed=[None, 8, None]))


def equal(a, b):
    """Return True for equal values of equal types, nested tuples and dicts too."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            equal(a[key], b[key])
    elif isinstance(a, tuple):
        for each, other in zip(a, b, strict=True):
            equal(each, other)
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        for each, other in zip(a, b, strict=True):
            np.testing.assert_array_equal(each, other)
    else:
        assert a == b


def test_a_seed_plays_the_episodes_of_the_simulators_env():
    settings = {"layout": "four", "slip": 0.2, "max_steps": 5}
    single, env = gymnasium.make("engram/Rooms-v0", **settings), make([9], Config(**settings))
    assert single.reset(seed=9)[0] == env.reset()[0]
    for i in range(40):
        step = env.step(np.array([i % 4]))
        obs, reward, terminated, truncated, info = single.step(i % 4)
        assert (obs, reward) == (step.final_obs[0], step.reward[0])
        assert (terminated, truncated, info) == (step.terminated[0], step.truncated[0], {})
        if terminated or truncated:
            assert single.reset()[0] == step.obs[0]


def test_reset_without_a_seed_continues_the_stream():
    first, second = (gymnasium.make("engram/Rooms-v0") for _ in range(2))
    starts = [first.reset(seed=3)[0]] + [first.reset()[0] for _ in range(6)]
    assert starts == [second.reset(seed=3)[0]] + [second.reset()[0] for _ in range(6)]
    assert len(set(starts)) > 3
    assert first.reset(seed=3)[0] == starts[0]
    fresh = [gymnasium.make("engram/Rooms-v0").reset()[0] for _ in range(6)]
    assert len(set(fresh)) > 1


def test_the_mask_marks_the_doors_and_suits_sampling():
    single = gymnasium.make("engram/SixRooms-v0")
    obs, info = single.reset(seed=1)
    np.testing.assert_array_equal(info["action_mask"], make([1], Config()).spec.legal_actions[obs])
    single.action_space.seed(0)
    for _ in range(30):
        action = single.action_space.sample(mask=info["action_mask"])
        obs, reward, _, truncated, info = single.step(action)
        assert reward >= 0
        if truncated:
            assert obs == 5
            _, info = single.reset()


def test_text_frames_follow_the_walker_to_where_the_episode_ended():
    single = gymnasium.make("engram/Rooms-v0", layout="corridor", length=3, render_mode="ansi")
    single.reset(seed=0)
    frames = [single.render()]
    for _ in range(3):
        ended = single.step(1)[2]
        frames.append(single.render())
    assert ended
    assert [frame.splitlines()[1] for frame in frames] == ["#@  G#", "#S@ G#", "#S @G#", "#S  @#"]
    single.reset()
    assert single.render() == frames[0] == "######\n#@  G#\n######"


def test_pixel_frames_are_pictures():
    single = gymnasium.make("engram/SixRooms-v0", render_mode="rgb_array")
    single.reset(seed=0)
    frame = single.render()
    assert frame.dtype == np.uint8
    assert frame.shape == (256, 256, 3)
    vector = gymnasium.make_vec("engram/Rooms-v0", 2, render_mode="rgb_array")
    vector.reset(seed=0)
    frames = vector.render()
    assert len(frames) == 2
    assert frames[0].shape == (32 * 13, 32 * 13, 3)
    assert (frames[0] != frames[1]).any()


def test_episodes_can_be_cut_earlier_but_not_later():
    early = gymnasium.make_vec("engram/Rooms-v0", 1, layout="corridor", max_episode_steps=2)
    early.reset(seed=0)
    assert [bool(early.step(np.array([3]))[3][0]) for _ in range(4)] == [False, True, False, True]
    late = gymnasium.make_vec("engram/Rooms-v0", 1, layout="corridor", max_steps=3, max_episode_steps=50)
    late.reset(seed=0)
    assert [bool(late.step(np.array([3]))[3][0]) for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: gymnasium.make("engram/Rooms-v0", layuot="six"), "unknown setting 'layuot'; did you mean layout?"),
        (lambda: gymnasium.make("engram/Rooms-v0", slip=2.0), "slip = 2.0: expected `float` <= 1.0"),
        (lambda: gymnasium.make_vec("engram/Rooms-v0", 0), "num_envs = 0: expected at least 1"),
        (lambda: gymnasium.make_vec("engram/Rooms-v0", 2, render_mode="human"), "expected ansi or rgb_array"),
        (lambda: gymnasium.make_vec("engram/Rooms-v0", 2).reset(seed=[1]), "found 1 seeds, expected 2"),
        (lambda: gymnasium.make_vec("engram/Rooms-v0", 2).reset(options={"reset_mask": 1}), "expected none"),
        (lambda: _begun(gymnasium.make("engram/Rooms-v0")).step(4), "was given action 4, expected 0 to 3"),
    ],
)
def test_invalid_settings_are_refused(call, line):
    with pytest.raises(ValueError, match=r"rooms: ") as caught:
        call()
    assert line in str(caught.value)


def _begun(single):
    single.reset(seed=0)
    return single.unwrapped


def test_our_own_ids_keep_their_exact_answers():
    player = registry.load("envs", "engram/SixRooms-v0")
    foreign = player.make([0, 1], player.Config()).spec
    rooms = registry.load("envs", "rooms")
    own = rooms.make([0, 1], rooms.Config()).spec
    assert (foreign.max_steps, foreign.random_score, foreign.reward_threshold, foreign.gamma) == (
        100,
        own.random_score,
        own.reward_threshold,
        0.8,
    )
    np.testing.assert_array_equal(foreign.mdp.reward, own.mdp.reward)
    np.testing.assert_array_equal(foreign.legal_actions, own.legal_actions)


class _Dear(RoomsEnv):
    def step(self, action):
        obs, reward, *rest = super().step(action)
        return obs, reward - 1, *rest


def _wrapped():
    return gymnasium.wrappers.TransformReward(gymnasium.make("engram/SixRooms-v0"), lambda reward: reward - 1)


@pytest.mark.parametrize("entry", [_Dear, _wrapped])
def test_a_changed_reward_has_no_exact_answers(entry, monkeypatch):
    monkeypatch.setattr(gymnasium, "registry", dict(gymnasium.registry))
    monkeypatch.setattr("gymnasium.envs.registration.registry", gymnasium.registry)
    gymnasium.register("Dear-v0", entry, max_episode_steps=100)
    player = registry.load("envs", "Dear-v0")
    spec = player.make([0], player.Config()).spec
    assert (spec.mdp, spec.random_score, spec.reward_threshold) == (None, None, None)
