"""A `model.tomos` as the server's `Reader`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tomos import explain, formats, package
from tomos.formats import LIMITS, Limits
from tomos.inference import Predictor
from tomos.inference.verdict import is_finding
from tomos.package import Manifest, Package
from tomos.serve.member import image_of
from tomos.serve.packaged_masks import MaskReader
from tomos.serve.reader import HeatMap, Reader, Sample, Written
from tomos.serve.sample import drawn_film
from tomos.serve.summary import summary
from tomos.types import Image, PackageError, Prediction, Progress

FILM = {"modality": "DX", "body_part": "CHEST"}


class PackagedReader:
    """One model file for classes, loaded and proved on its synthetic example.

    file     the path, or what `package.read` made of it
    threads  of one run of the network
    limits   under which uploads are read
    Raises PackageError when the file is refused or does not give its own answers here.
    """

    draws = False

    def __init__(
        self,
        file: Package | Path,
        threads: int = 1,
        backend: str = "onnxruntime",
        limits: Limits = LIMITS,
    ):
        self._package = file if isinstance(file, Package) else package.read(file)
        self._predictor = Predictor(self._package, backend, threads)
        self._predictor.verify()
        self._limits = limits
        steps = {step.get("step") for step in self._package.manifest.prepare}
        self._of_pictures = len(self._package.manifest.input.size) == 2 and "slice" not in steps
        self.manifest: Manifest = self._package.manifest
        self.name = self.manifest.name
        self.classes = self.manifest.class_names
        self.channels = self.manifest.input.channels
        self.axes = 2

    def describe(self) -> Mapping[str, Any]:
        return summary(self._package)

    def load(self, path: Path, member: int | None) -> tuple[Image, int]:
        return image_of(path, member, self._limits, self._of_pictures)

    def predict(self, image: Image, stop: Callable[[], bool], progress: Progress) -> Prediction:
        return self._predictor.predict_image(image)

    def write(self, image: Image, prediction: Prediction, folder: Path, stem: str) -> Written:
        return Written({}, {})

    def explain(self, image: Image, prediction: Prediction) -> HeatMap | None:
        label = self._asked(prediction)
        if label is None:
            return None
        method = self.manifest.map_method
        return HeatMap(method, label, explain.heatmap(self._predictor, image, label))

    def example(self) -> Sample | None:
        facts = self.manifest.envelope.get("facts") or {}
        seen = {fact: (facts.get(fact) or {}).get("seen") or [] for fact in FILM}
        if all(value in seen[fact] for fact, value in FILM.items()):
            return drawn_film()
        image = self._predictor.example()
        if image is None:
            return None
        return Sample(formats.png_bytes(image.pixels), "image/png", "example.png")

    def _asked(self, prediction: Prediction) -> str | None:
        """The class to explain: what was called; where nothing was, the likeliest finding."""
        answer = next(iter(prediction.targets.values()), None)
        if answer is None:
            return None
        called = [name for name in answer.label.split("|") if name in self.classes]
        findings = [name for name in self.classes if is_finding(self.manifest, name)]
        wanted = [name for name in called if name in findings] or findings or called
        return max(wanted, key=lambda name: answer.scores[name], default=None)


def load_all(
    paths: Iterable[Path],
    threads: int = 1,
    backend: str = "onnxruntime",
    limits: Limits = LIMITS,
    trust: str | None = None,
    mask_threads: int = 0,
) -> list[Reader]:
    """One reader a file. PackageError when two models have one name: addresses would be unclear.

    threads       of one run of a model for classes; mask_threads of one for masks, 0: one a core
    trust         public keys that must have signed the files; None: any file is taken
    """
    readers: dict[str, Reader] = {}
    for path in paths:
        file = package.read(path, trust)
        reader: Reader
        if file.manifest.kind == "mask":
            reader = MaskReader(file, mask_threads, backend, limits)
        else:
            reader = PackagedReader(file, threads, backend, limits)
        if reader.name in readers:
            raise PackageError(
                f"{path}: a second model named {reader.name!r}; serve them on two ports"
            )
        if "/" in reader.name:
            raise PackageError(f"{path}: the name {reader.name!r} cannot stand in an address")
        readers[reader.name] = reader
    return list(readers.values())
