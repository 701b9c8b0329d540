"""Focal loss: what is already right counts less."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from tomos.config import Settings
from tomos.measures.losses.bce import assessed
from tomos.measures.losses.cross_entropy import shares, smoothed


class Loss(Settings):
    """-w (1 - p_t)^gamma log p_t: Lin et al. 2017, arXiv:1708.02002.

    smoothing   as for `cross_entropy` and `bce`
    gamma       0 is cross-entropy; 2 is the paper's
    multilabel  each label on its own with a sigmoid, NaN = not assessed; else one class by softmax
                (follows the kind of the target)

    Targets and `weights_K` as for `cross_entropy` and `bce`.
    """

    KINDS: ClassVar = ("class", "multilabel", "ordinal")
    smoothing: float = Field(0.0, ge=0, lt=1)
    gamma: float = Field(2.0, ge=0, le=10)
    multilabel: bool = False

    def __call__(
        self, logits_BK: Tensor, target: Tensor, weights_K: Tensor | None = None
    ) -> Tensor:
        if self.multilabel:
            return self._labels(logits_BK, target, weights_K)
        log_p_BK = F.log_softmax(logits_BK, 1)
        share_BK = smoothed(shares(target, logits_BK.shape[1]), self.smoothing)
        value_BK = -self._remaining(log_p_BK) * log_p_BK * share_BK
        return (value_BK if weights_K is None else value_BK * weights_K).sum(1)

    def _labels(self, logits_BK: Tensor, target: Tensor, weights_K: Tensor | None) -> Tensor:
        target_BK, known_BK = assessed(target, logits_BK)
        target_BK = target_BK * (1 - self.smoothing) + self.smoothing / 2
        log_yes, log_no = F.logsigmoid(logits_BK), F.logsigmoid(-logits_BK)
        yes_BK = -self._remaining(log_yes) * log_yes * target_BK
        no_BK = -self._remaining(log_no) * log_no * (1 - target_BK)
        value_BK = (yes_BK if weights_K is None else yes_BK * weights_K) + no_BK
        return value_BK.where(known_BK, 0.0).mean(1)

    def _remaining(self, log_p: Tensor) -> Tensor:
        # -expm1(log p) is 1 - p without losing digits near p = 1; the floor keeps the slope of
        # x^gamma finite at 0 for gamma below 1.
        return (-torch.expm1(log_p)).clamp_min(1e-8) ** self.gamma
