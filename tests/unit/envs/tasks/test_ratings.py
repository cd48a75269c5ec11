"""Tests of ratings: the posterior against brute force and all methods, what must not be seen, and bad files."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from envs.tasks import ratings
from envs.tasks.ratings import Config, make, methods
from envs.tasks.ratings.data import read_table, sample_table, seen_entries
from simulator.core import rng
from simulator.core.memories import Recall
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
    np.testing.assert_allclose(methods.user_item_means(table, seen, 0.0), [[1.0, 2.0], [3.0, 4.0]], atol=0.05)


def test_damping_counts_as_so_many_ratings_of_the_mean():
    """Two items, two users each: at the fixed point a bias of 1 shrinks to 2 / (2 + damping), users have none."""
    found = methods.user_item_means(np.array([[2.0, 4.0], [2.0, 4.0]]), np.ones((2, 2), np.bool_), 1.0)
    np.testing.assert_allclose(found, [[3 - 2 / 3, 3 + 2 / 3]] * 2)


def _stream(seed):
    return rng.generators([seed], "weights")[0]


def _normal(shape, seed):
    return rng.generators([seed], "patterns")[0].standard_normal(shape)


def test_als_is_a_singular_value_decomposition_with_lower_values():
    """The least |R - U V'|^2 + a (|U|^2 + |V|^2) has the singular values of R less a (Mazumder et al. 2010)."""
    table = _normal((9, 6), 4)
    found = methods.als(table, np.ones(table.shape, np.bool_), np.zeros(table.shape), 6, 1.5, 300, _stream(1))
    left, values, right = np.linalg.svd(table, full_matrices=False)
    assert values[0] > 1.5 > values[-1]
    np.testing.assert_allclose(found, left * np.maximum(values - 1.5, 0.0) @ right, atol=1e-6)


def test_als_with_gaps_has_no_gradient_where_it_ends():
    """With one factor: sum over seen of (r - u v) v = a u for every user, so u is told by the prediction."""
    table, seen = _normal((7, 5), 5) + 2.0, _normal((7, 5), 6) > -0.5
    found = methods.als(np.where(seen, table, 0.0), seen, np.zeros(table.shape), 1, 0.3, 500, _stream(1))
    left, (scale, *none), right = np.linalg.svd(found, full_matrices=False)
    np.testing.assert_allclose(none, 0.0, atol=1e-9)
    balance = np.sqrt(scale)  # the least |u|^2 + |v|^2 of this product has both as long
    u, v = balance * left[:, 0], balance * right[0]
    rest = np.where(seen, table - found, 0.0)
    np.testing.assert_allclose(rest @ v, 0.3 * u, atol=1e-6)
    np.testing.assert_allclose(u @ rest, 0.3 * v, atol=1e-6)


def test_ppca_ends_at_the_maximum_of_the_likelihood_of_what_is_seen():
    """By finite differences of the density of every user's seen ratings, each a normal with W W' + s I."""
    table, seen = _normal((30, 4), 7) @ _normal((4, 4), 8), _normal((30, 4), 9) > -0.7
    rest, prior = np.where(seen, table, 0.0), 0.4
    model = methods.fit_factors(rest, seen, 1, prior, 300, _stream(2))
    assert np.abs(model.loadings).max(axis=0).min() > 0.1

    def log_likelihood(loadings, variance):
        total = 0.0
        for row, at in zip(rest, seen, strict=True):
            own = loadings[at]
            covariance = own[:, 1:] @ own[:, 1:].T + variance * np.eye(at.sum())
            total += multivariate_normal.logpdf(row[at], own[:, 0], covariance) if at.any() else 0.0
        return total

    def penalised(loadings):
        return log_likelihood(loadings, model.variance) - prior / (2.0 * model.variance) * (loadings**2).sum()

    for at in np.ndindex(model.loadings.shape):
        step = np.zeros(model.loadings.shape)
        step[at] = 1e-5
        slope = (penalised(model.loadings + step) - penalised(model.loadings - step)) / 2e-5
        assert abs(slope) < 1e-3, at
    up, down = (log_likelihood(model.loadings, model.variance + by) for by in (1e-5, -1e-5))
    assert abs(up - down) / 2e-5 < 1e-3
    elsewhere = model.loadings * 1.1
    assert penalised(model.loadings) > penalised(elsewhere)


def test_a_memory_is_given_no_rating_that_is_not_seen_and_completes_the_rest():
    """A memory that recalls nothing predicts the means; what it stores is 0 where nothing is seen."""
    stored = []

    class Silent:
        def store(self, patterns):
            stored.append(patterns)

        def recall(self, cues, known):
            return Recall(np.where(known, cues, 0.0), np.zeros(1), np.zeros(1))

    task = make([3, 4], Config(**SMALL))
    found = task.play(Predictor("silent", lambda spec, seed_list: Silent()), 0.3).scores["rmse"]
    expected = task.play(Predictor("user_item_means"), 0.3).scores["rmse"]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    seen = np.stack([seen_entries(task._table(i), 0.3, seed) for i, seed in enumerate((3, 4))])
    assert not stored[0][~seen].any()
    assert np.abs(stored[0][seen]).max() == 1.0


def test_users_who_rate_alike_are_neighbours(monkeypatch):
    stream = np.random.Generator(np.random.PCG64(2))
    taste = stream.standard_normal(20)
    table = np.stack([sign * taste for sign in (1, 1, 1, -1, -1, -1)])
    seen = np.ones(table.shape, np.bool_)
    seen[0, :5] = False
    found = methods.nearest_users(np.where(seen, table, 0.0), seen, np.zeros(table.shape), 2)
    np.testing.assert_allclose(found[0, :5], taste[:5], rtol=1e-9)
    monkeypatch.setattr(methods, "_PAIRS", 4 * len(table))  # four users at a time, then two
    np.testing.assert_allclose(
        methods.nearest_users(np.where(seen, table, 0.0), seen, np.zeros(table.shape), 2), found, rtol=1e-12
    )


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
    assert task.spec.test_ratios == (pytest.approx(3 / 7),)  # splits of one file share its ratings
    assert not make([0], Config()).spec.test_ratios
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


def test_a_table_that_is_too_large_is_refused_before_it_is_made():
    with pytest.raises(ValueError, match="ratings: 100,000 users x 100,000 items: expected at most 50,000,000 entries"):
        make([0], Config(users=100_000, items=100_000))


def test_nothing_to_see_or_to_predict_is_refused(tmp_path):
    path = _file(tmp_path, "user,item,rating\na,b,1\na,c,2\nb,b,3\n")
    for share in (0.01, 0.99):
        with pytest.raises(
            ValueError, match=r"ratings: seen = .* of 3 ratings: expected some to see and some to predict"
        ):
            make([0], Config(csv=path, seen=(share,))).play(Predictor("als"), share)
