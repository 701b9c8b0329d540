"""What a model says of one input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from tomos.types.image import Image
from tomos.types.mask import Mask

Verdict = Literal["finding", "no finding", "refer"]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """One target's answer.

    scores       class -> calibrated probability, classes in the model's order; none for masks
    label        the class at the operating point; for masks what is there, joined by "|"
    maps         heat maps by method, each an Image (1, Y, X) on the input's own grid, 0..1
    mask         labels on the input's own grid, for a target of kind "mask"; None, too, once it was
                 written and let go
    amounts      class -> "voxels"; "ml" of a volume or "mm2" of a picture whose size is known; and
                 "expected", what the probabilities sum up to in the same unit
    doubt        (..., Y, X) uint8 entropy of every voxel of the mask, 255: every class as likely as
                 the others; None where it was not asked for
    chances      (K, ..., Y, X) uint8, 255 times the probability that each class has in every voxel,
                 not calibrated, before anything is cleaned; None where it was not asked for
    """

    scores: Mapping[str, float]
    label: str
    maps: Mapping[str, Image] = field(default_factory=dict)
    mask: Mask | None = None
    amounts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    doubt: np.ndarray | None = None
    chances: np.ndarray | None = None

    def to_json(self) -> dict:
        told: dict = {"scores": dict(self.scores), "label": self.label}
        if self.amounts:
            told["mask"] = {name: dict(amount) for name, amount in self.amounts.items()}
        return told


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Everything said of one input; `error` stands instead of targets when it could not be read.

    verdict  "finding" | "no finding" | "refer" (a reader must look), with the `reason`
    features (F,) float32 the network's own description of the image, None when it has none
    """

    input: str
    targets: Mapping[str, Answer] = field(default_factory=dict)
    verdict: Verdict = "refer"
    reason: str = ""
    warnings: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    features: np.ndarray | None = None

    def to_json(self) -> dict:
        """The entry of `tomos predict --json`."""
        if self.error:
            return {"input": self.input, "error": self.error}
        return {
            "input": self.input,
            "targets": {name: answer.to_json() for name, answer in self.targets.items()},
            "verdict": self.verdict,
            "reason": self.reason,
            "warnings": list(self.warnings),
            "files": dict(self.files),
        }
