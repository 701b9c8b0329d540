"""Geometry through the whole predictor: what is found lies where it is, however the scan lies.

The network finds what is brighter than a half, so that the truth is known from the image alone.
"""

import tracemalloc
from itertools import permutations, product

import numpy as np
import pytest
from bright_masks import STEEP, Bright, predictor

from tomos import datasets, formats
from tomos.transforms.prepare import Chain, straightened, straightening
from tomos.transforms.prepare._straight import sheared
from tomos.types import Image, Origin

# As the plan writes them.
STEPS = [
    {"step": "channels", "to": 1},
    {"step": "orient"},
    {"step": "resample", "spacing": [1.6, 1.1, 1.0]},
    {"step": "normalise", "kind": "fixed", "mean": [0.0], "std": [1.0]},
]
# One for each axis: lengths of a liver's lobe in mm, about a point in the patient.
HALF, MIDDLE = np.array([26.0, 19.0, 15.0]), np.array([12.0, -33.0, 81.0])


def rotation(rng) -> np.ndarray:
    found, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    return found * np.sign(np.linalg.det(found))


def about(linear: np.ndarray, reach: float, off=(0.0, 0.0, 0.0)) -> tuple[np.ndarray, tuple]:
    """Affine and size of a scan with these columns that holds a ball of `reach` mm about MIDDLE,
    which lies `off` voxels from its middle."""
    across = np.linalg.norm(np.linalg.inv(linear), axis=1)  # indices a millimetre, at most
    size = tuple(int(n) for n in np.ceil(2 * reach * across) + 3)
    affine = np.eye(4)
    affine[:3, :3] = linear
    affine[:3, 3] = MIDDLE - linear @ ((np.array(size) - 1) / 2 + off)
    return affine, size


def ellipsoid(affine: np.ndarray, size: tuple, turn: np.ndarray) -> Image:
    """Brightness 0.5 on the surface, and a quarter more for each millimetre inwards, to first
    order."""
    index = np.stack(np.indices(size), axis=-1).astype(float)
    away = (index @ affine[:3, :3].T + affine[:3, 3] - MIDDLE) @ turn
    radius = np.linalg.norm(away / HALF, axis=-1)
    slope = np.linalg.norm(away / HALF**2, axis=-1)
    distance = radius * (1 - radius) / np.maximum(slope, 1e-9)
    pixels = (0.5 + 0.25 * np.clip(distance, -8, 8)).astype(np.float32)
    return Image(pixels[None], affine, "patient", origin=Origin(path="ellipsoid.nii"))


VOLUME = 4 / 3 * np.pi * float(np.prod(HALF)) / 1000


def assert_in_place(image: Image, centroid: float = 0.25, volume: float = 0.02, **more) -> None:
    found = predictor(tile=(32, 32, 32), prepare=STEPS, **more).predict_image(image)
    mask = found.targets["mask"].mask
    assert mask.size == image.size and np.array_equal(mask.affine, image.affine)
    true = np.linalg.solve(image.affine, [*MIDDLE, 1])[:3]
    assert np.abs(np.argwhere(mask.labels).mean(axis=0) - true).max() < centroid
    assert mask.extents()["ball"] == pytest.approx(VOLUME, rel=volume)
    told = found.targets["mask"].amounts["ball"]
    assert told["ml"] == pytest.approx(mask.extents()["ball"], abs=1e-6)


def check(seed: int) -> None:
    """Any spacing from 0.7 to 3.2 mm, any direction, either hand."""
    rng = np.random.default_rng(seed)
    steps = np.exp(rng.uniform(np.log(0.7), np.log(3.2), 3))
    if np.prod(steps) < 1.5:  # a scan of fine voxels only takes long and tells little
        steps *= (1.5 / np.prod(steps)) ** (1 / 3)
    linear = rotation(rng) * steps * rng.choice([-1, 1], 3)
    affine, size = about(linear, 30.0, rng.uniform(-0.5, 0.5, 3))
    assert_in_place(ellipsoid(affine, size, rotation(rng)))


@pytest.mark.fast
@pytest.mark.parametrize("seed", range(8))
def test_an_ellipsoid_keeps_its_place_and_its_volume(seed):
    check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8, 250))
def test_any_ellipsoid_keeps_its_place_and_its_volume(seed):
    check(seed)


@pytest.mark.fast
def test_a_sharp_edge_keeps_its_place_and_its_volume():
    """Nothing but 0 and 1, as in a mask: interpolation puts the surface half way."""
    rng = np.random.default_rng(3)
    affine, size = about(rotation(rng) * [1.3, 0.9, 1.0], 30.0, (0.2, 0.3, -0.4))
    image = ellipsoid(affine, size, rotation(rng))
    assert_in_place(image.with_pixels((image.pixels > 0.5).astype(np.uint8)))


@pytest.mark.fast
def test_the_test_can_fail():
    """Half a voxel aside, or one voxel of three larger, is told."""
    rng = np.random.default_rng(0)
    affine, size = about(rotation(rng) * [2.0, 1.2, 1.1], 30.0)
    image = ellipsoid(affine, size, np.eye(3))
    moved = affine.copy()
    moved[:3, 3] += 0.5 * affine[:3, 1]
    with pytest.raises(AssertionError):
        assert_in_place(image.with_pixels(image.pixels, moved))
    larger = affine.copy()
    larger[:3, 0] *= 1.03
    with pytest.raises(AssertionError):
        assert_in_place(image.with_pixels(image.pixels, larger))


# -- 48 ways to store a scan


class Placed(Bright):
    """Sees three voxels around, more of what lies before than behind, and where in the tile it is:
    any other order of axes, or any other tile, would show."""

    def __call__(self, inputs, wanted=()):
        x = inputs["image"]
        seen = x.copy()
        for axis, share in ((-3, 0.5), (-2, 0.3), (-1, 0.2)):
            if x.ndim + axis > 1:
                seen += share * (np.roll(x, 1, axis) - np.roll(x, -2, axis))
        ramp = np.linspace(-0.1, 0.1, x.shape[-1], dtype=np.float32)
        return {"logits": np.concatenate([ramp + 0 * x, seen, 0.7 * x], axis=1) * STEEP}


ORDERS = list(product(permutations(range(3)), product((1, -1), repeat=3)))


def scan(seed: int, angle: float) -> Image:
    """Smooth noise on a small oblique grid."""
    rng = np.random.default_rng(seed)
    size = (13, 18, 16)
    pixels = rng.standard_normal(size).astype(np.float32)
    for axis in range(3):
        pixels += np.roll(pixels, 1, axis) + np.roll(pixels, 2, axis)
    turn = rotation(rng)
    # Near to the axes of the patient, by `angle`, in a direction of chance.
    linear = np.linalg.qr(np.eye(3)[:, rng.permutation(3)] + angle * turn)[0]
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = linear * [2.1, 0.9, 1.3], rng.uniform(-100, 100, 3)
    return Image(pixels[None] / pixels.std(), affine, "patient")


def stored(image: Image, order: tuple, flips: tuple) -> Image:
    """The same scan, its axes in another order and direction."""
    step = tuple(slice(None, None, flip) for flip in flips)
    affine = image.affine.copy()
    affine[:3, :3] = image.affine[:3, list(order)] * flips
    length = np.array(image.size)[list(order)]
    affine[:3, 3] -= affine[:3, :3] @ np.where(np.array(flips) < 0, length - 1, 0)
    pixels = np.ascontiguousarray(image.pixels[0].transpose(order)[step])
    return image.with_pixels(pixels[None], affine)


def assert_alike(image: Image, **changes) -> None:
    """The same label and the same doubt for the same voxel, in all 48 ways."""
    classes = ({"name": "ball"}, {"name": "rest"})
    using = predictor(Placed(), classes=classes, prepare=STEPS, **changes)

    def found(one: Image):
        answer = using.predict_image(one, doubt=True).targets["mask"]
        return answer.mask.labels, answer.doubt

    labels, doubt = found(image)
    assert len(np.unique(labels)) == 3 and doubt.any()
    for order, flips in ORDERS:
        step = tuple(slice(None, None, flip) for flip in flips)
        own_labels, own_doubt = found(stored(image, order, flips))
        assert np.array_equal(own_labels, labels.transpose(order)[step]), (order, flips)
        assert np.array_equal(own_doubt, doubt.transpose(order)[step]), (order, flips)


@pytest.mark.parametrize("tile", [(8, 8, 8), (8, 8)], ids=["volumes", "slices"])
def test_all_48_ways_to_store_a_scan_give_the_same(tile):
    assert_alike(scan(0, 0.2), tile=tile)


def test_the_largest_part_is_the_same_in_all_48_ways():
    assert_alike(scan(1, 0.0), tile=(8, 8, 8), mask={"largest": ("ball",)})


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 22))
@pytest.mark.parametrize("angle", [0.0, 0.1, 0.6])
@pytest.mark.parametrize("tile", [(8, 8, 8), (16, 8, 12), (8, 8)])
def test_any_scan_gives_the_same_in_all_48_ways(seed, angle, tile):
    assert_alike(scan(seed, angle), tile=tile, mask={"largest": ("rest",)})


# -- sheared scans


def tilted(degrees: float, spacing=(2.5, 0.9, 0.9)) -> np.ndarray:
    """Columns of a scan whose slices are shifted along y, as with a tilted gantry."""
    linear = np.diag([1.0, -1.0, -1.0])[[2, 1, 0]] * spacing
    linear[:, 0] += np.tan(np.radians(degrees)) * spacing[0] * linear[:, 1] / spacing[1]
    return linear


@pytest.mark.fast
@pytest.mark.parametrize("degrees", [5.0, -20.0])
def test_a_sheared_scan_is_straightened_with_a_warning(degrees):
    """The mask lies on the scan as it is, so it keeps its place and volume there."""
    affine, size = about(tilted(degrees), 30.0, (0.3, -0.2, 0.1))
    image = ellipsoid(affine, size, rotation(np.random.default_rng(1)))
    assert_in_place(image)
    (warning,) = predictor(prepare=STEPS).predict_image(image).warnings
    assert f"not at right angles (down to {90 - abs(degrees):.1f} degrees" in warning


@pytest.mark.parametrize("spacing", [(2.1, 0.9, 1.3), (1.0, 1.0, 1.0)])
def test_a_sheared_scan_gives_the_same_in_all_48_ways(spacing):
    image = scan(4, 0.1)
    affine = image.affine.copy()
    affine[:3, :3] = rotation(np.random.default_rng(2)) @ tilted(15.0, spacing)
    assert_alike(image.with_pixels(image.pixels, affine), tile=(8, 8, 8))


@pytest.mark.fast
def test_what_the_network_sees_of_a_sheared_scan_is_upright():
    """Slices stay slices, and voxels stay as far apart; a ball is a ball again."""
    affine, size = about(tilted(20.0), 30.0)
    image = ellipsoid(affine, size, np.eye(3))
    straight = straightened(image)
    tracemalloc.start()
    straightened(image)
    assert 0.7 * straightening(image) < tracemalloc.get_traced_memory()[1] < straightening(image)
    tracemalloc.stop()
    assert sheared(straight.affine) < 1e-12
    np.testing.assert_allclose(straight.spacing, (2.5, 0.9, 0.9), rtol=1e-9)
    assert straight.size[0] == image.size[0] and straight.size[2] == image.size[2]
    np.testing.assert_allclose(straight.affine[:3, 1:3], image.affine[:3, 1:3], atol=1e-12)
    index = np.argwhere(straight.pixels[0] > 0.5)
    np.testing.assert_allclose(straight.world(index).mean(axis=0), MIDDLE, atol=0.1)
    each = abs(np.linalg.det(straight.affine[:3, :3])) / 1000
    assert len(index) * each == pytest.approx(VOLUME, rel=0.02)


@pytest.mark.fast
@pytest.mark.parametrize("degrees", [12.0, -25.0])
def test_training_is_shown_a_sheared_scan_as_prediction_is(tmp_path, degrees):
    """The same image to the last bit, and labels that lie where the truth lies in the patient."""
    affine, size = about(tilted(degrees), 30.0, (0.3, -0.2, 0.1))
    image = ellipsoid(affine, size, rotation(np.random.default_rng(3)))
    for folder, pixels in (("images", image.pixels), ("masks", image.pixels > 0.5)):
        (tmp_path / "s" / folder).mkdir(parents=True)
        for k in range(3):
            placed = image.with_pixels(pixels.astype(np.float32))
            formats.write_nifti(placed, tmp_path / "s" / folder / f"{k}.nii.gz")
    datasets.import_folder(tmp_path / "s", tmp_path / "d", classes=["ball"])
    made = datasets.open(tmp_path / "d")
    prepared, labels = datasets.prepare_case(made, made.cases[0], Chain(STEPS))
    shown = predictor(prepare=STEPS).prepared(formats.read(made.image(made.cases[0])))
    np.testing.assert_array_equal(prepared.pixels, shown.pixels)
    np.testing.assert_array_equal(prepared.affine, shown.affine)
    found = prepared.world(np.argwhere(labels == 1))
    off = np.linalg.solve(prepared.affine[:3, :3], found.mean(axis=0) - MIDDLE)
    assert np.abs(off).max() < 0.25
    each = abs(np.linalg.det(prepared.affine[:3, :3])) / 1000
    assert len(found) * each == pytest.approx(VOLUME, rel=0.02)


@pytest.mark.fast
def test_a_scan_that_is_all_but_straight_stays_as_it_is():
    affine, size = about(tilted(0.3), 30.0)
    image = ellipsoid(affine, size, np.eye(3))
    assert straightened(image) is image
    assert_in_place(image)
    picture = Image(image.pixels[:, 0], image.affine, "patient")
    assert straightened(picture) is picture
    assert straightening(image) == straightening(picture) == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_any_sheared_scan_keeps_place_and_volume(seed):
    rng = np.random.default_rng(seed)
    linear = rotation(rng) @ (np.eye(3) + rng.uniform(-0.3, 0.3, (3, 3))) * rng.uniform(0.9, 2.2, 3)
    affine, size = about(linear, 30.0, rng.uniform(-0.5, 0.5, 3))
    assert_in_place(ellipsoid(affine, size, rotation(rng)))
