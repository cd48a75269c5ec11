"""The memory contract around stacked networks, and recall by repeated reconstruction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import nan
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from memory.common.networks.config import DenoisingConfig
from memory.common.networks.layers_torch import Streams, Weights
from memory.common.validation import check, check_evidence, check_known, one_cue
from simulator.core import rng
from simulator.core.devices import device
from simulator.core.jit import parallel_for
from simulator.core.memories import DenseLayer, Maps, PatternSpec, Recall, RecallStep
from simulator.core.protocols import Array, State

N_PIECES = 100  # in which patterns are stored while somebody looks
BLOCK_VALUES = 1 << 18  # units of a seed's patterns that are worked on at a time: convolutions take 200 bytes of each
TOLERANCE = 1e-3  # a cue has converged when no unit changes by more


class CueBatch(NamedTuple):
    """Cues as tensors."""

    values: Tensor  # [S, Q, N]
    known: Tensor  # bool [S, Q, N]
    evidence: Tensor | None  # [S, Q, N], half log odds of +1; None unless recall_mode is "noise_aware" and it is given


class Restoration(NamedTuple):
    """Restored cues."""

    patterns: Tensor  # [S, Q, N], from -1 to 1
    energy: Tensor  # [S, Q, 1 + T], at the cue and after each iteration; NaN after convergence
    n_iters: Tensor  # int64 [S, Q], iterations used


class Iteration(NamedTuple):
    """Cues at one moment of recall."""

    patterns: Tensor  # [S, Q, N], from -1 to 1
    energy: Tensor  # [S, Q]; NaN where it is not computed
    is_active: Tensor  # bool [S, Q], cues that moved in this iteration
    unit: int = -1  # of the first seed, that has just been set; -1: all


class MemoryNetwork(Protocol):
    """S networks of one kind; the weights are passed to every call.

    A network with a latent code has ``codes(weights, patterns) -> [S, Q, H]``. One that decodes codes has
    ``code_size`` and ``decoded(weights, codes) -> [S, Q, N]``. One with dense weights from the pattern has
    ``first_weights(weights) -> [S, N, H]``. One whose code is made by dense layers alone has
    ``encoder_layers(weights, index) -> [DenseLayer]``. One that generates patterns has
    ``generate(weights, n, streams) -> [S, n, N]``. ``iterations(weights, cues, streams)`` yields the cues and every
    :class:`Iteration` of their recall; it is asked for one cue of one seed. One with convolutions has
    ``kernels(weights)`` and ``feature_maps(weights, pattern [1, 1, N])``, which list the
    :class:`simulator.core.memories.Maps` of the first seed.
    """

    def init_weights(self, streams: Streams) -> Weights:
        """Sample initial weights."""

    def fit(self, weights: Weights, patterns: Array, streams: Streams) -> Iterator[float]:
        """Train the weights, in place, on patterns [S, P, N]; yields the share of the updates that is over."""

    def recall(self, weights: Weights, cues: CueBatch, streams: Streams) -> Restoration:
        """Restore cues."""

    def energy(self, weights: Weights, patterns: Tensor, streams: Streams) -> Tensor:
        """Compute the energy [S, Q] of patterns [S, Q, N]."""


def mean_pattern(logits: Tensor, evidence: Tensor | None = None) -> Tensor:
    """Compute the mean of units of -1 and +1 from the logits of +1, plus evidence as half log odds."""
    return torch.tanh(0.5 * logits if evidence is None else 0.5 * logits + evidence)


def cue_evidence(cues: CueBatch, assumed_flip_prob: float) -> Tensor:
    """Return the evidence of the cues, or that of units which are wrong with the assumed probability: [S, Q, N]."""
    if cues.evidence is not None:
        return cues.evidence
    return 0.5 * torch.tensor((1.0 - assumed_flip_prob) / assumed_flip_prob).log() * cues.values


def reconstructions(
    reconstruct: Callable[[Tensor], Tensor],
    energy: Callable[[Tensor], Tensor],
    cues: CueBatch,
    config: DenoisingConfig,
) -> Iterator[Iteration]:
    """Reconstruct each cue until it converges, at most ``config.max_iters`` times; known units are held.

    Args:
        reconstruct: [S, Q, N] -> [S, Q, N].
        energy: [S, Q, N] -> [S, Q].
        cues: the cues.
        config: gives recall_mode and max_iters.

    Yields:
        The cues, and the patterns after each reconstruction.
    """
    x = cues.values
    is_active = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
    yield Iteration(x, energy(x), is_active)
    for _ in range(1 if config.recall_mode == "single_pass" else config.max_iters):
        new = torch.where(cues.known, cues.values, reconstruct(x))
        has_converged = (new - x).abs().amax(-1) <= TOLERANCE
        x = torch.where(is_active.unsqueeze(-1), new, x)
        yield Iteration(x, torch.where(is_active, energy(x), torch.nan), is_active)
        is_active = is_active & ~has_converged
        if not is_active.any():
            break


def restoration_of(iterations: Iterator[Iteration]) -> Restoration:
    """Run all iterations, the first of which is the cues, and gather what recall returns."""
    iteration = next(iterations)
    energies = [iteration.energy]
    n_iters = torch.zeros_like(iteration.is_active, dtype=torch.int64)
    for iteration in iterations:
        energies.append(iteration.energy)
        n_iters += iteration.is_active
    return Restoration(iteration.patterns, torch.stack(energies, -1), n_iters)


def _tensor(values: Array) -> Tensor:
    """Copy an array to the run's device."""
    return torch.tensor(values, device=device())


def _cue_batch(values: Array, known: Array, evidence: Array | None) -> CueBatch:
    """Copy cues to the run's device."""
    return CueBatch(_tensor(values), _tensor(known), None if evidence is None else _tensor(evidence))


class NetworkMemory:
    """S memories around stacked networks; see :class:`simulator.core.memories.Memory`.

    Storing begins with the seed's own initial weights, so it depends on nothing but the patterns.

    Args:
        name: of the memory, for errors.
        spec: shape and domain of a pattern.
        seed_list: seeds of the run.
        recall_mode: as in the settings.
        make_network: makes a :class:`MemoryNetwork` for a number of stored patterns; 1 before any is stored.
    """

    domain = "continuous"

    def __init__(
        self,
        name: str,
        spec: PatternSpec,
        seed_list: Sequence[int],
        recall_mode: str,
        make_network: Callable[[int], Any],
    ) -> None:
        torch.set_num_threads(1)
        self.recall_mode = recall_mode
        self._name = name
        self._spec = spec
        self._seeds = list(seed_list)
        self._make_network = make_network
        self._n_stored = 1  # patterns that the network's layers are made for
        self._network = network = make_network(1)
        self._weights: Weights = network.init_weights(rng.generators(self._seeds, "weights"))
        self._is_stored = False
        self._generate_states = rng.pcg64_states(self._seeds, "recall")
        if hasattr(network, "codes"):
            self.codes = self._codes
        if hasattr(network, "generate"):
            self.generate = self._generate
        if hasattr(network, "first_weights"):
            self.receptive_fields = self._receptive_fields
        if hasattr(network, "feature_maps"):
            self.kernels = self._kernels
            self.feature_maps = self._feature_maps
        if hasattr(network, "encoder_layers"):
            self.encoder = self._encoder
        if hasattr(network, "decoded"):
            self.decode = self._decode
            self.code_size: int = network.code_size

    def _make_network_for(self, n_patterns: int) -> None:
        """Make the network, without weights, for so many stored patterns: its layers may follow their number."""
        self._n_stored = n_patterns
        self._network = self._make_network(n_patterns)
        if hasattr(self, "code_size"):
            self.code_size = self._network.code_size

    @property
    def n_parameters(self) -> int:
        """Weights and biases per seed."""
        return sum(weight[0].numel() for weight in self._weights.values())

    def store(self, patterns: Array) -> None:
        """Train on patterns [S, P, N] from the initial weights."""
        n_seeds = len(self._seeds)
        domain = "bipolar" if self._spec.is_bipolar else "continuous"
        stored = check(patterns, n_seeds, self._spec, "pattern", domain=domain)
        self._make_network_for(stored.shape[1])
        initial: Weights = self._network.init_weights(rng.generators(self._seeds, "weights"))
        streams = rng.generators(self._seeds, "training")
        trained: dict[int, Weights] = {}

        def train_block(first: int, last: int) -> None:
            torch.set_num_threads(1)  # torch counts threads for each thread that calls it
            weights = {name: weight[first:last].clone() for name, weight in initial.items()}
            for _ in self._network.fit(weights, stored[first:last], streams[first:last]):
                pass
            trained[first] = weights

        parallel_for(train_block, n_seeds)
        blocks = [trained[first] for first in sorted(trained)]
        self._weights = {name: torch.cat([block[name].detach() for block in blocks]) for name in initial}
        self._is_stored = True

    def storing(self, patterns: Array) -> Iterator[float]:
        """Train on patterns [S, P, N] as :meth:`store` does, in one thread, some updates at a time."""
        domain = "bipolar" if self._spec.is_bipolar else "continuous"
        stored = check(patterns, len(self._seeds), self._spec, "pattern", domain=domain)
        self._make_network_for(stored.shape[1])
        weights: Weights = self._network.init_weights(rng.generators(self._seeds, "weights"))
        self._is_stored = True
        shown = 0.0
        for share in self._network.fit(weights, stored, rng.generators(self._seeds, "training")):
            if share >= shown or share == 1.0:
                shown = share + 1.0 / N_PIECES
                self._weights = {name: weight.detach() for name, weight in weights.items()}
                yield share

    def recall(self, cues: Array, known: Array | None = None, evidence: Array | None = None) -> Recall:
        """Restore cues [S, Q, N]; patterns are bipolar where the stored ones are."""
        values = self._check(cues, "cue")
        mask = check_known(known, values)
        used_evidence = self._evidence_for(values, evidence)
        blocks: list[Restoration] = [
            self._network.recall(
                self._weights,
                _cue_batch(values[:, at], mask[:, at], None if used_evidence is None else used_evidence[:, at]),
                self._recall_streams(),
            )
            for at in self._blocks(values.shape[1])
        ]
        restored = self._in_domain(torch.cat([block.patterns for block in blocks], 1).cpu().numpy())
        patterns = np.where(mask, values, restored).astype(np.float32)
        longest = max(block.energy.shape[2] for block in blocks)
        energies = [
            torch.nn.functional.pad(block.energy, (0, longest - block.energy.shape[2]), value=nan) for block in blocks
        ]
        n_iters = torch.cat([block.n_iters for block in blocks], 1)
        return Recall(patterns, torch.cat(energies, 1).cpu().numpy().astype(np.float64), n_iters.cpu().numpy())

    def _blocks(self, n: int) -> Iterator[slice]:
        """Split n patterns into blocks that fit into memory; they do not depend on the number of seeds."""
        size = max(1, BLOCK_VALUES // self._spec.n)
        return (slice(first, first + size) for first in range(0, n, size))

    def _evidence_for(self, values: Array, evidence: Array | None) -> Array | None:
        """Return the checked evidence, or None where recall does not use it."""
        if self.recall_mode != "noise_aware" or evidence is None:
            return None
        return check_evidence(evidence, values, self._name)

    def trajectory(
        self, index: int, cue: Array, known: Array | None = None, evidence: Array | None = None
    ) -> Iterator[RecallStep]:
        """Recall one cue iteration by iteration; bipolar at the last step where the stored patterns are."""
        if not self._is_stored:
            raise ValueError(f"{self._name}: nothing is stored yet, call store first")
        values = check(np.asarray(cue)[None, None], 1, self._spec, "cue")
        mask = check_known(one_cue(known), values)
        weights = {name: weight[index : index + 1] for name, weight in self._weights.items()}
        batch = _cue_batch(values, mask, self._evidence_for(values, one_cue(evidence)))
        n_iters = 0
        pattern, energy = values[0, 0], nan
        for n, iteration in enumerate(
            self._network.iterations(weights, batch, rng.generators([self._seeds[index]], "recall"))
        ):
            n_iters = n if iteration.unit < 0 else 1
            pattern = np.clip(iteration.patterns.cpu().numpy(), -1.0, 1.0)[0, 0]
            energy = float(iteration.energy[0, 0])
            yield RecallStep(np.where(mask[0, 0], values[0, 0], pattern), energy, n_iters, iteration.unit)
        restored = np.where(mask[0, 0], values[0, 0], self._in_domain(pattern)).astype(np.float32)
        yield RecallStep(restored, energy, n_iters)

    def energy(self, patterns: Array) -> Array:
        """Compute the energy [S, Q] of patterns [S, Q, N]."""
        return self._by_blocks(
            lambda x: self._network.energy(self._weights, x, self._recall_streams()), self._check(patterns, "pattern")
        ).astype(np.float64)

    def _codes(self, patterns: Array) -> Array:
        """Compute the latent codes [S, Q, H] of patterns [S, Q, N]."""
        return self._by_blocks(lambda x: self._network.codes(self._weights, x), self._check(patterns, "pattern"))

    def _decode(self, codes: Array) -> Array:
        """Compute the mean patterns [S, Q, N] of latent codes [S, Q, H]."""
        return np.clip(self._by_blocks(lambda rows: self._network.decoded(self._weights, rows), codes), -1.0, 1.0)

    def _by_blocks(self, compute: Callable[[Tensor], Tensor], values: Array) -> Array:
        """Compute numbers [S, Q, ...] of values [S, Q, ...] block by block.

        They are written to one array: what is kept of each block would keep the heap from being used again.
        """
        results: list[Array] = []
        with torch.no_grad():
            for at in self._blocks(values.shape[1]):
                block = compute(_tensor(values[:, at])).cpu().numpy()
                if not results:
                    results.append(np.empty((*values.shape[:2], *block.shape[2:]), block.dtype))
                results[0][:, at] = block
        return results[0]

    def _generate(self, n: int) -> Array:
        """Generate patterns [S, n, N]; every call goes on with each seed's stream."""
        streams = [np.random.Generator(rng.unpack_state(state)) for state in self._generate_states]
        with torch.no_grad():
            patterns: Array = self._network.generate(self._weights, n, streams).cpu().numpy()
        for state, stream in zip(self._generate_states, streams, strict=True):
            state[:] = rng.pack_state(stream.bit_generator, drop_half=True)  # type: ignore[arg-type]
        return self._in_domain(patterns)

    def _in_domain(self, patterns: Array) -> Array:
        if self._spec.is_bipolar:
            return np.where(patterns >= 0.0, np.float32(1.0), np.float32(-1.0))
        return np.clip(patterns, -1.0, 1.0)

    def _check(self, values: Array, what: str) -> Array:
        if not self._is_stored:
            raise ValueError(f"{self._name}: nothing is stored yet, call store first")
        return check(values, len(self._seeds), self._spec, what)

    def _recall_streams(self) -> Streams:
        return rng.generators(self._seeds, "recall")  # new for every call: no call changes the result of another

    def _encoder(self, index: int) -> list[DenseLayer]:
        """Return the layers from a pattern to its code, of seed number ``index``."""
        layers: list[DenseLayer] = self._network.encoder_layers(self._weights, index)
        return layers

    def _receptive_fields(self, index: int) -> Array:
        """Return the weights [H, N] of the first layer's units, of seed number ``index``."""
        weights: Array = self._network.first_weights(self._weights)[index].detach().cpu().numpy()
        return weights.T

    def _kernels(self, index: int) -> list[Maps]:
        """Return the kernels of the encoder's convolutions, of seed number ``index``."""
        found: list[Maps] = self._network.kernels(self._weights_of(index))
        return found

    def _feature_maps(self, index: int, pattern: Array) -> list[Maps]:
        """Return the maps of one pattern [N] after every stage of the encoder."""
        values = check(np.asarray(pattern)[None, None], 1, self._spec, "pattern")
        with torch.no_grad():
            found: list[Maps] = self._network.feature_maps(
                self._weights_of(index), torch.tensor(values, device=device())
            )
        return found

    def _weights_of(self, index: int) -> Weights:
        return {name: weight[index : index + 1].detach() for name, weight in self._weights.items()}

    def state(self) -> State:
        """Return the weights and the streams of generation."""
        weights = {name: weight.cpu().numpy().copy() for name, weight in self._weights.items()}
        streams = self._generate_states.copy()
        return {"weights": weights, "stored": self._is_stored, "n_stored": self._n_stored, "streams": streams}

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self._make_network_for(int(state.get("n_stored", 1)))  # none: stored when widths did not follow it
        self._weights = {name: torch.tensor(state["weights"][name], device=device()) for name in self._weights}
        self._is_stored = bool(state["stored"])
        self._generate_states = np.array(state["streams"], np.uint64)
