"""What the rules for masks look at: sizes and spacings of the grids, values inside the labels, how
much and how often each label is there.

Figures only, never a picture, as `tomos.plan.fingerprint`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from tomos.config import Settings
from tomos.datasets import Dataset, prepare_case
from tomos.measures.components import components
from tomos.plan.fingerprint import is_coloured
from tomos.plan.symmetry import ORIENTATIONS, told_apart
from tomos.transforms.prepare import Chain
from tomos.transforms.prepare.even import Step as Even
from tomos.transforms.prepare.resize import Step as Resize
from tomos.types import Case, DatasetError, FormatError, Image, Part, Progress, Silent

SIDE = 64
EVEN = 33  # side of the surroundings that light is evened out over, in pixels
EVENED = 16  # pictures whose light is evened out, to see whether that helps: it takes long
COUNTED = 2**20  # voxels of a case that are looked at for centres
SAMPLED = 20_000  # values inside labels that are kept of a case
IGNORED = 255


class LabelFacts(Settings):
    """One label: cases that hold it, and over these

    share, median, smallest  median share of the voxels, median and smallest volume in voxels
    centre                   (D,) mean of its centres, as a share of each axis
    pieces, piece            median number of its pieces, and of the voxels of the largest one
    thickness                median, in voxels: of a plate, or a line in 2D, its width; of a tube
                             or disc half, of a ball a third of its diameter
    apart, apart_even        of pictures: how far its grey lies from that of the rest, in spreads
                             of the two, as it is and once the light is evened out (0: not known)
    """

    cases: int
    share: float
    median: int
    smallest: int
    centre: tuple[float, ...] = ()
    pieces: float = 0.0
    piece: float = 0.0
    thickness: float = 0.0
    apart: float = 0.0
    apart_even: float = 0.0


class RoleFacts(Settings):
    """One of several images of a case.

    name       its role
    units, modalities  as in `MaskFingerprint`, of this image
    channels   of the image: 3 where pictures have colour
    inside     as in `MaskFingerprint`, of this image
    resampled  share of the cases in which it was interpolated onto the grid of the reference
    """

    name: str
    channels: int
    units: dict[str, int]
    modalities: dict[str, int]
    inside: tuple[float, float, float, float]
    resampled: float = 0.0

    @property
    def in_hounsfield(self) -> bool:
        """Whether its values are absolute ones of CT: by the headers, or, where these do not say,
        by what the data set calls it."""
        return "HU" in self.units or (set(self.units) == {"1"} and self.name.upper() == "CT")


class MaskFingerprint(Settings):
    """Figures of the part learned from, over `n_looked_at` cases.

    roles       of cases with several images each of these, the reference first, to which all other
                values, colours and modalities belong; () where there is one

    axes        2: pictures, 3: volumes, on the axes of `orient`
    sizes       (3, D) smallest, median, largest length along each axis, in voxels
    spacings    (3, D) 10th percentile, median, 90th percentile, in mm; 1 where no size is known
    placed      whether the grids have a known size in mm
    colour      share of pictures with real colour
    inside      values inside the labels: mean, spread, 0.5th and 99.5th percentile; of grey images
    labels      class -> how much of it there is
    told_apart  as in `Fingerprint`, of middle slices
    """

    n_cases: int = Field(ge=0)
    n_patients: int = Field(ge=0)
    patients_known: bool
    n_val: int = Field(ge=0)
    n_looked_at: int = Field(ge=0)
    axes: int
    sizes: tuple[tuple[int, ...], ...]
    spacings: tuple[tuple[float, ...], ...]
    placed: bool
    colour: float = Field(ge=0, le=1)
    units: dict[str, int]
    modalities: dict[str, int]
    types: dict[str, int]
    inside: tuple[float, float, float, float]
    labels: dict[str, LabelFacts]
    told_apart: dict[str, float]
    roles: tuple[RoleFacts, ...] = ()


@dataclass(frozen=True)
class _Look:
    """What is kept of one case.

    values  inside labels, of each image
    parts   what each image is; () where there is one
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    placed: bool
    words: dict[str, str]
    coloured: bool
    values: Sequence[np.ndarray]
    parts: Sequence[Part]
    counts: np.ndarray
    centres: np.ndarray
    pieces: tuple[np.ndarray, ...]
    faces: np.ndarray
    apart: np.ndarray
    small: np.ndarray


def mask_fingerprint(
    train: Dataset, val: Dataset, look_at: int = 100, progress: Progress | None = None
) -> MaskFingerprint:
    """Measure `train` (only its size for `val`), looking at up to `look_at` of its cases.

    Raises DatasetError when no case can be read, or pictures and volumes are mixed.
    """
    progress = progress or Silent()
    masked = [case for case in train.cases if case.targets.get(train.info.target)]
    picked = [masked[i] for i in _evenly(len(masked), look_at)]
    few = set(_evenly(len(picked), EVENED))
    looks, problem = [], ""
    for done, case in enumerate(picked):
        progress.step(done + 1, len(picked), "looking at cases")
        try:
            looks.append(_look(train, case, evened=done in few))
        except FormatError as error:
            problem = problem or str(error)
    if not looks:
        raise DatasetError(
            f"{train.folder}: none of {len(picked)} cases could be read with its mask; {problem}"
        )
    if len({len(look.size) for look in looks}) > 1:
        raise DatasetError(f"{train.folder}: some cases are pictures, some volumes; divide the set")
    sizes = np.array([look.size for look in looks])
    spacings = np.array([look.spacing for look in looks])
    placed = all(look.placed for look in looks)
    if not placed:
        spacings = np.ones_like(spacings)
    small = np.stack([look.small for look in looks])
    return MaskFingerprint(
        n_cases=len(masked),
        n_patients=len({case.group for case in masked}),
        patients_known=all(case.patient for case in masked),
        n_val=sum(bool(case.targets.get(val.info.target)) for case in val.cases),
        n_looked_at=len(looks),
        axes=sizes.shape[1],
        sizes=_rows((sizes.min(0), np.median(sizes, 0), sizes.max(0)), int),
        spacings=_rows(np.percentile(spacings, (10, 50, 90), axis=0), lambda v: round(float(v), 5)),
        placed=placed,
        colour=round(float(np.mean([look.coloured for look in looks])), 3),
        units=_tally(looks, "unit"),
        modalities=_tally(looks, "modality"),
        types=_tally(looks, "type"),
        inside=_inside(np.concatenate([look.values[0] for look in looks])),
        labels=_labels(train.classes, looks),
        told_apart={name: round(told_apart(small, name), 3) for name in ORIENTATIONS},
        roles=_roles(train.roles, looks),
    )


def _roles(names: Sequence[str], looks: Sequence[_Look]) -> tuple[RoleFacts, ...]:
    found = []
    for k, name in enumerate(names):
        parts = [look.parts[k] for look in looks]
        found.append(
            RoleFacts(
                name=name,
                channels=Counter(part.channels for part in parts).most_common(1)[0][0],
                units=dict(Counter(part.unit for part in parts).most_common()),
                modalities=dict(Counter(p.modality or "not stated" for p in parts).most_common()),
                inside=_inside(np.concatenate([look.values[k] for look in looks])),
                resampled=round(sum(part.resampled for part in parts) / len(parts), 3),
            )
        )
    return tuple(found)


def _look(train: Dataset, case: Case, evened: bool) -> _Look:
    image, labels = prepare_case(train, case, Chain([{"step": "orient"}]))
    whole, image = image, image.first
    grey = image.pixels.mean(axis=0)
    counts = np.bincount(labels.ravel(), minlength=IGNORED + 1)[: len(train.classes) + 1]
    middle = grey[len(grey) // 2] if image.is_volume else grey
    low, high = np.percentile(middle, (0.5, 99.5))
    scaled = np.clip((middle - low) / max(high - low, 1e-6), 0, 1)
    small = Resize(size=(SIDE, SIDE))(Image(scaled[None].astype(np.float32))).pixels[0]
    return _Look(
        size=image.size,
        spacing=image.spacing,
        placed=image.frame != "pixel",
        words={
            "unit": image.unit,
            "modality": image.modality or "not stated",
            "type": str(image.pixels.dtype),
        },
        coloured=is_coloured(image.pixels),
        values=_values(whole, (labels > 0) & (labels != IGNORED)),
        parts=whole.parts,
        counts=counts,
        centres=_centres(labels, len(train.classes)),
        pieces=_pieces(labels, len(train.classes)),
        faces=_faces(labels, len(train.classes)),
        apart=_apart(image, labels, len(train.classes), evened and not whole.parts),
        small=small,
    )


def _values(image: Image, inside: np.ndarray) -> list[np.ndarray]:
    """Of each of the images that make one, some grey values inside the labels."""
    found, start = [], 0
    for count in [part.channels for part in image.parts] or [image.channels]:
        values = image.pixels[start : start + count].mean(axis=0)[inside]
        rng = np.random.default_rng(0)
        kept = len(values) <= SAMPLED
        found.append(values if kept else rng.choice(values, SAMPLED, replace=False))
        start += count
    return found


def _centres(labels: np.ndarray, classes: int) -> np.ndarray:
    """(K, D) the centre of each label as a share of each axis, NaN where it is not there; of every
    few voxels of a large volume."""
    step = max(1, math.ceil((labels.size / COUNTED) ** (1 / labels.ndim)))
    few = labels[(slice(None, None, step),) * labels.ndim]
    out = np.full((classes, labels.ndim), np.nan)
    for k in range(classes):
        at = np.argwhere(few == k + 1)
        if len(at):
            out[k] = (at.mean(axis=0) + 0.5) / few.shape
    return out


def _evenly(n: int, most: int) -> list[int]:
    return sorted({int(i) for i in np.linspace(0, n - 1, min(n, most))})


def _rows(values: Any, kind: Any) -> tuple[tuple[Any, ...], ...]:
    return tuple(tuple(kind(value) for value in row) for row in values)


def _tally(looks: list[_Look], key: str) -> dict[str, int]:
    return dict(Counter(look.words[key] for look in looks).most_common())


def _inside(values: np.ndarray) -> tuple[float, float, float, float]:
    if not len(values):
        raise DatasetError(
            "every mask to learn from that was looked at is empty, so there is nothing to learn; "
            "see what lacks with: tomos check"
        )
    low, high = np.percentile(values, (0.5, 99.5))
    found = (values.mean(dtype=np.float64), values.std(dtype=np.float64), low, high)
    mean, std, low, high = (round(float(value), 4) for value in found)
    return mean, std, low, high


def _pieces(labels: np.ndarray, classes: int) -> tuple[np.ndarray, ...]:
    """Of each label the voxels of its pieces."""
    found = components(np.where(labels == IGNORED, labels.dtype.type(0), labels))
    return tuple(found.voxels[found.label == k] for k in range(1, classes + 1))


def _faces(labels: np.ndarray, classes: int) -> np.ndarray:
    """(K + 1,) sides of voxels between a label and another one, of each."""
    found = np.zeros(IGNORED + 1, np.int64)
    for axis in range(labels.ndim):
        along = np.moveaxis(labels, axis, 0)
        before, after = along[:-1], along[1:]
        edge = (before != after) & (before != IGNORED) & (after != IGNORED)
        for side in (before, after):
            found += np.bincount(side[edge], minlength=IGNORED + 1)
    return found[: classes + 1]


def _apart(image: Image, labels: np.ndarray, classes: int, evened: bool) -> np.ndarray:
    """(K, 2): `LabelFacts.apart` and `apart_even` of one picture; 0 of a volume, or if not
    `evened`."""
    found = np.zeros((classes, 2))
    if image.is_volume or not evened:
        return found
    even = Even(window=EVEN)(image)
    for column, grey in enumerate((image.pixels.mean(axis=0), even.pixels.mean(axis=0))):
        known = labels != IGNORED
        for k in range(classes):
            inside, outside = grey[labels == k + 1], grey[known & (labels != k + 1)]
            if len(inside) > 1 and len(outside) > 1:
                spread = math.sqrt((float(inside.var()) + float(outside.var())) / 2)
                gap = abs(float(inside.mean(dtype=float)) - float(outside.mean(dtype=float)))
                found[k, column] = gap / spread if spread else 0.0
    return found


def _labels(classes: tuple[str, ...], looks: Sequence[_Look]) -> dict[str, LabelFacts]:
    counts = np.stack([look.counts for look in looks])  # (N, K + 1), background first
    centres = np.stack([look.centres for look in looks])
    # Sides of voxels are more than the surface they stand for: 4 / pi times in 2D, 3 / 2 in 3D.
    rough = {2: 4 / math.pi, 3: 1.5}[centres.shape[2]]
    faces = np.maximum(1, np.stack([look.faces for look in looks]))
    whole, found = counts.sum(axis=1), {}
    for k, name in enumerate(classes, 1):
        there = counts[:, k] > 0
        own = counts[there, k]
        pieces = [look.pieces[k - 1] for look in looks if len(look.pieces[k - 1])]
        found[name] = LabelFacts(
            cases=int(there.sum()),
            share=round(float(np.median(own / whole[there])), 6) if len(own) else 0.0,
            median=int(np.median(own)) if len(own) else 0,
            smallest=int(own.min()) if len(own) else 0,
            centre=_mean(centres[:, k - 1]),
            pieces=float(np.median([len(each) for each in pieces])) if pieces else 0.0,
            piece=float(np.median([each.max() for each in pieces])) if pieces else 0.0,
            thickness=round(float(np.median(2 * rough * own / faces[there, k])), 2)
            if len(own)
            else 0.0,
            apart=_median([look.apart[k - 1, 0] for look in looks]),
            apart_even=_median([look.apart[k - 1, 1] for look in looks]),
        )
    return found


def _mean(centres: np.ndarray) -> tuple[float, ...]:
    known = centres[np.isfinite(centres).all(axis=1)]
    return tuple(round(float(v), 3) for v in known.mean(axis=0)) if len(known) else ()


def _median(values: list[float]) -> float:
    known = [value for value in values if value]
    return round(float(np.median(known)), 3) if known else 0.0
