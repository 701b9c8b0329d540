"""Volumes on the axes a radiologist expects."""

from __future__ import annotations

from typing import Any

import numpy as np

from tomos.transforms.prepare._stack import StackStep
from tomos.types import Image

# RAS+ directions that the axes (Z, Y, X) shall run towards: superior, posterior, left.
_TOWARDS = np.array([[0, 0, 1], [0, -1, 0], [-1, 0, 0]], float)


class Step(StackStep):
    """Turn and flip a volume's axes, without interpolation, so that they run towards S, P and L.

    An oblique volume takes the nearest axes. A picture, or a volume whose place in the patient is
    not known, stays as it is.
    """

    def stack(self, x: np.ndarray, like: Image) -> tuple[np.ndarray, dict[str, Any]]:
        if not like.is_volume or like.frame != "patient":
            return x, {}
        order, flips = turns(like.affine)
        if order == (0, 1, 2) and not any(flips):
            return x, {}
        affine = np.eye(4)
        affine[:, 3] = like.affine[:, 3]
        picked = [slice(None), slice(None)]
        for new, old in enumerate(order):
            column = like.affine[:3, old]
            affine[:3, new] = -column if flips[new] else column
            if flips[new]:
                affine[:3, 3] += column * (like.size[old] - 1)
            picked.append(slice(None, None, -1) if flips[new] else slice(None))
        x = x.transpose(0, 1, *(2 + old for old in order))[tuple(picked)]
        return np.ascontiguousarray(x), {"affine": affine}


def turns(affine: np.ndarray) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """For each new axis: which old one it is, and whether it is flipped."""
    columns = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    score = _TOWARDS @ columns  # (new, old)
    left = np.abs(score)
    order = [0, 0, 0]
    # The clearest match first, so that an oblique volume gives each old axis away once.
    for _ in range(3):
        new, old = np.unravel_index(np.argmax(left), left.shape)
        order[new] = int(old)
        left[new, :] = left[:, old] = -1
    return tuple(order), tuple(bool(score[new, old] < 0) for new, old in enumerate(order))
