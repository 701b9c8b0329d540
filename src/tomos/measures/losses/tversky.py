"""Tversky: Dice that minds what is missed more than what is added, for small lesions."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from tomos.config import Settings
from tomos.measures.losses._overlap import (
    at_least_single,
    mean_over_classes,
    of_each_voxel,
    overlap,
)


class Loss(Settings):
    """mean over classes of (1 - T)^(1 / gamma), T = (TP + s) / (TP + a FP + b FN + s), where
    TP = sum p t, FP = sum p (1 - t), FN = sum (1 - p) t and p = softmax(logits):
    Salehi et al. 2017, arXiv:1706.05721.

    false_positive  a; both at 0.5 give soft Dice
    false_negative  b
    gamma           above 1, what is far from right counts more (focal Tversky, Abraham and Khan
                    2018, arXiv:1810.07842, who take 4/3)
    cross_entropy   what of the cross-entropy is added, the mean over the known voxels of each case
    background      count class 0 too
    batch           as for `dice`
    smooth          s, in voxels, as for `dice`

    `target` and `weights_K` as for `dice`.
    """

    KINDS: ClassVar = ("mask",)
    false_positive: float = Field(0.3, gt=0)
    false_negative: float = Field(0.7, gt=0)
    gamma: float = Field(1.0, ge=1, le=3)
    cross_entropy: float = Field(0.0, ge=0)
    background: bool = False
    batch: bool = False
    smooth: float = Field(1e-5, gt=0)

    def __call__(self, logits: Tensor, target: Tensor, weights_K: Tensor | None = None) -> Tensor:
        log_p = F.log_softmax(at_least_single(logits), 1)
        sums = overlap(log_p.exp(), target, self.batch)
        added, missed = sums.predicted - sums.both, sums.true - sums.both
        below = sums.both + self.false_positive * added + self.false_negative * missed
        left_BK = 1 - (sums.both + self.smooth) / (below + self.smooth)
        if self.gamma != 1:
            # The floor keeps the slope of x^(1 / gamma) finite at 0.
            left_BK = left_BK.clamp_min(1e-8) ** (1 / self.gamma)
        value_B = mean_over_classes(left_BK, len(logits), self.background, weights_K)
        if not self.cross_entropy:
            return value_B
        return value_B + self.cross_entropy * of_each_voxel(log_p, target, weights_K)
