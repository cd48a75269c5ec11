"""Whether what an agent will keep fits into this machine, asked before it is made."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from simulator.core.protocols import EnvSpec


def free_bytes() -> int:
    """Memory that can still be had, in bytes: what the kernel says, else all there is."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_fits(agent: str, spec: EnvSpec, n_bytes: int, advice: str) -> None:
    """Refuse what would not fit.

    Raises:
        ValueError: more bytes than are free; ``advice`` says what to give less of.
    """
    free = free_bytes()
    if n_bytes > free:
        need, have = n_bytes / 2**30, free / 2**30
        raise ValueError(f"{agent} on {spec.id} needs {need:,.1f} GiB and {have:,.1f} GiB are free, expected {advice}")
