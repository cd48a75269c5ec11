"""Codes of four rooms seen as pixels: how much of the optimal values, and of the optimal actions, is linear in them.

Four rooms of 13 by 13 squares, 104 cells, discount .9. Every cell is the goal once, with a reward of 1 on arrival,
which ends the episode, and V* is exact. V* of each goal is fitted by least squares with k features and a constant.
Given are:

* ``explained``: share of the variance of V* over the cells, the mean over all goals;
* ``optimal``: share of the cells in which the one-step greedy action by the fitted values, with the true model, is
  optimal, the mean over all goals; of several best actions the share of optimal ones counts;
* ``apart``: share of the cells that no other cell comes nearer to than .1, in standard deviations of the features over
  the cells;
* ``restored``: share of the cells whose restored picture is, without the mean picture, most like the cell's own; of the
  codes that a network decodes;
* ``cpu_seconds``: to fit the code of one seed, of 16 that are fitted side by side on one thread.

The codes are those of the tournament preset ``codes``, learned from 1,000 steps of random play of every seed; beside
them stand the same networks with dense layers. They are means over 16 seeds with 95 % bootstrap intervals. Bounds know
the graph of cells: eigenvectors of its Laplacian, which are those of the successor representation of uniform play.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.common.encoders.learned_torch import PictureCode
from envs import rooms
from memory.autoencoder.model_torch import Autoencoder
from memory.common.networks.layers_torch import mlp
from memory.conv_autoencoder.model_torch import Encoded
from simulator.config.codec import assemble
from simulator.config.tournament import TournamentConfig, preset
from simulator.core import registry
from simulator.core.components import Component
from simulator.core.embeddings.graph import adjacency_of, laplacian_eigenvectors
from simulator.core.jit import set_threads
from simulator.core.mdp.model import FiniteMDP, policy_chain, transitions, uniform_policy
from simulator.core.mdp.solve import value_iteration
from simulator.core.protocols import Array
from simulator.statistics.estimates import confidence_interval
from simulator.tournaments.plan import pairs_of

GAMMA = 0.9
SEEDS = list(range(16))
COLLECT = 1_000  # steps of random play, as the encoders' own default
NEAR = 0.1
DRAWN = {
    "laplacian-4": "Laplacian",
    "pca-4": "PCA",
    "projection-4": "projection",
    "untrained-4": "untrained",
    "autoencoder-4": "autoencoder",
}
ALL = "all"  # the column of what has a size of its own


def main(json: bool) -> dict[str, Any]:
    """Measure every code, bound and control at every size."""
    set_threads(1)
    goals = every_goal()
    tournament = assemble(TournamentConfig, [preset("codes")])
    pairs = pairs_of(tournament)
    env = rooms.make(SEEDS, pairs[0].config.env_settings)
    pictures = env.spec.state_obs
    played = random_play(env)
    encoders = {}
    for pair in pairs:
        encoder = pair.config.agent_settings.encoder
        if encoder is not None and encoder.name != "true_state":
            encoders[tournament.contestants[pair.contestant].label] = encoder
    sizes = sorted({int(label.rpartition("-")[2]) for label in encoders})
    laplacian = laplacian_eigenvectors(adjacency_of(goals[0]))
    representation = successor_eigenvectors(goals)
    patterns = pictures[:, 1::3, 1::3].reshape(len(pictures), -1)  # the middle of every square
    found: dict[str, Any] = {
        "true state": {ALL: measured(goals, [np.eye(len(pictures))])},
        "pixels": {ALL: measured(goals, [patterns])},
        "Laplacian": {str(k): measured(goals, [laplacian[:, 1 : 1 + k]]) for k in sizes},
        "successor representation": {str(k): measured(goals, [representation[:, 1 : 1 + k]]) for k in sizes},
    }
    if not json:
        print(__doc__.splitlines()[0] if __doc__ else "")
        for row, by_size in found.items():
            for size, numbers in by_size.items():
                print(f"{row:>24} {size:>3}  {_shown(numbers)}")
    for label, encoder in with_dense(encoders).items():
        row, _, k = label.rpartition("-")
        found.setdefault(row, {})[k] = taught(encoder, env.spec, played, goals)
        if not json:
            print(f"{row:>24} {k:>3}  {_shown(found[row][k])}", flush=True)
    return found


def with_dense(encoders: dict[str, Component]) -> dict[str, Component]:
    """Add the networks with dense layers in place of convolutions."""
    dense = {}
    for label, encoder in encoders.items():
        if hasattr(encoder.settings, "network"):
            row, _, k = label.rpartition("-")
            settings = dataclasses.replace(encoder.settings, network="dense")
            dense[f"{row}, dense-{k}"] = Component(encoder.name, settings)
    return {**encoders, **dense}


def _shown(found: dict[str, Any]) -> str:
    return "  ".join(
        f"{name} {each['mean']:.2f} [{each['low']:.2f}, {each['high']:.2f}]" for name, each in found.items()
    )


def every_goal() -> list[FiniteMDP]:
    """Make the four rooms with the goal in each of their cells in turn."""
    scene = rooms.make([0], rooms.Config(layout="four")).scene(0)
    state_of = {(int(row), int(column)): state for state, (row, column) in enumerate(scene.places)}
    n_states = len(state_of)
    moves = ((-1, 0), (0, 1), (1, 0), (0, -1))
    following = np.array(
        [
            [state_of.get((row + down, column + right), state) for down, right in moves]
            for (row, column), state in state_of.items()
        ]
    )[..., None]
    goals = []
    for goal in range(n_states):
        arrives = following == goal
        arrives[goal] = False  # its own moves are none of the task, and lead on to neighbours
        goals.append(
            FiniteMDP(
                prob=np.ones(following.shape),
                next=following,
                reward=arrives.astype(np.float64),
                end=arrives.astype(np.uint8),
                start=np.full(n_states, 1.0 / n_states),
                legal=np.ones(following.shape[:2], np.bool_),
            )
        )
    return goals


def successor_eigenvectors(goals: list[FiniteMDP]) -> Array:
    """Compute the eigenvectors of uniform play's successor representation, largest eigenvalue first: [N, N]."""
    chain = policy_chain(uniform_policy(goals[0]), transitions(goals[0], ())).toarray()
    representation = np.linalg.inv(np.eye(len(chain)) - GAMMA * chain)
    return np.linalg.eigh((representation + representation.T) / 2.0)[1][:, ::-1]


def random_play(env: Any) -> Array:
    """Observe uniformly random play of every seed, [T, S, *obs]."""
    generators = [np.random.default_rng(seed) for seed in SEEDS]
    obs = [env.reset()]
    while len(obs) < COLLECT:
        obs.append(env.step(np.array([generator.integers(4) for generator in generators])).obs)
    return np.stack(obs)


def taught(component: Component, spec: Any, played: Array, goals: list[FiniteMDP]) -> dict[str, Any]:
    """Let an encoder of every seed learn from random play, and measure its features of all cells."""
    encoder = registry.load("components", component.name).make(component.settings).encoder(spec, SEEDS)
    began = time.process_time()
    for t, obs in enumerate(played):
        encoder.learn(obs, t + 1)
    seconds = (time.process_time() - began) / len(SEEDS)
    found = measured(goals, list(encoder.features(spec.state_obs)))
    if hasattr(component.settings, "network"):
        found["restored"] = _interval(restored(encoder, spec.state_obs))
    return {**found, "cpu_seconds": _interval(np.array([seconds]))}


def restored(encoder: Any, pictures: Array) -> Array:
    """Compute the share of pictures that each seed's network restores more like itself than like any other, [S]."""
    patterns = encoder._adapter.encode(pictures)
    with torch.no_grad():
        logits = decoded(encoder._code, np.repeat(patterns[None], len(SEEDS), axis=0)).numpy()
    own = patterns - patterns.mean(axis=0)
    likeness = (logits - logits.mean(axis=1, keepdims=True)) @ own.T  # [S, B, B]
    return np.asarray((likeness.argmax(axis=2) == np.arange(len(own))).mean(axis=1))


def decoded(code: Any, patterns: Array) -> Any:
    """Restore patterns [S, B, N] by the networks of a code: logits [S, B, N]."""
    network, weights = code._network, code._weights
    codes = network.codes(weights, torch.from_numpy(np.ascontiguousarray(patterns)))
    if isinstance(network, PictureCode):
        return network._layers.decode(weights, Encoded(codes, []))
    return network.decode(weights, codes).output if isinstance(network, Autoencoder) else mlp(weights, "decoder", codes)


def measured(goals: list[FiniteMDP], features: list[Array]) -> dict[str, Any]:
    """Measure the features [N, k] of every seed: mean, and interval over seeds."""
    parts = [quality(goals, each.astype(np.float64)) for each in features]
    return {name: _interval(np.array([part[name] for part in parts])) for name in parts[0]}


def _interval(values: Array) -> dict[str, float]:
    mean = float(values.mean())
    if np.ptp(values) == 0.0:
        return {"mean": mean, "low": mean, "high": mean}
    interval = confidence_interval(values, np.mean)
    return {"mean": mean, "low": float(interval.low), "high": float(interval.high)}


def quality(goals: list[FiniteMDP], features: Array) -> dict[str, float]:
    """Fit V* of every goal by features [N, k] and a constant; see the top of this file."""
    n_states = len(features)
    inputs = np.column_stack([np.ones(n_states), features])
    fit = inputs @ np.linalg.pinv(inputs)
    explained, optimal = [], []
    for goal, mdp in enumerate(goals):
        value, best = _solved(goal, mdp)
        fitted = fit @ value
        explained.append(1.0 - ((value - fitted) ** 2).sum() / ((value - value.mean()) ** 2).sum())
        q = mdp.reward[..., 0] + GAMMA * (mdp.end[..., 0] == 0) * fitted[mdp.next[..., 0]]
        chosen = q >= q.max(axis=1, keepdims=True) - 1e-9
        share = (chosen & best).sum(axis=1) / chosen.sum(axis=1)
        optimal.append(np.delete(share, goal).mean())
    return {
        "explained": float(np.mean(explained)),
        "optimal": float(np.mean(optimal)),
        "apart": _apart(features),
    }


_SOLVED: dict[int, tuple[Array, Array]] = {}


def _solved(goal: int, mdp: FiniteMDP) -> tuple[Array, Array]:
    """Solve the rooms with this goal once: V* [N], with 0 at the goal, and the best actions bool [N, A]."""
    if goal not in _SOLVED:
        solution = value_iteration(mdp, GAMMA)
        value = solution.q.max(axis=1)
        value[goal] = 0.0  # play has ended there
        _SOLVED[goal] = (value, solution.greedy)
    return _SOLVED[goal]


def _apart(features: Array) -> float:
    spread = features.std(axis=0)
    units = features / np.where(spread > 1e-9, spread, 1.0)
    distance = np.sqrt(((units[:, None] - units[None]) ** 2).sum(axis=-1))
    np.fill_diagonal(distance, np.inf)
    return float((distance.min(axis=1) > NEAR).mean())


def draw(path: str) -> None:
    """Draw the first four features of some codes over the map, of the first seed: ``docs/pictures/codes.svg``."""
    from matplotlib.figure import Figure

    from simulator.reporting.figures import save, style

    tournament = assemble(TournamentConfig, [preset("codes")])
    chosen = {tournament.contestants[pair.contestant].label: pair.config for pair in pairs_of(tournament)}
    config = chosen["pca-4"]
    env = rooms.make(SEEDS, config.env_settings)
    played = random_play(env)
    places = np.array(env.scene(0).places)
    with style():
        figure = Figure(figsize=(6.4, 7.9), layout="constrained")
        axes = figure.subplots(len(DRAWN), 4)
        for row, (label, title) in zip(axes, DRAWN.items(), strict=True):
            component = chosen[label].agent_settings.encoder
            encoder = registry.load("components", component.name).make(component.settings).encoder(env.spec, SEEDS)
            for t, obs in enumerate(played):
                encoder.learn(obs, t + 1)
            features = encoder.features(env.spec.state_obs)[0]
            row[0].set_ylabel(title)
            for axis, feature in zip(row, features.T, strict=True):
                picture = np.full((places.max() + 2,) * 2, np.nan)
                picture[places[:, 0], places[:, 1]] = feature
                largest = np.abs(feature).max()
                axis.imshow(picture, cmap="RdBu", vmin=-largest, vmax=largest)
                axis.set(xticks=[], yticks=[], facecolor="0.6")
        save(figure, Path(path), force=True)
