"""Run the suite as other machines would: other BLAS kernels, older processors, other first seeds.

``make test-portable`` runs all of it once under each configuration below; ``python -m tests.portable -k probes`` hands
its arguments to pytest. Tests that judge learning run once more on every other first seed, with the kernel of this
machine. It goes on after a failure, ends with a line for each configuration, and exits with 1 if one of them failed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple


class Configuration(NamedTuple):
    """Environment variables of one run of the suite; an empty string leaves a variable as it is."""

    blas: str  # OPENBLAS_CORETYPE: the kernels of numpy's products
    numba: str  # NUMBA_CPU_NAME: what machine code is made for
    torch: str  # ATEN_CPU_CAPABILITY: the vector units that torch uses
    first_seed: int  # ENGRAM_TEST_FIRST_SEED
    only: tuple[str, ...] = ()  # further arguments of pytest

    def __str__(self) -> str:
        given = {"BLAS": self.blas, "numba": self.numba, "torch": self.torch}
        named = [f"{name} {value}" for name, value in given.items() if value]
        return ", ".join([*named, f"first seed {self.first_seed}", *(["learning only"] if self.only else [])])


ALL = (
    Configuration("Prescott", "", "default", 100),
    Configuration("Haswell", "", "avx2", 200),
    Configuration("Zen", "", "", 300),
    Configuration("SkylakeX", "", "", 400),
    Configuration("", "generic", "default", 0),
    *(Configuration("", "", "", first, ("-m", "learning")) for first in (100, 200, 300, 400)),
)
PROCESSES = ("-n", "2", "--dist", "worksteal", "-q")


def main(arguments: list[str]) -> int:
    """Run every configuration and return 1 if one fails."""
    rows, red = [], False
    with tempfile.TemporaryDirectory(prefix="engram-portable-") as folder:
        for each in ALL:
            code, summary, minutes = _run(each, Path(folder), arguments)
            red |= code != 0
            rows.append(f"{'RED' if code else 'green':6}{each}: {summary} ({minutes:.1f} min)")
            print(rows[-1], flush=True)
    print("\n".join(["", *rows]))
    return int(red)


def _run(what: Configuration, folder: Path, arguments: list[str]) -> tuple[int, str, float]:
    """Return the exit code of pytest, its last line, and the minutes that it took."""
    known = {
        "OPENBLAS_CORETYPE": what.blas,
        "NUMBA_CPU_NAME": what.numba,
        "ATEN_CPU_CAPABILITY": what.torch,
        "ENGRAM_TEST_FIRST_SEED": str(what.first_seed),
        "NUMBA_CACHE_DIR": str(folder / (what.numba or "own")),
    }
    words = [sys.executable, "-m", "pytest", *PROCESSES, *what.only, *arguments]
    began, lines = time.monotonic(), []
    env = {**os.environ, **{name: value for name, value in known.items() if value}}
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    counts = [line.strip(" =\n") for line in lines if re.search(r"\d+ (passed|failed|error)", line)]
    return process.returncode, counts[-1] if counts else "no test ran", (time.monotonic() - began) / 60


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
