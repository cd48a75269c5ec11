"""Snapshots made by hand, for tests of views."""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.core.protocols import AgentView, Curve, Evaluation
from simulator.core.scene import Mark, Scene
from simulator.core.snapshots import RunSnapshot


def curve(n: int = 10, n_seeds: int = 4) -> Curve:
    """Return curves of seeds that learn from 0 to 1, a little apart."""
    steps = np.arange(1, n + 1) * 100
    mean = np.linspace(0.0, 1.0, n)[None, :] * np.linspace(0.7, 1.0, n_seeds)[:, None]
    return Curve(steps, mean, np.full((n_seeds, n), 3))


def grid() -> AgentView:
    """Return the view of a corridor of four cells with a goal."""
    walls = np.ones((3, 6), np.bool_)
    walls[1, 1:5] = False
    places = np.array([[1, 1], [1, 2], [1, 3], [1, 4]])
    marks = (Mark(1, 1, "start"), Mark(1, 4, "goal"), Mark(1, 2, "walker"))
    scene = Scene("a corridor", walls, marks, places=places, actions=("up", "right", "down", "left"))
    greedy = np.zeros((4, 4), np.bool_)
    greedy[:, 1] = True
    return AgentView(scene, np.array([0.81, 0.9, 1.0, 0.0]), greedy)


def graph() -> AgentView:
    """Return the view of three rooms in a row."""
    doors = np.array([[0, 1], [1, 0], [1, 2]])
    scene = Scene("three rooms", rooms=np.zeros((3, 2)), doors=doors, walker=1, actions=("room 0", "room 1", "room 2"))
    greedy = np.array([[False, True, False], [True, False, True], [False, False, False]])
    return AgentView(scene, np.array([80.0, 100.0, np.nan]), greedy)


def snapshot(**changes: Any) -> RunSnapshot:
    """Return a snapshot of a run half way through."""
    usual = {
        "id": "r1",
        "agent": "q_learning",
        "env": "rooms",
        "phase": "training",
        "seeds": (0, 1, 2, 3),
        "step": 1_000,
        "steps": 2_000,
        "seconds": 2.0,
        "cpu_seconds": 3.0,
        "training_seconds": 2.0,
        "training_cpu_seconds": 2.0,
        "curve": curve(),
        "evaluations": (Evaluation(1_000, np.zeros((4, 0)), np.array([0.9, 1.0, 1.0, 0.95])),),
        "metrics": {"td_error": np.array([0.1, 0.2, 0.3, 0.4])},
        "picture": grid(),
        "optimum": 1.0,
    }
    return RunSnapshot(**{**usual, **changes})
