"""Models for masks whose truth is known: what is brighter than a half is "ball"."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tomos import package
from tomos.inference import MaskPredictor
from tomos.package import Manifest
from tomos.types import Image

STEEP = 20.0  # logits a unit of brightness


class Bright:
    """A network of pictures or volumes: the logits of "ball" grow with brightness.

    room    voxels at once above which it has no memory left; 0: any number
    raises  what it says then
    each, takes  as a `Network` may state them
    """

    outputs = ("logits",)

    def __init__(self, room=0, raises=MemoryError, each=None, takes=()):
        self.room, self.raises, self.takes = room, raises, takes
        self.shapes: list[tuple[int, ...]] = []
        if each is not None:
            self.each = each

    def __call__(self, inputs, wanted=()):
        x = inputs["image"]
        self.shapes.append(x.shape)
        voxels = x[:, 0].size
        if self.room and voxels > self.room:
            raise self.raises("cannot go on")
        return {"logits": np.concatenate([np.full_like(x, 0.5), x], axis=1) * STEEP}


def manifest(tile=(16, 16, 16), prepare=(), **changes) -> Manifest:
    values = {
        "name": "bright",
        "task": "segment",
        "kind": "mask",
        "target": "mask",
        "classes": ({"name": "ball"},),
        "input": {"channels": 1, "size": tile},
        "prepare": tuple(prepare),
        "graphs": ({"file": "graphs/0.onnx", "outputs": ("logits",)},),
        "network": {
            "name": "unet",
            "options": {"dims": len(tile), "widths": [4, 8], "strides": [1, 2]},
        },
        "map_method": "none",
    }
    return Manifest.model_validate({**values, **changes})


def predictor(network=None, memory=0, **changes) -> MaskPredictor:
    networks = network if isinstance(network, list) else [network or Bright()]
    return MaskPredictor.of(manifest(**changes), networks, threads=1, memory=memory)


def volume(size=(40, 36, 44), spacing=(1.0, 1.0, 1.0), path="case.nii.gz") -> Image:
    """Two bright boxes in the dark, in the patient."""
    from tomos.types import Origin

    pixels = np.zeros(size, np.float32)
    pixels[8:20, 5:30, 10:40] = 1
    pixels[26:38, 20:34, 3:12] = 0.8
    affine = np.diag([*spacing, 1.0])[:, [0, 1, 2, 3]]
    # Towards S, P, L.
    affine[:3, :3] = np.array([[0, 0, -1], [0, -1, 0], [1, 0, 0]]) * spacing
    return Image(pixels[None], affine, "patient", origin=Origin(path=path, format="nifti"))


def graph(maps=8, size=(None, None, None)) -> bytes:
    """The same network as ONNX: `maps` copies of the picture by a convolution, then their mean
    against a half. Needs `onnx`."""
    import onnx
    from onnx import TensorProto, helper

    axes = len(size)

    def constant(name, array):
        array = np.float32(array)
        return helper.make_tensor(name, TensorProto.FLOAT, array.shape, array.tobytes(), raw=True)

    def port(name, channels):
        sides = [length or side for length, side in zip(size, "ZYX"[-axes:], strict=True)]
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", channels, *sides])

    copy = np.zeros((maps, 1, *[3] * axes))
    copy[(slice(None), 0, *[1] * axes)] = 1
    mean = np.zeros((2, maps, *[1] * axes))
    mean[1] = STEEP / maps
    nodes = [
        helper.make_node("Conv", ["image", "copy"], ["c"], pads=[1] * (2 * axes)),
        helper.make_node("Relu", ["c"], ["maps"]),
        helper.make_node("Conv", ["maps", "mean", "bias"], ["logits"]),
    ]
    constants = [constant("copy", copy), constant("mean", mean), constant("bias", [STEEP / 2, 0])]
    body = helper.make_graph(nodes, "toy", [port("image", 1)], [port("logits", 2)], constants)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def model_file(path: Path, size=(None, None, None), maps=8, **changes) -> Path:
    """A whole model file, its synthetic example with it."""
    from tomos.inference import example
    from tomos.inference.network import OnnxRuntime

    content, known = graph(maps, size), manifest(**changes)
    net = OnnxRuntime(content, "toy", 1)
    made = example.make(known.prepare, [net], 1, known.input.size)
    package.write(path, known.model_copy(update={"example": made}), [content])
    return path
