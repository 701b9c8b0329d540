"""Grad-CAM: the last maps, each weighed by its mean gradient.

    M(y, x) = ReLU( sum_f a_f A_f(y, x) )       a_f = mean over y, x of  d s / d A_f(y, x)

s is the logit of the class less the mean of all logits (alone, where several labels may be true).
For a network that ends in average pooling and a linear layer it is the class activation map.

Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra: Grad-CAM. ICCV 2017, arXiv:1610.02391.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tomos.explain._gradients import maps_and_gradients
from tomos.explain._heat import enlarge, to_unit

NEEDS_TORCH = True


def explain(
    net: Any, x_BCYX: np.ndarray, target: int | np.ndarray, kind: str = "class"
) -> np.ndarray:
    """maps_BYX."""
    maps, gradients = maps_and_gradients(net, x_BCYX, target, kind, "gradcam")
    weights = gradients.mean(axis=(2, 3), keepdims=True)
    return to_unit(enlarge((weights * maps).sum(axis=1), x_BCYX.shape[2:]))
