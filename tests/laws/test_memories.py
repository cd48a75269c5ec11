"""Tests of memories: the contract that every registered memory keeps.

Memories that train do so for a few updates here.
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import subprocess
import sys
from typing import get_args, get_type_hints

import numpy as np
import pytest

from simulator.checks import memories
from simulator.checks.memories import SEEDS, UNITS
from simulator.config import recall as recall_config
from simulator.config.presets import find_memory, memory_presets
from simulator.config.validation import check, merge, settings
from simulator.core import optimizers, registry
from simulator.core.memories import DecodesCodes, HasTemperature, StepwiseRecall, StepwiseStore
from simulator.recall import loop, summary
from simulator.recall.benchmark import Health
from simulator.store.run_store import Store
from tests.laws.players import variants

NAMES = registry.names("memories")
SHORT = {"updates": 40, "pretrain_updates": 10, "n_chains": 2}  # of those that train, and of those that search
TOLERANCE = 1e-3  # where torch multiplies, after a short training


def quick(name: str, **changes):
    """Return a memory's module and its settings for a short training."""
    player = registry.load("memories", name)
    config = player.Config()
    return player, merge(merge(config, shortened(config)), changes)


def shortened(config) -> dict:
    """Return settings of a short training, nested ones too."""
    found = {field: n for field, n in SHORT.items() if hasattr(config, field)}
    for field in dataclasses.fields(config):
        inner = getattr(config, field.name)
        if dataclasses.is_dataclass(inner) and (less := shortened(inner)):
            found[field.name] = less
    return found


def case_of(name: str, **changes) -> memories.MemoryCase:
    """Return a memory as the laws take it: bits, or nearly so for torch, whose products depend on the batch."""
    player, config = quick(name, **changes)
    make = lambda seeds: player.make(UNITS, list(seeds), config)  # noqa: E731
    if uses_torch(name):
        return memories.MemoryCase(make, TOLERANCE, 0.05)  # Adam divides by gradients that are next to nothing
    return memories.MemoryCase(make)


def uses_torch(name: str) -> bool:
    player, config = quick(name)
    kind = type(player.make(UNITS, SEEDS, config))
    return "torch" in kind.__module__


def _one_seed(name: str, **changes):
    """Return a memory of one seed, and patterns to store."""
    player, config = quick(name, **changes)
    return player.make(UNITS, list(SEEDS)[:1], config), memories.drawn(list(SEEDS)[:1], 3)


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
    case = case_of(name)
    memories.recalls_by_the_contract(case)
    memory, recall, patterns, _ = memories.played(case.make, SEEDS)
    health = Health(len(SEEDS))
    health.look([memory.state(), memory.energy(patterns)], "not finite")
    health.look_at(recall)
    assert health.why == [""] * len(SEEDS)


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_does_not_depend_on_those_beside_it(name):
    memories.seeds_together_equal_seeds_alone(case_of(name))


@pytest.mark.parametrize("name", NAMES)
def test_spoiling_one_seed_leaves_the_others_alone(name):
    memories.spoilt_seeds_leave_the_others_alone(case_of(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_memory_continues_with_the_same_bits(name):
    memories.recalls_the_same_after_restore(case_of(name))


@pytest.mark.parametrize("name", NAMES)
def test_trusted_units_are_held(name):
    memories.holds_known_units(case_of(name))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("spoil", ["nan", "units", "seeds", "none"])
def test_bad_patterns_are_refused_in_one_line(name, spoil):
    player, config = quick(name)
    memory, patterns = player.make(UNITS, list(SEEDS), config), memories.drawn(SEEDS, 3)
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
            recall = memories.played(case_of(name, **turned).make, SEEDS[:1]).recall
            assert np.isfinite(recall.patterns).all(), turned
            made += 1
        except ValueError as error:
            assert "expected" in str(error), turned  # noqa: PT017 - whether it refuses is the variant's own affair
    assert made


def rule_of(name: str) -> str | None:
    """Return where a memory has its update rule among its settings, or None for one that learns without."""
    config = registry.load("memories", name).Config()
    return next((path for path in ("optimizer", "learn") if "RuleConfig" in repr(getattr(config, path, ""))), None)


LEARNED = [name for name in NAMES if rule_of(name)]


def by_rule(name: str, kind: str, **constants) -> dict:
    """Return the changes of settings that give a memory an update rule."""
    settings_of_rule = {"kind": kind, **constants}
    return (
        {"learn": {**SHORT, "optimizer": settings_of_rule}}
        if rule_of(name) == "learn"
        else {"optimizer": settings_of_rule}
    )


def test_every_memory_that_learns_by_gradients_has_the_seven_rules():
    by_gradients = {"autoencoder", "vae", "gan", "adversarial_autoencoder", "autoregressive", "conv_autoencoder"}
    assert by_gradients | {"rbm", "deep_belief", "boltzmann"} <= set(LEARNED)


@pytest.mark.parametrize("name", LEARNED)
def test_seeds_do_not_meet_in_any_update_rule_and_each_leads_elsewhere(name):
    patterns = memories.drawn(SEEDS[:2], 3)
    short = {"updates": 6, **({"latent_steps": 2, "n_candidates": 16} if name == "gan" else {})}
    found = set()
    for kind in optimizers.KINDS:
        changes = {"learn": {"updates": 6, "optimizer": {"kind": kind}}}
        case = case_of(name, **(changes if rule_of(name) == "learn" else {**short, "optimizer": {"kind": kind}}))
        together = case.make(SEEDS[:2])
        together.store(patterns)
        alone = case.make(SEEDS[1:2])
        alone.store(patterns[1:])
        energies = alone.energy(patterns[1:])
        np.testing.assert_allclose(energies[0], together.energy(patterns)[1], rtol=case.tolerance, atol=case.tolerance)
        found.add(energies.tobytes())
    assert len(found) == len(optimizers.KINDS)


@pytest.mark.parametrize("name", LEARNED)
def test_a_constant_that_the_rule_does_not_have_is_refused(name):
    changes = {"optimizer": {"kind": "sgd", "beta2": 0.9}}
    with pytest.raises(ValueError, match=r"optimizer.beta2 = 0.9 with kind = sgd: expected adadelta, rmsprop or adam"):
        case_of(name, **({"learn": changes} if rule_of(name) == "learn" else changes)).make(SEEDS)


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


@pytest.mark.parametrize("name", ["hopfield", "boltzmann", "nearest_neighbor"])
def test_a_memory_shows_itself(name):
    words = [sys.executable, "-m", f"memory.{name}"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=registry.ROOT)
    assert "recalled" in done.stdout


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


STEPWISE = [name for name in NAMES if isinstance(_one_seed(name)[0], StepwiseRecall)]
PIECEWISE = [name for name in NAMES if isinstance(_one_seed(name)[0], StepwiseStore)]


def _cases():
    """Yield every memory that recalls by steps, in each of its modes; Hopfield's networks with weights too."""
    for name in STEPWISE:
        modes = get_type_hints(registry.load("memories", name).Config).get("recall_mode")
        yield from ((name, {"recall_mode": mode}) for mode in get_args(modes))
        if modes is None:
            yield name, {}
    yield "hopfield", {"rule": "storkey", "bias": True}
    yield "hopfield", {"update": "synchronous"}
    yield "dense_hopfield", {"kind": "exponential"}


@pytest.mark.parametrize(("name", "changes"), [pytest.param(*case, id=f"{case[0]}-{case[1]}") for case in _cases()])
def test_the_last_step_is_the_recall_bit_for_bit(name, changes):
    memory, patterns = _one_seed(name, **changes)
    memory.store(patterns)
    cue = patterns[0, 1].copy()
    cue[[0, 3, 7]] *= -1.0
    known = np.zeros(cue.shape, np.bool_)
    known[[1, 3]] = True
    evidence = 0.7 * cue
    before = str(memory.state())
    steps = list(memory.trajectory(0, cue, known, evidence))
    assert str(memory.state()) == before
    recall = memory.recall(cue[None, None], known[None, None], evidence[None, None])
    np.testing.assert_array_equal(steps[0].pattern, cue)
    assert steps[0].iteration == 0
    np.testing.assert_array_equal(steps[-1].pattern, recall.patterns[0, 0])
    assert steps[-1].iteration == recall.n_iters[0, 0] or "gan" in name
    last = recall.energy[0, 0][np.isfinite(recall.energy[0, 0])][-1]
    assert steps[-1].energy == pytest.approx(last, rel=1e-9)
    assert len(steps) > 1 or recall.n_iters[0, 0] == 0
    for step in steps:
        assert step.pattern.shape == cue.shape
        assert np.abs(step.pattern).max() <= 1.0
        assert not np.isinf(step.energy)


@pytest.mark.parametrize("name", ["hopfield", "dense_hopfield", "boltzmann"])
def test_a_step_of_a_unit_changes_that_unit_alone(name):
    memory, patterns = _one_seed(name)
    memory.store(patterns)
    cue = patterns[0, 0] * np.where(np.arange(UNITS.n) < 5, -1.0, 1.0).astype(np.float32)
    steps = list(memory.trajectory(0, cue))
    flips = 0
    for before, after in itertools.pairwise(steps):
        changed = np.flatnonzero(before.pattern != after.pattern)
        assert changed.tolist() == ([after.unit] if after.unit >= 0 else [])
        flips += after.unit >= 0
        if after.unit >= 0 and name == "hopfield":
            assert after.energy < before.energy
            assert after.energy == pytest.approx(memory.energy(after.pattern[None, None])[0, 0])
    assert flips > 0


@pytest.mark.parametrize("name", PIECEWISE)
def test_storing_in_pieces_ends_with_the_bits_of_storing(name):
    at_once, patterns = _one_seed(name)
    at_once.store(patterns)
    in_pieces, _ = _one_seed(name)
    shares = []
    for share in in_pieces.storing(patterns):
        if not shares:
            early = in_pieces.energy(patterns)
        in_pieces.restore(in_pieces.state())  # who draws samples meanwhile puts back what was there
        shares.append(share)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) > 5
    assert str(in_pieces.state()) == str(at_once.state())
    np.testing.assert_array_equal(in_pieces.energy(patterns), at_once.energy(patterns))
    assert (early != at_once.energy(patterns)).any()


@pytest.mark.parametrize("name", [name for name in NAMES if isinstance(_one_seed(name)[0], DecodesCodes)])
def test_codes_are_decoded_to_patterns(name):
    memory, patterns = _one_seed(name)
    memory.store(patterns)
    codes = memory.codes(patterns) if hasattr(memory, "codes") else np.zeros((1, 3, memory.code_size), np.float32)
    assert codes.shape[2] == memory.code_size
    decoded = memory.decode(codes)
    assert decoded.shape == (1, codes.shape[1], UNITS.n)
    assert np.abs(decoded).max() <= 1.0


@pytest.mark.parametrize("name", [name for name in NAMES if isinstance(_one_seed(name)[0], HasTemperature)])
def test_a_temperature_is_set_and_read(name):
    memory, _ = _one_seed(name)
    memory.temperature = 2.5
    assert memory.temperature == pytest.approx(2.5)
