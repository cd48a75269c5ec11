"""Stacks of restricted Boltzmann machines as a memory, the base of `rbm` and `deep_belief`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import nan
from typing import Literal

import numpy as np

from memory.common.rbm.contrastive_divergence import RBMLearning, train_in_pieces
from memory.common.rbm.layers import (
    init_visible_bias,
    init_weights,
    make_stack,
    patterns_to_visible,
    seed_params,
    visible_to_patterns,
)
from memory.common.rbm.likelihood import exact_log_z, sigmoid, stack_energy
from memory.common.rbm.recall import (
    RBMRecall,
    VisibleCues,
    VisibleStep,
    annealed_recall,
    annealed_steps,
    chain_temperature_for,
    mean_field_recall,
    mean_field_steps,
    sample_visible,
)
from memory.common.validation import check, check_evidence, check_known, hold, one_cue
from simulator.core import rng
from simulator.core.field_types import NonNegative, Positive
from simulator.core.memories import DenseLayer, PatternSpec, Recall, RecallStep
from simulator.core.optimizers import check_rule
from simulator.core.protocols import Array, State

MIN_VISIBLE_STD = 0.05  # of a Gaussian unit that is the same in every pattern
N_PIECES = 50  # in which a layer learns while somebody looks
GENERATE_SWEEPS = 5  # sweeps of a generating chain, as a multiple of recall.max_iters
MAX_WEIGHT_BYTES = 4 << 30


@dataclass(frozen=True)
class RBMStackConfig:
    """Settings of a stack of restricted Boltzmann machines."""

    recall_mode: Literal["single_pass", "fixed_point", "noise_aware"] = "noise_aware"
    """single_pass: one pass up and down; fixed_point: mean field until nothing moves; noise_aware: annealed Gibbs
    sampling with the evidence of the cue as a field, and as fixed_point where the corruption gives no evidence"""
    visible: Literal["auto", "binary", "gaussian"] = "auto"
    """type of the visible units; auto: binary where patterns are bipolar, else Gaussian"""
    visible_std: NonNegative = 0.6
    """standard deviation of a Gaussian unit, as a fraction of its own over the stored patterns; 0: 1 for every unit"""
    weight_init_std: Positive = 0.01
    """standard deviation of the initial weights"""
    learn: RBMLearning = field(default_factory=RBMLearning)
    """learning of each machine"""
    recall: RBMRecall = field(default_factory=RBMRecall)
    """recall and generation"""


class RBMStackMemory:
    """S stacks; see :class:`simulator.core.memories.Memory`."""

    domain = "continuous"

    def __init__(
        self,
        name: str,
        spec: PatternSpec,
        seed_list: Sequence[int],
        n_hidden_for: Callable[[int], Sequence[int]],
        config: RBMStackConfig,
        learning_for: Callable[[int], RBMLearning] | None = None,
    ) -> None:
        """Make S stacks.

        Args:
            name: the player's.
            spec: of the patterns.
            seed_list: seeds of the run.
            n_hidden_for: gives the units of the hidden layers, from the lowest on, for a number of stored patterns.
            config: settings.
            learning_for: gives the settings of learning for a number of stored patterns; None: those of ``config``.
        """
        check_rule(config.learn.optimizer, f"{name}.learn.optimizer")
        self.recall_mode: str = config.recall_mode
        self._name = name
        self._n_hidden_for = n_hidden_for
        self._spec = spec
        self._seeds = list(seed_list)
        self._config = config
        self._learning_for = learning_for or (lambda _: config.learn)
        self._gaussian = config.visible == "gaussian" or (config.visible == "auto" and not spec.is_bipolar)
        self._set_layers(n_hidden_for(1))
        self._streams = rng.pcg64_states(self._seeds, "recall")
        self._chain_temperature = config.recall.chain_temperature

    def _set_layers(self, n_hidden: Sequence[int]) -> None:
        """Make stacks with hidden layers of so many units, from the lowest on, all parameters 0."""
        sizes = (self._spec.n, *n_hidden)
        n_bytes = 4 * len(self._seeds) * sum(n * m for n, m in pairwise(sizes))
        if n_bytes > MAX_WEIGHT_BYTES:
            raise ValueError(f"{self._name}: weights of {n_bytes / 2**30:,.1f} GiB for all seeds, expected at most 4")
        self._n_hidden = tuple(n_hidden)
        self._stack = make_stack(sizes, self._gaussian, len(self._seeds))

    @property
    def n_parameters(self) -> int:
        """Weights and biases of one seed, and the standard deviations of its Gaussian units."""
        n_layer_parameters = sum(array[0].size for layer in self._stack.layers for array in layer)
        return n_layer_parameters + self._spec.n * self._stack.gaussian

    def store(self, patterns: Array) -> None:
        """Learn patterns [S, P, N] from random weights, greedily layer by layer.

        Raises:
            ValueError: another shape, or values outside the domain.
        """
        for _ in self._storing(patterns, n_pieces=1):
            pass

    def storing(self, patterns: Array) -> Iterator[float]:
        """Learn patterns [S, P, N] as :meth:`store` does, a piece of the updates at a time."""
        return self._storing(patterns, N_PIECES)

    def _storing(self, patterns: Array, n_pieces: int) -> Iterator[float]:
        """Learn patterns [S, P, N] from random weights, every layer in about so many pieces."""
        domain = "bipolar" if self._spec.is_bipolar else "continuous"
        values = check(patterns, len(self._seeds), self._spec, "pattern", domain=domain)
        self._set_layers(self._n_hidden_for(values.shape[1]))
        self._chain_temperature = chain_temperature_for(self._config.recall, self._spec.n, values.shape[1])
        stack = self._stack
        streams = rng.pcg64_states(self._seeds, "training")
        init_weights(stack, self._seeds, self._config.weight_init_std)
        if stack.gaussian:
            fraction = self._config.visible_std
            stack.visible_std[:] = np.maximum(fraction * values.std(1), MIN_VISIBLE_STD) if fraction else 1.0
        learning = self._learning_for(values.shape[1])
        data = patterns_to_visible(stack, values)
        for at, layer in enumerate(stack.layers):
            gaussian = stack.gaussian and at == 0
            init_visible_bias(layer, gaussian, data)
            for share in train_in_pieces(layer, gaussian, data, streams, learning, n_pieces):
                yield (at + share) / len(stack.layers)
            data = sigmoid(data @ layer.weights + layer.hidden_bias[:, None])

    def recall(self, cues: Array, known: Array | None = None, evidence: Array | None = None) -> Recall:
        """Restore cues [S, Q, N]; bipolar patterns are returned as -1 and +1.

        Raises:
            ValueError: another shape, or values outside the domain.
        """
        values = check(cues, len(self._seeds), self._spec, "cue")
        mask = check_known(known, values)
        settings = self._config.recall
        if self.recall_mode == "noise_aware" and evidence is not None:
            visible_cues = self._cues_with_evidence(values, mask, check_evidence(evidence, values, self._name))
            temperature = self._chain_temperature
            recalled = annealed_recall(self._stack, visible_cues, self._streams, settings, temperature, self._binarizes)
        else:
            recalled = mean_field_recall(self._stack, self._plain_cues(values, mask), self._max_mean_field_iters)
        restored = visible_to_patterns(self._stack, recalled.visible, self._spec.is_bipolar)
        return Recall(hold(restored, values, mask), recalled.energy, recalled.n_iters)

    @property
    def _binarizes(self) -> bool:
        """True: annealed chains end at the likelier value of every visible unit."""
        return self._spec.is_bipolar and not self._stack.gaussian

    @property
    def _max_mean_field_iters(self) -> int:
        return 1 if self.recall_mode == "single_pass" else self._config.recall.max_iters

    def _plain_cues(self, values: Array, mask: Array) -> VisibleCues:
        """Convert cues without evidence to visible units."""
        no_field = np.zeros_like(values)
        return VisibleCues(patterns_to_visible(self._stack, values), mask, no_field, no_field)

    @property
    def temperature(self) -> float:
        """Temperature of the first sweep of recall with evidence, and of generation; may be set, to 1 or more."""
        return self._config.recall.t_init

    @temperature.setter
    def temperature(self, value: float) -> None:
        recall = replace(self._config.recall, t_init=max(1.0, value))
        self._config = replace(self._config, recall=recall)

    def trajectory(
        self, index: int, cue: Array, known: Array | None = None, evidence: Array | None = None
    ) -> Iterator[RecallStep]:
        """Recall one cue sweep by sweep: the chain that ends as the best, or mean field; bipolar at the last step."""
        values = check(np.asarray(cue)[None, None], 1, self._spec, "cue")
        mask = check_known(one_cue(known), values)
        one = RBMStackMemory(self._name, self._spec, [self._seeds[index]], lambda _: self._n_hidden, self._config)
        one.restore(self._state_of(index))
        if self.recall_mode == "noise_aware" and evidence is not None:
            cues = one._cues_with_evidence(values, mask, check_evidence(one_cue(evidence), values, self._name))
            settings = self._config.recall
            temperature = self._chain_temperature
            steps = annealed_steps(one._stack, cues, one._streams, settings, temperature, self._binarizes)
        else:
            cues = one._plain_cues(values, mask)
            steps = mean_field_steps(one._stack, cues, self._max_mean_field_iters)
        visible = cues.values.astype(np.float64)[0]
        energy = stack_energy(seed_params(one._stack, 0), one._stack.gaussian, visible)[0]
        yield RecallStep(values[0, 0], float(energy))
        step = VisibleStep(cues.values[0, 0], float(energy), nan)
        n = 0
        for n, step in enumerate(steps, 1):
            pattern = np.clip(visible_to_patterns(one._stack, step.visible[None, None], False)[0, 0], -1.0, 1.0)
            yield RecallStep(hold(pattern, values[0, 0], mask[0, 0]), step.energy, n, -1, step.temperature)
        restored = visible_to_patterns(one._stack, step.visible[None, None], self._spec.is_bipolar)
        yield RecallStep(hold(restored, values, mask)[0, 0], step.energy, n)

    def _cues_with_evidence(self, values: Array, mask: Array, evidence: Array) -> VisibleCues:
        """Convert cues and evidence, half the log odds of +1 against -1, to visible units.

        The evidence e of a Gaussian unit with cue q is that of an observation q of precision e / q.
        """
        visible = patterns_to_visible(self._stack, values)
        precision = np.zeros_like(values)
        if not self._stack.gaussian:
            return VisibleCues(visible, mask, 2.0 * evidence, precision)
        std = self._stack.visible_std[:, None]
        np.divide(evidence, values, out=precision, where=np.abs(values) > 1e-6)
        return VisibleCues(visible, mask, evidence * std, np.maximum(precision, 0.0) * std**2)

    def energy(self, patterns: Array) -> Array:
        """Compute the free energy [S, Q] of patterns [S, Q, N]; of several layers an approximate bound of it."""
        values = check(patterns, len(self._seeds), self._spec, "pattern")
        visible = patterns_to_visible(self._stack, values).astype(np.float64)
        return np.array(
            [stack_energy(seed_params(self._stack, i), self._stack.gaussian, rows) for i, rows in enumerate(visible)]
        )

    def log_partition(self, index: int) -> float:
        """Compute log Z of seed number ``index``, by enumerating the hidden units.

        Raises:
            ValueError: more than 20 hidden units, several layers, or Gaussian units.
        """
        if self._stack.gaussian:
            raise ValueError("Gaussian units: expected binary ones, whose patterns have probabilities")
        if len(self._stack.layers) > 1:
            raise ValueError(f"{len(self._stack.layers)} layers: expected one, whose hidden units can be enumerated")
        return exact_log_z(seed_params(self._stack, index)[0], False)

    def codes(self, patterns: Array) -> Array:
        """Compute the probabilities [S, Q, H] of the top layer's units at patterns [S, Q, N]."""
        units = patterns_to_visible(self._stack, check(patterns, len(self._seeds), self._spec, "pattern"))
        for layer in self._stack.layers:
            units = sigmoid(units @ layer.weights + layer.hidden_bias[:, None])
        return units

    def encoder(self, index: int) -> list[DenseLayer]:
        """Return the layers from a pattern to the top layer's probabilities, of seed number ``index``."""
        layers = [DenseLayer(layer.weights, layer.hidden_bias, "sigmoid") for layer in seed_params(self._stack, index)]
        weight, bias, activation = layers[0]
        if self._stack.gaussian:  # units are patterns over their standard deviations
            layers[0] = DenseLayer(weight / self._stack.visible_std[index][:, None], bias, activation)
        else:  # or (pattern + 1) / 2
            layers[0] = DenseLayer(0.5 * weight, bias + 0.5 * weight.sum(axis=0), activation)
        return layers

    @property
    def code_size(self) -> int:
        """Units of the top layer."""
        return self._n_hidden[-1]

    def decode(self, codes: Array) -> Array:
        """Compute the mean patterns [S, Q, N] of the top layer's units [S, Q, H], by one pass down."""
        units = codes
        for depth, layer in enumerate(reversed(self._stack.layers), 1):
            inputs = units @ layer.weights.transpose(0, 2, 1) + layer.visible_bias[:, None]
            units = inputs if self._stack.gaussian and depth == len(self._stack.layers) else sigmoid(inputs)
        return visible_to_patterns(self._stack, units, False)

    def generate(self, n: int) -> Array:
        """Sample new patterns [S, n, N] by annealed chains."""
        settings = self._config.recall
        n_sweeps = GENERATE_SWEEPS * settings.max_iters
        visible = sample_visible(self._stack, n, self._streams, float(settings.t_init), n_sweeps)
        return visible_to_patterns(self._stack, visible, self._spec.is_bipolar)

    def receptive_fields(self, index: int) -> Array:
        """Return the weights [H, N] of the lowest layer's hidden units, of seed number ``index``."""
        return self._stack.layers[0].weights[index].T

    def _state_of(self, i: int) -> State:
        """Return a copy of the state of seed i alone."""
        layers = [[array[i : i + 1].copy() for array in layer] for layer in self._stack.layers]
        streams = self._streams[i : i + 1].copy()
        visible_std = self._stack.visible_std[i : i + 1].copy()
        return self._state(layers, visible_std, streams)

    def state(self) -> State:
        """Return weights, biases, standard deviations, streams, and the temperature at which chains are averaged."""
        layers = [[array.copy() for array in layer] for layer in self._stack.layers]
        return self._state(layers, self._stack.visible_std.copy(), self._streams.copy())

    def _state(self, layers: list[list[Array]], visible_std: Array, streams: Array) -> State:
        temperature = np.array(self._chain_temperature)
        return {"layers": layers, "visible_std": visible_std, "streams": streams, "chain_temperature": temperature}

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        n_hidden = tuple(layer[0].shape[2] for layer in state["layers"])
        if n_hidden != self._n_hidden:  # otherwise in place: a training that is not over goes on with these arrays
            self._set_layers(n_hidden)
        for layer, saved in zip(self._stack.layers, state["layers"], strict=True):
            for array, values in zip(layer, saved, strict=True):
                array[...] = values
        self._stack.visible_std[...] = state["visible_std"]
        self._streams[...] = state["streams"]
        if "chain_temperature" in state:  # states of earlier versions lack it
            self._chain_temperature = float(state["chain_temperature"])
