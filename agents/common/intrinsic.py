"""Curiosity: an agent that learns from rewards with a bonus for what is new.

    r + scale * novelty(s')        s': the observation that the step led to

The bonus is paid at every visit, and what a component remembers of a visit makes the next one less new. Returns are
reported as the environment gives them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from simulator.core import registry
from simulator.core.components import Component
from simulator.core.field_types import CountOrZero, NonNegative
from simulator.core.jit import compiled_only, jit_implementation, jit_shared
from simulator.core.protocols import Array, Changeable, EnvSpec, Forgetful, Metrics, Policy, Rollout, State, Step
from simulator.core.scene import HasPanels, Panel, ShowsMoment, ShowsUpdate, TableUpdate, TextPanel


@dataclass(frozen=True)
class IntrinsicConfig:
    """Settings that every bonus has."""

    scale: NonNegative = 0.1
    """bonus of what was never met before, in units of reward"""
    decay_steps: CountOrZero = 0
    """environment steps in which the scale falls to 0, linearly; 0: it stays"""


class Novelty(Protocol):
    """Memory of the observations that S learners have met, one for each.

    One that can list the observations may offer ``panels(index)``, see :class:`simulator.core.scene.HasPanels`.
    """

    def visit(self, obs: Array) -> Array:
        """Tell how new obs [S, *obs] are, float64 [S], about 1 where nothing like it was met; and remember them."""

    def state(self) -> State:
        """Return the whole state."""

    def restore(self, state: State) -> None:
        """Continue from ``state``."""


class IntrinsicComponent(Protocol):
    """A bonus with its settings, until the environment is known: ``make`` of a component returns it."""

    config: IntrinsicConfig

    def for_env(self, spec: EnvSpec, seed_list: Sequence[int]) -> Novelty:
        """Make the memory of an environment's observations, in which nothing is.

        Raises:
            ValueError: observations or settings that it cannot have.
        """


class Bonus:
    """The bonus of S learners.

    Attributes:
        novelty: what they have met.
        config: its scale.
        mean: float64 [S], running mean of the bonus over about 100 steps.
    """

    def __init__(self, novelty: Novelty, config: IntrinsicConfig, n_seeds: int) -> None:
        self.novelty = novelty
        self.config = config
        self.mean = np.zeros(n_seeds)

    def visit(self, obs: Array, clock: int) -> Array:
        """Return the bonus, float64 [S], for obs [S, *obs] after ``clock`` environment steps."""
        bonus = scale_at(float(self.config.scale), self.config.decay_steps, clock) * self.novelty.visit(obs)
        self.mean += 0.01 * (bonus - self.mean)
        return bonus


def bonus_of(spec: EnvSpec, seed_list: Sequence[int], component: Component | None) -> Bonus | None:
    """Make the bonus that was chosen, if one was.

    Raises:
        ValueError: the component cannot have this environment.
    """
    if component is None:
        return None
    made: IntrinsicComponent = registry.load("components", component.name).make(component.settings)
    return Bonus(made.for_env(spec, seed_list), made.config, len(seed_list))


def with_bonus(agent: Any, bonus: Bonus | None, *, compiled: bool = False) -> Any:
    """Put an agent behind a bonus, if there is one.

    ``compiled`` tells that the agent's rollouts add the same bonus themselves.
    """
    return agent if bonus is None else CuriousAgent(agent, bonus, compiled=compiled)


class CuriousAgent:
    """An agent that learns from rewards with a bonus; see :class:`simulator.core.protocols.Agent`.

    Args:
        agent: S learners.
        bonus: theirs.
        compiled: the learners' own rollouts add the bonus; other learners train by single steps.
    """

    def __init__(self, agent: Any, bonus: Bonus, *, compiled: bool = False) -> None:
        self._agent = agent
        self._bonus = bonus
        self._clock = 0
        self.gamma = agent.gamma
        self.failed_at = agent.failed_at
        if compiled and hasattr(agent, "rollout"):
            self.rollout = self._rollout

    def act(self, obs: Array) -> Array:
        """Return exploring actions at obs [S, *obs]."""
        actions: Array = self._agent.act(obs)
        return actions

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Learn from one step of every seed, with the bonus of the observation that it led to."""
        reward = (step.reward + self._bonus.visit(step.final_obs, self._clock)).astype(np.float32)
        self._clock += 1
        return self._metrics(self._agent.learn(obs, actions, step._replace(reward=reward)))

    def _rollout(self, env_batch: Any, n: int) -> Rollout:
        played: Rollout = self._agent.rollout(env_batch, n)
        self._clock += n
        return played._replace(metrics=self._metrics(played.metrics))

    def _metrics(self, metrics: Metrics) -> Metrics:
        return {**metrics, "bonus": self._bonus.mean}

    def last_update(self, index: int) -> TableUpdate | None:
        """Return the agent's latest update of one seed, where it knows it."""
        return self._agent.last_update(index) if isinstance(self._agent, ShowsUpdate) else None

    def panels(self, index: int) -> tuple[Panel, ...]:
        """Make the agent's panels, and those of the bonus of one seed."""
        bonus = self._bonus
        facts = {
            "mean bonus of about 100 steps": f"{bonus.mean[index]:.4g}",
            "scale now": f"{scale_at(float(bonus.config.scale), bonus.config.decay_steps, self._clock):.4g}",
        }
        own = self._agent.panels(index) if isinstance(self._agent, HasPanels) else ()
        new = bonus.novelty.panels(index) if isinstance(bonus.novelty, HasPanels) else ()
        return (*own, TextPanel("bonus for what is new", facts), *new)

    @property
    def knows_env(self) -> bool:
        """True where the agent is built on the environment's finite MDP."""
        return bool(getattr(self._agent, "knows_env", False))

    def changeable(self) -> dict[str, float]:
        """Return the agent's settings that can be changed."""
        return self._agent.changeable() if isinstance(self._agent, Changeable) else {}

    def change(self, name: str, value: float) -> None:
        """Change one of them; see :class:`simulator.core.protocols.Changeable`."""
        if not isinstance(self._agent, Changeable):
            raise ValueError(f"{name}: the agent has no settings that can be changed while it learns")
        agent: Any = self._agent
        agent.change(name, value)
        self.gamma = agent.gamma

    @property
    def has_memory(self) -> bool:
        """True where the agent carries something from step to step."""
        return isinstance(self._agent, Forgetful) and self._agent.has_memory

    def cut_memory(self) -> None:
        """Set what the agent carries to zero."""
        if isinstance(self._agent, Forgetful):
            self._agent.cut_memory()

    def moment(self, index: int) -> Mapping[str, Array]:
        """Return what the agent carries, and its gates; see :class:`simulator.core.scene.ShowsMoment`."""
        return self._agent.moment(index) if isinstance(self._agent, ShowsMoment) else {}

    def policy(self) -> Policy:
        """Return the agent's greedy policy."""
        policy: Policy = self._agent.policy()
        return policy

    def state(self) -> State:
        """Return the agent's state, and what it has met."""
        curiosity = {"clock": self._clock, "mean": self._bonus.mean.copy(), "novelty": self._bonus.novelty.state()}
        return {**self._agent.state(), "curiosity": curiosity}

    def restore(self, state: State) -> Any:
        """Continue from ``state``."""
        curiosity = state["curiosity"]
        self._clock = curiosity["clock"]
        self._bonus.mean[:] = curiosity["mean"]
        self._bonus.novelty.restore(curiosity["novelty"])
        return self._agent.restore({name: value for name, value in state.items() if name != "curiosity"})


@jit_shared
def scale_at(scale, decay_steps, clock):
    """Return the scale after ``clock`` environment steps; 0 from ``decay_steps`` on, where there are some."""
    if decay_steps == 0:
        return scale
    return scale * max(0.0, 1.0 - clock / decay_steps)


@compiled_only
def add_bonus(bonus: Any, i: Any, reward: Any, next_obs: Any, clock: Any) -> Any:
    """Return a reward of seed i with the bonus of a discrete observation that a step led to, float32."""


class NoBonus(NamedTuple):
    """Learners whose rollouts add no bonus."""


@jit_implementation(add_bonus, inline=True, of=NoBonus)
def _add_nothing(bonus, i, reward, next_obs, clock):
    return reward
