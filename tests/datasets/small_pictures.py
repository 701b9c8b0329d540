"""Pictures with structure, and a way to save them."""

from pathlib import Path

import numpy as np

from tomos import formats
from tomos.datasets.glance import downscale


def picture(seed: int, side: int = 80, low: int = 30, high: int = 220) -> np.ndarray:
    """(1, side, side) uint8: soft blobs, coarse and fine, different for every seed."""
    rng = np.random.default_rng(seed)
    field = np.zeros((side, side))
    for cells in (4, 9, 20):
        blobs = downscale(rng.random((cells, cells)), side, side)
        field += (blobs - blobs.mean()) / blobs.std()
    field = (field - field.min()) / np.ptp(field)
    return np.round(low + field * (high - low)).astype(np.uint8)[None]


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(formats.png_bytes(pixels))
    return path
