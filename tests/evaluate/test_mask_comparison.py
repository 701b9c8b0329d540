"""Two models' masks of the same cases."""

import json
from dataclasses import replace

import numpy as np
import pytest
from mask_worlds import by_counts, phantoms

from tomos.evaluate import compare_masks, write_comparison
from tomos.measures.comparison import permutation
from tomos.types import DatasetError

pytestmark = pytest.mark.fast


def compared(first, second, **options):
    result = compare_masks(first, second, resamples=200, **options)
    json.dumps(result, allow_nan=False)
    return result


def test_the_same_model_twice_differs_in_nothing():
    table = phantoms(10, 9)
    result = compared(table, table)
    for rows in (result["metrics"], *result["per_class"].values()):
        for row in rows.values():
            d = row["difference"]
            assert (d["value"], d["low"], d["high"], d["p"], d["p_holm"]) == (0, 0, 0, 1, 1)
    assert result["case_by_case"] == {"first": 0, "second": 0, "same": 10}


def test_a_better_model_is_found_better():
    good, bad = phantoms(24, 20), phantoms(24, 20, worse=1.8)
    result = compared(bad, good, names=("old", "new"))
    dice = result["metrics"]["dice"]
    d = dice["difference"]
    assert d["value"] == pytest.approx(dice["second"]["value"] - dice["first"]["value"])
    assert 0 < d["low"] <= d["value"] <= d["high"] and d["p"] < 0.01
    assert result["metrics"]["hd95"]["difference"]["value"] < 0
    assert list(result["per_class"]) == ["liver", "vessel", "tumour"]
    for rows in (result["metrics"], *result["per_class"].values()):
        for row in rows.values():
            assert row["difference"]["p_holm"] >= row["difference"]["p"]


@pytest.mark.parametrize("n", [9, 30])
def test_p_is_that_of_the_permutation_test_where_every_case_counts(n):
    """All swaps of nine patients exactly; of thirty, as many draws of another seed."""
    rng = np.random.default_rng(1)
    counts = rng.integers(3, 11, (2, n))
    first, second = (by_counts(*[{"a": (10, 10, int(c))} for c in row]) for row in counts)
    p = compared(first, second)["metrics"]["dice"]["difference"]["p"]
    expected = permutation(counts[1] / 10, counts[0] / 10)
    assert p == pytest.approx(expected, abs=0 if n == 9 else 0.02)


def test_false_finds_of_one_model_only_are_held_against_it():
    """b is nowhere; the second model sees it in every case: 0 for it, nothing for the first."""
    clean = by_counts(*[{"a": (9, 9, 9), "b": (4, 4, 4) if i < 4 else (0, 0, 0)} for i in range(8)])
    noisy = by_counts(*[{"a": (9, 9, 9), "b": (4, 4, 4) if i < 4 else (3, 0, 0)} for i in range(8)])
    row = compared(clean, noisy)["per_class"]["b"]["dice"]
    assert (row["first"]["n"], row["second"]["n"]) == (4, 8)
    assert row["difference"]["value"] == -0.5 and row["difference"]["p"] == pytest.approx(2 / 16)


def test_several_cases_of_a_patient_are_swapped_together():
    first = by_counts(*[{"a": (10, 10, 4)}] * 12, groups=[0] * 12)
    second = by_counts(*[{"a": (10, 10, 8)}] * 12, groups=[0] * 12)
    d = compared(first, second)["metrics"]["dice"]["difference"]
    assert d["p"] == 1 and d["low"] is None, "one patient shows nothing"


def test_cases_in_another_order_are_matched():
    table = phantoms(10, 10)
    result = compared(table, table.at(np.random.default_rng(0).permutation(10)))
    assert result["metrics"]["dice"]["difference"]["value"] == 0
    assert result["case_by_case"]["same"] == 10


def test_what_cannot_be_compared_is_refused():
    table = by_counts({"a": (5, 5, 5)}, {"a": (5, 6, 5)})
    with pytest.raises(DatasetError, match="1 cases were given to one model only"):
        compare_masks(table, table.rows(np.array([True, False])))
    with pytest.raises(DatasetError, match="same classes and unit"):
        compare_masks(table, replace(table, unit="mm2"))
    with pytest.raises(DatasetError, match="do not agree on what is true"):
        compare_masks(table, by_counts({"a": (5, 5, 5)}, {"a": (5, 7, 5)}))


def test_the_page_says_it_in_both_languages(tmp_path):
    good, bad = phantoms(8, 8), phantoms(8, 8, worse=1.8)
    result = compared(bad, good, names=("old", "new <b>"))
    write_comparison(tmp_path / "c.html", result)
    page = (tmp_path / "c.html").read_text(encoding="utf-8")
    assert "the Dice of new &lt;b&gt; is" in page and "new &lt;b&gt; 的 Dice 系数比 old" in page
    assert '<section id="classes"' in page and page.count(">tumour</th>") == 4
    assert "(HD95), mm" in page and "按患者配对置换检验" in page
    write_comparison(tmp_path / "same.html", compared(good, good))
    assert "is the same as that of" in (tmp_path / "same.html").read_text(encoding="utf-8")
