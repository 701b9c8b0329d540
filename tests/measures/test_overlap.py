"""Dice and IoU against counts by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomos.measures import classification
from tomos.measures.overlap import dice, iou, tally

pytestmark = pytest.mark.fast


def test_two_cubes_shifted_by_half_their_length():
    found, truth = np.zeros((2, 8, 8, 8), np.uint8)
    found[2:6, 2:6, 2:6] = 1
    truth[4:8, 2:6, 2:6] = 1
    table = tally(found, truth, 1)
    assert table.tolist() == [[512 - 64 - 32, 32], [32, 32]]
    assert dice(table).tolist() == [0.5]
    assert iou(table).tolist() == [32 / 96]


def test_a_label_on_neither_side_is_not_a_number():
    table = tally(np.array([[1, 0]], np.uint8), np.array([[0, 0]], np.uint8), 2)
    assert dice(table)[0] == iou(table)[0] == 0
    assert np.isnan([dice(table)[1], iou(table)[1]]).all()


@given(seed=st.integers(0, 2**32 - 1), labels=st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_the_table_is_the_confusion_matrix_and_dice_is_symmetric(seed, labels):
    rng = np.random.default_rng(seed)
    found, truth = rng.integers(0, labels + 1, (2, 5, 6, 7), dtype=np.uint8)
    table = tally(found, truth, labels)
    assert np.array_equal(table, classification.confusion(truth.ravel(), found.ravel(), labels + 1))
    back = tally(truth, found, labels)
    np.testing.assert_array_equal(dice(table), dice(back))
    np.testing.assert_allclose(iou(table), dice(table) / (2 - dice(table)))


def test_more_voxels_than_are_looked_at_together():
    found = np.zeros((2100, 2100), np.uint8)
    found[:, 100:] = 1
    assert tally(found, np.ones_like(found), 1).tolist() == [[0, 0], [210_000, 2000 * 2100]]
