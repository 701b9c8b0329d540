"""Numbers from a request -> `Image`, for the two model protocols.

A tensor stands for a picture as it lies in a file: it goes through the model's whole preparation,
calibration and envelope, like an upload. Whoever has a file sends the file: 224 x 224 numbers as
text take about a megabyte.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import numpy as np

from tomos.serve.refusal import Refusal
from tomos.types import Image
from tomos.types.words import counted

COLOURS = (1, 3)


def from_text(text: Any) -> bytes:
    """The file in a base64 string; Refusal 400."""
    if not isinstance(text, str):
        raise Refusal(400, "tensor", f"expected base64 text, got {type(text).__name__}")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(400, "tensor", "the text is not base64 (RFC 4648, section 4)") from None


def from_lists(value: Any) -> np.ndarray:
    """Nested lists of numbers as the narrowest fitting array; Refusal 400.

    Whole numbers 0..255 are an 8-bit picture however they are written (1 or 1.0: client libraries
    differ), whole numbers up to 65535 are 16 bit, anything else is float32.
    """
    try:
        array = np.array(value)
    except (ValueError, OverflowError):
        raise Refusal(400, "tensor", "the lists of numbers are not of equal length") from None
    if array.dtype.kind not in "iuf" or array.size == 0:
        raise Refusal(400, "tensor", "expected nested lists of numbers, or base64 text as "
                      '{"b64": "..."}')  # fmt: skip
    if not np.isfinite(array).all():
        raise Refusal(400, "tensor", "NaN and infinity are not pixel values")
    return narrow(array)


def narrow(array: np.ndarray) -> np.ndarray:
    """The same values as uint8 or uint16 where they are whole and fit, else as float32."""
    if array.dtype.kind in "fiu":
        low, high = array.min(), array.max()
        if low >= 0 and high <= 65535 and (array.dtype.kind != "f" or (array % 1 == 0).all()):
            return array.astype(np.uint8 if high <= 255 else np.uint16)
    return array.astype(np.float32)


def to_image(array: np.ndarray, channels: int, last: bool) -> Image:
    """(Y, X), or with a channel axis, `last` or first -> Image of `channels`; Refusal 400."""
    if array.ndim == 2:
        array = array[None]
    elif array.ndim == 3 and last and array.shape[-1] in COLOURS:
        array = np.moveaxis(array, -1, 0)
    if array.ndim != 3 or array.shape[0] not in COLOURS or 0 in array.shape:
        layout = "(Y, X) or (Y, X, C)" if last else "(C, Y, X)"
        wanted = counted(channels, "channel")
        raise Refusal(400, "tensor", f"expected one picture {layout} of {wanted}, "
                      f"got shape {list(array.shape)}; a volume is sent as a file, which says its "
                      "spacing")  # fmt: skip
    span = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0)}.get(str(array.dtype))
    return Image(np.ascontiguousarray(array), value_range=span)
