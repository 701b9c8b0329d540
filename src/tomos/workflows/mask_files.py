"""What is written of one image's mask: the mask itself, pictures, surfaces, DICOM, doubt."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tomos import formats
from tomos.config import atomic_write
from tomos.explain import coloured
from tomos.formats import Code, SegmentationFacts
from tomos.inference import MaskPredictor
from tomos.transforms.prepare import Chain
from tomos.transforms.prepare.orient import turns
from tomos.types import Image, Mask, Prediction, StorageError

# PS3.16 table 8-1: how DICOM writes the names of terminologies.
SCHEMES = {"SNOMED-CT": "SCT", "RadLex": "RADLEX"}
FORMS = ("json", "nifti", "png", "overlay", "dicom-seg", "doubt", "probability")
SURFACES = ("stl", "obj", "glb")
UPRIGHT = Chain([{"step": "orient"}])


def written(
    predictor: MaskPredictor,
    found: Prediction,
    image: Image,
    stem: Path,
    forms: Sequence[str],
    surfaces: Sequence[str] = (),
) -> dict[str, str]:
    """Write what is asked for beside `stem`, all of it or nothing; what -> path.

    forms     "nifti" the mask (of a picture as PNG), "png" one picture with all labels, "overlay" a
              picture for each label, "dicom-seg", "doubt", "probability" a file for each label
    surfaces  "stl" a file for each label, "obj" and "glb" one file with all of them
    Raises FormatError, GeometryError where the image does not allow it, StorageError.
    """
    answer = found.targets[predictor.manifest.target]
    assert answer.mask is not None
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{stem.name}.", dir=stem.parent) as draft:
            files = _Files(Path(draft) / stem.name, image, answer.mask)
            files.masks(forms)
            if "doubt" in forms and answer.doubt is not None:
                files.doubt(answer.doubt)
            if "probability" in forms and answer.chances is not None:
                files.chances(answer.chances)
            if "dicom-seg" in forms:
                formats.write_seg(answer.mask, image, files.add("dicom-seg", ".seg.dcm"),
                                  _facts(predictor))  # fmt: skip
            if surfaces:
                files.surfaces(surfaces)
            return files.moved(stem.parent)
    except OSError as error:
        raise StorageError(f"{stem}: cannot be written ({error.strerror or error})") from None


class _Files:
    """Files on their way: all are made under `draft`, then take their places."""

    def __init__(self, draft: Path, image: Image, mask: Mask):
        self.draft, self.image, self.mask = draft, image, mask
        self.made: dict[str, Path] = {}

    def add(self, what: str, end: str) -> Path:
        path = self.draft.with_name(self.draft.name + end)
        self.made[what] = path
        return path

    def masks(self, forms: Sequence[str]) -> None:
        """The labels as they are, and pictures of them."""
        if "nifti" in forms:
            end = ".nii.gz" if self.mask.is_volume else ".png"
            formats.write_mask(self.mask, self.add("mask", end))
        if "png" in forms:
            content = formats.png_bytes(coloured(self.image, self.mask.labels))
            atomic_write(self.add("overlay", "-overlay.png"), content)
        if "overlay" in forms:
            for label, name in self._present():
                picture = label_picture(self.image, self.mask, label)
                atomic_write(self.add(f"overlay-{name}", f"-{name}-overlay.png"), picture)

    def doubt(self, entropy: np.ndarray) -> None:
        grey = self.image.with_pixels(entropy[None], value_range=(0, 255), window=None, unit="1")
        formats.write_nifti(grey, self.add("doubt", "-doubt.nii.gz"))

    def chances(self, chances: np.ndarray) -> None:
        """Of every label, also of those that are not there; one at a time."""
        for name, label in zip(file_names(self.mask.names), chances, strict=True):
            grey = self.image.with_pixels(
                np.asarray(label)[None], value_range=(0, 255), window=None, unit="1"
            )
            end = "nii.gz" if self.mask.is_volume else "png"
            path = self.add(f"probability-{name}", f"-{name}-probability.{end}")
            if self.mask.is_volume:
                formats.write_nifti(grey, path, slope=1 / 255)
            else:
                formats.write_png(grey, path)

    def surfaces(self, forms: Sequence[str]) -> None:
        """Of the labels that are there; none where nothing was found."""
        meshes = formats.surfaces(self.mask)
        for form in forms if meshes else ():
            if form != "stl":
                formats.write_mesh(meshes, self.add(f"surfaces-{form}", f".{form}"))
                continue
            for (_, name), mesh in zip(self._present(), meshes, strict=True):
                formats.write_mesh(mesh, self.add(f"surface-{name}", f"-{name}.stl"))

    def moved(self, folder: Path) -> dict[str, str]:
        for what, path in self.made.items():
            self.made[what] = folder / path.name
            os.replace(path, folder / path.name)
        return {what: str(path) for what, path in self.made.items()}

    def _present(self) -> list[tuple[int, str]]:
        """Labels that are there, each with a name that a file can have, no two alike."""
        names = file_names(self.mask.names)
        there = set().union(*(np.unique(plane).tolist() for plane in self.mask.labels))
        return [(label, name) for label, name in enumerate(names, 1) if label in there]


def file_names(labels: Sequence[str]) -> list[str]:
    """Short plain names in the order of the labels."""
    plain = [re.sub(r"[^\w.-]+", "-", label).strip("-")[:60] or "label" for label in labels]
    lower = [name.lower() for name in plain]  # some systems do not tell capitals apart
    return [
        name if lower.count(name.lower()) == 1 else f"{name}-{label}"
        for label, name in enumerate(plain, 1)
    ]


def label_picture(image: Image, mask: Mask, label: int) -> bytes:
    """PNG of the slice in which a label is largest, the label outlined; of a picture, all of it.

    Of a volume whose place is known an axial slice, seen as a radiologist expects it.
    """
    from tomos.evaluate import outlined  # seldom asked for, and much comes with it

    image = image.first
    pixels, own, spacing = image.pixels, mask.labels == label, image.spacing
    if image.is_volume:
        axis = turns(image.affine)[0][0] if image.frame == "patient" else 0
        others = tuple(other for other in range(3) if other != axis)
        at = int(own.sum(axis=others).argmax())
        cut = UPRIGHT(slab(image, image.pixels, axis, at))
        pixels, spacing = cut.pixels[:, 0], cut.spacing[1:]
        own = UPRIGHT(slab(image, own[None], axis, at)).pixels[0, 0]
    pixels, own = square(pixels, spacing), square(own, spacing)
    nothing = np.zeros(own.shape, np.uint8)
    found = own.astype(np.uint8)
    return outlined(pixels, nothing, found, (mask.names[label - 1],), image.window)


def slab(image: Image, pixels: np.ndarray, axis: int, at: int) -> Image:
    """The volume of one slice of `pixels`, which lie on the image's grid."""
    affine = image.affine.copy()
    affine[:3, 3] += at * affine[:3, axis]
    return image.with_pixels(pixels.take([at], axis=1 + axis), affine)


def square(part: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """(..., Y, X) with as many pixels a millimetre along both axes, by the nearest pixel."""
    for axis, step in zip((-2, -1), spacing, strict=True):
        length = part.shape[axis]
        n = max(1, round(length * step / min(spacing)))
        part = part.take(((np.arange(n) + 0.5) * length / n).astype(int), axis)
    return part


def _facts(predictor: MaskPredictor) -> SegmentationFacts:
    """What the DICOM object says of the model; codes of classes where the model file has them."""
    return SegmentationFacts(
        algorithm=predictor.name,
        version=predictor.manifest.created or "1",
        types=_codes(predictor),
        description=", ".join(predictor.classes)[:64],
    )


def _codes(predictor: MaskPredictor) -> dict[str, Code]:
    return {
        each.name: Code(code.code, SCHEMES[code.system], code.meaning or each.name)
        for each in predictor.manifest.classes
        for code in each.codes[:1]
    }
