"""DICOM folders: patient from the header, label from a table, a folder, or nowhere."""

from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from small_pictures import picture

from tomos import datasets
from tomos.types import DatasetError


def film(path: Path, number: int, patient: str) -> str:
    """Write a 32 x 32 chest film; returns its SOPInstanceUID."""
    uid = UID(f"1.2.826.0.1.3680043.10.1.{number}")
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = UID("1.2.840.10008.5.1.4.1.1.1.1")
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = uid
    ds.StudyInstanceUID, ds.SeriesInstanceUID = UID(f"{uid}.1"), UID(f"{uid}.2")
    ds.PatientID, ds.PatientName, ds.PatientSex = patient, "Doe^Jane", "F"
    ds.Modality, ds.BodyPartExamined, ds.ViewPosition = "DX", "CHEST", "PA"
    ds.StudyDate, ds.InstitutionName = "20240131", "North"
    ds.Rows = ds.Columns = 32
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.PixelData = picture(number, 32).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return str(uid)


@pytest.fixture
def films(tmp_path):
    """12 films of 6 patients in one folder, and their UIDs."""
    root = tmp_path / "films"
    return root, [film(root / f"IM{k:02d}", k + 1, f"P{k // 2}") for k in range(12)]


def test_the_header_gives_patient_and_columns(films, tmp_path):
    made = datasets.import_folder(films[0], tmp_path / "d")
    case = made.cases[0]
    assert made.info.provenance.layout == "dicom" and len(made.cases) == 12
    assert (case.patient, case.site, case.date) == ("P0", "North", "20240131")
    assert case.clinical["modality"] == "DX" and case.clinical["body_part"] == "CHEST"
    assert made.info.modalities == ("DX",)
    assert "no labels" in made.info.provenance.notes[0] and "Jane" not in str(made.cases)
    assert datasets.check(datasets.open(tmp_path / "d")).problems[0].code == "no_labels"


@pytest.mark.parametrize("key", ["SOPInstanceUID", "PatientID", "file"])
def test_labels_by_uid_patient_or_path(films, tmp_path, key):
    root, uids = films
    keys = {
        "SOPInstanceUID": uids,
        "PatientID": [f"P{k // 2}" for k in range(12)],
        "file": [f"IM{k:02d}" for k in range(12)],
    }[key]
    rows = sorted({f"{name},{'ab'[k // 2 % 2]},{k // 2 + 40}" for k, name in enumerate(keys)})
    table = tmp_path / "labels.csv"
    table.write_text(f"{key},diagnosis,年龄\n" + "\n".join(rows) + "\n", encoding="utf-8")
    made = datasets.import_folder(root, tmp_path / "d", labels=table)
    assert [case.targets["label"] for case in made.cases] == [*"aabbaabbaabb"]
    assert made.cases[2].clinical["年龄"] == "41"
    assert made.info.provenance.columns["label"] == "diagnosis"


def test_folders_with_several_patients_are_classes(tmp_path):
    for k in range(12):
        film(tmp_path / "s" / "ab"[k % 2] / f"{k}.dcm", k + 1, f"P{k // 2}")
    made = datasets.import_folder(tmp_path / "s", tmp_path / "d")
    assert made.info.classes == ("a", "b")
    assert {case.patient for case in made.cases} == {f"P{k}" for k in range(6)}


def test_a_folder_for_each_patient_is_no_class_unless_said(tmp_path):
    for k in range(6):
        film(tmp_path / "s" / f"x{k // 2}" / f"{k}.dcm", k + 1, f"P{k // 2}")
    assert datasets.import_folder(tmp_path / "s", tmp_path / "d").info.classes == ()
    forced = datasets.import_folder(tmp_path / "s", tmp_path / "e", layout="folders")
    assert forced.info.classes == ("x0", "x1", "x2") and forced.cases[0].patient == "P0"


def test_a_table_that_fits_nothing_or_contradicts_itself_is_refused(films, tmp_path):
    root, uids = films
    table = tmp_path / "labels.csv"
    table.write_text("SOPInstanceUID,label\n1.2.3,a\n")
    with pytest.raises(DatasetError, match="no row names a file"):
        datasets.import_folder(root, tmp_path / "d", labels=table)
    table.write_text(f"SOPInstanceUID,label\n{uids[0]},a\n{uids[0]},b\n")
    with pytest.raises(DatasetError, match=r"line 3, column 'label'.*'b' here and 'a' in line 2"):
        datasets.import_folder(root, tmp_path / "d", labels=table)
    assert not (tmp_path / "d").exists()
