"""Rooms: grid environments from maps, and graphs of rooms, as finite environments with exact MDPs.

The layouts are ``six`` (the six-room graph that Q-learning is commonly taught with), ``four`` (Sutton, Precup and
Singh 1999), ``corridor``, ``t-maze`` (Bakker 2002), ``key-door``, ``cliff`` (Sutton and Barto 2018, example 6.6),
``dyna-maze`` (Sutton 1990), seeded mazes, and any map or R matrix in a file (:mod:`envs.common.gridworld.map_file`,
:mod:`envs.common.gridworld.graph_file`).

================  =====================================================================
action            meaning
================  =====================================================================
0, 1, 2, 3        on a grid: up, right, down, left; a wall or a closed door stops the walker
                  with ``conveyor``: one step on; at the junction 0 and 3 take the upper arm, 1 and 2 the lower one
j                 in a graph: through the door to room j, which is legal where there is one
================  =====================================================================

On the conveyor of a T-maze (``--env.conveyor true``) actions choose nothing before the junction, so all episodes take
``length`` + 1 steps, and the return is a test of memory alone: 1 with it, exactly 1/2 without. The cue is part of the
first observation and of no other; then each step of the corridor looks the same under both cues.

================  =====================================================================================================
``observation``   contents
================  =====================================================================================================
``index``         Discrete: the state's number
``position``      Box in [0, 1]: coordinates, on a grid also keys held and cue
``onehot``        Box in [0, 1]: one-hot vector of the index
``walls``         Discrete: the blocked directions, and the cue; in a graph the set of doors
``window``        Box in [0, 1], float32 [window, window, planes]: the cells around; grids only
``pixels``        Box in [0, 255], uint8 [height, width, 3]: the whole map
================  =====================================================================================================

=========================================  ============================================================================
event                                      reward and end
=========================================  ============================================================================
a step                                     minus ``step_cost``
a goal                                     what the layout says (100 in ``six``, else 1); an absorbing goal truncates
                                           and keeps its value (graphs), a terminal one terminates (grids)
lava                                       what the layout says (-1); terminates
a move without a door, in a graph          -1, where the action is taken although it is not legal
``max_steps``                              truncates; by default by the layout's size, at least 100
=========================================  ============================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Annotated, Literal, NamedTuple

import msgspec
import numpy as np
from gymnasium import spaces

from envs.common.gridworld import layouts
from envs.common.gridworld.editing import edited
from envs.common.gridworld.graph_file import RoomGraph
from envs.common.gridworld.graph_mdp import make_graph_model
from envs.common.gridworld.grid_observations import make_grid_model
from envs.common.gridworld.layout_model import LayoutModel, LayoutRules, ObservationConfig, ObservationModel, all_legal
from envs.common.gridworld.map_file import REWARD_LIMIT, Map
from envs.common.return_bounds import ReturnBounds, return_bounds
from envs.common.tabular_env import SceneOfState, TabularEnv
from simulator.core import rng
from simulator.core.field_types import CountOrZero, NonNegative, Share
from simulator.core.jit import jit
from simulator.core.mdp.memoryless import memoryless_return
from simulator.core.protocols import Array, CellEdit, EnvSpec, State, Step
from simulator.core.rng_compiled import below, uniform
from simulator.core.scene import Scene
from simulator.core.transition_table import TabularBatch, TransitionTable, make_table


@dataclass(frozen=True)
class Config:
    """Settings of the rooms."""

    layout: str = "six"
    """six, four, corridor, t-maze, key-door, cliff, dyna-maze, maze, or a file: a map, or an R matrix (.toml, .json)"""
    maze_seed: CountOrZero = 0
    """seed of the maze, apart from the seeds of a run"""
    size: CountOrZero = 0
    """cells along a side of four, of a maze (odd) or of the first room of key-door; 0: 13, 15 and 5"""
    length: CountOrZero = 0
    """cells from the start to the goal of a corridor or the junction of a T-maze; 0: 10"""
    conveyor: bool = False
    """carry the walker of a T-maze to its junction, whatever it does: a test of memory alone, without exploration"""
    extra_openings: Share = 0.0
    """fraction of a maze's inner walls that are opened, which makes loops"""
    slip: Share = 0.0
    """probability that a move goes elsewhere; in a graph, through another door of the room"""
    slip_direction: Literal["perpendicular", "uniform"] = "perpendicular"
    """direction of slips on a grid: to either side, or any of the other three"""
    step_cost: NonNegative | None = None
    """subtracted from the reward of every step; none: the layout's own, 1 on the cliff and 0 elsewhere"""
    goal: Literal["layout", "absorbing", "terminal"] = "layout"
    """absorbing: arriving cuts the episode and the goal keeps its value; terminal: no value follows;
    layout: absorbing in graphs, terminal on grids"""
    start: Literal["layout", "fixed", "random"] = "layout"
    """fixed: the places marked S; random: any floor or room, an absorbing goal too; layout: its own way"""
    max_steps: CountOrZero = 0
    """steps after which an episode is truncated; 0: the layout's own, by its size at least 100"""
    observation: Literal["index", "position", "onehot", "walls", "window", "pixels"] = "index"
    """the state's number, its coordinates from 0 to 1, a one-hot vector, the blocked directions, the cells around, or
    the whole map"""
    window: Annotated[int, msgspec.Meta(ge=1, le=31)] = 5
    """cells along a side of the window, odd"""
    xray: bool = False
    """let the window show cells behind walls"""
    cell_pixels: Annotated[int, msgspec.Meta(ge=3, le=64)] = 8
    """pixels along a side of a cell"""
    sensor_noise: Share = 0.0
    """probability that an observation is that of another state"""
    editable: bool = False
    """let cells change while agents learn: every cell of a grid is a state then, walls too"""


class Sensor:
    """Sensor that reports the state, or with probability ``noise`` a uniformly random other one.

    Args:
        seed_list: one stream for each, apart from the environment's.
        noise: probability of a false report.
        n_states: number of states.
    """

    def __init__(self, seed_list: Sequence[int], noise: float, n_states: int) -> None:
        self.stream = rng.pcg64_states(seed_list, "sensor")
        self._noise = noise if n_states > 1 else 0.0
        self._n_states = n_states

    def report(self, states: Array, looks: Array) -> Array:
        """Report on states [S]; only seeds marked by ``looks`` bool [S] draw from their streams."""
        reports = states.copy()
        if self._noise:
            _report(self.stream, reports, looks, self._noise, self._n_states)
        return reports


class PartiallyObservedEnv:
    """A tabular environment whose observations are its states, seen through a sensor and an encoding.

    It offers no ``env_batch``: its observations are no indices of a table.

    Args:
        spec: description of the environment.
        inner: S copies of it.
        render: makes a scene from a state.
        encode: states int64 [B] -> their observations [B, *obs].
        sensor: reports the states.
    """

    def __init__(
        self, spec: EnvSpec, inner: TabularEnv, render: SceneOfState, encode: Callable[[Array], Array], sensor: Sensor
    ) -> None:
        n_seeds = len(inner.env_batch.state)
        self.spec = spec
        self._inner = inner
        self._render = render
        self._encode = encode
        self._sensor = sensor
        self._all_seeds = np.ones(n_seeds, np.bool_)
        self._reports = np.zeros(n_seeds, np.int64)  # the latest
        self._next_states = self._reports  # of the latest step, before a new episode began

    def exchange(
        self, spec: EnvSpec, table: TransitionTable, render: SceneOfState, encode: Callable[[Array], Array]
    ) -> None:
        """Go on in another environment of the same states and actions; the copies stay in their states."""
        self.spec = spec
        self._inner.exchange(spec, table, render)
        self._render = render
        self._encode = encode

    def reset(self) -> Array:
        """Start an episode in every seed; [S, *obs]."""
        self._next_states = self._inner.reset()
        self._reports = self._sensor.report(self._next_states, self._all_seeds)
        return self.observe()

    def step(self, actions: Array) -> Step:
        """Move every copy; see :class:`simulator.core.protocols.Step`."""
        step = self._inner.step(actions)
        done = step.terminated | step.truncated
        reports = self._sensor.report(step.final_obs, self._all_seeds)
        final_obs = self._encode(reports)
        obs = final_obs
        if done.any():
            reports = np.where(done, self._sensor.report(step.obs, done), reports)
            obs = final_obs.copy()
            obs[done] = self._encode(reports[done])
        self._reports = reports
        self._next_states = step.final_obs
        return step._replace(obs=obs, final_obs=final_obs)

    def observe(self) -> Array:
        """Return current observations, [S, *obs]; the same each time."""
        return self._encode(self._reports)

    def scene(self, index: int) -> Scene:
        """Draw one copy."""
        return self._inner.scene(index)

    def last_scene(self, index: int) -> Scene:
        """Draw the state that the latest step led to, before a new episode began."""
        return self._render(int(self._next_states[index]), 0)

    def state(self) -> State:
        """Return the inner environment, the sensor's streams and its latest reports."""
        return {**self._inner.state(), "sensor": self._sensor.stream.copy(), "reports": self._reports.copy()}

    def restore(self, state: State) -> bool:
        """Continue from ``state``; always exact."""
        self._sensor.stream[:] = state["sensor"]
        self._reports = np.array(state["reports"], np.int64)
        exact = self._inner.restore(state)
        self._next_states = self._inner.observe()
        return exact


@jit
def _report(stream, reports, looks, noise, n_states):
    """Turn states into reports, in place."""
    for i in range(len(reports)):
        if looks[i] and uniform(stream, i) < noise:
            other = below(stream, i, n_states - 1)
            reports[i] = other + (other >= reports[i])


class EditableRooms:
    """A grid whose cells can change while agents learn; see :class:`simulator.core.protocols.Editable`.

    The limit of steps of an episode stays that of the map as it began.

    Args:
        plan: the map.
        config: the settings.
        env: walkers in it.
    """

    def __init__(self, plan: Map, config: Config, env: TabularEnv | PartiallyObservedEnv) -> None:
        self.plan = plan
        self._config = replace(config, max_steps=env.spec.max_steps or 0)
        self._env = env
        self.reset = env.reset
        self.step = env.step
        self.observe = env.observe
        self.scene = env.scene
        self.state = env.state
        self.restore = env.restore

    @property
    def spec(self) -> EnvSpec:
        """The description of the environment as it is now."""
        return self._env.spec

    @property
    def env_batch(self) -> TabularBatch | None:
        """The walkers, where observations are whole numbers without noise; None elsewhere."""
        return self._env.env_batch if isinstance(self._env, TabularEnv) else None

    def edit(self, edit: CellEdit) -> None:
        """Change one cell.

        Raises:
            ValueError: no such cell, one that cannot change, or no way to a goal is left; one line, nothing changed.
        """
        plan = edited(self.plan, edit)
        try:
            description = _describe(plan, self._config)
        except ValueError as error:
            raise ValueError(f"cell {edit.row} {edit.column}: cannot become {edit.to}: {error}") from None
        spec, model, observations = description
        if isinstance(self._env, TabularEnv):
            self._env.exchange(spec, make_table(model.mdp, observations.table), model.render)
        else:
            self._env.exchange(spec, make_table(model.mdp), model.render, observations.encode)
        self.plan = plan


class _Description(NamedTuple):
    """Parts shared by all environments of one config."""

    spec: EnvSpec
    model: LayoutModel
    observations: ObservationModel


def make(seed_list: Sequence[int], config: Config) -> TabularEnv | PartiallyObservedEnv | EditableRooms:
    """Make one walker for every seed. Discrete observations without noise make a tabular environment.

    Raises:
        ValueError: a setting out of range, an unknown layout, a bad map or R matrix; one line.
    """
    layout = _layout(config)
    env = _make_env(seed_list, config, _describe(layout, config))
    if not config.editable:
        return env
    if not isinstance(layout, Map):
        raise ValueError(f"rooms: editable = True: layout {config.layout!r} is a graph without cells, expected a grid")
    return EditableRooms(layout, config, env)


def _make_env(seed_list: Sequence[int], config: Config, description: _Description) -> TabularEnv | PartiallyObservedEnv:
    spec, model, observations = description
    if observations.table is None or not isinstance(observations.space, spaces.Discrete) or config.sensor_noise:
        return _observed(seed_list, config, description)
    table = make_table(model.mdp, observations.table)
    return TabularEnv(spec, table, rng.pcg64_states(seed_list, "env"), model.render)


def files(config: Config) -> list[str]:
    """Return the file that the layout is read from; none where it is one of ours, whatever the working folder holds."""
    return layouts.files(config.layout)


def make_observed(seed_list: Sequence[int], config: Config) -> PartiallyObservedEnv:
    """Make the same, but never tabular: the environment can then show where an episode ended (``last_scene``).

    Raises:
        ValueError: see :func:`make`.
    """
    return _observed(seed_list, config, _describe(_layout(config), config))


def _observed(seed_list: Sequence[int], config: Config, description: _Description) -> PartiallyObservedEnv:
    spec, model, observations = description
    inner = TabularEnv(spec, make_table(model.mdp), rng.pcg64_states(seed_list, "env"), model.render)
    sensor = Sensor(seed_list, config.sensor_noise, len(model.mdp.start))
    return PartiallyObservedEnv(spec, inner, model.render, observations.encode, sensor)


def _layout(config: Config) -> Map | RoomGraph:
    _check(config)
    options = layouts.LayoutOptions(**{name: getattr(config, name) for name in layouts.LayoutOptions._fields})
    return layouts.find(config.layout, options)


def _describe(layout: Map | RoomGraph, config: Config) -> _Description:
    rules = LayoutRules(**{name: getattr(config, name) for name in LayoutRules._fields})
    model = _make_model(layout, rules)
    observations = model.observations(
        ObservationConfig(config.observation, config.window, config.xray, config.cell_pixels)
    )
    every_action = observations.legal_actions is None
    if every_action:
        model = model._replace(mdp=all_legal(model.mdp))
    bounds = _return_bounds(layout, rules, config.sensor_noise, every_action)
    noisy = config.sensor_noise > 0 and len(model.mdp.start) > 1
    spec = EnvSpec(
        id="rooms",
        observation=observations.space,
        action=spaces.Discrete(model.mdp.legal.shape[1]),
        max_steps=model.mdp.max_steps,
        random_score=bounds.random_score,
        reward_threshold=None if noisy else bounds.reward_threshold,
        mdp=model.mdp,
        state_obs=None if noisy else observations.table,
        memoryless_return=_memoryless_return(layout, model, observations, noisy),
        legal_actions=observations.legal_actions,
        gamma=0.99 if isinstance(layout, Map) else 0.8,
        editable=config.editable,
    )
    return _Description(spec, model, observations)


def _make_model(layout: Map | RoomGraph, rules: LayoutRules) -> LayoutModel:
    return make_grid_model(layout, rules) if isinstance(layout, Map) else make_graph_model(layout, rules)


def _memoryless_return(
    layout: Map | RoomGraph, model: LayoutModel, observations: ObservationModel, noisy: bool
) -> float | None:
    """Compute what a conveyor leaves to those who forget the cue; None elsewhere."""
    if not isinstance(layout, Map) or not layout.conveyor or noisy or observations.table is None:
        return None
    return memoryless_return(model.mdp, observations.table)


@lru_cache(maxsize=64)
def _return_bounds(layout: Map | RoomGraph, rules: LayoutRules, noise: float, every_action: bool) -> ReturnBounds:
    mdp = _make_model(layout, rules).mdp
    return return_bounds(all_legal(mdp) if every_action else mdp, noise)


def _check(config: Config) -> None:
    """Refuse settings out of range; the host has checked its own, Python's callers have not."""
    for name, value in asdict(config).items():
        try:
            msgspec.convert({name: value}, Config)
        except msgspec.ValidationError as error:
            expected = str(error).partition(" - at")[0]
            raise ValueError(f"rooms: {name} = {value!r}: {expected[:1].lower()}{expected[1:]}") from error
    if config.step_cost is not None and not config.step_cost <= REWARD_LIMIT:
        raise ValueError(f"rooms: step_cost = {config.step_cost}: expected at most {REWARD_LIMIT:g}")


def _show() -> None:
    """Print some layouts."""
    from envs.common.render import render_text

    for layout in layouts.NAMES:
        scene = make([0], Config(layout=layout)).scene(0)
        print(scene.title, render_text(scene), sep="\n", end="\n\n")


if __name__ == "__main__":
    _show()
