"""Tests of torch networks: the interface and the numbers of the compiled ones, and any module."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from agents.common.networks.modules_torch import Pixels, dense, init_weights
from agents.common.networks.network_torch import TorchNetwork
from agents.common.networks.optimizers import OptimizerSettings
from simulator.core import rng
from simulator.core.jit import set_threads
from tests.helpers.networks import KINDS, PLAIN, data, draws, flat_of, make, module, weights
from tests.laws.players import same, state_of_seed

SHAPES = [(3, 2), (1, 1), (5, 7, 3), (4, 13, 5, 2), (6, 3, 9, 5, 1), (2, 5, 4, 3, 8, 7)]  # depths 0 to 4
ADAM = OptimizerSettings(kind="adam", learning_rate=0.01, max_grad_norm=1.0)
EVERY = np.ones(3, bool)


def _train(network, sizes, *, steps=12, columns=slice(None), batch=9):
    """Train on made-up data; ``columns``: the seeds whose data are used."""
    for t in range(steps):
        x, goal = data((5, batch, sizes[0]), t)[columns], data((5, batch, sizes[-1]), t + 100)[columns]
        network.apply_gradient(network.forward(x) - goal, np.ones(len(x), bool))
    return network.state()


@pytest.mark.parametrize("tanh", [False, True])
@pytest.mark.parametrize("sizes", SHAPES)
def test_both_networks_begin_alike_and_give_the_same_outputs_and_gradients(sizes, tanh):
    x, dy = data((3, 9, sizes[0])), data((3, 9, sizes[-1]), 1)
    networks = {kind: make(kind, sizes, tanh=tanh) for kind in KINDS}
    begun = weights(networks["compiled"], sizes)
    outputs = {kind: network.forward(x) for kind, network in networks.items()}
    norms = {kind: network.apply_gradient(dy, EVERY) for kind, network in networks.items()}
    made = [module(row, sizes, tanh=tanh) for row in begun]
    for each, rows, slope in zip(made, x, dy, strict=True):
        each(torch.tensor(rows)).backward(torch.tensor(slope))
    gradient = np.stack([flat_of(each, "grad") for each in made])
    for kind in KINDS:
        assert outputs[kind].dtype == np.float32
        np.testing.assert_allclose(outputs[kind], outputs["compiled"], atol=1e-6)
        np.testing.assert_allclose(begun - weights(networks[kind], sizes), gradient, atol=2e-6, rtol=1e-5)
        np.testing.assert_allclose(norms[kind], np.linalg.norm(gradient, axis=1), rtol=1e-5)


@pytest.mark.parametrize("sizes", [(3, 2), (5, 7, 3), (4, 63, 31, 2)])
@pytest.mark.parametrize("kind", ["compiled", "rows"])
def test_a_seed_alone_has_the_bits_of_the_same_seed_among_others(kind, sizes):
    together = _train(make(kind, sizes, range(5), ADAM), sizes)
    for i in (1, 4):
        alone = _train(make(kind, sizes, [i], ADAM), sizes, columns=slice(i, i + 1))
        same(state_of_seed(alone, 0, 1), state_of_seed(together, i, 5))


def test_stacked_seeds_agree_with_each_alone_within_tolerance():
    sizes = (4, 13, 5, 2)
    together, alone = make("stack", sizes, range(5), ADAM), make("stack", sizes, [3], ADAM)
    states = _train(together, sizes, steps=1), _train(alone, sizes, steps=1, columns=slice(3, 4))
    for name in ("params", "moments"):
        np.testing.assert_allclose(states[0][name][3], states[1][name][0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["compiled", "rows"])
def test_threads_change_no_bit(kind):
    states = []
    for threads in (1, 2, 3):
        set_threads(threads)
        try:
            states.append(_train(make(kind, (4, 33, 7, 2), range(5), ADAM), (4, 33, 7, 2)))
        finally:
            set_threads(1)
    same(states[0], states[1])
    same(states[0], states[2])


@pytest.mark.parametrize("kind", KINDS)
def test_continuing_from_a_state_gives_the_same_bits(kind):
    sizes = (4, 6, 2)
    whole, first, second = (make(kind, sizes, range(5), ADAM) for _ in range(3))
    _train(first, sizes)
    second.restore(first.state())
    _train(second, sizes)
    _train(whole, sizes)
    same(_train(whole, sizes), second.state())
    assert set(second.state()) == {"params", "moments", "step_count"}
    np.testing.assert_array_equal(second.state()["step_count"], [24] * 5)
    assert all(isinstance(value, np.ndarray) for value in second.state().values())


def test_a_state_can_move_between_devices():
    sizes = (4, 6, 2)
    rows, stack = make("rows", sizes, range(5), ADAM), make("stack", sizes, range(5), ADAM)
    stack.restore(_train(rows, sizes))
    _train(rows, sizes, steps=1)
    _train(stack, sizes, steps=1)
    for name, value in rows.state().items():
        np.testing.assert_allclose(stack.state()[name], value, atol=1e-6)


@pytest.mark.parametrize("poison", [np.nan, np.inf, 3e38])
@pytest.mark.parametrize("kind", KINDS)
def test_a_poisoned_seed_stays_as_it_was_and_leaves_the_others_bits_alone(kind, poison):
    sizes, x, dy = (4, 6, 2), data((3, 9, 4)), data((3, 9, 2), 1)
    clean, dirty = (make(kind, sizes, settings=ADAM) for _ in range(2))
    begun, bad = dirty.state(), dy.copy()
    bad[1, 4] = poison
    for network, slope in ((clean, dy), (dirty, bad)):
        network.forward(x)
        norms = network.apply_gradient(slope, EVERY)
    assert not np.isfinite(norms[1])
    assert np.isfinite(norms[[0, 2]]).all()
    for i in (0, 2):
        same(state_of_seed(dirty.state(), i, 3), state_of_seed(clean.state(), i, 3))
    same(state_of_seed(dirty.state(), 1, 3), state_of_seed(begun, 1, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_masked_seeds_rest(kind):
    network, sizes = make(kind, (4, 6, 2), settings=ADAM), (4, 6, 2)
    x, dy, begun = data((3, 9, 4)), data((3, 9, 2), 1), network.state()
    network.forward(x)
    norms = network.apply_gradient(dy, np.array([True, False, True]))
    now = network.state()
    same(state_of_seed(now, 1, 3), state_of_seed(begun, 1, 3))
    assert norms[1] == 0.0
    np.testing.assert_array_equal(now["step_count"], [1, 0, 1])
    assert np.abs(weights(network, sizes)[[0, 2]] - begun["params"][[0, 2]]).max() > 0.001


@pytest.mark.parametrize("kind", KINDS)
def test_polyak_update_moves_by_tau(kind):
    online, target = make(kind, (2, 1)), make(kind, (2, 1), settings=None)
    online.restore({**online.state(), "params": np.full((3, 3), 8.0, np.float32)})
    target.restore({"params": np.full((3, 3), 4.0, np.float32)})
    target.polyak_update(online, 0.25)
    np.testing.assert_array_equal(target.state()["params"], np.full((3, 3), 5.0))
    target.polyak_update(online)
    np.testing.assert_array_equal(target.state()["params"], np.full((3, 3), 8.0))


@pytest.mark.parametrize("kind", ["rows", "stack"])
def test_a_forward_that_is_not_kept_leaves_what_was_kept(kind):
    network, plain = make(kind, (4, 6, 2)), make(kind, (4, 6, 2))
    x, dy = data((3, 9, 4)), data((3, 9, 2), 1)
    for each in (network, plain):
        each.forward(x)
    np.testing.assert_array_equal(network.forward(2 * x[:, :1], keep=False), plain.clone().forward(2 * x[:, :1]))
    for each in (network, plain):
        each.apply_gradient(dy, EVERY)
    same(network.state(), plain.state())
    for wrong in (network, network.clone()):
        wrong.forward(x, keep=wrong is not network)
        with pytest.raises(RuntimeError, match="a forward that was kept"):
            wrong.apply_gradient(dy, EVERY)


def test_torchs_global_generator_is_unused_and_it_has_one_thread():
    before = torch.random.get_rng_state()
    network = make("rows", (4, 6, 2))
    _train(network, (4, 6, 2), steps=1, columns=slice(0, 3))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.get_num_threads() == 1


def _everything():
    return nn.Sequential(nn.Embedding(11, 6), nn.GRU(6, 25), _First(), nn.LayerNorm(25), nn.Flatten(), nn.Linear(50, 3))


class _First(nn.Module):
    def forward(self, pair):
        return pair[0]


class _Bytes(nn.Module):
    """A module that treats byte inputs as categories, whatever they were converted to."""

    def __init__(self):
        super().__init__()
        self.inner = _everything()

    def forward(self, x):
        return self.inner(x.long())


def test_any_module_is_drawn_in_torchs_own_bounds_from_the_seeds_stream():
    network = TorchNetwork(_Bytes, [4, 9], PLAIN, device="cpu")
    found = {name.removeprefix("inner."): value for name, value in network.parameters().items()}
    assert found["1.weight_ih_l0"].shape == (2, 75, 6)
    for name, bound in (("1.weight_hh_l0", 0.2), ("1.bias_ih_l0", 0.2), ("5.weight", 50**-0.5)):
        assert 0.9 * bound < np.abs(found[name]).max() <= bound, name
    assert 0.8 < found["0.weight"].std() < 1.2
    np.testing.assert_array_equal(found["3.weight"], 1.0)
    assert not np.array_equal(found["1.weight_hh_l0"][0], found["1.weight_hh_l0"][1])
    drawn = init_weights(_Bytes(), rng.generators([9], "weights")[0])
    np.testing.assert_array_equal(found["5.bias"][1], drawn["inner.5.bias"].astype(np.float32))


def test_any_module_learns_by_autograd():
    network = TorchNetwork(_Bytes, [4, 9], PLAIN, device="cpu")
    x, dy = draws(0).integers(0, 11, (2, 7, 2), dtype=np.uint8), data((2, 7, 3))
    twins, begun = [_Bytes(), _Bytes()], network.parameters()
    outputs = network.forward(x)
    network.apply_gradient(dy, np.ones(2, bool))
    moved = network.parameters()
    for i, made in enumerate(twins):
        for name, value in made.named_parameters():
            value.data = torch.tensor(begun[name][i])
        y = made(torch.tensor(x[i]))
        np.testing.assert_allclose(outputs[i], y.detach(), atol=1e-6)
        y.backward(torch.tensor(dy[i]))
        for name, value in made.named_parameters():
            np.testing.assert_allclose(begun[name][i] - moved[name][i], value.grad, atol=1e-5, err_msg=name)


def test_parameters_without_a_rule_are_refused():
    with pytest.raises(ValueError, match="module PReLU: expected one with a rule"):
        TorchNetwork(lambda: nn.Sequential(nn.Linear(2, 2), nn.PReLU()), [0], device="cpu")


@pytest.mark.parametrize("stacked", [False, True])
def test_bytes_are_scaled_in_the_module_and_other_numbers_become_float32(stacked):
    scaled = TorchNetwork(lambda: nn.Sequential(Pixels(), *dense((3, 2))), [0, 1], device="cpu", stacked=stacked)
    plain = TorchNetwork(lambda: dense((3, 2)), [0, 1], device="cpu", stacked=stacked)
    x = draws(3).integers(0, 256, (2, 5, 3), dtype=np.uint8)
    expected = plain.forward(x / 255.0)  # float64
    np.testing.assert_allclose(scaled.forward(x), expected, atol=1e-6)
