"""What a DICOM object is that is no scan: segmentations, contours, reports and the like.

Told by its SOP class (PS3.4 B.5, PS3.6 A), where that says nothing by its modality.
"""

from __future__ import annotations

import re

from tomos.formats.dicom.dataset import Dataset
from tomos.types import FormatError

STORAGE = "1.2.840.10008.5.1.4.1.1."
SEGMENTATIONS = (f"{STORAGE}66.4", f"{STORAGE}66.7")
# What follows `STORAGE`; the longer beginning counts.
CLASSES = {
    "9.": "a waveform",
    "11.": "a presentation state",
    "66": "raw data",
    "66.1": "a spatial registration",
    "66.2": "a set of marks",
    "66.3": "a spatial registration",
    "66.4": "a segmentation",
    "66.5": "a set of surfaces",
    "66.6": "a set of tracts",
    "66.7": "a segmentation",
    "67": "a value mapping",
    "88.": "a structured report",
    "88.59": "a key object selection",
    "91.1": "a set of annotations",
    "104.": "a document",
    "481.3": "a set of contours",
    "481.4": "a radiotherapy record",
    "481.5": "a radiotherapy plan",
    "481.6": "a radiotherapy record",
    "481.7": "a radiotherapy record",
    "481.8": "a radiotherapy plan",
    "481.9": "a radiotherapy record",
}
MODALITIES = {
    "SEG": "a segmentation",
    "SR": "a structured report",
    "RTSTRUCT": "a set of contours",
    "RTPLAN": "a radiotherapy plan",
    "ECG": "a waveform",
    "PR": "a presentation state",
    "KO": "a key object selection",
    "ANN": "a set of annotations",
    "RWV": "a value mapping",
    "REG": "a spatial registration",
    "DOC": "a document",
}
ADVICE = {
    "a segmentation": "give the images that it was drawn on; it is learned from as a mask, by "
    "tomos import of a folder that holds both",
    "a set of contours": "give the images that they were drawn on; to learn from contours, save "
    "them as a DICOM segmentation or as NIfTI",
}
_UID = re.compile(rb"1\.2\.840\.10008\.5\.1\.4\.1\.1\.([0-9.]+)")


def is_segmentation(dataset: Dataset) -> bool:
    return dataset.text("SOPClassUID") in SEGMENTATIONS


def other_than_scan(dataset: Dataset) -> str:
    """In words what an object is; "" for one that may be a scan or a picture."""
    uid = dataset.text("SOPClassUID")
    named = _named(uid.removeprefix(STORAGE)) if uid.startswith(STORAGE) else ""
    return named or MODALITIES.get(dataset.text("Modality").upper(), "")


def no_scan(dataset: Dataset, where: str) -> FormatError:
    """The refusal of an object without a picture of its own: what it is, and what to give."""
    if "DirectoryRecordSequence" in dataset:
        return FormatError(f"{where}: no image: an index of files (DICOMDIR); name the folder")
    modality = dataset.text("Modality")
    said, named = (f" (modality {modality})" if modality else ""), other_than_scan(dataset)
    if not named:
        return FormatError(f"{where}: no image: there is no pixel data in it{said}")
    advice = ADVICE.get(named, "give the images that it belongs to")
    return FormatError(f"{where}: expected a scan or a picture, got {named}{said}; {advice}")


def says_no_scan(head: bytes) -> bool:
    """Whether the first bytes of a file name a class of objects that are no scans. The first class
    that is named is the file's own (PS3.10 7.1)."""
    found = _UID.search(head)
    return found is not None and bool(_named(found[1].decode("ascii").rstrip(".")))


def _named(end: str) -> str:
    own = [k for k in CLASSES if end == k or (k.endswith(".") and end.startswith(k))]
    return CLASSES[max(own, key=len)] if own else ""
