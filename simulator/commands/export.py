"""``engram export``: write what a run learned, or the memories of a recall benchmark, as arrays into one file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulator.commands.parsing.command import Command, CommandResult, ParsedArgs, lab_of
from simulator.console import print_result, print_table
from simulator.core.experiment_kinds import RECALL


def act(args: ParsedArgs) -> CommandResult:
    """Export what is named."""
    from simulator.store.lab import existing
    from simulator.store.run_store import Store
    from simulator.training import export

    name, file = args.names
    lab = existing(lab_of(args.options))
    path = Path(file)
    if file == "-" or path.suffix not in export.ENDINGS:
        raise ValueError(f"{file}: expected a file that ends in {export.EXPECTED}")
    seed = args.options.seed
    with Store(lab) as store:
        record = store.find(name)
    run = record.run
    if record.kind == RECALL:
        from simulator.recall import export as recall_export

        exported = recall_export.of_benchmark(Path(lab), run, seed)
    else:
        from simulator.trainer import Trainer

        exported = Trainer.load(run, lab=lab).exported(seed)
    export.write(exported, path, force=args.options.force)
    arrays = {key: {"dtype": str(value.dtype), "shape": list(value.shape)} for key, value in exported.arrays.items()}
    return CommandResult({"run": run, "file": str(path), **exported.words, "arrays": arrays}, show)


def show(exported: Mapping[str, Any]) -> None:
    """Print what was written, for people."""
    rows: list[tuple[str, str, str]] = [
        (name, array["dtype"], " x ".join(f"{n:,}" for n in array["shape"]) or "one number")
        for name, array in exported["arrays"].items()
    ]
    words = [(name, "text", str(exported[name])) for name in exported if name not in ("run", "file", "arrays")]
    print_table(f"{exported['run']} in {exported['file']}", ("name", "type", "shape or text"), [*words, *rows])
    print_result("what the names mean: docs/guides/python.md, with a player in NumPy")


COMMAND = Command(act, (2, 2), ("seed", "force"), examples=("export r1 policy.npz", "export latest q.onnx --seed 0"))
