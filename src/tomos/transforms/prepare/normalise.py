"""The scale of values a network learns on."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from tomos.transforms.prepare._stack import (
    Channel,
    StackStep,
    along,
    flat,
    limits,
    of_some,
    percentiles,
)
from tomos.types import FormatError, Image

# Mean and spread of R, G, B in 0..1 over ImageNet, which published weights were trained with.
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Step(StackStep):
    """Bring the values to the scale of `kind`.

    kind  "zscore"      each picture to mean 0 and spread 1, all channels together
          "percentile"  each picture so that `low` .. `high` becomes 0..1, clipped
          "fixed"       (x - mean) / std with the stated numbers, one or one a channel, in the unit
                        the pixels have at this point
          "range"       the values the file could hold to 0..1
          "imagenet"    "range", then ImageNet's mean and spread (their means for one channel)

    only  channels, counted from 0, that this is done to, all of them together: those of one of
          several images; none: all

    A picture of one value becomes 0. Raises FormatError where "range" has no bounds to go by, or
    where mean and std are for another number of channels.
    """

    kind: Literal["zscore", "percentile", "fixed", "range", "imagenet"] = "zscore"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    low: float = Field(0.5, ge=0, lt=100)
    high: float = Field(99.5, gt=0, le=100)
    only: tuple[Channel, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Step:
        if self.kind == "fixed" and (not self.mean or len(self.mean) != len(self.std)):
            raise ValueError("fixed needs mean and std, as many of one as of the other")
        if any(s <= 0 for s in self.std) or self.low >= self.high:
            raise ValueError("expected std > 0 and low < high")
        return self

    def stack(self, x: np.ndarray, like: Image) -> tuple[np.ndarray, dict[str, Any]]:
        return of_some(self._all, self.only)(x, like) if self.only else self._all(x, like)

    def _all(self, x: np.ndarray, like: Image) -> tuple[np.ndarray, dict[str, Any]]:
        changes = {"value_range": None, "window": None, "unit": "1"}
        if self.kind == "zscore":
            return _zscore(x), changes
        if self.kind == "percentile":
            low, high = percentiles(x, self.low, self.high)
            width = np.where(high > low, high - low, 1)
            y = np.clip((x.astype(np.float32) - along(low, x)) / along(width, x), 0, 1)
            return y, changes | {"value_range": (0.0, 1.0)}
        if self.kind == "fixed":
            return _fixed(x, self.mean, self.std, like), changes
        x = _ranged(x, like)
        if self.kind == "range":
            return x, changes | {"value_range": (0.0, 1.0)}
        mean, std = _IMAGENET
        if x.shape[1] == 1:
            return _fixed(x, (sum(mean) / 3,), (sum(std) / 3,), like), changes
        return _fixed(x, mean, std, like), changes


def _zscore(x: np.ndarray) -> np.ndarray:
    pixels = flat(x)
    mean = pixels.mean(axis=1, keepdims=True)
    moved = pixels - mean
    std = np.sqrt(np.square(moved).mean(axis=1, keepdims=True))
    # Spread below what float32 resolves at this mean is rounding, not a picture.
    real = std > 1e-6 * np.maximum(1.0, np.abs(mean))
    moved *= np.where(real, 1 / np.where(real, std, 1), 0)
    return moved.reshape(x.shape)


def _fixed(
    x: np.ndarray, mean: tuple[float, ...], std: tuple[float, ...], like: Image
) -> np.ndarray:
    if len(mean) not in (1, x.shape[1]):
        raise FormatError(
            f"{like.origin.path or 'image'}: expected {len(mean)} channels to normalise with "
            f"{len(mean)} means, got {x.shape[1]}; put the step `channels` before this one"
        )
    shape = (1, -1, *[1] * (x.ndim - 2))
    centre = np.asarray(mean, np.float32).reshape(shape)
    factor = np.asarray([1 / s for s in std], np.float32).reshape(shape)
    y = x.astype(np.float32)
    y -= centre
    y *= factor
    return y


def _ranged(x: np.ndarray, like: Image) -> np.ndarray:
    bounds = limits(like)
    if bounds is None or bounds[1] <= bounds[0]:
        raise FormatError(
            f"{like.origin.path or 'image'}: expected pixels with a known lowest and highest "
            f"value, got {like.pixels.dtype} without; use normalise kind zscore or percentile"
        )
    y = x.astype(np.float32)
    y -= np.float32(bounds[0])
    y *= np.float32(1 / (bounds[1] - bounds[0]))
    return y
