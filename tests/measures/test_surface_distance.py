"""Surface distances against hand counts and against every pair of voxels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomos.measures.nearest import NEAR, around, look_far
from tomos.measures.surface_distance import Surface, distances, hd95, nsd

pytestmark = pytest.mark.fast


def cube(at: tuple[int, ...], side: int, shape: tuple[int, ...]) -> np.ndarray:
    labels = np.zeros(shape, np.uint8)
    labels[tuple(slice(a, a + side) for a in at)] = 1
    return labels


def by_every_pair(one: np.ndarray, other: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """From each surface voxel of the mask `one` to the nearest of `other`, all compared."""

    def surface(mask):
        around = np.pad(mask, 1)
        inner = mask.copy()
        for axis in range(mask.ndim):
            for step in (-1, 1):
                moved = np.roll(around, step, axis)
                inner &= moved[tuple(slice(1, -1) for _ in mask.shape)]
        return np.argwhere(mask & ~inner) * np.asarray(spacing)

    gaps = surface(one)[:, None] - surface(other)[None]
    return np.sqrt((gaps**2).sum(-1)).min(1)


def test_a_cube_shifted_by_three_voxels_of_two_millimetres():
    # Of the 10³ - 8³ = 488 surface voxels, the 100 of the far face lie 6 mm off, the others less.
    there, back = distances(
        cube((5, 2, 2), 10, (20, 14, 14)), cube((2, 2, 2), 10, (20, 14, 14)), 1, (2.0, 1.0, 1.0)
    )[0]
    assert len(there) == len(back) == 488
    assert hd95(there, back) == 6.0
    assert nsd(there, back, 6.0) == 1.0
    assert nsd(there, back, 5.9) == 388 / 488


@pytest.mark.parametrize("step", [(0, 0, 1), (1, -1, 2), (0, 20, -30), (15, 0, 0)])
def test_two_single_voxels_near_and_far(step):
    shape, spacing = (40, 70, 70), (2.5, 0.7, 0.9)
    start = (20, 35, 35)
    found, truth = cube(start, 1, shape), cube(tuple(np.add(start, step)), 1, shape)
    there, back = distances(found, truth, 1, spacing)[0]
    expected = np.sqrt(((np.array(step) * spacing) ** 2).sum())
    assert there.tolist() == back.tolist() == [np.float32(expected)]


def test_the_border_of_the_grid_is_surface():
    full = Surface.of(np.ones((3, 3, 3), np.uint8), (1, 1, 1))
    assert len(full.at) == 26  # all but the middle
    assert len(Surface.of(np.ones((4, 5), np.uint8), (1, 1)).at) == 4 * 5 - 2 * 3


def test_a_cube_across_what_is_compared_together_has_no_surface_inside():
    labels = cube((10, 20, 20), 60, (80, 100, 100))
    assert len(Surface.of(labels, (2, 2, 2)).at) == 60**3 - 58**3


def test_neighbouring_labels_have_a_surface_each():
    labels = np.ones((6, 6), np.uint8)
    labels[:, 3:] = 2
    found = Surface.of(labels, (1, 1))
    assert np.bincount(found.label).tolist() == [0, 6 * 3 - 4, 6 * 3 - 4]


@given(
    seed=st.integers(0, 2**32 - 1),
    spacing=st.tuples(*[st.floats(0.3, 6)] * 3),
    volume=st.booleans(),
    filled=st.sampled_from([0.002, 0.05, 0.6]),
)
@settings(max_examples=40, deadline=None)
def test_exact_for_any_masks_and_spacings(seed, spacing, volume, filled):
    """Few voxels lie far apart, many near: both ways to the nearest are taken."""
    rng = np.random.default_rng(seed)
    shape = (9, 16, 15) if volume else (60, 70)
    spacing = spacing[: len(shape)]
    found = (rng.random(shape) < filled) * rng.integers(1, 3, shape).astype(np.uint8)
    truth = (rng.random(shape) < 0.01) * rng.integers(1, 3, shape).astype(np.uint8)
    for label, (there, back) in enumerate(distances(found, truth, 2, spacing), 1):
        one, other = found == label, truth == label
        if not (one.any() and other.any()):
            assert len(there) == 0 or np.isinf(there).all()
            continue
        expected = by_every_pair(one, other, spacing)
        np.testing.assert_allclose(np.sort(there), np.sort(expected), rtol=1e-6)
        np.testing.assert_allclose(
            np.sort(back), np.sort(by_every_pair(other, one, spacing)), rtol=1e-6
        )
        assert hd95(there, back) == hd95(back, there)


@given(seed=st.integers(0, 2**32 - 1), apart=st.sampled_from([0, 30, 300]))
@settings(max_examples=20, deadline=None)
def test_the_far_way_alone_is_exact(seed, apart):
    rng = np.random.default_rng(seed)
    spacing = np.array([3.0, 0.8, 0.7])
    points, others = rng.integers(0, 90, (300, 3)), rng.integers(0, 90, (400, 3)) + apart
    gaps = (points[:, None] - others[None]) * spacing
    np.testing.assert_allclose(
        look_far(points, others, spacing), np.sqrt((gaps**2).sum(-1)).min(1), atol=1e-9
    )


def test_the_percentile_lies_between_the_two_nearest():
    values = np.arange(1, 12, dtype=np.float32)  # place 0.95 * 10 = 9.5: half way from 10 to 11
    assert hd95(values, values[:3]) == pytest.approx(10.5, rel=1e-6)


def test_one_empty_mask_has_no_distance():
    there, back = distances(cube((1, 1), 2, (5, 5)), np.zeros((5, 5), np.uint8), 1, (1, 1))[0]
    assert len(there) == 4
    assert len(back) == 0
    assert hd95(there, back, farthest=7.5) == hd95(back, there, farthest=7.5) == 7.5
    assert nsd(there, back, 1e9) == 0
    assert np.isnan([hd95(back, back), nsd(back, back, 1)]).all()


def test_a_tolerance_that_is_met_but_for_rounding_is_met():
    there, back = distances(cube((0, 0), 1, (5, 5)), cube((0, 3), 1, (5, 5)), 1, (0.1, 0.1))[0]
    assert nsd(there, back, 0.3) == 1  # 3 * 0.1 is 0.30000000000000004


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (5.0, 0.7, 0.9), (0.1, 30.0, 0.1)])
def test_the_steps_around_a_voxel_leave_none_out(spacing):
    steps, away = around(spacing)
    assert len(steps) == NEAR
    assert (np.diff(away) >= 0).all()
    assert not away[0]
    width = np.abs(steps).max() + 1
    every = np.indices((2 * width + 1,) * len(spacing)).reshape(len(spacing), -1).T - width
    closer = np.sqrt(((every * spacing) ** 2).sum(1)) < away[-1] * (1 - 1e-9)
    assert set(map(tuple, every[closer].tolist())) <= set(map(tuple, steps.tolist()))
