"""Laws of components: what their socket promises, alone. Those of agents hold inside the agents with that socket, too.

Alone, an encoder and a bonus see observations of random play, and the passes of a recurrence are held to each
other. What a model imagines shows inside an agent only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from simulator.checks.comparison import differences
from simulator.checks.laws import Law, LawBroken
from simulator.core import registry, rng
from simulator.core.protocols import Array
from simulator.store import checkpoints

SEEDS = (3, 11, 4)
STEPS = 80  # of random play, after those that an encoder collects
MOST_COLLECTED = 5_000  # environment steps; an encoder that asks for more is not checked
VISITS = 200  # of one observation, after which it is no longer new
NEAR = 1e-5  # torch's products depend on the batch
QUICK: dict[str, dict[str, Any]] = {  # agents that components are put into, with what makes them learn within a law
    "dqn": {"learning_starts": 30, "batch_size": 8, "sequence": {"length": 12, "overlap": 4, "burn_in": 2}},
    "reinforce": {"episodes_per_update": 2, "max_episode_steps": 30},
    "q_learning": {},
}


class ComponentCase(NamedTuple):
    """A component in an environment."""

    make: Callable[[Sequence[int]], Any]  # for seeds: an encoder, or the memory of a bonus
    observations: Callable[[Sequence[int], int], Array]  # of random play, [T, S, *obs]


def random_play(env: str, seeds: Sequence[int], n_steps: int) -> Array:
    """Play an environment at random: the observations [T, S, *obs] of every seed, from its own streams."""
    player = registry.load("envs", env)
    made = player.make(list(seeds), player.defaults())
    streams = rng.generators(seeds, "exploration")
    seen = [np.array(made.reset())]
    for _ in range(n_steps - 1):
        actions = [_random_action(made.spec.action, stream) for stream in streams]
        seen.append(np.array(made.step(np.array(actions)).obs))
    return np.stack(seen)


def _random_action(space: spaces.Space[Any], stream: np.random.Generator) -> Any:
    if isinstance(space, spaces.Discrete):
        return int(stream.random() * int(space.n))
    assert isinstance(space, spaces.Box)
    return (space.low + (space.high - space.low) * stream.random(space.shape)).astype(space.dtype)


def _other(seen: Array) -> Array:
    """Return observations of which seed number 1 sees its own in the opposite order."""
    other = seen.copy()
    other[:, 1] = seen[::-1, 1]
    return other


def _stored(state: Any) -> Any:
    try:
        return checkpoints.unpacked(checkpoints.packed(state))
    except RuntimeError as error:
        raise LawBroken("state", str(error)) from error


# Encoders.


def _encoded(encoder: Any, seen: Array) -> Array:
    """Let an encoder learn from observations [T, S, *obs], and encode them as one episode; features [T, S, F]."""
    for t, obs in enumerate(seen):
        encoder.learn(obs.copy(), t + 1)
    return _features(encoder, seen)


def _features(encoder: Any, seen: Array) -> Array:
    carry = encoder.make_carry()
    return np.stack([np.array(encoder.encode(obs.copy(), carry)) for obs in seen])


def _seen(case: ComponentCase, seeds: Sequence[int] = SEEDS) -> Array:
    return case.observations(seeds, STEPS + case.make(list(seeds)).n_collected)


def features_are_of_their_space(case: ComponentCase) -> None:
    """Encode random play: features are float32 [S, F], finite, and as many as the space says.

    Raises:
        LawBroken: they are not.
    """
    encoder = case.make(list(SEEDS))
    if not isinstance(encoder.space, spaces.Box) or encoder.space.dtype != np.float32:
        raise LawBroken("space", f"it is {encoder.space}, expected a Box of float32")
    if encoder.n_collected > MOST_COLLECTED:
        expected = f"at most {MOST_COLLECTED:,} here, by its settings"
        raise LawBroken("n_collected", f"it asks for {encoder.n_collected:,} steps of random play, expected {expected}")
    for array in encoder.make_carry():
        if len(array) != len(SEEDS) or np.any(array):
            raise LawBroken("make_carry", "expected arrays of zeros that lead with the seeds")
    features = _encoded(encoder, _seen(case))
    shape = (len(SEEDS), *encoder.space.shape)
    if features.dtype != np.float32 or features.shape[1:] != shape:
        raise LawBroken("encode", f"it gave {features.dtype} {features.shape[1:]}, expected float32 {shape}")
    if not np.isfinite(features).all():
        raise LawBroken("encode", "it gave features that are not finite, expected finite ones")


def encoders_of_seeds_do_not_meet(case: ComponentCase) -> None:
    """Encode seeds together and each alone, and once with other observations in one seed: the same features.

    Raises:
        LawBroken: they differ.
    """
    seen = _seen(case)
    together = _encoded(case.make(list(SEEDS)), seen)
    for i, seed in enumerate(SEEDS):
        alone = _encoded(case.make([seed]), seen[:, i : i + 1])
        if not np.allclose(alone[:, 0], together[:, i], atol=NEAR, rtol=NEAR):
            expected = "expected the same: no sum over seeds, all randomness from the seed's own stream"
            raise LawBroken("encode", f"seed {seed} has other features alone than among {len(SEEDS)}; {expected}")
    beside = _encoded(case.make(list(SEEDS)), _other(seen))
    for i in (0, 2):
        if not np.allclose(beside[:, i], together[:, i], atol=NEAR, rtol=NEAR):
            raise LawBroken("learn", f"seed {SEEDS[i]} has other features where seed {SEEDS[1]} sees something else")


def a_frozen_copy_learns_nothing(case: ComponentCase) -> None:
    """Freeze an encoder and let it learn on: the copy encodes as before.

    Raises:
        LawBroken: it does not.
    """
    seen = _seen(case)
    encoder = case.make(list(SEEDS))
    _encoded(encoder, seen)
    frozen = encoder.frozen()
    before = _features(frozen, seen)
    for t, obs in enumerate(seen[::-1]):
        encoder.learn(obs.copy(), len(seen) + t + 1)
    if not np.array_equal(_features(frozen, seen), before):
        raise LawBroken("frozen", "the copy encodes differently after its encoder learned on, expected the same bits")


def features_say_what_encode_says(case: ComponentCase) -> None:
    """Compare ``features`` of observations with ``encode`` at an episode's beginning, where there are any.

    Raises:
        LawBroken: they differ.
    """
    seen = _seen(case)
    encoder = case.make(list(SEEDS))
    _encoded(encoder, seen)
    first = seen[-1]
    features = encoder.features(first)  # [S, B, F]
    if features is None:
        return
    shape = (len(SEEDS), len(first), *encoder.space.shape)
    if np.shape(features) != shape:
        raise LawBroken("features", f"it gave the shape {np.shape(features)}, expected {shape}, or None")
    own = encoder.encode(first.copy(), encoder.make_carry())
    if not np.allclose(features[np.arange(len(first)), np.arange(len(first))], own, atol=NEAR, rtol=NEAR):
        expected = "expected the same, or None where they depend on more than the observation"
        raise LawBroken("features", f"they are not what encode gives where an episode begins; {expected}")


def a_restored_encoder_goes_on(case: ComponentCase) -> None:
    """Restore an encoder's state in a new one and let both learn on: the same bits.

    Raises:
        LawBroken: they differ.
    """
    seen = _seen(case)
    encoder = case.make(list(SEEDS))
    _encoded(encoder, seen)
    restored = case.make(list(SEEDS))
    restored.restore(_stored(encoder.state()))
    if found := next(differences(encoder.state(), restored.state()), None):
        raise LawBroken("restore", f"{found} after restore, expected the state that was given to it")
    for t, obs in enumerate(seen[::-1]):
        for each in (encoder, restored):
            each.learn(obs.copy(), len(seen) + t + 1)
    if not np.array_equal(_features(encoder, seen), _features(restored, seen)):
        raise LawBroken("state", "a restored encoder learns on differently, expected the same bits: state is not whole")


# Bonuses.


def _visited(novelty: Any, seen: Array) -> Array:
    """Visit observations [T, S, *obs]; the novelty of each, [T, S]."""
    return np.stack([np.array(novelty.visit(obs.copy())) for obs in seen])


def novelty_is_a_number_for_each_seed(case: ComponentCase) -> None:
    """Visit random play: one finite number >= 0 for each seed and visit.

    Raises:
        LawBroken: it is not.
    """
    found = _visited(case.make(list(SEEDS)), case.observations(SEEDS, STEPS))
    if found.shape != (STEPS, len(SEEDS)) or found.dtype.kind != "f":
        expected = f"expected one number for each of {len(SEEDS)} seeds"
        raise LawBroken("visit", f"it gave {found.dtype} {found.shape[1:]}, {expected}")
    if not np.isfinite(found).all() or (found < 0).any():
        raise LawBroken("visit", f"it gave {found.min():g} to {found.max():g}, expected finite numbers >= 0")


def what_is_met_often_is_less_new(case: ComponentCase) -> None:
    """Visit one observation many times: it is less new in the end than at first.

    Raises:
        LawBroken: it is not.
    """
    obs = case.observations(SEEDS, 1)
    found = _visited(case.make(list(SEEDS)), np.repeat(obs, VISITS, axis=0))
    if not (found[-1] < found[0]).all():
        said = f"one observation is {found[0, 0]:g} new at first and {found[-1, 0]:g} after {VISITS} visits"
        raise LawBroken("visit", f"{said}, expected less")


def bonuses_of_seeds_do_not_meet(case: ComponentCase) -> None:
    """Visit with seeds together and each alone, and once with other observations in one seed: the same novelty.

    Raises:
        LawBroken: it differs.
    """
    seen = case.observations(SEEDS, STEPS)
    together = _visited(case.make(list(SEEDS)), seen)
    for i, seed in enumerate(SEEDS):
        alone = _visited(case.make([seed]), seen[:, i : i + 1])
        if not np.allclose(alone[:, 0], together[:, i], atol=NEAR, rtol=NEAR):
            expected = "expected the same: no statistic over seeds"
            raise LawBroken("visit", f"seed {seed} finds other things new alone than among {len(SEEDS)}; {expected}")
    beside = _visited(case.make(list(SEEDS)), _other(seen))
    if not np.allclose(beside[:, [0, 2]], together[:, [0, 2]], atol=NEAR, rtol=NEAR):
        raise LawBroken("visit", f"other observations in seed {SEEDS[1]} change what is new to the others")


def a_restored_bonus_goes_on(case: ComponentCase) -> None:
    """Restore a bonus's state in a new one, and visit on with both: the same bits.

    Raises:
        LawBroken: they differ.
    """
    seen = case.observations(SEEDS, 2 * STEPS)
    novelty = case.make(list(SEEDS))
    _visited(novelty, seen[:STEPS])
    restored = case.make(list(SEEDS))
    restored.restore(_stored(novelty.state()))
    if not np.array_equal(_visited(novelty, seen[STEPS:]), _visited(restored, seen[STEPS:])):
        raise LawBroken("state", "a restored memory finds other things new, expected the same bits: state is not whole")


# Recurrences.


# They have ``errors()`` themselves: passes of compiled networks, which an agent's folder holds.


def gradients_are_those_of_the_outputs(recurrence: Any) -> None:
    """Compare the gradient of every part of the parameters with finite differences.

    Raises:
        LawBroken: one is further off than rounding.
    """
    for part, error in recurrence.errors().gradient.items():
        if not error < 0.02:
            raise LawBroken("cell_backward", f"the gradient of {part} is {error:.0%} off finite differences")


def acting_is_what_training_unrolls(recurrence: Any) -> None:
    """Compare single steps with the unrolled sequence: the same outputs.

    Raises:
        LawBroken: they differ.
    """
    error = recurrence.errors().acting
    if not error < 1e-4:
        raise LawBroken("cell_forward", f"outputs step by step are {error:g} off those of the unrolled sequence")


ENCODER_LAWS = (
    Law("features are finite numbers of the encoder's space", "encode", features_are_of_their_space, True),
    Law("encoders of seeds do not meet", "learn", encoders_of_seeds_do_not_meet),
    Law("a frozen copy learns nothing", "frozen", a_frozen_copy_learns_nothing),
    Law("features say what encode says", "features", features_say_what_encode_says),
    Law("a restored encoder goes on as it would have", "state", a_restored_encoder_goes_on),
)
INTRINSIC_LAWS = (
    Law("novelty is a number for each seed", "visit", novelty_is_a_number_for_each_seed, True),
    Law("what is met often is less new", "visit", what_is_met_often_is_less_new),
    Law("bonuses of seeds do not meet", "visit", bonuses_of_seeds_do_not_meet),
    Law("a restored bonus goes on as it would have", "state", a_restored_bonus_goes_on),
)
RECURRENCE_LAWS = (
    Law("gradients are those of the outputs", "cell_backward", gradients_are_those_of_the_outputs),
    Law("acting is what training unrolls", "cell_forward", acting_is_what_training_unrolls),
)
