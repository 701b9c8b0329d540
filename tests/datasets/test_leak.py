"""The leak rule, row by row."""

import pytest
from small_pictures import picture

from tomos import datasets
from tomos.datasets.leak import find
from tomos.types import Case, LeakError


def rows(n_test=200, **twins):
    """10 train, 4 val, `n_test` test cases, all different; `twins` name = picture number."""
    made = []
    for k in range(10):
        made.append((f"train{k}", k, "ab"[k % 2], "train", ""))
    for k in range(4):
        made.append((f"val{k}", 100 + k, "ab"[k % 2], "val", ""))
    for k in range(n_test):
        made.append((f"test{k}", 200 + k, "ab"[k % 2], "test", ""))
    return [(name, picture(twins.get(name, seed), 16), *rest) for name, seed, *rest in made]


def test_a_copy_under_one_percent_goes_from_the_training_side(make):
    data = make(rows(n_test=101, test0=3, val1=5))
    learn = datasets.learnable(data)
    assert [(d.case, d.twin) for d in learn.dropped] == [("train3", "test0"), ("train5", "val1")]
    assert len(learn.train) == 8 and len(learn.val) == 4
    assert {case.split for case in learn.train.cases} == {"train"}
    assert any("2 cases are not learned from" in note.text for note in learn.notes)
    assert any("every case counts as its own patient" in note.text for note in learn.notes)


def test_a_val_copy_of_a_test_picture_goes_too(make):
    learn = datasets.learnable(make(rows(n_test=101, val2=207)))
    assert [(d.case, d.split, d.twin) for d in learn.dropped] == [("val2", "val", "test7")]


def test_one_percent_of_the_test_is_refused_with_the_cases(make):
    data = make(rows(n_test=100, test0=3))
    with pytest.raises(LeakError, match=r"1 of 100 test cases \(1.0%\).*train3 \[train\]") as error:
        datasets.learnable(data)
    assert error.value.exit_code == 1 and "--accept-leak" in str(error.value)
    learn = datasets.learnable(data, accept_leak="to repeat a published figure")
    assert len(learn.train) == 10
    assert "Leak accepted (to repeat a published figure)" in learn.notes[0].text


def test_a_patient_in_test_and_train_is_refused(make):
    made = rows(n_test=101)
    made[0] = (*made[0][:4], "p1")
    made[-1] = (*made[-1][:4], "p1")
    with pytest.raises(LeakError, match=r"1 patients.*train0 \[train\], test100 \[test\]"):
        datasets.learnable(make(made))


def test_a_patient_in_train_and_val_leaves_train(make):
    made = rows(n_test=20)
    made[0], made[1], made[10] = ((*made[k][:4], "p1") for k in (0, 1, 10))
    learn = datasets.learnable(make(made))
    assert [(d.case, d.twin, d.reason) for d in learn.dropped] == [
        ("train0", "val0", "the same patient"),
        ("train1", "val0", "the same patient"),
    ]


def test_every_image_of_a_case_counts(make, tmp_path):
    """The second view of a test case is the only view of a training case."""
    from tomos.types import Case

    data = make(rows(n_test=20))
    lateral = data.cases[0].image
    cases = [
        Case(c.name, {"image": c.image, "lateral": lateral}, c.targets, split=c.split)
        if c.name == "test0"
        else c
        for c in data.cases
    ]
    with pytest.raises(LeakError, match=r"1 of 20 test cases.*train0"):
        datasets.learnable(data.only(cases))


def test_looks_at_the_test_are_counted(make):
    data = make(rows(n_test=4))
    assert [datasets.look(data, model) for model in ("a", "a", "b")] == [1, 1, 2]
    assert datasets.looks(data, data.split("test").cases) == 2
    fewer = data.only(data.cases[:-1])
    assert datasets.look(fewer, "a") == 1, "other cases are another test set"


@pytest.mark.fast
def test_copies_within_one_split_are_no_leak():
    cases = [Case(f"c{k}", {"image": "x"}, split="train" if k < 2 else "test") for k in range(4)]
    assert not find(cases, [[0, 1], [2, 3]]).refused
    leak = find(cases, [[0, 2, 3]])
    assert leak.refused and leak.touched == 2 and leak.touched_share == 1.0
