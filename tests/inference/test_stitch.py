"""Tiles put together again: what goes in comes out, slab by slab as all at once."""

import threading
import tracemalloc

import numpy as np
import pytest

from tomos.inference import _adding
from tomos.inference.stitch import Cancelled, OutOfMemory, memory, stitched
from tomos.inference.tiles import Tiling, tiles, weights
from tomos.types import PackageError, SettingsError

pytestmark = pytest.mark.fast


class Scaled:
    """A network of K classes whose scores are the first channel times 1, 2, ... K."""

    outputs = ("logits", "probabilities")

    def __init__(self, classes: int):
        self.classes = classes
        self.batches: list[tuple[int, ...]] = []

    def __call__(self, inputs, wanted=()):
        x = inputs["image"]
        assert x.dtype == np.float32
        self.batches.append(x.shape)
        factors = np.arange(1, self.classes + 1, dtype=np.float32)
        factors = factors.reshape(-1, *[1] * (x.ndim - 2))
        return dict.fromkeys(wanted, x[:, :1] * factors)


class InTile(Scaled):
    """Scores that depend on the place within the tile, so that overlaps truly blend."""

    def __call__(self, inputs, wanted=()):
        given = super().__call__(inputs, wanted)
        ramp = np.linspace(0, 1, inputs["image"].shape[-3], dtype=np.float32)[:, None, None]
        return {name: scores + ramp for name, scores in given.items()}


def volume(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def whole(slabs):
    return np.concatenate([slab.copy() for slab in slabs], axis=1)


def dense(network, x, classes, tile, overlap):
    """The sums of the whole volume at once, in float64: what slab by slab must give."""
    sums = np.zeros((classes, *x.shape[1:]))
    total = np.zeros(x.shape[1:])
    for place in tiles(x.shape[1:], tile, overlap):
        box = tuple(slice(p, p + t) for p, t in zip(place, tile, strict=True))
        w = weights(tile).astype(float)
        scores = network({"image": x[(slice(None), *box)][None]}, ("logits",))["logits"][0]
        sums[(slice(None), *box)] += scores * w
        total[box] += w
    return sums / total


SIZES = [
    ((21, 17, 13), (8, 8, 8)),
    ((8, 8, 8), (8, 8, 8)),
    ((5, 17, 3), (8, 8, 8)),  # smaller than the tile along two axes
    ((30, 7, 9), (4, 8, 16)),
    ((9, 20, 24), (8, 8)),  # slice by slice
    ((40, 50), (16, 16)),  # a picture
    ((5, 50), (16, 16)),
]


@pytest.mark.parametrize("batch", [1, 3, 50])
@pytest.mark.parametrize(("size", "tile"), SIZES)
@pytest.mark.parametrize("pad", ["edge", "reflect", "minimum"])
def test_a_network_that_changes_nothing_gives_back_the_picture(size, tile, batch, pad):
    x = volume(2, *size)
    found = whole(stitched(Scaled(3), x, 3, Tiling(tile, batch=batch, pad=pad)))
    assert found.shape == (3, *size) and found.dtype == np.float32
    for k in range(3):
        np.testing.assert_allclose(found[k], (k + 1) * x[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 2, 7, 100])
@pytest.mark.parametrize(("overlap", "rounding"), [(0.25, 1e-6), (0.5, 1e-6), (0.8, 3e-6)])
@pytest.mark.parametrize("threads", [1, 2])
def test_slab_by_slab_equals_all_at_once(batch, overlap, rounding, threads):
    x, tile = volume(1, 29, 19, 11), (8, 8, 8)
    network = InTile(3)
    tiling = Tiling(tile, overlap, batch, threads=threads)
    found = whole(stitched(network, x, 3, tiling))
    np.testing.assert_allclose(
        found, dense(network, x, 3, tile, overlap), atol=rounding, rtol=rounding
    )


@pytest.mark.parametrize(
    ("size", "tile", "batch"),
    [((29, 19, 11), (8, 8, 8), 4), ((9, 20, 24), (8, 8), 3), ((40, 50), (16, 16), 5)],
)
def test_compiled_sums_are_the_same_to_the_bit(size, tile, batch, monkeypatch):
    pytest.importorskip("numba")
    x = volume(1, *size)
    plain = whole(stitched(Scaled(3), x, 3, Tiling(tile, batch=batch)))
    monkeypatch.setattr(_adding, "LARGE", 0)
    assert np.array_equal(whole(stitched(Scaled(3), x, 3, Tiling(tile, batch=batch))), plain)


def test_a_network_that_sees_one_voxel_around_is_the_same_away_from_the_rim():
    """A mean over three voxels along each axis moves with the picture: tiles must not show."""

    def mean(inputs, wanted=()):
        x = inputs["image"]
        for axis in (2, 3, 4):
            x = (np.roll(x, 1, axis) + x + np.roll(x, -1, axis)) / 3
        return {"logits": np.concatenate([x, -x], axis=1)}

    x = volume(1, 24, 16, 16)
    at_once = mean({"image": x[None]})["logits"][0]
    found = whole(stitched(mean, x, 2, Tiling((16, 16, 16))))
    inner = (slice(None), slice(1, -1), slice(1, -1), slice(1, -1))
    # The rim of each tile wraps around; its weight is exp(-7) of the middle's there.
    assert np.abs(found - at_once)[inner].max() < 0.05
    middle = (slice(None), slice(10, 14), slice(6, 10), slice(6, 10))
    np.testing.assert_allclose(found[middle], at_once[middle], atol=1e-6)


def test_slabs_are_short_and_in_order():
    """Tiles of 8 rows every 4 rows: four rows are finished at a time, then the rest."""
    x = volume(1, 20, 8, 8)
    rows = [slab.shape[1] for slab in stitched(Scaled(2), x, 2, Tiling((8, 8, 8)))]
    assert sum(rows) == 20 and max(rows) <= 4


def test_batches_are_filled():
    network = Scaled(2)
    whole(stitched(network, volume(1, 8, 16, 16), 2, Tiling((8, 8, 8), batch=4)))
    assert [shape[0] for shape in network.batches] == [4, 4, 1]  # nine tiles on one level


def test_empty_air_is_not_run_and_is_background_for_sure():
    x = np.full((1, 8, 8, 40), -1.0, np.float32)
    x[..., 34:36] = 5  # something at the far end
    network = Scaled(3)
    found = whole(stitched(network, x, 3, Tiling((8, 8, 8), air=-1.0)))
    assert len(network.batches) == 2  # the tiles that begin at 28 and 32
    assert found[0, ..., :28].min() == 10 and found[1:, ..., :28].max() == -10
    np.testing.assert_allclose(found[0, ..., 28:], x[0, ..., 28:], rtol=1e-6)
    # Nothing to run at all.
    nothing = np.zeros_like(x)
    found = whole(stitched(network, nothing, 3, Tiling((8, 8, 8), air=0, scores="probabilities")))
    assert len(network.batches) == 2 and found[0].min() == 1 and found[1:].max() == 0


def test_air_has_a_value_of_its_own_in_each_channel():
    x = np.stack([np.full((8, 8), -1.0), np.full((8, 8), 3.0)]).astype(np.float32)
    network = Scaled(2)
    whole(stitched(network, x, 2, Tiling((8, 8), air=(-1.0, 3.0))))
    assert not network.batches
    whole(stitched(network, x, 2, Tiling((8, 8), air=-1.0)))
    assert len(network.batches) == 1
    with pytest.raises(SettingsError, match="air: expected one value or 2"):
        stitched(network, x, 2, Tiling((8, 8), air=(0.0, 0.0, 0.0)))


def test_stopping_leaves_nothing_behind():
    event, network, threads = threading.Event(), Scaled(2), threading.active_count()
    slabs = stitched(network, volume(1, 40, 8, 8), 2, Tiling((8, 8, 8)), cancel=event)
    next(slabs)
    ran = len(network.batches)
    event.set()
    with pytest.raises(Cancelled, match=rf"stopped after {ran} of 9 tiles") as stopped:
        list(slabs)
    assert stopped.value.exit_code == 130
    assert len(network.batches) == ran and threading.active_count() == threads
    with pytest.raises(StopIteration):
        next(slabs)


def test_stopping_by_a_function_and_closing_early():
    network, threads = Scaled(2), threading.active_count()
    x = volume(1, 40, 8, 8)
    with pytest.raises(Cancelled):
        list(stitched(network, x, 2, Tiling((8, 8, 8)), cancel=lambda: len(network.batches) == 3))
    assert len(network.batches) == 3
    slabs = stitched(network, x, 2, Tiling((8, 8, 8)))
    next(slabs)
    slabs.close()
    assert threading.active_count() == threads


class Told:
    def __init__(self):
        self.said, self.steps = [], []

    def say(self, text):
        self.said.append(text)

    def step(self, done, total, note=""):
        self.steps.append((done, total))


def test_progress_counts_tiles():
    told = Told()
    whole(stitched(Scaled(2), volume(1, 8, 16, 16), 2, Tiling((8, 8, 8), batch=4), told))
    assert told.steps == [(4, 9), (8, 9), (9, 9)]


class Tight(Scaled):
    """Has room for two tiles."""

    room = 2

    def __call__(self, inputs, wanted=()):
        if len(inputs["image"]) > self.room:
            raise MemoryError
        return super().__call__(inputs, wanted)


def test_a_batch_that_does_not_fit_is_halved_and_said_so():
    x, network, told = volume(1, 8, 16, 32), Tight(2), Told()
    found = whole(stitched(network, x, 2, Tiling((8, 8, 8), batch=9), told))
    np.testing.assert_allclose(found[1], 2 * x[0], rtol=1e-6, atol=1e-6)
    assert max(shape[0] for shape in network.batches) == 2
    assert told.said == [
        "9 tiles at once do not fit into memory; going on with 4",
        "4 tiles at once do not fit into memory; going on with 2",
    ]


def test_not_even_one_tile_fits_or_the_caller_gives_up():
    network, x = Tight(2), volume(1, 8, 16, 32)
    network.room = 0
    with pytest.raises(OutOfMemory, match=r"1 tile of \(8, 8, 8\) with 2 classes"):
        whole(stitched(network, x, 2, Tiling((8, 8, 8), batch=2)))
    network.room = 1
    with pytest.raises(OutOfMemory, match="2 tiles of"):
        whole(stitched(network, x, 2, Tiling((8, 8, 8), batch=2, smaller=lambda batch: 0)))


def test_sums_that_do_not_fit_are_refused_by_name():
    x = volume(1, 8, 8, 8)
    with pytest.raises(OutOfMemory, match=r"\(8, 8, 8\) with 1000000000000 classes .* need .* GiB"):
        next(stitched(Scaled(2), x, 10**12, Tiling((8, 8, 8))))


def test_a_network_of_other_classes_is_refused():
    with pytest.raises(PackageError, match=r"expected logits of shape \(1, 4, 8, 8\)"):
        whole(stitched(Scaled(3), volume(1, 8, 8), 4, Tiling((8, 8))))


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize(
    ("size", "tile"), [((96, 64, 64), (32, 32, 32)), ((40, 20, 64), (32, 32, 32))]
)
def test_the_memory_foreseen_is_the_memory_taken(size, tile, batch):
    x, classes = volume(1, *size), 6
    tiling = Tiling(tile, batch=batch, threads=2)
    weights(tile)  # kept from run to run
    tracemalloc.start()
    for _ in stitched(Scaled(classes), x, classes, tiling):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    foreseen = memory(size, 1, classes, tiling)
    assert 0.75 * foreseen < peak < foreseen
    # A longer volume takes no more.
    assert memory((10 * size[0], *size[1:]), 1, classes, tiling) <= foreseen * (
        1 if size == (96, 64, 64) else 10
    )
