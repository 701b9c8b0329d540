"""Steps in order, for one image or for many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tomos.config import parse, plugin
from tomos.transforms.prepare._stack import StackStep, kin
from tomos.types import FormatError, GeometryError, Image, SettingsError

# Pixels worked on at once by `many`: few enough that memory stays bounded however many images there
# are, many enough that the cost of a numpy call does not count (2**22 float32 = 16 MiB).
_AT_ONCE = 2**22


class Chain:
    """Steps in order. Callable: Image -> Image with float32 pixels of the model's size.

    Raises SettingsError for an unknown step or setting, FormatError where the result is not finite,
    and whatever a step refuses.
    """

    def __init__(self, steps: Iterable[Mapping[str, Any]]):
        self.data = tuple(dict(step) for step in steps)
        self.steps = tuple(_step(step) for step in self.data)

    def __call__(self, image: Image) -> Image:
        for step in self.steps:
            image = step(image)
        pixels = np.ascontiguousarray(image.pixels, dtype=np.float32)
        if not np.isfinite(pixels).all():
            raise _not_finite(image)
        return image.with_pixels(pixels)

    def many(self, images: Sequence[Image]) -> np.ndarray:
        """The pixels of every prepared image, (N, C, Y, X) or (N, C, Z, Y, X) float32.

        Images alike in size, type and header are prepared as one stack where every step allows it;
        the values equal those of one at a time to 1e-6. Raises GeometryError when the results
        differ in size (the chain has no `resize`).
        """
        if not len(images):
            raise GeometryError("no image to prepare: expected at least one")
        out: np.ndarray | None = None
        for places, pixels in self._parts(images):
            if out is None:
                out = np.empty((len(images), *pixels.shape[1:]), np.float32)
            if pixels.shape[1:] != out.shape[1:]:
                raise GeometryError(
                    f"{images[places[0]].origin.path or f'image {places[0]}'}: prepared to "
                    f"{pixels.shape[1:]}, the images before it to {out.shape[1:]}; "
                    'end the preparation with {"step": "resize", "size": [...]}'
                )
            out[places] = pixels
        assert out is not None
        return out

    def _parts(self, images: Sequence[Image]) -> Iterator[tuple[list[int], np.ndarray]]:
        if not all(isinstance(step, StackStep) for step in self.steps):
            for place, image in enumerate(images):
                yield [place], self(image).pixels[None]
            return
        groups: dict[tuple, list[int]] = {}
        for place, image in enumerate(images):
            groups.setdefault(kin(image), []).append(place)
        for places in groups.values():
            rows = max(1, _AT_ONCE // max(1, images[places[0]].pixels.size))
            for start in range(0, len(places), rows):
                part = places[start : start + rows]
                yield part, self._stack([images[place] for place in part])

    def _stack(self, images: Sequence[Image]) -> np.ndarray:
        x, like = np.stack([image.pixels for image in images]), images[0]
        for step in self.steps:
            x, changes = step.stack(x, like)
            like = like.with_pixels(x[0], **changes)
        x = np.asarray(x, dtype=np.float32)
        if not np.isfinite(x).all():
            raise _not_finite(next(i for i, p in zip(images, x, strict=True) if not _finite(p)))
        return x


def _finite(pixels: np.ndarray) -> bool:
    return bool(np.isfinite(pixels).all())


def _not_finite(image: Image) -> FormatError:
    return FormatError(
        f"{image.origin.path or 'image'}: expected finite pixels, got NaN or infinity; "
        "replace them in the file before using it"
    )


def _step(data: Mapping[str, Any]) -> Any:
    settings = dict(data)
    name = settings.pop("step", None)
    if not isinstance(name, str):
        raise SettingsError(f"a preparation step needs its name: step = ..., got {dict(data)}")
    return parse(plugin("tomos.transforms.prepare", name).Step, settings, f"prepare step {name!r}")
