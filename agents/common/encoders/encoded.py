"""An agent behind an encoder: it sees features in place of observations.

:class:`EncodedAgent` is put around any agent, which is made for an environment whose observations are the features. The
encoder turns every observation into features once, before the agent acts at it and learns from it, so acting and
training see the same numbers. It learns from the observations that are acted at. The agent's gradient reaches those
encoders alone whose layers are in the agent's networks (:mod:`agents.common.encoders.joint`).

A component for the socket ``encoder`` offers ``make(config)``, whose result has ``encoder(spec, seeds)``, an
:class:`Encoder`. It may ask for observations before the agent begins (``n_collected``): for so many environment steps
the agent acts uniformly at random and learns nothing; its own clock, by which exploration and learning rates change,
begins after them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from gymnasium import spaces

from agents.common.inside import MAX_POINTS, MAX_ROWS, counts_panel, points_panel
from simulator.core import registry, rng
from simulator.core.components import Component
from simulator.core.protocols import (
    Agent,
    Array,
    CarryingPolicy,
    Changeable,
    EnvSpec,
    Forgetful,
    Metrics,
    Policy,
    State,
    Step,
)
from simulator.core.scene import BarPanel, HasPanels, Panel, ShowsMoment, ShowsUpdate, TableUpdate, TextPanel

_MAX_RECENT = 1 << 20  # numbers of the latest features of all seeds
Carry = tuple[Array, ...]  # [S, ...] each, zeros where an episode begins


class Encoder(Protocol):
    """S encoders of one kind."""

    space: spaces.Box  # of the features of one seed
    n_collected: int  # environment steps of random play before the agent begins

    def make_carry(self) -> Carry:
        """Make what is carried from step to step within an episode, as it is at its beginning: zeros [S, ...]."""

    def encode(self, obs: Array, carry: Carry) -> Array:
        """Compute the features float32 [S, F] of obs [S, *obs]; ``carry`` goes on, in place."""

    def see_actions(self, carry: Carry, actions: Array) -> None:
        """Carry on the actions [S] that were taken at the latest observations."""

    def features(self, obs: Array) -> Array | None:
        """Compute the features [S, B, F] of obs [B, *obs]; None where they depend on more than the observation."""

    def learn(self, obs: Array, clock: int) -> bool:
        """Learn from obs [S, *obs], acted at in environment step ``clock`` from 1; whether anything changed."""

    def frozen(self) -> Encoder:
        """Return a copy that further learning leaves alone."""

    def state(self) -> State:
        """Return the whole state; past observations that only learning needs are its entry ``replay``."""

    def restore(self, state: State) -> None:
        """Continue from ``state``."""


@runtime_checkable
class SeesEnds(Protocol):
    """An encoder that learns from what follows what, and has to know where episodes end."""

    def see_ends(self, ended: Array) -> None:
        """See in which seeds, bool [S], the step from the observation that is learned from next ended an episode."""


class Seen(NamedTuple):
    """Observation of one seed and its code, for the views."""

    obs: Array  # [*obs], the latest observation
    features: Array  # float32 [F], what the encoder made of it
    recent: Array  # float32 [R, F], the latest features, those of ``obs`` last


@runtime_checkable
class ShowsCode(Protocol):
    """An encoder that shows more of a code than its numbers and their plane."""

    def code_panels(self, index: int, seen: Seen) -> tuple[Panel, ...]:
        """Make panels of what one seed sees; changes nothing, draws from no stream."""


class FirstLayers(Protocol):
    """First layers of an agent's torch networks, which turn patterns [B, N] into features [B, F]."""

    n_outputs: int  # F
    field: str  # the setting that asks for them, for errors

    def build(self) -> Any:
        """Build the module of one seed; its weights are zeros until :meth:`attach`."""

    def attach(self, networks: Sequence[Any]) -> None:
        """Write the weights to networks of S seeds that begin with the layers; the first of them is trained beside."""


def with_encoder(
    spec: EnvSpec,
    seed_list: Sequence[int],
    component: Component | None,
    make: Callable[[EnvSpec, FirstLayers | None], Any],
) -> Any:
    """Make an agent, behind the encoder that was chosen if one was.

    Args:
        spec: the environment.
        seed_list: the run's seeds.
        component: the encoder.
        make: makes the agent for an environment, with these first layers in its networks if there are any.

    Raises:
        ValueError: the environment does not fit the encoder, or the features do not fit the agent.
    """
    if component is None:
        return make(spec, None)
    if spec.legal_actions is not None and not spec.legal_actions.all():
        raise ValueError(
            f"agent.encoder = {component.name!r} on {spec.id}: which actions exist depends on the observation, which "
            "the features replace; expected an environment in which every action always exists"
        )
    encoder: Encoder = registry.load("components", component.name).make(component.settings).encoder(spec, seed_list)
    seen = replace(spec, observation=encoder.space, state_obs=None, legal_actions=None, patterns=None)
    return EncodedAgent(spec, seed_list, encoder, make(seen, getattr(encoder, "first_layers", None)))


def refuse_layers(first_layers: FirstLayers, **others: Component | None) -> None:
    """Refuse an encoder in the agent's networks beside components of other sockets that do not go with it.

    Raises:
        ValueError: one of them was chosen.
    """
    for socket, component in others.items():
        if component is not None:
            raise ValueError(
                f"{first_layers.field} and agent.{socket} = {component.name!r}: expected agent.{socket} = none, or "
                "agent.encoder.stop_gradient = true"
            )


class RecentFeatures:
    """The latest features of S seeds, for the views: a ring, which is no part of any state."""

    def __init__(self) -> None:
        self._ring: Array | None = None  # [R, S, F], made for the first features
        self._n_added = 0

    def add(self, features: Array) -> None:
        """Add the features [S, F] of one step."""
        if self._ring is None:
            capacity = max(2, min(MAX_POINTS, _MAX_RECENT // features.size))
            self._ring = np.zeros((capacity, *features.shape), np.float32)
        self._ring[self._n_added % len(self._ring)] = features
        self._n_added += 1

    def of_seed(self, index: int) -> Array:
        """Return the latest features [R, F] of one seed, the oldest first; R may be 0."""
        if self._ring is None:
            return np.zeros((0, 1), np.float32)
        n = min(self._n_added, len(self._ring))
        return self._ring[np.arange(self._n_added - n, self._n_added) % len(self._ring), index]


def code_panels(encoder: Encoder, index: int, seen: Seen) -> tuple[Panel, ...]:
    """Make panels of a code: the encoder's own, or the numbers of the present one and the plane of the latest ones."""
    if isinstance(encoder, ShowsCode):
        return encoder.code_panels(index, seen)
    return (code_bars(seen.features), *code_plane(seen.recent))


def code_bars(code: Array, title: str = "code of the present observation") -> BarPanel:
    """Make bars of the numbers of a code [F]."""
    return counts_panel(title, [str(k + 1) for k in range(len(code))], code, None, "")


def code_plane(recent: Array) -> tuple[Panel, ...]:
    """Make a panel of the latest codes [R, F], the present one last and marked."""
    if not len(recent):
        return ()
    points = points_panel(
        "codes of the latest observations", {"before": recent[:-1], "now": recent[-1:]}, mark_last=True
    )
    return () if points is None else (points,)


class EncodedAgent:
    """S learners behind encoders; see :class:`simulator.core.protocols.Agent`.

    Args:
        spec: the environment.
        seed_list: the run's seeds.
        encoder: the encoders.
        agent: made for observations in the encoder's space.
    """

    def __init__(self, spec: EnvSpec, seed_list: Sequence[int], encoder: Encoder, agent: Agent) -> None:
        n_seeds = len(seed_list)
        space = spec.observation
        self._action_space = spec.action
        self._encoder = encoder
        self._agent = agent
        self._streams = [stream.spawn(1)[0] for stream in rng.generators(seed_list, "encoder")]  # of random actions
        self._clock = 0
        self._begun = False  # the features are those of the latest observations
        self._obs = np.zeros((n_seeds, *(space.shape or ())), space.dtype)
        self._carry = encoder.make_carry()
        self._carry_before = encoder.make_carry()  # the latest observations
        self._features = np.zeros((n_seeds, *encoder.space.shape), np.float32)
        self._recent = RecentFeatures()
        if hasattr(agent, "gamma"):
            self.gamma = agent.gamma
        if hasattr(agent, "failed_at"):
            self.failed_at = np.zeros(n_seeds, np.int64)

    def act(self, obs: Array) -> Array:
        """Return exploring actions [S]; uniformly random ones while observations are collected."""
        if self._clock < self._encoder.n_collected:
            return self._random_actions()
        return self._agent.act(self._features_of(obs))

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Let the agent learn from the features of one step, and the encoder from the observation."""
        metrics: Metrics = {}
        if self._clock >= self._encoder.n_collected:
            metrics = self._learn(obs, actions, step)
        self._clock += 1
        if isinstance(self._encoder, SeesEnds):
            self._encoder.see_ends(step.terminated | step.truncated)
        if self._encoder.learn(obs, self._clock) and self._begun:
            carry = _copied(self._carry_before)
            self._features = self._encoder.encode(self._obs, carry)
            self._carry = carry
        return metrics

    def _learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        features = self._features_of(obs)
        self._encoder.see_actions(self._carry, actions)
        before = self._carry
        after = _copied(before)
        final = self._encoder.encode(step.final_obs, after)
        following = final
        ended = step.terminated | step.truncated
        if ended.any():
            before = _restarted(before, ended)
            after = _copied(before)
            following = self._encoder.encode(step.obs, after)
        metrics = self._agent.learn(
            features, actions, Step(following, step.reward, step.terminated, step.truncated, final)
        )
        if hasattr(self._agent, "failed_at"):
            own = self._agent.failed_at
            np.copyto(self.failed_at, own + self._encoder.n_collected, where=(own > 0) & (self.failed_at == 0))
        self._obs[...] = step.obs
        self._features, self._carry, self._carry_before = following, after, before
        self._recent.add(following)
        return metrics

    def _features_of(self, obs: Array) -> Array:
        """Return the features [S, F] of the current observations; episodes begin at those that no step led to."""
        obs = np.asarray(obs)
        n_seeds = len(self._obs)
        new = (obs != self._obs).reshape(n_seeds, -1).any(axis=1) if self._begun else np.ones(n_seeds, np.bool_)
        if new.any():
            before = _restarted(self._carry_before, new)
            carry = _copied(before)
            self._features = self._encoder.encode(obs, carry)
            self._carry, self._carry_before = carry, before
            self._obs[...] = obs
            self._begun = True
        return self._features

    def _random_actions(self) -> Array:
        space = self._action_space
        if isinstance(space, spaces.Discrete):
            return np.array([int(stream.random() * int(space.n)) for stream in self._streams], np.int64)
        assert isinstance(space, spaces.Box)
        low = np.where(np.isfinite(space.low), space.low, -1.0)
        high = np.where(np.isfinite(space.high), space.high, 1.0)
        actions = [low + (high - low) * stream.random(space.shape) for stream in self._streams]
        return np.clip(np.array(actions), space.low, space.high).astype(space.dtype)

    def panels(self, index: int) -> tuple[Panel, ...]:
        """Make panels of the code of one seed's present observation, and the agent's own."""
        n_collected = self._encoder.n_collected
        own = self._agent.panels(index) if isinstance(self._agent, HasPanels) else ()
        if self._clock < n_collected:
            said = f"{self._clock:,} of {n_collected:,}, of random play"
            return (TextPanel("encoder", {"observations collected": said}), *own)
        if not self._begun:
            return own
        seen = Seen(self._obs[index].copy(), self._features[index].copy(), self._recent.of_seed(index))
        return (*code_panels(self._encoder, index, seen), *own)

    def last_update(self, index: int) -> TableUpdate | None:
        """Return the agent's latest update of one seed, where it knows it."""
        return self._agent.last_update(index) if isinstance(self._agent, ShowsUpdate) else None

    def changeable(self) -> dict[str, float]:
        """Return the agent's settings that can be changed."""
        return self._agent.changeable() if isinstance(self._agent, Changeable) else {}

    def change(self, name: str, value: float) -> None:
        """Change one of them; see :class:`simulator.core.protocols.Changeable`."""
        if not isinstance(self._agent, Changeable):
            raise ValueError(f"{name}: the agent has no settings that can be changed while it learns")
        self._agent.change(name, value)
        if hasattr(self._agent, "gamma"):
            self.gamma = self._agent.gamma

    @property
    def has_memory(self) -> bool:
        """True where the encoder or the agent carries something from step to step."""
        return bool(self._carry) or (isinstance(self._agent, Forgetful) and self._agent.has_memory)

    def cut_memory(self) -> None:
        """Let the encoder begin anew at the next observation, and set what the agent carries to zero."""
        if isinstance(self._agent, Forgetful):
            self._agent.cut_memory()
        self._begun = False

    def moment(self, index: int) -> Mapping[str, Array]:
        """Return what the agent carries, and its gates; see :class:`simulator.core.scene.ShowsMoment`."""
        return self._agent.moment(index) if isinstance(self._agent, ShowsMoment) else {}

    def policy(self) -> EncodedPolicy:
        """Return the agent's policy behind a copy of the encoder."""
        return EncodedPolicy(self._encoder.frozen(), self._agent.policy())

    def state(self) -> State:
        """Return the states of both, the current features, and the streams of random play."""
        parts = {"agent": dict(self._agent.state()), "encoder": dict(self._encoder.state())}
        replay = {name: part.pop("replay") for name, part in parts.items() if "replay" in part}
        state: State = {
            **parts,
            "clock": self._clock,
            "begun": self._begun,
            "obs": self._obs.copy(),
            "features": self._features.copy(),
            "carry": {str(k): array.copy() for k, array in enumerate(self._carry)},
            "carry_before": {str(k): array.copy() for k, array in enumerate(self._carry_before)},
            "stream": np.array([rng.pack_state(stream.bit_generator) for stream in self._streams]),
        }
        if replay:
            state["replay"] = replay
        if hasattr(self, "failed_at"):
            state["failed_at"] = self.failed_at.copy()
        return state

    def restore(self, state: State) -> bool | None:
        """Continue from ``state``."""
        replay = state.get("replay", {})
        parts = {
            name: {**state[name], **({"replay": replay[name]} if name in replay else {})}
            for name in ("agent", "encoder")
        }
        self._clock = state["clock"]
        self._begun = state["begun"]
        self._obs[...] = state["obs"]
        self._features = np.array(state["features"])
        self._carry = tuple(np.array(state["carry"][str(k)]) for k in range(len(self._carry)))
        self._carry_before = tuple(np.array(state["carry_before"][str(k)]) for k in range(len(self._carry)))
        self._streams = [np.random.Generator(rng.unpack_state(stream)) for stream in state["stream"]]
        if hasattr(self, "failed_at"):
            self.failed_at[:] = state["failed_at"]
        self._encoder.restore(parts["encoder"])
        return self._agent.restore(parts["agent"])


class EncodedPolicy:
    """The agent's policy behind an encoder; see :class:`simulator.core.protocols.CarryingPolicy`.

    Args:
        encoder: the encoders, frozen.
        policy: of the agent.
    """

    def __init__(self, encoder: Encoder, policy: Policy) -> None:
        self._encoder = encoder
        self._policy = policy
        self._carry = encoder.make_carry()
        self._recent = RecentFeatures()
        self._latest: tuple[Array, Array] | None = None  # observations and features of the latest step

    def act(self, obs: Array, first: Array) -> Array:
        """Return actions [S] at obs [S, *obs]; ``first`` bool [S] marks seeds whose episode begins here."""
        self._carry = _restarted(self._carry, np.asarray(first))
        features = self._encoder.encode(obs, self._carry)
        self._latest = (np.array(obs), features)
        self._recent.add(features)
        actions = self._policy.act(features, first)
        self._encoder.see_actions(self._carry, actions)
        return actions

    def moment(self, index: int) -> Mapping[str, Array]:
        """Return the features of one seed's latest observation, and the moment of the policy; see ``ShowsMoment``."""
        if self._latest is None:
            return {}
        features = self._latest[1][index].ravel()
        own = {"features": features.copy()} if len(features) <= MAX_ROWS else {}
        return {**own, **(self._policy.moment(index) if isinstance(self._policy, ShowsMoment) else {})}

    def panels(self, index: int) -> tuple[Panel, ...]:
        """Make panels of the code of one seed's latest observation, and the policy's own."""
        own = self._policy.panels(index) if isinstance(self._policy, HasPanels) else ()
        if self._latest is None:
            return own
        obs, features = (part[index] for part in self._latest)
        seen = Seen(obs, features, self._recent.of_seed(index))
        return (*code_panels(self._encoder, index, seen), *own)

    def carried(self) -> tuple[Array, ...] | None:
        """Return copies of what encoder and policy carry; None where neither does."""
        inner = self._policy.carried() if isinstance(self._policy, CarryingPolicy) else None
        if not self._carry and inner is None:
            return None
        return (*_copied(self._carry), *(inner or ()))

    def carry_on(self, saved: tuple[Array, ...]) -> None:
        """Go on from what :meth:`carried` returned."""
        n_own = len(self._carry)
        self._carry = _copied(saved[:n_own])
        if len(saved) > n_own and isinstance(self._policy, CarryingPolicy):
            self._policy.carry_on(saved[n_own:])

    def sees_rewards(self) -> bool:
        """Tell whether the agent's next action depends on the latest reward."""
        return isinstance(self._policy, CarryingPolicy) and self._policy.sees_rewards()

    def see_reward(self, reward: Array) -> None:
        """See the rewards [S] of the latest step."""
        if isinstance(self._policy, CarryingPolicy):
            self._policy.see_reward(reward)

    def values(self, obs: Array) -> Array | None:
        """Return action values [S, B, A] at obs [B, *obs]; None where the past counts too."""
        return self._of_each_seed(self._policy.values, obs)

    def probs(self, obs: Array) -> Array | None:
        """Return probabilities [S, B, A] at obs [B, *obs]; None where the past counts too."""
        return self._of_each_seed(self._policy.probs, obs)

    def _of_each_seed(self, function: Callable[[Array], Array | None], obs: Array) -> Array | None:
        """Apply a function of the observation to each seed's own features, and keep its row of the result."""
        features = self._encoder.features(obs)
        if features is None:
            return None
        rows = []
        for i, seen in enumerate(features):
            found = function(seen)
            if found is None:
                return None
            rows.append(found[i])
        return np.stack(rows)


def _copied(carry: Carry) -> Carry:
    return tuple(array.copy() for array in carry)


def _restarted(carry: Carry, first: Array) -> Carry:
    """Return a copy with zeros where an episode begins."""
    restarted = _copied(carry)
    for array in restarted:
        array[first] = 0
    return restarted
