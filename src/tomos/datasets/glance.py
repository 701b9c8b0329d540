"""What can be told of one image at a glance: exact and perceptual hash, size, depth, border.

About 400 bytes an image, so that 300,000 of them fit in memory; no pixels are kept.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from pathlib import PurePath

import numpy as np

from tomos.types import Image

GRID, SEGMENTS, DEPTH = 64, 16, 3  # a border of 3/64, just under 5 %, in 16 segments a side
HASH_ROWS, HASH_STEPS = 16, 16
MARGIN = 0.02  # of the spread: a smaller step between neighbours counts as none

LARGEST = 1e30  # so that sums stay finite

ROW = np.dtype(
    [
        ("state", "u1", 16),  # of the file, so that an unchanged one is not read again
        ("seen", "?"),
        ("pixels", "u1", 16),  # BLAKE2b of the pixels in their smallest type
        ("look", "u8", HASH_ROWS * HASH_STEPS // 64),  # perceptual hash
        ("thumb", "u1", (16, 16)),
        ("border", "u1", 4 * SEGMENTS),
        ("size", "u4", 3),  # Z (1 for a picture), Y, X
        ("channels", "u2"),
        ("bits", "u1"),
        ("colour", "f4"),  # mean distance of the channels from their mean, 0..1
        ("low", "f4"),
        ("high", "f4"),
        ("mean", "f4"),
        ("busy", "f4"),  # share of the picture that differs from its median
        ("format", "S16"),
        ("modality", "S8"),
    ]
)


def glance(image: Image) -> np.ndarray:
    """Image -> one row of `ROW`, without its `state`."""
    row = np.zeros((), ROW)
    pixels = image.pixels
    if pixels.dtype.kind == "f":
        pixels = np.clip(np.nan_to_num(pixels, nan=0, posinf=0, neginf=0), -LARGEST, LARGEST)
    low, high = float(pixels.min()), float(pixels.max())
    bottom, top = _range(image, low, high)
    plane, colour = _plane(pixels)
    grid = downscale(plane, GRID, GRID)
    grid = (grid - bottom) / (top - bottom) if top > bottom else np.zeros_like(grid)
    row["seen"] = True
    row["pixels"] = np.frombuffer(pixel_hash(image.pixels), "u1")
    row["look"] = look(grid)
    row["thumb"] = np.clip(_stretch(downscale(grid, 16, 16)) * 255, 0, 255)
    row["border"] = np.clip(border(grid) * 255, 0, 255)
    row["size"] = (1, *image.size) if len(image.size) == 2 else image.size
    row["channels"] = image.channels
    row["bits"] = _bits(image)
    row["colour"] = colour / ((top - bottom) or 1.0)
    row["low"], row["high"], row["mean"] = low, high, float(plane.mean())
    row["busy"] = float((np.abs(grid - np.median(grid)) > MARGIN).mean())
    row["format"], row["modality"] = _kind(image), image.modality.encode()[:8]
    return row


def pixel_hash(pixels: np.ndarray) -> bytes:
    """16 bytes, equal for equal pictures whatever the file: type and repeated channels are dropped.

    (C, ...) of any type. Integers held as float hash like integers, grey held as RGB like grey.
    """
    if pixels.shape[0] in (3, 4) and (pixels[:3] == pixels[:1]).all():
        opaque = pixels.shape[0] == 3 or (pixels[3] == pixels[3].flat[0]).all()
        pixels = pixels[:1] if opaque else pixels
    pixels = np.ascontiguousarray(_smallest(pixels))
    total = blake2b(f"{pixels.shape}{pixels.dtype.str}".encode(), digest_size=16)
    total.update(pixels.data)
    return total.digest()


def _smallest(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype == np.uint8:
        return pixels
    low, high = pixels.min(), pixels.max()
    if pixels.dtype.kind == "f":
        whole = np.isfinite(low) and np.isfinite(high) and (pixels == np.rint(pixels)).all()
        if not whole:
            return pixels.astype("<f4")
    for kind in ("u1", "<i2", "<i4"):
        limits = np.iinfo(kind)
        if limits.min <= low and high <= limits.max:
            return pixels.astype(kind)
    return pixels.astype("<f8")


def _range(image: Image, low: float, high: float) -> tuple[float, float]:
    """What counts as black and white: 0..255 for 8 bits, else what the picture holds."""
    return (0.0, 255.0) if image.pixels.dtype == np.uint8 else (low, high)


def _kind(image: Image) -> bytes:
    """The suffix of the file, else its format: "jpg", "dicom", "npz"."""
    suffix = PurePath(image.origin.path).suffix[1:].lower()
    return (suffix if suffix.isalnum() and len(suffix) <= 5 else image.origin.format).encode()[:16]


def _bits(image: Image) -> int:
    if image.value_range is not None:
        span = image.value_range[1] - image.value_range[0]
        return int(np.ceil(np.log2(max(span, 1) + 1)))
    return 8 * image.pixels.dtype.itemsize


def _plane(pixels: np.ndarray) -> tuple[np.ndarray, float]:
    """(C, [Z,] Y, X) -> grey (Y, X) and how far the channels lie apart; a volume is its mean."""
    if pixels.ndim == 4:
        pixels = pixels.mean(axis=1, dtype=np.float32)
    pixels = np.stack([_halved(channel) for channel in pixels[:3]])
    grey = pixels.mean(axis=0)
    return grey, float(np.abs(pixels - grey).mean()) if len(pixels) == 3 else 0.0


def _halved(plane: np.ndarray) -> np.ndarray:
    """(Y, X) -> float32 means of whole blocks, at most about 512 a side: one cheap pass."""
    steps = [max(1, length // 256) if length > 512 else 1 for length in plane.shape]
    y, x = (length // step * step for length, step in zip(plane.shape, steps, strict=True))
    if steps == [1, 1]:
        return plane.astype(np.float32)
    blocks = plane[:y, :x].reshape(y // steps[0], steps[0], x // steps[1], steps[1])
    return blocks.mean(axis=(1, 3), dtype=np.float32)


def downscale(plane: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """(Y, X) -> (rows, columns) float32: the exact mean over each cell's area.

    By running sums, not by a matrix product: that would start BLAS's own threads in each of ours.
    """
    return _cell_means(_cell_means(plane, rows).T, columns).T.astype(np.float32)


def _cell_means(plane: np.ndarray, cells: int) -> np.ndarray:
    """Means over `cells` equal stretches of the first axis, whose edges may cut a sample."""
    length = len(plane)
    if cells > length:
        plane = np.repeat(plane, -(-cells // length), axis=0)
        length = len(plane)
    whole, part = _edges(length, cells)
    cut = part * plane[whole]
    sums = np.add.reduceat(plane, whole, axis=0) - cut
    sums[:-1] += cut[1:]
    return sums * np.float32(cells / length)


@lru_cache(maxsize=1024)
def _edges(length: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each cell starts: the sample (cells,), and how much of it lies before (cells, 1)."""
    start = np.linspace(0, length, cells + 1)[:-1]
    whole = start.astype(np.int64)
    return whole, (start - whole).astype(np.float32)[:, None]


def _stretch(cells: np.ndarray) -> np.ndarray:
    """To 0..1, but for the darkest and brightest hundredth."""
    ordered = np.sort(cells, axis=None)
    edge = ordered.size // 100
    low, high = ordered[edge], ordered[-1 - edge]
    return (cells - low) / ((high - low) or 1.0)


def look(grid: np.ndarray) -> np.ndarray:
    """(Y, X) -> 256 bits as 4 uint64: does brightness rise from each cell to its right neighbour?

    Blind to exposure and contrast; a step below `MARGIN` of the spread counts as none, so that
    noise in a flat background sets no bit.
    """
    cells = downscale(grid, HASH_ROWS, HASH_STEPS + 1)
    rises = np.diff(cells, axis=1) > MARGIN * (cells.std() or 1.0)
    return np.packbits(rises.ravel()).view("u8")


def border(grid: np.ndarray) -> np.ndarray:
    """(64, 64) -> means of 4 x 16 segments of its frame: top, bottom, left, right."""
    sides = (grid[:DEPTH], grid[-DEPTH:], grid[:, :DEPTH].T, grid[:, -DEPTH:].T)
    return np.concatenate(
        [side.reshape(DEPTH, SEGMENTS, -1).mean(axis=(0, 2)) for side in sides]
    ).astype(np.float32)
