"""Tests of the defaults of a run's evaluations."""

from __future__ import annotations

import pytest

from simulator.config.run import build, eval_episodes, eval_period
from simulator.training.session import Session

RUN = {"agent": {"name": "random_walk"}, "env": {"name": "rooms"}}


@pytest.mark.parametrize(
    ("steps", "images", "period", "episodes"),
    [
        (10, False, 1, 100),
        (50_000, False, 2_500, 100),
        (10, True, 1_000, 1),
        (50_000, True, 2_500, 50),
        (1_000_000, True, 50_000, 100),
    ],
)
def test_a_short_run_on_images_is_evaluated_shortly(steps, images, period, episodes):
    config = build({**RUN, "steps": steps})
    assert eval_period(config, images) == period
    assert eval_episodes(config, images) == episodes


def test_what_is_set_holds_on_images_too():
    config = build({**RUN, "steps": 10, "eval_every": 3, "eval_episodes": 7})
    assert (eval_period(config, True), eval_episodes(config, True)) == (3, 7)


@pytest.mark.parametrize(("observation", "images"), [("pixels", True), ("index", False), ("window", False)])
def test_pixels_are_images(observation, images):
    config = build({**RUN, "seeds": 1, "env": {"name": "rooms", "layout": "four", "observation": observation}})
    assert Session(config).sees_images == images
