"""What the score of an outlined region depends on, of a model for masks.

The score of a label is the sum, over the voxels that were outlined as it, of what speaks for it.
The image is gone through in tiles as when it is predicted, and their maps are put together as their
scores are. Tiles of one image are few (`TILES`), those first that hold most of what was outlined
and is in no tile yet; what they leave out `share` says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from tomos import config
from tomos.explain._net import index_of, module_of, require_torch
from tomos.inference import MaskPredictor
from tomos.inference.averaged import Averaged
from tomos.inference.carried import carried
from tomos.inference.sight import Sight, probabilities
from tomos.inference.tiles import Course, Place, box, course, neighbours, padded, weights
from tomos.transforms.prepare import carry_back, carry_labels
from tomos.types import Image, Mask, PackageError, Progress, SettingsError, Silent

METHOD = "occlusion"  # where none is asked for: it needs no torch
TILES = {2: 128, 3: 8}  # by the axes of a tile


@dataclass(frozen=True, slots=True, eq=False)
class MaskHeat:
    """heat   (1, [Z,] Y, X) in 0..1 on the image's own grid
    score  mean probability of the label where it was outlined
    share  of the outlined voxels whose score was asked for
    """

    heat: Image
    score: float
    share: float


def mask_methods() -> list[str]:
    """The names of the methods that explain masks."""
    return [name for name in config.names("tomos.explain") if _fits(module_of(name))]


def mask_method(name: str) -> ModuleType:
    """The file of a method; SettingsError for one that is unknown or explains classes only."""
    module = module_of(name)
    if not _fits(module):
        raise SettingsError(
            f"{name} explains the probability of a class, not an outline; for masks there are: "
            f"{', '.join(mask_methods())}"
        )
    return module


def mask_heatmap(
    predictor: MaskPredictor,
    image: Image,
    mask: Mask,
    label: str,
    method: str = "",
    progress: Progress | None = None,
) -> MaskHeat | None:
    """What the score of `label` in `mask`, the predictor's answer to `image`, depends on; None
    where nothing of it was outlined.

    method  one of `mask_methods()`; "" is `METHOD`
    Raises SettingsError for an unknown class or method, MissingExtra for a gradient method without
    torch, PackageError where the network does not give what the method needs.
    """
    module, progress = mask_method(method or METHOD), progress or Silent()
    target = index_of(predictor, label) + 1
    prepared = predictor.prepared(image)
    outlined = carry_labels(mask, prepared) == target
    if not outlined.any():
        return None
    heat, share, told = np.zeros(prepared.size, np.float32), 0.0, _Told(progress)
    for sight in predictor.sights:
        way = course(prepared.size, sight.tiling)
        cut = tuple(slice(b, b + n) for b, n in zip(way.before, prepared.size, strict=True))
        inside = np.zeros(way.size, bool)
        inside[cut] = outlined
        x = padded(prepared.pixels, way, sight.tiling.pad)
        chosen, part = _tiles(way, inside)
        work = _Work(module, _nets(predictor, sight, method or METHOD, module), target, len(chosen))
        seen = ((p, _seen(x, p, way, sight), inside[box(p, way.tile)]) for p in chosen)
        heat += work.maps(way, seen, told)[cut]
        share += part / len(predictor.sights)
    return MaskHeat(_back(heat, prepared, image), told.likely / told.outlined, share)


@dataclass(slots=True)
class _Told:
    """What the tiles said so far: outlined voxels, and the sum of their probabilities."""

    progress: Progress
    outlined: int = 0
    likely: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """How tiles are explained.

    nets   what `explain_mask` of the method takes, and the same graphs as one network
    tiles  how many the image has
    """

    module: ModuleType
    nets: tuple[Any, Averaged]
    target: int
    tiles: int

    def maps(
        self, way: Course, seen: Iterable[tuple[Place, np.ndarray, np.ndarray]], told: _Told
    ) -> np.ndarray:
        """On the padded grid, of (place, tile, its outlined voxels) together."""
        heat, total, (nets, network) = *np.zeros((2, *way.size), np.float32), self.nets
        counts = weights(way.tile)
        for done, (place, tile, own) in enumerate(seen, 1):
            where = own[0] if way.flat else own
            found = self.module.explain_mask(nets, tile, where, self.target, self.tiles)
            heat[box(place, way.tile)] += counts * (found[None] if way.flat else found)
            total[box(place, way.tile)] += counts
            logits = network({"image": tile[None]}, ("logits",))["logits"][0][:, where]
            told.likely += float(probabilities(logits)[self.target].sum())
            told.outlined += int(np.count_nonzero(where))
            told.progress.step(done, self.tiles, "tiles explained")
        return np.divide(heat, total, out=heat, where=total > 0)


def _fits(module: ModuleType) -> bool:
    return hasattr(module, "explain_mask")


def _tiles(way: Course, inside: np.ndarray) -> tuple[list[Place], float]:
    """Tiles, and the share of what was outlined that they hold together: those first that hold most
    of what is in none yet; where one does not do, the others, too, so that no seam is seen."""
    left, places = inside.copy(), [place for group in way.groups for place in group]
    most = TILES[2 if way.flat else len(way.tile)]
    chosen: list[Place] = []
    while left.any() and len(chosen) < most:
        counts = [np.count_nonzero(left[box(place, way.tile)]) for place in places]
        chosen.append(places[int(np.argmax(counts))])
        left[box(chosen[-1], way.tile)] = False
    if len(chosen) > 1:
        counts = [np.count_nonzero(inside[box(place, way.tile)]) for place in places]
        others = [places[n] for n in np.argsort(counts)[::-1] if counts[n]]
        chosen += [place for place in others if place not in chosen][: most - len(chosen)]
    return chosen, 1 - np.count_nonzero(left) / np.count_nonzero(inside)


def _seen(x: np.ndarray, place: Place, way: Course, sight: Sight) -> np.ndarray:
    """(C, ...) float32: what the network sees of a tile, of slices with their neighbours."""
    if not way.flat:
        return np.ascontiguousarray(x[(slice(None), *box(place, way.tile))], np.float32)
    slices = x[:, neighbours(place[0], sight.tiling.context, x.shape[1])]
    part = slices[(slice(None), slice(None), *box(place, way.tile)[1:])]
    return np.ascontiguousarray(part.reshape(-1, *way.tile[1:]), np.float32)


def _nets(
    predictor: MaskPredictor, sight: Sight, method: str, module: ModuleType
) -> tuple[Any, Averaged]:
    """What `explain_mask` of the method takes, and the graphs of a sight without their views, which
    do not take part."""
    own = sight.network.networks
    network = Averaged(own, maps=("logits",))
    if not module.NEEDS_TORCH:
        return network, network
    package = predictor.package
    if package is None:
        raise PackageError(f"{method} needs a model file")
    require_torch(method)
    from tomos.models._from_onnx import Segmenting

    numbers = [n for n, net in enumerate(predictor.networks) if any(net is one for one in own)]
    return [Segmenting(package.graph(number)) for number in numbers], network


def _back(heat: np.ndarray, prepared: Image, image: Image) -> Image:
    """On the image's own grid, scaled to its maximum."""
    peak = float(heat.max())
    heat = heat / peak if peak > 1e-12 else np.zeros_like(heat)
    about: dict[str, Any] = {"value_range": (0.0, 1.0), "unit": "1", "window": None}
    if image.is_volume:
        own = carried(heat, prepared, image)[None]
    else:
        own = carry_back(prepared.with_pixels(heat[None], **about), image).pixels
    return image.with_pixels(np.clip(own, 0, 1), **about)
