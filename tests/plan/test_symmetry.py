"""Pictures whose orientation is known by construction."""

import numpy as np
import pytest

from tomos.plan.symmetry import told_apart

pytestmark = pytest.mark.fast


def pictures(n: int, marked: bool) -> np.ndarray:
    """(n, 64, 64) noise; `marked` adds a bright spot left of the middle."""
    x = np.random.default_rng(0).normal(0, 1, (n, 64, 64)).astype(np.float32)
    if marked:
        x[:, 28:36, 8:16] += 3
    return x


def test_a_mark_on_one_side_tells_left_from_right():
    assert told_apart(pictures(200, True), "flip_x") > 0.95


def test_the_same_mark_does_not_tell_top_from_bottom():
    assert told_apart(pictures(200, True), "flip_y") < 0.7


@pytest.mark.parametrize("name", ["flip_x", "flip_y", "transpose"])
def test_noise_has_no_orientation(name):
    assert told_apart(pictures(300, False), name) < 0.7


def test_few_pictures_are_never_called_free_of_orientation():
    assert told_apart(pictures(6, False), "flip_x") > 0.75
