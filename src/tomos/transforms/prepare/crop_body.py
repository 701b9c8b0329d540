"""Cut away the dark surroundings of the body, the film or the field of view."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from tomos.config import Settings
from tomos.transforms.prepare._grid import cut
from tomos.types import Image


class Step(Settings):
    """Crop to the box that holds what is bright.

    A row, column or slice belongs to it when at least the share `coverage` of its pixels is
    brighter than `threshold` of the way from the darkest to the brightest value (1st and 99th
    percentile, all channels together). `margin`, a share of the box, is left around it. When less
    than `least` of the area would remain, the picture is kept whole: it has no such surroundings.
    """

    threshold: float = Field(0.1, gt=0, lt=1)
    coverage: float = Field(0.02, ge=0, lt=1)
    margin: float = Field(0.02, ge=0, le=1)
    least: float = Field(0.1, ge=0, le=1)

    def __call__(self, image: Image) -> Image:
        grey = image.pixels.mean(axis=0, dtype=np.float32)
        low, high = np.percentile(grey, (1, 99))
        if not high > low:
            return image
        bright = grey > low + self.threshold * (high - low)
        box = [self._span(bright, axis) for axis in range(bright.ndim)]
        size = tuple(b - a for a, b in box)
        if np.prod(size) < self.least * bright.size or size == bright.shape:
            return image
        pixels, affine = cut(image.pixels[None], image.affine, tuple(a for a, _ in box), size)
        return image.with_pixels(pixels[0], affine)

    def _span(self, bright: np.ndarray, axis: int) -> tuple[int, int]:
        others = tuple(a for a in range(bright.ndim) if a != axis)
        found = np.flatnonzero(bright.mean(axis=others) > self.coverage)
        if not len(found):
            return 0, 0
        first, last = int(found[0]), int(found[-1]) + 1
        extra = round(self.margin * (last - first))
        return max(0, first - extra), min(bright.shape[axis], last + extra)
