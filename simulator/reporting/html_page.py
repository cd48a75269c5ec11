"""Reports as one self-contained HTML file: training runs, recall benchmarks and tournaments.

The templates stand beside this file (``page_*.html.j2``); everything in them is escaped, and pictures are SVG elements
of the page, with colours that follow its light or dark style. The same data give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simulator import console
from simulator.core.experiment_kinds import PREDICT, RECALL, RUN, TOURNAMENT
from simulator.core.files.writing import check_place, write_file
from simulator.core.wording import plural
from simulator.machine import made_with
from simulator.reporting import plot, predict, predict_figures, recall, runs, tournament
from simulator.reporting.figures import COLOURS, LegendEntry, Picture, even_parts, svg
from simulator.reporting.tables import Row, decimals, seed_ranges
from simulator.reporting.tournament import PLURALS, Summary, one_line_each, readable, visible_settings
from simulator.reporting.tournament_figures import DEFAULT, pictures_of
from simulator.views.style import duration

CHALLENGES_PER_TABLE = 5
RUNS_PER_TABLE = 5
MAX_UPRIGHT = 4  # runs up to which each is a column
MAX_PAIRS = 60
PAIRS = ("first", "second", "P(first > second)", "difference", "p (Holm)", "seeds needed")
INTERVAL = "95 % bootstrap confidence interval over seeds."
WORDS_OF_RUNS = {
    "interquartile mean (IQM)": "Mean of the middle half of the seeds: the lowest and the highest quarter are left "
    "out.",
    "interval, band": INTERVAL,
    "evaluation": "Episodes of the greedy policy, on random streams of their own; the exact expected return where the "
    "environment is a finite decision process.",
    "threshold": "Mean return from which the environment counts as solved.",
    "median steps to threshold": "Environment steps before the first evaluation at the threshold, over the seeds that "
    "reached it; its resolution is the distance of the evaluations.",
    "still above threshold": "Fraction of the later evaluations at the threshold, over the same seeds.",
    "solved at end": "Seeds whose last evaluation is at the threshold.",
    "optimum, random play": "Mean return of the best possible policy and of a random one, where they are known.",
}
WORDS_OF_PREDICTIONS = {
    "interval, band": "95 % bootstrap confidence interval over seeds. Where these are folds or splits of the same data "
    "it is widened for what they share (Nadeau and Bengio 2003).",
    "difference to best (paired)": "Seed by seed, to the best contestant that is no ceiling.",
    "RMSE": "Root of the mean squared error of ratings that were not seen.",
    "best possible": "Expected score of the exact posterior mean, which is told the items and the law of the ratings.",
    "accuracy": "Fraction of the test rows whose class is right.",
}
WORDS_OF_RECALL = {
    "overlap m": "Mean agreement of the units of what is recalled with what was stored, from -1 to 1.",
    "perfect-recall rate": "Fraction of the patterns that are restored in every unit.",
    "Bayes-optimal": "The most that any memory can be expected to reach, given the corruption and the cues.",
    "difference to best (paired)": "Overlap minus that of the best memory, on the same seeds.",
    "spurious": "Fraction of the recalls that equal no stored pattern.",
    "recognition AUC": "Area under the ROC curve of telling stored patterns from novel ones.",
    "interval, band": INTERVAL,
}


def write_page(
    data: Mapping[str, Any], path: Path, kind: str = TOURNAMENT, *, force: bool = False, in_lab: bool = False
) -> None:
    """Write the page into a file; see :func:`simulator.core.files.writing.write_file`.

    Args:
        data: the JSON object of ``engram tournament``, or of ``engram report`` with all settings (``toml``).
        path: the file; one without an ending is marked as Engram's like one that ends in .html.
        kind: ``RUN``, ``RECALL``, ``PREDICT`` or ``TOURNAMENT``.
        force: replace a file that Engram did not write.
        in_lab: the place is Engram's own, inside a lab.

    Raises:
        ValueError: the place is not to be written, or cannot be.
    """
    check_place(path, force=force, in_lab=in_lab)
    text = {RUN: page_of_runs, RECALL: page_of_recall, PREDICT: page_of_predictions, TOURNAMENT: page}[kind](data)
    write_file(path, text.encode(), force=force, in_lab=in_lab, kind=".html")


def _rendered(template: str, **values: Any) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).parent)
    jinja = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return jinja.get_template(template).render(**values)


def page(summary: Summary) -> str:
    """Render the page of a tournament."""
    summary = readable(summary)
    return _rendered(
        "page_tournament.html.j2",
        kind="tournament",
        summary=summary,
        title=summary["label"] or summary["tournament"],
        headline=tournament.headline(summary),
        wall_time=duration(summary["seconds"] or 0.0),
        cpu_time=duration(summary["cpu_seconds"] or 0.0),
        ranking_columns=tournament.RANKING,
        pair_columns=PAIRS,
        boards=[_board(summary, division) for division in tournament.divisions(summary)],
        charts={
            kind: [_chart(picture, f"{kind}{at}") for at, picture in enumerate(pictures_of(summary, kind))]
            for kind in DEFAULT
        },
        failures=[
            {**failure, "seeds": seed_ranges(failure["seeds"])} for failure in tournament.grouped_failures(summary)
        ],
        confidence=tournament.confidence(summary),
        command=command(summary["tournament"], summary["settings"], "engram tournament {file}"),
    )


def page_of_runs(report: Mapping[str, Any]) -> str:
    """Render the page of training runs; they have their curves and all settings."""
    shown = [{**one_line_each(run), "toml": visible_settings(run["toml"])} for run in report["runs"]]
    table = runs.table({"runs": shown})
    columns = list(table.columns)
    rows = table.rows
    if len(shown) <= MAX_UPRIGHT:  # a column for each
        columns, *rows = [list(row) for row in zip(columns, *rows, strict=True)]
    drawing = plot.drawing_of(RUN, {"runs": shown})
    first = shown[0]
    title = f"Runs in {', '.join(dict.fromkeys(run['env'] for run in shown))}"
    headline = f"{len(shown)} runs: {', '.join(run['run'] for run in shown)}"
    if len(shown) == 1:
        title = first["label"] or f"{first['agent']} in {first['env']}"
        headline = f"{first['run']}, {first['status']}: {plural(len(first['seeds']), 'seed')}"
        headline += f", {first['step']:,} steps per seed"
    failures = [
        f"{run['run']}, seed {failure['seed']}, step {failure['step']:,}: {failure['reason']}"
        for run in shown
        for failure in run["failed"]
    ]
    ended = [f"{run['run']}, step {run['error']['step']:,}: {run['error']['reason']}" for run in shown if run["error"]]
    wall = duration(sum(run["seconds"] or 0.0 for run in shown))
    cpu = duration(sum(run["cpu_seconds"] or 0.0 for run in shown))
    return _rendered(
        "page_runs.html.j2",
        kind="training runs",
        title=title,
        headline=headline,
        created=f"Created {first['created']}; {wall} wall-clock time, {cpu} CPU time",
        table={"columns": columns, "rows": rows},
        charts=[_chart(picture, f"curves{at}") for at, picture in enumerate(drawing.pictures)],
        left_out=drawing.left_out,
        seeds=list(_seed_tables(shown)),
        failures=[*failures, *ended],
        runs=[{**run, "text": runs.listed(run["settings"]) or "defaults"} for run in shown],
        made_with=list(dict.fromkeys(line for run in shown for line in made_with(run))),
        command="\n\n".join(command(run["run"], run["toml"], "engram run --config {file}") for run in shown),
        words=WORDS_OF_RUNS,
    )


def _seed_tables(shown: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the score of each seed: a row for each seed, a column for each run, some runs to a table."""
    score_of = {(record["run"], record["seed"]): record["score"] for record in runs.seed_records({"runs": list(shown)})}
    tables = []
    for start, stop in even_parts(len(shown), RUNS_PER_TABLE):
        part = shown[start:stop]
        seeds = sorted({seed for run in part for seed in run["seeds"]})
        rows = [[str(seed), *(console.format_cell(score_of.get((run["run"], seed))) for run in part)] for seed in seeds]
        tables.append({"columns": ["seed", *(f"{run['run']} {run['name']}" for run in part)], "rows": rows})
    return tables


def page_of_recall(summary: Mapping[str, Any]) -> str:
    """Render the page of a recall benchmark; it has all settings."""
    toml = visible_settings(summary["toml"])
    summary = one_line_each({key: value for key, value in summary.items() if key != "toml"})
    results = recall.tables(summary)[0]
    drawing = plot.drawing_of(RECALL, summary)
    n_seeds = plural(len(summary["seeds"]), "seed")
    progress = f"{summary['step']:,} of {plural(summary['steps'], 'cell')}"
    times = f"{duration(summary['seconds'] or 0.0)} wall-clock time, {duration(summary['cpu_seconds'] or 0.0)} CPU time"
    failures = recall.failure_lines(summary)
    return _rendered(
        "page_recall.html.j2",
        kind="recall benchmark",
        title=summary["label"] or f"Recall of {summary['challenge']}",
        headline=f"{summary['run']}, {summary['status']}: {progress}; {', '.join(summary['contestants'])}, {n_seeds}",
        created=f"Created {summary['created']}; {times}",
        condition_columns=results.columns[2:],
        conditions=_by_condition(results.rows),
        notes=[note for note in results.notes if note not in failures],
        charts=[_chart(picture, f"curves{at}") for at, picture in enumerate(drawing.pictures)],
        left_out=drawing.left_out,
        loads=recall.load_tables(summary),
        failures=failures,
        toml=toml,
        made_with=made_with(summary),
        command=command(summary["run"], toml, "engram recall --config {file}"),
        words=WORDS_OF_RECALL,
    )


def page_of_predictions(summary: Mapping[str, Any]) -> str:
    """Render the page of a comparison of predictions; it has all settings."""
    toml = visible_settings(summary["toml"])
    summary = one_line_each({key: value for key, value in summary.items() if key != "toml"})
    (results,) = predict.tables(summary)
    pictures = [picture for kind in predict_figures.KINDS for picture in predict_figures.pictures_of(summary, kind)]
    n_seeds = plural(len(summary["seeds"]), "seed")
    progress = f"{summary['step']:,} of {plural(summary['steps'], 'cell')}"
    times = f"{duration(summary['seconds'] or 0.0)} wall-clock time, {duration(summary['cpu_seconds'] or 0.0)} CPU time"
    failures = predict.failure_lines(summary)
    conditions: dict[str, list[Row]] = {}
    for condition, *cells in results.rows:
        conditions.setdefault(f"{condition} {summary['condition']}", []).append(cells)
    return _rendered(
        "page_predict.html.j2",
        kind="comparison of predictions",
        title=summary["label"] or f"Predictions: {summary['task']}",
        headline=f"{summary['run']}, {summary['status']}: {progress}; {', '.join(summary['contestants'])}, {n_seeds}",
        created=f"Created {summary['created']}; {times}",
        columns=results.columns[1:],
        conditions=[{"title": title, "rows": rows} for title, rows in conditions.items()],
        notes=[note for note in results.notes if note not in failures],
        charts=[_chart(picture, f"pictures{at}") for at, picture in enumerate(pictures)],
        failures=failures,
        toml=toml,
        made_with=made_with(summary),
        command=command(summary["run"], toml, "engram predict --config {file}"),
        words=WORDS_OF_PREDICTIONS,
    )


def _by_condition(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Part the rows of a benchmark by number of patterns and corruption, which become titles."""
    parts: dict[str, list[Row]] = {}
    for n_patterns, corruption, *cells in rows:
        parts.setdefault(f"{n_patterns} patterns, {corruption}", []).append(cells)
    return [{"title": title, "rows": cells} for title, cells in parts.items()]


def command(name: str, settings: str, words: str) -> str:
    """Return shell lines that repeat an experiment: the settings as a file, and the command.

    Args:
        name: the experiment's id, of which the file's name is made.
        settings: TOML.
        words: the command, with ``{file}`` where the file's name stands.
    """
    name = re.sub(r"[^A-Za-z0-9_-]", "_", name).lstrip("-") or "experiment"
    lines = settings.rstrip("\n").splitlines()
    end = "END"
    while end in lines:
        end += "_"
    return "\n".join([f"cat > {name}.toml <<'{end}'", *lines, end, words.format(file=f"{name}.toml")])


def _board(summary: Summary, division: str) -> dict[str, Any]:
    """Return the tables of one division."""
    columns, rows, scale = tournament.score_table(summary, division)
    undecided = tournament.undecided(summary, division)
    scores = []
    for start, stop in even_parts(len(columns) - 1, CHALLENGES_PER_TABLE):
        head, *page = [[row[0], *row[1 + start : 1 + stop]] for row in (columns, *rows, *scale)]
        scores.append({"columns": head, "rows": page[: len(rows)], "scale": page[len(rows) :]})
    return {
        "name": PLURALS.get(division, division),
        "note": tournament.details(summary, division)["tiers_note"],
        "cycles": tournament.cycle_lines(summary, division),
        "tiers": tournament.by_tier(tournament.ranking_rows(summary, division)),
        "scores": scores,
        "pairs": [_pair(pair) for pair in undecided[:MAX_PAIRS]],
        "n_more_pairs": max(len(undecided) - MAX_PAIRS, 0),
        "undecided_title": tournament.undecided_title(summary, division),
    }


def _pair(pair: Summary) -> Row:
    """Return a row, columns ``PAIRS``."""
    probability = decimals(pair["probability"], 2)
    difference = decimals(pair["difference"], 3)
    p = "-" if pair["p_holm"] is None else f"{pair['p_holm']:.2g}"
    n_seeds = "-" if pair["seeds_needed"] is None else f"{pair['seeds_needed']:,}"
    return [pair["first"], pair["second"], probability, difference, p, n_seeds]


def _chart(picture: Picture, name: str) -> dict[str, Any]:
    """Return a picture: its panels as SVG elements, their layout, and its legend."""
    from markupsafe import Markup

    panels = []
    for at, panel in enumerate(picture.panels):
        label = f"{picture.title}: {panel.title}" if panel.title else picture.title
        panels.append(Markup(svg(panel, f"{name}-{at}", label)))  # ElementTree has escaped its texts
    layout = "scroll fixed" if picture.kind == "pairs" else "panels" if len(panels) > 1 else "single"
    legend = [_legend_entry(entry) for entry in picture.legend]
    return {"title": picture.title, "note": picture.note, "panels": panels, "legend": legend, "layout": layout}


def _legend_entry(entry: LegendEntry) -> dict[str, Any]:
    """Return a line of a legend: its colour by the page's style sheet, its dashes twice as long as in the panels."""
    stroke = f"var(--c{COLOURS.index(entry.colour)})" if entry.colour in COLOURS else "currentColor"
    dash = "none" if entry.dash == "-" else " ".join(f"{2 * length:g}" for length in entry.dash[1])
    return {"label": entry.label, "stroke": stroke, "dash": dash, "width": 1.5 * entry.width}
