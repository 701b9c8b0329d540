"""Cross-entropy of one class out of several."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from tomos.config import Settings


class Loss(Settings):
    """-sum_k w_k q_k log softmax(logits)_k.

    smoothing  share of the target spread evenly over all classes (Szegedy et al. 2016,
               arXiv:1512.00567)

    `target` is (B,) int64, or (B, K) float: the shares q of each class, as mix-up makes them.
    `weights_K` multiplies each class's term.
    """

    KINDS: ClassVar = ("class", "ordinal")
    smoothing: float = Field(0.0, ge=0, lt=1)

    def __call__(
        self, logits_BK: Tensor, target: Tensor, weights_K: Tensor | None = None
    ) -> Tensor:
        classes = logits_BK.shape[1]
        share_BK = smoothed(shares(target, classes).to(logits_BK.dtype), self.smoothing)
        if weights_K is not None:
            share_BK = share_BK * weights_K
        return -(share_BK * F.log_softmax(logits_BK, 1)).sum(1)


def shares(target: Tensor, classes: int) -> Tensor:
    """Class numbers (B,) as shares (B, K); what is already shares is passed through."""
    return target if target.ndim == 2 else F.one_hot(target.long(), classes).float()


def smoothed(share_BK: Tensor, smoothing: float) -> Tensor:
    """The share `smoothing` of every target spread evenly over all classes."""
    if not smoothing:
        return share_BK
    return share_BK * (1 - smoothing) + smoothing / share_BK.shape[1]
