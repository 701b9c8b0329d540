"""A `model.tomos` as the server's `Reader`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from tomos import explain, package
from tomos.formats import LIMITS, Limits
from tomos.inference import Predictor
from tomos.inference.verdict import is_finding
from tomos.package import Package
from tomos.serve.model_file import ModelFile, picture
from tomos.serve.packaged_masks import MaskReader
from tomos.serve.reader import HeatMap, Reader, Sample, Written
from tomos.serve.sample import drawn_film
from tomos.types import Image, PackageError, Prediction, Progress

FILM = {"modality": "DX", "body_part": "CHEST"}


class PackagedReader(ModelFile[Predictor]):
    """One model file for classes, as `ModelFile`.

    file     the path, or what `package.read` made of it
    threads  of one run of the network
    limits   under which uploads are read
    """

    draws = False
    axes = 2

    def __init__(
        self,
        file: Package | Path,
        threads: int = 1,
        backend: str = "auto",
        limits: Limits = LIMITS,
    ):
        super().__init__(file, Predictor, threads, backend, limits)
        steps = {step.get("step") for step in self.manifest.prepare}
        self.of_pictures = len(self.manifest.input.size) == 2 and "slice" not in steps

    def predict(self, image: Image, stop: Callable[[], bool], progress: Progress) -> Prediction:
        return self._predictor.predict_image(image)

    def write(self, image: Image, prediction: Prediction, folder: Path, stem: str) -> Written:
        return Written({}, {})

    def explain(self, image: Image, prediction: Prediction) -> HeatMap | str:
        label = self._asked(prediction)
        if label is None:
            return "the model called no class whose probability could be explained"
        method = self.manifest.map_method
        return HeatMap(method, label, explain.heatmap(self._predictor, image, label))

    def example(self) -> Sample | None:
        facts = self.manifest.envelope.get("facts") or {}
        seen = {fact: (facts.get(fact) or {}).get("seen") or [] for fact in FILM}
        if all(value in seen[fact] for fact, value in FILM.items()):
            return drawn_film()
        image = self._predictor.example()
        return None if image is None else picture(image)

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
    backend: str = "auto",
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
