"""Labels on a grid: a box of 2 x 3 x 4 voxels of 2 x 1 x 1 mm."""

import numpy as np
import pytest

from tomos.types import GeometryError, Image, Mask


def box(**changes):
    labels = np.zeros((4, 5, 6), np.uint8)
    labels[1:3, 1:4, 1:5] = 2
    given = {"labels": labels, "names": ("a", "b"), "affine": np.diag([2.0, 1, 1, 1])}
    return Mask(**{**given, "frame": "patient", **changes})


def test_counts_and_extents_of_every_label():
    assert box().counts() == {"a": 0, "b": 24}
    assert box().extents() == {"a": 0.0, "b": pytest.approx(0.048)}  # ml
    assert box(frame="pixel").extents()["b"] == 24
    assert box().spacing == (2.0, 1.0, 1.0)


def test_an_area_in_a_picture():
    flat = box(labels=np.ones((3, 4), np.uint8), affine=np.diag([1, 0.5, 0.5, 1.0]))
    assert flat.extents() == {"a": 3.0, "b": 0.0}  # mm²


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": np.zeros((3, 3), np.int16)}, "of unsigned integers, got int16"),
        ({"labels": np.zeros(3, np.uint8)}, "got uint8 of shape"),
        ({"labels": np.full((3, 3), 3, np.uint8)}, r"labels up to 2 \(a, b\), got 3"),
        ({"affine": np.full((4, 4), np.nan)}, "finite"),
    ],
)
def test_what_is_no_mask_is_refused(changes, said):
    with pytest.raises(GeometryError, match=said):
        box(**changes)


def test_a_mask_lies_on_its_images_grid():
    image = Image(np.zeros((1, 4, 5, 6)), np.diag([3.0, 1, 1, 1]), "patient")
    assert Mask.on(image, np.zeros((4, 5, 6), np.uint8), ("a",)).spacing == (3.0, 1.0, 1.0)
    with pytest.raises(GeometryError, match=r"image's size \(4, 5, 6\), got \(4, 5\)"):
        Mask.on(image, np.zeros((4, 5), np.uint8), ("a",))


def test_other_labels_on_another_grid_need_its_affine():
    with pytest.raises(GeometryError, match="need their affine"):
        box().with_labels(np.zeros((2, 2, 2), np.uint8))
    assert box().with_labels(np.zeros((2, 2, 2), np.uint8), np.eye(4)).size == (2, 2, 2)
