"""Laws of every encoder and of every model that imagines, by name: seeds, state, evaluation."""

from __future__ import annotations

from functools import partial

import pytest

from simulator.checks import agents
from simulator.config.sockets import fitting
from simulator.core.jit import set_threads
from tests.laws.players import same, session

CODE = {"latent_dim": 2, "hidden": [8], "channels": [3], "batch_size": 8, "updates": 5, "image_side": 12}
SMALL = {  # what else would take long
    "autoencoder": {**CODE, "noise": "flip"},
    "vae": CODE,
    "pca": {"components": 2},
    "random_projection": {"components": 2},
    "recall": {"signs": True, "capacity": 4},
    "atlas": {"size": 3, "landmarks": 12},
}
MODEL = {"hidden": [8], "batch_size": 8, "imagined": 8, "warmup": 30}
COLLECT = {"collect": 40}
SEES_AT_ONCE = ("window", "true_state")  # encoders that collect nothing
MODELS = [name for name in fitting("model") if name not in ("table", "replay")]  # these imagine nothing
CASES = {
    **{
        name: {
            "encoder": {
                "name": name,
                **SMALL.get(name, {}),
                **(COLLECT if name not in SEES_AT_ONCE else {}),
            }
        }
        for name in fitting("encoder")
    },
    "window of actions": {"encoder": {"name": "window", "k": 3, "actions": True}},
    "window of standardized": {"encoder": {"name": "window", "k": 2, "standardize": True, **COLLECT}},
    "vae beside": {"encoder": {"name": "vae", **CODE, "learn": "beside"}},
    "autoencoder both": {"encoder": {"name": "autoencoder", **CODE, **COLLECT, "learn": "both"}},
    "vae untrained": {"encoder": {"name": "vae", **CODE, **COLLECT, "untrained": True}},
    "autoencoder joint": {"encoder": {"name": "autoencoder", **CODE, **COLLECT, "stop_gradient": False}},
    "vae joint beside": {"encoder": {"name": "vae", **CODE, "learn": "beside", "stop_gradient": False}},
    "window and recurrence": {
        "encoder": {"name": "window", "k": 2},
        "recurrence": {"name": "gru", "units": 4},
        "sequence": {"length": 12, "overlap": 4, "burn_in": 2},
    },
    "atlas of skip-gram": {"encoder": {"name": "atlas", "method": "skip_gram", "size": 3, **COLLECT}},
    "atlas of clusters": {"encoder": {"name": "atlas", "method": "kmeans", "size": 3, "landmarks": 8, **COLLECT}},
    **{f"model {name}": {"model": {"name": name, **MODEL}} for name in MODELS},
}
LAWS = [
    agents.acts_in_the_space_and_learns_finite_numbers,
    agents.seeds_together_equal_seeds_alone,
    agents.continues_from_a_checkpoint,
    agents.evaluation_changes_nothing,
    agents.policy_is_the_same_each_time,
]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("case", CASES)
def test_dqn_with_a_component(case, law):
    law(partial(session, "dqn", "FrozenLake-v1", agent_=CASES[case]))


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("model")])
def test_the_rewards_of_one_seed_change_no_other_seeds_model(case):
    agents.poisoned_rewards_leave_the_others_alone(partial(session, "dqn", "FrozenLake-v1", agent_=CASES[case]))


@pytest.mark.parametrize("case", ["window", "window of standardized", "vae", "vae joint beside", "recall"])
def test_reinforce_with_an_encoder(case):
    for law in LAWS:
        law(partial(session, "reinforce", "CartPole-v1", agent_=CASES[case]))


@pytest.mark.parametrize("case", ["atlas", "atlas of clusters", "pca", "true_state"])
def test_q_learning_on_features(case):
    for law in LAWS:
        law(partial(session, "q_learning", "FrozenLake-v1", agent_=CASES[case]))


@pytest.mark.parametrize(
    "settings", [{}, {"network": "dense"}, {"stop_gradient": False, "learn": "both"}], ids=["", "dense", "joint"]
)
def test_an_image_of_a_room_becomes_a_code(settings):
    env = {"observation": "pixels", "cell_pixels": 3}
    agent = {"encoder": {"name": "vae", **CODE, **COLLECT, **settings}}
    make = partial(session, "dqn", "rooms", env_=env, agent_=agent)
    agents.seeds_together_equal_seeds_alone(make)
    agents.continues_from_a_checkpoint(make)


@pytest.mark.parametrize("case", ["autoencoder both", "vae joint beside", "model vae"])
def test_threads_change_nothing(case):
    states = []
    try:
        for threads in (1, 2):
            one = session("dqn", "FrozenLake-v1", agent_=CASES[case], seeds=5, threads=threads)
            one.play(60)
            states.append(one.state())
    finally:
        set_threads(1)
    same(*states)
