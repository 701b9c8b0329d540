"""Teaching slices of volumes, with their neighbours as further channels, and kinds together."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from tomos import config, train
from tomos.inference.tiles import Tiling, course, seen
from tomos.plan import Plan
from tomos.train import learner, probe, segment
from tomos.transforms.augment import PatchChain, Way
from tomos.types import DatasetError, SettingsError, Silent

NET = {"name": "unet", "options": {"widths": [8, 16], "strides": [1, 2]}}
DEEP = {"name": "unet", "options": {"dims": 3, "widths": [4, 8], "strides": [1, 2]}}


@dataclass
class Volumes:
    """Volumes (6, 24, 24) of `channels`; `paint(z)` gives a slice's picture and labels."""

    paint: object
    n: int = 3
    channels: int = 1
    images: list = field(init=False)
    masks: list = field(init=False)

    def __post_init__(self):
        self.images, self.masks = [], []
        for row in range(self.n):
            slices = [self.paint(row, z) for z in range(6)]
            self.images.append(np.stack([image for image, _ in slices], axis=1))
            self.masks.append(np.stack([labels for _, labels in slices]))
        self.sizes = np.array([mask.shape for mask in self.masks])
        self.counts = np.array([np.bincount(m.ravel(), minlength=256)[:2] for m in self.masks])
        self.nbytes = 1000

    def box(self, row, low, high):
        part = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        return self.images[row][(slice(None), *part)], self.masks[row][part]

    def places(self, row, label):
        return np.argwhere(self.masks[row] == label)

    def to_memory(self):
        pass


def numbered(row, z):
    """Every voxel says its slice, in the second channel 10 more; the label is its parity."""
    image = np.stack([np.full((24, 24), z), np.full((24, 24), z + 10)]).astype(np.float32)
    return image, np.full((24, 24), z % 2, np.uint8)


def foretold(row, z):
    """A square lies where the slice before is bright; a slice itself tells nothing of it."""
    rng = np.random.default_rng([row, z])
    y, x = np.random.default_rng([7, row, max(0, z - 1)]).integers(2, 12, 2)
    labels = np.zeros((24, 24), np.uint8)
    if z:
        labels[y : y + 10, x : x + 10] = 1
    y, x = np.random.default_rng([7, row, z]).integers(2, 12, 2)
    image = 0.2 * rng.standard_normal((1, 24, 24)).astype(np.float32)
    image[0, y : y + 10, x : x + 10] += 2
    return image, labels


def plan(context=1, model=NET, size=(16, 16), **changes):
    training = {
        "loss": "dice_cross_entropy", "learning_rate": 5e-3, "batch": 4, "epochs": 8,
        "patches": 16, "threads": 1,
    }  # fmt: skip
    values = {
        "task": "segment",
        "kind": "mask",
        "target": "mask",
        "classes": ["square"],
        "size": size,
        "spacing": [4.0, 1.0, 1.0],
        "context": context,
        "dataset": {"name": "t", "checksum": "", "n_train": 3, "n_val": 3, "n_patients": 3},
        "prepare": [],
        "model": model,
        "train": training,
        "budget": {"minutes": 5},
    }
    return config.parse(Plan, {**values, **changes}, "plan")


def shown(wish, data, spots, steps=()):
    """(x, target) of patches about these voxels."""
    spots = [segment.Spot(row, centre) for row, centre in spots]
    chain = PatchChain(steps, wish.size, 0, wish.spacing[-2:])
    patches = segment.Patches(data, spots, chain, 0, None, wish.context)
    return next(patches.batches([np.arange(len(spots))]))


def test_a_patch_shows_its_slice_between_its_neighbours():
    data, wish = Volumes(numbered, channels=2), plan(context=1, channels=2)
    assert wish.inputs == 6
    x, target = shown(wish, data, [(0, (3, 12, 12)), (1, (0, 12, 12)), (2, (5, 12, 12))])
    assert x.shape == (3, 6, 16, 16)
    assert target.shape == (3, 16, 16)
    # All slices of the first channel, then those of the second; rims repeat.
    assert x[:, :, 4, 4].tolist() == [
        [2, 3, 4, 12, 13, 14],
        [0, 0, 1, 10, 10, 11],
        [4, 5, 5, 14, 15, 15],
    ]
    assert target[:, 0, 0].tolist() == [1, 0, 1]
    assert (x == x[:, :, :1, :1]).all()


@pytest.mark.parametrize("context", [0, 1, 3])
def test_what_is_learned_from_is_what_inference_shows(context):
    """The patch of a slice is the tile at the same place."""
    rng = np.random.default_rng(3)

    def paint(row, z):
        return rng.standard_normal((2, 24, 24)).astype(np.float32), np.zeros((24, 24), np.uint8)

    data, wish = Volumes(paint, channels=2), plan(context)
    way = course((6, 24, 24), Tiling((16, 16), context=context))
    for z in range(6):
        x, _ = shown(wish, data, [(1, (z, 12, 12))])
        np.testing.assert_array_equal(x[0], seen(data.images[1], (z, 4, 4), way))


def test_more_neighbours_than_slices_repeat_the_rims():
    x, _ = shown(plan(context=4), Volumes(numbered, channels=2), [(0, (2, 12, 12))])
    assert x[0, :9, 0, 0].tolist() == [0, 0, 0, 1, 2, 3, 4, 5, 5]


def test_without_neighbours_a_patch_is_the_slice():
    x, target = shown(plan(context=0), Volumes(numbered, channels=2), [(0, (3, 12, 12))])
    assert x[0, :, 0, 0].tolist() == [3, 13]
    assert target[0, 0, 0] == 1


@pytest.mark.parametrize("backend", ["torch", "numba"])
def test_a_flat_patch_is_a_patch_of_volumes_that_is_turned_in_its_plane(backend):
    """The same numbers in 3D, with no turn about the other axes, out of the same volume."""
    if backend == "numba":
        pytest.importorskip("numba")
    rng = np.random.default_rng(0)
    volume = rng.standard_normal((1, 9, 40, 40)).astype(np.float32)
    labels = rng.integers(0, 3, (9, 40, 40)).astype(np.uint8)
    way = Way(backend, 1)
    turn = {"step": "rotate", "degrees": 30.0, "degrees_y": 0.0, "degrees_x": 0.0}
    deep = PatchChain([turn], (3, 16, 16), 5, (4.0, 1.0, 1.0), way)
    flat = PatchChain([turn], (16, 16), 5, (1.0, 1.0), way)
    angle = np.float32([[21.0]])
    found, said = flat.apply(
        [volume[0, 3:6]], [labels[4]], angle, [0], np.array([[20, 20]]), torch.device("cpu")
    )
    whole, names = deep.apply(
        [volume], [labels], np.float32([[21.0, 0, 0]]), [0], np.array([[4, 20, 20]])
    )
    np.testing.assert_allclose(found[0].numpy(), whole[0, 0].numpy(), atol=1e-4)
    assert (said[0] == names[0, 1]).float().mean() > 0.999


def test_slices_about_a_label_are_found():
    data = Volumes(foretold)
    wish = plan().model_copy(update={"train": plan().train.model_copy(update={"foreground": 1.0})})
    spots = segment.drawn(wish, data, 30, np.random.default_rng(0))
    for spot in spots:
        z, y, x = spot.centre
        assert 8 <= y <= 16 and 8 <= x <= 16  # the patch lies inside its slice
        assert (data.masks[spot.row][z, y - 8 : y + 8, x - 8 : x + 8] == 1).any()
    assert {spot.centre[0] for spot in spots} == {1, 2, 3, 4, 5}


def test_what_the_slice_before_tells_is_learned_with_neighbours_only(tmp_path):
    found = {}
    for context in (0, 1):
        wish, data = plan(context), Volumes(foretold)
        done = train.train(wish, data, data, tmp_path / str(context), Silent())
        found[context] = done.history[-1].validation["dice"]
    assert found[1] > 0.8
    assert found[0] < found[1] - 0.2


def both(**changes):
    other = plan(context=1).model_dump(include={"size", "context", "augment", "model", "train"})
    few = {**other["train"], "epochs": 2, "patches": 8}
    also = [{**other, "train": few}]
    return plan(context=0, model=DEEP, size=(4, 16, 16), also=also, train=few, **changes)


def test_kinds_are_trained_one_after_another_each_in_its_own_way(tmp_path):
    data = Volumes(foretold)
    done = train.train(both(), data, data, tmp_path, Silent())
    assert [net.dims for net in done.nets] == [3, 2]
    assert done.nets[1].channels == 3
    assert [(epoch.member, epoch.epoch) for epoch in done.history] == [
        (0, 1),
        (0, 2),
        (1, 1),
        (1, 2),
    ]
    assert done.stopped == ("finished", "finished")
    assert (tmp_path / "checkpoints" / "member2" / "best.safetensors").exists()


def test_a_run_of_two_kinds_that_was_killed_in_the_second_reaches_the_same_weights(tmp_path):
    class Stop(Exception):
        pass

    class Impatient(Silent):
        def step(self, done, total, note=""):
            if "net 2/2, epoch 2" in note:
                raise Stop

    data = Volumes(foretold)
    whole = train.train(both(), data, data, tmp_path / "a", Silent())
    with pytest.raises(Stop):
        train.train(both(), data, data, tmp_path / "b", Impatient(), save_every=0)
    again = train.train(both(), data, data, tmp_path / "b", Silent(), resume=True)
    for one, other in zip(whole.nets, again.nets, strict=True):
        for name, weights in one.state_dict().items():
            assert torch.equal(weights, other.state_dict()[name])


def test_what_is_measured_before_a_plan_is_fixed():
    assert probe.seconds_per_step(plan(), count=1) > 0
    assert probe.largest_batch(plan(), most=4) == 4
    tiles = segment.tiles_of(plan(), Volumes(foretold), 3)
    assert tiles.shape == (3, 3, 16, 16)
    made = segment.made(plan(context=2), 1)
    assert made.sizes.shape == (2, 3)
    assert made.sizes[0, 0] == 7
    assert learner.drawn(plan(context=2), 0).channels == 5


def test_pictures_do_not_fit_a_plan_for_slices_of_volumes():
    data = Volumes(foretold)
    data.sizes = data.sizes[:, 1:]
    with pytest.raises(DatasetError, match="expected cases of 1 channels and 3 axes, got 1 and 2"):
        segment.check(plan(), data, "train")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"size": (4, 16, 16), "model": DEEP}, "a context of 1 slices needs a size"),
        ({"spacing": [1.0, 1.0]}, "a context of 1 slices needs a size"),
        ({"spacing": [1.0, 1.0], "context": 0, "size": (4, 4, 4)}, "expected a size of 2 numbers"),
        ({"also": [{"size": (4, 4), "model": NET, "train": {"members": 16}}]}, "at most 16"),
    ],
)
def test_plans_that_contradict_themselves_are_refused(changes, said):
    with pytest.raises(SettingsError, match=said):
        plan(**changes)
