"""How much of each class a soft answer and the truth share: what Dice and Tversky are made of."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tomos.types import SettingsError


@dataclass(frozen=True, slots=True, eq=False)
class Overlap:
    """Sums over known voxels, each (B, K); (1, K) where the batch counts as one case.

    both       of the probability of a class where it is true
    predicted  of its probability anywhere
    true       voxels where it is true
    """

    both: Tensor
    predicted: Tensor
    true: Tensor


def overlap(
    p_BKV: Tensor, target_BV: Tensor, batch: bool = False, squared: bool = False
) -> Overlap:
    """Of probabilities (B, K, ...) and class numbers (B, ...), -1 where nobody knows.

    batch    sums run over the batch too
    squared  `predicted` sums squares, as V-Net does (arXiv:1606.04797)
    """
    p_BKV, target_BV = p_BKV.flatten(2), target_BV.flatten(1)
    classes_K1 = torch.arange(p_BKV.shape[1], device=target_BV.device)[:, None]
    is_BKV = target_BV[:, None] == classes_K1
    known_B1V = (target_BV >= 0)[:, None]
    axes = (0, 2) if batch else (2,)
    sums = [
        (p_BKV * is_BKV).sum(axes),
        ((p_BKV.square() if squared else p_BKV) * known_B1V).sum(axes),
        is_BKV.sum(axes).to(p_BKV.dtype),
    ]
    return Overlap(*(each.view(-1, p_BKV.shape[1]) for each in sums))


def mean_over_classes(
    value_BK: Tensor, cases: int, background: bool, weights_K: Tensor | None
) -> Tensor:
    """(B,): the mean, weighed where there are weights, of the classes that count. The one value of
    a whole batch is that of each of its cases."""
    first = 0 if background else 1
    if value_BK.shape[1] <= first:
        raise SettingsError(
            f"train.loss: expected logits of the background and at least one class, got "
            f"{value_BK.shape[1]} in all; count the background in, or set background = true"
        )
    value_BK = value_BK[:, first:]
    if weights_K is None:
        return value_BK.mean(1).expand(cases)
    weights_K = weights_K.to(value_BK)[first:]
    return ((value_BK * weights_K).sum(1) / weights_K.sum()).expand(cases)


def at_least_single(logits: Tensor) -> Tensor:
    """Half floats lose what these sums are about."""
    return logits if logits.dtype in (torch.float32, torch.float64) else logits.float()


def of_each_voxel(log_p: Tensor, target: Tensor, weights_K: Tensor | None) -> Tensor:
    """(B,): the cross-entropy of log-probabilities (B, K, ...), mean over the known voxels."""
    weights_K = None if weights_K is None else weights_K.to(log_p)
    wrong = F.nll_loss(log_p, target, weights_K, ignore_index=-1, reduction="none")
    return wrong.flatten(1).sum(1) / (target >= 0).flatten(1).sum(1).clamp_min(1)
