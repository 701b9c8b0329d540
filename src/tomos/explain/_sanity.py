"""Does a map depend on what the network learnt, or only on the picture?

Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim: Sanity Checks for Saliency Maps. NeurIPS 2018,
arXiv:1810.03292: a method whose maps stay the same when the weights are random explains nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from tomos.explain._net import index_of, module_of, net_of, prepare
from tomos.inference import Predictor
from tomos.measures.correlation import spearman
from tomos.types import Image, Progress, SettingsError, Silent

RANDOM_NETWORKS = 3  # one alone may by chance look where the trained network does
TOGETHER = 8  # pictures


def sanity(
    predictor: Predictor,
    images: Iterable[Image],
    label: str | Sequence[str],
    method: str = "",
    draws: int = RANDOM_NETWORKS,
    seed: int = 0,
    progress: Progress | None = None,
) -> np.ndarray:
    """(N,) rank correlation of each image's map with those of networks with random weights.

    Near 0: the map depends on what was learnt. Near 1: it shows the picture whatever the network
    knows, as an edge detector would. NaN where a map is even, so that there is nothing to compare.
    The mean over `draws` networks, each the model's own graph with every weight replaced.

    label  the class of all maps, or one an image
    Raises SettingsError for an unknown class or method, MissingExtra for a gradient method without
    torch, PackageError for a predictor without a model file.
    """
    progress = progress or Silent()
    # One image at a time: prepared, a film takes a hundredth of what it takes as it is.
    prepared = [prepare(predictor, image).pixels for image in images]
    labels = [label] * len(prepared) if isinstance(label, str) else list(label)
    if not prepared or len(labels) != len(prepared) or draws < 1:
        raise SettingsError(
            f"expected images, a class for each and at least one draw, got {len(prepared)} images, "
            f"{len(labels)} classes and {draws} draws"
        )
    method = method or predictor.manifest.map_method
    module = module_of(method)
    target = np.array([index_of(predictor, name) for name in labels])
    x, kind = np.stack(prepared), predictor.manifest.kind
    learnt = _maps(module, net_of(predictor, method, module.NEEDS_TORCH), x, target, kind)
    found = np.full((draws, len(x)), np.nan)
    for draw in range(draws):
        net = net_of(predictor, method, module.NEEDS_TORCH, seed + draw)
        random = _maps(module, net, x, target, kind)
        found[draw] = [spearman(a, b) for a, b in zip(learnt, random, strict=True)]
        progress.step(draw + 1, draws, "random networks")
    known = np.isfinite(found)
    total = np.where(known, found, 0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)


def _maps(
    module: ModuleType, net: Any, x_BCYX: np.ndarray, target: np.ndarray, kind: str
) -> np.ndarray:
    parts = [
        module.explain(net, x_BCYX[at : at + TOGETHER], target[at : at + TOGETHER], kind)
        for at in range(0, len(x_BCYX), TOGETHER)
    ]
    return np.concatenate(parts)
