"""Lesions found and missed, on pictures drawn by hand."""

import numpy as np
import pytest

from tomos.measures.lesions import Lesions, Match, lesions
from tomos.types import GeometryError, SettingsError

pytestmark = pytest.mark.fast


def picture(*rows: str) -> np.ndarray:
    return np.array([[0 if c == "." else int(c) for c in row] for row in rows], np.uint8)


TRUTH = picture(
    "1111......",
    "1111...1..",
    ".......1..",
    "..........",
    "11....2222",
)
FOUND = picture(
    ".1111.....",  # six of the eight, and two beside it
    ".1111.....",
    "..........",
    ".....1....",  # of nothing
    "1.....2...",
)


def test_hit_missed_and_of_nothing():
    first, second = lesions(FOUND, TRUTH, 2)
    assert first == Lesions(true=3, hit=2, found=3, right=2)
    assert second == Lesions(true=1, hit=1, found=1, right=1)
    assert first.sensitivity == first.precision == first.f1 == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("match", "hit", "right"),
    [
        (Match("cover", 0.5), 2, 2),  # 6 of 8 and 1 of 2; of the found 6 of 8 and 1 of 1
        (Match("cover", 0.6), 1, 2),
        (Match("iou", 0.5), 2, 2),  # 6 of 10 and 1 of 2
        (Match("iou", 0.6), 1, 1),
        (Match("iou", 0.61), 0, 0),
    ],
)
def test_stricter_rules(match, hit, right):
    first, _ = lesions(FOUND, TRUTH, 2, match)
    assert (first.hit, first.right) == (hit, right)


def test_one_finding_over_two_lesions_hits_both_unless_one_to_one():
    truth, found = picture("11.111"), picture("111111")
    assert lesions(found, truth, 1)[0] == Lesions(true=2, hit=2, found=1, right=1)
    one_to_one = lesions(found, truth, 1, Match("iou", 0.3))[0]
    assert one_to_one == Lesions(true=2, hit=1, found=1, right=1)
    assert lesions(found, truth, 1, Match("iou", 0.5))[0].hit == 1  # the larger one: 3 of 6


def test_another_label_in_the_same_place_is_no_hit():
    assert lesions(picture("11"), picture("22"), 2) == [Lesions(0, 0, 1, 0), Lesions(1, 0, 0, 0)]


def test_what_hangs_together_is_settable():
    truth, found = picture("1.", ".1"), picture("1.", "..")
    assert lesions(found, truth, 1)[0].true == 1
    assert lesions(found, truth, 1, Match(connectivity=1))[0] == Lesions(2, 1, 1, 1)


def test_counts_of_cases_add_up_and_empty_ones_are_told():
    assert Lesions(3, 2, 3, 1) + Lesions(1, 1, 0, 0) == Lesions(4, 3, 3, 1)
    nothing, only_true, only_found = Lesions(0, 0, 0, 0), Lesions(2, 0, 0, 0), Lesions(0, 0, 2, 0)
    assert np.isnan([nothing.sensitivity, nothing.precision, nothing.f1]).all()
    assert (only_true.sensitivity, only_true.f1) == (0, 0)
    assert (only_found.precision, only_found.f1) == (0, 0)
    assert Lesions(1, 0, 1, 0).f1 == 0
    assert "0.5" in Match("cover", 0.5).words


def test_wrong_input_is_refused_in_words():
    with pytest.raises(SettingsError, match="touch, cover or iou"):
        Match("dice")
    with pytest.raises(SettingsError, match="share"):
        Match("iou", 0)
    with pytest.raises(GeometryError, match="one grid"):
        lesions(FOUND, TRUTH[:2], 2)
