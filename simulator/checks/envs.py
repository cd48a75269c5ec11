"""Laws of environments: values of the declared spaces, own resets, seeds that do not meet, a state that is whole."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from simulator.checks.laws import Law, LawBroken
from simulator.core.protocols import Array, Env, EnvSpec, Step

MakeEnv = Callable[[Sequence[int]], Env]
_ARRAYS = Step._fields


def sampled(spec: EnvSpec, walker: np.random.Generator, n_seeds: int) -> Array:
    """Draw a uniformly random action for every seed, from a stream of its own."""
    space: Any = spec.action
    if hasattr(space, "n"):
        return walker.integers(0, space.n, n_seeds)
    low = np.clip(space.low, -1e3, 1e3)
    high = np.clip(space.high, -1e3, 1e3)
    return walker.uniform(low, high, (n_seeds, *space.shape)).astype(space.dtype)


def resets_itself_and_keeps_its_spaces(make: MakeEnv, steps: int = 300) -> int:
    """Play random actions: observations are of the space, rewards finite, and ends begin a new episode.

    Returns:
        How many episodes ended.

    Raises:
        LawBroken: it does not keep them.
    """
    env = make(list(range(6)))
    walker = np.random.Generator(np.random.PCG64(2))
    space: Any = env.spec.observation
    obs = np.asarray(env.reset())
    if obs.shape != (6, *space.shape):
        raise LawBroken("reset", f"it gave the shape {obs.shape}, expected {(6, *space.shape)}: 6 seeds")
    ended = 0
    for t in range(steps):
        step = env.step(sampled(env.spec, walker, 6))
        over = step.terminated | step.truncated
        if (step.terminated & step.truncated).any():
            raise LawBroken("step", f"step {t} terminated and truncated one episode, expected one of both at most")
        if step.reward.dtype != np.float32 or not np.isfinite(step.reward).all():
            raise LawBroken("step", f"rewards {step.reward} of {step.reward.dtype}, expected finite float32")
        if not np.array_equal(step.obs[~over], step.final_obs[~over]):
            raise LawBroken("step", f"step {t}: obs and final_obs differ where no episode ended, expected them equal")
        if not np.array_equal(env.observe(), step.obs):
            raise LawBroken("observe", f"it differs from the obs of step {t}, expected the same")
        for i, view in enumerate(step.obs):
            if not space.contains(view) and np.asarray(view).dtype.kind != "f":
                raise LawBroken("step", f"seed number {i} observed {view} in step {t}, expected a value of {space}")
        ended += int(over.sum())
    return ended


def permuted_seeds_give_permuted_results(make: MakeEnv) -> None:
    """Play four seeds in two orders: each seed sees the same, to the bit.

    Raises:
        LawBroken: it does not.
    """
    order = [2, 0, 3, 1]
    straight, turned = (make(seeds) for seeds in ([0, 1, 2, 3], order))
    walker = np.random.Generator(np.random.PCG64(7))
    _equal("reset", straight.reset()[order], turned.reset(), "a first observation")
    for t in range(60):
        actions = sampled(straight.spec, walker, 4)
        here, there = straight.step(actions), turned.step(actions[order])
        for name, one, two in zip(_ARRAYS, here, there, strict=True):
            _equal("step", np.asarray(one)[order], two, f"{name} of step {t}")


def _equal(method: str, one: Array, two: Array, what: str) -> None:
    if not np.array_equal(one, two, equal_nan=np.asarray(one).dtype.kind == "f"):
        expected = "expected the same: all randomness from the seed's own stream (self.np_random in Gymnasium)"
        raise LawBroken(method, f"{what} depends on the other seeds, or on what was made before; {expected}")


def a_seed_gives_the_same_again(make: MakeEnv) -> None:
    """Make and reset twice with the same seeds: the same observations.

    Raises:
        LawBroken: another one.
    """
    one, two = (np.asarray(make(list(range(8))).reset()) for _ in range(2))
    _equal("reset", one, two, "a first observation of seeds 0 to 7, made twice,")


def continues_from_its_state(make: MakeEnv) -> None:
    """Play, restore the state in a new environment, and play on: the same, to the bit.

    Raises:
        LawBroken: it is not.
    """
    one, two = (make([3, 4]) for _ in range(2))
    one.reset()
    walker = np.random.Generator(np.random.PCG64(1))
    for _ in range(40):
        one.step(sampled(one.spec, walker, 2))
    state = one.state()
    if state is None:
        return  # it says that it cannot be saved
    if not two.restore(state):
        expected = "expected the same: an episode is a function of its seed and its actions"
        raise LawBroken("reset", f"the episode came out differently when it was played again; {expected}")
    _equal_after("observe", one.observe(), two.observe(), 0)
    for t in range(40):
        actions = sampled(one.spec, walker, 2)
        for here, there in zip(one.step(actions), two.step(actions), strict=True):
            _equal_after("state", here, there, t + 1)


def _equal_after(method: str, one: Array, two: Array, steps: int) -> None:
    if not np.array_equal(one, two, equal_nan=np.asarray(one).dtype.kind == "f"):
        expected = "expected the same: state has to hold all that changes, streams too"
        raise LawBroken(method, f"{steps} steps after restore it differs; {expected}")


def passes_the_checker_of_gymnasium(make_single: Callable[[], Any]) -> None:
    """Put one environment through Gymnasium's own checker, without its drawings.

    Raises:
        LawBroken: the checker refuses it.
    """
    from gymnasium.utils.env_checker import check_env

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        single = make_single()
        try:
            check_env(single.unwrapped, skip_render_check=True)
        except AssertionError as error:
            said = " ".join(str(error).split())
            method = "reset" if "reset" in said else "step" if "step" in said else "__init__"
            raise LawBroken(method, f"gymnasium.utils.env_checker: {said}") from error


def _resets(make: MakeEnv) -> None:
    resets_itself_and_keeps_its_spaces(make)


LAWS = (
    Law("observations are of the space, rewards finite; an end begins a new episode", "step", _resets, True),
    Law("a seed gives the same first observation again", "reset", a_seed_gives_the_same_again, True),
    Law("a seed does not depend on the seeds beside it", "step", permuted_seeds_give_permuted_results),
    Law("a restored environment goes on as it would have", "state", continues_from_its_state),
)
OF_GYMNASIUM = (Law("Gymnasium's own checker accepts it", "step", passes_the_checker_of_gymnasium),)
