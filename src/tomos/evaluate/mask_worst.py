"""Which masks to look at: the worst, and for comparison a middling and the best one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tomos.evaluate.mask_table import MaskTable

Why = Literal["worst", "median", "best"]


@dataclass(frozen=True, slots=True)
class WorstMask:
    """One case: its row in the table, its Dice over the classes that count, and why it is shown."""

    row: int
    case: str
    address: str
    dice: float
    why: Why


def worst_masks(table: MaskTable, n: int = 8) -> list[WorstMask]:
    """The `n` cases of lowest Dice, lowest first; then the median and the best of all cases.

    The Dice of a case is the mean over the classes in either mask; a case without any is left out.
    No case comes twice: with few cases the last two may be among the first.
    """
    dice = table.case_mean()
    order = np.argsort(np.where(np.isnan(dice), np.inf, dice), kind="stable")
    order = order[: int((~np.isnan(dice)).sum())].tolist()
    if not order:
        return []
    wanted: list[tuple[int, Why]] = [(row, "worst") for row in order[:n]]
    wanted += [(order[(len(order) - 1) // 2], "median"), (order[-1], "best")]
    kept: dict[int, Why] = {}
    for row, why in wanted:
        kept.setdefault(row, why)
    return [
        WorstMask(
            row,
            table.cases[row],
            table.addresses[row] if len(table.addresses) else "",
            float(dice[row]),
            why,
        )
        for row, why in kept.items()
    ]
