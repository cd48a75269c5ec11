"""Memory check before an agent is made."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from simulator.core.protocols import EnvSpec


def free_bytes() -> int:
    """Return the available memory in bytes: the kernel's estimate, else the machine's whole memory."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_fits(agent: str, spec: EnvSpec, n_bytes: int, advice: str) -> None:
    """Check that ``n_bytes`` are available.

    Raises:
        ValueError: they are not; ``advice`` names the settings to reduce.
    """
    free = free_bytes()
    if n_bytes > free:
        need = n_bytes / 2**30
        have = free / 2**30
        raise ValueError(f"{agent} on {spec.id} needs {need:,.1f} GiB and {have:,.1f} GiB are free, expected {advice}")
