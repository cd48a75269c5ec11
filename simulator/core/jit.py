"""How the project compiles: one decorator, told apart from the work, spread over seeds by plain threads.

Functions marked ``@jit`` are written over one seed, like the textbook. They release the interpreter lock,
so ``parallel_for`` runs blocks of seeds in threads: a seed's numbers do not depend on how many there are.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
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


_PLAIN: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}


def jit(function: Callable[..., Any]) -> Any:
    """Compile on first call and keep the machine code on disk for the next process."""
    return _kept(njit(**_PLAIN, _nrt=False)(function))


def jit_inline(function: Callable[..., Any]) -> Any:
    """Compile a piece over one seed, to be called from ``@jit`` loops only.

    LLVM inlines it, and it counts no references: passing a tuple of arrays by call costs some 30 ns a step, more than
    the step itself. The price: it cannot allocate.
    """
    return _inner(function)


def jit_callback(function: Callable[..., Any]) -> Any:
    """A lane that other compiled code can also be given; see :func:`function_pointer`."""
    return _inner(function, no_cfunc_wrapper=False)


def jit_reassociate(function: Callable[..., Any]) -> Any:
    """A lane whose sums of floats may be taken in another order, always the same: only so are they vectorised."""
    return _inner(function, fastmath={"reassoc"})


def _inner(function: Callable[..., Any], **options: Any) -> Any:
    """Compile without an entry from Python: its machine code took a sixth of the time that compiling takes.

    Numba would call what is not there; so it is told of none, and what it then turns to says why.
    """
    piece = _kept(njit(**{**_PLAIN, **options}, forceinline=True, no_cpython_wrapper=True, _nrt=False)(function))

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise TypeError(f"{function.__module__}.{function.__name__} is a piece of compiled code: call it from there")

    piece._insert, piece._compile_for_args = lambda *entry, **kind: None, refuse
    return piece


def jit_shared(function: Callable[..., Any]) -> Any:
    """Compile a piece that LLVM inlines like :func:`jit_inline`, and that Python can call too."""
    return _kept(njit(**_PLAIN, forceinline=True, _nrt=False)(function))


def jit_or_python(*, inline: bool) -> Callable[..., Any]:
    """Leave a function plain where Python calls it, and compile it where compiled code does.

    So one text runs on arrays in compiled code and on objects, such as networks of torch, in Python.
    """
    return lambda function: jit_implementation(function, inline=inline)(function)


def jit_implementation(generic: Callable[..., Any], *, inline: bool) -> Callable[..., Any]:
    """Let compiled code that calls the plain function ``generic`` call the decorated function in its place."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)  # numba compares the signatures
        def implementation(*args: Any) -> Callable[..., Any]:
            return function

        overload(generic, jit_options={**_PLAIN, "forceinline": inline, "_nrt": False})(implementation)
        return function

    return register


def jit_blas(function: Callable[..., Any]) -> Any:
    """Compile a piece that multiplies by ``np.dot``: numba types that only where references are counted."""
    return _kept(njit(**_PLAIN, _nrt=True)(function))


def _kept(dispatcher: Any) -> Any:
    """Let a function find its machine code on disk, and leave it there for the next process."""
    if folder.folder() is not None and os.path.exists(dispatcher.py_func.__code__.co_filename):
        try:
            from simulator.core.jit_cache.numba_files import KeptCode
        except ImportError as error:
            folder.warn_once(f"{error}: every command compiles anew")
        else:
            dispatcher._cache = KeptCode(dispatcher.py_func)
    return dispatcher


class _Clock(event.Listener):  # type: ignore[misc]
    """Adds up the time spent compiling, and tells whoever waits that it begins."""

    def __init__(self) -> None:
        self.depth, self.began, self.cpu_began = 0, 0.0, 0.0

    def on_start(self, event: Any) -> None:
        self.depth += 1
        if self.depth == 1:
            self.began, self.cpu_began = time.perf_counter(), time.process_time()
            for announce in _announcers:
                announce()

    def on_end(self, event: Any) -> None:
        global _seconds, _cpu_seconds
        self.depth -= 1
        if self.depth == 0:
            _seconds += time.perf_counter() - self.began
            _cpu_seconds += time.process_time() - self.cpu_began


event.register("numba:compile", _Clock())


def compile_seconds() -> float:
    """Wall seconds that this process has spent compiling; 0 when everything came from the cache."""
    return _seconds


def compile_cpu_seconds() -> float:
    """CPU seconds of the same."""
    return _cpu_seconds


def working_seconds() -> tuple[float, float]:
    """Wall clock and CPU time of this process, less what it spent compiling; only differences mean anything."""
    return time.perf_counter() - compile_seconds(), time.process_time() - compile_cpu_seconds()


def on_compile(announce: Callable[[], None]) -> None:
    """Call ``announce`` whenever a compilation begins."""
    _announcers.append(announce)


def set_threads(n: int) -> None:
    """How many threads ``parallel_for`` may use from now on."""
    global _threads
    _threads = max(1, n)


class Seeds(NamedTuple):
    """A block of seeds, and the first of the rows of working space that it uses."""

    first: int
    last: int  # the one behind the block
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
    others = [_pool(n - 1).submit(work, a, b) for a, b in pairwise(edges[1:])]
    try:
        work(0, edges[1])
    finally:
        wait(others)
    for other in others:
        other.result()


@cache
def _pool(n: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n, thread_name_prefix="seeds")


def specialize(function: Any, *example: Any) -> Callable[..., Any]:
    """The machine code of ``function`` for arguments of exactly the example's types, without the type dispatch.

    Saves about half of a short call. The caller vouches for the types: nothing checks them any more.
    """
    kinds = tuple(typeof(value) for value in example)
    function.compile(kinds)
    entry: Callable[..., Any] = function.overloads[kinds].entry_point
    return entry


class _Value(types.WrapperAddressProtocol):
    """The address of some machine code, as numba's first-class functions know it."""

    def __init__(self, function: Any, kinds: tuple[Any, ...]) -> None:
        function.compile(kinds)
        found = function.overloads[kinds]
        self._signature, self._function = found.signature, function  # which keeps the code
        self._address = found.library.get_pointer_to_function(found.fndesc.llvm_cfunc_wrapper_name)

    def __wrapper_address__(self) -> int:
        return int(self._address)

    def signature(self) -> Any:
        return self._signature


def function_pointer(function: Any, *example: Any) -> Any:
    """A ``@handed`` function for arguments of the example's types, for other compiled code to take and to call.

    Functions of one signature have one type: what takes them is compiled once, and kept, whichever it is given. A call
    costs some 35 ns.
    """
    return _Value(function, tuple(typeof(value) for value in example))
