"""A `model.tomos` opened for the server: what its readers for classes and for masks share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from tomos import formats, package
from tomos.formats import Limits
from tomos.inference import MaskPredictor, Predictor
from tomos.package import Manifest, Package
from tomos.serve.member import image_of
from tomos.serve.reader import Sample
from tomos.serve.summary import summary
from tomos.types import Image

P = TypeVar("P", Predictor, MaskPredictor)


class ModelFile(Generic[P]):
    """One model file, loaded by a kind of predictor and proved on its synthetic example.

    of_pictures  whether it takes one slice of a volume, or the volume
    Raises PackageError when the file is refused or does not give its own answers here.
    """

    of_pictures = False

    def __init__(
        self, file: Package | Path, kind: type[P], threads: int, backend: str, limits: Limits
    ):
        self._package = file if isinstance(file, Package) else package.read(file)
        self._predictor: P = kind(self._package, backend, threads)
        self._predictor.verify()
        self._limits = limits
        self.manifest: Manifest = self._package.manifest
        self.name = self.manifest.name
        self.classes = self.manifest.class_names
        self.channels = self.manifest.input.channels
        self.several = self.manifest.input if self.manifest.input.roles else None

    def describe(self) -> Mapping[str, Any]:
        return summary(self._package)

    def load(self, path: Path, member: int | None) -> tuple[Image, int]:
        return image_of(path, member, self._limits, self.of_pictures)


def picture(image: Image) -> Sample:
    """A synthetic picture as a PNG to try the model on."""
    return Sample(formats.png_bytes(image.pixels), "image/png", "example.png")
