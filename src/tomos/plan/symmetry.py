"""Does a picture have a left, a top, a way up? Asked of the pictures themselves.

A film of the chest has the heart on one side: a mirrored film is of a kind that never comes. A
smear under the microscope has no such side. The rules must know before they flip, and no table of
modalities tells, so a small linear classifier tries to tell flipped from upright pictures.
"""

from __future__ import annotations

import numpy as np

ORIENTATIONS = {
    "flip_x": lambda pictures: pictures[:, :, ::-1],
    "flip_y": lambda pictures: pictures[:, ::-1, :],
    "transpose": lambda pictures: pictures.transpose(0, 2, 1),
}
CELLS = 16


def told_apart(pictures: np.ndarray, name: str, seed: int = 0) -> float:
    """How well a ridge classifier tells pictures (N, S, S) from their flipped selves: 0.5 .. 1.

    Five folds over pictures (a picture and its flipped self stay together), on the difference of
    the two halves of a coarse grid of CELLS x CELLS means. Few pictures pull the answer to 1, the
    cautious side: flipping is then not taken to be harmless.
    """
    n = len(pictures)
    coarse = _coarse(pictures)
    turned = _coarse(np.ascontiguousarray(ORIENTATIONS[name](pictures)))
    fold = np.random.default_rng(seed).permutation(n) % 5
    right = 0
    for k in range(5):
        out = fold == k
        if not out.any() or out.all():
            continue
        # The classifier is odd in (upright - turned): no intercept, one weight a cell.
        weights = _ridge((coarse - turned)[~out])
        right += int(((coarse - turned)[out] @ weights > 0).sum())
    share = right / n
    caution = 1.0 / np.sqrt(n)
    return float(np.clip(max(share, 1 - share, 0.5) + caution, 0.5, 1.0))


def _coarse(pictures: np.ndarray) -> np.ndarray:
    n, side, _ = pictures.shape
    step = side // CELLS
    cells = pictures.reshape(n, CELLS, step, CELLS, step).mean(axis=(2, 4)).reshape(n, -1)
    cells = cells - cells.mean(axis=1, keepdims=True)
    return cells / np.maximum(cells.std(axis=1, keepdims=True), 1e-3)


def _ridge(difference: np.ndarray) -> np.ndarray:
    """Weights w with difference @ w ~ 1, by the dual form (fewer pictures than cells is usual)."""
    gram = difference @ difference.T
    strength = 0.1 * np.trace(gram) / len(gram) + 1e-6
    dual = np.linalg.solve(gram + strength * np.eye(len(gram)), np.ones(len(gram)))
    return difference.T @ dual
