import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from tomos.evaluate.mask_cases import HEAD, per_case_csv
from tomos.evaluate.mask_table import MaskTable
from tomos.measures.segmentation import measure

pytestmark = pytest.mark.fast


@pytest.fixture
def table():
    truth = np.zeros((8, 8), np.uint8)
    truth[2:5, 2:5] = 1
    found = np.zeros_like(truth)
    found[2:5, 2:4] = 1
    labels = ("nodule", "scar")
    figures = [measure(found, truth, labels, (1.0, 1.0), 1.0) for _ in range(2)]
    return MaskTable(["a", "=b"], np.array(["p", "q"]), figures, labels, unit="mm2")


def read(table):
    return list(csv.DictReader(io.StringIO(per_case_csv(table))))


def test_a_row_for_each_case_and_class_with_its_figures(table):
    rows = read(table)
    assert [(row["case"], row["class"]) for row in rows] == [
        ("a", "nodule"),
        ("a", "scar"),
        ("'=b", "nodule"),
        ("'=b", "scar"),
    ]
    assert tuple(rows[0]) == HEAD
    assert float(rows[0]["dice"]) == pytest.approx(2 * 6 / 15, rel=1e-5)
    assert (rows[0]["found"], rows[0]["truth"], rows[0]["unit"]) == ("6", "9", "mm2")
    assert rows[0]["patient"] == "p"


def test_what_is_not_defined_is_blank_and_what_failed_is_named(table):
    shown = read(replace(table, failed={"c": "cut off"}, patients_known=False))
    assert shown[1]["dice"] == shown[1]["auroc"] == "" and shown[1]["found"] == "0"
    assert shown[0]["patient"] == ""
    assert (shown[-1]["case"], shown[-1]["verdict"], shown[-1]["reason"]) == (
        "c",
        "failed",
        "cut off",
    )
