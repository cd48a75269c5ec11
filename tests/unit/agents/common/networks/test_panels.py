"""Tests of panels of networks: weights as they are, and gates against the formulas of the papers in float64."""

from __future__ import annotations

import numpy as np
import pytest

from agents.common.networks.compiled import named_weights
from agents.common.networks.dense import make_net
from agents.common.networks.panels import compiled_layers, network_panels, outputs_of, receptive_fields
from simulator.core.scene import HeatPanel
from tests.laws.players import session

SEQUENCE = {"length": 12, "overlap": 4, "burn_in": 2}
ROOMS = {"layout": "maze", "observation": "pixels", "cell_pixels": 3}


def test_weights_of_a_dense_layer_lead_with_its_units():
    net = make_net((3, 2, 1), False, [0, 1], 1)
    layers = dict(compiled_layers(net, 1))
    np.testing.assert_array_equal(layers["layer 1"], net.params[1, :6].reshape(3, 2).T)
    np.testing.assert_array_equal(layers["layer 2"], net.params[1, 8:10].reshape(2, 1).T)
    first, second = network_panels(net, 1, "the network")
    assert first.title == "weights of the network, layer 1: 2 units (rows) by 3 inputs (columns)"
    assert (first.values.shape, second.values.shape) == ((2, 3), (1, 2))
    assert first.fields is None


def test_outputs_without_working_space():
    net = make_net((3, 4, 2), True, [5], 1)
    x = np.array([[0.5, -1.0, 2.0]], np.float32)
    w1, w2 = (weights.astype(np.float64) for _, weights in compiled_layers(net, 0))
    b1, b2 = net.params[0, 12:16], net.params[0, 24:26]
    np.testing.assert_allclose(outputs_of(net, 0, x)[0], np.tanh(x[0] @ w1.T + b1) @ w2.T + b2, rtol=1e-5)


def test_a_receptive_field_is_the_picture_of_a_units_weights():
    weights = np.arange(14.0).reshape(2, 7)
    np.testing.assert_array_equal(receptive_fields(weights, (2, 3))[1], [[7, 8, 9], [10, 11, 12]])
    np.testing.assert_array_equal(receptive_fields(weights, (2, 1, 3))[0], [[0, 1, 2, 3, 4, 5]])
    assert receptive_fields(weights, (7,)) is None
    assert receptive_fields(weights, (3, 3)) is None


def test_images_have_their_convolutions_shown_with_a_field_for_each_channel():
    agent = session("dqn", "rooms", env_=ROOMS).agent
    panels = [panel for panel in agent.panels(0) if isinstance(panel, HeatPanel)]
    named = agent._learner.state.online_net.seed_parameters(0)
    first = next(weights for weights in named.values() if weights.ndim == 4)
    np.testing.assert_array_equal(panels[0].values, first.reshape(len(first), -1))
    np.testing.assert_array_equal(panels[0].fields[1, :, : first.shape[3]], first[1, 0])


def _sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def _by_hand(name, weights, x, carried):
    """Step a cell in float64: what it carries, and its gates by name."""
    weight_x, weight_h, bias, bias_h = (part.astype(np.float64) for part in weights)
    hidden = carried["hidden"]
    n = len(hidden)
    z = x @ weight_x + bias
    u = hidden @ weight_h
    if name == "lstm":
        i, f, g, o = np.split(z + u, 4)
        gates = {"input gate": _sigmoid(i), "forget gate": _sigmoid(f), "candidate": np.tanh(g)}
        gates["output gate"] = _sigmoid(o)
        cell = gates["forget gate"] * carried["cell"] + gates["input gate"] * gates["candidate"]
        return {"hidden": gates["output gate"] * np.tanh(cell), "cell": cell}, gates
    if name == "gru":
        reset, update = _sigmoid(z[:n] + u[:n]), _sigmoid(z[n : 2 * n] + u[n : 2 * n])
        candidate = np.tanh(z[2 * n :] + reset * (u[2 * n :] + bias_h))
        gates = {"reset gate": reset, "update gate": update, "candidate": candidate}
        return {"hidden": (1.0 - update) * hidden + update * candidate}, gates
    return {"hidden": np.tanh(z + u)}, {}


@pytest.mark.parametrize("agent", ["dqn", "reinforce"])
@pytest.mark.parametrize("name", ["lstm", "gru", "elman"])
def test_the_moment_is_that_of_the_cell_by_hand(agent, name):
    sees = {"last_action": True, "last_reward": True}
    settings = {"recurrence": {"name": name, "units": 5, **sees}, **({"sequence": SEQUENCE} if agent == "dqn" else {})}
    made = session(agent, "CartPole-v1", agent_=settings)
    made.play(40)
    policy = made.agent.policy()
    assert policy.moment(1) == {}
    weights = _cell_weights(policy._net, 1)
    obs, first = made.env.reset(), np.ones(3, np.bool_)
    carried = {"hidden": np.zeros(5), "cell": np.zeros(5)}
    last = np.zeros(3)
    for _ in range(8):
        actions = policy.act(obs, first)
        x = np.concatenate([obs[1], last]).astype(np.float64)
        carried, gates = _by_hand(name, weights, x, carried)
        moment = policy.moment(1)
        assert list(moment) == [*carried, *gates]
        for part, expected in {**carried, **gates}.items():
            np.testing.assert_allclose(moment[part], expected, atol=2e-5, err_msg=part)
        step = made.env.step(actions)
        policy.see_reward(step.reward)
        obs, first = step.obs, step.terminated | step.truncated
        last = np.array([actions[1] == 0, actions[1] == 1, step.reward[1]], np.float64)
        if first[1]:
            carried, last = {"hidden": np.zeros(5), "cell": np.zeros(5)}, np.zeros(3)


def _cell_weights(net, index):
    """Return weights and biases of the only recurrent layer, read off the named weights that exports have."""
    named = named_weights(net).weights
    parts = [f"recurrence.0.{part}" for part in ("weight_x", "weight_h", "bias", "bias_h")]
    return [named[part][index] if part in named else np.zeros(0) for part in parts]


def test_every_layer_has_its_own_state_and_gates():
    recurrence = {"name": "lstm", "units": 4, "layers": 2}
    made = session("dqn", "CartPole-v1", agent_={"recurrence": recurrence, "sequence": SEQUENCE})
    policy = made.agent.policy()
    policy.act(made.env.reset(), np.ones(3, np.bool_))
    moment = policy.moment(0)
    assert [name for name in moment if name.endswith("cell")] == ["layer 1 cell", "layer 2 cell"]
    state = policy.carried()[0][0]
    np.testing.assert_array_equal(
        np.concatenate([moment[f"layer {k} {p}"] for k in (1, 2) for p in ("hidden", "cell")]), state
    )
    for k in (1, 2):
        cell = moment[f"layer {k} input gate"] * moment[f"layer {k} candidate"]  # the first step forgets nothing
        np.testing.assert_allclose(moment[f"layer {k} cell"], cell, atol=1e-6)
        np.testing.assert_allclose(
            moment[f"layer {k} hidden"], moment[f"layer {k} output gate"] * np.tanh(cell), atol=1e-6
        )


@pytest.mark.parametrize("agent", ["dqn", "reinforce"])
def test_gates_of_networks_of_torch_add_up_to_their_state(agent):
    settings = {"recurrence": {"name": "lstm", "units": 4}, **({"sequence": SEQUENCE} if agent == "dqn" else {})}
    made = session(agent, "rooms", env_=ROOMS, agent_=settings)
    policy = made.agent.policy()
    obs, first = made.env.reset(), np.ones(3, np.bool_)
    cell = np.zeros(4)
    for _ in range(5):
        actions = policy.act(obs, first)
        moment = policy.moment(2)
        cell = moment["forget gate"] * (0.0 if first[2] else cell) + moment["input gate"] * moment["candidate"]
        np.testing.assert_allclose(moment["cell"], cell, atol=2e-5)
        np.testing.assert_allclose(moment["hidden"], moment["output gate"] * np.tanh(cell), atol=2e-5)
        step = made.env.step(actions)
        obs, first = step.obs, step.terminated | step.truncated
