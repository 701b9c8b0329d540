"""Model files for masks whose answers can be foreseen, and images to read with them.

The network is one weight a class: values above 100 are "grey", above 200 "bright". Needs `onnx`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tomos import package
from tomos.inference import MaskPredictor, example, networks
from tomos.transforms.prepare import Chain

CLASSES = ("grey", "bright")
GREY, BRIGHT = 100.0, 200.0
SHARP = 0.2  # logits a unit of value: 5 units beside an edge the probability is 0.27
TILE = {2: (32, 32), 3: (16, 16, 16)}


def graph(axes: int) -> bytes:
    """image (N, 1, [Z,] Y, X) -> logits (N, 3, ...): 0, x - 100 and 2 x - 300, all times SHARP."""
    from onnx import TensorProto, helper

    def constant(name, values):
        array = np.asarray(values, np.float32)
        return helper.make_tensor(name, TensorProto.FLOAT, array.shape, array.tobytes(), raw=True)

    def port(name, channels):
        lengths = ["N", channels, *TILE[axes]]
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, lengths)

    weights = SHARP * np.array([0.0, 1.0, 2.0]).reshape(3, 1, *[1] * axes)
    bias = SHARP * np.array([0.0, -GREY, -GREY - BRIGHT])
    node = helper.make_node("Conv", ["image", "weights", "bias"], ["logits"])
    values = [constant("weights", weights), constant("bias", bias)]
    body = helper.make_graph([node], "levels", [port("image", 1)], [port("logits", 3)], values)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(body, opset_imports=opset, ir_version=8).SerializeToString()


def manifest(axes: int, **changes) -> package.Manifest:
    orient = [{"step": "orient"}] if axes == 3 else []
    values = {
        "name": "levels",
        "created": "2026-11-21",
        "task": "segment",
        "target": "mask",
        "kind": "mask",
        "classes": [{"name": name} for name in CLASSES],
        "input": {"channels": 1, "size": TILE[axes]},
        "prepare": [{"step": "channels", "to": 1}, *orient],
        "network": {"name": "levels"},
        "graphs": ({"file": "graphs/0.onnx", "outputs": ("logits",)},),
        "map_method": "none",
        "mask": {"doubt": {"bright": (0.5, 2.0)}},
        "metrics": {
            "split": "test",
            "n_cases": 40,
            "overall": {
                "dice": {"value": 0.912, "low": 0.894, "high": 0.93},
                "hd95": {"value": 3.41, "low": 2.9, "high": 4.02},
            },
            "per_class": {"bright": {"dice": {"value": 0.871, "low": 0.84, "high": 0.9}}},
        },
    }
    return package.Manifest.model_validate({**values, **changes})


def write(path: Path, axes: int, **changes) -> Path:
    """The whole model file at `path`, with its synthetic example."""
    network = graph(axes)
    draft = manifest(axes, **changes)
    package.write(path, draft, [network])
    nets = networks(package.read(path), threads=1)
    made = example.make(Chain(draft.prepare), nets, 1, TILE[axes])
    package.write(path, manifest(axes, example=made, **changes), [network])
    MaskPredictor(path, threads=1).verify()
    return path


def ball(size: tuple[int, ...], radii: tuple[float, float] = (0.4, 0.2)) -> np.ndarray:
    """int16 of `size`: 20, in a ball about the middle 150, and in a smaller one 250.

    radii  of both, as shares of the shortest side
    """
    index = np.stack(np.indices(size), axis=-1)
    away = np.linalg.norm(index - (np.array(size) - 1) / 2, axis=-1)
    found = np.full(size, 20, np.int16)
    for radius, value in zip(radii, (150, 250), strict=True):
        found[away < radius * min(size)] = value
    return found


def write_series(folder: Path, volume: np.ndarray, name: str = "slice") -> list[Path]:
    """A CT series, one file a slice (Z, Y, X), 2 mm apart, pixels of 0.8 mm; values are HU."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    study, series, frame = (generate_uid(entropy_srcs=[name, part]) for part in "abc")
    paths = []
    for z, pixels in enumerate(volume):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = CTImageStorage
        one = Dataset()
        one.file_meta = meta
        one.SOPClassUID = CTImageStorage
        one.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = generate_uid(
            entropy_srcs=[name, str(z)]
        )
        one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = study, series, frame
        one.PatientName, one.PatientID, one.Modality = "Muster^Maria", "4711", "CT"
        one.SeriesNumber, one.InstanceNumber = 3, z + 1
        one.ImagePositionPatient = [0, 0, 2.0 * z]
        one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        one.PixelSpacing, one.SliceThickness = [0.8, 0.8], 2.0
        one.Rows, one.Columns = pixels.shape
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 1
        one.RescaleSlope, one.RescaleIntercept, one.RescaleType = 1, 0, "HU"
        one.PixelData = pixels.astype("<i2").tobytes()
        path = folder / f"{name}-{z:02d}.dcm"
        one.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def write_nifti(path: Path, volume: np.ndarray) -> Path:
    """(Z, Y, X) voxels of 1 mm, axes towards S, P, L."""
    from tomos import formats
    from tomos.types import Image

    affine = np.zeros((4, 4))
    affine[[2, 1, 0, 3], [0, 1, 2, 3]] = [1, -1, -1, 1]
    formats.write_nifti(Image(volume[None], affine, "patient"), path)
    return path
