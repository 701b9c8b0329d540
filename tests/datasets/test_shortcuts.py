"""A label that can be guessed from what should not matter, and one that cannot."""

import numpy as np
import pytest

from tomos.datasets import clues, shortcuts
from tomos.datasets.glance import glance
from tomos.types import Image

pytestmark = pytest.mark.fast


def test_a_clue_that_is_the_label_is_told():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    found = shortcuts(
        {
            "telling": np.eye(3)[labels] + rng.normal(0, 0.1, (300, 3)),
            "noise": rng.random((300, 4)),
        },
        labels,
        np.arange(300),
    )
    assert [clue.clue for clue in found] == ["telling", "noise"]
    assert found[0].balanced_accuracy > 0.95 and found[0].telling
    assert not found[1].telling and found[1].low < 1 / 3 < found[1].high + 0.05
    assert found[0].n == found[0].n_patients == 300 and set(found[0].recall) == {0, 1, 2}


def test_a_patient_is_never_on_both_sides():
    """Each patient has its own clue and its own label: nothing general can be learned."""
    rng = np.random.default_rng(1)
    people = np.repeat(np.arange(60), 10)
    labels = rng.integers(0, 2, 60)[people]
    found = shortcuts({"who": np.eye(60)[people]}, labels, people)
    assert found[0].balanced_accuracy < 0.6
    leaky = shortcuts({"who": np.eye(60)[people]}, labels, np.arange(600))
    assert leaky[0].balanced_accuracy > 0.95


def test_rare_classes_do_not_vanish():
    rng = np.random.default_rng(2)
    labels = (np.arange(400) < 20).astype(int)
    (found,) = shortcuts({"x": labels[:, None] + rng.normal(0, 0.2, (400, 1))}, labels, range(400))
    assert found.recall[1] > 0.9


def test_nothing_to_compare_is_nothing_to_tell():
    assert shortcuts({"x": np.zeros((9, 1))}, [0] * 9, range(9)) == []
    assert shortcuts({"x": np.ones((40, 1))}, [0, 1] * 20, range(40)) == []
    assert shortcuts({"x": np.ones((4, 1))}, [-1, -1, 0, 1], range(4)) == []


def test_clues_of_pictures_know_size_and_border():
    rng = np.random.default_rng(3)
    pictures, labels = [], []
    for k in range(120):
        side = 64 if k % 2 else 60
        pixels = rng.integers(0, 255, (1, side, 64), dtype=np.uint8)
        if k % 3 == 0:
            pixels[0, :3] = 0
        pictures.append(Image(pixels))
        labels.append(k % 2)
    rows = np.array([glance(image) for image in pictures])
    by_size = {c.clue: c for c in shortcuts(clues(rows), labels, range(120))}
    assert by_size["aspect ratio"].balanced_accuracy == 1.0
    assert not by_size["border of the picture"].telling
    marked = [int(k % 3 == 0) for k in range(120)]
    by_border = {c.clue: c for c in shortcuts(clues(rows), marked, range(120))}
    assert by_border["border of the picture"].balanced_accuracy > 0.95
    assert not by_border["aspect ratio"].telling
