"""DICOM series with DICOM segmentations as a data set."""

import numpy as np
import pytest

from tomos import datasets, formats
from tomos.formats import SegmentationFacts, dicom
from tomos.types import DatasetError, Image, Mask
from tomos.workflows.import_data import import_data

pytest.importorskip("highdicom")
SIZE = (4, 12, 10)


def scanned(folder, number):
    """One patient: a CT series whose bright box is labelled, the segmentation beside it."""
    rng = np.random.default_rng(number)
    pixels = rng.integers(-50, 50, SIZE).astype(np.int16)
    labels = np.zeros(SIZE, np.uint8)
    labels[1:3, 3:8, 2:6] = 1 + number % 2
    pixels[labels > 0] += 400
    place = np.diag([5.0, 0.8, 0.8, 1.0])[[2, 1, 0, 3]]
    (folder / "ct").mkdir(parents=True)
    uid = f"1.2.3.{number}"
    header = {"StudyInstanceUID": uid, "SeriesInstanceUID": f"{uid}.1", "PatientID": f"p{number}",
              "FrameOfReferenceUID": f"{uid}.2", "SeriesNumber": "1"}  # fmt: skip
    for z in range(SIZE[0]):
        at = place.copy()
        at[:3, 3] += z * place[:3, 0]
        image = Image(pixels[None, z], at, "patient", "HU", "CT")
        own = {**header, "SOPInstanceUID": f"{uid}.1.{z + 1}"}
        dicom.write(image, folder / "ct" / f"{z}.dcm", own)
    image = formats.read(folder / "ct")
    # The read volume may run the other way: the labels go along.
    drawn = labels if np.array_equal(image.pixels[0], pixels) else labels[::-1]
    mask = Mask.on(image, np.ascontiguousarray(drawn), ("liver", "tumour"))
    formats.write_seg(mask, image, folder / "seg.dcm", SegmentationFacts("hand", "1"))
    return drawn


@pytest.fixture
def study(tmp_path):
    return tmp_path / "study", [scanned(tmp_path / "study" / f"p{n}", n) for n in range(6)]


def test_each_segmentation_is_the_mask_of_the_series_it_refers_to(study, tmp_path):
    source, drawn = study
    made = import_data(source, tmp_path / "set")
    assert made.info.task == "segment"
    assert made.info.provenance.layout == "dicom_seg"
    opened = datasets.open(tmp_path / "set")
    assert len(opened) == 6 and {case.patient for case in opened.cases} == {
        f"p{n}" for n in range(6)
    }
    assert opened.target("mask").classes == ("liver", "tumour")
    for case in opened.cases:
        image = formats.read(opened.image(case))
        truth = datasets.true_mask(opened, case, image)
        assert np.array_equal(truth.labels, drawn[int(case.patient[1:])])


def test_a_series_without_and_a_second_reader_are_told(study, tmp_path):
    source, _ = study
    (source / "p0" / "seg.dcm").unlink()
    (source / "p1" / "zweit.dcm").write_bytes((source / "p1" / "seg.dcm").read_bytes())
    notes = " ".join(import_data(source, tmp_path / "set").info.provenance.notes)
    assert "1 of 6 series have no segmentation" in notes
    assert "left out: zweit.dcm" in notes


def test_segmentations_of_other_series_are_refused_by_name(study, tmp_path):
    source, _ = study
    for number in range(6):
        for path in (source / f"p{number}" / "ct").iterdir():
            path.unlink()
    scanned(tmp_path / "study" / "other", 9)
    (tmp_path / "study" / "other" / "seg.dcm").unlink()
    with pytest.raises(DatasetError, match="none of 6 segmentations refers to a series"):
        import_data(source, tmp_path / "set")
    assert not (tmp_path / "set").exists()
