"""Spearman's rank correlation against numbers worked by hand, and against scipy's."""

import numpy as np
import pytest

from tomos.measures.correlation import spearman

pytestmark = pytest.mark.fast


def test_by_hand():
    rising = np.arange(5.0)
    assert spearman(rising, np.exp(rising)) == pytest.approx(1)
    assert spearman(rising, -rising) == pytest.approx(-1)
    # Differences of ranks 0, 1, -1, 0, 0: 1 - 6 * 2 / (5 * 24) = 0.9
    assert spearman(rising, np.array([0.0, 2, 1, 3, 4])) == pytest.approx(0.9)
    assert np.isnan(spearman(rising, np.ones(5)))
    with pytest.raises(ValueError, match="one shape"):
        spearman(rising, np.ones(4))


def test_ties_share_their_mean_rank_as_in_scipy():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, (2, 20, 30))
    assert spearman(a, b) == pytest.approx(stats.spearmanr(a.ravel(), b.ravel()).statistic)
