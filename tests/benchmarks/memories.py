"""Memories beside plain loops and their peers: work per CPU-second of one thread, in alternation.

Run with OMP_NUM_THREADS=1 and OPENBLAS_NUM_THREADS=1. Peers that are not installed are left out.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from simulator.core.jit import set_threads
from tests.benchmarks._clock import show
from tests.benchmarks._memories_hopfield import capacity, hopfield_speed, modern_speed

_MORE = {"rbm": ("_memories_rbm", "rbm_speed"), "autoencoder": ("_memories_torch", "autoencoder_speed")}


def main(json: bool) -> dict[str, Any]:
    """Speed of every kind of memory, and what Hopfield's network of 2,000 units holds."""
    set_threads(1)
    found = {"hopfield": hopfield_speed(), "modern_hopfield": modern_speed(), "capacity": capacity()}
    for name, (file, function) in _MORE.items():
        if find_spec(f"tests.benchmarks.{file}"):
            found[name] = getattr(import_module(f"tests.benchmarks.{file}"), function)()
    return show(__doc__, found, json)
