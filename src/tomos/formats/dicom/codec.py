"""Compressed pixels: which codec, which bytes, and where header and codestream must agree.

PS3.5 8.2 and Annex A.4. The codecs run in a child process (`child.py`).
"""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np

from tomos.formats._limits import Limits
from tomos.formats.dicom.child import decode
from tomos.formats.dicom.layout import Layout
from tomos.formats.dicom.scan import Scanned
from tomos.formats.dicom.tags import COMPRESSED
from tomos.types import FormatError

PLUGINS = {"4.5": ["gdcm", "pillow"], "4.7": ["gdcm"], "4.8": ["pyjpegls", "gdcm"],
           "4.9": ["pylibjpeg"], "4.2": ["pylibjpeg"], "5": ["pydicom"]}  # fmt: skip
ROOT = "1.2.840.10008.1.2."
ENCAPSULATED_NATIVE = ROOT + "1.98"
EMPTY_TABLE = b"\xfe\xff\x00\xe0\0\0\0\0"
END = b"\xfe\xff\xdd\xe0\0\0\0\0"
# Start-of-frame markers of ISO/IEC 10918-1 and 14495-1 (0xF7); C4, C8 and CC are none.
START_OF_FRAME = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
MARKERS = 10_000


def decoded(
    scanned: Scanned,
    layout: Layout,
    frame: int | None,
    where: str,
    limits: Limits,
) -> tuple[np.ndarray, Layout]:
    """(F, Y, X, S) values as the codec gives them, and their layout: colour is RGB then."""
    if scanned.syntax not in COMPRESSED:
        raise FormatError(
            f"{where}: transfer syntax {scanned.syntax or 'unknown'} is not read here; known are "
            f"uncompressed and {', '.join(COMPRESSED.values())}"
        )
    if len(scanned.fragments) < 2:
        raise FormatError(
            f"{where}: the header says {COMPRESSED[scanned.syntax]}, its pixels are not compressed "
            "so (no items); the header is wrong"
        )
    data = scanned.dataset.data
    for offset, length in scanned.fragments[1:]:
        _check_codestream(data[offset : offset + length], layout, where)
    payload, layout, index = _payload(data, scanned.fragments, layout, frame)
    request = {
        "syntax": scanned.syntax,
        "plugins": _plugins(scanned.syntax, layout),
        "index": index,
        "options": _options(layout),
    }
    samples = int(np.prod(layout.shape)) // (layout.frames if index is not None else 1)
    facts, array = decode(request, payload, limits, samples, where)
    return _arranged(array, facts, layout, frame is not None, where), _decoded_layout(layout, facts)


def _plugins(syntax: str, layout: Layout) -> list[str]:
    if syntax.endswith(".4.51") and layout.stored > 8:
        return ["gdcm-extended"]
    tail = syntax.removeprefix(ROOT)
    return next((names for start, names in PLUGINS.items() if tail.startswith(start)), [])


def _payload(
    data: bytes, fragments: list[tuple[int, int]], layout: Layout, frame: int | None
) -> tuple[bytes, Layout, int | None]:
    """The items to decode. One frame of a file with one item a frame goes alone."""
    if frame is not None and len(fragments) == layout.frames + 1:
        offset, length = fragments[frame + 1]
        item = EMPTY_TABLE + struct.pack("<HHI", 0xFFFE, 0xE000, length)
        return item + data[offset : offset + length] + END, replace(layout, frames=1), 0
    start = fragments[0][0] - 8
    end = fragments[-1][0] + fragments[-1][1]
    return data[start:end] + END, layout, frame


def _options(layout: Layout) -> dict:
    options = {
        "rows": layout.rows,
        "columns": layout.columns,
        "number_of_frames": layout.frames,
        "samples_per_pixel": layout.samples,
        "bits_allocated": layout.allocated,
        "bits_stored": layout.stored,
        "pixel_representation": int(layout.signed),
        "photometric_interpretation": layout.photometric,
        "pixel_keyword": "PixelData",
    }
    if layout.samples > 1:
        options["planar_configuration"] = layout.planar
    return options


def _arranged(
    array: np.ndarray, facts: dict, layout: Layout, single: bool, where: str
) -> np.ndarray:
    frames = 1 if single else layout.frames
    expected = (frames, layout.rows, layout.columns, layout.samples)
    if array.size != np.prod(expected):
        raise FormatError(
            f"{where}: decoded to {array.shape}, the header declares {expected}; damaged"
        )
    return array.reshape(expected)


def _decoded_layout(layout: Layout, facts: dict) -> Layout:
    photometric = str(facts.get("photometric_interpretation", layout.photometric))
    if photometric in ("YBR_ICT", "YBR_RCT"):
        photometric = "RGB"
    allocated = 8 * np.dtype(facts["dtype"]).itemsize
    return replace(
        layout,
        photometric=photometric,
        planar=0,
        allocated=allocated,
        signed=np.dtype(facts["dtype"]).kind == "i",
        high_bit=layout.stored - 1,
    )


def _check_codestream(stream: bytes, layout: Layout, where: str) -> None:
    """Refuse a codestream whose own size is not the header's, before a codec allocates for it."""
    size = _jpeg2000_size(stream) if stream[:2] != b"\xff\xd8" else _jpeg_size(stream)
    if size is None or 0 in size:
        return
    if size != (layout.rows, layout.columns):
        raise FormatError(
            f"{where}: its compressed picture is {size[0]} x {size[1]}, the header declares "
            f"{layout.rows} x {layout.columns}; the file contradicts itself"
        )


def _jpeg_size(stream: bytes) -> tuple[int, int] | None:
    """(rows, columns) of the first frame header, ISO/IEC 10918-1 B.2.2."""
    position = 2
    for _ in range(MARKERS):
        if position + 9 > len(stream) or stream[position] != 0xFF:
            return None
        marker = stream[position + 1]
        if marker in START_OF_FRAME:
            return struct.unpack(">HH", stream[position + 5 : position + 9])
        if marker == 0xFF:
            position += 1
        elif 0xD0 <= marker <= 0xD9 or marker == 0x01:
            position += 2
        else:
            position += 2 + struct.unpack(">H", stream[position + 2 : position + 4])[0]
    return None


def _jpeg2000_size(stream: bytes) -> tuple[int, int] | None:
    """(rows, columns) of the SIZ segment, ISO/IEC 15444-1 A.5.1."""
    start = stream[:4096].find(b"\xff\x4f\xff\x51")
    if start < 0 or start + 24 > len(stream):
        return None
    wide, high, left, top = struct.unpack(">IIII", stream[start + 8 : start + 24])
    return high - top, wide - left
