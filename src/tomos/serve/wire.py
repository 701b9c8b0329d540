"""Tensors of the Open Inference Protocol <-> numpy, as JSON or as raw bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tomos.serve.refusal import Refusal
from tomos.serve.tensors import from_text, narrow

HEADER = "Inference-Header-Content-Length"
TYPES = {
    "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8",
    "INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8",
    "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
WRITTEN = {"uint8": "UINT8", "uint16": "UINT16"}  # what is not among them is written as FP32


@dataclass(frozen=True, slots=True)
class Message:
    """A parsed request: tensors by name (numbers narrowed, BYTES as an array of bytes objects),
    which outputs are asked for (none: all), and which of them as raw bytes.
    """

    inputs: Mapping[str, np.ndarray]
    outputs: Sequence[str]
    binary: Mapping[str, bool]
    binary_default: bool
    id: str = ""


def parse(body: bytes, head: str | None) -> Message:
    """A request's body; `head` is the value of `Inference-Header-Content-Length`. Refusal 400."""
    length = len(body) if head is None else _length(head, len(body))
    try:
        request = json.loads(body[:length])
    except (ValueError, RecursionError):
        raise _bad("the JSON part of the body is not JSON") from None
    if not isinstance(request, dict) or not isinstance(request.get("inputs"), list):
        raise _bad('expected an object with a list "inputs"')
    raw = memoryview(body)[length:]
    inputs: dict[str, np.ndarray] = {}
    for entry in request["inputs"]:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise _bad("an input needs a name")
        inputs[entry["name"]], raw = _tensor(entry, raw)
    if len(raw):
        raise _bad(f"{len(raw)} bytes follow after the last tensor")
    return _with_outputs(request, inputs)


def wanted(message: Message, names: list[str]) -> dict[str, bool]:
    """The outputs to send, in order, and whether each goes as raw bytes."""
    strangers = set(message.outputs) - set(names)
    if strangers:
        raise _bad(f"no output named {sorted(strangers)[:5]}; there are {names}")
    chosen = message.outputs or names
    return {name: message.binary.get(name, message.binary_default) for name in chosen}


def encode(
    about: Mapping[str, Any], outputs: Mapping[str, np.ndarray], binary: Mapping[str, bool]
) -> tuple[bytes, int | None]:
    """The response's body, and the length of its JSON head, None when it is JSON alone."""
    entries, tail = [], []
    for name, values in outputs.items():
        text = values.dtype == object
        kind = "BYTES" if text else WRITTEN.get(str(values.dtype), "FP32")
        entry: dict[str, Any] = {"name": name, "datatype": kind, "shape": list(values.shape)}
        if binary[name]:
            raw = _raw_text(values) if text else _raw_numbers(values, kind)
            entry["parameters"] = {"binary_data_size": len(raw)}
            tail.append(raw)
        else:
            entry["data"] = values.ravel().tolist()
        entries.append(entry)
    head = json.dumps({**about, "outputs": entries}, ensure_ascii=False, allow_nan=False).encode()
    return b"".join([head, *tail]), len(head) if tail else None


def _with_outputs(request: dict, inputs: dict[str, np.ndarray]) -> Message:
    outputs = request.get("outputs") or []
    if not isinstance(outputs, list) or not all(
        isinstance(each, dict) and isinstance(each.get("name"), str) for each in outputs
    ):
        raise _bad('"outputs" is a list of objects with a name')
    binary = {each["name"]: _flag(each, "binary_data") for each in outputs}
    return Message(
        inputs,
        [each["name"] for each in outputs],
        {name: flag for name, flag in binary.items() if flag is not None},
        bool(_flag(request, "binary_data_output")),
        str(request.get("id", ""))[:200],
    )


def _tensor(entry: dict, raw: memoryview) -> tuple[np.ndarray, memoryview]:
    """One input, and what is left of the raw bytes after it."""
    name, kind, shape = entry["name"][:80], entry.get("datatype"), entry.get("shape")
    if kind != "BYTES" and kind not in TYPES:
        raise _bad(f"input {name!r}: datatype is one of {[*TYPES, 'BYTES']}, got {str(kind)[:20]}")
    if not isinstance(shape, list) or not 1 <= len(shape) <= 5 or not all(
        isinstance(n, int) and not isinstance(n, bool) and 0 < n < 1 << 31 for n in shape
    ):  # fmt: skip
        raise _bad(f"input {name!r}: shape is a list of 1 to 5 lengths of at least 1")
    parameters = entry.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is None:
        return _from_json(name, kind, shape, entry.get("data")), raw
    if not isinstance(size, int) or not 0 <= size <= len(raw):
        raise _bad(f"input {name!r}: {size} raw bytes are announced, {len(raw)} are there")
    return _from_raw(name, kind, shape, raw[:size]), raw[size:]


def _from_raw(name: str, kind: str, shape: list[int], raw: memoryview) -> np.ndarray:
    count = math.prod(shape)
    if kind == "BYTES":
        return _split_text(name, count, raw).reshape(shape)
    dtype = np.dtype(TYPES[kind])
    if len(raw) != count * dtype.itemsize:
        raise _bad(f"input {name!r}: shape {shape} of {kind} takes {count * dtype.itemsize} bytes, "
                   f"got {len(raw)}")  # fmt: skip
    return _numbers(name, np.frombuffer(raw, dtype).reshape(shape), kind)


def _from_json(name: str, kind: str, shape: list[int], data: Any) -> np.ndarray:
    if kind == "BYTES":
        if not isinstance(data, list) or len(data) != math.prod(shape):
            raise _bad(f"input {name!r}: expected {math.prod(shape)} texts in base64")
        array = np.empty(len(data), dtype=object)
        array[:] = [from_text(each) for each in data]
        return array.reshape(shape)
    try:
        array = np.asarray(data)
        if array.dtype.kind not in "iuf" or array.size != math.prod(shape):
            raise ValueError
    except (ValueError, OverflowError):
        raise _bad(f"input {name!r}: expected {math.prod(shape)} numbers") from None
    return _numbers(name, array.reshape(shape), kind)


def _numbers(name: str, array: np.ndarray, kind: str) -> np.ndarray:
    """Pixels in the type that was declared; wider ones narrowed, so that 8 bits stay 8 bits."""
    if not np.isfinite(array).all():
        raise _bad(f"input {name!r}: NaN and infinity are not pixel values")
    if kind in ("UINT8", "UINT16", "INT8", "INT16"):
        low, high = np.iinfo(TYPES[kind]).min, np.iinfo(TYPES[kind]).max
        if array.min() < low or array.max() > high:
            raise _bad(f"input {name!r}: values outside {kind}")
        return array.astype(TYPES[kind])
    return narrow(array)


def _split_text(name: str, count: int, raw: memoryview) -> np.ndarray:
    """BYTES on the wire: for every element a little-endian 4-byte length, then its bytes."""
    elements: list[bytes] = []
    at = 0
    while at < len(raw) and len(elements) < count:
        size = int.from_bytes(raw[at : at + 4], "little")
        if at + 4 + size > len(raw):
            break
        elements.append(bytes(raw[at + 4 : at + 4 + size]))
        at += 4 + size
    if at != len(raw) or len(elements) != count:
        raise _bad(f"input {name!r}: the bytes do not hold {count} elements with their lengths")
    array = np.empty(count, dtype=object)
    array[:] = elements
    return array


def _raw_numbers(values: np.ndarray, kind: str) -> bytes:
    return np.ascontiguousarray(values, TYPES[kind]).tobytes()


def _raw_text(values: np.ndarray) -> bytes:
    encoded = [str(each).encode() for each in values.ravel()]
    return b"".join(len(each).to_bytes(4, "little") + each for each in encoded)


def _length(head: str, available: int) -> int:
    if not head.isascii() or not head.isdigit() or int(head[:12]) > available:
        raise _bad(f"{HEADER} must be a length within the body of {available} bytes")
    return int(head)


def _flag(entry: dict, name: str) -> bool | None:
    parameters = entry.get("parameters")
    value = parameters.get(name) if isinstance(parameters, dict) else None
    return value if isinstance(value, bool) else None


def _bad(message: str) -> Refusal:
    return Refusal(400, "tensor", message)
