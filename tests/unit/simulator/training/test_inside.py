"""Tests of the inside of a session's agents: strips over an episode, the latest update, names of actions."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.core.mdp.model import TERMINATES
from simulator.core.scene import BarPanel, HeatPanel, ShowsMoment, named_actions
from simulator.training.inside import EpisodeStrips, LiveStrips, panels_of, updated_state
from tests.laws.players import session


def test_strips_have_a_row_for_every_step_and_mark_cuts():
    strips = EpisodeStrips()
    assert strips.panels() == ()
    for t in range(100):
        if t == 40:
            strips.cut()
        strips.add({"hidden": np.full(3, -t), "input gate": np.full(2, t / 100)})
    hidden, gate = strips.panels()
    np.testing.assert_array_equal(hidden.values, -np.arange(100.0)[:, None].repeat(3, axis=1))
    np.testing.assert_allclose(gate.values, np.arange(100)[:, None].repeat(2, axis=1) / 100, rtol=1e-6)
    assert (hidden.cuts, gate.cuts) == ((40,), (40,))
    assert (hidden.span, gate.span) == ((-99.0, 99.0), (0.0, 1.0))
    assert hidden.rows == ("unit 1", "unit 2", "unit 3")
    assert hidden.title == "hidden over the episode"


def test_strips_that_were_made_stay_as_they_are():
    strips = EpisodeStrips()
    strips.add({"hidden": np.array([1.0])})
    (before,) = strips.panels()
    strips.clear()
    strips.add({"hidden": np.array([5.0])})
    assert before.values.tolist() == [[1.0]]
    assert strips.panels()[0].values.tolist() == [[5.0]]


def test_long_strips_drop_their_oldest_steps():
    strips = EpisodeStrips(max_steps=8)
    for t in range(10):
        if t in (1, 6):
            strips.cut()
        strips.add({"hidden": np.array([float(t)])})
    (strip,) = strips.panels()
    assert strip.values[:, 0].tolist() == [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    assert strip.cuts == (4,)
    assert strip.title == "hidden over the episode, from step 2 on"


def test_strips_refuse_another_moment():
    strips = EpisodeStrips()
    strips.add({"hidden": np.zeros(3)})
    with pytest.raises(ValueError, match="expected what the step before had, hidden"):
        strips.add({"hidden": np.zeros(4)})


def test_strips_of_a_policy_are_its_moments():
    recurrence = {"name": "lstm", "units": 4}
    sequence = {"length": 12, "overlap": 4, "burn_in": 2}
    made = session("dqn", "CartPole-v1", agent_={"recurrence": recurrence, "sequence": sequence})
    policy = made.agent.policy()
    assert isinstance(policy, ShowsMoment)
    strips = EpisodeStrips()
    obs, first = made.env.reset(), np.ones(3, np.bool_)
    for _ in range(5):
        step = made.env.step(policy.act(obs, first))
        strips.add(policy.moment(0))
        obs, first = step.obs, step.terminated | step.truncated
    panels = strips.panels()
    assert [panel.title.split(" over")[0] for panel in panels] == [
        *("hidden", "cell", "input gate", "forget gate", "candidate", "output gate")
    ]
    np.testing.assert_array_equal(panels[1].values[-1], policy.carried()[0][0, 4:])


class Agent:
    """An agent whose only unit counts the steps of its run."""

    def __init__(self, run):
        self.run = run

    def moment(self, index):
        return {"hidden": np.array([float(self.run.step)])}


class Run:
    """A session that is set to a step of an episode; it is its own recorder."""

    def __init__(self):
        self.agent, self.recorder = Agent(self), self
        self.step = self.t = 0

    def running_steps(self, index):
        return self.t


def test_strips_of_a_run_that_trains_have_a_column_for_each_snapshot_of_the_episode():
    run, strips = Run(), LiveStrips()

    def go(step, t, index=0):
        run.step, run.t = step, t
        strips.look(run, index)
        return [panel.values[:, 0].tolist() for panel in strips.panels()]

    assert go(1, 1) == [[1.0]]
    assert go(2, 2) == [[1.0, 2.0]]
    assert go(2, 2) == [[1.0, 2.0]]  # drawn again
    strips.cut()
    assert go(3, 3) == [[1.0, 2.0, 3.0]]
    assert strips.panels()[0].cuts == (2,)
    assert go(4, 0) == []  # the episode is over
    assert go(5, 1) == [[5.0]]
    assert go(9, 5) == [[5.0, 9.0]]
    assert go(13, 9) == [[5.0, 9.0, 13.0]]
    assert strips.panels()[0].title == "hidden over the episode, every 4 steps"
    assert go(14, 10) == [[14.0]]  # not as far from the one before
    assert go(40, 3) == [[40.0]]  # another episode
    assert go(41, 4, index=1) == [[41.0]]  # another seed


def test_the_moment_of_a_recurrent_agent_is_what_it_carries_while_it_trains():
    recurrence = {"name": "lstm", "units": 4}
    sequence = {"length": 12, "overlap": 4, "burn_in": 2}
    made = session("dqn", "CartPole-v1", agent_={"recurrence": recurrence, "sequence": sequence})
    assert made.agent.moment(0) == {}
    made.play(3)
    moment = made.agent.moment(1)
    np.testing.assert_array_equal(moment["cell"], made.agent._learner.state.sampler.carry.state[1, 4:])
    assert np.abs(moment["hidden"]).max() > 0
    made.agent.cut_memory()
    assert not made.agent.moment(1)["cell"].any()


@pytest.mark.parametrize("agent", ["q_learning", "td"])
def test_the_latest_update_is_by_the_td_error_before_it(agent):
    made = session(agent, "rooms", rollouts=False, agent_={"step_size": 0.25})
    assert made.agent.last_update(0) is None
    made.play(300)
    for _ in range(20):
        before = made.agent.state()["q" if agent == "q_learning" else "v"].copy()
        made.play(1)
        after = made.agent.state()["q" if agent == "q_learning" else "v"]
        for index in range(3):
            last = made.agent.last_update(index)
            at = (index, 0, last.obs, last.action) if agent == "q_learning" else (index, last.obs)
            assert last.td_error == pytest.approx((after[at] - before[at]) / 0.25, abs=1e-6)
            changed = np.argwhere(after[index] != before[index])
            assert len(changed) <= 1
            assert not len(changed) or tuple(changed[0]) == at[1:]


@pytest.mark.parametrize("agent", ["q_learning", "td"])
@pytest.mark.parametrize("env", ["rooms", "FrozenLake-v1"])
def test_a_rollout_tells_of_its_last_step_what_single_steps_tell(agent, env):
    rolled, stepped = (session(agent, env, rollouts=rollouts) for rollouts in (True, False))
    for n in (1, 7, 50):
        for one in (rolled, stepped):
            one.play(n)
        for index in range(3):
            assert rolled.agent.last_update(index) == stepped.agent.last_update(index)
            assert updated_state(rolled, index) is not None


def test_the_updated_state_is_one_of_the_scenes_states():
    made = session("q_learning", "rooms")
    assert updated_state(made, 0) is None
    made.play(100)
    found = updated_state(made, 0)
    assert made.env.scene(0).places[found.state][0] >= 0
    assert found.td_error == made.agent.last_update(0).td_error
    other = session("q_learning", "rooms")
    other.restore(made.state())
    assert updated_state(other, 0) is None  # a checkpoint does not hold it
    assert updated_state(session("dqn", "rooms"), 0) is None


def test_actions_get_the_names_of_the_scene():
    made = session("q_learning", "rooms", env_={"layout": "cliff"})
    made.play(50)
    table, bars = panels_of(made, 0)[:2]
    assert isinstance(table, HeatPanel)
    assert table.columns == made.env.scene(0).actions == ("up", "right", "down", "left")
    assert isinstance(bars, BarPanel)
    assert bars.names == table.columns
    q = made.agent.state()["q"][0, 0]
    np.testing.assert_array_equal(table.values, q)
    last = made.agent.last_update(0)
    np.testing.assert_array_equal(bars.values, q[last.obs])
    assert bars.chosen == last.action
    assert panels_of(session("random_walk", "rooms"), 0) == ()
    assert named_actions((bars,), ())[0].names == bars.names


def test_actions_that_do_not_exist_are_left_empty():
    made = session("q_learning", "rooms", env_={"layout": "six"})
    made.play(50)
    table = panels_of(made, 1)[0]
    np.testing.assert_array_equal(np.isnan(table.values), ~made.env.spec.legal_actions)


def test_values_by_look_ahead_are_those_of_the_policy():
    made = session("td", "rooms", agent_={"lambda_": 0.5})
    made.play(400)
    table = panels_of(made, 1)[0]
    assert table.columns == ("V", *made.env.scene(1).actions)
    np.testing.assert_array_equal(table.values[:, 0], made.agent.state()["v"][1])
    values = made.agent.policy().values(made.env.spec.state_obs)[1]
    found = np.where(np.isnan(table.values[:, 1:]), 0.0, table.values[:, 1:])
    known = ~np.isnan(table.values[:, 1:])
    np.testing.assert_allclose(found[known], values[known], rtol=1e-12)


def test_a_model_of_a_deterministic_world_has_no_error_where_it_was_tried():
    made = session("q_learning", "rooms", agent_={"model": {"name": "table"}})
    made.play(300)
    panels = {panel.title.partition(":")[0]: panel for panel in panels_of(made, 0)}
    tried = panels["table"].values
    error = panels["model error"].values
    np.testing.assert_array_equal(np.isnan(error), tried == 0)
    assert np.nanmax(error) == 0.0
    assert tried.sum() == 300


def test_the_error_of_a_model_of_chance_is_the_distance_of_its_frequencies():
    made = session("q_learning", "FrozenLake-v1", agent_={"model": {"name": "table"}})
    made.play(50)
    panels = {panel.title.partition(":")[0]: panel for panel in panels_of(made, 0)}
    table = made.agent.state()["transitions"]
    mdp = made.env.spec.mdp
    for state, action in np.argwhere(panels["table"].values > 0):
        pair = state * 4 + action
        learned = {}
        for k in range(table["n_outcomes"][0, pair]):
            learned[int(table["code"][0, pair, k])] = table["weight"][0, pair, k] / table["total_weight"][0, pair]
        true = {}
        for k in np.flatnonzero(mdp.prob[state, action] > 0):
            code = 2 * int(mdp.next[state, action, k]) + int(mdp.end[state, action, k] == TERMINATES)
            true[code] = true.get(code, 0.0) + mdp.prob[state, action, k]
        distance = sum(abs(learned.get(code, 0.0) - true.get(code, 0.0)) for code in {*learned, *true}) / 2
        assert panels["model error"].values[state, action] == pytest.approx(distance)
