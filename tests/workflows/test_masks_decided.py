"""What validation decides about masks."""

import numpy as np
import pytest

from tomos.workflows.pack_masks import FEWEST, _better, _single

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("gains", "single", "kept"),
    [
        ([0.01, 0.012, 0.009, 0.011, 0.01, np.nan], False, True),
        ([0.05, 0.03], False, False),  # of two cases nothing is known
        ([0.05, 0.03], True, True),  # but that a heart is one piece
        ([-0.05, 0.03], True, False),
        ([0.05, -0.03, 0.04, -0.02, 0.03, -0.04], True, False),  # by chance
        ([0.001, 0.001, 0.001, 0.001, 0.001], False, False),  # sure, but nothing to speak of
        ([np.nan] * 9, True, False),
    ],
)
def test_the_largest_part_alone_is_kept_where_that_is_better_beyond_chance(gains, single, kept):
    assert _better(np.array(gains), single) is kept
    assert FEWEST == 5


def test_what_is_in_one_piece():
    labels = np.zeros((9, 9), np.uint8)
    labels[1:3, 1:3] = 1
    labels[5:8, 5:8] = labels[0, 8] = 2
    assert _single(labels, ("heart", "vessels", "nowhere")) == [True, False, True]
