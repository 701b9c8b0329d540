"""How well a map points at what a person has outlined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tomos.types import GeometryError

STEPS = 4096  # of heat; average precision is exact up to them, and needs no sorting


@dataclass(frozen=True, slots=True)
class Localisation:
    """Scores of one map against one mask; each is 1 at best, and `chance` for a map that is even.

    pointing           1 where the peak lies in the mask, else 0 (a share where several places are
                       the peak). Zhang, Lin, Brandt, Shen, Sclaroff: Top-down Neural Attention by
                       Excitation Backprop, ECCV 2016, arXiv:1608.00507: the pointing game, here
                       without the paper's tolerance of 15 pixels
    energy             share of the map's sum that lies in the mask
    average_precision  over pixels: precision averaged over recall as the threshold falls
    chance             the mask's share of the picture
    """

    pointing: float
    energy: float
    average_precision: float
    chance: float

    def line(self) -> str:
        """For a person."""
        peak = "the peak lies in the mask" if self.pointing > 0.5 else "the peak lies elsewhere"
        return (
            f"{peak}; {self.energy:.0%} of the heat in it, average precision "
            f"{self.average_precision:.2f} (by chance {self.chance:.2f})"
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "pointing": round(self.pointing, 4),
            "energy": round(self.energy, 4),
            "average_precision": round(self.average_precision, 4),
            "chance": round(self.chance, 4),
        }


def localisation(heat: np.ndarray, mask: np.ndarray) -> Localisation:
    """Score a map in 0..1 against a mask of the same shape, of which every non-zero place counts.

    A map that is zero everywhere points nowhere: it scores as an even one. Raises GeometryError for
    shapes that differ and for an empty mask.
    """
    heat, inside = np.asarray(heat, np.float64), np.asarray(mask) != 0
    if heat.shape != inside.shape:
        raise GeometryError(f"expected a mask on the map's grid {heat.shape}, got {inside.shape}")
    if not inside.any():
        raise GeometryError("the mask is empty: there is nothing to point at")
    chance = float(inside.mean())
    total = heat.sum()
    if not total > 0:
        return Localisation(chance, chance, chance, chance)
    return Localisation(
        pointing=float(inside[heat == heat.max()].mean()),
        energy=float(heat[inside].sum() / total),
        average_precision=_average_precision(heat, inside),
        chance=chance,
    )


def _average_precision(heat: np.ndarray, inside: np.ndarray) -> float:
    level = np.rint(np.clip(heat / heat.max(), 0, 1) * (STEPS - 1)).astype(np.int64)
    every = np.bincount(level.ravel(), minlength=STEPS)[::-1].cumsum()
    found = np.bincount(level[inside], minlength=STEPS)[::-1].cumsum()
    step = np.diff(found, prepend=0)
    return float((step * found / np.maximum(every, 1)).sum() / found[-1])
