"""A model file's ONNX graph run again in torch, so that gradients can be followed through it.

The graph is what is used at the bedside; its gradients are taken from it, not from a checkpoint
that may have been left elsewhere. Only what our exporter writes is known here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from tomos.types import MissingExtra, PackageError

CONVOLUTIONAL = {"Conv", "Relu", "MaxPool", "AveragePool", "BatchNormalization", "Add", "Concat"}


class _Graph:
    """Nodes in order, and what does not depend on the image."""

    def __init__(self, model: bytes):
        self._nodes, self._values = _load(model)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self._run({"image": x}, "logits")

    def _needed(self, given: set[str], wanted: str) -> list[Any]:
        """The nodes from `given` to `wanted`, in order."""
        missing, chosen = {wanted}, []
        for node in reversed(self._nodes):
            if missing & set(node.output):
                chosen.append(node)
                missing = (missing - set(node.output)) | (set(node.input) - given)
        return chosen[::-1]

    def _run(self, given: dict[str, torch.Tensor], wanted: str) -> torch.Tensor:
        values: dict[str, Any] = {**self._values, **given}
        for node in self._needed(set(given), wanted):
            if node.output[0] not in values:
                _into(values, node)
        return values[wanted]


class Replay(_Graph):
    """One graph, cut at its last maps; `maps`, `pool` and `classify` are as in `tomos.models.Net`.

    `pool` is the identity here and `classify` all that follows the maps.
    """

    def __init__(self, model: bytes, shape: Sequence[int]):
        super().__init__(model)
        self._cut = self._last_maps(shape)

    def maps(self, x: torch.Tensor) -> torch.Tensor | None:
        return self._run({"image": x}, self._cut) if self._cut else None

    def pool(self, maps: torch.Tensor) -> torch.Tensor:
        return maps

    def classify(self, maps: torch.Tensor) -> torch.Tensor:
        return self._run({self._cut: maps}, "logits")

    def _last_maps(self, shape: Sequence[int]) -> str:
        """The last maps with more than one place, through which all goes from image to logits."""
        values: dict[str, Any] = {**self._values, "image": torch.zeros(1, *shape)}
        order = self._needed({"image"}, "logits")
        with torch.no_grad():
            for node in order:
                _into(values, node)
        for node in reversed(order):
            name, value = node.output[0], values[node.output[0]]
            spatial = value.ndim == 4 and value.shape[2] * value.shape[3] > 1
            if spatial and node.op_type in CONVOLUTIONAL and self._cuts(name):
                return name
        return ""

    def _cuts(self, name: str) -> bool:
        return all("image" not in node.input for node in self._needed({name}, "logits"))


class Segmenting(_Graph):
    """One graph for masks, cut at its coarsest maps: those of which its `features` are the mean."""

    def __init__(self, model: bytes):
        super().__init__(model)
        ends = [node for node in self._nodes if "features" in node.output]
        if not ends or ends[0].op_type != "ReduceMean":
            raise PackageError(
                "the graph does not say which maps its features are the mean of, which gradcam "
                "needs; use occlusion"
            )
        self._cut = ends[0].input[0]

    def maps(self, x: torch.Tensor) -> torch.Tensor:
        """(B, F, [z,] y, x)"""
        return self._run({"image": x}, self._cut)

    def logits(self, x: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
        """(B, K, [Z,] Y, X) of x with `maps` in place of its own coarsest maps."""
        return self._run({"image": x, self._cut: maps}, "logits")


class Ensemble:
    """Several graphs whose logits are averaged; maps are those of all, side by side."""

    def __init__(self, graphs: Sequence[bytes], shape: Sequence[int]):
        self._nets = [Replay(graph, shape) for graph in graphs]
        self._features: list[int] = []

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([net(x) for net in self._nets]).mean(0)

    def maps(self, x: torch.Tensor) -> torch.Tensor | None:
        maps = [net.maps(x) for net in self._nets]
        whole = [m for m in maps if m is not None]
        if len(whole) < len(maps) or len({m.shape[2:] for m in whole}) > 1:
            return None
        self._features = [m.shape[1] for m in whole]
        return torch.cat(whole, dim=1)

    def pool(self, maps: torch.Tensor) -> torch.Tensor:
        return maps

    def classify(self, maps: torch.Tensor) -> torch.Tensor:
        parts = maps.split(self._features, dim=1)
        logits = [net.classify(part) for net, part in zip(self._nets, parts, strict=True)]
        return torch.stack(logits).mean(0)


def _load(model: bytes) -> tuple[list[Any], dict[str, torch.Tensor]]:
    """The nodes that depend on the image, and every other value."""
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError:
        raise MissingExtra("a gradient map of a model file", "onnx", "train") from None
    graph = onnx.load_from_string(model).graph
    values = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
    moving = {"image"}
    nodes, fixed = [], []
    for node in graph.node:
        if moving & set(node.input):
            moving.update(node.output)
            nodes.append(node)
        else:
            fixed.append(node)
    return nodes, values | _fold(fixed, graph.initializer, nodes)


def _fold(fixed: list[Any], initializers: Any, nodes: list[Any]) -> dict[str, torch.Tensor]:
    """What does not depend on the image, computed once by the reference implementation."""
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    made = {name for node in fixed for name in node.output}
    wanted = sorted({name for node in nodes for name in node.input} & made)
    if not wanted:
        return {}
    ports = [helper.make_empty_tensor_value_info(name) for name in wanted]
    body = helper.make_graph(fixed, "fixed", [], ports, initializer=list(initializers))
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)])
    results = ReferenceEvaluator(model).run(None, {})
    return {
        name: torch.from_numpy(np.array(value)) for name, value in zip(wanted, results, strict=True)
    }


def _into(values: dict[str, Any], node: Any) -> None:
    """Run a node and keep what it gives; most give one thing."""
    found = _apply(node, [values.get(name) for name in node.input])
    values |= zip(node.output, found if isinstance(found, tuple) else (found,), strict=False)


def _apply(node: Any, inputs: list[Any]) -> torch.Tensor | tuple[torch.Tensor, ...]:
    from onnx import helper

    if node.op_type not in OPERATORS:
        raise PackageError(
            f"the operator {node.op_type} is not known to gradient maps; use cam or occlusion"
        )
    options = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return OPERATORS[node.op_type](inputs, options)


def _padded(x: torch.Tensor, pads: Sequence[int], value: float = 0.0) -> torch.Tensor:
    if not any(pads):
        return x
    half = len(pads) // 2
    order = [p for axis in reversed(range(half)) for p in (pads[axis], pads[axis + half])]
    return F.pad(x, order, value=value)


def _axes(x: torch.Tensor) -> int:
    """Of space: 2 of pictures, 3 of volumes."""
    if x.ndim not in (4, 5):
        raise PackageError(f"maps of {x.ndim} axes are not known to gradient maps")
    return x.ndim - 2


def _conv(i: list[Any], o: dict) -> torch.Tensor:
    axes = _axes(i[0])
    x = _padded(i[0], o.get("pads", [0] * 2 * axes))
    bias, run = i[2] if len(i) > 2 else None, (F.conv2d, F.conv3d)[axes - 2]
    return run(x, i[1], bias, o.get("strides", 1), 0, o.get("dilations", 1), o.get("group", 1))


def _conv_transpose(i: list[Any], o: dict) -> torch.Tensor:
    axes = _axes(i[0])
    pads = o.get("pads", [0] * 2 * axes)
    if pads[:axes] != pads[axes:]:
        raise PackageError("a convolution with uneven margins is not known to gradient maps")
    bias, run = i[2] if len(i) > 2 else None, (F.conv_transpose2d, F.conv_transpose3d)[axes - 2]
    strides, dilations = o.get("strides", 1), o.get("dilations", 1)
    more = o.get("output_padding", 0)
    return run(i[0], i[1], bias, strides, list(pads[:axes]), more, o.get("group", 1), dilations)


def _resize(i: list[Any], o: dict) -> torch.Tensor:
    x, axes = i[0], _axes(i[0])
    mode, way = o.get("mode", b"nearest"), o.get("coordinate_transformation_mode", b"half_pixel")
    if mode != b"linear" or way != b"half_pixel":
        raise PackageError("this way of enlarging maps is not known to gradient maps")
    if len(i) > 3 and i[3] is not None:
        size = i[3].tolist()[2:]
    else:
        sides = zip(x.shape[2:], i[2].tolist()[2:], strict=True)
        size = [int(side * times) for side, times in sides]
    return F.interpolate(x, size=size, mode=("bilinear", "trilinear")[axes - 2])


def _split(i: list[Any], o: dict) -> tuple[torch.Tensor, ...]:
    axis, sizes = o.get("axis", 0), i[1].tolist() if len(i) > 1 and i[1] is not None else None
    if sizes is None:
        sizes = -(-i[0].shape[axis] // o["num_outputs"])
    return i[0].split(sizes, dim=axis)


def _gather(i: list[Any], o: dict) -> torch.Tensor:
    axis, index = o.get("axis", 0), i[1]
    if index.ndim == 0:
        return i[0].select(axis, int(index))
    return i[0].index_select(axis, index.reshape(-1)).unflatten(axis, index.shape)


def _cast(i: list[Any], o: dict) -> torch.Tensor:
    kinds = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool, 11: torch.float64}
    if o["to"] not in kinds:
        raise PackageError(f"numbers of ONNX type {o['to']} are not known to gradient maps")
    return i[0].to(kinds[o["to"]])


def _max_pool(i: list[Any], o: dict) -> torch.Tensor:
    axes = _axes(i[0])
    x = _padded(i[0], o.get("pads", [0] * 2 * axes), float("-inf"))
    run, strides = (F.max_pool2d, F.max_pool3d)[axes - 2], o.get("strides", [1] * axes)
    return run(x, o["kernel_shape"], strides, ceil_mode=bool(o.get("ceil_mode", 0)))


def _average_pool(i: list[Any], o: dict) -> torch.Tensor:
    axes = _axes(i[0])
    pads = o.get("pads", [0] * 2 * axes)
    if pads[:axes] != pads[axes:]:
        raise PackageError("average pooling with uneven margins is not known to gradient maps")
    return (F.avg_pool2d, F.avg_pool3d)[axes - 2](
        i[0],
        o["kernel_shape"],
        o.get("strides", [1] * axes),
        list(pads[:axes]),
        bool(o.get("ceil_mode", 0)),
        bool(o.get("count_include_pad", 0)),
    )


def _norm(i: list[Any], o: dict) -> torch.Tensor:
    return F.batch_norm(i[0], i[3], i[4], i[1], i[2], eps=o.get("epsilon", 1e-5))


def _gemm(i: list[Any], o: dict) -> torch.Tensor:
    a = i[0].T if o.get("transA") else i[0]
    b = i[1].T if o.get("transB") else i[1]
    y = o.get("alpha", 1.0) * (a @ b)
    return y + o.get("beta", 1.0) * i[2] if len(i) > 2 else y


def _mean(i: list[Any], o: dict) -> torch.Tensor:
    axes = i[1].tolist() if len(i) > 1 and i[1] is not None else list(o.get("axes", ()))
    dims = axes or list(range(i[0].ndim))
    return i[0].mean(dims, keepdim=bool(o.get("keepdims", 1)))


def _reshape(i: list[Any], o: dict) -> torch.Tensor:
    shape = [i[0].shape[k] if n == 0 else n for k, n in enumerate(i[1].tolist())]
    return i[0].reshape(shape)


def _pad(i: list[Any], o: dict) -> torch.Tensor:
    pads = i[1].tolist()
    half = len(pads) // 2
    order = [p for axis in reversed(range(half)) for p in (pads[axis], pads[axis + half])]
    mode = {"constant": "constant", "edge": "replicate", "reflect": "reflect"}[
        o.get("mode", b"constant").decode()
    ]
    if mode == "constant":
        value = float(i[2]) if len(i) > 2 and i[2] is not None else 0.0
        return F.pad(i[0], order, value=value)
    return F.pad(i[0], order[: 2 * (half - 2)], mode=mode)


def _slice(i: list[Any], o: dict) -> torch.Tensor:
    starts, ends = i[1].tolist(), i[2].tolist()
    axes = i[3].tolist() if len(i) > 3 and i[3] is not None else list(range(len(starts)))
    steps = i[4].tolist() if len(i) > 4 and i[4] is not None else [1] * len(starts)
    if any(step < 1 for step in steps):
        raise PackageError("a slice that runs backwards is not known to gradient maps")
    cut = [slice(None)] * i[0].ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        cut[axis] = slice(start, end, step)
    return i[0][tuple(cut)]


def _unsqueeze(i: list[Any], o: dict) -> torch.Tensor:
    ndim = i[0].ndim + len(i[1])
    for axis in sorted(axis % ndim for axis in i[1].tolist()):
        i = [i[0].unsqueeze(axis), *i[1:]]
    return i[0]


def _layer_norm(i: list[Any], o: dict) -> torch.Tensor:
    shape = i[0].shape[o.get("axis", -1) :]
    bias = i[2] if len(i) > 2 else None
    return F.layer_norm(i[0], shape, i[1], bias, o.get("epsilon", 1e-5))


OPERATORS: dict[str, Callable[[list[Any], dict], torch.Tensor | tuple[torch.Tensor, ...]]] = {
    "Add": lambda i, o: i[0] + i[1],
    "AveragePool": _average_pool,
    "BatchNormalization": _norm,
    "Cast": _cast,
    "Clip": lambda i, o: torch.clamp(i[0], *(None if v is None else float(v) for v in i[1:3])),
    "Concat": lambda i, o: torch.cat(i, dim=o["axis"]),
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Div": lambda i, o: i[0] / i[1],
    "Dropout": lambda i, o: i[0],
    "Erf": lambda i, o: torch.erf(i[0]),
    "Flatten": lambda i, o: i[0].flatten(o.get("axis", 1)),
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda i, o: i[0].mean((2, 3), keepdim=True),
    "HardSigmoid": lambda i, o: torch.clamp(o.get("alpha", 0.2) * i[0] + o.get("beta", 0.5), 0, 1),
    "HardSwish": lambda i, o: F.hardswish(i[0]),
    "Identity": lambda i, o: i[0],
    "InstanceNormalization": lambda i, o: F.instance_norm(
        i[0], weight=i[1], bias=i[2], eps=o.get("epsilon", 1e-5)
    ),
    "LayerNormalization": _layer_norm,
    "LeakyRelu": lambda i, o: F.leaky_relu(i[0], o.get("alpha", 0.01)),
    "MatMul": lambda i, o: i[0] @ i[1],
    "MaxPool": _max_pool,
    "Mul": lambda i, o: i[0] * i[1],
    "PRelu": lambda i, o: torch.where(i[0] > 0, i[0], i[0] * i[1]),
    "Pad": _pad,
    "ReduceMean": _mean,
    "Relu": lambda i, o: F.relu(i[0]),
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": lambda i, o: torch.tensor(i[0].shape),
    "Sigmoid": lambda i, o: torch.sigmoid(i[0]),
    "Slice": _slice,
    "Softmax": lambda i, o: i[0].softmax(o.get("axis", -1)),
    "Split": _split,
    "Sqrt": lambda i, o: torch.sqrt(i[0]),
    "Squeeze": lambda i, o: i[0].squeeze(i[1].tolist()) if len(i) > 1 else i[0].squeeze(),
    "Sub": lambda i, o: i[0] - i[1],
    "Tanh": lambda i, o: torch.tanh(i[0]),
    "Transpose": lambda i, o: i[0].permute(*o["perm"]),
    "Unsqueeze": _unsqueeze,
}
