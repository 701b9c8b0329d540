"""Grad-CAM: the last maps, each weighed by its mean gradient.

    M(y, x) = ReLU( sum_f a_f A_f(y, x) )       a_f = mean over y, x of  d s / d A_f(y, x)

s is the logit of the class less the mean of all logits (alone, where several labels may be true).
For a network that ends in average pooling and a linear layer it is the class activation map.

Of an outlined region s is the sum of that over its places, and A are the coarsest maps. There the
gradient is not averaged: a region looks at the places about it, and a mean over all of them would
light up whatever looks alike elsewhere.

    M(z, y, x) = ReLU( sum_f A_f(z, y, x)  d s / d A_f(z, y, x) )

Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra: Grad-CAM. ICCV 2017, arXiv:1610.02391.
Vinogradova, Dibrov, Myers: Towards Interpretable Semantic Segmentation via Gradient-Weighted Class
Activation Mapping. AAAI 2020, arXiv:2002.11434. Not averaged: Rheude, Wirtz, Kuijper, Wesarg:
Leveraging CAM Algorithms for Explaining Medical Semantic Segmentation. MELBA 2024,
arXiv:2409.20287.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tomos.explain._gradients import maps_and_gradients
from tomos.explain._heat import against_others, enlarge, to_unit
from tomos.explain._net import require_torch

NEEDS_TORCH = True


def explain(
    net: Any, x_BCYX: np.ndarray, target: int | np.ndarray, kind: str = "class"
) -> np.ndarray:
    """maps_BYX."""
    maps, gradients = maps_and_gradients(net, x_BCYX, target, kind, "gradcam")
    weights = gradients.mean(axis=(2, 3), keepdims=True)
    return to_unit(enlarge((weights * maps).sum(axis=1), x_BCYX.shape[2:]))


def explain_mask(
    nets: Sequence[Any], x: np.ndarray, inside: np.ndarray, target: int, tiles: int = 1
) -> np.ndarray:
    """Of one tile x (C, [Z,] Y, X) and its outlined places: (...) float32, not scaled.

    nets  graphs as `tomos.models._from_onnx.Segmenting`; their mean is taken
    """
    torch = require_torch("gradcam")
    given = torch.as_tensor(np.ascontiguousarray(x[None], np.float32))
    where = torch.as_tensor(np.ascontiguousarray(inside))
    total = np.zeros(inside.shape, np.float32)
    for net in nets:
        with torch.no_grad():
            maps = net.maps(given)
        maps.requires_grad_(True)
        with torch.enable_grad():
            logits = net.logits(given, maps)
            score = against_others(logits, "mask")[0, target][where].sum()
            (gradient,) = torch.autograd.grad(score, maps)
        cam = (gradient * maps.detach()).sum(1).numpy()
        total += enlarge(cam, inside.shape)[0]
    return np.maximum(total / len(nets), 0)
