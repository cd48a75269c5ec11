"""Gymnasium's environments as references: one for each seed, with same-step reset."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from simulator.core import rng as streams


def original(
    env_id: str,
    seeds: Sequence[int],
    kwargs: Mapping[str, Any],
    max_steps: int | None = None,
    change: Callable[[Any], None] = lambda core: None,
) -> tuple[SyncVectorEnv, Any]:
    """Make the original for these seeds and reset it; ``change`` sets what its ``make`` does not take."""

    def build():
        limit = {} if max_steps is None else {"max_episode_steps": max_steps}
        env = gymnasium.make(env_id, disable_env_checker=True, **limit, **kwargs)
        change(env.unwrapped)
        return env

    envs = SyncVectorEnv([build] * len(seeds), autoreset_mode=AutoresetMode.SAME_STEP)
    return envs, as_arrays(envs.reset(seed=streams.derived_seeds(seeds, "env"))[0])


def as_arrays(seen: Any) -> np.ndarray:
    """Return the observations of a vector of environments; Blackjack's three numbers as one index."""
    return (seen[0] * 11 + seen[1]) * 2 + seen[2] if isinstance(seen, tuple) else np.asarray(seen)


def same_step(step: Any, envs: SyncVectorEnv, actions: np.ndarray) -> int:
    """Assert that ``step`` equals the original's bit for bit, and return the number of ended episodes."""
    seen, reward, terminated, truncated, infos = envs.step(actions)
    seen, ended = as_arrays(seen), terminated | truncated
    final = seen.copy()
    for i in np.flatnonzero(ended):
        final[i] = as_arrays(infos["final_obs"][i])
    assert step.obs.dtype == seen.dtype
    assert step.obs.tobytes() == seen.tobytes()
    assert step.final_obs.tobytes() == final.tobytes()
    assert step.reward.tobytes() == reward.astype(np.float32).tobytes()
    assert (step.terminated == terminated).all()
    assert (step.truncated == (truncated & ~terminated)).all()
    return int(ended.sum())
