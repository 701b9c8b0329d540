"""A `model.tomos` for masks as the server's `Reader`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tomos import formats, package
from tomos.formats import LIMITS, Limits
from tomos.inference import MaskPredictor
from tomos.package import Manifest, Package
from tomos.serve.member import image_of
from tomos.serve.reader import HeatMap, Sample, Written
from tomos.serve.refusal import Refusal
from tomos.serve.summary import summary
from tomos.types import FormatError, Image, MissingExtra, Prediction, Progress
from tomos.workflows.mask_files import written

# Forms of `tomos predict` -> what they are called in an answer.
FORMS = {"nifti": "mask", "doubt": "doubt", "dicom-seg": "dicom-seg"}


class MaskReader:
    """One model file for masks, loaded and proved on its synthetic example.

    file     the path, or what `package.read` made of it
    threads  of one image, of which one is read at a time; 0: one a core
    limits   under which uploads are read
    Raises PackageError when the file is refused or does not give its own answers here.
    """

    draws = True

    def __init__(
        self,
        file: Package | Path,
        threads: int = 0,
        backend: str = "onnxruntime",
        limits: Limits = LIMITS,
    ):
        self._package = file if isinstance(file, Package) else package.read(file)
        self._predictor = MaskPredictor(self._package, backend, threads)
        self._predictor.verify()
        self._limits = limits
        self.manifest: Manifest = self._package.manifest
        self.name = self.manifest.name
        self.classes = self.manifest.class_names
        self.channels = self.manifest.input.channels
        self.axes = len(self.manifest.input.size)

    def describe(self) -> Mapping[str, Any]:
        return summary(self._package)

    def load(self, path: Path, member: int | None) -> tuple[Image, int]:
        return image_of(path, member, self._limits, of_pictures=False)

    def predict(self, image: Image, stop: Callable[[], bool], progress: Progress) -> Prediction:
        try:
            return self._predictor.predict_image(image, "", True, progress, stop)
        except MemoryError:
            size = " x ".join(map(str, image.size))
            reason = f"an image of {size} does not fit into the memory of this server"
            raise Refusal(507, "memory", reason) from None

    def write(self, image: Image, prediction: Prediction, folder: Path, stem: str) -> Written:
        """As `tomos predict` writes them; a segmentation only of what came as DICOM."""
        files: dict[str, Path] = {}
        left_out: dict[str, str] = {}
        for form, member in FORMS.items():
            if form == "dicom-seg" and image.origin.format != "dicom":
                continue
            try:
                made = written(self._predictor, prediction, image, folder / stem, [form])
            except (FormatError, MissingExtra) as error:
                # Its header lacks what must be said: the mask itself is none the worse.
                left_out[member] = str(error)
                continue
            files |= {name: Path(path) for name, path in made.items()}
        return Written(files, left_out)

    def explain(self, image: Image, prediction: Prediction) -> HeatMap | None:
        return None  # the mask is the map

    def example(self) -> Sample | None:
        image = self._predictor.example()
        if image is None or (image.is_volume and image.channels > 1):
            return None
        if not image.is_volume:
            return Sample(formats.png_bytes(image.pixels), "image/png", "example.png")
        with tempfile.TemporaryDirectory(prefix="tomos-example-") as folder:
            path = Path(folder) / "example.nii.gz"
            formats.write_nifti(image, path)
            return Sample(path.read_bytes(), "application/gzip", path.name)
