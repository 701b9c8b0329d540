"""What the gradient methods share. torch is imported inside: the rest of Tomos runs without it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tomos.explain._heat import against_others, targets
from tomos.explain._net import require_torch
from tomos.types import PackageError


def tensors(net: Any, x_BCYX: np.ndarray, target: int | np.ndarray, method: str) -> tuple:
    """(torch, x, chosen class indices) on the network's device."""
    torch = require_torch(method)
    place = next(iter(net.parameters()), None) if hasattr(net, "parameters") else None
    device = place.device if place is not None else "cpu"
    x = torch.as_tensor(np.asarray(x_BCYX, np.float32), device=device)
    chosen = torch.as_tensor(np.array(targets(target, len(x))), device=device)
    return torch, x, chosen


class Evaluating:
    """`with Evaluating(net):` dropout and batch norm as in use; each module's mode comes back."""

    def __init__(self, net: Any):
        self._modes = {m: m.training for m in net.modules()} if hasattr(net, "modules") else {}

    def __enter__(self) -> None:
        for module in self._modes:
            module.training = False

    def __exit__(self, *_: object) -> None:
        for module, training in self._modes.items():
            module.training = training


def score(logits_BK: Any, chosen: Any, kind: str) -> Any:
    """Sum over the batch of what speaks for the chosen class more than for the mean of all."""
    return against_others(logits_BK, kind).gather(1, chosen[:, None]).sum()


def maps_and_gradients(
    net: Any, x_BCYX: np.ndarray, target: int | np.ndarray, kind: str, method: str
):
    """(A, ds/dA) of the last maps, both (B, F, y, x) numpy arrays; s as `score` says."""
    torch, x, chosen = tensors(net, x_BCYX, target, method)
    with Evaluating(net), torch.enable_grad():
        maps = net.maps(x)
        if maps is None:
            raise PackageError(
                f"the network has no maps, which {method} needs; "
                "use occlusion, or integrated_gradients"
            )
        maps = maps.detach().requires_grad_(True)
        logits = net.classify(net.pool(maps))
        (gradient,) = torch.autograd.grad(score(logits, chosen, kind), maps)
    return maps.detach().cpu().numpy(), gradient.cpu().numpy()
