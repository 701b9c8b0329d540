"""The figures of every case as a table for a spreadsheet: a row for each case and class."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import numpy as np

from tomos.evaluate.mask_table import MEANS, MaskTable

HEAD = ("case", "patient", "class", *MEANS, "auroc", "found", "truth", "unit", "verdict", "reason")


def per_case_csv(table: MaskTable) -> str:
    """A header and N * K rows; what is not defined is blank. A case that failed is one row, with
    the reason. Text that a spreadsheet would take for a formula gets an apostrophe before it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    writer.writerows([_inert(cell) for cell in row] for row in _rows(table))
    return text.getvalue()


def _rows(table: MaskTable) -> Iterator[list[str]]:
    figures = [table.of(name) for name in MEANS]
    auroc = table.of("auroc") if len(table.auroc) else np.full(figures[0].shape, np.nan)
    extents = (table.extent("found"), table.extent("truth"))
    for row, case in enumerate(table.cases):
        verdict = table.verdicts[row] if len(table.verdicts) else ("", "")
        patient = str(table.groups[row]) if table.patients_known else ""
        for k, name in enumerate(table.classes):
            values = [_number(of[row, k]) for of in (*figures, auroc, *extents)]
            yield [case, patient, name, *values, table.unit, *verdict]
    for case, reason in table.failed.items():
        yield [case, "", "", *[""] * (len(MEANS) + 3), "", "failed", reason]


def _number(value: float) -> str:
    return f"{value:.6g}" if np.isfinite(value) else ""


def _inert(cell: str) -> str:
    return f"'{cell}" if cell.startswith(("=", "+", "@", "\t", "\r")) else cell
