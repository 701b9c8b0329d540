"""Integrated gradients: the gradient along the way from an empty picture to this one.

    IG(x) = (x - x0)  integral from 0 to 1 of  d s(x0 + t (x - x0)) / dx  dt

s is the logit of the class less the mean of all logits (alone, where several labels may be true).
Its sum over pixels and channels is s(x) - s(x0). x0 is an empty picture, once of each channel's
lowest value and once of its highest, and the mean of both is taken: from black alone a dark finding
would have almost no way to go, from white alone a bright one. The integral is a Gauss-Legendre sum,
which for the same number of passes is closer than equal steps. The map is what speaks for the
class, summed over channels and smoothed over neighbours, since single pixels are noise to the eye.

Sundararajan, Taly, Yan: Axiomatic Attribution for Deep Networks. ICML 2017, arXiv:1703.01365.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tomos.explain._gradients import Evaluating, score, tensors
from tomos.explain._heat import to_unit

NEEDS_TORCH = True
STEPS = 24


def explain(
    net: Any, x_BCYX: np.ndarray, target: int | np.ndarray, kind: str = "class"
) -> np.ndarray:
    """maps_BYX."""
    given = attribute(net, x_BCYX, target, kind).sum(axis=1)
    return to_unit(_smooth(np.maximum(given, 0)))


def attribute(
    net: Any,
    x_BCYX: np.ndarray,
    target: int | np.ndarray,
    kind: str = "class",
    steps: int = STEPS,
) -> np.ndarray:
    """(B, C, Y, X): what each pixel adds to the score, signed."""
    torch, x, chosen = tensors(net, x_BCYX, target, "integrated_gradients")
    places, weights = np.polynomial.legendre.leggauss(steps)
    given = torch.zeros_like(x)
    with Evaluating(net), torch.enable_grad():
        for empty in (x.amin(dim=(2, 3), keepdim=True), x.amax(dim=(2, 3), keepdim=True)):
            slope = torch.zeros_like(x)
            for place, weight in zip((places + 1) / 2, weights / 2, strict=True):
                here = (empty + float(place) * (x - empty)).detach().requires_grad_(True)
                found = score(net(here), chosen, kind)
                slope += float(weight) * torch.autograd.grad(found, here)[0]
            given += (x - empty) * slope / 2
    return given.detach().cpu().numpy()


def _smooth(maps_BYX: np.ndarray) -> np.ndarray:
    """Binomial smoothing whose width grows with the picture: about 1/56 of the side."""
    for axis in (1, 2):
        for _ in range(max(1, round((maps_BYX.shape[axis] / 56) ** 2 * 2))):
            padded = np.pad(maps_BYX, [(1, 1) if a == axis else (0, 0) for a in range(3)], "edge")
            low, mid, high = (
                np.take(padded, np.arange(maps_BYX.shape[axis]) + shift, axis=axis)
                for shift in (0, 1, 2)
            )
            maps_BYX = low / 4 + mid / 2 + high / 4
    return maps_BYX
