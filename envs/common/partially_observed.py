"""An environment by table whose states are seen as more than a number, or through a sensor that errs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from envs.common.tabular_env import Draw, TableEnv
from simulator.core import rng
from simulator.core.jit import jit
from simulator.core.protocols import Array, EnvSpec, State, Step
from simulator.core.rng_compiled import below, uniform
from simulator.core.scene import Scene

See = Callable[[Array], Array]  # states int64 [B] -> what is seen of them [B, *obs]


class Sensor:
    """Reports the state, or with probability ``noise`` another one, each alike.

    Args:
        seed_list: one stream for each, apart from the environment's.
        noise: probability of a false report.
        n_states: how many states there are.
    """

    def __init__(self, seed_list: Sequence[int], noise: float, n_states: int) -> None:
        self.stream = rng.pcg64_states(seed_list, "sensor")
        self._noise, self._n = (noise if n_states > 1 else 0.0), n_states

    def report(self, states: Array, seen_anew: Array) -> Array:
        """What is reported of states [S]; only seeds marked by ``seen_anew`` bool [S] look, and draw."""
        reports = states.copy()
        if self._noise:
            _report(self.stream, reports, seen_anew, self._noise, self._n)
        return reports


class ObservedEnv:
    """The environment ``inner``, which must be seen as its states, under views and a sensor of its own.

    It offers no ``env_batch``: what is seen is no index of a table.

    Args:
        spec: what the environment is.
        inner: S walkers.
        draw: makes a scene from a state.
        see: what is seen of states.
        sensor: what becomes of states before they are seen.
    """

    def __init__(self, spec: EnvSpec, inner: TableEnv, draw: Draw, see: See, sensor: Sensor) -> None:
        self.spec, self._inner, self._draw, self._see, self._sensor = spec, inner, draw, see, sensor
        self._every = np.ones(len(inner.env_batch.place), np.bool_)
        self._reports = np.zeros(len(inner.env_batch.place), np.int64)  # the last ones
        self._arrived = self._reports  # states that the last step led to

    def reset(self) -> Array:
        """Start an episode in every seed; [S, *obs]."""
        self._arrived = self._inner.reset()
        self._reports = self._sensor.report(self._arrived, self._every)
        return self.observe()

    def step(self, actions: Array) -> Step:
        """Move every walker; see :class:`simulator.core.protocols.Step`."""
        step = self._inner.step(actions)
        ended = step.terminated | step.truncated
        reports = self._sensor.report(step.final_obs, self._every)
        final = obs = self._see(reports)
        if ended.any():
            reports = np.where(ended, self._sensor.report(step.obs, ended), reports)
            obs = final.copy()
            obs[ended] = self._see(reports[ended])
        self._reports, self._arrived = reports, step.final_obs
        return step._replace(obs=obs, final_obs=final)

    def observe(self) -> Array:
        """What is seen now, [S, *obs]; the same each time."""
        return self._see(self._reports)

    def scene(self, index: int) -> Scene:
        """What can be drawn of one walker."""
        return self._inner.scene(index)

    def last_scene(self, index: int) -> Scene:
        """What could be drawn where the last step led to, before a new episode began."""
        return self._draw(int(self._arrived[index]), 0)

    def state(self) -> State:
        """The walkers, the sensors' streams and last reports."""
        return {**self._inner.state(), "sensor": self._sensor.stream.copy(), "reports": self._reports.copy()}

    def restore(self, state: State) -> bool:
        """Go on from ``state``; always exact."""
        self._sensor.stream[:] = state["sensor"]
        self._reports = np.array(state["reports"], np.int64)
        exact = self._inner.restore(state)
        self._arrived = self._inner.observe()
        return exact


@jit
def _report(stream, reports, seen_anew, noise, n_states):
    """Turn states into reports, in place."""
    for i in range(len(reports)):
        if seen_anew[i] and uniform(stream, i) < noise:
            other = below(stream, i, n_states - 1)
            reports[i] = other + (other >= reports[i])
