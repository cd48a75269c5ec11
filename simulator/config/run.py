"""The config of a run: one agent in one environment, over many seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from simulator.config import codec
from simulator.config.changes import scheduled
from simulator.config.codec import Format, choose, files_of, forget_place, table_of
from simulator.config.validation import ConfigSource
from simulator.core.field_types import CountOrZero

Device = Annotated[str, Meta(pattern=r"\A(cpu|cuda(:[0-9]{1,3})?)\Z", description="cpu, cuda or cuda:N")]
MAX_EPISODES = 100  # of the final evaluation, where none are given
IMAGE_STEPS = 1_000  # of training, where observations are images, for each episode; least between evaluations


@dataclass(frozen=True)
class RunConfig:
    """One agent in one environment, over many seeds."""

    agent: str
    """the agent's name"""
    env: str
    """the environment's name"""
    seeds: Annotated[int, Meta(ge=1, le=10**6)] = 8
    """number of seeds trained in parallel, each with random streams of its own"""
    first_seed: Annotated[int, Meta(ge=0, le=10**15)] = 0
    """first seed; the others follow it"""
    steps: Annotated[int, Meta(ge=1, le=10**12)] = 50_000
    """environment steps of training per seed"""
    changes: tuple[str, ...] = ()
    """changes while the agents learn, each after an environment step: "5000 wall 3 4", "5000 reward 3 4 -0.5",
    "8000 epsilon 0.05", "9000 cut"; cells by row and column become free, wall, goal, lava or ice or pay another reward,
    and need env.editable; others change a setting of the agent, or cut the memory of a recurrent one"""
    start: str = ""
    """begin with what the agents of this stored run have learned, such as r5; by default with nothing"""
    eval_every: CountOrZero = 0
    """environment steps between greedy evaluations; 0: a twentieth of steps, in images at least 1,000"""
    eval_episodes: Annotated[int, Meta(ge=0, le=10**6)] = 0
    """episodes per seed of the final evaluation; an earlier one takes a tenth, or none where the return is exact; 0:
    100, but where observations are images one for every 1,000 steps of the run, from 1 to 100"""
    eval_max_steps: CountOrZero = 0
    """steps after which an evaluation episode is truncated, and its seed has no score; 0: the environment's own limit,
    but at least 100,000"""
    threads: Annotated[int, Meta(ge=0, le=1024)] = 0
    """threads that share the seeds; 0: one per core"""
    device: Device = "cpu"
    """device of torch networks"""
    agent_settings: Any = None
    """the agent's own Config"""
    env_settings: Any = None
    """the environment's own Config"""


def build(values: Mapping[str, Any]) -> RunConfig:
    """Make a run of nested tables: ``{"seeds": 16, "agent": {"name": "td", "gamma": 0.9}, "env": {"name": "rooms"}}``.

    Raises:
        ValueError: a missing, unknown or bad setting, in one line.
    """
    return codec.build(RunConfig, values)


def eval_period(config: RunConfig, images: bool = False) -> int:
    """Return the environment steps between evaluations; ``images``: whether observations are images."""
    return config.eval_every or max(IMAGE_STEPS if images else 1, config.steps // 20)


def eval_episodes(config: RunConfig, images: bool = False) -> int:
    """Return the episodes per seed of the final evaluation; ``images``: whether observations are images.

    An untrained policy of Pong takes a thousand steps for an episode, each with a network of its own: evaluating it for
    100 episodes would take minutes, and say nothing, after a run of a few steps.
    """
    if config.eval_episodes or not images:
        return config.eval_episodes or MAX_EPISODES
    return min(max(1, config.steps // IMAGE_STEPS), MAX_EPISODES)


def _compose(sources: Sequence[ConfigSource], values: dict[str, Any]) -> RunConfig:
    agent = choose(sources, "agent", "agents")
    env = choose(sources, "env", "envs")
    if "changes" in values:
        values["changes"] = scheduled(values["changes"], values.get("steps", RunConfig.steps))
    return RunConfig(agent.name, env.name, **values, agent_settings=agent.settings, env_settings=env.settings)


def forget_unused(env: dict[str, Any]) -> None:
    """Leave out settings of environments that came later and say nothing here, so that older hashes hold."""
    for name in ("keys", "wrappers"):
        if env.get(name) in ([], ()):
            del env[name]
    if env.get("editable") is False:
        del env["editable"]


def _players(config: RunConfig) -> dict[str, Any]:
    return {"agent": table_of(config.agent, config.agent_settings), "env": table_of(config.env, config.env_settings)}


def _identify(config: RunConfig, tables: dict[str, Any]) -> Iterable[str]:
    """Leave out the threads, which change no result, and add the steps of the evaluations."""
    tables["eval_every"] = eval_period(config)
    tables.pop("threads", None)
    if not tables.get("eval_max_steps"):  # settings that came later leave the hash of older runs as it is
        tables.pop("eval_max_steps", None)
    if start := tables.pop("start", ""):
        tables["start"] = start.rpartition("#")[2]  # what was learned; not where it is
    if tables["env"].get("masks") is False:
        del tables["env"]["masks"]
    forget_unused(tables["env"])
    if not tables.get("changes"):
        tables.pop("changes", None)
    forget_place(tables["agent"], config.agent_settings)
    forget_place(tables["env"])
    yield from files_of("agents", config.agent, config.agent_settings)
    yield from files_of("envs", config.env, config.env_settings)


codec.register(
    RunConfig,
    Format("run", ("agent", "env"), ("agent", "env", "agent_settings", "env_settings"), _compose, _players, _identify),
)
