"""Scans whose axes are not at right angles, as from a tilted gantry, are learned from on straight
ones, together with their masks."""

import numpy as np
import pytest

from tomos import datasets, formats
from tomos.datasets.shelf import IGNORED
from tomos.plan.mask_fingerprint import mask_fingerprint
from tomos.transforms.prepare import Chain
from tomos.types import Image

pytestmark = pytest.mark.fast
CHAIN = Chain([{"step": "channels", "to": 1}, {"step": "orient"}])
SIZE = (6, 16, 16)


def affine(degrees: float) -> np.ndarray:
    """Slices of 3 mm, each shifted along y as a gantry tilted by `degrees` shifts it."""
    found = np.array([[0, 0, -1.0, 0], [0, -1.0, 0, 0], [3.0, 0, 0, 0], [0, 0, 0, 1]])
    found[1, 0] = 3 * np.tan(np.radians(degrees))
    return found


@pytest.fixture
def build(tmp_path):
    """`build({case: degrees})`: ten volumes with their masks, some of them slanted."""

    def made(slanted, regions=False):
        rng = np.random.default_rng(0)
        folders = ("images", "masks", "fov")[: 2 + regions]
        for folder in folders:
            (tmp_path / "s" / folder).mkdir(parents=True)
        for k in range(10):
            labels = np.zeros(SIZE, np.uint8)
            labels[1:4, 3 : 9 + k % 3, 3:9] = 1
            seen = np.ones(SIZE, np.uint8)
            seen[:, :2] = 0
            pixels = rng.normal(100 + 50 * labels, 10).astype(np.int16)
            for folder, array in zip(folders, (pixels, labels, seen), strict=False):
                placed = Image(array[None], affine(slanted.get(k, 0)), "patient")
                formats.write_nifti(placed, tmp_path / "s" / folder / f"{k}.nii.gz")
        datasets.import_folder(tmp_path / "s", tmp_path / "d", ratios={"train": 100})
        return datasets.open(tmp_path / "d")

    return made


def case_of(made, name):
    return next(case for case in made.cases if case.name == name)


def test_the_angle_is_measured():
    def seen(degrees, frame="patient"):
        return formats.slant(Image(np.zeros((1, *SIZE), np.uint8), affine(degrees), frame))

    assert seen(0) == seen(0.3) == seen(20, "pixel") == 90
    assert seen(12) == pytest.approx(78) and seen(-20) == pytest.approx(70)


def test_its_mask_goes_along_onto_straight_axes(build):
    """A voxel of the label lies where the label lies in the patient, and is bright there."""
    made = build({3: 15.0, 5: 0.3})
    image, labels = datasets.prepare_case(made, case_of(made, "3"), CHAIN)
    assert formats.slant(image) == 90 and image.size == labels.shape != SIZE
    at = image.world(np.argwhere(labels == 1)).mean(axis=0)
    middle = (affine(15.0) @ [2, 5.5, 5.5, 1])[:3]  # rows and columns 3 to 8 of slices 1 to 3
    assert np.abs((at - middle) / (1, 1, 3)).max() < 0.25, "voxels"
    assert (labels == 1).sum() == pytest.approx(3 * 6 * 6, rel=0.02)
    assert image.pixels[0][labels == 1].mean() == pytest.approx(150, abs=6)
    level, same = datasets.prepare_case(made, case_of(made, "5"), CHAIN)
    assert level.size == same.shape == SIZE, "half a degree is no more than rounding"


def test_so_does_its_region_of_interest(build):
    made = build({3: 15.0}, regions=True)
    image, labels = datasets.prepare_case(made, case_of(made, "3"), CHAIN)
    inside = np.argwhere(labels != IGNORED)
    index = image.world(inside) - affine(15.0)[:3, 3]
    there = index @ np.linalg.inv(affine(15.0)[:3, :3]).T  # on the scan's own grid
    assert len(inside) == pytest.approx(6 * 14 * 16, rel=0.02)
    assert there[:, 1].min() >= 1.5 - 1e-3 and there[:, 1].max() <= 15.5 + 1e-3


def test_it_is_learned_from_as_any_other(build):
    pytest.importorskip("blosc2")
    made = build({3: 15.0})
    shelf = datasets.shelved(made, CHAIN)
    assert len(shelf) == 10 and not shelf.skipped
    row = shelf.names.index("3")
    assert np.array_equal(
        shelf.case(row)[1], datasets.prepare_case(made, shelf.cases[row], CHAIN)[1]
    )
    found = mask_fingerprint(made, made)
    assert found.n_looked_at == 10
    assert found.spacings[2] == pytest.approx((3, 1, 1)), "as far apart as in the others"


def test_the_check_tells_of_it(build):
    (found,) = (p for p in datasets.check(build({3: 15.0})).problems if p.code == "axes_slanted")
    assert (found.severity, found.cases) == ("note", ("3",))
    assert found.message.startswith("1 of 10 scans have axes")
    assert found.message.endswith("3.nii.gz (75.0°)") and found.chinese.endswith("3.nii.gz (75.0°)")
