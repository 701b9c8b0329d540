"""What lies where: a label for every pixel or voxel of an image's grid."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from tomos.types.errors import GeometryError
from tomos.types.image import Frame, Image, Origin


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """Labels on a grid.

    labels  (Z, Y, X) or (Y, X), unsigned integers: 0 = background, i = names[i - 1]
    names   of the labels 1..K, in order
    affine  (4, 4) float64: index in array order -> mm, as `Image`
    frame   what the affine's target is, as `Image`
    origin  where it came from
    """

    labels: np.ndarray
    names: tuple[str, ...]
    affine: np.ndarray = field(default_factory=lambda: np.eye(4))
    frame: Frame = "pixel"
    origin: Origin = field(default_factory=Origin)

    def __post_init__(self) -> None:
        where = self.origin.path or "mask"
        if self.labels.ndim not in (2, 3) or self.labels.dtype.kind not in "ub":
            raise GeometryError(
                f"{where}: expected labels (Y, X) or (Z, Y, X) of unsigned integers, got "
                f"{self.labels.dtype} of shape {self.labels.shape}"
            )
        if self.labels.size and int(self.labels.max()) > len(self.names):
            raise GeometryError(
                f"{where}: expected labels up to {len(self.names)} ({', '.join(self.names)}), "
                f"got {int(self.labels.max())}"
            )
        if self.affine.shape != (4, 4) or not np.isfinite(self.affine).all():
            raise GeometryError(
                f"{where}: expected a finite (4, 4) affine, got {self.affine.tolist()}"
            )

    @staticmethod
    def on(image: Image, labels: np.ndarray, names: tuple[str, ...]) -> Mask:
        """Labels on the grid of `image`; GeometryError when their shape is another."""
        if labels.shape != image.size:
            raise GeometryError(
                f"{image.origin.path or 'image'}: expected labels of the image's size "
                f"{image.size}, got {labels.shape}"
            )
        return Mask(labels, names, image.affine, image.frame, image.origin)

    @property
    def size(self) -> tuple[int, ...]:
        """Length along each spatial axis in array order: (Y, X) or (Z, Y, X)."""
        return self.labels.shape

    @property
    def is_volume(self) -> bool:
        return self.labels.ndim == 3

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance between neighbours along each spatial axis, in mm (in pixels for "pixel")."""
        steps = np.linalg.norm(self.affine[:3, :3], axis=0)
        return tuple(float(step) for step in steps[-self.labels.ndim :])

    def counts(self) -> dict[str, int]:
        """Pixels or voxels of each label, those that are not there included."""
        # Plane by plane: numpy counts in eight bytes a voxel.
        found = np.zeros(len(self.names) + 1, np.int64)
        for plane in self.labels if self.is_volume else [self.labels]:
            found += np.bincount(plane.ravel(), minlength=len(found))
        return dict(zip(self.names, found[1:].tolist(), strict=True))

    def extents(self) -> dict[str, float]:
        """How much there is of each label, in `unit`."""
        return {name: count * self.each for name, count in self.counts().items()}

    @property
    def unit(self) -> Literal["ml", "mm2", "voxels"]:
        """Of `extents`: "ml", "mm2" or "voxels"."""
        if self.frame == "pixel":
            return "voxels"
        return "ml" if self.is_volume else "mm2"

    @property
    def each(self) -> float:
        """The extent of one voxel, in the unit of `extents`."""
        if self.frame == "pixel":
            return 1.0
        if self.is_volume:
            return abs(float(np.linalg.det(self.affine[:3, :3]))) / 1000
        return float(np.prod(self.spacing))

    def with_labels(self, labels: np.ndarray, affine: np.ndarray | None = None) -> Mask:
        """The same names with other labels; `affine` must be given when the grid changed."""
        if affine is None and labels.shape != self.labels.shape:
            raise GeometryError(
                f"labels on a new grid {labels.shape} (was {self.labels.shape}) need their affine"
            )
        return replace(self, labels=labels, affine=self.affine if affine is None else affine)
