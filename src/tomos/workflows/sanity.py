"""`tomos explain --sanity`: whether the maps of these images depend on what the model learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tomos import formats
from tomos.explain import RANDOM_NETWORKS, sanity
from tomos.inference import Predictor
from tomos.measures.intervals import Interval
from tomos.types import Progress
from tomos.workflows.explain import Explained
from tomos.workflows.masks import as_json, mean, said

MOST = 50  # images; more change the mean by less than its interval is wide


@dataclass(frozen=True, slots=True)
class Sane:
    """Mean rank correlation, over `n` images, of a method's maps with those of random weights."""

    method: str
    draws: int
    n: int
    correlation: Interval

    def lines(self) -> list[str]:
        lines = [
            f"sanity: rank correlation of {self.n} {self.method} maps with those of {self.draws} "
            f"networks with random weights: {said(self.correlation)}",
            "  near 0: the maps depend on what was learnt; near 1: they show the picture, whatever "
            "the model knows",
        ]
        return lines if self.n else ["sanity: there is no map, or every map is even"]

    def to_json(self) -> dict[str, Any]:
        told = {"method": self.method, "draws": self.draws, "n": self.n}
        return told | {"correlation": as_json(self.correlation)}


def check_maps(
    model: Predictor,
    explained: Sequence[Explained],
    draws: int = RANDOM_NETWORKS,
    progress: Progress | None = None,
) -> Sane:
    """The check of `tomos.explain.sanity` on up to MOST of the images, spread over all of them."""
    known = [each for each in explained if not each.error]
    if not known:
        return Sane(model.manifest.map_method, draws, 0, mean([], []))
    rows = np.unique(np.linspace(0, len(known) - 1, min(MOST, len(known))).astype(int))
    chosen = [known[row] for row in rows]
    images = (formats.read(each.input) for each in chosen)
    labels = [each.label for each in chosen]
    method = chosen[0].method
    found = sanity(model, images, labels, method, draws, progress=progress)
    told = np.isfinite(found)
    groups = [each.group for each, kept in zip(chosen, told, strict=True) if kept]
    return Sane(method, draws, int(told.sum()), mean(found[told], groups))
