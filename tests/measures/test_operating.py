"""Operating points: known optima, gaps, shifted scores; predictive values and net benefit."""

import numpy as np
import pytest

from tomos.measures import operating, usefulness
from tomos.measures.calibration import logit, sigmoid
from tomos.types import SettingsError

pytestmark = pytest.mark.fast


def scores(n=2000, low=-2.0, high=2.0, spread=(1.0, 1.0), share=0.5, seed=0):
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < share
    z = np.where(positive, rng.normal(high, spread[1], n), rng.normal(low, spread[0], n))
    return positive, sigmoid(z)


@pytest.mark.parametrize("rule", operating.RULES)
def test_every_rule_says_threshold_plateau_and_reason(rule):
    positive, p = scores(400)
    point = operating.choose(positive, p, rule)
    assert 0 <= point.low <= point.high <= 1 and 0 < point.threshold < 1
    assert len(point.reason) > 20 and point.n == 400 and point.rule == rule
    assert operating.OperatingPoint(**point.data()).threshold == point.threshold


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_the_plateau_holds_the_known_optimum_however_rare_the_finding(share):
    positive, p = scores(3000, share=share)
    point = operating.choose(positive, p)
    assert point.low < 0.5 < point.high
    assert abs(logit(point.threshold)) < 0.5


def test_the_choice_moves_with_the_scores():
    positive, p = scores(500)
    here = operating.choose(positive, p)
    there = operating.choose(positive, sigmoid(2 * logit(p) + 1))
    assert logit(there.threshold) == pytest.approx(2 * logit(here.threshold) + 1, abs=0.02)


def test_a_wide_gap_is_split_by_spread_not_by_the_last_case():
    """Separated classes: any threshold in the gap is right. The wider class gets more room."""
    positive, p = scores(300, -6, 6, (0.5, 2.0))
    z = logit(p)
    assert z[positive].min() > z[~positive].max()
    point = operating.choose(positive, p)
    assert z[~positive].max() < logit(point.threshold) < z[positive].min()
    middle = (z[positive].min() + z[~positive].max()) / 2
    assert logit(point.threshold) < middle + 0.3
    assert logit(point.high) - logit(point.low) > 1.5


@pytest.mark.seconds
def test_the_default_loses_less_than_youden_on_fresh_cases():
    """Small validation parts, a large truth to score on: mean loss of balanced accuracy."""
    test_positive, test_p = scores(20_000, -2.5, 3.5, (1.0, 1.5), seed=99)

    def balanced(threshold):
        called = test_p >= threshold
        return (called[test_positive].mean() + (~called)[~test_positive].mean()) / 2

    best = max(balanced(sigmoid(t)) for t in np.linspace(-3, 3, 121))
    loss = {"plateau": [], "youden": []}
    for seed in range(20):
        positive, p = scores(80, -2.5, 3.5, (1.0, 1.5), seed=seed)
        for rule, losses in loss.items():
            losses.append(best - balanced(operating.choose(positive, p, rule).threshold))
    assert np.mean(loss["plateau"]) < 0.8 * np.mean(loss["youden"])
    assert np.mean(loss["plateau"]) < 0.01


def test_a_wanted_sensitivity_is_kept_on_fresh_cases():
    positive, p = scores(2000)
    point = operating.choose(positive, p, "sensitivity", sensitivity=0.95)
    fresh, fresh_p = scores(20_000, seed=7)
    assert (fresh_p >= point.threshold)[fresh].mean() == pytest.approx(0.95, abs=0.02)


def test_a_missed_finding_that_costs_more_lowers_the_threshold():
    positive, p = scores(2000)
    dear = operating.choose(positive, p, "cost", cost=10, prevalence=0.5)
    even = operating.choose(positive, p, "cost", cost=1, prevalence=0.5)
    rare = operating.choose(positive, p, "cost", cost=1, prevalence=0.05)
    assert dear.threshold < even.threshold < rare.threshold
    # Equal spread: the optimum is where the likelihood ratio meets the costs, z = -log(10) / 4.
    assert logit(dear.threshold) == pytest.approx(-np.log(10) / 4, abs=0.4)


def test_patients_are_counted_not_images():
    positive, p = scores(60, seed=3)
    once = operating.choose(positive, p)
    many = operating.choose(
        np.repeat(positive, 5), np.repeat(p, 5), groups=np.repeat(np.arange(60), 5)
    )
    assert many.n_patients == 60
    assert logit(many.threshold) == pytest.approx(logit(once.threshold), abs=0.1)


def test_one_class_only_gives_a_half_and_says_so():
    point = operating.choose(np.ones(5), np.full(5, 0.9))
    assert point.threshold == 0.5 and "no negative" in point.reason


def test_wrong_settings_are_refused_with_the_nearest():
    positive, p = scores(50)
    with pytest.raises(SettingsError, match="did you mean 'youden'"):
        operating.choose(positive, p, "youdens")
    with pytest.raises(SettingsError, match="prevalence=2"):
        operating.choose(positive, p, "cost", prevalence=2)


def test_predictive_values_by_hand():
    # Of 1,000 people 10 are ill; 9 found, 99 of 990 healthy alarmed.
    ppv, npv = usefulness.predictive_values(0.9, 0.9, 0.01)
    assert ppv == pytest.approx(9 / 108) and npv == pytest.approx(891 / 892)


def test_predictive_intervals_cover_and_never_collapse():
    low_high = usefulness.predictive_intervals(np.array([[90, 10], [5, 95]]), 0.1)
    for interval in low_high:
        assert interval.low < interval.value < interval.high
    perfect = usefulness.predictive_intervals(np.array([[50, 0], [0, 50]]), 0.1)[0]
    assert perfect.value == 1 and perfect.low < 0.95


def test_net_benefit_by_hand():
    positive = np.array([1, 1, 0, 0])
    p = np.array([0.9, 0.3, 0.6, 0.1])
    # At 0.5: one true, one false positive of four people, odds 1.
    assert usefulness.net_benefit(positive, p, np.array([0.5])) == pytest.approx([0.0])
    # At 0.2: two true, one false, odds 1/4.
    assert usefulness.net_benefit(positive, p, np.array([0.2]))[0] == pytest.approx(0.5 - 0.0625)
    curve = usefulness.decision_curve(positive, p, np.array([0.01, 0.2]))
    assert curve.treat_all[0] == pytest.approx(0.5 - 0.5 / 99)
    weights = np.array([[1, 1, 1, 1], [2, 0, 1, 1]])
    many = usefulness.net_benefit(positive, p, np.array([0.5]), weights)
    assert many[:, 0] == pytest.approx([0, 0.25])
