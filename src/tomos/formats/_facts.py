"""What a segmentation says beside its voxels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept: (0008,0100), (0008,0102), (0008,0104); `scheme` "SCT" is SNOMED CT."""

    value: str
    scheme: str
    meaning: str


# PS3.16 CID 7150: what a label is of which nothing is known.
TISSUE = Code("85756007", "SCT", "Tissue")


@dataclass(frozen=True, slots=True)
class SegmentationFacts:
    """What a segmentation says beside its voxels.

    algorithm, version  of the model that drew it
    types, categories   label -> what it is (PS3.16 CID 7151) and of which kind (CID 7150); a label
                        that is not named is "Tissue", which claims nothing
    kind                how it was made; "MANUAL" by a person alone
    series_number       0: that of the source + 1000
    """

    algorithm: str
    version: str
    types: Mapping[str, Code] = field(default_factory=dict)
    categories: Mapping[str, Code] = field(default_factory=dict)
    kind: Literal["AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"] = "AUTOMATIC"
    description: str = "Segmentation"
    series_number: int = 0
