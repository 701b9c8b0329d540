"""Connected components against pictures drawn by hand and SciPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomos.measures.components import components, keep_largest, remove_small
from tomos.types import GeometryError, SettingsError

pytestmark = pytest.mark.fast


def picture(*rows: str) -> np.ndarray:
    """Labels drawn as text, a dot for background."""
    return np.array([[0 if c == "." else int(c) for c in row] for row in rows], np.uint8)


CORNER = picture(
    "11..2",
    "..1.2",
    ".....",
    "1....",
)


def test_corners_join_unless_only_faces_count():
    assert len(components(CORNER)) == 3
    by_faces = components(CORNER, connectivity=1)
    assert len(by_faces) == 4
    assert by_faces.label.tolist() == [1, 2, 1, 1]  # in the order of their first voxel
    assert by_faces.voxels.tolist() == [2, 2, 1, 1]


def test_different_labels_never_join():
    assert components(picture("1122", "1122")).voxels.tolist() == [4, 4]


def test_the_end_of_a_row_does_not_touch_the_start_of_the_next():
    assert len(components(picture("...1", "1...", "...1"))) == 3
    volume = np.zeros((2, 3, 4), np.uint8)
    volume[0, 2, 3] = volume[1, 0, 0] = 1  # last voxel of a slice, first of the next
    assert len(components(volume)) == 2


def test_a_spiral_is_one_piece():
    spiral = picture(
        "1111111",
        "......1",
        "11111.1",
        "1...1.1",
        "1.111.1",
        "1.....1",
        "1111111",
    )
    assert components(spiral, connectivity=1).voxels.tolist() == [spiral.sum()]


def test_a_piece_longer_than_what_is_looked_at_together():
    tall = np.zeros((3000, 3000), np.uint8)
    tall[:, 7] = 1
    tall[2999, 20] = 1
    assert components(tall).voxels.tolist() == [3000, 1]


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.one_of(
        st.tuples(*[st.integers(1, 9)] * 2),
        st.tuples(*[st.integers(1, 7)] * 3),
    ),
    filled=st.floats(0.1, 0.9),
)
@settings(max_examples=80, deadline=None)
def test_same_pieces_as_scipy(seed, shape, filled):
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    labels = (rng.random(shape) < filled) * rng.integers(1, 3, shape).astype(np.uint16)
    for connectivity in range(1, len(shape) + 1):
        structure = ndimage.generate_binary_structure(len(shape), connectivity)
        ours = components(labels, connectivity).numbered()
        for label in (1, 2):
            theirs, count = ndimage.label(labels == label, structure)
            pairs = set(
                zip(ours[labels == label].tolist(), theirs[theirs > 0].tolist(), strict=True)
            )
            assert len(pairs) == count  # one number of ours for each of theirs, and back
            assert len({mine for mine, _ in pairs}) == count
    assert np.array_equal(ours > 0, labels > 0)


def test_the_largest_piece_of_each_label_stays():
    labels = picture(
        "11.2..1",
        "11.2...",
        "......2",
    )
    kept = keep_largest(labels)
    assert np.array_equal(kept, picture("11.2...", "11.2...", "......."))
    assert labels[0, 6] == 1, "the input was changed"
    assert np.array_equal(keep_largest(labels, only=[2]), picture("11.2..1", "11.2...", "......."))


def test_of_equal_pieces_the_last_stays():
    assert np.array_equal(keep_largest(picture("1.1.1")), picture("....1"))


@pytest.mark.parametrize("kind", [bool, np.uint8, np.uint32, np.uint64])
def test_the_type_of_the_labels_stays(kind):
    labels = picture("11.1").astype(kind)
    assert keep_largest(labels).dtype == kind
    assert keep_largest(np.asfortranarray(labels)).tolist() == [[1, 1, 0, 0]]


def test_small_pieces_go_by_their_size_in_mm():
    volume = np.zeros((4, 6, 6), np.uint8)
    volume[0:2, 0:2, 0:2] = 1  # 8 voxels of 2 x 0.5 x 0.5 mm: 4 mm³
    volume[3, 5, 5] = 1  # 0.5 mm³
    spacing = (2.0, 0.5, 0.5)
    assert remove_small(volume, spacing, 4.0).sum() == 8
    assert remove_small(volume, spacing, 0.5).sum() == 9
    assert remove_small(volume, spacing, 4.1).sum() == 0
    assert remove_small(volume, spacing, 4.1, only=[2]).sum() == 9


def test_nothing_has_no_pieces():
    empty = np.zeros((3, 4, 5), np.uint8)
    assert len(components(empty)) == 0
    assert not keep_largest(empty).any()
    assert components(empty).numbered().shape == (3, 4, 5)


def test_wrong_input_is_refused_in_words():
    with pytest.raises(GeometryError, match="unsigned"):
        components(np.zeros((3, 3)))
    with pytest.raises(SettingsError, match="1 to 2"):
        components(CORNER, connectivity=3)
    with pytest.raises(GeometryError, match="2 axes"):
        remove_small(CORNER, (1, 1, 1), 5)
