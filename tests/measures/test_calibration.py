"""Calibration: a known distortion is found again; figures against hand counts and scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.isotonic import IsotonicRegression

from tomos.measures import calibration as c

pytestmark = pytest.mark.fast


def drawn(n=4000, classes=3, seed=0):
    """Logits that are exactly right: truth is drawn from them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, classes))
    p = c.softmax(logits)
    return logits, (p.cumsum(1) > rng.random((n, 1))).argmax(1)


@pytest.mark.parametrize("true", [0.3, 1.0, 4.0])
def test_temperature_is_found_again(true):
    logits, truth = drawn()
    fitted = c.fit_temperature(logits * true, truth)
    assert fitted.temperature == pytest.approx(true, rel=0.08)
    assert fitted.log_loss_after <= fitted.log_loss_before + 1e-9
    assert np.array_equal(fitted.apply(logits).argmax(1), logits.argmax(1))


def test_temperature_of_many_labels_skips_what_was_not_assessed():
    rng = np.random.default_rng(1)
    z = rng.normal(0, 2, (3000, 2))
    truth = (rng.random(z.shape) < c.sigmoid(z)).astype(float)
    truth[:500, 0] = np.nan
    fitted = c.fit_temperature(z * 3, truth, "multilabel")
    assert fitted.temperature == pytest.approx(3, rel=0.1)


def test_a_separated_validation_part_does_not_ask_for_certainty():
    logits = np.array([[3.0, -3.0]] * 20 + [[-3.0, 3.0]] * 20)
    fitted = c.fit_temperature(logits, np.repeat([0, 1], 20))
    assert 0.2 < fitted.temperature < 1
    assert fitted.apply(logits).max() < 1


def test_one_class_or_nothing_is_left_alone_and_said():
    logits = np.zeros((4, 2))
    assert c.fit_temperature(logits, np.zeros(4, int)).temperature == 1
    assert "fewer than two classes" in c.fit_temperature(logits, np.full(4, -1)).reason


@pytest.mark.parametrize("kind", ["class", "multilabel"])
def test_vector_scaling_undoes_scale_and_shift(kind):
    if kind == "class":
        logits, truth = drawn(6000)
    else:
        rng = np.random.default_rng(2)
        logits = rng.normal(0, 2, (6000, 2))
        truth = (rng.random(logits.shape) < c.sigmoid(logits)).astype(float)
    bent = logits * 2 + np.arange(logits.shape[1])
    fitted = c.fit_vector(bent, truth, kind)
    right = c.softmax(logits) if kind == "class" else c.sigmoid(logits)
    assert np.abs(fitted.apply(bent) - right).mean() < 0.02


@pytest.mark.seconds
def test_learning_from_balanced_classes_is_carried_back_to_how_often_they_come():
    """Scores of a network for which both classes were alike, on cases where one in ten is ill."""
    rng = np.random.default_rng(5)
    truth = (rng.random(40_000) < 0.1).astype(int)
    evidence = rng.normal(2 * truth - 1, 1)  # log p(e|1)/p(e|0) = 2 e: balanced posterior log odds
    logits = np.stack([-evidence, evidence], 1)
    shift = c.prior_shift([9000, 1000])
    assert sum(shift) == pytest.approx(0)
    assert shift[1] - shift[0] == pytest.approx(np.log(1 / 9))
    plain = c.fit_temperature(logits, truth)
    shifted = c.fit_temperature(logits, truth, shift=shift)
    assert shifted.temperature == pytest.approx(1, abs=0.03)
    assert shifted.log_loss_after < 0.9 * plain.log_loss_after
    assert abs(shifted.apply(logits)[:, 1].mean() - 0.1) < 0.004
    assert plain.apply(logits)[:, 1].mean() > 0.15
    stored = {k: list(v) if isinstance(v, tuple) else v for k, v in shifted.data().items()}
    assert np.array_equal(c.calibration(stored).apply(logits), shifted.apply(logits))


def test_isotonic_rises_and_follows_scikit_learn():
    rng = np.random.default_rng(3)
    z = rng.normal(0, 2, 2000)
    positive = rng.random(2000) < c.sigmoid(z)
    ours = c.fit_isotonic(z, positive)
    grid = np.linspace(-3, 3, 50)
    assert (np.diff(ours.apply(grid)) >= 0).all()
    theirs = IsotonicRegression(out_of_bounds="clip").fit(z, positive).predict(grid)
    assert np.abs(ours.apply(grid) - theirs).mean() < 0.05
    assert 0 < ours.apply(np.array([-99.0, 99]))[0] < ours.apply(np.array([-99.0, 99]))[1] < 1


def test_what_is_stored_reads_back():
    logits, truth = drawn(500)
    isotonic = c.fit_isotonic(logits[:, 0], truth == 0)
    for fitted in (c.fit_temperature(logits, truth), c.fit_vector(logits, truth), isotonic):
        again = c.calibration(
            {k: list(v) if isinstance(v, tuple) else v for k, v in fitted.data().items()}
        )
        x = logits[:, 0] if fitted is isotonic else logits
        assert np.array_equal(again.apply(x), fitted.apply(x))
    assert c.calibration(c.Temperature().data()).temperature == 1
    with pytest.raises(ValueError, match="'platt'"):
        c.calibration({"method": "platt"})


def test_ece_by_hand():
    probability = np.repeat([0.1, 0.9], 50)
    positive = np.append(np.arange(50) < 10, np.arange(50) < 40)  # 0.2 and 0.8 came true
    assert c.ece(probability, positive, bins=2) == pytest.approx(0.1)
    weights = np.stack([np.ones(100, int), np.repeat([1, 0], 50)])
    assert c.ece(probability, positive, 2, weights) == pytest.approx([0.1, 0.1])


def test_bins_hold_equally_many_and_ties_stay_together():
    index = c.equal_mass_bins(np.linspace(0, 1, 150), 15)
    assert np.bincount(index).tolist() == [10] * 15
    tied = c.equal_mass_bins(np.append(np.zeros(90), np.linspace(0.5, 1, 60)), 15)
    assert len(np.unique(tied[:90])) == 1
    assert c.equal_mass_bins(np.zeros(5)).tolist() == [0] * 5


def test_reliability_points_carry_n_and_interval():
    rng = np.random.default_rng(0)
    p = rng.random(400)
    points = c.reliability(p, rng.random(400) < p)
    assert sum(point.n for point in points) == 400 and len(points) == 10
    assert sum(point.came.low <= point.said <= point.came.high for point in points) >= 8


def test_brier_and_log_loss_against_scikit_learn():
    logits, truth = drawn(300)
    p = c.softmax(logits)
    hot = np.eye(3)[truth]
    assert c.brier_parts(p, hot).mean() == pytest.approx(sk.brier_score_loss(hot, p))
    assert c.log_loss(p, truth) == pytest.approx(sk.log_loss(truth, p))
