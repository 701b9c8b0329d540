"""The running average of the weights, which is steadier than the weights themselves."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Average:
    """`net` is a copy whose weights follow those of the net in training (Polyak & Juditsky 1992).

    At step t the average moves by 1 - min(decay, (1 + t) / (10 + t)) of the difference, so that it
    forgets the first, random weights early. Running statistics of norms are averaged in the same
    way: they must fit the averaged weights, not the last ones. Counters are copied.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.net, self.decay = copy.deepcopy(net).requires_grad_(False), decay
        self.net.eval()
        self._mine, self._theirs, self._counters = _pairs(self.net, net)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """After `step` steps (1 = the first)."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._mine, self._theirs, share)
        for mine, theirs in self._counters:
            mine.copy_(theirs)


def _pairs(
    mine: nn.Module, theirs: nn.Module
) -> tuple[list[Tensor], list[Tensor], list[tuple[Tensor, Tensor]]]:
    pairs: list[tuple[Tensor, Tensor]] = []
    pairs += [*zip(mine.parameters(), theirs.parameters(), strict=True)]
    pairs += [*zip(mine.buffers(), theirs.buffers(), strict=True)]
    moving = [(a.detach(), b.detach()) for a, b in pairs if a.is_floating_point()]
    counters = [(a, b) for a, b in pairs if not a.is_floating_point()]
    return [a for a, _ in moving], [b for _, b in moving], counters
