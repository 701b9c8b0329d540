"""What an image will take, foreseen; and smaller steps where there is less memory than that."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from tomos.inference import labelling, stitch, straight
from tomos.inference.appetite import Appetite, least_of, measured, stated, step_of
from tomos.inference.averaged import Averaged
from tomos.inference.decision import Ask
from tomos.inference.grids import Grid
from tomos.inference.memory import (
    UNKNOWN,
    OutOfMemory,
    free_memory,
    in_words,
    is_out_of_memory,
)
from tomos.inference.preparing import Preparing
from tomos.inference.tiles import Tiling
from tomos.package import Manifest
from tomos.transforms import views as turned
from tomos.transforms.prepare import Chain
from tomos.types import Image, PackageError

SHARE = 0.9  # of the free memory is used
ABOVE = 1.25  # times the measured appetite is reckoned with
PLENTY = 8192  # bytes a voxel of a tile, more than networks take: with so much nothing is measured
SHRUNK = 4  # times: no side of a tile is cut further, or the network would see too little
COARSEST = 2  # places of the coarsest maps along a side, at least


@dataclass(frozen=True, slots=True)
class Way:
    """How an image is gone through, and what is to be said of it where that is not as usual."""

    tiling: Tiling
    note: str = ""


class Foresight:
    """What one model needs. Safe to call from several threads.

    limit  bytes that one image may take; 0: what is free at the time
    """

    def __init__(self, manifest: Manifest, network: Averaged, tiling: Tiling, limit: int = 0):
        self.manifest, self.network, self.limit = manifest, network, limit
        self.step = step_of(manifest.network.options, tiling.tile)
        taken = [getattr(each, "takes", ()) for each in network.networks]
        # A graph may have been exported for tiles, or batches, of one size.
        self._fixed = any(any(length is not None for length in takes[2:]) for takes in taken)
        single = any(takes and takes[0] == 1 for takes in taken)
        self.tiling = replace(tiling, batch=1) if single else tiling
        # Pictures that are looked at on their side, too, must stay square.
        probe = np.zeros(tuple(range(2, 2 + len(tiling.tile))))
        views = [turned.view(probe, name) for name in manifest.views]
        self._together = any(view.shape != probe.shape for view in views)
        self._appetite = stated(network.networks)
        self._most = 0  # voxels that were run at once so far
        self._lock = threading.Lock()

    def free(self) -> int:
        """Bytes that may be used now."""
        if self.limit:
            return self.limit
        free = free_memory()
        return free if free == UNKNOWN else int(SHARE * free)

    def check_preparing(self, image: Image, chain: Chain, name: str) -> None:
        """Raise OutOfMemory where the image cannot be prepared."""
        needed, free = Preparing.through(image, chain).peak + straight.memory(image), self.free()
        if needed > free:
            raise _refusal(name, {"the image while it is prepared": needed}, free)

    def check_tile(self, where: str) -> None:
        """Raise OutOfMemory where one whole tile cannot be run."""
        one, free = replace(self.tiling, batch=1), self.free()
        inside = self._inside(one, free)
        if inside > free:
            raise _refusal(where, {"the network": inside}, free)

    def ways(self, prepared: Image, ask: Ask | None, scan: Grid, name: str) -> Iterator[Way]:
        """Ways that are foreseen to fit, the usual one first, with ever smaller steps.

        ask  what is made of the scores on `scan`; None: they are kept as they are
        Raises OutOfMemory, naming what is needed and what is there, where not even the smallest
        steps fit.
        """
        free = max(0, self.free() - (prepared.pixels.nbytes if self.limit else 0))
        grids, usual = (Grid.of(prepared), scan), 0
        tried: tuple[int, ...] = ()
        for tiling in self._tilings():
            if tiling.tile == tried:
                continue  # fewer tiles at once were tried with it
            parts = self._parts(prepared, tiling, ask, grids, free)
            needed = sum(parts.values())
            usual = usual or needed
            if needed <= free:
                why = f"{in_words(usual)} of memory would be needed, {in_words(free)} are free"
                yield Way(tiling, self._note(tiling, "the memory ran out" if tried else why))
                tried = tiling.tile
        if not tried:
            raise _refusal(name, parts, free)

    def ran(self, tiling: Tiling) -> None:
        """So much was run at once: what the runtime keeps of it is not needed a second time."""
        self._most = max(self._most, tiling.batch * prod(tiling.tile))

    def _tilings(self) -> Iterator[Tiling]:
        yield self.tiling
        if self.tiling.batch > 1:
            yield replace(self.tiling, batch=1)
        tile = self.tiling.tile
        while (tile := self._smaller(tile)) and not self._fixed:
            yield replace(self.tiling, tile=tile, batch=1)

    def _smaller(self, tile: Sequence[int]) -> tuple[int, ...]:
        """The tile with its longest side halved; () where no side may be shorter."""
        halves = [-(-side // (2 * step)) * step for side, step in zip(tile, self.step, strict=True)]
        whole = self.tiling.tile
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

    def _parts(
        self,
        prepared: Image,
        tiling: Tiling,
        ask: Ask | None,
        grids: tuple[Grid, Grid],
        free: int,
    ) -> dict[str, int]:
        """What is needed at once, by what for."""
        classes = self.manifest.outputs
        sums = stitch.memory(prepared.size, prepared.channels, classes, tiling)
        if ask is not None:
            after = labelling.memory(*grids, ask)
        else:
            after = 4 * classes * prod(prepared.size)
        return {
            "the network": self._inside(tiling, free - sums - after),
            "scores of open tiles": sums,
            "labels on the image's grid": after,
        }

    def _inside(self, tiling: Tiling, room: int) -> int:
        """Bytes that the network takes of its own; 0 where there is plenty of room for it."""
        voxels = tiling.batch * prod(tiling.tile)
        if PLENTY * voxels * len(self.network.networks) <= room:
            return 0
        known = self._known()
        if known is None:
            return 0
        return int(max(0.0, ABOVE * known.each * voxels - known.kept * self._most))

    def _known(self) -> Appetite | None:
        """The appetite; the first to ask measures it, on the smallest tile."""
        with self._lock:
            if self._appetite is None:
                tile = list(self._tilings())[-1].tile
                least = least_of(self.manifest.network.options)
                channels = self.manifest.input.channels
                try:
                    self._appetite = measured(self.network, (1, channels, *tile), least)
                except PackageError:  # it takes no such tile after all
                    self._fixed, self._appetite = True, Appetite(least, 0.0)
                    return self._appetite
                except Exception as error:
                    if not is_out_of_memory(error):
                        raise
                    raise OutOfMemory(
                        f"{self.manifest.name}: a tile of {_size(tile)} does not fit into memory; "
                        f"{in_words(self.free())} are free. End other programs, or use a machine "
                        "with more"
                    ) from None
                self._most = prod(tile)
        return self._appetite

    def _note(self, tiling: Tiling, why: str) -> str:
        if tiling == self.tiling:
            return ""
        if tiling.tile == self.tiling.tile:
            return f"{why}: gone through one tile at a time"
        return (
            f"{why}: gone through in tiles of {_size(tiling.tile)} in place of "
            f"{_size(self.tiling.tile)}; the network saw less at once, so that outlines may differ "
            "from those with enough memory"
        )


def _refusal(name: str, parts: dict[str, int], free: int) -> OutOfMemory:
    listed = ", ".join(f"{in_words(size)} for {what}" for what, size in parts.items() if size)
    return OutOfMemory(
        f"{name}: expected {in_words(sum(parts.values()))} of free memory ({listed}), got "
        f"{in_words(free)}. End other programs, cut the image to the part that matters, or use a "
        "machine with more memory"
    )


def _size(tile: Sequence[int]) -> str:
    return " x ".join(map(str, tile))
