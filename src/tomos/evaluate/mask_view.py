"""What every section of a page on masks looks at: the report's data, and its units in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tomos.evaluate.mask_report_data import MaskReport
from tomos.evaluate.mask_table import MaskTable
from tomos.evaluate.names import cases
from tomos.types import Words

UNITS = {
    "ml": Words("ml"),
    "mm": Words("mm"),
    "mm2": Words("mm²"),
    "voxels": Words("pixels", "像素"),  # no size is known of pictures, hardly ever of volumes
}


@dataclass(frozen=True, slots=True, eq=False)
class MaskView:
    """The report and its cases."""

    report: MaskReport
    metrics: Mapping[str, Any]
    table: MaskTable

    @property
    def cases(self) -> Words:
        """40 test cases of 36 patients"""
        return cases(self.metrics)

    @property
    def unit(self) -> Words:
        """Of extents: ml, mm², pixels."""
        return UNITS[self.metrics["unit"]]

    @property
    def distance(self) -> Words:
        """Of distances: mm, pixels."""
        return UNITS[self.metrics["distance_unit"]]

    @property
    def extent(self) -> Words:
        """What an extent is called."""
        return Words("volume", "体积") if self.metrics["unit"] == "ml" else Words("area", "面积")

    @property
    def several(self) -> bool:
        """Whether there is more than one class."""
        return len(self.table.classes) > 1

    @property
    def tolerance(self) -> Words:
        """Of the NSD: 2 mm, or the lowest and highest of several."""
        each = sorted(set(self.table.tolerances.values()))
        en = zh = f"{each[0]:g}"
        if len(each) > 1:
            en, zh = f"{each[0]:g} to {each[-1]:g}", f"{each[0]:g} 至 {each[-1]:g}"
        unit = self.distance
        return Words(f"{en} {unit.en}", f"{zh} {unit.zh or unit.en}")


def mask_view(report: MaskReport) -> MaskView:
    """What the sections are given."""
    return MaskView(report, report.metrics, report.table)
