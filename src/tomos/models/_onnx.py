"""The only exporter of the base graph: a network -> ONNX bytes."""

from __future__ import annotations

import copy
import io
import warnings
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tomos.models._net import Net
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


def outputs(net: Net) -> list[str]:
    """The names of the base graph's outputs."""
    return ["logits", "features"] + (["cam"] if net.linear is not None else [])


def to_onnx(net: Net, example_BCYX: Tensor) -> bytes:
    """The base graph of `net` as ONNX, opset `OPSET`, float32, for pictures of the example's size.

    input    image     (N, C, Y, X), N free
    outputs  logits    (N, K)
             features  (N, F)
             cam       (N, K, y, x), `linear` without its bias on each place of the maps; only where
                       `net.linear` is set. Its mean over y, x, plus the bias, are the logits

    The graph is that of `net.eval()`, with constants folded (norms into convolutions), and holds no
    source paths. `net` is neither changed nor moved. Raises SettingsError when the example does not
    fit the net, PackageError when the net holds something ONNX has no operator for.
    """
    net.check(example_BCYX)
    graph = _Graph(copy.deepcopy(net)).to("cpu", torch.float32).eval()
    # Two rows: an exporter may take a batch of one for a constant.
    example = example_BCYX[:1].detach().to("cpu", torch.float32).expand(2, -1, -1, -1)
    try:
        return _clean(_traced(graph, example.contiguous(), outputs(net)))
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        raise PackageError(
            f"model {net.name}: expected operators that ONNX has, got "
            f"{str(error).splitlines()[0]}; choose another model for export"
        ) from error


def _traced(graph: nn.Module, example: Tensor, named: list[str]) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        # Sizes are constants of this graph on purpose, which tracing warns of. The tracing exporter
        # is called deprecated, and chosen all the same: ResNet-18 takes it 0.7 s and the other one
        # 4.8 s (one thread, first of a process), and it needs neither onnxscript nor sympy. Parity
        # is tested for every net, so that a change of exporter shows.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            (example,),
            file,  # type: ignore[arg-type]  # the tracing exporter writes to files too
            dynamo=False,
            opset_version=OPSET,
            do_constant_folding=True,
            input_names=["image"],
            output_names=named,
            dynamic_axes={name: {0: "N"} for name in ["image", *named]},
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
