"""Binary cross-entropy of labels that may stand together, some of them not assessed."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from tomos.config import Settings


class Loss(Settings):
    """-(w_k t_k log p_k + (1 - t_k) log(1 - p_k)), p = sigmoid(logits), averaged over the labels.

    smoothing  moves a target t to t (1 - s) + s / 2

    `target` is (B, K) float in 0..1; NaN means not assessed: it adds nothing and pulls at nothing.
    The sum is divided by K, not by the number assessed, so that every assessed cell of the data
    set weighs the same. `weights_K` multiplies the positive term of each label.
    """

    KINDS: ClassVar = ("multilabel",)
    smoothing: float = Field(0.0, ge=0, lt=1)

    def __call__(
        self, logits_BK: Tensor, target: Tensor, weights_K: Tensor | None = None
    ) -> Tensor:
        target_BK, known_BK = assessed(target, logits_BK)
        target_BK = target_BK * (1 - self.smoothing) + self.smoothing / 2
        values_BK = F.binary_cross_entropy_with_logits(
            logits_BK, target_BK, reduction="none", pos_weight=weights_K
        )
        # Not `values * known`: 0 * inf would bring a NaN from a cell that nobody assessed.
        return values_BK.where(known_BK, 0.0).mean(1)


def assessed(target: Tensor, logits_BK: Tensor) -> tuple[Tensor, Tensor]:
    """The target with 0 in place of NaN, and which cells are assessed; both (B, K)."""
    target_BK = target.to(logits_BK.dtype)
    known_BK = ~target_BK.isnan()
    return target_BK.where(known_BK, 0.0), known_BK
