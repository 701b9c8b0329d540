"""Figures of decisions against hand counts and scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as sk

from tomos.measures import classification as c

pytestmark = pytest.mark.fast


def test_a_matrix_counted_by_hand():
    matrix = c.confusion(np.array([0, 0, 0, 1, 1, 1, 1]), np.array([0, 0, 1, 1, 1, 1, 0]), 2)
    assert matrix.tolist() == [[2, 1], [1, 3]]
    assert c.accuracy(matrix) == 5 / 7
    assert c.sensitivity(matrix).tolist() == [2 / 3, 3 / 4]
    assert c.specificity(matrix)[1] == 2 / 3
    assert c.precision(matrix)[1] == 3 / 4
    assert c.negative_predictive_value(matrix)[1] == 2 / 3
    assert c.likelihood_ratios(matrix)[0] == pytest.approx(9 / 4)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_equal_to_scikit_learn(classes):
    rng = np.random.default_rng(classes)
    truth = rng.integers(0, classes, 300)
    decided = np.where(rng.random(300) < 0.6, truth, rng.integers(0, classes, 300))
    matrix = c.confusion(truth, decided, classes)
    assert np.array_equal(matrix, sk.confusion_matrix(truth, decided))
    assert c.accuracy(matrix) == pytest.approx(sk.accuracy_score(truth, decided))
    assert c.balanced_accuracy(matrix) == pytest.approx(sk.balanced_accuracy_score(truth, decided))
    assert c.f1(matrix) == pytest.approx(sk.f1_score(truth, decided, average=None))
    assert c.precision(matrix) == pytest.approx(sk.precision_score(truth, decided, average=None))
    assert c.kappa(matrix) == pytest.approx(sk.cohen_kappa_score(truth, decided))
    for weighting in ("linear", "quadratic"):
        expected = sk.cohen_kappa_score(truth, decided, weights=weighting)
        assert c.kappa(matrix, weighting) == pytest.approx(expected)


def test_weights_are_repeated_cases():
    rng = np.random.default_rng(0)
    truth, decided = rng.integers(0, 3, 50), rng.integers(0, 3, 50)
    weights = rng.integers(0, 4, (7, 50))
    many = c.confusion(truth, decided, 3, weights)
    for row, w in zip(many, weights, strict=True):
        rows = np.repeat(np.arange(50), w)
        assert np.array_equal(row, c.confusion(truth[rows], decided[rows], 3))
    assert c.accuracy(many).shape == (7,)
    assert c.two_class(many, 1).shape == (7, 2, 2)


def test_a_class_missing_from_truth_is_named_and_left_out_of_the_mean():
    matrix = c.confusion(np.array([0, 0, 2, 2]), np.array([0, 1, 2, 2]), 3)
    assert c.missing(matrix) == [1]
    assert np.isnan(c.sensitivity(matrix)[1])
    assert c.balanced_accuracy(matrix) == 0.75
    assert np.isnan(c.f1(matrix)[1])


def test_a_class_never_decided_counts_as_zero_in_the_mean():
    matrix = c.confusion(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 0]), 2)
    assert np.isnan(c.precision(matrix)[1])
    assert c.macro(c.precision(matrix), matrix) == 0.25
    assert np.isnan(c.likelihood_ratios(c.confusion(np.array([0, 0]), np.array([0, 0]), 2))[0])


def test_kappa_of_one_class_only_is_not_defined():
    assert np.isnan(c.kappa(c.confusion(np.zeros(5, int), np.zeros(5, int), 2)))


def test_wrong_input_is_refused_in_words():
    with pytest.raises(ValueError, match=r"outside 0\.\.1"):
        c.confusion(np.array([0, 2]), np.array([0, 1]), 2)
    with pytest.raises(ValueError, match="quadratic"):
        c.kappa(np.eye(2), "cubic")
