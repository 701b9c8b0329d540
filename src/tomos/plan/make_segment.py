"""From a data set with masks and a number of minutes to a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tomos.config import parse
from tomos.datasets import Dataset
from tomos.datasets.dataset import checksum
from tomos.plan import dimensions, segment
from tomos.plan.dimensions import Kind, Ways
from tomos.plan.mask_fingerprint import MaskFingerprint, mask_fingerprint
from tomos.plan.probe import Speed, machine, multiply_adds, speed
from tomos.plan.schema import Plan, told
from tomos.types import PlanError, Progress, Words
from tomos.types.words import joined

BESIDES = 1.1  # times the bare steps: reading, changing and judging patches, and saving
NEARLY = 0.9  # of the least patches: what is left when they are dealt out to epochs and batches
TOO_FEW = Words(
    "; the minutes do not allow both enough patches, so volumes alone",
    "；给定时间内两者无法都学习足够的图块，因此仅用三维网络",
)
OF_SLICES, OF_VOLUMES = Words("slices: ", "逐层："), Words("volumes: ", "三维：")


def make(
    train: Dataset,
    val: Dataset,
    minutes: float,
    seed: int,
    device: str,
    progress: Progress,
    ways: Ways = "auto",
) -> Plan:
    """As `tomos.plan.make.make`, for a target of kind "mask".

    ways  whether volumes are learned from as such, by slices, or both; "auto": by the rule
    """
    fp = mask_fingerprint(train, val, progress=progress)
    if not fp.n_val:
        raise PlanError(f"{train.folder}: no case with a mask has split 'val'; import makes one")
    wish = Wish(minutes, seed, device, ways)
    parts, why = kinds_for(fp, wish, lambda channels: Here(channels, len(fp.labels) + 1, device))
    prepare, why_prepare = segment.prepare(fp)
    first, *others = (part.fields for part in parts)
    values: dict[str, Any] = {
        "task": "segment",
        "target": train.info.target,
        "kind": "mask",
        "classes": train.classes,
        "channels": segment.channels(fp),
        "roles": train.roles,
        "recipe": ways,
        **first,
        "spacing": segment.spacing(fp),
        "dataset": _about(train, val, fp),
        "fingerprint": fp.model_dump(mode="json"),
        "prepare": prepare,
        "also": others,
        "predict": segment.predict(fp, parts[0].form),
        "budget": _budget(parts, minutes, device),
        **told(
            {
                "dimensions": why,
                "prepare": why_prepare,
                **{name: _reason(parts, name) for name in ("augment", "model", "train")},
            }
        ),
    }
    return parse(Plan, values, "plan")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person says; `ways` as for `make`."""

    minutes: float
    seed: int = 0
    device: str = "cpu"
    ways: Ways = "auto"


Timing = Callable[[int], segment.Machine]
"""Channels that a network takes -> what times such networks."""


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of network, as the rules make it. `reasons`: of `fields` of the plan."""

    kind: Kind
    form: segment.Form
    choice: segment.Choice
    batch: int
    fields: dict[str, Any]
    reasons: dict[str, Words]


def kinds_for(fp: MaskFingerprint, wish: Wish, timing: Timing) -> tuple[list[Part], Words]:
    """The kinds of network, the minutes shared evenly, and why these."""
    chosen, why = dimensions.dimensions(fp, wish.ways)
    kinds = dimensions.KINDS[chosen] if fp.axes == 3 else (Kind(),)
    share = replace(wish, minutes=wish.minutes / len(kinds))
    parts = [_part(fp, kind, share, timing) for kind in kinds]
    shown = min(
        part.choice.epochs * part.choice.patches / segment.SHOWN[part.form.norm] for part in parts
    )
    if len(kinds) > 1 and wish.ways == "auto" and shown < NEARLY:
        return [_part(fp, Kind(), wish, timing)], why + TOO_FEW
    return parts, why


def _part(fp: MaskFingerprint, kind: Kind, wish: Wish, timing: Timing) -> Part:
    seen = kind.seen(fp)
    found = segment.form(seen, wish.device)
    batch = segment.batch(found, wish.device)
    machine = timing(segment.channels(fp) * (2 * kind.context + 1))
    choice = segment.choose(found, wish.minutes, machine, batch)
    augment, why_augment = segment.augment(seen, found)
    learning, why_train = segment.train(seen, found, choice, batch, wish.seed)
    fields = {
        "size": found.patch,
        "context": kind.context,
        "augment": augment,
        "model": {"name": choice.net.name, "options": found.options(choice.net)},
        "train": learning,
    }
    reasons = {"augment": why_augment, "model": choice.reason, "train": why_train}
    return Part(kind, found, choice, batch, fields, reasons)


def _reason(parts: Sequence[Part], name: str) -> Words:
    """The reasons of each kind; what several have in common is said once."""
    each = [part.reasons[name] for part in parts]
    if len(set(each)) == 1:
        return each[0]
    whose = (OF_SLICES if part.kind.flat else OF_VOLUMES for part in parts)
    return joined([who + what for who, what in zip(whose, each, strict=True)], "; ", "；")


@dataclass(frozen=True, slots=True)
class Here:
    """`segment.Machine`: this one. `channels` that the network takes."""

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


def _budget(parts: Sequence[Part], minutes: float, device: str) -> dict[str, Any]:
    first = parts[0]
    return {
        "minutes": minutes,
        "seconds_per_step": round(first.choice.speed.seconds * first.batch, 6),
        "predicted_seconds": round(BESIDES * sum(part.choice.seconds for part in parts), 1),
        "predicted_memory_mb": round(max(part.choice.speed.memory_mb for part in parts)),
        "machine": machine(),
        "device": device,
    }
