"""What a reader accepts from outside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tomos.types import FormatError, LimitError

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one file, checked before its content is believed.

    file_bytes  size on disk
    pixels      samples (pixels x channels) of one image, after decompression
    side        pixels along one axis
    depth       nested DICOM sequences
    elements    DICOM data elements, nested ones counted
    seconds     processor time to decode a small picture; larger ones get more (see `allowance`)
    memory      bytes that one image, and the child process that decodes it, may take
    """

    file_bytes: int = 2048 * MIB
    pixels: int = 2**29
    side: int = 2**16
    depth: int = 32
    elements: int = 1_000_000
    seconds: float = 1.5
    memory: int = 2048 * MIB

    def check_file(self, size: int, where: str) -> None:
        """Raise LimitError when a file of `size` bytes is too large, FormatError when empty."""
        if size == 0:
            raise FormatError(f"{where}: the file is empty; copy it again from its source")
        if size > self.file_bytes:
            raise LimitError(
                f"{where}: {size / MIB:.0f} MiB, more than the {self.file_bytes / MIB:.0f} MiB "
                "that are read from one file; raise Limits.file_bytes if it is trusted"
            )

    def check_shape(self, shape: Sequence[int], itemsize: int, where: str) -> int:
        """Bytes that an array of the declared `shape` takes; LimitError when it is too large."""
        if not shape or any(length < 1 for length in shape):
            raise FormatError(
                f"{where}: expected at least one pixel, the header declares {tuple(shape)}"
            )
        samples = math.prod(int(length) for length in shape)
        if max(shape) > self.side or samples > self.pixels or samples * itemsize > self.memory:
            raise LimitError(
                f"{where}: the header declares {tuple(int(n) for n in shape)} values of {itemsize} "
                f"bytes; at most {self.pixels} values, {self.side} along an axis and "
                f"{self.memory / MIB:.0f} MiB are read. Raise Limits if the file is trusted"
            )
        return samples * itemsize

    def allowance(self, samples: int) -> float:
        """Seconds of processor time to decode `samples` values: slow codecs reach 2 million/s."""
        return self.seconds + samples / 2e6


LIMITS = Limits()
