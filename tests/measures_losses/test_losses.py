"""Losses against numbers that can be checked by hand."""

import math

import pytest
import torch
import torch.nn.functional as F

from tomos.measures import losses
from tomos.types import PlanError, SettingsError

NAN = float("nan")
LOG2 = math.log(2)
KIND = {"bce": "multilabel", "ordinal": "ordinal"}
# Those on masks are another shape of thing: test_mask_losses.py.
NAMES = [name for name in losses.names() if name not in losses.fitting("mask")]


def build(name, kind=None, **options):
    return losses.build(name, kind or KIND.get(name, "class"), **options)


@pytest.mark.parametrize("name", NAMES)
def test_every_loss_is_one_value_a_case_with_a_finite_slope(name):
    torch.manual_seed(0)
    kind = KIND.get(name, "class")
    target = torch.tensor([[1.0, 0, NAN]] * 5) if kind == "multilabel" else torch.arange(5) % 3
    for scale in (1, 1000):
        logits = (torch.randn(5, 3) * scale).requires_grad_()
        values = build(name)(logits, target)
        assert values.shape == (5,) and (values >= 0).all()
        values.sum().backward()
        assert logits.grad.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_every_loss_falls_to_nothing_on_sure_and_right_answers(name):
    target = torch.tensor([0, 1, 2])
    logits = 40.0 * (2 * torch.eye(3) - 1)
    if KIND.get(name) == "multilabel":
        target = torch.eye(3)
    assert build(name)(logits, target).max() < 1e-6


def test_cross_entropy_of_no_opinion_is_log_k():
    loss = build("cross_entropy")(torch.zeros(2, 4), torch.tensor([0, 3]))
    assert torch.allclose(loss, torch.full((2,), 2 * LOG2))


def test_cross_entropy_weights_smoothing_and_shares_agree_with_torch():
    logits, target = torch.randn(8, 3), torch.arange(8) % 3
    weights = torch.tensor([0.5, 1.0, 2.0])
    mine = build("cross_entropy", smoothing=0.1)(logits, target, weights)
    theirs = F.cross_entropy(logits, target, weights, reduction="none", label_smoothing=0.1)
    assert torch.allclose(mine, theirs, atol=1e-6)
    shares = torch.rand(8, 3).softmax(1)
    mine = build("cross_entropy")(logits, shares)
    assert torch.allclose(mine, F.cross_entropy(logits, shares, reduction="none"), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_smoothing_keeps_an_answer_from_growing_ever_surer(name):
    """Every loss of ours takes it: plans soften targets whatever the kind."""
    many = KIND.get(name) == "multilabel"
    target = torch.tensor([[1.0, 0.0, NAN]]) if many else torch.tensor([0])
    sure, fair = torch.tensor([[30.0, -30.0, 0.0]]), torch.tensor([[3.0, -3.0, -3.0]])
    hard, soft = build(name), build(name, smoothing=0.1)
    assert hard(sure, target) <= hard(fair, target)
    assert soft(sure, target) > soft(fair, target)


def test_smoothed_ordinal_by_hand():
    """Two classes, no opinion: every cut costs log 2 whatever the target."""
    loss = build("ordinal", smoothing=0.2)(torch.zeros(1, 2), torch.tensor([1]))
    assert loss.item() == pytest.approx(LOG2)
    logits = torch.tensor([[0.0, math.log(3)]])  # p = 1/4, 3/4; target 0.1, 0.9
    loss = build("ordinal", smoothing=0.2)(logits, torch.tensor([1]))
    assert loss.item() == pytest.approx(-(0.9 * math.log(0.75) + 0.1 * math.log(0.25)))


def test_bce_leaves_out_what_was_not_assessed():
    logits = torch.tensor([[0.0, 50.0], [0.0, 0.0]], requires_grad=True)
    loss = build("bce")(logits, torch.tensor([[1.0, NAN], [NAN, NAN]]))
    assert torch.allclose(loss, torch.tensor([LOG2 / 2, 0]))
    loss.sum().backward()
    assert logits.grad.tolist() == [[-0.25, 0], [0, 0]]


def test_bce_weights_count_positives():
    loss = build("bce")(torch.zeros(2, 1), torch.tensor([[1.0], [0.0]]), torch.tensor([3.0]))
    assert torch.allclose(loss, torch.tensor([3 * LOG2, LOG2]))


@pytest.mark.parametrize("multilabel", [False, True])
def test_focal_with_gamma_0_is_cross_entropy(multilabel):
    logits = torch.randn(6, 3)
    if multilabel:
        target = torch.tensor([[1.0, 0, NAN]] * 6)
        plain = build("bce")(logits, target)
    else:
        target = torch.arange(6) % 3
        plain = build("cross_entropy")(logits, target)
    kind = "multilabel" if multilabel else "class"
    assert torch.allclose(build("focal", kind, gamma=0)(logits, target), plain, atol=1e-6)


def test_focal_at_one_half_is_a_quarter():
    """p = 1/2, gamma = 2: (1 - 1/2)^2 log 2."""
    loss = build("focal")(torch.zeros(1, 2), torch.tensor([0]))
    assert loss.item() == pytest.approx(LOG2 / 4)


def test_ordinal_by_hand():
    """Three equal probabilities: P(above) = 2/3, 1/3; class 0 costs -(log 1/3 + log 2/3) / 2."""
    loss = build("ordinal")(torch.zeros(2, 3), torch.tensor([0, 1]))
    assert loss[0].item() == pytest.approx(-(math.log(1 / 3) + math.log(2 / 3)) / 2)
    assert loss[1].item() == pytest.approx(-math.log(2 / 3))


def test_ordinal_costs_more_the_further_off():
    logits = torch.tensor([[5.0, 0, 0, 0]]).expand(4, 4)
    loss = build("ordinal")(logits, torch.arange(4))
    assert (loss.diff() > 0).all()
    plain = build("cross_entropy")(logits, torch.arange(4))
    assert plain[1] == plain[3]


def test_a_loss_for_another_kind_of_target_is_refused():
    with pytest.raises(PlanError, match=r"'bce' is for targets of kind multilabel.*cross_entropy"):
        losses.build("bce", "class")
    with pytest.raises(SettingsError, match="did you mean 'cross_entropy'"):
        losses.build("cross_entropi", "class")
    with pytest.raises(SettingsError, match=r"unknown setting 'gama'.*gamma"):
        losses.build("focal", "class", gama=1)
