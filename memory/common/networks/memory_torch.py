"""The shell of every memory that learns by gradients: the contract around a model, and recall by passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from memory.common.networks.input_noise import Streams
from memory.common.networks.layers_torch import Weights
from memory.common.validation import check, check_evidence, check_known
from simulator.core import rng
from simulator.core.jit import parallel_for
from simulator.core.memories import PatternSpec, Recall
from simulator.core.protocols import Array, State

REST = 1e-3  # a cue rests when no unit moves by more


class Asked(NamedTuple):
    """Cues as a model gets them."""

    cues: Tensor  # [S, Q, N]
    known: Tensor  # bool [S, Q, N]
    evidence: (
        Tensor | None
    )  # [S, Q, N], half log odds; given where recall_mode is "noise_aware" and the corruption has one


class Found(NamedTuple):
    """What a model made of cues."""

    patterns: Tensor  # [S, Q, N], from -1 to 1
    energy: Tensor  # [S, Q, 1 + T]
    sweeps: Tensor  # int64 [S, Q]


class Model(Protocol):
    """S networks of one kind; the weights are given with each call.

    One with a code has ``codes(weights, patterns) -> [S, Q, H]``, one that makes patterns has
    ``generate(weights, n, streams) -> [S, n, N]``.
    """

    def draw(self, streams: Streams) -> Weights:
        """Random weights."""

    def fit(self, weights: Weights, patterns: Array, streams: Streams) -> None:
        """Learn patterns [S, P, N]: the tensors change in place."""

    def recall(self, weights: Weights, asked: Asked, streams: Streams) -> Found:
        """Restore cues."""

    def energy(self, weights: Weights, patterns: Tensor, streams: Streams) -> Tensor:
        """[S, Q] at patterns [S, Q, N]."""


def by_passes(once: Callable[[Tensor], Tensor], energy: Callable[[Tensor], Tensor], asked: Asked, most: int) -> Found:
    """Let cues run through ``once`` until each rests, at most ``most`` times; known units are held.

    Args:
        once: [S, Q, N] -> [S, Q, N], one pass.
        energy: [S, Q, N] -> [S, Q].
        asked: the cues.
        most: passes.
    """
    x = asked.cues
    trace, moving = [energy(x)], torch.ones(x.shape[:2], dtype=torch.bool)
    sweeps = torch.zeros(x.shape[:2], dtype=torch.int64)
    for _ in range(most):
        new = torch.where(asked.known, asked.cues, once(x))
        still = (new - x).abs().amax(-1) <= REST
        x = torch.where(moving.unsqueeze(-1), new, x)
        trace.append(torch.where(moving, energy(x), torch.nan))
        sweeps += moving
        moving = moving & ~still
        if not moving.any():
            break
    return Found(x, torch.stack(trace, -1), sweeps)


class Learned:
    """S memories around one model; see :class:`simulator.core.memories.Memory`.

    Storing begins with new random weights, always the same ones, so it depends on nothing but the patterns.

    Args:
        name: of the memory, for errors.
        units: what a pattern is.
        seed_list: the run's seeds.
        way: how it recalls.
        model: what it learns with.
    """

    domain = "continuous"

    def __init__(self, name: str, units: PatternSpec, seed_list: Sequence[int], recall_mode: str, model: Any) -> None:
        torch.set_num_threads(1)
        self.recall_mode, self._name, self._units, self._seeds, self._model = (
            recall_mode,
            name,
            units,
            list(seed_list),
            model,
        )
        self._weights: Weights = model.draw(rng.generators(self._seeds, "weights"))
        self._stored, self._words = False, rng.pcg64_states(self._seeds, "recall")
        if hasattr(model, "codes"):
            self.codes = self._codes
        if hasattr(model, "generate"):
            self.generate = self._generate

    @property
    def n_parameters(self) -> int:
        """Weights and biases of a seed."""
        return sum(part[0].numel() for part in self._weights.values())

    def store(self, patterns: Array) -> None:
        """Learn patterns [S, P, N] from the beginning."""
        n = len(self._seeds)
        kept = check(patterns, n, self._units, "pattern", domain="bipolar" if self._units.is_bipolar else "continuous")
        weights = self._model.draw(rng.generators(self._seeds, "weights"))
        streams = rng.generators(self._seeds, "training")
        learned: dict[int, Weights] = {}

        def learn(first: int, last: int) -> None:
            torch.set_num_threads(1)  # torch counts per thread that calls it
            block = {name: part[first:last].clone() for name, part in weights.items()}
            self._model.fit(block, kept[first:last], streams[first:last])
            learned[first] = block

        parallel_for(learn, n)
        blocks = [learned[first] for first in sorted(learned)]
        self._weights = {name: torch.cat([block[name].detach() for block in blocks]) for name in weights}
        self._stored = True

    def recall(self, cues: Array, known: Array | None = None, evidence: Array | None = None) -> Recall:
        """Restore cues [S, Q, N]; signs where units are two-valued."""
        given = self._enter(cues, "cue")
        held = check_known(known, given)
        says = None
        if self.recall_mode == "noise_aware" and evidence is not None:
            says = torch.tensor(check_evidence(evidence, given, self._name))
        asked = Asked(torch.tensor(given), torch.tensor(held), says)
        found = self._model.recall(self._weights, asked, self._fresh())
        restored = found.patterns.numpy()
        if self._units.is_bipolar:
            restored = np.where(restored >= 0.0, np.float32(1.0), np.float32(-1.0))
        patterns = np.where(held, given, np.clip(restored, -1.0, 1.0)).astype(np.float32)
        return Recall(patterns, found.energy.numpy().astype(np.float64), found.sweeps.numpy())

    def energy(self, patterns: Array) -> Array:
        """Energy [S, Q] at patterns [S, Q, N]."""
        given = torch.tensor(self._enter(patterns, "pattern"))
        with torch.no_grad():
            found: Array = self._model.energy(self._weights, given, self._fresh()).numpy().astype(np.float64)
        return found

    def _codes(self, patterns: Array) -> Array:
        """Inner codes [S, Q, H] of patterns [S, Q, N]."""
        given = torch.tensor(self._enter(patterns, "pattern"))
        with torch.no_grad():
            found: Array = self._model.codes(self._weights, given).numpy()
        return found

    def _generate(self, n: int) -> Array:
        """New patterns [S, n, N], each seed by its stream, which moves on; signs where units are two-valued."""
        streams = [np.random.Generator(rng.unpack_state(words)) for words in self._words]
        with torch.no_grad():
            made: Array = self._model.generate(self._weights, n, streams).numpy()
        for words, stream in zip(self._words, streams, strict=True):
            words[:] = rng.pack_state(stream.bit_generator)  # type: ignore[arg-type]
        if self._units.is_bipolar:
            return np.where(made >= 0.0, np.float32(1.0), np.float32(-1.0))
        return np.clip(made, -1.0, 1.0)

    def _enter(self, values: Array, what: str) -> Array:
        if not self._stored:
            raise ValueError(f"{self._name}: nothing is stored yet, expected store before anything is asked")
        return check(values, len(self._seeds), self._units, what)

    def _fresh(self) -> Streams:
        return rng.generators(self._seeds, "recall")  # the same for every call: what is asked changes nothing

    def state(self) -> State:
        """Weights, and the streams of generating."""
        weights = {name: part.numpy().copy() for name, part in self._weights.items()}
        return {"weights": weights, "stored": self._stored, "streams": self._words.copy()}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self._weights = {name: torch.tensor(state["weights"][name]) for name in self._weights}
        self._stored, self._words = bool(state["stored"]), np.array(state["streams"], np.uint64)
