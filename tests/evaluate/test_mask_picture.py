"""The pictures of the worst masks: which slice, which pixels, which colours."""

import io

import numpy as np
import pytest
from PIL import Image as Opened

from tomos.evaluate import WorstMask, around, mask_picture, outlined, plain, slice_to_show
from tomos.evaluate.mask_picture import FOUND, SHOWN, TRUTH
from tomos.types import GeometryError, Image, Mask
from tomos.types.image import Window

pytestmark = pytest.mark.fast


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Opened.open(io.BytesIO(png)))


def where(picture: np.ndarray, colour) -> np.ndarray:
    return (picture == colour).all(-1)


def square(shape, rows, columns, label=1) -> np.ndarray:
    out = np.zeros(shape, np.uint8)
    out[slice(*rows), slice(*columns)] = label
    return out


def test_true_and_found_are_drawn_in_their_colours_inside_their_borders():
    truth, found = (
        square((400, 400), (50, 150), (50, 150)),
        square((400, 400), (250, 350), (50, 150)),
    )
    picture = pixels(outlined(np.zeros((400, 400)), truth, found, ("a",)))
    blue, orange = where(picture, TRUTH), where(picture, FOUND)
    assert picture.shape == (400, 400, 3), "no smaller picture is asked for"
    for line, labels in ((blue, truth), (orange, found)):
        assert line.any() and not (line & (labels == 0)).any()
        assert not line[100, 100] and not line[300, 100], "the inside stays free"
    assert blue[50, 100] and blue[149, 100] and blue[100, 50] and orange[250, 100]
    assert (picture[~blue & ~orange] == 0).all()


def test_where_both_agree_the_line_changes_between_the_two():
    same = square((400, 400), (50, 150), (50, 150))
    picture = pixels(outlined(np.zeros((400, 400)), same, same, ("a",)))
    blue, orange = where(picture, TRUTH).sum(), where(picture, FOUND).sum()
    assert 0.7 < blue / orange < 1.4


def test_thin_vessels_are_not_filled_by_their_lines():
    truth = square((400, 400), (100, 104), (0, 400))
    line = where(pixels(outlined(np.zeros((400, 400)), truth, truth * 0, ("a",))), TRUTH)
    assert line[100, 200] and line[103, 200] and not line[101:103, 200].any()


def test_a_border_between_two_classes_is_an_outline_too():
    labels = square((400, 400), (50, 350), (50, 200)) + square((400, 400), (50, 350), (200, 350), 2)
    line = where(pixels(outlined(np.zeros((400, 400)), labels, np.zeros_like(labels), "ab")), TRUTH)
    assert line[200, 199] and line[200, 200] and not line[200, 120]


def test_the_window_and_colours_of_an_image():
    image = np.stack([np.full((400, 400), v, float) for v in (0, 50, 100)])
    none = np.zeros((400, 400), np.uint8)
    grey = pixels(outlined(image, none, none, ("a",), Window(50, 100)))
    assert (grey == 128).all(), "channels are averaged, so that only outlines are coloured"
    assert (pixels(plain(image, Window(50, 100))) == 128).all()
    assert (pixels(plain(image, Window(200, 100))) == 0).all()


def test_small_pictures_are_enlarged_and_large_ones_thinned():
    small, large = np.zeros((64, 48), np.uint8), np.zeros((1400, 900), np.uint8)
    assert pixels(plain(small)).shape == (SHOWN, SHOWN * 48 // 64)
    assert max(pixels(outlined(large, large, large, ("a",))).shape) <= 640


def test_labels_that_do_not_fit_are_refused():
    image = np.zeros((8, 8))
    with pytest.raises(GeometryError, match="labels up to 1, got 2"):
        outlined(image, np.full((8, 8), 2, np.uint8), np.zeros((8, 8), np.uint8), ("a",))
    with pytest.raises(GeometryError, match=r"found: expected labels \(8, 8\), got \(8, 9\)"):
        outlined(image, np.zeros((8, 8), np.uint8), np.zeros((8, 9), np.uint8), ("a",))


def test_the_slice_in_which_most_is_wrong_by_the_size_of_the_class():
    truth = np.zeros((6, 20, 20), np.uint8)
    truth[1:5, 2:18, 2:18] = 1
    found = truth.copy()
    assert slice_to_show(truth, found) == 4, "nothing wrong: one of the slices with most of both"
    found[2, 2:6, 2:18] = 0  # 64 of 1,024 voxels of the organ
    assert slice_to_show(truth, found) == 2
    truth[4, 0, 0:3] = 2  # a lesion of 3 voxels, missed
    assert slice_to_show(truth, found) == 4
    nothing = np.zeros_like(truth)
    assert slice_to_show(nothing, nothing) == 3
    with pytest.raises(GeometryError, match="of one shape"):
        slice_to_show(truth, found[1:])


def test_the_box_holds_all_that_is_labelled_with_room():
    truth = square((200, 300), (90, 110), (140, 160))
    rows, columns = around(truth, np.zeros_like(truth))
    assert rows.stop - rows.start == 48 and rows.start < 90 and rows.stop > 110
    assert columns.start < 140 and columns.stop > 160
    edge = around(square((200, 300), (0, 20), (0, 20)), truth)
    assert edge[0].start == edge[1].start == 0 and edge[0].stop >= 110
    assert around(truth * 0, truth * 0) == (slice(0, 200), slice(0, 300))


def test_a_card_of_a_volume_is_cut_to_its_outlines_with_square_pixels():
    """Pixels of 1 x 2 mm: a square of millimetres is a square on the picture."""
    affine = np.diag([5.0, 1.0, 2.0, 1.0])
    truth = np.zeros((5, 200, 100), np.uint8)
    truth[3, 80:120, 40:60] = 1
    image = Image(np.zeros((1, *truth.shape), np.float32), affine, "patient")
    masks = [Mask(labels, ("a",), affine, "patient") for labels in (truth, truth * 0)]
    worst = WorstMask(0, "case-7", "", 0.0, "worst")
    card = mask_picture(worst, image, *masks)
    line = where(pixels(card.image), TRUTH)
    rows, columns = (np.flatnonzero(line.any(axis)) for axis in (1, 0))
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=5)
    assert pixels(card.image).shape[:2] == pixels(card.plain).shape
    assert (card.case, card.why, card.note.en) == ("case-7", "worst", "slice 4 of 5")
    with pytest.raises(GeometryError, match="case-7: expected masks of the image's size"):
        mask_picture(worst, image, masks[0], Mask(truth[1:], ("a",), affine, "patient"))


def test_a_card_of_a_picture_has_no_slice():
    labels = square((64, 64), (10, 30), (10, 30))
    image = Image(np.zeros((3, 64, 64), np.uint8))
    card = mask_picture(
        WorstMask(0, "c", "", 1.0, "best"), image, Mask(labels, ("a",)), Mask(labels, ("a",))
    )
    assert card.note.en == "" and card.why == "best"
