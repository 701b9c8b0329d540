"""One image explained: what is said of it, and the files of its map."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tomos import formats
from tomos.explain import Localisation, overlay, shown
from tomos.formats import dicom
from tomos.transforms.prepare.orient import turns
from tomos.types import FormatError, Image
from tomos.workflows.mask_files import UPRIGHT, slab, square


@dataclass(frozen=True, slots=True)
class Explained:
    """What was written of one image; `error` stands instead when it could not be read.

    label, score  the class that the map is for, and its probability; of a mask the mean of it over
                  what was outlined
    overlay       PNG: the map laid over the picture; None for what cannot be drawn
    localisation  how well the map points at the image's mask, None without one
    group         the patient, else the image: what a resample draws together; told to nobody
    note          of a mask: what of the score the map does not tell, and why a reader must look
    files         "overlay" and "map" PNG, "nifti" on the image's own grid, "dicom" the overlay as a
                  secondary capture of the same study
    """

    input: str
    label: str = ""
    score: float = 0.0
    method: str = ""
    localisation: Localisation | None = None
    group: str = field(default="", repr=False)
    files: dict[str, str] = field(default_factory=dict)
    error: str = ""
    note: str = ""

    @property
    def overlay(self) -> Path | None:
        return Path(self.files["overlay"]) if "overlay" in self.files else None

    def lines(self) -> list[str]:
        if self.error:
            return [self.input, f"  not explained: {self.error}"]
        lines = [self.input, f"  {self.label} {self.score:.3f}, by {self.method}"]
        if self.note:
            lines.append(f"  {self.note}")
        if self.localisation is not None:
            lines.append(f"  {self.localisation.line()}")
        return [*lines, *(f"  wrote {path}" for path in self.files.values())]

    def to_json(self) -> dict[str, Any]:
        if self.error:
            return {"input": self.input, "error": self.error}
        told: dict[str, Any] = {
            "input": self.input,
            "label": self.label,
            "score": self.score,
            "method": self.method,
            "files": self.files,
        }
        told |= {"note": self.note} if self.note else {}
        return told | ({"localisation": self.localisation.to_json()} if self.localisation else {})


def write_map(
    heat: Image, image: Image, label: str, method: str, base: Path, forms: Iterable[str]
) -> dict[str, str]:
    """Write BASE-METHOD.png (overlay), BASE-METHOD-map.png, BASE-METHOD.nii.gz and .dcm, as `forms`
    asks; what -> path."""
    files: dict[str, str] = {}
    base = base.parent / f"{base.name}-{method}"
    if {"png", "dicom"} & set(forms):
        picture, flat = _plane(image, heat)
        drawn = Image(overlay(shown(picture), flat))
    if "dicom" in forms:
        path = base.parent / f"{base.name}.dcm"
        _write_dicom(drawn, image, f"{method}: {label}", path)
        files["dicom"] = str(path)
    if "png" in forms:
        eight_bit = Image(np.round(flat[None] * 255).astype(np.uint8))
        for what, each, end in (("overlay", drawn, ".png"), ("map", eight_bit, "-map.png")):
            path = base.parent / f"{base.name}{end}"
            formats.write_png(each, path)
            files[what] = str(path)
    if "nifti" in forms:
        path = base.parent / f"{base.name}.nii.gz"
        formats.write_nifti(heat, path)
        files["nifti"] = str(path)
    return files


def _write_dicom(drawn: Image, image: Image, what: str, path: Path) -> None:
    """The overlay as a secondary capture (PS3.3 A.8) that a viewer files with the image's study."""
    origin = image.origin
    derivation = f"Tomos heat map, {what}, drawn over {origin.instance or 'an image without UID'}"
    known = {
        "PatientID": origin.patient,
        "PatientSex": origin.sex,
        "PatientAge": origin.age,
        "StudyInstanceUID": origin.study,
        "BodyPartExamined": origin.body_part,
    }
    header: dict[str, Any] = {name: value for name, value in known.items() if value}
    header |= {
        "StudyDate": "",  # the study's own, which the image need not say; it is found by its UID
        "StudyTime": "",
        "Modality": "OT",
        "ImageType": ["DERIVED", "SECONDARY"],
        "SeriesDescription": f"Tomos {what}"[:64],
        "DerivationDescription": f"{derivation}. Research use only.",
    }
    if not image.is_volume:
        drawn = drawn.with_pixels(drawn.pixels, image.affine, frame=image.frame)
    dicom.write(drawn, path, header)


def _plane(image: Image, heat: Image) -> tuple[Image, np.ndarray]:
    """A picture to draw on and its map (Y, X); of a volume the slice with the most heat, axial and
    as a radiologist expects it where its place is known, in square pixels."""
    image = image.first
    if not image.is_volume:
        return image, heat.pixels[0]
    if heat.size != image.size:
        raise FormatError(f"the map is {heat.size}, the volume {image.size}")
    axis = turns(image.affine)[0][0] if image.frame == "patient" else 0
    others = tuple(other for other in range(3) if other != axis)
    at = int(heat.pixels[0].sum(axis=others).argmax())
    under, over = (UPRIGHT(slab(each, each.pixels, axis, at)) for each in (image, heat))
    pixels, warm = (square(each.pixels[:, 0], each.spacing[1:]) for each in (under, over))
    return Image(pixels, window=image.window), warm[0]
