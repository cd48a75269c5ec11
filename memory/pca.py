"""Principal component analysis: recall projects a cue on the directions in which the stored patterns vary most.

Pearson 1901; Hotelling 1933; Baldi and Hornik 1989 for the linear network. Three ways to the same subspace:

* ``covariance``: eigenvectors of the patterns' covariance matrix, N by N;
* ``svd``: right singular vectors of the centred patterns, P by N, which never forms that matrix;
* ``linear_network``: a network x' = mean + W W^T (x - mean) is trained to least squared error by L-BFGS from random
  weights. That finds the subspace, in no particular basis (all minima of its loss are global: Baldi and Hornik 1989);
  the components are the principal axes of the codes.

* Codes: c = V^T (x - mean). Recall: x' = mean + V c, once or until nothing changes, which takes more than one step
  where units are known and held; bipolar patterns take the signs at the end. Energy: |x - x'|^2.

Of all linear codes of H numbers this one has the least squared error on the stored patterns. Signs are fixed: the
largest entry of every component is positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from memory.common.validation import check, check_known, hold
from simulator.core import rng
from simulator.core.field_types import Count
from simulator.core.jit import parallel_for
from simulator.core.memories import PatternSpec, Recall
from simulator.core.protocols import Array, State

TOLERANCE = 1e-4  # largest change of a unit at a fixed point
GRADIENT_TOLERANCE = 1e-9  # at which the network's training ends, with its loss as a fraction of the variance
MAX_TRAINING_STEPS = 5_000


@dataclass(frozen=True)
class Config:
    """Settings of principal component analysis."""

    n_components: Count = 30
    """components H; no more than units, or patterns less one"""
    method: Literal["covariance", "svd", "linear_network"] = "svd"
    """how the components are found: all three ways end in the same ones"""
    recall_mode: Literal["single_pass", "fixed_point"] = "fixed_point"
    """single_pass: one projection; fixed_point: projections until nothing changes, with known units held"""
    max_iters: Count = 50
    """projections at most, with fixed_point"""


PRESETS = {
    "pca-covariance": {"description": "by eigenvectors of the covariance", "memory": {"method": "covariance"}},
    "pca-network": {"description": "by a linear network that is trained", "memory": {"method": "linear_network"}},
}


class Components(NamedTuple):
    """Principal components of one seed's patterns."""

    mean: Array  # float64 [N]
    axes: Array  # float64 [H, N], orthonormal, the one of most variance first
    variance: Array  # float64 [H], of the patterns along each axis, divided by their number


def by_covariance(patterns: Array, n_components: int) -> Components:
    """Find the components of patterns [P, N] as eigenvectors of their covariance."""
    mean = patterns.mean(0)
    values, vectors = np.linalg.eigh(np.cov(patterns.T, bias=True).reshape(len(mean), -1))
    largest = np.argsort(values)[::-1][:n_components]
    return Components(mean, _with_fixed_signs(vectors[:, largest].T), np.maximum(values[largest], 0.0))


def by_svd(patterns: Array, n_components: int) -> Components:
    """Find the components of patterns [P, N] as right singular vectors of the centred patterns."""
    mean = patterns.mean(0)
    _, singular, axes = np.linalg.svd(patterns - mean, full_matrices=False)
    variance = singular[:n_components] ** 2 / len(patterns)
    return Components(mean, _with_fixed_signs(axes[:n_components]), variance)


def by_linear_network(patterns: Array, n_components: int, stream: np.random.Generator) -> Components:
    """Find the components of patterns [P, N] by training x' = W W^T x on the centred patterns.

    With C the covariance, the mean squared error is tr C - 2 tr(W^T C W) + tr(W^T W W^T C W), and its gradient
    -4 C W + 2 W (W^T C W) + 2 C W (W^T W).
    """
    from scipy.linalg import qr
    from scipy.optimize import minimize

    mean = patterns.mean(0)
    covariance = np.cov(patterns.T, bias=True).reshape(len(mean), -1)
    total = max(np.trace(covariance), np.finfo(float).tiny)
    shape = (len(mean), n_components)

    def loss(flat_weights: Array) -> tuple[float, Array]:
        weights = flat_weights.reshape(shape)
        spread = covariance @ weights  # C W
        inner = weights.T @ spread  # W^T C W
        gram = weights.T @ weights
        gradient = -4.0 * spread + 2.0 * weights @ inner + 2.0 * spread @ gram
        value = total - 2.0 * np.trace(inner) + (gram * inner.T).sum()
        return value / total, gradient.ravel() / total

    initial = stream.standard_normal(shape) / np.sqrt(shape[0])
    options = {"maxiter": MAX_TRAINING_STEPS, "maxfun": 2 * MAX_TRAINING_STEPS, "maxcor": 20}
    options |= {"gtol": GRADIENT_TOLERANCE, "ftol": 0.0}
    trained = minimize(loss, initial.ravel(), jac=True, method="L-BFGS-B", options=options).x.reshape(shape)
    basis = qr(trained, mode="economic")[0]  # of the subspace; its principal axes are those of the codes
    values, rotation = np.linalg.eigh(basis.T @ covariance @ basis)
    axes = (basis @ rotation[:, ::-1]).T
    return Components(mean, _with_fixed_signs(axes), np.maximum(values[::-1], 0.0))


def _with_fixed_signs(axes: Array) -> Array:
    """Return axes [H, N] turned so that the entry of largest magnitude is positive."""
    largest = np.take_along_axis(axes, np.abs(axes).argmax(1, keepdims=True), axis=1)
    return np.asarray(axes * np.where(largest < 0.0, -1.0, 1.0))


class PCA:
    """S analyses of N units; see :class:`simulator.core.memories.Memory`."""

    domain = "continuous"

    def __init__(self, spec: PatternSpec, seed_list: Sequence[int], config: Config) -> None:
        self.recall_mode: str = config.recall_mode
        self._spec = spec
        self._seeds = list(seed_list)
        self._config = config
        n_seeds = len(self._seeds)
        self._set(np.zeros((n_seeds, spec.n)), np.zeros((n_seeds, 0, spec.n)), np.zeros((n_seeds, 0)))

    @property
    def n_parameters(self) -> int:
        """Components and mean of one seed."""
        return int(self._axes[0].size + self._spec.n)

    def store(self, patterns: Array) -> None:
        """Find the components of patterns [S, P, N].

        Raises:
            ValueError: another shape, or values outside the domain.
        """
        domain = "bipolar" if self._spec.is_bipolar else "continuous"
        values = check(patterns, len(self._seeds), self._spec, "pattern", domain=domain).astype(np.float64)
        n_patterns, n_units = values.shape[1:]
        n_components = min(self._config.n_components, n_units, max(n_patterns - 1, 1))  # of centred patterns
        streams = rng.generators(self._seeds, "training")
        found: dict[int, Components] = {}

        def work(first: int, last: int) -> None:
            for i in range(first, last):
                if self._config.method == "covariance":
                    found[i] = by_covariance(values[i], n_components)
                elif self._config.method == "svd":
                    found[i] = by_svd(values[i], n_components)
                else:
                    found[i] = by_linear_network(values[i], n_components, streams[i])

        parallel_for(work, len(values))
        components = [found[i] for i in range(len(values))]
        mean, axes, variance = (np.stack(arrays) for arrays in zip(*components, strict=True))
        self._set(mean, axes, variance)

    def _set(self, mean: Array, axes: Array, variance: Array) -> None:
        self._mean = mean  # float64 [S, N]
        self._axes = axes  # float64 [S, H, N]
        self._variance = variance  # float64 [S, H]

    @property
    def variance(self) -> Array:
        """Variance [S, H] of the stored patterns along each component."""
        return self._variance

    def codes(self, patterns: Array) -> Array:
        """Compute the coordinates [S, Q, H] of patterns [S, Q, N]."""
        values = check(patterns, len(self._seeds), self._spec, "pattern")
        return (values - self._mean[:, None]) @ self._axes.transpose(0, 2, 1)

    @property
    def code_size(self) -> int:
        """Number of components."""
        return self._axes.shape[1]

    def decode(self, codes: Array) -> Array:
        """Compute the patterns [S, Q, N] of coordinates [S, Q, H], cut off at -1 and 1."""
        return np.clip(self._mean[:, None] + codes @ self._axes, -1.0, 1.0)

    def _projected(self, values: Array) -> Array:
        """Project values [S, Q, N] on the mean plus the span of the components."""
        centred = values - self._mean[:, None]
        return np.asarray(self._mean[:, None] + (centred @ self._axes.transpose(0, 2, 1)) @ self._axes)

    def energy(self, patterns: Array) -> Array:
        """Compute the squared reconstruction error [S, Q] of patterns [S, Q, N]."""
        values = check(patterns, len(self._seeds), self._spec, "pattern").astype(np.float64)
        self._require_patterns()
        return np.square(values - self._projected(values)).sum(2)

    def recall(self, cues: Array, known: Array | None = None, evidence: Array | None = None) -> Recall:
        """Project cues [S, Q, N], once or until nothing changes.

        Raises:
            ValueError: another shape, values outside the domain, or nothing is stored.
        """
        values = check(cues, len(self._seeds), self._spec, "cue")
        mask = check_known(known, values)
        self._require_patterns()
        x = values.astype(np.float64)
        energies = [np.square(x - self._projected(x)).sum(2)]
        n_iters = np.zeros(x.shape[:2], np.int64)
        is_active = np.ones(x.shape[:2], np.bool_)
        for _ in range(1 if self.recall_mode == "single_pass" else self._config.max_iters):
            new = hold(self._projected(x), values, mask)
            has_converged = np.abs(new - x).max(2) <= TOLERANCE
            n_iters += is_active
            x = np.where(is_active[:, :, None], new, x)
            energies.append(np.where(is_active, np.square(x - self._projected(x)).sum(2), np.nan))
            is_active &= ~has_converged
            if not is_active.any():
                break
        restored = np.where(x >= 0.0, 1.0, -1.0) if self._spec.is_bipolar else np.clip(x, -1.0, 1.0)
        return Recall(hold(restored, values, mask).astype(np.float32), np.stack(energies, 2), n_iters)

    def receptive_fields(self, index: int) -> Array:
        """Return the components [H, N] of seed number ``index``."""
        return self._axes[index]

    def state(self) -> State:
        """Return the mean, the components and their variances."""
        return {"mean": self._mean, "axes": self._axes, "variance": self._variance}

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self._set(*(np.array(state[name]) for name in ("mean", "axes", "variance")))

    def _require_patterns(self) -> None:
        if not self._axes.shape[1]:
            raise ValueError("pca: nothing is stored yet, expected patterns before cues")


def make(spec: PatternSpec, seed_list: Sequence[int], config: Config) -> PCA:
    """Make analyses for patterns of any shape."""
    return PCA(spec, seed_list, config)


if __name__ == "__main__":
    from memory.common.demo import show_memory

    show_memory("pca", make, Config())
