"""What a network takes inside itself while it runs: stated by the network, else measured."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import gcd, prod
from typing import Any

import numpy as np

from tomos.inference.memory import held
from tomos.inference.network import Network

LOOKS = 0.001  # seconds between two looks at what the process holds
MAPS = 4  # of the finest stage are held at once at least: two of a convolution, two of a skip
WIDTH = 32
FLOAT = 4


@dataclass(frozen=True, slots=True)
class Appetite:
    """each  bytes a voxel of a tile; kept  bytes a voxel that stay with the process afterwards"""

    each: float
    kept: float


def measured(network: Network, shape: Sequence[int], least: float) -> Appetite | None:
    """Run once on zeros of `shape` (1, C, ...), and look on.

    least  bytes a voxel below which no figure is believed: what a process took before, it takes
           again without growing
    None where the system does not say how much a process holds. A small tile tells more a voxel
    than a large one, since all that does not grow with the tile is in it, too.
    """
    before = held()
    if before is None:
        return None
    x, peak, done = np.zeros(tuple(shape), np.float32), before, threading.Event()

    def look() -> None:
        nonlocal peak
        while not done.wait(LOOKS):
            peak = max(peak, held() or 0)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        network({"image": x}, ("logits",))
        after = held() or before
    finally:
        done.set()
        looking.join()
    voxels = prod(shape[2:])
    each = (max(peak, after) - before) / voxels
    return Appetite(max(each, least), max(0, after - before) / voxels)


def stated(networks: Sequence[Network]) -> Appetite | None:
    """The networks' own figures, `each` bytes a voxel, where all have one."""
    own = [getattr(network, "each", None) for network in networks]
    return None if None in own else Appetite(float(sum(filter(None, own))), 0.0)


def least_of(options: Mapping[str, Any]) -> float:
    """Bytes a voxel that a network of these options takes at least."""
    widths = options.get("widths")
    return FLOAT * MAPS * (widths[0] if widths else WIDTH)


def step_of(options: Mapping[str, Any], tile: Sequence[int]) -> tuple[int, ...]:
    """By what the sides of a tile must be divisible, so that the network takes it.

    The product of its strides where the options say them, a short list going on with its last
    entry; else the power of two, up to 32, that divides the side.
    """
    strides, widths = options.get("strides"), options.get("widths")
    if not strides or not widths:
        return tuple(gcd(side, 32) for side in tile)
    step = [1] * len(tile)
    for stage in range(len(widths)):
        stride = strides[min(stage, len(strides) - 1)]
        sides = [stride] * len(tile) if isinstance(stride, int) else stride
        step = [have * side for have, side in zip(step, sides, strict=True)]
    return tuple(step)
