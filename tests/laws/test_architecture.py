"""Tests of the architecture: who imports whom, and what no source may contain."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.helpers.paths import ROOT

PACKAGES = ("simulator", "agents", "memory", "envs")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
HEAVY = {
    "torch",
    "pygame",
    "matplotlib",
    "ray",
    "sklearn",
    "choix",
    "pettingzoo",
    "jinja2",
    "stable_baselines3",
    "pandas",
}


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


NAMES = {_name(path): path for path in SOURCES}


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _nodes_at_import(tree: ast.AST):
    """Yield every node that runs when the module is imported: not inside functions, not for type checkers only."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield node
        yield from _nodes_at_import(node)


def _imports(path: Path, *, always: bool = False) -> set[str]:
    """Return modules named by import statements; ``always``: also those inside functions."""
    nodes = ast.walk(_tree(path)) if always else _nodes_at_import(_tree(path))
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {each if each in NAMES else node.module for each in inner}
    return found


def _ours(path: Path, *, always: bool = False) -> set[str]:
    return {name for name in _imports(path, always=always) if name.split(".")[0] in PACKAGES}


def test_the_packages_are_these():
    tops = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert tops == set(PACKAGES)


def test_packages_import_only_what_they_may():
    for path in SOURCES:
        own, ours = _name(path), _ours(path, always=True)
        package, player = own.split(".")[0], ".".join(own.split(".")[:2])  # agents.dqn, whose files know each other
        task = ".".join(own.split(".")[:3])  # envs.tasks.ratings, likewise
        allowed = {
            "agents": ("simulator.core", "agents.common", "agents.components", "memory", player),
            "memory": ("simulator.core", "memory.common", player),
            "envs": ("simulator.core", "envs.common", *([task] if task.startswith("envs.tasks.") else [])),
            "simulator.core": ("simulator.core",),
            "simulator.views": (
                *("simulator.core", "simulator.statistics", "simulator.store", "simulator.views"),
                *("simulator.reporting.tables", "simulator.reporting.tournament"),
            ),
        }.get(player if player in ("simulator.core", "simulator.views") else package)
        if allowed is not None:
            outside = {name for name in ours if not name.startswith(allowed)}
            assert not outside, f"{own} imports {sorted(outside)}"
        else:
            players = {name for name in ours if name.split(".")[0] in ("agents", "memory", "envs")}
            assert not players, f"{own} knows players by name: {sorted(players)}"
        if package == "simulator" and not own.startswith("simulator.views"):
            watching = {name for name in ours if name.startswith("simulator.views")}
            assert not watching or own.startswith(("simulator.commands", "simulator.reporting")), (
                f"{own} imports {sorted(watching)}"
            )


def test_no_import_cycles():
    seen: dict[str, int] = {}

    def visit(name: str, chain: tuple[str, ...]) -> None:
        assert seen.get(name) != 1, f"import cycle: {' -> '.join((*chain, name))}"
        if name in seen:
            return
        seen[name] = 1
        for each in sorted(_ours(NAMES[name])):
            if each in NAMES and each != name:
                visit(each, (*chain, name))
        seen[name] = 2

    for name in NAMES:
        visit(name, ())
    assert len(seen) == len(NAMES)


def test_inheritance_is_flat():
    allowed = re.compile(
        r"NamedTuple|Protocol|Generic|\w*Config|PhaseLearning|\w*(Error|Failure|Exception|Damaged|Warning)"
        r"|gym\w*\.[\w.\[\], ]+|Listener|(caching|codegen|compiler)\.\w+"
    )
    for path in SOURCES:
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.ClassDef):
                for base in node.bases:
                    text = ast.unparse(base)
                    fine = allowed.search(text) or text in _gymnasium_names(path) or "Module" in text
                    fine = fine or text in ("Env", "Agent", "View[Any]")  # protocols
                    fine = fine or text == "TorchNetwork"  # a recurrent network is one, with a way to unroll
                    fine = fine or text in ("Mapping[str, Any]", "SummaryResult")  # results, used as their summary
                    assert fine, f"{path.name}: {node.name}({text})"


def _gymnasium_names(path: Path) -> set[str]:
    return {
        alias.asname or alias.name
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gymnasium")
        for alias in node.names
    }


def test_forbidden_things():
    for path in SOURCES:
        text = path.read_text("utf-8")
        for pattern in (
            r"np\.random\.(seed|rand|randn|randint|choice|normal|uniform|shuffle|default_rng)\(",
            r"(?<!\w)random\.(random|randint|choice|shuffle|seed)\(",
            r"torch\.manual_seed",
            r"import pickle|allow_pickle=True|joblib",
            r"NotImplementedError|TODO|FIXME|XXX",
        ):
            assert not re.search(pattern, text), f"{_name(path)} has {pattern}"
        heavy = HEAVY & {name.split(".")[0] for name in _imports(path)}
        assert not heavy or "torch" in path.stem, f"{_name(path)} imports {sorted(heavy)}"


def test_torch_reads_weights_alone():
    """Without ``weights_only`` it decodes pickles, which run code."""
    for path in SOURCES:
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Attribute) and ast.unparse(node) == "torch.load":
                assert "torch.load(" in path.read_text("utf-8"), f"{_name(path)}: torch.load may only be called"
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                given = {each.arg: ast.unparse(each.value) for each in node.keywords}
                assert given.get("weights_only") == "True", f"{_name(path)}: {ast.unparse(node)}"


def test_entry_points_import_nothing_heavy():
    """Help, the Python API and the list of players load nothing heavy."""
    code = (
        "import sys, simulator, simulator.commands.main; from simulator.core import registry; "
        "registry.names('agents'); registry.names('envs'); "
        "print(sorted({'torch','numba','matplotlib','pygame','sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_a_tabular_run_never_loads_torch():
    code = (
        "import sys; from simulator.config.run import build; from simulator.training.loop import Session; "
        "Session(build({'seeds': 2, 'agent': {'name': 'q_learning'}, 'env': {'name': 'rooms'}})).play(50); "
        "print('torch' in sys.modules, 'pygame' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["False", "False"]
