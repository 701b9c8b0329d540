"""The leak rule, once.

Known patients on both sides of the test split, or pixel-identical images that touch at least 1 % of
the test cases: refused. Below that, and between train and val, the copy is dropped from the side
that is learned from, never from test, and listed. Look-alikes are reported by `check`, not here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from tomos.datasets import duplicates
from tomos.datasets.dataset import Dataset, checksum
from tomos.datasets.split import as_fold
from tomos.datasets.survey import Survey
from tomos.types import Case, DatasetError, LeakError, Progress

REFUSED_FROM = 0.01  # of the test cases
NAMED = 5
# Whose copy goes: the first of these that holds one. test keeps all.
LEARNING = ("train", "val")
DROPPED_ZH = {"the same picture": "同一图像", "the same patient": "同一患者"}


@dataclass(frozen=True)
class Dropped:
    """A case that is not learned from: `twin` in `twin_split` shows the same picture or patient."""

    case: str
    split: str
    twin: str
    twin_split: str
    reason: str


class Note(NamedTuple):
    """A sentence, and the same in Chinese."""

    text: str
    chinese: str


@dataclass(frozen=True)
class Learnable:
    """What may be learned from, what was left out for it, and what a report must say."""

    train: Dataset
    val: Dataset
    dropped: tuple[Dropped, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Leak:
    """What stands on both sides. `patients` and `pictures` are groups of row numbers."""

    patients: dict[str, list[int]]
    pictures: list[list[int]]
    touched: int
    n_test: int

    @property
    def refused(self) -> bool:
        return bool(self.patients) or self.touched_share >= REFUSED_FROM

    @property
    def touched_share(self) -> float:
        return self.touched / self.n_test if self.n_test else 0.0


def learnable(
    dataset: Dataset, accept_leak: str = "", progress: Progress | None = None
) -> Learnable:
    """Train and val without what the rule forbids.

    `accept_leak` is the reason for which a refused leak is accepted: then nothing is dropped for
    the test's sake and the reason stands in `notes`. Raises LeakError, with the cases.
    """
    _, groups = pictures(dataset, progress)
    leak = find(dataset.cases, groups)
    notes = []
    if leak.refused:
        if not accept_leak:
            raise LeakError(f"{dataset.folder}: {_refusal(dataset.cases, leak)}")
        what = _what(dataset.cases, leak)
        notes.append(
            Note(
                f"Leak accepted ({accept_leak}): {what}.", f"已接受泄漏（{accept_leak}）：{what}。"
            )
        )
    # An accepted leak of pictures is kept as it is; copies below the limit go in any case.
    sides = ["val"] if leak.touched_share >= REFUSED_FROM else ["test", "val"]
    dropped = _dropped(dataset.cases, groups, sides)
    gone = {drop.case for drop in dropped}
    kept = [case for case in dataset.cases if case.name not in gone]
    if dropped:
        notes.append(
            Note(
                f"{len(dropped)} case{'s are' if len(dropped) > 1 else ' is'} not learned from: "
                "the same picture or patient stands in val or test.",
                f"{len(dropped)} 个病例不用于学习：同一图像或同一患者也在验证或测试部分中。",
            )
        )
    notes += _notes(dataset, kept)
    left = replace(dataset, cases=tuple(kept))
    return Learnable(left.split("train"), left.split("val"), tuple(dropped), tuple(notes))


def fold(
    dataset: Dataset, number: int, of: int, seed: int = 0, progress: Progress | None = None
) -> Dataset:
    """The data set split for one round of cross-validation (`split.as_fold`), by patient, equal
    pictures together. Raises SettingsError when there are fewer patients than folds."""
    _, groups = pictures(dataset, progress)
    cases = as_fold(dataset.cases, dataset.info.target, number, of, seed, groups)
    info = dataset.info
    if info.checksum == checksum(dataset.cases):
        # The splits are part of it: dealt out anew, nothing has changed since the import.
        info = info.model_copy(update={"checksum": checksum(cases)})
    return replace(dataset, info=info, cases=cases)


def pictures(dataset: Dataset, progress: Progress | None = None) -> tuple[Survey, list[list[int]]]:
    """(the survey of each case's reference, groups of cases with an equal picture).

    Every image of a case is compared; one that cannot be read, or that it lacks, is an error of it.
    """
    if not len(dataset):
        raise DatasetError(f"{dataset.folder}: there are no cases to look at")
    images = [[dataset.reference(case), *case.images.values()] for case in dataset.cases]
    seen, groups = duplicates.of_cases(images, dataset.folder, progress)
    lacking = {row: why for row, case in enumerate(dataset.cases) if (why := dataset.lacks(case))}
    return replace(seen, errors={**lacking, **seen.errors}), groups


def find(cases: Sequence[Case], groups: Sequence[Sequence[int]]) -> Leak:
    """What stands in test and is learned from as well. `groups`: rows with equal pixels."""
    people: dict[str, list[int]] = {}
    for row, case in enumerate(cases):
        if case.patient:
            people.setdefault(case.patient, []).append(row)
    patients = {name: rows for name, rows in people.items() if _both_sides(cases, rows)}
    pictures = [list(rows) for rows in groups if _both_sides(cases, rows)]
    touched = sum(cases[row].split == "test" for rows in pictures for row in rows)
    return Leak(patients, pictures, touched, sum(case.split == "test" for case in cases))


def _both_sides(cases: Sequence[Case], rows: Sequence[int]) -> bool:
    splits = {cases[row].split for row in rows}
    return "test" in splits and bool(splits & set(LEARNING))


def _dropped(
    cases: Sequence[Case], groups: Sequence[Sequence[int]], sides: Sequence[str]
) -> list[Dropped]:
    """For each side that is scored on, the copies in the splits before it."""
    dropped: dict[int, Dropped] = {}
    linked = [(rows, "the same picture") for rows in groups]
    people: dict[str, list[int]] = {}
    for row, case in enumerate(cases):
        if case.patient:
            people.setdefault(case.patient, []).append(row)
    linked += [(rows, "the same patient") for rows in people.values()]
    for side in sides:
        learning = LEARNING if side == "test" else ("train",)
        for rows, reason in linked:
            held = [r for r in rows if cases[r].split == side and r not in dropped]
            if not held or (side == "test" and reason == "the same patient"):
                continue
            for row in rows:
                if cases[row].split in learning and row not in dropped:
                    mine, twin = cases[row], cases[held[0]]
                    dropped[row] = Dropped(mine.name, mine.split, twin.name, side, reason)
    return [dropped[row] for row in sorted(dropped)]


def _notes(dataset: Dataset, kept: Sequence[Case]) -> list[Note]:
    unknown = sum(not case.patient for case in kept)
    if unknown == len(kept):
        return [
            Note(
                "Patients are not known: every case counts as its own patient.",
                "患者未知：每个病例按单独一名患者计。",
            )
        ]
    if unknown:
        return [
            Note(
                f"The patient of {unknown} of {len(kept)} cases is not known: each is its own.",
                f"{len(kept)} 个病例中有 {unknown} 个患者未知：各按单独一名患者计。",
            )
        ]
    return []


def _what(cases: Sequence[Case], leak: Leak) -> str:
    parts = []
    if leak.patients:
        rows = {row for group in leak.patients.values() for row in group}
        parts.append(
            f"{len(leak.patients)} patients with {len(rows)} cases stand both in test and in what "
            f"is learned from ({_names(cases, [r for g in leak.patients.values() for r in g])})"
        )
    if leak.touched_share >= REFUSED_FROM:
        parts.append(
            f"{leak.touched} of {leak.n_test} test cases ({leak.touched_share:.1%}) show a picture "
            f"that is also learned from ({_names(cases, [r for g in leak.pictures for r in g])})"
        )
    return "; ".join(parts)


def _refusal(cases: Sequence[Case], leak: Leak) -> str:
    return (
        f"the test split leaks: {_what(cases, leak)}. Change the split in cases.csv (tomos check "
        "lists all of them), or accept it with --accept-leak REASON"
    )


def _names(cases: Sequence[Case], rows: Sequence[int]) -> str:
    shown = ", ".join(f"{cases[row].name} [{cases[row].split}]" for row in rows[:NAMED])
    return shown + (", ..." if len(rows) > NAMED else "")
