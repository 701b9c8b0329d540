"""A model small enough to check by hand, for the tests of several rooms. Needs `onnx`."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from tomos import package


def graph(filters: np.ndarray, linear: np.ndarray, bias: np.ndarray, size=(None, None)) -> bytes:
    """image (N, C, Y, X) -> 3x3 convolution, ReLU, average, linear: logits, features, cam.

    filters (F, C, 3, 3); linear (K, F); bias (K,)
    """
    classes, channels = len(linear), filters.shape[1]

    def constant(name, array):
        return helper.make_tensor(
            name, TensorProto.FLOAT, array.shape, np.float32(array).tobytes(), raw=True
        )

    def port(name, *shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))

    nodes = [
        helper.make_node("Conv", ["image", "filters"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["maps"]),
        helper.make_node("GlobalAveragePool", ["maps"], ["p"]),
        helper.make_node("Flatten", ["p"], ["features"]),
        helper.make_node("Gemm", ["features", "linear", "bias"], ["logits"], transB=1),
        helper.make_node("Conv", ["maps", "linear4"], ["cam"]),
    ]
    y, x = (length or name for length, name in zip(size, ("Y", "X"), strict=True))
    body = helper.make_graph(
        nodes,
        "toy",
        [port("image", "N", channels, y, x)],
        [
            port("logits", "N", classes),
            port("features", "N", len(filters)),
            port("cam", "N", classes, y, x),
        ],
        [
            constant("filters", filters),
            constant("linear", linear),
            constant("linear4", linear[:, :, None, None]),
            constant("bias", bias),
        ],
    )
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def bright(classes=2, size=(8, 8), seed=0) -> bytes:
    """Logit of the last class grows with the picture; one filter passes it, two are noise."""
    rng = np.random.default_rng(seed)
    filters = np.zeros((3, 1, 3, 3))
    filters[0, 0, 1, 1] = 1
    filters[1:] = rng.normal(0, 0.05, (2, 1, 3, 3))
    linear = np.zeros((classes, 3))
    linear[-1, 0] = 8
    linear[0, 1] = 0.5
    bias = np.zeros(classes)
    bias[-1] = -2
    return graph(filters, linear, bias, size)


def manifest(**changes) -> package.Manifest:
    """What goes with `bright()`."""
    values = {
        "name": "toy",
        "classes": ({"name": "dark", "finding": False}, {"name": "bright"}),
        "input": {"channels": 1, "size": (8, 8)},
        "graphs": ({"file": "graphs/0.onnx", "outputs": ("logits", "features", "cam")},),
        "map_method": "cam",
        "features": True,
        "operating_point": {"thresholds": {"bright": 0.5}},
    }
    return package.Manifest.model_validate({**values, **changes})


def model(path: Path, extras=None, **changes) -> Path:
    """A whole model file."""
    package.write(path, manifest(**changes), [bright()], extras)
    return path
