"""Labels laid over the picture that they were drawn on."""

from __future__ import annotations

import numpy as np

from tomos.explain._heat import shown
from tomos.formats import colour_of
from tomos.types import Image

INSIDE, RIM = 0.35, 1.0  # share of the colour inside a label, and on its rim


def coloured(image: Image, labels: np.ndarray) -> np.ndarray:
    """(3, Y, X) uint8: the picture with each label in a colour of its own, its rim in full.

    Of a volume the slice along the first axis that holds most of the labels; of several images the
    first.
    """
    image = image.first
    if image.is_volume:
        z = int((labels > 0).reshape(len(labels), -1).sum(axis=1).argmax())
        image, labels = image.with_pixels(image.pixels[:, z], image.affine), labels[z]
    base = shown(image)
    grey = np.broadcast_to(base[:3] if len(base) >= 3 else base[:1], (3, *labels.shape))
    colour = np.zeros((int(labels.max()) + 1, 3), np.float32)
    for label in range(1, len(colour)):
        colour[label] = np.array(colour_of(label)) / 255
    weight = np.where(labels > 0, np.where(_rim(labels), RIM, INSIDE), 0)[None]
    mixed = grey * (1 - weight) + np.moveaxis(colour[labels], -1, 0) * weight
    return np.round(np.clip(mixed, 0, 1) * 255).astype(np.uint8)


def _rim(labels: np.ndarray) -> np.ndarray:
    """(Y, X) bool: pixels with another label beside them."""
    found = np.zeros(labels.shape, bool)
    for axis in (0, 1):
        other = np.diff(labels.astype(np.int32), axis=axis) != 0
        first = [slice(None)] * 2
        second = [slice(None)] * 2
        first[axis], second[axis] = slice(None, -1), slice(1, None)
        found[tuple(first)] |= other
        found[tuple(second)] |= other
    return found
