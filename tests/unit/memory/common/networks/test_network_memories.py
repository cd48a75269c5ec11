"""Tests of every memory that learns by gradients: seeds, states, known units, domains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from memory import adversarial_autoencoder, autoencoder, autoregressive, conv_autoencoder, gan, vae
from memory.common.networks import memory_torch
from simulator.core import rng
from simulator.core.jit import set_threads
from simulator.core.memories import PatternSpec

UNITS = PatternSpec((4, 4))
_FEW = {"updates": 4, "batch_size": 8}
CASES = {
    "autoencoder": (autoencoder, {"hidden": (9, 7), "recall_mode": "fixed_point", **_FEW}),
    "dropout": (autoencoder, {"hidden": (9, 7), **_FEW, "dropout": 0.2, "tied": True, "recall_mode": "noise_aware"}),
    "pretrained": (
        autoencoder,
        {"hidden": (9, 7), **_FEW, "pretrain": "rbms", "pretrain_updates": 3, "activation": "sigmoid"},
    ),
    "conv": (conv_autoencoder, {"channels": (3,), "latent_dim": 8, **_FEW}),
    "vae": (vae, {"hidden": (9,), "latent_dim": 3, **_FEW}),
    "adversarial": (adversarial_autoencoder, {"hidden": (9,), "discriminator_hidden": (5,), "latent_dim": 3, **_FEW}),
    "gan": (
        gan,
        {
            "generator_hidden": (9,),
            "discriminator_hidden": (7,),
            "latent_dim": 3,
            "unrolled_steps": 1,
            "n_candidates": 9,
            "latent_steps": 3,
            **_FEW,
        },
    ),
    "pixels": (autoregressive, {"hidden": (9, 9), "order": "random", **_FEW}),
    "sampled pixels": (autoregressive, {"hidden": (9, 9), "selection": "sample", "recall_mode": "noise_aware", **_FEW}),
}


@pytest.fixture(params=CASES)
def case(request):
    module, fields = CASES[request.param]
    return module, module.Config(**fields)


def _patterns(seed_list, n=5):
    streams = rng.generators(seed_list, "patterns")
    return np.stack([np.where(each.random((n, 16)) < 0.5, 1.0, -1.0) for each in streams]).astype(np.float32)


def _made(case, seed_list):
    module, config = case
    memory = module.make(UNITS, seed_list, config)
    memory.store(_patterns(seed_list))
    return memory


def _weights(memory):
    return memory.state()["weights"]


def _evidence(memory, cues):
    return 0.7 * cues if memory.recall_mode == "noise_aware" else None


@pytest.mark.slow
def test_a_seeds_weights_do_not_depend_on_the_others(case):
    together, other = _weights(_made(case, [3, 5, 8])), _weights(_made(case, [8, 3]))
    alone = _weights(_made(case, [5]))
    for name, part in together.items():
        np.testing.assert_allclose(part[1:2], alone[name], atol=1e-4)
        np.testing.assert_allclose(part[[2, 0]], other[name], atol=1e-4)
        assert len(part) == 3


def test_a_seeds_weights_do_not_depend_on_the_number_of_threads(case):
    one = _weights(_made(case, [3, 5, 8]))
    set_threads(2)
    try:
        two = _weights(_made(case, [3, 5, 8]))
    finally:
        set_threads(1)
    for name, part in one.items():
        np.testing.assert_allclose(part, two[name], atol=1e-4)


def test_the_same_again_and_after_a_restore(case):
    memory, seed_list = _made(case, [1, 2]), [1, 2]
    cues = _patterns([7, 9])
    first = memory.recall(cues, None, _evidence(memory, cues))
    state = memory.state()
    other = case[0].make(UNITS, seed_list, case[1])
    other.restore(state)
    second = other.recall(cues, None, _evidence(memory, cues))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(memory.energy(cues), other.energy(cues))
    if hasattr(memory, "generate"):
        made = memory.generate(3)
        np.testing.assert_array_equal(made, other.generate(3))
        np.testing.assert_array_equal(memory.generate(9), other.generate(9))
        assert made.shape == (2, 3, 16)
        assert set(np.unique(made)) <= {-1.0, 1.0}
    memory.store(_patterns(seed_list))  # storing begins anew
    for name, part in state["weights"].items():
        np.testing.assert_array_equal(part, _weights(memory)[name])


def test_layers_follow_the_number_of_stored_patterns_and_come_back_with_the_state():
    config = autoencoder.Config(updates=1, batch_size=8)
    memory, other = (autoencoder.make(UNITS, [1], config) for _ in range(2))
    assert memory.code_size == 192
    memory.store(np.ones((1, 2_400, 16), np.float32))
    cues = _patterns([7])
    assert memory.code_size == memory.codes(cues).shape[2] == 208  # 192 (2,400 / 2,000)^.42 in steps of 16
    other.restore(memory.state())
    assert other.code_size == 208
    np.testing.assert_array_equal(memory.decode(memory.codes(cues)), other.decode(other.codes(cues)))
    np.testing.assert_array_equal(memory.recall(cues).patterns, other.recall(cues).patterns)


def test_recall_returns_signs_holds_known_units_and_reports_its_iterations(case):
    memory = _made(case, [1, 2])
    cues = _patterns([7, 9], 6)
    known = np.zeros(cues.shape, bool)
    known[:, ::2, :8] = True
    cues[:, :, 12:] = 0.0
    before = cues.copy()
    found = memory.recall(cues, known, _evidence(memory, cues))
    np.testing.assert_array_equal(cues, before)
    assert set(np.unique(found.patterns)) == {-1.0, 1.0}
    np.testing.assert_array_equal(found.patterns[known], cues[known])
    assert found.patterns.dtype == np.float32
    assert found.energy.dtype == np.float64
    assert found.n_iters.dtype == np.int64
    assert found.energy.shape[2] == 1 + found.n_iters.max()
    np.testing.assert_array_equal(np.isfinite(found.energy).sum(-1), 1 + found.n_iters)
    np.testing.assert_allclose(found.energy[:, :, 0], memory.energy(cues), rtol=1e-4)
    assert memory.n_parameters == sum(part[0].size for part in _weights(memory).values())


def test_a_cue_does_not_depend_on_the_others(case):
    if getattr(case[1], "selection", "") == "sample":
        pytest.skip("sampled pixel by pixel, all cues from one stream")
    memory = _made(case, [1, 2])
    cues = _patterns([7, 9], 6)
    all_of_them = memory.recall(cues, None, _evidence(memory, cues))
    some = memory.recall(cues[:, :2], None, _evidence(memory, cues[:, :2]))
    np.testing.assert_array_equal(all_of_them.patterns[:, :2], some.patterns)


def test_codes_are_one_row_for_each_pattern(case):
    memory = _made(case, [1, 2])
    if hasattr(memory, "codes"):
        assert memory.codes(_patterns([1, 2], 3)).shape[:2] == (2, 3)
    else:
        assert case[0] in (gan, autoregressive)


def test_invalid_settings_are_refused(case):
    module, config = case
    memory = module.make(UNITS, [0], config)
    with pytest.raises(ValueError, match="nothing is stored"):
        memory.recall(_patterns([0]))
    with pytest.raises(ValueError, match="expected -1 or \\+1"):
        memory.store(np.full((1, 2, 16), 0.5))
    with pytest.raises(ValueError, match="nothing is stored"):
        memory.energy(_patterns([0]))
    memory.store(_patterns([0]))
    with pytest.raises(ValueError, match="16 units"):
        memory.recall(np.ones((1, 2, 15)))
    with pytest.raises(ValueError, match="unit 3 is nan"):
        memory.energy(np.where(np.arange(16) == 3, np.nan, 1.0)[None, None])
    if memory.recall_mode == "noise_aware":
        with pytest.raises(ValueError, match="expected finite numbers"):
            memory.recall(_patterns([0]), None, np.full((1, 5, 16), np.inf))


def test_a_corruption_without_evidence_is_recalled_as_if_it_were_not_known(case):
    module, config = case
    blind = "single_pass" if module is autoregressive else "fixed_point"
    results = []
    for recall_mode in ("noise_aware", blind):
        memory = module.make(UNITS, [4], replace(config, recall_mode=recall_mode))
        memory.store(_patterns([4]))
        results.append(memory.recall(_patterns([9])))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_evidence_is_used_by_noise_aware_recall_only(case):
    module, config = case
    cues = np.zeros((1, 3, 16), np.float32)
    evidence = np.where(np.arange(16) % 3 == 0, 9.0, -9.0) * np.ones((1, 3, 1))
    for recall_mode in ("noise_aware", "single_pass" if module is autoregressive else "fixed_point"):
        memory = module.make(UNITS, [4], replace(config, recall_mode=recall_mode))
        memory.store(_patterns([4]))
        found = memory.recall(cues, None, evidence).patterns
        assert (found == np.sign(evidence)).all() == (recall_mode == "noise_aware")


@pytest.mark.parametrize("name", ["autoencoder", "conv", "vae"])
def test_patterns_in_blocks_give_what_they_give_at_once(name, monkeypatch):
    module, fields = CASES[name]
    memory = _made((module, module.Config(**fields)), [0, 1])
    cues = _patterns([0, 1], 11)
    at_once = memory.recall(cues), memory.energy(cues), memory.codes(cues), memory.decode(memory.codes(cues))
    monkeypatch.setattr(memory_torch, "BLOCK_VALUES", 4 * UNITS.n)
    in_blocks = memory.recall(cues), memory.energy(cues), memory.codes(cues), memory.decode(memory.codes(cues))
    for one, other in zip((*at_once[0], *at_once[1:]), (*in_blocks[0], *in_blocks[1:]), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
