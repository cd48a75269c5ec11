"""Tests of guards around foreign players: checks of every call, copies of every array, and stored failures."""

from __future__ import annotations

import hashlib
import json
import tomllib

import gymnasium
import numpy as np
import pytest

from envs.common.gymnasium import adapter as gymnasium_env
from envs.common.gymnasium.adapter import Config
from simulator.config.codec import settings_hash, to_toml
from simulator.config.run import build
from simulator.core.foreign.casts import held
from simulator.core.foreign.faults import PlayerError
from simulator.core.foreign.guards import guarded_make
from simulator.core.memories import PatternSpec
from simulator.core.notices import forget_notices, send_notices_to
from simulator.core.protocols import EnvSpec
from simulator.store.run_store import Store
from simulator.training.evaluation import optimum
from simulator.training.session import Session
from tests.laws.players import same
from tests.unit.envs.common.gymnasium.test_single_env import Probe

ODD, AGENT = "tests.helpers.odd_envs:odd", "tests.helpers.odd_players"
HERE = "tests/helpers/odd_envs.py"


# values and the spaces that are to hold them


@pytest.mark.parametrize(
    ("value", "kind", "found"),
    [
        (2.0, np.int64, 2),
        ([0.0, 255.0], np.uint8, [0, 255]),
        (True, np.uint8, 1),
        (0.1, np.float32, np.float32(0.1)),  # rounded
        (2**24 + 1, np.float32, np.float32(2**24)),
        (np.nan, np.float32, np.nan),
        (np.inf, np.float32, np.inf),
        (1.0, np.bool_, True),
        (0.5, np.uint8, None),
        (300, np.uint8, None),
        (-1, np.uint8, None),
        (2.7, np.int64, None),
        (np.nan, np.int64, None),
        (np.inf, np.int64, None),
        (2.0**63, np.int64, None),
        (2**63, np.int64, None),
        (1e39, np.float32, None),
        (10**30, np.int64, None),
        ("3", np.float32, None),
        ("3", np.int64, None),
        (None, np.float32, None),
        (1 + 1j, np.float32, None),
        ([[1], [1, 2]], np.float32, None),
        (2, np.bool_, None),
    ],
)
def test_a_type_holds_a_value_exactly_or_not_at_all(value, kind, found):
    got = held(value, np.dtype(kind))
    if found is None:
        assert got is None
    else:
        np.testing.assert_array_equal(got, np.array(found, kind))
        assert got.dtype == kind


@pytest.fixture
def probe():
    def env(**trouble):
        gymnasium.register("test/Border-v0", lambda: Probe(**trouble))
        return gymnasium_env.make("test/Border-v0", [40, 41], Config())

    yield env
    del gymnasium.registry["test/Border-v0"]


BYTES = gymnasium.spaces.Box(0, 255, (2,), np.uint8)


@pytest.mark.parametrize(
    ("space", "shown"),
    [
        (BYTES, np.array([0.5, 0.25])),
        (BYTES, np.array([300, 0])),
        (BYTES, [3, "3"]),
        (gymnasium.spaces.Box(0, 9, (2,), np.int64), np.array([3, 10])),
        (gymnasium.spaces.Box(-1, 1, (2,), np.float32), np.array([1e39, 0.0])),
        (gymnasium.spaces.Discrete(5), 2.7),
        (gymnasium.spaces.Discrete(5), "2"),
        (gymnasium.spaces.Discrete(5, start=3), 2),
        (gymnasium.spaces.MultiDiscrete([2, 3]), np.array([1, 1.5])),
        (gymnasium.spaces.Tuple([gymnasium.spaces.Discrete(2)] * 2), (0, 0.5)),
    ],
)
def test_values_outside_a_space_are_refused_with_env_seed_step_and_value(probe, space, shown):
    env = probe(observation=space, see=lambda t, rng: shown if t == 4 else space.sample())
    env.reset()
    with pytest.raises(ValueError, match=r"^test/Border-v0: seed 40, in step 4: observed ") as refusal:
        stepped(env)
    assert " ".join(str(shown).split()) in str(refusal.value)


@pytest.mark.parametrize(
    ("space", "shown", "seen"),
    [
        (BYTES, np.array([3.0, 255.0]), [3, 255]),
        (gymnasium.spaces.Discrete(5), 2.0, 2),
        (gymnasium.spaces.Discrete(5), np.array([2]), 2),
        (gymnasium.spaces.MultiDiscrete([2, 3]), [1.0, 2.0], 5),
        (gymnasium.spaces.Box(-1, 1, (2,), np.float32), [0.1, 1], np.array([0.1, 1], np.float32)),
    ],
)
def test_values_inside_a_space_are_accepted(probe, space, shown, seen):
    env = probe(observation=space, see=lambda t, rng: shown)
    np.testing.assert_array_equal(env.reset(), np.array([seen, seen]))


@pytest.mark.parametrize("earned", ["3", None, [1.0, 2.0], 1j])
def test_a_reward_is_one_number(probe, earned):
    env = probe(earn=lambda t: earned if t == 3 else 0.0)
    env.reset()
    with pytest.raises(
        ValueError, match=r"^test/Border-v0: seed 40, in step 3: returned reward .* expected one number"
    ):
        stepped(env)


def stepped(env, n=9):
    for _ in range(n):
        env.step(np.zeros(2, int))


@pytest.fixture
def notices():
    said = []
    forget_notices()
    before = send_notices_to(said.append)
    yield said
    send_notices_to(before)


def test_floats_outside_of_their_box_are_accepted_and_reported_once(probe, notices):
    env = probe(observation=gymnasium.spaces.Box(-1, 1, (2,), np.float32), see=lambda t, rng: np.full(2, t))
    env.reset()
    stepped(env, 40)
    assert len(notices) == 1
    assert notices[0].startswith("test/Border-v0: it shows what is outside of its Box(-1.0, 1.0, (2,), float32)")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rooms", "FrozenLake-v1", "CartPole-v1"])
@pytest.mark.parametrize("action", [0.7, "1", None, np.nan])
def test_no_env_takes_a_fraction_or_a_text_for_an_action(name, action):
    env = build_env(name)
    env.reset()
    with pytest.raises(ValueError, match=r"seed number 1 was given action|actions have the shape"):
        env.step(np.array([0, action], object))


def build_env(name):
    tables = {"agent": {"name": "random_walk"}, "env": {"name": name}}
    return Session(build({"seeds": 2, "steps": 5, **tables})).env


@pytest.mark.parametrize(
    ("recalled", "says"),
    [
        (np.zeros((2, 3, 4)), "expected a simulator.core.memories.Recall"),
        ((np.zeros((2, 4)), np.zeros((2, 3, 1)), np.zeros((2, 3))), "patterns of type float64 and shape (2, 4)"),
        ((np.zeros((2, 3, 5)), np.zeros((2, 3, 1)), np.zeros((2, 3))), "expected numbers [2, 3, 4]"),
        ((np.zeros((2, 3, 4)), np.zeros((2, 3)), np.zeros((2, 3))), "energies at the cues"),
        ((np.zeros((2, 3, 4)), np.zeros((2, 3, 1)), np.zeros((2, 2))), "iterations of type float64 and shape (2, 2)"),
        ((np.full((2, 3, 4), "x"), np.zeros((2, 3, 1)), np.zeros((2, 3))), "patterns of type <U1"),
    ],
)
def test_a_memory_that_recalls_other_shapes_is_refused(recalled, says):
    class Own:
        store = state = restore = lambda self, *given: None

        def recall(self, cues, known=None, evidence=None):
            return recalled

        def energy(self, patterns):
            return np.zeros(3)

    memory = guarded_make("memories", "own", lambda spec, seeds, config: Own())(PatternSpec((4,)), [0, 1], None)
    with pytest.raises(PlayerError, match=r"memory own: \w+\.recall gave") as refused:
        memory.recall(np.zeros((2, 3, 4)))
    assert says in str(refused.value)
    with pytest.raises(PlayerError, match=r"memory own: \w+\.energy gave an array of shape \(3,\), expected \[2, Q\]"):
        memory.energy(np.zeros((2, 3, 4)))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("agents", "agent half: Half has no method learn, expected act, learn, policy, state and restore"),
        ("memories", "memory half: Half has no method store, expected store, recall, energy, state and restore"),
        ("envs", "env half: Half has no method reset, expected reset, step, observe, state and restore"),
    ],
)
def test_a_missing_method_is_named_with_the_class_before_anything_runs(kind, said):
    class Half:
        def act(self, obs):
            return obs

    with pytest.raises(PlayerError) as refused:
        guarded_make(kind, "half", lambda *given: Half())(None, [0], None)
    assert str(refused.value) == said


# memory that is nobody else's


def session(spoils=False, seeds=3):
    tables = {"agent": {"name": AGENT, "spoils": spoils}, "env": {"name": f"{ODD}/Sharing-v0"}}
    return Session(build({"seeds": seeds, "first_seed": 7, "steps": 900, **tables}))


@pytest.mark.parametrize("cut", [1, 49, 50, 70, 133])
def test_an_env_that_changes_what_it_was_given_and_gave_is_resumed_exactly(cut):
    whole, begun, resumed = session(), session(), session()
    whole.play(200)
    begun.play(cut)
    resumed.restore(begun.state())
    assert resumed.exact
    resumed.play(200 - cut)
    same(whole.state(), resumed.state())


def test_an_agent_that_overwrites_its_inputs_changes_nothing_else():
    plain, spoiling = session(), session(spoils=True)
    for one in (plain, spoiling):
        one.play(200)
    same(plain.state(), spoiling.state())
    resumed = session(spoils=True)
    resumed.restore(spoiling.state())
    for one in (resumed, spoiling):
        one.play(30)
    same(resumed.state(), spoiling.state())


# the methods of a player


def refused(tmp_path, engram, *words, code):
    words = ["run", *words, "--view", "none", "--seeds", "2", "--first-seed", "40", "--steps", "40"]
    captured = engram(*words, "--eval-episodes", "2", "--lab", str(tmp_path / "lab"), code=code)
    assert "Traceback" not in captured.err + captured.out
    return captured.err.splitlines()[-1]


def env_words(what, how="raise", env="Odd"):
    words = ["random_walk", f"{ODD}/{env}-v0"]
    words += ["--env.kwargs.what", what] if what else []
    return [*words, "--env.kwargs.how", how] if env != "NoSeed" else words


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (env_words("reset"), ["seed 40 failed in its first reset", "KeyError: 'broken on purpose'", HERE]),
        (env_words("reset", "exit"), ["seed 40 failed in its first reset", "SystemExit: 3", HERE]),
        (env_words("reset", "alone"), ["seed 40", "its reset gave [0. 0.], expected the pair (observation, info)"]),
        (env_words("", env="NoSeed"), ["seed 40", "reset() got an unexpected keyword argument 'seed'", "gym before"]),
        (env_words("make"), ["cannot be made", "KeyError", HERE]),
        (env_words("make", "exit"), ["cannot be made", "SystemExit: 3", HERE]),
        (env_words("spaces"), ["its spaces cannot be read", "KeyError", HERE]),
        ([AGENT, "CartPole-v1", "--agent.breaks", "make"], [f"agent {AGENT}: make: ZeroDivisionError: oh"]),
        (
            [AGENT, "CartPole-v1", "--agent.breaks", "make", "--agent.how", "exit"],
            [f"agent {AGENT}: make: SystemExit: oh"],
        ),
    ],
)
def test_an_error_before_the_first_step_is_bad_input_and_leaves_no_lab(words, said, tmp_path, engram):
    line = refused(tmp_path, engram, *words, code=2)
    assert all(part in line for part in said), line
    assert not (tmp_path / "lab").exists()


@pytest.mark.parametrize(
    ("words", "said", "error"),
    [
        (env_words("step"), ["seed 40 failed in step 1: KeyError: 'broken on purpose'", HERE], ("KeyError", 1)),
        (env_words("step", "exit"), ["seed 40 failed in step 1: SystemExit: 3"], ("SystemExit", 1)),
        (env_words("step", "four"), ["seed 40", "step 1", "gave 4 values", "API of gym before 0.26"], (None, 1)),
        (env_words("step", "four", "Limited"), ["seed 40", "step 1", "API of gym before 0.26"], ("ValueError", 1)),
        (
            [AGENT, "CartPole-v1", "--agent.breaks", "act", "--agent.at", "1"],
            [f"agent {AGENT}: Walker.act: ZeroDivisionError: oh", "odd_players.py", "in step 2"],
            ("ZeroDivisionError", 2),
        ),
        (
            [AGENT, "CartPole-v1", "--agent.breaks", "learn", "--agent.how", "exit"],
            [f"agent {AGENT}: Walker.learn: SystemExit: oh", "in step 1"],
            ("SystemExit", 1),
        ),
        (
            [AGENT, "CartPole-v1", "--agent.breaks", "policy.act"],
            ["evaluation after step 2", f"agent {AGENT}'s policy: Walker.act: ZeroDivisionError: oh"],
            ("ZeroDivisionError", 2),
        ),
    ],
)
def test_a_later_error_is_stored_as_failed_with_reason_class_and_place(words, said, error, tmp_path, engram):
    line = refused(tmp_path, engram, *words, code=1)
    assert all(part in line for part in said), line
    with Store(tmp_path / "lab") as store:
        record = store.find("r1")
    assert record.status == "failed"
    assert (record.error["kind"], record.error["step"]) == error
    assert all(part in record.error["reason"] for part in said)
    assert (record.error["file"] is None) == (error[0] is None or "Limited" in words[1])


@pytest.mark.parametrize(
    ("gives", "said"),
    [
        (
            {"probs": np.full((4, 3), 1 / 3)},
            r"'s policy: MisshapenAgent\.probs gave an array of shape \(4, 3\), expected \[S, B, A\]: 2 seeds",
        ),
        ({"probs": np.full((2, 4, 5), 0.2)}, r"probs gave an array of shape \(2, 4, 5\), expected .* 3 actions"),
        ({"values": np.zeros((3, 4, 3))}, r"values gave an array of shape \(3, 4, 3\)"),
        (
            {"learn": {"loss": np.zeros(1)}},
            r"learn gave 'loss' of shape \(1,\), expected one number for each of 2 seeds",
        ),
    ],
)
def test_outputs_of_a_foreign_agent_have_the_shapes_of_the_contract(gives, said):
    class MisshapenAgent:
        def policy(self):
            return self

        def __getattr__(self, name):
            return lambda *args: gives.get(name)

    agent = guarded_make("agents", "odd", lambda spec, seed_list, config: MisshapenAgent())(
        EnvSpec("toy", gymnasium.spaces.Discrete(4), gymnasium.spaces.Discrete(3)), [0, 1], None
    )
    (name,) = gives
    with pytest.raises(PlayerError, match=said):
        agent.learn(0, 0, 0) if name == "learn" else getattr(agent.policy(), name)(np.arange(4))
    other = {"probs": "values", "values": "probs", "learn": "probs"}[name]
    assert getattr(agent.policy(), other)(np.arange(4)) is None


def test_an_interrupt_from_inside_stays_an_interrupt(tmp_path, engram):
    assert "interrupted" in refused(tmp_path, engram, *env_words("step", "interrupt"), code=130)
    with Store(tmp_path / "lab") as store:
        assert (store.find("r1").status, store.find("r1").error) == ("interrupted", None)


@pytest.mark.parametrize("what", ["close", "render"])
def test_optional_calls_may_fail(what, tmp_path, engram):
    refused(tmp_path, engram, *env_words(what), code=0)


def test_a_failed_run_is_reported_everywhere_and_resume_names_the_step(tmp_path, engram):
    refused(tmp_path, engram, *env_words("step"), code=1)
    lab = ["--lab", str(tmp_path / "lab")]
    for words in (["list", "runs"], ["show", "r1"], ["report", "r1"]):
        assert "KeyError" in engram(*words, *lab).out
        found = engram(*words, "--json", *lab).json
        error = (found["runs"][0] if "runs" in found else found)["error"]
        assert (error["kind"], error["step"]) == ("KeyError", 1)
        assert error["file"].endswith(HERE)
    lines = engram("resume", "r1", "--view", "none", *lab, code=1).err
    assert "r1 failed at step 1: " in lines
    assert "continues after step 0" in lines


@pytest.mark.slow
def test_a_tournament_names_the_contestant(tmp_path, engram):
    words = ["tournament", "--agents", "random_walk", f"mine={AGENT}", "--agent.mine.breaks", "learn"]
    words += ["--envs", "FrozenLake-v1", "--seeds", "2", "--steps", "20", "--eval-episodes", "2", "--json"]
    result = engram(*words, "--view", "none", "--lab", str(tmp_path), code=1).json
    assert [(each["contestant"], each["seeds"]) for each in result["failures"]] == [("mine", [0, 1])]
    assert f"agent {AGENT}: Walker.learn: ZeroDivisionError: oh" in result["failures"][0]["reason"]


def test_an_error_in_an_evaluation_names_the_seed_of_the_run(probe):
    probe(see=lambda t, rng: np.zeros(2) if t < 3 else 1 / 0)
    tables = {"agent": {"name": "random_walk"}, "env": {"name": "test/Border-v0"}}
    one = Session(build({"seeds": 2, "first_seed": 40, "steps": 5, **tables}))
    with pytest.raises(ValueError, match=r"^test/Border-v0: evaluation after step 0: seed 40 failed in step 3: ZeroD"):
        one.evaluator().evaluate(one.agent, 0)


def test_masks_in_info_are_reported_once(tmp_path, engram, notices):
    words = ["run", *env_words("", "mask"), "--view", "none", "--seeds", "3", "--steps", "40", "--eval-episodes", "2"]
    output = engram(*words, "--lab", str(tmp_path))  # the first command of a process sends notices to stderr
    assert "\n".join([output.err, *notices]).count("action_mask") == 1


def taxi(**env):
    tables = {"agent": {"name": "random_walk"}, "env": {"name": "Taxi-v4", **env}}
    return Session(build({"seeds": 2, "steps": 500, **tables}))


@pytest.mark.parametrize("native", [True, False])
def test_taxis_masks_can_be_used_and_are_reported_where_they_are_not(native, notices):
    one = taxi(native=native)
    one.play(50)
    assert [line for line in notices if "action_mask" in line]
    notices.clear()
    forget_notices()
    masked = taxi(native=native, masks=True)
    masked.play(50)
    assert notices == []
    core = gymnasium.make("Taxi-v4").unwrapped
    legal = np.array([core.action_mask(state) for state in range(500)], bool)
    np.testing.assert_array_equal(masked.env.spec.legal_actions, legal)
    np.testing.assert_array_equal(masked.env.spec.mdp.legal, legal)
    assert optimum(masked.env.spec) == pytest.approx(optimum(one.env.spec))
    obs = masked.env.observe()
    for _ in range(100):
        actions = masked.agent.act(obs)
        assert legal[obs, actions].all()
        obs = masked.env.step(actions).obs.copy()


@pytest.mark.parametrize("env", ["CartPole-v1", "FrozenLake-v1", f"{ODD}/Odd-v0"])
def test_masks_that_there_are_not_are_refused(env):
    tables = {"agent": {"name": "random_walk"}, "env": {"name": env, "masks": True}}
    with pytest.raises(ValueError, match=r"masks = true: expected an environment with a method action_mask"):
        Session(build(tables))


def test_settings_that_came_later_leave_the_hash_of_older_runs_as_it_is():
    tables = {"agent": {"name": "random_walk"}, "env": {"name": "Taxi-v4"}}
    one = build(tables)
    table = {**tomllib.loads(to_toml(one)), "eval_every": 2_500}
    del table["threads"], table["eval_max_steps"], table["start"], table["changes"]
    del table["env"]["masks"], table["env"]["keys"], table["env"]["wrappers"]
    assert settings_hash(one) == hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()
    assert settings_hash(build({**tables, "eval_max_steps": 5})) != settings_hash(one)
    assert settings_hash(build({**tables, "start": "/lab/r1#00ff"})) != settings_hash(one)
    assert settings_hash(build({**tables, "env": {"name": "Taxi-v4", "masks": True}})) != settings_hash(one)
