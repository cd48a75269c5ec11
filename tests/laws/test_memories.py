"""Tests of memories: the contract that every registered memory keeps.

Memories that train do so for a few updates here.
"""

from __future__ import annotations

import dataclasses
import inspect

import numpy as np
import pytest

from simulator.config import recall as recall_config
from simulator.config.presets import find_memory, memory_presets
from simulator.config.validation import check, merge, settings
from simulator.core import registry, rng
from simulator.core.memories import PatternSpec
from simulator.recall import loop, summary
from simulator.recall.benchmark import Health
from simulator.store.run_store import Store
from tests.laws.players import same, state_of_seed, variants

NAMES = registry.names("memories")
UNITS = PatternSpec((4, 4))
SEEDS = [3, 11, 4]
SHORT = {"updates": 40, "pretrain_updates": 10, "n_chains": 2}  # of those that train, and of those that search
TOLERANCE = 1e-3  # where torch multiplies, after a short training


def quick(name: str, **changes):
    """Return a memory's module and its settings for a short training."""
    player = registry.load("memories", name)
    config = player.Config()
    return player, merge(config, {**shortened(config), **changes})


def shortened(config) -> dict:
    """Return settings of a short training, nested ones too."""
    found = {field: n for field, n in SHORT.items() if hasattr(config, field)}
    for field in dataclasses.fields(config):
        inner = getattr(config, field.name)
        if dataclasses.is_dataclass(inner) and (less := shortened(inner)):
            found[field.name] = less
    return found


def drawn(seed_list, n: int) -> np.ndarray:
    """Return patterns [S, n, 16] of -1 and +1, one stream per seed."""
    streams = rng.generators(seed_list, "patterns")
    return np.stack([np.where(each.random((n, UNITS.n)) < 0.5, -1.0, 1.0) for each in streams]).astype(np.float32)


def corrupted(patterns: np.ndarray, seed_list) -> np.ndarray:
    streams = rng.generators(seed_list, "corruption")
    flips = np.stack([each.random(patterns.shape[1:]) < 0.15 for each in streams])
    return np.where(flips, -patterns, patterns).astype(np.float32)


def played(name: str, seed_list, rows=None, **changes):
    """Store three patterns in a memory and recall them; ``rows``: seeds whose patterns are spoilt."""
    player, config = quick(name, **changes)
    memory = player.make(UNITS, list(seed_list), config)
    patterns = drawn(seed_list, 3)
    cues = corrupted(patterns, seed_list)
    for row in rows or ():
        patterns[row], cues[row] = -patterns[row], cues[row] * -1.0
    memory.store(patterns)
    return memory, memory.recall(cues, None, 0.8 * cues), (patterns, cues)


def uses_torch(name: str) -> bool:
    player, config = quick(name)
    kind = type(player.make(UNITS, SEEDS, config))
    return "torch" in kind.__module__


def close(one, two, name: str) -> None:
    """Assert equality to the bit, or nearly so for torch, whose products depend on the batch."""
    if uses_torch(name):
        np.testing.assert_allclose(one, two, atol=TOLERANCE, rtol=TOLERANCE)
    else:
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("name", NAMES)
def test_the_module_its_settings_and_make_are_documented(name):
    player = registry.load("memories", name)
    assert dataclasses.is_dataclass(player.Config)
    assert player.Config.__dataclass_params__.frozen
    for setting in settings(player.Config):
        assert setting.doc, f"{name}.{setting.name} says nothing"
    assert len(inspect.getdoc(player.module) or "") > 60
    assert inspect.getdoc(player.make)


@pytest.mark.parametrize("name", NAMES)
def test_recall_has_the_shapes_and_the_kinds_of_the_contract(name):
    memory, recall, (patterns, cues) = played(name, SEEDS)
    assert recall.patterns.shape == cues.shape
    assert recall.patterns.dtype == np.float32
    assert (np.abs(recall.patterns) <= 1.0).all()
    assert recall.energy.shape[:2] == cues.shape[:2]
    assert recall.energy.shape[2] >= 1
    assert np.isfinite(recall.energy[:, :, 0]).all()
    assert recall.n_iters.shape == cues.shape[:2]
    assert memory.recall_mode in ("single_pass", "fixed_point", "noise_aware")
    assert memory.domain in ("bipolar", "continuous")
    assert memory.n_parameters >= 0
    energy = memory.energy(patterns)
    assert energy.shape == patterns.shape[:2]
    health = Health(len(SEEDS))
    health.look([memory.state(), energy], "not finite")
    health.look_at(recall)
    assert health.why == [""] * len(SEEDS)


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_does_not_depend_on_those_beside_it(name):
    _, together, _ = played(name, SEEDS)
    for i, seed in enumerate(SEEDS):
        _, alone, _ = played(name, [seed])
        close(alone.patterns[0], together.patterns[i], name)
        loose = 0.05 if uses_torch(name) else 1e-9  # Adam divides by gradients that are next to nothing
        np.testing.assert_allclose(alone.energy[0, :, 0], together.energy[i, :, 0], rtol=loose, atol=loose)


@pytest.mark.parametrize("name", NAMES)
def test_spoiling_one_seed_leaves_the_others_alone(name):
    _, clean, _ = played(name, SEEDS)
    _, spoilt, _ = played(name, SEEDS, rows=[1])
    for i in (0, 2):
        close(spoilt.patterns[i], clean.patterns[i], name)


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_memory_continues_with_the_same_bits(name):
    memory, _, (_, cues) = played(name, SEEDS)
    player, config = quick(name)
    state = memory.state()
    restored = player.make(UNITS, list(SEEDS), config)
    restored.restore(state)
    same(restored.state(), memory.state())
    again, first = restored.recall(cues, None, 0.8 * cues), memory.recall(cues, None, 0.8 * cues)
    np.testing.assert_array_equal(again.patterns, first.patterns)
    assert state_of_seed(state, 0, len(SEEDS)) is not None


@pytest.mark.parametrize("name", NAMES)
def test_trusted_units_are_held(name):
    memory, _, (_, cues) = played(name, SEEDS)
    known = np.zeros(cues.shape, np.bool_)
    known[:, :, :5] = True
    cues[:, :, 5:] = 0.0
    evidence = np.where(known, 20.0 * cues, 0.0)
    found = memory.recall(cues, known, evidence).patterns
    np.testing.assert_array_equal(np.sign(found[known]), cues[known])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("spoil", ["nan", "units", "seeds", "none"])
def test_bad_patterns_are_refused_in_one_line(name, spoil):
    player, config = quick(name)
    memory, patterns = player.make(UNITS, list(SEEDS), config), drawn(SEEDS, 3)
    if spoil == "nan":
        patterns[1, 2, 7] = np.nan
    elif spoil == "units":
        patterns = patterns[:, :, :9]
    elif spoil == "seeds":
        patterns = patterns[:2]
    else:
        patterns = patterns[:, :0]
    with pytest.raises(ValueError, match="expected") as error:
        memory.store(patterns)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", NAMES)
def test_every_variant_is_made_or_refused_with_a_reason(name):
    made = 0
    for turned in variants("memories", name):
        try:
            _, recall, _ = played(name, SEEDS[:1], **turned)
            assert np.isfinite(recall.patterns).all(), turned
            made += 1
        except ValueError as error:
            assert "expected" in str(error), turned  # noqa: PT017 - whether it refuses is the variant's own affair
    assert made


def with_rate(config, rate: float) -> dict:
    """Return settings of a short training with every learning rate at ``rate``, nested ones too."""
    found = {field: n for field, n in SHORT.items() if hasattr(config, field)}
    for field in dataclasses.fields(config):
        inner = getattr(config, field.name)
        if dataclasses.is_dataclass(inner) and (less := with_rate(inner, rate)):
            found[field.name] = less
        elif field.name == "learning_rate":
            found[field.name] = rate
    return found


def learns(name: str) -> bool:
    return "learning_rate" in repr(registry.load("memories", name).Config())


@pytest.mark.parametrize("name", [name for name in NAMES if learns(name)])
def test_diverging_weights_are_detected_and_end_no_benchmark(name, tmp_path):
    config = registry.load("memories", name).Config()
    memories = {"wild": {"name": name, **with_rate(config, 1e38)}, "nearest_neighbor": {}}
    tables = {"seeds": 2, "patterns": [6], "corruption": ["flip:0.2"], "novel": 4, "challenge": {"name": "digits"}}
    with Store(tmp_path) as store:
        for _ in loop.recall(recall_config.build({**tables, "memory": memories}), store):
            pass
        found = summary.summary(store, "r1")
    assert [(each["memory"], each["seed"]) for each in found["failed"]] == [("wild", 0), ("wild", 1)]
    assert [each["overlap"] is None for each in found["cells"]] == [True, False]


def test_presets_are_settings_that_their_memory_has():
    presets = memory_presets()
    for name, (player, own) in presets.items():
        found, config = find_memory(name)
        assert found.name == player.name
        assert dataclasses.is_dataclass(config)
        assert own
        assert check(settings(player.Config), own, _layer()) is not None


def _layer():
    from simulator.config.validation import ConfigSource

    return ConfigSource({})
