"""Lesion-wise detection: which pieces of the truth were found, and which findings are of nothing.

A lesion is a connected component of a label. Voxel figures say little about small ones: a mask
may miss nine lesions of ten and keep its Dice. Terms after Maier-Hein, Reinke et al. 2024,
doi:10.1038/s41592-023-02151-z (detection on instances, their localisation criteria).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tomos.measures.components import Components, components, ranges
from tomos.types import GeometryError, SettingsError

Criterion = Literal["touch", "cover", "iou"]


@dataclass(frozen=True, slots=True)
class Match:
    """When a true lesion counts as hit, and a found one as right.

    criterion     touch  they share a voxel with the other mask
                  cover  at least the share `at_least` of them lies in the other mask
                  iou    one true and one found lesion whose IoU is at least `at_least`, each used
                         once, the pairs of highest IoU first
    at_least      in (0, 1]; touch does not look at it
    connectivity  what hangs together, as in `components`; None is faces, edges and corners
    """

    criterion: Criterion = "touch"
    at_least: float = 0.5
    connectivity: int | None = None

    def __post_init__(self) -> None:
        if self.criterion not in ("touch", "cover", "iou"):
            raise SettingsError(f"match: expected touch, cover or iou, got {self.criterion!r}")
        if not 0 < self.at_least <= 1:
            raise SettingsError(
                f"match: at_least is a share above 0 and up to 1, got {self.at_least}"
            )

    @property
    def words(self) -> str:
        """The criterion, for a table's caption."""
        return {
            "touch": "at least one shared voxel",
            "cover": f"at least {self.at_least:g} of it covered",
            "iou": f"IoU of at least {self.at_least:g}, one to one",
        }[self.criterion]


@dataclass(frozen=True, slots=True)
class Lesions:
    """Counts over the lesions of one label, or of many cases added up with `+`.

    true, hit     lesions of the truth, and how many of them were found
    found, right  lesions of the other mask, and how many of them are of something true
    """

    true: int
    hit: int
    found: int
    right: int

    def __add__(self, other: Lesions) -> Lesions:
        return Lesions(
            self.true + other.true,
            self.hit + other.hit,
            self.found + other.found,
            self.right + other.right,
        )

    @property
    def sensitivity(self) -> float:
        """Share of the true ones that were found; NaN where there are none."""
        return self.hit / self.true if self.true else float("nan")

    @property
    def precision(self) -> float:
        """Share of the found ones that are true; NaN where none was found."""
        return self.right / self.found if self.found else float("nan")

    @property
    def f1(self) -> float:
        """Harmonic mean of both; 0 where lesions stand on one side only, NaN where on neither."""
        if not (self.true and self.found):
            return 0.0 if self.true or self.found else float("nan")
        both = self.sensitivity + self.precision
        return 2 * self.sensitivity * self.precision / both if both else 0.0


def lesions(
    found: np.ndarray, truth: np.ndarray, labels: int, match: Match | None = None
) -> list[Lesions]:
    """Of each label 1..K in two label arrays (Y, X) or (Z, Y, X) of one shape."""
    match = match or Match()
    if found.shape != truth.shape:
        raise GeometryError(
            f"lesions: expected two masks of one grid, got {found.shape} and {truth.shape}"
        )
    one, other = components(found, match.connectivity), components(truth, match.connectivity)
    mine, theirs, voxels = _shared(one, other)
    if match.criterion == "iou":
        right, hit = _paired(one, other, mine, theirs, voxels, match.at_least)
    else:
        right = _covered(one, mine, voxels, match)
        hit = _covered(other, theirs, voxels, match)
    return [
        Lesions(*(int(n) for n in row))
        for row in zip(
            _count(other.label, labels),
            _count(other.label[hit], labels),
            _count(one.label, labels),
            _count(one.label[right], labels),
            strict=True,
        )
    ]


def _count(label: np.ndarray, labels: int) -> np.ndarray:
    return np.bincount(label, minlength=labels + 1)[1 : labels + 1]


def _shared(one: Components, other: Components) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of components of one label that overlap, (P,) and (P,), and in how many voxels."""
    low = np.searchsorted(other.stop, one.start, side="right")
    high = np.searchsorted(other.start, one.stop, side="left")
    mine, theirs = np.repeat(np.arange(len(one.start)), high - low), ranges(low, high)
    length = np.minimum(one.stop[mine], other.stop[theirs])
    length -= np.maximum(one.start[mine], other.start[theirs])
    a, b = one.piece[mine], other.piece[theirs]
    same = one.label[a] == other.label[b]
    pair, inverse = np.unique(a[same] * len(other) + b[same], return_inverse=True)
    a, b = np.divmod(pair, max(len(other), 1))
    return a, b, np.bincount(inverse, length[same], minlength=len(pair))


def _covered(parts: Components, piece: np.ndarray, voxels: np.ndarray, match: Match) -> np.ndarray:
    covered = np.bincount(piece, voxels, minlength=len(parts))
    if match.criterion == "touch":
        return covered > 0
    return covered >= match.at_least * parts.voxels * (1 - 1e-9)


def _paired(
    one: Components,
    other: Components,
    mine: np.ndarray,
    theirs: np.ndarray,
    voxels: np.ndarray,
    least: float,
) -> tuple[np.ndarray, np.ndarray]:
    iou = voxels / (one.voxels[mine] + other.voxels[theirs] - voxels)
    right, hit = np.zeros(len(one), bool), np.zeros(len(other), bool)
    for pair in _falling(iou, least):
        if not (right[mine[pair]] or hit[theirs[pair]]):
            right[mine[pair]] = hit[theirs[pair]] = True
    return right, hit


def _falling(iou: np.ndarray, least: float) -> Iterator[int]:
    order = np.argsort(-iou, kind="stable")
    yield from (int(pair) for pair in order if iou[pair] >= least * (1 - 1e-9))
