"""Validation of settings: one check of values from files, command line options and Python.

A field's annotation says what its value may be (:mod:`simulator.core.field_types`, ``Literal``, lists, tables,
dataclasses in dataclasses, sockets of components). msgspec checks it, and a bad value is answered in one line that
names the setting, the value and what was expected.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import inspect
import itertools
import math
import textwrap
import types
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

from simulator.config import sockets
from simulator.config.field_words import option_meant, owner_of, settings_of
from simulator.config.sockets import socket_of
from simulator.core import registry
from simulator.core.components import Component
from simulator.core.field_types import OfRun
from simulator.core.files.escaping import MAX_PATH, shortened
from simulator.core.files.reading import parse_toml
from simulator.core.registry import suggestions

_SIMPLE = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Any: "a value"}
_SIGNS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_MAX_INT = 2**63 - 1  # limit of compiled code and of SQLite


class Setting(NamedTuple):
    """One field of a dataclass of settings."""

    name: str
    hint: Any
    default: Any
    doc: str


class ConfigSource(NamedTuple):
    """Some settings and the place where they were read, which errors name."""

    values: Mapping[str, Any]
    where: str = ""  # "run.toml", "preset cliff"; "" for a call in Python
    flags: bool = False  # options of the command line: every value is a text, or a list of them

    def place(self, path: tuple[str, ...], value: Any) -> str:
        """Format a setting and its value: ``run.toml: agent.step_size = 1.5``, or ``--agent.step-size 1.5``."""
        if self.flags:
            return f"{self.name(path)} {_shown(value, bare=True)}"
        return f"{self.name(path)} = {_shown(value)}"

    def name(self, path: tuple[str, ...]) -> str:
        """Format a setting without its value."""
        dotted = shortened(".".join(path), MAX_PATH)
        if self.flags:
            return "--" + dotted.replace("_", "-")
        return f"{self.where}: {dotted}" if self.where else dotted


def settings(kind: type[Any]) -> list[Setting]:
    """List the fields of a dataclass of settings, with the docstrings below them."""
    return list(_settings(kind))  # type: ignore[arg-type]  # mypy takes no class for hashable


@cache
def _settings(kind: type[Any]) -> tuple[Setting, ...]:
    hints = get_type_hints(kind, include_extras=True)
    docs = _docs(kind)
    return tuple(
        Setting(f.name, hints[f.name], _default(f), " ".join((docs.get(f.name) or f.metadata.get("doc", "")).split()))
        for f in dataclasses.fields(kind)
    )


def current_settings(chosen: Any) -> list[Setting]:
    """List the fields of settings with the values that these have, in place of the defaults."""
    return [setting._replace(default=getattr(chosen, setting.name)) for setting in settings(type(chosen))]


def nested_fields(table: Setting) -> list[Setting]:
    """List the fields of a table of settings in another one, with the defaults that they have there."""
    return current_settings(table.default) if isinstance(table.default, table.hint) else settings(table.hint)


def check(
    known: list[Setting], table: Any, source: ConfigSource, path: tuple[str, ...] = (), player: str = ""
) -> dict[str, Any]:
    """Convert the values of ``table``, found at ``path`` of a source, to the types of their fields.

    ``player`` is the owner of the settings, which errors name. A socket becomes None, or a table of settings of its
    component: of the one that the table names, or else the one that ``known`` has for a default.

    Raises:
        ValueError: an unknown name, a wrong type or a value out of range; one line.
    """
    if not isinstance(table, Mapping):
        raise ValueError(f"{source.place(path, table)}: expected a table of settings")
    by_name = {setting.name: setting for setting in known}
    checked: dict[str, Any] = {}
    for key, value in table.items():
        setting = by_name.get(key)
        if setting is None:
            raise ValueError(_unknown_setting(source, path, key, known, player))
        if dataclasses.is_dataclass(setting.hint):
            checked[key] = check(nested_fields(setting), value, source, (*path, key), player)
        elif socket_of(setting.hint):
            checked[key] = _check_socket(setting, value, source, (*path, key))
        else:
            checked[key] = _validate(setting.hint, value, source, (*path, key))
    return checked


def _check_socket(setting: Setting, value: Any, source: ConfigSource, path: tuple[str, ...]) -> dict[str, Any] | None:
    """Check what a source says of a socket: a component's name, a table of its name and settings, or none."""
    socket = socket_of(setting.hint)
    before = sockets.chosen_in(setting.default)
    table = dict(value) if isinstance(value, Mapping) else {"name": value}
    place = path if not isinstance(value, Mapping) or source.flags else (*path, "name")
    name = table.pop("name", before)
    if name is before and before is not None:
        return check(current_settings(before.settings), table, source, path, before.name)
    if name is None or (isinstance(name, str) and name.lower() == "none"):
        if not table:
            return None
        first = source.place((*path, next(iter(table))), next(iter(table.values())))
        beside = source.name(path).removeprefix(f"{source.where}: ") + ("" if source.flags else ".name")
        raise ValueError(f"{first}: no {socket} is chosen, expected {beside} too: {sockets.expected(socket)}")
    if not isinstance(name, str):
        forms = f"the name of {registry.with_article(socket)}, a table of name and settings, or none"
        raise ValueError(f"{source.place(place, name)}: expected {forms}")
    try:
        component = sockets.find(name, socket, ".".join(path))
    except ValueError as error:
        raise ValueError(f"{source.name(place)}: {error}") from error
    same = before is not None and before.name == component.name
    known = current_settings(before.settings if same and before else component.defaults())
    return {"name": component.name, **check(known, table, source, path, component.name)}


def _unknown_setting(source: ConfigSource, path: tuple[str, ...], key: str, known: list[Setting], player: str) -> str:
    """Format the error for an unknown setting: what the player calls it, who has one, or names like it."""
    names = list(dotted_names(known))
    called = settings_of(key, names) if path else list(filter(None, [option_meant(key, names)]))
    similar = called or suggestions(key, [*(setting.name for setting in known), *names])
    shown = [source.name((*path, *name.split("."))).removeprefix(f"{source.where}: ") for name in similar]
    line = f"{source.name((*path, key))}: {'unknown option' if source.flags else 'no such setting'}"
    if called:
        return f"{line}; {f'{player} calls it' if player else 'it is called'} {shown[0]}"
    for setting in known:
        if (socket := socket_of(setting.hint)) and key in sockets.fitting(socket):
            return f"{line}; did you mean {source.place((*path, setting.name), key).removeprefix(f'{source.where}: ')}?"
    if path[:1] == ("env",) and not shown and any(setting.name == "kwargs" for setting in known):
        return f"{line}; a setting of the environment itself is {source.name((*path, 'kwargs', key))}"
    if path and player and not shown and (owner := owner_of(key)):
        return f"{line}; {player} has none, {owner} (engram show {player})"
    return line + (f"; did you mean {' or '.join(shown)}?" if shown else "")


def dotted_names(known: list[Setting]) -> Iterator[str]:
    """Iterate over the names of settings, those of tables within them dotted: ``explore.epsilon_start``.

    A socket has one, and those of the settings of its component.
    """
    for setting in known:
        inner: list[Setting] = []
        if dataclasses.is_dataclass(setting.hint):
            inner = nested_fields(setting)
        else:
            yield setting.name
            if component := sockets.chosen_in(setting.default):
                inner = current_settings(component.settings)
        yield from (f"{setting.name}.{name}" for name in dotted_names(inner))


def merge(base: Any, values: Mapping[str, Any]) -> Any:
    """Replace some settings of a dataclass by checked ones, in tables and components within it too."""
    changes: dict[str, Any] = {}
    for setting in current_settings(base):
        if setting.name in values:
            value = values[setting.name]
            if socket_of(setting.hint):
                changes[setting.name] = _merged_component(setting.default, value)
            elif dataclasses.is_dataclass(setting.default):
                changes[setting.name] = merge(setting.default, value)
            else:
                changes[setting.name] = value
    return dataclasses.replace(base, **changes)


def _merged_component(base: Component | None, value: Mapping[str, Any] | None) -> Component | None:
    """Return the component of a checked value, over the one of before."""
    if value is None:
        return None
    own = {key: item for key, item in value.items() if key != "name"}
    if base is not None and value.get("name", base.name) == base.name:
        return Component(base.name, merge(base.settings, own))
    component = registry.load(sockets.KIND, value["name"])
    return Component(component.name, merge(component.defaults(), own))


def merge_tables(base: Mapping[str, Any], over: Mapping[str, Any], known: list[Setting]) -> dict[str, Any]:
    """Merge checked tables of settings, the latter over the former; ``known``: the settings, as far as one knows."""
    merged = dict(base)
    by_name = {setting.name: setting for setting in known}
    for key, value in over.items():
        setting = by_name.get(key)
        inner = merged.get(key)
        if not isinstance(value, Mapping) or not isinstance(inner, Mapping):
            merged[key] = value
        elif setting is not None and socket_of(setting.hint):
            merged[key] = dict(value) if sockets.is_another(value, inner) else merge_tables(inner, value, [])
        else:
            is_table = setting is not None and dataclasses.is_dataclass(setting.hint)
            merged[key] = merge_tables(inner, value, nested_fields(setting) if setting and is_table else [])
    return merged


def of_run(chosen: Any, steps: int) -> Any:
    """Fill in a run's environment steps in settings that depend on them."""
    changes: dict[str, Any] = {}
    for setting in current_settings(chosen):
        value = setting.default
        if isinstance(value, Component):
            changes[setting.name] = Component(value.name, of_run(value.settings, steps))
        elif dataclasses.is_dataclass(value):
            changes[setting.name] = of_run(value, steps)
        elif value is None and is_marked(setting, OfRun):
            changes[setting.name] = steps
    return dataclasses.replace(chosen, **changes) if changes else chosen


def names_of_run(chosen: Any) -> list[str]:
    """List the settings that last as long as the run, with a dot before those of a table within."""
    names: list[str] = []
    for setting in current_settings(chosen):
        value = setting.default.settings if isinstance(setting.default, Component) else setting.default
        if dataclasses.is_dataclass(value):
            names += [f"{setting.name}.{name}" for name in names_of_run(value)]
        elif value is None and is_marked(setting, OfRun):
            names.append(setting.name)
    return names


def is_marked(setting: Setting, mark: type[Any]) -> bool:
    """Tell whether a setting's type has a mark of :mod:`simulator.core.field_types`."""
    return any(isinstance(meta, mark) for meta in getattr(setting.hint, "__metadata__", ()))


def describe(hint: Any) -> str:
    """Describe what a field expects: ``a number > 0 and <= 1``."""
    parts = get_args(hint)
    origin = get_origin(hint)
    if socket := socket_of(hint):
        values = sockets.values_of(socket)
        return ("one of " if len(values) > 1 else "") + ", ".join(values) + ", or the path of your own"
    if origin is Annotated:
        return _ranged(describe(parts[0]), parts[1:])
    if origin is Literal:
        return ("one of " if len(parts) > 1 else "") + ", ".join(str(part) for part in parts)
    if origin in (Union, types.UnionType):
        return " or ".join("none" if part is type(None) else describe(part) for part in parts)
    if origin in (list, tuple) or hint in (list, tuple):
        return f"a list, each {describe(parts[0])}" if parts else "a list"
    if origin in (dict, Mapping) or hint is dict or dataclasses.is_dataclass(hint):
        return "a table of settings"
    return _SIMPLE.get(hint, getattr(hint, "__name__", str(hint)))


def is_list(hint: Any) -> bool:
    """Tell whether a field holds a list of values."""
    inner = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return get_origin(inner) in (list, tuple)


def _ranged(text: str, metas: tuple[Any, ...]) -> str:
    for meta in metas:
        if getattr(meta, "description", None):
            return str(meta.description)
        bounds = {sign: getattr(meta, name, None) for name, sign in _SIGNS.items()}
        limits = [
            f"{sign} {bound:{',' if isinstance(bound, int) else 'g'}}"
            for sign, bound in bounds.items()
            if bound is not None
        ]
        text = f"{text} {' and '.join(limits)}" if limits else text
    return text


def _validate(hint: Any, value: Any, source: ConfigSource, path: tuple[str, ...]) -> Any:
    if source.flags and isinstance(value, Mapping):  # --env.kwargs.map_name 8x8
        value = {key: next(_readings(text)) if isinstance(text, str) else text for key, text in value.items()}
        candidates: Iterator[Any] = iter([value])
    elif source.flags and isinstance(value, list):  # --patterns 20 100
        candidates = iter([value, [next(_readings(text)) for text in value]])
    else:
        candidates = _readings(value) if source.flags else iter([None, value] if value == "none" else [value])
    for candidate in candidates:
        if _is_storable(candidate):
            try:
                return msgspec.convert(candidate, hint)
            except msgspec.ValidationError:
                continue
    raise ValueError(f"{source.place(path, value)}: expected {_expected(describe(hint), value)}")


def _expected(text: str, value: Any) -> str:
    """Describe the expected values of a field, and the limit that a value of the right type breaks."""
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        number = float(value)
        if not math.isfinite(number):
            return text.replace("a number", "a finite number")
        if abs(number) > _MAX_INT and "whole number" in text and "<" not in text:
            return f"{text} and at most {_MAX_INT:,}"
    return text


def _readings(text: str) -> Iterator[Any]:
    """Iterate over the meanings of an option's text, the likeliest first: TOML without its quotes and brackets."""
    for number in (int, float):
        with contextlib.suppress(ValueError):
            value = number(text)
            if isinstance(value, float) and value.is_integer() and "." not in text:
                yield int(value)  # 1e6
            yield value
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        yield words[text.lower()]
    for form in (text, f"[{text}]", f"{{{text}}}"):
        if "#" not in text and "\n" not in text:
            with contextlib.suppress(ValueError):
                yield parse_toml(f"value = {form}")["value"]
    yield text
    yield [part for part in text.split(",") if part]  # a list of texts: --env.keys image,direction


def _is_storable(value: Any) -> bool:
    """Tell whether a value is finite, within 64 bits, and free of text that cannot be stored."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return abs(value) <= _MAX_INT
    if isinstance(value, str):
        return value.isascii() or value.encode("utf-8", "replace").decode() == value
    if isinstance(value, Mapping):
        return all(_is_storable(key) and _is_storable(item) for key, item in value.items())
    return all(map(_is_storable, value)) if isinstance(value, list | tuple) else True


def _shown(value: Any, bare: bool = False) -> str:
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    if bare and isinstance(value, list):
        text = " ".join(map(repr, value)).replace("'", "")
    if bare and isinstance(value, str) and value.isprintable() and value and " " not in value:
        text = value
    return text if len(text) <= 60 else text[:57] + "..."


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _docs(kind: type[Any]) -> dict[str, str]:
    """Return the string literal below every field, bases included; nothing if there is no source."""
    docs: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):  # without object
        try:
            body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body  # type: ignore[attr-defined]
        except (OSError, TypeError, SyntaxError):
            continue
        docs |= {
            field.target.id: text.value.value
            for field, text in itertools.pairwise(body)
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
            if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
        }
    return docs
