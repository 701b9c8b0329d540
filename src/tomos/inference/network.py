"""What runs a graph: ONNX Runtime, OpenVINO, or anything that is called the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np

from tomos.config.plugins import did_you_mean
from tomos.package import Package
from tomos.types import MissingExtra, PackageError, SettingsError

Backend = Literal["onnxruntime", "openvino"]
BACKENDS = ("onnxruntime", "openvino")


class Network(Protocol):
    """A network as inference sees it, safe to call from several threads.

    `outputs` are the names it can give; a call gives those that are `wanted` (all when empty).
    It takes `{"image": (N, C, Y, X) float32}` and gives "logits" (N, K), "features" (N, F) and
    "cam" (N, K, y, x), each only where it has it.
    A torch module becomes one by a function of its own in `tomos.train`; torch is not known here.
    """

    outputs: tuple[str, ...]

    def __call__(
        self, inputs: Mapping[str, np.ndarray], wanted: Sequence[str] = ()
    ) -> dict[str, np.ndarray]: ...


def networks(package: Package, backend: str = "onnxruntime", threads: int = 0) -> list[Network]:
    """One network for each graph of a package.

    threads  for one run; 0: one a core
    Raises SettingsError for an unknown backend or threads below 0, MissingExtra when the runtime is
    not installed, PackageError when it refuses the graph.
    """
    if threads < 0:
        raise SettingsError(f"--threads {threads}: expected 0 (one a core) or more")
    if backend not in BACKENDS:
        raise SettingsError(f"no backend named {backend!r}{did_you_mean(backend, list(BACKENDS))}")
    kind = OnnxRuntime if backend == "onnxruntime" else OpenVino
    return [
        kind(package.graph(index), f"{package.path}: {part.file}", threads)
        for index, part in enumerate(package.manifest.graphs)
    ]


class OnnxRuntime:
    """A graph in ONNX Runtime, on the CPU."""

    def __init__(self, model: bytes, where: str, threads: int = 0):
        import onnxruntime

        onnxruntime.set_default_logger_severity(3)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the runtime has no common class for what it refuses
            raise PackageError(f"{where}: ONNX Runtime refuses it: {_first_line(error)}") from None
        self.where = where
        self.outputs = tuple(port.name for port in self._session.get_outputs())
        self.runtime = f"onnxruntime {onnxruntime.__version__}"

    def __call__(
        self, inputs: Mapping[str, np.ndarray], wanted: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        names = list(wanted or self.outputs)
        try:
            values = self._session.run(names, dict(inputs))
        except Exception as error:
            raise PackageError(f"{self.where}: the run failed: {_first_line(error)}") from None
        return dict(zip(names, values, strict=True))


class OpenVino:
    """A graph in OpenVINO, on the CPU."""

    def __init__(self, model: bytes, where: str, threads: int = 0):
        try:
            import openvino
        except ImportError:
            raise MissingExtra("the backend 'openvino'", "openvino", "openvino") from None
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        try:
            core = openvino.Core()
            read = core.read_model(model=model)
            self._compiled = core.compile_model(read, "CPU", settings)
        except Exception as error:
            raise PackageError(f"{where}: OpenVINO refuses it: {_first_line(error)}") from None
        self.where = where
        self.outputs = tuple(port.any_name for port in self._compiled.outputs)
        self.runtime = f"openvino {openvino.__version__}"

    def __call__(
        self, inputs: Mapping[str, np.ndarray], wanted: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        try:
            # A request of its own a call: one is not safe to share between threads.
            results = self._compiled.create_infer_request().infer(dict(inputs))
        except Exception as error:
            raise PackageError(f"{self.where}: the run failed: {_first_line(error)}") from None
        return {name: np.array(results[name]) for name in wanted or self.outputs}


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
