"""Several images of one case, read as one on the grid of the first."""

from pathlib import Path

import numpy as np
import pytest

from tomos import formats
from tomos.formats import Limits
from tomos.formats._joined import on_one_grid
from tomos.types import FormatError, GeometryError, Image, LimitError, Origin, Part

STUDY = Path(__file__).parents[3] / "shared/data/dicom/mr_study_four_series"
UPRIGHT = np.array([[0, 0, -1, 0], [0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], float)


def volume(size=(4, 5, 6), spacing=(1.0, 1.0, 1.0), start=(0.0, 0.0, 0.0), values=None, **about):
    """Axes towards S, P, L; without `values` the position in mm along the first axis of space."""
    affine = UPRIGHT @ np.diag([*spacing, 1.0])
    affine[:3, 3] = start
    index = np.stack(np.indices(size), axis=-1)
    ramp = (index @ affine[:3, :3].T + affine[:3, 3])[..., 0]
    pixels = np.asarray(ramp if values is None else values, np.float32)[None]
    return Image(pixels, affine, "patient", **about)


@pytest.fixture
def written(tmp_path):
    def write(image, name):
        formats.write_nifti(image, tmp_path / name)
        return str(tmp_path / name)

    return write


@pytest.mark.fast
def test_images_of_one_grid_are_stacked_as_they_are(written):
    rng = np.random.default_rng(0)
    one, two = (volume(values=rng.integers(0, 99, (4, 5, 6))) for _ in range(2))
    address = formats.joined([written(one, "t1.nii.gz"), written(two, "t2.nii")])
    assert formats.members(address) == [address]
    found = formats.read(address)
    assert np.array_equal(found.pixels, np.concatenate([one.pixels, two.pixels]))
    assert found.parts == (Part(1), Part(1)) and not found.warnings
    assert np.array_equal(found.first.pixels, one.pixels) and not found.first.parts
    assert np.allclose(found.affine, one.affine) and found.origin.path.endswith("t1.nii.gz")


@pytest.mark.fast
def test_whole_numbers_of_one_type_keep_it_and_of_two_become_fractions():
    kinds = (np.int16, np.int16, np.uint8)
    short, other, byte = (volume().with_pixels(np.full((1, 4, 5, 6), 7, kind)) for kind in kinds)
    assert on_one_grid([short, other]).pixels.dtype == np.int16
    mixed = on_one_grid([short, byte]).pixels
    assert mixed.dtype == np.float32 and (mixed == 7).all()


@pytest.mark.fast
def test_axes_in_another_order_are_turned_exactly():
    one = volume(values=np.arange(120).reshape(4, 5, 6))
    affine = one.affine[:, [2, 0, 1, 3]].copy()  # its axes are (x, z, y), x the other way round
    affine[:3, 3] += affine[:3, 0] * 5
    affine[:3, 0] *= -1
    turned = one.pixels[0].transpose(2, 0, 1)[::-1][None]
    found = on_one_grid([one, Image(np.ascontiguousarray(turned), affine, "patient")])
    assert np.array_equal(found.pixels[1], one.pixels[0]) and not found.parts[1].resampled


@pytest.mark.fast
def test_another_grid_is_interpolated_and_it_is_said():
    one = volume((6, 8, 10), (2.0, 1.0, 1.0))
    # A ramp over all of space: linear interpolation gives every place its own value.
    other = volume((9, 12, 14), (1.5, 0.9, 0.8), (0.3, 0.4, -0.2))
    found = on_one_grid([one, other])
    assert found.size == one.size and found.parts[1].resampled
    x = one.pixels[0]
    # But for two voxels at its rim, beyond which there is nothing to be averaged with.
    known = (x <= 0.3 - 1.6) & (x >= 0.3 - 0.8 * 11)
    assert known.sum() > 200
    assert np.abs(found.pixels[1] - x)[known].max() < 1e-4
    assert "image 2 of 2: put on the grid of the first by linear" in found.warnings[0]
    assert "1.5 x 0.9 x 0.8 to 2 x 1 x 1 mm" in found.warnings[0]


@pytest.mark.fast
def test_what_lies_outside_of_the_other_image_has_its_lowest_value():
    one = volume((4, 4, 8))
    half = volume((4, 4, 4), start=(0.25, 0.0, 0.0), values=np.full((4, 4, 4), 5.0) + np.eye(4))
    found = on_one_grid([one, half])
    assert (found.pixels[1][..., 5:] == 5).all() and found.pixels[1][..., :4].max() > 5
    assert "50.0% of that grid lies outside" in found.warnings[0]


@pytest.mark.fast
def test_a_finer_image_is_averaged_and_not_picked_from():
    fine = np.indices((32, 32, 32)).sum(axis=0) % 2 * 100.0  # a chessboard: 50 from afar
    coarse = volume((8, 8, 8), (4.0, 4.0, 4.0), (-1.0, -1.0, 1.0))
    found = on_one_grid([coarse, volume((32, 32, 32), values=fine)])
    assert np.abs(found.pixels[1][2:-2, 2:-2, 2:-2] - 50).max() < 1


@pytest.mark.fast
def test_a_hundredth_of_a_voxel_is_rounding_and_blurs_nothing():
    one = volume(values=np.random.default_rng(0).normal(size=(4, 5, 6)))
    moved = volume(start=(0.01, 0.0, 0.0), values=one.pixels[0])
    found = on_one_grid([one, moved])
    assert np.array_equal(found.pixels[0], found.pixels[1]) and not found.warnings


@pytest.mark.fast
def test_modalities_and_units_of_each_are_kept():
    ct = volume(modality="CT", unit="HU", value_range=(-1024, 3071))
    found = on_one_grid([ct, volume(modality="PT", unit="SUV")])
    assert (found.modality, found.unit, found.value_range) == ("CT+PT", "1", None)
    assert [(part.modality, part.unit) for part in found.parts] == [("CT", "HU"), ("PT", "SUV")]
    assert (found.first.modality, found.first.unit) == ("CT", "HU")
    assert on_one_grid([ct, ct]).modality == "CT"


@pytest.mark.fast
@pytest.mark.parametrize(
    ("fact", "says"), [("patient", "same patient"), ("frame_of_reference", "frame of reference")]
)
def test_other_patients_and_frames_of_reference_are_refused(fact, says):
    one, two = (volume(origin=Origin(path=f"{k}.dcm", **{fact: f"id-{k}"})) for k in "ab")
    with pytest.raises(GeometryError, match=f"^b.dcm: expected .*{says}") as refused:
        on_one_grid([one, two])
    assert "id-" not in str(refused.value)  # nothing of a patient is told
    nameless = volume(origin=Origin(path="c.dcm"))
    assert len(on_one_grid([one, nameless]).parts) == 2


@pytest.mark.fast
def test_images_that_do_not_overlap_are_refused():
    away = volume(start=(0.0, 0.0, 400.0), origin=Origin(path="away.nii"))
    with pytest.raises(GeometryError, match=r"away.nii: does not overlap"):
        on_one_grid([volume(), away])


@pytest.mark.fast
def test_pictures_of_other_sizes_and_pictures_beside_volumes_are_refused():
    def picture(y, x):
        return Image(np.zeros((1, y, x), np.uint8), origin=Origin(path=f"{y}.png"))

    assert on_one_grid([picture(4, 5), picture(4, 5)]).channels == 2
    with pytest.raises(GeometryError, match=r"6.png: cannot be laid on 4.png: the sizes differ"):
        on_one_grid([picture(4, 5), picture(6, 5)])
    with pytest.raises(GeometryError, match=r"4.png: a picture, but image is a volume"):
        on_one_grid([volume(), picture(4, 5)])


@pytest.mark.fast
def test_a_volume_of_no_known_place_is_taken_only_where_its_size_fits():
    bare = Image(np.ones((1, 4, 5, 6), np.float32), origin=Origin(path="bare.nrrd"))
    found = on_one_grid([volume(), bare])
    assert "image 2 of 2: its header names no place" in found.warnings[0]
    with pytest.raises(GeometryError, match=r"bare.nrrd: cannot be laid"):
        on_one_grid([volume((4, 5, 7)), bare])


@pytest.mark.fast
def test_a_missing_and_an_unreadable_image_are_named(written, tmp_path):
    one = written(volume(), "t1.nii")
    (tmp_path / "t2.nii").write_text("no image")
    with pytest.raises(FormatError, match="image 2 is missing"):
        formats.read(f"{one}|")
    with pytest.raises(FormatError, match=r"t2.nii: expected DICOM"):
        formats.read(f"{one}|{tmp_path / 't2.nii'}")
    with pytest.raises(FormatError, match=r"t3.nii: there is no such file"):
        formats.read(f"{one}|{tmp_path / 't3.nii'}")


@pytest.mark.fast
def test_limits_hold_for_the_sum(written):
    address = formats.joined([written(volume(), name) for name in ("a.nii", "b.nii")])
    formats.read(address, Limits(pixels=240))
    with pytest.raises(LimitError):
        formats.read(address, Limits(pixels=239))


@pytest.mark.fast
def test_a_name_that_holds_the_mark_is_no_list(written, tmp_path):
    whole = written(volume(), "t1.nii|t2.nii")
    other = written(volume(), "other.nii")
    assert formats.split_joined(whole) == [whole]
    assert formats.read(whole).channels == 1
    assert formats.split_joined(f"{other}|{whole}") == [other, whole]
    assert formats.read(f"{whole}|{other}").channels == 2
    (tmp_path / "a|b").mkdir()
    formats.write_nifti(volume(), tmp_path / "a|b" / "x.nii")
    assert formats.split_joined(f"{tmp_path}/a|b/x.nii|{other}")[1] == other


@pytest.mark.fast
def test_volumes_of_one_file_are_images(tmp_path):
    nib = pytest.importorskip("nibabel")
    values = np.arange(2 * 60, dtype=np.int16).reshape(3, 4, 5, 2)
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "x.nii")
    found = formats.read(f"{tmp_path}/x.nii#1|{tmp_path}/x.nii#0")
    assert np.array_equal(found.pixels, values.transpose(3, 2, 1, 0)[::-1])


@pytest.mark.skipif(not STUDY.is_dir(), reason="the MR study is not here")
def test_the_series_of_one_study():
    named = {each.description: each.address for each in formats.series(STUDY)}
    together = [named[name] for name in ("T1pre_reg", "T2_reg", "FLAIR_reg")]
    found = formats.read(formats.joined(together))
    assert found.pixels.shape == (3, 22, 320, 280) and found.pixels.dtype == np.int16
    assert not any(part.resampled for part in found.parts)
    for k, address in enumerate(together):
        assert np.array_equal(found.pixels[k], formats.read(address).pixels[0])
    crop = formats.read(formats.joined([named["HippoCrop"], named["T2_reg"]]))
    assert crop.size == (40, 50, 34) and crop.parts[1].resampled
    # The middle of the crop, looked up in the scan itself.
    scan = formats.read(named["T2_reg"])
    middle = np.array([20, 25, 17])
    where = np.linalg.solve(scan.affine, [*crop.world(middle), 1.0])[:3]
    low = np.floor(where).astype(int)
    box = scan.pixels[0][tuple(slice(a, a + 2) for a in low)]
    assert box.min() <= crop.pixels[(1, *middle)] <= box.max()
