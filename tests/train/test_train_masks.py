"""Teaching to segment: squares on noise."""

import numpy as np
import pytest
import torch
from boxes_world import Boxes, a_mask_plan

from tomos import train
from tomos.train import segment
from tomos.types import DatasetError, Silent


def test_squares_are_found(tmp_path):
    done = train.train(a_mask_plan(), Boxes(), Boxes(), tmp_path, Silent())
    first, last = done.history[0].validation, done.history[-1].validation
    assert last["dice"] > 0.85 > first["dice"]
    assert last["loss"] < first["loss"]


def test_a_resumed_run_reaches_the_same_weights(tmp_path):
    class Stop(Exception):
        pass

    class Impatient(Silent):
        def step(self, done, total, note=""):
            if done == 11:
                raise Stop

    whole = train.train(a_mask_plan(), Boxes(), Boxes(), tmp_path / "a", Silent())
    with pytest.raises(Stop):
        train.train(a_mask_plan(), Boxes(), Boxes(), tmp_path / "b", Impatient(), save_every=0)
    again = train.train(a_mask_plan(), Boxes(), Boxes(), tmp_path / "b", Silent(), resume=True)
    for one, other in zip(
        whole.nets[0].state_dict().values(), again.nets[0].state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)


def test_half_of_the_patches_lie_about_a_label():
    data, wish = Boxes(64), a_mask_plan(foreground=1.0)
    spots = segment.drawn(wish, data, 64, np.random.default_rng(0))
    assert sorted(spot.row for spot in spots) == list(range(64))
    for spot in spots:
        low = np.array(spot.centre) - 16
        box = data.masks[spot.row][low[0] : low[0] + 32, low[1] : low[1] + 32]
        assert box.shape == (32, 32)  # the whole patch lies in the picture
        assert (box == 1).any()


def test_outside_the_region_of_interest_nothing_is_cut_out():
    """Of pictures whose left half nobody outlined, the other half of the patches lies right."""
    data = Boxes(16)
    for row, mask in enumerate(data.masks):
        mask[:, : mask.shape[1] // 2] = segment.IGNORED
        data.counts[row] = [(mask == label).sum() for label in (0, 1)]
    wish = a_mask_plan(side=8, foreground=0.0)
    spots = segment.drawn(wish, data, 64, np.random.default_rng(0))
    assert all(spot.centre[1] >= data.masks[0].shape[1] // 2 for spot in spots)
    assert len({spot.centre for spot in spots}) > 50


def test_what_nobody_knows_teaches_nothing():
    labels = torch.tensor([[0, 1, 255]], dtype=torch.uint8)
    assert segment.as_target(labels).tolist() == [[0, 1, -1]]
    judged = segment._overlap(
        torch.tensor([[[0.0, 0, 0]], [[1, 1, 1]]]).unsqueeze(0), segment.as_target(labels)[None], 2
    )
    assert judged.tolist() == [[0, 1], [0, 2], [1, 1]]


def test_patches_are_a_function_of_seed_and_epoch():
    from tomos.train import learner

    one = segment.Lesson(a_mask_plan(), Boxes(), learner.new(a_mask_plan(), torch.device("cpu")))
    first, again, other = (
        next(one.epoch(number).batches([np.arange(4)]))[0] for number in (3, 3, 4)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_data_that_do_not_fit_the_plan_are_refused():
    data = Boxes()
    data.channels = 3
    with pytest.raises(DatasetError, match="expected cases of 1 channels and 2 axes, got 3"):
        segment.check(a_mask_plan(), data, "train")
    empty = Boxes()
    empty.counts[:, 1] = 0
    with pytest.raises(DatasetError, match="every mask is empty"):
        segment.check(a_mask_plan(), empty, "train")
    assert segment.check(a_mask_plan(), empty, "val") == [
        "val: no case has square; it cannot be learned or judged"
    ]
