"""Registry of players: name -> file -> (Config, make), with suggestions for unknown names.

A player is a file of ours (its name is the file's), an announcement of an installed distribution (entry points
``engram.agents``, ``engram.envs``, ``engram.memories``, ``engram.components``, ``engram.games``), a module by dotted
path or a Python file by its path (``./my_agent.py``). Agents are also Python functions (``python:FILE.py:NAME``) and
classes of stable-baselines3 (``sb3:PPO``); environments are also every Gymnasium id, and ``./file.py:EnvId`` is one of
a file.
``-`` and ``_`` are the same in a name. ``ALIASES`` are further names, ``VARIANTS`` the field's names for a player with
certain settings. Listing names imports no player.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, is_dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from simulator.core.files.escaping import MAX_PATH, checked_name, is_seen, shortened
from simulator.core.files.reading import why_unread
from simulator.core.foreign import own_packages, python_files
from simulator.core.foreign.faults import FOREIGN
from simulator.core.foreign.kinds import kind_of_source

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from simulator.core.memories import CorruptionModel, PatternSpec


class UnknownNameError(ValueError):
    """No player has that name; the line suggests similar ones."""


ROOT = Path(__file__).parents[2]
FOLDERS = {
    "agents": "agents",
    "envs": "envs",
    "memories": "memory",
    "components": "agents/components",
    "challenges": "envs/patterns",
    "tasks": "envs/tasks",
    "games": "envs/games",
}
GROUPS = {kind: f"engram.{kind}" for kind in ("agents", "envs", "memories", "components", "games")}
SINGULAR = {kind: kind[:-1] for kind in FOLDERS} | {"envs": "environment", "memories": "memory"}
ALIASES = {
    "memories": {"nearest": "nearest_neighbor", "keep_cue": "identity", "pixel_by_pixel": "autoregressive"},
    "challenges": dict.fromkeys(("mnist", "fashion_mnist", "kmnist"), "idx"),
}


class Variant(NamedTuple):
    """A player with certain settings, which the field has a name for."""

    name: str
    settings: Mapping[str, Any]


VARIANTS = {
    "agents": {
        "sarsa": Variant("q_learning", {"target": "sarsa"}),
        "expected_sarsa": Variant("q_learning", {"target": "expected"}),
        "double_q_learning": Variant("q_learning", {"double": True}),
        "double_sarsa": Variant("q_learning", {"target": "sarsa", "double": True}),
        "double_dqn": Variant("dqn", {"double": True}),
        "ddqn": Variant("dqn", {"double": True}),
        "dueling_dqn": Variant("dqn", {"dueling": True}),
    }
}
_OF_STABLE_BASELINES3 = {"ppo": "PPO", "a2c": "A2C", "sac": "SAC", "td3": "TD3", "ddpg": "DDPG"}
_USES = {  # how a player of a kind is used
    "agents": "engram run {} ENV",
    "envs": "engram run AGENT {}",
    "memories": "engram recall {} CHALLENGE",
    "components": "engram run AGENT ENV --agent.SOCKET {0}, engram show {0}",
    "challenges": "engram recall MEMORY {}",
    "tasks": "engram predict {}",
    "games": "engram tournament --players A B --games {}",
}
_NO_PLAYERS = ("common", "components", "patterns", "games", "tasks")  # packages beside the players
_NOT_BLAMED = (importlib.__file__, __file__, python_files.__file__, own_packages.__file__)  # no place of an error
_GYMNASIUM = "envs.common.gymnasium.adapter"
_STABLE_BASELINES3 = "simulator.external.sb3_agent"
_CORRUPTION = "envs.common.corruption.parse"


_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


@dataclass(frozen=True)
class Plugin:
    """A player: an agent, an environment, a memory, a component, a recall challenge, a task or a game.

    Attributes:
        kind: agents, envs, memories, components, challenges, tasks or games.
        name: its name in commands and in the store; of a file, its absolute path.
        Config: its settings, a frozen dataclass.
        make: builds it; for an environment of Gymnasium bound to the id.
        module: its module.
        variant: settings that the name it was asked for by implies; see ``VARIANTS``.
    """

    kind: str
    name: str
    Config: type[Any]
    make: Callable[..., Any]
    module: Any
    variant: Mapping[str, Any] = field(default_factory=dict)

    def defaults(self) -> Any:
        """Return its default settings, with those that its name implies."""
        return replace(self.Config(), **self.variant)


def names(kind: str) -> tuple[str, ...]:
    """List every name of a kind, in order: our own files and players of installed distributions."""
    return tuple(sorted({*_files(kind), *_announced(kind)}))


def load(kind: str, name: str) -> Plugin:
    """Load the player of that name.

    Raises:
        UnknownNameError: no player has that name; one line with similar names.
        ValueError: the file cannot be used, or the name has characters that cannot be seen; one line.
    """
    if python_files.is_path(name):
        return _of_file(kind, python_files.place_of(name))
    if kind == "agents" and name.startswith("python:"):
        return _of_function(name)
    check_can_be_name(name, SINGULAR[kind])
    plain = name.replace("-", "_")
    plain = ALIASES.get(kind, {}).get(plain, plain)
    files = _files(kind)
    if plain in files:
        return _player(kind, plain, _import(files[plain]))
    announced = _announced(kind)
    if plain in announced:
        return _player(kind, announced[plain].name, _import(announced[plain].module))
    if variant := VARIANTS.get(kind, {}).get(plain):
        return replace(load(kind, variant.name), variant=variant.settings)
    if kind == "envs" and (place := _env_of_module(name)) is not None:
        return _of_file(kind, place)
    if (found := _of_library(kind, name)) is not None:
        return found
    if _DOTTED.fullmatch(name) and _can_be_found(name):
        return _player(kind, name, _import(name))
    raise UnknownNameError(_unknown(kind, name))


def _env_of_module(name: str) -> python_files.Place | None:
    """Return the file of ``package.module`` or ``package.module:Class`` that holds environments of Gymnasium alone."""
    path, _, within = name.partition(":")
    if not _DOTTED.fullmatch(path):
        return None
    try:
        if not _can_be_found(path):
            return None
        module = _import(path)
    except ValueError:  # reported where the name is looked up next
        return None
    if within and not isinstance(getattr(module, within, None), type):  # an id that the module registers
        return None
    if not getattr(module, "__file__", None) or hasattr(module, "Config") or hasattr(module, "make"):
        return None
    return python_files.Place(Path(module.__file__), within)


def _of_library(kind: str, name: str) -> Plugin | None:
    """Return an environment of Gymnasium or an agent of stable-baselines3; None where the name is of neither."""
    if kind == "agents" and name.startswith("sb3:"):
        agent: Plugin = _import(_STABLE_BASELINES3).plugin(name)
        return agent
    if kind != "envs":
        return None
    foreign = _import(_GYMNASIUM)
    with_cwd_importable()
    known = _knows(foreign, name)
    return Plugin(kind, name, foreign.Config, partial(foreign.make, name), foreign) if known else None


def _unknown(kind: str, name: str) -> str:
    """Format the error for a name that no player of a kind has."""
    file, colon, within = name.partition(":")
    if os.path.isfile(f"{file}.py"):
        meant = f"{file}.py{colon}{within}"
        return f"unknown {SINGULAR[kind]} {name!r}; did you mean {meant}? (a file's name ends in .py)"
    if line := elsewhere(kind, name):
        return line
    if kind == "envs" and (near := _file_of_class(name)):
        return f"unknown {SINGULAR[kind]} {name!r}; did you mean {near}:{name}?"
    known = candidates(kind)
    if not suggestions(name, known):
        known = list(VARIANTS.get(kind, {}))
    return unknown_name_message(SINGULAR[kind], name, known, f"engram list {kind}")


def _file_of_class(name: str) -> str:
    """Return the file of the working folder that is called as a class is, and holds it; empty where there is none."""
    if not name.isidentifier():
        return ""
    for stem in (name.lower(), re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()):
        try:
            text = Path(f"{stem}.py").read_text("utf-8")
        except (OSError, ValueError):
            continue
        if re.search(rf"^class {name}\b", text, re.MULTILINE):
            return f"{stem}.py"
    return ""


def kinds_of(name: str) -> list[str]:
    """List the kinds that have a player of exactly that name; imports none. Gymnasium's ids are not looked up."""
    plain = name.replace("-", "_")
    return [
        kind
        for kind in FOLDERS
        if plain in _files(kind) or plain in ALIASES.get(kind, {}) or plain in VARIANTS.get(kind, {})
    ]


def variant_line(kind: str, name: str) -> str:
    """Say what a variant's name stands for: ``sarsa is q_learning with target = sarsa``; empty for other names."""
    variant = VARIANTS.get(kind, {}).get(name.replace("-", "_"))
    if variant is None:
        return ""
    return f"{name} is {variant.name} with " + ", ".join(
        f"{key} = {str(value).lower()}" for key, value in variant.settings.items()
    )


def elsewhere(kind: str, name: str) -> str:
    """Format the error for a name that another kind of player has, or another library; empty for others."""
    said = f"unknown {SINGULAR[kind]} {shortened(name, 60)!r}"
    theirs = _OF_STABLE_BASELINES3.get(name.lower().replace("-", "_"))
    if kind == "agents" and theirs:
        missing = "" if importlib.util.find_spec("stable_baselines3") else "; pip install stable-baselines3"
        return f"{said}; stable-baselines3 has it, as sb3:{theirs}{missing}"
    for other in kinds_of(name):
        if other in _USES:
            return f"{said}; it is {with_article(SINGULAR[other])}: {_USES[other].format(name)}"
    return ""


def with_article(noun: str) -> str:
    """Return ``an agent``, ``a memory``."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def kind_of(name: str) -> str | None:
    """Tell the kind of a name, a path or a dotted name: agents, memories, envs or components; None: none is sure.

    Raises:
        ValueError: the path is of no Python file; one line.
    """
    plain = name.replace("-", "_")
    for kind in ("agents", "memories", "envs", "components"):
        if plain in names(kind):
            return kind
    if python_files.is_path(name):
        place = python_files.place_of(name)
        return "envs" if place.name else kind_of_source(place.file)
    if re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", name) and _can_be_found(name):
        spec = importlib.util.find_spec(name)
        return kind_of_source(Path(spec.origin)) if spec is not None and spec.origin else None
    foreign = _import(_GYMNASIUM)
    return "envs" if _knows(foreign, name) else None


def check_can_be_name(name: str, what: str) -> None:
    """Refuse what cannot be a name; ``what`` is named, for the line.

    Raises:
        ValueError: it has characters that cannot be seen, or too many of them; one line.
    """
    if not python_files.is_path(name) and (len(name) > MAX_PATH or not is_seen(name)):
        checked_name(name, what, most=MAX_PATH)


def sources(kind: str, name: str) -> tuple[Path, ...]:
    """List the source files of a player.

    They are its own, those that register a Gymnasium id, and the user's own files that these import.
    """
    player = load(kind, name)
    files = [getattr(player.module, "__file__", None)]
    if file := python_files.file_of(name):
        files.append(str(file))
    elif kind == "envs" and ":" in name:
        with suppress(ValueError):  # reported when it is made
            files += player.module.files_of(name)
    return python_files.with_imports(Path(file) for file in dict.fromkeys(files) if file)


def corruption_model(text: str, units: PatternSpec) -> CorruptionModel:
    """Make the corruption model that a text such as ``flip:0.2`` names, for patterns of these units.

    Raises:
        ValueError: no such corruption, or an amount that cannot be; one line.
    """
    model: CorruptionModel = _import(_CORRUPTION).parse(text, units)
    return model


def candidates(kind: str) -> list[str]:
    """List every name that could have been meant, Gymnasium's ids among them where that is loaded."""
    gymnasium = sys.modules.get("gymnasium") if kind == "envs" else None
    ids = [env_id for env_id in gymnasium.registry if not env_id.startswith(python_files.PREFIX)] if gymnasium else []
    return [*names(kind), *ids]


def unknown_name_message(what: str, name: str, known: Iterable[str], hint: str = "") -> str:
    """Format the error for an unknown name: ``unknown agent 'q_lerning'; did you mean q_learning? (hint)``."""
    meant = suggestions(name, known)
    question = f"; did you mean {' or '.join(meant)}?" if meant else ""
    return f"unknown {what} {shortened(name, 60)!r}{question}" + (f" ({hint})" if hint else "")


def suggestions(name: str, known: Iterable[str]) -> list[str]:
    """Find at most three names similar to ``name``, the nearest first."""
    plain = {candidate.lower().replace("-", "_"): candidate for candidate in known}
    matches = difflib.get_close_matches(name[:100].lower().replace("-", "_"), plain, n=3, cutoff=0.65)
    return [plain[candidate] for candidate in matches]


def description_of(kind: str, name: str) -> str:
    """Read the first line of a file's docstring, without executing it; empty for players without a name."""
    import ast

    source = source_to_read(kind, name)
    if source is None:
        return ""
    try:
        tree = ast.parse(source.read_text("utf-8"))
    except (OSError, ValueError, SyntaxError):
        return ""
    return (ast.get_docstring(tree) or "").partition("\n")[0]


def source_of(kind: str, name: str) -> Path | None:
    """Return the file of one of our players; None for others."""
    module = _files(kind).get(name.replace("-", "_"))
    if module is None:
        return None
    place = ROOT / module.replace(".", "/")
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def source_to_read(kind: str, name: str) -> Path | None:
    """Return the file of a player of ours, or of one that a distribution announces; it is not executed."""
    announced = _announced(kind).get(name.replace("-", "_"))
    ours = source_of(kind, name)
    if ours is not None or announced is None:
        return ours
    try:
        spec = importlib.util.find_spec(announced.module)
    except FOREIGN:  # of a package around it; said where the player is loaded
        return None
    return Path(spec.origin) if spec is not None and spec.origin and spec.origin.endswith(".py") else None


def with_cwd_importable() -> None:
    """Put the working folder on Python's path, so that a dotted path can start there."""
    cwd = os.getcwd()
    if cwd not in sys.path and "" not in sys.path:
        sys.path.append(cwd)


def _files(kind: str) -> dict[str, str]:
    """Map names to modules of our players, which are files or packages."""
    folder = ROOT / FOLDERS[kind]
    package = FOLDERS[kind].replace("/", ".")
    files = [path for path in folder.glob("*.py") if not path.name.startswith("_")]
    packages = [path.parent for path in folder.glob("*/__init__.py") if path.parent.name not in _NO_PLAYERS]
    return {path.stem: f"{package}.{path.stem}" for path in [*files, *packages]}


def _announced(kind: str) -> dict[str, EntryPoint]:
    if kind not in GROUPS:
        return {}
    from importlib import metadata

    changed = tuple((place, os.stat(place or ".").st_mtime_ns) for place in sys.path if os.path.exists(place or "."))
    return _entry_points(metadata.entry_points, GROUPS[kind], changed)


@cache
def _entry_points(find: Callable[..., Any], group: str, changed: tuple[tuple[str, int], ...]) -> dict[str, EntryPoint]:
    """Read the entry points of a group, anew where a folder of Python's path has changed, as an installation does.

    Python reads the metadata of all distributions each time, and a tournament of cells and encoders asks 400 times.
    """
    return {entry_point.name.replace("-", "_"): entry_point for entry_point in find(group=group)}


def _module_of(file: Path) -> Any:
    try:
        return python_files.load(file)
    except FOREIGN as error:
        raise ValueError(f"{file} cannot be imported: {reason(error)}") from error


def _of_file(kind: str, place: python_files.Place) -> Plugin:
    """Load the player of a file, or the Gymnasium environment in it that its path names."""
    if kind != "envs":
        if place.name:
            raise ValueError(f"{place.shown()}: expected the path of a file alone, without :{shortened(place.name)}")
        return _player(kind, str(place), _module_of(place.file))
    foreign = _import(_GYMNASIUM)
    module = foreign.load_file(partial(_module_of, place.file))
    is_player = hasattr(module, "Config") or hasattr(module, "make")
    if not place.name and not is_player and (only := foreign.only_env(module)):
        place = place._replace(name=only)
    if place.name:
        own_id = foreign.id_in_file(str(place), module, place.name)
        return Plugin(kind, str(place), foreign.Config, partial(foreign.make, own_id, name=str(place)), foreign)
    if is_player:
        return _player(kind, str(place), module)
    raise ValueError(f"{place.shown()}: {foreign.instead_of_file(module)}")


def _of_function(name: str) -> Plugin:
    """Load a function as an agent that does not learn."""
    from simulator.core.foreign import functions  # loads numpy, which listing names does not need

    target = name.removeprefix(functions.PREFIX)
    try:
        function = load_callable(target, functions.FORM)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    file = python_files.file_of(name)
    name = name if file is None else f"{functions.PREFIX}{file}:{target.rpartition(':')[2]}"
    found = functions.agent_of(name, function)
    return Plugin("agents", found.name, found.Config, found.make, functions)


def load_callable(target: str, form: str, *, anew: bool = False) -> Callable[..., Any]:
    """Load the callable that ``path/to/file.py:name`` or ``package.module:name`` names; the name may have dots.

    Args:
        target: the place and the name.
        form: what errors expect, "expected module:Wrapper".
        anew: execute a file again where it was executed before.

    Raises:
        ValueError: there is no such file, module or name, it cannot be imported, or is not callable; one line.
    """
    path, _, called = target.rpartition(":")
    if not path or not called:
        raise ValueError(form)
    if not path.endswith(".py") and ("/" in path or python_files.is_path(path)):
        raise ValueError(f"no Python file, {form}")
    file = python_files.resolved(path) if path.endswith(".py") else None
    if file is not None and (unread := why_unread(file)):
        raise ValueError(f"{unread}, {form}")
    try:
        if file is None:
            with_cwd_importable()
        found: Any = importlib.import_module(path) if file is None else python_files.load(file, anew=anew)
    except FOREIGN as error:
        raise ValueError(f"cannot be imported: {reason(error)}") from error
    for part in called.split("."):
        if not hasattr(found, part):
            raise ValueError(f"{unknown_name_message('name', part, vars(found))}, expected one of {_shown(path)}")
        found = getattr(found, part)
    if not callable(found):
        raise ValueError(f"found {found!r:.60}, expected a callable")
    loaded: Callable[..., Any] = found
    return loaded


def _knows(foreign: Any, name: str) -> bool:
    """Tell whether Gymnasium has the environment; ``module:EnvId`` imports that module, which can raise any error."""
    try:
        return bool(foreign.is_known(name))
    except FOREIGN as error:
        raise ValueError(f"environment {name!r} cannot be used: {reason(error)}") from error


def _can_be_found(path: str) -> bool:
    """Tell whether a dotted path is a module that exists."""
    with_cwd_importable()
    try:
        return importlib.util.find_spec(path) is not None
    except ModuleNotFoundError:
        return False
    except FOREIGN as error:
        raise ValueError(f"{path} cannot be imported: {reason(error)}") from error


def _import(path: str) -> Any:
    try:
        return importlib.import_module(path)
    except FOREIGN as error:
        raise ValueError(f"{path.replace('.', '/')}.py cannot be imported: {reason(error)}") from error


def _player(kind: str, name: str, module: Any) -> Plugin:
    config = getattr(module, "Config", None)
    make = getattr(module, "make", None)
    one_seed = getattr(make, "one_seed_class", None)
    if one_seed is not None and kind in ("agents", "memories", "envs"):
        own = "agents" if hasattr(one_seed, "act") else "memories"
        if own != kind:
            shown = _shown(getattr(module, "__file__", None) or name)
            meant = f"{with_article(SINGULAR[own])}: {_USES[own].format(shown)}"
            raise ValueError(f"{shown}: expected {with_article(SINGULAR[kind])}; {one_seed.__name__} is {meant}")
    if isinstance(config, type) and is_dataclass(config) and callable(make):
        return Plugin(kind, name, config, make if _is_ours(module) else _guarded(kind, name, make), module)
    lacks = "make" if not callable(make) else "Config"
    shown = _shown(getattr(module, "__file__", None) or name)
    expected = "a dataclass named Config and a function named make"
    raise ValueError(f"{shown} is no {SINGULAR[kind]}: {lacks} is missing or of the wrong kind, expected {expected}")


def _is_ours(module: Any) -> bool:
    """Tell whether a module is one of ours."""
    path = Path(getattr(module, "__file__", None) or "/")
    place = path.parent if path.name == "__init__.py" else path
    return any(place.parent == ROOT / folder for folder in FOLDERS.values())


def _guarded(kind: str, name: str, make: Callable[..., Any]) -> Callable[..., Any]:
    from simulator.core.foreign.guards import guarded_make  # loads numpy, which listing names does not need

    return guarded_make(kind, name, make)


def reason(error: BaseException) -> str:
    """Describe an error of foreign code in one line: class, text and place."""
    at = [getattr(error, "filename", None), getattr(error, "lineno", None)]
    trace = error.__traceback__
    while trace is not None and not isinstance(error, SyntaxError):
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith("<frozen") and file not in _NOT_BLAMED:
            at = [file, trace.tb_lineno]
        trace = trace.tb_next
    text = " ".join(str(getattr(error, "msg", None) or error).split())[:200]
    place = f" ({_shown(at[0])}, line {at[1]})" if at[0] and at[1] else ""
    return f"{type(error).__name__}: {text}{place}"


def _shown(file: str) -> str:
    return str(Path(file).relative_to(ROOT)) if Path(file).is_relative_to(ROOT) else file
