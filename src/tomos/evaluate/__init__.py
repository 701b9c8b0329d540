"""Dataset + model -> figures with intervals, subgroups, calibration, failures; the HTML report.

score(table, operating, ...)      -> the dictionary of `metrics.json`
worst(table, operating, n)        -> which cases to show
write_report(path, Report(...))   -> `report.html`
compare(first, second, ...)       -> two models on the same cases; write_comparison(path, ...)
"""

from tomos.evaluate.compare import compare
from tomos.evaluate.comparison_page import write_comparison
from tomos.evaluate.language import Words
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

__all__ = [
    "Card",
    "Choice",
    "DataSummary",
    "Notice",
    "Picture",
    "Report",
    "Shortcut",
    "Split",
    "Table",
    "Training",
    "Words",
    "Worst",
    "compare",
    "score",
    "worst",
    "write_comparison",
    "write_report",
]
