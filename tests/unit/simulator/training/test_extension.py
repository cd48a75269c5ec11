"""Tests of runs that go on to another number of steps."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from simulator.config.run import RunConfig, build
from simulator.store.run_store import Store
from simulator.training.curves import MAX_POINTS, Recorder
from simulator.training.extension import extend
from simulator.training.loop import run
from simulator.training.summary import curve, summary
from tests.system.storing import same

DQN = {"name": "dqn", "learning_starts": 50, "network": {"hidden": [8]}, "batch_size": 8}
AGENTS = {"q_learning": ({"name": "q_learning"}, "rooms"), "dqn": (DQN, "CartPole-v1")}


def config_of(agent: str, steps: int) -> RunConfig:
    settings, env = AGENTS[agent]
    return build({"agent": settings, "env": {"name": env}, "seeds": 2, "steps": steps, "eval_episodes": 2})


def played(store: Store, config: RunConfig, name: str | None = None, **options: object) -> str:
    for snapshot in run(config, store, name, **options):
        name = snapshot.id
    assert name is not None
    return name


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "lab") as opened:
        yield opened


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("stop_at", [None, 130])
def test_a_run_that_goes_on_ends_in_the_bits_of_one_that_was_begun_so(store, agent, stop_at):
    short = config_of(agent, 300)
    longer = dataclasses.replace(short, steps=600)
    one = played(store, short, keep_replay=True, stop_at=stop_at)
    first, *_ = extend(store, one, 600)
    played(store, longer, one)
    other = played(store, longer, keep_replay=True)
    states = [store.newest(name).state for name in (one, other)]
    assert first == f"steps changed from 300 to 600 after step {stop_at or 300}"
    assert same(states[0]["agent"], states[1]["agent"])
    assert same(states[0]["env"], states[1]["env"])
    assert same(curve(store, one)._asdict(), curve(store, other)._asdict())
    assert store.find(one).settings_hash == store.find(other).settings_hash
    last = [[row for row in store.evaluations(name) if row.step == 600] for name in (one, other)]
    assert [row.returns.tolist() for row in last[0]] == [row.returns.tolist() for row in last[1]]
    assert summary(store, one)["extended"] == [{"step": stop_at or 300, "from": 300, "to": 600, "replay_kept": True}]


def test_a_run_whose_replay_was_dropped_goes_on_with_an_empty_one_and_says_so(store):
    short = config_of("dqn", 200)
    name = played(store, short)
    assert "replay" not in store.newest(name).state["agent"]
    lines = extend(store, name, 300)
    assert lines[0].endswith("where its replay began empty")
    assert "--keep-replay keeps it" in lines[-1]
    played(store, dataclasses.replace(short, steps=300), name, stop_at=240)
    agent = store.newest(name).state["agent"]
    assert agent["learning_starts"] == 250
    assert agent["replay"]["transitions"]["n_added"].max() <= 40
    played(store, dataclasses.replace(short, steps=300), name)
    assert store.find(name).status == "done"
    assert np.isfinite(store.newest(name).state["agent"]["loss"]).all()


def test_what_lasts_as_long_as_the_run_is_named(store):
    name = played(store, config_of("dqn", 100))
    lines = extend(store, name, 400)
    assert "agent.priority.beta_steps: as long as the run, 400 steps from here on, 100 before" in lines
    assert "evaluations: every 20 steps from here on, every 5 before" in lines


def test_steps_that_were_trained_already_are_refused(store):
    config = config_of("q_learning", 100)
    name = played(store, config)
    for steps in (1, 100):
        with pytest.raises(
            ValueError, match=f"--steps {steps}: r1 has trained 100 steps already; --steps is the total"
        ):
            extend(store, name, steps)
    assert store.find(name).steps == 100


def test_an_interrupted_run_can_end_earlier_than_it_was_to(store):
    name = played(store, config_of("q_learning", 500), stop_at=60)
    extend(store, name, 90)
    played(store, config_of("q_learning", 90), name)
    assert (store.find(name).status, store.find(name).step) == ("done", 90)
    assert curve(store, name).steps[-1] <= 90


def test_the_settings_must_be_those_of_the_run(store):
    name = played(store, config_of("q_learning", 100))
    extend(store, name, 200)
    with pytest.raises(ValueError, match="its settings, or a file that they name, have changed"):
        played(store, config_of("q_learning", 300), name)


@pytest.mark.parametrize(
    ("steps", "at", "more"), [(900, 900, 1000), (2500, 2500, 7000), (2500, 701, 9500), (10, 10, 5000)]
)
def test_points_keep_their_width_and_every_episode_is_in_one(steps, at, more):
    generator = np.random.Generator(np.random.PCG64(steps + at))
    reward = generator.integers(-3, 4, (2, more)).astype(np.float32)
    ended = generator.random((2, more)) < 0.2
    short = Recorder((3, 4), steps)
    short.extend(np.ascontiguousarray(reward[:, :at]), np.ascontiguousarray(ended[:, :at]))
    rows = [short.new_rows()]
    longer = Recorder((3, 4), more)
    longer.restore(short.state())
    for first in range(at, more, 450):
        part = slice(first, min(first + 450, more))
        longer.extend(np.ascontiguousarray(reward[:, part]), np.ascontiguousarray(ended[:, part]))
        rows.append(longer.new_rows())
    seed, point, step, episodes, total, *_ = (np.concatenate(column) for column in zip(*rows, strict=True))
    assert episodes.sum() == ended.sum()
    last = np.flatnonzero(ended[0])[-1] + 1
    assert total[seed == 3].sum() == reward[0, :last].sum()
    assert len({*zip(seed, point, strict=True)}) == len(seed)
    ends = dict(zip(point.tolist(), step.tolist(), strict=True))
    assert max(ends.values()) <= more
    assert point.max() < 2 * MAX_POINTS
    assert longer.curve().steps.tolist() == sorted(longer.curve().steps.tolist())
    again = Recorder((3, 4), more)
    again.restore(longer.state())
    assert same(again.state(), longer.state())
