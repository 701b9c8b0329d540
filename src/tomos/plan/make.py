"""From a data set and a number of minutes to a plan."""

from __future__ import annotations

from dataclasses import dataclass

from tomos.config import parse
from tomos.datasets import Dataset
from tomos.datasets.dataset import checksum
from tomos.plan import classify, make_segment, recipe, sentences
from tomos.plan.dimensions import WAYS
from tomos.plan.fingerprint import Fingerprint, fingerprint
from tomos.plan.probe import Speed, machine, multiply_adds, speed
from tomos.plan.schema import Plan, told
from tomos.types import PlanError, Progress, Silent
from tomos.types.words import counted


def make(
    train: Dataset,
    val: Dataset,
    minutes: float,
    seed: int = 0,
    recipe_name: str = "auto",
    device: str = "cpu",
    progress: Progress | None = None,
) -> Plan:
    """Look at the part learned from and choose everything, within `minutes` of wall time.

    Raises PlanError for a target that cannot be learned (one class, no labels, no validation part).
    """
    progress = progress or Silent()
    info = train.info
    kind = info.targets[info.target].kind if info.target in info.targets else "class"
    if kind == "mask":
        if recipe_name not in WAYS:
            raise PlanError(
                f"--recipe {recipe_name}: such recipes are for classes; for masks there are "
                f"{', '.join(WAYS)}"
            )
        return make_segment.make(train, val, minutes, seed, device, progress, recipe_name)
    if kind not in ("class", "multilabel", "ordinal"):
        raise PlanError(
            f"{train.folder}: target {info.target!r} is of kind {kind!r}; expected class"
        )
    fp = fingerprint(train, val, info.target, progress=progress)
    _learnable(fp, train, info.target)
    part = {
        "target": info.target,
        "kind": kind,
        "classes": train.classes,
        "channels": classify.channels(fp),
        "dataset": {
            "name": info.name,
            "checksum": learned(train, val),
            "n_train": fp.n_cases,
            "n_val": fp.n_val,
            "n_patients": fp.n_patients,
        },
        "fingerprint": fp.model_dump(mode="json"),
    }
    if recipe_name == "auto":
        chosen = _by_rules(fp, minutes, seed, device, len(train.classes), kind)
    else:
        chosen = recipe.fill(recipe_name, fp, minutes, seed, device, len(train.classes), kind)
    if len(info.roles) > 1:
        alone = told({"images": sentences.alone(info.reference or info.roles[0], info.roles)})
        chosen |= {name: {**chosen.get(name, {}), **alone[name]} for name in alone}
    return parse(Plan, {**part, **chosen, "recipe": recipe_name}, "plan")


def learned(train: Dataset, val: Dataset) -> str:
    """The checksum of the cases that a plan is made for."""
    return checksum([*train.cases, *val.cases])


def _learnable(fp: Fingerprint, train: Dataset, target: str) -> None:
    if len(fp.counts) < 2:
        known = counted(len(fp.counts), "class", "classes")
        raise PlanError(
            f"{train.folder}: target {target!r} has {known} with cases to learn from "
            f"({', '.join(fp.counts) or 'none'}); at least two are needed"
        )
    if fp.n_val == 0:
        raise PlanError(f"{train.folder}: no case has split 'val'; import makes one, or add it")


@dataclass(frozen=True, slots=True)
class Here:
    """`classify.Machine`: this one."""

    channels: int
    classes: int
    device: str

    def quick(self, candidate: classify.Candidate, batch: int) -> Speed:
        return self._speed(candidate, batch, quick=True)

    def measured(self, candidate: classify.Candidate, batch: int) -> Speed:
        return self._speed(candidate, batch, quick=False)

    def work(self, candidate: classify.Candidate) -> int:
        return multiply_adds(candidate.name, candidate.options, self._shape(candidate))

    def _speed(self, candidate: classify.Candidate, batch: int, quick: bool) -> Speed:
        shape = self._shape(candidate)
        return speed(
            candidate.name, candidate.options, shape, self.classes, batch, self.device, quick
        )

    def _shape(self, candidate: classify.Candidate) -> tuple[int, int, int]:
        return self.channels, candidate.side, candidate.side


def _by_rules(fp, minutes, seed, device, n_classes, kind) -> dict:
    batch = classify.batch_size(fp)
    choice = classify.choose(fp, minutes, Here(classify.channels(fp), n_classes, device), batch)
    size = _size(fp, choice.candidate.side)
    prepare, why_prepare = classify.prepare(fp, size)
    augment, why_augment = classify.augment(fp)
    train, why_train = classify.train(fp, choice, batch, seed, kind)
    views = ("identity", "flip_x") if fp.told_apart["flip_x"] < classify.HARMLESS else ("identity",)
    return {
        "size": size,
        "prepare": prepare,
        "augment": augment,
        "model": {"name": choice.candidate.name, "options": choice.candidate.options},
        "train": train,
        "predict": {"views": views},
        "budget": budget(fp, choice, minutes, device),
        **told(
            {
                "prepare": why_prepare,
                "augment": why_augment,
                "model": choice.reason,
                "train": why_train,
            }
        ),
    }


def budget(fp: Fingerprint, choice: classify.Choice, minutes: float, device: str) -> dict:
    """What the plan will take: 5 % over the bare steps for judging, saving and the rest."""
    shown = 1.05 * fp.n_cases + 0.35 * fp.n_val
    return {
        "minutes": minutes,
        "seconds_per_step": round(choice.pace, 6),
        "predicted_seconds": round(choice.seconds(shown), 1),
        "predicted_memory_mb": round(choice.speed.memory_mb * choice.together, 0),
        "machine": machine(),
        "device": device,
    }


def _size(fp: Fingerprint, side: int) -> tuple[int, int]:
    """Square, or the pictures' own shape where all are alike and the longer side is `side`."""
    (_, y, _), (_, x, _) = fp.sides
    if fp.aspect > 1.05 or not 1.2 < max(y, x) / min(y, x) < 3:
        return side, side
    scale = side / max(y, x)
    return max(8, round(y * scale / 8) * 8), max(8, round(x * scale / 8) * 8)
