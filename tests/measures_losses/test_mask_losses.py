"""Losses on masks, against pictures of 2 x 2 pixels that can be worked out by hand."""

import math

import pytest
import torch

from tomos.measures import losses
from tomos.types import PlanError, SettingsError

NAMES = losses.fitting("mask")


def build(name, **options):
    return losses.build(name, "mask", **options)


def logits_of(p_BYX):
    """Two classes whose second has probability `p`."""
    p = torch.tensor(p_BYX, dtype=torch.float64)
    return torch.stack([torch.zeros_like(p), torch.log(p / (1 - p))], 1)


# Probabilities of the finding; where it is; the last pixel nobody knows.
HAND = logits_of([[[0.75, 0.25], [0.5, 0.9]]])
TRUTH = torch.tensor([[[1, 0], [1, -1]]])
# Of the three known pixels: both 0.75 + 0.5, predicted 1.5, true 2.
BOTH, PREDICTED, TRUE = 1.25, 1.5, 2.0


def test_there_is_one_for_every_need():
    assert NAMES == ["dice", "dice_cross_entropy", "tversky"]
    with pytest.raises(PlanError, match="is for targets of kind mask"):
        losses.build("dice", "class")
    with pytest.raises(SettingsError, match="unknown setting 'smoth'"):
        build("dice", smoth=1)


def test_dice_by_hand():
    finding = 1 - 2 * BOTH / (PREDICTED + TRUE)
    assert build("dice")(HAND, TRUTH).item() == pytest.approx(finding, abs=1e-5)
    # The background: probabilities 0.25, 0.75, 0.5, and true at the second pixel.
    background = 1 - 2 * 0.75 / (1.5 + 1)
    both = build("dice", background=True)(HAND, TRUTH)
    assert both.item() == pytest.approx((finding + background) / 2, abs=1e-5)
    squared = 1 - 2 * BOTH / (0.75**2 + 0.25**2 + 0.5**2 + TRUE)
    assert build("dice", squared=True)(HAND, TRUTH).item() == pytest.approx(squared, abs=1e-5)
    smooth = 1 - (2 * BOTH + 1) / (PREDICTED + TRUE + 1)
    assert build("dice", smooth=1)(HAND, TRUTH).item() == pytest.approx(smooth)


def test_dice_and_cross_entropy_by_hand():
    dice = 1 - 2 * BOTH / (PREDICTED + TRUE)
    surprise = -(math.log(0.75) + math.log(0.75) + math.log(0.5)) / 3
    loss = build("dice_cross_entropy")(HAND, TRUTH)
    assert loss.item() == pytest.approx(dice + surprise, abs=1e-5)
    parts = build("dice_cross_entropy", dice=2, cross_entropy=0.5)(HAND, TRUTH)
    assert parts.item() == pytest.approx(2 * dice + surprise / 2, abs=1e-5)


def test_tversky_by_hand():
    added, missed = PREDICTED - BOTH, TRUE - BOTH
    index = BOTH / (BOTH + 0.3 * added + 0.7 * missed)
    assert build("tversky")(HAND, TRUTH).item() == pytest.approx(1 - index, abs=1e-5)
    focal = build("tversky", gamma=4 / 3)(HAND, TRUTH)
    assert focal.item() == pytest.approx((1 - index) ** 0.75, abs=1e-5)


def test_tversky_of_equal_halves_is_dice():
    logits, target = torch.randn(2, 3, 4, 5), torch.randint(-1, 3, (2, 4, 5))
    # TP / (TP + FP / 2 + FN / 2), with half of Dice's smooth below and above.
    halves = build("tversky", false_positive=0.5, false_negative=0.5, smooth=0.5)
    torch.testing.assert_close(halves(logits, target), build("dice", smooth=1)(logits, target))


def test_tversky_with_cross_entropy_is_the_sum():
    logits, target = torch.randn(2, 3, 4, 5), torch.randint(-1, 3, (2, 4, 5))
    plain, both = build("tversky"), build("tversky", cross_entropy=0.5)
    wrong = torch.nn.functional.cross_entropy(logits, target, ignore_index=-1, reduction="none")
    mean = wrong.flatten(1).sum(1) / (target >= 0).flatten(1).sum(1)
    torch.testing.assert_close(both(logits, target), plain(logits, target) + 0.5 * mean)


def test_the_batch_as_one_case_by_hand():
    """Two cases of one pixel: the first has the finding at p = 0.75, the second not, at 0.25."""
    logits, target = logits_of([[[0.75]], [[0.25]]]), torch.tensor([[[1]], [[0]]])
    together = build("dice", batch=True)(logits, target)
    assert together.tolist() == pytest.approx([1 - 2 * 0.75 / (1 + 1)] * 2, abs=1e-4)
    apart = build("dice")(logits, target)
    assert apart.tolist() == pytest.approx([1 - 1.5 / 1.75, 1], abs=1e-4)
    assert build("tversky", batch=True)(logits, target).tolist() == pytest.approx(
        [1 - 0.75 / (0.75 + 0.3 * 0.25 + 0.7 * 0.25)] * 2, abs=1e-4
    )


@pytest.mark.parametrize("name", NAMES)
def test_one_value_a_case_whatever_the_other_cases_are(name):
    logits, target = torch.randn(4, 3, 2, 3, 4), torch.randint(-1, 3, (4, 2, 3, 4))
    values = build(name)(logits, target)
    assert values.shape == (4,) and (values > 0).all()
    torch.testing.assert_close(values[1:2], build(name)(logits[1:2], target[1:2]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("batch", [False, True])
def test_classes_that_are_not_there_cost_nothing_and_never_nan(name, batch):
    """Nothing to find and nothing found; and a picture of which nothing is known at all."""
    logits = torch.tensor([60.0, 0, 0]).view(1, 3, 1, 1).repeat(2, 1, 4, 4).requires_grad_()
    for label in (0, -1):
        values = build(name, batch=batch)(logits, torch.full((2, 4, 4), label))
        assert values.abs().max() < 1e-5
        (slope,) = torch.autograd.grad(values.sum(), logits)
        assert slope.isfinite().all()
        assert label == 0 or not slope.any()


@pytest.mark.parametrize("name", NAMES)
def test_sure_and_right_costs_nothing_and_sure_and_wrong_all(name):
    target = torch.randint(0, 3, (2, 6, 6))
    right = 40.0 * torch.nn.functional.one_hot(target, 3).movedim(-1, 1).float()
    assert build(name)(right, target).max() < 1e-5
    assert build(name)(right.roll(1, 1), target).min() > 1 - 1e-5


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dice", {}),
        ("dice", {"squared": True, "batch": True}),
        ("dice_cross_entropy", {"background": True}),
        ("dice_cross_entropy", {"squared": True}),
        ("tversky", {"batch": True}),
        ("tversky", {"gamma": 2.0}),
        ("tversky", {"cross_entropy": 1.0}),
    ],
)
def test_slopes_are_those_of_the_values(name, options):
    """Against differences of the values themselves."""
    loss = build(name, **options)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 2, 2, dtype=torch.float64, generator=generator, requires_grad=True)
    target = torch.tensor([[[0, 1], [2, -1]], [[1, 1], [0, 0]]])
    weights = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64)
    for given in (None, weights):
        assert torch.autograd.gradcheck(lambda x, w=given: loss(x, target, w).sum(), logits)


@pytest.mark.parametrize("name", NAMES)
def test_what_nobody_knows_pulls_at_nothing(name):
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    target = torch.randint(0, 3, (1, 4, 4))
    target[0, 1:3] = -1
    (slope,) = torch.autograd.grad(build(name)(logits, target).sum(), logits)
    assert not slope[:, :, 1:3].any() and slope[:, :, 0].all()


def test_weights_of_classes_by_hand():
    """Half and half everywhere: each class's Dice is 2 n/2 / (2 + n) for its n of 4 pixels."""
    target = torch.tensor([[[0, 1], [1, 1]]])
    logits, weights = torch.zeros(1, 2, 2, 2), torch.tensor([1.0, 3.0])
    costs = [1 - n / (2 + n) for n in (1, 3)]
    loss = build("dice", background=True)(logits, target, weights)
    assert loss.item() == pytest.approx((costs[0] + 3 * costs[1]) / 4, abs=1e-5)
    only = build("dice_cross_entropy", dice=0)(logits, target, weights)
    assert only.item() == pytest.approx((1 + 3 * 3) / 4 * math.log(2))


@pytest.mark.parametrize("name", NAMES)
def test_half_floats_hold_large_pictures(name):
    """260 x 260 pixels are more than a half float counts to."""
    logits = torch.zeros(1, 2, 260, 260, dtype=torch.float16)
    target = torch.ones(1, 260, 260, dtype=torch.int64)
    value = build(name)(logits, target)
    assert value.item() == pytest.approx(build(name)(logits.float(), target).item())


def test_one_class_alone_is_refused():
    with pytest.raises(SettingsError, match="the background and at least one class, got 1"):
        build("dice")(torch.zeros(1, 1, 2, 2), torch.zeros(1, 2, 2, dtype=torch.int64))


def test_deep_supervision_halves_the_weight_of_each_size():
    levels = [torch.full((2, 3, side, 2 * side), value) for side, value in ((8, 1.0), (4, 10.0))]
    levels.append(torch.full((2, 3, 2, 4), 100.0))
    target = torch.zeros(2, 8, 16, dtype=torch.int64)
    mean = losses.deeply(lambda x, t, w: x.mean((1, 2, 3)), levels, target)
    assert mean.tolist() == pytest.approx([(1 + 10 / 2 + 100 / 4) / 1.75] * 2)
    assert losses.deeply(lambda x, t, w: x.mean((1, 2, 3)), levels[:1], target).tolist() == [1, 1]


def test_deep_supervision_shows_each_size_its_own_target():
    """Sides of 4 x 8 seen in steps of (1, 1), (2, 4): the first voxel of each block is kept."""
    target = torch.arange(32).view(1, 4, 8)
    seen = []
    logits = [torch.zeros(1, 2, 4, 8), torch.zeros(1, 2, 2, 2)]
    losses.deeply(lambda x, t, w: seen.append(t) or x.sum((1, 2, 3)), logits, target)
    assert torch.equal(seen[0], target)
    assert seen[1].tolist() == [[[0, 4], [16, 20]]]


@pytest.mark.parametrize("name", NAMES)
def test_no_opinion_costs_the_same_at_every_size(name):
    """An even target: what is small shows what is large."""
    target = torch.zeros(1, 8, 8, dtype=torch.int64)
    target[:, :, 4:] = 1
    loss = build(name)
    one = loss(torch.zeros(1, 2, 8, 8), target)
    many = losses.deeply(loss, [torch.zeros(1, 2, n, n) for n in (8, 4, 2)], target)
    torch.testing.assert_close(many, one, rtol=1e-4, atol=1e-5)
