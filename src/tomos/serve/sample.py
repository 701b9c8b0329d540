"""A film to try a chest-film model on, drawn on the spot."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from tomos.datasets import phantom
from tomos.formats import dicom
from tomos.serve.reader import Sample
from tomos.types import Image

SPACING = 1.4  # mm: a 36 cm detector in 256 pixels
NODULES = 2
HEADER = {
    "PatientName": "Example^Drawn",
    "PatientID": "EXAMPLE",
    "BodyPartExamined": "CHEST",
    "ViewPosition": "PA",
}


def drawn_film(seed: int = 0) -> Sample:
    """A DICOM film with nodules, of nobody: `tomos.datasets.phantom` draws it from `seed`."""
    rng = np.random.default_rng([seed, 990])
    pixels, _ = phantom.film(phantom.person(rng), rng, NODULES)
    image = Image(
        pixels[None],
        affine=np.diag([1.0, SPACING, SPACING, 1.0]),
        frame="detector",
        modality="DX",
        value_range=(0, 4095),
    )
    with tempfile.TemporaryDirectory(prefix="tomos-example-") as folder:
        path = Path(folder) / "example.dcm"
        dicom.write(image, path, HEADER)
        return Sample(path.read_bytes(), "application/dicom", "example.dcm")
