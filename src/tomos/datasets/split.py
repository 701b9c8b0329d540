"""Dividing cases by patient, stratified by label, equal pictures together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tomos.datasets.cases import ADDRESS_TARGETS, FOLD
from tomos.datasets.duplicates import joined
from tomos.types import Case, SettingsError, Words

RATIOS = {"train": 70.0, "val": 10.0, "test": 20.0}
VAL = 1 / 8  # of what a round learns from, where the data set has no validation part
# How `dataset.toml` says that a data set was divided (importing.py), and the same in Chinese.
BY = {"patient": "患者", "site": "机构"}
TARGETS = {"label": "标签", "mask": "掩膜"}
DEALT = re.compile(r"(\S+) by (\w+), stratified by (.+), seed (\d+)")
OFFICIAL = re.compile(r"official(?:; (\S+) of train made val by (\w+), seed (\d+))?")
# Where a class with one group goes first, with two, ...: something must be learned before all else.
ORDER = ("train", "test", "val")


@dataclass(frozen=True)
class _Group:
    """Cases that must stay together; `counts` of each label."""

    rows: tuple[int, ...]
    counts: Counter


def parse_ratios(text: str) -> dict[str, float]:
    """'70/10/20' -> shares of train, val and test. Raises SettingsError."""
    try:
        train, val, test = (float(part) for part in text.split("/"))
    except ValueError:
        raise SettingsError(f"--split {text}: expected three numbers, as in 70/10/20") from None
    if train <= 0 or min(val, test) < 0:
        raise SettingsError(f"--split {text}: train must be above 0, val and test not below")
    return {"train": train, "val": val, "test": test}


def parse_fold(text: str) -> tuple[int, int]:
    """'2/5' -> (2, 5), the second of five. Raises SettingsError."""
    number, slash, of = text.partition("/")
    if not (slash and number.strip().isdigit() and of.strip().isdigit()):
        raise SettingsError(f"--fold {text}: expected one of several folds, as in 2/5")
    if not 1 <= int(number) <= int(of) or int(of) < 2:
        raise SettingsError(f"--fold {text}: expected 1/{of} to {of}/{of}, of at least 2")
    return int(number), int(of)


def in_words(rule: str) -> Words:
    """What `dataset.toml` says of its split, in both languages where the sentence is ours."""
    if found := DEALT.fullmatch(rule):
        shares, by, target, seed = found.groups()
        by, target = BY.get(by, f" {by} "), TARGETS.get(target, f" {target} ")
        return Words(rule, f"{shares}，按{by}划分，按{target}分层，随机种子 {seed}")
    if found := OFFICIAL.fullmatch(rule):
        share, by, seed = found.groups()
        zh = "沿用原有划分"
        if share:
            by = BY.get(by, f" {by} ")
            zh += f"；训练集的 {share} 按{by}划为验证集，随机种子 {seed}"
        return Words(rule, zh)
    return Words(rule)


def split(
    cases: Sequence[Case],
    target: str,
    ratios: Mapping[str, float] = RATIOS,
    seed: int = 0,
    together: Iterable[Sequence[int]] = (),
    by: str = "patient",
) -> tuple[Case, ...]:
    """Give every case its split.

    target    whose label cells are kept in proportion in every part
    together  groups of row numbers that must not be parted (equal pictures)
    by        "patient", or "site": whole sites then lie in one part
    The same cases, seed and ratios give the same answer, whatever the order of the rows.
    """
    groups = _groups(cases, target, together, by)
    wanted = {name: share for name, share in ratios.items() if share > 0}
    parts = [*(name for name in ORDER if name in wanted)]
    place = _assign(groups, {name: wanted[name] for name in parts}, seed)
    found = [""] * len(cases)
    for group, part in zip(groups, place, strict=True):
        for row in group.rows:
            found[row] = part
    return tuple(replace(case, split=part) for case, part in zip(cases, found, strict=True))


def folds(
    cases: Sequence[Case],
    target: str,
    k: int = 5,
    seed: int = 0,
    together: Iterable[Sequence[int]] = (),
) -> np.ndarray:
    """(N,) int: which of `k` folds each case belongs to, by patient, stratified by label.

    Raises SettingsError when there are fewer patients than folds.
    """
    groups = _groups(cases, target, together, "patient")
    if not 2 <= k <= len(groups):
        raise SettingsError(f"{k} folds: expected 2 to {len(groups)}, the number of patients")
    names = [str(fold) for fold in range(k)]
    place = _assign(groups, dict.fromkeys(names, 1.0), seed)
    fold = np.zeros(len(cases), np.int64)
    for group, name in zip(groups, place, strict=True):
        fold[list(group.rows)] = int(name)
    return fold


def as_fold(
    cases: Sequence[Case],
    target: str,
    number: int,
    of: int,
    seed: int = 0,
    together: Iterable[Sequence[int]] = (),
) -> tuple[Case, ...]:
    """The split for one round of cross-validation: of the cases in train and val, those of fold
    `number` (from 1) are "fold", to be judged on; the rest is dealt out as train and val anew, in
    the shares that they had. The test split stays as it is, locked.

    `together` as for `split`. The folds of one seed do not overlap and cover every such case.
    """
    rows = [row for row, case in enumerate(cases) if case.split in ("train", "val")]
    tied = _within(rows, together)
    found = folds([cases[row] for row in rows], target, of, seed, tied)
    parts = dict.fromkeys(rows, FOLD)
    rest = [row for row, k in zip(rows, found, strict=True) if k != number - 1]
    val = sum(cases[row].split == "val" for row in rows) / max(1, len(rows)) or VAL
    ratios = {"train": 1 - val, "val": val}
    dealt = split([cases[row] for row in rest], target, ratios, seed, _within(rest, together))
    parts.update({row: case.split for row, case in zip(rest, dealt, strict=True)})
    return tuple(
        replace(case, split=parts[row]) if row in parts else case for row, case in enumerate(cases)
    )


def _within(rows: Sequence[int], together: Iterable[Sequence[int]]) -> list[list[int]]:
    """Groups of cases as places in `rows`; what is alone there is no group."""
    place = {row: k for k, row in enumerate(rows)}
    inside = [[place[row] for row in group if row in place] for group in together]
    return [group for group in inside if len(group) > 1]


def _groups(cases, target, together, by) -> list[_Group]:
    """Cases that share a patient (or site) or a picture, in an order that rows cannot change."""
    first: dict[str, int] = {}
    links = [list(group) for group in together]
    for row, case in enumerate(cases):
        key = (case.site or case.group) if by == "site" else case.group
        links.append([first.setdefault(key, row), row])
    tied = joined(links)
    single = set(range(len(cases))) - {row for group in tied for row in group}
    rows = [*(tuple(group) for group in tied), *((row,) for row in single)]
    rows.sort(key=lambda group: min(cases[row].name for row in group))
    return [_Group(g, Counter(_label(cases[row], target) for row in g)) for g in rows]


def _label(case: Case, target: str) -> str:
    """What is kept in proportion; of a mask or boxes, whose cell is an address, only whether there
    are any."""
    cell = case.targets.get(target, "")
    return "given" if cell and target in ADDRESS_TARGETS else cell


def _assign(groups: Sequence[_Group], shares: Mapping[str, float], seed: int) -> list[str]:
    """Deal the groups out: rare classes first, large groups first, each to the emptiest part."""
    total: Counter = Counter()
    for group in groups:
        total.update(group.counts)
    whole = sum(shares.values())
    goal = {
        part: {label: n * share / whole for label, n in total.items()}
        for part, share in shares.items()
    }
    left = {part: dict(counts) for part, counts in goal.items()}
    chance = np.random.default_rng(seed).permutation(len(groups))
    rarest = [min(group.counts, key=lambda k: (total[k], k)) for group in groups]
    order = sorted(
        range(len(groups)),
        key=lambda g: (total[rarest[g]], rarest[g], -len(groups[g].rows), chance[g]),
    )
    place = [""] * len(groups)
    for g in order:
        part = _emptiest(groups[g], rarest[g], goal, left)
        place[g] = part
        for k, n in groups[g].counts.items():
            left[part][k] -= n
    return place


def _emptiest(group: _Group, rare: str, goal: Mapping, left: Mapping) -> str:
    """The part that lacks most of the group's rarest class, as a share of what it should get."""

    def lack(part: str) -> tuple[float, float]:
        overall = sum(left[part].values()) / max(sum(goal[part].values()), 1e-9)
        return (round(left[part][rare] / max(goal[part][rare], 1e-9), 9), round(overall, 9))

    # max keeps the first of equals: train, then test, then val.
    return max(goal, key=lack)
