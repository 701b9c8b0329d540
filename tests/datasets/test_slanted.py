"""Scans whose axes are not at right angles, as from a tilted gantry, are not learned from."""

import numpy as np
import pytest

from tomos import datasets, formats
from tomos.plan.mask_fingerprint import mask_fingerprint
from tomos.transforms.prepare import Chain
from tomos.types import DatasetError, GeometryError, Image

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

    def made(slanted):
        rng = np.random.default_rng(0)
        for folder in ("images", "masks"):
            (tmp_path / "s" / folder).mkdir(parents=True)
        for k in range(10):
            labels = np.zeros(SIZE, np.uint8)
            labels[1:4, 3 : 9 + k % 3, 3:9] = 1
            pixels = rng.normal(100 + 50 * labels, 10).astype(np.int16)
            for folder, array in (("images", pixels), ("masks", labels)):
                placed = Image(array[None], affine(slanted.get(k, 0)), "patient")
                formats.write_nifti(placed, tmp_path / "s" / folder / f"{k}.nii.gz")
        datasets.import_folder(tmp_path / "s", tmp_path / "d", ratios={"train": 100})
        return datasets.open(tmp_path / "d")

    return made


def test_the_angle_is_measured():
    def seen(degrees, frame="patient"):
        return formats.slant(Image(np.zeros((1, *SIZE), np.uint8), affine(degrees), frame))

    assert seen(0) == seen(0.3) == seen(20, "pixel") == 90
    assert seen(12) == pytest.approx(78) and seen(-20) == pytest.approx(70)


def test_such_a_case_is_left_out_by_name(build):
    pytest.importorskip("blosc2")
    made = build({3: 15.0, 5: 0.3})
    case = next(case for case in made.cases if case.name == "3")
    said = r"3\.nii\.gz: its axes are not at right angles \(down to 75\.0 degrees.*resample it"
    with pytest.raises(GeometryError, match=said):
        datasets.prepare_case(made, case, CHAIN)
    shelf = datasets.shelved(made, CHAIN)
    assert list(shelf.skipped) == ["3"] and "right angles" in shelf.skipped["3"]
    assert len(shelf) == 9
    assert mask_fingerprint(made, made).n_looked_at == 9


def test_the_check_tells_of_it(build):
    (found,) = (p for p in datasets.check(build({3: 15.0})).problems if p.code == "axes_slanted")
    assert (found.severity, found.cases) == ("warning", ("3",))
    assert found.message.startswith("1 of 10 scans have axes") and "75.0" in found.message


def test_where_all_are_slanted_the_plan_says_why(build):
    made = build(dict.fromkeys(range(10), 15.0))
    with pytest.raises(DatasetError, match=r"none of 10 cases could be read.*right angles"):
        mask_fingerprint(made, made)
