"""Numba helpers: JIT decorators, compile-time accounting, and a thread pool over blocks of seeds.

Functions marked ``@jit`` are written over one seed, like the textbook. They release the interpreter lock,
so ``parallel_for`` runs blocks of seeds in threads: a seed's numbers do not depend on how many there are.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache, wraps
from itertools import pairwise
from typing import Any, NamedTuple

from numba import njit, typeof
from numba.core import event, types
from numba.extending import overload

from simulator.core.jit_cache import folder

_seconds = 0.0
_cpu_seconds = 0.0
_threads = 1
_announcers: list[Callable[[], None]] = []
_looks: list[Callable[[], None]] = []  # see between_compilations


_PLAIN: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
_LINKED: dict[str, Any] = {}  # of functions that are linked into their callers
try:
    from simulator.core import jit_linking
except ImportError as error:
    folder.warn_once(f"{error}: compiling takes longer")
else:
    _LINKED["pipeline_class"] = jit_linking.LinkedCompiler


def jit(function: Callable[..., Any]) -> Any:
    """Compile on first call and keep the machine code on disk for the next process."""
    return _both(function, _nrt=False)


def jit_inline(function: Callable[..., Any]) -> Any:
    """Compile a function over one seed, to be called from ``@jit`` loops only.

    LLVM inlines it, and it counts no references: passing a tuple of arrays by call costs some 30 ns a step, more than
    the step itself. The price: it cannot allocate.
    """
    return _inner(_linked(function, forceinline=True, _nrt=False))


def jit_callback(function: Callable[..., Any]) -> Any:
    """Compile an inlined function that can also be passed to compiled code; see :func:`function_pointer`."""
    return _inner(_both(function, forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=False, _nrt=False))


def jit_reassociate(function: Callable[..., Any]) -> Any:
    """Compile an inlined function whose float sums are reassociated, always alike, so that LLVM can vectorise them."""
    return _inner(_linked(function, forceinline=True, fastmath={"reassoc"}, _nrt=False))


def jit_shared(function: Callable[..., Any]) -> Any:
    """Compile a function that LLVM inlines like :func:`jit_inline`, and that Python can call too."""
    return _both(function, forceinline=True, _nrt=False)


def _inner(compiled: Any) -> Any:
    """Let a function that has no entry point from Python refuse a call from there.

    Numba would call the missing entry point, so its dispatcher learns of no overload and falls back to an error.
    """
    function = compiled.py_func

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise TypeError(f"{function.__module__}.{function.__name__} can be called from compiled code only")

    compiled._insert = lambda *entry, **kind: None
    compiled._compile_for_args = refuse
    return compiled


def _both(function: Callable[..., Any], **options: Any) -> Any:
    """Compile to machine code where Python calls, and to be linked into the caller where compiled code does."""
    compiled = _cached(njit(**{**_PLAIN, **options})(function))
    linked = _linked(function, **{**options, "no_cfunc_wrapper": True})
    compiled.get_call_template = linked.get_call_template  # by these two, compiled code finds the code of a signature
    compiled.get_overload = linked.get_overload
    return compiled


def _linked(function: Callable[..., Any], **options: Any) -> Any:
    """Compile without an entry point from Python, and without machine code, both of which numba makes of everything."""
    how = {**_PLAIN, **options, "no_cpython_wrapper": True, **_LINKED}
    return _cached(njit(**how)(function), linked=bool(_LINKED))


def jit_or_python(*, inline: bool) -> Callable[..., Any]:
    """Leave a function plain where Python calls it, and compile it where compiled code does.

    So one text runs on arrays in compiled code and on objects, such as networks of torch, in Python.
    """
    return lambda function: jit_implementation(function, inline=inline)(function)


def jit_implementation(generic: Callable[..., Any], *, inline: bool, of: type[Any] | None = None) -> Callable[..., Any]:
    """Let compiled code that calls the plain function ``generic`` call the decorated function in its place.

    With ``of``, a class of named tuples, only where the first argument is one, or else has one as a field: so a
    function can have an implementation for each kind of network or replay.
    """
    kinds = _kinds.setdefault(generic, [])

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        kinds.append(of)
        _in_python.setdefault(generic, {})[of] = function

        @wraps(function)  # numba compares the signatures
        def implementation(*args: Any) -> Callable[..., Any] | None:
            return function if of is None or of in _classes(args[0], kinds) else None

        overload(generic, jit_options={**_PLAIN, **_LINKED, "forceinline": inline, "_nrt": False})(implementation)
        return function

    return register


_kinds: dict[Callable[..., Any], list[type[Any] | None]] = {}  # classes for which a function has implementations
_in_python: dict[Callable[..., Any], dict[type[Any] | None, Callable[..., Any]]] = {}  # the implementations by class


def _classes(kind: Any, known: list[type[Any] | None]) -> list[type[Any] | None]:
    """Return the class of an argument if there is an implementation for it, and those of its fields otherwise.

    A network may have one of another kind as a field.
    """
    own = getattr(kind, "instance_class", None)
    return [own] if own in known else [getattr(part, "instance_class", None) for part in getattr(kind, "types", ())]


def compiled_only(function: Callable[..., Any]) -> Callable[..., Any]:
    """Declare a function that each kind of first argument implements; see :func:`jit_implementation`.

    Its docstring is the contract. Compiled code alone can call it.
    """

    @wraps(function)
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise TypeError(f"{function.__module__}.{function.__name__} can be called from compiled code only")

    return refuse


def compiled_or_python(function: Callable[..., Any]) -> Callable[..., Any]:
    """Declare a function that each kind of first argument implements, for compiled code and for Python."""

    @wraps(function)
    def dispatch(*args: Any) -> Any:
        implementations = _in_python[dispatch]
        kinds = (type(args[0]), *map(type, args[0]))
        found = next(kind for kind in kinds if kind in implementations)
        return implementations[found](*args)

    return dispatch


def jit_blas(function: Callable[..., Any]) -> Any:
    """Compile a function that multiplies by ``np.dot``: numba types that only where references are counted."""
    return _both(function, _nrt=True)


def _cached(dispatcher: Any, linked: bool = False) -> Any:
    """Load a function's machine code from disk, or save it there for the next process."""
    if folder.folder() is not None and os.path.exists(dispatcher.py_func.__code__.co_filename):
        try:
            from simulator.core.jit_cache.numba_files import CheckedCache
        except ImportError as error:
            folder.warn_once(f"{error}: compiled code is not cached")
        else:
            rebuild = jit_linking.from_cache if linked else None
            dispatcher._cache = CheckedCache(dispatcher.py_func, rebuild)
    return dispatcher


class _Clock(event.Listener):  # type: ignore[misc]
    """Adds up compile time and announces the start of a compilation.

    Python's search for cycles of garbage waits meanwhile: numba makes so many objects, most of which stay, that it
    would take an eighth of the compile time.
    """

    def __init__(self) -> None:
        self.depth = 0
        self.collects = False
        self.began = 0.0
        self.cpu_began = 0.0

    def on_start(self, event: Any) -> None:
        self.depth += 1
        if self.depth == 1:
            self.began = time.perf_counter()
            self.cpu_began = time.process_time()
            self.collects = gc.isenabled()
            gc.disable()
            for announce in _announcers:
                announce()
        _look_up()

    def on_end(self, event: Any) -> None:
        global _seconds, _cpu_seconds
        _look_up()
        self.depth -= 1
        if self.depth == 0:
            if self.collects:
                gc.enable()
            _seconds += time.perf_counter() - self.began
            _cpu_seconds += time.process_time() - self.cpu_began


event.register("numba:compile", _Clock())


def compile_seconds() -> float:
    """Return the wall-clock seconds that this process spent compiling; 0 if everything came from the cache."""
    return _seconds


def compile_cpu_seconds() -> float:
    """Return the CPU seconds that this process spent compiling."""
    return _cpu_seconds


def working_seconds() -> tuple[float, float]:
    """Return wall-clock and CPU time of this process without compile time; only differences are meaningful."""
    return time.perf_counter() - compile_seconds(), time.process_time() - compile_cpu_seconds()


def on_compile(announce: Callable[[], None]) -> None:
    """Call ``announce`` whenever a compilation begins."""
    _announcers.append(announce)


@contextmanager
def between_compilations(look: Callable[[], None]) -> Iterator[None]:
    """Call ``look`` where a function begins or ends to be compiled within the block, always in the main thread.

    It must neither raise nor call compiled functions. A window shows by it that it is alive.
    """
    _looks.append(look)
    try:
        yield
    finally:
        _looks.remove(look)


def _look_up() -> None:
    if _looks and threading.current_thread() is threading.main_thread():
        for look in tuple(_looks):
            look()


def set_threads(n: int) -> None:
    """Set the number of threads that ``parallel_for`` uses from now on."""
    global _threads
    _threads = max(1, n)


class Seeds(NamedTuple):
    """A block of seeds, and the first of the rows of working space that it uses."""

    first: int
    last: int  # exclusive
    row: int


def parallel_for(work: Callable[[int, int], None], n_seeds: int) -> None:
    """Run ``work(first, last)`` over blocks of seeds, one block per thread, and wait for all of them.

    The caller takes the first block: a thread that only waits would have to be woken again.
    """
    n = min(_threads, n_seeds)
    if n == 1:
        work(0, n_seeds)
        return
    edges = [n_seeds * i // n for i in range(n + 1)]
    futures = [_pool(n - 1).submit(work, a, b) for a, b in pairwise(edges[1:])]
    try:
        work(0, edges[1])
    finally:
        wait(futures)
    for other in futures:
        other.result()


@cache
def _pool(n: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n, thread_name_prefix="seeds")


def specialize(function: Any, *example: Any) -> Callable[..., Any]:
    """Return the machine code of ``function`` for the example's exact argument types, without type dispatch.

    Saves about half of a short call. The types of later arguments are not checked.
    """
    kinds = tuple(typeof(value) for value in example)
    function.compile(kinds)
    entry: Callable[..., Any] = function.overloads[kinds].entry_point
    return entry


class _Value(types.WrapperAddressProtocol):
    """Address of a compiled function, in the form of numba's first-class functions."""

    def __init__(self, function: Any, kinds: tuple[Any, ...]) -> None:
        function.compile(kinds)
        compiled = function.overloads[kinds]
        self._signature, self._function = compiled.signature, function  # which keeps the code
        self._address = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_cfunc_wrapper_name)

    def __wrapper_address__(self) -> int:
        return int(self._address)

    def signature(self) -> Any:
        return self._signature


def function_pointer(function: Any, *example: Any) -> Any:
    """Return a pointer to a ``@jit_callback`` function, to pass to compiled code; argument types are the example's.

    Functions of one signature have one type, so the caller is compiled once for all of them. A call costs some 35 ns.
    """
    return _Value(function, tuple(typeof(value) for value in example))
