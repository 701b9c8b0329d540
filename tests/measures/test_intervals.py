"""Bootstrap over patients, Wilson, t: against scipy, by hand, and by their coverage."""

import numpy as np
import pytest
from scipy import stats

from tomos.measures import distributions as d
from tomos.measures.intervals import (
    Bootstrap,
    bootstrap_interval,
    percentile,
    perfect_auroc,
    seed_spread,
    wilson,
)

pytestmark = pytest.mark.fast


def mean_of(x):
    return lambda w: (w @ x) / w.sum(1)


@pytest.mark.parametrize("p", [0.001, 0.3, 0.975])
@pytest.mark.parametrize("freedom", [1, 2, 7.5, 200])
def test_t_quantile(p, freedom):
    assert d.t_quantile(p, freedom) == pytest.approx(stats.t.ppf(p, freedom), rel=1e-9)


@pytest.mark.parametrize(("k", "n"), [(0, 0), (0, 5), (3, 10), (5, 10), (900, 2000), (1000, 2000)])
def test_binomial(k, n):
    expected = stats.binomtest(k, n).pvalue if n else 1.0
    assert d.binomial_two_sided(k, n) == pytest.approx(expected, rel=1e-8)


def test_wilson_against_scipy():
    for k, n in ((0, 12), (7, 9), (9, 9), (250, 1000)):
        expected = stats.binomtest(k, n).proportion_ci(method="wilson")
        ours = wilson(k, n)
        assert (ours.low, ours.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert np.isnan(wilson(0, 0).value)


def test_the_same_resamples_every_time_and_whole_ones():
    b = Bootstrap(np.arange(50), resamples=30, seed=3)
    first, second = (np.concatenate(list(b.blocks())) for _ in range(2))
    assert first.shape == (30, 50) and np.array_equal(first, second)
    assert (first.sum(1) == 50).all()
    other = np.concatenate(list(Bootstrap(np.arange(50), resamples=30, seed=4).blocks()))
    assert not np.array_equal(first, other)


def test_long_and_short_rows_are_drawn_evenly():
    for n in (100, 5000):
        counts = np.concatenate(list(Bootstrap(np.arange(n), resamples=400).blocks()))
        assert (counts.sum(1) == n).all()
        assert counts.mean(0).std() == pytest.approx((1 / 400) ** 0.5, rel=0.25)
        assert counts.var() == pytest.approx(1 - 1 / n, rel=0.05)


def test_images_of_one_patient_are_drawn_together():
    groups = np.array(["b", "a", "a", "c", "b"])
    weights = np.concatenate(list(Bootstrap(groups, resamples=20).blocks()))
    assert np.array_equal(weights[:, 0], weights[:, 4])
    assert np.array_equal(weights[:, 1], weights[:, 2])
    assert (weights[:, [0, 1, 3]].sum(1) == 3).all()


def test_repeating_every_image_widens_nothing_and_narrows_nothing():
    x = np.random.default_rng(0).normal(size=60)
    once = bootstrap_interval(mean_of(x), Bootstrap(np.arange(60)))
    thrice = bootstrap_interval(mean_of(np.repeat(x, 3)), Bootstrap(np.repeat(np.arange(60), 3)))
    assert (once.low, once.high) == pytest.approx((thrice.low, thrice.high))


def test_a_resample_never_lacks_a_class():
    positive = np.arange(40) < 3
    b = Bootstrap(np.arange(40), np.stack([positive, ~positive]), resamples=500)
    weights = np.concatenate(list(b.blocks()))
    assert (weights[:, positive].sum(1) > 0).all()
    assert b.redrawn > 0 and not b.stratified
    assert f"{b.redrawn} drawn again" in b.method


def test_many_single_patients_are_stratified_and_said():
    truth = np.append(np.arange(4), np.full(30, 4))
    required = np.stack([truth == k for k in range(5)])
    b = Bootstrap(np.arange(34), required, resamples=50)
    assert b.stratified and "stratified" in b.method
    assert (np.concatenate(list(b.blocks())) @ required.T > 0).all()


@pytest.mark.parametrize("bca", [False, True])
def test_bootstrap_of_a_mean_against_scipy(bca):
    x = np.random.default_rng(5).exponential(size=80)
    ours = bootstrap_interval(mean_of(x), Bootstrap(np.arange(80), resamples=5000), bca=bca)
    theirs = stats.bootstrap(
        (x,), np.mean, n_resamples=5000, method="BCa" if bca else "percentile", random_state=0
    ).confidence_interval
    assert ours.value == pytest.approx(x.mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_undefined_resamples_are_left_out_and_too_few_give_nothing():
    assert percentile(np.append(np.arange(101.0), np.nan)) == pytest.approx((2.5, 97.5))
    assert np.isnan(percentile(np.arange(10.0))[0])


def test_a_perfect_auroc_still_has_a_lower_end():
    assert perfect_auroc(10).low == pytest.approx(0.025**0.1)
    assert np.isnan(perfect_auroc(0).low)


def test_spread_over_seeds():
    interval, deviation = seed_spread(np.array([0.98, 0.985, 0.99]))
    low, high = stats.t.interval(0.95, 2, 0.985, stats.sem([0.98, 0.985, 0.99]))
    assert (interval.low, interval.high) == pytest.approx((low, high))
    assert deviation == pytest.approx(0.005)
    assert np.isnan(seed_spread(np.array([0.9]))[0].low)
