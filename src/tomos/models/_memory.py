"""How much memory a network's maps need at once, by shapes alone.

The network runs on torch's meta device, where tensors have sizes and no values; they come and go
exactly as they would elsewhere, and what lives at once is added up. Not counted: the weights, the
optimiser's state, and what a library lays aside for one operation. (The largest of these: on a
processor torch rearranges the input of a 3D convolution of a single case, 27 times as much for
3x3x3, where B C Z Y is at most 20480; with two cases at once it does not, and is 2-7 times as quick
a case.) Attention is counted with its whole matrix, which some of torch's ways never hold.
"""

from __future__ import annotations

import copy
import weakref
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tomos.models._net import Net
from tomos.models._segmenter import Segmenter


@dataclass(frozen=True)
class Memory:
    """Bytes that live at once, for one case in float32, the picture itself included.

    running   while the network runs without gradients
    learning  while it runs and goes all the way back, gradients of the weights included
    """

    running: int
    learning: int


def memory(net: Net | Segmenter, size: tuple[int, ...]) -> Memory:
    """What `net` needs for a picture or volume of `size` ([Z,] Y, X). `net` is not changed.

    Several cases need that many times as much, but for the gradients of the weights. Raises
    SettingsError when the net cannot take this size.
    """
    # Not in training mode, in which batch norms refuse a batch of one; all but dropout's masks is
    # the same.
    ghost = copy.deepcopy(net).to("meta").eval()
    image = torch.empty(1, net.channels, *size, device="meta")
    ghost.check(image)
    with torch.no_grad(), _Living(ghost, image) as running:
        ghost(image)
    with torch.enable_grad(), _Living(ghost, image) as learning:
        found = ghost.deep(image) if isinstance(ghost, Segmenter) else [ghost(image)]
        torch.stack([logits.sum() for logits in found]).sum().backward()
    return Memory(running.peak, learning.peak)


class _Living(TorchDispatchMode):
    """Adds up the storages that operations make, and takes off those that are given up."""

    def __init__(self, net: nn.Module, image: Tensor) -> None:
        super().__init__()
        own = [*net.parameters(), *net.buffers()]
        self._known = {id(tensor.untyped_storage()) for tensor in own}
        self._kept = [tensor.untyped_storage() for tensor in own]  # so that an id names one
        self.now = self.peak = 0
        self._count(image)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._count(tensor)
        return out

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if id(storage) in self._known:
            return
        size = storage.nbytes()
        self._known.add(id(storage))
        weakref.finalize(storage, self._gone, id(storage), size)
        self.now += size
        self.peak = max(self.peak, self.now)

    def _gone(self, name: int, size: int) -> None:
        self._known.discard(name)
        self.now -= size
