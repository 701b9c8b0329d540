"""Teaching to segment: squares on noise."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from tomos import config, train
from tomos.plan import Plan
from tomos.train import segment
from tomos.types import DatasetError, Silent


@dataclass
class Squares:
    """Pictures with one bright square each, label 1; a rim that nobody knows."""

    n: int = 8
    side: int = 40
    images: list = field(init=False)
    masks: list = field(init=False)

    def __post_init__(self):
        rng = np.random.default_rng(1)
        self.images, self.masks = [], []
        for _ in range(self.n):
            y, x = rng.integers(6, self.side - 18, 2)
            labels = np.zeros((self.side, self.side), np.uint8)
            labels[y : y + 12, x : x + 12] = 1
            image = rng.standard_normal((1, *labels.shape)).astype(np.float32) + 2 * labels
            labels[:2] = 255
            self.images.append(image)
            self.masks.append(labels)
        self.sizes = np.array([mask.shape for mask in self.masks])
        self.counts = np.array([np.bincount(m.ravel(), minlength=256)[:2] for m in self.masks])
        self.channels, self.nbytes = 1, 1000

    def box(self, row, low, high):
        part = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        return self.images[row][(slice(None), *part)], self.masks[row][part]

    def places(self, row, label):
        return np.argwhere(self.masks[row] == label)

    def to_memory(self):
        pass


def plan(**training):
    values = {
        "task": "segment",
        "kind": "mask",
        "target": "mask",
        "classes": ["square"],
        "size": [32, 32],
        "spacing": [1.0, 1.0],
        "dataset": {"name": "t", "checksum": "", "n_train": 8, "n_val": 8, "n_patients": 8},
        "prepare": [],
        "augment": [{"step": "flip", "x": 0.5}, {"step": "rotate", "degrees": 10}],
        "model": {"name": "unet", "options": {"widths": [8, 16, 32], "strides": [1, 2]}},
        "train": {
            "loss": "dice_cross_entropy",
            "learning_rate": 3e-3,
            "batch": 4,
            "epochs": 6,
            "patches": 16,
            "ema": 0.9,
            "threads": 1,
            **training,
        },
        "budget": {"minutes": 5},
    }
    return config.parse(Plan, values, "plan")


def test_squares_are_found(tmp_path):
    done = train.train(plan(), Squares(), Squares(), tmp_path, Silent())
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

    whole = train.train(plan(), Squares(), Squares(), tmp_path / "a", Silent())
    with pytest.raises(Stop):
        train.train(plan(), Squares(), Squares(), tmp_path / "b", Impatient(), save_every=0)
    again = train.train(plan(), Squares(), Squares(), tmp_path / "b", Silent(), resume=True)
    for one, other in zip(
        whole.nets[0].state_dict().values(), again.nets[0].state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)


def test_half_of_the_patches_lie_about_a_label():
    data, wish = Squares(64), plan(foreground=1.0)
    spots = segment.drawn(wish, data, 64, np.random.default_rng(0))
    assert sorted(spot.row for spot in spots) == list(range(64))
    for spot in spots:
        low = np.array(spot.centre) - 16
        box = data.masks[spot.row][low[0] : low[0] + 32, low[1] : low[1] + 32]
        assert box.shape == (32, 32)  # the whole patch lies in the picture
        assert (box == 1).any()


def test_what_nobody_knows_teaches_nothing():
    labels = torch.tensor([[0, 1, 255]], dtype=torch.uint8)
    assert segment.as_target(labels).tolist() == [[0, 1, -1]]
    judged = segment._overlap(
        torch.tensor([[[0.0, 0, 0]], [[1, 1, 1]]]).unsqueeze(0), segment.as_target(labels)[None], 2
    )
    assert judged.tolist() == [[0, 1], [0, 2], [1, 1]]


def test_patches_are_a_function_of_seed_and_epoch():
    from tomos.train import learner

    one = segment.Lesson(plan(), Squares(), learner.new(plan(), torch.device("cpu")))
    first, again, other = (
        next(one.epoch(number).batches([np.arange(4)]))[0] for number in (3, 3, 4)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_data_that_do_not_fit_the_plan_are_refused():
    data = Squares()
    data.channels = 3
    with pytest.raises(DatasetError, match="expected cases of 1 channels and 2 axes, got 3"):
        segment.check(plan(), data, "train")
    empty = Squares()
    empty.counts[:, 1] = 0
    with pytest.raises(DatasetError, match="every mask is empty"):
        segment.check(plan(), empty, "train")
    assert segment.check(plan(), empty, "val") == [
        "val: no case has square; it cannot be learned or judged"
    ]
