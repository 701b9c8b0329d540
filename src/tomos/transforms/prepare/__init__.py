"""Deterministic preparation, the same code in training and in serving. numpy only.

A preparation is plain data, a list of `{"step": NAME, ...settings}`; NAME is a file of this folder,
which holds one class `Step(Settings)` with `__call__(image) -> Image`. A step that changes the grid
changes the affine with it, so that anything on the prepared grid is carried back by geometry alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tomos.config import parse, plugin
from tomos.types import Image, SettingsError


class Chain:
    """Steps in order. Callable: Image -> Image with float32 pixels of the model's size."""

    def __init__(self, steps: Iterable[Mapping[str, Any]]):
        self.data = tuple(dict(step) for step in steps)
        self.steps = tuple(_step(step) for step in self.data)

    def __call__(self, image: Image) -> Image:
        for step in self.steps:
            image = step(image)
        return image.with_pixels(np.ascontiguousarray(image.pixels, dtype=np.float32))


def _step(data: Mapping[str, Any]):
    settings = dict(data)
    name = settings.pop("step", None)
    if not isinstance(name, str):
        raise SettingsError(f"a preparation step needs its name: step = ..., got {dict(data)}")
    return parse(plugin("tomos.transforms.prepare", name).Step, settings, f"prepare step {name!r}")
