"""Which epoch is kept, and the figures it is kept by."""

import math

import numpy as np
import pytest

from tomos.train.validate import Best, judge


def test_log_loss_and_auroc_by_hand():
    """p = 3/4 for the right class, twice: -log(3/4). All positives above all negatives: 1."""
    logits = np.log(np.array([[3.0, 1.0], [1.0, 3.0]]))
    found = judge(logits, np.array([0, 1]), "class")
    assert found.log_loss == pytest.approx(-math.log(3 / 4)) and found.auroc == 1


def test_overconfidence_costs_log_loss_but_not_the_refined_one():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 500)
    logits = np.stack([np.zeros(500), (2 * truth - 1) + 1.5 * rng.standard_normal(500)], 1)
    calm, loud = judge(logits, truth, "class"), judge(10 * logits, truth, "class")
    assert loud.log_loss > 2 * calm.log_loss
    assert loud.refined == pytest.approx(calm.refined, rel=1e-4)
    assert loud.temperature == pytest.approx(10 * calm.temperature, rel=1e-3)


def test_rows_not_assessed_count_for_nothing():
    logits = np.array([[2.0, 0.0], [0.0, 1.0], [9.0, 9.0]])
    with_it = judge(logits, np.array([0, 1, -1]), "class")
    assert with_it.log_loss == judge(logits[:2], np.array([0, 1]), "class").log_loss
    cells = np.array([[1.0, np.nan], [0.0, 1.0], [np.nan, np.nan]])
    many = judge(logits, cells, "multilabel")
    by_hand = (math.log1p(math.exp(-2)) + (math.log(2) + math.log1p(math.exp(-1))) / 2) / 2
    assert many.log_loss == pytest.approx(by_hand)


def test_ordinal_figures_are_those_of_the_loss():
    import torch

    from tomos.measures import losses

    logits, truth = np.random.default_rng(1).standard_normal((9, 4)), np.arange(9) % 4
    loss = losses.build("ordinal", "ordinal")(torch.tensor(logits), torch.tensor(truth))
    assert judge(logits, truth, "ordinal").log_loss == pytest.approx(float(loss.mean()))


def test_one_class_has_no_auroc_and_no_figure():
    found = judge(np.zeros((3, 2)), np.array([1, 1, 1]), "class")
    assert math.isnan(found.auroc) and found.figures()["auroc"] is None


def test_the_latest_epoch_that_is_not_worse_beyond_chance_is_kept():
    noise = np.random.default_rng(0).standard_normal(100)
    best = Best()
    assert best.keep(1, 1.0 + 0 * noise)
    assert best.keep(2, 0.5 + 0 * noise) and best.lowest == 2
    assert best.keep(3, 0.5 + 0.01 + 0.5 * noise - 0.5 * noise.mean()) and best.since == 1
    assert not best.keep(4, 0.6 + 0.1 * noise)
    assert (best.epoch, best.lowest, best.since) == (3, 2, 2)
    assert best.keep(5, 0.4 + 0 * noise) and (best.epoch, best.lowest, best.since) == (5, 5, 0)


def test_slowly_getting_worse_does_not_drag_the_choice_along():
    """Each epoch is within a standard error of the one before, but not of the lowest."""
    noise = np.random.default_rng(0).standard_normal(100)
    best = Best()
    kept = [best.keep(n + 1, 0.5 + 0.08 * n + (n > 0) * (noise - noise.mean())) for n in range(6)]
    assert kept == [True, True, False, False, False, False]
