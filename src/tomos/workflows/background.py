"""What a training run knows of its data and plan, in the words of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tomos.datasets import CLUES_ZH, DROPPED_ZH, FOLD, Dataset, Dropped, Findings
from tomos.evaluate import Choice, DataSummary, Notice, Shortcut, Split, Training, Words
from tomos.evaluate.names import split as split_words
from tomos.plan import Plan

PARTS = {
    "prepare": Words("Preparation", "预处理"),
    "augment": Words("Augmentation", "数据增强"),
    "model": Words("Model", "模型"),
    "train": Words("Training", "训练"),
    "recipe": Words("Recipe", "既定方案"),
}


NAMED = 10  # cases that could not be read, by name in the report


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """What a training run knows and an evaluation of a bare model file does not."""

    plan: Plan | None = None
    training: Training | None = None
    findings: Findings | None = None
    dropped: Sequence[Dropped] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    notices: Sequence[Notice] = ()


def data_summary(dataset: Dataset, known: Background, failed: Mapping[str, str]) -> DataSummary:
    """The data as the report tells them; `failed`: cases that could not be judged."""
    info = dataset.info
    parts = ["train", "val", "test"]
    if len(dataset.split(FOLD)):
        parts.append(FOLD)
    findings = known.findings
    return DataSummary(
        name=info.name,
        source=info.provenance.source,
        licence=info.licence,
        modalities=info.modalities,
        splits=[_split(dataset, name) for name in parts],
        split_rule=info.provenance.split,
        dropped=_dropped(known, failed),
        problems=[Words(p.message, p.chinese) for p in findings.problems] if findings else (),
        shortcuts=_shortcuts(findings) if findings else (),
    )


def _split(dataset: Dataset, name: str) -> Split:
    part = dataset.split(name)
    # What a mask shows is not known by its address.
    counts = Counter(label for label in part.labels if label and dataset.kind != "mask")
    return Split(name, len(part), len({case.group for case in part.cases}), dict(counts))


def _dropped(known: Background, failed: Mapping[str, str]) -> list[tuple[Words, int]]:
    reasons = Counter((gone.reason, gone.split) for gone in known.dropped)
    lines = [
        (Words(f"{reason} ({split})", f"{DROPPED_ZH[reason]}（{split_words(split).zh}）"), n)
        for (reason, split), n in reasons.items()
    ]
    unread = [*known.skipped, *failed]
    if unread:
        named = ", ".join(unread[:NAMED]) + (", …" if len(unread) > NAMED else "")
        lines.append((Words(f"could not be read: {named}", f"无法读取：{named}"), len(unread)))
    return lines


def _shortcuts(findings: Findings) -> list[Shortcut]:
    return [
        Shortcut(
            name=Words(found.clue, CLUES_ZH.get(found.clue, found.clue)),
            value=found.balanced_accuracy,
            low=found.low,
            high=found.high,
            n=found.n,
            split="all",
            metric="balanced_accuracy",
            chance=found.chance,
        )
        for found in findings.shortcuts
    ]


def plan_choices(plan: Plan | None) -> list[Choice]:
    """The plan, one line a part, with its reasons."""
    if plan is None:
        return []
    value: dict[str, Callable[[], str]] = {
        "prepare": lambda: ", ".join(step["step"] for step in plan.prepare),
        "augment": lambda: ", ".join(step["step"] for step in plan.augment) or "none",
        "model": lambda: (
            f"{plan.train.members} x {plan.model.name} at {' x '.join(map(str, plan.size))}"
        ),
        "train": lambda: (
            f"{plan.train.optimiser}, {plan.train.learning_rate:g}, {plan.train.epochs} epochs"
        ),
        "recipe": lambda: plan.recipe,
    }
    return [
        Choice(PARTS.get(part, Words(part)), value.get(part, str)(), reason)
        for part, reason in plan.reasons.items()
    ]


def looks_notice(looks: int, split: str) -> list[Notice]:
    """A test part that several models were judged on is no longer quite a test."""
    if looks < 2 or split != "test":
        return []
    return [
        Notice(
            Words(
                f"{looks} models have been judged on these cases so far. Choosing between models "
                "by them makes the chosen one look better than it is.",
                f"迄今已有 {looks} 个模型在这些病例上评估过。若据此挑选模型，"
                "被选中的模型会显得比实际更好。",
            ),
            serious=False,
        )
    ]
