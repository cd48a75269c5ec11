"""Imagined transitions in deep Q-learning: further updates on batches that a learned model generates.

Sutton 1990 (Dyna), with a generative network in place of the table. Every environment step counts for as many imagined
transitions as the model's setting ``imagined`` says. For each batch that they fill the networks take one update on a
batch from a replay of imagined transitions, whose older half is imagined anew as often as it was used up. Updates on
real transitions stay as they are, so a model costs ``imagined / batch_size`` further updates a step; the control at
equal numbers of updates is ``gradient_steps``. Imagined transitions have one step, whatever ``n_step`` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agents.common.inside import MAX_POINTS
from agents.common.replay.buffer import load_replay, make_replay, save_replay
from agents.common.replay.prioritized import make_priorities
from agents.common.transition_panels import TransitionSample, imagined_panels
from agents.common.transitions import KeepsTransitions, TransitionModel, fail_diverged
from agents.dqn.update import trains_at
from simulator.core import registry, rng
from simulator.core.components import Component
from simulator.core.protocols import Array, EnvSpec, State, Step
from simulator.core.scene import Panel, TextPanel

BATCHES = 8  # that are imagined at once; the replay of imagined transitions holds twice as many


class Imagination:
    """S models of transitions, and the updates from what they imagine.

    Args:
        model: the models.
        seed_list: the run's seeds.
        learner: the learners, of either backend.
    """

    def __init__(self, model: TransitionModel, seed_list: Sequence[int], learner: Any) -> None:
        n_seeds = len(seed_list)
        replay = learner.state.replay
        self._model = model
        self._learner = learner
        self._batch_size = learner.state.batch.indices.shape[1]
        capacity = 2 * BATCHES * self._batch_size
        self._replay = make_replay(n_seeds, capacity, replay.obs.shape[2], 1, replay.gamma)
        self._priorities = make_priorities(None, n_seeds, capacity)
        self._stream = rng.pcg64_states(seed_list, "planning")
        self._n_waiting = 0  # imagined transitions that do not fill a batch yet
        self._n_unused = 0  # updates before the next transitions are imagined
        self.loss = np.zeros(n_seeds)

    def learn(self, obs: Array, actions: Array, step: Step, clock: int) -> None:
        """Let the models learn from one step; imagine and train where it is time."""
        self._model.learn(obs, actions, step.reward, step.final_obs, step.terminated)
        state = self._learner.state
        if clock <= self._model.warmup:
            return
        self._n_waiting += self._model.imagined
        n_updates = self._n_waiting // self._batch_size
        if not n_updates or not trains_at(state.hyper, clock):
            return
        self._n_waiting -= n_updates * self._batch_size
        if self._n_unused <= 0:
            self._imagine(BATCHES * self._batch_size, clock)
            self._n_unused += BATCHES
        self._n_unused = max(0, self._n_unused - n_updates)
        hyper = state.hyper._replace(gradient_steps=n_updates, target_update_interval=0)
        imagined = state._replace(
            hyper=hyper,
            replay=self._replay,
            priorities=self._priorities,
            sample_stream=self._stream,
            loss=self.loss,
        )
        self._learner.learn(clock, imagined)

    def change_gamma(self, gamma: float) -> None:
        """Imagine with another discount from now on."""
        self._replay = self._replay._replace(gamma=gamma)

    def _imagine(self, n: int, clock: int) -> None:
        """Put n new transitions of every seed into the replay, in place of the oldest."""
        imagined = self._model.imagine(n)
        fail_diverged(imagined, self._learner.state.failed_at, clock)
        n_seeds = len(self._stream)
        replay = self._replay
        obs, next_obs = (
            self._learner.store.current(part.reshape(n_seeds * n, *part.shape[2:])).reshape(n_seeds, n, -1)
            for part in (imagined.obs, imagined.next_obs)
        )
        slots = (int(replay.n_added[0]) + np.arange(n)) % replay.action.shape[1]
        replay.obs[:, slots] = obs
        replay.next_obs[:, slots] = next_obs
        replay.action[:, slots] = imagined.action
        replay.n_step_return[:, slots] = imagined.reward
        replay.discount[:, slots] = np.where(imagined.done, 0.0, replay.gamma)
        replay.n_added[:] += n

    def panels(self, index: int) -> tuple[Panel, ...]:
        """Make panels of the latest imagined transitions of one seed beside its latest real ones."""
        facts = {
            "transitions imagined": f"{int(self._replay.n_added[index]):,}",
            "loss on them": f"{self.loss[index]:.4g}",
        }
        said = TextPanel("imagination", facts)
        if not isinstance(self._model, KeepsTransitions):
            return (said,)
        encode = self._learner.store.current
        kept = self._model.kept(index, MAX_POINTS)
        real = TransitionSample(encode(kept.obs), kept.action, encode(kept.next_obs))
        n_classes = self._learner.store.encoding.n_classes
        return (said, *imagined_panels(real, self._latest(index), n_classes))

    def _latest(self, index: int) -> TransitionSample:
        """Return the latest imagined transitions of one seed, at most ``MAX_POINTS``, the newest last."""
        replay = self._replay
        n_added, capacity = int(replay.n_added[index]), replay.action.shape[1]
        slots = np.arange(max(0, n_added - min(capacity, MAX_POINTS)), n_added) % capacity
        return TransitionSample(replay.obs[index, slots], replay.action[index, slots], replay.next_obs[index, slots])

    def state(self) -> State:
        """Return the models, and as its entry ``replay`` what they learn from and what was imagined."""
        model = dict(self._model.state())
        return {
            "replay": {"transitions": model.pop("replay"), "imagined": save_replay(self._replay)},
            "model": model,
            "waiting": self._n_waiting,
            "unused": self._n_unused,
            "stream": self._stream.copy(),
            "loss": self.loss.copy(),
        }

    def restore(self, state: State) -> None:
        """Continue from ``state``, its entry ``replay`` left out or not."""
        model = state["model"]
        if "replay" in state:
            model = {**model, "replay": state["replay"]["transitions"]}
            load_replay(self._replay, state["replay"]["imagined"])
        self._model.restore(model)
        self._n_waiting = state["waiting"]
        self._n_unused = state["unused"] if "replay" in state else 0
        self._stream[...] = state["stream"]
        self.loss[...] = state["loss"]


def imagination_of(
    spec: EnvSpec, seed_list: Sequence[int], component: Component | None, learner: Any
) -> Imagination | None:
    """Make the imagination that was chosen, if one was.

    Raises:
        ValueError: a model that cannot imagine transitions, or not these.
    """
    if component is None:
        return None
    made = registry.load("components", component.name).make(component.settings)
    if not hasattr(made, "transition_model"):
        raise ValueError(
            f"agent.model = {component.name!r} on dqn: expected a model that imagines transitions, gan or vae"
        )
    if learner.recurrence is not None:
        raise ValueError(
            f"agent.model = {component.name!r} with agent.recurrence: expected one of them; imagined transitions are "
            "single steps, and a recurrence learns from sequences"
        )
    return Imagination(made.transition_model(spec, seed_list), seed_list, learner)
