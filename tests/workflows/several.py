"""A model that reads two images a case, whose answers can be foreseen, and such cases.

"ball" is where the second image is brighter than a half: the first tells nothing of it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tomos import formats, package
from tomos.inference import example
from tomos.inference.network import OnnxRuntime
from tomos.package import Manifest
from tomos.types import Image

ROLES = ("t1", "t2")
TILE = (8, 8, 8)
STEEP = 20.0
UPRIGHT = np.array([[0, 0, -1, 0], [0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], float)


def graph() -> bytes:
    """image (N, 2, Z, Y, X) -> logits (N, 2, Z, Y, X): a half, and the second channel, steep."""
    from onnx import TensorProto, helper

    def port(name):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2, "Z", "Y", "X"])

    weights = np.zeros((2, 2, 1, 1, 1), np.float32)
    weights[1, 1] = STEEP
    values = [
        helper.make_tensor("w", TensorProto.FLOAT, weights.shape, weights.tobytes(), raw=True),
        helper.make_tensor("b", TensorProto.FLOAT, [2], [STEEP / 2, 0.0]),
    ]
    node = helper.make_node("Conv", ["image", "w", "b"], ["logits"])
    body = helper.make_graph([node], "second", [port("image")], [port("logits")], values)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(body, opset_imports=opset, ir_version=8).SerializeToString()


def model_file(path: Path, **given) -> Path:
    """`given`: changes of the manifest's input."""
    known = Manifest.model_validate(
        {
            "name": "second",
            "task": "segment",
            "kind": "mask",
            "target": "mask",
            "classes": [{"name": "ball"}],
            "input": {"channels": 2, "size": TILE, "roles": ROLES, **given},
            "prepare": [{"step": "channels", "to": 2}, {"step": "orient"}],
            "graphs": [{"file": "graphs/0.onnx", "outputs": ["logits"]}],
            "network": {"name": "unet", "options": {"dims": 3}},
            "map_method": "none",
        }
    )
    content = graph()
    net = OnnxRuntime(content, "second", 1)
    made = example.make(known.prepare, [net], 2, TILE)
    package.write(path, known.model_copy(update={"example": made}), [content])
    return path


def scan(path: Path, seed: int, at: int | None, step: float = 1.0) -> Path:
    """Noise up to 0.3 on 10 x 12 x 14 mm and, from index `at` on, a bright cube of 4 voxels."""
    size = tuple(round(n / step) for n in (10, 12, 14))
    pixels = 0.3 * np.random.default_rng(seed).random(size, np.float32)
    if at is not None:
        pixels[at : at + 4, at : at + 4, at : at + 4] = 1
    affine = UPRIGHT @ np.diag([step, step, step, 1.0])
    path.parent.mkdir(parents=True, exist_ok=True)
    formats.write_nifti(Image(pixels[None], affine, "patient"), path)
    return path


def cases(folder: Path, count: int = 3) -> list[tuple[Path, Path]]:
    """(t1, t2) of each, called p0_0000.nii.gz and p0_0001.nii.gz; the cube is in t2, another one,
    which is none, in t1."""
    return [
        (
            scan(folder / f"p{k}_0000.nii.gz", 10 + k, 6 - k),
            scan(folder / f"p{k}_0001.nii.gz", 20 + k, 2 + k),
        )
        for k in range(count)
    ]


def truth(k: int) -> np.ndarray:
    """(10, 12, 14) of case `k`."""
    found = np.zeros((10, 12, 14), np.uint8)
    found[2 + k : 6 + k, 2 + k : 6 + k, 2 + k : 6 + k] = 1
    return found
