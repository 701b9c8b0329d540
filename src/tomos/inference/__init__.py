"""`Image -> Prediction`: prepare, run, average, calibrate, decode, judge. One path for validation,
evaluation and serving. A network is a callable `dict of arrays -> dict of arrays`: ONNX Runtime by
default, OpenVINO, or a torch module handed in by training
"""

from pathlib import Path

from tomos import package as model_file
from tomos.inference.envelope import Envelope, Info, Judgement, Seen
from tomos.inference.masks import MaskPredictor
from tomos.inference.network import Network, networks
from tomos.inference.predictor import Predictor
from tomos.package import Package

AnyPredictor = Predictor | MaskPredictor

__all__ = [
    "AnyPredictor",
    "Envelope",
    "Info",
    "Judgement",
    "MaskPredictor",
    "Network",
    "Predictor",
    "Seen",
    "networks",
    "predictor",
]


def predictor(package: Package | Path | str, backend: str = "auto", threads: int = 0):
    """The model of a file, ready, by what it is for: `Predictor` or `MaskPredictor`."""
    read = package if isinstance(package, Package) else model_file.read(package)
    kind = MaskPredictor if read.manifest.kind == "mask" else Predictor
    return kind(read, backend, threads)
