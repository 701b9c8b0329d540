"""What the server needs of a model: the seam between HTTP and `tomos.inference`.

The routes know only `Reader`; `packaged.py` makes one of a `model.tomos`, tests hand in a fake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tomos.package import InputPart
from tomos.serve.refusal import Refusal
from tomos.types import Image, Prediction, Progress


@dataclass(frozen=True, slots=True, eq=False)
class HeatMap:
    """Why: `image` (1, Y, X) in 0..1 on the input's own grid, for `label`, by `method`."""

    method: str
    label: str
    image: Image


@dataclass(frozen=True, slots=True)
class Sample:
    """A file to try a model on: what it holds, its media type, and a name for it."""

    content: bytes
    media: str
    name: str


@dataclass(frozen=True, slots=True)
class Written:
    """Files of a mask by form ("mask", "doubt", "dicom-seg"), and why a form is left out."""

    files: Mapping[str, Path]
    left_out: Mapping[str, str]


class Reader(Protocol):
    """One model, safe to call from several threads.

    classes   names in the order of every score vector
    channels  how many the model was trained on (1 grey, 3 colour)
    axes      of the images it is made for: 2, or 3 for volumes
    several   what it takes, where it reads several images a case together; None: one
    draws     whether it draws masks: those models run one image at a time, on all their threads
    """

    name: str
    classes: tuple[str, ...]
    channels: int
    axes: int
    several: InputPart | None
    draws: bool

    def describe(self) -> Mapping[str, Any]:
        """The summary behind `/api/models/NAME`: plain data."""

    def load(self, path: Path, member: int | None) -> tuple[Image, int]:
        """Image number `member` of a file (None: the first), and how many it holds; of a volume,
        for a model of pictures, a slice. FormatError when refused; Refusal when one must be chosen.
        """

    def predict(self, image: Image, stop: Callable[[], bool], progress: Progress) -> Prediction:
        """What the model says; EnvelopeError or a verdict "refer" for what it is not made for.

        stop      asked now and then: whether nobody waits for the answer any more
        progress  is told how far it is, where that takes long
        """

    def write(self, image: Image, prediction: Prediction, folder: Path, stem: str) -> Written:
        """The files of a prediction that has a mask, in `folder`."""

    def explain(self, image: Image, prediction: Prediction) -> HeatMap | str:
        """The heat map of the label that was given; where there is none, why."""

    def example(self) -> Sample | None:
        """A synthetic image to try the model on, never a patient's; None where there is none."""


class Shelf:
    """The models that are served, by name; the first is meant when none is named."""

    def __init__(self, readers: Iterable[Reader]):
        self.readers = {reader.name: reader for reader in readers}

    def get(self, name: str | None) -> Reader:
        if not name:
            return next(iter(self.readers.values()))
        if name not in self.readers:
            known = ", ".join(self.readers)
            raise Refusal(404, "unknown_model", f"no model {name[:80]!r} here; there is: {known}")
        return self.readers[name]


def scores_vector(reader: Reader, prediction: Prediction) -> np.ndarray:
    """(K,) float32 probabilities of the first target, in the order of `reader.classes`."""
    answer = next(iter(prediction.targets.values()))
    return np.array([answer.scores[name] for name in reader.classes], dtype=np.float32)
