"""Masks on their image's grid: what is taken, what is repaired, what is refused."""

import itertools

import nibabel
import numpy as np
import PIL.Image
import pytest

from tomos import formats
from tomos.types import FormatError, GeometryError, Image, Mask, SettingsError

pytestmark = pytest.mark.fast

OBLIQUE = np.array([[0.1, -0.2, 0.9, -40], [0.3, 0.8, 0.1, 25], [2.9, -0.2, -0.1, 7], [0, 0, 0, 1]])
LABELS = np.random.default_rng(0).integers(0, 3, (4, 5, 6)).astype(np.uint8)
NAMES = ("anterior", "posterior")
IMAGE = Image(np.zeros((1, 4, 5, 6), np.int16), OBLIQUE, "patient")


def nifti(path, labels, affine=OBLIQUE, code=1):
    """As another program writes it; `labels` and `affine` in our order of axes."""
    image = nibabel.Nifti1Image(labels.T, affine[:, [2, 1, 0, 3]])
    image.set_sform(affine[:, [2, 1, 0, 3]], code)
    image.set_qform(None, 0)
    image.to_filename(path)
    return path


def turned(axes, flips, labels=LABELS, affine=OBLIQUE):
    """The same labels at the same places with the array's axes reordered and reversed."""
    affine = affine[:, [*axes, 3]].copy()
    labels = np.flip(labels.transpose(axes), flips)
    for axis in flips:
        affine[:3, 3] += affine[:3, axis] * (labels.shape[axis] - 1)
        affine[:3, axis] *= -1
    return labels, affine


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))), ids=str)
def test_all_48_orders_of_axes_come_back_to_the_voxel(tmp_path, axes):
    for flips in ([k for k in range(3) if bits >> k & 1] for bits in range(8)):
        labels, affine = turned(axes, flips)
        notes = []
        mask = formats.read_mask(
            nifti(tmp_path / "m.nii.gz", labels, affine), IMAGE, NAMES, notes=notes
        )
        assert np.array_equal(mask.labels, LABELS)
        assert np.array_equal(mask.affine, OBLIQUE)
        as_it_is = axes == (0, 1, 2) and not flips
        assert ["other axes" in note for note in notes] == ([] if as_it_is else [True])


@pytest.mark.parametrize("far", [0.0005, 0.002])
def test_the_last_voxel_may_be_off_by_a_thousandth(tmp_path, far):
    affine = OBLIQUE.copy()
    affine[:3, 2] *= 1 + far / 5  # six voxels: the last is off by `far` of one
    nifti(tmp_path / "m.nii", LABELS, affine)
    if far < 1e-3:
        mask = formats.read_mask(tmp_path / "m.nii", IMAGE, NAMES)
        assert np.array_equal(mask.labels, LABELS)
    else:
        with pytest.raises(GeometryError, match=r"up to 0\.00.* voxels.*Resample"):
            formats.read_mask(tmp_path / "m.nii", IMAGE, NAMES)


def test_another_place_or_size_is_refused_with_both_grids(tmp_path):
    shifted = OBLIQUE.copy()
    shifted[0, 3] += 0.5
    nifti(tmp_path / "shifted.nii", LABELS, shifted)
    with pytest.raises(GeometryError, match=r"shifted.nii.*4 x 5 x 6 .*-39.5.*image: 4 x 5 x 6"):
        formats.read_mask(tmp_path / "shifted.nii", IMAGE, NAMES)
    nifti(tmp_path / "small.nii", LABELS[1:])
    with pytest.raises(GeometryError, match=r"sizes differ.*3 x 5 x 6.*4 x 5 x 6"):
        formats.read_mask(tmp_path / "small.nii", IMAGE, NAMES)


IDENTITY = np.eye(4)[:, [2, 1, 0, 3]]


@pytest.mark.parametrize(
    "affine,code",
    [(IDENTITY, 1), (np.diag([-1.0, -1, 1, 1])[:, [2, 1, 0, 3]], 1), (IDENTITY, 0)],
    ids=["identity", "identity of ITK", "no code"],
)
def test_a_mask_without_a_place_is_taken_voxel_by_voxel_and_that_is_said(tmp_path, affine, code):
    nifti(tmp_path / "m.nii", LABELS, affine, code)
    with pytest.warns(UserWarning, match="m.nii: its header names no place"):
        mask = formats.read_mask(tmp_path / "m.nii", IMAGE, NAMES)
    assert np.array_equal(mask.labels, LABELS)
    assert np.array_equal(mask.affine, OBLIQUE)
    nifti(tmp_path / "small.nii", LABELS[1:], affine, code)
    with pytest.raises(GeometryError, match="sizes differ"):
        formats.read_mask(tmp_path / "small.nii", IMAGE, NAMES)


def test_spacing_alone_must_be_the_image_s(tmp_path):
    spaced = IDENTITY @ np.diag([*IMAGE.spacing, 1])
    nifti(tmp_path / "m.nii", LABELS, spaced, code=0)
    notes = []
    formats.read_mask(tmp_path / "m.nii", IMAGE, NAMES, notes=notes)
    assert "no place" in notes[0]
    nifti(tmp_path / "other.nii", LABELS, spaced * [2, 1, 1, 1], code=0)
    with pytest.raises(GeometryError, match="its spacing is another"):
        formats.read_mask(tmp_path / "other.nii", IMAGE, NAMES)


def test_a_place_says_nothing_of_an_image_that_has_none(tmp_path):
    nifti(tmp_path / "m.nii", LABELS)
    with pytest.raises(GeometryError, match="the image does not say where"):
        formats.read_mask(tmp_path / "m.nii", Image(np.zeros((1, 4, 5, 6))), NAMES)


def test_every_name_and_label_of_nifti_comes_back(tmp_path):
    for names, end in ((NAMES, ".nii.gz"), (("海马", 'a "b"\n'), ".nii")):
        mask = Mask.on(IMAGE, LABELS, names)
        formats.write_mask(mask, tmp_path / f"m{end}")
        back = formats.read_mask(tmp_path / f"m{end}", IMAGE, None)
        assert back.names == names
        assert np.array_equal(back.labels, LABELS)
        theirs = nibabel.load(tmp_path / f"m{end}")
        assert np.array_equal(np.asarray(theirs.dataobj), LABELS.T)
        assert np.allclose(theirs.affine, OBLIQUE[:, [2, 1, 0, 3]])
        assert theirs.header.get_intent()[0] == "label"
    many = Mask.on(IMAGE, LABELS.astype(np.uint16) * 150, tuple(map(str, range(300))))
    formats.write_mask(many, tmp_path / "many.nii.gz")
    assert formats.read(tmp_path / "many.nii.gz").pixels.dtype == np.uint16
    assert formats.read_mask(tmp_path / "many.nii.gz", IMAGE, None).names[299] == "299"
    nifti(tmp_path / "theirs.nii", LABELS)
    with pytest.raises(SettingsError, match="does not name its labels"):
        formats.read_mask(tmp_path / "theirs.nii", IMAGE, None)


@pytest.mark.parametrize("end", [".nrrd", ".mha", ".npz"])
def test_other_formats(tmp_path, end):
    path = tmp_path / f"m{end}"
    # The same index runs along x first in both, so that its bytes are those of our array.
    columns = [OBLIQUE[:3, k] * [-1, -1, 1] for k in (2, 1, 0)]
    origin = OBLIQUE[:3, 3] * [-1, -1, 1]
    like = IMAGE
    if end == ".nrrd":
        written = " ".join(f"({','.join(map(str, column))})" for column in columns)
        head = (
            f"NRRD0004\ntype: uchar\ndimension: 3\nspace: LPS\nsizes: 6 5 4\nencoding: raw\n"
            f"space directions: {written}\nspace origin: ({','.join(map(str, origin))})\n\n"
        )
        path.write_bytes(head.encode() + LABELS.tobytes())
    elif end == ".mha":
        spacing = [float(np.linalg.norm(column)) for column in columns]
        matrix = [v / s for column, s in zip(columns, spacing, strict=True) for v in column]
        lines = {"ObjectType": "Image", "NDims": 3, "Offset": origin, "TransformMatrix": matrix,
                 "ElementSpacing": spacing, "DimSize": (6, 5, 4), "ElementType": "MET_UCHAR",
                 "ElementDataFile": "LOCAL"}  # fmt: skip
        text = "".join(
            f"{name} = {' '.join(map(str, value)) if np.ndim(value) else value}\n"
            for name, value in lines.items()
        )
        path.write_bytes(text.encode() + LABELS.tobytes())
    else:
        np.savez(path, masks=np.stack([LABELS * 0, LABELS]))
        path, like = f"{path}#masks/1", Image(np.zeros((1, 4, 5, 6)))
    notes = []
    mask = formats.read_mask(path, like, NAMES, notes=notes)
    assert np.array_equal(mask.labels, LABELS) and notes == []


PICTURE = Image(np.zeros((3, 5, 6), np.uint8))
FLAT = LABELS[0]


def picture(path, array, mode=None, palette=None):
    image = PIL.Image.fromarray(array, mode)
    if palette:
        image.putpalette(palette)
    image.save(path)
    return path


@pytest.mark.parametrize("end", [".png", ".bmp", ".gif", ".tif"])
def test_values_are_mapped_and_what_is_not_is_named(tmp_path, end):
    path = picture(tmp_path / f"m{end}", np.array([0, 128, 255], np.uint8)[FLAT])
    mask = formats.read_mask(path, PICTURE, NAMES, {128: 1, 255: 2})
    assert np.array_equal(mask.labels, FLAT)
    assert formats.mask_values(path) == [0, 128, 255]
    with pytest.raises(FormatError, match=r"found 0, 128, 255; say .* values={128: 1, 255: 2}"):
        formats.read_mask(path, PICTURE, NAMES)
    with pytest.raises(FormatError, match=r"only 0 and what is mapped \(128\), found 0, 128, 255"):
        formats.read_mask(path, PICTURE, NAMES, {128: 1})
    with pytest.raises(FormatError, match="found 0, 128, 255"):
        formats.read_mask(path, PICTURE, ("cell",))
    with pytest.raises(SettingsError, match="labels from 0 to 2"):
        formats.read_mask(path, PICTURE, NAMES, {128: 1, 255: 3})
    ignored = formats.read_mask(path, PICTURE, ("cell",), {128: 0, 255: 1})
    assert np.array_equal(ignored.labels, FLAT == 2)


def test_black_and_white_is_one_label(tmp_path):
    inside = FLAT > 0
    files = [
        picture(tmp_path / "1bit.png", inside),
        picture(tmp_path / "255.png", inside.astype(np.uint8) * 255),
        picture(tmp_path / "1.png", inside.astype(np.uint8)),
        picture(tmp_path / "16bit.png", inside.astype(np.uint16) * 65535),
        picture(tmp_path / "rgb.png", np.repeat(inside[..., None] * np.uint8(255), 3, axis=2)),
    ]
    for path in files:
        mask = formats.read_mask(path, PICTURE, ("vessel",))
        assert np.array_equal(mask.labels, inside), path
        assert mask.labels.dtype == np.uint8
    with pytest.raises(FormatError, match="found 0, 255"):
        formats.read_mask(tmp_path / "255.png", PICTURE, NAMES)


def test_a_palette_counts_by_its_index_or_its_colour(tmp_path):
    colours = [0, 0, 0, 128, 0, 0, 0, 128, 0]
    path = picture(tmp_path / "m.png", FLAT, "P", colours)
    assert np.array_equal(formats.read_mask(path, PICTURE, NAMES).labels, FLAT)
    assert formats.mask_values(path) == [0, 1, 2]
    swapped = formats.read_mask(path, PICTURE, NAMES, {0x800000: 2, 0x008000: 1})
    assert np.array_equal(swapped.labels, np.array([0, 2, 1])[FLAT])
    # Grey: the shade is the value, whatever its index.
    shades = picture(tmp_path / "grey.png", FLAT, "P", [0, 0, 0, 2, 2, 2, 1, 1, 1])
    mask = formats.read_mask(shades, PICTURE, NAMES)
    assert np.array_equal(mask.labels, np.array([0, 2, 1])[FLAT])
    shades = picture(tmp_path / "shades.png", FLAT, "P", [0, 0, 0, 128, 128, 128, 255, 255, 255])
    with pytest.raises(FormatError, match="found 0, 128, 255"):
        formats.read_mask(shades, PICTURE, NAMES)
    # GIF packs its palette anew in every file: an index means nothing there.
    packed = picture(tmp_path / "m.gif", FLAT, "P", colours)
    with pytest.raises(FormatError, match="found 0x000000, 0x008000, 0x800000"):
        formats.read_mask(packed, PICTURE, NAMES)


def test_colours_are_numbers_too(tmp_path):
    table = np.array([[0, 0, 0], [255, 0, 0], [0, 0, 255]], np.uint8)
    path = picture(tmp_path / "m.png", table[FLAT])
    mask = formats.read_mask(path, PICTURE, NAMES, {0xFF0000: 1, 0x0000FF: 2})
    assert np.array_equal(mask.labels, FLAT)
    with pytest.raises(FormatError, match="found 0x000000, 0x0000ff, 0xff0000"):
        formats.read_mask(path, PICTURE, NAMES)


def test_a_png_of_labels_comes_back(tmp_path):
    formats.write_mask(Mask.on(PICTURE, FLAT, NAMES), tmp_path / "m.png")
    assert np.array_equal(formats.read_mask(tmp_path / "m.png", PICTURE, NAMES).labels, FLAT)
    with pytest.raises(FormatError, match="write NIfTI"):
        formats.write_mask(Mask.on(IMAGE, LABELS, NAMES), tmp_path / "m.png")
    with pytest.raises(FormatError, match="write_seg"):
        formats.write_mask(Mask.on(IMAGE, LABELS, NAMES), tmp_path / "m.dcm")


def test_fractions_and_negative_values_are_no_labels(tmp_path):
    nifti(tmp_path / "whole.nii", LABELS.astype(np.float32))
    assert np.array_equal(formats.read_mask(tmp_path / "whole.nii", IMAGE, NAMES).labels, LABELS)
    nifti(tmp_path / "half.nii", LABELS * np.float32(0.5))
    with pytest.raises(FormatError, match=r"whole numbers.*found 0\.5.*nearest neighbour"):
        formats.read_mask(tmp_path / "half.nii", IMAGE, NAMES)
    nifti(tmp_path / "nan.nii", np.where(LABELS == 1, np.nan, 0).astype(np.float32))
    with pytest.raises(FormatError, match="nan"):
        formats.read_mask(tmp_path / "nan.nii", IMAGE, NAMES)
    nifti(tmp_path / "minus.nii", LABELS.astype(np.int16) - 1)
    with pytest.raises(FormatError, match=r"-1 to 1.*set that to 0"):
        formats.read_mask(tmp_path / "minus.nii", IMAGE, NAMES)


def test_jpeg_is_told_not_to_keep_labels(tmp_path):
    grown = np.kron(FLAT, np.ones((7, 7), np.uint8)) * 90
    path = picture(tmp_path / "m.jpg", grown)
    with pytest.raises(FormatError, match="JPEG does not keep values"):
        formats.read_mask(path, Image(np.zeros((1, 35, 42))), NAMES, {90: 1, 180: 2})


@pytest.mark.data
def test_the_lung_cases_share_their_headers_exactly(shared):
    """All ten masks have the size, sform and qform of their image: taken as they are."""
    folder = shared / "lung_mr"
    for path in sorted((folder / "ProtonImages").glob("*.nii.gz")):
        case = path.name[:4]
        image, notes = formats.read(path), []
        lung = folder / "ProtonLungMasks" / f"{case}Mask.nii.gz"
        lobe = folder / "ProtonLobeMasks" / f"{case}Lobes.nii.gz"
        lungs = formats.read_mask(lung, image, ("one", "other"), notes=notes)
        lobes = formats.read_mask(lobe, image, tuple("abcde"), notes=notes)
        assert notes == []
        inside = lobes.labels > 0
        assert (lungs.labels[inside] > 0).all(), "the lobes lie in the lungs"
        dark = image.pixels[0][inside].mean()
        assert all(dark < image.pixels[0][np.flip(inside, axis)].mean() for axis in range(3)), (
            "lungs are dark where the mask is as it lies, not where it is flipped"
        )


@pytest.mark.data
def test_real_pictures_with_their_masks(shared):
    path = shared / "white_blood_cells" / "001.bmp"
    names = ("cytoplasm", "nucleus")
    mask = formats.read_mask(path.with_suffix(".png"), formats.read(path), names, {128: 1, 255: 2})
    assert all(count > 500 for count in mask.counts().values())
    folder = shared / "fundus_vessels"
    image = formats.read(next((folder / "images").glob("21*")))
    vessels = formats.read_mask(next((folder / "1st_manual").glob("21*")), image, ("vessel",))
    assert 0.05 < vessels.labels.mean() < 0.2
