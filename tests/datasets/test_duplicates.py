"""Equal pictures and look-alikes."""

import time

import numpy as np
import pytest
from small_pictures import picture

from tomos.datasets import duplicates
from tomos.datasets.glance import ROW, border, downscale, glance, look, pixel_hash
from tomos.datasets.survey import Survey
from tomos.types import Image

pytestmark = pytest.mark.fast


def test_downscale_is_the_mean_over_area():
    grid = np.arange(12.0).reshape(3, 4)
    np.testing.assert_allclose(downscale(grid, 1, 1), [[5.5]])
    np.testing.assert_allclose(downscale(grid, 3, 2), [[0.5, 2.5], [4.5, 6.5], [8.5, 10.5]])
    # Two cells over three rows: one and a half rows each.
    rows = [1.5, 5.5, 9.5]
    halves = [[(rows[0] + rows[1] / 2) / 1.5], [(rows[1] / 2 + rows[2]) / 1.5]]
    np.testing.assert_allclose(downscale(grid, 2, 1), halves)
    np.testing.assert_allclose(downscale(grid, 6, 4)[::2], grid)


def test_the_border_is_the_frame_and_nothing_else():
    grid = np.zeros((64, 64), np.float32)
    grid[3:-3, 3:-3] = 1
    assert border(grid).max() == 0
    grid[:] = 0
    grid[:3] = 1
    found = border(grid).reshape(4, 16)
    assert (found[0] == 1).all() and (found[1] == 0).all() and found[2, 0] == 0.75


def test_the_pixel_hash_knows_pixels_not_files():
    grey = picture(1, 40)
    same = [grey, grey.astype(np.int16), grey.astype(np.float32), np.repeat(grey, 3, axis=0)]
    assert len({pixel_hash(pixels) for pixels in same}) == 1
    other = grey.copy()
    other[0, 3, 3] ^= 1
    assert pixel_hash(other) != pixel_hash(grey)
    assert pixel_hash(grey.reshape(1, 20, 80)) != pixel_hash(grey)
    assert pixel_hash(np.stack([grey[0], grey[0], other[0]])) != pixel_hash(grey)


def test_the_look_is_blind_to_exposure():
    a = picture(2, 128)[0] / 255.0
    bits = look(downscale(a, 64, 64)) ^ look(downscale(a**1.5 * 0.7 + 0.1, 64, 64))
    assert np.bitwise_count(bits).sum() <= 12
    other = look(downscale(picture(3, 128)[0] / 255.0, 64, 64)) ^ look(downscale(a, 64, 64))
    assert np.bitwise_count(other).sum() > 60


def world(pictures):
    rows = np.array([glance(Image(pixels)) for pixels in pictures])
    found = Survey(tuple(str(k) for k in range(len(pictures))), rows, {})
    return found, lambda address: Image(pictures[int(address)])


def test_rescaled_cropped_and_rewindowed_copies_are_found():
    first = picture(5, 128)
    small = downscale(first[0].astype(np.float32), 96, 96).round().astype(np.uint8)[None]
    dark = (first * 0.6 + 10).astype(np.uint8)
    cropped = first[:, 1:-1, 1:-1]
    others = [picture(k, 128) for k in range(20, 60)]
    found, read = world([first, *others, small, dark, cropped, first])
    assert duplicates.exact(found.rows) == [[0, 44]]
    assert duplicates.near(found, read) == [[0, 41, 42, 43]]


def test_small_pictures_are_not_judged_by_a_hash():
    tiny = picture(1, 28)
    found, read = world([tiny, (tiny * 0.9).astype(np.uint8)])
    assert duplicates.near(found, read) == []


def test_blank_and_unread_images_are_no_duplicates_of_each_other():
    rows = np.zeros(3, ROW)
    assert duplicates.exact(rows) == []
    found, read = world([np.zeros((1, 100, 100), np.uint8), np.full((1, 100, 100), 9, np.uint8)])
    assert duplicates.near(found, read) == []
    assert duplicates.exact(rows[:0]) == []


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "pixels",
    [
        np.full((1, 70, 70), np.nan, np.float32),
        np.where(np.eye(80) > 0, np.inf, 1.0)[None],
        np.full((1, 66, 66), 3e38, np.float32),
        np.zeros((1, 1, 1), np.int16),
        np.zeros((4, 5, 3), np.uint8),
        np.arange(2 * 3 * 70 * 80, dtype=np.uint32).reshape(2, 3, 70, 80),
    ],
    ids=["nan", "infinite", "huge", "one pixel", "with alpha", "volume of two channels"],
)
def test_no_picture_is_too_odd_for_a_glance(pixels):
    row = glance(Image(pixels))
    assert row["seen"] and np.isfinite([row["low"], row["high"], row["busy"]]).all()


def test_groups_are_joined():
    assert duplicates.joined([[1, 2], [5, 6], [2, 3], [9]]) == [[1, 2, 3], [5, 6]]


@pytest.mark.seconds
def test_the_search_does_not_grow_with_the_square():
    rng = np.random.default_rng(0)
    times = []
    for n in (4000, 32000):
        looks = rng.integers(0, 2**63, (n, 4), dtype=np.uint64)
        looks[n // 2] = looks[7] ^ np.uint64(0b1011)
        start = time.perf_counter()
        pairs = duplicates._candidates(looks)
        times.append(time.perf_counter() - start)
        assert [7, n // 2] in pairs.tolist()
    # Eight times as many take about ten times as long; a search of all pairs would take 64.
    assert times[1] < 30 * times[0]
