"""Compile functions that compiled code calls to LLVM's intermediate code only.

Numba optimises every function by itself and makes machine code of it, even one that ends up within its callers: half of
the compile time of a recurrent agent. A :class:`LinkedLibrary` is linked into its callers as it is; LLVM works once, on
what Python calls.

This needs private classes of numba, like :mod:`simulator.core.jit_cache.numba_files`. If a version of numba has others,
this module cannot be imported, and functions are compiled as numba does it.
"""

from __future__ import annotations

import inspect
from typing import Any

import numba
from llvmlite import binding, ir
from numba.core import codegen, compiler

_KNOWN_FORM: dict[str, tuple[Any, tuple[str, ...]]] = {  # private methods and their parameters
    "finalize": (codegen.CPUCodeLibrary, ("self",)),
    "_get_module_for_linking": (codegen.CPUCodeLibrary, ("self",)),
    "get_pointer_to_function": (codegen.JITCodeLibrary, ("self", "name")),
    "serialize_using_object_code": (codegen.CPUCodeLibrary, ("self",)),
    "_raise_if_finalized": (codegen.CPUCodeLibrary, ("self",)),
    "_create_empty_module": (codegen.CPUCodegen, ("self", "name")),
    "_add_module": (codegen.CPUCodegen, ("self", "module")),
    "__init__": (
        compiler.CompilerBase,
        ("self", "typingctx", "targetctx", "library", "args", "return_type", "flags", "locals"),
    ),
}
_ENVIRONMENT = "_ZN08NumbaEnv"  # starts the name of a function's environment, a global variable


def _check_form() -> None:
    for name, (kind, parameters) in _KNOWN_FORM.items():
        method = getattr(kind, name, None)
        if method is None or tuple(inspect.signature(method).parameters) != parameters:
            raise ImportError(f"numba {numba.__version__} has another private interface ({kind.__name__}.{name})")


_check_form()


class LinkedLibrary(codegen.JITCodeLibrary):  # type: ignore[misc]
    """The intermediate code of a function and of all that it calls, not optimised; there is no machine code."""

    def finalize(self) -> None:
        """Link what the function calls."""
        self._raise_if_finalized()
        for library in dict.fromkeys(self._linking_libraries):
            self._reload_init.update(library._reload_init)
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finish()

    def get_pointer_to_function(self, name: str) -> int:
        """Return 0: the function has no address."""
        self._ensure_finalized()
        return 0

    def serialize_using_object_code(self) -> tuple[str, str, bytes]:
        """Return what :func:`from_cache` takes; numba calls this to write the cache."""
        self._ensure_finalized()
        return self.name, "linked", self._final_module.as_bitcode()

    @classmethod
    def parse(cls, target: Any, name: str, code: bytes) -> LinkedLibrary:
        """Return a library as it was written."""
        self = cls(target, name)
        self._final_module = binding.parse_bitcode(code)
        self._finish()
        return self

    def _finish(self) -> None:
        self._finalize_dynamic_globals()
        self._define_environments()
        self._finalized = True

    def _define_environments(self) -> None:
        """Give environments an address, into which numba writes as soon as a function is compiled or loaded."""
        names = [variable.name for variable in self._final_module.global_variables]
        missing = [name for name in names if name.startswith(_ENVIRONMENT) and not self._is_defined(name)]
        if missing:
            module = self._codegen._create_empty_module(f"environments of {self.name}")
            pointer = ir.IntType(8).as_pointer()
            for name in missing:
                variable = ir.GlobalVariable(module, pointer, name=name)
                variable.linkage = "common"
                variable.initializer = ir.Constant(pointer, None)
            self._codegen._add_module(binding.parse_assembly(str(module)))
            self._codegen._engine.finalize_object()

    def _is_defined(self, name: str) -> bool:
        return bool(self._codegen._engine.is_symbol_defined(name))


class LinkedCompiler(compiler.Compiler):  # type: ignore[misc]
    """Numba's compiler, into a :class:`LinkedLibrary`."""

    def __init__(
        self, typingctx: Any, targetctx: Any, library: Any, args: Any, return_type: Any, flags: Any, locals: Any
    ) -> None:
        if library is None:
            library = LinkedLibrary(targetctx.codegen(), "linked")
        super().__init__(typingctx, targetctx, library, args, return_type, flags, locals)


def from_cache(target: Any, content: tuple[Any, ...]) -> Any:
    """Return the result of a compilation from what numba wrote of it."""
    written, description, environment, signature, objectmode, lifted, annotation, reload_init, environments = content
    for reload in reload_init:
        reload()
    name, _, code = written
    library = LinkedLibrary.parse(target.codegen(), name, code)
    result = compiler.compile_result(
        target_context=target,
        typing_context=target.typing_context,
        library=library,
        environment=environment,
        entry_point=target.get_executable(library, description, environment),
        fndesc=description,
        type_annotation=annotation,
        signature=signature,
        objectmode=objectmode,
        lifted=lifted,
        reload_init=reload_init,
        referenced_envs=environments,
    )
    for one in environments:
        library.codegen.set_env(one.env_name, one)
    return result
