"""MkDocs hook: fills ``{{ settings q_learning }}`` and similar macros from the sources.

==============================  ==================================================================
``{{ about NAME }}``            the docstring of a player's module; ``KIND/NAME`` where several kinds have the name
``{{ settings NAME }}``         a table of its settings: name, default, expected value, meaning; or ``KIND/NAME``
``{{ presets NAME }}``          a table of its presets, or of its strategies for games
``{{ commands }}``              every command with its usage and its meaning
``{{ options NAME }}``          a table of a command's own options
``{{ list KIND }}``             every player of a kind with the first line of its docstring
``{{ tournament FILE }}``       the tables of a stored tournament, ``tests/benchmarks/results/FILE.json``
``{{ reached FILE }}``          of the same: seeds at the threshold; ``FILE MARGIN``: at most that below the best
``{{ means NAME }}``            means with intervals of ``engram bench NAME --store``, a column for each group
``{{ group_means N G ROWS }}``   the same of one group G: the things whose names begin with ROWS
``{{ grid NAME METRIC }}``      one metric of things that were measured at several sizes: a column for each size;
                                ``NAME METRIC 3``: with three decimals
``{{ runs STUDY }}``            the runs of a study of ``engram bench agents --store``
``{{ recall }}``                the tables of ``engram bench recall --store``
``{{ full_size NAME }}``        of ``engram bench NAME --store`` with large pictures; ``NAME codes``: what codes keep;
                                ``mnist/K``: of K digits in ``engram bench mnist --store``
``{{ deep_codes }}``            a deep autoencoder beside PCA, of ``engram bench mnist --store``
``{{ capacity }}``              Hebb's rule at rising loads, of ``engram bench memories --store``
``{{ sizes NAME }}``            the settings of a memory that follow the size of the task, with their values
``{{ sequences STUDY }}``       the table of a task or a series of ``engram bench sequences --store``
``{{ optimizers OBJECTIVE }}``  the table of a function of ``engram bench optimizers --store``
``{{ retrieval FEATURES }}``    the table of ``engram bench documents --store``
``{{ predict NAME }}``          the table of ``engram bench ratings --store`` or ``classes --store``
``{{ methods TASK }}``          a table of a task's own methods
``{{ bench NAME }}``            the numbers of ``engram bench NAME --store``
``{{ machine NAME }}``          the machine and the versions that they were measured with
==============================  ==================================================================
"""

from __future__ import annotations

import ast
import html
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from scipy import stats

from simulator.commands import main as command_line
from simulator.commands.parsing.command import EVERYWHERE
from simulator.commands.parsing.parser import SHORT, format_value, option_of
from simulator.config.presets import strategies
from simulator.config.validation import describe
from simulator.core import registry
from simulator.machine import described
from simulator.reporting import predict, race, recall, runs, tournament
from simulator.reporting.tables import Table, significant

ROOT = Path(__file__).parents[1]
MIN_SEEDS = 5  # with fewer the worst and the best stand for an interval
FOLDERS = {
    "agents": "agents",
    "memories": "memory",
    "envs": "envs",
    "games": "envs/games",
    "challenges": "envs/patterns",
    "components": "agents/components",
    "tasks": "envs/tasks",
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace every macro of a page."""
    return re.sub(r"\{\{ (\w+)((?: [\w./-]+)*) \}\}", lambda found: MACROS[found[1]](*found[2].split()), markdown)


@cache
def _engram(*words: str) -> Any:
    """Answer of a command, as JSON."""
    answer = subprocess.run(
        [sys.executable, "-m", "simulator", *words, "--json"], cwd=ROOT, capture_output=True, check=True
    )
    return json.loads(answer.stdout)


def _file(name: str) -> Path:
    """Source file that holds a player's docstring."""
    kind, _, name = name.rpartition("/")
    for folder in [FOLDERS[kind]] if kind else FOLDERS.values():
        for place in (ROOT / folder / name / "__init__.py", ROOT / folder / f"{name}.py"):
            if place.is_file():
                return place
    raise FileNotFoundError(f"no player is called {name}")


def _about(name: str) -> str:
    """Docstring of a player as Markdown, with its tables and indented formulas."""
    text = ast.get_docstring(ast.parse(_file(name).read_text("utf-8"))) or ""
    text = re.sub(r"(?ms)^(=+ [= ]+)\n(.*?)\n\1\n(.*?)\n\1$", _from_simple_table, text)
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")


def _from_simple_table(found: re.Match[str]) -> str:
    """Convert a simple table of reStructuredText to Markdown; a row without a first cell goes on with the one above."""
    starts = [column.start() for column in re.finditer("=+", found[1])]
    spans = list(zip(starts, [*starts[1:], None], strict=True))
    cells = [[line[first:last].strip() for first, last in spans] for line in (found[2] + "\n" + found[3]).splitlines()]
    rows: list[list[str]] = []
    for row in cells:
        if row[0]:
            rows.append(row)
        else:
            rows[-1] = [f"{before} {more}".strip() for before, more in zip(rows[-1], row, strict=True)]
    return _table(tuple(rows[0]), [list(row) for row in rows[1:]])


def _cell(text: Any) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")


def _table(columns: tuple[str, ...], rows: list[list[Any]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _settings(name: str) -> str:
    kind, _, name = name.rpartition("/")
    player = next(each for each in _engram("show", name)["players"] if kind in ("", each["kind"]))
    rows = [
        [f"`{each['name']}`", f"`{each['default']}`", each["expected"], each["description"]]
        for each in player["settings"]
    ]
    return _table(("setting", "default", "expected", "meaning"), rows) if rows else "It has no settings."


def _presets(name: str) -> str:
    if own := {key: settings for key, (player, settings) in strategies().items() if player.name == name}:
        return _strategies(name, own)
    listed = _engram("list", "presets")
    agents = [each for each in listed.get("presets", []) if each.get("agent") == name]
    memories = [each for each in listed.get("memory_presets", []) if each.get("memory") == name]
    if agents:
        rows = [[f"`{each['name']}`", each["env"], f"{each['steps']:,}", each["description"]] for each in agents]
        return _table(("preset", "environment", "steps", "meaning"), rows)
    if memories:
        return _table(("preset", "meaning"), [[f"`{each['name']}`", each["description"]] for each in memories])
    return "It has no presets."


def _strategies(name: str, settings: dict[str, Any]) -> str:
    """Table of the strategies in an agent's file: players of games, by name."""
    module = next(player.module for player, _ in strategies().values() if player.name == name)
    rows = []
    for strategy, own in settings.items():
        numbers = ", ".join(f"{key} {value:.4g}" for key, value in own.items())
        rows.append([f"`{strategy}`", module.PRESETS[strategy]["description"], numbers])
    return _table(("player", "meaning", "settings"), rows)


def _commands() -> str:
    rows = []
    for name, each in command_line.COMMANDS.items():
        usage = html.escape(each.usage).replace("|", "&#124;")  # a table shows the backslash before a bar in code
        rows.append([f"[<code>{usage}</code>](#{name})", each.description])
    return _table(("command", "what it does"), rows)


def _options(name: str) -> str:
    """Options of a command, without those that every command has."""
    rows = []
    for setting in command_line.command_of(name).known():
        if setting.name in EVERYWHERE:
            continue
        names = ", ".join(f"`{word}`" for word in (SHORT.get(setting.name), option_of((setting.name,))) if word)
        default = format_value(setting.default)
        expected = "" if setting.hint is bool else describe(setting.hint)
        rows.append([names, f"`{default}`" if default and setting.hint is not bool else "", expected, setting.doc])
    if not rows:
        return "It has no options of its own."
    return _table(("option", "default", "expected", "meaning"), rows)


def _list(kind: str) -> str:
    rows = []
    for each in _engram("list", kind)[kind]:
        rows.append([f"`{each['name']}`", each["description"].replace("``", "`")])
    return _table(("name", "what it is"), rows)


def _stored(name: str) -> Any:
    path = ROOT / "tests" / "benchmarks" / "results" / f"{name}.json"
    if not path.is_file():
        raise PluginError(f"{path.relative_to(ROOT)} is missing: {_maker(name)} makes it")
    return json.loads(path.read_text("utf-8"))


def _maker(name: str) -> str:
    """Command that makes a stored result."""
    if (ROOT / "tests" / "benchmarks" / f"{name}.py").is_file():
        return f"engram bench {name} --store"
    return f"engram tournament --preset {name} --json"


def _runs(study: str) -> str:
    """Rows of a study of agents, as ``engram report --table`` has them."""
    return _tables([runs.table(_stored("agents")["measured"][study])])


def _recall() -> str:
    """Tables of the memories, one for each number of patterns."""
    return _tables(recall.load_tables(_stored("recall")["measured"]))


def _retrieval(features: str) -> str:
    """Table of documents that were looked up, without the run's id."""
    (table,) = recall.retrieval_tables(_stored("documents")["measured"][features])
    return _tables([table._replace(title="")])


def _predict(name: str) -> str:
    """Table of a comparison of predictions, without the run's id."""
    (table,) = predict.tables(_stored(name)["measured"])
    return _tables([table._replace(title="")])


def _methods(task: str) -> str:
    """Table of the methods that a task brings, and which contestants it takes where none are named."""
    module = registry.load("tasks", task).module
    rows = [[f"`{name}`", words] for name, words in module.METHODS.items()]
    default = ", ".join(f"`{name}`" for name in module.DEFAULT)
    return _table(("method", "what it does"), rows) + f"\n\nWithout names: {default}."


def _full_size(name: str, part: str = "") -> str:
    """Table of a study of large pictures: what is recalled and what it costs, or with ``codes`` what codes keep."""
    rows = []
    name, _, patterns = name.partition("/")
    found = _stored(name)["measured"]
    if patterns:
        found = found["recall"][patterns]
    for cell in found["rows"]:
        if part == "codes":
            if cell["latent_precision"] is not None:
                error = cell["reconstruction_error"]
                precisions = [f"{cell[key]:.3f}" for key in ("latent_precision", "pixel_precision")]
                rows.append([cell["memory"], *precisions, "-" if error is None else f"{error:.2f}"])
        else:
            hears = {"noise_aware": "yes"}.get(cell["recall_mode"], "no")
            scores = [_spread(cell["overlap"]), _spread(cell["exact"])]
            if 1 < found["seeds"] < MIN_SEEDS:
                scores = [_extremes(cell["overlap"]), _extremes(cell["exact"])]
            elif found["seeds"] == 1:  # the cues of one seed
                n_exact = round(cell["exact"]["mean"] * found["cues"])
                share = stats.binomtest(n_exact, found["cues"]).proportion_ci(method="wilson")
                scores[1] += f" [{share.low:.3f}, {share.high:.3f}]"
            costs = [f"{cell[key]:.1f}" for key in ("store_cpu_seconds", "cpu_seconds")]
            memory = f"{cell['peak_bytes'] / 1e6:,.0f}"
            rows.append([cell["memory"], hears, *scores, f"{cell['parameters']:,}", *costs, memory])
    if part == "codes":
        return _table(("memory", "precision at 5 of codes", "of pixels", "error of held-out pictures"), rows)
    costs = ("values kept", "CPU s, store", "CPU s, recall", "peak MB")
    return _table(("memory", "hears the corruption", "overlap m", "exact", *costs), rows)


def _extremes(found: dict[str, Any]) -> str:
    """Mean over seeds, and the worst and the best of them."""
    return _mean_and_extremes(found["per_seed"], 3)


def _mean_and_extremes(values: list[float], digits: int) -> str:
    mean = sum(values) / len(values)
    return f"{mean:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def _deep_codes() -> str:
    """Table of a deep autoencoder beside PCA with as many numbers: squared errors and neighbours, over seeds."""
    found = _stored("mnist")["measured"]["deep_codes"]
    rows = []
    for pictures in dict.fromkeys(row["pictures"] for row in found):
        seeds = [row for row in found if row["pictures"] == pictures]
        for method, errors in {"autoencoder-deep": "squared_error", "PCA, 30 numbers": "pca_squared_error"}.items():
            row = [f"{pictures}: {method}"]
            row += [_mean_and_extremes([seed[errors][part] for seed in seeds], 2) for part in ("stored", "held_out")]
            if errors == "squared_error":
                row += [_mean_and_extremes([seed["precision"][of] for seed in seeds], 3) for of in ("code", "pixel")]
            rows.append([*row, *[""] * (5 - len(row))])
    return _table(("", "error, stored", "error, held out", "five nearest of the same class, by code", "by pixel"), rows)


def _capacity() -> str:
    """Table of Hebb's rule: overlap and share above .95 at rising loads, from cues with more and more errors."""
    found = _stored("memories")["measured"]["capacity"]
    cells = {tuple(re.findall(r"[\d.]+", name)): cell for name, cell in found.items()}
    starts = list(dict.fromkeys(start for _, start in cells))
    rows = [
        [load, *(f"{cells[load, at]['overlap']:.3f} / {cells[load, at]['above .95']:.2f}" for at in starts)]
        for load in dict.fromkeys(load for load, _ in cells)
    ]
    shares = ["from the pattern" if start == "0" else f"{float(start):.0%} flipped" for start in starts]
    return _table(("patterns per unit", *shares), rows)


def _spread(found: dict[str, Any]) -> str:
    around = "" if found["low"] is None else f" [{found['low']:.3f}, {found['high']:.3f}]"
    return f"{found['mean']:.3f}{around}"


def _sizes(name: str) -> str:
    """Settings of a memory that follow its size, at some numbers of units and patterns."""
    rules = registry.load("memories", name).module.RULES
    sizes = [(64, 100), (784, 100), (784, 1_000), (784, 10_000), (784, 60_000)]
    rows = []
    for setting, rule in rules.items():
        values = [rule.value(*size) for size in sizes]
        rows.append([f"`{setting}`", *(f"{value:.2g}" if isinstance(value, float) else str(value) for value in values)])
    return _table(("", *(f"N = {n}, K = {k:,}" for n, k in sizes)), rows)


def _sequences(study: str) -> str:
    """Table of a study of sequences: gradients by distance, right answers by length, or errors by method."""
    found = _stored("sequences")["measured"][study]
    if "gradients" in found:
        distances = [t for t in (1, 5, 10, 20, 30, 50) if t in found["gradients"][0]["distance"]]
        rows = []
        for row in found["gradients"]:
            spans = [f"{row['norm'][t]:.2g} [{row['low'][t]:.2g}, {row['high'][t]:.2g}]" for t in distances]
            exact = [f"{row['norm'][t]:.2g}, exact {row['exact'][t]:.2g}" for t in distances] if "exact" in row else []
            rows.append([row["cell"], row["init"], *(exact or spans)])
        return _table(("cell", "first weights", *(f"T - t = {t}" for t in distances)), rows)
    if "fails_at" in found:
        lengths = list(dict.fromkeys(row["length"] for row in found["rows"]))
        cells = {(row["cell"], row["length"]): _mean(row["right"]) for row in found["rows"]}
        rows = []
        for cell, fails_at in found["fails_at"].items():
            rows.append([cell, *(cells[cell, length] for length in lengths), fails_at or f"none up to {lengths[-1]}"])
        return _table(("", *map(str, lengths), "fails at"), rows)
    beats = {True: "yes", False: "no", None: ""}
    rows = []
    for row in found["rows"]:
        better = beats[found["beats_ar"].get(row["method"])]
        rows.append([row["method"], _mean(row["mse"]), _mean(row["skill"]), better])
    exact = f"mean squared error; exact optimum {_number(found['optimal_mse'])}"
    return _table(("", exact, "skill over persistence", "better than AR(p)"), rows)


def _optimizers(objective: str) -> str:
    """Table of the update rules on one function."""
    data = _stored("optimizers")["measured"]
    found = next(each for each in data["objectives"] if each["objective"] == objective)
    rows = [
        [
            row["rule"],
            f"{row['step_size']:g}",
            race.steps_text(row["median_steps"], data["steps"]),
            _share(row["reached"]),
        ]
        for row in found["rules"]
    ]
    return _table(("rule", "step size", "steps, median", "reached"), rows)


def _share(reached: dict[str, float]) -> str:
    return f"{reached['share']:.2f} [{reached['low']:.2f}, {reached['high']:.2f}]"


def _bench(name: str) -> str:
    """Numbers of a measurement: a table for each group, with a row for each number."""
    return "\n\n".join(_group(name, group) for name, group in _groups(_stored(name)["measured"]))


def _groups(found: dict[str, Any], before: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Tables within tables: the name of each that holds numbers, or medians with the lowest and the highest."""
    own = {name: value for name, value in found.items() if not isinstance(value, dict) or "median" in value}
    if own:
        yield before, own
    for name, value in found.items():
        if name not in own:
            yield from _groups(value, f"{before}, {name}" if before else name)


def _group(name: str, group: dict[str, Any]) -> str:
    rows = []
    for what, value in group.items():
        median = value["median"] if isinstance(value, dict) else value
        spread = f"{_number(value['low'])} to {_number(value['high'])}" if isinstance(value, dict) else ""
        rows.append([what.replace("_", " "), _number(median), spread])
    has_spread = any(row[2] for row in rows)
    columns = (name.replace("_", " ") or "what", "median", "rounds") if has_spread else (name.replace("_", " "), "")
    return _table(columns, rows if has_spread else [row[:2] for row in rows])


def _number(value: Any) -> str:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return str(value)
    if abs(value) < 1e-12:  # what rounding left
        return "0"
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


def _group_means(name: str, group: str, rows: str) -> str:
    """Means with their intervals: a row for each entry of a group whose name begins with ``rows``."""
    found = {key: means for key, means in _stored(name)["measured"][group].items() if key.startswith(rows)}
    lines = [[key.removeprefix(f"{rows}, "), *map(_mean, means.values())] for key, means in found.items()]
    return _table((rows, *next(iter(found.values()))), lines)


def _mean(found: dict[str, float]) -> str:
    if found["low"] is None:
        return _number(found["mean"])
    return f"{_number(found['mean'])} [{_number(found['low'])}, {_number(found['high'])}]"


def _machine(name: str) -> str:
    found = _stored(name)
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    machines = found.get("machines") or [found["machine"]]
    command = found.get("command", f"engram tournament --preset {name}")
    return f"`{command}`, on {' and '.join(map(described, machines))}; {versions}."


def _tournament(name: str) -> str:
    """Rankings and scores of a stored tournament, and the pairs that do not differ significantly."""
    return _tables(tournament.tables(_stored(name)))


def _reached(name: str, margin: str = "") -> str:
    """Seeds of a stored tournament that end at the threshold, or within a margin of the best possible; means."""
    summary = _stored(name)
    goals = {}
    for challenge in summary["challenges"]:
        goals[challenge["label"]] = challenge["ceiling"] - float(margin) if margin else challenge["threshold"]
    rows = []
    for score in summary["scores"]:
        finals = [value for value in score["raw"]["per_seed"] if value is not None]
        n_there = sum(value >= goals[score["challenge"]] - 1e-9 for value in finals)
        share = stats.binomtest(n_there, len(finals)).proportion_ci(method="wilson")
        first = score["steps_to_threshold"] or {}
        rows.append(
            [
                score["contestant"],
                score["challenge"],
                f"{n_there} of {len(finals)}",
                f"{100 * share.low:.0f} to {100 * share.high:.0f} %",
                significant(score["raw"]["mean"], goals[score["challenge"]]),
                "-" if margin or first.get("median") is None else f"{first['median']:,.0f}",
            ]
        )
    what = f"seeds within {margin} of the best possible" if margin else "seeds at the threshold at the end"
    columns = ("contestant", "environment", what, "95 % interval (Wilson)", "mean", "median steps to the threshold")
    n_shown = len(columns) - bool(margin)
    return _table(columns[:n_shown], [row[:n_shown] for row in rows])


def _means(name: str) -> str:
    """Means with intervals: a row for each thing that was measured, a column for each group."""
    groups = _stored(name)["measured"]
    rows = []
    for what in dict.fromkeys(what for group in groups.values() for what in group):
        cells = []
        for group in groups.values():
            found = group[what]
            spread = f" [{found['low']:.3f}, {found['high']:.3f}]" if "low" in found else ""
            cells.append(f"{found['mean']:.3f}{spread}")
        rows.append([what, *cells])
    return _table(("", *groups), rows)


def _grid(name: str, metric: str, decimals: str = "2") -> str:
    """One metric as a table: a row for each thing that was measured, a column for each size; sizes are rising."""
    found = _stored(name)["measured"]
    sizes = sorted(
        {size for row in found.values() for size in row}, key=lambda size: (not size.isdecimal(), len(size), size)
    )
    rows = []
    for what, row in found.items():
        if any(metric in numbers for numbers in row.values()):
            rows.append(
                [what, *(_short(row[size][metric], decimals) if metric in row.get(size, {}) else "" for size in sizes)]
            )
    return _table(("", *sizes), rows)


def _short(found: dict[str, float], decimals: str) -> str:
    mean, low, high = (f"{found[name]:.{decimals}f}" for name in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]" if found["low"] < found["high"] else mean


def _tables(tables: Iterable[Table]) -> str:
    parts = []
    for table in tables:
        parts += [f"**{table.title}**"] if table.title else []
        parts += [_table(tuple(table.columns), table.rows)] if table.rows else []
        parts += table.notes
    return "\n\n".join(parts)


MACROS: dict[str, Callable[..., str]] = {
    "about": _about,
    "settings": _settings,
    "presets": _presets,
    "commands": _commands,
    "options": _options,
    "list": _list,
    "tournament": _tournament,
    "reached": _reached,
    "means": _means,
    "grid": _grid,
    "runs": _runs,
    "recall": _recall,
    "full_size": _full_size,
    "deep_codes": _deep_codes,
    "capacity": _capacity,
    "sizes": _sizes,
    "sequences": _sequences,
    "optimizers": _optimizers,
    "retrieval": _retrieval,
    "predict": _predict,
    "methods": _methods,
    "bench": _bench,
    "group_means": _group_means,
    "machine": _machine,
}
