"""``engram demo``: the main job in half a minute.

Three agents learn two sets of rooms, beside the exact optimum; memories repair digits, beside the exact ceiling; and a
small tournament says who is better and how sure that is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from simulator import console
from simulator.config import recall
from simulator.config import tournament as tournament_config
from simulator.config.run import RunConfig, build
from simulator.core.jit import compile_seconds
from simulator.core.mdp.solve import policy_evaluation, start_value, value_iteration
from simulator.core.protocols import AgentView, Array
from simulator.recall import loop, summary
from simulator.reporting import recall as recall_tables
from simulator.reporting import tournament
from simulator.statistics import estimates
from simulator.store.cell_store import CellStore
from simulator.store.run_store import Store
from simulator.tournaments import loop as host
from simulator.tournaments import summary as verdict
from simulator.tournaments.workers.local import Here
from simulator.training import loop as engine

SEEDS = 16
AGENTS: dict[str, dict[str, Any]] = {
    "Q-learning": {"name": "q_learning", "target": "max"},
    "Sarsa": {"name": "q_learning", "target": "sarsa"},
    "TD(0)": {"name": "td"},
}
ENVS: dict[str, tuple[dict[str, Any], float, int]] = {  # settings, discount per step, environment steps per seed
    "the six rooms": ({"name": "rooms", "layout": "six"}, 0.8, 20_000),
    "the four rooms": ({"name": "rooms", "layout": "four"}, 0.9, 120_000),
}
MEMORIES = ("nearest", "modern_hopfield", "hopfield-flow", "hopfield", "keep_cue")
CONTEST = {"patterns": [20], "corruption": ["flip:0.2"]}  # of their digits
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
NEXT = {
    "engram run q_learning rooms --env.layout four": "the same, watched while it learns",
    "engram run q_learning rooms --help": "every setting of both players",
    "engram solve rooms --gamma 0.8": "the exact optimum of the six rooms",
    "engram recall nearest rbm autoencoder digits": "trained memories repair digits",
    "engram tournament --init": "a tournament of your own",
    "engram list": "who there is",
    "engram list runs": "what is stored by now",
    "engram show latest": "one run, with its settings",
}


class Demo(NamedTuple):
    """What was played."""

    data: dict[str, Any]  # the JSON object of the command
    picture: AgentView | None  # what Q-learning's first seed thinks of the four rooms


def play(lab: str) -> Demo:
    """Play every agent in every environment, into the lab, and judge what each seed learned by exact evaluation."""
    began, rows, picture = time.perf_counter(), [], None
    with Store(lab) as store:
        for env, (settings, gamma, steps) in ENVS.items():
            for agent, own in AGENTS.items():
                fading = {"level": 1.0, "last": 0.0, "steps": steps * 5 // 6}  # epsilon from all to none
                learner = {**own, "gamma": gamma, "explore": fading}
                config = build({"seeds": SEEDS, "steps": steps, "agent": learner, "env": settings})
                last = None
                for last in engine.run(config, store):  # noqa: B007 - only the last one counts
                    pass
                assert last is not None
                values, best = judge(config, store, last.run, gamma)
                rows.append(_row(env, agent, last, values, best))
                console.print_status(f"{last.run}: {agent} has learned {env}")
                if agent == "Q-learning":
                    picture = last.picture
        memories = _contest(store)
        console.print_status(f"{memories['run']}: memories have repaired digits")
    standings = _tournament(lab)
    console.print_status(f"{standings['tournament']}: agents have met in a tournament")
    seconds = {"seconds": time.perf_counter() - began, "compile_seconds": compile_seconds()}
    contests = {"recall": memories, "tournament": standings}
    return Demo({"seeds": SEEDS, "rows": rows, **contests, **seconds}, picture)


def _contest(store: Store) -> dict[str, Any]:
    """Let memories repair digits; what it came to."""
    players = {"memory": {name.replace("-", "_"): {"name": name} for name in MEMORIES}, "challenge": {"name": "digits"}}
    for last in loop.recall(recall.build({**CONTEST, "seeds": SEEDS, **players}), store):
        run = last.run
    return summary.summary(store, run)


def _tournament(lab: str) -> dict[str, Any]:
    """Let agents meet in a small tournament, and write its report beside it; what it came to."""
    from simulator.reporting.html_page import write_page

    with CellStore(lab) as store:
        for last in host.play(tournament_config.build(TOURNAMENT), store, lambda n: Here()):
            name = last.tournament
        found = verdict.summary(store, name)
    path = Path(lab) / f"{name}.html"
    try:
        write_page(found, path, in_lab=True)
    except ValueError as error:  # somebody's own file is there: the contests were played all the same
        console.print_status(f"engram: no report was written: {error}")
        return {**found, "report": None}
    return {**found, "report": str(path)}


def judge(config: RunConfig, store: Store, run: str, gamma: float) -> tuple[Array, float]:
    """What a stored run's greedy policies are worth from the start, [S], and the best possible, by exact evaluation."""
    session, saved = engine.Session(config), store.newest(run)
    assert saved is not None
    session.restore(saved.state)
    spec = session.env.spec
    assert spec.mdp is not None
    probs = session.agent.policy().probs(spec.state_obs)  # [S, N, A]
    assert probs is not None
    values = [start_value(spec.mdp, policy_evaluation(spec.mdp, each, gamma)) for each in probs]
    return np.array(values), value_iteration(spec.mdp, gamma).start_value


def show(data: Mapping[str, Any], picture: AgentView | None, draw: Callable[[AgentView], None]) -> None:
    """Print what was played, a map, and what to type next."""
    title = f"what {data['seeds']} seeds of each learned: discounted value of the start, 95 % intervals over seeds"
    columns = ("env", "agent", "learned", "best possible", "seeds at it", "steps per second", "run")
    rows = [
        [
            each["env"],
            each["agent"],
            console.interval(each["value"], each["low"], each["high"]),
            each["best"],
            f"{each['at_best']} of {data['seeds']}",
            round(each["steps_per_second"]),
            each["run"],
        ]
        for each in data["rows"]
    ]
    console.print_table(title, columns, rows)
    if picture is not None:
        console.print_result("\nWhat the first seed of Q-learning thinks of the four rooms: values and best moves")
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
    console.print_result(f"\nThat took {spent}. Next:")
    for command, about in NEXT.items():
        console.print_result(f"  {command:<48} {about}")


def _row(env: str, agent: str, last: Any, values: Array, best: float) -> dict[str, Any]:
    low, high = estimates.confidence_interval(values)
    return {
        "env": env,
        "agent": agent,
        "run": last.run,
        "value": estimates.iqm(values),
        "low": low,
        "high": high,
        "best": best,
        "at_best": int((values >= best * (1 - 1e-6)).sum()),
        "per_seed": values,
        "steps_per_second": len(values) * last.steps / last.seconds,
    }
