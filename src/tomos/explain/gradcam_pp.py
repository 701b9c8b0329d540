"""Grad-CAM++: positive gradients, each place weighed so that several findings all count.

    a_f = sum over y, x of  alpha_f(y, x) ReLU(g_f(y, x))        g = d s / d A
    alpha_f = g^2 / (2 g^2 + sum over y, x of A_f  g^3)

s as for Grad-CAM. The closed form is that of the paper for the exponential of the score, whose own
factor cancels in a map that is scaled to its maximum.

Chattopadhay, Sarkar, Howlader, Balasubramanian: Grad-CAM++. WACV 2018, arXiv:1710.11063, eq. 19.
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
    maps, g = maps_and_gradients(net, x_BCYX, target, kind, "gradcam_pp")
    whole = maps.sum(axis=(2, 3), keepdims=True)
    below = 2 * g**2 + whole * g**3
    alpha = np.divide(g**2, below, out=np.zeros_like(g), where=np.abs(below) > 1e-20)
    weights = (alpha * np.maximum(g, 0)).sum(axis=(2, 3), keepdims=True)
    return to_unit(enlarge((weights * maps).sum(axis=1), x_BCYX.shape[2:]))
