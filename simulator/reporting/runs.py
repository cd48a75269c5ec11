"""``engram report``: stored runs beside each other, one row each. Reads the lab only; nothing is played again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simulator import console
from simulator.commands.parser import format_value
from simulator.config.codec import stored_tables, tables_of
from simulator.config.run import RunConfig, build
from simulator.core.files.escaping import csv_row, markdown, markdown_row, shortened
from simulator.store.lab import existing

if TYPE_CHECKING:
    from simulator.store.records import RunRecord
    from simulator.store.run_store import Store

Flat = dict[str, Any]  # "agent.explore.level" -> value
_OWN_COLUMN = ("seeds", "steps", "threads", "agent.name", "env.name")  # what the settings column leaves out


def gather(names: Sequence[str], lab: str, agent: str = "", env: str = "") -> dict[str, Any]:
    """What stored runs came to.

    Args:
        names: ids of runs, or "latest"; none: every run that the filters leave.
        lab: their lab.
        agent: only runs of this agent.
        env: only runs in this environment.

    Returns:
        The JSON object of the command: ``runs``, each the summary of :func:`simulator.training.summary.summary` and
        ``settings``: what differs from the default settings, by dotted name; ``compared_with``: where several runs of
        one agent in one environment are given, the first of them; ``differs``: what differs from that run's settings.

    Raises:
        ValueError: there is no such run, or none is left.
    """
    if not (names or agent or env):
        raise ValueError("expected engram report RUN, or latest, or --agent NAME, or --env NAME")
    from simulator.store.run_store import Store
    from simulator.training import summary

    with Store(existing(lab)) as store:
        records = [each for each in _chosen(store, names) if _fits(each.agent, agent) and _fits(each.env, env)]
        if not records:
            asked = (agent and f"of {shortened(agent)}", env and f"in {shortened(env)}")
            wanted = " ".join(filter(None, asked))
            raise ValueError(f"lab {lab} has no run {wanted} among those asked for (engram list runs)")
        summaries = [summary.summary(store, each.run) for each in records]
    return {"runs": [{**told, **found} for told, found in zip(summaries, _settings(records), strict=True)]}


def show(report: Mapping[str, Any]) -> None:
    """Print the report for people."""
    rows = [_cells(run) for run in report["runs"]]
    console.print_table("", tuple(rows[0]), [list(row.values()) for row in rows])
    for run in report["runs"]:
        if run["error"]:
            console.print_result(f"{run['run']} failed at step {run['error']['step']:,}: {run['error']['reason']}")


def show_markdown(report: Mapping[str, Any]) -> None:
    """Print the report as a Markdown table."""
    rows = [_cells(run) for run in report["runs"]]
    console.print_result(markdown_row(map(markdown, rows[0])))
    console.print_result(markdown_row(["---"] * len(rows[0])))
    for row in rows:
        console.print_result(markdown_row(map(markdown, row.values())))


def show_csv(report: Mapping[str, Any]) -> None:
    """Print the report as CSV: plain numbers, intervals in columns of their own."""
    rows = [_numbers(run) for run in report["runs"]]
    for row in (rows[0], *(each.values() for each in rows)):
        console.print_result(csv_row(row))


def _chosen(store: Store, names: Sequence[str]) -> list[RunRecord]:
    return [store.find(name) for name in names] if names else store.runs()[::-1]


def _fits(name: str, wanted: str) -> bool:
    return not wanted or name.replace("-", "_") == wanted.replace("-", "_")


def _settings(records: Sequence[RunRecord]) -> list[dict[str, Any]]:
    """What is special about every run: against the defaults, and against the first of its agent and environment."""
    first: dict[tuple[str, str], RunRecord] = {}
    count: dict[tuple[str, str], int] = {}
    for record in records:
        players = (record.agent, record.env)
        first.setdefault(players, record)
        count[players] = count.get(players, 0) + 1
    found = []
    for record in records:
        own, players = _flat(stored_tables(RunConfig, record)), (record.agent, record.env)
        plain = _defaults(record)
        special = own if plain is None else _changed(own, plain)
        one = {"settings": special, "compared_with": None, "differs": {}}
        if count[players] > 1:
            base = first[players]
            one |= {"compared_with": base.run, "differs": _changed(own, _flat(stored_tables(RunConfig, base)))}
        found.append(one)
    return found


def _defaults(record: RunRecord) -> Flat | None:
    """The settings of a run that names its players and nothing else; None where these cannot be had any more."""
    try:
        plain = build({"agent": {"name": record.agent}, "env": {"name": record.env}})
    except ValueError:
        return None
    return _flat(tables_of(plain))


def _changed(own: Flat, other: Flat) -> Flat:
    """What differs, by dotted name; what only the other one sets is "unset"."""
    found = {name: value for name, value in own.items() if name not in other or other[name] != value}
    later = ("eval_max_steps", "env.masks")  # settings of a run that older runs were stored without
    return found | {name: "unset" for name in other if name not in own and name not in later}


def _flat(table: Mapping[str, Any], prefix: str = "") -> Flat:
    found: Flat = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        elif prefix + key not in _OWN_COLUMN:
            found[prefix + key] = value
    return found


def _cells(run: Mapping[str, Any]) -> dict[str, str]:
    """A row for people, by column."""
    solved, judged, n = run["solved"], run["evaluation"], len(run["seeds"])
    first, stayed, best = solved["first_steps"], solved["stayed_interval"], run["optimum"]
    failed = f" ({len(run['failed'])} failed)" if run["failed"] else " (an error ended it)" if run["error"] else ""
    marks = [(solved["threshold"], ""), (best, " is best")]
    return {
        "run": console.format_cell(run["label"] or run["run"]),
        "agent": run["agent"],
        "env": run["env"],
        "settings": console.format_cell(_special(run)),
        "seeds": f"{n}{failed}",
        "steps": f"{run['step']:,}" + ("" if run["step"] == run["steps"] else f" of {run['steps']:,}"),
        "median first solve": console.interval(*map(_rounded, (first["median"], first["low"], first["high"]))),
        "solved": _of(solved["fraction"], n),
        "still solved after": _percent(stayed["mean"], stayed["low"], stayed["high"]),
        "solved at the end": _of(solved["final"], n),
        "final return, IQM": console.interval(
            judged["iqm"], _finite(judged["low"]), _finite(judged["high"]), judged.get("equal")
        )
        + _cut(judged),
        "threshold or best": ", ".join(console.format_cell(mark) + what for mark, what in marks if mark is not None)
        or "-",
        "steps per CPU-second": console.format_cell(_rounded(run["steps_per_cpu_second"])),
    }


def _numbers(run: Mapping[str, Any]) -> dict[str, Any]:
    """A row for CSV, by column; None is an empty cell."""
    solved = run["solved"]
    found = {name: run[name] for name in ("run", "label", "agent", "env")}
    found |= {"settings": _special(run), "seeds": len(run["seeds"]), "failed": len(run["failed"])}
    found |= {"cut": sum(run["evaluation"]["cut"]), "without_score": run["evaluation"]["without_score"]}
    found |= {"steps": run["step"]}
    for name, table, middle in zip(
        ("first_steps", "stayed", "final_return"),
        (solved["first_steps"], solved["stayed_interval"], run["evaluation"]),
        ("median", "mean", "iqm"),
        strict=True,
    ):
        found |= {name: table[middle], f"{name}_low": _finite(table["low"]), f"{name}_high": _finite(table["high"])}
    found |= {"solved": solved["fraction"], "solved_at_the_end": solved["final"], "threshold": solved["threshold"]}
    found |= {"optimum": run["optimum"], "steps_per_cpu_second": run["steps_per_cpu_second"]}
    return found | {"error": run["error"]["reason"] if run["error"] else None}


def _special(run: Mapping[str, Any]) -> str:
    """The settings column."""
    if run["compared_with"] in (None, run["run"]):
        start = "" if run["compared_with"] is None else "the first: "
        return start + (_told(run["settings"]) or "defaults")
    return _told(run["differs"]) or "as the first"


def _told(settings: Flat) -> str:
    return ", ".join(f"{name} = {format_value(value)}" for name, value in settings.items())


def _of(share: float | None, n: int) -> str:
    return "-" if share is None else f"{round(share * n)} of {n}"


def _percent(mean: float | None, low: float | None, high: float | None) -> str:
    if mean is None:
        return "-"
    return f"{100 * mean:.0f} %" + ("" if low is None or high is None else f" [{100 * low:.0f}, {100 * high:.0f}]")


def _cut(judged: Mapping[str, Any]) -> str:
    """How many seeds count in no return."""
    n_cut = sum(judged["cut"])
    n_endless = judged["without_score"] - n_cut  # by their exact return, whatever was played
    told = [f"{n_cut} cut"] * (n_cut > 0) + [f"{n_endless} endless"] * (n_endless > 0)
    return f" ({', '.join(told)})" if told else ""


def _rounded(value: float | None) -> int | None:
    return None if value is None else round(value)


def _finite(value: float | None) -> float | None:
    return None if value is None or value != value else value
