"""MkDocs hook: fills ``{{ settings q_learning }}`` and similar macros from the sources.

==============================  ==================================================================
``{{ about NAME }}``            the docstring of a player's module
``{{ settings NAME }}``         a table of its settings: name, default, expected value, meaning
``{{ presets NAME }}``          a table of its presets
``{{ list KIND }}``             every player of a kind with the first line of its docstring
``{{ tournament FILE }}``       the ranking in a stored result, ``tests/benchmarks/results/FILE.json``
==============================  ==================================================================
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FOLDERS = {
    "agents": "agents",
    "memories": "memory",
    "envs": "envs",
    "games": "envs/games",
    "challenges": "envs/patterns",
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace every macro of a page."""
    return re.sub(r"\{\{ (\w+) ([\w./-]+) \}\}", lambda found: MACROS[found[1]](found[2]), markdown)


@cache
def _engram(*words: str) -> Any:
    """Answer of a command, as JSON."""
    answer = subprocess.run(
        [sys.executable, "-m", "simulator", *words, "--json"], cwd=ROOT, capture_output=True, check=True
    )
    return json.loads(answer.stdout)


def _file(name: str) -> Path:
    """Source file that holds a player's docstring."""
    for folder in FOLDERS.values():
        for place in (ROOT / folder / name / "__init__.py", ROOT / folder / f"{name}.py"):
            if place.is_file():
                return place
    raise FileNotFoundError(f"no player is called {name}")


def _about(name: str) -> str:
    """Docstring of a player as Markdown; reStructuredText's simple tables become code blocks."""
    text = ast.get_docstring(ast.parse(_file(name).read_text("utf-8"))) or ""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")
    return re.sub(r"(?ms)^(=+  =.*?)(?=^\S|\Z)(?<!=)", _fenced, text)


def _fenced(found: re.Match[str]) -> str:
    return f"```text\n{found[1].rstrip()}\n```\n"


def _cell(text: Any) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")


def _table(columns: tuple[str, ...], rows: list[list[Any]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _settings(name: str) -> str:
    rows = [
        [f"`{each['name']}`", f"`{each['default']}`", each["expected"], each["description"]]
        for each in _engram("show", name)["players"][0]["settings"]
    ]
    return _table(("setting", "default", "expected", "meaning"), rows) if rows else "It has no settings."


def _presets(name: str) -> str:
    listed = _engram("list", "presets")
    agents = [each for each in listed.get("presets", []) if each.get("agent") == name]
    memories = [each for each in listed.get("memory_presets", []) if each.get("memory") == name]
    if agents:
        rows = [[f"`{each['name']}`", each["env"], f"{each['steps']:,}", each["description"]] for each in agents]
        return _table(("preset", "environment", "steps", "meaning"), rows)
    if memories:
        return _table(("preset", "meaning"), [[f"`{each['name']}`", each["description"]] for each in memories])
    return "It has no presets."


def _list(kind: str) -> str:
    rows = []
    for each in _engram("list", kind)[kind]:
        rows.append([f"`{each['name']}`", each["description"].replace("``", "`")])
    return _table(("name", "what it is"), rows)


def _tournament(file: str) -> str:
    found = json.loads((ROOT / "tests" / "benchmarks" / "results" / f"{file}.json").read_text("utf-8"))
    rows = []
    for each in found["ranking"]:
        strength = each["strength"]
        score = each["score"]["iqm"]
        rows.append(
            [
                each["tier"],
                f"`{each['contestant']}`",
                f"{strength['value']:.2f} [{strength['low']:.2f}, {strength['high']:.2f}]",
                f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]",
            ]
        )
    columns = ("tier", "contestant", "strength, 95 % interval", "normalized score, IQM, 95 % interval")
    return _table(columns, rows)


MACROS = {"about": _about, "settings": _settings, "presets": _presets, "list": _list, "tournament": _tournament}
