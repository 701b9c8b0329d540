"""Voxels of each label of a case that are remembered, to cut patches around."""

from __future__ import annotations

import numpy as np

from tomos.measures.components import Components, components

PLACES = 4000  # of each label of a case


def spots(labels: np.ndarray, classes: int, ignored: int, seed: int) -> np.ndarray:
    """(M, 1 + D) int32: label and index of voxels of each label 0..classes of a case (Z, Y, X) or
    (Y, X), at most `PLACES` of each.

    Of a label in several pieces, a piece is drawn from in proportion to the root of its voxels: a
    large lesion beside a small one does not hide it, and a speck does not count like an organ.
    """
    rng = np.random.default_rng(seed)
    parts = components(np.where(labels == ignored, labels.dtype.type(0), labels))
    background = np.flatnonzero(labels.ravel() == 0)
    if len(background) > PLACES:
        background = rng.choice(background, PLACES, replace=False)
    drawn = [background, *(_drawn(parts, label, rng) for label in range(1, classes + 1))]
    rows = []
    for label, at in enumerate(drawn):
        index = np.stack(np.unravel_index(np.sort(at), labels.shape), axis=1)
        rows.append(np.concatenate([np.full((len(at), 1), label), index], axis=1))
    return np.concatenate(rows).astype(np.int32)


def _drawn(parts: Components, label: int, rng: np.random.Generator) -> np.ndarray:
    """Places in the flattened labels."""
    mine = np.flatnonzero(parts.label == label)
    if not len(mine):
        return np.zeros(0, np.int64)
    voxels = parts.voxels[mine]
    n = int(min(PLACES, voxels.sum()))
    pick = rng.choice(len(mine), n, p=np.sqrt(voxels) / np.sqrt(voxels).sum())
    # The voxel of that number, when those of all pieces are counted one piece after the other.
    before = np.cumsum(voxels) - voxels
    number = before[pick] + (rng.random(n) * voxels[pick]).astype(np.int64)
    runs = np.flatnonzero(np.isin(parts.piece, mine))
    runs = runs[np.argsort(parts.piece[runs], kind="stable")]
    lengths = parts.stop[runs] - parts.start[runs]
    upto = np.cumsum(lengths)
    run = np.searchsorted(upto, number, side="right")
    return parts.start[runs[run]] + number - (upto[run] - lengths[run])
