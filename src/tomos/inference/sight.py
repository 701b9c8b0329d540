"""What the graphs of a model see of an image: by volume or slice by slice, in tiles of which size;
and the scores of all of them, as one.

Graphs that see alike are averaged in their logits, tile by tile. Those that see differently, such
as a network of volumes and one of slices, are averaged in their probabilities, as Isensee et al.
(2021, doi:10.1038/s41592-020-01008-z) do: the logits of each kind have a scale of their own, and by
them the kind that is surest, not the one that is right, would decide. Each kind counts alike,
however many graphs it has.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from tomos.inference.averaged import Averaged, check_views
from tomos.inference.network import Network
from tomos.inference.stitch import Cancel, stitched
from tomos.inference.tiles import Tiling
from tomos.package import Manifest
from tomos.types import PackageError, Progress

# Tiles of pictures, and of volumes, in one run of the network: two volumes at once take as long as
# one after the other, and twice the memory.
BATCHES = {2: 2, 3: 1}
LEAST = 1e-30  # of a probability: its logarithm is finite


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """Graphs that see alike, as one network, and how they go over an image.

    learned   the size of the patches that they learned from: of smaller tiles they see less
    options   of their architecture
    channels  that they take of a tile
    """

    network: Averaged
    tiling: Tiling
    learned: tuple[int, ...]
    options: Mapping[str, Any]
    channels: int


def sights(manifest: Manifest, networks: Sequence[Network], threads: int) -> tuple[Sight, ...]:
    """One for each kind of graph, in the order in which they come first. Raises PackageError."""
    own = [(manifest.input_of(part), manifest.network_of(part)) for part in manifest.graphs]
    own += [(manifest.input, manifest.network)] * (len(networks) - len(own))
    kinds = [kind for n, kind in enumerate(own) if kind not in own[:n]]
    found = []
    for given, network in kinds:
        check_views(manifest.views, given.size)
        alike = [n for n, of in zip(networks, own, strict=True) if of == (given, network)]
        tiling = Tiling(
            tile=_tile(manifest, given.size),
            overlap=manifest.mask.overlap,
            batch=BATCHES[len(given.size)],
            air=manifest.mask.air,
            threads=threads,
            context=given.context,
        )
        averaged = Averaged(alike, manifest.views, maps=("logits",))
        found.append(Sight(averaged, tiling, given.size, network.options, given.taken))
    return tuple(found)


def _tile(manifest: Manifest, learned: tuple[int, ...]) -> tuple[int, ...]:
    """Raises PackageError for one that is smaller than the patches, or of volumes."""
    tile = manifest.mask.tile
    if tile and (
        len(tile) != len(learned) or any(t < n for t, n in zip(tile, learned, strict=True))
    ):
        raise PackageError(
            f"{manifest.name}: mask.tile: expected sides of {learned} or more, got {tile}"
        )
    return tile or learned


def slabs_of(
    ways: Sequence[tuple[Sight, Tiling]],
    x: np.ndarray,
    classes: int,
    progress: Progress,
    cancel: Cancel | None = None,
) -> Iterator[np.ndarray]:
    """The logits of a prepared x, slab by slab as `stitched` gives them, of all kinds together:
    each goes over x in tiles of its own. Raises what `stitched` raises."""
    if len(ways) == 1:
        sight, tiling = ways[0]
        return stitched(sight.network, x, classes, tiling, progress, cancel)
    heard = _Together(progress, len(ways))
    return mean_of([
        stitched(sight.network, x, classes, tiling, part, cancel)
        for (sight, tiling), part in zip(ways, heard.parts, strict=True)
    ])  # fmt: skip


def mean_of(ways: Sequence[Iterator[np.ndarray]]) -> Generator[np.ndarray]:
    """The logarithm of the mean probability of slabs of logits, plane by plane: each way has its
    slabs cut elsewhere, and goes on only when its next plane is asked for."""
    with ExitStack() as ends:
        for way in ways:
            if isinstance(way, Generator):
                ends.enter_context(closing(way))
        for planes in zip(*map(_planes, ways), strict=True):
            total = probabilities(planes[0])
            for plane in planes[1:]:
                total += probabilities(plane)
            total /= len(ways)
            yield np.log(np.maximum(total, LEAST, out=total), out=total)


def _planes(slabs: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    for slab in slabs:
        for at in range(slab.shape[1]):
            yield slab[:, at : at + 1]


def probabilities(logits: np.ndarray) -> np.ndarray:
    """(K, ...) logits -> the same shape, which sums up to 1 over K."""
    likely = logits - logits.max(axis=0)
    np.exp(likely, out=likely)
    likely /= likely.sum(axis=0)
    return likely


def memory(shape: Sequence[int], classes: int, kinds: int) -> int:
    """Bytes that putting together the scores of a prepared ([Z,] Y, X) takes, beside the slabs."""
    return 0 if kinds == 1 else 4 * 3 * classes * int(np.prod(shape[1:]))


class _Together:
    """The progress of several that go over the same image in turns, as one."""

    def __init__(self, progress: Progress, ways: int):
        self._progress = progress
        self._steps = [(0, 0)] * ways
        self.parts = [_Part(self, number) for number in range(ways)]

    def say(self, text: str) -> None:
        self._progress.say(text)

    def step(self, number: int, done: int, total: int, note: str) -> None:
        self._steps[number] = done, total
        # Before every part has begun nobody knows how much there is.
        if all(whole for _, whole in self._steps):
            done, total = (sum(column) for column in zip(*self._steps, strict=True))
            self._progress.step(done, total, note)


@dataclass(frozen=True, slots=True)
class _Part:
    """`Progress` of one of them."""

    whole: _Together
    number: int

    def say(self, text: str) -> None:
        self.whole.say(text)

    def step(self, done: int, total: int, note: str = "") -> None:
        self.whole.step(self.number, done, total, note)
