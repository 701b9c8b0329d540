"""Looking a data set over before anything is learned from it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tomos import formats
from tomos.datasets import duplicates, leak
from tomos.datasets.cases import FOLD, SPLITS, split_word
from tomos.datasets.checking_masks import look_at_masks, mask_problems
from tomos.datasets.dataset import Dataset, checksum, container, words
from tomos.datasets.findings import CLUES_ZH, SPLITS_ZH, Findings, Problem, class_missing, problem
from tomos.datasets.shortcuts import Shortcut, clues, shortcuts
from tomos.datasets.survey import Survey
from tomos.types import Progress, Silent

FEW = 20  # cases of a class in a split, below which figures are rough
UNEVEN = 10  # times
SPREAD = 2.0  # largest aspect ratio or side over the smallest, between the 1st and 99th percentile
BLANK = 0.01
ORDER = {"error": 0, "warning": 1, "note": 2}


def check(dataset: Dataset, progress: Progress | None = None) -> Findings:
    """Every problem, the worst first. Reads each image once; unreadable ones are findings too."""
    progress = progress or Silent()
    seen, exact = leak.pictures(dataset, progress)
    progress.say("looking for look-alikes")
    near = duplicates.near(seen, formats.read)
    found = _shortcuts(dataset, seen)
    masks: Iterable[Problem] = ()
    if dataset.kind == "mask":
        laid = look_at_masks(dataset, progress)
        masks = mask_problems(dataset, laid)
        seen = replace(seen, errors={**laid.unread, **seen.errors})
    problems = [
        *_files(dataset, seen),
        *_labels(dataset),
        *masks,
        *_splits(dataset),
        *_leaks(dataset, exact),
        *_copies(dataset, exact, near),
        *_pictures(dataset, seen),
        *(_shortcut(dataset, shortcut) for shortcut in found if shortcut.telling),
        *_notes(dataset),
    ]
    problems.sort(key=lambda entry: ORDER[entry.severity])
    across = [group for group in (*exact, *near) if _spans(dataset, group)]
    return Findings(
        dataset=dataset,
        survey=seen,
        problems=tuple(problems),
        exact=_named(dataset, exact),
        near=_named(dataset, near),
        across_split=_named(dataset, across),
        shortcuts=tuple(found),
        counts=counts(dataset),
    )


def counts(dataset: Dataset) -> dict[str, dict[str, int]]:
    """split -> label -> cases; "" stands for no split, or no label."""
    found: dict[str, Counter] = {split: Counter() for split in (*SPLITS, FOLD, "")}
    for case, cell in zip(dataset.cases, dataset.labels, strict=True):
        for word in words(cell, dataset.kind) or ([""] if not cell else []):
            found[case.split][word] += 1
    return {split: dict(labels) for split, labels in found.items() if labels}


def _names(dataset: Dataset, rows: Sequence[int] | np.ndarray) -> list[str]:
    return [dataset.cases[int(row)].name for row in rows]


def _named(dataset: Dataset, groups: Sequence[Sequence[int]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(_names(dataset, group)) for group in groups)


def _spans(dataset: Dataset, rows: Sequence[int]) -> bool:
    return len({dataset.cases[row].split for row in rows}) > 1


def _files(dataset: Dataset, seen: Survey) -> Iterator[Problem]:
    if seen.errors:
        rows = sorted(seen.errors)
        yield problem(
            "unreadable",
            _names(dataset, rows),
            n=len(rows),
            total=len(dataset),
            first=seen.errors[rows[0]],
        )


def _labels(dataset: Dataset) -> Iterator[Problem]:
    cells = dataset.labels
    blank = [row for row, cell in enumerate(cells) if not cell]
    if len(blank) == len(cells):
        yield problem("no_labels")
        return
    if blank:
        yield problem("some_labels_missing", _names(dataset, blank), n=len(blank), total=len(cells))
    if dataset.kind in ("multilabel", "mask"):
        return
    present = sorted({cell for cell in cells if cell})
    if len(present) == 1:
        yield problem("one_class", label=present[0])


def _splits(dataset: Dataset) -> Iterator[Problem]:
    table = counts(dataset)
    loose = [row for row, case in enumerate(dataset.cases) if not case.split]
    if loose:
        yield problem("not_split", _names(dataset, loose), n=len(loose))
    yield from _misplaced(dataset)
    if dataset.kind not in ("class", "ordinal", "multilabel") or len(dataset.classes) < 2:
        return
    yield from _sparse(dataset, table)
    yield from _balance(dataset, table)


def _sparse(dataset: Dataset, table: dict) -> Iterator[Problem]:
    """Classes that a split lacks, or of which it has a handful."""
    there = [split for split in SPLITS if split in table]
    for label in dataset.classes:
        lacking = [split for split in there if not table[split].get(label)]
        if lacking:
            yield class_missing(label, lacking)
    said, said_zh = [], []
    for split in there:
        few = {k: table[split].get(k, 0) for k in dataset.classes}
        few = {k: n for k, n in few.items() if 0 < n < FEW}
        if few:
            said.append(f"{split} ({', '.join(f'{k!r}: {n}' for k, n in few.items())})")
            each = "、".join(f"“{k}”：{n}" for k, n in few.items())
            said_zh.append(f"{SPLITS_ZH[split]}（{each}）")
    if said:
        yield problem("few_cases", found=", ".join(said), found_zh="，".join(said_zh))


def _balance(dataset: Dataset, table: dict) -> Iterator[Problem]:
    have = {k: n for k, n in table.get("train", {}).items() if k and n}
    if len(have) < 2:
        return
    most, least = max(have, key=lambda k: have[k]), min(have, key=lambda k: have[k])
    if have[most] >= UNEVEN * have[least]:
        yield problem(
            "imbalance",
            most=most,
            least=least,
            ratio=have[most] / have[least],
            n_most=have[most],
            n_least=have[least],
        )


def _misplaced(dataset: Dataset) -> Iterator[Problem]:
    """Cases whose folders name two splits (a test folder inside train), or another than theirs."""
    paths = [Path(container(dataset.reference(case))[0]) for case in dataset.cases]
    root = Path(os.path.commonpath([path.parent for path in paths]))
    nested: list[int] = []
    other: list[int] = []
    for row, (case, path) in enumerate(zip(dataset.cases, paths, strict=True)):
        said = [word for part in path.relative_to(root).parts[:-1] if (word := split_word(part))]
        # The common folder's own name counts only as the training folder around a test folder.
        inside_train = split_word(root.name) == "train" and bool(said)
        if len({*said, *(["train"] if inside_train else [])}) > 1:
            nested.append(row)
        elif said and case.split and said[-1] != case.split:
            other.append(row)
    for code, rows in (("test_inside_train", nested), ("split_against_folder", other)):
        if rows:
            first = paths[rows[0]].relative_to(root.parent).as_posix()
            yield problem(code, _names(dataset, rows), n=len(rows), first=first)


def _leaks(dataset: Dataset, exact: list[list[int]]) -> Iterator[Problem]:
    found = leak.find(dataset.cases, exact)
    if found.patients:
        rows = sorted({row for group in found.patients.values() for row in group})
        yield problem("patient_across_test", _names(dataset, rows), n=len(found.patients))
    if found.touched_share >= leak.REFUSED_FROM:
        rows = sorted({row for group in found.pictures for row in group})
        yield problem(
            "test_leak",
            _names(dataset, rows),
            n=found.touched,
            total=found.n_test,
            share=found.touched_share,
        )
    people = {case.patient for case in dataset.cases if case.patient and case.split == "val"}
    shared = [
        row
        for row, case in enumerate(dataset.cases)
        if case.split == "train" and case.patient in people
    ]
    if shared:
        n = len({dataset.cases[row].patient for row in shared})
        yield problem("patient_across_val", _names(dataset, shared), n=n)


def _copies(dataset: Dataset, exact: list, near: list) -> Iterator[Problem]:
    # Two masks of one picture are two files: their addresses say nothing of what they show.
    labels = [""] * len(dataset) if dataset.kind == "mask" else dataset.labels
    split = [group for group in exact if len({labels[row] for row in group if labels[row]}) > 1]
    if split:
        first = ", ".join(f"{dataset.cases[row].name} is {labels[row]!r}" for row in split[0][:4])
        rows = [row for group in split for row in group]
        yield problem("conflicting_labels", _names(dataset, rows), n=len(split), first=first)
    across = [group for group in exact if _spans(dataset, group)]
    for code, groups in (
        ("copies_across_split", across),
        ("near_across_split", [group for group in near if _spans(dataset, group)]),
        ("duplicate_exact", exact),
        ("duplicate_near", near),
    ):
        if groups:
            rows = [row for group in groups for row in group]
            yield problem(code, _names(dataset, rows), n=len(groups))


def _pictures(dataset: Dataset, seen: Survey) -> Iterator[Problem]:
    place = np.flatnonzero(seen.seen)
    rows = seen.rows[place]
    if not len(rows):
        return
    constant = rows["low"] == rows["high"]
    blank = (rows["busy"] < BLANK) & ~constant
    for code, which in (("constant", constant), ("nearly_blank", blank)):
        if which.any():
            yield problem(code, _names(dataset, place[which]), n=int(which.sum()))
    yield from _sizes(dataset, rows, place)
    for code, name in (("mixed_channels", "channels"), ("mixed_depth", "bits")):
        kinds, count = np.unique(rows[name], return_counts=True)
        if len(kinds) > 1:
            usual = kinds[count.argmax()]
            odd = rows[name] != usual
            yield problem(
                code,
                _names(dataset, place[odd]),
                n=int(odd.sum()),
                total=len(rows),
                odd=", ".join(str(kind) for kind in kinds if kind != usual),
                usual=usual,
            )
    modalities = sorted({text.decode() for text in rows["modality"]} - {""})
    if len(modalities) > 1:
        yield problem("mixed_modalities", found=", ".join(modalities))


def _sizes(dataset: Dataset, rows: np.ndarray, place: np.ndarray) -> Iterator[Problem]:
    size = rows["size"].astype(np.float64)
    area = np.sqrt(size[:, 1] * size[:, 2])
    odd = np.abs(np.log(area / np.median(area))) > np.log(3)
    if odd.any():
        first = "x".join(str(int(n)) for n in size[odd][0] if n > 1)
        yield problem("odd_size", _names(dataset, place[odd]), n=int(odd.sum()), first=first)
    ratio = size[:, 2] / size[:, 1]
    low, high = np.percentile(ratio, (1, 99))
    small, large = np.percentile(area, (1, 99))
    if high / low > SPREAD or large / small > SPREAD:
        order = np.argsort(area)
        yield problem(
            "mixed_sizes",
            small="x".join(str(int(n)) for n in size[order[0], 1:]),
            large="x".join(str(int(n)) for n in size[order[-1], 1:]),
            narrow=float(ratio.min()),
            wide=float(ratio.max()),
        )


def _shortcuts(dataset: Dataset, seen: Survey) -> list[Shortcut]:
    """Measured without the test split, which must not be looked at for a choice."""
    if dataset.kind not in ("class", "ordinal"):
        return []
    place = {name: k for k, name in enumerate(dataset.classes)}
    rows = [
        row
        for row, case in enumerate(dataset.cases)
        if seen.rows["seen"][row] and case.split != "test"
    ]
    if not rows:
        return []
    labels = [place.get(dataset.labels[row], -1) for row in rows]
    groups = np.unique([dataset.cases[row].group for row in rows], return_inverse=True)[1]
    return shortcuts(clues(seen.rows[rows]), labels, groups)


def _shortcut(dataset: Dataset, found: Shortcut) -> Problem:
    label, share = max(found.recall.items(), key=lambda entry: entry[1])
    best, best_zh = "", ""
    if len(found.recall) > 2:
        name = dataset.classes[label]
        best = f"; {name!r} is told best, {share:.0%} of its cases"
        best_zh = f"；最易识别的是“{name}”（{share:.0%}）"
    return problem(
        "shortcut",
        clue=found.clue,
        clue_zh=CLUES_ZH[found.clue],
        value=found.balanced_accuracy,
        low=found.low,
        high=found.high,
        chance=found.chance,
        n=found.n,
        best=best,
        best_zh=best_zh,
    )


def _notes(dataset: Dataset) -> Iterator[Problem]:
    unknown = sum(not case.patient for case in dataset.cases)
    if unknown:
        yield problem("patients_unknown", n=unknown, total=len(dataset))
    if dataset.info.checksum and checksum(dataset.cases) != dataset.info.checksum:
        yield problem("changed_since_import")
