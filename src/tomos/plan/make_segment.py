"""From a data set with masks and a number of minutes to a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tomos.config import parse
from tomos.datasets import Dataset
from tomos.datasets.dataset import checksum
from tomos.plan import segment
from tomos.plan.mask_fingerprint import MaskFingerprint, mask_fingerprint
from tomos.plan.probe import Speed, machine, multiply_adds, speed
from tomos.plan.schema import Plan
from tomos.types import PlanError, Progress

BESIDES = 1.1  # times the bare steps: reading, changing and judging patches, and saving


def make(
    train: Dataset, val: Dataset, minutes: float, seed: int, device: str, progress: Progress
) -> Plan:
    """As `tomos.plan.make.make`, for a target of kind "mask"."""
    fp = mask_fingerprint(train, val, progress=progress)
    if not fp.n_val:
        raise PlanError(f"{train.folder}: no case with a mask has split 'val'; import makes one")
    found = segment.form(fp, device)
    batch = segment.batch(found, device)
    here = Here(segment.channels(fp), len(train.classes) + 1, device)
    choice = segment.choose(found, minutes, here, batch)
    prepare, why_prepare = segment.prepare(fp)
    augment, why_augment = segment.augment(fp, found)
    learning, why_train = segment.train(fp, found, choice, batch, seed)
    values: dict[str, Any] = {
        "task": "segment",
        "target": train.info.target,
        "kind": "mask",
        "classes": train.classes,
        "channels": segment.channels(fp),
        "size": found.patch,
        "spacing": segment.spacing(fp),
        "dataset": _about(train, val, fp),
        "fingerprint": fp.model_dump(mode="json"),
        "prepare": prepare,
        "augment": augment,
        "model": {"name": choice.net.name, "options": found.options(choice.net)},
        "train": learning,
        "predict": {"views": segment.views(fp, found)},
        "budget": _budget(choice, minutes, batch, device),
        "reasons": {
            "prepare": why_prepare,
            "augment": why_augment,
            "model": choice.reason,
            "train": why_train,
        },
    }
    return parse(Plan, values, "plan")


@dataclass(frozen=True, slots=True)
class Here:
    """`segment.Machine`: this one."""

    channels: int
    outputs: int
    device: str

    def quick(self, found: segment.Form, net: segment.Net, batch: int) -> Speed:
        return self._speed(found, net, batch, quick=True)

    def measured(self, found: segment.Form, net: segment.Net, batch: int) -> Speed:
        return self._speed(found, net, batch, quick=False)

    def work(self, found: segment.Form, net: segment.Net) -> int:
        shape = (self.channels, *found.patch)
        return multiply_adds(net.name, found.options(net), shape)

    def _speed(self, found: segment.Form, net: segment.Net, batch: int, quick: bool) -> Speed:
        shape = (self.channels, *found.patch)
        options = found.options(net)
        return speed(net.name, options, shape, self.outputs, batch, self.device, quick)


def _about(train: Dataset, val: Dataset, fp: MaskFingerprint) -> dict[str, Any]:
    return {
        "name": train.info.name,
        "checksum": checksum([*train.cases, *val.cases]),
        "n_train": fp.n_cases,
        "n_val": fp.n_val,
        "n_patients": fp.n_patients,
    }


def _budget(choice: segment.Choice, minutes: float, batch: int, device: str) -> dict[str, Any]:
    return {
        "minutes": minutes,
        "seconds_per_step": round(choice.speed.seconds * batch, 6),
        "predicted_seconds": round(BESIDES * choice.seconds, 1),
        "predicted_memory_mb": round(choice.speed.memory_mb),
        "machine": machine(),
        "device": device,
    }
