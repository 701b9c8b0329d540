"""Splits by patient, stratified; small enough to count by hand."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from tomos.datasets import folds, split
from tomos.datasets.split import as_fold, in_words, parse_fold, parse_ratios
from tomos.types import Case, SettingsError

pytestmark = pytest.mark.fast


def cases(labels, patients=None):
    patients = patients or [""] * len(labels)
    return [
        Case(f"c{k:04d}", {"image": "x"}, {"label": label}, patient=patient)
        for k, (label, patient) in enumerate(zip(labels, patients, strict=True))
    ]


def test_shares_are_kept_in_every_class():
    found = split(cases(["a"] * 100 + ["b"] * 20), "label")
    count = Counter((case.targets["label"], case.split) for case in found)
    assert [count["a", s] for s in ("train", "val", "test")] == [70, 10, 20]
    assert [count["b", s] for s in ("train", "val", "test")] == [14, 2, 4]


def test_a_patient_is_never_divided():
    rng = np.random.default_rng(0)
    people = [f"p{k}" for k in rng.integers(0, 60, 300)]
    found = split(cases(list(rng.choice(["a", "b", "c"], 300)), people), "label")
    sides = {case.patient: set() for case in found}
    for case in found:
        sides[case.patient].add(case.split)
    assert all(len(parts) == 1 for parts in sides.values())
    assert 190 <= sum(case.split == "train" for case in found) <= 230


def test_equal_pictures_stay_together():
    found = split(cases(["a"] * 50), "label", together=[[3, 17, 40]])
    assert len({found[row].split for row in (3, 17, 40)}) == 1


@pytest.mark.parametrize(("n", "where"), [(1, ["train"]), (2, ["train", "test"])])
def test_a_class_of_one_is_learned(n, where):
    found = split(cases(["a"] * 50 + ["rare"] * n), "label")
    assert sorted(c.split for c in found if c.targets["label"] == "rare") == sorted(where)


def test_the_order_of_rows_does_not_matter_and_the_seed_does():
    rows = cases(["a", "b"] * 40)
    first = {case.name: case.split for case in split(rows, "label")}
    again = {case.name: case.split for case in split(rows[::-1], "label")}
    other = {case.name: case.split for case in split(rows, "label", seed=1)}
    assert first == again and first != other


def test_whole_sites():
    rows = [replace(case, site=f"s{k % 10}") for k, case in enumerate(cases(["a"] * 100))]
    found = split(rows, "label", by="site")
    assert all(len({case.split for case in found if case.site == f"s{k}"}) == 1 for k in range(10))


def test_folds_are_even_and_by_patient():
    rows = cases(["a"] * 50 + ["b"] * 50, [f"p{k // 2}" for k in range(100)])
    fold = folds(rows, "label", 5)
    assert np.bincount(fold).tolist() == [20] * 5
    assert (fold[::2] == fold[1::2]).all()
    with pytest.raises(SettingsError, match="expected 2 to 2"):
        folds(cases(["a", "b"]), "label", 3)


@pytest.mark.parametrize("text", ["70/30", "a/b/c", "0/10/20", "70/-1/20"])
def test_wrong_shares_are_refused(text):
    with pytest.raises(SettingsError, match="--split"):
        parse_ratios(text)


def test_rounds_of_cross_validation_cover_what_is_learned_from_and_leave_the_test():
    rows = cases(["a"] * 60 + ["b"] * 40, [f"p{k // 2}" for k in range(100)])
    rows = [
        replace(case, split="test" if k % 10 < 2 else "val" if k % 10 < 4 else "train")
        for k, case in enumerate(rows)
    ]
    seen = Counter()
    for number in range(1, 5):
        found = as_fold(rows, "label", number, 4, together=[[2, 99]])
        assert [c.name for c in found] == [c.name for c in rows]
        for before, after in zip(rows, found, strict=True):
            assert (before.split == "test") == (after.split == "test")
        held = {case.name for case in found if case.split == "fold"}
        parts = Counter(case.split for case in found)
        assert parts["fold"] == pytest.approx(20, abs=1) and parts["test"] == 20
        assert parts["val"] == pytest.approx(15, abs=2), "a quarter of what is left, as before"
        assert ("c0002" in held) == ("c0099" in held), "equal pictures stay together"
        sides = {case.patient: case.split for case in found}
        assert all(sides[case.patient] == case.split for case in found)
        seen.update(held)
    assert set(seen.values()) == {1} and len(seen) == 80


@pytest.mark.parametrize("text", ["2", "0/5", "6/5", "1/1", "a/5", "2/5/5"])
def test_wrong_folds_are_refused(text):
    with pytest.raises(SettingsError, match="--fold"):
        parse_fold(text)
    assert parse_fold("2/5") == (2, 5)


@pytest.mark.parametrize(
    ("rule", "zh"),
    [
        (
            "70/10/20 by patient, stratified by label, seed 3",
            "70/10/20，按患者划分，按标签分层，随机种子 3",
        ),
        (
            "90/10/0 by site, stratified by mask, seed 0",
            "90/10/0，按机构划分，按掩膜分层，随机种子 0",
        ),
        ("official", "沿用原有划分"),
        (
            "official; 12.5% of train made val by patient, seed 0",
            "沿用原有划分；训练集的 12.5% 按患者划为验证集，随机种子 0",
        ),
        ("as the authors did", ""),
    ],
)
def test_how_the_cases_were_divided_is_said_in_chinese(rule, zh):
    said = in_words(rule)
    assert (said.en, said.zh) == (rule, zh)
