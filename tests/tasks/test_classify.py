"""Label cells, probabilities and calls, on numbers that can be checked by hand."""

import numpy as np
import pytest

from tomos.config import names
from tomos.tasks import classify
from tomos.types import Case, DatasetError, SettingsError

pytestmark = pytest.mark.fast


def cases(*cells):
    return [Case(f"c{k}", {"image": "x"}, {"label": cell}) for k, cell in enumerate(cells)]


def test_a_blank_cell_is_minus_one():
    assert classify.encode(cases("b", "", "a"), "label", ("a", "b")).tolist() == [1, -1, 0]
    assert classify.encode(cases("2", "1"), "label", ("1", "2"), "ordinal").tolist() == [1, 0]


def test_multilabel_cells():
    found = classify.encode(cases("a|c", "-", "", "?a | b"), "label", ("a", "b", "c"), "multilabel")
    nan = np.nan
    wanted = [[1, 0, 1], [0, 0, 0], [nan, nan, nan], [nan, 1, 0]]
    np.testing.assert_array_equal(found, wanted)


def test_no_case_gives_an_empty_target():
    assert classify.encode([], "label", ("a", "b")).shape == (0,)
    assert classify.encode([], "label", ("a", "b"), "multilabel").shape == (0, 2)


def test_an_unknown_label_is_named():
    with pytest.raises(DatasetError, match=r"'c1'.*did you mean 'normal'"):
        classify.encode(cases("normal", "norml"), "label", ("normal", "sick"))


def test_probabilities():
    logits = np.log([[1.0, 3.0]])
    np.testing.assert_allclose(classify.probabilities(logits), [[0.25, 0.75]])
    np.testing.assert_allclose(
        classify.probabilities(2 * logits, calibration={"temperature": 2.0}), [[0.25, 0.75]]
    )
    np.testing.assert_allclose(classify.probabilities(np.zeros((1, 2)), "multilabel"), [[0.5, 0.5]])
    np.testing.assert_allclose(
        classify.probabilities(logits, "ordinal", {"method": "temperature", "temperature": 1.0}),
        [[0.25, 0.75]],
    )
    with pytest.raises(SettingsError, match="finite"):
        classify.probabilities(np.array([[np.nan, 0]]))


@pytest.mark.parametrize(
    ("scores", "thresholds", "label"),
    [
        ([0.6, 0.4], {}, "well"),
        ([0.6, 0.4], {"sick": 0.4}, "sick"),
        ([0.7, 0.3], {"sick": 0.4}, "well"),
        ([0.3, 0.7], {"well": 0.25}, "well"),
    ],
)
def test_two_classes_at_a_threshold(scores, thresholds, label):
    answer = classify.decode(np.array(scores), ("well", "sick"), thresholds=thresholds)
    assert answer.label == label and answer.scores == {"well": scores[0], "sick": scores[1]}


def test_more_classes():
    names_ = ("a", "b", "c")
    scores = np.array([0.5, 0.3, 0.2])
    assert classify.decode(scores, names_).label == "a"
    assert classify.decode(scores, names_, thresholds={"c": 0.1}).label == "c"
    assert classify.decode(scores, names_, "multilabel").label == "a"
    assert classify.decode(scores, names_, "multilabel", {"b": 0.25, "c": 0.2}).label == "a|b|c"
    assert classify.decode(scores, names_, "multilabel", {"a": 0.9}).label == "-"


def test_a_grade_is_the_median_class():
    assert classify.decode(np.array([0.4, 0.2, 0.4]), ("0", "1", "2"), "ordinal").label == "1"
    assert (
        classify.decode(np.array([0.4, 0.2, 0.4]), ("0", "1", "2"), "ordinal", {"2": 0.4}).label
        == "2"
    )


def test_wrong_thresholds_and_scores_are_refused():
    with pytest.raises(SettingsError, match="did you mean 'sick'"):
        classify.decode(np.array([0.5, 0.5]), ("well", "sick"), thresholds={"sik": 0.5})
    with pytest.raises(SettingsError, match="expected 2 scores"):
        classify.decode(np.zeros(3), ("well", "sick"))
    with pytest.raises(SettingsError, match="did you mean 'multilabel'"):
        classify.loss("multi-label")


@pytest.mark.parametrize(
    ("classes", "finding"),
    [
        (("normal", "pneumonia"), "pneumonia"),
        (("malignant", "normal, benign"), "malignant"),
        (("阴性", "阳性"), "阳性"),
        (("abnormal", "normal"), "abnormal"),
        (("0", "1"), "1"),
        (("a", "b", "c"), ""),
    ],
)
def test_which_of_two_is_the_finding(classes, finding):
    assert classify.positive(classes) == finding


def test_every_kind_has_its_loss():
    assert {classify.loss(kind) for kind in classify.KINDS} <= set(names("tomos.measures.losses"))
