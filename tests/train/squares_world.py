"""A small world to learn in: squares on noise, and a plan for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from tomos.plan.schema import BudgetPart, DatasetPart, ModelPart, Plan, TrainPart


@dataclass
class Cases:
    images: np.ndarray
    targets: np.ndarray
    groups: np.ndarray


class Heard:
    """A progress that remembers."""

    def __init__(self):
        self.said, self.steps = [], []

    def say(self, text):
        self.said.append(text)

    def step(self, done, total, note=""):
        self.steps.append((done, total, note))


def squares_of(n: int, seed: int = 0, side: int = 12) -> Cases:
    """(n, 1, side, side) noise; class 1 has a brighter square."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 2, n)
    targets[:2] = 0, 1
    images = rng.standard_normal((n, 1, side, side)).astype(np.float32)
    images[targets == 1, :, 3:8, 3:8] += 0.8
    return Cases(images, targets, np.arange(n))


def a_plan(model="resnet_small", size=12, classes=("no", "yes"), kind="class", **train) -> Plan:
    options = {"width": 4, "blocks": (1,), "dropout": 0.2} if model == "resnet_small" else {}
    data = DatasetPart(name="squares", checksum="0", n_train=0, n_val=0, n_patients=0)
    return Plan(
        classes=classes,
        kind=kind,
        size=(size, size),
        dataset=data,
        prepare=(),
        model=ModelPart(name=model, options=options),
        train=TrainPart(**({"epochs": 3, "batch": 16, "threads": 1} | train)),
        budget=BudgetPart(minutes=10),
    )


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    """Equal to the last bit."""
    one, two = a.state_dict(), b.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)
