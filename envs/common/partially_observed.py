"""Observations of a tabular environment that are more than a number, or come through a noisy sensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from envs.common.tabular_env import SceneOfState, TabularEnv
from simulator.core import rng
from simulator.core.jit import jit
from simulator.core.protocols import Array, EnvSpec, State, Step
from simulator.core.rng_compiled import below, uniform
from simulator.core.scene import Scene

Encode = Callable[[Array], Array]  # states int64 [B] -> their observations [B, *obs]


class Sensor:
    """Reports the state, or with probability ``noise`` one of the others, each alike.

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
        encode: makes observations from states.
        sensor: reports the states.
    """

    def __init__(self, spec: EnvSpec, inner: TabularEnv, render: SceneOfState, encode: Encode, sensor: Sensor) -> None:
        n_seeds = len(inner.env_batch.state)
        self.spec = spec
        self._inner = inner
        self._render = render
        self._encode = encode
        self._sensor = sensor
        self._all_seeds = np.ones(n_seeds, np.bool_)
        self._reports = np.zeros(n_seeds, np.int64)  # the latest
        self._next_states = self._reports  # of the latest step, before a new episode began

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
        """Current observations, [S, *obs]; the same each time."""
        return self._encode(self._reports)

    def scene(self, index: int) -> Scene:
        """Picture of one copy."""
        return self._inner.scene(index)

    def last_scene(self, index: int) -> Scene:
        """Picture of the state that the latest step led to, before a new episode began."""
        return self._render(int(self._next_states[index]), 0)

    def state(self) -> State:
        """The inner environment, the sensor's streams and its latest reports."""
        return {**self._inner.state(), "sensor": self._sensor.stream.copy(), "reports": self._reports.copy()}

    def restore(self, state: State) -> bool:
        """Go on from ``state``; always exact."""
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
