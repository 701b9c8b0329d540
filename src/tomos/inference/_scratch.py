"""Working memory that is used again."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np


class Scratch:
    """Arrays by name. Each name has one piece of memory, as large as its largest array was.

    Arrays made anew for each of many small steps cost more than the arithmetic in them: the
    allocator hands freed memory back to the system, which clears every page of it again.
    """

    def __init__(self) -> None:
        self._flat: dict[tuple[str, Any], np.ndarray] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
        """An array of that shape, its values whatever was left there."""
        size = prod(shape)
        flat = self._flat.get((name, dtype))
        if flat is None or len(flat) < size:
            flat = self._flat[name, dtype] = np.empty(size, dtype)
        return flat[:size].reshape(shape)
