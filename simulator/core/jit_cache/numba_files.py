"""Numba's cache of machine code, with files that are checked before they are run.

Numba unpickles and runs the files that it finds, has no public interface for other files, and fails if one is damaged.
Everything that depends on its private classes stands in this module. If a version of numba has other classes, this
module cannot be imported, and nothing is cached.

Data is named by content (:mod:`simulator.core.jit_cache.folder`), which also keeps processes that write at once apart:
no file changes once an index refers to it.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numba
from numba.core import caching

from simulator.core.jit_cache.folder import (
    DATA,
    INDEX,
    data_name,
    drop,
    folder,
    is_whole_data,
    is_whole_index,
    sealed,
    warn_once,
)

_KNOWN_FORM: dict[str, dict[str, tuple[str, ...]]] = {  # private classes, methods and parameters
    "IndexDataCacheFile": {
        "__init__": ("self", "cache_path", "filename_base", "source_stamp"),
        "load": ("self", "key"),
        "save": ("self", "key", "data"),
        "_load_index": ("self",),
        "_save_index": ("self", "overloads"),
        "_load_data": ("self", "name"),
        "_data_path": ("self", "name"),
        "_dump": ("self", "obj"),
        "_open_for_write": ("self", "filepath"),
    },
    "FunctionCache": {
        "__init__": ("self", "py_func"),
        "load_overload": ("self", "sig", "target_context"),
        "save_overload": ("self", "sig", "data"),
    },
    "UserProvidedCacheLocator": {
        "from_function": ("py_func", "py_file"),
        "get_suitable_cache_subpath": ("py_file",),
        "ensure_cache_path": ("self",),
    },
    "CompileResultCacheImpl": {"__init__": ("self", "py_func"), "rebuild": ("self", "target_context", "payload")},
}


def _unknown_forms() -> Iterator[str]:
    """Yield the methods that this version of numba lacks, or has with other parameters."""
    for kind, methods in _KNOWN_FORM.items():
        for name, parameters in methods.items():
            method = getattr(getattr(caching, kind, None), name, None)
            if method is None or tuple(inspect.signature(method).parameters) != parameters:
                yield f"{kind}.{name}"


if _unknown := next(_unknown_forms(), None):
    raise ImportError(f"numba {numba.__version__} has another private interface for cached code ({_unknown})")


class _Files(caching.IndexDataCacheFile):  # type: ignore[misc]
    """The files of one function: numba's index of its signatures with a checksum, and data named by content."""

    def __init__(self, cache_path: str, filename_base: str, source_stamp: Any) -> None:
        super().__init__(cache_path, filename_base, source_stamp)
        self._base = filename_base
        self._index_name = filename_base + INDEX
        self._index_path = os.path.join(cache_path, self._index_name)

    def save(self, key: Any, data: Any) -> None:
        """Write the data first: an index refers to what is there."""
        content = self._dump(data)
        name = data_name(self._base, content)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(content)
        self._save_index({**self._load_index(), key: name})

    def drop(self) -> None:
        """Remove the cached code of the function."""
        drop(Path(self._index_path))

    def _load_index(self) -> dict[Any, str]:
        with suppress(FileNotFoundError):
            if not is_whole_index(Path(self._index_path)):
                self.drop()
                return {}
        index: dict[Any, str] = super()._load_index()  # which looks at nothing behind the last pickle
        return index

    def _save_index(self, overloads: dict[Any, str]) -> None:
        content = self._dump(self._version) + self._dump((self._source_stamp, overloads))
        with self._open_for_write(self._index_path) as file:
            file.write(sealed(content))
        self._sweep(set(overloads.values()))

    def _sweep(self, named: set[str]) -> None:
        """Remove data that no index refers to any more."""
        with suppress(OSError):
            for name in os.listdir(self._cache_path):
                start, end = name[: len(self._base) + 1], name[len(self._base) + 1 :]
                if start == f"{self._base}." and end.endswith(DATA) and end.count(".") == 2 and name not in named:
                    os.unlink(self._data_path(name))

    def _load_data(self, name: str) -> Any:
        path = Path(self._data_path(name))
        if not is_whole_data(path):
            drop(path)
            return None
        return super()._load_data(name)


class _Locator(caching.UserProvidedCacheLocator):  # type: ignore[misc]
    """The folder of a function's files, made when there is something to write."""

    def __init__(self, py_func: Any, py_file: str) -> None:
        self._py_file, self._lineno = py_file, py_func.__code__.co_firstlineno
        self._cache_path = os.path.join(str(folder()), self.get_suitable_cache_subpath(py_file))

    def ensure_cache_path(self) -> None:
        """Make the folder."""
        os.makedirs(self._cache_path, mode=0o700, exist_ok=True)

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> _Locator:
        """Return the folder of a function, without numba's attempt to write there."""
        return cls(py_func, py_file)


class _Results(caching.CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_Locator,)


class CheckedCache(caching.FunctionCache):  # type: ignore[misc]
    """Numba's cache of one function. If a file fails, the function is compiled.

    Args:
        py_func: the function.
        rebuild: makes a compiled function of what was cached, where it is no machine code.
    """

    _impl_class = _Results
    _full = False  # of all functions: nothing more can be written

    def __init__(self, py_func: Any, rebuild: Callable[[Any, Any], Any] | None = None) -> None:
        super().__init__(py_func)
        name = self._impl.filename_base
        if rebuild is not None:
            self._impl.rebuild = rebuild
            name += ".linked"
        self._cache_file = _Files(self._cache_path, name, self._impl.locator.get_source_stamp())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Load the machine code of a signature; None if there is none that can be used."""
        try:
            return super().load_overload(sig, target_context)
        except OSError:  # it cannot be read
            return None
        except Exception:  # it is whole, but was written with other versions of libraries
            self._cache_file.drop()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save compiled code; if that fails, save nothing more in this process."""
        if CheckedCache._full:
            return
        try:
            super().save_overload(sig, data)
        except OSError as error:
            CheckedCache._full = True
            warn_once(f"{folder()}: {error.strerror or error}: compiled code is not cached")
