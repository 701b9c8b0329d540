"""`metrics.json`: its form, its values against scikit-learn, and the awkward cases."""

import json
from dataclasses import replace

import numpy as np
import pytest
from evaluation_worlds import labels, three_classes, two_classes
from sklearn import metrics as sk

from tomos.evaluate import Table, score, worst
from tomos.evaluate.subgroups import levels
from tomos.measures.operating import choose
from tomos.types import DatasetError

pytestmark = pytest.mark.fast
BINARY = {
    "auroc",
    "average_precision",
    "accuracy",
    "balanced_accuracy",
    "sensitivity",
    "specificity",
    "precision",
    "f1",
    "kappa",
    "brier",
    "ece",
}


def figures(table, **options):
    return score(table, resamples=200, **options)


def test_the_form_of_metrics_json():
    m = figures(two_classes())
    assert {"schema", "task", "dataset", "split", "n_cases", "n_patients"} <= set(m)
    assert set(m["overall"]) == BINARY
    assert set(m["per_class"]) == {"normal", "pneumonia"}
    assert m["targets"]["label"]["overall"] == m["overall"]
    assert set(m["subgroups"]) == {"sex", "age"}
    for entry in m["overall"].values():
        assert entry["low"] <= entry["value"] <= entry["high"] and entry["n"] == 300
    json.dumps(m, allow_nan=False)


def test_values_of_two_classes_equal_scikit_learn():
    table = two_classes()
    p, truth = table.probabilities[:, 1], table.truth
    overall = figures(table)["overall"]
    expected = {
        "auroc": sk.roc_auc_score(truth, p),
        "average_precision": sk.average_precision_score(truth, p),
        "accuracy": sk.accuracy_score(truth, p >= 0.5),
        "sensitivity": sk.recall_score(truth, p >= 0.5),
        "precision": sk.precision_score(truth, p >= 0.5),
        "f1": sk.f1_score(truth, p >= 0.5),
        "brier": sk.brier_score_loss(truth, p),
    }
    for name, value in expected.items():
        assert overall[name]["value"] == pytest.approx(value), name


def test_values_of_three_classes_equal_scikit_learn():
    table = three_classes()
    decided = table.probabilities.argmax(1)
    overall = figures(replace(table, kind="ordinal"))["overall"]
    expected = {
        "auroc": sk.roc_auc_score(table.truth, table.probabilities, multi_class="ovr"),
        "f1": sk.f1_score(table.truth, decided, average="macro"),
        "precision": sk.precision_score(table.truth, decided, average="macro"),
        "quadratic_kappa": sk.cohen_kappa_score(table.truth, decided, weights="quadratic"),
        "mae": np.abs(table.truth - decided).mean(),
    }
    for name, value in expected.items():
        assert overall[name]["value"] == pytest.approx(value), name


def test_labels_are_scored_where_they_were_assessed():
    table = labels()
    m = figures(table)
    known = np.isfinite(table.truth[:, 0])
    expected = sk.roc_auc_score(table.truth[known, 0], table.probabilities[known, 0])
    assert m["per_class"]["label 0"]["auroc"]["value"] == pytest.approx(expected)
    each = [entry["auroc"]["value"] for entry in m["per_class"].values()]
    assert m["overall"]["auroc"]["value"] == pytest.approx(np.mean(each))


def test_the_other_class_may_be_the_finding():
    m = figures(two_classes(positive="normal"))
    other = figures(two_classes())
    assert m["overall"]["sensitivity"] == other["overall"]["specificity"]
    assert m["operating_point"]["positive"] == "normal"


def test_several_images_a_patient_widen_the_interval():
    """Each image four times: as many patients as before, so the interval must stay."""
    table = two_classes(100)
    four = table.rows(np.ones(100, bool))
    four = replace(
        four,
        cases=[f"{c}-{k}" for k in range(4) for c in table.cases],
        groups=np.tile(table.groups, 4),
        truth=np.tile(table.truth, 4),
        probabilities=np.tile(table.probabilities, (4, 1)),
        columns={},
    )
    once, again = (figures(t)["overall"]["accuracy"] for t in (table, four))
    assert (once["low"], once["high"]) == pytest.approx((again["low"], again["high"]))


def test_cases_that_were_not_assessed_are_left_out_and_counted():
    table = two_classes()
    blank = replace(table, truth=np.where(np.arange(300) < 20, -1, table.truth))
    m = figures(blank)
    assert (m["n_cases"], m["n_not_assessed"]) == (280, 20)
    with pytest.raises(DatasetError, match="no case has a label"):
        figures(replace(table, truth=np.full(300, -1)))


def test_a_class_missing_from_truth_is_named_and_its_figures_are_null():
    table = three_classes()
    m = figures(table.rows(table.truth != 1))
    assert m["missing_classes"] == ["b"]
    assert m["per_class"]["b"]["auroc"]["value"] is None
    assert "not defined" in m["per_class"]["b"]["auroc"]["note"]
    assert m["overall"]["auroc"]["value"] is not None


def test_a_perfect_model_is_not_called_certain():
    truth = np.repeat([0, 1], 10)
    p = np.where(truth == 1, 0.9, 0.1)
    table = Table([str(i) for i in range(20)], np.arange(20), truth, np.stack([1 - p, p], 1), "ab")
    m = figures(table)
    for name in ("auroc", "accuracy", "sensitivity", "specificity"):
        entry = m["overall"][name]
        assert entry["value"] == entry["high"] == 1 and entry["low"] < 0.9, name
    assert m["operating_point"]["measured"]["ppv"]["low"] < 0.95
    assert m["operating_point"]["measured"]["lr_positive"]["value"] is None


def test_operating_point_and_what_it_gives_at_a_stated_prevalence():
    table, val = two_classes(), two_classes(seed=1)
    point = choose(val.truth == 1, val.probabilities[:, 1], groups=val.groups)
    m = figures(table, operating=point, prevalence=0.01)
    op = m["operating_point"]
    assert op["threshold"] == point.threshold and op["prevalence_stated"]
    sens, spec = (m["overall"][name]["value"] for name in ("sensitivity", "specificity"))
    expected = 0.01 * sens / (0.01 * sens + 0.99 * (1 - spec))
    assert op["measured"]["ppv"]["value"] == pytest.approx(expected)
    assert sum(op["confusion"].values()) == 300
    assert 0.01 in [row["prevalence"] for row in op["by_prevalence"]]


def test_further_targets_stand_beside():
    m = figures(two_classes(), others=[(three_classes(target="grade"), None)])
    assert list(m["targets"]) == ["label", "grade"]


def test_subgroups_numbers_names_and_blanks():
    n = 100
    columns = {
        "age": [f"{20 + i % 60:03d}Y" for i in range(n)],
        "site": ["north" if i < 60 else "" for i in range(n)],
        "uid": [f"1.2.{i}" for i in range(n)],
    }
    table = two_classes(n, columns=columns)
    found = {}
    for column, level, mask in levels(table):
        found.setdefault(column, {})[level] = int(mask.sum())
    assert found["site"] == {"north": 60, "not stated": 40}
    assert len(found["age"]) == 4 and next(iter(found["age"])).startswith("<")
    assert "uid" not in found
    with pytest.raises(DatasetError, match="did you mean 'site'"):
        list(levels(table, ["sites"]))


def test_what_is_another_in_every_case_makes_no_groups_however_few_there_are():
    columns = {"series": [f"1.2.{i}" for i in range(6)], "site": [*"aabbab"]}
    table = two_classes(6, columns=columns)
    assert {column for column, _, _ in levels(table)} == {"site"}
    assert {column for column, _, _ in levels(table, ["series"])} == {"series"}


def test_a_small_subgroup_is_flagged():
    table = two_classes(columns={"site": ["a"] * 290 + ["b"] * 10})
    groups = figures(table)["subgroups"]["site"]
    assert groups["b"]["auroc"]["note"] == "few cases"
    assert "note" not in groups["a"]["auroc"] and groups["a"]["auroc"]["n"] == 290


def test_worst_cases_are_the_surest_mistakes_one_a_patient():
    table = two_classes(patients=80)
    found = worst(table, n=10)
    assert len({table.groups[w.row] for w in found}) == 10
    assert not found[0].right and found[0].probability >= found[1].probability
    assert worst(labels(), n=3)[0].truth != worst(labels(), n=3)[0].said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"truth": np.zeros(3, int)}, "expected truth"),
        ({"probabilities": np.full((300, 2), np.nan)}, "no finite probability"),
        ({"positive": "flu"}, "'flu' is not in"),
        ({"columns": {"sex": ["F"]}}, "1 of 300 values"),
        ({"truth": np.full(300, 2)}, r"outside -1\.\.1"),
    ],
)
def test_a_wrong_table_is_refused_in_words(changes, words):
    with pytest.raises(DatasetError, match=words):
        two_classes(**changes)


def test_several_labels_have_predictive_values_at_the_stated_prevalence():
    """PPV by Bayes' rule from the label's own counts: 1,000 people, 100 of them with it."""
    table = labels()
    point = score(table, {}, prevalence=0.1, resamples=200)["operating_point"]["per_class"]
    assert list(point) == list(table.classes)
    first = point["label 0"]
    counts = first["confusion"]
    assert sum(counts.values()) == 150, "fifty cases were not assessed for it"
    found = 100 * counts["tp"] / (counts["tp"] + counts["fn"])
    alarms = 900 * counts["fp"] / (counts["fp"] + counts["tn"])
    ppv = first["measured"]["ppv"]
    assert ppv["value"] == pytest.approx(found / (found + alarms))
    assert ppv["low"] < ppv["value"] < ppv["high"]
    assert first["prevalence"] == 0.1 and first["prevalence_stated"]
    own = score(table, {}, resamples=200)["operating_point"]["per_class"]["label 1"]
    assert own["prevalence"] == pytest.approx(table.truth[:, 1].mean())
    assert not own["prevalence_stated"]
