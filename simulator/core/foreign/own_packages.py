"""Import of this distribution's ``agents``, ``memory`` and ``envs``, beside a user's packages of these names.

The names are common ones: a user's working folder may well hold an ``envs/`` or a ``memory.py``, and Python takes what
stands first on its path. So a finder of our own answers for the three names, by the place of this file. What a user
has under such a name goes on where ours ends: ``envs.grid`` is the user's where we have no ``envs.grid``, their
``envs/__init__.py`` runs before it, as it would without us, and names that only theirs has are found in ours. A module
of ours is never replaced; theirs of the same name is reached by its path (``./envs/rooms.py``).
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

NAMES = ("agents", "memory", "envs")
_ROOT = Path(__file__).parents[3]
_continuations: dict[str, ModuleType] = {}  # file -> a user's package or module that extends ours


class _Theirs(NamedTuple):
    """A user's package or module under a name of ours."""

    root: Path  # an entry of Python's path
    file: Path | None  # ``envs/__init__.py`` or ``envs.py``; None: a folder without such a file


def install() -> None:
    """Install the finder for our names. User packages imported under them before extend ours."""
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    for name in NAMES:
        module = sys.modules.get(name)
        if module is not None and not _is_ours(name, module):
            _put_before(name, module)


def go_on(name: str) -> Iterator[ModuleType]:
    """Iterate over the user's packages or modules of one of our names; each runs when it is first asked for."""
    for theirs in _theirs(name):
        if theirs.file is not None:
            yield _ran(name, theirs.file)


def beyond(name: str) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of one of our packages, which looks up missing names in the user's package."""

    def attribute(wanted: str) -> Any:
        if not wanted.startswith("__") and not _has(f"{name}.{wanted}"):
            if f"{name}.{wanted}" in sys.modules:
                return sys.modules[f"{name}.{wanted}"]
            for theirs in go_on(name):
                if hasattr(theirs, wanted):
                    return getattr(theirs, wanted)
        raise AttributeError(f"module {name!r} has no attribute {wanted!r}")

    return attribute


class _Finder:
    """Finds our packages, and the modules of a user's folder of such a name that we do not have."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module, as Python asks for every import."""
        name = fullname.partition(".")[0]
        if name not in NAMES:
            return None
        if fullname == name:
            return _spec_of_ours(name)
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None:
            return spec
        parents = fullname.split(".")[:-1]
        for theirs in _theirs(name):
            spec = PathFinder.find_spec(fullname, [str(theirs.root.joinpath(*parents))], target)
            if spec is not None:
                if theirs.file is not None:
                    _ran(name, theirs.file)
                return _spec_of_loaded(sys.modules[fullname]) if fullname in sys.modules else spec
        return None


class _Loaded:
    """Loader of a module that is loaded already, so that nothing runs twice."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the loaded module."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Restore the module's own spec."""
        module.__spec__ = self._spec


_FINDER = _Finder()


def _spec_of_loaded(module: ModuleType) -> ModuleSpec:
    """Return the spec of a loaded module; Python asks the module itself for it in such a case."""
    spec = ModuleSpec(module.__name__, _Loaded(module))  # type: ignore[arg-type]
    module.__spec__ = spec
    return spec


def _spec_of_ours(name: str) -> ModuleSpec | None:
    folder = _ROOT / name
    return spec_from_file_location(name, folder / "__init__.py", submodule_search_locations=[str(folder)])


def _put_before(name: str, theirs: ModuleType) -> None:
    """Import our package in place of a user's package that was imported before, or is being imported."""
    if getattr(theirs, "__file__", None):
        _continuations[str(Path(str(theirs.__file__)).resolve())] = theirs
    for loaded in [module for module in sys.modules if module.startswith(f"{name}.") and _has(module)]:
        file = getattr(sys.modules.pop(loaded), "__file__", None)
        message = (
            f"{loaded} is one of Engram's own from now on; that of {file} was imported before, expected another name"
        )
        warnings.warn(message, stacklevel=4)
    spec = _spec_of_ours(name)
    assert spec is not None
    assert spec.loader is not None
    ours = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(ours)


def _is_ours(name: str, module: ModuleType) -> bool:
    return is_within(name, getattr(module, "__file__", None))


def is_within(name: str, file: str | None) -> bool:
    """Tell whether a module's file is one of our package of that name."""
    return file is not None and Path(file).resolve().is_relative_to((_ROOT / name).resolve())


def _has(fullname: str) -> bool:
    """Tell whether we have a module of that name."""
    place = _ROOT.joinpath(*fullname.split("."))
    return place.with_suffix(".py").is_file() or place.is_dir()


def _theirs(name: str) -> Iterator[_Theirs]:
    """Iterate over packages and modules of one of our names on Python's path, without ours and other copies of it."""
    for entry in list(sys.path):
        root = Path(entry or os.getcwd())
        if (root / Path(__file__).relative_to(_ROOT)).is_file():
            continue
        candidates = (root / name / "__init__.py", root / f"{name}.py")
        file = next((candidate.resolve() for candidate in candidates if candidate.is_file()), None)
        if file is not None or (root / name).is_dir():
            yield _Theirs(root, file)


def _ran(name: str, file: Path) -> ModuleType:
    """Load a user's package or module as a module of its own, under our name; it runs once."""
    key = str(file)
    if key not in _continuations:
        folders = [str(file.parent)] if file.name == "__init__.py" else None
        spec = spec_from_file_location(name, key, submodule_search_locations=folders)
        assert spec is not None
        assert spec.loader is not None
        module = _continuations[key] = module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del _continuations[key]
            raise
    return _continuations[key]
