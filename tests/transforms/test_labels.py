"""Labels follow their image onto any grid."""

import itertools

import numpy as np
import pytest

from tomos.transforms.prepare import Chain, carry_labels
from tomos.types import GeometryError, Image, Mask

STRAIGHT = np.eye(3)


def ball(size=(24, 30, 36), spacing=(2.0, 1.0, 1.5), radius=9.0, turn=STRAIGHT):
    """A ball of `radius` mm in the middle of a volume that is turned in space."""
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(spacing)
    affine[:3, 3] = [-7, 5, 11]
    middle = affine[:3, :3] @ ((np.array(size) - 1) / 2) + affine[:3, 3]
    index = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), -1)
    world = index @ affine[:3, :3].T + affine[:3, 3]
    labels = (np.linalg.norm(world - middle, axis=-1) <= radius).astype(np.uint8)
    image = Image(labels[None].astype(np.float32), affine, "patient")
    return image, Mask.on(image, labels, ("ball",))


def rotation(axis, degrees):
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turn = np.eye(3)
    a, b = (k for k in range(3) if k != axis)
    turn[a, a] = turn[b, b] = c
    turn[a, b], turn[b, a] = -s, s
    return turn


def centre(labels, affine):
    return affine[:3, :3] @ np.argwhere(labels).mean(axis=0) + affine[:3, 3]


def test_the_same_grid_gives_the_same_labels():
    image, mask = ball()
    assert np.array_equal(carry_labels(mask, image), mask.labels)


@pytest.mark.parametrize("order", itertools.permutations(range(3)))
@pytest.mark.parametrize("flips", [(1, 1, 1), (1, -1, 1), (-1, -1, -1)])
def test_orientation_moves_labels_with_the_pixels(order, flips):
    image, mask = ball()
    turned = Chain([{"step": "orient"}])(_reoriented(image, order, flips))
    found = carry_labels(mask, turned)
    assert np.array_equal(found, turned.pixels[0] > 0.5)


def _reoriented(image, order, flips):
    """The same volume, its axes in another order and direction."""
    pixels = image.pixels.transpose(0, *(1 + a for a in order))
    affine = np.eye(4)
    affine[:3, :3] = image.affine[:3, list(order)]
    affine[:3, 3] = image.affine[:3, 3]
    for axis, sign in enumerate(flips):
        if sign < 0:
            pixels = np.flip(pixels, axis + 1)
            affine[:3, 3] += affine[:3, axis] * (pixels.shape[axis + 1] - 1)
            affine[:3, axis] *= -1
    return Image(np.ascontiguousarray(pixels), affine, "patient")


@pytest.mark.parametrize("turn", [STRAIGHT, rotation(0, 30), rotation(1, 75) @ rotation(2, 20)])
def test_a_ball_keeps_place_and_volume_when_resampled(turn):
    image, mask = ball(turn=turn)
    fine = Chain([{"step": "resample", "spacing": [0.9, 0.8, 0.7]}])(image)
    found = carry_labels(mask, fine)
    assert np.abs(centre(found, fine.affine) - centre(mask.labels, image.affine)).max() < 0.1
    # Each axis gains or loses up to half a fine voxel at the ball's flat ends.
    volume = found.sum() * np.prod(fine.spacing)
    assert volume == pytest.approx(mask.labels.sum() * np.prod(image.spacing), rel=0.04)


def test_a_grid_that_is_turned_is_looked_up_voxel_by_voxel():
    image, mask = ball()
    other, _ = ball((40, 40, 40), (1.0, 1.0, 1.0), turn=rotation(2, 30))
    # The two grids have one middle in space when the second is moved there.
    middle = other.affine[:3, :3] @ np.full(3, 19.5) + other.affine[:3, 3]
    shift = centre(mask.labels, image.affine) - middle
    affine = other.affine.copy()
    affine[:3, 3] += shift
    grid = other.with_pixels(other.pixels, affine)
    found = carry_labels(mask, grid)
    assert np.abs(centre(found, affine) - centre(mask.labels, image.affine)).max() < 0.25
    assert found.sum() == pytest.approx(mask.labels.sum() * 3, rel=0.02)


def test_what_the_mask_does_not_cover_is_outside():
    image, mask = ball()
    padded = Chain([{"step": "pad", "size": [30, 40, 50]}])(image)
    found = carry_labels(mask, padded, outside=255)
    assert (found == 255).sum() == 30 * 40 * 50 - 24 * 30 * 36
    assert (found == 1).sum() == mask.labels.sum()
    cut = Chain([{"step": "crop", "size": [10, 12, 14]}])(image)
    assert np.array_equal(carry_labels(mask, cut), cut.pixels[0] > 0.5)


def test_a_picture():
    labels = np.zeros((8, 10), np.uint8)
    labels[2:4, 3:7] = 1
    image = Image(labels[None].astype(np.float32))
    double = Chain([{"step": "resize", "size": [16, 20], "filter": "nearest"}])(image)
    found = carry_labels(Mask.on(image, labels, ("a",)), double)
    assert np.array_equal(found, labels.repeat(2, 0).repeat(2, 1))


def test_a_volume_for_a_picture_is_refused():
    _, mask = ball()
    with pytest.raises(GeometryError, match="expected labels for"):
        carry_labels(mask, Image(np.zeros((1, 4, 4))))
