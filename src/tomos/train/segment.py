"""Teaching to segment: patches cut out of cases, each with its mask.

The functions are those of `tomos.train.subject`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from tomos.inference.tiles import neighbours
from tomos.measures import losses
from tomos.measures.losses import deeply
from tomos.plan.schema import Plan
from tomos.train import device as devices
from tomos.train.learner import LAYOUT, Learner, autocast
from tomos.transforms.augment import PatchChain
from tomos.types import DatasetError, PlanError

IGNORED = 255  # the label of what is neither learned nor judged
SHARE = 0.4  # of the free memory may hold all cases
JUDGED = 8  # times fewer patches are judged on than are learned from in an epoch
FEWEST = 8


class Cases(Protocol):
    """What training learns from: prepared cases of their own sizes, as `datasets.Shelf`."""

    @property
    def sizes(self) -> np.ndarray: ...
    @property
    def counts(self) -> np.ndarray: ...
    @property
    def channels(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    def box(
        self, row: int, low: Sequence[int], high: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray]: ...
    def places(self, row: int, label: int) -> np.ndarray: ...
    def to_memory(self) -> None: ...


def check(plan: Plan, data: Cases, part: str) -> list[str]:
    """As `Subject.check`."""
    if data.channels != plan.channels or data.sizes.shape[1] != plan.axes:
        raise DatasetError(
            f"{part}: expected cases of {plan.channels} channels and {plan.axes} axes, got "
            f"{data.channels} and {data.sizes.shape[1]}; prepare them again by this plan"
        )
    if data.counts.shape[1] != len(plan.classes) + 1:
        raise PlanError(
            f"{part}: expected {len(plan.classes)} labels ({', '.join(plan.classes)}), got "
            f"{data.counts.shape[1] - 1}"
        )
    seen = (data.counts[:, 1:] > 0).sum(axis=0)
    if part == "train" and not seen.any():
        raise DatasetError(f"{part}: every mask is empty; there is nothing to learn")
    missing = [name for name, n in zip(plan.classes, seen, strict=True) if not n]
    if not missing:
        return []
    return [f"{part}: no case has {', '.join(missing)}; it cannot be learned or judged"]


def placed(plan: Plan, data: Cases, device: torch.device) -> Cases:
    """In memory where there is room, else on disk: boxes are read from there as well."""
    if data.nbytes * plan.train.together < SHARE * devices.free_memory(torch.device("cpu")):
        data.to_memory()
    return data


def lesson(plan: Plan, data: Cases, learner: Learner, placed: Cases) -> Lesson:
    return Lesson(plan, placed, learner)


def cases(plan: Plan, data: Cases) -> int:
    return plan.train.patches


def size(data: Cases) -> list[int]:
    return [len(data.sizes), int(data.sizes.sum()), int(data.counts[:, 1:].sum())]


class Lesson:
    """What stays the same through all epochs: the cases, the loss, the augmentation."""

    def __init__(self, plan: Plan, data: Cases, learner: Learner) -> None:
        self.plan, self.data, self.seed = plan, data, learner.seed
        self.device = learner.device
        self.error = losses.build(plan.train.loss, plan.kind, **plan.train.loss_options)
        self.weights_K = _weights(plan, learner.device)
        self.chain = _chain(plan, plan.augment, learner.seed)

    def epoch(self, number: int) -> Patches:
        rng = np.random.default_rng(devices.seed_of(self.seed, number, 1))
        spots = drawn(self.plan, self.data, self.plan.train.patches, rng)
        return Patches(self.data, spots, self.chain, number, self.device, self.plan.context)

    def loss(self, learner: Learner, x: Tensor, target: Tensor) -> Tensor:
        x = learner.batch(x)
        with learner.autocast():
            if self.plan.train.deep:
                found = learner.net.deep(x)  # type: ignore[operator]
            else:
                found = [learner.forward(x)]
        found = [logits.float() for logits in found]
        return deeply(self.error, found, target, self.weights_K).sum()


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a patch is cut out: of which case, about which voxel."""

    row: int
    centre: tuple[int, ...]


def drawn(plan: Plan, data: Cases, n: int, rng: np.random.Generator) -> list[Spot]:
    """Places of `n` patches: cases in turn, in an order of chance; about a voxel of a label, labels
    alike, for the share `foreground` of them, else anywhere; of a case with a region of interest
    about a voxel of its background in there."""
    turns = -(-n // len(data.sizes))
    rows = np.concatenate([rng.permutation(len(data.sizes)) for _ in range(turns)])[:n]
    return [Spot(int(row), _centre(plan, data, int(row), rng)) for row in rows]


def _centre(plan: Plan, data: Cases, row: int, rng: np.random.Generator) -> tuple[int, ...]:
    """The middle of a patch that lies inside its case, where that is larger."""
    size = data.sizes[row]
    present = np.flatnonzero(data.counts[row, 1:]) + 1
    chance, pick, where = rng.random(), rng.random(), rng.random(len(size))
    places = None
    if len(present) and chance < plan.train.foreground:
        places = data.places(row, int(present[int(pick * len(present))]))
    elif data.counts[row, 0] and data.counts[row].sum() < size.prod():
        places = data.places(row, 0)  # not where nothing is learned
    if places is not None:
        at = places[int(where[0] * len(places))]
    else:
        at = (where * size).astype(np.int64)
    # A patch of a slice is one voxel deep.
    patch = np.array([1, *plan.size][-len(size) :])
    half = patch // 2
    low, high = half, size - (patch - half)
    middle = np.where(high < low, size // 2, np.clip(at, low, np.maximum(low, high)))
    return tuple(int(k) for k in middle)


def _chain(plan: Plan, steps: Sequence[Mapping[str, Any]], seed: int) -> PatchChain:
    return PatchChain(steps, plan.size, seed, plan.spacing[-len(plan.size) :])


class Patches:
    """One epoch: its patches, in an order and with changes of its own.

    With a chain for pictures and volumes to cut from, a patch is one of a slice, with its `context`
    neighbours on each side as further channels: so one resampling in the plane moves them all, and
    the labels of the slice with them.
    """

    def __init__(
        self,
        data: Cases,
        spots: Sequence[Spot],
        chain: PatchChain,
        number: int,
        device: torch.device | None,
        context: int = 0,
    ) -> None:
        self.data, self.spots, self.chain, self.device = data, spots, chain, device
        self.cases, self.context = len(spots), context
        self.numbers = chain.draw(number, self.cases)

    def batches(self, parts: Sequence[np.ndarray]) -> Iterator[tuple[Tensor, Tensor]]:
        for places in parts:
            rows = [self.spots[place].row for place in places]
            across, centres = self._places(places)
            sizes = self.data.sizes[rows][:, across.shape[1] :]
            low, high = self.chain.looks_at(self.numbers, places, centres, sizes)
            if across.shape[1]:
                cut = [self._slice(*of) for of in zip(rows, across[:, 0], low, high, strict=True)]
            else:
                cut = [self.data.box(*of) for of in zip(rows, low, high, strict=True)]
            x, labels = self.chain.apply(
                [image for image, _ in cut],
                [mask for _, mask in cut],
                self.numbers,
                places,
                centres - low,
                self.device,
            )
            assert labels is not None
            yield x, as_target(labels)

    def _places(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(B, 1) the slice of each patch, (B, 0) where a patch is as deep as its source; (B, axes)
        its middle along the chain's axes."""
        centres = np.array([self.spots[place].centre for place in places])
        across = centres.shape[1] - self.chain.axes
        return centres[:, :across], centres[:, across:]

    def _slice(
        self, row: int, at: int, low: np.ndarray, high: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """A part (C * slices, Y, X) of slice `at` with its neighbours, as inference shows it, and
        the labels (Y, X) of the slice."""
        wanted = neighbours(at, self.context, int(self.data.sizes[row, 0]))
        first = wanted[0]
        image, labels = self.data.box(row, (first, *low), (wanted[-1] + 1, *high))
        seen = image[:, wanted - first]
        return seen.reshape(-1, *seen.shape[2:]), labels[at - first]


def tiles_of(plan: Plan, data: Cases, count: int) -> np.ndarray:
    """(count, plan.inputs, *size) float32: patches of the cases as they are."""
    spots = drawn(plan, data, count, np.random.default_rng(0))
    shown = Patches(data, spots, _chain(plan, (), 0), 0, None, plan.context)
    return next(shown.batches([np.arange(count)]))[0].numpy()


def as_target(labels: Tensor) -> Tensor:
    """uint8 labels -> int64 with -1 for what is not to be learned."""
    target = labels.long()
    return target.masked_fill_(target == IGNORED, -1)


def _weights(plan: Plan, device: torch.device) -> Tensor | None:
    given = plan.train.class_weights
    if not given:
        return None
    if len(given) != plan.outputs:
        raise PlanError(
            f"train.class_weights: expected {plan.outputs} numbers (background, "
            f"{', '.join(plan.classes)}), got {len(given)}"
        )
    return torch.tensor(given, device=device)


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """Patches of the validation part after an epoch.

    values  (N,) the loss of each patch
    dice    (K,) of each class over all patches together; NaN where none holds it
    """

    values: np.ndarray
    dice: np.ndarray

    @property
    def refined(self) -> float:
        return float(self.values.mean())

    def figures(self) -> dict[str, float | None]:
        known = self.dice[np.isfinite(self.dice)]
        mean = float(known.mean()) if len(known) else None
        return {"loss": self.refined, "dice": mean}


def validated(plan: Plan, net: nn.Module, data: Cases, placed: Cases) -> Judgement:
    """The same patches after every epoch, unchanged: nothing in it is chance."""
    count = max(FEWEST, len(data.sizes), plan.train.patches // JUDGED)
    spots = drawn(plan, data, count, np.random.default_rng(0))
    place = next(net.parameters()).device
    shown = Patches(placed, spots, _chain(plan, (), 0), 0, place, plan.context)
    step = max(1, plan.train.batch)
    parts = [np.arange(i, min(i + step, count)) for i in range(0, count, step)]
    error = losses.build(plan.train.loss, plan.kind, **plan.train.loss_options)
    values: list[np.ndarray] = []
    totals = np.zeros((3, plan.outputs))
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        with torch.no_grad():
            for x, target in shown.batches(parts):
                if plan.train.channels_last:
                    x = x.contiguous(memory_format=LAYOUT[x.ndim])
                with autocast(plan, place):  # as in learning, where it pays
                    logits = net(x).float()
                values.append(error(logits, target, None).cpu().numpy())
                totals += _overlap(logits, target, plan.outputs)
    finally:
        for module, training in modes.items():
            module.training = training
    both, found, true = totals
    with np.errstate(invalid="ignore"):
        dice = np.where(found + true > 0, 2 * both / (found + true), math.nan)
    return Judgement(np.concatenate(values), np.where(true > 0, dice, math.nan)[1:])


def _overlap(logits: Tensor, target: Tensor, outputs: int) -> np.ndarray:
    """(3, K): voxels of each class in both, in the answer, in the truth."""
    known = target >= 0
    said, truth = logits.argmax(1)[known], target[known]
    return np.stack(
        [
            torch.bincount(part, minlength=outputs).cpu().numpy()
            for part in (said[said == truth], said, truth)
        ]
    )


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """Noise with boxes in it, in memory."""

    image: np.ndarray
    labels: np.ndarray
    sizes: np.ndarray
    counts: np.ndarray

    @property
    def channels(self) -> int:
        return len(self.image)

    @property
    def nbytes(self) -> int:
        return self.image.nbytes

    def box(
        self, row: int, low: Sequence[int], high: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray]:
        part = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        return self.image[(slice(None), *part)], self.labels[part]

    def places(self, row: int, label: int) -> np.ndarray:
        return np.argwhere(self.labels == label)[:100]

    def to_memory(self) -> None:
        """It is there."""


def made(plan: Plan, cases: int) -> Made:
    """Random cases a half larger than a patch; for slices, of a few more than are seen at once."""
    rng = np.random.default_rng(0)
    size = tuple(3 * n // 2 for n in plan.size)
    if plan.axes > len(size):
        size = (2 * plan.context + 3, *size)
    image = rng.standard_normal((plan.channels, *size), np.float32)
    labels = rng.integers(0, plan.outputs, size, np.uint8)
    sizes = np.tile(np.array(size), (2, 1))
    counts = np.tile(np.bincount(labels.ravel(), minlength=plan.outputs), (2, 1))
    return Made(image, labels, sizes, counts)
