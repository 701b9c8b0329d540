"""Dataset + model -> figures with intervals, subgroups, calibration, failures; the HTML report.

score(table, operating, ...)      -> the dictionary of `metrics.json`
worst(table, operating, n)        -> which cases to show
write_report(path, Report(...))   -> `report.html`
compare(first, second, ...)       -> two models on the same cases; write_comparison(path, ...)

Of masks, from a `MaskTable`: score_masks, worst_masks, write_mask_report(path, MaskReport(...)),
compare_masks; mask_picture draws a case with both outlines.
"""

from tomos.evaluate.compare import compare
from tomos.evaluate.comparison_page import write_comparison
from tomos.evaluate.mask_cases import per_case_csv
from tomos.evaluate.mask_compare import compare_masks
from tomos.evaluate.mask_picture import around, mask_picture, outlined, plain, slice_to_show
from tomos.evaluate.mask_report import write_mask_report
from tomos.evaluate.mask_report_data import MaskPicture, MaskReport
from tomos.evaluate.mask_score import score_masks
from tomos.evaluate.mask_table import MaskTable
from tomos.evaluate.mask_worst import WorstMask, worst_masks
from tomos.evaluate.report import write_report
from tomos.evaluate.report_data import (
    Card,
    Choice,
    DataSummary,
    Notice,
    Picture,
    Report,
    Shortcut,
    Split,
    Training,
)
from tomos.evaluate.score import score
from tomos.evaluate.table import Table
from tomos.evaluate.worst import Worst, worst
from tomos.types import Words

__all__ = [
    "Card",
    "Choice",
    "DataSummary",
    "MaskPicture",
    "MaskReport",
    "MaskTable",
    "Notice",
    "Picture",
    "Report",
    "Shortcut",
    "Split",
    "Table",
    "Training",
    "Words",
    "Worst",
    "WorstMask",
    "around",
    "compare",
    "compare_masks",
    "mask_picture",
    "outlined",
    "per_case_csv",
    "plain",
    "score",
    "score_masks",
    "slice_to_show",
    "worst",
    "worst_masks",
    "write_comparison",
    "write_mask_report",
    "write_report",
]
