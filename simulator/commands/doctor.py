"""``engram doctor``: check the installation, the machine and the lab."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, NamedTuple

from simulator import console
from simulator.commands.parsing.command import Command, CommandResult, ParsedArgs, lab_of
from simulator.core import registry

OK = "ok"
NOTE = "note"
BAD = "bad"
_MIN_SPACE = 100 << 20  # bytes


class HealthCheck(NamedTuple):
    """Outcome of one check."""

    name: str
    status: str  # OK, NOTE or BAD
    found: str
    advice: str = ""


def act(args: ParsedArgs) -> CommandResult:
    """Check everything; the exit code is 1 if a check failed."""
    data = examine(lab_of(args.options), args.options.deep, args.options.fix)
    return CommandResult(data, show, 0 if data["ok"] else 1)


def examine(lab: str, deep: bool = False, fix: bool = False) -> dict[str, Any]:
    """Check everything; ``ok`` is False if a check is BAD.

    Args:
        lab: the lab's folder.
        deep: import torch and every player too.
        fix: remove damaged compiled code.
    """
    findings = [*_python(), *_distributions(), _pygame(), *_machine(), _cache(fix), _lab(Path(lab)), _display()]
    findings.append(_torch_deep() if deep else _torch())
    if deep:
        findings += _players()
    return {
        "ok": all(finding.status != BAD for finding in findings),
        "checks": [finding._asdict() for finding in findings],
    }


def show(report: Mapping[str, Any]) -> None:
    """Print the findings for people."""
    columns = ("name", "status", "found", "advice")
    console.print_table("", columns, [[check[key] for key in columns] for check in report["checks"]])
    bad = sum(check["status"] == BAD for check in report["checks"])
    console.print_result(f"{bad} of these must be fixed" if bad else "all requirements are met")


def _python() -> Iterator[HealthCheck]:
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}, {sys.prefix}"
    enough = sys.version_info >= (3, 11)
    yield HealthCheck("python", OK if enough else BAD, text, "" if enough else "expected 3.11 or later")
    yield HealthCheck("sqlite", OK, sqlite3.sqlite_version)


def _distributions() -> Iterator[HealthCheck]:
    """Check every dependency, against ``constraints.txt`` in a checkout."""
    pinned = _pins(registry.ROOT / "constraints.txt")
    needed = [re.split(r"[\[<>=!~; ]", line)[0] for line in _requirements() if "extra ==" not in line]
    for name in ("engram-rl", *needed):
        installed_version = _version(name)
        wanted = pinned.get(_canonical(name))
        if installed_version is None:
            cure = "pip install -e . in the checkout" if name == "engram-rl" else f"pip install {name}"
            yield HealthCheck(name, BAD, "not installed", cure)
        elif wanted is not None and installed_version.partition("+")[0] != wanted:
            yield HealthCheck(name, NOTE, installed_version, f"constraints.txt has {wanted}")
        else:
            yield HealthCheck(name, OK, installed_version)


def _pygame() -> HealthCheck:
    """Check that ``pygame`` and ``pygame-ce``, which install the same files, are not both installed."""
    old = _version("pygame")
    new = _version("pygame-ce")
    if old and new:
        cure = "pip uninstall -y pygame pygame-ce && pip install pygame-ce"
        return HealthCheck("pygame", BAD, f"pygame {old} and pygame-ce {new} overwrite each other", cure)
    if old:
        return HealthCheck("pygame", BAD, f"pygame {old}", "pip uninstall -y pygame && pip install pygame-ce")
    return HealthCheck("pygame", OK, "only pygame-ce" if new else "none")


def _machine() -> Iterator[HealthCheck]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    blas = os.environ.get("OMP_NUM_THREADS") or "all"  # simulator/__init__.py sets it by default
    yield HealthCheck("cores", OK, f"{cores}, all of them are used unless --threads says otherwise")
    advice = "" if blas == "1" else "unset OMP_NUM_THREADS, or set it to 1: the seeds share the cores already"
    yield HealthCheck("threads", OK if blas == "1" else NOTE, f"{blas} for one seed's matrix products", advice)


def _cache(fix: bool) -> HealthCheck:
    """Check the cache of compiled code: its folder, its functions, damaged files; ``fix`` removes those."""
    from simulator.core.jit_cache import folder as code_folder

    folder = code_folder.folder()
    if folder is None:
        return HealthCheck(
            "compiled code", NOTE, "no folder can be written", "set NUMBA_CACHE_DIR to a folder that can"
        )
    survey = code_folder.survey(folder)
    held = code_folder.mend(folder) if fix and survey.damaged else survey
    if not _writable(folder):
        return HealthCheck(
            "compiled code", NOTE, f"{folder} cannot be written", "set NUMBA_CACHE_DIR to a folder that can"
        )
    n = held.n_functions
    damaged = len(held.damaged)
    if survey.damaged and not damaged:
        return HealthCheck("compiled code", OK, f"{folder}, {len(survey.damaged)} damaged files were removed")
    if damaged:
        advice = "engram doctor --fix removes them; what needs them compiles again"
        return HealthCheck("compiled code", BAD, f"{folder}, {damaged} damaged files", advice)
    if not n:
        return HealthCheck("compiled code", NOTE, f"{folder}, empty", "the first run compiles, once")
    return HealthCheck("compiled code", OK, f"{folder}, warm ({n} functions, all whole)")


def _lab(lab: Path) -> HealthCheck:
    place = lab.resolve()
    if not _writable(place):
        return HealthCheck("lab", BAD, f"{place} cannot be written", "name another with --lab")
    free = shutil.disk_usage(_existing(place)).free
    text = f"{place}, {'there' if lab.exists() else 'not made yet'}, {free / 2**30:,.1f} GiB free"
    return HealthCheck("lab", OK if free > _MIN_SPACE else BAD, text, "" if free > _MIN_SPACE else "make room")


def _display() -> HealthCheck:
    screen = os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY")
    if screen or platform.system() in ("Darwin", "Windows"):
        return HealthCheck("display", OK, screen or platform.system())
    return HealthCheck("display", NOTE, "none", "the terminal view needs none")


def _torch() -> HealthCheck:
    installed_version = _version("torch")
    if installed_version is None:
        return HealthCheck("torch device", NOTE, "torch is not installed")
    build = "CPU only" if "+cpu" in installed_version else "may use a GPU"
    return HealthCheck("torch device", OK, f"{build}, by its version", "engram doctor --deep asks torch itself")


def _torch_deep() -> HealthCheck:
    try:
        import torch
    except Exception as error:
        return HealthCheck("torch device", BAD, f"torch cannot be imported: {type(error).__name__}: {error}")
    if not torch.cuda.is_available():
        return HealthCheck("torch device", OK, f"CPU, {torch.get_num_threads()} threads")
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return HealthCheck("torch device", OK, ", ".join(names))


def _players() -> Iterator[HealthCheck]:
    """Tell whether every player's file can be used."""
    for kind in registry.FOLDERS:
        failed = []
        for name in registry.names(kind):
            try:
                registry.load(kind, name)
            except ValueError as error:
                failed.append(str(error))
        n = len(registry.names(kind))
        yield HealthCheck(kind, BAD if failed else OK, f"{n - len(failed)} of {n} can be used", "; ".join(failed))


def _requirements() -> list[str]:
    try:
        return requires("engram-rl") or []
    except PackageNotFoundError:
        return []


def _pins(path: Path) -> dict[str, str]:
    """Return the pinned versions: distribution -> version, of the lines ``name==version``."""
    if not path.is_file():
        return {}
    pins = re.findall(r"^([\w.\-]+)==([^\s;#]+)", path.read_text("utf-8"), re.MULTILINE)
    return {_canonical(name): pin for name, pin in pins}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _existing(place: Path) -> Path:
    """Return the folder itself, or the nearest existing one above it."""
    return next(folder for folder in (place, *place.parents) if folder.exists())


def _writable(place: Path) -> bool:
    """Tell whether a file can be made there, or in the nearest existing folder above, by making one."""
    try:
        with tempfile.TemporaryFile(dir=_existing(place)):
            return True
    except OSError:
        return False


COMMAND = Command(act, options=("deep", "fix"), examples=("doctor", "doctor --deep", "doctor --fix"))
