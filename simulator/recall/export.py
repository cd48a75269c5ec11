"""Arrays that the memories of a recall benchmark learned.

A benchmark keeps scores and not its memories, so the patterns are stored again: the same patterns, and the same bits.
``PATTERNS.patterns`` are the patterns, [S, P, N], for each number of patterns; ``LABEL.PATTERNS.NAME`` the arrays of a
contestant's state, [S, ...], such as ``rbm.20.layers.0.0``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from simulator.config.codec import of_record
from simulator.config.recall import RecallConfig
from simulator.core.experiment_kinds import RECALL
from simulator.core.protocols import Array
from simulator.recall.benchmark import RecallBenchmark
from simulator.store.run_records import seeds_of
from simulator.store.run_store import Store
from simulator.training.export import Export


def of_benchmark(lab: Path, run: str, seed: int | None = None) -> Export:
    """Return the states of all memories of a stored benchmark.

    Args:
        lab: its lab.
        run: its id.
        seed: export this one alone; None: all of them.

    Raises:
        ValueError: it is no benchmark, has no such seed, or a player or a file of it has changed.
    """
    with Store(lab) as store:
        record = store.find(run)
    if record.kind != RECALL:
        raise ValueError(f"{record.run} is a {record.kind}, expected a recall benchmark")
    config = of_record(RecallConfig, record)
    seeds = seeds_of(config)
    if seed is not None and seed not in seeds:
        raise ValueError(f"seed {seed}: expected one of {', '.join(map(str, seeds[:8]))}")
    row = None if seed is None else seeds.index(seed)
    benchmark = RecallBenchmark(config, list(seeds))
    arrays: dict[str, Array] = {"seeds": np.array(seeds if seed is None else [seed], np.int64)}
    words = {"kind": "memory", "challenge": config.challenge}
    for at, contestant in enumerate(config.contestants):
        if at in benchmark.refused:
            continue
        for patterns in dict.fromkeys(config.patterns):
            try:
                learned = benchmark.learn(at, patterns)
            except ValueError:
                if not config.skip:
                    raise
                continue
            arrays[f"{patterns}.patterns"] = learned.patterns if row is None else learned.patterns[row]
            for name, value in _flat(learned.state, f"{contestant.label}.{patterns}"):
                if isinstance(value, str):
                    words[name] = value
                else:
                    leads = value.ndim > 0 and len(value) == len(seeds)
                    arrays[name] = value if row is None or not leads else value[row]
    return Export(arrays, words)


def _flat(value: Any, name: str) -> Iterator[tuple[str, Array | str]]:
    """Iterate over the arrays, numbers and words of a state, with dotted names; what is None is left out."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}")
    elif isinstance(value, list | tuple):
        for at, item in enumerate(value):
            yield from _flat(item, f"{name}.{at}")
    elif isinstance(value, str):
        yield name, value
    elif value is not None:
        yield name, np.asarray(value)
