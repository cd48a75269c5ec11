"""Hopfield networks beside plain loops and the PyPI package ``hopfieldnetwork``; the modern one beside its products.

Everybody gets the same patterns and the same corruption, works with float32 where it can choose, and runs to rest.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from itertools import count
from typing import Any

import numpy as np

from memory import hopfield, modern_hopfield
from memory.hopfield.learning_rules import hebb
from simulator.core.memories import PatternSpec
from simulator.core.protocols import Array
from simulator.core.registry import ROOT
from tests.benchmarks._clock import alternate, ratio

N, P, CUES, BATCH, FLIP = 4_000, 400, 32, 256, 0.2
LARGE_N, LARGE_P = 20_000, 2_000
K, D, QUERIES = 10_000, 784, 256
ROUNDS = 3
Work = tuple[Callable[[], Any], int]


def drawn(n_seeds: int, n_patterns: int, n: int, n_cues: int, flip: float = FLIP) -> tuple[Array, Array]:
    """Random patterns [S, P, N] and cues [S, Q, N] of the first of them, every unit flipped with that probability."""
    draws = np.random.Generator(np.random.PCG64(0))
    stored = draws.choice(np.array([-1.0, 1.0], np.float32), (n_seeds, n_patterns, n))
    cues = stored[:, :n_cues]
    return stored, np.where(draws.random(cues.shape) < flip, -cues, cues)


def hopfield_speed() -> dict[str, Any]:
    """Patterns stored and cues recalled per CPU-second, and how many times the peers' that is."""
    stored, cues = drawn(1, P, N, BATCH)
    weights = stored[0].T @ stored[0] / np.float32(N)
    np.fill_diagonal(weights, 0.0)
    memories = {update: _network(stored, update=update) for update in ("asynchronous", "synchronous")}
    signs, double = stored[0].astype(np.int8), weights.astype(np.float64)
    fresh = hopfield.make(PatternSpec((N,)), [0], hopfield.Config())
    works: dict[str, Work] = {
        "store": (lambda: fresh.store(stored), P),
        "weights by one product": (lambda: hebb(signs), P),
        "store by a loop of outer products": (lambda: outer_products(stored[0, :40]), 40),
        "asynchronous": (lambda: memories["asynchronous"].recall(cues[:, :CUES]), CUES),
        "asynchronous, a loop over units": (lambda: one_by_one(weights, cues[0, 0]), 1),
        "asynchronous, a loop over units, float64": (lambda: one_by_one(double, cues[0, 0].astype(np.float64)), 1),
        f"synchronous, {BATCH} cues": (lambda: memories["synchronous"].recall(cues), BATCH),
    }
    if find_spec("hopfieldnetwork"):
        works["asynchronous, hopfieldnetwork"] = (_package(weights, cues[0, 0]), 1)
    rates = alternate(works, ROUNDS)
    loops = "asynchronous, a loop over units"
    pairs = {
        "store / loop of outer products": ("store", "store by a loop of outer products"),
        "weights by one product / loop of outer products": (
            "weights by one product",
            "store by a loop of outer products",
        ),
        "asynchronous / loop over units": ("asynchronous", loops),
        "asynchronous / loop over units, float64": ("asynchronous", f"{loops}, float64"),
        "synchronous / loop over units": (f"synchronous, {BATCH} cues", loops),
        "synchronous / loop over units, float64": (f"synchronous, {BATCH} cues", f"{loops}, float64"),
    }
    if "asynchronous, hopfieldnetwork" in works:
        pairs["asynchronous / hopfieldnetwork"] = ("asynchronous", "asynchronous, hopfieldnetwork")
    times = {name: ratio(rates, *pair) for name, pair in pairs.items()}
    sweeps = 1.0 + memories["synchronous"].recall(cues).n_iters.mean()  # the last one finds nothing to do
    more = float(sweeps / one_by_one(weights, cues[0, 0]))
    times["synchronous / loop over units, sweep for sweep"] = more * times["synchronous / loop over units"]
    return {"per_cpu_second": rates, "times": times, "large": _large()}


def _network(stored: Array, **config: Any) -> hopfield.Hopfield:
    memory = hopfield.make(PatternSpec((stored.shape[2],)), list(range(len(stored))), hopfield.Config(**config))
    memory.store(stored)
    return memory


def outer_products(patterns: Array) -> Array:
    """Hebb's rule as it is written down."""
    weights = np.zeros((patterns.shape[1],) * 2, np.float32)
    for x in patterns:
        weights += np.outer(x, x)
    return weights


def one_by_one(weights: Array, cue: Array) -> int:
    """Asynchronous recall as it is written down: a product for every unit, until a sweep changes nothing; sweeps."""
    draws, state = np.random.Generator(np.random.PCG64(1)), cue.copy()
    for sweep in count(1):
        before = state.copy()
        for unit in draws.permutation(len(state)):
            field = np.dot(weights[unit], state)
            if field != 0.0:
                state[unit] = 1.0 if field > 0.0 else -1.0
        if (state == before).all():
            return sweep
    raise AssertionError


def _package(weights: Array, cue: Array) -> Callable[[], Any]:
    """The package, with the weights given to it: its own training is a loop of outer products."""
    from hopfieldnetwork import HopfieldNetwork

    network = HopfieldNetwork(N=len(cue))
    network.w = weights.astype(np.float64)

    def recall() -> None:
        network.set_initial_neurons_state(cue.astype(np.int8))
        network.update_neurons(1, "async", run_max=True)

    return recall


def _large() -> dict[str, float]:
    """Peak memory in gigabytes, CPU seconds and overlap of a network of 20,000 units, in a process of its own."""
    words = [sys.executable, "-m", "tests.benchmarks._memories_hopfield"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT)
    return dict(zip(("gigabytes", "cpu_seconds_a_cue", "overlap"), map(float, done.stdout.split()), strict=True))


def _recall_large() -> None:
    import resource
    import time

    stored, cues = drawn(1, LARGE_P, LARGE_N, 8)
    memory = _network(stored)
    memory.recall(cues[:, :1])
    began = time.process_time()
    found = memory.recall(cues)
    seconds = (time.process_time() - began) / cues.shape[1]
    overlap = float((found.patterns * stored[:, : cues.shape[1]]).mean())
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, seconds, overlap)


def modern_speed() -> dict[str, Any]:
    """Share of the machine's rate of float32 products that a recall of the modern network reaches.

    A recall is three products of [Q, D] and [K, D]: the step's two, and one more for the energy where it led to.
    """
    stored, cues = drawn(1, K, D, QUERIES)
    memory = modern_hopfield.make(PatternSpec((D,)), [0], modern_hopfield.Config(recall_mode="single_pass"))
    memory.store(stored)
    flops = 2 * QUERIES * K * D
    fits, back = np.empty((QUERIES, K), np.float32), np.empty((QUERIES, D), np.float32)

    def products() -> None:
        np.matmul(cues[0], stored[0].T, out=fits)
        np.matmul(fits, stored[0], out=back)
        np.matmul(cues[0], stored[0].T, out=fits)

    works: dict[str, Work] = {
        "recall": (lambda: memory.recall(cues), 3 * flops),
        "products only": (products, 3 * flops),
    }
    rates = alternate(works, ROUNDS)
    share = ratio(rates, "recall", "products only")
    found = {name: rate["median"] / 1e9 for name, rate in rates.items()}
    return {"gigaflops": found, "share": share, "share_without_the_energy_s_product": share * 2 / 3}


def capacity() -> dict[str, Any]:
    """Mean overlap and the share above .95 after asynchronous recall, N = 2,000, two seeds, 100 cues each."""
    found: dict[str, Any] = {}
    for alpha in (0.05, 0.10, 0.12, 0.138, 0.15, 0.20):
        for flip in (0.0, 0.1, 0.2):
            stored, cues = drawn(2, round(alpha * 2_000), 2_000, 100, flip)
            overlaps = (_network(stored).recall(cues).patterns * stored[:, :100]).mean(2)
            found[f"alpha {alpha:g}, {flip:g} flipped"] = {
                "overlap": float(overlaps.mean()),
                "above .95": float((overlaps > 0.95).mean()),
            }
    return found


if __name__ == "__main__":
    _recall_large()
