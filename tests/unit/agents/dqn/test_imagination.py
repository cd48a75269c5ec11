"""Tests of models that imagine transitions, and of the updates from them."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from agents.components import gan, vae
from simulator.checks.comparison import differences, state_of_seed
from simulator.core.protocols import EnvSpec
from tests.laws.players import session

CLASSES = EnvSpec("env", spaces.Discrete(4), spaces.Discrete(2))
NUMBERS = EnvSpec("env", spaces.Box(-1.0, 1.0, (2,), np.float32), spaces.Discrete(2))
SEEDS = [0, 1]
QUICK = {"hidden": (32,), "train_frequency": 1, "batch_size": 32}


def ring(t, stream):
    """Return a step around four places: forward by action 1, back by action 0; 1 for the step to place 0, its end."""
    place, action = stream.integers(4, size=2), stream.integers(2, size=2)
    following = (place + 2 * action - 1) % 4
    return place, action, np.where(following == 0, 1.0, -0.25), following, following == 0


def taught(component, settings, n, spec=CLASSES):
    model = component.make(component.Config(**{**QUICK, **settings})).transition_model(spec, SEEDS)
    stream = np.random.default_rng(0)
    for t in range(n):
        model.learn(*ring(t, stream))
    return model


@pytest.mark.parametrize(
    ("component", "settings"),
    [(vae, {"learning_rate": 1e-2, "latent_dim": 4}), (gan, {"learning_rate": 3e-3, "minibatch_features": 2})],
)
def test_most_of_what_is_imagined_is_possible(component, settings):
    imagined = taught(component, settings, 400).imagine(200)
    following = (imagined.obs + 2 * imagined.action - 1) % 4
    assert (imagined.next_obs == following).mean() > 0.5  # 0.25 by chance
    assert (imagined.done == (imagined.next_obs == 0)).mean() > 0.8
    assert np.abs(imagined.reward - np.where(imagined.done, 1.0, -0.25)).mean() < 0.3
    assert len(np.unique(imagined.obs[0])) >= 3


def test_an_untrained_model_keeps_its_first_weights_and_imagines_nonsense():
    model = taught(vae, {"untrained": True}, 50)
    fresh = vae.make(vae.Config(**QUICK)).transition_model(CLASSES, SEEDS)
    for name, weight in fresh.state()["weights"].items():
        np.testing.assert_array_equal(model.state()["weights"][name], weight)


def test_what_is_kept_is_read_back_as_it_was_also_where_the_ranges_grow():
    model = vae.make(vae.Config(untrained=False, batch_size=32)).transition_model(NUMBERS, SEEDS)
    stream = np.random.default_rng(0)
    steps = []
    for t in range(20):
        obs, next_obs = stream.uniform(-1, 1, (2, 2, 2)).astype(np.float32)
        steps.append(
            (obs, stream.integers(2, size=2), stream.normal(size=2) * (t + 1), next_obs, stream.random(2) < 0.5)
        )
        model.learn(*steps[-1])
    read = model._decoded(model._kept[:, :20])
    for found, expected in zip(read, zip(*steps, strict=True), strict=True):
        np.testing.assert_allclose(found, np.swapaxes(np.array(expected), 0, 1), rtol=1e-4, atol=1e-4)


def test_actions_that_do_not_exist_are_not_imagined():
    legal = np.array([[True, False], [False, True], [True, False], [False, True]])
    spec = EnvSpec("env", spaces.Discrete(4), spaces.Discrete(2), legal_actions=legal)
    imagined = vae.make(vae.Config(**QUICK)).transition_model(spec, SEEDS).imagine(100)
    assert legal[imagined.obs, imagined.action].all()


@pytest.mark.parametrize(("imagined", "expected"), [(8, 1), (16, 2), (4, 0.5)])
def test_every_batch_of_imagined_transitions_is_one_more_update(imagined, expected):
    model = {"name": "vae", "imagined": imagined, "warmup": 40, "hidden": [8], "batch_size": 8}
    one = session("dqn", "CartPole-v1", agent_={"model": model})
    one.play(60)
    steps = one.agent.state()["online"]["step_count"]
    assert steps.tolist() == [60 - 19 + 20 * expected] * 3
    assert (one.metrics["imagined_loss"] > 0.0).all()


@pytest.mark.parametrize(
    ("env", "settings", "said"),
    [
        (
            "CartPole-v1",
            {"recurrence": "lstm", "learning_starts": 40},
            "agent.model = 'vae' with agent.recurrence: expected one of them",
        ),
        ("rooms", {}, "agent.model = 'vae' on rooms: observations are images, expected classes or numbers"),
    ],
)
def test_what_a_model_does_not_fit_is_refused_with_both_sides(env, settings, said):
    env_ = {"observation": "pixels"} if env == "rooms" else {}
    with pytest.raises(ValueError, match=said):
        session("dqn", env, agent_={"model": "vae", **settings}, env_=env_)


def test_a_model_learns_the_features_of_an_encoder():
    one = session(
        "dqn",
        "CartPole-v1",
        agent_={
            "encoder": {"name": "pca", "components": 3, "collect": 20},
            "model": {"name": "gan", "imagined": 8, "warmup": 5, "hidden": [8], "batch_size": 8},
        },
    )
    one.play(60)
    assert one.agent.state()["agent"]["online"]["step_count"][0] > 60 - 20 - 19


@pytest.mark.parametrize("name", ["gan", "vae"])
@pytest.mark.parametrize(("agent", "env"), [("q_learning", "CartPole-v1"), ("dqn", "FrozenLake-v1")])  # bins, classes
def test_a_model_that_diverges_fails_its_own_seed_only(name, agent, env):
    model = {"name": name, "imagined": 8, "warmup": 20, "hidden": [8], "batch_size": 8}
    clean, spoilt = (session(agent, env, agent_={"model": model}) for _ in range(2))
    for each in (clean, spoilt):
        each.play(30)
    state = spoilt.agent.state()
    for weights in state["imagination"]["model"]["weights"].values():
        weights[1] = np.nan
    spoilt.agent.restore(state)
    for each in (clean, spoilt):
        each.play(200)
    assert 30 < spoilt.failed_at[1] <= 230
    assert not spoilt.failed_at[[0, 2]].any()
    assert not clean.failed_at.any()
    ours, theirs = (state_of_seed(each.agent.state(), 2, 3) for each in (spoilt, clean))
    assert next(differences(ours, theirs), None) is None
