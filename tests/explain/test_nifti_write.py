"""A map written as NIfTI is read back on the same grid, by ours and by nibabel."""

import nibabel
import numpy as np
import pytest

from tomos import formats
from tomos.types import FormatError, Image

pytestmark = pytest.mark.fast


@pytest.mark.parametrize("kind", ["uint8", "int16", "float32"])
@pytest.mark.parametrize("end", [".nii", ".nii.gz"])
def test_a_volume_comes_back(tmp_path, kind, end):
    rng = np.random.default_rng(0)
    affine = np.eye(4)
    affine[:3] = rng.normal(size=(3, 4)).round(3)
    image = Image(rng.integers(0, 99, (1, 4, 5, 6)).astype(kind), affine, "patient")
    formats.write_nifti(image, tmp_path / f"a{end}")
    back = formats.read(tmp_path / f"a{end}")
    assert (back.pixels == image.pixels).all()
    assert back.affine == pytest.approx(affine, abs=1e-6)
    theirs = nibabel.load(tmp_path / f"a{end}")
    assert theirs.affine[:, [2, 1, 0, 3]] == pytest.approx(affine, abs=1e-6)
    assert (np.asarray(theirs.dataobj) == image.pixels[0].T).all()


def test_a_plain_film_has_spacing_but_no_made_up_side(tmp_path):
    image = Image(np.zeros((1, 5, 6), np.float32), np.diag([1, 0.2, 0.3, 1]), "detector")
    formats.write_nifti(image, tmp_path / "a.nii")
    header = nibabel.load(tmp_path / "a.nii").header
    assert header.get_zooms() == pytest.approx((0.3, 0.2, 1))
    assert (int(header["sform_code"]), int(header["qform_code"])) == (0, 0)


def test_what_nifti_cannot_hold_is_refused(tmp_path):
    with pytest.raises(FormatError, match="one channel"):
        formats.write_nifti(Image(np.zeros((3, 5, 6), np.uint8)), tmp_path / "a.nii")
