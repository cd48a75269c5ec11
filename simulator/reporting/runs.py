"""Report of training runs: stored runs beside each other, one row each, and their learning curves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simulator import console
from simulator.commands.parsing.parser import format_value
from simulator.config.codec import plain, stored_tables, table_of, tables_of
from simulator.config.run import RunConfig, build
from simulator.core import registry
from simulator.core.components import is_socket_name
from simulator.core.experiment_kinds import PLAY
from simulator.core.files.escaping import latex, shortened
from simulator.core.foreign import python_files
from simulator.reporting.tables import (
    Table,
    interval_columns,
    lifted,
    print_latex,
    print_markdown,
    print_tables,
    without,
)
from simulator.store.lab import existing

if TYPE_CHECKING:
    from simulator.store.records import RunRecord
    from simulator.store.run_store import Store

Settings = dict[str, Any]  # by dotted name, such as "agent.explore.level"
_OWN_COLUMN = ("seeds", "steps", "threads", "agent.name", "env.name")  # not in the settings column
_ADDED_LATER = (
    "eval_max_steps",
    "changes",
    "env.masks",
    "env.keys",
    "env.wrappers",
    "env.editable",
)  # that older runs were stored without
SPEED = "steps per CPU-second"
DROPPABLE = (
    *(SPEED, "threshold or optimum", "still above threshold", "solved at end", "steps per seed"),
    *("seeds", "median steps to threshold", "settings", "solved", "env", "agent"),
)
COMMON = ("agent", "env", "seeds", "steps per seed", "threshold or optimum")  # settings, which paper says once
CURVES = {"curves": "curve", "training": "training_curve"}  # kind of picture -> key of a run's curve


def gather(
    names: Sequence[str],
    lab: str,
    agent: str = "",
    env: str = "",
    *,
    curves: Sequence[str] = (),
    x: str = "steps",
    smooth: int = 1,
    with_settings: bool = False,
) -> dict[str, Any]:
    """Summarise stored runs.

    Args:
        names: ids of runs, or "latest"; none: every run that the filters leave.
        lab: their lab.
        agent: only runs of this agent.
        env: only runs in this environment.
        curves: of ``CURVES``: with a ``curve`` of every run, or a ``training_curve``: ``steps``, and at each the
            interquartile mean of the evaluations, or of the training episodes' returns, over seeds, ``iqm``, with
            ``low`` and ``high`` of its 95 % confidence interval.
        x: "seconds": with ``seconds`` of each point too, the wall-clock time of training; None for a curve without.
        smooth: points of a seed's curve that each of its points is the mean of.
        with_settings: with ``toml``: all settings of every run, and ``created``.

    Returns:
        The JSON object of the command: ``runs``, each the summary of :func:`simulator.training.summary.summary` and
        ``settings``: those that are not the defaults, by dotted name; ``preset``: the agent's preset whose settings of
        agent and environment these are; ``compared_with``: where several runs of one agent in one environment are
        given, the first of them; ``differs``: settings that are not those of that run; ``name``: what legends call it.

    Raises:
        ValueError: there is no such run, or none is left.
    """
    if not (names or agent or env):
        raise ValueError("expected engram report RUN, or latest, or --agent NAME, or --env NAME")
    from simulator.store.run_store import Store
    from simulator.training import summary

    with Store(existing(lab)) as store:
        records = [store.find(name) for name in names] if names else store.runs()[::-1]
        records = [record for record in records if _matches(record.agent, agent) and _matches(record.env, env)]
        if names:
            _refuse_play(records)
        records = [record for record in records if record.kind != PLAY]
        if not records:
            filters = (agent and f"of {shortened(agent)}", env and f"in {shortened(env)}")
            wanted = " ".join(filter(None, filters))
            raise ValueError(f"lab {lab} has no run {wanted} among those asked for (engram list runs)")
        runs = [summary.summary(store, record.run) for record in records]
        for run, record in zip(runs, records, strict=True):
            run |= {CURVES[kind]: _curve(store, record, kind, x, smooth) for kind in curves}
            run |= {"toml": record.settings, "created": record.created} if with_settings else {}
    gathered = [{**run, **special} for run, special in zip(runs, _special_settings(records), strict=True)]
    return {"runs": [{**run, "name": name} for run, name in zip(gathered, _line_names(gathered), strict=True)]}


def _refuse_play(records: Sequence[RunRecord]) -> None:
    """Refuse recorded play among runs, which have evaluations and curves.

    Raises:
        ValueError: there is some; one line.
    """
    if played := next((record.run for record in records if record.kind == PLAY), None):
        raise ValueError(
            f"{played} is recorded play, expected runs of agents beside each other (engram report {played})"
        )


def _matches(name: str, wanted: str) -> bool:
    return not wanted or name.replace("-", "_") == wanted.replace("-", "_")


def _curve(store: Store, record: RunRecord, kind: str, x: str, smooth: int) -> dict[str, Any] | None:
    """Return a learning curve over the seeds that did not fail; None where it should have times and has none."""
    from simulator.reporting import curves

    evaluated = curves.evaluation_curves(store, record)
    of_seeds = evaluated if kind == "curves" else curves.training_curves(store, record)
    curve = curves.band(of_seeds, smooth=smooth)
    if x == "steps":
        return curve
    times = curves.training_seconds(record, of_seeds.steps, evaluated.steps)
    return None if times is None else {**curve, "seconds": times.seconds.tolist(), "measured": times.measured}


def _line_names(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name each run for legends: its label, or agent and preset; then what tells it from others, or its id.

    Two runs of one environment never have the same name; runs of one agent in several environments have.
    """
    agents = short_names([run["agent"] for run in runs])
    names = [run["label"] or ", ".join(filter(None, (agents[run["agent"]], run["preset"]))) for run in runs]

    def clashing() -> list[int]:
        counts = Counter((run["env"], name) for run, name in zip(runs, names, strict=True))
        return [i for i, run in enumerate(runs) if counts[run["env"], names[i]] > 1]

    for i in clashing():
        differs = {name.removeprefix("agent."): value for name, value in runs[i]["differs"].items()}
        if differs and not runs[i]["label"]:
            names[i] = f"{agents[runs[i]['agent']]}, {listed(differs)}"
    for i in clashing():
        names[i] = f"{names[i]}, {runs[i]['run']}"
    return names


def _special_settings(records: Sequence[RunRecord]) -> list[dict[str, Any]]:
    """Compare every run's settings with the defaults, and with the first run of its agent and environment."""
    runs_of: dict[tuple[str, str], list[RunRecord]] = {}
    for record in records:
        runs_of.setdefault((record.agent, record.env), []).append(record)
    special_of = []
    for record in records:
        settings = _dotted(stored_tables(RunConfig, record))
        defaults = _defaults(record)
        special = settings if defaults is None else _difference(settings, defaults)
        alike = runs_of[record.agent, record.env]
        one = {"settings": special, "preset": _preset(record, settings), "compared_with": None, "differs": {}}
        if len(alike) > 1:
            baseline = _dotted(stored_tables(RunConfig, alike[0]))
            one |= {"compared_with": alike[0].run, "differs": _difference(settings, baseline)}
        special_of.append(one)
    return special_of


def _defaults(record: RunRecord) -> Settings | None:
    """Return the default settings of a run's agent and environment; None where these are gone."""
    try:
        defaults = build({"agent": {"name": record.agent}, "env": {"name": record.env}})
    except ValueError:
        return None
    return _dotted(tables_of(defaults))


def _preset(record: RunRecord, settings: Settings) -> str:
    """Return the name of the preset that has a run's settings of agent and environment; empty where none has."""
    from simulator.config import presets

    own = _of_players(settings)
    try:
        for preset in presets.of_agent(record.agent):
            if preset.env == record.env and _of_players(_dotted(tables_of(build(preset.source().values)))) == own:
                return preset.name
    except ValueError:  # its file is gone
        pass
    return ""


def _of_players(settings: Settings) -> Settings:
    return {name: value for name, value in settings.items() if name.startswith(("agent.", "env."))}


def _difference(settings: Settings, baseline: Settings) -> Settings:
    """Return the settings that differ; one that only the baseline has is "unset".

    Another component differs in its name, and in its settings from its own defaults; no component is "none".
    """
    plugged = {name: value for name, value in settings.items() if _is_socket(name) and value != "none"}
    before = {name: value for name, value in baseline.items() if _is_socket(name) and value != "none"}
    emptied = {name: "none" for name in before if name not in plugged}
    other = {name: value for name, value in plugged.items() if before.get(name) != value}
    replaced = tuple(f"{name}." for name in (*other, *emptied))
    expected = {
        name: value for name, value in baseline.items() if not name.startswith(replaced) and not _is_socket(name)
    }
    for name, component in other.items():
        expected |= {f"{name}.{key}": value for key, value in _component_defaults(component).items()}
    changed = {
        name: value
        for name, value in settings.items()
        if not _is_socket(name) and (name not in expected or expected[name] != value)
    }
    unset = {name: "unset" for name in expected if name not in settings and name not in _ADDED_LATER}
    return emptied | other | changed | unset


def _is_socket(name: str) -> bool:
    """Tell whether a dotted name is that of a component: ``agent.recurrence``."""
    return name.startswith("agent.") and is_socket_name(name.rpartition(".")[2])


def _component_defaults(name: Any) -> Settings:
    """Return the default settings of a component by dotted name; nothing where it is gone."""
    try:
        component = registry.load("components", str(name))
    except ValueError:
        return {}
    defaults = plain(table_of(component.name, component.defaults()))
    return _dotted({key: value for key, value in defaults.items() if key != "name"})


def _dotted(table: Mapping[str, Any], prefix: str = "") -> Settings:
    settings: Settings = {}
    for key, value in table.items():
        if isinstance(value, Mapping) and isinstance(value.get("name"), str) and _is_socket(prefix + key):
            inner = {name: item for name, item in value.items() if name != "name"}
            settings |= {prefix + key: value["name"], **_dotted(inner, f"{prefix}{key}.")}
        elif isinstance(value, Mapping):
            settings |= _dotted(value, f"{prefix}{key}.")
        elif prefix + key not in _OWN_COLUMN:
            settings[prefix + key] = value
    return settings


def show(report: Mapping[str, Any], width: int | None = None) -> None:
    """Print the report on the terminal; ``width``: its columns, None: as they are."""
    print_tables([table(report)], width)


def show_markdown(report: Mapping[str, Any]) -> None:
    """Print the report as a Markdown table."""
    print_markdown([table(report, has_notes=False)])


def show_latex(report: Mapping[str, Any]) -> None:
    """Print the report as one LaTeX tabular, without speeds; what all runs have in common is a comment below it."""
    page = table(report, has_notes=False)
    printed, common = lifted(without(page, SPEED), COMMON)
    print_latex([printed])
    if common:
        console.print_result(f"% in every row: {latex(common)}")


def records(report: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a record for each run: plain numbers, intervals in columns of their own; None is unknown."""
    yield from map(_record, report["runs"])


def seed_records(report: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a record for each seed of each run: the returns of its last evaluation, and when it reached the threshold.

    ``score`` is the exact expected return where there is one, else the mean return.
    """
    for run in report["runs"]:
        evaluation = run["evaluation"]
        exact = evaluation["exact_per_seed"]
        first = run["solved"]["first_steps"]["per_seed"]
        failed = {failure["seed"] for failure in run["failed"]}
        for i, seed in enumerate(run["seeds"]):
            mean = _finite(evaluation["per_seed"][i]) if evaluation["per_seed"] else None
            expected = _finite(exact[i]) if exact else None
            yield {
                **_place(run),
                "seed": seed,
                "steps": evaluation.get("step"),
                "score": expected if exact else mean,
                "mean_return": mean,
                "exact_return": expected,
                "steps_to_threshold": first[i],
                "failed": seed in failed,
            }


def curve_records(report: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a record for each evaluation of each run: the interquartile mean over seeds with its interval."""
    from simulator.reporting.curves import records

    for run in report["runs"]:
        yield from records(_place(run), run["curve"])


def _place(run: Mapping[str, Any]) -> dict[str, Any]:
    return {name: run[name] for name in ("run", "label", "agent", "env")}


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def table(report: Mapping[str, Any], *, has_notes: bool = True) -> Table:
    """Return a row for each run, with the errors that ended runs below.

    Settings that all rows share are a note; without notes every row has its own.
    """
    shared = shared_settings(report["runs"]) if has_notes else {}
    rows = _without_empty([_row(run, shared) for run in report["runs"]])
    for column in ("agent", "env"):
        shown = short_names([row[column] for row in rows])
        rows = [{**row, column: shown[row[column]]} for row in rows]
    errors = [
        f"{run['run']} failed at step {run['error']['step']:,}: {run['error']['reason']}"
        for run in report["runs"]
        if run["error"]
    ]
    common = [f"settings of every row: {listed(shared)}"] if shared else []
    notes = [*errors, *common, *_exact_notes(report["runs"]), *_grid_notes(report["runs"])]
    cells = [list(row.values()) for row in rows]
    return Table("", list(rows[0]), cells, notes, DROPPABLE, ("run", "agent", "env"), foldable=True)


def _without_empty(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Leave out the columns that are unknown of every run."""
    known = [name for name in rows[0] if any(row[name] != "-" for row in rows)]
    return [{name: row[name] for name in known} for row in rows]


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Map names to themselves, paths of files to ``my_agent.py`` where no other file is called so."""
    short = {name: python_files.without_folder(name) for name in names}  # each name once
    counts = Counter(short.values())
    return {name: shown if counts[shown] == 1 else name for name, shown in short.items()}


def _exact_notes(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say which final returns are computed and not sampled."""
    exact = [run["label"] or run["run"] for run in runs if run["evaluation"]["exact_per_seed"] is not None]
    if not exact:
        return []
    of = "" if len(exact) == len(runs) else f" of {', '.join(exact)}"
    return [f"final returns{of} are exact expected returns"]


def _grid_notes(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say of the steps to the threshold, where there are any, that the grid of the evaluations bounds them."""
    timed = [run for run in runs if run["solved"]["first_steps"]["median"] is not None]
    if not timed:
        return []
    periods = " or ".join(f"{period:,}" for period in sorted({run["solved"]["eval_every"] for run in timed}))
    return [f"steps to threshold are upper bounds: runs were evaluated every {periods} steps"]


def _row(run: Mapping[str, Any], shared: Settings) -> dict[str, str]:
    """Return a row for people, by column."""
    solved = run["solved"]
    evaluation = run["evaluation"]
    n_seeds = len(run["seeds"])
    first = solved["first_steps"]
    after = solved["stayed_interval"]
    failed = f" ({len(run['failed'])} failed)" if run["failed"] else " (an error ended it)" if run["error"] else ""
    references = [(solved["threshold"], ""), (run["optimum"], " is optimal")]
    final = console.interval(
        evaluation["iqm"], _not_nan(evaluation["low"]), _not_nan(evaluation["high"]), evaluation.get("equal")
    )
    return {
        "run": console.format_cell(run["label"] or run["run"]),
        "agent": run["agent"],
        "env": run["env"],
        "settings": console.format_cell(settings_text(run, shared)),
        "seeds": f"{n_seeds}{failed}",
        "steps per seed": f"{run['step']:,}" + ("" if run["step"] == run["steps"] else f" of {run['steps']:,}"),
        "median steps to threshold": console.interval(
            *(None if x is None else round(x) for x in (first["median"], first["low"], first["high"]))
        ),
        "solved": _of_seeds(solved["fraction"], n_seeds),
        "still above threshold": _percent(after["mean"], after["low"], after["high"]),
        "solved at end": _of_seeds(solved["final"], n_seeds),
        "final evaluation return, IQM [95 % CI]": final + _excluded(evaluation),
        "threshold or optimum": ", ".join(
            console.format_cell(value) + label for value, label in references if value is not None
        )
        or "-",
        SPEED: console.format_cell(None if run["steps_per_cpu_second"] is None else round(run["steps_per_cpu_second"])),
    }


def _record(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row for CSV, by column; None is an empty cell."""
    solved = run["solved"]
    evaluation = run["evaluation"]
    record = _place(run)
    record |= {"settings": settings_text(run), "seeds": len(run["seeds"]), "failed": len(run["failed"])}
    record |= {"cut": sum(evaluation["cut"]), "without_score": evaluation["without_score"], "steps": run["step"]}
    record |= interval_columns("steps_to_threshold", solved["first_steps"], "median")
    record |= interval_columns("solved_after_first", solved["stayed_interval"], "mean")
    record |= interval_columns("final_return", evaluation, "iqm")
    record |= {"solved_fraction": solved["fraction"], "solved_at_end": solved["final"]}
    record |= {"threshold": solved["threshold"], "optimum": run["optimum"]}
    record |= {"steps_per_cpu_second": run["steps_per_cpu_second"]}
    record |= {"error": run["error"]["reason"] if run["error"] else None}
    return {name: _not_nan(value) if isinstance(value, float) else value for name, value in record.items()}


def shared_settings(runs: Sequence[Mapping[str, Any]]) -> Settings:
    """Return the settings, other than the defaults, that all of several runs have."""
    first, *others = [run["settings"] for run in runs]
    is_shared = [name for name, value in first.items() if all(name in own and own[name] == value for own in others)]
    return {name: first[name] for name in is_shared} if others else {}


def settings_text(run: Mapping[str, Any], shared: Mapping[str, Any] | None = None) -> str:
    """List the settings of a run that differ from the defaults, or from those of the first run of its kind.

    Those that are ``shared`` with every other row are said elsewhere.
    """
    own = {name: value for name, value in run["settings"].items() if name not in (shared or {})}
    others = "" if shared else "defaults"
    if run["compared_with"] is None:
        return listed(own) or others or "-"
    if run["compared_with"] == run["run"]:
        text = listed(own) or others
        return f"baseline ({text})" if text else "baseline"
    return listed(run["differs"]) or "same as baseline"


def listed(settings: Settings) -> str:
    """Format settings: ``agent.epsilon = 0.1, env.layout = cliff``."""
    return ", ".join(f"{name} = {format_value(value)}" for name, value in settings.items())


def _of_seeds(fraction: float | None, n_seeds: int) -> str:
    return "-" if fraction is None else f"{round(fraction * n_seeds)}/{n_seeds} seeds"


def _percent(mean: float | None, low: float | None, high: float | None) -> str:
    if mean is None:
        return "-"
    return f"{100 * mean:.0f} %" + ("" if low is None or high is None else f" [{100 * low:.0f}, {100 * high:.0f}]")


def _excluded(evaluation: Mapping[str, Any]) -> str:
    """Count the seeds whose return is unknown: cut episodes, and policies that may never end one."""
    n_cut = sum(evaluation["cut"])
    n_endless = evaluation["without_score"] - n_cut  # by their exact return, whatever was played
    counts = [f"{n_cut} cut"] * (n_cut > 0) + [f"{n_endless} endless"] * (n_endless > 0)
    return f" ({', '.join(counts)})" if counts else ""


def _not_nan(value: float | None) -> float | None:
    return None if value is None or value != value else value
