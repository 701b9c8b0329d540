"""One loss over logits of several sizes (deep supervision: Lee et al. 2014, arXiv:1409.5185)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from tomos.measures.losses import Case


def deeply(
    loss: Case, logits: Sequence[Tensor], target: Tensor, weights_K: Tensor | None = None
) -> Tensor:
    """(B,): `loss` of each size against the target made as small, each half as heavy as the one
    before; the weights add up to 1 (as in nnU-Net, arXiv:1809.10486).

    logits  (B, K, [Z,] Y, X) each, finest first; sides divide those of `target`, (B, [Z,] Y, X)

    Of the voxels that become one the first is kept: where stride-2 convolutions look, and a view.
    """
    whole = sum(0.5**level for level in range(len(logits)))
    value_B = loss(logits[0], target, weights_K) / whole
    for level, coarse in enumerate(logits[1:], start=1):
        steps = [t // c for t, c in zip(target.shape[1:], coarse.shape[2:], strict=True)]
        small = target[(slice(None), *(slice(None, None, step) for step in steps))]
        value_B = value_B + loss(coarse, small, weights_K) * (0.5**level / whole)
    return value_B
