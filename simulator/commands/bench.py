"""``engram bench``: run the measurements in a checkout's ``tests/benchmarks``, each a file with ``main(json)``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from simulator import console
from simulator.commands.command import Command, CommandResult, ParsedArgs
from simulator.core.registry import ROOT, unknown_name_message

FOLDER = ROOT / "tests" / "benchmarks"


def act(args: ParsedArgs) -> CommandResult:
    """Run the named benchmark, or all of them."""
    return CommandResult(measure(args.names[0] if args.names else None, args.options.json), show)


def measure(name: str | None, json: bool) -> dict[str, Any]:
    """Run one benchmark, or all of them, and return their results by name. Without ``json`` each prints a table.

    Raises:
        ValueError: this is no checkout, or there is no such benchmark.
    """
    files = {path.stem: path for path in sorted(FOLDER.glob("*.py")) if not path.stem.startswith("_")}
    if not files:
        raise ValueError(f"there are no benchmarks in {FOLDER}: expected engram bench to run from a checkout")
    if name is None:
        return {benchmark: _run(path, json) for benchmark, path in files.items()}
    plain = name.replace("-", "_")
    if plain not in files:
        raise ValueError(unknown_name_message("benchmark", name, files, f"there are {', '.join(files)}"))
    return {plain: _run(files[plain], json)}


def show(measured: Mapping[str, Any]) -> None:
    """Print the names of the benchmarks; their numbers are printed already."""
    console.print_status(f"measured: {', '.join(measured)}")


def _run(path: Path, json: bool) -> Any:
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))  # benchmarks may import shared test code
    spec = spec_from_file_location(f"benchmarks_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.main(json)


COMMAND = Command(act, (0, 1))
