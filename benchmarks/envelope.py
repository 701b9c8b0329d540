"""How many inputs a model refers as none of its kind: its own test part, and five foreign sets.

    python benchmarks/envelope.py MODEL [--data ../shared/data] [--own SOURCE] [--limit 200]

MODEL     a model.tomos of classes; for one of masks: envelope_masks.py
--own     images of the kind the model was made for: anything `tomos predict` takes, such as
          x.npz#test; at most 2 % of them should be referred
Foreign   CT slices, MR slices, blood cells, eye grounds, noise. Each is given twice: as the file
          is, and disguised: no header, grey (or the model's own number of channels), scaled to
          8 bit and to the size the model takes, so that only the looks can tell. At least 95 % of
          each should be referred.

One JSON object on stdout and in benchmarks/results/envelope-NAME.json; exit code 1 where a goal is
missed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from _record import goal, keep

from tomos import formats
from tomos.inference import Info, Predictor
from tomos.transforms.prepare import Chain
from tomos.types import FormatError, Image, TomosError
from tomos.workflows.inputs import addresses

FOREIGN = {
    "ct": "dicom/ct_chest",
    "mr": "dicom/mr_study_four_series",
    "blood_cells": "blood_cells/JPEGImages",
    "fundus": "fundus_vessels",
}
OWN_MOST, FOREIGN_LEAST = 0.02, 0.95


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--own", default="")
    parser.add_argument("--limit", type=int, default=200)
    args = parser.parse_args()
    predictor = Predictor(args.model)
    sets: dict[str, dict] = {}
    if args.own:
        own = (formats.read(address) for address in addresses([args.own]))
        sets["own"] = referred(predictor, own)
    for name, images in foreign(Path(args.data), args.limit, predictor.shape):
        sets[f"{name}, as it is"] = referred(predictor, images)
        hidden = [disguised(image, predictor.shape) for image in images]
        sets[f"{name}, disguised"] = referred(predictor, hidden)
    kind = f"share referred by a model of {predictor.name}"
    goals = [
        goal(f"{kind}: {name}", found["referred"], most=OWN_MOST)
        if name == "own"
        else goal(f"{kind}: {name}", found["referred"], least=FOREIGN_LEAST)
        for name, found in sets.items()
    ]
    return keep(f"envelope-{predictor.name}", {"own": Path(args.own).name, "sets": sets}, goals)


def referred(predictor: Predictor, images) -> dict:
    """Share of images that the envelope refers, or that are refused outright."""
    shape, flags, distances = predictor.shape, [], []
    for image in images:
        try:
            x = predictor.chain(image).pixels
            if x.shape != shape:
                raise FormatError("another shape")
        except TomosError:
            flags.append(True)
            continue
        info = Info.of(image)
        (judgement,) = predictor.envelope.judge([info], x[None], predictor.features(x[None]))
        flags.append(judgement.refuse)
        distances.append(judgement.distance)
    return {
        "n": len(flags),
        "referred": round(float(np.mean(flags)), 4),
        "median_distance": round(float(np.median(distances)), 2) if distances else None,
    }


def foreign(data: Path, limit: int, shape: tuple[int, ...]) -> Iterator[tuple[str, list[Image]]]:
    """(name, pictures): volumes as their slices, pictures as they are, noise made on the spot."""
    for name, folder in FOREIGN.items():
        pictures: list[Image] = []
        for address in addresses([data / folder]):
            if len(pictures) >= limit or "mask" in address or "manual" in address:
                continue
            try:
                pictures += slices(formats.read(address))
            except FormatError:
                continue
        yield name, pictures[:limit]
    rng = np.random.default_rng(0)
    size = (shape[0], *shape[1:])
    uniform = [rng.integers(0, 256, size) for _ in range(50)]
    normal = [np.clip(rng.normal(128, 40, size), 0, 255) for _ in range(50)]
    yield "noise", [Image(x.astype(np.uint8), value_range=(0, 255)) for x in (*uniform, *normal)]


def slices(image: Image) -> list[Image]:
    """A volume as pictures, the empty ends left out."""
    if not image.is_volume:
        return [image]
    whole = float(image.pixels.std())
    kept = [z for z in range(image.size[0]) if image.pixels[:, z].std() > 0.2 * whole]
    return [
        Image(
            image.pixels[:, z],
            unit=image.unit,
            modality=image.modality,
            value_range=image.value_range,
            window=image.window,
            origin=image.origin,
        )
        for z in kept
    ]


def disguised(image: Image, shape: tuple[int, ...]) -> Image:
    """8 bit, the model's channels and size, nothing in the header."""
    pixels = image.pixels.astype(np.float32)
    if image.window is not None and image.modality == "CT":
        low = image.window.centre - image.window.width / 2
        high = low + image.window.width
    else:
        low, high = (float(v) for v in np.percentile(pixels, [0.5, 99.5]))
    grey = np.clip((pixels - low) / max(high - low, 1e-6), 0, 1).mean(axis=0, keepdims=True)
    wanted = pixels if shape[0] == len(pixels) == 3 else grey
    if wanted is pixels:
        wanted = np.clip((pixels - low) / max(high - low, 1e-6), 0, 1)
    small = Chain([{"step": "resize", "size": list(shape[1:])}])(Image(wanted)).pixels
    eight_bit = np.round(np.clip(small, 0, 1) * 255).astype(np.uint8)
    return Image(np.broadcast_to(eight_bit, shape).copy(), value_range=(0, 255))


if __name__ == "__main__":
    sys.exit(main())
