"""Check of one player, a user's own or ours: every law of its kind, and what is wrong in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from simulator.checks import agents, components, envs, memories
from simulator.checks.laws import Finding, Law, findings
from simulator.config.codec import assemble
from simulator.config.run import RunConfig
from simulator.config.sockets import has_socket, sockets_of
from simulator.config.validation import ConfigSource, check, merge, settings
from simulator.core import registry
from simulator.core.foreign import python_files
from simulator.core.foreign.faults import FOREIGN, PlayerError, fault_of
from simulator.core.foreign.guards import class_name
from simulator.core.foreign.python_files import is_path, place_of
from simulator.training.session import Session

PLACES = ("rooms", "FrozenLake-v1", "CartPole-v1", "MountainCarContinuous-v0")  # that an agent is tried in
KINDS = {"agent": "agents", "memory": "memories", "env": "envs", "component": "components"}
_MADE = Law("it is made, and has the methods of its kind", "make", lambda case: None)


def check_player(name: str, env: str | None = None, kind: str | None = None, given: Any = None) -> dict[str, Any]:
    """Put a player through the laws of its kind.

    Args:
        name: a path, a dotted name or a name.
        env: the only environment of an agent or a component; None: those of ``PLACES`` that it fits.
        kind: agent, memory, env or component; None: by its file.
        given: settings of the player, texts as they were typed.

    Returns:
        ``file``, ``kind``, ``class``, ``passed``, ``left_out`` (environments that the agent cannot play in, or the
        component does not fit, with the reason) and ``laws``: for each ``law``, ``env``, ``passed``, ``method`` and
        ``said``.

    Raises:
        ValueError: the file cannot be loaded, or its kind is not clear; one line.
    """
    found_kind = KINDS[kind] if kind else registry.kind_of(name)
    if found_kind is None or found_kind not in KINDS.values():
        if is_path(name):
            _check_can_be_imported(name)
        expected = (
            "classes with act and learn, store and recall, or reset and step, or the word SOCKETS; or --kind "
            "agent, memory, env or component"
        )
        raise ValueError(f"{name}: no agent, memory, environment or component was found there, expected {expected}")
    if env is not None and found_kind not in ("agents", "components"):
        raise ValueError(f"{env}: expected no environment beside {registry.SINGULAR[found_kind]} {name}")
    player = registry.load(found_kind, name)
    if env is not None:
        registry.load("envs", env)
    word = {value: key for key, value in KINDS.items()}[found_kind]
    options = ConfigSource({word: given or {}}, flags=True)
    changed = check(settings(player.Config), given or {}, options, (word,))
    left_out: dict[str, str] = {}
    if found_kind == "agents":
        owner, found = _check_agent(player, env, options, left_out)
    elif found_kind == "components":
        owner, found = _check_component(player, env, merge(player.Config(), changed), given or {}, left_out)
    else:
        config = merge(player.Config(), changed)
        owner, found = (_check_memory if found_kind == "memories" else _check_env)(player, config)
    rows = [_row(finding, owner) for finding in found]
    return {
        "file": str(place_of(name).file) if is_path(name) else getattr(player.module, "__file__", None),
        "kind": word,
        "class": owner,
        "passed": all(finding.passed for finding in found),
        "left_out": [{"env": place, "reason": reason} for place, reason in left_out.items()],
        "laws": rows,
    }


def _check_can_be_imported(path: str) -> None:
    try:
        python_files.load(place_of(path).file)
    except FOREIGN as error:
        raise ValueError(f"{path} cannot be imported: {registry.reason(error)}") from error


def _check_agent(
    player: registry.Plugin, env: str | None, options: ConfigSource, left_out: dict[str, str]
) -> tuple[str, list[Finding]]:
    """Check an agent in every environment that it can play in."""
    owner = ""
    found: list[Finding] = []
    broken: PlayerError | None = None
    for place in (env,) if env else PLACES:
        make = partial(_session, player.name, place, options)
        try:
            owner = class_name(getattr(make(seeds=1).agent, "_inner", None) or make(seeds=1).agent)
        except ValueError as error:
            if isinstance(error, PlayerError) or env:
                broken = broken or PlayerError(str(error))
            left_out[place] = str(error)
            continue
        found += [Finding(_MADE.sentence, place, "", ""), *findings(agents.LAWS, make, place)]
    if not found:
        said = str(broken or next(iter(left_out.values())))
        found = [Finding(_MADE.sentence, "", "make", said)]
        left_out.clear()
    return owner, found


def _check_component(
    player: registry.Plugin, env: str | None, config: Any, given: Mapping[str, Any], left_out: dict[str, str]
) -> tuple[str, list[Finding]]:
    """Check what a component promises alone, and the agents with it in their socket."""
    found: list[Finding] = []
    owner = ""
    for socket in sockets_of(player):
        places = (env,) if env else PLACES_OF_SOCKET[socket]
        try:
            component = player.make(config)
        except FOREIGN as error:
            return owner, [_not_made(error)]
        owner = class_name(component)
        found.append(Finding(_MADE.sentence, "", "", ""))
        if socket == "recurrence":
            found += findings(components.RECURRENCE_LAWS, component)
        elif socket in _ALONE:
            for place in places:
                found += _findings_alone(component, socket, place, left_out)
        for agent, quick in components.QUICK.items():
            if has_socket(registry.load("agents", agent).Config, socket):
                for place in places:
                    found += _findings_inside(player.name, socket, agent, quick, place, given, left_out)
    if left_out and not any(finding.place for finding in found):
        found.append(Finding(_MADE.sentence, "", "make", next(iter(left_out.values()))))
    return owner, found


_ALONE = {"encoder": components.ENCODER_LAWS, "intrinsic": components.INTRINSIC_LAWS}
PLACES_OF_SOCKET = {
    "encoder": ("FrozenLake-v1", "CartPole-v1"),
    "intrinsic": ("FrozenLake-v1", "CartPole-v1"),
    "model": ("FrozenLake-v1", "CartPole-v1"),
    "recurrence": ("CartPole-v1",),
}


def _findings_alone(component: Any, socket: str, place: str, left_out: dict[str, str]) -> list[Finding]:
    """Check an encoder or a bonus on random play in one environment."""
    env = registry.load("envs", place)
    spec = env.make([0], env.defaults()).spec

    def make(seeds: Any) -> Any:
        return component.encoder(spec, seeds) if socket == "encoder" else component.for_env(spec, seeds)

    try:
        make([0])
    except ValueError as error:
        left_out[f"{place}, alone"] = str(error)
        return []
    except FOREIGN as error:
        return [_not_made(error)]
    case = components.ComponentCase(make, partial(components.random_play, place))
    return findings(_ALONE[socket], case, place)


def _findings_inside(
    component: str,
    socket: str,
    agent: str,
    quick: Mapping[str, Any],
    place: str,
    given: Mapping[str, Any],
    left_out: dict[str, str],
) -> list[Finding]:
    """Check an agent with a component in its socket, in one environment."""
    where = f"{agent} in {place}"
    settings_of_agent = {**quick, socket: {"name": component}}
    make = partial(
        _session, agent, place, ConfigSource({"agent": {socket: given}}, flags=True), agent_=settings_of_agent
    )
    try:
        made = make(seeds=1)
    except ValueError as error:
        left_out[where] = str(error)
        return []
    except FOREIGN as error:
        return [_not_made(error)]
    n_collected = getattr(getattr(made.agent, "_encoder", None), "n_collected", 0)
    if n_collected >= agents.STEPS:
        left_out[where] = (
            f"it collects {n_collected:,} environment steps before the agent learns, expected fewer than "
            f"{agents.STEPS}, by its settings (--component.FIELD)"
        )
        return []
    return findings(agents.LAWS, make, where)


def _session(
    agent: str,
    env: str,
    options: ConfigSource,
    seeds: int = 3,
    first_seed: int = 0,
    *,
    rollouts: bool = True,
    agent_: Mapping[str, Any] | None = None,
) -> Session:
    tables: dict[str, Any] = {"agent": {"name": agent, **(agent_ or {})}, "env": {"name": env}}
    run = {"seeds": seeds, "first_seed": first_seed, "steps": 100_000, "threads": 1}
    limits = {"eval_episodes": 2, "eval_max_steps": 500}
    return Session(assemble(RunConfig, [ConfigSource({**run, **limits, **tables}), options]), rollouts=rollouts)


def _check_memory(player: registry.Plugin, config: Any) -> tuple[str, list[Finding]]:
    def make(seeds: Any) -> Any:
        return player.make(memories.UNITS, list(seeds), config)

    try:
        memory = make(memories.SEEDS)
    except FOREIGN as error:
        return "", [_not_made(error)]
    kind = type(getattr(memory, "_inner", None) or memory)
    torch = "torch" in kind.__module__ or "torch" in str(getattr(player.module, "torch", ""))
    case = memories.MemoryCase(make, 1e-3, 0.05) if torch else memories.MemoryCase(make)
    made = Finding(_MADE.sentence, "", "", "")
    return class_name(getattr(memory, "_inner", None) or memory), [made, *findings(memories.LAWS, case)]


def _check_env(player: registry.Plugin, config: Any) -> tuple[str, list[Finding]]:
    def make(seeds: Any) -> Any:
        return player.make(list(seeds), config)

    try:
        env = make([0])
    except FOREIGN as error:
        return "", [_not_made(error)]
    slots = getattr(env, "slots", ())  # environments of Gymnasium
    owner = type(slots[0].unwrapped).__name__ if slots else class_name(getattr(env, "_inner", None) or env)
    found = [Finding(_MADE.sentence, "", "", ""), *findings(envs.LAWS, make)]
    if slots:
        found += findings(envs.OF_GYMNASIUM, lambda: make([0]).slots[0].unwrapped)
    return owner, found


def _not_made(error: BaseException) -> Finding:
    said = str(error) if isinstance(error, ValueError) else str(fault_of(error))
    return Finding(_MADE.sentence, "", "make", said)


def _row(finding: Finding, owner: str) -> Mapping[str, Any]:
    """Describe a law that was checked; an error that names class and method is split into these."""
    method = finding.method
    said = finding.said
    if owner and (named := re.search(rf"(?:'s policy)?: {re.escape(owner)}\.(\w+)(: | gave )", said)):
        method = named[1]
        said = ("gave " if named[2] == " gave " else "") + said[named.end() :]
    return {"law": finding.law, "env": finding.place, "passed": finding.passed, "method": method, "said": said}
