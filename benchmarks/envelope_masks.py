"""How many images a model for masks refers as none of its kind: those held out, and foreign ones.

    python benchmarks/envelope_masks.py RUN DATASET [--data ../shared/data] [--limit 60]

RUN       a folder that `tomos train` wrote, or benchmarks/folds.py: what it was judged on, as its
          per_case.csv names it, are its own images; at most 2 % of them should be referred
Foreign   other parts, modalities and noise, at least 95 % of each of which should be referred. Each
          twice: as the file is, and disguised as one of the own images, with its header, size and
          range of grey values, so that only the looks can tell. A picture is scaled to that size;
          out of a volume boxes of that size are cut.
Own ones  shuffled (every pixel elsewhere) count as foreign; with light and dark exchanged they are
          told without a goal: what lies where, and how large it is, is as it was

No network is run; an envelope that the model file lacks is made from the cases it learned from, as
training makes it. One JSON object on stdout and in benchmarks/results/envelope-masks-NAME.json;
exit code 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from _record import goal, keep
from envelope import FOREIGN_LEAST, OWN_MOST, slices

from tomos import datasets, formats
from tomos.datasets import Dataset
from tomos.inference import MaskPredictor
from tomos.inference.mask_envelope import MaskEnvelope
from tomos.transforms.prepare import Chain
from tomos.types import Case, FormatError, Image, TomosError
from tomos.workflows.inputs import addresses
from tomos.workflows.mask_limits import limits

FOREIGN = {
    "ct": "dicom/ct_chest",
    "mr": "dicom/mr_study_four_series",
    "lung_mr": "lung_mr/ProtonImages",
    "hippocampus": "hippocampus/imagesTr",
    "fundus": "fundus_vessels",
    "blood_cells": "blood_cells/JPEGImages",
    "white_cells": "white_blood_cells",
    "films": "cxr_three_class",
}
MASKS = ("mask", "manual")  # in the names of folders and files that hold them
CROP = "11_HCropVolume"  # of the MR study: a crop about the hippocampus, foreign to no model of it
TRIES = 200  # rounds of boxes cut out of volumes: many are air
SPREAD = 0.2  # of the volume's: a box with less is air
NOISE = 50


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("dataset")
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--limit", type=int, default=60)
    args = parser.parse_args()
    predictor = MaskPredictor(Path(args.run) / "model.tomos")
    opened, data = datasets.open(args.dataset), Path(args.data).resolve()
    cases = judged(Path(args.run), opened)
    own = [opened.read(case) for case in cases]
    made = not predictor.manifest.envelope
    if made:
        predictor.envelope = fitted(predictor, opened, cases)
    sets = {"own": referred(predictor, own)}
    for name, images in foreign(data, args.limit, own):
        sets[f"{name}, as it is"] = referred(predictor, images)
        hidden = islice(disguised(images, own), args.limit)
        sets[f"{name}, disguised"] = referred(predictor, hidden)
    sets["own, shuffled"] = referred(predictor, map(shuffled, own))
    kind = f"share referred by a model for masks of {predictor.name}"
    goals = [
        goal(f"{kind}: {name}", found["referred"], most=OWN_MOST)
        if name == "own"
        else goal(f"{kind}: {name}", found["referred"], least=FOREIGN_LEAST)
        for name, found in sets.items()
    ]
    sets["own, light and dark exchanged"] = referred(predictor, map(exchanged, own))
    about = {"run": Path(args.run).name, "envelope_made_here": made}
    return keep(f"envelope-masks-{predictor.name}", {**about, "sets": sets}, goals)


def judged(run: Path, dataset: Dataset) -> list[Case]:
    """The cases that the run's model was judged on."""
    with (run / "per_case.csv").open(encoding="utf-8") as file:
        names = {row["case"] for row in csv.DictReader(file)}
    found = [case for case in dataset.cases if case.name in names]
    if len(found) != len(names):
        sys.exit(f"{dataset.folder}: holds {len(found)} of the {len(names)} cases that {run} names")
    return found


def fitted(predictor: MaskPredictor, dataset: Dataset, held_out: list[Case]) -> MaskEnvelope:
    """The envelope of a model that learned from all other cases but the test's."""
    out = {case.name for case in held_out}
    kept = [c for c in dataset.cases if c.split in ("train", "val") and c.name not in out]
    with TemporaryDirectory() as folder:
        shelf = datasets.shelved(dataset.only(kept), predictor.chain, folder=Path(folder))
        return MaskEnvelope(*limits(dataset, (shelf,)))


def referred(predictor: MaskPredictor, images: Iterable[Image]) -> dict:
    """Share of images that the envelope refers, or that are refused outright."""
    flags, distances = [], []
    for image in images:
        try:
            prepared = predictor.prepared(image)
        except TomosError:
            flags.append(True)
            continue
        judgement = predictor.envelope.judge(image, prepared.pixels)
        flags.append(judgement.refuse)
        distances.append(judgement.distance)
    return {
        "n": len(flags),
        "referred": round(float(np.mean(flags)), 4),
        "median_distance": round(float(np.median(distances)), 2) if distances else None,
    }


def foreign(data: Path, limit: int, own: list[Image]) -> Iterator[tuple[str, list[Image]]]:
    """(name, images): pictures, or volumes, as the own ones are; their own set is left out."""
    volumes = own[0].is_volume
    for name, folder in FOREIGN.items():
        place = data / folder
        if any(place in Path(image.origin.path).resolve().parents for image in own):
            continue
        found: list[Image] = []
        inputs = [part for part in place.iterdir() if part.name != CROP]
        for address in addresses(sorted(inputs) if (place / CROP).is_dir() else [place]):
            if len(found) >= limit or is_mask(Path(address), place):
                continue
            try:
                image = formats.read(address)
            except FormatError:
                continue
            found += [image] if volumes and image.is_volume else [] if volumes else slices(image)
        if found:
            yield name, found[:limit]
    rng = np.random.default_rng(0)
    size = own[0].pixels.shape
    uniform = [rng.integers(0, 256, size) for _ in range(NOISE)]
    normal = [np.clip(rng.normal(128, 40, size), 0, 255) for _ in range(NOISE)]
    noise = [Image(x.astype(np.uint8), value_range=(0, 255)) for x in (*uniform, *normal)]
    yield "noise", noise[:: max(1, len(noise) // limit)]


def is_mask(path: Path, place: Path) -> bool:
    """Masks lie in folders named so, or as PNG beside the smears."""
    folders = "/".join(path.parts[len(place.parts) :])
    return any(word in folders for word in MASKS) or (
        path.suffix == ".png" and place.name == FOREIGN["white_cells"]
    )


def disguised(images: list[Image], own: list[Image]) -> Iterator[Image]:
    """Each image as if it were one of the own ones in turn; of volumes several boxes, those of one
    volume after those of another."""
    rng, channels = np.random.default_rng(0), own[0].channels
    values = [image.pixels.astype(np.float32) for image in images]
    for _ in range(TRIES if own[0].is_volume else 1):
        for grey in values:
            like = own[int(rng.integers(len(own)))]
            if grey.shape[0] != channels:
                grey = np.repeat(grey.mean(axis=0, keepdims=True), channels, axis=0)
            cut = boxed(grey, like.size, rng) if like.is_volume else scaled(grey, like.size)
            if cut is not None:
                yield like.with_pixels(ranged(cut, like.pixels))


def boxed(x: np.ndarray, size: tuple[int, ...], rng: np.random.Generator) -> np.ndarray | None:
    """A box of `size` out of x (C, Z, Y, X), scaled where x is smaller; None where it is air."""
    whole = float(x.std())
    low = [int(rng.integers(max(1, n - m + 1))) for n, m in zip(x.shape[1:], size, strict=True)]
    part = x[(slice(None), *(slice(a, a + m) for a, m in zip(low, size, strict=True)))]
    if part.std() <= SPREAD * whole:
        return None
    if part.shape[1:] != size:
        part = scaled(part, size)
    return part


def scaled(x: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    return Chain([{"step": "resize", "size": list(size)}])(Image(x)).pixels


def ranged(x: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The values of x from the darkest to the brightest as those of `like`, in its type."""
    low, high = np.percentile(x, [0.5, 99.5])
    bottom, top = np.percentile(like, [0.5, 99.5])
    found = bottom + np.clip((x - low) / max(high - low, 1e-6), 0, 1) * (top - bottom)
    if np.issubdtype(like.dtype, np.integer):
        found = np.rint(found)
    return found.astype(like.dtype)


def shuffled(image: Image) -> Image:
    """The same pixels, each elsewhere; channels together."""
    rows = image.pixels.reshape(image.channels, -1)
    order = np.random.default_rng(0).permutation(rows.shape[1])
    return image.with_pixels(rows[:, order].reshape(image.pixels.shape))


def exchanged(image: Image) -> Image:
    """The darkest value becomes the brightest."""
    low, high = image.pixels.min(), image.pixels.max()
    turned = (float(low) + float(high)) - image.pixels.astype(np.float64)
    return image.with_pixels(turned.astype(image.pixels.dtype))


if __name__ == "__main__":
    sys.exit(main())
