"""The range of values that is looked at, brought to 0..1."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from tomos.transforms.prepare._stack import Channel, StackStep, along, of_some, percentiles
from tomos.types import Image, Window


class Step(StackStep):
    """Map a range of values to 0..1 and clip what lies outside.

    source  "file": the window the file asks for, "percentile" where it asks for none;
            "fixed": centre +- width / 2, in the image's unit; "percentile": from `low` to `high`,
            of each picture
    only    channels, counted from 0, that this is done to: those of one of several images; none:
            all
    """

    source: Literal["file", "fixed", "percentile"] = "file"
    centre: float | None = None
    width: float | None = Field(None, gt=0)
    low: float = Field(0.5, ge=0, lt=100)
    high: float = Field(99.5, gt=0, le=100)
    only: tuple[Channel, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Step:
        if self.source == "fixed" and (self.centre is None or self.width is None):
            raise ValueError("a fixed window needs centre and width")
        if self.low >= self.high:
            raise ValueError("expected low < high")
        return self

    def stack(self, x: np.ndarray, like: Image) -> tuple[np.ndarray, dict[str, Any]]:
        return of_some(self._all, self.only)(x, like) if self.only else self._all(x, like)

    def _all(self, x: np.ndarray, like: Image) -> tuple[np.ndarray, dict[str, Any]]:
        if self.source == "fixed":
            assert self.centre is not None and self.width is not None
            x = shown(x, Window(self.centre, self.width, "LINEAR_EXACT"))
        elif self.source == "file" and like.window is not None:
            x = shown(x, like.window)
        else:
            low, high = percentiles(x, self.low, self.high)
            width = np.where(high > low, high - low, 1)
            x = np.clip((x.astype(np.float32) - along(low, x)) / along(width, x), 0, 1)
        return x, {"value_range": (0.0, 1.0), "window": None, "unit": "1"}


def shown(x: np.ndarray, window: Window) -> np.ndarray:
    """0..1 float32 as PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID), .2 (LINEAR_EXACT)."""
    x = x.astype(np.float32)
    centre, width = window.centre, window.width
    if window.function == "SIGMOID":
        # Beyond +-80 the answer is 0 or 1 to the last bit, and exp would overflow.
        return 1 / (1 + np.exp(np.clip(-4 * (x - centre) / width, -80, 80)))
    if window.function != "LINEAR_EXACT":
        centre, width = centre - 0.5, width - 1
    if width <= 0:
        return (x > centre).astype(np.float32)
    return np.clip((x - np.float32(centre)) / np.float32(width) + np.float32(0.5), 0, 1)
