"""Images with masks that stand in for the reader's: `docs_world` for segmentation.

CT-like chests are drawn from numbers, with masks of what is in them. `python tests/docs_scans.py
DIR` draws a finer set, for `docs/screenshot.py`: `DIR/ct`, DICOM series with segmentations, and
`DIR/new_ct`, a series of somebody else.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tomos import formats
from tomos.formats import SegmentationFacts, dicom
from tomos.types import Image, Mask

ORGANS = ("lungs", "heart", "liver")
EXTENT = (260.0, 250.0, 360.0)  # mm along z, y, x
CASES, COARSE = 14, 10.0  # mm: a grid on which networks learn in seconds
REAL = Path(__file__).parents[2] / "shared" / "data"


@dataclass(frozen=True)
class Chest:
    """Half axes and centres in mm; x runs to the left, y to the back, z upwards."""

    width: float
    depth: float
    lung: tuple[float, float, float]
    heart: tuple[float, float, float]
    liver: float
    air: float


def chest(rng: np.random.Generator) -> Chest:
    """Draw a body."""
    return Chest(
        width=rng.uniform(150, 170),
        depth=rng.uniform(98, 115),
        lung=(rng.uniform(95, 115), rng.uniform(70, 82), rng.uniform(50, 58)),
        heart=(rng.uniform(44, 56), rng.uniform(36, 44), rng.uniform(46, 58)),
        liver=rng.uniform(-135, -110),
        air=rng.uniform(-880, -780),
    )


def scan(body: Chest, rng: np.random.Generator, spacing: float) -> tuple[Image, Mask]:
    """A CT of `body` and its mask on one grid of `spacing` mm, axes towards S, P, L; int16 HU."""
    size = [round(length / spacing) for length in EXTENT]
    shift = rng.uniform(-8, 8, 3)
    steps = ((np.arange(n) - (n - 1) / 2) * spacing + d for n, d in zip(size, shift, strict=True))
    z, y, x = np.meshgrid(*steps, indexing="ij", sparse=True)
    trunk = np.abs(x / body.width) ** 2.4 + np.abs(y / body.depth) ** 2.4 + 0 * z
    hu = np.where(trunk < 1, 40.0, -1000.0)
    hu[(trunk < 1) & (trunk > 0.84)] = -95  # fat below the skin
    hu[(trunk < 0.8) & (trunk > 0.7) & (np.sin((z + 0.4 * y) / 6.5) > 0.1)] = 300  # ribs
    liver = _ball(z - body.liver, y, x + 55, (95, 0.85 * body.depth, 100)) & (trunk < 0.7)
    lungs = np.zeros(hu.shape, bool)
    for side in (-1, 1):
        lungs |= _ball(z - 5, y - 5, x - side * 0.46 * body.width, body.lung)
    heart = _ball(z + 30 + 0.4 * x, y + 38, x - 22, body.heart)
    stomach = _ball(z + 140, y, x - 70, (75, 90, 90))
    lungs &= (trunk < 0.7) & ~heart & ~liver & ~stomach
    hu[lungs] = body.air
    hu[lungs & (_cloud(rng, hu.shape, spacing) > 1.6)] = -150  # vessels
    hu[liver], hu[heart] = 95, 150
    spine = (x**2 + (y - 0.68 * body.depth) ** 2 < 19**2) & (trunk < 0.9)
    hu = np.where(spine, np.where(np.sin(z / 5) > -0.7, 260, 90), hu)
    labels = np.select([lungs & ~spine, heart, liver], [1, 2, 3]).astype(np.uint8)
    hu += rng.normal(0, 18, hu.shape)
    affine = np.zeros((4, 4))
    affine[[2, 1, 0, 3], [0, 1, 2, 3]] = [spacing, -spacing, -spacing, 1]
    affine[:3, 3] = [x.flat[0] * -1, y.flat[0] * -1, z.flat[0]]
    pixels = np.clip(hu, -1024, 2000).astype(np.int16)[None]
    image = Image(pixels, affine, "patient", unit="HU", modality="CT")
    return image, Mask(labels, ORGANS, affine, "patient")


def _ball(z, y, x, radii) -> np.ndarray:
    return (z / radii[0]) ** 2 + (y / radii[1]) ** 2 + (x / radii[2]) ** 2 < 1


def _cloud(rng: np.random.Generator, shape: tuple[int, ...], spacing: float) -> np.ndarray:
    """Noise with a grain of some 12 mm, of spread 1: sums of shifted noise along each axis."""
    found, wide = rng.normal(size=shape), max(1, round(6 / spacing))
    for axis in range(3):
        found = sum(np.roll(found, k, axis) for k in range(-wide, wide + 1))
    return found / found.std()


def small(image: Image, mask: Mask) -> tuple[Image, Mask]:
    """The same a tenth as long, as a crop is: on a grid of 1 mm a whole chest takes minutes."""
    affine = np.diag([0.1, 0.1, 0.1, 1]) @ image.affine
    laid = Mask(mask.labels, mask.names, affine, "patient")
    return image.with_pixels(image.pixels, affine), laid


def nifti(folder: Path, number: int, spacing: float, cropped: bool = False) -> None:
    """`images/NN.nii.gz` and `masks/NN.nii.gz` below `folder`."""
    image, mask = scan(*_drawn(number), spacing)
    if cropped:
        image, mask = small(image, mask)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    formats.write_nifti(image, folder / "images" / f"{number:02d}.nii.gz")
    formats.write_mask(mask, folder / "masks" / f"{number:02d}.nii.gz")


def series(
    folder: Path, number: int, spacing: float, outlined: bool = True, cropped: bool = False
) -> None:
    """A CT series, a file a slice, and beside it, in `seg.dcm`, its segmentation."""
    image, mask = scan(*_drawn(number), spacing)
    if cropped:
        image, mask = small(image, mask)
    study = {
        "PatientID": f"CT{number:03d}",
        "PatientName": f"Phantom^{number:03d}",
        "StudyInstanceUID": f"2.25.7{number:03d}",
        "SeriesInstanceUID": f"2.25.8{number:03d}",
        "FrameOfReferenceUID": f"2.25.9{number:03d}",
        "SliceThickness": f"{image.spacing[0]:g}",
        "BodyPartExamined": "CHEST",
        "SeriesNumber": "1",
    }
    folder.mkdir(parents=True)
    for z, pixels in enumerate(image.pixels[0]):
        affine = image.affine.copy()
        affine[:, 3] += z * affine[:, 0]
        header = {**study, "SOPInstanceUID": f"2.25.6{number:03d}{z:03d}", "InstanceNumber": z + 1}
        dicom.write(Image(pixels[None], affine, "patient", unit="HU", modality="CT"),
                    folder / f"{z:03d}.dcm", header)  # fmt: skip
    if outlined:
        read = formats.read(folder)
        laid = Mask.on(read, mask.labels, mask.names)
        facts = SegmentationFacts(algorithm="drawn", version="1")
        formats.write_seg(laid, read, folder / "seg.dcm", facts)


def _drawn(number: int) -> tuple[Chest, np.random.Generator]:
    rng = np.random.default_rng([3, number])
    return chest(rng), rng


def volumes(folder: Path) -> None:
    """`volumes/images/NN.nii.gz` and `volumes/masks/NN.nii.gz`; `new_scan.nii.gz`."""
    for number in range(CASES):
        nifti(folder / "volumes", number, COARSE)
    image, _ = scan(*_drawn(900), COARSE)
    formats.write_nifti(image, folder / "new_scan.nii.gz")


def ct(folder: Path) -> None:
    """`ct/CTNNN/*.dcm`, a series of each patient with its segmentation; the series `new_ct`,
    of a patient who is in no part of the data."""
    for number in range(10):
        series(folder / "ct" / f"CT{number:03d}", number, COARSE)
    series(folder / "new_ct", 900, COARSE, outlined=False)


def hippocampus(folder: Path) -> None:
    """`hippocampus/imagesTr` and `labelsTr`: cases of the real set where it is, else drawn ones
    that are called alike."""
    real = REAL / "hippocampus"
    if real.is_dir():
        for part in ("imagesTr", "labelsTr"):
            (folder / "hippocampus" / part).mkdir(parents=True)
            for path in sorted((real / part).iterdir())[:CASES]:
                (folder / "hippocampus" / part / path.name).symlink_to(path)
        return
    for number in range(CASES):
        nifti(folder / "drawn" / "volumes", number, COARSE, cropped=True)
    for part, drawn in (("imagesTr", "images"), ("labelsTr", "masks")):
        (folder / "hippocampus" / part).mkdir(parents=True)
        for number, path in enumerate(sorted((folder / "drawn/volumes" / drawn).iterdir())):
            path.rename(folder / "hippocampus" / part / f"hippocampus_{3 * number:03d}.nii.gz")


def pet_ct(folder: Path) -> None:
    """`pet_ct`, as nnU-Net has it: a CT of each case and, with voxels twice as large, a PET."""
    from tomos.formats import read

    place, parts = folder / "pet_ct", ("imagesTr", "labelsTr")
    for part in parts:
        (place / part).mkdir(parents=True)
    for number in range(CASES):
        nifti(folder / "drawn_pet" / "volumes", number, COARSE, cropped=True)
    for part, drawn in zip(parts, ("images", "masks"), strict=True):
        for path in sorted((folder / "drawn_pet/volumes" / drawn).iterdir()):
            stem = path.name.removesuffix(".nii.gz")
            name = f"{stem}_0000.nii.gz" if part == "imagesTr" else path.name
            path.rename(place / part / name)
    for path in sorted((place / "imagesTr").iterdir()):
        ct = read(path)
        affine = ct.affine @ np.diag([2.0, 2.0, 2.0, 1.0])
        warm = (ct.pixels[:, ::2, ::2, ::2] > 0).astype(np.float32) * 3
        formats.write_nifti(Image(warm, affine, "patient"), Path(str(path).replace("0000", "0001")))
    told = {"channel_names": {"0": "CT", "1": "PET"},
            "labels": {"background": 0, "lungs": 1, "heart": 2, "liver": 3}}  # fmt: skip
    (place / "dataset.json").write_text(json.dumps(told), encoding="utf-8")


def faulty(folder: Path) -> None:
    """`faulty`, crops of which one mask lies elsewhere, one says no place and one image is cut
    off; `tilted.nii.gz`, whose axes are not at right angles; `cut.nii.gz`; the series `scan`."""
    from tomos.formats import read

    for number in range(6):
        nifti(folder / "faulty", number, COARSE, cropped=True)
    for number, change in ((1, _moved), (2, _placeless)):
        path = folder / "faulty" / "masks" / f"{number:02d}.nii.gz"
        labels = formats.read_mask(path, read(path), ORGANS)
        formats.write_mask(Mask(labels.labels, ORGANS, change(labels.affine), "patient"), path)
    cut = folder / "faulty" / "images" / "03.nii.gz"
    content = cut.read_bytes()
    for path in (cut, folder / "cut.nii.gz"):
        path.write_bytes(content[: len(content) // 2])
    image, _ = small(*scan(*_drawn(900), COARSE))
    leaning = image.affine.copy()
    leaning[1, 0] = 0.3
    formats.write_nifti(image.with_pixels(image.pixels, leaning), folder / "tilted.nii.gz")
    series(folder / "scan", 901, COARSE, outlined=False, cropped=True)


def _moved(affine: np.ndarray) -> np.ndarray:
    away = affine.copy()
    away[0, 3] += 1.5
    return away


def _placeless(affine: np.ndarray) -> np.ndarray:
    """As a program writes it that knows of arrays only: x, y, z are the indices."""
    return np.eye(4)[:, [2, 1, 0, 3]]


def vessels(folder: Path) -> None:
    """`vessels/images/NN.png`, round fields with dark lines; `vessels/drawn`, where the lines are,
    and `vessels/fov`, the field of view."""
    rng = np.random.default_rng(17)
    y, x = np.indices((96, 96)) - 47.5
    field = np.hypot(y, x) < 44
    for number in range(CASES):
        lines = np.zeros(field.shape, bool)
        for _ in range(6):
            angle, way, bend = rng.uniform(0, 3.14), rng.uniform(-30, 30), rng.uniform(-5, 5)
            along, across = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y
            across = across - np.sin(angle) * x - way
            lines |= np.abs(across - bend * np.sin(along / 12)) < 1.4
        grey = np.where(lines, 90, 150) + rng.normal(0, 8, field.shape)
        picture = np.where(field, np.clip(grey, 0, 255), 0)
        for name, pixels in (("images", picture), ("drawn", 255 * (lines & field)),
                             ("fov", 255 * field)):  # fmt: skip
            _grey(folder / "vessels" / name / f"{number:02d}.png", pixels)


def cells(folder: Path) -> None:
    """`cells/images/NN.png` and `cells/masks/NN.png` of three values: 255 amid 128 amid 0."""
    rng = np.random.default_rng(18)
    y, x = np.indices((64, 64))
    for number in range(CASES):
        at = rng.uniform(24, 40, 2)
        away = np.hypot(y - at[0], x - at[1])
        labels = np.select([away < rng.uniform(7, 10), away < rng.uniform(14, 20)], [255, 128])
        grey = 210 - 0.5 * labels + rng.normal(0, 8, labels.shape)
        _grey(folder / "cells" / "images" / f"{number:02d}.png", np.clip(grey, 0, 255))
        _grey(folder / "cells" / "masks" / f"{number:02d}.png", labels)


def made_masks(folder: Path) -> None:
    """A data set `dataset` of the volumes and a finished run `run` on it."""
    from tomos.workflows.import_data import import_data
    from tomos.workflows.train import train

    volumes(folder)
    import_data(folder / "volumes", folder / "dataset", classes=",".join(ORGANS))
    train(folder / "dataset", folder / "run", device="cpu", minutes=0.1)


def _grey(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(formats.png_bytes(pixels[None].astype(np.uint8)))


if __name__ == "__main__":
    where = Path(sys.argv[1])
    for each in range(24):
        series(where / "ct" / f"CT{each:03d}", each, 4.0)
    series(where / "new_ct", 900, 4.0, outlined=False)
