"""Figures of masks with their intervals: by hand on tiny tables, and the awkward cases."""

import json
from dataclasses import replace

import numpy as np
import pytest
from mask_worlds import by_counts, figures, phantoms

from tomos.evaluate import MaskTable, score_masks, worst_masks
from tomos.evaluate.mask_figures import OVERALL, mask_figures
from tomos.measures.lesions import Lesions
from tomos.types import DatasetError

pytestmark = pytest.mark.fast
NONE = (0, 0, 0)


def score(table, **options):
    found = score_masks(table, resamples=200, **options)
    json.dumps(found, allow_nan=False)  # strict: no NaN leaves
    return found


def entries(metrics):
    """Every figure that stands anywhere in it."""
    if isinstance(metrics, dict):
        if "value" in metrics and "low" in metrics:
            yield metrics
        for part in metrics.values():
            yield from entries(part)


def test_means_over_cases_then_classes_and_both_empty_not_counted():
    """a: 0.5 and 1; b is in no mask of the first case and missed in the second."""
    table = by_counts({"a": (10, 10, 5), "b": NONE}, {"a": (4, 4, 4), "b": (0, 6, 0)})
    m = score(table)
    a, b = (m["per_class"][name] for name in "ab")
    assert (a["dice"]["value"], a["dice"]["n"], b["dice"]["value"], b["dice"]["n"]) == (
        0.75,
        2,
        0,
        1,
    )
    assert m["overall"]["dice"]["value"] == 0.375, "not the mean of the cases, which is 0.5"
    assert a["iou"]["value"] == pytest.approx((1 / 3 + 1) / 2)
    assert a["dice"]["sd"] == pytest.approx(np.std([0.5, 1], ddof=1))
    assert a["dice"]["median"] == 0.75 and b["dice"]["sd"] is None
    assert m["overall"]["nsd"]["tolerance_mm"] == a["nsd"]["tolerance_mm"] == 2.0
    assert m["counts"]["b"] == {
        "present": 1, "counted": 1, "both_empty": 1, "missed": 1, "found_only": 0
    }  # fmt: skip
    assert m["n_per_class"] == {"a": 2, "b": 1} and m["missing_classes"] == []


def test_the_form_of_metrics_json():
    m = score(phantoms(20, 16))
    assert (m["schema"], m["task"], m["unit"], m["distance_unit"]) == (1, "segment", "ml", "mm")
    assert set(m["overall"]) == {"dice", "iou", "hd95", "nsd"}
    assert list(m["per_class"]) == m["classes"] == ["liver", "vessel", "tumour"]
    assert m["targets"]["mask"]["overall"] == m["overall"]
    assert set(m["subgroups"]) == {"sex", "age", "site"}
    assert (m["n_cases"], m["n_patients"], m["n_failed"], m["n_referred"]) == (20, 16, 1, 2)
    assert m["intervals"] == "bootstrap over 16 patients, 200 resamples"
    south = m["subgroups"]["site"]["south"]["dice"]
    assert (south["n"], south["n_patients"], south["note"]) == (5, 4, "few cases")


def test_every_interval_holds_its_value():
    found = [e for e in entries(score(phantoms(12, 9))) if e["low"] is not None]
    assert len(found) > 60
    for entry in found:
        assert entry["low"] <= entry["value"] <= entry["high"]


def test_the_figures_of_a_resample_are_those_of_the_cases_drawn():
    """Counts of 0, 1, 2, 3 against a table in which each case stands that often."""
    table = phantoms(6, 6)
    w = np.array([[3, 0, 1, 2, 1, 1]])
    rows = np.repeat(np.arange(6), w[0])
    drawn = MaskTable(
        [str(i) for i in range(8)], np.arange(8), [table.figures[i] for i in rows], table.classes
    )
    of, plain = mask_figures(table)(w), mask_figures(drawn)(np.ones((1, 8)))
    for key, values in of.items():
        assert values == pytest.approx(plain[key], nan_ok=True), key


def test_volumes_and_their_limits_of_agreement_by_hand():
    """Differences +2, -2 and 0 ml, and a case without the class that may not count."""
    table = by_counts({"a": (12, 10, 10)}, {"a": (10, 12, 10)}, {"a": (8, 8, 8)}, {"a": NONE})
    of = score(table)["per_class"]["a"]
    bias = of["volume_difference"]
    assert (bias["value"], bias["n"], bias["unit"], bias["mean_truth"]) == (0, 3, "ml", 10)
    limits = [bias["limits_of_agreement"][end]["value"] for end in ("lower", "upper")]
    assert limits == pytest.approx([-1.96 * 2, 1.96 * 2])  # the SD of 2, -2, 0 is 2
    assert of["volume_absolute_difference"]["value"] == pytest.approx(4 / 3)
    flat = score(replace(table, unit="mm2"))["per_class"]["a"]["volume_difference"]
    assert flat["mean_truth"] == 10_000


def test_lesions_are_pooled_over_cases():
    one = figures(10, 10, 5, lesions=Lesions(true=3, hit=1, found=2, right=1))
    two = figures(10, 10, 5, lesions=Lesions(true=1, hit=1, found=2, right=2))
    of = score(by_counts({"a": one}, {"a": two}))["per_class"]["a"]
    values = [of[f"lesion_{name}"]["value"] for name in ("sensitivity", "precision", "f1")]
    assert values == pytest.approx([2 / 4, 3 / 4, 0.6])
    assert [of[f"lesion_{name}"]["n"] for name in ("sensitivity", "precision")] == [4, 4]
    pooled = one.lesions + two.lesions
    assert values == pytest.approx([pooled.sensitivity, pooled.precision, pooled.f1])


def test_lesions_on_one_side_only():
    """None found, none true, and neither: as `Lesions.f1` has it."""
    sides = ((0, 5, 0), (5, 0, 0), NONE)
    found = [
        score(by_counts({"a": side}))["per_class"]["a"]["lesion_f1"]["value"] for side in sides
    ]
    assert found == [0, 0, None]


def test_all_found_is_not_called_certain():
    of = score(by_counts(*[{"a": (9, 9, 9)}] * 12))["per_class"]["a"]
    assert of["lesion_sensitivity"]["value"] == of["lesion_sensitivity"]["high"] == 1
    assert of["lesion_sensitivity"]["low"] < 0.8
    assert of["dice"]["value"] == 1 and of["dice"]["low"] is None and of["dice"]["note"]


def test_many_cases_of_one_patient_have_no_interval():
    cases = [{"a": (10, 10, n)} for n in range(1, 9)]
    m = score(by_counts(*cases, groups=["p"] * 8))
    assert m["n_patients"] == 1 and m["overall"]["dice"]["low"] is None
    assert score(by_counts(*cases))["overall"]["dice"]["low"] is not None


def test_copies_of_a_patients_cases_do_not_narrow_the_interval():
    cases = [{"a": (10, 10, n)} for n in range(1, 11)]
    once = score(by_counts(*cases))["overall"]["dice"]
    again = score(by_counts(*cases * 4, groups=list(range(10)) * 4))["overall"]["dice"]
    assert (once["low"], once["high"]) == pytest.approx((again["low"], again["high"]))


def test_a_class_that_is_nowhere_has_no_figure_and_no_part_in_the_mean():
    m = score(by_counts({"a": (5, 5, 5), "b": NONE}, {"a": (5, 5, 3), "b": NONE}))
    assert m["per_class"]["b"]["dice"]["value"] is None
    assert m["per_class"]["b"]["volume_difference"]["value"] is None
    assert m["overall"]["dice"]["value"] == m["per_class"]["a"]["dice"]["value"]
    assert m["overall"]["dice"]["n_classes"] == 1 and m["missing_classes"] == ["b"]


def test_a_resample_without_a_rare_class_does_not_count_for_the_mean():
    """b, always 0, is in one case of ten. A mean without it would reach 1."""
    cases = [{"a": (9, 9, 9), "b": (0, 5, 0) if i == 0 else NONE} for i in range(10)]
    table = by_counts(*cases)
    overall = mask_figures(table)(np.array([[1] * 10, [0] + [1] * 9]))
    assert overall[OVERALL, "dice"][0] == 0.5 and np.isnan(overall[OVERALL, "dice"][1])
    used = score(table)["overall"]["dice"]["resamples"]
    assert 0.5 < used / 200 < 0.8, "one of ten patients is drawn in about 65 % of resamples"


def test_no_interval_where_hardly_a_resample_holds_every_class():
    cases = [{f"c{k}": (9, 9, k) if i == k else NONE for k in range(1, 9)} for i in range(9)]
    dice = score(by_counts(*cases))["overall"]["dice"]
    assert dice["low"] is None and dice["note"] == "too few resamples hold every class"


def test_voxel_auroc_is_a_mean_over_cases_where_it_is_defined():
    table = by_counts({"a": (5, 5, 5)}, {"a": (5, 5, 3)}, {"a": NONE})
    table = replace(table, auroc=[{"a": 0.9}, {"a": 0.7}, {"a": float("nan")}])
    entry = score(table)["overall"]["auroc"]
    assert entry["value"] == pytest.approx(0.8) and entry["n"] == 2


def test_the_lowest_dice_come_first_then_median_and_best():
    table = by_counts(
        *[{"a": (10, 10, n), "b": NONE} for n in (7, 2, 9, 5, 0)], {"a": NONE, "b": NONE}
    )
    found = worst_masks(table, 2)
    assert [(w.case, w.why) for w in found] == [
        ("case-4", "worst"), ("case-1", "worst"), ("case-3", "median"), ("case-2", "best")
    ]  # fmt: skip
    assert found[1].dice == 0.2
    every = worst_masks(table, 99)
    assert len(every) == 5 and {w.why for w in every} == {"worst"}, "each once, the empty one never"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"groups": np.arange(3)}, "'groups' has 3 of 2 values"),
        ({"classes": ("b",)}, r"case case-0: expected figures of \['b'\], got \['a'\]"),
        ({"unit": "litres"}, "unit is one of"),
        ({"columns": {"sex": ["F"]}}, "'sex' has 1 of 2 values"),
        ({"auroc": [{"a": 1.0}]}, "'auroc' has 1 of 2 values"),
        ({"cases": ["x", "x"]}, "more than once"),
        ({"figures": [{"a": figures(1, 1, 1)}, {"a": figures(1, 1, 1, tolerance_mm=1.0)}]},
         "tolerance of 1, that of the first case at 2"),
        ({"figures": [{"a": figures(1, 1, 1)}, {"a": figures(1, 1, 0, hd95=np.inf)}]},
         "expected finite figures"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_refused_in_words(changes, words):
    with pytest.raises(DatasetError, match=words):
        replace(by_counts({"a": (1, 1, 1)}, {"a": (2, 2, 1)}), **changes)


def test_no_case_is_refused():
    table = by_counts({"a": (1, 1, 1)})
    with pytest.raises(DatasetError, match="no case has a mask"):
        score_masks(table.rows(np.array([False])))


def test_rows_keep_everything_together():
    table = phantoms(8, 8)
    part = table.rows(np.arange(8) % 2 == 1)
    assert part.cases == ["case-001", "case-003", "case-005", "case-007"]
    assert part.figures[1] is table.figures[3] and part.verdicts[1][0] == "refer"
    assert part.columns["age"][2] == table.columns["age"][5] and part.groups[3] == "p7"
