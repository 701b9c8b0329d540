"""Where tiles go, how much their voxels count, and what surrounds a picture that is too small."""

import numpy as np
import pytest

from tomos.inference.tiles import Tiling, batches, course, padded, tiles, weights
from tomos.types import SettingsError

pytestmark = pytest.mark.fast


def test_tiles_are_evenly_spaced():
    """110 pixels, tiles of 64, half in common: three steps of 23, not two of 32 and a rest."""
    assert tiles((110,), (64,)) == [(0,), (23,), (46,)]
    assert tiles((128,), (64,)) == [(0,), (32,), (64,)]
    assert tiles((64,), (64,)) == [(0,)]
    assert tiles((10,), (4,), overlap=0) == [(0,), (3,), (6,)]


@pytest.mark.parametrize("overlap", [0, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("size", [(5, 9, 7), (4, 4, 4), (17, 4, 6), (3, 30, 5)])
def test_every_voxel_is_covered_and_the_overlap_is_kept(size, overlap):
    tile = (4, 4, 4)
    seen = np.zeros(np.maximum(size, tile), int)
    places = tiles(size, tile, overlap)
    for z, y, x in places:
        assert all(p + t <= n for p, t, n in zip((z, y, x), tile, seen.shape, strict=True))
        seen[z : z + 4, y : y + 4, x : x + 4] += 1
    assert seen.min() >= 1
    assert places == sorted(places)
    for axis in range(3):
        starts = sorted({place[axis] for place in places})
        steps = np.diff(starts)
        assert (steps <= max(1, np.ceil(4 * (1 - overlap)))).all()
        assert len(steps) == 0 or steps.max() - steps.min() <= 1


def test_a_batch_ends_with_its_level_unless_levels_are_small():
    places = tiles((8, 8, 8), (4, 4, 4), 0)  # two levels of four
    assert [len(group) for group in batches(places, 3)] == [3, 1, 3, 1]
    assert [len(group) for group in batches(places, 4)] == [4, 4]
    assert [len(group) for group in batches(places, 9)] == [8]
    assert [place for group in batches(places, 3) for place in group] == places


def test_rows_that_are_open_at_a_time():
    assert course((40, 8, 8), Tiling((8, 8, 8), 0.5, batch=1)).depth == 8
    # Three levels of one tile each at once, four rows apart.
    assert course((40, 8, 8), Tiling((8, 8, 8), 0.5, batch=3)).depth == 16
    # Slice by slice: a batch of slices.
    assert course((40, 8, 8), Tiling((8, 8), 0.5, batch=5)).depth == 5


def test_weights_are_a_bell_and_never_nothing():
    w = weights((16, 16))
    assert w.dtype == np.float32 and w.min() > 0 and w.max() == 1
    assert weights((160, 160, 160)).min() > 0 and weights((1, 3)).min() > 0
    # The middle lies at 7.5, the deviation is 2 pixels.
    assert w[7, 9] / w[7, 7] == pytest.approx(np.exp(-0.5 * (1.5**2 - 0.5**2) / 2**2), rel=1e-5)
    assert np.array_equal(w, w[::-1]) and np.array_equal(w, w.T)


def test_what_surrounds_a_small_picture():
    x = np.array([[[1.0, 2.0, 3.0]], [[7.0, 8.0, 9.0]]], np.float32)  # two channels of 1 x 3

    def row(pad):
        way = course((1, 3), Tiling((1, 7), pad=pad))
        return padded(x, way, pad)[:, 0].tolist()

    assert row("edge") == [[1, 1, 1, 2, 3, 3, 3], [7, 7, 7, 8, 9, 9, 9]]
    assert row("reflect") == [[3, 2, 1, 2, 3, 2, 1], [9, 8, 7, 8, 9, 8, 7]]
    assert row("minimum") == [[1, 1, 1, 2, 3, 1, 1], [7, 7, 7, 8, 9, 7, 7]]


def test_a_picture_of_the_tile_s_size_is_not_copied():
    x = np.zeros((1, 4, 5), np.float32)
    assert padded(x, course((4, 5), Tiling((4, 5))), "edge") is x


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tile": (4,)}, "expected a tile"),
        ({"tile": (4, 0)}, "expected a tile"),
        ({"tile": (4, 4), "overlap": 1.0}, "overlap of 0 or more and below 1, got 1.0"),
        ({"tile": (4, 4), "batch": 0}, "batch of 1 or more"),
        ({"tile": (4, 4), "pad": "zero"}, "pad: expected one of .* got 'zero'"),
    ],
)
def test_settings_that_cannot_be_meant(settings, words):
    with pytest.raises(SettingsError, match=words):
        Tiling(**settings)


def test_a_tile_with_more_axes_than_the_picture():
    with pytest.raises(SettingsError, match=r"tiles of \(4, 4, 4\), got one of size \(9, 9\)"):
        course((9, 9), Tiling((4, 4, 4)))
