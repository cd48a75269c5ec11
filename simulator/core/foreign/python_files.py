"""Loading of Python files by path, ``./my_agent.py`` or ``./envs/grid.py:MyGrid-v0``, in place of a dotted name.

A path begins with ``./``, ``../``, ``/`` or ``~``, or its file ends in ``.py``: ``my_agent.py``, ``envs/grid.py:Grid``.
Its file becomes a module under a name of its own, made of where it lies and what it holds: two files of one name never
meet, and one that was changed is another. It runs as a script does, with its own folder first on Python's path, so that
it can import what lies beside it; and what Python itself or Engram calls so is left alone.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import sys
from collections.abc import Iterable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from simulator.core.files.escaping import MAX_PATH, shortened, visible
from simulator.core.files.reading import why_unread
from simulator.core.foreign.own_packages import NAMES, is_within

PREFIX = "engram_file_"  # how the names of their modules begin
_ROOT = Path(__file__).resolve().parents[3]
_STANDARD = Path(os.__file__).resolve().parent  # folders of Python's standard library
_BARE_FILE = re.compile(r"[^:=]+\.py(:.*)?", re.DOTALL)
_folders: list[str] = []  # of the files that were loaded


class Place(NamedTuple):
    """The file of a path, and a name in it."""

    file: Path  # absolute
    name: str  # the part after ``.py:``, or empty

    def __str__(self) -> str:
        return f"{self.file}:{self.name}" if self.name else str(self.file)

    def shown(self) -> str:
        """Format the path for one line."""
        return _shown(str(self))


def is_path(name: str) -> bool:
    """Tell whether a name is written as a path: ``./a.py``, ``/b/a.py``, ``~/a.py``, ``a.py``, ``b/a.py:Grid``.

    ``label=a.py`` and ``python:a.py:act`` are none; their parts are.
    """
    return name.startswith(("./", "../", "~")) or os.path.isabs(name) or bool(_BARE_FILE.fullmatch(name))


def place_of(name: str) -> Place:
    """Split a path such as ``./envs/grid.py:MyGrid-v0`` into the file and the name in it.

    Raises:
        ValueError: it is no Python file, or there is none; one line.
    """
    match = re.fullmatch(r"(.*?\.py)(?::(.*))?", name, re.DOTALL)
    path, within = (match[1], match[2] or "") if match else (name, "")
    file = resolved(path)
    if unread := why_unread(file):
        raise ValueError(f"{_shown(path)}: {unread}, expected a Python file (.py)")
    if not match:
        raise ValueError(f"{_shown(path)}: expected a Python file (.py)")
    return Place(file, within)


def resolved(path: str) -> Path:
    """Resolve the path of a file, whether or not something is there.

    Raises:
        ValueError: an invalid path: a loop of links, a null byte, an unknown user; one line.
    """
    try:
        return Path(path).expanduser().resolve()
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise ValueError(f"{_shown(path)}: no path of a file ({_shown(reason)}), expected another") from None


def absolute(name: str) -> str:
    """Make a path absolute; other names are returned unchanged."""
    return str(place_of(name)) if is_path(name) else name


def label_of(name: str) -> str:
    """Return the label of a name: of a path the file's stem; other names are returned unchanged."""
    if not is_path(name):
        return name
    path, _, within = name.partition(".py:")
    return within or Path(path.removesuffix(".py")).name


def without_folder(name: str) -> str:
    """Shorten a path to the file and the name in it, ``grid.py:MyGrid-v0``; other names are returned unchanged."""
    path, _, within = name.partition(".py:")
    return ".py:".join(filter(None, (Path(path).name, within))) if is_path(name) else name


def file_of(name: str) -> Path | None:
    """Return the file of a path, or of ``python:FILE.py:NAME``; None for other names."""
    if is_path(name):
        return place_of(name).file
    function = name.startswith("python:") and name.removeprefix("python:").rpartition(":")[0]
    return place_of(function).file if function and function.endswith(".py") else None


def identity(name: str) -> str:
    """Identify a name independently of its folder: of a file by its name and content."""
    file = file_of(name)
    if file is None:
        return name
    within = place_of(name).name if is_path(name) else name.rpartition(":")[2]
    shown = f"{file.name}:{within}" if within else file.name
    return f"{shown} {hashlib.sha256(file.read_bytes()).hexdigest()}"


def with_imports(files: Iterable[Path]) -> tuple[Path, ...]:
    """Return the files and the user's own files that they import, directly or not, by static analysis.

    The user's own lies beside a file, around its package or in the working folder; what is installed does not count.
    """
    visited: dict[Path, None] = {}
    waiting = [file.resolve() for file in files]
    while waiting:
        file = waiting.pop(0)
        if file not in visited:
            visited[file] = None
            waiting += [] if _is_installed(file) else _imports_of(file)
    return tuple(visited)


def _imports_of(file: Path) -> list[Path]:
    """Return the user's files that one file imports, in the order of its text, including optional imports."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, ValueError, SyntaxError):  # reported when the file is loaded
        return []
    package = file.parent
    while (package / "__init__.py").is_file() and package != package.parent:
        package = package.parent
    tops = (file.parent, package, Path.cwd())
    files = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            files += [_modules(top, alias.name) for alias in node.names for top in tops]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            roots = (file.parent.joinpath(*[".."] * (node.level - 1)),) if node.level else tops
            names = [module, *(f"{module}.{alias.name}".strip(".") for alias in node.names)]
            files += [_modules(root, name) for name in names for root in roots]
    return [module for modules in files for module in modules if not _is_installed(module)]


def _modules(root: Path, name: str) -> list[Path]:
    """Return the files under a folder that importing a dotted name runs: of its packages, and its own."""
    parts = name.split(".") if name else []
    packages = [root.joinpath(*parts[:n], "__init__.py") for n in range(1 if parts else 0, len(parts) + 1)]
    module = [root.joinpath(*parts).with_suffix(".py")] if parts else []
    return [file.resolve() for file in (*packages, *module) if file.is_file()]


def _is_installed(file: Path) -> bool:
    """Tell whether a file is a library's or one of ours, which versions and sources of ours stand for."""
    ours = (_ROOT / package for package in ("simulator", *NAMES))
    return "site-packages" in file.parts or any(file.is_relative_to(folder) for folder in (_STANDARD, *ours))


def load(file: Path, *, anew: bool = False) -> ModuleType:
    """Load the module of a file; errors of the file are passed on.

    Args:
        file: an absolute path.
        anew: run it again where it ran before.
    """
    content = file.read_bytes()
    key = hashlib.sha256(bytes(file) + b"\0" + content).hexdigest()[:12]
    name = f"{PREFIX}{re.sub(r'[^0-9A-Za-z_]', '_', file.stem)}_{key}"
    if name in sys.modules and not anew:
        return sys.modules[name]
    spec = spec_from_file_location(name, file)
    assert spec is not None
    module = sys.modules[name] = module_from_spec(spec)  # dataclasses look their module up
    _put_first(str(file.parent))
    try:
        # Python would use stale compiled code if the file changed within the same second.
        exec(compile(content, str(file), "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        _put_last(str(file.parent))
    return module


def _put_first(folder: str) -> None:
    """Put a folder first on Python's path, and forget modules beside files that were loaded before."""
    other_folders = {os.path.realpath(path) for path in (*_folders, os.getcwd())} - {folder}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not file or name.startswith(PREFIX) or name == "__main__":
            continue
        top = name.partition(".")[0]
        above = Path(file).parents
        depth = name.count(".") + (Path(file).name == "__init__.py")
        if depth < len(above) and str(above[depth]) in other_folders and not is_within(top, file):
            if Path(folder, top).is_dir() or Path(folder, f"{top}.py").is_file():
                del sys.modules[name]
    sys.path.insert(0, folder)


def _put_last(folder: str) -> None:
    """Move the folder to the end of Python's path, behind everything that is installed."""
    sys.path.remove(folder)
    if folder not in _folders:
        _folders.append(folder)
    if folder not in sys.path:
        sys.path.append(folder)


def _shown(path: str) -> str:
    return visible(shortened(path, MAX_PATH))
