"""Tests of changes of a run while its agents learn: cells, settings, and the memory of a recurrent agent."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from simulator.config.changes import parse
from simulator.config.run import RunConfig, build
from simulator.core.mdp.solve import evaluate_finite
from simulator.core.protocols import CellEdit
from simulator.core.snapshots import LiveChanges, Stride, regret_of
from simulator.store.run_store import Store
from simulator.training.evaluation import optimum
from simulator.training.extension import extend
from simulator.training.fork import fork
from simulator.training.loop import run
from simulator.training.session import Session
from simulator.training.summary import curve, summary
from tests.system.storing import same

ROOMS = {"name": "rooms", "layout": "four", "editable": True}
SMALL = {"learning_starts": 40, "network": {"hidden": [8]}, "batch_size": 4, "buffer_size": 200}
LSTM = {"recurrence": {"name": "lstm", "units": 4}, "sequence": {"length": 8, "overlap": 4, "burn_in": 2}}
CELLS = {150: "wall 3 6", 200: "goal 2 2", 250: "reward 5 5 -0.5", 300: "ice 8 8", 310: "lava 8 9"}
CASES = {
    "q_learning": (
        {"name": "q_learning", "init_value": 0.5},
        ROOMS,
        {**CELLS, 350: "epsilon 0.5", 400: "step_size 0.1", 450: "gamma 0.9"},
    ),
    "dyna": (
        {"name": "q_learning", "model": {"name": "table"}},
        ROOMS,
        {**CELLS, 350: "planning_steps 1", 400: "epsilon 0.5"},
    ),
    "td": ({"name": "td"}, ROOMS, {**CELLS, 350: "epsilon 0.5", 400: "step_size 0.1", 450: "gamma 0.9"}),
    "dqn": (
        {"name": "dqn", **SMALL},
        {**ROOMS, "observation": "position"},
        {**CELLS, 350: "epsilon 0.5", 400: "learning_rate 0.01", 450: "gamma 0.9"},
    ),
    "dqn in windows": ({"name": "dqn", **SMALL}, {**ROOMS, "observation": "window", "window": 3}, CELLS),
    "recurrent dqn": ({"name": "dqn", **SMALL, **LSTM}, {**ROOMS, "observation": "walls"}, {**CELLS, 330: "cut"}),
    "recurrent reinforce": (
        {"name": "reinforce", "recurrence": {"name": "gru", "units": 4}, "episodes_per_update": 1},
        {**ROOMS, "observation": "walls", "max_steps": 40},
        {**CELLS, 330: "cut", 350: "ent_coef 0.1", 400: "learning_rate 0.01", 450: "gamma 0.9"},
    ),
    "window encoder": (
        {"name": "dqn", **SMALL, "encoder": {"name": "window", "k": 2}},
        {**ROOMS, "observation": "position"},
        {**CELLS, 330: "cut", 350: "epsilon 0.5"},
    ),
    "curious": (
        {"name": "q_learning", "intrinsic": {"name": "counts"}},
        ROOMS,
        {**CELLS, 350: "epsilon 0.5", 450: "gamma 0.9"},
    ),
}


def config_of(case: str, *, scheduled: bool) -> RunConfig:
    agent, env, changes = CASES[case]
    texts = [f"{step} {what}" for step, what in changes.items()] if scheduled else []
    own = {"seeds": 2, "steps": 600, "eval_every": 200, "eval_episodes": 2, "threads": 1}
    return build({**own, "agent": agent, "env": env, "changes": texts})


def played(store: Store, config: RunConfig, name: str | None = None, **options: object) -> str:
    for snapshot in run(config, store, name, **options):
        name = snapshot.id
    assert name is not None
    return name


def changed_live(store: Store, config: RunConfig, asked: dict[int, str], **options: object) -> str:
    """Play a run and make each change at its step."""
    live, stride, name = LiveChanges(), Stride(), ""
    left = dict(asked)
    for snapshot in run(config, store, live=live, stride=stride, **options):
        name = snapshot.id
        if snapshot.phase == "training" and snapshot.step in left:
            live.make(left.pop(snapshot.step))
        stride.steps = min(left, default=config.steps) - snapshot.step  # a slow step may end sooner
    assert not left
    return name


def assert_same(store: Store, one: str, other: str) -> None:
    """Compare settings, curves, evaluations and final states of two runs, bit for bit."""
    assert store.find(one).settings_hash == store.find(other).settings_hash
    assert same(curve(store, one)._asdict(), curve(store, other)._asdict())
    rows = [
        [(row.step, row.seed, row.mean, row.exact, row.returns.tolist()) for row in store.evaluations(name)]
        for name in (one, other)
    ]
    assert rows[0] == rows[1]
    states = [store.newest(name).state for name in (one, other)]
    assert same(states[0]["agent"], states[1]["agent"])
    assert same(states[0]["env"], states[1]["env"])


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "lab") as opened:
        yield opened


@pytest.mark.parametrize("case", CASES)
def test_live_scheduled_and_resumed_changes_give_the_same_bits(store, case):
    config = config_of(case, scheduled=True)
    scheduled = played(store, config)
    live = changed_live(store, config_of(case, scheduled=False), CASES[case][2])
    assert_same(store, scheduled, live)
    resumed = played(store, config, stop_at=340)  # after most of the changes
    assert len(store.newest(resumed).state["agent"]) > 0
    played(store, config, resumed)
    assert_same(store, scheduled, resumed)
    assert summary(store, live)["changes"] == list(config.changes)


@pytest.mark.parametrize("case", CASES)
def test_every_change_matters(store, case):
    """A run that lacks any one of the changes ends otherwise, so the test above cannot pass by doing nothing."""
    config = config_of(case, scheduled=True)
    whole = Session(config)
    whole.play(600)
    without = Session(dataclasses.replace(config, changes=()))
    without.play(600)
    assert not same(whole.agent.state(), without.agent.state())
    settings = [text for text in config.changes if text.split()[1] in ("epsilon", "gamma", "step_size")]
    for text in settings:
        other = Session(dataclasses.replace(config, changes=tuple(t for t in config.changes if t != text)))
        other.play(600)
        assert not same(whole.agent.state(), other.agent.state()), text


@pytest.mark.parametrize("case", ["recurrent dqn", "recurrent reinforce", "window encoder"])
def test_a_cut_sets_what_is_carried_to_zero_and_leaves_weights_and_episodes(case):
    """An LSTM and a GRU have a state of zeros after it; a window begins with the next observation."""
    sessions = [Session(config_of(case, scheduled=False)) for _ in range(2)]
    for session in sessions:
        session.play(60)
        assert session.agent.has_memory
    cut, other = sessions
    before = cut.state()
    cut.change(parse("60 cut"))
    after = cut.state()
    assert same(before["env"], after["env"])
    if case == "window encoder":
        for session in sessions:
            session.agent.act(session.env.observe())
        carried = [session.agent.state()["carry"]["0"].reshape(2, 2, -1) for session in sessions]  # [S, k, F]
        assert not (carried[1][:, 0] == 0).all()
        assert (carried[0] == 0).reshape(2, -1).sum() > (carried[1] == 0).reshape(2, -1).sum()
        return
    name = "state" if "reinforce" in case else "carry_state"
    assert (before["agent"][name] != 0).any(axis=1).all()
    assert (after["agent"][name] == 0).all()
    differing = [key for key in before["agent"] if not same(before["agent"][key], after["agent"][key])]
    assert set(differing) <= {name, name.replace("state", "before")}
    for session in sessions:
        session.agent.act(session.env.observe())
    assert (cut.agent.state()[name] != other.agent.state()[name]).any(axis=1).all()


def test_rollouts_with_changes_have_the_bits_of_single_steps():
    config = config_of("q_learning", scheduled=True)
    states = []
    for rollouts in (True, False):
        session = Session(config, rollouts=rollouts)
        session.play(600)
        states.append(session.state())
    assert same(states[0], states[1])


def test_unchanged_cells_keep_their_values_when_another_becomes_a_wall():
    session = Session(config_of("q_learning", scheduled=False))
    session.play(500)
    before = session.agent.state()["q"]
    session.change(parse("500 wall 3 3"))
    assert same(session.agent.state()["q"], before)
    obs = session.env.observe()
    session.play(1)
    changed = (session.agent.state()["q"] != before).any(axis=(1, 3))  # [S, states]
    assert [np.flatnonzero(row).tolist() in ([], [at]) for row, at in zip(changed, obs, strict=True)] == [True, True]


def test_snapshot_after_a_change_has_the_new_optimum_the_regret_and_the_settings(store):
    live, stride = LiveChanges(), Stride()
    stride.steps = 100
    with pytest.raises(ValueError, match="has not begun"):
        live.make("wall 3 6")
    own = {"seeds": 2, "steps": 2_000, "eval_every": 2_000, "eval_episodes": 2}
    config = build({**own, "agent": {"name": "q_learning"}, "env": {**ROOMS, "start": "fixed"}})
    snapshots = run(config, store, live=live, stride=stride)
    for snapshot in snapshots:
        if snapshot.step == 500:
            break
    assert snapshot.optima == ((0, 1.0),)
    assert snapshot.editable
    assert not snapshot.has_memory
    regret = regret_of(snapshot.picture, snapshot.optimum)
    assert regret == pytest.approx(snapshot.optimum - snapshot.picture.greedy_return)
    after = live.make("reward 9 9 5")
    assert after.optimum == 5.0
    assert after.optima == ((0, 1.0), (500, 5.0))
    assert regret_of(after.picture, after.optimum) >= regret
    assert any(mark.kind == "reward" and mark.label == "+5" for mark in after.picture.scene.marks)
    assert live.make("epsilon 0.25").changeable["epsilon"] == 0.25
    assert live.make("wall 1 2").changes == ("500 reward 9 9 5", "500 epsilon 0.25", "500 wall 1 2")
    for what, line in {
        "cut": "carries nothing",
        "wall 77 1": "expected a row from 0 to 12",
        "wibble 3": "cannot change 'wibble'",
        "walls 3 4": "expected a step and a change",
        "wall 1 1": "found no 'S'",
    }.items():
        with pytest.raises(ValueError, match=line):
            live.make(what)
    assert next(snapshots).changes == (*after.changes, "500 epsilon 0.25", "500 wall 1 2")
    *_, last = snapshots
    assert last.evaluations[-1].exact.max() <= 5.0
    with pytest.raises(ValueError, match="is over"):
        live.make("wall 3 6")
    assert summary(store, last.id)["optima"] == [{"step": 0, "optimum": 1.0}] + [
        {"step": 500, "optimum": 5.0} for _ in range(2)
    ]


def test_a_change_where_an_evaluation_is_due_comes_after_it(store):
    config = config_of("q_learning", scheduled=False)
    live = changed_live(store, config, {200: "reward 9 9 7", 400: "epsilon 0.9"})
    scheduled = played(store, dataclasses.replace(config, changes=("200 reward 9 9 7", "400 epsilon 0.9")))
    assert_same(store, live, scheduled)
    exact = {row.step: row.exact for row in store.evaluations(live) if row.seed == 0}
    assert exact[200] <= 1.0


def test_a_run_that_is_closed_while_an_evaluation_is_due_keeps_the_change(store):
    config = config_of("dqn", scheduled=False)
    live, stride = LiveChanges(), Stride()
    snapshots = run(config, store, live=live, stride=stride)
    for snapshot in snapshots:
        stride.steps = 200 - snapshot.step
        if snapshot.step == 200:
            assert live.make("reward 9 9 7").optimum < 1.1  # as it was: the evaluation comes first
            break
    snapshots.close()
    stored = dataclasses.replace(config, changes=("200 reward 9 9 7",))
    played(store, stored, snapshot.id)
    assert_same(store, snapshot.id, played(store, stored))


def test_evaluations_play_in_the_changed_rooms():
    config = build(
        {
            **{"agent": {"name": "q_learning"}, "env": {**ROOMS, "start": "fixed"}, "steps": 3_000, "seeds": 2},
            "changes": ["0 reward 9 9 3"],
            "eval_episodes": 4,
        }
    )
    session = Session(config)
    session.play(3_000)
    evaluation = session.evaluator().evaluate(session.agent, 3_000)
    assert set(evaluation.returns.ravel()) <= {0.0, 3.0}
    spec = session.env.spec
    np.testing.assert_array_equal(
        evaluation.exact, evaluate_finite(spec.mdp, session.agent.policy().probs(spec.state_obs), spec.max_steps)
    )
    fresh = Session(dataclasses.replace(config, changes=()))
    fresh.env.edit(CellEdit(9, 9, "reward", 3.0))
    assert optimum(session.env.spec) == optimum(fresh.env.spec) == 3.0


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (["600 wall 3 3"], "change '600 wall 3 3': the run is over after 600 steps, expected an earlier step"),
        (["10 wall 0 99"], "change '10 wall 0 99': cell 0 99: expected a row from 0 to 12 and a column from 0 to 12"),
        (
            ["10 wibble 1"],
            "change '10 wibble 1': q_learning cannot change 'wibble' while it learns, expected step_size",
        ),
        (["10 epsilon 2"], "change '10 epsilon 2': q_learning: epsilon 2: expected a number from 0 to 1"),
        (["10 cut"], "change '10 cut': this agent carries nothing from step to step"),
        (["10 goal 3"], "change '10 goal 3': expected a step and a change, such as"),
        (["wall 3 3"], "change 'wall 3 3': expected a step and a change, such as"),
        (["10 free 9 9"], "change '10 free 9 9': cell 9 9: cannot become free: layout four: found no floor from which"),
    ],
)
def test_changes_that_cannot_be_made_are_refused_before_the_run(tmp_path, engram, changes, line):
    words = ("run", "q_learning", "rooms", "--env.layout", "four", "--env.editable", "true", "--steps", "600")
    said = engram(*words, "--view", "none", "--lab", str(tmp_path / "lab"), "--changes", *changes, code=2)
    assert said.err.startswith(f"engram: {line}")
    assert said.err.count("\n") == 1
    with Store(tmp_path / "lab") as store:
        assert store.runs() == []


@pytest.mark.parametrize(
    ("agent", "env", "line"),
    [
        ("q_learning", {"name": "rooms", "layout": "four"}, "expected rooms with env.editable = true"),
        ("q_learning", {"name": "FrozenLake-v1"}, "the cells of FrozenLake-v1 stay as they are"),
        ("planner", ROOMS, "is built on the transitions of the environment as it began"),
    ],
)
def test_cells_change_in_editable_rooms_under_agents_that_learn(agent, env, line):
    with pytest.raises(ValueError, match=line):
        Session(build({"agent": {"name": agent}, "env": env, "steps": 100, "changes": ["5 wall 3 3"]}))


def test_a_run_with_changes_is_reproduced_and_one_without_keeps_its_hash(tmp_path, engram):
    lab = ("--lab", str(tmp_path / "lab"))
    words = ("run", "q_learning", "rooms", "--env.layout", "four", "--env.editable", "true", "--steps", "600")
    engram(*words, *lab, "--view", "none", "--changes", "100 wall 3 6", "50 epsilon 0.5")
    assert engram("reproduce", "r1", *lab, "--json").json["identical"]
    assert engram("show", "r1", *lab, "--json").json["changes"] == ["50 epsilon 0.5", "100 wall 3 6"]


def test_a_run_that_was_extended_and_then_changed_is_reproduced(tmp_path, engram):
    lab = ("--lab", str(tmp_path / "lab"))
    with Store(tmp_path / "lab") as store:
        config = config_of("q_learning", scheduled=True)
        name = played(store, config)
        extend(store, name, 1_000)
        longer = dataclasses.replace(config, steps=1_000)
        live, stride = LiveChanges(), Stride()
        stride.steps = 100
        for snapshot in run(longer, store, name, live=live, stride=stride):
            if snapshot.step == 700 and snapshot.phase == "training":
                live.make("wall 5 6")
    assert engram("reproduce", name, *lab, "--json").json["identical"]


def test_a_run_is_not_shortened_to_before_a_change(store):
    name = played(store, config_of("q_learning", scheduled=True), stop_at=100)
    with pytest.raises(ValueError, match=r"change '450 gamma 0.9': the run is over after 300 steps"):
        extend(store, name, 300)


@pytest.mark.parametrize("case", ["q_learning", "recurrent dqn"])
@pytest.mark.parametrize("at", [340, 120])
def test_a_fork_is_the_run_with_the_changes_until_its_step_and_its_own(store, case, at):
    config = config_of(case, scheduled=True)
    source = played(store, config, stop_at=320)
    forked = fork(store, source, at, ["400 goal 3 3"])
    assert store.find(forked).step == (320 if at == 340 else 0)
    kept = tuple(text for text in config.changes if int(text.split()[0]) <= at)
    planned = dataclasses.replace(config, changes=(*kept, "400 goal 3 3"))
    played(store, planned, forked)
    assert_same(store, forked, played(store, planned))
    played(store, config, source)  # which is as it was
    assert store.find(source).status == "done"


def test_forks_that_cannot_be_are_refused(store):
    source = played(store, config_of("q_learning", scheduled=True))
    for at, changes, line in (
        (None, [], "is over after 600 steps, expected fewer"),
        (300, ["200 goal 3 3"], "is forked at step 300, expected no earlier step"),
        (300, ["800 goal 3 3"], "the run is over after 600 steps"),
    ):
        with pytest.raises(ValueError, match=line):
            fork(store, source, at, changes)
    assert [record.run for record in store.runs()] == [source]
