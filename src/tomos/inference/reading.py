"""Addresses -> prepared pictures, in order, read and prepared ahead by threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from tomos import formats
from tomos.inference.envelope import Info
from tomos.transforms.prepare import Chain
from tomos.types import Image, PackageError, TomosError

TOGETHER = 16  # images a thread takes at once
AT_ONCE = 1 << 22  # pixels read before they are prepared and let go; bounds the memory
WORKERS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Input:
    """One prepared input, or why there is none.

    pixels  (C, Y, X) float32, None where `error` says why
    """

    address: str
    info: Info = field(default_factory=Info)
    pixels: np.ndarray | None = None
    warnings: tuple[str, ...] = ()
    error: str = ""


def read_ahead(
    addresses: Iterable[str], chain: Chain, shape: tuple[int, ...], workers: int = 0
) -> Iterator[Input]:
    """One `Input` an address, in order; at most a few groups of images are held.

    shape    (C, Y, X) that the network takes
    workers  threads; 0: one a core, at most 4
    """
    workers = workers or min(WORKERS, os.cpu_count() or 1)
    waiting: deque[Future[list[Input]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="tomos-prepare") as pool:
        try:
            for group in _groups(addresses):
                waiting.append(pool.submit(_read_group, group, chain, shape))
                if len(waiting) > workers + 1:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _groups(addresses: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(addresses)
    while group := list(islice(rest, TOGETHER)):
        yield group


def prepare_one(image: Image, chain: Chain, shape: tuple[int, ...], address: str) -> Input:
    """One image that is in memory already."""
    try:
        check_images(image, (), address)
    except PackageError as error:
        return Input(address, error=str(error))
    return _prepare([address], [image], chain, shape)[0]


def check_images(image: Image, roles: Sequence[str], where: str) -> None:
    """Raises PackageError for other images than a model reads: `roles` of a case; none: one."""
    wanted, got = max(1, len(roles)), max(1, len(image.parts))
    if wanted == got:
        return
    reads = f"{wanted} images a case: {', '.join(roles)}" if roles else "one image"
    hint = "; give them as one address, t1.nii.gz|t2.nii.gz" if roles else ""
    raise PackageError(f"{where}: this model reads {reads}; got {got}{hint}")


def _read_group(addresses: list[str], chain: Chain, shape: tuple[int, ...]) -> list[Input]:
    done: list[Input] = []
    names: list[str] = []
    images: list[Image] = []
    for address in addresses:
        try:
            image = formats.read(address)
            check_images(image, (), str(address))
        except TomosError as error:
            done += _prepare(names, images, chain, shape)
            names, images = [], []
            done.append(Input(str(address), error=str(error)))
            continue
        names.append(str(address))
        images.append(image)
        if sum(image.pixels.size for image in images) > AT_ONCE:
            done += _prepare(names, images, chain, shape)
            names, images = [], []
    return done + _prepare(names, images, chain, shape)


def _prepare(
    names: list[str], images: list[Image], chain: Chain, shape: tuple[int, ...]
) -> list[Input]:
    """Together where that works, which is quicker; one by one where an image is refused."""
    if not images:
        return []
    try:
        pixels = chain.many(images)
        if pixels.shape[1:] != shape:
            raise PackageError("one of them has another shape")
    except TomosError:
        return [_single(*pair, chain, shape) for pair in zip(names, images, strict=True)]
    return [
        Input(name, Info.of(image), row, image.warnings)
        for name, image, row in zip(names, images, pixels, strict=True)
    ]


def _single(name: str, image: Image, chain: Chain, shape: tuple[int, ...]) -> Input:
    try:
        pixels = chain(image).pixels
        if pixels.shape != shape:
            raise PackageError(
                f"{name}: prepared to {pixels.shape}, the model takes {shape}; "
                f"the file holds {image.pixels.shape}"
            )
    except TomosError as error:
        return Input(name, error=str(error))
    return Input(name, Info.of(image), pixels, image.warnings)
