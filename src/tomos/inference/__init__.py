"""`Image -> Prediction`: prepare, run, average, calibrate, decode, judge. One path for validation,
evaluation and serving. A network is a callable `dict of arrays -> dict of arrays`: ONNX Runtime by
default, OpenVINO, or a torch module handed in by training
"""

from tomos.inference.envelope import Envelope, Info, Judgement, Seen
from tomos.inference.network import Network, networks
from tomos.inference.predictor import Predictor

__all__ = ["Envelope", "Info", "Judgement", "Network", "Predictor", "Seen", "networks"]
