"""A mask as it is shown and fetched: its labels, the slice that holds most of it, the volume."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tomos.formats import colour_of, png_bytes, write_mask, write_nifti
from tomos.serve.pictures import FAST, slice_of, thinning
from tomos.serve.reader import Written
from tomos.serve.results import Product
from tomos.transforms.prepare import Chain
from tomos.transforms.prepare.orient import turns
from tomos.types import Image, Mask, Prediction

MOST_SHOWN = 1 << 26  # voxels of a volume that a page is sent: 512 x 512 x 256
MOST_LABELS = 255  # what a page's viewer tells apart
NIFTI = "application/gzip"
# Types that NIfTI has and every viewer shows; what is not among them becomes float32.
SHOWABLE = ("uint8", "int16", "uint16", "float32")


# Form of a file -> its name in an address, and its media type. Of a picture the mask is a PNG.
MEMBERS = {
    "mask": ("mask.nii.gz", NIFTI),
    "doubt": ("doubt.nii.gz", NIFTI),
    "dicom-seg": ("seg.dcm", "application/dicom"),
}
PICTURE = ("mask.png", "image/png")


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """The picture of a volume: an axial slice where its place is known, with the labels on it.

    image  (C, Y, X); labels (Y, X)
    """

    image: Image
    labels: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """What there is to show and to fetch of a mask.

    cut       its picture
    products  name in an address -> file
    forms     "mask", "doubt", "dicom-seg" -> name in an address
    left_out  form -> why there is no such file
    steps     by how much the volume to show was thinned along (Z, Y, X); none where none is shown
    """

    mask: Mask
    cut: Cut
    products: Mapping[str, Product]
    forms: Mapping[str, str]
    left_out: Mapping[str, str]
    steps: Sequence[int] = ()

    def files(self, addresses: Mapping[str, str]) -> dict[str, str]:
        """Form -> address, of those that are kept."""
        return {form: addresses[name] for form, name in self.forms.items() if name in addresses}

    def told(self, addresses: Mapping[str, str], seconds: float) -> dict[str, Any]:
        """The part "mask" of an answer; `seconds`: how long files are kept."""
        png, width, height = codes_png(self.cut.labels)
        told: dict[str, Any] = {
            "unit": self.mask.unit,
            "labels": labels_of(self.mask),
            "picture": {
                "png": base64.b64encode(png).decode("ascii"),
                "width": width,
                "height": height,
            },
            "left_out": dict(self.left_out),
            "kept_seconds": seconds,
        }
        labels = addresses.get("labels.nii.gz", addresses.get("mask.nii.gz"))
        if "shown.nii.gz" in addresses and labels and len(self.mask.names) <= MOST_LABELS:
            image = addresses["shown.nii.gz"]
            told["volume"] = {"image": image, "labels": labels, "steps": list(self.steps)}
        return told


def mask_of(prediction: Prediction) -> Mask | None:
    """Of the first target that has one."""
    return next((each.mask for each in prediction.targets.values() if each.mask is not None), None)


def drawn(
    image: Image, mask: Mask, written: Written, folder: Path, stem: str, volume: bool
) -> Drawn:
    """The picture and the files of a mask, taken into memory.

    folder  where the written files lie, and others may for a moment
    volume  whether a volume is to be shown, too
    """
    products: dict[str, Product] = {}
    forms: dict[str, str] = {}
    for form, path in written.files.items():
        name, media = PICTURE if path.suffix == ".png" else MEMBERS[form]
        products[name], forms[form] = product(path, name, stem, media), name
    steps: Sequence[int] = ()
    if volume and image.is_volume:
        more, steps = shown(image, mask, folder, stem, apart="mask" not in forms)
        products |= more
    return Drawn(mask, cut(image, mask), products, forms, written.left_out, steps)


def labels_of(mask: Mask) -> list[dict[str, Any]]:
    """Value, name and colour of every label, as they are written into a DICOM segmentation."""
    return [
        {"value": value, "name": name, "colour": "#{:02x}{:02x}{:02x}".format(*colour_of(value))}
        for value, name in enumerate(mask.names, 1)
    ]


def cut(image: Image, mask: Mask) -> Cut:
    """What a page shows of an image and its mask in one picture: of a volume the slice that holds
    most of the mask, the middle one where there is none.
    """
    image = image.first
    if not image.is_volume:
        return Cut(image, mask.labels)
    axis = turns(image.affine)[0][0] if image.frame == "patient" else 0
    across = tuple(other for other in range(3) if other != axis)
    found = np.count_nonzero(mask.labels, axis=across)
    at = int(found.argmax()) if found.any() else len(found) // 2
    upright = Chain([{"step": "orient"}])
    over = upright(_slab(image.with_pixels(mask.labels[None]), axis, at))
    shown = slice_of(upright(_slab(image, axis, at)), 0)
    # The step gives fractions; a scan's 8 bits do not fill their range, as a photograph's do.
    kind = np.promote_types(image.pixels.dtype, np.int16)
    return Cut(shown.with_pixels(shown.pixels.astype(kind)), over.pixels[0, 0])


def _slab(volume: Image, axis: int, at: int) -> Image:
    """The volume of one slice along an axis."""
    affine = volume.affine.copy()
    affine[:3, 3] += at * affine[:3, axis]
    return volume.with_pixels(volume.pixels.take([at], axis=1 + axis), affine)


def codes_png(labels: np.ndarray) -> tuple[bytes, int, int]:
    """Labels (Y, X) on the grid of the displayed picture as RGB PNG: 256 * red + green."""
    step = thinning(labels.shape)
    code = labels[::step, ::step].astype(np.uint16)
    halves = np.stack([code >> 8, code & 255, np.zeros_like(code)]).astype(np.uint8)
    return png_bytes(halves, FAST), code.shape[1], code.shape[0]


def steps_of(image: Image, most: int) -> tuple[int, int, int]:
    """By how much a volume is thinned along (Z, Y, X) to be shown, where its voxels lie closest."""
    steps = [1, 1, 1]
    size = np.array(image.size)
    while np.prod(-(-size // steps)) > most:
        steps[int(np.argmin(np.multiply(image.spacing, steps)))] *= 2
    return steps[0], steps[1], steps[2]


def shown(
    image: Image,
    mask: Mask,
    folder: Path,
    stem: str,
    most: int = MOST_SHOWN,
    apart: bool = False,
) -> tuple[dict[str, Product], tuple[int, int, int]]:
    """The volume and its labels on one grid for a page to show, and how they were thinned.

    most   voxels of it
    apart  with "labels.nii.gz" in any case; else it is left out where the mask's own file will do
    "shown.nii.gz" is one channel, the mean of three.
    """
    image = image.first
    steps = steps_of(image, most)
    every = tuple(slice(None, None, step) for step in steps)
    affine = image.affine.copy()
    affine[:3, :3] *= steps
    thin = image.with_pixels(_one_channel(image.pixels[(slice(None), *every)]), affine)
    path = folder / f"{stem}-shown.nii.gz"
    write_nifti(thin, path)
    products = {"shown.nii.gz": product(path, "shown.nii.gz", stem)}
    if apart or max(steps) > 1:
        path = folder / f"{stem}-labels.nii.gz"
        write_mask(mask.with_labels(np.ascontiguousarray(mask.labels[every]), affine), path)
        products["labels.nii.gz"] = product(path, "labels.nii.gz", stem)
    return products, steps


def product(path: Path, member: str, stem: str, media: str = NIFTI) -> Product:
    """A written file, taken into memory; the file goes."""
    content = path.read_bytes()
    path.unlink()
    return Product(content, media, f"{stem}-{member}")


def _one_channel(pixels: np.ndarray) -> np.ndarray:
    """(1, Z, Y, X) of a type that is shown everywhere; what is no number becomes the lowest."""
    if len(pixels) == 3:
        pixels = pixels.mean(axis=0, keepdims=True, dtype=np.float32)
    pixels = pixels[:1]
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8)
    if str(pixels.dtype) not in SHOWABLE:
        pixels = pixels.astype(np.float32)
    if pixels.dtype == np.float32 and not np.isfinite(pixels).all():
        finite = pixels[np.isfinite(pixels)]
        low = float(finite.min()) if finite.size else 0.0
        pixels = np.nan_to_num(pixels, nan=low, neginf=low, posinf=low)
    return np.ascontiguousarray(pixels)
