"""What an image will take, foreseen; and smaller steps where there is less memory than that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from math import prod

from tomos.inference import labelling, sight, stitch
from tomos.inference.decision import Ask
from tomos.inference.grids import Grid
from tomos.inference.memory import UNKNOWN, OutOfMemory, free_memory, in_words
from tomos.inference.preparing import Preparing
from tomos.inference.sight import Sight
from tomos.inference.steps import Steps
from tomos.inference.tiles import Tiling
from tomos.package import Manifest
from tomos.transforms.prepare import Chain, straightening
from tomos.types import Image

SHARE = 0.9  # of the free memory is used
PLENTY = 8192  # bytes a voxel of a tile, more than networks take: with so much nothing is measured


@dataclass(frozen=True, slots=True)
class Way:
    """How an image is gone through, by each kind of graph, and what is to be said of it where that
    is not as usual. `shrunk`: a network sees less at once than usual."""

    tilings: tuple[Tiling, ...]
    note: str = ""
    shrunk: bool = False


class Foresight:
    """What one model needs. Safe to call from several threads.

    limit  bytes that one image may take; 0: what is free at the time
    """

    def __init__(self, manifest: Manifest, sights: Sequence[Sight], limit: int = 0):
        self.classes, self.limit = manifest.outputs, limit
        self.steps = tuple(Steps(each, manifest.name, self.free) for each in sights)

    def free(self) -> int:
        """Bytes that may be used now."""
        if self.limit:
            return self.limit
        free = free_memory()
        return free if free == UNKNOWN else int(SHARE * free)

    def check_preparing(self, image: Image, chain: Chain, name: str) -> None:
        """Raise OutOfMemory where the image cannot be prepared."""
        needed, free = Preparing.through(image, chain).peak + straightening(image), self.free()
        if needed > free:
            raise _refusal(name, {"the image while it is prepared": needed}, free)

    def check_tile(self, where: str) -> None:
        """Raise OutOfMemory where one whole tile cannot be run."""
        ones, free = tuple(replace(each.usual, batch=1) for each in self.steps), self.free()
        inside = self._inside(ones, free)
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
        tried: list[tuple[int, ...]] = []
        for tilings in self._tilings():
            tiles = [tiling.tile for tiling in tilings]
            if tiles == tried:
                continue  # fewer tiles at once were tried with them
            parts = self._parts(prepared, tilings, ask, grids, free)
            needed = sum(parts.values())
            usual = usual or needed
            if needed <= free:
                why = f"{in_words(usual)} of memory would be needed, {in_words(free)} are free"
                yield self._way(tilings, "the memory ran out" if tried else why)
                tried = tiles
        if not tried:
            raise _refusal(name, parts, free)

    def ran(self, way: Way) -> None:
        """So much was run at once."""
        for each, tiling in zip(self.steps, way.tilings, strict=True):
            each.ran(tiling)

    def _tilings(self) -> Iterator[tuple[Tiling, ...]]:
        """All kinds take smaller steps together; one that can take none stays at its smallest."""
        now = tuple(each.usual for each in self.steps)
        for row in zip_longest(*(each.tilings() for each in self.steps)):
            now = tuple(new or old for new, old in zip(row, now, strict=True))
            yield now

    def _parts(
        self,
        prepared: Image,
        tilings: Sequence[Tiling],
        ask: Ask | None,
        grids: tuple[Grid, Grid],
        free: int,
    ) -> dict[str, int]:
        """What is needed at once, by what for."""
        size, channels = prepared.size, prepared.channels
        sums = sum(stitch.memory(size, channels, self.classes, tiling) for tiling in tilings)
        sums += sight.memory(size, self.classes, len(tilings))
        if ask is not None:
            after = labelling.memory(*grids, ask)
        else:
            after = 4 * self.classes * prod(size)
        return {
            "the network": self._inside(tilings, free - sums - after),
            "scores of open tiles": sums,
            "labels on the image's grid": after,
        }

    def _inside(self, tilings: Sequence[Tiling], room: int) -> int:
        """Bytes that the networks take of their own: each keeps what it had while another runs; 0
        where there is plenty of room for them."""
        pairs = list(zip(self.steps, tilings, strict=True))
        voxels = sum(each.graphs * tiling.batch * prod(tiling.tile) for each, tiling in pairs)
        if PLENTY * voxels <= room:
            return 0
        return sum(each.inside(tiling) for each, tiling in pairs)

    def _way(self, tilings: tuple[Tiling, ...], why: str) -> Way:
        usual = tuple(each.usual for each in self.steps)
        changed = [
            f"{_size(now.tile)} in place of {_size(then.tile)}"
            for now, then in zip(tilings, usual, strict=True)
            if now.tile != then.tile
        ]
        said = f"{why}: gone through in tiles of {' and '.join(changed)}"
        if any(min(each.room(now)) < 0 for each, now in zip(self.steps, tilings, strict=True)):
            less = "the network saw less at once, so that outlines may differ from those with"
            return Way(tilings, f"{said}; {less} enough memory", shrunk=True)
        if changed:
            return Way(tilings, said)
        one_by_one = f"{why}: gone through one tile at a time"
        return Way(tilings, "" if tilings == usual else one_by_one)


def _refusal(name: str, parts: dict[str, int], free: int) -> OutOfMemory:
    listed = ", ".join(f"{in_words(size)} for {what}" for what, size in parts.items() if size)
    return OutOfMemory(
        f"{name}: expected {in_words(sum(parts.values()))} of free memory ({listed}), got "
        f"{in_words(free)}. End other programs, cut the image to the part that matters, or use a "
        "machine with more memory"
    )


def _size(tile: Sequence[int]) -> str:
    return " x ".join(map(str, tile))
