"""What a step of augmentation is: numbers drawn for a case, and what they do to its picture."""

from __future__ import annotations

from itertools import product
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from pydantic import BeforeValidator, Field

from tomos.config import Settings
from tomos.transforms.augment._bank import Bank

Padding = Literal["border", "zeros", "reflection"]
Size = tuple[int, ...]  # (Y, X) of a picture, (Z, Y, X) of a volume
_STRETCH = 2**18  # values that fit into a core's cache


def _around_zero(value: object) -> object:
    """A single number v means from -v to v."""
    return (-value, value) if isinstance(value, int | float) else value


Span = tuple[float, float]  # lowest and highest
Around = Annotated[Span, BeforeValidator(_around_zero)]


class RandomStep(Settings):
    """A step that is carried out for a case with `probability`.

    columns  what its numbers are; zero in all of them leaves the picture as it is
    chances  how many uniform numbers `values` makes them from
    volume_columns, volume_chances  the same for volumes, where they are others
    """

    probability: float = Field(1.0, ge=0, le=1)

    columns: ClassVar[tuple[str, ...]] = ()
    chances: ClassVar[int] = 0
    volume_columns: ClassVar[tuple[str, ...]] = ()
    volume_chances: ClassVar[int] = 0

    @classmethod
    def columns_of(cls, axes: int) -> tuple[str, ...]:
        """The columns for pictures (2 axes) or volumes (3)."""
        return (cls.volume_columns or cls.columns) if axes == 3 else cls.columns

    @classmethod
    def chances_of(cls, axes: int) -> int:
        return (cls.volume_chances or cls.chances) if axes == 3 else cls.chances

    def values(self, u: np.ndarray) -> np.ndarray:
        """Uniform numbers (n, chances) in [0, 1) -> (n, columns)."""
        raise NotImplementedError

    def draw(self, generator: np.random.Generator, n: int, axes: int = 2) -> np.ndarray:
        """(n, columns) float32; row i is the same for every n > i."""
        u = generator.random((n, 1 + self.chances_of(axes)))
        numbers = self.values(u[:, 1:])
        return np.where(u[:, :1] < self.probability, numbers, 0).astype(np.float32)


class GeometryStep(RandomStep):
    """A step that moves pixels. All of a chain are composed and carried out as one resampling.

    padding  what lies outside the picture: its rim ("border"), 0 ("zeros") or its mirror image
             ("reflection"); one for the whole chain
    """

    padding: Padding = "border"

    def matrix(self, numbers: np.ndarray, size: Size) -> np.ndarray:
        """(B, columns) -> (B, axes + 1, axes + 1): where a point goes.

        Points are (x, y, 1) or (x, y, z, 1) from the middle, x to the right, y down. What a matrix
        does to directions holds in lengths (mm), so that turning anisotropic voxels does not slant
        things; its last column is in pixels. `size` is (Y, X) or (Z, Y, X).
        """
        raise NotImplementedError

    def reach(self, half: np.ndarray, size: Size, spacing: np.ndarray) -> np.ndarray:
        """The box that all points of a box can come from, whatever is drawn.

        half, result  (axes,) half lengths about the middle, (x, y[, z]) in pixels
        spacing       (axes,) lengths of a pixel, (x, y[, z])

        It is looked up at the corners of what can be drawn, which is right for steps whose inverse
        changes in one direction, or linearly, with each of their chances; others say it themselves.
        """
        axes = len(size)
        corners = np.array(list(product((0.0, 1.0), repeat=self.chances_of(axes))))
        back = np.linalg.inv(in_pixels(self.matrix(self.values(corners), size), spacing))
        far = np.abs(back[:, :axes, :axes]) @ half + np.abs(back[:, :axes, axes])
        return np.maximum(far.max(axis=0), half)  # a step may also be left out


class IntensityStep(RandomStep):
    """A step that changes values and leaves pixels where they are.

    everywhere  whether numbers of zero leave values equal to the last bit, and it is quicker to do
                the whole batch than to pick rows
    """

    everywhere: ClassVar[bool] = False

    def change(self, x: torch.Tensor, numbers: np.ndarray, bank: Bank) -> torch.Tensor:
        """x (B, C, [Z,] Y, X) float32, its numbers (B, columns) -> the changed x, or x."""
        raise NotImplementedError


def still(n: int, axes: int) -> np.ndarray:
    """(n, axes + 1, axes + 1) matrices that move nothing."""
    return np.tile(np.eye(axes + 1), (n, 1, 1))


def in_pixels(moves: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Matrices of `GeometryStep.matrix` -> the same with directions in pixels, too."""
    axes = len(spacing)
    if (spacing == spacing[0]).all():
        return moves
    moves = moves.copy()
    moves[:, :axes, :axes] *= spacing[None, :] / spacing[:, None]
    return moves


def spread(u: np.ndarray, span: Span) -> np.ndarray:
    """Uniform in [0, 1) -> uniform over the span."""
    return span[0] + u * (span[1] - span[0])


def spread_log(u: np.ndarray, span: Span) -> np.ndarray:
    """Uniform in [0, 1) -> natural logarithm of a factor, uniform in the logarithm."""
    return spread(u, (float(np.log(span[0])), float(np.log(span[1]))))


def fresh(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """New memory, not filled. That of a volume takes a tenth of the time from numpy, which asks the
    system for large pages; torch does not."""
    if device.type != "cpu":
        return torch.empty(shape, dtype=dtype, device=device)
    return torch.from_numpy(np.empty(shape, torch.empty(0, dtype=dtype).numpy().dtype))


def per_row(values: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    """(B,) -> (B, 1, ..., 1) with the axes and on the device of `like`."""
    made = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    return made.to(like.device, non_blocking=True).view(-1, *[1] * (like.ndim - 1))


def mean_of(x: torch.Tensor) -> torch.Tensor:
    """(B, 1, ..., 1) mean of each row."""
    return x.flatten(1).mean(1).view(-1, *[1] * (x.ndim - 1))


def spread_of(x: torch.Tensor) -> torch.Tensor:
    """(B, 1, ..., 1) standard deviation of each row; 2 passes, much quicker than `std`."""
    mean = mean_of(x)
    if x.device.type != "cpu" or not len(x) or x[0].numel() < 2 * _STRETCH:
        mean_square = (x - mean).square_().flatten(1).mean(1)
    else:
        # A difference as large as a volume would be written into memory fresh from the system,
        # which takes longer than all else.
        sums = [
            sum((part - centre).square_().sum() for part in row.flatten().split(_STRETCH))
            for row, centre in zip(x, mean.flatten(), strict=True)
        ]
        mean_square = torch.stack(sums) / x[0].numel()
    return mean_square.sqrt_().view(-1, *[1] * (x.ndim - 1))
