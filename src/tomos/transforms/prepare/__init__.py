"""Deterministic preparation, the same code in training and in serving. numpy only.

A preparation is plain data, a list of `{"step": NAME, ...settings}`; NAME is a file of this folder,
which holds one class `Step(Settings)` with `__call__(image) -> Image`. A step that changes the grid
changes the affine with it, so that anything on the prepared grid is carried back by geometry alone.
"""

from tomos.transforms.prepare._carry import carry_back, carry_points
from tomos.transforms.prepare._chain import Chain
from tomos.transforms.prepare._gather import gathered
from tomos.transforms.prepare._labels import carry_labels
from tomos.transforms.prepare._stack import StackStep
from tomos.transforms.prepare._straight import straightened, straightening

__all__ = [
    "Chain",
    "StackStep",
    "carry_back",
    "carry_labels",
    "carry_points",
    "gathered",
    "straightened",
    "straightening",
]
