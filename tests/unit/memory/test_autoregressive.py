"""Tests of the autoregressive memory: masks, probabilities that sum to 1, and the best filling by enumeration."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from memory import autoregressive
from memory.autoregressive.model_torch import AutoregressiveNetwork
from simulator.core import rng
from simulator.core.memories import PatternSpec
from tests.helpers.patterns import patterns_of_seeds
from tests.helpers.seeding import seed_list

pytestmark = pytest.mark.learning

N = 8
ALL = np.array(list(product([-1.0, 1.0], repeat=N)), np.float32)


def _learned(**fields):
    fields = {"hidden": (16, 16), "updates": 60, "batch_size": 10, **fields}
    memory = autoregressive.make(PatternSpec((N,)), [0, 1], autoregressive.Config(**fields))
    memory.store(patterns_of_seeds(2, 3, N))
    return memory


@pytest.mark.parametrize("order", ["raster", "random"])
def test_probabilities_of_all_patterns_sum_to_one(order):
    energies = _learned(order=order).energy(np.stack([ALL, ALL]))
    np.testing.assert_allclose(np.exp(-energies).sum(-1), 1.0, rtol=1e-5)


def test_a_pixel_depends_on_all_pixels_before_it_and_no_other():
    model = AutoregressiveNetwork(PatternSpec((N,)), autoregressive.Config(hidden=(32, 32)))
    weights = model.init_weights(rng.generators([0], "weights"))
    for i in range(3):
        weights[f"net.{i}.weight"] = weights[f"net.{i}.weight"].abs()  # or paths might cancel
        weights[f"net.{i}.bias"] += 0.1
    x = torch.ones(1, 1, N)
    jacobian = torch.autograd.functional.jacobian(lambda row: model.conditional_logits(weights, row)[0, 0], x)[:, 0, 0]
    np.testing.assert_array_equal(jacobian.numpy() != 0.0, np.tril(np.ones((N, N), bool), -1))


@pytest.mark.parametrize("order", ["raster", "random"])
def test_a_wide_beam_finds_the_most_probable_restoration(order):
    memory = _learned(beam_width=2**N, order=order)
    cues = patterns_of_seeds(2, 6, N, 5)
    stream = rng.generators([3], "recall")[0]
    evidence = (cues * stream.uniform(0.0, 1.0, cues.shape)).astype(np.float32)
    known = stream.random(cues.shape) < 0.2
    found = memory.recall(cues, known, evidence).patterns
    log_p = -memory.energy(np.stack([ALL, ALL]))  # [S, 256]
    score = log_p[:, None] + np.einsum("sqn,pn->sqp", np.where(known, 0.0, evidence), ALL)
    score[((ALL[None, None] != cues[:, :, None]) & known[:, :, None]).any(-1)] = -np.inf
    np.testing.assert_array_equal(found, ALL[score.argmax(-1)])


def test_a_single_path_takes_the_better_choice_at_every_pixel():
    memory = _learned(beam_width=1, recall_mode="single_pass", assumed_flip_prob=0.3)
    cues = patterns_of_seeds(2, 4, N, 9)
    found = memory.recall(cues).patterns
    half = 0.5 * np.log(0.7 / 0.3)
    log_p = -memory.energy(np.stack([ALL, ALL]))
    for s in range(2):
        for q in range(4):
            alive = np.ones(len(ALL), bool)
            for i in range(N):
                total = [np.logaddexp.reduce(log_p[s, alive & (ALL[:, i] == v)]) for v in (-1.0, 1.0)]
                better = 1.0 if total[1] - total[0] + 2 * half * cues[s, q, i] > 0 else -1.0
                alive &= ALL[:, i] == better
            np.testing.assert_array_equal(found[s, q], ALL[alive][0])


def test_sampled_patterns_have_the_probabilities_of_the_energy():
    memory = _learned(hidden=(8, 8), updates=10)
    made = memory.generate(20_000)
    p = np.exp(-memory.energy(np.stack([ALL, ALL])))
    at = ((made + 1) / 2) @ (2 ** np.arange(N - 1, -1, -1))
    for s in range(2):
        shares = np.bincount(at[s].astype(int), minlength=2**N) / 20_000
        noise = 0.5 * np.sqrt(2 * p[s] * (1 - p[s]) / (np.pi * 20_000)).sum()
        assert 0.5 * np.abs(shares - p[s]).sum() < 1.3 * noise


def test_sampled_restorations_hold_what_is_known_and_differ_by_seed_only():
    memory = _learned(selection="sample", beam_width=3)
    cues, known = patterns_of_seeds(2, 5, N, 5), np.arange(N) < 4
    held = np.broadcast_to(known, cues.shape)
    first, second = (memory.recall(cues, held, 0.0 * cues).patterns for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first[held], cues[held])


@pytest.mark.parametrize("recall_mode", ["single_pass", "noise_aware"])
def test_patterns_come_back(recall_mode):
    config = autoregressive.Config(hidden=(48, 48), updates=400, recall_mode=recall_mode)
    memory = autoregressive.make(PatternSpec((5, 5)), seed_list(3), config)
    patterns = patterns_of_seeds(3, 4, 25)
    memory.store(patterns)
    cues = patterns.copy()
    cues[:, :, [9, 20]] *= -1
    assert (memory.recall(cues, None, 0.7 * cues).patterns == patterns).all(-1).mean() >= 0.75
    assert memory.energy(patterns).mean() < memory.energy(patterns_of_seeds(3, 4, 25, 30)).mean() - 5


@pytest.mark.parametrize(
    ("units", "said"), [(PatternSpec((9,), False), "continuous patterns"), (PatternSpec((1,)), "at least 2")]
)
def test_patterns_that_it_cannot_have_are_refused(units, said):
    with pytest.raises(ValueError, match=said):
        autoregressive.make(units, [0], autoregressive.Config())
