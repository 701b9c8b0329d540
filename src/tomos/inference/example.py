"""The synthetic example of a model file: proof that this runtime gives the answers it should.

It is made from a seed by whole numbers only, so that every machine has the same picture, and it is
never a patient's. It goes through `prepare` like any input.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tomos.inference.network import Network
from tomos.package import Example, InputPart, Manifest, Package
from tomos.tasks import classify
from tomos.transforms.prepare import Chain
from tomos.types import Image, Origin, PackageError


def picture(
    seed: int, size: Sequence[int], channels: int = 1, spacing: Sequence[float] = ()
) -> Image:
    """(channels, [Z,] Y, X) uint8: blocks of random brightness under fine grain, from `seed` alone.

    spacing  mm of each axis, where the place of the picture in space matters
    `PCG64.random_raw` is the one stream of numpy that never changes (NEP 19).
    """
    raw = np.random.PCG64(seed)
    axes = len(size)
    count = channels * int(np.prod(size))
    blocks = (raw.random_raw(channels * 8**axes) % np.uint64(200)).astype(np.int64)
    grain = (raw.random_raw(count) % np.uint64(40)).astype(np.int64)
    pixels = blocks.reshape(channels, *[8] * axes)
    for axis, n in enumerate(size, 1):
        pixels = pixels.take(np.arange(n) * 8 // n, axis)
    pixels = np.minimum(pixels + grain.reshape(channels, *size), 255).astype(np.uint8)
    origin = Origin(path="synthetic example", format="synthetic")
    if not spacing:
        return Image(pixels, value_range=(0, 255), origin=origin)
    # Towards S, P, L, as `orient` would have it.
    affine = np.zeros((4, 4))
    affine[[2, 1, 0, 3], [0, 1, 2, 3]] = [*([1.0] * (3 - axes)), *spacing, 1.0]
    affine[:2] *= -1
    return Image(pixels, affine, "patient", value_range=(0, 255), origin=origin)


def digest(image: Image) -> str:
    return hashlib.sha256(image.pixels.tobytes()).hexdigest()


def make(
    prepare: Chain | Sequence[dict],
    networks: Sequence[Network],
    channels: int,
    size: tuple[int, ...],
    seed: int = 0,
    spacing: tuple[float, ...] = (),
) -> Example:
    """The example of a model: its answers by these networks, for `package.write`.

    channels  of the picture before `prepare`; size and spacing of it
    """
    chain = prepare if isinstance(prepare, Chain) else Chain(prepare)
    image = picture(seed, size, channels, spacing)
    logits = _run(networks, chain(image).pixels)
    return Example(
        seed=seed,
        size=size,
        spacing=spacing,
        channels=channels,
        digest=digest(image),
        logits=tuple(tuple(float(v) for v in row) for row in logits),
    )


def size_for(inputs: Sequence[InputPart], axes: int) -> tuple[int, ...]:
    """([Z,] Y, X) of a prepared picture that holds a tile of each of these inputs."""
    sizes = [(2 * of.context + 1, *of.size)[-axes:] for of in inputs]
    return tuple(max(sides) for sides in zip(*sizes, strict=True))


def looking(manifest: Manifest, networks: Sequence[Network]) -> list[Network]:
    """The graphs of a model for masks, each given a whole prepared picture, of which it looks at
    what its own tile holds."""
    return [
        _Looking(network, manifest.input_of(part))
        for network, part in zip(networks, manifest.graphs, strict=True)
    ]


class _Looking:
    """A network given its tile out of the first corner of a larger picture."""

    def __init__(self, network: Network, given: InputPart):
        self._network, self._given = network, given
        self.outputs = network.outputs

    def __call__(
        self, inputs: Mapping[str, np.ndarray], wanted: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        x, given = inputs["image"], self._given
        flat = x.ndim - 2 > len(given.size)
        size = (2 * given.context + 1, *given.size) if flat else given.size
        tile = x[(slice(None), slice(None), *(slice(0, n) for n in size))]
        if flat:
            tile = tile.reshape(len(tile), -1, *tile.shape[3:])
        return self._network({"image": np.ascontiguousarray(tile)}, wanted)


def verify(manifest: Manifest, chain: Chain, networks: Sequence[Network], where: str) -> None:
    """Run the example. PackageError when the answer is not the stated one within the tolerance.

    fp32, fp16: largest difference of logits, relative to the largest logit (at least 1)
    int8:       same class, and the tolerance in probability
    """
    example = manifest.example
    if example is None:
        return
    image = picture(example.seed, example.size, example.channels, example.spacing)
    if digest(image) != example.digest:
        raise PackageError(
            f"{where}: the synthetic example cannot be made again on this machine "
            f"(numpy {np.__version__}); please report it"
        )
    nets = looking(manifest, networks) if manifest.kind == "mask" else networks
    came, expected = _run(nets, chain(image).pixels), np.array(example.logits)
    for part, got, want in zip(manifest.graphs, came, expected, strict=True):
        tolerance = example.tolerance.get(part.precision, 1e-3)
        if part.precision == "int8":
            p, q = (classify.probabilities(row, manifest.kind) for row in (got, want))
            off, same = float(np.abs(p - q).max()), got.argmax() == want.argmax()
        else:
            off, same = float(np.abs(got - want).max() / max(1.0, np.abs(want).max())), True
        if not (off <= tolerance and same):
            raise PackageError(
                f"{where}: {part.file} does not give its own answer on this machine: expected "
                f"logits {_text(want)}, got {_text(got)} (off by {off:.2g}, {tolerance:g} is "
                "allowed). Do not use it here; try --backend, or update onnxruntime"
            )


def verify_once(
    package: Package, chain: Chain, networks: Sequence[Network], runtime: str, cache: Path | None
) -> bool:
    """`verify`, unless this file passed before with this runtime on this machine; True if it ran.

    Where the marker cannot be written, the example runs every time: harmless.
    """
    marker = (cache or cache_folder()) / "verified" / _key(package.digest, runtime)
    if marker.exists():
        return False
    verify(package.manifest, chain, networks, str(package.path))
    with contextlib.suppress(OSError):
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
    return True


def cache_folder() -> Path:
    """The user's cache folder for Tomos, by the platform's convention."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "tomos"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/tomos"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tomos"


def _key(digest: str, runtime: str) -> str:
    machine = f"{digest} {runtime} numpy {np.__version__} {platform.machine()} {platform.node()}"
    return hashlib.sha256(machine.encode()).hexdigest()[:40]


def _run(networks: Sequence[Network], pixels: np.ndarray) -> np.ndarray:
    """(G, K) float64 logits of one prepared picture; (G, 2 K) mean and spread of maps."""
    inputs = {"image": pixels[None]}
    found = [network(inputs, ("logits",))["logits"][0].astype(float) for network in networks]
    if found[0].ndim == 1:
        return np.array(found)
    flat = [logits.reshape(len(logits), -1) for logits in found]
    return np.array([np.concatenate([part.mean(axis=1), part.std(axis=1)]) for part in flat])


def _text(row: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:.4g}" for value in row[:6]) + ")"
