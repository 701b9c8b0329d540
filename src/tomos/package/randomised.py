"""The same graph with random numbers where its weights were, to ask what a map owes to them.

Done on the protobuf bytes in place, as `tomos.package.graph` reads them, so that it needs neither
torch nor the onnx package. Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim: Sanity Checks for
Saliency Maps. NeurIPS 2018, arXiv:1810.03292, section 3 (model parameter randomization test).

Source: onnx.proto, TensorProto: dims 1, data_type 2, float_data 4, raw_data 9.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np

from tomos.package.graph import fields
from tomos.types import PackageError

FLOATS = {1: "<f4", 10: "<f2", 11: "<f8"}
# Numbers that are only put in another order: bfloat16, and the weights of a quantised graph.
WHOLE = {16: "<u2", 2: "u1", 3: "i1"}
FEW = 8  # numbers; shorter rows are scales, sizes and limits rather than weights
# ModelProto.graph; GraphProto.node, .initializer; NodeProto.attribute; AttributeProto.t
_INSIDE = {"Model": {7: "Graph"}, "Graph": {1: "Node", 5: "Tensor"}, "Node": {5: "Attribute"},
           "Attribute": {5: "Tensor"}}  # fmt: skip


def randomised(model: bytes, seed: int = 0) -> bytes:
    """Every weight replaced: matrices and kernels by normal numbers of the same mean square, rows
    (biases, normalisation) and whole numbers by their own values in another order.

    Tensors that are alike stay alike, such as a last layer that a graph holds twice. Raises
    PackageError where the graph holds no weights that can be replaced.
    """
    changed = bytearray(model)
    count = 0
    for tensor in _tensors("Model", memoryview(changed)):
        count += _randomise(tensor, seed)
    if not count:
        raise PackageError("the graph holds no weights that can be replaced by random ones")
    return bytes(changed)


def _tensors(kind: str, data: memoryview) -> Iterator[memoryview]:
    for number, value in fields(data, "graph"):
        inner = _INSIDE[kind].get(number)
        if inner is None or isinstance(value, int):
            continue
        if inner == "Tensor":
            yield value
        else:
            yield from _tensors(inner, value)


def _randomise(tensor: memoryview, seed: int) -> int:
    """How many numbers were replaced."""
    shape: list[int] = []
    element, content = 0, None
    for number, value in fields(tensor, "graph"):
        if number == 1:
            shape += [value] if isinstance(value, int) else _varints(value)
        elif number == 2 and isinstance(value, int):
            element = value
        elif number in (4, 9) and not isinstance(value, int):
            content = value
    dtype = FLOATS.get(element) or WHOLE.get(element)
    axes = sum(length > 1 for length in shape)
    if not dtype or content is None or not axes or (axes == 1 and max(shape) < FEW):
        return 0
    values = np.frombuffer(content, dtype)
    rng = np.random.default_rng([seed, zlib.crc32(content)])
    if axes > 1 and element in FLOATS:
        spread = np.sqrt(np.square(values, dtype=float).mean())
        values[:] = rng.normal(0, spread, len(values))
    else:
        values[:] = rng.permutation(values)
    return len(values)


def _varints(packed: memoryview) -> list[int]:
    numbers, value, shift = [], 0, 0
    for byte in packed:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(value)
            value = shift = 0
    return numbers
