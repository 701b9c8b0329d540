"""Pixels and where they lie in the patient."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from tomos.types.errors import GeometryError

Frame = Literal["patient", "detector", "pixel"]


@dataclass(frozen=True, slots=True)
class Window:
    """A range of values to show, PS3.3 C.11.2.1.2: `centre` and `width` in the image's unit."""

    centre: float
    width: float
    function: str = "LINEAR"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an image came from: the file, and the few header facts that learning and serving use.

    Empty text means that the file does not say. `patient` is whatever the header holds and must
    not leave the data set's folder.
    """

    path: str = ""
    format: str = ""
    patient: str = ""
    study: str = ""
    series: str = ""
    instance: str = ""
    body_part: str = ""
    view: str = ""
    site: str = ""
    device: str = ""
    date: str = ""
    sex: str = ""
    age: str = ""
    transfer_syntax: str = ""
    frame_of_reference: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One of several images that were put on one grid: how many of the channels are its own, and
    what it was.

    resampled  whether it had to be interpolated onto that grid
    """

    channels: int
    unit: str = "1"
    modality: str = ""
    resampled: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """Pixels, their unit, and their place.

    pixels    (C, Z, Y, X) or (C, Y, X); the type of the file is kept (uint8, int16, float32, ...)
    affine    (4, 4) float64: array index in array order -> mm. Columns are (Z, Y, X, origin);
              a (C, Y, X) picture is slice 0 of one, so its index is (0, y, x)
    frame     what the affine's target is: "patient" = RAS+ mm as NIfTI; "detector" = mm on the
              imager's plane, place in the patient unknown (plain X-ray); "pixel" = no physical
              size known, one unit a pixel
    unit      "HU", "1" (none), "SUV", ...
    modality  DICOM Modality (0008,0060): "CT", "MR", "DX", ...; "" when the file does not say
    value_range  lowest and highest value the file could hold (0, 255), None when unbounded
    window    how the file asks to be shown, None when it does not
    parts     of several images on one grid, in the order of the channels; () of a single one.
              Place, window and origin are then those of the first
    """

    pixels: np.ndarray
    affine: np.ndarray = field(default_factory=lambda: np.eye(4))
    frame: Frame = "pixel"
    unit: str = "1"
    modality: str = ""
    value_range: tuple[float, float] | None = None
    window: Window | None = None
    origin: Origin = Origin()
    warnings: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()

    def __post_init__(self) -> None:
        if self.pixels.ndim not in (3, 4):
            raise GeometryError(
                f"{self.origin.path or 'image'}: expected pixels (C, Y, X) or (C, Z, Y, X), "
                f"got shape {self.pixels.shape}"
            )
        if self.affine.shape != (4, 4) or not np.isfinite(self.affine).all():
            raise GeometryError(
                f"{self.origin.path or 'image'}: expected a finite (4, 4) affine, "
                f"got {self.affine.tolist()}"
            )

    @property
    def channels(self) -> int:
        return self.pixels.shape[0]

    @property
    def size(self) -> tuple[int, ...]:
        """Length along each spatial axis in array order: (Y, X) or (Z, Y, X)."""
        return self.pixels.shape[1:]

    @property
    def is_volume(self) -> bool:
        return self.pixels.ndim == 4

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance between neighbours along each spatial axis, in mm (in pixels for "pixel")."""
        steps = np.linalg.norm(self.affine[:3, :3], axis=0)
        return tuple(float(step) for step in steps[-len(self.size) :])

    @property
    def first(self) -> Image:
        """Of several images on one grid the first, which is what is shown; else itself."""
        if not self.parts:
            return self
        part = self.parts[0]
        pixels = self.pixels[: part.channels]
        return replace(self, pixels=pixels, unit=part.unit, modality=part.modality, parts=())

    def world(self, index: np.ndarray) -> np.ndarray:
        """Index (..., 3) in array order -> position (..., 3) in mm."""
        return np.asarray(index) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def with_pixels(self, pixels: np.ndarray, affine: np.ndarray | None = None, **changes) -> Image:
        """The same image with other pixels; `affine` must be given when the grid changed."""
        if affine is None:
            if pixels.shape[1:] != self.pixels.shape[1:]:
                raise GeometryError(
                    f"pixels on a new grid {pixels.shape[1:]} (was {self.pixels.shape[1:]}) "
                    "need their affine"
                )
            affine = self.affine
        if pixels.shape[0] != self.pixels.shape[0]:
            changes = {"parts": (), **changes}  # they told of other channels
        return replace(self, pixels=pixels, affine=affine, **changes)
