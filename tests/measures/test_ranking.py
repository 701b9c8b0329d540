"""AUROC, average precision and curves: by hand, against scikit-learn, and resampled."""

import numpy as np
import pytest
from sklearn import metrics as sk

from tomos.measures import ranking

pytestmark = pytest.mark.fast


def cases(n=200, ties=False, seed=0):
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < 0.3
    scores = rng.normal(size=n) + positive
    return positive, np.round(scores) if ties else scores


def test_by_hand():
    # Pairs: 0.8 beats both negatives, 0.4 ties with one and beats the other: 3.5 of 4.
    assert ranking.auroc(np.array([1, 1, 0, 0]), np.array([0.8, 0.4, 0.4, 0.1])) == 3.5 / 4
    assert ranking.auroc(np.array([0, 1]), np.array([0.5, 0.5])) == 0.5


@pytest.mark.parametrize("ties", [False, True])
def test_equal_to_scikit_learn(ties):
    positive, scores = cases(ties=ties)
    r = ranking.Ranking(positive, scores)
    assert r.auroc() == pytest.approx(sk.roc_auc_score(positive, scores), abs=1e-12)
    expected = sk.average_precision_score(positive, scores)
    assert r.average_precision() == pytest.approx(expected, abs=1e-12)
    x, y, _ = sk.roc_curve(positive, scores, drop_intermediate=False)
    assert np.allclose(r.roc().x, x) and np.allclose(r.roc().y, y)
    precision, recall, _ = sk.precision_recall_curve(positive, scores)
    assert np.allclose(r.pr().y, precision[:-1][::-1])
    assert np.allclose(r.pr().x, recall[:-1][::-1])


@pytest.mark.parametrize("ties", [False, True])
def test_weights_are_repeated_cases(ties):
    positive, scores = cases(ties=ties)
    r = ranking.Ranking(positive, scores)
    weights = np.random.default_rng(1).integers(0, 3, (20, len(scores)))
    auroc, precision = r.auroc(weights), r.average_precision(weights)
    for row, w in enumerate(weights):
        again = np.repeat(np.arange(len(w)), w)
        assert auroc[row] == pytest.approx(sk.roc_auc_score(positive[again], scores[again]))
        expected = sk.average_precision_score(positive[again], scores[again])
        assert precision[row] == pytest.approx(expected)


def test_curves_at_given_places_agree_with_the_curve():
    positive, scores = cases()
    r = ranking.Ranking(positive, scores)
    ones = np.ones((1, len(scores)), int)
    curve = r.roc()
    at = r.roc_at(np.array([0.0, 0.1, 0.5, 1.0]), ones)[0]
    assert at[0] == curve.y[curve.x == 0].max() and at[-1] == 1
    for rate, value in zip((0.1, 0.5), at[1:3], strict=True):
        assert curve.y[curve.x <= rate].max() <= value <= curve.y[curve.x >= rate].min() + 0.02
    pr = r.pr_at(np.array([0.0, 1.0]), ones)[0]
    assert pr[1] == pytest.approx(r.pr().y[np.argmax(r.pr().x >= 1)])
    assert pr[0] == pytest.approx(r.pr().y[0])


def test_one_side_empty_is_not_defined():
    assert np.isnan(ranking.auroc(np.array([1, 1]), np.array([0.1, 0.2])))
    assert np.isnan(ranking.average_precision(np.array([0, 0]), np.array([0.1, 0.2])))


def test_macro_names_the_class_it_leaves_out():
    truth = np.array([0, 0, 1, 1])
    scores = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.4, 0.5, 0.1]])
    assert ranking.macro_auroc(truth, scores) == (1.0, [2])


def test_wrong_input_is_refused_in_words():
    with pytest.raises(ValueError, match="1 scores are not finite"):
        ranking.Ranking(np.array([0, 1]), np.array([0.1, np.nan]))
    with pytest.raises(ValueError, match="not assessed"):
        ranking.Ranking(np.array([0, 2]), np.array([0.1, 0.2]))
    with pytest.raises(ValueError, match="whole numbers"):
        ranking.Ranking(np.array([0, 1]), np.array([0.1, 0.2])).auroc(np.ones((1, 2)))
