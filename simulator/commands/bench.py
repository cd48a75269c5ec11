"""``engram bench``: run the measurements in a checkout's ``tests/benchmarks``, each a file with ``main(json)``.

Speeds are such measurements, and so are the studies of what is learned and recalled, which take long. The manual is
made of those that are stored (``--store``). One that needs files of yours has ``NEEDS``, {environment variable: what
it has to name}.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from simulator import console
from simulator.commands.parsing.command import Command, CommandResult, ParsedArgs
from simulator.core.files.writing import write_file
from simulator.core.registry import ROOT, unknown_name_message

FOLDER = ROOT / "tests" / "benchmarks"


def act(args: ParsedArgs) -> CommandResult:
    """Run the named benchmark, or all of them."""
    name = args.names[0] if args.names else None
    if args.options.store and name is None:
        raise ValueError("--store: expected the name of one benchmark before it (engram bench NAME --store)")
    measured = measure(name, args.options.json)
    if args.options.store:
        store(measured)
    return CommandResult(measured, show)


def measure(name: str | None, as_json: bool) -> dict[str, Any]:
    """Run one benchmark, or all of them, and return their results by name. Without ``as_json`` each prints a table.

    Raises:
        ValueError: this is no checkout, or there is no such benchmark.
    """
    files = {path.stem: path for path in sorted(FOLDER.glob("*.py")) if not path.stem.startswith("_")}
    if not files:
        raise ValueError(f"there are no benchmarks in {FOLDER}: expected engram bench to run from a checkout")
    if name is None:
        measured = {}
        for benchmark, path in files.items():
            module = _load(path)
            if missing := missing_file(module):
                console.print_status(f"{benchmark}: left out, {missing}")
            else:
                measured[benchmark] = module.main(as_json)
        return measured
    plain = name.replace("-", "_")
    if plain not in files:
        raise ValueError(unknown_name_message("benchmark", name, files, f"there are {', '.join(files)}"))
    module = _load(files[plain])
    if missing := missing_file(module):
        raise ValueError(missing)
    return {plain: module.main(as_json)}


def missing_file(module: ModuleType) -> str:
    """Say which file a benchmark needs and does not find; empty: none."""
    for variable, meaning in getattr(module, "NEEDS", {}).items():
        path = os.environ.get(variable, "")
        if not path:
            return f"{variable} is not set: expected the path of {meaning}"
        if not Path(path).is_file():
            return f"{variable}: there is no file {path}, expected {meaning}"
    return ""


def store(measured: Mapping[str, Any]) -> None:
    """Write what a benchmark returned, with the machine and the versions, to ``results/NAME.json``."""
    from simulator.machine import machine
    from simulator.store.run_records import installed

    ((name, found),) = measured.items()
    made = {"command": f"engram bench {name}", "machine": machine(), "versions": installed()}
    text = json.dumps({**made, "measured": found}, allow_nan=False) + "\n"
    write_file(FOLDER / "results" / f"{name}.json", text.encode(), force=True)


def show(measured: Mapping[str, Any]) -> None:
    """Print the names of the benchmarks; their numbers are printed already."""
    console.print_status(f"measured: {', '.join(measured)}")


def _load(path: Path) -> ModuleType:
    """Import the module of a benchmark."""
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))  # benchmarks may import shared test code
    spec = spec_from_file_location(f"benchmarks_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


COMMAND = Command(act, (0, 1), ("store",), examples=("bench", "bench tabular", "bench start --json"))
