"""What is measured before a plan is fixed: the learning rate, the batch, the fastest arithmetic.

Nothing here changes the nets or data given; every probe works on a net of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tomos.plan.schema import Plan, TrainPart
from tomos.train import batches
from tomos.train import device as devices
from tomos.train import learner as learners
from tomos.train import subject as subjects
from tomos.train.loop import steps
from tomos.types import TrainingError

PAYS = 1.1  # times as fast: less is noise, and full precision is the safer choice
ROOM = 0.6  # of the free memory may be used by a step
LARGEST = 1024


def find_learning_rate(
    plan: Plan,
    data: Any,
    count: int = 100,
    low: float = 1e-6,
    high: float = 3.0,
    device: str = "",
) -> tuple[float, np.ndarray]:
    """A learning rate for the plan's net, batch and optimiser; and the curve (n, 2) of rates and
    smoothed losses it was read from.

    `count` steps at rates growing from `low` to `high` (Smith 2017, arXiv:1506.01186), until the
    loss is 3 times the lowest. The rate is the geometric mean of two usual readings: where the loss
    falls fastest, and a tenth of where it is lowest.

    Raises TrainingError when the loss is no number from the start.
    """
    train = _update(plan.train, epochs=1, ema=0.0, schedule="constant", warmup=0.0, compile=False)
    train = _update(train, learning_rate=1.0)
    an_epoch = batches.steps_an_epoch(train, subjects.of(plan).cases(plan, data))
    train = _update(train, epochs=-(-count // an_epoch))
    trial = plan.model_copy(update={"train": train})
    rates = np.geomspace(low, high, count)
    losses: list[float] = []
    with devices.machine(device or plan.budget.device, train.threads) as place:
        learner = learners.new(trial, place)
        learner.slower = rates[0]
        smooth = 0.0
        for step in steps(trial, data, learner):
            smooth = 0.9 * smooth + 0.1 * float(step.loss)
            loss = smooth / (1 - 0.9**step.step)
            if not np.isfinite(loss) or (losses and loss > 3 * min(losses)):
                break
            losses.append(loss)
            if len(losses) == count:
                break
            learner.slower = rates[len(losses)]
    if len(losses) < 10:
        raise TrainingError(
            f"the learning-rate finder got {len(losses)} finite losses from {low:g} upwards; "
            "are the prepared pictures normalised?"
        )
    return _read_off(rates[: len(losses)], np.array(losses))


def _read_off(rates: np.ndarray, losses: np.ndarray) -> tuple[float, np.ndarray]:
    lowest = int(losses.argmin())
    slope = np.gradient(losses, np.log(rates))
    steepest = int(slope[: max(lowest, 2)].argmin())
    rate = float(np.sqrt(rates[steepest] * rates[lowest] / 10))
    return rate, np.stack([rates, losses], 1)


def seconds_per_step(plan: Plan, device: str = "", count: int = 4) -> float:
    """Median seconds of a step of this plan on this machine, on made-up data; all a step does is in
    it but reading from disk."""
    with devices.machine(device or plan.budget.device, plan.train.threads) as place:
        return float(np.median(list(islice(_times(plan, place, _clock(place)), 2, 2 + count))))


def fastest(plan: Plan, device: str = "", rounds: int = 4) -> tuple[TrainPart, dict[str, float]]:
    """The training part with the precision and memory layout that this machine is fastest with, and
    the seconds a step that were measured for each.

    fp16 is tried on CUDA only, bf16 there and on CPUs that have the instructions; each is taken
    only when it is 1.1 times as fast as full precision. All take turns, and the quickest step of
    each counts; on a CPU by processor time, so that what else the machine does matters less.
    """
    with devices.machine(device or plan.budget.device, plan.train.threads) as place:
        clock = time.process_time if place.type == "cpu" else _clock(place)
        parts = {
            f"{precision}{' channels_last' if layout else ''}": _update(
                plan.train, precision=precision, channels_last=layout, compile=False
            )
            for precision in ("fp32", *_halves(place))
            for layout in (False, True)
        }
        races = {
            name: _times(plan.model_copy(update={"train": part}), place, clock)
            for name, part in parts.items()
        }
        seen = [{name: next(race) for name, race in races.items()} for _ in range(2 + rounds)]
    told = {name: min(turn[name] for turn in seen[2:]) for name in races}
    plain = min((name for name in told if parts[name].precision == "fp32"), key=told.__getitem__)
    best = min(told, key=told.__getitem__)
    if parts[best].precision != "fp32" and told[best] * PAYS > told[plain]:
        best = plain
    return parts[best], told


def _times(plan: Plan, place: torch.device, clock: Callable[[], float]) -> Iterator[float]:
    """Seconds of one step after another. The first two choose kernels and fill caches."""
    train = _update(plan.train, epochs=10_000, optimiser=_small(plan.train))
    trial = plan.model_copy(update={"train": train})
    data = subjects.of(plan).made(plan, train.batch * train.accumulate)
    taken = steps(trial, data, learners.new(trial, place))
    while True:
        begun = clock()
        next(taken)
        yield clock() - begun


def largest_batch(plan: Plan, device: str = "", most: int = LARGEST) -> int:
    """The largest power of two, at most `most`, whose step fits into 60 % of the free memory,
    or into a network's share of that where several are trained at the same time.

    On an accelerator a step is tried at each size; on a CPU, where trying would mean swapping, what
    a step keeps for its backward pass is counted on a small batch.
    """
    with devices.machine(device or plan.budget.device, plan.train.threads) as place:
        if place.type == "cuda":
            return _tried(plan, place, most)
        room = ROOM * devices.free_memory(place) / plan.train.together
        net = learners.new(plan, place).net
        # Weights, gradients, two moments, the average.
        fixed = 5 * sum(p.numel() * p.element_size() for p in net.parameters())
        few, more = _kept(plan, place, 2), _kept(plan, place, 4)
        # Beside what is kept: the gradients of activations, and the workspace of one layer.
        each = 1.5 * (more - few) / 2
        fits = max(1.0, (room - fixed) / max(each, 1.0))
        return int(min(most, 2 ** np.floor(np.log2(fits))))


def _kept(plan: Plan, place: torch.device, batch: int) -> int:
    """Bytes that one forward pass keeps for the backward pass."""
    learner, seen = learners.new(plan, place), {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    learner.to_training()
    x = torch.zeros(batch, plan.inputs, *plan.size, device=place)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), learner.autocast():
        logits = learner.net(learner.batch(x))
    del logits
    return sum(seen.values())


def _tried(plan: Plan, place: torch.device, most: int) -> int:
    fits, batch = 1, 2
    limit = ROOM * devices.free_memory(place)
    while batch <= most:
        train = _update(
            plan.train, batch=batch, accumulate=1, epochs=2, optimiser=_small(plan.train)
        )
        trial = plan.model_copy(update={"train": train})
        torch.cuda.reset_peak_memory_stats(place)
        try:
            for _ in steps(trial, subjects.of(plan).made(plan, batch), learners.new(trial, place)):
                pass
        except torch.cuda.OutOfMemoryError:
            break
        finally:
            torch.cuda.empty_cache()
        if torch.cuda.max_memory_allocated(place) > limit:
            break
        fits, batch = batch, batch * 2
    return fits


def _halves(place: torch.device) -> list[str]:
    if place.type == "cuda":
        return ["bf16", "fp16"] if torch.cuda.is_bf16_supported() else ["fp16"]
    if place.type == "cpu" and torch.cpu._is_avx512_bf16_supported():
        return ["bf16"]
    return []


def _small(train: TrainPart) -> str:
    """Whole-data descent would make of every probe one step: plain SGD costs the same."""
    return "sgd" if train.optimiser == "gd" else train.optimiser


def _update(train: TrainPart, **changes) -> TrainPart:
    return train.model_copy(update=changes)


def _clock(place: torch.device) -> Callable[[], float]:
    """Wall time, once the device has done what it was given."""

    def now() -> float:
        if place.type == "cuda":
            torch.cuda.synchronize(place)
        return time.perf_counter()

    return now
