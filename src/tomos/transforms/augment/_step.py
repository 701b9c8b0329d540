"""What a step of augmentation is: numbers drawn for a case, and what they do to its picture."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from pydantic import BeforeValidator, Field

from tomos.config import Settings
from tomos.transforms.augment._bank import Bank

Padding = Literal["border", "zeros", "reflection"]


def _around_zero(value: object) -> object:
    """A single number v means from -v to v."""
    return (-value, value) if isinstance(value, int | float) else value


Span = tuple[float, float]  # lowest and highest
Around = Annotated[Span, BeforeValidator(_around_zero)]


class RandomStep(Settings):
    """A step that is carried out for a case with `probability`.

    columns  what its numbers are; zero in all of them leaves the picture as it is
    chances  how many uniform numbers `values` makes them from
    """

    probability: float = Field(1.0, ge=0, le=1)

    columns: ClassVar[tuple[str, ...]] = ()
    chances: ClassVar[int] = 0

    def values(self, u: np.ndarray) -> np.ndarray:
        """Uniform numbers (n, chances) in [0, 1) -> (n, columns)."""
        raise NotImplementedError

    def draw(self, generator: np.random.Generator, n: int) -> np.ndarray:
        """(n, columns) float32; row i is the same for every n > i."""
        u = generator.random((n, 1 + self.chances))
        numbers = self.values(u[:, 1:])
        return np.where(u[:, :1] < self.probability, numbers, 0).astype(np.float32)


class GeometryStep(RandomStep):
    """A step that moves pixels. All of a chain are composed and carried out as one resampling.

    padding  what lies outside the picture: its rim ("border"), 0 ("zeros") or its mirror image
             ("reflection"); one for the whole chain
    """

    padding: Padding = "border"

    def matrix(self, numbers: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """(B, columns) -> (B, 3, 3): where a point goes.

        Points are (x, y, 1) in pixels from the picture's middle, x to the right, y down; `size` is
        (Y, X).
        """
        raise NotImplementedError


class IntensityStep(RandomStep):
    """A step that changes values and leaves pixels where they are.

    everywhere  whether numbers of zero leave values equal to the last bit, and it is quicker to do
                the whole batch than to pick rows
    """

    everywhere: ClassVar[bool] = False

    def change(self, x: torch.Tensor, numbers: np.ndarray, bank: Bank) -> torch.Tensor:
        """x (B, C, Y, X) float32, its numbers (B, columns) -> the changed x, which may be x."""
        raise NotImplementedError


def spread(u: np.ndarray, span: Span) -> np.ndarray:
    """Uniform in [0, 1) -> uniform over the span."""
    return span[0] + u * (span[1] - span[0])


def spread_log(u: np.ndarray, span: Span) -> np.ndarray:
    """Uniform in [0, 1) -> natural logarithm of a factor, uniform in the logarithm."""
    return spread(u, (float(np.log(span[0])), float(np.log(span[1]))))


def per_row(values: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    """(B,) -> (B, 1, 1, 1) on the device of `like`."""
    made = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    return made.to(like.device, non_blocking=True).view(-1, 1, 1, 1)


def mean_of(x: torch.Tensor) -> torch.Tensor:
    """(B, 1, 1, 1) mean of each row."""
    return x.flatten(1).mean(1).view(-1, 1, 1, 1)


def spread_of(x: torch.Tensor) -> torch.Tensor:
    """(B, 1, 1, 1) standard deviation of each row; 2 passes, several times quicker than `std`."""
    return (x - mean_of(x)).square_().flatten(1).mean(1).sqrt_().view(-1, 1, 1, 1)
