"""Images -> masks on their own grids, written one after another: a hundred volumes at once would
not fit into memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np

from tomos import formats
from tomos.config import free_or_raise
from tomos.config.plugins import did_you_mean
from tomos.inference import MaskPredictor
from tomos.types import (
    FormatError,
    Image,
    Prediction,
    Progress,
    SettingsError,
    StorageError,
    TomosError,
)
from tomos.workflows.given import Given
from tomos.workflows.mask_files import FORMS, SURFACES, written

__all__ = ["FORMS", "SURFACES", "check_surfaces", "masks"]


def masks(
    predictor: MaskPredictor,
    images: Sequence[Given],
    out: Path | None,
    forms: Sequence[str],
    progress: Progress,
    surfaces: Sequence[str] = (),
) -> Iterator[Prediction]:
    """One prediction an image or case, in order, its files written into `out`. The masks themselves
    are let go; an input that fails, for whatever reason, has `error` and no file.

    forms, surfaces  as `mask_files.written`; no form: "json" and "nifti"
    """
    forms = forms or ("json", "nifti")
    for done, one in enumerate(images, 1):
        address, stem = one.address, one.stem
        progress.step(done, len(images), "images")
        if one.error:
            yield Prediction(address, error=one.error)
            continue
        try:
            image = formats.read(address)
            if out and "dicom-seg" in forms:
                _dicom_or_raise(image, address)
            chances = _room(predictor, image, out) if out and "probability" in forms else None
            found = predictor.predict_image(image, address, "doubt" in forms, chances=chances)
            files = written(predictor, found, image, out / stem, forms, surfaces) if out else {}
        except TomosError as error:
            if getattr(error, "exit_code", 2) == 130:
                raise
            yield Prediction(address, error=str(error))
            continue
        except MemoryError:
            yield Prediction(address, error=f"{address}: not enough memory for its files")
            continue
        light = {
            name: replace(answer, mask=None, doubt=None, chances=None)
            for name, answer in found.targets.items()
        }
        yield replace(found, targets=light, files=files)


def _dicom_or_raise(image: Image, address: str) -> None:
    """Before the work is done, not after."""
    if image.origin.format != "dicom":
        raise FormatError(
            f"{address}: --as dicom-seg: a DICOM segmentation refers to the DICOM images it was "
            f"drawn on, and this is {image.origin.format or 'none'}; leave the form out, or give "
            "the DICOM series"
        )


def _room(predictor: MaskPredictor, image: Image, folder: Path) -> np.ndarray:
    """Zeros for the probabilities of every label, on the disk of `folder` and gone with the array:
    a byte for each voxel and label may be more than there is memory."""
    shape = (len(predictor.classes), *image.size)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free_or_raise(folder, prod(shape), "probabilities")
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):  # a disk that fills up later would kill the process
                os.posix_fallocate(file.fileno(), 0, prod(shape))
            return np.memmap(file, np.uint8, "w+", shape=shape)
    except OSError as error:
        raise StorageError(f"{folder}: cannot be written ({error.strerror or error})") from None


def check_surfaces(surfaces: Sequence[str]) -> None:
    """SettingsError for a kind of file that holds no surface here."""
    for form in surfaces:
        if form not in SURFACES:
            raise SettingsError(
                f"--surfaces {form}: no such kind of file{did_you_mean(form, list(SURFACES))}"
            )
