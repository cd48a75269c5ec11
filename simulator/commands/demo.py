"""``engram demo``: train agents, benchmark memories and run a small tournament in half a minute.

In a terminal it begins with a few seconds of one run to watch: Q-learning at the cliff, slow at first. Any key skips
it. Three agents learn two sets of rooms, beside the exact optimum; memories recall corrupted digits, beside the
Bayes-optimal ceiling; and a small tournament ranks agents, with confidence intervals.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from simulator import console
from simulator.commands.parsing.command import Command, CommandResult, ParsedArgs, lab_of
from simulator.config import recall
from simulator.config import tournament as tournament_config
from simulator.config.run import RunConfig, build
from simulator.core.jit import compile_seconds
from simulator.core.mdp.model import start_value
from simulator.core.mdp.solve import policy_evaluation, value_iteration
from simulator.core.protocols import AgentView, Array
from simulator.recall import loop, summary
from simulator.reporting import recall as recall_tables
from simulator.reporting import tournament
from simulator.statistics import estimates
from simulator.store.cell_store import CellStore
from simulator.store.run_store import Store
from simulator.tournaments import loop as host
from simulator.tournaments import summary as tournament_summary
from simulator.tournaments.workers.local import Here
from simulator.training import loop as engine

SEEDS = 16


class DemoEnv(NamedTuple):
    """An environment of the demo."""

    settings: dict[str, Any]
    gamma: float  # discount per step
    steps: int  # environment steps per seed


AGENTS: dict[str, dict[str, Any]] = {
    "Q-learning": {"name": "q_learning", "target": "max"},
    "Sarsa": {"name": "q_learning", "target": "sarsa"},
    "TD(0)": {"name": "td"},
}
ENVS = {
    "the six rooms": DemoEnv({"name": "rooms", "layout": "six"}, 0.8, 20_000),
    "the four rooms": DemoEnv({"name": "rooms", "layout": "four"}, 0.9, 120_000),
}
MEMORIES = ("nearest_neighbor", "modern_hopfield", "hopfield-flow", "hopfield", "identity")
RECALL = {"patterns": [20], "corruption": ["flip:0.2"]}  # of their digits
TOURNAMENT: dict[str, Any] = {
    "seeds": SEEDS,
    "steps": 4_000,
    "agent": {
        "Q-learning": {"name": "q_learning"},
        "Sarsa": {"name": "q_learning", "target": "sarsa"},
        "TD(0)": {"name": "td"},
        "random walk": {"name": "random_walk"},
    },
    "env": {
        "four rooms": {"name": "rooms", "layout": "four"},
        "slippery lake": {"name": "FrozenLake-v1"},
        "cliff": {"name": "CliffWalking-v1"},
    },
}
AGAIN = "engram run q_learning rooms --env.layout cliff --steps 3000 --slow 30"
NEXT = {
    AGAIN: "Watch it learn",
    "engram run q_learning rooms --help": "List every setting of both players",
    "engram solve rooms --gamma 0.8": "Compute the exact optimum of the six rooms",
    "engram recall nearest_neighbor rbm autoencoder digits": "Benchmark trained memories",
    "engram tournament --init": "Write a tournament of your own",
    "engram list": "List agents, memories and environments",
    "engram list runs": "List stored runs",
    "engram show latest": "Show one run, with its settings",
}


WATCHED: dict[str, Any] = {
    "seeds": SEEDS,
    "steps": 4_000,
    "agent": {"name": "q_learning"},
    "env": {"name": "rooms", "layout": "cliff"},
}
FIRST_SPEED = 20.0  # environment steps per second of the watched run
DOUBLES_EVERY = 0.8  # seconds; 4,000 steps take about 6


class Demo(NamedTuple):
    """Results of the demo."""

    data: dict[str, Any]  # the JSON object of the command
    picture: AgentView | None  # values and best moves of Q-learning's first seed in the four rooms


def act(args: ParsedArgs) -> CommandResult:
    """Run the demo and print its results."""
    from simulator.commands import solve
    from simulator.commands.live.driver import announce_compiling

    announce_compiling()
    lab = lab_of(args.options)
    if args.options.view == "window":
        from simulator.commands.live import demo_window
        from simulator.views.window.app import check_display

        check_display()
        demo_window.show(lab, args.options.scale)
        return CommandResult(None, lambda data: None)
    if (
        sys.stdout.isatty()
        and sys.stderr.isatty()
        and args.options.view == "terminal"
        and not args.options.json
        and (number := watch(lab))
    ):
        return CommandResult(None, lambda data: None, 128 + number)
    demo = play(lab)
    return CommandResult(demo.data, lambda data: show(data, demo.picture, solve.draw))


def watch(lab: str) -> int:
    """Show one run that learns, slow at first and faster and faster; the number of the signal that ended it, or 0."""
    from simulator.commands import run
    from simulator.commands.live.driver import drive, interruption_line
    from simulator.commands.live.keyboard import Keyboard
    from simulator.commands.live.playback import Playback
    from simulator.views.run import terminal_view

    playback = Playback(FIRST_SPEED, Keyboard.of_terminal(), doubles_every=DOUBLES_EVERY, any_key_skips=True)
    with Store(lab) as store:
        snapshots = engine.run(build(WATCHED), store, label="demo: watched", stride=playback.stride)
        driven = drive(snapshots, terminal_view(controls=playback.controls), run.begun, playback)
        if driven.signal:
            console.print_status(interruption_line(driven, store.lab))
        else:
            console.print_status(f"again: {AGAIN}")
    return driven.signal


def play(lab: str) -> Demo:
    """Train every agent in every environment, into the lab, and evaluate the policy of each seed exactly."""
    began = time.perf_counter()
    rows = []
    picture = None
    with Store(lab) as store:
        for env, (settings, gamma, steps) in ENVS.items():
            for agent, agent_settings in AGENTS.items():
                decay = {"epsilon_start": 1.0, "epsilon_end": 0.0, "decay_steps": steps * 5 // 6}  # epsilon from 1 to 0
                learner = {**agent_settings, "gamma": gamma, "explore": decay}
                config = build({"seeds": SEEDS, "steps": steps, "agent": learner, "env": settings})
                last = None
                for last in engine.run(config, store):  # noqa: B007 - only the last one counts
                    pass
                assert last is not None
                values, best = evaluate(config, store, last.id, gamma)
                rows.append(_row(env, agent, last, values, best))
                console.print_status(f"{last.id}: {agent} has learned {env}")
                if agent == "Q-learning":
                    picture = last.picture
        memories = _recall(store)
        console.print_status(f"{memories['run']}: memories have recalled digits")
    standings = _tournament(lab)
    console.print_status(f"{standings['tournament']}: agents have met in a tournament")
    seconds = {"seconds": time.perf_counter() - began, "compile_seconds": compile_seconds()}
    contests = {"recall": memories, "tournament": standings}
    return Demo({"seeds": SEEDS, "rows": rows, **contests, **seconds}, picture)


def _recall(store: Store) -> dict[str, Any]:
    """Run a recall benchmark of memories on corrupted digits; its summary."""
    players = {"memory": {name.replace("-", "_"): {"name": name} for name in MEMORIES}, "challenge": {"name": "digits"}}
    for last in loop.recall(recall.build({**RECALL, "seeds": SEEDS, **players}), store):
        run = last.id
    return summary.summary(store, run)


def _tournament(lab: str) -> dict[str, Any]:
    """Run a small tournament of agents, and write its report beside it; its summary."""
    from simulator.reporting.html_page import write_page

    with CellStore(lab) as store:
        for last in host.play(tournament_config.build(TOURNAMENT), store, lambda n: Here()):
            name = last.id
        standings = tournament_summary.summary(store, name)
    path = Path(lab) / f"{name}.html"
    try:
        write_page(standings, path, in_lab=True)
    except ValueError as error:  # a foreign file is in the way; the results are stored all the same
        console.print_status(f"engram: no report was written: {error}")
        return {**standings, "report": None}
    return {**standings, "report": str(path)}


def evaluate(config: RunConfig, store: Store, run: str, gamma: float) -> tuple[Array, float]:
    """Evaluate a stored run's greedy policies exactly: values of the start, [S], and the best possible one."""
    session = engine.Session(config)
    saved = store.newest(run)
    assert saved is not None
    session.restore(saved.state)
    spec = session.env.spec
    assert spec.mdp is not None
    probs = session.agent.policy().probs(spec.state_obs)  # [S, N, A]
    assert probs is not None
    values = [start_value(spec.mdp, policy_evaluation(spec.mdp, prob, gamma)) for prob in probs]
    return np.array(values), value_iteration(spec.mdp, gamma).start_value


def show(data: Mapping[str, Any], picture: AgentView | None, draw: Callable[[AgentView], None]) -> None:
    """Print the results, a map, and what to type next."""
    title = f"discounted value of the start: IQM over {data['seeds']} seeds [95 % CI]"
    columns = ("env", "agent", "learned", "best possible", "optimal seeds", "steps per second", "run")
    rows = [
        [
            row["env"],
            row["agent"],
            console.interval(row["value"], row["low"], row["high"]),
            row["best"],
            f"{row['at_best']} of {data['seeds']}",
            round(row["steps_per_second"]),
            row["run"],
        ]
        for row in data["rows"]
    ]
    console.print_table(title, columns, rows)
    if picture is not None:
        console.print_result("\nValues and best moves of the first seed of Q-learning in the four rooms")
        draw(picture)
    console.print_result()
    recall_tables.show_short(data["recall"])
    console.print_result()
    tournament.show(data["tournament"])
    if data["tournament"]["report"] is not None:
        console.print_result(f"its report, one page for any browser: {data['tournament']['report']}")
    spent = f"{data['seconds']:.0f} s" + (
        f", {data['compile_seconds']:.0f} s of it compiling" * (data["compile_seconds"] > 1)
    )
    console.print_result(f"\nThat took {spent}. Next, each line as it stands:")
    program = _program()
    for command, description in NEXT.items():
        console.print_result(f"\n  {description}:")
        console.print_result(f"    {program}{command.removeprefix('engram')}")


def _program() -> str:
    """Return the words that call this Engram in the user's shell: ``engram``, or the path of its script."""
    script = Path(sys.executable).parent / "engram"
    on_path = shutil.which("engram")
    if on_path and (not script.is_file() or os.path.samefile(on_path, script)):
        return "engram"
    if not script.is_file():
        return f"{shlex.quote(sys.executable)} -m simulator"
    inside = script.is_relative_to(Path.cwd())
    return shlex.quote(str(script.relative_to(Path.cwd()) if inside else script))


def _row(env: str, agent: str, last: Any, values: Array, best: float) -> dict[str, Any]:
    low, high = estimates.confidence_interval(values)
    return {
        "env": env,
        "agent": agent,
        "run": last.id,
        "value": estimates.iqm(values),
        "low": low,
        "high": high,
        "best": best,
        "at_best": int((values >= best * (1 - 1e-6)).sum()),
        "per_seed": values,
        "steps_per_second": len(values) * last.steps / last.seconds,
    }


COMMAND = Command(act, options=("view", "scale"), examples=("demo", "demo --lab demo-lab --json", "demo --view window"))
