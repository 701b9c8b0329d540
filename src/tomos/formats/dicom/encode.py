"""Writing DICOM: one picture as an uncompressed, explicit little endian file with a full header.

For digital radiographs (DX Image IOD, PS3.3 A.26), CT slices (A.3) and, for any other modality,
secondary captures (A.8). What the caller does not give is empty where the Standard allows it (type
2), and a plain default where a value must stand (type 1).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tomos.formats.dicom.geometry import LPS_TO_RAS
from tomos.types import FormatError, Image

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

SOP_CLASSES = {"DX": "1.2.840.10008.5.1.4.1.1.1.1", "CT": "1.2.840.10008.5.1.4.1.1.2"}
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
IMPLEMENTATION = "2.25.185219378122093526140983712450934710522"
# PS3.3 C.7.1.1, C.7.2.1, C.7.3.1, C.7.5.1, C.7.6.1: type 2, present though empty.
EMPTY = (
    "AccessionNumber", "InstitutionName", "Manufacturer", "PatientBirthDate", "PatientID",
    "PatientName", "PatientSex", "ReferringPhysicianName", "SeriesNumber", "StudyID",
)  # fmt: skip
DX: dict[str, Any] = {
    "ImageType": ["ORIGINAL", "PRIMARY", ""],
    "PresentationIntentType": "FOR PRESENTATION",
    "PixelIntensityRelationship": "LOG",
    "PixelIntensityRelationshipSign": -1,
    "RescaleIntercept": "0",
    "RescaleSlope": "1",
    "RescaleType": "US",
    "PresentationLUTShape": "IDENTITY",
    "LossyImageCompression": "00",
    "BurnedInAnnotation": "NO",
    "ImageLaterality": "U",
    "PatientOrientation": ["L", "F"],
    "DetectorType": "",
    "PositionerType": "",
    "AcquisitionContextSequence": [],
    "AnatomicRegionSequence": [],
}
CT: dict[str, Any] = {
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "RescaleIntercept": "0",
    "RescaleSlope": "1",
    "RescaleType": "HU",
    "Laterality": "",
    "KVP": "",
    "AcquisitionNumber": "",
    "PatientPosition": "HFS",
    "PositionReferenceIndicator": "",
}
SC: dict[str, Any] = {"ConversionType": "WSD", "PatientOrientation": [], "Laterality": ""}
CHEST = ("51185008", "SCT", "Chest")


def write(image: Image, path: str | Path, header: Mapping[str, Any] | None = None) -> None:
    """Write a picture (1, Y, X) or (3, Y, X) of uint8, uint16 or int16, atomically.

    header  values by the Standard's keywords; they win over what is derived from the image. UIDs
            that are missing are made anew.
    Geometry comes from the image: position and orientation where its frame is "patient", else the
    spacing at the detector. A value range such as (0, 4095) becomes Bits Stored.
    Raises FormatError for pixels that such a file cannot hold, StorageError when the disk is full.
    """
    from pydicom import dcmwrite
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian

    from tomos.config import atomic_write

    given = dict(header or {})
    modality = str(given.get("Modality") or image.modality or "OT")
    dataset = _dataset(image, modality, given, str(path))
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION)
    meta.ImplementationVersionName = "TOMOS"
    dataset.file_meta = meta
    content = io.BytesIO()
    dcmwrite(content, dataset, enforce_file_format=True)
    atomic_write(Path(path), content.getvalue())


def _dataset(image: Image, modality: str, given: dict[str, Any], where: str) -> Dataset:
    from pydicom.dataset import Dataset
    from pydicom.uid import generate_uid

    now = datetime.now()
    values: dict[str, Any] = dict.fromkeys(EMPTY, "")
    values |= {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": SOP_CLASSES.get(modality, SECONDARY_CAPTURE),
        "SOPInstanceUID": generate_uid(prefix=None),
        "StudyInstanceUID": generate_uid(prefix=None),
        "SeriesInstanceUID": generate_uid(prefix=None),
        "Modality": modality,
        "StudyDate": now.strftime("%Y%m%d"),
        "StudyTime": now.strftime("%H%M%S"),
        "InstanceNumber": "1",
        "BodyPartExamined": image.origin.body_part or None,
    }
    values |= {"DX": DX, "CT": CT}.get(modality, SC)
    values |= _pixels(image, modality, where) | _geometry(image, modality, values)
    values |= _window(image)
    if given.get("BodyPartExamined") or values["BodyPartExamined"]:
        values.pop("Laterality", None)  # C.7.3.1: asked for only while it may be a paired part
    values |= given
    dataset = Dataset()
    for keyword, value in values.items():
        if value is not None:
            _put(dataset, keyword, value, where)
    if modality == "DX" and dataset.get("BodyPartExamined") == "CHEST":
        dataset.AnatomicRegionSequence = [_code(*CHEST)]
    return dataset


def _put(dataset: Dataset, keyword: str, value: Any, where: str) -> None:
    from pydicom.datadict import tag_for_keyword

    if tag_for_keyword(keyword) is None:
        raise FormatError(f"{where}: {keyword!r} is no keyword of the DICOM dictionary (PS3.6)")
    try:
        setattr(dataset, keyword, value)
    except (ValueError, TypeError) as error:
        raise FormatError(f"{where}: {keyword} cannot be {value!r} ({error})") from None


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _pixels(image: Image, modality: str, where: str) -> dict[str, Any]:
    """The Image Pixel module, PS3.3 C.7.6.3."""
    pixels = image.pixels
    if image.is_volume or pixels.shape[0] not in (1, 3):
        raise FormatError(f"{where}: expected (1, Y, X) or (3, Y, X), got {pixels.shape}")
    signed = pixels.dtype == np.int16
    if pixels.dtype not in (np.uint8, np.uint16, np.int16) or (signed and modality == "DX"):
        kinds = "uint8 or uint16" if modality == "DX" else "uint8, uint16 or int16"
        raise FormatError(
            f"{where}: {modality} holds {kinds}, got {pixels.dtype}; convert it first"
        )
    allocated = 8 * pixels.dtype.itemsize
    stored = allocated
    if not signed and image.value_range is not None:
        stored = min(max(int(image.value_range[1]).bit_length(), 1), allocated)
    if int(pixels.max()) >= 2**stored and not signed:
        raise FormatError(f"{where}: value {pixels.max()} is above its range {image.value_range}")
    raw = np.moveaxis(pixels, 0, -1).astype(pixels.dtype.newbyteorder("<")).tobytes()
    colour = pixels.shape[0] == 3
    values: dict[str, Any] = {
        "SamplesPerPixel": pixels.shape[0],
        "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "PlanarConfiguration": 0 if colour else None,
        "Rows": pixels.shape[1],
        "Columns": pixels.shape[2],
        "BitsAllocated": allocated,
        "BitsStored": stored,
        "HighBit": stored - 1,
        "PixelRepresentation": int(signed),
        "PixelData": raw + b"\0" * (len(raw) % 2),
    }
    return values


def _geometry(image: Image, modality: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Image Plane (C.7.6.2) from an affine in the patient; spacing at the detector otherwise."""
    from pydicom.uid import generate_uid

    if image.frame == "patient":
        slice_step, along_y, along_x = (image.affine[:3, k] * LPS_TO_RAS for k in range(3))
        sizes = [float(np.linalg.norm(step)) for step in (slice_step, along_y, along_x)]
        position = image.affine[:3, 3] * LPS_TO_RAS
        return {
            "ImagePositionPatient": [_decimal(value) for value in position],
            "ImageOrientationPatient": [
                _decimal(value) for value in (*along_x / sizes[2], *along_y / sizes[1])
            ],
            "PixelSpacing": [_decimal(sizes[1]), _decimal(sizes[2])],
            "SliceThickness": _decimal(sizes[0]),
            "FrameOfReferenceUID": generate_uid(prefix=None),
        }
    if modality == "DX" or image.frame == "detector":
        spacing = [_decimal(step) for step in image.spacing[-2:]]
        keyword = "ImagerPixelSpacing" if modality == "DX" else "NominalScannedPixelSpacing"
        return {keyword: spacing}
    return {}


def _window(image: Image) -> dict[str, Any]:
    if image.pixels.shape[0] != 1:
        return {}
    window = image.window
    if window is None:
        low, high = int(image.pixels.min()), int(image.pixels.max())
        return {"WindowCenter": str((low + high + 1) // 2), "WindowWidth": str(high - low + 1)}
    return {
        "WindowCenter": _decimal(window.centre),
        "WindowWidth": _decimal(window.width),
        "VOILUTFunction": window.function,
    }


def _decimal(value: float) -> str:
    """A DS: at most 16 characters, PS3.5 6.2."""
    for digits in range(16, 0, -1):
        text = f"{float(value):.{digits}g}"
        if len(text) <= 16:
            return "0" if float(text) == 0 else text
    return "0"
