"""Models of a maze: how long its episodes become with each, and how far each is from the maze's own transitions.

The contest itself is ``engram tournament --preset imagination``; the models are those of its file, in its two mazes.

* Steps per episode: the contest's agents, means over its seeds with 95 % bootstrap intervals. An episode is cut after
  ``EPISODE_LIMIT`` steps; one that a seed did not finish within ``SLOW_RUN_STEPS`` of a run counts as cut,
  which happens with generative models alone.
* Error of the model, apart from any agent: each learns from the same random walk of ``WALK`` steps, and then generates
  ``IMAGINED`` transitions. What a table learned is what replay kept, but it draws every pair (s, a) alike.

=================  ====================================================================================================
column             meaning
=================  ====================================================================================================
total variation    of what follows s, a (next state, end): half the sum of abs(p' - p), mean over the pairs imagined
impossible         share of imagined transitions that the maze does not have
reward error       mean abs(r' - r) over those that it has
coverage           share of the maze's pairs (s, a) that were imagined at least once
effective pairs    exponential of the entropy of the pairs imagined, over the number of pairs: 1 where all are alike
=================  ====================================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from simulator.config import tournament
from simulator.config.run import build
from simulator.core import registry
from simulator.core.jit import set_threads
from simulator.core.mdp.model import GOES_ON, TERMINATES
from simulator.core.protocols import Array
from simulator.statistics.estimates import confidence_interval
from simulator.training.loop import Session
from tests.benchmarks._clock import show

EPISODES, EPISODE_LIMIT = (1, 2, 3, 5, 10), 5_000
RUN_STEPS, SLOW_RUN_STEPS = 100_000, 5_000  # of agents that train by compiled rollouts, and step by step
WALK, IMAGINED, CHUNK = 4_000, 20_000, 5_000
RUN = {"steps": 10**12, "threads": 1}


class Walk(NamedTuple):
    """Transitions of S random walks of n steps, [n, S], and the environment that they are from."""

    steps: list[tuple[Array, Array, Array, Array, Array]]  # as a model learns them
    spec: Any
    seed_list: list[int]


class Outcomes(NamedTuple):
    """Imagined or true outcomes of one seed: next state * 2, plus 1 where the episode terminates."""

    share: Array  # [N A, 2 N], of all transitions
    reward: Array  # [N A, 2 N], mean


def main(json: bool) -> dict[str, Any]:
    """Tables of the steps per episode and of the errors, a row for each maze and model."""
    contest = tournament.build(tournament.preset("imagination").values)
    set_threads(1)
    found = {"steps_per_episode": steps_per_episode(contest), "model_error": errors(contest)}
    show(
        __doc__, {table: {row: _means(columns) for row, columns in rows.items()} for table, rows in found.items()}, json
    )
    return found


def _means(columns: dict[str, dict[str, float]]) -> dict[str, float]:
    return {name: interval["mean"] for name, interval in columns.items()}


def steps_per_episode(contest: tournament.TournamentConfig) -> dict[str, Any]:
    """Mean steps of some episodes, by maze and agent."""
    found: dict[str, Any] = {}
    for entry in contest.challenges:
        for contestant in contest.contestants:
            if contestant.name != "q_learning":
                continue
            env = {"name": entry.name, **entry.settings, "max_steps": EPISODE_LIMIT}
            agent = {"name": contestant.name, **contestant.settings}
            session = Session(build({**RUN, "seeds": contest.seeds, "agent": agent, "env": env}))
            lengths = _lengths(session, contest.seeds)
            found[f"{entry.label}, {contestant.label}"] = {f"episode {n}": _mean(lengths[:, n - 1]) for n in EPISODES}
    return found


def _lengths(session: Session, n_seeds: int) -> Any:
    """Return the steps of the first episodes of every seed, [S, E]; ``EPISODE_LIMIT`` where one did not end in time."""
    ends: list[list[int]] = [[0] for _ in range(n_seeds)]
    n_steps = RUN_STEPS if hasattr(session.agent, "rollout") else SLOW_RUN_STEPS
    for t, ended in enumerate(_played(session), start=1):
        for i in np.flatnonzero(ended):
            ends[i].append(t)
        if t == n_steps or min(map(len, ends)) > max(EPISODES):
            break
    lengths = np.full((n_seeds, max(EPISODES)), float(EPISODE_LIMIT))
    for i, times in enumerate(ends):
        known = np.diff(times)[: max(EPISODES)]
        lengths[i, : len(known)] = known
    return lengths


def _played(session: Session) -> Iterator[Any]:
    """Train step by step, or by rollouts where there are some; yields which seeds' episodes ended, bool [S]."""
    env = session.env
    agent = session.agent
    if hasattr(agent, "rollout"):
        while True:
            yield from agent.rollout(env.env_batch, 100).ended.T
    obs = env.reset()
    while True:
        actions = agent.act(obs)
        step = env.step(actions)
        agent.learn(obs, actions, step)
        obs = step.obs
        yield step.terminated | step.truncated


def errors(contest: tournament.TournamentConfig) -> dict[str, Any]:
    """Errors of what is imagined after a random walk, by maze and model."""
    models = {
        contestant.label.rpartition("-")[0]: contestant.settings["model"]
        for contestant in contest.contestants
        if "model" in contestant.settings
    }
    found: dict[str, Any] = {}
    for entry in contest.challenges:
        env = {"name": entry.name, **entry.settings}
        walk = _walk({**RUN, "seeds": contest.seeds, "agent": {"name": "random_walk"}, "env": env}, WALK)
        truth = _truth(walk.spec.mdp)
        for name in ("replay", "dyna", "gan", "vae"):
            each = [_error(imagined, truth) for imagined in _imagined(name, models[name], walk)]
            found[f"{entry.label}, {name}"] = {key: _mean([one[key] for one in each]) for key in each[0]}
    return found


def _walk(run: dict[str, Any], n: int) -> Walk:
    session = Session(build(run))
    env = session.env
    obs = env.reset()
    steps = []
    for _ in range(n):
        actions = session.agent.act(obs)
        step = env.step(actions)
        steps.append((obs.copy(), actions.copy(), step.reward.copy(), step.final_obs.copy(), step.terminated.copy()))
        obs = step.obs
    return Walk(steps, env.spec, list(range(run["seeds"])))


def _truth(mdp: Any) -> Outcomes:
    """Return the maze's own outcomes, with every pair that can be met as often."""
    met = np.zeros(len(mdp.start), bool)
    met[mdp.start > 0] = True
    while True:
        leads = (mdp.prob > 0) & met[:, None, None] & (mdp.end == GOES_ON)
        reached = np.unique(mdp.next[leads])
        if met[reached].all():
            break
        met[reached] = True
    n_states, n_actions, _ = mdp.prob.shape
    share = np.zeros((n_states * n_actions, 2 * n_states))
    reward = np.zeros_like(share)
    for state, action, k in np.argwhere((mdp.prob > 0) & met[:, None, None]):
        code = 2 * mdp.next[state, action, k] + (mdp.end[state, action, k] == TERMINATES)
        share[state * n_actions + action, code] += mdp.prob[state, action, k]
        reward[state * n_actions + action, code] = mdp.reward[state, action, k]
    return Outcomes(share / share.sum(), reward)


def _imagined(name: str, model: dict[str, Any], walk: Walk) -> Iterator[Outcomes]:
    """Yield what every seed's model imagines after the walk."""
    if name in ("replay", "dyna"):
        for i in range(len(walk.seed_list)):
            pair, code, reward = (np.array(part) for part in zip(*_kept(walk, i), strict=True))
            outcomes = _counted(walk.spec, pair, code, reward)
            tried = outcomes.share.sum(axis=1, keepdims=True)
            alike = outcomes.share / np.where(tried > 0, tried, 1.0) / (tried > 0).sum()
            yield outcomes if name == "replay" else Outcomes(alike, outcomes.reward)
        return
    plugin = registry.load("components", name)
    settings = {key: value for key, value in model.items() if key != "name"}
    learned = plugin.make(plugin.Config(**settings)).transition_model(walk.spec, walk.seed_list)
    for step in walk.steps:
        learned.learn(*step)
    made = [learned.imagine(CHUNK) for _ in range(IMAGINED // CHUNK)]
    n_actions = walk.spec.action.n
    for i in range(len(walk.seed_list)):
        obs, action, reward, next_obs, done = (np.concatenate([each[k][i] for each in made]) for k in range(5))
        yield _counted(walk.spec, obs * n_actions + action, 2 * next_obs + done, reward)


def _kept(walk: Walk, i: int) -> Iterator[tuple[int, int, float]]:
    for obs, action, reward, next_obs, done in walk.steps:
        yield obs[i] * walk.spec.action.n + action[i], 2 * next_obs[i] + done[i], reward[i]


def _counted(spec: Any, pair: Array, code: Array, reward: Array) -> Outcomes:
    counts = np.zeros((spec.observation.n * spec.action.n, 2 * spec.observation.n))
    total = np.zeros_like(counts)
    np.add.at(counts, (pair, code), 1.0)
    np.add.at(total, (pair, code), reward)
    return Outcomes(counts / len(pair), total / np.maximum(counts, 1.0))


def _error(imagined: Outcomes, truth: Outcomes) -> dict[str, float]:
    of_pair = imagined.share.sum(axis=1)
    exists = truth.share.sum(axis=1) > 0
    p = imagined.share / np.where(of_pair > 0, of_pair, 1.0)[:, None]
    q = truth.share / np.where(exists, truth.share.sum(axis=1), 1.0)[:, None]
    variation = np.where(exists, np.abs(p - q).sum(axis=1) / 2.0, 1.0)  # a pair that does not exist is all wrong
    possible = (truth.share > 0) * imagined.share
    drawn = of_pair[of_pair > 0]
    return {
        "total variation": float((of_pair * variation).sum()),
        "impossible": max(0.0, float(1.0 - possible.sum())),
        "reward error": float((possible * np.abs(imagined.reward - truth.reward)).sum() / max(possible.sum(), 1e-12)),
        "coverage": float((of_pair[exists] > 0).mean()),
        "effective pairs": float(np.exp(-(drawn * np.log(drawn)).sum()) / exists.sum()),
    }


def _mean(values: Any) -> dict[str, float]:
    """Return the mean over seeds and its interval."""
    each = np.asarray(values, np.float64)
    interval = confidence_interval(each, np.mean)
    low, high = (float(each.mean()) if bound is None or np.isnan(bound) else float(bound) for bound in interval)
    return {"mean": float(each.mean()), "low": low, "high": high}
