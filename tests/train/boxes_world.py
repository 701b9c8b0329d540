"""A small world to segment in: boxes on noise, flat or in space, and a plan for them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tomos import config
from tomos.plan import Plan


@dataclass
class Boxes:
    """Cases (1, *side) with one bright box of `box` voxels a side each, label 1; a rim that nobody
    knows."""

    n: int = 8
    side: int = 40
    axes: int = 2
    box_side: int = 12
    seed: int = 1
    images: list = field(init=False)
    masks: list = field(init=False)

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)
        self.images, self.masks = [], []
        for _ in range(self.n):
            at = rng.integers(6, self.side - 6 - self.box_side, self.axes)
            labels = np.zeros((self.side,) * self.axes, np.uint8)
            labels[tuple(slice(low, low + self.box_side) for low in at)] = 1
            image = rng.standard_normal((1, *labels.shape)).astype(np.float32) + 2 * labels
            labels[:2] = 255
            self.images.append(image)
            self.masks.append(labels)
        self.sizes = np.array([mask.shape for mask in self.masks])
        self.counts = np.array([np.bincount(m.ravel(), minlength=256)[:2] for m in self.masks])
        self.channels, self.nbytes = 1, 1000

    def box(self, row, low, high):
        part = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        return self.images[row][(slice(None), *part)], self.masks[row][part]

    def places(self, row, label):
        return np.argwhere(self.masks[row] == label)

    def to_memory(self):
        """It is there."""


def a_mask_plan(axes=2, side=32, widths=(8, 16, 32), augment=None, **training) -> Plan:
    """Patches of `side` voxels; `augment`: steps of their own, `training`: settings of `train`."""
    steps = [{"step": "flip", "x": 0.5}, {"step": "rotate", "degrees": 10}]
    values = {
        "task": "segment",
        "kind": "mask",
        "target": "mask",
        "classes": ["square"],
        "size": [side] * axes,
        "spacing": [1.0] * axes,
        "dataset": {"name": "t", "checksum": "", "n_train": 8, "n_val": 8, "n_patients": 8},
        "prepare": [],
        "augment": steps if augment is None else augment,
        "model": {
            "name": "unet",
            "options": {"dims": axes, "widths": list(widths), "strides": [1, 2]},
        },
        "train": {
            "loss": "dice_cross_entropy",
            "learning_rate": 3e-3,
            "batch": 4,
            "epochs": 6,
            "patches": 16,
            "ema": 0.9,
            "threads": 1,
            **training,
        },
        "budget": {"minutes": 5},
    }
    return config.parse(Plan, values, "plan")
