"""Our own environments as Gymnasium environments, one at a time and in vectors.

``gymnasium.make("engram/Rooms-v0", layout="four", slip=0.1)`` takes every setting of :class:`envs.rooms.Config`. A
seed gives the episodes of the same seed in the simulator, and slot i of a vector gives those of one environment with
slot i's seed. Where not all actions exist, ``info["action_mask"]`` marks those that do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from envs.common.gymnasium import compiled_equivalents
from envs.common.render import render_frame, render_text
from simulator.core import registry, rng
from simulator.core.protocols import Array, Env, EnvSpec
from simulator.core.scene import Scene

RENDER_MODES = ("ansi", "rgb_array")
_FRAME_PIXELS = 512  # the longer side of a frame, about
Info = dict[str, Any]


class RoomsEnv(gymnasium.Env[Any, Any]):
    """One walker in the rooms.

    Args:
        render_mode: None, "ansi" or "rgb_array".
        settings: those of :class:`envs.rooms.Config`.

    Raises:
        ValueError: an unknown setting or a bad value; one line.
    """

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": 8}  # noqa: RUF012 - Gymnasium's own form

    def __init__(self, render_mode: str | None = None, **settings: Any) -> None:
        self.render_mode = _known_mode(render_mode)
        player, config = _configured(settings)
        self._env = player.module.make_observed([0], config)
        self.observation_space = self._env.spec.observation
        self.action_space = self._env.spec.action
        self._seeded = self._ended = False

    @property
    def env_spec(self) -> EnvSpec:
        """Description of the rooms: spaces, finite MDP, and reward threshold."""
        return self._env.spec

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Any, Info]:
        """Start an episode; without a seed, the next one of the same stream."""
        super().reset(seed=seed)
        if seed is not None or not self._seeded:
            _reseed(self._env, [_entropy(self)])
            self._seeded = True
            self._ended = False
        obs = self._env.observe() if self._ended else self._env.reset()  # after an end the next one has begun
        self._ended = False
        return _single(obs), _info(self._env.spec, obs[0])

    def step(self, action: Any) -> tuple[Any, float, bool, bool, Info]:
        """Move.

        Raises:
            ValueError: an action that does not exist.
        """
        step = self._env.step(np.array([action]))
        ends = bool(step.terminated[0]), bool(step.truncated[0])
        self._ended = any(ends)
        return _single(step.final_obs), float(step.reward[0]), *ends, _info(self._env.spec, step.final_obs[0])

    def render(self) -> Any:
        """Render the map as text, or uint8 [height, width, 3]; after an end, the final state."""
        return _render(self._env.last_scene(0) if self._ended else self._env.scene(0), self.render_mode)


def spec_of(env: gymnasium.Env[Any, Any]) -> EnvSpec | None:
    """Describe ``env`` where it is the rooms and nothing else: no wrapper or subclass that changes a number."""
    core = env.unwrapped
    return core.env_spec if type(core) is RoomsEnv and compiled_equivalents.is_bare(env) else None


class RoomsVectorEnv(gymnasium.vector.VectorEnv[Any, Any, Any]):
    """Many walkers, stepped in one call. Where an episode ends the next one begins in the same step.

    Args:
        num_envs: how many.
        render_mode: None, "ansi" or "rgb_array".
        max_episode_steps: cuts episodes earlier than the layout does.
        settings: those of :class:`envs.rooms.Config`.

    Raises:
        ValueError: an unknown setting or a bad value; one line.
    """

    metadata = {**RoomsEnv.metadata, "autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(
        self, num_envs: int = 1, render_mode: str | None = None, max_episode_steps: int | None = None, **settings: Any
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"rooms: num_envs = {num_envs}: expected at least 1")
        self.num_envs = num_envs
        self.render_mode = _known_mode(render_mode)
        player, config = _configured(settings)
        self._env: Env = player.make([0] * num_envs, config)
        limit = self._env.spec.max_steps
        if max_episode_steps is not None and (limit is None or max_episode_steps < limit):
            config = _configured({**settings, "max_steps": max_episode_steps})[1]
            self._env = player.make([0] * num_envs, config)
        self.single_observation_space = self._env.spec.observation
        self.single_action_space = self._env.spec.action
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._seeded = False

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: Info | None = None
    ) -> tuple[Array, Info]:
        """Start an episode in every slot.

        Args:
            seed: one for each slot; a number n means n, n + 1, ..., None goes on with the slots' streams.
            options: none are known.

        Raises:
            ValueError: a wrong number of seeds; a mask of slots, since no slot ever waits for a reset.
        """
        if options and "reset_mask" in options:
            raise ValueError("rooms: options: reset_mask: expected none, every slot begins anew by itself")
        self._seed_slots(seed)
        obs = self._env.reset()
        return obs.copy(), _infos(self._env.spec, obs)

    def step(self, actions: Any) -> tuple[Array, Array, Array, Array, Info]:
        """Move every walker by its action, [num_envs].

        Raises:
            ValueError: an action that does not exist.
        """
        step = self._env.step(np.asarray(actions))
        spec = self._env.spec
        ended = step.terminated | step.truncated
        infos = _infos(spec, step.obs)
        if ended.any():
            final = np.full(self.num_envs, None, dtype=object)
            for i in np.flatnonzero(ended):
                final[i] = _single(step.final_obs[i : i + 1])
            infos |= {"final_obs": final, "_final_obs": ended, "_final_info": ended.copy()}
            infos["final_info"] = _infos(spec, step.final_obs, ended)
        rewards = step.reward.astype(np.float64)
        return step.obs.copy(), rewards, step.terminated.copy(), step.truncated.copy(), infos

    def render(self) -> tuple[Any, ...]:
        """Render every walker's map, as :meth:`RoomsEnv.render`."""
        return tuple(_render(self._env.scene(i), self.render_mode) for i in range(self.num_envs))

    def _seed_slots(self, seed: int | Sequence[int | None] | None) -> None:
        """Give new streams to the slots that have a seed, and at first to all."""
        slot_seeds: list[int | None] = [None] * self.num_envs
        if isinstance(seed, int | np.integer):
            slot_seeds = [int(seed) + i for i in range(self.num_envs)]
        elif seed is not None:
            slot_seeds = list(seed)
        if len(slot_seeds) != self.num_envs:
            raise ValueError(f"rooms: found {len(slot_seeds)} seeds, expected {self.num_envs}, one for each slot")
        if not self._seeded:
            fresh = np.random.SeedSequence().generate_state(self.num_envs, np.uint64)
            slot_seeds = [int(fresh[i]) if one is None else one for i, one in enumerate(slot_seeds)]
        self._seeded = True
        _reseed(self._env, slot_seeds)


def _configured(settings: Mapping[str, Any]) -> tuple[registry.Plugin, Any]:
    """Return the rooms' player and its settings."""
    player = registry.load("envs", "rooms")
    names = [field.name for field in fields(player.Config)]
    for name in settings:
        if name not in names:
            raise ValueError(
                f"rooms: {registry.unknown_name_message('setting', name, names)}, expected {', '.join(names)}"
            )
    return player, player.Config(**settings)


def _known_mode(render_mode: str | None) -> str | None:
    if render_mode not in (None, *RENDER_MODES):
        raise ValueError(f"rooms: render_mode = {render_mode!r}: expected {' or '.join(RENDER_MODES)}")
    return render_mode


def _entropy(env: RoomsEnv) -> int:
    """Return the seed of an environment's own generator; if that was replaced, a draw from it."""
    seed = env.np_random_seed
    return seed if seed is not None and seed >= 0 else int(env.np_random.integers(2**63))


def _reseed(env: Env, given: Sequence[int | None]) -> None:
    """Start new streams where a seed is given."""
    state = env.state()
    assert state is not None
    for i, seed in enumerate(given):
        if seed is not None:
            for key, purpose in (("stream", "env"), ("sensor", "sensor")):
                if key in state:
                    state[key][i] = rng.pcg64_states([seed], purpose)[0]
    env.restore(state)


def _single(obs: Array) -> Any:
    """Return the observation of one slot, obs [1, *obs], as a new object."""
    return int(obs[0]) if obs.ndim == 1 else obs[0].copy()


def _info(spec: EnvSpec, obs: Any) -> Info:
    return {} if spec.legal_actions is None else {"action_mask": spec.legal_actions[obs].astype(np.int8)}


def _infos(spec: EnvSpec, obs: Array, where: Array | None = None) -> Info:
    """Convert the slots' infos to Gymnasium's form: arrays over slots, each with a mask of its slots."""
    if spec.legal_actions is None:
        return {}
    about = np.ones(len(obs), np.bool_) if where is None else where.copy()
    mask = np.where(about[:, None], spec.legal_actions[obs], False).astype(np.int8)
    return {"action_mask": mask, "_action_mask": about}


def _render(scene: Scene, mode: str | None) -> Any:
    if mode is None:
        return None
    return render_text(scene) if mode == "ansi" else render_frame(scene, _FRAME_PIXELS)
