"""The values of a mask file -> labels 0..K. What is not explained is named, never guessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tomos.types import FormatError, Image, SettingsError

# Whose palettes programs keep as they are. Those of GIF are packed anew in every file, so that an
# index means nothing in the next one; so are palettes of grey, whose shade is the value.
PALETTES = ("png", "bmp", "tiff")
FULL = (255, 65535)  # how programs that know only black and white write "inside"
NAMED = 12
MOST = 65535
FRACTION = 1e-3  # of a label: what scl_slope and rounding leave
ORIENTATION = 0x0112


def readings(image: Image, path: Path, member: str) -> list[np.ndarray]:
    """What the values of a mask file may be taken as, the likeliest first: (Z, Y, X) or (Y, X) of
    uint8, uint16 or uint32.

    Grey as it is, a colour as 0xRRGGBB; of a picture with a palette of colours, then its indices.
    Raises FormatError for fractions, negative values and channels that are no colour.
    """
    found = [_whole(_one_channel(image), image.origin.path)]
    if image.channels == 3 and image.origin.format in PALETTES:
        indices = _palette_indices(path, member)
        if indices is not None and indices.shape == image.size:
            found.append(indices)
    return found


def labels_of(
    stored: np.ndarray, count: int, values: Mapping[int, int] | None
) -> np.ndarray | None:
    """Values -> labels 0..count, uint8 or uint16; None where a value is not explained.

    values  value -> label; None: the values are the labels, and where there is only one label, 0
            and the highest value are too
    """
    kind, high = kind_of(count), int(stored.max())
    if values is not None:
        return mapped(stored, {0: 0, **values}, kind)
    if high <= count:
        return stored.astype(kind, copy=False)
    if count == 1 and high in FULL and bool(((stored == 0) | (stored == high)).all()):
        return (stored == high).astype(kind)
    return None


def mapped(stored: np.ndarray, table: Mapping[int, int], kind: type) -> np.ndarray | None:
    """`table` applied to unsigned values; None where one of them is not in it."""
    if stored.dtype.itemsize > 2:
        found, places = np.unique(stored, return_inverse=True)
        if any(int(value) not in table for value in found):
            return None
        return np.array([table[int(value)] for value in found], kind)[places.reshape(stored.shape)]
    lookup = np.full(2 ** (8 * stored.dtype.itemsize), -1, np.int32)
    for value, label in table.items():
        if 0 <= value < len(lookup):
            lookup[value] = label
    labels: np.ndarray = np.empty(stored.shape, kind)
    for source, target in zip(stored, labels, strict=True):  # indexing takes 8 bytes a value
        plane = lookup[source]
        if plane.min() < 0:
            return None
        target[...] = plane
    return labels


def kind_of(count: int) -> type:
    """The type of labels up to `count`; SettingsError when there are too many."""
    if count > MOST:
        raise SettingsError(f"expected at most {MOST} labels, got {count} names")
    return np.uint8 if count < 256 else np.uint16


def check_values(values: Mapping[int, int] | None, names: Sequence[str]) -> None:
    """Raises SettingsError for labels that are none."""
    wrong = {
        value: label for value, label in (values or {}).items() if not 0 <= label <= len(names)
    }
    if wrong:
        raise SettingsError(
            f"values={wrong}: expected labels from 0 to {len(names)} ({', '.join(names)})"
        )


def unexplained(
    image: Image, stored: np.ndarray, names: Sequence[str], values: Mapping[int, int] | None
) -> FormatError:
    """Which values a file holds, and how to say what they are."""
    found = np.unique(stored).tolist()
    colours = image.channels == 3 and max(found) > MOST
    shown = [f"0x{value:06x}" if colours else str(value) for value in found]
    if values is None:
        expected = f"the values 0 to {len(names)} ({', '.join(names)})"
        loose = [text for text, value in zip(shown, found, strict=True) if value][: len(names)]
        example = ", ".join(f"{text}: {label}" for label, text in enumerate(loose, 1))
        hint = f"say which value is which label, as values={{{example}}}"
    else:
        expected = f"only 0 and what is mapped ({listed(list(values))})"
        hint = "map the others too, to 0 where they are background"
    if image.origin.format == "jpeg":
        hint = "JPEG does not keep values: save masks as PNG"
    return FormatError(f"{image.origin.path}: expected {expected}, found {listed(shown)}; {hint}")


def listed(values: Sequence[object]) -> str:
    """The first of them."""
    more = f" and {len(values) - NAMED} more" if len(values) > NAMED else ""
    return ", ".join(map(str, values[:NAMED])) + more


def _one_channel(image: Image) -> np.ndarray:
    """Grey as it is, also where it is written as colour; a colour as 0xRRGGBB."""
    first = image.pixels[0]
    if all(np.array_equal(first, other) for other in image.pixels[1:]):
        return first
    if image.channels == 3 and image.pixels.dtype == np.uint8:
        red, green, blue = image.pixels.astype(np.uint32)
        return red << 16 | green << 8 | blue
    raise FormatError(
        f"{image.origin.path}: expected one value a pixel, got {image.channels} channels of "
        f"{image.pixels.dtype} that differ; save the mask as one channel of labels"
    )


def _whole(values: np.ndarray, where: str) -> np.ndarray:
    """Whole numbers, in the smallest unsigned type that holds them."""
    if values.dtype.kind == "f":
        _check_whole(values, where)
    low, high = values.min(), values.max()
    if low < -FRACTION or high > 2**32 - 1:
        raise FormatError(
            f"{where}: expected values from 0 on as labels, found {low:g} to {high:g}: this is an "
            "image, or a mask with another value than 0 for what has no label; set that to 0"
        )
    kind = next(k for k in (np.uint8, np.uint16, np.uint32) if high <= np.iinfo(k).max)
    if values.dtype.kind != "f":
        return values.astype(kind, copy=False)
    whole = np.empty(values.shape, kind)
    for source, target in zip(values, whole, strict=True):
        target[...] = np.rint(source)
    return whole


def _check_whole(values: np.ndarray, where: str) -> None:
    for plane in values:
        with np.errstate(invalid="ignore"):
            odd = ~(np.abs(plane - np.rint(plane)) <= FRACTION)  # so that NaN is odd too
        if odd.any():
            shown = listed([f"{value:g}" for value in np.unique(plane[odd])[:4]])
            raise FormatError(
                f"{where}: expected whole numbers as labels, found {shown}: this is an image, or a "
                "mask that was resampled with interpolation; resample it by nearest neighbour"
            )


def _palette_indices(path: Path, member: str) -> np.ndarray | None:
    """(Y, X) of a picture with a palette; `formats.read` has checked its size and decoded it."""
    import PIL.Image

    with PIL.Image.open(path, formats=PALETTES) as picture:
        if member:
            picture.seek(int(member))
        if picture.mode != "P" or picture.getexif().get(ORIENTATION, 1) != 1:
            return None
        return np.asarray(picture)
