"""npz, npy, NIfTI, NRRD and MetaImage: arrays with an address or a place."""

import gzip
import zipfile

import numpy as np
import pytest

from tomos import formats
from tomos.types import FormatError, GeometryError, LimitError

pytestmark = pytest.mark.fast
VOLUME = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)  # (Z, Y, X)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_row_of_a_container(tmp_path, save):
    images = np.arange(5 * 3 * 4, dtype=np.uint8).reshape(5, 3, 4)
    save(tmp_path / "x.npz", train_images=images, train_labels=np.zeros((5, 1)))
    path = tmp_path / "x.npz"
    assert np.array_equal(formats.read(f"{path}#train/3").pixels, images[3][None])
    assert np.array_equal(formats.read(f"{path}#train_images/3").pixels, images[3][None])
    assert formats.members(path) == [f"{path}#train/{row}" for row in range(5)]
    with pytest.raises(FormatError, match="row from 0 to 4"):
        formats.read(f"{path}#train/5")
    with pytest.raises(FormatError, match="train_images"):
        formats.read(f"{path}#test/0")


def test_a_changed_container_is_read_anew(tmp_path):
    path = tmp_path / "x.npz"
    for value in (1, 2):
        np.savez(path, a_images=np.full((1, 2, 2 + value), value, np.uint8))
        assert formats.read(f"{path}#a/0").pixels.max() == value


def test_rows_in_colour_and_in_space(tmp_path):
    np.savez(tmp_path / "x.npz", c=np.zeros((2, 5, 6, 3), np.uint8), v=np.zeros((2, 7, 5, 6), "u1"))
    assert formats.read(f"{tmp_path}/x.npz#c/0").pixels.shape == (3, 5, 6)
    assert formats.read(f"{tmp_path}/x.npz#v/0").pixels.shape == (1, 7, 5, 6)


def test_objects_are_never_unpickled(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(FormatError, match="never unpickled"):
        formats.read(tmp_path / "x.npy")


def test_a_zip_without_arrays_is_no_image(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as box:
        box.writestr("a.txt", "hello")
    with pytest.raises(FormatError, match="without numpy arrays"):
        formats.read(tmp_path / "x.zip")


def test_a_packed_array_that_is_too_large_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", a_images=np.zeros((100, 100, 100), np.uint8))
    with pytest.raises(LimitError, match="not compressed"):
        formats.read(f"{tmp_path}/x.npz#a/0", formats.Limits(memory=10**5))


def nifti(affine: np.ndarray, data: np.ndarray = VOLUME.T, sform: int = 1, **header):
    import nibabel

    image = nibabel.Nifti1Image(data, affine)
    image.set_sform(affine, sform)
    image.set_qform(affine, sform)
    for name, value in header.items():
        image.header[name] = value
    return image


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_axes_and_affine_in_array_order(tmp_path, suffix):
    affine = np.array([[-2.0, 0, 0, 10], [0, 0, 3, 20], [0, 1.5, 0, 30], [0, 0, 0, 1]])
    nifti(affine).to_filename(tmp_path / f"x{suffix}")
    image = formats.read(tmp_path / f"x{suffix}")
    assert np.array_equal(image.pixels, VOLUME[None])
    assert image.frame == "patient"
    for x, y, z in ((0, 0, 0), (3, 2, 1), (1, 0, 1)):
        assert np.allclose(image.world(np.array([z, y, x])), (affine @ [x, y, z, 1])[:3])


def test_nifti_scaling_units_and_unknown_place(tmp_path):
    image = nifti(
        np.diag([1000.0, 1000, 1000, 1]), sform=0, scl_slope=2, scl_inter=-1, xyzt_units=3
    )
    image.to_filename(tmp_path / "x.nii")
    raw = bytearray((tmp_path / "x.nii").read_bytes())
    raw[112:120] = np.array([2, -1], "<f4").tobytes()  # nibabel resets scl_slope when it saves
    (tmp_path / "x.nii").write_bytes(raw)
    read = formats.read(tmp_path / "x.nii")
    assert np.array_equal(read.pixels[0], VOLUME * 2.0 - 1)
    assert np.allclose(read.spacing, 1.0), "micrometres become millimetres"
    assert read.frame == "detector" and "left and right" in read.warnings[0]


def test_nifti_time_is_addressed(tmp_path):
    nifti(np.eye(4), np.stack([VOLUME.T, VOLUME.T + 100], axis=-1)).to_filename(tmp_path / "x.nii")
    path = tmp_path / "x.nii"
    assert formats.members(path) == [f"{path}#0", f"{path}#1"]
    assert np.array_equal(formats.read(f"{path}#1").pixels[0], VOLUME + 100)
    with pytest.raises(GeometryError, match="time is no axis"):
        formats.read(path)


def test_nifti_that_declares_eighteen_gigabytes(tmp_path):
    nifti(np.eye(4)).to_filename(tmp_path / "x.nii")
    raw = bytearray((tmp_path / "x.nii").read_bytes())
    raw[42:48] = np.array([2100, 2100, 2100], "<i2").tobytes()
    (tmp_path / "big.nii.gz").write_bytes(gzip.compress(bytes(raw)))
    with pytest.raises(LimitError, match="declares"):
        formats.read(tmp_path / "big.nii.gz")
    raw[42:48] = np.array([200, 200, 200], "<i2").tobytes()
    (tmp_path / "short.nii").write_bytes(raw)
    with pytest.raises(FormatError, match="cut short"):
        formats.read(tmp_path / "short.nii")


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_nrrd_in_lps(tmp_path, encoding):
    head = (
        "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 4 3 2\n"
        "space directions: (0.5,0,0) (0,0.7,0) (0,0,2)\nkinds: domain domain domain\n"
        f"endian: little\nencoding: {encoding}\nspace origin: (1,2,3)\n\n"
    )
    raw = VOLUME.astype("<i2").tobytes()
    body = gzip.compress(raw) if encoding == "gzip" else raw
    (tmp_path / "x.nrrd").write_bytes(head.encode() + body)
    image = formats.read(tmp_path / "x.nrrd")
    assert np.array_equal(image.pixels, VOLUME[None])
    assert image.spacing == (2.0, 0.7, 0.5)
    assert image.world(np.array([0, 0, 0])).tolist() == [-1, -2, 3]
    assert image.world(np.array([1, 0, 2])).tolist() == [-2, -2, 5]


def test_metaimage_with_its_data_beside_it(tmp_path):
    head = "ObjectType = Image\nNDims = 3\nDimSize = 4 3 2\nElementType = MET_SHORT\n"
    head += "ElementSpacing = 0.5 0.7 2\nOffset = 1 2 3\nElementDataFile = {}\n"
    raw = VOLUME.astype("<i2").tobytes()
    (tmp_path / "a.mha").write_bytes(head.format("LOCAL").encode() + raw)
    (tmp_path / "b.mhd").write_text(head.format("b.raw"))
    (tmp_path / "b.raw").write_bytes(raw)
    (tmp_path / "c.mhd").write_text(head.format("../../etc/passwd"))
    for name in ("a.mha", "b.mhd"):
        image = formats.read(tmp_path / name)
        assert np.array_equal(image.pixels, VOLUME[None])
        assert image.world(np.array([1, 0, 2])).tolist() == [-2, -2, 5]
    with pytest.raises(FormatError, match="not a file beside it"):
        formats.read(tmp_path / "c.mhd")
