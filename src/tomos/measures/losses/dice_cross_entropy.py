"""Dice and cross-entropy together: one sees regions, the other every voxel."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from tomos.measures.losses import dice
from tomos.measures.losses._overlap import at_least_single, of_each_voxel, overlap


class Loss(dice.Loss):
    """a (1 - Dice) + b cross-entropy, as in nnU-Net (Isensee et al. 2018, arXiv:1809.10486).

    dice           a
    cross_entropy  b; its term is the mean over the known voxels of each case

    The other settings are those of `dice`. `weights_K` multiplies each class's term of the
    cross-entropy and weighs the mean of the Dice over the classes.
    """

    KINDS: ClassVar = ("mask",)
    dice: float = Field(1.0, ge=0)
    cross_entropy: float = Field(1.0, ge=0)

    def __call__(self, logits: Tensor, target: Tensor, weights_K: Tensor | None = None) -> Tensor:
        log_p = F.log_softmax(at_least_single(logits), 1)
        sums = overlap(log_p.exp(), target, self.batch, self.squared)
        value_B = self.dice * self.of(sums, len(logits), weights_K)
        return value_B + self.cross_entropy * of_each_voxel(log_p, target, weights_K)
