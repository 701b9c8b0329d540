"""What the rules look at: a data set's sizes, intensities, balance, patients and symmetries.

A fingerprint holds figures only, never a picture, and two of them can be added (`combine`), so that
several sites can plan together without sharing images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import Field

from tomos.config import Settings
from tomos.datasets import Dataset
from tomos.formats import read_many
from tomos.plan.symmetry import ORIENTATIONS, told_apart
from tomos.transforms.prepare.resize import Step as Resize
from tomos.types import Case, DatasetError, FormatError, Image, Progress, Silent

SIDE = 64


class Fingerprint(Settings):
    """Figures of the part learned from (train), over `n_looked_at` pictures spread over classes.

    sides        (2, 3) smallest, median, largest length along Y and X, pixels
    aspect       largest ratio of X/Y over smallest
    colour       share of pictures with real colour (channels that differ)
    told_apart   flip or turn -> how well a flipped picture is told from an upright one, 0.5..1;
                 near 0.5: the picture has no such orientation and flipping it is harmless
    spread       how much pictures differ in mean level, relative to the spread inside one
    """

    n_cases: int = Field(ge=0)
    n_patients: int = Field(ge=0)
    patients_known: bool
    n_val: int = Field(ge=0)
    n_looked_at: int = Field(ge=0)
    counts: dict[str, int]
    sides: tuple[tuple[int, int, int], tuple[int, int, int]]
    aspect: float
    colour: float = Field(ge=0, le=1)
    volumes: float = Field(ge=0, le=1)
    units: dict[str, int]
    modalities: dict[str, int]
    types: dict[str, int]
    level_mean: float
    level_std: float
    spread: float
    told_apart: dict[str, float]


def fingerprint(
    train: Dataset, val: Dataset, target: str, look_at: int = 400, progress: Progress | None = None
) -> Fingerprint:
    """Measure `train` (only its size for `val`), looking at up to `look_at` of its pictures.

    Raises DatasetError when no picture can be read.
    """
    progress = progress or Silent()
    cases = _spread_over_classes(train.cases, target, look_at)
    looks = []
    for done, image in enumerate(read_many(train.image(case) for case in cases), 1):
        progress.step(done, len(cases), "looking at pictures")
        if not isinstance(image, FormatError):
            looks.append(_look(image))
    if not looks:
        raise DatasetError(
            f"{train.folder}: none of {len(cases)} pictures could be read; see check"
        )
    sides = np.array([look["size"] for look in looks])
    ratio = sides[:, 1] / sides[:, 0]
    levels = np.array([look["level"] for look in looks])
    small = np.stack([look["small"] for look in looks])
    return Fingerprint(
        n_cases=len(train.cases),
        n_patients=len({case.group for case in train.cases}),
        patients_known=all(case.patient for case in train.cases),
        n_val=len(val.cases),
        n_looked_at=len(looks),
        counts=_counts(train.cases, target),
        sides=(_spread(sides[:, 0]), _spread(sides[:, 1])),
        aspect=round(float(ratio.max() / ratio.min()), 3),
        colour=round(float(np.mean([look["colour"] for look in looks])), 3),
        volumes=round(float(np.mean([look["volume"] for look in looks])), 3),
        units=_tally(looks, "unit"),
        modalities=_tally(looks, "modality"),
        types=_tally(looks, "type"),
        level_mean=round(float(levels[:, 0].mean()), 4),
        level_std=round(float(levels[:, 1].mean()), 4),
        spread=round(float(levels[:, 0].std() / max(levels[:, 1].mean(), 1e-6)), 4),
        told_apart={name: round(told_apart(small, name), 3) for name in ORIENTATIONS},
    )


def _spread(lengths: np.ndarray) -> tuple[int, int, int]:
    return int(lengths.min()), int(np.median(lengths)), int(lengths.max())


def _spread_over_classes(cases: Sequence[Case], target: str, most: int) -> list[Case]:
    """At most `most` cases, classes alike, evenly spaced through each class: no chance in it."""
    groups: dict[str, list[Case]] = {}
    for case in cases:
        if case.targets.get(target, "") != "":
            groups.setdefault(case.targets[target], []).append(case)
    each = max(1, most // max(1, len(groups)))
    return [group[i] for group in groups.values() for i in _evenly(len(group), each)]


def _evenly(n: int, most: int) -> list[int]:
    return sorted({int(i) for i in np.linspace(0, n - 1, min(n, most))})


def _counts(cases: Sequence[Case], target: str) -> dict[str, int]:
    tally = Counter(case.targets.get(target, "") for case in cases)
    return {name: tally[name] for name in sorted(tally) if name != ""}


def _tally(looks: list[dict[str, Any]], key: str) -> dict[str, int]:
    return dict(Counter(look[key] or "not stated" for look in looks).most_common())


def _look(image: Image) -> dict[str, Any]:
    pixels = image.pixels if not image.is_volume else image.pixels[:, image.size[0] // 2]
    grey = pixels.astype(np.float32).mean(axis=0)
    low, high = np.percentile(grey, [0.5, 99.5])
    scaled = np.clip((grey - low) / max(high - low, 1e-6), 0, 1)
    small = _resized(scaled, (SIDE, SIDE))
    return {
        "size": grey.shape,
        "unit": image.unit,
        "modality": image.modality,
        "type": str(image.pixels.dtype),
        "volume": image.is_volume,
        "colour": is_coloured(pixels),
        "level": (float(grey.mean()), float(grey.std())),
        "small": small,
    }


def is_coloured(pixels: np.ndarray) -> bool:
    if len(pixels) < 3:
        return False
    colour = pixels[:3].astype(np.float32)
    scale = max(float(colour.max() - colour.min()), 1e-6)
    return bool(np.abs(colour - colour.mean(axis=0)).mean() / scale > 0.01)


def _resized(picture: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    return Resize(size=size)(Image(picture[None])).pixels[0]
