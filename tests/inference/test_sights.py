"""Networks of slices with their neighbours, and several kinds of network in one model."""

import numpy as np
import pytest
from bright_masks import STEEP, Bright, manifest, volume

from tomos.inference import MaskPredictor, example, foresight
from tomos.inference.sight import mean_of, probabilities, slabs_of
from tomos.inference.stitch import memory, stitched
from tomos.inference.tiles import Tiling, neighbours
from tomos.types import PackageError, SettingsError, Silent

pytestmark = pytest.mark.fast
FLAT = {"channels": 1, "size": (16, 16), "context": 1}
OPTIONS = {"dims": 2, "widths": [4, 8], "strides": [1, 2]}


class Beside(Bright):
    """A network of slices: the logits of "ball" grow with 1 times the slice before, 2 times the
    slice, 4 times the one after."""

    def __call__(self, inputs, wanted=()):
        x = inputs["image"]
        self.shapes.append(x.shape)
        assert x.shape[1] == 3
        mixed = (x[:, :1] + 2 * x[:, 1:2] + 4 * x[:, 2:]) / 7
        return {"logits": np.concatenate([np.full_like(mixed, 0.5), mixed], axis=1) * STEEP}


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def slice_by_slice(x):
    """What `Beside` says of x (1, Z, Y, X), by a plain loop."""
    depth = x.shape[1]
    found = np.empty((2, *x.shape[1:]))
    for z in range(depth):
        before, after = x[0, max(0, z - 1)], x[0, min(depth - 1, z + 1)]
        found[0, z], found[1, z] = 0.5, (before + 2 * x[0, z] + 4 * after) / 7
    return found * STEEP


def test_the_neighbours_of_a_slice():
    assert neighbours(3, 1, 9).tolist() == [2, 3, 4]
    assert neighbours(0, 2, 9).tolist() == [0, 0, 0, 1, 2]
    assert neighbours(8, 1, 9).tolist() == [7, 8, 8]
    assert neighbours(0, 1, 1).tolist() == [0, 0, 0]


@pytest.mark.parametrize("batch", [1, 3, 50])
@pytest.mark.parametrize("size", [(9, 20, 24), (1, 16, 16), (7, 5, 40), (2, 50, 9)])
def test_tiles_with_neighbours_are_the_plain_computation_slice_by_slice(size, batch):
    x = random(1, *size)
    tiling = Tiling((16, 16), batch=batch, context=1)
    found = np.concatenate([s.copy() for s in stitched(Beside(), x, 2, tiling)], axis=1)
    np.testing.assert_allclose(found, slice_by_slice(x), rtol=1e-5, atol=1e-5)


def test_all_slices_of_a_channel_come_after_another():
    seen = []

    def network(inputs, wanted=()):
        seen.append(inputs["image"][0, :, 0, 0].tolist())
        return {"logits": inputs["image"][:, :2]}

    x = np.stack([np.full((4, 8, 8), 0), np.full((4, 8, 8), 10)]).astype(np.float32)
    x += np.arange(4, dtype=np.float32)[None, :, None, None]
    list(stitched(network, x, 2, Tiling((8, 8), context=1)))
    assert seen == [[0, 0, 1, 10, 10, 11], [0, 1, 2, 10, 11, 12], [1, 2, 3, 11, 12, 13],
                    [2, 3, 3, 12, 13, 13]]  # fmt: skip


def test_a_slice_beside_one_with_something_in_it_is_no_air():
    x = np.full((1, 9, 8, 8), -1.0, np.float32)
    x[0, 4] = 1
    network = Beside()
    list(stitched(network, x, 2, Tiling((8, 8), context=1, air=-1.0)))
    assert len(network.shapes) == 3  # slices 3, 4 and 5


def test_more_channels_take_more_memory():
    size, plain = (20, 64, 64), Tiling((64, 64), batch=2)
    more = memory(size, 1, 2, Tiling((64, 64), batch=2, context=2)) - memory(size, 1, 2, plain)
    assert more == 4 * 2 * 4 * 64 * 64  # four further channels of two tiles


def test_neighbours_are_those_of_a_volume():
    with pytest.raises(SettingsError, match=r"expected a volume \(Z, Y, X\)"):
        stitched(Beside(), random(1, 20, 20), 2, Tiling((16, 16), context=1))
    with pytest.raises(SettingsError, match="a context of 0 slices or more, for tiles"):
        Tiling((8, 8, 8), context=1)
    image = volume((1, 40, 40))
    picture = image.with_pixels(image.pixels[:, 0], image.affine)
    model = of_slices()
    with pytest.raises(PackageError, match="3 axes for this model, got 1 and 2"):
        model.predict_image(picture)


def of_slices():
    known = manifest(input=FLAT, network={"name": "unet", "options": OPTIONS})
    return MaskPredictor.of(known, [Beside()], threads=1)


def test_a_model_of_slices_with_neighbours_labels_a_volume():
    image = volume()
    model = of_slices()
    found = model.predict_image(image).targets["mask"].mask.labels
    expected = slice_by_slice(image.pixels).argmax(axis=0)
    assert np.array_equal(found, expected)
    assert found.any()


# -- several kinds


def two_kinds(**changes):
    """A manifest with a graph of volumes and one of slices with neighbours."""
    graphs = (
        {"file": "graphs/0.onnx", "outputs": ("logits",)},
        {
            "file": "graphs/1.onnx",
            "outputs": ("logits",),
            "input": FLAT,
            "network": {"name": "unet", "options": OPTIONS},
        },
    )
    return manifest(**{"graphs": graphs, **changes})


def ensemble(memory=0, networks=None, **changes):
    return MaskPredictor.of(
        two_kinds(**changes), networks or [Bright(), Beside()], threads=1, memory=memory
    )


def test_kinds_are_averaged_in_their_probabilities():
    image = volume()
    image = image.with_pixels(image.pixels + 0.3 * random(*image.pixels.shape), image.affine)
    x = image.pixels
    scores = ensemble().scores(image)
    volumes = np.concatenate([np.full_like(x, 0.5), x]) * STEEP
    mean = (probabilities(volumes) + probabilities(slice_by_slice(x))) / 2
    np.testing.assert_allclose(scores.probabilities, mean, rtol=1e-4, atol=1e-5)
    labels = ensemble().predict_image(image).targets["mask"].mask.labels
    sure = np.abs(mean[0] - mean[1]) > 1e-4
    assert np.array_equal(labels[sure], mean.argmax(axis=0)[sure])


def test_the_kind_with_the_largest_logits_does_not_decide_alone():
    """Each is sure of a class of its own, and that the other's is none: by the mean of the logits
    the one class that neither names would win."""

    def says(*logits):
        def network(inputs, wanted=()):
            x = inputs["image"][:, :1]
            return {"logits": np.concatenate([np.full_like(x, v) for v in logits], axis=1)}

        network.outputs = ("logits",)
        return network

    classes = ({"name": "a"}, {"name": "b"})
    model = ensemble(networks=[says(0, -1, -40), says(-40, -1, 0)], classes=classes)
    likely = model.scores(volume((20, 16, 16))).probabilities[:, 3, 4, 5]
    one = 1 / (1 + np.exp(-1))
    assert likely == pytest.approx([one / 2, 1 - one, one / 2], abs=1e-5)


def test_each_kind_goes_on_only_when_its_next_plane_is_asked_for():
    """Of 80 planes the first needs five tiles of volumes' depth, not all: the scores of the whole
    volume never exist."""
    x = random(1, 80, 16, 16)
    deep, flat = Bright(), Beside()
    model = ensemble(networks=[deep, flat])
    ways = [(sight, sight.tiling) for sight in model.sights]
    slabs = slabs_of(ways, x, 2, Silent())
    first = next(slabs)
    assert first.shape == (2, 1, 16, 16)
    assert sum(shape[0] for shape in deep.shapes) <= 4
    assert sum(shape[0] for shape in flat.shapes) <= 8
    assert sum(slab.shape[1] for slab in slabs) == 79
    assert sum(shape[0] for shape in flat.shapes) == 80


def test_slabs_cut_elsewhere_are_put_together_and_all_ended_when_one_stops():
    closed = []

    def way(name, *rows):
        try:
            for n in rows:
                yield np.zeros((2, n, 4), np.float32)
        finally:
            closed.append(name)

    assert [slab.shape for slab in mean_of([way("a", 2, 3), way("b", 4, 1)])] == [(2, 1, 4)] * 5
    closed.clear()
    slabs = mean_of([way("a", 2, 3), way("b", 4, 1)])
    np.testing.assert_allclose(next(slabs), np.log(0.5))
    slabs.close()
    assert sorted(closed) == ["a", "b"]


def test_progress_is_that_of_all_kinds():
    heard = []

    class Ear(Silent):
        def step(self, done, total, note=""):
            heard.append((done, total))

    ensemble().predict_image(volume((20, 16, 16)), progress=Ear())
    done, totals = zip(*heard, strict=True)
    assert list(done) == sorted(done)
    assert set(totals) == {2 + 20}
    assert done[-1] == 22


def test_graphs_that_see_alike_are_one_kind():
    known = manifest(graphs=tuple({"file": f"graphs/{n}.onnx"} for n in range(3)))
    model = MaskPredictor.of(known, [Bright(), Bright(), Bright()], threads=1)
    (sight,) = model.sights
    assert len(sight.network.networks) == 3


def test_all_kinds_take_smaller_steps_where_memory_is_short(monkeypatch):
    monkeypatch.setattr(foresight, "PLENTY", 10**6)
    deep, flat = Bright(each=600), Beside(each=600)
    model, image = ensemble(3_700_000, [deep, flat]), volume()
    found = model.predict_image(image)
    assert {shape[2:] for shape in deep.shapes} == {(8, 16, 16)}
    (warning,) = found.warnings
    assert "in tiles of 8 x 16 x 16 in place of 16 x 16 x 16" in warning
    assert "MiB of memory would be needed" in warning
    assert found.verdict == "refer"


def test_the_example_shows_each_graph_its_own_tile():
    known = two_kinds()
    deep, flat = Bright(), Beside()
    inputs = [known.input_of(part) for part in known.graphs]
    size = example.size_for(inputs, 3)
    assert size == (16, 16, 16)
    assert example.size_for(inputs[1:], 3) == (3, 16, 16)
    looking = example.looking(known, [deep, flat])
    made = example.make((), looking, 1, size)
    assert deep.shapes == [(1, 1, 16, 16, 16)]
    assert flat.shapes == [(1, 3, 16, 16)]
    model = MaskPredictor.of(known.model_copy(update={"example": made}), [deep, flat], threads=1)
    model.verify()
    swapped = MaskPredictor.of(
        known.model_copy(update={"example": made}), [Beside(), Bright()], threads=1
    )
    with pytest.raises((PackageError, AssertionError)):
        swapped.verify()
