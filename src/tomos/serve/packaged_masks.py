"""A `model.tomos` for masks as the server's `Reader`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from tomos import formats
from tomos.formats import LIMITS, Limits
from tomos.inference import MaskPredictor
from tomos.package import Package
from tomos.serve.model_file import ModelFile, picture
from tomos.serve.reader import HeatMap, Sample, Written
from tomos.serve.refusal import Refusal
from tomos.types import FormatError, Image, MissingExtra, Prediction, Progress
from tomos.workflows.mask_files import written

NO_MAP = (
    "of a mask no heat map is drawn here: covering a scan part by part takes minutes; tomos "
    "explain draws what the score of an outline depends on"
)
# Forms of `tomos predict` -> what they are called in an answer.
FORMS = {"nifti": "mask", "doubt": "doubt", "dicom-seg": "dicom-seg"}


class MaskReader(ModelFile[MaskPredictor]):
    """One model file for masks, as `ModelFile`.

    file     the path, or what `package.read` made of it
    threads  of one image, of which one is read at a time; 0: one a core
    limits   under which uploads are read
    """

    draws = True

    def __init__(
        self,
        file: Package | Path,
        threads: int = 0,
        backend: str = "auto",
        limits: Limits = LIMITS,
    ):
        super().__init__(file, MaskPredictor, threads, backend, limits)
        self.axes = self.manifest.input.axes

    def load(self, path: Path, member: int | None) -> tuple[Image, int]:
        """Of a model that reads several images, `path` is all of them: their joined address."""
        return (formats.read(path, self._limits), 1) if self.several else super().load(path, member)

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

    def explain(self, image: Image, prediction: Prediction) -> HeatMap | str:
        """Why there is none: hundreds of runs for one volume would let all others wait."""
        return NO_MAP

    def example(self) -> Sample | None:
        image = self._predictor.example() if not self.several else None
        if image is None or (image.is_volume and image.channels > 1):
            return None
        if not image.is_volume:
            return picture(image)
        with tempfile.TemporaryDirectory(prefix="tomos-example-") as folder:
            path = Path(folder) / "example.nii.gz"
            formats.write_nifti(image, path)
            return Sample(path.read_bytes(), "application/gzip", path.name)
