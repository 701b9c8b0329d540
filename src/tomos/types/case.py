"""One row to learn from: images by role, targets, and what is known of the patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Case:
    """One case of a data set.

    images   role -> address (see `tomos.formats.read`); a single image has the role "image"
    targets  target name -> the cell's text; "" = not assessed, never a class
    patient  "" when unknown: the case is then its own patient, and every report says so
    split    "train", "val", "test", "fold" (held out in cross-validation) or "" (not yet split)
    clinical every other column, as text
    """

    name: str
    images: Mapping[str, str]
    targets: Mapping[str, str] = field(default_factory=dict)
    patient: str = ""
    split: str = ""
    site: str = ""
    date: str = ""
    clinical: Mapping[str, str] = field(default_factory=dict)

    @property
    def image(self) -> str:
        """The address of the only image, or of the first role."""
        return next(iter(self.images.values()))

    @property
    def group(self) -> str:
        """What must not stand on two sides of a split: the patient, else the case itself."""
        return self.patient or f"case:{self.name}"
