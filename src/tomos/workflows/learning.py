"""A prepared store, as training wants it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tomos.datasets import Store
from tomos.plan import Plan
from tomos.tasks import classify


@dataclass(frozen=True, slots=True, eq=False)
class LearningData:
    """images (N, C, Y, X) float32, targets as `tasks.classify.encode` makes them, groups (N,)."""

    images: np.ndarray
    targets: np.ndarray
    groups: np.ndarray

    @staticmethod
    def of(store: Store, plan: Plan) -> LearningData:
        targets = classify.encode(store.cases, plan.target, plan.classes, plan.kind)
        return LearningData(store.x, targets, store.groups)
