"""Report of what is inside a memory: its JSON object, and its tables and panels for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator import console
from simulator.core.scene import TextPanel
from simulator.core.wording import plural
from simulator.recall.inside import N_SHOWN, MemoryInside
from simulator.recall.metrics import N_NEIGHBOURS
from simulator.reporting import panels
from simulator.reporting.tables import Table, print_tables, without

MAX_SIGNS = 20  # units of a state that is printed in a table; larger ones are in the pictures


def entry_of(found: MemoryInside, run: str | None = None) -> dict[str, Any]:
    """Return the JSON object of ``engram show MEMORY CHALLENGE``; ``run``: of the stored benchmark, if it is of one."""
    subject = found.subject
    shown = [panel for section in found.sections.values() for panel in section.panels]
    return {
        "run": run,
        "memory": subject.entry.label,
        "name": subject.entry.name,
        "challenge": subject.challenge,
        "seed": subject.seed,
        "units": subject.spec.n,
        "patterns": subject.stored,
        "notes": list(subject.notes),
        "sections": {name: section.facts for name, section in found.sections.items()},
        "left_out": found.left_out,
        "panels": [panels.entry_of(panel) for panel in shown],
    }


def title_of(found: MemoryInside) -> str:
    """Name the memory and what it has stored."""
    subject = found.subject
    what = f"{len(subject.stored)} {subject.challenge} of {plural(subject.spec.n, 'unit')}, seed {subject.seed}"
    return f"{subject.entry.label} after {what}"


def show(found: MemoryInside) -> None:
    """Print every section: its tables, then its panels."""
    console.print_result(title_of(found))
    for note in found.subject.notes:
        console.print_result(note)
    for name, section in found.sections.items():
        if name in TABLES:
            console.print_result()
            print_tables(TABLES[name](section.facts))
        panels.print_panels(section.panels)
    if found.left_out:
        console.print_result()
    for name, why in found.left_out.items():
        console.print_result(f"no {name}: {why}")


def _state_tables(facts: Mapping[str, Any]) -> list[Table]:
    """Return the fixed points with their basins, the kinds of them, and the cycles of synchronous updates."""
    of = f"of {facts['starts']:,} {'states' if facts['every_state'] else 'random starts'}"
    points = facts["fixed_points"][:N_SHOWN]
    rows = [[_signs(point["state"]), _kind(point), f"{point['energy']:.4g}", f"{point['basin']:,}"] for point in points]
    notes = []
    if facts["n_fixed_points"] > len(points):
        notes.append(f"the {len(points)} largest basins of {facts['n_fixed_points']:,} fixed points; --json lists more")
    errors = facts["one_bit_errors"]
    notes.append(f"stored patterns that recall leaves as they are: {facts['stored_fixed']}")
    notes.append(f"one-bit errors of stored patterns that recall corrects: {errors['corrected']:,} of {errors['of']:,}")
    if facts["unsettled"]:
        notes.append(f"{facts['unsettled']:,} starts end at no fixed point")
    kinds = []
    for kind, found in facts["kinds"].items():
        shown = ["among other", "-"] if found is None else [f"{found['count']:,}", f"{found['share']:.1%}"]
        kinds.append([kind, *shown])
    fixed_points = Table("fixed points", ["state", "what it is", "energy", f"basin, {of}"], rows, notes, foldable=True)
    if points and len(points[0]["state"]) > MAX_SIGNS:
        fixed_points = without(fixed_points, "state")
    tables = [
        fixed_points,
        Table("where recall ends", ["kind", "fixed points", f"share {of}"], kinds),
    ]
    if (together := facts["synchronous"]) is not None:
        cycles = together["listed"][:N_SHOWN]
        lines = [[" <-> ".join(map(_signs, cycle["states"])), f"{cycle['basin']:,}"] for cycle in cycles]
        counts = [f"{plural(n, 'cycle')} of {length}" for length, n in sorted(together["cycles"].items())] or [
            "no cycle"
        ]
        note = f"all units at once: {together['fixed_points']:,} fixed points, {', '.join(counts)}"
        note += f", in which {together['in_cycles']:,} of {facts['starts']:,} states end" if lines else ""
        tables.append(Table("cycles of synchronous updates", ["states", "basin"], lines, [note], foldable=True))
    return tables


def _signs(state: Any) -> str:
    return " ".join("+" if value > 0 else "-" for value in state)


def _kind(point: Mapping[str, Any]) -> str:
    of = point["of"]
    if not of:
        return str(point["kind"])
    words = " ".join(f"{'-' if at < 0 else '+'} x{abs(at)}" for at in of).removeprefix("+ ")
    words = words.replace("- ", "-", 1) if of[0] < 0 else words
    return f"{words}, {point['kind']}" if len(of) > 1 or of[0] < 0 else words


def _recognition_tables(facts: Mapping[str, Any]) -> list[Table]:
    """Return the confusion table at the threshold, with its cost."""
    found = facts["confusion"]
    rows = [
        ["stored", f"{found['stored_taken_for_stored']:,}", f"{found['stored_taken_for_new']:,}"],
        ["held out", f"{found['new_taken_for_stored']:,}", f"{found['new_taken_for_new']:,}"],
    ]
    threshold = "nothing counts as stored" if facts["threshold"] is None else f"energy up to {facts['threshold']:.6g}"
    costs = facts["costs"]
    note = f"cost {facts['cost']:g}: {costs['miss']:g} for a miss, {costs['false_alarm']:g} for a false alarm"
    return [Table(f"recognition at the threshold: {threshold}", ["is", "taken for stored", "for new"], rows, [note])]


def _reconstruction_tables(facts: Mapping[str, Any]) -> list[Table]:
    """Return the squared errors of what is decoded from codes, beside PCA's with codes of at most as many numbers."""
    if facts["squared_error"] is None:
        return []
    rows = []
    for name, key in (("this memory", "squared_error"), ("PCA", "pca_squared_error")):
        rows.append([name, *(f"{facts[key][kind]:.3f}" for kind in ("stored", "held_out"))])
    title = f"squared error of patterns decoded from codes of {plural(facts['code_size'], 'number')}"
    note = "summed over the units, which count from 0 to 1; no linear code has less than PCA on the stored ones"
    return [Table(title, ["", "stored", "held out"], rows, [note])]


def _nearest_tables(facts: Mapping[str, Any]) -> list[Table]:
    """Return how many of the nearest stored patterns are of a held-out pattern's class, by code and by pixel."""
    if facts["precision"] is None:
        return []
    rows = [[f"by {kind}", f"{share:.3f}"] for kind, share in facts["precision"].items()]
    return [Table(f"of the {N_NEIGHBOURS} stored patterns nearest to a held-out one", ["", "of its class"], rows)]


def fact_panels(name: str, facts: Mapping[str, Any]) -> list[TextPanel]:
    """Return the tables of a section as facts, for views without tables, but for those that panels show."""
    tables = TABLES[name](facts) if name in TABLES else []
    found = []
    for table in tables[1:] if name == "states" else tables:
        rows = {
            row[0]: ", ".join(f"{cell} {column}" for column, cell in zip(table.columns[1:], row[1:], strict=True))
            for row in table.rows
        }
        notes = {f"note {k + 1}" if k else "note": note for k, note in enumerate(table.notes)}
        found.append(TextPanel(table.title, {**rows, **notes}))
    return found


TABLES = {
    "states": _state_tables,
    "recognition": _recognition_tables,
    "reconstruction": _reconstruction_tables,
    "nearest": _nearest_tables,
}
