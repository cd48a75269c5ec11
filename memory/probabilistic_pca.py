"""Probabilistic principal component analysis: patterns are a linear picture of a few normal numbers, plus noise.

Tipping and Bishop 1999, "Probabilistic principal component analysis".

* Model: z ~ N(0, I), x | z ~ N(mean + W z, noise I); so x ~ N(mean, C) with C = W W^T + noise I.
* ``closed_form``: W = V (L - noise I)^(1/2) with the H largest eigenvectors V and eigenvalues L of the covariance, and
  noise the mean of the others (equations 7 and 8), which is the maximum of the likelihood.
* ``em``: the EM algorithm (equations 29 and 30) from random weights, which comes to the same C.
* Energy: -log p(x). Codes: the posterior mean of z (equation 6).
* Recall: the posterior mean of x. A cue is an observation of each unit: exact where it is known, and with
  recall_mode = noise_aware of the precision that its evidence gives, e / q for a cue q with evidence e; without
  evidence the cue's own noise is the model's. Bipolar patterns take the signs at the end.

Log likelihoods depend on the scale: patterns go from -1 to 1, and the same pictures as numbers from 0 to 1 have N log 2
nats more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from memory.common.validation import check, check_evidence, check_known, hold
from simulator.core import rng
from simulator.core.field_types import Count, NonNegative
from simulator.core.jit import parallel_for
from simulator.core.memories import PatternSpec, Recall
from simulator.core.protocols import Array, State

MIN_NOISE = 1e-6  # variance: where patterns lie in a plane the likelihood has no bound
_CHUNK = 256  # cues at a time


@dataclass(frozen=True)
class Config:
    """Settings of probabilistic principal component analysis."""

    n_components: Count = 30
    """dimension H of the code; no more than units, or patterns less one"""
    method: Literal["closed_form", "em"] = "closed_form"
    """closed_form: by eigenvectors of the covariance; em: by the EM algorithm"""
    em_iters: Count = 500
    """iterations at most, with method = em"""
    em_tolerance: NonNegative = 1e-10
    """relative change of the noise at which EM ends"""
    recall_mode: Literal["single_pass", "noise_aware"] = "noise_aware"
    """single_pass: the cue has the model's own noise; noise_aware: that of its evidence, where the corruption gives
    any"""


PRESETS = {
    "probabilistic-pca-em": {"description": "learns by the EM algorithm", "memory": {"method": "em"}},
}


class NormalModel(NamedTuple):
    """Parameters of one seed."""

    mean: Array  # float64 [N]
    weights: Array  # float64 [N, H], W
    noise: float  # variance of a unit given the code


def closed_form(patterns: Array, n_components: int) -> NormalModel:
    """Return the maximum of the likelihood of patterns [P, N] (equations 7 and 8)."""
    mean = patterns.mean(0)
    values, vectors = np.linalg.eigh(np.cov(patterns.T, bias=True).reshape(len(mean), -1))
    values, vectors = values[::-1], vectors[:, ::-1]
    noise = max(float(values[n_components:].mean()), MIN_NOISE) if n_components < len(values) else MIN_NOISE
    scales = np.sqrt(np.maximum(values[:n_components] - noise, 0.0))
    return NormalModel(mean, vectors[:, :n_components] * scales, noise)


def expectation_maximization(
    patterns: Array, n_components: int, n_iters: int, tolerance: float, stream: np.random.Generator
) -> NormalModel:
    """Climb to the maximum of the likelihood of patterns [P, N] (equations 29 and 30)."""
    mean = patterns.mean(0)
    covariance = np.cov(patterns.T, bias=True).reshape(len(mean), -1)
    n = len(mean)
    weights = stream.standard_normal((n, n_components))
    noise = max(np.trace(covariance) / n, MIN_NOISE)
    for _ in range(n_iters):
        posterior = np.linalg.inv(noise * np.eye(n_components) + weights.T @ weights)  # M^-1
        spread = covariance @ weights  # S W
        new = spread @ np.linalg.inv(noise * np.eye(n_components) + posterior @ weights.T @ spread)
        new_noise = max(float(np.trace(covariance) - np.trace(spread @ posterior @ new.T)) / n, MIN_NOISE)
        has_converged = abs(new_noise - noise) <= tolerance * noise
        weights, noise = new, new_noise
        if has_converged:
            break
    return NormalModel(mean, weights, noise)


def log_likelihood(model: NormalModel, patterns: Array) -> Array:
    """Compute log p(x) of patterns [Q, N], float64 [Q], by the H by H matrix M = noise I + W^T W."""
    n, n_components = model.weights.shape
    inner = model.noise * np.eye(n_components) + model.weights.T @ model.weights
    log_det = (n - n_components) * np.log(model.noise) + np.linalg.slogdet(inner)[1]
    centred = patterns - model.mean
    codes = centred @ model.weights
    distance = (np.square(centred).sum(1) - (codes * np.linalg.solve(inner, codes.T).T).sum(1)) / model.noise
    return np.asarray(-0.5 * (n * np.log(2.0 * np.pi) + log_det + distance))


def posterior_code(model: NormalModel, cues: Array, precision: Array) -> Array:
    """Compute the mean of z [Q, H] given cues [Q, N] that are the mean of x plus noise.

    Args:
        model: parameters.
        cues: observations of mean + W z.
        precision: of each observation, float64 [Q, N] or [1, N], the model's noise included; 0: says nothing.
    """
    weights = model.weights
    inner = np.eye(weights.shape[1]) + np.einsum("nh,qn,nk->qhk", weights, precision, weights, optimize=True)
    pulls = ((cues - model.mean) * precision) @ weights
    return np.asarray(
        np.linalg.solve(np.broadcast_to(inner, (len(cues), *inner.shape[1:])), pulls[:, :, None])[:, :, 0]
    )


class ProbabilisticPCA:
    """S models of N units; see :class:`simulator.core.memories.Memory`."""

    domain = "continuous"

    def __init__(self, spec: PatternSpec, seed_list: Sequence[int], config: Config) -> None:
        self.recall_mode: str = config.recall_mode
        self._spec = spec
        self._seeds = list(seed_list)
        self._config = config
        self._models: list[NormalModel] = []
        self._streams = rng.pcg64_states(self._seeds, "recall")

    @property
    def n_parameters(self) -> int:
        """Mean, weights and noise of one seed."""
        return int(self._models[0].mean.size + self._models[0].weights.size + 1) if self._models else 0

    def store(self, patterns: Array) -> None:
        """Fit the models to patterns [S, P, N].

        Raises:
            ValueError: another shape, or values outside the domain.
        """
        domain = "bipolar" if self._spec.is_bipolar else "continuous"
        values = check(patterns, len(self._seeds), self._spec, "pattern", domain=domain).astype(np.float64)
        config = self._config
        n_patterns, n_units = values.shape[1:]
        n_components = min(config.n_components, n_units, max(n_patterns - 1, 1))  # of centred patterns
        streams = rng.generators(self._seeds, "training")
        models: dict[int, NormalModel] = {}

        def work(first: int, last: int) -> None:
            for i in range(first, last):
                if config.method == "closed_form":
                    models[i] = closed_form(values[i], n_components)
                else:
                    models[i] = expectation_maximization(
                        values[i], n_components, config.em_iters, config.em_tolerance, streams[i]
                    )

        parallel_for(work, len(values))
        self._models = [models[i] for i in range(len(values))]

    def energy(self, patterns: Array) -> Array:
        """Compute -log p(x), float64 [S, Q], of patterns [S, Q, N]."""
        values = check(patterns, len(self._seeds), self._spec, "pattern").astype(np.float64)
        self._require_patterns()
        return np.stack([-log_likelihood(model, rows) for model, rows in zip(self._models, values, strict=True)])

    def codes(self, patterns: Array) -> Array:
        """Compute the posterior means of z, [S, Q, H], of patterns [S, Q, N]."""
        values = check(patterns, len(self._seeds), self._spec, "pattern").astype(np.float64)
        self._require_patterns()
        exact = [np.full((1, self._spec.n), 1.0 / model.noise) for model in self._models]
        each = zip(self._models, values, exact, strict=True)
        return np.stack([posterior_code(model, rows, precision) for model, rows, precision in each])

    @property
    def code_size(self) -> int:
        """Dimension of the code."""
        return self._models[0].weights.shape[1] if self._models else self._config.n_components

    def decode(self, codes: Array) -> Array:
        """Compute the mean patterns [S, Q, N] of codes [S, Q, H], cut off at -1 and 1."""
        self._require_patterns()
        means = [model.mean + rows @ model.weights.T for model, rows in zip(self._models, codes, strict=True)]
        return np.clip(np.stack(means), -1.0, 1.0)

    def recall(self, cues: Array, known: Array | None = None, evidence: Array | None = None) -> Recall:
        """Return the posterior means of cues [S, Q, N].

        Raises:
            ValueError: another shape, values outside the domain, or nothing is stored.
        """
        values = check(cues, len(self._seeds), self._spec, "cue")
        mask = check_known(known, values)
        self._require_patterns()
        precision = None
        if self.recall_mode == "noise_aware" and evidence is not None:
            precision = np.zeros(values.shape)
            heard = check_evidence(evidence, values, "probabilistic_pca")
            np.divide(heard, values, out=precision, where=np.abs(values) > 1e-6)
            np.maximum(precision, 0.0, out=precision)
        means = np.empty(values.shape)

        def work(first: int, last: int) -> None:
            for i in range(first, last):
                for start in range(0, values.shape[1], _CHUNK):
                    at = (i, slice(start, start + _CHUNK))
                    means[at] = _posterior_mean(
                        self._models[i], values[at], mask[at], None if precision is None else precision[at]
                    )

        parallel_for(work, len(values))
        restored = np.where(means >= 0.0, 1.0, -1.0) if self._spec.is_bipolar else np.clip(means, -1.0, 1.0)
        patterns = hold(restored, values, mask).astype(np.float32)
        energy = np.stack([self.energy(values), self.energy(patterns)], 2)
        return Recall(patterns, energy, np.ones(values.shape[:2], np.int64))

    def generate(self, n: int) -> Array:
        """Sample mean patterns [S, n, N] of normal codes; every call goes on with each seed's stream."""
        self._require_patterns()
        streams = [np.random.Generator(rng.unpack_state(state)) for state in self._streams]
        codes = np.stack([stream.standard_normal((n, self.code_size)) for stream in streams])
        for state, stream in zip(self._streams, streams, strict=True):
            state[:] = rng.pack_state(stream.bit_generator, drop_half=True)  # type: ignore[arg-type]
        means = self.decode(codes)
        patterns = np.where(means >= 0.0, 1.0, -1.0) if self._spec.is_bipolar else means
        return patterns.astype(np.float32)

    def receptive_fields(self, index: int) -> Array:
        """Return the weights [H, N] of seed number ``index``."""
        self._require_patterns()
        return self._models[index].weights.T

    def state(self) -> State:
        """Return the parameters, and the streams of generation."""
        models = [{"mean": model.mean, "weights": model.weights, "noise": model.noise} for model in self._models]
        return {"models": models, "streams": self._streams.copy()}

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self._models = [
            NormalModel(np.array(model["mean"]), np.array(model["weights"]), float(model["noise"]))
            for model in state["models"]
        ]
        self._streams = np.array(state["streams"], np.uint64)

    def _require_patterns(self) -> None:
        if not self._models:
            raise ValueError("probabilistic_pca: nothing is stored yet, expected patterns before cues")


def _posterior_mean(model: NormalModel, cues: Array, known: Array, precision: Array | None) -> Array:
    """Compute the mean of x [Q, N] given cues [Q, N] of which some units are known.

    Args:
        model: parameters.
        cues: observations of x.
        known: bool [Q, N], units that are exact.
        precision: of the other observations, float64 [Q, N]; None: exact, but the result is mean + W z, without the
            noise that the model sees in them.
    """
    if precision is None:
        code = posterior_code(model, cues, np.where((cues != 0.0) | known, 1.0 / model.noise, 0.0))
        return np.asarray(model.mean + code @ model.weights.T)
    of_code = np.where(known, 1.0 / model.noise, precision / (1.0 + model.noise * precision))
    prior = model.mean + posterior_code(model, cues, of_code) @ model.weights.T
    return np.asarray((prior + model.noise * precision * cues) / (1.0 + model.noise * precision))


def make(spec: PatternSpec, seed_list: Sequence[int], config: Config) -> ProbabilisticPCA:
    """Make models for patterns of any shape."""
    return ProbabilisticPCA(spec, seed_list, config)


if __name__ == "__main__":
    from memory.common.demo import show_memory

    show_memory("probabilistic_pca", make, Config())
