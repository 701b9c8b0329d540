"""A small CT series and segmentations of it, for tests."""

import highdicom
import numpy as np
import pydicom
from pydicom.sr.codedict import codes

from tomos import formats
from tomos.formats import Code, SegmentationFacts, dicom
from tomos.types import Image

SIZE = (5, 6, 8)
NAMES = ("左肺 left lung", "tumour")
FACTS = SegmentationFacts(
    "lungs", "1.2", types={"tumour": Code("108369006", "SCT", "Neoplasm")},
    categories={"tumour": Code("49755003", "SCT", "Morphologically Abnormal Structure")},
)  # fmt: skip
SHARED = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4", "SeriesNumber": "7",
          "FrameOfReferenceUID": "1.2.3.5", "PatientID": "p7", "PatientName": "王^小東",
          "StudyDate": "20240131"}  # fmt: skip


def affine(seed: int) -> np.ndarray:
    """Index (z, y, x) -> RAS mm: oblique, anisotropic, turned otherwise for every seed."""
    turned, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    made = np.eye(4)
    made[:3, :3] = turned * [3.0, 0.7, 1.1]
    made[:3, 3] = [-40, 60, 900]
    return made


def labels(size=SIZE) -> np.ndarray:
    """Two labels; slices 0 and 3 hold none of the first, slice 0 nothing at all."""
    found = np.random.default_rng(1).integers(0, 3, size).astype(np.uint8)
    found[0] = 0
    found[3][found[3] == 1] = 0
    return found


def series(folder, place=None, **header) -> Image:
    """A CT series of SIZE, its files named against the order of the slices; read."""
    place = affine(0) if place is None else place
    for z in range(SIZE[0]):
        at = place.copy()
        at[:3, 3] += z * place[:3, 0]
        pixels = np.full((1, *SIZE[1:]), z, np.int16)
        own = {key: value(z) if callable(value) else value for key, value in header.items()}
        dicom.write(Image(pixels, at, "patient", "HU", "CT"), folder / f"{9 - z}.dcm",
                    {**SHARED, "SOPInstanceUID": f"1.2.3.4.{z + 1}", **own})  # fmt: skip
    return formats.read(folder)


def segmentation(path, image, pixels, kind, names=("a", "b"), **more):
    """As highdicom writes it from the files of `image`."""
    files = [pydicom.dcmread(path.parent / "ct" / f"{9 - z}.dcm") for z in range(SIZE[0])]
    if image.pixels[0, 0, 0, 0] != 0:
        files.reverse()
    described = [
        highdicom.seg.SegmentDescription(k, name, codes.SCT.Tissue, codes.SCT.Tissue, "MANUAL")
        for k, name in enumerate(names, 1)
    ]
    highdicom.seg.Segmentation(
        files, pixels, kind, described, "1.2.3.9", 9, "1.2.3.9.1", 1, "m", "n", "1", "0", **more
    ).save_as(path)
    return path


def changed(path, change):
    """The file after `change` of its pydicom data set."""
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)
    return path
