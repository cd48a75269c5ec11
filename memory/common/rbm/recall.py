"""Recall by stacks of restricted Boltzmann machines: compiled Gibbs sampling and mean field for many cues at once.

A sweep updates every layer from the one below, then from the top every layer from the one above. For one machine that
is block Gibbs sampling; for a deep belief network it is the top machine's Gibbs step between an upward and a downward
pass (Hinton, Osindero and Teh 2006, section 5). The evidence of a cue is a field on the visible units; known units are
clamped.

Two procedures, and the sampling of new patterns:

* mean field (single_pass, fixed_point): probabilities instead of samples, until no visible unit moves;
* annealed Gibbs sampling (noise_aware): several chains per cue while the temperature falls from t_init to 1
  (Kirkpatrick, Gelatt and Vecchi 1983), refined by mean field; the chain of lowest energy E, field included, is
  returned, or the mean of all with weights exp(-E / T), T = chain_temperature. The mean errs in fewer units where a
  machine holds more patterns than it can tell apart by their energies: the lowest one then often is another pattern.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import nan
from typing import Annotated, NamedTuple

import numpy as np
from msgspec import Meta

from memory.common.kernels import copy_row, matmul
from memory.common.rbm.layers import (
    RBMParams,
    RBMStack,
    fast_sigmoid,
    inputs_to_probs,
    sample_binary,
    seed_params,
    softplus_sum,
    visible_energy,
)
from simulator.core.field_types import Count, RateOfSize
from simulator.core.jit import jit, jit_inline, parallel_for
from simulator.core.protocols import Array
from simulator.core.rng_compiled import normal

REFINE_STEPS = 10  # mean-field steps after annealing
REFINE_EVIDENCE_STEPS = 5  # of these, in which the evidence fades to 0
REFINE_INVERSE_TEMPERATURE = 1.5
FIXED_POINT_TOL = 1e-3  # largest change of a visible unit at a fixed point
MAX_ROWS = 256  # states worked on at once: they stay in the cache


@dataclass(frozen=True)
class RBMRecall:
    """Recall of a restricted Boltzmann machine."""

    max_iters: Count = 40
    """mean-field iterations at most, with fixed_point; Gibbs sweeps of each chain, with noise_aware"""
    n_chains: Count = 16
    """chains per cue, with noise_aware"""
    chain_temperature: RateOfSize = 0.0
    """temperature T of the weights exp(-energy / T) of the mean of the chains, with noise_aware; 0: follows
    the load, K stored patterns of N units: (K/N - 1.6) / 9, and up to K/N = 1.6 the chain of lowest energy alone"""
    t_init: Annotated[float, Meta(ge=1.0)] = 1.5
    """temperature of the first sweep, with noise_aware and when generating; it falls geometrically to 1"""


FULL_LOAD = 1.6  # patterns per unit up to which the chain of lowest energy alone is returned
TEMPERATURE_BY_LOAD = 1.0 / 9.0  # of averaging beyond, per pattern and unit


def chain_temperature_for(settings: RBMRecall, n_units: int, n_patterns: int) -> float:
    """Return the temperature at which chains are averaged; 0: the one of lowest energy alone is returned."""
    by_load = TEMPERATURE_BY_LOAD * max(0.0, n_patterns / n_units - FULL_LOAD)
    return settings.chain_temperature or by_load


class VisibleCues(NamedTuple):
    """Cues in visible units, [S, Q, N] each."""

    values: Array  # float32
    known: Array  # bool, units clamped to their values
    field: Array  # float32, added to the log odds of a binary unit, or to a Gaussian unit's mean times precision
    precision: Array  # float32, added to a Gaussian unit's precision


class VisibleRecall(NamedTuple):
    """Visible units to which cues led."""

    visible: Array  # float32 [S, Q, N]
    energy: Array  # float64 [S, Q, 1 + T]
    n_iters: Array  # int64 [S, Q]


class RBMWorkspace(NamedTuple):
    """Buffers for R states of a stack of L machines of one seed."""

    units: tuple[Array, ...]  # L + 1 of float32 [R, units], visible ones first
    cues: Array  # float32 [R, N]
    known: Array  # bool [R, N]
    field: Array  # float32 [R, N]
    precision: Array  # float32 [R, N]
    previous: Array  # float32 [R, N], visible units before an iteration
    mean_hidden: tuple[Array, ...]  # L of float32 [R, hidden units], for energies
    reconstruction: tuple[Array, ...]  # L of float32 [R, visible units], for energies
    scratch: Array  # float32 [widest layer]
    energy: Array  # float64 [R], of the visible units
    trace: Array  # float64 [R, 1 + T], energies; NaN where there was no iteration
    n_iters: Array  # int64 [R]


def make_workspace(stack: RBMStack, n_rows: int, n_iters: int) -> RBMWorkspace:
    """Make buffers for R states and T iterations."""
    n = stack.visible_std.shape[1]
    hidden_sizes = [layer.hidden_bias.shape[1] for layer in stack.layers]
    sizes = [n, *hidden_sizes]

    def zeros(width: int) -> Array:
        return np.zeros((n_rows, width), np.float32)

    return RBMWorkspace(
        units=tuple(zeros(size) for size in sizes),
        cues=zeros(n),
        known=np.zeros((n_rows, n), np.bool_),
        field=zeros(n),
        precision=zeros(n),
        previous=zeros(n),
        mean_hidden=tuple(zeros(size) for size in hidden_sizes),
        reconstruction=tuple(zeros(size) for size in sizes[:-1]),
        scratch=np.zeros(max(sizes), np.float32),
        energy=np.zeros(n_rows),
        trace=np.full((n_rows, 1 + n_iters), np.nan),
        n_iters=np.zeros(n_rows, np.int64),
    )


def _load(stack: RBMStack, cues: VisibleCues, at: tuple[int, slice], n_chains: int, n_iters: int) -> RBMWorkspace:
    """Make a workspace that begins at a block of one seed's cues, each n_chains times."""
    values, known, field, precision = (np.repeat(array[at], n_chains, axis=0) for array in cues)
    workspace = make_workspace(stack, len(values), n_iters)
    workspace.units[0][...] = values
    workspace.cues[...] = values
    workspace.known[...] = known
    workspace.field[...] = field
    workspace.precision[...] = precision
    return workspace


def _empty_recall(cues: VisibleCues, n_iters: int) -> VisibleRecall:
    shape = cues.values.shape[:2]
    return VisibleRecall(np.empty_like(cues.values), np.empty((*shape, 1 + n_iters)), np.zeros(shape, np.int64))


def mean_field_recall(stack: RBMStack, cues: VisibleCues, max_iters: int) -> VisibleRecall:
    """Iterate mean field from the cues until nothing moves, or max_iters times."""
    recall = _empty_recall(cues, max_iters)

    def work(first: int, last: int) -> None:
        for i in range(first, last):
            for start in range(0, cues.values.shape[1], MAX_ROWS):
                at = (i, slice(start, start + MAX_ROWS))
                workspace = _load(stack, cues, at, 1, max_iters)
                mean_field(seed_params(stack, i), stack.gaussian, workspace, max_iters, np.zeros((1, 4), np.uint64))
                recall.visible[at] = workspace.units[0]
                recall.energy[at] = workspace.trace
                recall.n_iters[at] = workspace.n_iters

    parallel_for(work, len(cues.values))
    return recall


def annealed_recall(
    stack: RBMStack, cues: VisibleCues, streams: Array, settings: RBMRecall, chain_temperature: float, binarize: bool
) -> VisibleRecall:
    """Anneal several chains from every cue, refine them, and return the best or the mean of their ends.

    Args:
        stack: machines.
        cues: cues in visible units.
        streams: uint64 [S, 4], advanced in place.
        settings: recall settings.
        chain_temperature: of the weights of the mean; 0: the chain of lowest energy, field included, is returned.
        binarize: the visible units end at their likelier value.
    """
    n_chains = settings.n_chains
    n_iters = settings.max_iters + REFINE_STEPS
    n_cues = max(1, MAX_ROWS // n_chains)
    recall = _empty_recall(cues, n_iters)

    def work(first: int, last: int) -> None:
        for i in range(first, last):
            layers = seed_params(stack, i)
            stream = streams[i : i + 1]
            for start in range(0, cues.values.shape[1], n_cues):
                at = (i, slice(start, start + n_cues))
                workspace = _load(stack, cues, at, n_chains, n_iters)
                anneal(layers, stack.gaussian, workspace, settings.max_iters, float(settings.t_init), stream)
                mean_field_refine(layers, stack.gaussian, workspace, settings.max_iters, binarize, stream)
                best = combine_chains(layers, stack.gaussian, workspace, n_chains, chain_temperature, binarize)
                recall.visible[at] = workspace.units[0][best]
                recall.energy[at] = workspace.trace[best]
                recall.n_iters[at] = n_iters

    parallel_for(work, len(cues.values))
    return recall


def combine_chains(
    layers: tuple[RBMParams, ...],
    gaussian: bool,
    workspace: RBMWorkspace,
    n_chains: int,
    chain_temperature: float,
    binarize: bool,
) -> Array:
    """Return, for each cue, the row of its chain of lowest energy, which ends at the mean of the chains if T > 0."""
    energies = workspace.energy.reshape(-1, n_chains)
    best: Array = energies.argmin(1) + n_chains * np.arange(len(energies))
    if chain_temperature > 0.0:
        visible = workspace.units[0]
        weights = np.exp((energies.min(1, keepdims=True) - energies) / chain_temperature)
        weights /= weights.sum(1, keepdims=True)
        mean = np.einsum("qc,qcn->qn", weights, visible.reshape(*energies.shape, -1))
        visible[best] = mean >= 0.5 if binarize else mean
        compute_energies(layers, gaussian, workspace)
        workspace.trace[best, -1] = workspace.energy[best]
    return best


class VisibleStep(NamedTuple):
    """Visible units of one cue at one moment of recall."""

    visible: Array  # float32 [N]
    energy: float
    temperature: float  # NaN: mean field


def mean_field_steps(stack: RBMStack, cues: VisibleCues, max_iters: int) -> Iterator[VisibleStep]:
    """Iterate mean field from the one cue of one seed, again and again, one iteration further each time."""
    whole = mean_field_recall(stack, cues, max_iters)
    n_iters = int(whole.n_iters[0, 0])
    for n in range(1, n_iters + 1):
        part = whole if n == n_iters else mean_field_recall(stack, cues, n)
        yield VisibleStep(part.visible[0, 0], float(whole.energy[0, 0, n]), nan)


def annealed_steps(
    stack: RBMStack, cues: VisibleCues, stream: Array, settings: RBMRecall, chain_temperature: float, binarize: bool
) -> Iterator[VisibleStep]:
    """Anneal chains from the one cue of one seed as :func:`annealed_recall` does; show the one that ends as the best.

    The last step is what is returned. ``stream`` uint64 [1, 4] is advanced.
    """
    n_sweeps = settings.max_iters
    t_init = float(settings.t_init)
    layers = seed_params(stack, 0)
    workspace = _load(stack, cues, (0, slice(None)), settings.n_chains, n_sweeps + REFINE_STEPS)
    states = []
    anneal(layers, stack.gaussian, workspace, 0, t_init, stream)
    for t in range(n_sweeps):
        anneal_sweep(layers, stack.gaussian, workspace, n_sweeps, t_init, t, stream)
        states.append(workspace.units[0].copy())
    for t in range(REFINE_STEPS):
        refine_step(layers, stack.gaussian, workspace, n_sweeps, t, binarize, stream)
        states.append(workspace.units[0].copy())
    add_field_to_energies(workspace)
    n_chains = settings.n_chains
    best = int(combine_chains(layers, stack.gaussian, workspace, n_chains, chain_temperature, binarize)[0])
    states[-1] = workspace.units[0]
    for t, visible in enumerate(states):
        temperature = t_init ** (1.0 - t / max(n_sweeps - 1, 1)) if t < n_sweeps else nan
        yield VisibleStep(visible[best], float(workspace.trace[best, 1 + t]), temperature)


def sample_visible(stack: RBMStack, n: int, streams: Array, t_init: float, n_sweeps: int) -> Array:
    """Sample n states of the visible units by annealed chains from uninformative ones, float32 [S, n, N]."""
    n_seeds, n_units = stack.visible_std.shape
    shape = (n_seeds, n, n_units)
    zeros = np.zeros(shape, np.float32)
    values = np.full(shape, 0.0 if stack.gaussian else 0.5, np.float32)
    cues = VisibleCues(values, zeros.astype(np.bool_), zeros, zeros)
    samples = np.empty(shape, np.float32)

    def work(first: int, last: int) -> None:
        for i in range(first, last):
            workspace = _load(stack, cues, (i, slice(None)), 1, n_sweeps)
            anneal(seed_params(stack, i), stack.gaussian, workspace, n_sweeps, t_init, streams[i : i + 1])
            samples[i] = workspace.units[0]

    parallel_for(work, n_seeds)
    return samples


@jit
def anneal(layers, gaussian, workspace, n_sweeps, t_init, stream):
    """Run Gibbs sweeps while the temperature falls geometrically from t_init to 1."""
    compute_energies(layers, gaussian, workspace)
    _record_energies(workspace, 0)
    for t in range(n_sweeps):
        anneal_sweep(layers, gaussian, workspace, n_sweeps, t_init, t, stream)


@jit
def anneal_sweep(layers, gaussian, workspace, n_sweeps, t_init, t, stream):
    """Run sweep t of :func:`anneal`."""
    inverse_temperature = t_init ** (t / max(n_sweeps - 1, 1) - 1.0)
    _upward_pass(layers, workspace, inverse_temperature, True, stream)
    _downward_pass(layers, gaussian, workspace, inverse_temperature, 1.0, True, stream)
    compute_energies(layers, gaussian, workspace)
    _record_energies(workspace, 1 + t)


@jit
def mean_field_refine(layers, gaussian, workspace, n_sweeps, binarize, stream):
    """Iterate mean field while the evidence fades, so that chains end at a state of the machine's own.

    The trace continues after its first ``n_sweeps`` entries; the field is added to the final energies.
    """
    for t in range(REFINE_STEPS):
        refine_step(layers, gaussian, workspace, n_sweeps, t, binarize, stream)
    add_field_to_energies(workspace)


@jit
def refine_step(layers, gaussian, workspace, n_sweeps, t, binarize, stream):
    """Take step t of :func:`mean_field_refine`."""
    visible = workspace.units[0]
    field_weight = max(0.0, 1.0 - (t + 1) / REFINE_EVIDENCE_STEPS)
    _upward_pass(layers, workspace, REFINE_INVERSE_TEMPERATURE, False, stream)
    _downward_pass(layers, gaussian, workspace, REFINE_INVERSE_TEMPERATURE, field_weight, False, stream)
    if binarize and t == REFINE_STEPS - 1:
        for r in range(len(visible)):
            for c in range(visible.shape[1]):
                visible[r, c] = np.float32(visible[r, c] >= np.float32(0.5))
    compute_energies(layers, gaussian, workspace)
    _record_energies(workspace, 1 + n_sweeps + t)


@jit
def add_field_to_energies(workspace):
    """Add the field of the evidence to the energies, at the end of recall."""
    visible = workspace.units[0]
    for r in range(len(visible)):
        for c in range(visible.shape[1]):
            value = visible[r, c]
            workspace.energy[r] += value * (np.float32(0.5) * workspace.precision[r, c] * value - workspace.field[r, c])


@jit
def mean_field(layers, gaussian, workspace, max_iters, stream):
    """Iterate mean field until every state is at a fixed point; one that is there is not changed any more."""
    visible = workspace.units[0]
    compute_energies(layers, gaussian, workspace)
    _record_energies(workspace, 0)
    for t in range(max_iters):
        for r in range(len(visible)):
            copy_row(visible[r], workspace.previous[r])
        _upward_pass(layers, workspace, 1.0, False, stream)
        _downward_pass(layers, gaussian, workspace, 1.0, 1.0, False, stream)
        if _count_fixed_points(workspace, t) == len(visible):
            break
        compute_energies(layers, gaussian, workspace)
        for r in range(len(visible)):
            if workspace.n_iters[r] == t + 1:
                workspace.trace[r, 1 + t] = workspace.energy[r]


@jit
def _count_fixed_points(workspace, t):
    """Count iteration t for states that moved, undo it for the others, and return the number of these."""
    visible = workspace.units[0]
    n_fixed = 0
    for r in range(len(visible)):
        change = np.float32(0.0)
        for c in range(visible.shape[1]):
            change = max(change, abs(visible[r, c] - workspace.previous[r, c]))
        if workspace.n_iters[r] == t and (change >= FIXED_POINT_TOL or t == 0):
            workspace.n_iters[r] = t + 1
        else:
            n_fixed += 1
            copy_row(workspace.previous[r], visible[r])
    return n_fixed


@jit_inline
def _record_energies(workspace, column):
    for r in range(len(workspace.energy)):
        workspace.trace[r, column] = workspace.energy[r]


@jit
def _upward_pass(layers, workspace, inverse_temperature, sample, stream):
    """Update every layer of hidden units from the layer below: samples, or probabilities (mean field)."""
    for at in range(len(layers)):
        hidden = workspace.units[at + 1]
        matmul(workspace.units[at], layers[at].weights, hidden)
        inputs_to_probs(hidden, layers[at].hidden_bias, np.float32(inverse_temperature))
        if sample:
            sample_binary(hidden, hidden, stream, 0)


@jit
def _downward_pass(layers, gaussian, workspace, inverse_temperature, field_weight, sample, stream):
    """Update every layer but the top one from the one above; visible units feel the field, known ones are clamped."""
    for depth in range(1, len(layers)):
        at = len(layers) - depth
        units = workspace.units[at]
        matmul(workspace.units[at + 1], layers[at].weights.T, units)
        inputs_to_probs(units, layers[at].visible_bias, np.float32(inverse_temperature))
        if sample:
            sample_binary(units, units, stream, 0)
    matmul(workspace.units[1], layers[0].weights.T, workspace.units[0])
    if gaussian:
        _update_gaussian_visible(
            layers[0].visible_bias, workspace, np.float32(inverse_temperature), np.float32(field_weight), sample, stream
        )
    else:
        _update_binary_visible(
            layers[0].visible_bias, workspace, np.float32(inverse_temperature), np.float32(field_weight), sample, stream
        )
    _clamp_known(workspace)


@jit
def _update_binary_visible(bias, workspace, inverse_temperature, field_weight, sample, stream):
    """Replace the inputs of binary visible units by probabilities or samples."""
    visible = workspace.units[0]
    for r in range(len(visible)):
        row = visible[r]
        field = workspace.field[r]
        for c in range(len(row)):
            row[c] = fast_sigmoid(inverse_temperature * (row[c] + bias[c]) + field_weight * field[c])
    if sample:
        sample_binary(visible, visible, stream, 0)


@jit
def _update_gaussian_visible(bias, workspace, inverse_temperature, field_weight, sample, stream):
    """Replace the inputs of Gaussian visible units by means or samples: two estimates, weighted by precision."""
    visible = workspace.units[0]
    for r in range(len(visible)):
        for c in range(visible.shape[1]):
            precision = inverse_temperature + field_weight * workspace.precision[r, c]
            visible[r, c] = (
                inverse_temperature * (visible[r, c] + bias[c]) + field_weight * workspace.field[r, c]
            ) / precision
            if sample:
                visible[r, c] += np.float32(normal(stream, 0)) / np.sqrt(precision)


@jit
def _clamp_known(workspace):
    visible = workspace.units[0]
    for r in range(len(visible)):
        for c in range(visible.shape[1]):
            if workspace.known[r, c]:
                visible[r, c] = workspace.cues[r, c]


@jit
def compute_energies(layers, gaussian, workspace):
    """Compute the energies of the visible units, to ``workspace.energy``; float32 arithmetic.

    That is the free energy of the top machine at the mean hidden units below it, plus -log p(v | h) - entropy(h) of
    each lower layer (the variational bound of Hinton, Osindero and Teh 2006, section 4); for one machine its free
    energy. :func:`memory.common.rbm.likelihood.stack_energy` is the same in float64.
    """
    workspace.energy[:] = 0.0
    for at in range(len(layers)):
        units = workspace.units[0] if at == 0 else workspace.mean_hidden[at - 1]
        hidden = workspace.mean_hidden[at]
        matmul(units, layers[at].weights, hidden)
        if at == len(layers) - 1:
            for r in range(len(units)):
                workspace.energy[r] += visible_energy(units[r], layers[at].visible_bias, gaussian and at == 0)
                workspace.energy[r] -= softplus_sum(hidden[r], layers[at].hidden_bias, workspace.scratch)
        else:
            _add_coding_cost(layers[at], gaussian and at == 0, units, hidden, workspace.reconstruction[at], workspace)


@jit
def _add_coding_cost(layer, gaussian, units, hidden, reconstruction, workspace):
    """Add -log p(units | h) - entropy(h) to the energies, and replace the inputs ``hidden`` by the mean h."""
    for r in range(len(units)):
        workspace.energy[r] -= softplus_sum(hidden[r], layer.hidden_bias, workspace.scratch)
        for j in range(hidden.shape[1]):
            value = hidden[r, j] + layer.hidden_bias[j]
            workspace.energy[r] += value * fast_sigmoid(value)
    inputs_to_probs(hidden, layer.hidden_bias, np.float32(1.0))
    matmul(hidden, layer.weights.T, reconstruction)
    for r in range(len(units)):
        if not gaussian:
            workspace.energy[r] += softplus_sum(reconstruction[r], layer.visible_bias, workspace.scratch)
        for c in range(units.shape[1]):
            value = reconstruction[r, c] + layer.visible_bias[c]
            workspace.energy[r] += 0.5 * (units[r, c] - value) ** 2 if gaussian else -units[r, c] * value
