"""Machine of a result: processor, instruction sets, BLAS kernel, threads.

Results of two machines agree in distribution; whether they agree in bits hangs on these.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from simulator.core.devices import device

Machine = dict[str, str]
_LEVELS = {  # microarchitecture levels of x86-64 (System V ABI, AMD64 supplement, table 3.1), in LLVM's words
    "x86-64-v2": ("cx16", "popcnt", "sahf", "sse3", "sse4.1", "sse4.2", "ssse3"),
    "x86-64-v3": ("avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"),
    "x86-64-v4": ("avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"),
}


def machine(threads: int | None = None) -> Machine:
    """Describe the machine that numbers are made on now.

    Args:
        threads: that share the seeds; None: as many as there are cores.

    Returns:
        ``cpu``: the processor's model; ``instructions``: the x86-64 level it has, or its architecture; ``blas``:
        numpy's library with its kernel and version; ``blas_threads``: that it uses for one product; ``compiled_for``:
        the processor that numba compiles for; ``threads``; ``python``; where torch is loaded ``torch``: the instruction
        sets that its kernels use; where it computes elsewhere ``device``.
    """
    facts = {**_processor(), "threads": str(threads or os.cpu_count() or 1)}
    torch = sys.modules.get("torch")
    if torch is not None:
        facts["torch"] = str(torch.backends.cpu.get_cpu_capability())
        if device() != "cpu":
            with suppress(RuntimeError, AssertionError):
                facts["device"] = str(torch.cuda.get_device_name(device()))
    return facts


@cache
def _processor() -> Machine:
    facts = {"cpu": _model(), "instructions": _level(), **_blas(), "compiled_for": _compiled_for()}
    return {**{name: text for name, text in facts.items() if text}, "python": platform.python_version()}


def _model() -> str:
    """Return the processor's model name."""
    with suppress(OSError):
        named = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text("utf-8", "replace"), re.MULTILINE)
        if named:
            return " ".join(named[1].split())
    return platform.processor() or platform.machine()


def _level() -> str:
    from llvmlite import binding

    kind = platform.machine()
    if kind.lower() not in ("x86_64", "amd64"):
        return kind
    has = binding.get_host_cpu_features()
    level = "x86-64"
    for name, needed in _LEVELS.items():
        if not all(has.get(flag) for flag in needed):
            break
        level = name
    return level


def _compiled_for() -> str:
    from llvmlite import binding
    from numba import config

    return config.CPU_NAME or str(binding.get_host_cpu_name())


def _blas() -> Machine:
    """Return the library of numpy's matrix products, with the kernel that it chose when it was loaded."""
    import numpy as np
    from threadpoolctl import threadpool_info

    np.ones((2, 2)) @ np.ones((2, 2))
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    ours = [pool for pool in pools if "numpy" in str(pool["filepath"])] or pools
    if not ours:
        return {"blas": ""}
    words = (ours[0][name] for name in ("internal_api", "architecture", "version") if ours[0].get(name))
    return {"blas": " ".join(map(str, words)), "blas_threads": str(ours[0]["num_threads"])}


def joined(machines: Sequence[Machine], now: Machine) -> list[Machine]:
    """Append the machine of now to those that a result was made on, unless it is like the last one."""
    return [*machines] if machines and not differences(machines[-1:], now) else [*machines, now]


def differences(then: Sequence[Mapping[str, str]], now: Mapping[str, str]) -> dict[str, list[str]]:
    """Compare machines with the one of now, as name -> [then, now]; what one does not say is left out."""
    changes: dict[str, list[str]] = {}
    for one in then:
        for name in one:
            if name in now and one[name] != now[name]:
                changes.setdefault(name, [one[name], now[name]])
    return changes


def made_with(summary: Mapping[str, Any]) -> list[str]:
    """List the versions and machines that a stored result was made with, in lines for people."""
    versions = ", ".join(f"{name} {text}" for name, text in (summary.get("versions") or {}).items())
    lines = [f"made with {versions}"] if versions else []
    return lines + [f"made on {described(one)}" for one in summary.get("machines") or ()]


def described(one: Mapping[str, str]) -> str:
    """Describe a machine in one line."""
    words = {"cpu": "", "instructions": "", "blas": "BLAS ", "compiled_for": "compiled for ", "torch": "torch with "}
    facts = [before + one[name] for name, before in {**words, "device": "", "python": "Python "}.items() if name in one]
    return ", ".join([*facts, *([f"threads: {one['threads']}"] if "threads" in one else [])])
