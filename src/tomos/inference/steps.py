"""How large the steps are in which graphs that see alike go over an image: the usual ones, ever
smaller ones, and what the network takes inside itself with each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from tomos.inference.appetite import Appetite, least_of, measured, stated, step_of
from tomos.inference.memory import OutOfMemory, in_words, is_out_of_memory
from tomos.inference.sight import Sight
from tomos.inference.tiles import Tiling
from tomos.transforms import views as turned
from tomos.types import PackageError

ABOVE = 1.25  # times the measured appetite is reckoned with
SHRUNK = 4  # times: no side of a patch is cut further, or the network would see too little
COARSEST = 2  # places of the coarsest maps along a side, at least


class Steps:
    """Of one `Sight`. Safe to call from several threads.

    name  of the model; `free` says how many bytes may be used now
    """

    def __init__(self, sight: Sight, name: str, free: Callable[[], int]):
        self.sight, self.name, self.free = sight, name, free
        network, tiling = sight.network, sight.tiling
        self.graphs = len(network.networks)
        self.step = step_of(sight.options, tiling.tile)
        taken = [getattr(each, "takes", ()) for each in network.networks]
        # A graph may have been exported for tiles, or batches, of one size.
        self._fixed = any(any(length is not None for length in takes[2:]) for takes in taken)
        single = any(takes and takes[0] == 1 for takes in taken)
        self.usual = replace(tiling, batch=1) if single else tiling
        # Pictures that are looked at on their side, too, must stay square.
        probe = np.zeros(tuple(range(2, 2 + len(tiling.tile))))
        views = [turned.view(probe, name) for name in network.views]
        self._together = any(view.shape != probe.shape for view in views)
        self._appetite = stated(network.networks)
        self._most = 0  # voxels that were run at once so far
        self._lock = threading.Lock()

    def tilings(self) -> Iterator[Tiling]:
        """The usual one first, each smaller than the one before it."""
        yield self.usual
        if self.usual.batch > 1:
            yield replace(self.usual, batch=1)
        tile = self.usual.tile
        while (tile := self._smaller(tile)) and not self._fixed:
            yield replace(self.usual, tile=tile, batch=1)

    def room(self, tiling: Tiling) -> tuple[int, ...]:
        """By how much each side of a tile is longer than that of the patches learned from."""
        return tuple(n - t for n, t in zip(tiling.tile, self.sight.learned, strict=True))

    def ran(self, tiling: Tiling) -> None:
        """So much was run at once: what the runtime keeps of it is not needed a second time."""
        self._most = max(self._most, tiling.batch * prod(tiling.tile))

    def inside(self, tiling: Tiling) -> int:
        """Bytes that the network takes of its own; 0 where that is not known."""
        known = self._known()
        if known is None:
            return 0
        voxels = tiling.batch * prod(tiling.tile)
        return int(max(0.0, ABOVE * known.each * voxels - known.kept * self._most))

    def _smaller(self, tile: Sequence[int]) -> tuple[int, ...]:
        """The tile with its longest side halved; () where no side may be shorter."""
        halves = [-(-side // (2 * step)) * step for side, step in zip(tile, self.step, strict=True)]
        whole = self.sight.learned
        may = [
            axis
            for axis, half in enumerate(halves)
            if max(COARSEST * self.step[axis], whole[axis] / SHRUNK) <= half < tile[axis]
        ]
        if self._together:
            return tuple(halves) if len(may) == len(tile) else ()
        if not may:
            return ()
        longest = max(may, key=lambda axis: tile[axis])
        return tuple(halves[a] if a == longest else side for a, side in enumerate(tile))

    def _known(self) -> Appetite | None:
        """The appetite; the first to ask measures it, on the smallest tile."""
        with self._lock:
            if self._appetite is None:
                tile = list(self.tilings())[-1].tile
                least, channels = least_of(self.sight.options), self.sight.channels
                try:
                    self._appetite = measured(self.sight.network, (1, channels, *tile), least)
                except PackageError:  # it takes no such tile after all
                    self._fixed, self._appetite = True, Appetite(least, 0.0)
                    return self._appetite
                except Exception as error:
                    if not is_out_of_memory(error):
                        raise
                    raise OutOfMemory(
                        f"{self.name}: a tile of {' x '.join(map(str, tile))} does not fit into "
                        f"memory; {in_words(self.free())} are free. End other programs, or use a "
                        "machine with more"
                    ) from None
                self._most = prod(tile)
        return self._appetite
