"""The Boltzmann machine as a memory: settings, learning, annealed recall, energies and new patterns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import nan
from typing import Annotated, Literal, NamedTuple

import numpy as np
from msgspec import Meta
from scipy.special import entr

from memory.boltzmann.enumeration import clamped_phase, energy, free_moments
from memory.boltzmann.gibbs import GibbsChains, anneal, geometric_schedule, make_chains
from memory.boltzmann.training import RULES, BoltzmannLearning, BoltzmannParams, is_exact, train
from memory.common.sizing import REFERENCE_UNITS, sized
from memory.common.validation import check, check_evidence, check_known, hold, one_cue
from simulator.core import rng
from simulator.core.field_types import Count, CountOfSize, CountOrZero, Positive
from simulator.core.jit import parallel_for
from simulator.core.memories import PatternSpec, Recall, RecallStep
from simulator.core.optimizers import check_rule
from simulator.core.protocols import Array, State

MAX_SUMMED_HIDDEN = 12  # hidden units that are summed out of the energy exactly
MEAN_FIELD_ITERS = 50  # iterations of mean field where they are more
MAX_INITIAL_BIAS = 2.0  # bound of the initial visible biases
MAX_ROWS = 256  # chains that are moved at once
MAX_WEIGHT_BYTES = 2 << 30
N_PIECES = 50  # in which patterns are stored while somebody looks
RELEASE_SWEEPS = 5  # without the evidence, at the end of recall
MAX_RELEASE_LOAD = 0.25  # patterns per unit up to which they are without setting
GENERATE_SWEEPS = 5  # sweeps of a generating chain, as a multiple of recall.max_iters


@dataclass(frozen=True)
class BoltzmannRecall:
    """Recall and generation of a Boltzmann machine."""

    max_iters: Count = 60
    """Gibbs sweeps of each chain"""
    n_chains: Count = 4
    """chains per cue; the one that ends at the lowest energy, evidence included, is returned"""
    t_init: Positive = 3.0
    """temperature of the first sweep with noise_aware, and when generating"""
    t_init_fixed_point: Positive = 0.5
    """temperature of the first sweep with fixed_point, where only the initial state depends on the cue"""
    t_final: Annotated[float, Meta(ge=1e-3)] = 0.1
    """temperature of the last sweep; it falls geometrically"""
    release_sweeps: CountOfSize = 0
    """sweeps at t_final that follow with noise_aware, in which the evidence counts no more: wrong units of the cue that
    outweigh the other units give way; 0: 5 with more than 64 units and at most a fourth as many patterns, otherwise
    none, as a machine that holds more patterns leaves them without the evidence"""


@dataclass(frozen=True)
class Config:
    """Settings of a Boltzmann machine."""

    recall_mode: Literal["fixed_point", "noise_aware"] = "noise_aware"
    """fixed_point: the chains begin at the cue; noise_aware: the evidence of the cue is also a field on every unit,
    where the corruption gives any"""
    n_hidden: CountOrZero = 0
    """hidden units, connected with all others"""
    weight_init_std: Positive = 0.05
    """standard deviation of the initial weights of hidden units; all others begin at 0"""
    learn: BoltzmannLearning = field(default_factory=BoltzmannLearning)
    """learning"""
    recall: BoltzmannRecall = field(default_factory=BoltzmannRecall)
    """recall and generation"""


class RecallSchedule(NamedTuple):
    """Sweeps of recall, and what the cues say besides being its first states."""

    field: Array  # float32 [S, Q, N], external field of the evidence
    temperatures: Array  # float64 [T], of every sweep
    n_released: int  # of the sweeps, at the end, that are without the field


class AnnealedStates(NamedTuple):
    """Ends of the best chains of Q cues."""

    visible: Array  # float32 [Q, N]
    energy: Array  # float64 [Q, 1 + T], of the whole state, at the cue and after each sweep


class BoundedFreeEnergy(NamedTuple):
    """Free energies of Q patterns."""

    value: Array  # float64 [Q], exact for few hidden units, else the mean-field bound
    codes: Array  # float64 [Q, H], mean hidden units by mean field


class BoltzmannMemory:
    """S machines; see :class:`simulator.core.memories.Memory`."""

    domain = "bipolar"

    def __init__(self, spec: PatternSpec, seed_list: Sequence[int], config: Config) -> None:
        n = spec.n + config.n_hidden
        n_seeds = len(seed_list)
        if not spec.is_bipolar:
            raise ValueError("boltzmann: patterns of real numbers, expected bipolar units")
        if 4 * n * n * n_seeds > MAX_WEIGHT_BYTES:
            size = 4 * n * n * n_seeds / 2**30
            raise ValueError(f"boltzmann: weights of {size:,.1f} GiB for all seeds, expected at most 2")
        check_rule(config.learn.optimizer, "boltzmann.learn.optimizer")
        is_exact(config.learn, n)  # raises where exact phases are impossible
        self.recall_mode: str = config.recall_mode
        self._spec = spec
        self._seeds = list(seed_list)
        self._config = replace(config, learn=sized(config.learn, RULES, n))
        self._params = BoltzmannParams(np.zeros((n_seeds, n, n), np.float32), np.zeros((n_seeds, n), np.float32))
        self._n_patterns = 0
        self._streams = rng.pcg64_states(self._seeds, "recall")

    @property
    def n_parameters(self) -> int:
        """Weights of pairs and biases of one seed."""
        n = self._params.bias.shape[1]
        return n * (n + 1) // 2

    def store(self, patterns: Array) -> None:
        """Learn patterns [S, P, N] from initial weights.

        Raises:
            ValueError: another shape, or values other than -1 and +1.
        """
        values = check(patterns, len(self._seeds), self._spec, "pattern", domain="bipolar")
        for _ in self._storing(values, self._config.learn.updates):
            pass

    def storing(self, patterns: Array) -> Iterator[float]:
        """Learn patterns [S, P, N] as :meth:`store` does, a piece of the updates at a time."""
        values = check(patterns, len(self._seeds), self._spec, "pattern", domain="bipolar")
        return self._storing(values, max(1, self._config.learn.updates // N_PIECES))

    def _storing(self, patterns: Array, piece: int) -> Iterator[float]:
        """Learn patterns [S, P, N] from initial weights, so many updates at a time."""
        self._n_patterns = patterns.shape[1]
        self._init_params(patterns)
        streams = rng.pcg64_states(self._seeds, "training")
        settings = self._config.learn
        training = [
            train(self._seed_params(i), patterns[i], streams[i : i + 1], settings, piece) for i in range(len(patterns))
        ]

        def work(first: int, last: int) -> None:
            for i in range(first, last):
                next(training[i])

        for n_done in range(0, settings.updates, piece):
            parallel_for(work, len(patterns))
            yield min(n_done + piece, settings.updates) / settings.updates

    def _init_params(self, patterns: Array) -> None:
        """Set visible biases to the patterns' means, and draw the weights of hidden units by each seed's own stream."""
        n = self._params.bias.shape[1]
        n_visible = self._spec.n
        self._params.bias[:] = 0.0
        mean = np.clip(patterns.mean(1), -1.0 + 1e-6, 1.0 - 1e-6)
        self._params.bias[:, :n_visible] = np.clip(np.arctanh(mean), -MAX_INITIAL_BIAS, MAX_INITIAL_BIAS)
        for weights, generator in zip(self._params.weights, rng.generators(self._seeds, "weights"), strict=True):
            upper = np.triu(generator.standard_normal((n, n)), 1) * self._config.weight_init_std
            upper[:n_visible, :n_visible] = 0.0
            weights[:] = upper + upper.T

    def _seed_params(self, i: int) -> BoltzmannParams:
        return BoltzmannParams(self._params.weights[i], self._params.bias[i])

    def recall(self, cues: Array, known: Array | None = None, evidence: Array | None = None) -> Recall:
        """Restore cues [S, Q, N]; patterns are returned as -1 and +1.

        The trace holds energies of the whole state, hidden units included; at the cue they count as 0, as do unknown
        visible units.

        Raises:
            ValueError: another shape, or values other than -1, 0 and +1.
        """
        values = check(cues, len(self._seeds), self._spec, "cue", domain="cue")
        mask = check_known(known, values)
        schedule = self._schedule(values, evidence)
        restored = np.empty_like(values)
        trace = np.empty((*values.shape[:2], 1 + len(schedule.temperatures)))
        n_cues = max(1, MAX_ROWS // self._config.recall.n_chains)

        def work(first: int, last: int) -> None:
            for i in range(first, last):
                for start in range(0, values.shape[1], n_cues):
                    at = (i, slice(start, start + n_cues))
                    annealed = self._anneal_cues(i, values[at], mask[at], schedule._replace(field=schedule.field[at]))
                    restored[at] = annealed.visible
                    trace[at] = annealed.energy

        parallel_for(work, len(values))
        n_iters = np.full(values.shape[:2], len(schedule.temperatures), np.int64)
        return Recall(hold(restored, values, mask), trace, n_iters)

    def _schedule(self, cues: Array, evidence: Array | None) -> RecallSchedule:
        """Return the sweeps of recall from cues [S, Q, N]."""
        settings = self._config.recall
        if self.recall_mode != "noise_aware" or evidence is None:
            temperatures = geometric_schedule(settings.t_init_fixed_point, settings.t_final, settings.max_iters)
            return RecallSchedule(np.zeros_like(cues), temperatures, 0)
        temperatures = geometric_schedule(settings.t_init, settings.t_final, settings.max_iters)
        n = self._params.bias.shape[1]
        releases = n > REFERENCE_UNITS and self._n_patterns <= MAX_RELEASE_LOAD * n
        n_released = settings.release_sweeps or (RELEASE_SWEEPS if releases else 0)
        released = np.full(n_released, settings.t_final)
        field = check_evidence(evidence, cues, "boltzmann")
        return RecallSchedule(field, np.concatenate([temperatures, released]), n_released)

    def _anneal_cues(self, i: int, cues: Array, known: Array, schedule: RecallSchedule) -> AnnealedStates:
        """Anneal chains of seed i from cues [Q, N], and keep the best of each."""
        params = self._seed_params(i)
        chains = self._chains_at(cues, known, schedule.field, self._streams[i])
        released = chains._replace(field=np.zeros_like(chains.field))
        trace = np.empty((len(chains.states), 1 + len(schedule.temperatures)))
        trace[:, 0] = self._cue_energies(params, np.repeat(cues, self._config.recall.n_chains, axis=0))
        n_held = len(schedule.temperatures) - schedule.n_released
        stream = self._streams[i : i + 1]
        anneal(params.weights, params.bias, chains, schedule.temperatures[:n_held], trace, stream)
        anneal(params.weights, params.bias, released, schedule.temperatures[n_held:], trace[:, n_held:], stream)
        best = self._best(chains, trace)
        return AnnealedStates(chains.states[best, : self._spec.n], trace[best])

    def _chains_at(self, cues: Array, known: Array, field: Array, stream: Array) -> GibbsChains:
        """Make chains that begin at cues [Q, N]; ``stream`` uint64 [4] is advanced."""
        n_chains = self._config.recall.n_chains
        n = self._spec.n
        chain_cues = np.repeat(cues, n_chains, axis=0)
        chains = self._random_chains(stream, len(chain_cues))
        chains.states[:, :n] = np.where(chain_cues != 0.0, chain_cues, chains.states[:, :n])
        chains.clamped[:, :n] = np.repeat(known, n_chains, axis=0) & (chain_cues != 0.0)
        chains.field[:, :n] = np.repeat(field, n_chains, axis=0)
        return chains

    def _cue_energies(self, params: BoltzmannParams, cues: Array) -> Array:
        """Compute the energies [Q] at cues [Q, N], hidden units 0."""
        initial = np.zeros((len(cues), len(params.bias)))
        initial[:, : self._spec.n] = cues
        return energy(params.weights.astype(np.float64), params.bias.astype(np.float64), initial)

    def _best(self, chains: GibbsChains, trace: Array) -> Array:
        """Return the number of the chain of lowest energy, field included, of each cue, [Q]."""
        n_chains = self._config.recall.n_chains
        final = trace[:, -1] - (chains.states * chains.field).sum(1, dtype=np.float64)
        best = final.reshape(-1, n_chains).argmin(1)
        return np.asarray(best + n_chains * np.arange(len(best)))

    @property
    def temperature(self) -> float:
        """Temperature of the first sweep of recall; may be set."""
        settings = self._config.recall
        return settings.t_init if self.recall_mode == "noise_aware" else settings.t_init_fixed_point

    @temperature.setter
    def temperature(self, value: float) -> None:
        recall = replace(self._config.recall, t_init=value, t_init_fixed_point=value)
        self._config = replace(self._config, recall=recall)

    def trajectory(
        self, index: int, cue: Array, known: Array | None = None, evidence: Array | None = None
    ) -> Iterator[RecallStep]:
        """Recall one cue unit by unit: the chain that ends as the best, hidden units unseen."""
        n = self._spec.n
        values = check(np.asarray(cue)[None, None], 1, self._spec, "cue", domain="cue")
        mask = check_known(one_cue(known), values)
        schedule = self._schedule(values, one_cue(evidence))
        temperatures = schedule.temperatures
        params = self._seed_params(index)
        stream = self._streams[index : index + 1].copy()
        chains = self._chains_at(values[0], mask[0], schedule.field[0], stream[0])
        released = chains._replace(field=np.zeros_like(chains.field))
        states = [chains.states.copy()]
        trace = np.empty((len(chains.states), 1 + len(temperatures)))
        for t in range(len(temperatures)):
            moved = chains if t < len(temperatures) - schedule.n_released else released
            anneal(params.weights, params.bias, moved, temperatures[t : t + 1], trace[:, t : t + 2], stream)
            states.append(chains.states.copy())
        best = int(self._best(chains, trace)[0])
        yield RecallStep(values[0, 0], float(self._cue_energies(params, values[0])[0]))
        if (values == 0.0).any():
            yield RecallStep(states[0][best, :n].copy(), nan)
        weights = params.weights.astype(np.float64)
        for t in range(len(temperatures)):
            yield from self._flips(weights, params.bias, (states[t][best], states[t + 1][best]), t + 1, temperatures[t])
            pattern = hold(states[t + 1][best, :n], values[0, 0], mask[0, 0])
            yield RecallStep(pattern, float(trace[best, t + 1]), t + 1, -1, float(temperatures[t]))

    def _flips(
        self, weights: Array, bias: Array, states: tuple[Array, Array], sweep: int, temperature: float
    ) -> Iterator[RecallStep]:
        """Yield the flips of one sweep between its first and last state: units are sampled once each, in order."""
        state = states[0].astype(np.float64)
        inputs = weights @ state
        now = -float(state @ (0.5 * inputs + bias))
        for unit in np.flatnonzero(states[0] != states[1]):
            change = -2.0 * state[unit]
            now -= change * (inputs[unit] + bias[unit])
            inputs += change * weights[unit]
            state[unit] = -state[unit]
            if unit < self._spec.n:
                pattern = state[: self._spec.n].astype(np.float32)
                yield RecallStep(pattern, now, sweep, int(unit), float(temperature))

    def _random_chains(self, stream: Array, n_chains: int) -> GibbsChains:
        """Make chains at random states; ``stream`` uint64 [4] is advanced."""
        chains = make_chains(n_chains, self._params.bias.shape[1])
        generator = np.random.Generator(rng.unpack_state(stream))
        chains.states[:] = np.where(generator.random(chains.states.shape) < 0.5, 1.0, -1.0)
        stream[:] = rng.pack_state(generator.bit_generator)  # type: ignore[arg-type]
        return chains

    def energy(self, patterns: Array) -> Array:
        """Compute the free energy [S, Q] of patterns [S, Q, N].

        Hidden units are summed out; where they are more than 12 it is the mean-field bound.
        """
        values = check(patterns, len(self._seeds), self._spec, "pattern").astype(np.float64)
        return np.array([self._free_energy(i, rows).value for i, rows in enumerate(values)])

    def codes(self, patterns: Array) -> Array:
        """Compute the mean hidden units [S, Q, H], from -1 to 1, at patterns [S, Q, N], by mean field."""
        values = check(patterns, len(self._seeds), self._spec, "pattern").astype(np.float64)
        return np.array([self._free_energy(i, rows).codes for i, rows in enumerate(values)], np.float32)

    def _free_energy(self, i: int, patterns: Array) -> BoundedFreeEnergy:
        """Compute the free energies of patterns [Q, N] under seed i."""
        n = self._spec.n
        weights = self._params.weights[i].astype(np.float64)
        bias = self._params.bias[i].astype(np.float64)
        codes = np.zeros((len(patterns), len(bias) - n))
        if not codes.shape[1]:
            return BoundedFreeEnergy(energy(weights, bias, patterns), codes)
        for _ in range(MEAN_FIELD_ITERS):
            inputs = patterns @ weights[:n, n:] + codes @ weights[n:, n:] + bias[n:]
            codes = 0.5 * codes + 0.5 * np.tanh(inputs)
        if codes.shape[1] <= MAX_SUMMED_HIDDEN:
            return BoundedFreeEnergy(clamped_phase(weights, bias, patterns).free_energy, codes)
        p_up = 0.5 * (1.0 + codes)
        entropy = (entr(p_up) + entr(1.0 - p_up)).sum(1)
        mean_energy = energy(weights, bias, np.concatenate([patterns, codes], axis=1))
        return BoundedFreeEnergy(mean_energy - entropy, codes)

    def log_partition(self, index: int) -> float:
        """Compute log Z of seed number ``index`` at temperature 1, by enumeration.

        Raises:
            ValueError: more than 20 units, or more than 12 hidden ones, whose energies are bounds.
        """
        weights = self._params.weights[index].astype(np.float64)
        bias = self._params.bias[index].astype(np.float64)
        if len(bias) - self._spec.n > MAX_SUMMED_HIDDEN:
            n_hidden = len(bias) - self._spec.n
            raise ValueError(f"{n_hidden} hidden units: expected at most {MAX_SUMMED_HIDDEN}, so as to sum them out")
        return free_moments(weights, bias).log_z

    def generate(self, n: int) -> Array:
        """Sample new patterns [S, n, N] by chains from random states, annealed to temperature 1."""
        settings = self._config.recall
        temperatures = geometric_schedule(max(settings.t_init, 1.0), 1.0, GENERATE_SWEEPS * settings.max_iters)
        trace = np.empty((n, 1 + len(temperatures)))
        patterns = np.empty((len(self._seeds), n, self._spec.n), np.float32)
        for i in range(len(self._seeds)):
            chains = self._random_chains(self._streams[i], n)
            params = self._seed_params(i)
            anneal(params.weights, params.bias, chains, temperatures, trace, self._streams[i : i + 1])
            patterns[i] = chains.states[:, : self._spec.n]
        return patterns

    def receptive_fields(self, index: int) -> Array:
        """Return the weights [n, N] from the visible units to all, of seed number ``index``."""
        return self._params.weights[index, :, : self._spec.n]

    def state(self) -> State:
        """Return weights, biases, streams and the number of stored patterns."""
        return {
            "n_patterns": self._n_patterns,
            "weights": self._params.weights.copy(),
            "bias": self._params.bias.copy(),
            "streams": self._streams.copy(),
        }

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self._n_patterns = int(state["n_patterns"])
        self._params.weights[...] = state["weights"]
        self._params.bias[...] = state["bias"]
        self._streams[...] = state["streams"]


def make(spec: PatternSpec, seed_list: Sequence[int], config: Config) -> BoltzmannMemory:
    """Make machines for bipolar patterns.

    Raises:
        ValueError: patterns of real numbers, weights of more than 2 GiB, or exact phases of more than 20 units.
    """
    return BoltzmannMemory(spec, seed_list, config)
