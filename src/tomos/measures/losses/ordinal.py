"""Classes that stand in an order: grades, stages."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from tomos.config import Settings
from tomos.measures.losses.cross_entropy import shares, smoothed


class Loss(Settings):
    """The cumulative loss of CORAL (Cao, Mirjalili, Raschka 2020, arXiv:1901.07884): the mean, over
    the K - 1 cut points between classes, of the binary cross-entropy of "above this cut".

    P(above cut k) is taken as the sum of the softmax probabilities of the classes above it. It
    falls with k by construction, which is what CORAL's shared weights are for, and the logits stay
    those of K classes: decoding, calibration and serving are the same as for plain classes. A guess
    two grades off costs about twice what a guess one grade off costs.

    smoothing  as for `cross_entropy`: a share spread evenly over all grades

    `target` and `weights_K` as for `cross_entropy`; the weight is that of the case's own class.
    """

    KINDS: ClassVar = ("ordinal",)
    smoothing: float = Field(0.0, ge=0, lt=1)

    def __call__(
        self, logits_BK: Tensor, target: Tensor, weights_K: Tensor | None = None
    ) -> Tensor:
        share_BK = shares(target, logits_BK.shape[1]).to(logits_BK.dtype)
        log_p_BK = F.log_softmax(logits_BK, 1)
        log_above = log_p_BK.flip(1).logcumsumexp(1).flip(1)[:, 1:]
        log_below = log_p_BK.logcumsumexp(1)[:, :-1]
        soft_BK = smoothed(share_BK, self.smoothing)
        above = soft_BK.flip(1).cumsum(1).flip(1)[:, 1:]
        value_B = -(above * log_above + (1 - above) * log_below).mean(1)
        if weights_K is None:
            return value_B
        return value_B * torch.einsum("bk,k->b", share_BK, weights_K.to(share_BK))
