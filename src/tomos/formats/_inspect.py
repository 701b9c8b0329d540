"""What a person wants to know of a file before trusting it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict

import numpy as np

from tomos.formats._limits import LIMITS, Limits
from tomos.formats._reading import format_name, read_stored, split_address
from tomos.types import Image


def inspect(address: str | os.PathLike[str], limits: Limits = LIMITS) -> dict:
    """Format, shape, type, unit, place, lowest and highest value, and a checksum of the pixels.

    The checksum is SHA-256 over the pixel values in C order, little endian, preceded by nothing:
    equal pixels of equal type have equal checksums, whatever the file around them.
    Raises FormatError with the reason when the file is refused.
    """
    image = read_stored(address, limits)
    path, _ = split_address(address)
    low, high = extremes(image.pixels)
    return {
        "input": os.fspath(address),
        "format": image.origin.format or ("dicom" if path.is_dir() else format_name(path, limits)),
        "shape": list(image.pixels.shape),
        "dtype": str(image.pixels.dtype),
        "unit": image.unit,
        "modality": image.modality,
        "frame": image.frame,
        "spacing": list(image.spacing),
        "affine": image.affine.tolist(),
        "min": low,
        "max": high,
        "window": asdict(image.window) if image.window else None,
        "transfer_syntax": image.origin.transfer_syntax,
        "sha256": pixel_checksum(image),
        "warnings": list(image.warnings),
    }


def extremes(pixels: np.ndarray) -> tuple[float | int | None, float | int | None]:
    """Lowest and highest finite value as plain numbers; None where there is none."""
    if pixels.dtype.kind == "f":
        finite = pixels[np.isfinite(pixels)]
        return (float(finite.min()), float(finite.max())) if finite.size else (None, None)
    return int(pixels.min()), int(pixels.max())


def pixel_checksum(image: Image) -> str:
    """SHA-256 of the pixel values in C order, little endian."""
    little = image.pixels.dtype.newbyteorder("<")
    return hashlib.sha256(np.ascontiguousarray(image.pixels, dtype=little).data).hexdigest()
