"""Compare seeds alone, together, and on one and two threads, with every player's default sizes.

The tests do so after short trainings. As a program it runs whole trainings of every memory and every preset, and a
few thousand steps of every agent, and prints each difference (minutes to an hour):

    python -m tests.laws.full_size [memories|agents] [NAME ...] [--updates N]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from simulator.checks.comparison import differences
from simulator.config import presets
from simulator.config.presets import find_memory, memory_presets
from simulator.config.run import build
from simulator.core import registry, rng
from simulator.core.jit import set_threads
from simulator.training.loop import Session
from tests.laws.players import can_play, home

SEEDS = [0, 1, 2]
PATTERNS = 20
PICTURES = "rooms in pictures"
CONVOLUTIONAL = ("dqn", "reinforce")  # agents whose networks see pictures, by torch
CORRUPTION = ("flip:0.2", "erase:0.5", "block:0.5")


def memories() -> list[str]:
    """Name every memory, and every preset of one."""
    return [*registry.names("memories"), *memory_presets()]


def agents() -> list[tuple[str, str]]:
    """Name every agent with an environment, and every preset with no environment of its own."""
    homes = {name: home(name) for name in registry.names("agents")}
    found = [(name, env) for name, env in homes.items()]
    found += [(name, "CartPole-v1") for name in homes if can_play(name, "CartPole-v1")]
    found += [(name, PICTURES) for name in homes if name in CONVOLUTIONAL]
    return [*found, *((each.name, "") for each in presets.every()[0])]


def fewer(config: Any, updates: int) -> Any:
    """Return a memory's settings with few updates and iterations of recall, nested ones too; 0 changes nothing.

    What rounds differently does so in the first ones; updates that follow the size of the task are as few.
    """
    found: dict[str, Any] = {}
    for name in ("updates", "pretrain_updates", "max_iters", "latent_steps"):
        if updates and hasattr(config, name):
            found[name] = min(updates, getattr(config, name) or updates)
    for name, inner in vars(config).items():
        if hasattr(inner, "__dataclass_fields__"):
            found[name] = fewer(inner, updates)
    return replace(config, **found) if found else config


def remembered(name: str, seed_list: list[int], threads: int, updates: int) -> Any:
    """Train a memory on digits and return all its outputs: weights, restorations, energies, codes."""
    player, config = find_memory(name)
    challenge = registry.load("challenges", "digits")
    set_threads(threads)
    try:
        drawer = challenge.make(seed_list, challenge.Config())
        memory = player.make(drawer.spec, seed_list, fewer(config, updates))
        patterns = drawer.draw(PATTERNS, 0).stored
        memory.store(patterns)
        found = {"state": memory.state(), "energy": memory.energy(patterns)}
        if hasattr(memory, "codes"):
            found["codes"] = memory.codes(patterns)
        for corruption in CORRUPTION:
            channel = registry.corruption_model(corruption, drawer.spec)
            cues = channel.corrupt(patterns, patterns, rng.generators(seed_list, "corruption"))
            asked = (cues.values, cues.known, channel.evidence(cues))
            found[corruption] = memory.recall(*asked)._asdict()
        if hasattr(memory, "generate"):
            found["generate"] = memory.generate(5)
    finally:
        set_threads(1)
    return found


def trained(name: str, env: str, seed_list: list[int], threads: int, steps: int) -> Any:
    """Train an agent with its own settings and return its state; ``dqn`` begins to learn early enough."""
    values: dict[str, Any]
    if env == PICTURES:
        values = {"agent": {"name": name}, "env": {"name": "rooms", "observation": "pixels"}}
        steps = min(steps, 80)
    elif env:
        values = {"agent": {"name": name}, "env": {"name": env}}
    else:
        preset = presets.find(name)
        name = preset.agent
        values = {
            "agent": {"name": name, **preset.agent_settings},
            "env": {"name": preset.env, **preset.env_settings},
        }
    if name == "dqn":
        values["agent"] |= {
            "learning_starts": min(
                steps - 5 if env == PICTURES else steps // 2, values["agent"].get("learning_starts", steps)
            )
        }
    try:
        one = Session(
            build(
                values
                | {
                    "seeds": len(seed_list),
                    "first_seed": seed_list[0],
                    "steps": 10**6,
                    "threads": threads,
                    "eval_episodes": 2,
                }
            )
        )
        one.play(steps)
        found = {"state": one.state(), "evaluation": one.evaluator().evaluate(one.agent, steps).returns}
    finally:
        set_threads(1)
    return found


def apart(together: Any, alone: Any, i: int, n: int, place: str = "") -> Iterator[str]:
    """Name the places where seed number i of n differs from the same seed alone."""
    if isinstance(alone, dict):
        for key in alone:
            yield from apart(together[key], alone[key], i, n, f"{place}.{key}" if place else str(key))
    elif isinstance(alone, np.ndarray) and together.ndim and len(together) == n and len(alone) == 1:
        yield from differences(together[i], alone[0], place)
    elif isinstance(alone, list | tuple) and (len(together), len(alone)) == (n, 1):
        yield from differences(together[i], alone[0], place)
    elif isinstance(alone, list | tuple):
        for k, (here, there) in enumerate(zip(together, alone, strict=True)):
            yield from apart(here, there, i, n, f"{place}[{k}]")
    else:
        yield from differences(together, alone, place)


def broken(play: Callable[[list[int], int], Any]) -> list[str]:
    """Name the results of ``play(seeds, threads)`` that depend on other seeds or on threads."""
    n, together = len(SEEDS), play(SEEDS, 1)
    found = [f"2 threads: {line}" for line in differences(together, play(SEEDS, 2))]
    for i, seed in enumerate(SEEDS):
        found += [f"seed {seed} alone: {line}" for line in apart(together, play([seed], 1), i, n)]
    return found


def main(words: list[str]) -> int:
    """Run them, print the differences, and return the number of players that differ."""
    updates = int(words[words.index("--updates") + 1]) if "--updates" in words else 0
    named = [word for word in words if not word.startswith("--") and not word.isdigit()]
    kinds = [word for word in named if word in ("memories", "agents")] or ["memories", "agents"]
    names = [word for word in named if word not in ("memories", "agents")]
    plays: list[tuple[str, Callable[[list[int], int], Any]]] = []
    if "memories" in kinds:
        plays += [(name, lambda s, t, name=name: remembered(name, s, t, updates)) for name in memories()]
    if "agents" in kinds:
        steps = updates or 3_000
        plays += [(f"{n} {w}".strip(), lambda s, t, n=n, w=w: trained(n, w, s, t, steps)) for n, w in agents()]
    bad = 0
    for name, play in plays:
        if names and name not in names:
            continue
        began, lines = time.perf_counter(), broken(play)
        bad += bool(lines)
        print(f"{name}: {len(lines)} differences ({time.perf_counter() - began:.0f} s)", *lines[:6], sep="\n    ")
        sys.stdout.flush()
    print(f"{bad} of {len(plays)} players differ")
    return bad


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
