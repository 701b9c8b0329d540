"""DICOM objects that are no scans: refused by what they are, passed over in a study's folder."""

import pydicom
import pytest
import seg_phantom

from tomos import formats
from tomos.types import FormatError, Mask
from tomos.workflows.inputs import addresses

pytestmark = pytest.mark.fast
STORAGE = "1.2.840.10008.5.1.4.1.1."
OTHERS = {
    "contours.dcm": ("481.3", "RTSTRUCT", "a set of contours", "that they were drawn on"),
    "report.dcm": ("88.33", "SR", "a structured report", "that it belongs to"),
    "key.dcm": ("88.59", "KO", "a key object selection", "that it belongs to"),
    "register.dcm": ("66.1", "REG", "a spatial registration", "that it belongs to"),
    "odd.dcm": ("481.5", "", "a radiotherapy plan", "that it belongs to"),
}


@pytest.fixture
def study(tmp_path):
    """A CT series, its segmentation, and files without pixels beside them."""
    image = seg_phantom.series(tmp_path / "ct")
    mask = Mask.on(image, seg_phantom.labels(), seg_phantom.NAMES)
    formats.write_seg(mask, image, tmp_path / "seg.dcm", seg_phantom.FACTS)
    for name, (kind, modality, *_) in OTHERS.items():
        dataset = pydicom.dcmread(tmp_path / "ct" / "9.dcm")
        del dataset.PixelData
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = STORAGE + kind
        dataset.Modality, dataset.SeriesInstanceUID = modality, f"1.2.3.77.{len(name)}"
        dataset.save_as(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("name", OTHERS)
def test_what_it_is_and_what_to_give_instead(study, name):
    _, modality, named, advice = OTHERS[name]
    said = rf"{name}: expected a scan or a picture, got {named}"
    said += rf" \(modality {modality}\)" if modality else ""
    with pytest.raises(FormatError, match=rf"{said}; give the images {advice}"):
        formats.read(study / name)
    assert not formats.is_image(study / name)


def test_a_segmentation_is_a_mask_and_no_image(study):
    path = study / "seg.dcm"
    said = r"seg\.dcm: expected a scan or a picture, got a segmentation \(modality SEG\); give the"
    with pytest.raises(FormatError, match=said):
        formats.read(path)
    assert formats.members(path) == [str(path)], "refused once, not frame by frame"
    assert not formats.is_image(path)
    assert formats.inspect(path)["modality"] == "SEG"
    assert formats.mask_values(path) == [0, 1]
    image = formats.read(study / "ct")
    assert formats.read_mask(path, image, seg_phantom.NAMES).labels.any()


def test_in_the_folder_of_a_study_only_the_scan_counts(study):
    (series,) = formats.series(study)
    assert series.modality == "CT" and len(series.files) == 5
    assert list(addresses([study])) == [series.address]
    assert formats.read(study).modality == "CT"


def test_a_segmentation_is_still_found_as_the_mask_of_its_folder(study):
    image = formats.read(study / "ct")
    (study / "seg").mkdir()
    (study / "seg.dcm").rename(study / "seg" / "seg.dcm")
    assert formats.read_mask(study / "seg", image, seg_phantom.NAMES).labels.any()
    with pytest.raises(FormatError, match="got a segmentation"):
        formats.read(study / "seg")


def test_radiotherapy_doses_stay_images(study):
    dataset = pydicom.dcmread(study / "ct" / "9.dcm")
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = STORAGE + "481.2"
    dataset.Modality = "RTDOSE"
    dataset.save_as(study / "dose.dcm")
    assert formats.is_image(study / "dose.dcm")
    assert formats.read(study / "dose.dcm").modality == "RTDOSE"
