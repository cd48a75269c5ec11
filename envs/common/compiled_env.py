"""An environment of Gymnasium compiled anew: S copies, stepped by one compiled call into buffers that are used again.

An environment's own file brings the textbook part over one seed, as ``@jit_inline`` functions (move, start, see), and
two
``@jit`` loops over seeds. Each copy draws from the stream that the original has after ``reset(seed=n)``, in the
original's order, and computes in float64 in the original's order, so that both give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from envs.common.gymnasium.rng import words
from simulator.core.foreign.casts import action_indices
from simulator.core.jit import function_pointer, jit_inline, specialize
from simulator.core.protocols import Array, EnvSpec, State, Step
from simulator.core.rng_compiled import bits, uniform
from simulator.core.scene import Scene
from simulator.core.vector_batch import VectorBatch


class Copies(NamedTuple):
    """S copies of an environment, moved on in place."""

    rules: Any  # the environment's settings: float64 [R], or a NamedTuple of numbers
    state: np.ndarray  # [S, K] float64 or int64
    clock: np.ndarray  # int64 [S], steps of the current episode
    stream: np.ndarray  # uint64 [S, 4]
    half: np.ndarray  # uint64 [S, 2]: whether half of a 64-bit draw is left, and that half
    max_steps: int  # 0: no limit


class Loops(NamedTuple):
    """What an environment's file brings.

    Attributes:
        reset: compiled (copies, obs): start an episode in every copy.
        step: compiled (copies, actions, step): move every copy; the number of episodes that ended, or -1 - i where
            copy i was given an action that does not exist, and then nothing has moved.
        draw: (state [K], steps of the episode) -> what can be drawn.
        polish: (states [E, K], obs [E, ...]) rewrites the first views of episodes, or None.
        move: handed (copies, i, action, step): move copy i by an action that exists; whether its episode ended. None:
            the environment cannot be played many steps in one call.
    """

    reset: Any
    step: Any
    draw: Callable[[Array, int], Scene]
    polish: Callable[[Array, Array], None] | None = None
    move: Any = None


def copies(seeds: Sequence[int], rules: Any, width: int, kind: Any, max_steps: int | None) -> Copies:
    """Copies for ``seeds``, each with ``width`` numbers of the type ``kind`` as its state."""
    n = len(seeds)
    half = np.zeros((n, 2), np.uint64)
    return Copies(rules, np.zeros((n, width), kind), np.zeros(n, np.int64), words(seeds), half, int(max_steps or 0))


class NativeEnv:
    """S copies of one environment of Gymnasium.

    Args:
        spec: what the environment is; its actions are Discrete.
        copies: its state.
        loops: its law.
    """

    def __init__(self, spec: EnvSpec, copies: Copies, loops: Loops) -> None:
        self.spec, self._copies, self._loops = spec, copies, loops
        n, kind = len(copies.clock), spec.observation.dtype
        shape = (n, *(spec.observation.shape or ()))
        self._steps = tuple(_buffers(shape, kind) for _ in range(2))
        self._obs, self._actions, self._turn = np.zeros(shape, kind), np.zeros(n, np.int64), 0
        self._move: Any = None
        self._enter = specialize(loops.step, copies, self._actions, self._steps[0])
        self._begin = specialize(loops.reset, copies, self._obs)

    def reset(self) -> Array:
        """Start an episode in every seed; [S, *obs]."""
        obs = np.zeros_like(self._obs)
        self._begin(self._copies, obs)
        if self._loops.polish is not None:
            self._loops.polish(self._copies.state, obs)
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
        step = self._steps[self._turn]
        ended = self._enter(self._copies, self._actions, step)
        if ended < 0:
            self._refuse(-1 - ended, self._actions[-1 - ended])
        if ended and self._loops.polish is not None:
            self._polish(step)
        self._obs = step.obs
        return step

    @property
    def env_batch(self) -> VectorBatch | None:
        """The copies, to be played on by compiled code: what is seen now is in ``step.obs``, before and after."""
        if self._loops.move is None:
            return None
        step = self._steps[self._turn]
        np.copyto(step.obs, self._obs)
        self._obs = step.obs
        if self._move is None:
            self._move = function_pointer(self._loops.move, self._copies, 0, 0, step)
        return VectorBatch(self._move, self._copies, step)

    def observe(self) -> Array:
        """What is seen now, [S, *obs]."""
        return self._obs.copy()

    def scene(self, index: int) -> Scene:
        """What can be drawn of one copy."""
        return self._loops.draw(self._copies.state[index], int(self._copies.clock[index]))

    def state(self) -> State:
        """States, clocks, streams, and what is seen now."""
        names = ("state", "clock", "stream", "half")
        return {name: getattr(self._copies, name).copy() for name in names} | {"obs": self._obs.copy()}

    def restore(self, state: State) -> bool:
        """Go on from ``state``; always exact."""
        for name in ("state", "clock", "stream", "half"):
            getattr(self._copies, name)[:] = state[name]
        self._obs = np.array(state["obs"])
        return True

    def _polish(self, step: Step) -> None:
        began = np.flatnonzero(step.terminated | step.truncated)
        first = step.obs[began]
        self._loops.polish(self._copies.state[began], first)  # type: ignore[misc]
        step.obs[began] = first

    def _refuse(self, seed: int, action: Any) -> None:
        n = self.spec.action.n  # type: ignore[attr-defined]
        raise ValueError(f"{self.spec.id}: seed number {seed} was given action {action}, expected 0 to {n - 1}")


def _buffers(shape: tuple[int, ...], kind: Any) -> Step:
    flags = [np.zeros(shape[0], np.bool_) for _ in range(2)]
    return Step(np.zeros(shape, kind), np.zeros(shape[0], np.float32), *flags, np.zeros(shape, kind))


@jit_inline
def first_wrong(actions, n):
    """The first seed whose action is not one of n, or -1."""
    for i in range(len(actions)):
        if actions[i] < 0 or actions[i] >= n:
            return i
    return -1


@jit_inline
def ends(copies, i, reward, terminated, step):
    """Note how the step of copy i went; whether its episode is over."""
    copies.clock[i] += 1
    truncated = not terminated and copies.clock[i] == copies.max_steps
    step.reward[i], step.terminated[i], step.truncated[i] = reward, terminated, truncated
    if terminated or truncated:
        copies.clock[i] = 0
        return True
    return False


@jit_inline
def between(copies, i, low, high):
    """A float64 in [low, high): the bits of ``numpy.random.Generator.uniform``."""
    return low + (high - low) * uniform(copies.stream, i)


@jit_inline
def one_of(copies, i, n):
    """An integer in [0, n): the bits of ``numpy.random.Generator.integers`` and ``choice``.

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
    """32 random bits: the lower half of a draw of PCG64, or the upper half of the last."""
    if copies.half[i, 0]:
        copies.half[i, 0] = np.uint64(0)
        return copies.half[i, 1]
    whole = bits(copies.stream, i)
    copies.half[i, 0], copies.half[i, 1] = np.uint64(1), whole >> np.uint64(32)
    return whole & np.uint64(0xFFFFFFFF)
