"""Time until random moves reach the goal of the contest of novelty, exactly: what epsilon-greedy can hope for.

Until its first reward every value is 0 and every maximum a tie, so Q-learning without a bonus walks at random.
"""

from __future__ import annotations

from typing import Any

from simulator.config.codec import assemble
from simulator.config.tournament import TournamentConfig, preset
from simulator.core.mdp.model import uniform_policy
from simulator.core.mdp.solve import evaluate_finite, finite_horizon
from simulator.tournaments.plan import pairs_of
from simulator.training.session import Session
from tests.benchmarks._clock import show


def main(json: bool) -> dict[str, Any]:
    """Compute probabilities and mean times of random play."""
    tournament = assemble(TournamentConfig, [preset("novelty")])
    config = pairs_of(tournament)[0].config
    mdp = Session(config).env.spec.mdp
    n_steps = mdp.max_steps
    reached = float(evaluate_finite(mdp, uniform_policy(mdp), n_steps))
    n_episodes = config.steps // n_steps
    found = {
        "states": len(mdp.start),
        "steps of the shortest path": shortest_path(mdp),
        "probability of the goal in an episode": reached,
        "probability of the goal in the whole training": 1.0 - (1.0 - reached) ** n_episodes,
        "mean steps until the goal, in whole episodes": n_steps / reached,
    }
    return show(__doc__, {"random play": found}, json)


def shortest_path(mdp: Any) -> int:
    """Count the steps of the shortest path to the goal, which alone pays."""
    return next(n for n in range(1, mdp.max_steps + 1) if finite_horizon(mdp, n).start_value > 0.0)
