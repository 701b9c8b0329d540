"""How numbers are written, the same everywhere on the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tomos.types import Words


def figure(value: float | None, digits: int = 3) -> str:
    """0.962, or a dash where it is not defined."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def interval(entry: Mapping[str, Any], digits: int = 3) -> Words:
    """(0.948 to 0.975)"""
    low, high = entry.get("low"), entry.get("high")
    if low is None or high is None:
        return Words("(no interval)", "（无区间）")
    return Words(
        f"({figure(low, digits)} to {figure(high, digits)})",
        f"（{figure(low, digits)} 至 {figure(high, digits)}）",
    )


def decimals(size: float) -> int:
    """How many decimals show three figures of a number as large as `size`, at most three."""
    return next((n for n, limit in ((0, 100), (1, 10), (2, 1)) if abs(size) >= limit), 3)


def round_up(value: float) -> float:
    """The next of 1, 1.5, 2, 3, 5, 7.5, 10, ... of any power of ten: where a scale may end."""
    power = 10.0 ** np.floor(np.log10(value))
    steps = (step * power for step in (1, 1.5, 2, 3, 5, 7.5, 10))
    return float(f"{next(end for end in steps if end >= value * (1 - 1e-9)):.3g}")


def percent(value: float, digits: int | None = None) -> str:
    """12 %, 0.5 %, 0.02 %: as many digits as it takes to be seen."""
    share = 100 * value
    if digits is None:
        digits = 0 if share >= 10 or abs(share - round(share)) < 1e-9 else 1 if share >= 0.1 else 2
    return f"{share:.{digits}f} %"


def count(n: int) -> str:
    """1,234"""
    return f"{n:,}"


def of_hundred(value: float) -> str:
    """97, but 'all' and 'none' only when it is so: 99.6 of 100 stays 99.6."""
    share = 100 * value
    return f"{share:.1f}" if 0 < share < 1 or 99 < share < 100 else f"{share:.0f}"
