"""Contracts between the host, the players and the views. Arrays lead with the seed axis ``[S]``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from gymnasium.spaces import Space

    from simulator.core.mdp.model import FiniteMDP
    from simulator.core.scene import Scene

Array = np.ndarray[Any, Any]
Metrics = Mapping[str, Array]  # name -> [S]
State = dict[str, Any]  # content of a checkpoint: arrays, numbers, strings, and dicts or lists of them


@dataclass(frozen=True)
class EnvSpec:
    """Description of an environment.

    Attributes:
        id: the name it goes by.
        observation: a gymnasium space, of one seed.
        action: a gymnasium space, of one seed.
        max_steps: steps after which an episode is truncated, or None.
        random_score: mean return of uniformly random play, or None where it is not known.
        reward_threshold: mean return from which the environment counts as solved, or None.
        mdp: the finite MDP behind it, whatever of it is observed; None where there is none.
        state_obs: [N, *obs] what is seen in each state of ``mdp``; None where that is not a function of the state.
        optimal_return: best mean return of an episode for players that remember all they have seen; None where ``mdp``
            says it, or where it is not known.
        memoryless_return: best mean return of an episode for policies of the latest observation alone; None where it
            is not known, or no question because the state is seen.
        patterns: [K, N] what observations are damaged copies of, for memories to store, or None.
        corruption: how they are damaged, as ``flip:0.2``, or None.
        legal_actions: bool [n_observations, A] which actions exist at a discrete observation; None: all of them.
        gamma: discount per step that the environment is usually asked with.
        editable: cells may change while agents learn (:class:`Editable`), and ``mdp`` and all that follows from it with
            them; observations and actions stay what they are.
        steps_per_second: pace at which a person plays it in real time; None where it waits for every action.
    """

    id: str
    observation: Space[Any]
    action: Space[Any]
    max_steps: int | None = None
    random_score: float | None = None
    reward_threshold: float | None = None
    mdp: FiniteMDP | None = None
    state_obs: Array | None = None
    optimal_return: float | None = None
    memoryless_return: float | None = None
    patterns: Array | None = None
    corruption: str | None = None
    legal_actions: Array | None = None
    gamma: float = 0.99
    editable: bool = False
    steps_per_second: float | None = None


class Step(NamedTuple):
    """Result of one step of S environments. The arrays are theirs, and hold until the next step but one."""

    obs: Array  # [S, *obs] next observation: the first of the new episode where one ended
    reward: Array  # [S] float32
    terminated: Array  # [S] bool: a true end, do not bootstrap
    truncated: Array  # [S] bool: cut by time, bootstrap from final_obs
    final_obs: Array  # [S, *obs] observation after the step itself (equal to obs where no episode ended)


class Rollout(NamedTuple):
    """Result of a compiled rollout of T steps. The arrays are the agent's own and hold until its next rollout."""

    reward: Array  # [S, T] float32
    ended: Array  # [S, T] bool: an episode ended here, by either way
    metrics: Metrics  # as of the last step


class Env(Protocol):
    """S copies of one environment, each on a stream of its own.

    An environment's file offers ``Config`` and ``make(seeds, config)``.

    A compiled environment may offer ``env_batch`` beside these, in which agents play many steps in one compiled call: a
    finite table as :class:`simulator.core.transition_table.TabularBatch`, vectors as
    :class:`simulator.core.vector_batch.VectorBatch`.
    """

    spec: EnvSpec

    def reset(self) -> Array:
        """Start an episode in every seed; [S, *obs]."""

    def step(self, actions: Array) -> Step:
        """Step every seed by its action, [S]; an episode that ends is reset in the same step."""

    def scene(self, index: int) -> Scene:
        """Make a scene of seed number ``index``, for the views."""

    def state(self) -> State | None:
        """Return the whole state; None if this environment cannot be saved."""

    def restore(self, state: State) -> bool:
        """Continue from ``state``, in place of ``reset``. False: it could not be exact, new episodes begin."""

    def observe(self) -> Array:
        """Return the current observations, [S, *obs]; changes nothing."""


class CellEdit(NamedTuple):
    """Another content of one cell of a grid."""

    row: int
    column: int
    to: str  # "free", "wall", "goal", "lava", "ice", or "reward": every step that ends there pays ``reward``
    reward: float = 0.0


@runtime_checkable
class Editable(Protocol):
    """An environment whose cells can be changed between two steps, in all seeds alike.

    States and observations keep their numbers and shapes; its ``spec`` is another one afterwards. Episodes go on where
    they are, also on a cell that has become a wall, from which a step leads out, or has become an end, where the next
    step ends the episode. ``Env.state`` does not hold the edits: they are made again before ``Env.restore``.
    """

    def edit(self, edit: CellEdit) -> None:
        """Change one cell.

        Raises:
            ValueError: no such cell, one that cannot change, or no way to a goal is left; one line, nothing changed.
        """


@runtime_checkable
class Changeable(Protocol):
    """An agent some of whose settings can be changed between two steps, in all seeds alike."""

    def changeable(self) -> dict[str, float]:
        """Return the present values of the settings that can be changed, by name."""

    def change(self, name: str, value: float) -> None:
        """Change one of them from the next step on.

        Raises:
            ValueError: no such setting, or a value out of range; one line, and nothing changed.
        """


@runtime_checkable
class Forgetful(Protocol):
    """An agent that carries a state from step to step, such as a recurrent one, and can be made to forget it."""

    @property
    def has_memory(self) -> bool:
        """True where something is carried: a recurrence or a window of observations was chosen."""

    def cut_memory(self) -> None:
        """Set what every seed carries to zero, in the middle of its episode."""


class PolicyArrays(NamedTuple):
    """Arrays that a policy consists of, from which it can be played elsewhere.

    :mod:`simulator.training.export` lists the kinds, and the names that each of them has.
    """

    kind: str  # "table" or "network"
    per_seed: dict[str, Array]  # [S, ...]
    shared: dict[str, Array | str]  # by all seeds: constants and words


class Policy(Protocol):
    """The frozen greedy policy of an agent, acting on streams of its own.

    It shares the agent's tables or weights and changes nothing: evaluation never touches a learner. A policy that
    knows its own expected return offers ``expected_return() -> [S]`` beside these, and one that can be exported
    ``arrays() -> PolicyArrays``.
    """

    def act(self, obs: Array, first: Array) -> Array:
        """Return actions [S] at obs [S, *obs]; ``first`` bool [S] marks seeds whose episode begins here."""

    def probs(self, obs: Array) -> Array | None:
        """Return action probabilities [S, B, A] at obs [B, *obs]; None if they depend on more than the observation."""

    def values(self, obs: Array) -> Array | None:
        """Return action values [S, B, A] at obs [B, *obs]; None for an agent without them."""


@runtime_checkable
class CarryingPolicy(Protocol):
    """A policy that may carry a state from step to step; its ``act`` begins anew where an episode does.

    One path leads to it: evaluations, matches, tournaments and ``Trainer.predict`` call these methods beside ``act``.
    """

    def carried(self) -> tuple[Array, ...] | None:
        """Return copies of what every seed carries, arrays [S, ...]; None for a policy without a recurrence."""

    def carry_on(self, carried: tuple[Array, ...]) -> None:
        """Go on from what :meth:`carried` returned."""

    def sees_rewards(self) -> bool:
        """Tell whether the next action depends on the latest reward."""

    def see_reward(self, reward: Array) -> None:
        """See the rewards [S] of the latest step, where the next action depends on them."""


class Agent(Protocol):
    """S learners of one kind. An agent file offers ``Config`` and ``make(spec, seeds, config)``.

    An agent that can run a rollout of an environment in one compiled call offers ``rollout(env_batch, n) -> Rollout``
    beside these, with the bits of n rounds of act, step and learn, and ``rollout_batch``, the class of the batch it
    takes, where that is not :class:`simulator.core.transition_table.TabularBatch`, and
    ``max_rollout_steps``, the largest n of one call, where steps take long. One that discounts offers ``gamma``.

    One whose seeds can break down offers ``failed_at``, int64 [S]: the environment step, counted from 1, at which a
    seed's loss was not finite, 0 while it goes on; it is part of the agent's state. Such a seed learns no more, still
    gives actions that exist, and leaves the others alone. The host drops its episodes from that step on, leaves it
    out of evaluations, and marks it in the store.

    One that is built on what the environment's finite MDP says, and would not notice that it changed, sets
    ``knows_env = True``: cells do not change under it.

    One that can compute on a GPU sets ``SUPPORTS_GPU = True`` in its module and makes its networks on
    :func:`simulator.core.devices.device`. One that never learns sets ``TRAINABLE = False``: games do not train it.
    """

    def act(self, obs: Array) -> Array:
        """Return exploring actions, [S], at obs [S, *obs]."""

    def learn(self, obs: Array, actions: Array, step: Step) -> Metrics:
        """Learn from one step of every seed."""

    def policy(self) -> Policy:
        """Return the current greedy policy with fresh streams: the same each time at the same step."""

    def state(self) -> State:
        """Return the whole state: tables or weights, optimiser, replay, streams, counters.

        Past experience that only further training needs is its entry ``replay``: a finished run does not keep it.
        """

    def restore(self, state: State) -> bool | None:
        """Continue from ``state``; where its entry ``replay`` was left out, with an empty one.

        False: it could not be exact.
        """


class Network(Protocol):
    """S function approximators of one shape, each with weights, optimiser and counters of its own.

    An algorithm gives the gradient of its loss with respect to the outputs; the network backpropagates it.
    """

    def forward(self, x: Array) -> Array:
        """Return outputs float32 [S, B, out] at x [S, B, *in], and cache what ``apply_gradient`` needs."""

    def apply_gradient(self, dy: Array, mask: Array, lr_scale: float = 1.0) -> Array:
        """Backpropagate dL/d(outputs) [S, B, out] at the latest ``forward`` and step the optimiser.

        Only in the seeds of ``mask`` bool [S], with the learning rate times ``lr_scale``. Gives the norm of each seed's
        gradient before clipping, float64 [S], 0 outside the mask; a seed whose norm is not finite is left as it was.
        """

    def polyak_update(self, other: Any, tau: float = 1.0) -> None:
        """Update every weight towards another network's by Polyak averaging with coefficient ``tau``."""

    def state(self) -> State:
        """Return weights, optimiser moments and counters."""

    def restore(self, state: State) -> None:
        """Continue from ``state``."""


class Curve(NamedTuple):
    """Training episodes by the step in which they ended; NaN in empty points."""

    steps: Array  # [P] int64, the last environment step of each point
    mean_return: Array  # [S, P] float64
    episodes: Array  # [S, P] int64


class Evaluation(NamedTuple):
    """Greedy evaluation at one step of a run; NaN for a seed that had failed by then."""

    step: int  # environment steps per seed that were trained before it
    returns: Array  # [S, E] undiscounted returns of the episodes played; E may be 0 where exact is known
    exact: Array | None  # [S] expected return by the environment's finite MDP, where there is one
    value_error: Array | None = None  # [S] largest |q - q*| over the states that can be met, where both are known


class Failure(NamedTuple):
    """Failure of one seed while the others continue."""

    seed: int
    step: int  # environment step, counted from 1
    reason: str


class AgentView(NamedTuple):
    """Values and policy of one seed's agent, for the views."""

    scene: Scene
    values: Array | None  # [N] best action value of every state
    greedy: Array | None  # [N, A] bool, every best action
    q_error: float | None = None  # largest |Q - Q*| over the states that can be met, where both are known
    probs: Array | None = None  # [N, A] probability of each action of the greedy policy
    greedy_return: float | None = None  # expected return of that policy, in environments whose cells may change
