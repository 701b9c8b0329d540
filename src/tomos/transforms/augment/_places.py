"""Where points and boxes lie after a resampling: what `apply` does to pixels, for coordinates."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

Bend = Callable[[np.ndarray], np.ndarray]  # places (B, P, axes) (x, y[, z]) -> displacements


def follow(points: np.ndarray, found: np.ndarray, bend: Bend | None) -> np.ndarray:
    """Points (B, P, axes) of the input, in array order -> where they lie in the output.

    found  (B, axes, axes + 1) output place (x, y[, z], 1) -> input place
    """
    axes = points.shape[-1]
    back = np.linalg.inv(found[:, :, :axes])
    goal = points[..., ::-1]

    def straight(at: np.ndarray) -> np.ndarray:
        return (at - found[:, None, :, axes]) @ back.transpose(0, 2, 1)

    here = straight(goal)
    if bend is not None:
        # Output p looks at A p + t + d(p): solve for p by p <- A^-1 (goal - t - d(p)), which
        # closes in because the field cannot fold.
        for _ in range(30):
            here = straight(goal - bend(here))
    return here[..., ::-1]


def rims(boxes: np.ndarray) -> np.ndarray:
    """Boxes (B, N, 2 axes), first corner and last, half open -> points on their rims, as indices:
    (B, N, points, axes)."""
    axes = boxes.shape[-1] // 2
    t = np.linspace(0, 1, 5)
    rim = np.array([p for p in product(t, repeat=axes) if 0 in p or 1 in p])
    # On the edges of pixels, not in their middles.
    corner = boxes[..., None, :axes] - 0.5
    side = (boxes[..., axes:] - boxes[..., :axes])[..., None, :]
    return corner + side * rim


def around(points: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """(B, N, points, axes) -> the boxes (B, N, 2 axes) that hold them, cut at the rim of `size`."""
    inside = np.clip(points + 0.5, 0, size)
    return np.concatenate([inside.min(axis=2), inside.max(axis=2)], axis=-1)
