"""What validation decides about masks."""

import numpy as np
import pytest

from tomos.workflows.pack_masks import FEWEST, _better

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("gains", "kept"),
    [
        ([0.01, 0.012, 0.009, 0.011, 0.01, np.nan], True),
        ([0.05, 0.03], False),  # of two cases nothing is known
        ([0.05, -0.03, 0.04, -0.02, 0.03, -0.04], False),  # by chance
        ([0.001, 0.001, 0.001, 0.001, 0.001], False),  # sure, but nothing to speak of
        ([np.nan] * 9, False),
    ],
)
def test_only_the_largest_part_is_kept_where_that_is_better_by_more_than_chance(gains, kept):
    assert _better(np.array(gains)) is kept
    assert FEWEST == 5
