"""What the masks of a data set hold: their values, and what these are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from tomos import formats
from tomos.types import DatasetError, FormatError, Image, Progress

MOST = 254  # labels; more values than that are a picture, not a mask
FOREGROUND = "foreground"


def raw_values(image: Image) -> np.ndarray:
    """The values of a mask as its file has them, (Z, Y, X) or (Y, X) integers.

    Raises FormatError for colours, and for values that are no whole numbers.
    """
    where = image.origin.path or "mask"
    pixels = image.pixels[0]
    if any(not np.array_equal(pixels, other) for other in image.pixels[1:]):
        raise FormatError(
            f"{where}: expected one value a pixel, got {image.channels} channels that differ; "
            "save the mask in grey or as a palette of labels"
        )
    if pixels.dtype.kind not in "iub":
        whole = np.rint(pixels)
        if not np.isfinite(pixels).all() or np.abs(whole - pixels).max() > 1e-3:
            raise FormatError(f"{where}: expected whole numbers as labels, got fractions")
        pixels = whole.astype(np.int64)
    return pixels


def values_in(addresses: Sequence[str], progress: Progress) -> dict[int, int]:
    """value -> how many of the masks hold it, 0 included. Masks that cannot be read are left to
    `check`.

    Raises DatasetError when none can be read, or they hold more values than masks do.
    """
    found: Counter[int] = Counter()
    problem, read = "", 0
    for done, image in enumerate(formats.read_many(addresses), 1):
        progress.step(done, len(addresses), "masks looked at")
        try:
            if isinstance(image, FormatError):
                raise image
            found.update(np.unique(raw_values(image)).tolist())
            read += 1
        except FormatError as error:
            problem = problem or str(error)
        if len(found) > MOST + 1:
            raise DatasetError(
                f"{addresses[done - 1]}: more than {MOST} different values so far: this looks like "
                "a picture, not a mask; JPEG does not keep labels, save masks as PNG or NIfTI"
            )
    if not read:
        raise DatasetError(f"none of {len(addresses)} masks could be read; {problem}")
    return dict(sorted(found.items()))


def named(
    found: Mapping[int, int], classes: Sequence[str], told: Mapping[str, int]
) -> dict[str, int]:
    """Class -> value: as the source says, else the given names in the order of the values, else
    made up. Raises DatasetError where names and values do not fit.
    """
    present = [value for value in found if value != 0]
    if told:
        strange = [value for value in present if value not in told.values()]
        if strange:
            raise DatasetError(
                f"the masks hold {_listed(strange)}, which the source's own list of labels does "
                f"not name ({', '.join(f'{n} = {v}' for n, v in told.items())})"
            )
        return dict(told)
    if not present:
        raise DatasetError("every mask is empty: there is nothing to learn")
    if not classes:
        one = len(present) == 1
        return {FOREGROUND if one else f"label {value}": value for value in present}
    if len(classes) != len(present):
        raise DatasetError(
            f"--classes names {len(classes)} labels, {', '.join(classes)}; the masks hold "
            f"{len(present)}: {_listed(present)}"
        )
    return dict(zip(classes, present, strict=True))


def _listed(values: Sequence[int]) -> str:
    shown = ", ".join(map(str, values[:8]))
    return shown + (f" and {len(values) - 8} more" if len(values) > 8 else "")
