"""Probabilities of every label on the scan's grid, a byte each, beside the labels."""

import numpy as np
import pytest

from tomos.inference.decision import Ask
from tomos.inference.grids import Grid
from tomos.inference.labelling import labels_on_grid
from tomos.types import SettingsError

pytestmark = pytest.mark.fast
HALF = np.diag([0.5, 0.5, 0.5, 1.0])
TURNED = np.array([[0.8, -0.6, 0, 0], [0.6, 0.8, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def likely(scores):
    grown = np.exp(scores - scores.max(axis=0))
    return np.rint(255 * grown / grown.sum(axis=0))[1:]


def labelled(scores, affine=None, size=None, **asked):
    prepared = Grid(scores.shape[1:], np.eye(4))
    scan = Grid(size or scores.shape[1:], np.eye(4) if affine is None else affine)
    chances = np.zeros((len(scores) - 1, *scan.size), np.uint8)
    ask = Ask(len(scores), uncertainty=True, threads=2, **asked)
    return labels_on_grid([scores], prepared, scan, ask, chances), chances


@pytest.mark.parametrize("size", [(7, 9, 5), (6, 8)])
def test_they_are_the_softmax_of_the_scores(size):
    scores = np.random.default_rng(0).normal(0, 2, (4, *size)).astype(np.float32)
    found, chances = labelled(scores)
    assert np.abs(chances - likely(scores)).max() <= 1
    assert (found.labels == scores.argmax(axis=0)).all()
    outlined = found.labels > 0
    best = np.take_along_axis(chances, found.labels[None].astype(int).clip(1) - 1, 0)[0]
    assert (best[outlined] >= chances.max(axis=0)[outlined] - 1).all()


def test_between_two_prepared_voxels_the_scores_are_mixed():
    """Voxels half as large: a quarter and three quarters of the way, then softmax."""
    scores = np.zeros((2, 1, 1, 2), np.float32)
    scores[1, 0, 0] = [-4, 4]
    affine = HALF.copy()
    affine[:3, 3] = [0, 0, -0.25]
    _, chances = labelled(scores, affine, (1, 1, 4))
    expected = [255 / (1 + np.exp(-logit)) for logit in (-4, -2, 2, 4)]
    assert chances[0, 0, 0] == pytest.approx(np.rint(expected), abs=1)


def test_where_one_class_is_sure_the_others_are_0():
    scores = np.full((3, 40, 70, 70), -30, np.float32)
    scores[0, :20], scores[2, 20:] = 30, 30
    _, chances = labelled(scores)
    assert not chances[0].any()
    assert (chances[1, :20] == 0).all() and (chances[1, 20:] == 255).all()


def test_grids_that_are_turned_give_the_same_and_nothing_outside():
    scores = np.zeros((2, 8, 8, 4), np.float32)
    scores[1] = 3
    found, chances = labelled(scores, TURNED, (8, 8, 4), entropy=True)
    inside = found.entropy > 0
    assert inside.any() and not inside.all()
    assert set(np.unique(chances[0][inside])) == {int(likely(scores)[0, 0, 0, 0])}
    assert not chances[0][~inside].any()


@pytest.mark.parametrize("room", [np.zeros((2, 4, 4, 4), "u1"), np.zeros((1, 4, 4, 4), "f4")])
def test_another_shape_or_type_is_refused(room):
    scores, grid = np.zeros((2, 4, 4, 4), np.float32), Grid((4, 4, 4), np.eye(4))
    with pytest.raises(SettingsError, match=r"uint8 of shape \(1, 4, 4, 4\)"):
        labels_on_grid([scores], grid, grid, Ask(2, uncertainty=True), room)
    with pytest.raises(SettingsError, match="uncertainty asked for"):
        labels_on_grid([scores], grid, grid, Ask(2), np.zeros((1, 4, 4, 4), "u1"))
