"""What runs a graph: ONNX Runtime, OpenVINO, or anything that is called the same way."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Literal, Protocol

import numpy as np

from tomos.config.plugins import did_you_mean
from tomos.inference.memory import OutOfMemory, is_out_of_memory
from tomos.package import Manifest, Package
from tomos.types import MissingExtra, PackageError, SettingsError, TomosError

Backend = Literal["auto", "onnxruntime", "openvino"]
BACKENDS = ("auto", "onnxruntime", "openvino")


class Network(Protocol):
    """A network as inference sees it, safe to call from several threads.

    `outputs` are the names it can give; a call gives those that are `wanted` (all when empty).
    It takes `{"image": (N, C, Y, X) float32}` and gives "logits" (N, K), "features" (N, F) and
    "cam" (N, K, y, x), each only where it has it. What does not fit into memory it refuses with
    OutOfMemory, or with an error of its runtime that `memory.is_out_of_memory` knows.
    It may say of itself: `takes`, the shape of "image" with None where a length is free (else all
    are), and `each`, the bytes it needs inside itself for each pixel or voxel (else measured).
    A torch module becomes one by a function of its own in `tomos.train`; torch is not known here.
    """

    outputs: tuple[str, ...]

    def __call__(
        self, inputs: Mapping[str, np.ndarray], wanted: Sequence[str] = ()
    ) -> dict[str, np.ndarray]: ...


def networks(package: Package, backend: str = "auto", threads: int = 0) -> list[Network]:
    """One network for each graph of a package.

    backend  "auto": the quickest for this model of those installed (`quickest`)
    threads  for one run; 0: one a core
    Raises SettingsError for an unknown backend or threads below 0, MissingExtra when the runtime is
    not installed, PackageError when it refuses the graph.
    """
    if threads < 0:
        raise SettingsError(f"--threads {threads}: expected 0 (one a core) or more")
    if backend not in BACKENDS:
        raise SettingsError(f"no backend named {backend!r}{did_you_mean(backend, list(BACKENDS))}")
    chosen = quickest(package.manifest) if backend == "auto" else backend
    kind = OnnxRuntime if chosen == "onnxruntime" else OpenVino
    return [
        kind(package.graph(index), f"{package.path}: {part.file}", threads)
        for index, part in enumerate(package.manifest.graphs)
    ]


def quickest(manifest: Manifest) -> Backend:
    """OpenVINO for networks of volumes, where it is installed: ONNX Runtime takes longer, and more
    memory (benchmarks/infer_masks.py). Of pictures ONNX Runtime, which every
    installation has."""
    volumes = any(len(manifest.input_of(part).size) == 3 for part in manifest.graphs)
    return "openvino" if volumes and find_spec("openvino") else "onnxruntime"


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
            raise _failed(f"{where}: ONNX Runtime refuses it", error) from None
        self.where = where
        self.outputs = tuple(port.name for port in self._session.get_outputs())
        shape = self._session.get_inputs()[0].shape
        self.takes = tuple(length if isinstance(length, int) else None for length in shape)
        self.runtime = f"onnxruntime {onnxruntime.__version__}"

    def __call__(
        self, inputs: Mapping[str, np.ndarray], wanted: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        names = list(wanted or self.outputs)
        try:
            values = self._session.run(names, dict(inputs))
        except Exception as error:
            raise _failed(f"{self.where}: the run failed", error) from None
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
            raise _failed(f"{where}: OpenVINO refuses it", error) from None
        self.where = where
        self.outputs = tuple(port.any_name for port in self._compiled.outputs)
        shape = self._compiled.inputs[0].partial_shape
        self.takes = tuple(None if side.is_dynamic else side.get_length() for side in shape)
        self.runtime = f"openvino {openvino.__version__}"
        # What waits to be used again, so that its memory need not be asked for anew. Not more than
        # one: each holds what a network needs for a run.
        self._idle: deque[Any] = deque(maxlen=1)

    def __call__(
        self, inputs: Mapping[str, np.ndarray], wanted: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        request = self._request()
        try:
            results = request.infer(dict(inputs), share_inputs=True, share_outputs=True)
        except Exception as error:
            raise _failed(f"{self.where}: the run failed", error) from None
        found = {name: np.array(results[name]) for name in wanted or self.outputs}
        self._idle.append(request)
        # Seen with 2026.4.1: where memory runs out it raises nothing, and its outputs have no rows.
        if any(len(value) != len(inputs["image"]) for value in found.values()):
            raise OutOfMemory(f"{self.where}: OpenVINO gave nothing back: not enough memory")
        return found

    def _request(self) -> Any:
        """For one call alone: it is not safe to share between threads."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._compiled.create_infer_request()


def _failed(what: str, error: Exception) -> TomosError:
    """Of what a runtime refused: too little memory is no fault of the graph."""
    kind = OutOfMemory if is_out_of_memory(error) else PackageError
    return kind(f"{what}: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
