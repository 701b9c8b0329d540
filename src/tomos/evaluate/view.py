"""What every section of a page looks at: the report's data, and what is worked out once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tomos.evaluate.curves import ClassCurves, class_curves
from tomos.evaluate.names import cases
from tomos.evaluate.report_data import Report
from tomos.evaluate.table import Table
from tomos.types import Words

MOST_CLASSES = 6
TONES = ("a", "b", "c", "d", "e", "f")


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The report, its assessed cases, and the curves of the classes shown (the positive of two)."""

    report: Report
    metrics: Mapping[str, Any]
    table: Table
    curves: list[ClassCurves]

    @property
    def operating(self) -> Mapping[str, Any]:
        """The operating point as `metrics.json` has it."""
        return self.metrics.get("operating_point", {})

    @property
    def positive(self) -> str:
        """The finding's name, with two classes."""
        return self.table.classes[self.table.positive_index]

    @property
    def negative(self) -> str:
        """The other one's name."""
        return self.table.classes[1 - self.table.positive_index]

    @property
    def cases(self) -> Words:
        """624 test cases of 332 patients"""
        return cases(self.metrics)


def view(report: Report) -> View:
    """Work out the curves of a report: one class of two, else the first six with cases."""
    table = report.table.rows(report.table.assessed)
    every = range(len(table.classes))
    wanted = [table.positive_index] if table.is_binary else list(every)
    found = [class_curves(table, index) for index in wanted]
    curves = [each for each in found if each is not None][:MOST_CLASSES]
    return View(report, report.metrics, table, curves)
