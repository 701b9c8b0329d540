"""Paired tests: DeLong against its definition and a simulation, McNemar, permutation, Holm."""

import numpy as np
import pytest
from scipy import stats

from tomos.measures import comparison as t
from tomos.measures.intervals import Bootstrap
from tomos.measures.ranking import Ranking, auroc

pytestmark = pytest.mark.fast


def two_models(n=120, seed=0):
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < 0.4
    signal = rng.normal(size=n) + 1.2 * positive
    return positive, np.round(signal + 0.3 * rng.normal(size=n), 1), signal + rng.normal(size=n)


def structural(positive, scores):
    """DeLong's components by their definition, pair by pair."""
    p, n = scores[positive], scores[~positive]
    psi = (p[:, None] > n).astype(float) + 0.5 * (p[:, None] == n)
    return psi.mean(1), psi.mean(0)


def test_midranks():
    values = np.array([3.0, 1, 3, 2, 3])
    assert t.midranks(values).tolist() == stats.rankdata(values).tolist()


def test_delong_equals_its_definition():
    positive, first, second = two_models()
    areas, covariance = t.delong(positive, np.stack([first, second]))
    parts = [structural(positive, s) for s in (first, second)]
    v10, v01 = (np.stack([p[i] for p in parts]) for i in (0, 1))
    expected = np.cov(v10) / positive.sum() + np.cov(v01) / (~positive).sum()
    assert np.allclose(covariance, expected)
    assert areas == pytest.approx([auroc(positive, first), auroc(positive, second)])


def test_clustered_equals_plain_for_singletons_and_repeats_add_no_certainty():
    positive, first, second = two_models()
    scores = np.stack([first, second])
    plain = t.delong(positive, scores)[1]
    index = np.arange(len(positive))
    centred = [np.stack([structural(positive, s)[i] for s in scores]) for i in (0, 1)]
    centred = [v - v.mean(1, keepdims=True) for v in centred]
    assert np.allclose(t._clustered(*centred, positive, index), plain)
    twice = t.delong(np.repeat(positive, 2), np.repeat(scores, 2, axis=1), np.repeat(index, 2))[1]
    assert np.allclose(twice, plain, rtol=0.02)


def test_clustered_agrees_with_the_bootstrap_over_mixed_patients():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(80), 4)
    positive = rng.random(320) < 0.4
    scores = rng.normal(size=320) + positive + rng.normal(size=80)[groups]
    error = t.delong(positive, scores, groups)[1][0, 0] ** 0.5
    drawn = Bootstrap(groups).distribution(Ranking(positive, scores).auroc).std()
    assert error == pytest.approx(drawn, rel=0.12)


def test_delong_test_is_fair_under_the_null():
    rng = np.random.default_rng(4)
    p = []
    for _ in range(300):
        positive = rng.random(100) < 0.5
        signal = rng.normal(size=100) + positive
        scores = signal + rng.normal(size=(2, 100))
        p.append(t.delong_test(positive, *scores).p)
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_delong_edges():
    positive, first, _ = two_models()
    same = t.delong_test(positive, first, first)
    assert (same.value, same.p) == (0.0, 1.0)
    assert np.isnan(t.delong_test(np.array([1, 0, 0]), np.arange(3.0), np.arange(3.0)).p)
    area, low, high = t.delong_interval(positive, first)
    assert 0.5 < low < area < high < 1


def test_mcnemar_by_hand():
    first = np.array([1] * 8 + [0] * 2 + [1] * 5)
    second = np.array([0] * 8 + [1] * 2 + [1] * 5)
    assert t.mcnemar(first, second) == (8, 2, pytest.approx(stats.binomtest(2, 10).pvalue))


def test_permutation_exact_and_drawn():
    first, second = np.array([1.0, 2, 3]), np.zeros(3)
    assert t.permutation(first, second) == 2 / 8
    rng = np.random.default_rng(0)
    difference = rng.normal(0.25, 1, 60)
    ours = t.permutation(difference, np.zeros(60), draws=4000)
    assert ours == pytest.approx(stats.ttest_1samp(difference, 0).pvalue, abs=0.03)
    assert t.permutation(first, first) == 1.0


def test_permutation_swaps_whole_patients():
    first = np.repeat([1.0, 2, 3], 10)
    assert t.permutation(first, np.zeros(30), np.repeat([0, 1, 2], 10)) == 2 / 8


def test_holm_by_hand():
    assert t.holm([0.01, 0.04, 0.03, np.nan])[:3] == pytest.approx([0.03, 0.06, 0.06])
    assert np.isnan(t.holm([0.01, np.nan])[1])
