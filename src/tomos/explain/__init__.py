"""Why: class activation, gradients, occlusion; every map is an `Image` on the input's own grid.

One method, one file: `explain(net, x_BCYX, target, kind) -> maps_BYX`, 0..1 on the grid of `x`,
where `target` is a class index, or one for each picture (B,), and `kind` that of the target.
`NEEDS_TORCH` says what `net` is:

    False  a network as `tomos.inference` knows it (a callable, dict of arrays -> dict of arrays);
           x and maps are numpy arrays
    True   a torch network with `maps`, `pool` and `classify` (see `tomos.models`); x may be a numpy
           array, the maps are one

A method that fits masks has `explain_mask(net, x, inside, target, tiles) -> map`, too: of a tile x
(C, [Z,] Y, X), of its places that were outlined as class `target` (0 is the background), and of
which an image has `tiles`. Its map, what the score of those places depends on, is not scaled, so
that tiles can be compared; with torch, `net` is a list of `tomos.models._from_onnx.Segmenting`.

A map shows where the network found what speaks for a class. It is no proof that the class is there,
and it is scaled to its own maximum: two maps cannot be compared by their brightness.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tomos import config
from tomos.explain._heat import overlay, shown
from tomos.explain._labels import coloured
from tomos.explain._localisation import Localisation, localisation
from tomos.explain._masks import MaskHeat, mask_heatmap, mask_method, mask_methods
from tomos.explain._net import index_of, module_of, net_of, prepare
from tomos.explain._sanity import RANDOM_NETWORKS, sanity
from tomos.inference import Predictor
from tomos.transforms.prepare import carry_back
from tomos.types import Image

__all__ = [
    "RANDOM_NETWORKS",
    "Localisation",
    "MaskHeat",
    "coloured",
    "heatmap",
    "localisation",
    "maps",
    "mask_heatmap",
    "mask_method",
    "mask_methods",
    "methods",
    "overlay",
    "sanity",
    "shown",
]


def methods() -> list[str]:
    """The names of all methods."""
    return config.names("tomos.explain")


def maps(
    method: str, net: Any, x_BCYX: np.ndarray, target: int | np.ndarray, kind: str = "class"
) -> np.ndarray:
    """(B, Y, X) float32 in 0..1 by `method`; SettingsError for an unknown one, with the nearest.

    kind  of the target: "class", "multilabel" or "ordinal"
    """
    return module_of(method).explain(net, x_BCYX, target, kind)


def heatmap(predictor: Predictor, image: Image, label: str, method: str = "") -> Image:
    """Where a model saw `label` in an image: (1, Y, X) or (1, Z, Y, X) in 0..1 on its own grid.

    method  one of `methods()`; "" takes the one that the model file names, which needs no torch
    Raises SettingsError for an unknown class or method, MissingExtra for a gradient method without
    torch, PackageError where the network does not give what the method needs.
    """
    method = method or predictor.manifest.map_method
    module = module_of(method)
    target = index_of(predictor, label)
    prepared = prepare(predictor, image)
    net = net_of(predictor, method, module.NEEDS_TORCH)
    heat = module.explain(net, prepared.pixels[None], target, predictor.manifest.kind)
    on_prepared = prepared.with_pixels(heat, value_range=(0.0, 1.0), unit="1", window=None)
    back = carry_back(on_prepared, image)
    return back.with_pixels(np.clip(back.pixels, 0, 1), value_range=(0.0, 1.0))
