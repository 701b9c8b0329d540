"""The only exporter of the base graph: a network -> ONNX bytes."""

from __future__ import annotations

import copy
import io
import warnings
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tomos.models._net import Net
from tomos.models._segmenter import Segmenter
from tomos.types import PackageError

if TYPE_CHECKING:
    from onnx import ModelProto

# Old enough for every runtime in use (ONNX Runtime reads it since 1.14, OpenVINO since 2023), and
# the first that has all operators of the nets here.
OPSET = 18


class _Graph(nn.Module):
    """image -> logits, features and, where `linear` ends the net, cam."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        if self.net.linear is None:
            features = self.net.embed(image)
            return self.net.classify(features), features
        maps = self.net.maps(image)
        assert maps is not None, "a net with `linear` has maps"
        features = self.net.pool(maps)
        cam = F.conv2d(maps, self.net.linear.weight[:, :, None, None])
        return self.net.classify(features), features, cam


class _Segmenting(nn.Module):
    """image -> logits, features."""

    def __init__(self, net: Segmenter) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        maps = self.net.encode(image)
        return self.net.segment(maps), self.net.pool(maps[-1])


def outputs(net: Net | Segmenter) -> list[str]:
    """The names of the base graph's outputs."""
    exact = isinstance(net, Net) and net.linear is not None
    return ["logits", "features"] + (["cam"] if exact else [])


def to_onnx(net: Net | Segmenter, example: Tensor) -> bytes:
    """The base graph of `net` as ONNX, opset `OPSET`, float32.

    Of a classifier, for pictures of the example's size:

    input    image     (N, C, Y, X), N free
    outputs  logits    (N, K)
             features  (N, F)
             cam       (N, K, y, x), `linear` without its bias on each place of the maps; only where
                       `net.linear` is set. Its mean over y, x, plus the bias, are the logits

    Of a segmenter, for pictures or volumes of any size that fits `net.step`:

    input    image     (N, C, [Z,] Y, X), all but C free
    outputs  logits    (N, K, [Z,] Y, X)
             features  (N, F)

    The graph is that of `net.eval()`, with constants folded (norms into convolutions), and holds no
    source paths. `net` is neither changed nor moved. Raises SettingsError when the example does not
    fit the net, PackageError when the net holds something ONNX has no operator for.
    """
    net.check(example)
    inner = copy.deepcopy(net)
    graph: nn.Module = _Segmenting(inner) if isinstance(inner, Segmenter) else _Graph(inner)
    # In rows as they lie by default: the layout that a net was trained in is no matter of a graph.
    rows_first: dict[str, Any] = {"memory_format": torch.contiguous_format}
    graph = graph.to("cpu", torch.float32, **rows_first).eval()
    # Two rows: an exporter may take a batch of one for a constant.
    rows = example[:1].detach().to("cpu", torch.float32).expand(2, *example.shape[1:])
    try:
        return _clean(_traced(graph, rows.clone(memory_format=torch.contiguous_format), net))
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        raise PackageError(
            f"model {net.name}: expected operators that ONNX has, got "
            f"{str(error).splitlines()[0]}; choose another model for export"
        ) from error


def _traced(graph: nn.Module, example: Tensor, net: Net | Segmenter) -> bytes:
    file, named = io.BytesIO(), outputs(net)
    free = {name: {0: "N"} for name in ["image", *named]}
    if isinstance(net, Segmenter):
        sides = {2 + axis: side for axis, side in enumerate("ZYX"[-net.dims :])}
        free |= {name: {0: "N", **sides} for name in ("image", "logits")}
    with warnings.catch_warnings(), torch.no_grad():
        # Sizes that are not free are constants on purpose, which tracing warns of. The tracing
        # exporter is called deprecated, and chosen all the same: ResNet-18 takes it 0.7 s and the
        # other one 4.8 s (one thread, first of a process), and it needs neither onnxscript nor
        # sympy. Parity is tested for every net, so that a change of exporter shows.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            (example,),
            file,
            dynamo=False,
            opset_version=OPSET,
            do_constant_folding=True,
            input_names=["image"],
            output_names=named,
            dynamic_axes=free,
        )
    return file.getvalue()


def _clean(data: bytes) -> bytes:
    """Without documentation strings and metadata, which name files of the exporting machine, and
    without the Identity nodes by which equal constants were merged."""
    import onnx

    model = onnx.load_from_string(data)
    model.producer_name, model.producer_version = "tomos", ""
    model.doc_string = model.graph.doc_string = ""
    del model.metadata_props[:], model.graph.metadata_props[:]
    graph = model.graph
    for part in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
    _drop_identities(model)
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def _drop_identities(model: ModelProto) -> None:
    graph = model.graph
    final = {output.name for output in graph.output}
    source = {
        node.output[0]: node.input[0]
        for node in graph.node
        if node.op_type == "Identity" and node.output[0] not in final
    }
    kept = [node for node in graph.node if node.output[0] not in source]
    for node in kept:
        for index, name in enumerate(node.input):
            while name in source:
                name = source[name]
            node.input[index] = name
    del graph.node[:]
    graph.node.extend(kept)
