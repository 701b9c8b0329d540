"""What cannot be learned from is refused, with the reason and what to do."""

import numpy as np
import pytest

from tomos import train
from tomos.train.classify import check
from tomos.types import DatasetError, PlanError


def test_sound_data_pass_without_a_word(plan, squares):
    assert check(plan(), squares(20), "train") == []


def test_one_class_is_refused_before_anything_is_written(plan, squares, run):
    data = squares(20)
    data.targets[:] = 1
    with pytest.raises(DatasetError, match=r"all 20 cases are 'yes'.*at least two classes"):
        train.train(plan(), data, squares(20), run)
    assert not run.exists()


def test_labels_of_one_value_are_refused(plan, squares):
    data = squares(20)
    data.targets = np.ones((20, 2), np.float32)
    with pytest.raises(DatasetError, match="every label has one value"):
        check(plan(kind="multilabel", loss="bce"), data, "train")
    data.targets[:] = 0.5
    with pytest.raises(DatasetError, match=r"labels are 0, 1 or not assessed, got 0.5"):
        check(plan(kind="multilabel", loss="bce"), data, "train")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_found_by_row(plan, squares, bad):
    data = squares(20)
    data.images[13, 0, 4, 4] = bad
    with pytest.raises(DatasetError, match=r"row 13 holds NaN or infinity.*tomos check"):
        check(plan(), data, "train")


def test_shapes(plan, squares):
    data = squares(20)
    data.images = data.images.transpose(0, 2, 3, 1)
    with pytest.raises(DatasetError, match=r"\(N, 1, 12, 12\).*channels stand last"):
        check(plan(), data, "train")
    data.images = np.zeros((20, 3, 12, 12), np.float32)
    with pytest.raises(DatasetError, match="3 channels and the plan says 1"):
        check(plan(), data, "train")
    data.images = np.zeros((20, 1, 14, 12), np.float32)
    with pytest.raises(DatasetError, match="prepared by another plan"):
        check(plan(), data, "train")
    data.images = [np.zeros((1, 12, 12)), np.zeros((1, 12, 13))]
    with pytest.raises(DatasetError, match=r"2 sizes.*'resize' or 'pad'"):
        check(plan(), data, "train")


def test_targets(plan, squares):
    data = squares(20)
    data.targets[4] = 2
    with pytest.raises(DatasetError, match=r"class numbers 0\.\.1 \(no, yes\), got 2"):
        check(plan(), data, "train")
    with pytest.raises(DatasetError, match=r"targets \(N, 2\), got \(20,\)"):
        check(plan(kind="multilabel", loss="bce"), data, "train")
    data.targets = np.zeros((20, 2))
    with pytest.raises(PlanError, match="set kind = 'multilabel'"):
        check(plan(), data, "train")
    data.targets = np.full(20, -1)
    with pytest.raises(DatasetError, match="no case has a value for target 'label'"):
        check(plan(), data, "train")
    data.targets = np.zeros(19, int)
    with pytest.raises(DatasetError, match="20 images, 19 targets, 20 patients"):
        check(plan(), data, "train")


def test_what_is_odd_is_told_and_learned_from(plan, squares, run, heard):
    data = squares(40)
    data.targets[10:15] = -1
    done = train.train(
        plan(epochs=1, classes=("no", "yes", "maybe")), data, squares(20), run, heard
    )
    assert "no case of maybe" in done.notes[0] and "5 of 40 cases are not assessed" in done.notes[1]
    assert list(done.notes) == heard.said


def test_plan_errors(plan, squares, run):
    data = squares(20)
    with pytest.raises(PlanError, match="expected 2 numbers"):
        train.train(plan(class_weights=(1.0,)), data, data, run)
    with pytest.raises(PlanError, match="this machine does not have"):
        train.train(plan(), data, data, run, device="cuda:7")
    with pytest.raises(PlanError, match="expected auto, cpu"):
        train.train(plan(), data, data, run, device="abacus")
