"""Laws of panels: whoever shows what is inside it, changes nothing by it, and shows arrays of their documented shapes.

Panels are made between the steps of one session and not of its twin; states, actions and policies stay the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simulator.config.sockets import fitting
from simulator.core.scene import (
    BarPanel,
    CurvePanel,
    HasPanels,
    HeatPanel,
    PicturePanel,
    PointPanel,
    ShowsMoment,
    StripPanel,
    TextPanel,
)
from tests.laws.players import AGENTS, home, pairs, same, session
from tests.laws.test_components import CASES, MODEL

INSIDE = ("q_learning", "td", "hill_climbing", "random_search", "reinforce", "dqn", "planner", "episodic")
RECURRENT = {"sequence": {"length": 12, "overlap": 4, "burn_in": 2}}
MORE: list[tuple[str, str, dict[str, Any]]] = [
    *(("dqn", "FrozenLake-v1", settings) for settings in CASES.values()),
    *(("dqn", "CartPole-v1", CASES[case]) for case in ("pca", "vae", "window", "model vae", "model gan")),
    *(("reinforce", "CartPole-v1", CASES[case]) for case in ("vae", "vae joint beside", "window of actions")),
    *(
        ("dqn", "CartPole-v1", {"recurrence": {"name": name, "units": 4, "layers": layers}, **RECURRENT})
        for name in fitting("recurrence")
        for layers in (1, 2)
    ),
    *(("reinforce", "CartPole-v1", {"recurrence": {"name": name, "units": 4}}) for name in fitting("recurrence")),
    *(
        ("dqn", "FrozenLake-v1", {"prioritized": True, "buffer_size": size, "priority": {"kind": kind}})
        for kind in ("proportional", "rank")
        for size in (40, 1_000)
    ),
    ("dqn", "FrozenLake-v1", {"prioritized": True, "recurrence": {"name": "gru", "units": 4}, **RECURRENT}),
    *(("q_learning", "FrozenLake-v1", {"intrinsic": {"name": name}}) for name in fitting("intrinsic")),
    *(("dqn", "CartPole-v1", {"intrinsic": {"name": name}}) for name in fitting("intrinsic")),
    *(
        ("q_learning", env, {"model": {"name": "table", "planning": planning, "source": source}})
        for planning in ("uniform", "prioritized")
        for source in ("learned", "true")
        for env in ("rooms", "FrozenLake-v1")
    ),
    ("q_learning", "rooms", {"model": {"name": "replay"}}),
    *(("q_learning", "FrozenLake-v1", {"model": {"name": name, **MODEL}}) for name in ("gan", "vae")),
    *(("q_learning", "rooms", {"trace_decay": 0.9, "target": target}) for target in ("max", "sarsa", "expected")),
    ("q_learning", "CartPole-v1", {"trace_decay": 0.9, "box": {"kind": "tiles"}}),
    (
        "q_learning",
        "rooms",
        {"double": True, "explore": {"decay_steps": 50, "kind": "softmax", "temperature_end": 0.1}},
    ),
    ("td", "rooms", {"lambda_": 0.9}),
    ("td", "rooms", {"policy": "random"}),
    ("episodic", "CartPole-v1", {"keys": "hopfield"}),
    ("planner", "rooms", {"criterion": "discounted"}),
    ("hill_climbing", "CartPole-v1", {"network": {"hidden": [6]}, "bias": True}),
]
WORLDS = [*((agent, env, {}) for agent, env in pairs() if agent in INSIDE), *MORE]


def _name(case: Any) -> str:
    return str(case) if isinstance(case, str) else "-".join(f"{key}={value}" for key, value in case.items())[:60]


@pytest.mark.parametrize("agent", AGENTS)
def test_every_agent_that_learns_shows_its_inside(agent):
    made = session(agent, home(agent)).agent
    assert isinstance(made, HasPanels) == (agent in INSIDE)


@pytest.mark.parametrize(("agent", "env", "settings"), WORLDS, ids=_name)
def test_panels_change_nothing_and_have_their_shapes(agent, env, settings):
    _changes_nothing(*(session(agent, env, agent_=settings) for _ in range(2)))


@pytest.mark.parametrize("agent", ["q_learning", "td", "dqn"])
def test_panels_change_nothing_between_single_steps(agent):
    env = "CartPole-v1" if agent == "dqn" else "rooms"
    _changes_nothing(*(session(agent, env, rollouts=False) for _ in range(2)))


def _changes_nothing(shown, alone):
    for n in (0, 1, 40, 30):
        for one in (shown, alone):
            one.play(n)
        for index in range(3):
            check_panels(shown.agent.panels(index))
        same(shown.state(), alone.state())
    policies = [one.agent.policy() for one in (shown, alone)]
    obs = shown.env.observe()
    first = np.ones(3, np.bool_)
    for _ in range(6):
        shown_policy = policies[0]
        if isinstance(shown_policy, HasPanels):
            check_panels(shown_policy.panels(1))
        if isinstance(shown_policy, ShowsMoment):
            check_moment(shown_policy.moment(1))
        actions = [policy.act(obs, first) for policy in policies]
        assert np.array_equal(*actions)
        step = shown.env.step(actions[0])
        obs = step.obs
        first = step.terminated | step.truncated


def check_moment(moment):
    """Check that a moment is finite vectors by name."""
    for name, values in moment.items():
        assert values.ndim == 1, name
        assert np.isfinite(values).all(), name
        assert not name.endswith("gate") or ((values >= 0) & (values <= 1)).all(), name


def check_panels(panels):
    """Check that panels are what their classes say, and own their arrays or share none that is written later."""
    titles = [panel.title for panel in panels]
    assert len(set(titles)) == len(titles), titles
    for panel in panels:
        _CHECKS[type(panel)](panel)


def _heat(panel):
    assert panel.values.ndim == 2, panel.title
    assert len(panel.rows) in (0, panel.values.shape[0]), panel.title
    assert len(panel.columns) in (0, panel.values.shape[1]), panel.title
    assert not np.isinf(panel.values).any(), panel.title
    assert panel.fields is None or (panel.fields.ndim == 3 and len(panel.fields) == len(panel.values)), panel.title


def _bars(panel):
    assert panel.values.shape == (len(panel.names),), panel.title
    assert panel.beside is None or panel.beside.shape == panel.values.shape, panel.title
    assert -1 <= panel.chosen < len(panel.names), panel.title


def _strip(panel):
    assert panel.values.ndim == 2, panel.title
    assert len(panel.rows) in (0, panel.values.shape[1]), panel.title


def _curve(panel):
    assert panel.y.shape == (len(panel.names), len(panel.x)), panel.title
    assert (np.diff(panel.x) > 0).all(), panel.title
    assert np.isfinite(panel.y[0]).all(), panel.title


def _picture(panel):
    assert panel.images.ndim == (4 if panel.images.dtype == np.uint8 else 3), panel.title
    assert len(panel.captions) == len(panel.images), panel.title


def _points(panel):
    assert panel.points.shape == (len(panel.groups), 2), panel.title
    assert np.isfinite(panel.points).all(), panel.title
    assert panel.groups.max() < len(panel.names), panel.title
    assert -1 <= panel.marked < len(panel.points), panel.title


def _text(panel):
    assert all(isinstance(value, str) for value in panel.facts.values()), panel.title


_CHECKS = {
    HeatPanel: _heat,
    BarPanel: _bars,
    StripPanel: _strip,
    CurvePanel: _curve,
    PicturePanel: _picture,
    PointPanel: _points,
    TextPanel: _text,
}
