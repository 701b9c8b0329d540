"""Slices written alike are scanned once, and what they say alike is worked out once: never more."""

import struct

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tomos import formats
from tomos.formats import LIMITS, dicom
from tomos.formats.dicom import alike, stack
from tomos.formats.dicom.alike import each
from tomos.formats.dicom.dataset import Dataset
from tomos.formats.dicom.geometry import FACING, _facing
from tomos.formats.dicom.layout import LAYOUT, layout_of
from tomos.formats.dicom.reader import load
from tomos.formats.dicom.scan import scan
from tomos.formats.dicom.tags import KEYS
from tomos.formats.dicom.values import SCALE, scale_of
from tomos.types import FormatError, GeometryError, Image

pytestmark = pytest.mark.fast
# All UIDs are said: one that is drawn may be a digit shorter in one file, which then has another
# size than the rest.
COMMON = {
    "Modality": "CT",
    "StudyInstanceUID": "2.25.1",
    "SeriesInstanceUID": "2.25.2",
    "FrameOfReferenceUID": "2.25.3",
}


@pytest.fixture(autouse=True)
def nothing_seen():
    stack.forget()
    yield
    stack.forget()


def write_slices(folder, count=4, syntax=ExplicitVRLittleEndian, change=None):
    """Slices of a CT phantom 2 mm apart, whose stored values are 100, 101, ...; -> the files."""
    files = []
    for z in range(count):
        affine = np.diag([2.0, 1, 1, 1])
        affine[0, 3] = 2 * z
        affine = affine[[2, 1, 0, 3]]  # slices along the patient's z
        path = folder / f"{z}.dcm"
        image = Image(np.full((1, 4, 6), 100 + z, np.uint16), affine, frame="patient", unit="HU")
        dicom.write(image, path, {**COMMON, "SOPInstanceUID": f"2.25.{30 + z}"})  # one length
        dataset = pydicom.dcmread(path)
        dataset.BitsStored, dataset.HighBit = 12, 11
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.SliceThickness = 1, -100, 2
        if change:
            change(dataset, z)
        dataset.file_meta.TransferSyntaxUID = syntax
        implicit = syntax == ImplicitVRLittleEndian
        pydicom.dcmwrite(path, dataset, implicit_vr=implicit, little_endian=True)
        files.append(path)
    return files


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_value_that_differs_in_one_slice_counts_there_and_only_there(tmp_path, syntax):
    def change(dataset, z):
        dataset.RescaleIntercept = -200 if z == 2 else -100

    write_slices(tmp_path, syntax=syntax, change=change)
    assert formats.read(tmp_path).pixels[0, :, 1, 1].tolist() == [0, 1, -98, 3]


def test_bits_that_differ_in_one_slice(tmp_path):
    def change(dataset, z):
        pixels = np.full((4, 6), 100 + z, "<u2") | 0x3000  # bits 12 and 13 lie above 12 bits stored
        dataset.PixelData = pixels.tobytes()
        if z == 1:
            dataset.BitsStored, dataset.HighBit = 16, 15

    write_slices(tmp_path, change=change)
    assert formats.read(tmp_path).pixels[0, :, 1, 1].tolist() == [0, 1 + 0x3000, 2, 3]


def test_a_contradiction_in_one_slice_names_its_file(tmp_path):
    def change(dataset, z):
        dataset.BitsStored = 17 if z == 2 else 12

    write_slices(tmp_path, change=change)
    with pytest.raises(FormatError, match=r"2\.dcm: 17 bits stored"):
        formats.read(tmp_path)


def test_positions_written_at_any_length(tmp_path):
    def change(dataset, z):
        x, y, _ = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, y, ["0", "2.0", "4.00000000", "6.000"][z]]

    write_slices(tmp_path, change=change)
    read = formats.read(tmp_path)
    assert read.pixels[0, :, 1, 1].tolist() == [0, 1, 2, 3]
    assert read.affine[:3, 0].tolist() == [0, 0, 2]


def test_a_place_that_is_no_number_is_refused(tmp_path):
    def change(dataset, z):
        dataset.ImagePositionPatient = ["0", "77777", str(2 * z)]

    for path in write_slices(tmp_path, change=change):
        path.write_bytes(path.read_bytes().replace(b"0\\77777\\", b"0\\nan  \\"))
    with pytest.raises(GeometryError, match="no place in a patient"):
        formats.read(tmp_path)


class Asked(Dataset):
    """A data set that notes which attributes it is asked for."""

    __slots__ = ("asked",)

    def __init__(self, of):
        super().__init__(of.data, of.big, of.explicit)
        self.elements, self.sequences, self.asked = of.elements, of.sequences, set()

    def locate(self, key):
        self.asked.add(key)
        return super().locate(key)

    def __contains__(self, keyword):
        self.asked.add(KEYS[keyword])
        return super().__contains__(keyword)

    def items(self, keyword):
        self.asked.add(KEYS[keyword])
        return super().items(keyword)

    def short(self, keyword, default=0):
        return self.integer(keyword, default)


def headers(folder, shared):
    """Data sets of every kind of file that lies about."""
    files = sorted(shared.glob("dicom/awkward/pydicom_test_files/test_files/*.dcm"))
    for path in [*write_slices(folder), *files]:
        try:
            yield load(path, LIMITS).dataset
        except FormatError:
            continue


@pytest.mark.parametrize(
    ("keywords", "work"),
    [
        (LAYOUT, lambda dataset: layout_of(dataset, "", LIMITS)),
        (SCALE, lambda dataset: scale_of(dataset, 0, "")),
        (FACING, lambda dataset: _facing(dataset, 0)),
    ],
)
def test_nothing_is_asked_for_that_is_not_compared(tmp_path, shared, keywords, work):
    seen, compared = 0, {KEYS[keyword] for keyword in keywords}
    for dataset in headers(tmp_path, shared):
        if not compared.isdisjoint(dataset.sequences):
            continue  # sequences are never compared: such files are worked out one by one
        asked = Asked(dataset)
        try:
            work(asked)
        except FormatError:
            continue
        assert asked.asked <= compared, dataset
        seen += 1
    assert seen > 20


def test_what_is_said_alike_is_worked_out_once(tmp_path):
    def change(dataset, z):
        dataset.RescaleIntercept = -100 if z < 3 else -200

    files = write_slices(tmp_path, 6, change=change)
    datasets = [load(path, LIMITS).dataset for path in files]
    done = []
    found = each(datasets, ("RescaleSlope", "RescaleIntercept"), lambda k: done.append(k) or [k])
    assert done == [0, 3] and found == [[0], [0], [0], [3], [3], [3]]


def test_explicit_and_implicit_writing_are_never_taken_for_one_another(tmp_path):
    (tmp_path / "explicit").mkdir()
    (tmp_path / "implicit").mkdir()
    files = write_slices(tmp_path / "explicit", 2)
    files += write_slices(tmp_path / "implicit", 2, ImplicitVRLittleEndian)
    datasets = [load(path, LIMITS).dataset for path in files]
    found = each(datasets, ("DoseUnits",), lambda k: [k])  # absent: the same bytes, none
    assert found[0] is found[1] and found[2] is found[3] and found[0] is not found[2]


def test_the_second_file_of_a_size_is_remembered(tmp_path):
    files = write_slices(tmp_path)
    for path, known in zip(files, (0, 1, 1), strict=False):
        load(path, LIMITS)
        assert len(alike._shapes) == known


def test_a_file_cut_short_is_scanned_and_refused(tmp_path):
    files = write_slices(tmp_path)
    raw = files[1].read_bytes()
    assert formats.read(tmp_path).size == (4, 4, 6)
    assert alike._shapes
    with pytest.raises(FormatError, match="cut short"):
        scan(raw[:-2], len(raw) - 2, "x.dcm", LIMITS)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_tag_that_comes_twice_does_not_hide_an_element_of_other_files(tmp_path, syntax):
    files = write_slices(tmp_path, syntax=syntax)
    (tmp_path / "bad").mkdir()
    intercept, slope = struct.pack("<HH", 0x28, 0x1052), struct.pack("<HH", 0x28, 0x1053)
    raw = files[1].read_bytes()
    twice = tmp_path / "bad" / "twice.dcm"
    twice.write_bytes(raw.replace(intercept, slope))
    for _ in range(3):
        assert formats.read(twice).pixels.max() == 101
    twice.unlink()
    assert formats.read(tmp_path).pixels[0, :, 1, 1].tolist() == [0, 1, 2, 3]


def test_a_value_that_begins_like_an_item_is_scanned_anew(tmp_path):
    def change(dataset, z):
        dataset.add_new(0x00091010, "OB", b"\0" * 8 + alike.ITEM_MARK * 2 + b"\0" * 16)

    files = write_slices(tmp_path, 1, ImplicitVRLittleEndian, change)
    raw = files[0].read_bytes()
    for _ in range(2):
        scan(raw, len(raw), "x.dcm", LIMITS)
    assert not alike._shapes, "marks of items that are none make a file one of a kind"
    plain = raw.replace(alike.ITEM_MARK, b"\0\0\0\0")
    scan(plain, len(plain), "x.dcm", LIMITS)
    assert alike._shapes
    at = plain.index(struct.pack("<HHI", 0x09, 0x1010, 32)) + 8
    # An item of 24 bytes with one empty element, and padding by another.
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 24) + struct.pack("<HHI", 9, 0x10, 16) + b"\0" * 16
    nested = plain[:at] + item + plain[at + 32 :]
    assert alike.recall(nested, len(nested), LIMITS) is None
    assert len(scan(nested, len(nested), "x.dcm", LIMITS).dataset.sequences) == 1


@pytest.mark.parametrize("helpers", [0, 3])
def test_helpers_change_nothing(tmp_path, monkeypatch, helpers):
    monkeypatch.setattr("tomos.formats.dicom.slices._helpers", lambda: helpers)
    files = write_slices(tmp_path, 12)
    assert formats.read(tmp_path).pixels[0, :, 1, 1].tolist() == list(range(12))
    # One slice beyond int16: all are read another way.
    dataset = pydicom.dcmread(files[5])
    dataset.BitsStored, dataset.HighBit = 16, 15
    dataset.PixelData = np.full((4, 6), 60000, "<u2").tobytes()
    dataset.save_as(files[5])
    assert formats.read(tmp_path).pixels[0, 4:7, 1, 1].tolist() == [4, 59900, 6]
    assert formats.read(tmp_path).pixels[0, 11, 1, 1] == 11
