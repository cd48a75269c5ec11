"""Rooms: grid environments from maps, and graphs of rooms, as finite environments with exact laws.

The layouts are ``six`` (the six-room graph that Q-learning is commonly taught with), ``four`` (Sutton, Precup and
Singh 1999), ``corridor``, ``t-maze`` (Bakker 2002), ``key-door``, ``cliff`` (Sutton and Barto 2018, example 6.6),
seeded mazes, and any map or R matrix in a file (:mod:`envs.common.gridworld.map_file`,
:mod:`envs.common.gridworld.graph_file`). A grid's actions are up, right, down and left. In a graph action j is the
door to room j; without that door the walker stays, for -1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Annotated, Literal, NamedTuple

import msgspec
from gymnasium import spaces

from envs.common import return_bounds
from envs.common.gridworld import layouts
from envs.common.gridworld.finite_env import Ground, Look, Rules, Views, all_legal
from envs.common.gridworld.graph_file import RoomGraph
from envs.common.gridworld.graph_mdp import make_rooms
from envs.common.gridworld.grid_observations import make_ground
from envs.common.gridworld.map_file import REWARD_LIMIT, Map
from envs.common.partially_observed import ObservedEnv, Sensor
from envs.common.tabular_env import TableEnv
from simulator.core import rng
from simulator.core.field_types import CountOrZero, NonNegative, Share
from simulator.core.protocols import EnvSpec
from simulator.core.transition_table import make_table


@dataclass(frozen=True)
class Config:
    """Settings of the rooms."""

    layout: str = "six"
    """six, four, corridor, t-maze, key-door, cliff, maze, or a file: a map, or an R matrix in .toml or .json"""
    layout_seed: CountOrZero = 0
    """which maze; apart from the seeds of a run"""
    size: CountOrZero = 0
    """cells along a side of four or of a maze (odd); 0: 13 and 15"""
    length: CountOrZero = 0
    """cells from the start to the goal of a corridor or the junction of a T-maze; 0: 10"""
    loops: Share = 0.0
    """share of a maze's inner walls that are opened"""
    slip: Share = 0.0
    """share of moves that go elsewhere; in a graph, through another door of the room"""
    slip_kind: Literal["perpendicular", "uniform"] = "perpendicular"
    """where slips go on a grid: to either side, or in any of the other three directions"""
    step_cost: NonNegative | None = None
    """taken from the reward of every step; none: the layout's own, 1 on the cliff and 0 elsewhere"""
    goal: Literal["layout", "absorbing", "terminal"] = "layout"
    """absorbing: arriving cuts the episode and the goal keeps its value; terminal: no value follows;
    layout: absorbing in graphs, terminal on grids"""
    start: Literal["layout", "fixed", "random"] = "layout"
    """fixed: the places marked S; random: any floor or room, an absorbing goal too; layout: its own way"""
    max_steps: CountOrZero = 0
    """steps after which an episode is cut; 0: the layout's own, by its size at least 100"""
    observation: Literal["index", "position", "onehot", "walls", "window", "pixels"] = "index"
    """what is seen: the state's number, its coordinates from 0 to 1, a vector with a one, which ways are shut,
    the cells around, or the whole map"""
    window: Annotated[int, msgspec.Meta(ge=1, le=31)] = 5
    """cells along a side of the window, odd"""
    see_through: bool = False
    """whether the window shows what is behind walls"""
    cell_pixels: Annotated[int, msgspec.Meta(ge=3, le=64)] = 8
    """pixels along a side of a cell"""
    sensor_noise: Share = 0.0
    """probability that an observation is that of another state"""


class _Env(NamedTuple):
    """What the environments of one config share, whatever their seeds."""

    spec: EnvSpec
    ground: Ground
    views: Views


def make(seed_list: Sequence[int], config: Config) -> TableEnv | ObservedEnv:
    """One walker for every seed. Discrete observations without noise make an environment by table, with ``env_batch``.

    Raises:
        ValueError: a setting out of range, an unknown layout, a bad map or R matrix; one line.
    """
    spec, ground, views = _describe(config)
    if views.table is None or not isinstance(views.space, spaces.Discrete) or config.sensor_noise:
        return _observed(seed_list, config, _Env(spec, ground, views))
    return TableEnv(spec, make_table(ground.mdp, views.table), rng.pcg64_states(seed_list, "env"), ground.draw)


def files(config: Config) -> list[str]:
    """The file that the layout comes from; none where it is one of ours, whatever the working folder holds."""
    return layouts.files(config.layout)


def make_observed(seed_list: Sequence[int], config: Config) -> ObservedEnv:
    """The same, but never by table: the environment can then show where an episode ended (``last_scene``).

    Raises:
        ValueError: see :func:`make`.
    """
    return _observed(seed_list, config, _describe(config))


def _observed(seed_list: Sequence[int], config: Config, env: _Env) -> ObservedEnv:
    mdp, draw = env.ground.mdp, env.ground.draw
    inner = TableEnv(env.spec, make_table(mdp), rng.pcg64_states(seed_list, "env"), draw)
    sensor = Sensor(seed_list, config.sensor_noise, len(mdp.start))
    return ObservedEnv(env.spec, inner, draw, env.views.look, sensor)


def _describe(config: Config) -> _Env:
    _check(config)
    shape = layouts.Shape(config.layout_seed, config.size, config.length, config.loops)
    layout = layouts.find(config.layout, shape)
    names = ("slip", "slip_kind", "step_cost", "goal", "start", "max_steps")
    rules = Rules(**{name: getattr(config, name) for name in names})
    ground = _ground(layout, rules)
    views = ground.views(Look(config.observation, config.window, config.see_through, config.cell_pixels))
    if views.legal is None:
        ground = ground._replace(mdp=all_legal(ground.mdp))
    floor, solved = _returns(layout, rules, config.sensor_noise, views.legal is None)
    noisy = config.sensor_noise > 0 and len(ground.mdp.start) > 1
    spec = EnvSpec(
        "rooms",
        views.space,
        spaces.Discrete(ground.mdp.legal.shape[1]),
        ground.mdp.max_steps,
        floor,
        None if noisy else solved,
        ground.mdp,
        None if noisy else views.table,
        views.legal,
        gamma=0.99 if isinstance(layout, Map) else 0.8,
    )
    return _Env(spec, ground, views)


def _ground(layout: Map | RoomGraph, rules: Rules) -> Ground:
    return make_ground(layout, rules) if isinstance(layout, Map) else make_rooms(layout, rules)


@lru_cache(maxsize=64)
def _returns(layout: Map | RoomGraph, rules: Rules, noise: float, all_exist: bool) -> tuple[float | None, float | None]:
    """The mean return of random play, and the one from which an environment counts as solved."""
    mdp = _ground(layout, rules).mdp
    return return_bounds.thresholds(all_legal(mdp) if all_exist else mdp, noise)


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
    from envs.common.render import letters

    for layout in layouts.NAMES:
        scene = make([0], Config(layout=layout)).scene(0)
        print(scene.title, letters(scene), sep="\n", end="\n\n")


if __name__ == "__main__":
    _show()
