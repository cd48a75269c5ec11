"""Tests of blackjack's exact MDP: by hand, and against the compiled environment."""

import numpy as np
import pytest

from envs import blackjack
from envs.blackjack import HIT, STICK, make_mdp, obs_index
from simulator.core.mdp.solve import evaluate_finite, value_iteration


def _state(seen, mdp, number, natural=False):
    found = np.flatnonzero(seen == number)
    return found[-1] if natural else found[0]


def test_a_first_hand_by_hand():
    """A natural takes an ace and one of four tens in thirteen, in either order: 2 x 1/13 x 4/13."""
    mdp, seen = make_mdp(natural=False, sab=True)
    assert mdp.start.sum() == pytest.approx(1)
    naturals = [_state(seen, mdp, obs_index(21, dealer, True), natural=True) for dealer in range(1, 11)]
    assert mdp.start[naturals].sum() == pytest.approx(8 / 169)
    assert mdp.start[_state(seen, mdp, obs_index(4, 2, False))] == pytest.approx(1 / 13**3)  # two twos against a two
    assert mdp.start[_state(seen, mdp, obs_index(12, 2, True))] == pytest.approx(1 / 13**3)  # two aces


def test_hitting_twenty_by_hand():
    """Only an ace saves a hard 20: 12 of 13 cards are too many."""
    mdp, seen = make_mdp(natural=False, sab=True)
    n = _state(seen, mdp, obs_index(20, 7, False))
    assert mdp.reward[n, HIT] @ mdp.prob[n, HIT] == pytest.approx(-12 / 13)
    saved = mdp.next[n, HIT, mdp.end[n, HIT] == 0]
    assert seen[saved].tolist() == [obs_index(21, 7, False)]


def test_a_natural_against_a_ten_by_hand():
    """The dealer holds a natural too with an ace below, 1 in 13; the book pays 1 otherwise, and nothing then."""
    for sab, natural, win in ((True, False, 1.0), (False, True, 1.5)):
        mdp, seen = make_mdp(natural, sab)
        n = _state(seen, mdp, obs_index(21, 10, True), natural=True)
        outcomes = {float(r): p for r, p in zip(mdp.reward[n, STICK], mdp.prob[n, STICK], strict=True) if p > 0}
        if sab:
            assert outcomes[win] == pytest.approx(12 / 13)
        else:
            assert 0.8 < outcomes[win] < 12 / 13  # a dealer's 21 of three cards is a draw, too
        assert sum(outcomes.values()) == pytest.approx(1)
        assert -1.0 not in outcomes


def test_the_best_policy_is_the_textbooks():
    """Sutton and Barto, figure 5.2: hard hands stick from 12, 13 or 17 on, by the dealer's card, soft ones from 18."""
    spec = blackjack.describe(blackjack.Config())
    best = value_iteration(spec.mdp, 1.0).q
    for dealer in range(1, 11):
        stop = 12 if dealer in (4, 5, 6) else 13 if dealer in (2, 3) else 17
        for total in range(12, 22):
            q = best[_state(spec.state_obs, spec.mdp, obs_index(total, dealer, False))]
            assert (q[STICK] > q[HIT]) == (total >= stop), (total, dealer)
        soft = 19 if dealer in (1, 9, 10) else 18
        for total in range(13, 21):
            q = best[_state(spec.state_obs, spec.mdp, obs_index(total, dealer, True))]
            if (total, dealer) != (18, 1):  # all but a tie
                assert (q[STICK] > q[HIT]) == (total >= soft), (total, dealer)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"sab": False}, {"sab": False, "natural": True}])
def test_the_law_is_what_the_env_does(settings):
    """Sticking from 17 on, a hundred thousand hands: within four standard errors of the exact return."""
    config = blackjack.Config(**settings)
    env = blackjack.make(list(range(400)), config)
    spec = env.spec
    probs = np.zeros((len(spec.state_obs), 2))
    sticks = spec.state_obs // 22 >= 17
    probs[sticks, STICK], probs[~sticks, HIT] = 1, 1
    exact = evaluate_finite(spec.mdp, probs, None)
    obs, earned, hands = env.reset(), [], 0
    while hands < 100_000:
        step = env.step(np.where(obs // 22 >= 17, STICK, HIT))
        earned.append(step.reward[step.terminated].copy())
        hands, obs = hands + step.terminated.sum(), step.obs.copy()
    returns = np.concatenate(earned)
    assert returns.mean() == pytest.approx(exact, abs=4 * returns.std() / np.sqrt(hands))


def test_the_spec_of_the_env():
    spec = blackjack.describe(blackjack.Config())
    assert (spec.max_steps, spec.gamma, spec.observation.n) == (None, 1.0, 32 * 11 * 2)
    assert spec.random_score == pytest.approx(-0.394, abs=1e-3)
    assert spec.reward_threshold == pytest.approx(1.01 * value_iteration(spec.mdp, 1.0).start_value)
    plain, seen = make_mdp(natural=False, sab=False)
    assert len(set(seen)) == len(seen)  # without a reward for naturals every state shows itself
    assert len(make_mdp(natural=False, sab=True, max_steps=9)[1]) == len(seen) + 10
    assert plain.max_steps is None


def test_a_hand_stands_in_the_chart_of_its_kind():
    """Of each hand that is dealt the mark lies where the state that is observed has its place."""
    env = blackjack.make(list(range(60)), blackjack.Config())
    kinds = set()
    for seed, seen in enumerate(env.reset()):
        scene = env.scene(seed)
        total, dealer, usable = seen // 22, seen // 2 % 11, seen % 2
        kinds.add(int(usable))
        (mark,) = scene.marks
        assert scene.row_names[mark.row] == str(total)
        assert scene.column_names[mark.column] == ("ace" if dealer == 1 else str(dealer))
        (state, *_) = np.flatnonzero(env.spec.state_obs == seen)
        assert tuple(scene.places[state]) == (mark.row, mark.column)
        shown = env.spec.state_obs[scene.places[:, 0] >= 0]
        assert (shown % 2 == usable).all()
        assert (shown // 22).max() == 21
    assert kinds == {0, 1}


def test_a_bust_hand_is_in_no_chart():
    env = blackjack.make([0], blackjack.Config())
    env.reset()
    while not (step := env.step(np.array([HIT]))).terminated[0]:
        pass
    assert step.reward[0] == -1
    scene = env.last_scene(0)
    assert (scene.marks, int(scene.facts["player"]) > 21) == ((), True)
