"""The voxel AUROC against pairs counted by hand and the one over cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomos.measures import ranking
from tomos.measures.voxel_ranking import voxel_auroc
from tomos.types import GeometryError

pytestmark = pytest.mark.fast


def test_six_pairs_by_hand():
    # 0.9 wins 3 pairs, 0.4 wins 1, ties 1 and loses 1: 4.5 of 6.
    scores = np.array([[0.9, 0.4, 0.4, 0.1, 0.6]], np.float32)
    truth = np.array([[1, 1, 0, 0, 0]], np.uint8)
    assert voxel_auroc(scores, truth) == 4.5 / 6


@given(
    seed=st.integers(0, 2**32 - 1),
    steps=st.sampled_from([2, 7, 1000]),
    share=st.sampled_from([0.1, 0.5, 0.95]),
)
@settings(max_examples=30, deadline=None)
def test_equal_to_the_auroc_over_cases(seed, steps, share):
    rng = np.random.default_rng(seed)
    truth = rng.random((6, 7, 8)) < share
    scores = (rng.integers(0, steps, truth.shape) / steps).astype(np.float32)
    expected = ranking.auroc(truth.ravel(), scores.ravel())
    assert voxel_auroc(scores, truth) == pytest.approx(expected, abs=1e-12)


def test_outside_the_roi_nothing_counts():
    scores = np.array([0.1, 0.9, 0.5, 0.6])
    truth = np.array([False, True, True, False])
    assert voxel_auroc(scores, truth) == 0.75
    assert voxel_auroc(scores, truth, np.array([True, True, False, True])) == 1.0


def test_scores_of_whole_numbers():
    assert voxel_auroc(np.array([0, 255, 7], np.uint8), np.array([0, 1, 0])) == 1.0


def test_one_kind_of_voxel_only_has_no_figure():
    assert np.isnan(voxel_auroc(np.zeros(4), np.zeros(4, bool)))
    assert np.isnan(voxel_auroc(np.zeros(4), np.ones(4, bool)))


def test_wrong_input_is_refused_in_words():
    with pytest.raises(GeometryError, match="NaN"):
        voxel_auroc(np.array([0.1, np.nan]), np.array([0, 1]))
    with pytest.raises(GeometryError, match="labels == k"):
        voxel_auroc(np.zeros(2), np.array([0, 2]))
    with pytest.raises(GeometryError, match="shape"):
        voxel_auroc(np.zeros(2), np.zeros(3))
    with pytest.raises(GeometryError, match="roi of bool"):
        voxel_auroc(np.zeros(2), np.zeros(2), np.array([0, 1]))
