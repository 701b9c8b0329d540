"""A model file whose answers can be foreseen, and films to read with it.

One filter finds bright spots of about a nodule's size: the network answers "nodule" where the
picture holds some. Needs `onnx`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tomos import package
from tomos.inference import Predictor, example, networks
from tomos.transforms.prepare import Chain

SIDE = 96
CLASSES = ("no_finding", "nodule")
PREPARE = (
    {"step": "channels", "to": 1},
    {"step": "window", "source": "file"},
    {"step": "resize", "size": (SIDE, SIDE), "mode": "pad", "fill": "minimum"},
)
CARD = """## Purpose

Shows how **Tomos** serves a model. It marks round, bright spots on drawn chest films.

## Limits

- Drawn films only: it has never seen a patient.
- One size of spot.
"""


def spot_filter(side: int = 9, radius: float = 2.0) -> np.ndarray:
    """A Gaussian less its surroundings: sums to nothing, so even grey gives no answer."""
    at = np.arange(side) - side // 2
    squared = at[:, None] ** 2 + at[None] ** 2
    middle = np.exp(-squared / (2 * radius**2))
    around = np.exp(-squared / (2 * (2 * radius) ** 2))
    return (middle / middle.sum() - around / around.sum()).astype(np.float32)


def graph() -> bytes:
    """image (N, 1, 96, 96) -> spots above a level -> average -> logits, features, cam."""
    from onnx import TensorProto, helper

    def constant(name, values):
        array = np.asarray(values, np.float32)
        return helper.make_tensor(name, TensorProto.FLOAT, array.shape, array.tobytes(), raw=True)

    def port(name, *shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))

    linear = np.array([[-37400.0], [37400.0]])
    nodes = [
        helper.make_node("Conv", ["image", "filter", "level"], ["spots"], pads=[4, 4, 4, 4]),
        helper.make_node("Relu", ["spots"], ["maps"]),
        helper.make_node("GlobalAveragePool", ["maps"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
        helper.make_node("Gemm", ["features", "linear", "bias"], ["logits"], transB=1),
        helper.make_node("Conv", ["maps", "linear4"], ["cam"]),
    ]
    weights = [
        constant("filter", spot_filter()[None, None]),
        constant("level", [-0.075]),
        constant("linear", linear),
        constant("linear4", linear[:, :, None, None]),
        constant("bias", [1.5, -1.5]),
    ]
    inputs = [port("image", "N", 1, SIDE, SIDE)]
    outputs = [port("logits", "N", 2), port("features", "N", 1), port("cam", "N", 2, SIDE, SIDE)]
    body = helper.make_graph(nodes, "spots", inputs, outputs, weights)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(body, opset_imports=opset, ir_version=8).SerializeToString()


def manifest(**changes) -> package.Manifest:
    values = {
        "name": "drawn-films",
        "created": "2026-11-21",
        "classes": ({"name": CLASSES[0], "finding": False}, {"name": CLASSES[1]}),
        "input": {"channels": 1, "size": (SIDE, SIDE)},
        "prepare": PREPARE,
        "network": {"name": "spots"},
        "graphs": ({"file": "graphs/0.onnx", "outputs": ("logits", "features", "cam")},),
        "map_method": "cam",
        "features": True,
        "operating_point": {
            "thresholds": {"nodule": 0.4},
            "refer": {"nodule": (0.32, 0.48)},
            "rule": "youden",
            "split": "val",
        },
        "envelope": {
            "facts": {
                "modality": {"seen": ["DX"], "share": 1.0},
                "body_part": {"seen": ["CHEST"], "share": 1.0},
                "colour": [False],
                "side": [128, 512],
                "aspect": [0.8, 1.2],
            }
        },
        "metrics": {
            "dataset": "drawn films",
            "split": "test",
            "n_cases": 120,
            "n_patients": 80,
            "overall": {
                "auroc": {"value": 0.941, "low": 0.902, "high": 0.971},
                "accuracy": {"value": 0.883, "low": 0.825, "high": 0.933},
                "sensitivity": {"value": 0.861, "low": 0.783, "high": 0.928},
                "specificity": {"value": 0.902, "low": 0.833, "high": 0.962},
            },
        },
        "licence": "Apache-2.0",
    }
    return package.Manifest.model_validate({**values, **changes})


def write(path: Path, **changes) -> Path:
    """The whole model file at `path`, with its synthetic example."""
    draft = manifest(**changes)
    package.write(path, draft, [graph()])
    nets = networks(package.read(path), threads=1)
    made = example.make(Chain(PREPARE), nets, 1, (128, 128))
    package.write(path, manifest(example=made, **changes), [graph()], {"card.md": CARD})
    Predictor(path).verify()
    return path


def film(spots: int, side: int = 256, strength: float = 0.75) -> np.ndarray:
    """(Y, X) uint16, 12 bits: a smooth body with two dark lungs and round bright spots in them."""
    y, x = (np.mgrid[:side, :side] + 0.5) / side - 0.5
    body = 1 / (1 + np.exp((np.hypot(x / 0.44, y / 0.62) - 1) * 14))
    picture = 0.75 * body
    for centre in (-0.19, 0.19):
        lung = 1 / (1 + np.exp((np.hypot((x - centre) / 0.14, (y + 0.02) / 0.3) - 1) * 12))
        picture -= 0.5 * lung
    places = [(-0.16, 0.2), (0.08, -0.18), (0.14, 0.22), (-0.05, -0.24)]
    for row, column in places[:spots]:
        picture += strength * np.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * 0.022**2))
    grain = np.random.default_rng(spots).normal(0, 0.006, picture.shape)
    return np.clip((picture + grain) * 3600 + 200, 0, 4095).astype(np.uint16)


def write_dicom(path: Path, pixels: np.ndarray, modality: str = "DX", body: str = "CHEST") -> Path:
    """A 12-bit DICOM picture with its header, as a detector writes it."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import (
        DigitalXRayImageStorageForPresentation,
        ExplicitVRLittleEndian,
        generate_uid,
    )

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    header = Dataset()
    header.file_meta = meta
    header.SOPClassUID = meta.MediaStorageSOPClassUID
    header.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[path.name])
    header.PatientName, header.PatientID = "Muster^Maria", "4711"
    header.Modality, header.BodyPartExamined, header.ViewPosition = modality, body, "PA"
    header.Rows, header.Columns = pixels.shape
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 12, 11
    header.PixelRepresentation = 0
    header.ImagerPixelSpacing = [1.4, 1.4]
    header.WindowCenter, header.WindowWidth = 1800, 3200
    header.PixelData = pixels.tobytes()
    header.save_as(path, enforce_file_format=True)
    return path
