"""Tests of environments that return NaN: one line names environment, seed, step and value; stored results stay."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.config.run import build
from simulator.store.run_store import Store
from simulator.training import loop
from simulator.training.session import Session
from tests.laws.players import same

AGENT, ENV = "tests.helpers.breaking_agent", "tests.helpers.breaking_env"


def config(fails=None, **env):
    tables = {"agent": {"name": AGENT, "fails": fails or {}}, "env": {"name": ENV, **env}}
    return build({"seeds": 3, "first_seed": 40, "steps": 900, "eval_episodes": 5, **tables})


@pytest.mark.parametrize(
    ("what", "value", "said"),
    [
        ("reward", "nan", "seed 41 got reward nan in step 437, expected a finite number"),
        ("reward", "-inf", "seed 41 got reward -inf in step 437, expected a finite number"),
        ("seen", "nan", "seed 41 observed [nan nan] in step 437, expected finite numbers"),
        ("final", "inf", "seed 41 observed [inf inf] in step 437, expected finite numbers"),
    ],
)
@pytest.mark.parametrize("cut", [436, 437, 900, 13])
def test_a_non_finite_value_is_refused_in_its_step(what, value, said, cut):
    session = Session(config(what=what, value=value, at=437))

    def play():
        while session.step < 900:
            session.play(min(cut, 900 - session.step))

    with pytest.raises(ValueError, match=r"^tests\.helpers\.breaking_env: seed 41") as refusal:
        play()
    assert str(refusal.value) == f"{ENV}: {said}"


def test_a_nan_first_observation_is_bad_input_and_leaves_no_lab(tmp_path, engram):
    words = ["run", AGENT, ENV, "--env.what", "seen", "--view", "none", "--lab", str(tmp_path / "lab")]
    assert engram(*words, code=2).err.endswith("seed 1 observed [nan nan] in step 0, expected finite numbers\n")
    assert not (tmp_path / "lab").exists()


def test_a_later_nan_fails_the_run_in_one_line_and_keeps_stored_results(tmp_path, engram):
    words = ["run", AGENT, ENV, "--env.what", "reward", "--env.at", "300", "--view", "none", "--steps", "400"]
    line = engram(*words, "--lab", str(tmp_path), code=1).err.splitlines()[-1]
    assert line.startswith("engram: run r1 failed after step ")
    assert line.endswith(f": {ENV}: seed 1 got reward nan in step 300, expected a finite number")
    with Store(tmp_path) as store:
        assert (store.runs()[0].status, store.runs()[0].failed) == ("failed", [])


def test_checkpoints_before_it_are_left(tmp_path):
    with Store(tmp_path) as store:
        with pytest.raises(ValueError, match="step 300"):
            list(loop.run(config(what="reward", at=300), store, checkpoint_every=0.0))
        record = store.find("r1")
        assert (record.status, record.step) == ("failed", 270)  # the border of an evaluation
        assert {row.step for row in store.evaluations("r1")} == {45, 90, 135, 180, 225}
        assert store.newest("r1").progress.step == 270


def test_an_evaluation_refuses_a_non_finite_value_too():
    session = Session(config(what="reward", at=7))
    with pytest.raises(ValueError, match=r"^clock: evaluation after step 0: seed 41 got a reward that is not finite"):
        session.evaluator().evaluate(session.agent, 0)


def test_a_nan_in_a_failed_seed_does_not_stop_the_run():
    one, two = Session(config({"41": 300})), Session(config({"41": 300}, what="reward", at=301))
    for session in (one, two):
        session.play(900)
    same(one.state(), two.state())
    np.testing.assert_array_equal(two.failed_at, [0, 300, 0])
    spoilt = Session(config({"41": 300}, what="reward", at=300))
    with pytest.raises(
        ValueError, match="got reward nan in step 300"
    ):  # here the environment broke the seed, not the agent
        spoilt.play(900)


def test_an_error_of_a_player_does_not_hide_a_bad_reward():
    session = Session(config(what="reward", at=5))

    def refuse(obs, actions, step):
        if not np.isfinite(step.reward).all():
            raise RuntimeError("index out of range")
        return {}

    session.agent.learn = refuse
    with pytest.raises(ValueError, match="seed 41 got reward nan in step 5"):
        session.play(900)
