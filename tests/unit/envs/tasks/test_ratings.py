"""Tests of ratings: the posterior against brute force and all methods, what must not be seen, and bad files."""

from __future__ import annotations

import numpy as np
import pytest

from envs.tasks import ratings
from envs.tasks.ratings import Config, make, methods
from envs.tasks.ratings.data import read_table, sample_table, seen_entries
from simulator.core.tasks import Predictor

SMALL = {"users": 40, "items": 25, "rank": 2, "sweeps": 8, "updates": 40, "hidden": 8}


def test_the_posterior_is_the_conditional_normal_of_one_user():
    """By brute force: the joint covariance F D F' + s^2 I of a user's ratings, conditioned on the seen ones."""
    table = sample_table(Config(users=3, items=7, rank=2, noise=0.4), seed=1)
    seen = seen_entries(table, 0.4, seed=1)
    found = methods.posterior(table, seen)
    model = table.model
    prior = model.features @ np.diag(model.variances) @ model.features.T
    mean = model.mean + model.item_bias
    for user in range(3):
        at = np.flatnonzero(seen[user])
        observed = prior[np.ix_(at, at)] + model.noise**2 * np.eye(len(at))
        gain = prior[:, at] @ np.linalg.inv(observed)
        np.testing.assert_allclose(found.mean[user], mean + gain @ (table.ratings[user, at] - mean[at]), rtol=1e-9)
        variance = np.diag(prior - gain @ prior[at]) + model.noise**2
        np.testing.assert_allclose(found.variance[user], variance, rtol=1e-9)


def test_made_up_ratings_follow_their_law():
    tables = [sample_table(Config(users=200, items=200, rank=4), seed) for seed in range(30)]
    variances = [(table.ratings - table.model.mean).var() for table in tables]
    expected = 0.25 + 0.25 + 1.0 + 0.25  # biases, u . v, noise
    error = np.std(variances) / np.sqrt(len(tables))
    assert abs(np.mean(variances) - expected) < 4 * error + 0.01


@pytest.mark.slow
def test_no_method_beats_the_ceiling_in_expectation():
    """Over 24 seeds the mean squared error of each less that of the posterior is above 0 by four standard errors."""
    task = make(range(24), Config(users=40, items=30, rank=2, sweeps=10, updates=60, seen=(0.3,)))
    best = task.play(Predictor("posterior_mean"), 0.3).scores
    expected = best["rmse"] ** 2 - best["ceiling"] ** 2  # what came less what was expected
    assert abs(expected.mean()) < 4 * expected.std(ddof=1) / np.sqrt(24)
    for name in ratings.DEFAULT[1:]:
        more = task.play(Predictor(name), 0.3).scores["rmse"] ** 2 - best["rmse"] ** 2
        assert more.mean() > 4 * more.std(ddof=1) / np.sqrt(24), name


@pytest.mark.parametrize("name", ratings.DEFAULT)
def test_an_entry_that_is_not_seen_changes_no_prediction(name):
    task = make([3], Config(**SMALL))
    table = task._table(0)
    seen = seen_entries(table, 0.3, seed=3)
    other = table._replace(ratings=np.where(seen, table.ratings, 1e6))
    streams = [np.random.Generator(np.random.PCG64(5)) for _ in range(2)]
    one, two = (task._predict(name, own, seen, stream) for own, stream in zip((table, other), streams, strict=True))
    np.testing.assert_array_equal(one, two)
    changed = table._replace(ratings=table.ratings + np.where(seen, 1.0, 0.0))
    again = task._predict(name, changed, seen, np.random.Generator(np.random.PCG64(5)))
    assert not np.allclose(one, again)


def test_the_masked_loss_by_hand():
    import torch

    from envs.tasks.ratings.autorec_torch import masked_loss

    output = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    mask = torch.tensor([[True, False], [True, True]])
    loss = masked_loss(output, torch.tensor([[0.0, float("nan")], [3.0, 2.0]]), mask)
    assert loss.item() == 5.0  # 1 + 0 + 4
    loss.backward()
    assert output.grad.tolist() == [[2.0, 0.0], [0.0, 4.0]]


def test_means_by_hand():
    """Two users, two items, three ratings; without damping the fit is exact, so the fourth is known."""
    table, seen = np.array([[1.0, 2.0], [3.0, 0.0]]), np.array([[True, True], [True, False]])
    assert methods.global_mean(table, seen).tolist() == [[2.0, 2.0], [2.0, 2.0]]
    for _ in range(10):
        found = methods.user_item_means(table, seen, 0.0)
    np.testing.assert_allclose(found, [[1.0, 2.0], [3.0, 4.0]], atol=0.05)


def test_users_who_rate_alike_are_neighbours():
    stream = np.random.Generator(np.random.PCG64(2))
    taste = stream.standard_normal(20)
    table = np.stack([sign * taste for sign in (1, 1, 1, -1, -1, -1)])
    seen = np.ones(table.shape, np.bool_)
    seen[0, :5] = False
    found = methods.nearest_users(np.where(seen, table, 0.0), seen, np.zeros(table.shape), 2)
    np.testing.assert_allclose(found[0, :5], taste[:5], rtol=1e-9)


def test_fewer_seen_entries_are_a_part_of_more_and_seeds_are_alone():
    table = sample_table(Config(**{key: SMALL[key] for key in ("users", "items")}), 2)
    few, many = seen_entries(table, 0.1, 7), seen_entries(table, 0.4, 7)
    assert (few <= many).all()
    assert (few.sum(), many.sum()) == (100, 400)
    assert not np.array_equal(few, seen_entries(table, 0.1, 8))


@pytest.mark.parametrize("name", ratings.DEFAULT)
def test_a_seed_is_the_same_alone(name):
    together, alone = (make(seeds, Config(**SMALL)) for seeds in ((4, 1, 9), (9,)))
    scores = [task.play(Predictor(name), 0.2).scores for task in (together, alone)]
    for score, values in scores[0].items():
        assert values[2] == scores[1][score][0]


def _file(tmp_path, text):
    path = tmp_path / "ratings.csv"
    path.write_text(text)
    return str(path)


def test_a_file_by_hand(tmp_path):
    path = _file(tmp_path, "item,user,rating,time\nalien,ann,5,1\nbrazil,ann,2.5,2\nalien,bob,1,3\n")
    table = read_table(path)
    assert table.ratings.tolist() == [[5.0, 2.5], [1.0, 0.0]]
    assert table.known.tolist() == [[True, True], [True, False]]
    task = make([0, 1], Config(csv=path, seen=(0.7,)))
    scores = task.play(Predictor("global_mean"), 0.7).scores
    assert set(scores) == {"rmse", "mae"}
    with pytest.raises(ValueError, match=r"posterior_mean: the law of a file's ratings is not known"):
        task.check(Predictor("posterior_mean"))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "it is empty, expected a CSV file with the columns user, item, rating"),
        ("user,item,stars\na,b,1\n", "row 1: no column 'rating': found user, item, stars"),
        ("user,item,rating\na,b,1\na,c,good\n", "row 3: rating = 'good': expected a number"),
        ("user,item,rating\na,b,nan\n", "row 2: rating = 'nan': expected a number"),
        ("user,item,rating\na,b\n", "row 2: rating = '': expected a number"),
        ("user,item,rating\n,b,1\n", "row 2: no user"),
        ("user,item,rating\na,,1\n", "row 2: no item"),
        ("user,item,rating\na,b,1\na,b,2\n", "row 3: user a has rated item b before"),
        ("user,item,rating\na,b,1,2\n", "row 2: found more cells than the 3 columns"),
        ("user,item,rating\na,b,1\na,c,2\n", "found 1 users and 2 items, expected at least 2 of each"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path, text, line):
    path = _file(tmp_path, text)
    with pytest.raises(ValueError, match=line) as caught:
        read_table(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(path)


def test_nothing_to_see_or_to_predict_is_refused(tmp_path):
    path = _file(tmp_path, "user,item,rating\na,b,1\na,c,2\nb,b,3\n")
    for share in (0.01, 0.99):
        with pytest.raises(
            ValueError, match=r"ratings: seen = .* of 3 ratings: expected some to see and some to predict"
        ):
            make([0], Config(csv=path, seen=(share,))).play(Predictor("als"), share)
