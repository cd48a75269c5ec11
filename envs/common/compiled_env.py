"""Factory of compiled environments: S copies, stepped by one compiled call into reused buffers.

An environment's own file brings its dynamics over one copy, as :class:`Dynamics`, and its picture. Each copy of one of
Gymnasium's environments draws from the stream that the original has after ``reset(seed=n)``, in the original's order,
and computes in float64 in the original's order, so that both give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from envs.common.gymnasium.rng import gymnasium_streams
from simulator.core.foreign.casts import action_indices
from simulator.core.jit import function_pointer, jit, jit_callback, jit_inline, specialize
from simulator.core.protocols import Array, EnvSpec, State, Step
from simulator.core.rng_compiled import bits, uniform
from simulator.core.scene import Scene
from simulator.core.vector_batch import VectorBatch


class Dynamics(NamedTuple):
    """Dynamics of one environment, as ``jit_inline`` functions over copy i of ``copies``."""

    start: Any  # (copies, i): draw the first state of an episode
    transition: Any  # (copies, i, action) -> (reward, terminated): move by an action that exists
    observe: Any  # (copies, i, obs): write the observation of the state to obs[i]


class Copies(NamedTuple):
    """S copies of an environment, updated in place."""

    settings: Any  # of the environment: float64 [R], or a NamedTuple of numbers
    state: np.ndarray  # [S, K] float64 or int64
    episode_step: np.ndarray  # int64 [S], steps of the current episode
    stream: np.ndarray  # uint64 [S, 4]
    half_draw_buffer: np.ndarray  # uint64 [S, 2]: whether half of a 64-bit draw is left, and that half
    max_steps: int  # 0: no limit
    last_state: np.ndarray  # [S, K] at the end of the latest episode
    last_step: np.ndarray  # int64 [S], steps of it


class CompiledEnv:
    """S copies of one environment.

    Args:
        spec: description of the environment; its actions are Discrete, its observations a flat Box or Discrete.
        seeds: of the copies.
        dynamics: transition, reset and observation.
        settings: read by the dynamics as ``copies.settings``.
        initial_state: [K] of the state's type; every copy has its own.
        render: (state [K], steps of the episode) -> picture.
        fix_first_obs: (states [E, K], obs [E, F]) rewrites the first observations of episodes, or None. Compiled
            rollouts cannot call it, so there are none with it.
        stream: uint64 [S, 4], a random stream for each copy; None: that of Gymnasium's original.
    """

    def __init__(
        self,
        spec: EnvSpec,
        seeds: Sequence[int],
        dynamics: Dynamics,
        settings: Any,
        initial_state: Array,
        render: Callable[[Array, int], Scene],
        fix_first_obs: Callable[[Array, Array], None] | None = None,
        stream: Array | None = None,
    ) -> None:
        n_seeds = len(seeds)
        obs_shape = spec.observation.shape or ()
        self.spec = spec
        self._copies = Copies(
            settings=settings,
            state=np.tile(initial_state, (n_seeds, 1)),
            episode_step=np.zeros(n_seeds, np.int64),
            stream=gymnasium_streams(seeds) if stream is None else stream.copy(),
            half_draw_buffer=np.zeros((n_seeds, 2), np.uint64),
            max_steps=int(spec.max_steps or 0),
            last_state=np.tile(initial_state, (n_seeds, 1)),
            last_step=np.zeros(n_seeds, np.int64),
        )
        self._render = render
        self._fix_first_obs = fix_first_obs
        self._buffers = (_step_buffers(spec, n_seeds), _step_buffers(spec, n_seeds))  # in turn
        self._turn = 0
        self._obs = np.zeros((n_seeds, *obs_shape), spec.observation.dtype)
        self._actions = np.zeros(n_seeds, np.int64)
        loops = _compile(dynamics, int(spec.action.n), *obs_shape, rollouts=bool(obs_shape) and fix_first_obs is None)  # type: ignore[attr-defined]
        self._step_all = specialize(loops.step_all, self._copies, self._actions, self._buffers[0])
        self._reset_all = specialize(loops.reset_all, self._copies, self._obs)
        self._step_one = loops.step_one
        self._pointer: Any = None

    def reset(self) -> Array:
        """Start an episode in every seed; [S, *obs]."""
        obs = np.zeros_like(self._obs)
        self._reset_all(self._copies, obs)
        if self._fix_first_obs is not None:
            self._fix_first_obs(self._copies.state, obs)
        self._obs = obs
        return obs.copy()

    def step(self, actions: Array) -> Step:
        """Move every copy by its action, int [S]; see :class:`simulator.core.protocols.Step`.

        Raises:
            ValueError: an action outside the action space.
        """
        if actions.shape != self._actions.shape or actions.dtype.kind not in "iu":
            actions = action_indices(actions, self._actions.shape, self.spec.id)
        self._actions[:] = actions
        self._turn ^= 1
        step = self._buffers[self._turn]
        n_done = self._step_all(self._copies, self._actions, step)
        if n_done < 0:
            invalid = -1 - n_done
            n_actions = self.spec.action.n  # type: ignore[attr-defined]
            invalid_action = f"seed number {invalid} was given action {self._actions[invalid]}"
            raise ValueError(f"{self.spec.id}: {invalid_action}, expected 0 to {n_actions - 1}")
        if n_done and self._fix_first_obs is not None:
            done = np.flatnonzero(step.terminated | step.truncated)
            first_obs = step.obs[done]
            self._fix_first_obs(self._copies.state[done], first_obs)
            step.obs[done] = first_obs
        self._obs = step.obs
        return step

    @property
    def env_batch(self) -> VectorBatch | None:
        """The copies for compiled rollouts, or None; current observations are in ``step.obs``, before and after."""
        if self._step_one is None:
            return None
        step = self._buffers[self._turn]
        np.copyto(step.obs, self._obs)
        self._obs = step.obs
        if self._pointer is None:
            self._pointer = function_pointer(self._step_one, self._copies, 0, 0, step)
        return VectorBatch(self._pointer, self._copies, step)

    def observe(self) -> Array:
        """Return current observations, [S, *obs]."""
        return self._obs.copy()

    def scene(self, index: int) -> Scene:
        """Draw one copy."""
        return self._render(self._copies.state[index], int(self._copies.episode_step[index]))

    def last_scene(self, index: int) -> Scene:
        """Draw how the latest episode of one copy ended."""
        return self._render(self._copies.last_state[index], int(self._copies.last_step[index]))

    def state(self) -> State:
        """Return states, steps of the current episodes, streams, and current observations."""
        return {
            "state": self._copies.state.copy(),
            "episode_step": self._copies.episode_step.copy(),
            "stream": self._copies.stream.copy(),
            "half_draw_buffer": self._copies.half_draw_buffer.copy(),
            "obs": self._obs.copy(),
        }

    def restore(self, state: State) -> bool:
        """Continue from ``state``; always exact."""
        self._copies.state[:] = state["state"]
        self._copies.episode_step[:] = state["episode_step"]
        self._copies.stream[:] = state["stream"]
        self._copies.half_draw_buffer[:] = state["half_draw_buffer"]
        self._obs = np.array(state["obs"])
        return True


def _step_buffers(spec: EnvSpec, n_seeds: int) -> Step:
    obs_shape = (n_seeds, *(spec.observation.shape or ()))
    return Step(
        obs=np.zeros(obs_shape, spec.observation.dtype),
        reward=np.zeros(n_seeds, np.float32),
        terminated=np.zeros(n_seeds, np.bool_),
        truncated=np.zeros(n_seeds, np.bool_),
        final_obs=np.zeros(obs_shape, spec.observation.dtype),
    )


@jit_inline
def uniform_between(copies, i, low, high):
    """Draw a float64 in [low, high): the bits of ``numpy.random.Generator.uniform``."""
    return low + (high - low) * uniform(copies.stream, i)


@jit_inline
def integer_below(copies, i, n):
    """Draw an integer in [0, n): the bits of ``numpy.random.Generator.integers`` and ``choice``.

    Numpy takes 32 bits for ranges as small as these, and keeps the other half of a draw for the next; Lemire's
    rejection (Fast Random Integer Generation in an Interval, 2019) makes every value equally likely.
    """
    n = np.uint64(n)
    while True:
        product = _half_draw(copies, i) * n
        rest = product & np.uint64(0xFFFFFFFF)
        if rest >= n or rest >= np.uint64(0x100000000) % n:  # the division is hardly ever needed
            return np.int64(product >> np.uint64(32))


@jit_inline
def _half_draw(copies, i):
    """Draw 32 random bits: the lower half of a draw of PCG64, or the upper half of the last."""
    if copies.half_draw_buffer[i, 0]:
        copies.half_draw_buffer[i, 0] = np.uint64(0)
        return copies.half_draw_buffer[i, 1]
    whole = bits(copies.stream, i)
    copies.half_draw_buffer[i, 0] = np.uint64(1)
    copies.half_draw_buffer[i, 1] = whole >> np.uint64(32)
    return whole & np.uint64(0xFFFFFFFF)


class _Loops(NamedTuple):
    """The compiled loops of one environment."""

    reset_all: Any
    step_all: Any
    step_one: Any  # to be called from other compiled code; None: not offered


@cache
def _compile(dynamics: Dynamics, n_actions: int, n_features: int = 0, *, rollouts: bool) -> _Loops:
    """Bind the loops below to one environment: ``n_features`` 0 stands for an observation that is one number.

    The loops take the environment's functions from their globals, not as closures or arguments: numba keeps no machine
    code on disk for functions that it knows by a variable only. What it keeps goes by the loop's name, so that tells
    apart what one file binds: observations, numbers of actions and of features.
    """
    names = {**globals(), **dynamics._asdict(), "n_actions": n_actions, "n_features": n_features}

    def bind(loop: Any) -> FunctionType:
        transition = dynamics.transition.py_func
        bound = FunctionType(loop.__code__.replace(co_filename=transition.__code__.co_filename), names, loop.__name__)
        bound.__module__ = transition.__module__
        sizes = f"{dynamics.observe.py_func.__name__}_{n_actions}_{n_features}"
        bound.__qualname__ = f"{transition.__module__}.{sizes}.{loop.__name__}"
        return bound

    names["copy_obs"] = jit_inline(bind(_copy_vector if n_features else _copy_number))
    names["step_one"] = (jit_callback if rollouts else jit_inline)(bind(_step_one))
    return _Loops(jit(bind(_reset_all)), jit(bind(_step_all)), names["step_one"] if rollouts else None)


start: Any = None  # the names below are bound by _compile, for each environment to its own
transition: Any = None
observe: Any = None
copy_obs: Any = None
step_one: Any = None
n_actions: int = 0
n_features: int = 0


def _reset_all(copies, obs):
    """Start an episode in every copy and write the observations to ``obs``."""
    for i in range(len(obs)):
        copies.episode_step[i] = 0
        start(copies, i)
        observe(copies, i, obs)


def _step_all(copies, actions, step):
    """Step every copy; return how many episodes ended.

    Where copy i is given an action that does not exist, return -1 - i: then no copy has moved.
    """
    for i in range(len(actions)):
        if actions[i] < 0 or actions[i] >= n_actions:
            return -1 - i
    n_done = 0
    for i in range(len(actions)):
        n_done += step_one(copies, i, actions[i], step)
    return n_done


def _step_one(copies, i, action, step):
    """Step copy i, write the results to row i of ``step``, and return whether its episode ended."""
    reward, terminated = transition(copies, i, action)
    observe(copies, i, step.final_obs)
    copies.episode_step[i] += 1
    truncated = not terminated and copies.episode_step[i] == copies.max_steps
    step.reward[i] = reward
    step.terminated[i] = terminated
    step.truncated[i] = truncated
    if terminated or truncated:
        for k in range(copies.state.shape[1]):
            copies.last_state[i, k] = copies.state[i, k]
        copies.last_step[i] = copies.episode_step[i]
        copies.episode_step[i] = 0
        start(copies, i)
        observe(copies, i, step.obs)
        return True
    copy_obs(i, step)
    return False


def _copy_vector(i, step):
    for k in range(n_features):
        step.obs[i, k] = step.final_obs[i, k]


def _copy_number(i, step):
    step.obs[i] = step.final_obs[i]
