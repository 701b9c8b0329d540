"""A slice with two outlines on it: what is true, and what was found.

The picture is grey even where the image has colours, so that the outlines are the only colour on
it: sky blue and orange, which are told apart with every common colour blindness (Okabe and Ito,
Color universal design, 2008). Where both lie on one another the line changes between the two.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tomos.evaluate.mask_report_data import MaskPicture
from tomos.evaluate.mask_worst import WorstMask
from tomos.types import GeometryError, Image, Mask, Words
from tomos.types.image import Window

TRUTH, FOUND = (86, 180, 233), (255, 150, 30)
SHOWN = 384  # smaller pictures are enlarged by a whole factor to about this many pixels a side
LARGEST = 640  # larger ones are thinned: a report stays under 5 MB
LEAST_BOX = 48
ROOM = 0.4  # of the box around the outlines, on each side


def mask_picture(worst: WorstMask, image: Image, truth: Mask, found: Mask) -> MaskPicture:
    """The card of one case: its most telling slice, cut to the outlines, without and with them.

    image, truth, found  on one grid, (C, Z, Y, X) or (C, Y, X) and labels beside, axes towards
                         S, P, L if a radiologist is to see it as usual
    Raises GeometryError when they do not fit together.
    """
    if not image.size == truth.size == found.size:
        raise GeometryError(
            f"{worst.case}: expected masks of the image's size {image.size}, got {truth.size} "
            f"true and {found.size} found"
        )
    pixels, one, other, note = np.asarray(image.first.pixels), truth.labels, found.labels, Words("")
    if image.is_volume:
        z = slice_to_show(one, other)
        pixels, one, other = pixels[:, z], one[z], other[z]
        note = Words(f"slice {z + 1} of {len(truth.labels)}", f"第 {z + 1} / {truth.size[0]} 层")
    pixels, one, other = (_square(part, truth.spacing[-2:]) for part in (pixels, one, other))
    rows, columns = around(one, other)
    pixels, one, other = pixels[:, rows, columns], one[rows, columns], other[rows, columns]
    return MaskPicture(
        worst.case,
        outlined(pixels, one, other, truth.names, image.window),
        plain(pixels, image.window),
        worst.why,
        note,
    )


def slice_to_show(truth_ZYX: np.ndarray, found_ZYX: np.ndarray) -> int:
    """The slice in which most is wrong; where nothing is, that with most of both.

    What disagrees counts by the size of its class, so that a missed lesion tells more than the
    rim of an organ. Labels (Z, Y, X) of one shape. The middle slice when both are empty.
    """
    if truth_ZYX.ndim != 3 or truth_ZYX.shape != found_ZYX.shape:
        raise GeometryError(
            f"expected two volumes (Z, Y, X) of one shape, got {truth_ZYX.shape} and "
            f"{found_ZYX.shape}"
        )
    labels = 1 + int(max(truth_ZYX.max(initial=0), found_ZYX.max(initial=0)))
    wrong_ZK, there_ZK = (np.zeros((len(truth_ZYX), labels)) for _ in range(2))
    for z, (one, other) in enumerate(zip(truth_ZYX, found_ZYX, strict=True)):
        differ = one != other
        for part in (one, other):
            there_ZK[z] += np.bincount(part.reshape(-1), minlength=labels)
            wrong_ZK[z] += np.bincount(part[differ], minlength=labels)
    wrong_ZK, there_ZK = wrong_ZK[:, 1:], there_ZK[:, 1:]
    if not there_ZK.any():
        return len(truth_ZYX) // 2
    wrong_Z = (wrong_ZK / np.maximum(there_ZK.sum(0), 1)).sum(1)
    return int(np.lexsort((there_ZK.sum(1), wrong_Z))[-1])


def around(truth_YX: np.ndarray, found_YX: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of a square-like box with room about all that is labelled."""
    there = (truth_YX > 0) | (found_YX > 0)
    if not there.any():
        return slice(0, there.shape[0]), slice(0, there.shape[1])
    ends = []
    for axis in (1, 0):
        at = np.flatnonzero(there.any(axis))
        ends.append((int(at[0]), int(at[-1]) + 1))
    side = max(LEAST_BOX, (1 + 2 * ROOM) * max(b - a for a, b in ends))
    box = []
    for (a, b), length in zip(ends, there.shape, strict=True):
        start = round((a + b - side) / 2)
        box.append(slice(max(0, start), min(length, start + round(side))))
    return box[0], box[1]


def outlined(
    image_YX: np.ndarray,
    truth_YX: np.ndarray,
    found_YX: np.ndarray,
    classes: Sequence[str],
    window: Window | None = None,
) -> bytes:
    """PNG of the picture with the outline of every label: true in blue, found in orange.

    image_YX   (Y, X), or (C, Y, X) whose channels are averaged
    truth, found  labels (Y, X): 0 = background, i = classes[i - 1]
    window     range of values to show; without one, all but the outermost half percent
    Raises GeometryError when the shapes or labels do not fit.
    """
    from tomos.formats import png_bytes

    grey = _grey(image_YX, window)
    for name, labels in (("truth", truth_YX), ("found", found_YX)):
        if labels.shape != grey.shape:
            raise GeometryError(f"{name}: expected labels {grey.shape}, got {labels.shape}")
        if labels.size and int(labels.max()) > len(classes):
            raise GeometryError(
                f"{name}: expected labels up to {len(classes)}, got {int(labels.max())}"
            )
    grey, truth, found = (_sized(part) for part in (grey, truth_YX, found_YX))
    thick = _thickness(truth, found)
    one, other = _edges(truth, thick), _edges(found, thick)
    rows, columns = np.indices(grey.shape)
    turn = (rows + columns) // (4 * thick) % 2 == 0
    picture = np.repeat(grey[..., None], 3, axis=2)
    picture[one & (~other | turn)] = TRUTH
    picture[other & (~one | ~turn)] = FOUND
    return png_bytes(np.moveaxis(picture, -1, 0), 9)


def plain(image_YX: np.ndarray, window: Window | None = None) -> bytes:
    """PNG of the picture without outlines, of the same size."""
    from tomos.formats import png_bytes

    return png_bytes(_sized(_grey(image_YX, window)), 9)


def _grey(image: np.ndarray, window: Window | None) -> np.ndarray:
    """(Y, X) uint8."""
    values = np.asarray(image, float)
    values = values.mean(0) if values.ndim == 3 else values
    if values.ndim != 2:
        raise GeometryError(f"expected a picture (Y, X) or (C, Y, X), got {np.shape(image)}")
    known = values[np.isfinite(values)]
    if window is not None:
        low, high = window.centre - window.width / 2, window.centre + window.width / 2
    else:
        low, high = np.percentile(known, (0.5, 99.5)) if known.size else (0.0, 1.0)
    share = np.nan_to_num((values - low) / max(float(high - low), 1e-12))
    return np.round(np.clip(share, 0, 1) * 255).astype(np.uint8)


def _sized(picture: np.ndarray) -> np.ndarray:
    """(Y, X) enlarged, or thinned, by a whole factor."""
    longest = max(picture.shape)
    if longest > LARGEST:
        step = -(-longest // LARGEST)
        return picture[::step, ::step]
    times = max(1, SHOWN // longest)
    return picture.repeat(times, 0).repeat(times, 1)


def _square(part: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """(..., Y, X) with the finer pixels' size along both axes, by the nearest pixel."""
    finest = min(spacing)
    for axis, step in ((-2, spacing[0]), (-1, spacing[1])):
        length = part.shape[axis]
        n = max(1, round(length * step / finest))
        if n != length:
            at = np.minimum(((np.arange(n) + 0.5) * length / n).astype(int), length - 1)
            part = part.take(at, axis)
    return part


def _thickness(truth: np.ndarray, found: np.ndarray) -> int:
    """Of the lines, in pixels: to be seen from afar, but 1 where that would fill thin vessels."""
    thick = max(2, round(max(truth.shape) / 150))
    inside = (truth > 0).sum() + (found > 0).sum()
    lines = _edges(truth, thick).sum() + _edges(found, thick).sum()
    return 1 if lines > inside / 2 else thick


def _edges(labels: np.ndarray, thick: int) -> np.ndarray:
    """(Y, X) bool: inside a label, and less than `thick` pixels from another or none."""
    out = np.zeros(labels.shape, bool)
    for off in range(1, thick + 1):
        out[off:] |= labels[off:] != labels[:-off]
        out[:-off] |= labels[:-off] != labels[off:]
        out[:, off:] |= labels[:, off:] != labels[:, :-off]
        out[:, :-off] |= labels[:, :-off] != labels[:, off:]
    return out & (labels > 0)
