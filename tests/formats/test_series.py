"""A series of DICOM slices: one volume, or refused naming the files (fail-closed geometry)."""

import numpy as np
import pydicom
import pytest

from tomos import formats
from tomos.formats import dicom
from tomos.types import FormatError, GeometryError, Image

pytestmark = pytest.mark.fast
STUDY = "2.25.1"
COMMON = {"Modality": "CT", "StudyInstanceUID": STUDY, "FrameOfReferenceUID": "2.25.9"}
AXIAL = np.array([[0, 0, -0.7, 10], [0, -0.6, 0, 20], [2.5, 0, 0, 30], [0, 0, 0, 1.0]])


def write_slice(folder, name, z, uid="2.25.2", affine=AXIAL, value=None, size=(5, 4), **header):
    """Slice number `z` of a CT phantom whose every pixel is its own number."""
    placed = affine.copy()
    placed[:3, 3] = affine[:3, 3] + z * affine[:3, 0]
    pixels = np.full((1, *size), 10 * z if value is None else value, np.int16)
    pixels[0, 0, 0] = -1000
    image = Image(pixels, placed, frame="patient", unit="HU")
    dicom.write(image, folder / name, COMMON | {"SeriesInstanceUID": uid} | header)


def write_series(folder, count=6, **options):
    names = [f"{(7 * z) % 10}{z}.dcm" for z in range(count)]  # names that do not follow the place
    for z, name in enumerate(names):
        write_slice(folder, name, z, **options)
    return names


def test_slices_are_sorted_by_place_and_lie_where_they_should(tmp_path):
    write_series(tmp_path)
    read = formats.read(f"{tmp_path}#2.25.2")
    assert read.pixels.shape == (1, 6, 5, 4) and read.unit == "HU" and read.frame == "patient"
    assert read.pixels[0, :, 1, 1].tolist() == [0, 10, 20, 30, 40, 50]
    assert np.allclose(read.affine, AXIAL)
    assert formats.members(tmp_path) == [f"{tmp_path}#2.25.2"]
    assert np.array_equal(formats.read(tmp_path).pixels, read.pixels)


@pytest.mark.parametrize("turn", ["sagittal", "coronal", "oblique"])
def test_any_orientation(tmp_path, turn):
    affine = np.eye(4)
    if turn == "oblique":
        c, s = np.cos(0.3), np.sin(0.3)
        affine[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ AXIAL[:3, :3]
    else:
        order = [2, 0, 1] if turn == "sagittal" else [1, 2, 0]
        affine[:3, :3] = np.eye(3)[order] * [2.5, 0.6, 0.7]
    # Slices are stacked along the normal (x cross y): a left-handed grid is met from its other end.
    write_series(tmp_path, affine=affine)
    read = formats.read(tmp_path)
    corner = read.world(np.array([0, 1, 1]))
    value = read.pixels[0, 0, 1, 1]
    assert np.allclose(corner, (affine @ [value / 10, 1, 1, 1])[:3], atol=1e-4)


def test_a_missing_slice_is_named(tmp_path):
    names = write_series(tmp_path)
    (tmp_path / names[3]).unlink()
    with pytest.raises(GeometryError, match=f"{names[2]} and {names[4]} 5.000 mm.*1 missing"):
        formats.read(tmp_path)


def test_a_duplicate_is_named(tmp_path):
    names = write_series(tmp_path)
    write_slice(tmp_path, "again.dcm", 2)
    with pytest.raises(GeometryError, match=rf"({names[2]} = again|again.dcm = {names[2]})"):
        formats.read(tmp_path)


def test_uneven_slices_are_named(tmp_path):
    names = write_series(tmp_path)
    write_slice(tmp_path, names[5], 5.3)
    with pytest.raises(GeometryError, match=f"{names[4]} and {names[5]} 3.250 mm.*unevenly"):
        formats.read(tmp_path)


def test_a_turned_slice_is_named(tmp_path):
    write_series(tmp_path)
    turned = AXIAL.copy()
    turned[:, [1, 2]] = turned[:, [2, 1]] * [1, -1]
    write_slice(tmp_path, "scout.dcm", 9, affine=turned)
    with pytest.raises(GeometryError, match=r"turned.*scout"):
        formats.read(tmp_path)


def test_gantry_tilt_is_named_in_degrees(tmp_path):
    names = write_series(tmp_path)
    for z, name in enumerate(names):
        dataset = pydicom.dcmread(tmp_path / name)
        x, y, height = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, float(y) + 0.5 * z, height]
        dataset.save_as(tmp_path / name)
    with pytest.raises(GeometryError, match=r"tilted by 11\.3 degrees"):
        formats.read(tmp_path)


def test_mixed_sizes_spacings_and_frames_are_named(tmp_path):
    for case in ("size", "spacing", "reference"):
        folder = tmp_path / case
        folder.mkdir()
        write_series(folder)
        other = AXIAL * [[1, 1, 1.5 if case == "spacing" else 1, 1]]
        reference = "2.25.8" if case == "reference" else "2.25.9"
        write_slice(folder, "odd.dcm", 6, affine=other, size=(5, 3) if case == "size" else (5, 4),
                    FrameOfReferenceUID=reference)  # fmt: skip
        with pytest.raises(GeometryError, match=r"mixed|spacing") as caught:
            formats.read(folder)
        assert case == "reference" or "odd.dcm" in str(caught.value)


def test_two_series_in_a_folder_must_be_chosen(tmp_path):
    write_series(tmp_path)
    (tmp_path / "b").mkdir()
    write_series(tmp_path / "b", uid="2.25.3", value=7)
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(FormatError, match="2 series are in it"):
        formats.read(tmp_path)
    assert formats.read(f"{tmp_path}#2.25.3").pixels.max() == 7
    listed = formats.series(tmp_path)
    assert [(one.uid, len(one.files), one.volume) for one in listed] == [
        ("2.25.2", 6, True),
        ("2.25.3", 6, True),
    ]
    with pytest.raises(FormatError, match=r"no series 2\.25\.4"):
        formats.read(f"{tmp_path}#2.25.4")


def test_pictures_without_a_place_are_read_one_by_one(tmp_path):
    for name in "ab":
        image = Image(np.full((1, 4, 4), 5, np.uint16))
        dicom.write(
            image, tmp_path / f"{name}.dcm", {"Modality": "DX", "SeriesInstanceUID": "2.25.5"}
        )
    assert formats.members(tmp_path) == [str(tmp_path / "a.dcm"), str(tmp_path / "b.dcm")]
    with pytest.raises(GeometryError, match="do not say where they lie"):
        formats.read(f"{tmp_path}#2.25.5")


def test_slices_with_values_beyond_int16(tmp_path):
    for z in range(3):
        placed = AXIAL.copy()
        placed[2, 3] += 2.5 * z
        image = Image(np.full((1, 4, 4), 65000, np.uint16), placed, frame="patient")
        dicom.write(image, tmp_path / f"{z}.dcm", COMMON | {"SeriesInstanceUID": "2.25.6"})
    assert formats.read(tmp_path).pixels.max() == 65000


def test_real_series_against_pydicom(shared):
    from pydicom.pixels import apply_rescale

    folder = shared / "dicom" / "ct_chest"
    datasets = [pydicom.dcmread(path) for path in sorted(folder.iterdir())]
    datasets.sort(key=lambda one: float(one.ImagePositionPatient[2]))
    read = formats.read(folder)
    assert read.unit == "HU" and read.spacing == (1.0, 0.78125, 0.78125)
    for z in (0, 1, 30, 55):
        expected = apply_rescale(datasets[z].pixel_array, datasets[z])
        assert np.array_equal(read.pixels[0, z], expected)
        left, back, head = map(float, datasets[z].ImagePositionPatient)
        assert np.allclose(read.world(np.array([z, 0, 0])), [-left, -back, head], atol=1e-3)


def test_a_study_of_several_series(shared):
    listed = formats.series(shared / "dicom" / "mr_study_four_series")
    assert sorted(len(one.files) for one in listed) == [22, 22, 22, 22, 40]
    for one in listed:
        assert formats.read(one.address).pixels.shape[1] == len(one.files)
