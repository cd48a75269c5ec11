"""Tests of exact payoffs of memory-one play: by hand, by a plain Markov chain, and by zero-determinant theory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.memory_one import PRESETS
from simulator.core.games.game import CC, CD, DC, DD, memory_one_payoffs

PD = np.array([[3.0, 0.0, 5.0, 1.0], [3.0, 5.0, 0.0, 1.0]])
KEYS = ("opening", "cc", "cd", "dc", "dd")
W = 0.9

shares = st.floats(0.0, 1.0)
players = st.lists(shares, min_size=5, max_size=5).map(np.array)


def of(name):
    return np.array([PRESETS[name]["agent"][key] for key in KEYS])


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("tit-for-tat", "always-defect", (W, 5 * (1 - W) + W)),  # 0, 1, 1, ... and 5, 1, 1, ...
        ("win-stay-lose-shift", "always-defect", (W / (1 + W), (5 + W) / (1 + W))),  # 0, 1, 0, 1 and 5, 1, 5, 1
        ("tit-for-tat", "suspicious-tit-for-tat", (5 * W / (1 + W), 5 / (1 + W))),  # 0, 5, 0, 5 and 5, 0, 5, 0
        ("tit-for-tat", "win-stay-lose-shift", (3.0, 3.0)),
        ("always-defect", "always-cooperate", (5.0, 0.0)),
        ("random", "random", (2.25, 2.25)),
    ],
)
def test_by_hand_with_an_unknown_end(first, second, expected):
    found = memory_one_payoffs((of(first), of(second)), PD, continuation=W)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    turned = memory_one_payoffs((of(second), of(first)), PD, continuation=W)
    np.testing.assert_allclose(turned, expected[::-1], rtol=1e-12)


def test_by_hand_with_a_number_of_rounds():
    found = memory_one_payoffs((of("tit-for-tat"), of("always-defect")), PD, rounds=10)
    np.testing.assert_allclose(found, (9 / 10, 14 / 10), rtol=1e-12)
    one = memory_one_payoffs((of("tit-for-tat"), of("always-defect")), PD, rounds=1)
    np.testing.assert_allclose(one, (0.0, 5.0))


def test_by_hand_with_noise():
    e = 0.1  # cooperates with 0.9 and with 0.1, whatever happened
    cooperates, defects = 3 * 0.09 + 5 * 0.01 + 0.09, 3 * 0.09 + 5 * 0.81 + 0.09
    for law in ({"continuation": 0.7}, {"rounds": 4}):
        found = memory_one_payoffs((of("always-cooperate"), of("always-defect")), PD, noise=e, **law)
        np.testing.assert_allclose(found, (cooperates, defects), rtol=1e-12)


def test_with_noise_win_stay_lose_shift_mends_what_tit_for_tat_does_not():
    law = {"noise": 0.01, "continuation": 1 - 1e-7}
    among = {name: memory_one_payoffs((of(name), of(name)), PD, **law)[0] for name in PRESETS}
    assert among["tit-for-tat"] == pytest.approx(2.25, abs=1e-3)  # Nowak and Sigmund 1993
    assert min(among["win-stay-lose-shift"], among["generous-tit-for-tat"]) > 2.9


@given(players, players, st.floats(0.0, 0.5), st.integers(1, 30))
def test_by_a_plain_chain(first, second, noise, rounds):
    def flipped(p):
        return (1 - noise) * p + noise * (1 - p)

    at, total = {None: 1.0}, np.zeros(2)
    for _ in range(rounds):
        following = dict.fromkeys((CC, CD, DC, DD), 0.0)
        for seen, weight in at.items():
            turned = {None: 0, CC: CC, CD: DC, DC: CD, DD: DD}[seen]
            p, q = flipped(first[seen or 0]), flipped(second[turned])
            for outcome, chance in ((CC, p * q), (CD, p * (1 - q)), (DC, (1 - p) * q), (DD, (1 - p) * (1 - q))):
                following[outcome] += weight * chance
        at = following
        total += [sum(weight * PD[side, outcome - CC] for outcome, weight in at.items()) for side in (0, 1)]
    found = memory_one_payoffs((first, second), PD, noise=noise, rounds=rounds)
    np.testing.assert_allclose(found, total / rounds, atol=1e-10)


@settings(max_examples=10)
@given(players, players, st.floats(0.0, 0.5), st.floats(0.0, 0.7))
def test_an_unknown_end_is_the_mean_over_its_lengths(first, second, noise, w):
    lengths = np.arange(1, 80)
    means = [memory_one_payoffs((first, second), PD, noise=noise, rounds=int(n))[0] for n in lengths]
    chance = (1 - w) * w ** (lengths - 1)
    found = memory_one_payoffs((first, second), PD, noise=noise, continuation=w)[0]
    total = (chance * lengths * means).sum() / (chance * lengths).sum()
    np.testing.assert_allclose(found, total, atol=1e-6)


@given(players)
def test_a_discounted_extortioner_holds_its_linear_relation(other):
    # Hilbe, Traulsen and Sigmund 2015: w p + (1 - w) p0 - (1, 1, 0, 0) = phi ((u - P) - chi (u' - P))
    w, chi, phi = 0.95, 2.0, 1 / 18
    line = phi * ((PD[0] - 1) - chi * (PD[1] - 1))
    extort = np.append(0.0, (np.array([1, 1, 0, 0]) + line) / w)
    assert ((extort >= 0) & (extort <= 1)).all()
    own, theirs = memory_one_payoffs((extort, other), PD, continuation=w)
    np.testing.assert_allclose(own - 1, chi * (theirs - 1), atol=1e-10)


@given(st.lists(st.floats(0.05, 0.95), min_size=5, max_size=5).map(np.array))
def test_the_presets_hold_theirs_in_the_long_run(other):
    law = {"continuation": 1 - 1e-8}
    own, theirs = memory_one_payoffs((of("extort-2"), other), PD, **law)
    assert own - 1 == pytest.approx(2 * (theirs - 1), abs=1e-5)  # Press and Dyson 2012, chi = 2
    own, theirs = memory_one_payoffs((of("zd-generous-2"), other), PD, **law)
    assert 3 - own == pytest.approx(2 * (3 - theirs), abs=1e-5)  # Stewart and Plotkin 2012


def test_many_players_at_once():
    names = list(PRESETS)
    first, second = np.array([of(a) for a in names])[:, None], np.array([of(b) for b in names])
    table = memory_one_payoffs((first, second), PD, noise=0.02, continuation=0.9)[0]
    assert table.shape == (len(names), len(names))
    i, j = 2, 5
    alone = memory_one_payoffs((of(names[i]), of(names[j])), PD, noise=0.02, continuation=0.9)[0]
    assert table[i, j] == pytest.approx(alone)


def test_a_game_without_end_has_no_payoff():
    with pytest.raises(ValueError, match=r"^continuation = 1.0: expected a number below 1 where rounds is 0$"):
        memory_one_payoffs((of("random"), of("random")), PD)
