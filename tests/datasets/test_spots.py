import numpy as np
import pytest

from tomos.datasets.spots import PLACES, spots

pytestmark = pytest.mark.fast


def of(found, label):
    return found[found[:, 0] == label, 1:]


def test_voxels_of_each_label_and_none_of_the_ignored():
    labels = np.zeros((6, 8, 10), np.uint8)
    labels[1:3, 2:5, 3:9] = 1
    labels[4, 6, 7] = 2
    labels[:, :, 0] = 255
    found = spots(labels, 3, 255, 0)
    assert set(found[:, 0]) == {0, 1, 2}
    for label in (0, 1, 2):
        at = of(found, label)
        assert (labels[tuple(at.T)] == label).all()
    assert of(found, 2).tolist() == [[4, 6, 7]]
    assert np.array_equal(found, spots(labels, 3, 255, 0))


def test_a_small_piece_is_not_hidden_by_a_large_one():
    labels = np.zeros((40, 60, 60), np.uint8)
    labels[:, :50] = 1  # 120,000 voxels
    labels[20, 55:58, 10:13] = 1  # 9 voxels
    at = of(spots(labels, 1, 255, 0), 1)
    assert len(at) == PLACES
    share = (at[:, 1] >= 55).mean()
    # 3 : 346, the roots of 9 and 120,000; by voxels it would be 0.00007
    assert 0.004 < share < 0.015


def test_pictures_and_pieces_of_several_runs():
    labels = np.zeros((9, 9), np.uint8)
    labels[2:7, 2:7] = 1
    labels[3:6, 3:6] = 0
    at = of(spots(labels, 1, 255, 3), 1)
    assert (labels[tuple(at.T)] == 1).all()
    assert len(np.unique(at, axis=0)) > 8
