"""Is this ONNX graph inert, and does it take and give what the manifest says?

Read from the protobuf bytes themselves, without the onnx package (the base install has none) and
before any runtime sees them. Refused are: references to other files, operators outside the standard
domains, local functions, training parts, and loops, which could run for ever.

Source: onnx.proto (ONNX IR version 3 to 13); protobuf encoding, "Message Structure".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tomos.types import PackageError

STANDARD = {"", "ai.onnx", "ai.onnx.ml"}
# What ONNX Runtime's quantiser and float16 converter write; nothing here reads files or text.
CONTRIBUTED = {
    "BiasGelu", "DequantizeLinear", "DynamicQuantizeMatMul", "FastGelu", "FusedConv",
    "FusedGemm", "FusedMatMul", "Gelu", "LayerNormalization", "MatMulIntegerToFloat",
    "MatMulNBits", "QAttention", "QGemm", "QLinearAdd", "QLinearAveragePool", "QLinearConcat",
    "QLinearConv", "QLinearGlobalAveragePool", "QLinearLeakyRelu", "QLinearMul",
    "QLinearReduceMean", "QLinearSigmoid", "QLinearSoftmax", "QuantizeLinear", "QuickGelu",
    "SkipLayerNormalization",
}  # fmt: skip
LOOPS = {"Loop", "Scan", "SequenceMap"}
DEEPEST = 16
MOST_PARTS = 1_000_000  # nodes, attributes, tensors, ...; the largest of our nets has 20,000

# message -> field number -> what lies there: another message, or the name of a value to look at.
_SCHEMA: dict[str, dict[int, str]] = {
    "Model": {7: "Graph", 8: "Opset", 20: "!training", 25: "!functions"},
    "Opset": {1: ".opset"},
    "Graph": {1: "Node", 5: "Tensor", 11: "Input", 12: "Output", 15: "Sparse"},
    "Node": {4: ".operator", 5: "Attribute", 7: ".domain"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "Sparse", 23: "Sparse"},
    "Sparse": {1: "Tensor", 2: "Tensor"},
    "Tensor": {8: ".name", 13: "!external", 14: ".location"},
    "Input": {1: ".name", 2: "Type"},
    "Output": {1: ".name", 2: "Type"},
    "Type": {1: "Shaped"},
    "Shaped": {1: ".element", 2: "Shape"},
    "Shape": {1: "Dimension"},
    "Dimension": {1: ".length"},
}
_WHY = {
    "training": "carries a training part",
    "functions": "carries functions of its own",
    "external": "refers to another file",
}


@dataclass(slots=True)
class Port:
    """An input or output of the graph; `shape` has None where a length is free."""

    name: str = ""
    element: int = 0
    shape: list[int | None] | None = None


@dataclass(slots=True)
class Facts:
    """What a graph is made of, as far as Tomos cares."""

    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    constants: set[str] = field(default_factory=set)
    operators: set[tuple[str, str]] = field(default_factory=set)
    domains: set[str] = field(default_factory=set)


def facts(model: bytes, where: str) -> Facts:
    """Walk a ModelProto; PackageError when it is damaged or not inert."""
    found = Facts()
    try:
        _walk(memoryview(model), found, where)
    except (IndexError, UnicodeDecodeError) as error:
        raise PackageError(f"{where}: not an ONNX graph, or damaged ({error})") from None
    for domain, operator in sorted(found.operators):
        contributed = domain == "com.microsoft" and operator in CONTRIBUTED
        if (domain not in STANDARD and not contributed) or operator in LOOPS:
            name = f"{domain}:{operator}" if domain else operator
            raise PackageError(f"{where}: the operator {name} may not stand in a model file")
    if not found.operators or not found.outputs:
        raise PackageError(f"{where}: expected an ONNX graph with operators and outputs, got none")
    return found


def check(
    model: bytes,
    where: str,
    size: tuple[int, ...],
    outputs: tuple[str, ...],
    answer: tuple[int, int],
):
    """Compare a graph with what the manifest says of it.

    size     (C, Y, X) of the input `image` (N, C, Y, X); N must be free
    outputs  the names it must give
    answer   (K, axes) of `logits`: (N, K), or (N, K, ...) with so many axes after the classes
    """
    found = facts(model, where)
    inputs = [port for port in found.inputs if port.name not in found.constants]
    if [port.name for port in inputs] != ["image"]:
        raise PackageError(
            f"{where}: expected one input named 'image', got {[port.name for port in inputs]}"
        )
    _fits(inputs[0], (None, *size), where)
    if {port.name for port in found.outputs} != set(outputs):
        raise PackageError(
            f"{where}: the manifest says outputs {sorted(outputs)}, "
            f"the graph has {sorted(port.name for port in found.outputs)}"
        )
    if "logits" not in outputs:
        raise PackageError(f"{where}: expected an output named 'logits', got {list(outputs)}")
    for port in found.outputs:
        if port.name == "logits":
            _fits(port, (None, answer[0], *[None] * answer[1]), where)


def _fits(port: Port, expected: tuple[int | None, ...], where: str) -> None:
    if port.shape is None:
        return
    same = len(port.shape) == len(expected) and all(
        came is None or wanted is None or came == wanted
        for came, wanted in zip(port.shape, expected, strict=True)
    )
    if not same:
        wanted = ["any" if length is None else length for length in expected]
        raise PackageError(f"{where}: {port.name} should be {wanted}, the graph says {port.shape}")


def _walk(model: memoryview, found: Facts, where: str) -> None:
    stack: list[tuple[str, memoryview, int, Port | None]] = [("Model", model, 0, None)]
    parts = 0
    while stack:
        kind, data, depth, port = stack.pop()
        # Graph > node > attribute > graph: three messages a level.
        if depth > 3 * DEEPEST:
            raise PackageError(f"{where}: graphs nested deeper than {DEEPEST}; refused")
        if kind in ("Input", "Output"):
            port = Port()
            # Only the outermost graph's ports (Model > Graph > port) are the model's.
            if depth == 2:
                (found.inputs if kind == "Input" else found.outputs).append(port)
        elif kind == "Shape" and port is not None:
            port.shape = []
        elif kind == "Dimension" and port is not None and port.shape is not None:
            port.shape.append(None)
        values: dict[str, object] = {}
        inner: list[tuple[str, memoryview, int, Port | None]] = []
        for number, value in fields(data, where):
            what = _SCHEMA[kind].get(number)
            if what is None:
                continue
            if what[0] == "!":
                raise PackageError(f"{where}: {_WHY[what[1:]]}; refused")
            if what[0] == ".":
                values[what[1:]] = value
            elif isinstance(value, memoryview) and parts < MOST_PARTS:
                inner.append((what, value, depth + 1, port))
                parts += 1
            else:
                raise PackageError(f"{where}: not an ONNX graph, or damaged")
        stack.extend(reversed(inner))
        _note(kind, values, found, port, where)


def _note(kind: str, values: dict, found: Facts, port: Port | None, where: str) -> None:
    """Keep what was read of one message."""

    def text(key: str) -> str:
        value = values.get(key, b"")
        if isinstance(value, int):
            raise PackageError(f"{where}: not an ONNX graph, or damaged")
        return bytes(value).decode("utf-8")

    if kind == "Node":
        found.operators.add((text("domain"), text("operator")))
    elif kind == "Opset":
        found.domains.add(text("opset"))
    elif kind == "Tensor":
        if values.get("location", 0) != 0:
            raise PackageError(f"{where}: {_WHY['external']}; refused")
        found.constants.add(text("name"))
    elif kind in ("Input", "Output") and port is not None:
        port.name = text("name")
    elif kind == "Shaped" and port is not None:
        element = values.get("element", 0)
        port.element = element if isinstance(element, int) else 0
    elif kind == "Dimension" and port is not None and port.shape:
        length = values.get("length")
        port.shape[-1] = length if isinstance(length, int) and length > 0 else None


def fields(data: memoryview, where: str) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, value) of one message; a view for length-delimited ones, else an integer."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 2:
            length, at = _varint(data, at)
            if at + length > end:
                raise PackageError(f"{where}: the ONNX graph is cut short or damaged")
            yield number, data[at : at + length]
            at += length
        elif wire == 0:
            value, at = _varint(data, at)
            yield number, value
        elif wire in (1, 5) and at + (8 if wire == 1 else 4) <= end:
            at += 8 if wire == 1 else 4
        else:
            raise PackageError(f"{where}: not an ONNX graph, or damaged")


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise IndexError("a number of more than ten bytes")
