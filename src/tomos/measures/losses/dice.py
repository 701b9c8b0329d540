"""Soft Dice: the overlap of answer and truth, whatever share of the picture they are."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from tomos.config import Settings
from tomos.measures.losses._overlap import Overlap, at_least_single, mean_over_classes, overlap


class Loss(Settings):
    """1 - mean over classes of (2 sum p t + s) / (sum p + sum t + s), p = softmax(logits):
    Milletari et al. 2016, arXiv:1606.04797.

    background  count class 0 too
    batch       sums run over all cases of the batch as if they were one, which keeps a class that
                few patches hold from jumping between 0 and 1; the value is then that of every case,
                and depends on how the cases of a step are put into batches
    squared     sum p^2 below the line, as in the paper; the plain sum is what nnU-Net uses
    smooth      s, in voxels: where a class is neither there nor predicted its Dice is 1, not 0 / 0

    `target` is (B, ...) int64, -1 where nobody knows: such voxels add nothing. `weights_K` weighs
    the mean over the classes.
    """

    KINDS: ClassVar = ("mask",)
    background: bool = False
    batch: bool = False
    squared: bool = False
    smooth: float = Field(1e-5, gt=0)

    def __call__(self, logits: Tensor, target: Tensor, weights_K: Tensor | None = None) -> Tensor:
        p_BKV = at_least_single(logits).softmax(1)
        return self.of(overlap(p_BKV, target, self.batch, self.squared), len(logits), weights_K)

    def of(self, sums: Overlap, cases: int, weights_K: Tensor | None) -> Tensor:
        """(B,) from sums that are there already."""
        dice_BK = (2 * sums.both + self.smooth) / (sums.predicted + sums.true + self.smooth)
        return mean_over_classes(1 - dice_BK, cases, self.background, weights_K)
