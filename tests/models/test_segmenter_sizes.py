"""What `describe` and `memory` say of nets that go down and up, against figures made by hand."""

import pytest
import torch

from tomos import models
from tomos.models._field import Axis, hull
from tomos.types import SettingsError


def net(name="unet", dims=2, **options):
    torch.manual_seed(0)
    given = {"widths": (2, 4), "blocks": (1,), "decoder_blocks": (1,), "norm": "none"}
    return models.build(name, 1, 2, dims=dims, **given | options)


def test_the_field_of_a_small_unet_by_hand():
    """Along one axis, places relative to pixel 2i or 2i + 1:

    encoder 0   3 pixels: o - 1 .. o + 1
    encoder 1   a step of 2: place i sees 2i - 2 .. 2i + 2, 5 pixels
    up          places 2i and 2i + 1 both see 2i - 2 .. 2i + 2; beside the skip nothing is added
    decoder     2i sees with 2i - 1, 2i, 2i + 1:  2i - 4 .. 2i + 2; 7 pixels, and 2i + 1 as many
    """
    rows = {row.name: row for row in models.describe(net(), (8, 8)).rows}
    assert rows["encoder.0.0.conv"].field == (3, 3)
    assert rows["encoder.1.0.conv"].field == (5, 5)
    assert rows["decoder.0.up"].field == (5, 5)
    assert rows["decoder.0.convolutions.0.conv"].field == (7, 7)
    assert models.describe(net(), (8, 8)).field == (7, 7)


def test_sizes_weights_and_work_of_a_small_unet_by_hand():
    described = models.describe(net(), (8, 12))
    rows = {row.name: row for row in described.rows}
    down, up = rows["encoder.1.0.conv"], rows["decoder.0.up"]
    assert (down.size, down.parameters) == ((4, 4, 6), 4 * 2 * 9 + 4)
    assert down.multiplies == 4 * 6 * 4 * 2 * 9
    assert (up.size, up.parameters) == ((2, 8, 12), 4 * 2 * 4 + 2)
    assert up.multiplies == 4 * 6 * 4 * 2 * 4  # each of 4 x 6 places of 4 maps spreads over 2 x 4
    assert rows["decoder.0.convolutions.0.conv"].multiplies == 96 * 2 * 4 * 9  # beside the skip: 4
    assert rows["heads.0"].multiplies == 96 * 2 * 2
    assert described.maps == (4, 4, 6) and described.features == 4 and described.step == (2, 2)
    assert described.size == (8, 12) and not described.exact_cam


def test_a_volume_is_counted_along_all_axes():
    """Flat kernels and strides in the first stages: along Z the field of two convolutions fewer."""
    options = {"kernels": ((1, 3, 3), 3), "strides": (1, (1, 2, 2))}
    described = models.describe(net(dims=3, **options), (4, 8, 8))
    rows = {row.name: row for row in described.rows}
    assert rows["encoder.0.0.conv"].multiplies == 4 * 8 * 8 * 2 * 9
    assert rows["encoder.1.0.conv"].multiplies == 4 * 4 * 4 * 4 * 2 * 27
    assert rows["encoder.1.0.conv"].size == (4, 4, 4, 4)
    assert described.multiplies == sum(row.multiplies for row in described.rows)
    # Along Z: 1, then 3, nothing by flat windows. Along Y and X: as of the small U-Net, 7.
    assert described.field == (3, 7, 7)


@pytest.mark.parametrize("name", ["attention_unet", "residual_unet", "unet", "vnet"])
@pytest.mark.parametrize("up", ["transposed", "interpolated"])
def test_the_field_is_what_changes_the_logits(name, up):
    """The slope of some logit reaches over just the field that is stated, and of none over more."""
    options = {"widths": (2, 3, 4), "strides": (1, (2, 3), 2), "activation": "prelu"}
    small = net(name, up=up, kernels=(3,), **options).eval()
    size = (64, 96)
    field = models.describe(small, size).field
    assert all(side < whole for side, whole in zip(field, size, strict=True))
    x = torch.randn(1, 1, *size, requires_grad=True)
    logits = small(x)
    reach = []
    for i in range(12):  # one place of each phase of a period of (4, 6)
        (slope,) = torch.autograd.grad(
            logits[0, :, 30 + i % 4, 46 + i % 6].sum(), x, retain_graph=True
        )
        places = torch.nonzero(slope[0, 0])
        reach.append((places.amax(0) - places.amin(0) + 1).tolist())
    assert [max(side) for side in zip(*reach, strict=True)] == list(field)


def test_attention_between_all_places_sees_the_whole_volume():
    described = models.describe(net("transformer_unet", 3, layers=1, heads=2), (4, 8, 8))
    assert described.field is None
    work = {row.name: row.multiplies for row in described.rows}
    words, width = 2 * 4 * 4, 4
    assert work["transformer.layers.0.asked"] == words * width * 3 * width
    # Every word asks every other (width multiplications), and sums what they say (as many).
    attended = described.multiplies - sum(work.values())
    assert attended == 2 * words * words * width


def test_the_effective_field_of_a_volume():
    small = net(dims=3)
    side = models.effective_field(small, (12, 12, 12), samples=2)
    assert 1 < side < 7


def test_describing_refuses_what_the_segmenter_refuses():
    with pytest.raises(SettingsError, match=r"divisible by \(2, 2\)"):
        models.describe(net(), (8, 7))
    with pytest.raises(SettingsError, match=r"divisible by \(2, 2\)"):
        models.memory(net(), (8, 7))


def test_memory_of_one_convolution_by_hand():
    """A picture of 10 x 10 and 8 maps of it, then 8 means; on the way back the maps' slopes and the
    weights' join the picture, and the maps are no longer there."""
    layers = [{"layer": "conv", "out": 8}]
    one = models.build("custom", 1, 2, layers=layers)
    memory = models.memory(one, (10, 10))
    assert memory.running == 4 * (100 + 800 + 8)
    assert 4 * (100 + 800 + 8 * 9 + 8) <= memory.learning <= 4 * (100 + 800 + 8 * 9 + 8 + 100)


def test_memory_of_a_volume_is_that_of_its_maps():
    """The fullest moment is the last activation: the volume, 2 maps of the skip, 4 of the join, 2
    of the convolution, 2 of the activation, and the coarser 4 of an eighth of the size. It grows
    with the volume; learning keeps every stage's maps."""
    small, volume = net(dims=3), 8 * 8 * 8
    memory = models.memory(small, (8, 8, 8))
    assert memory.running == 4 * volume * (1 + 2 + 4 + 2 + 2 + 4 / 8)
    twice = models.memory(small, (16, 8, 8))
    assert twice.running == 2 * memory.running
    assert memory.learning > 1.5 * memory.running


@pytest.mark.parametrize(
    ("name", "dims", "size"), [("unet", 3, (48, 48, 16)), ("vnet", 2, (64, 64))]
)
def test_memory_is_what_torch_asks_the_system_for(name, dims, size):
    """By torch's own account of what a real run takes and gives back."""
    options = {"widths": (32, 64), "kernels": (3,), "norm": "instance"}
    real = net(name, dims, **options).eval()
    x = torch.randn(1, 1, *size).contiguous(memory_format=real.layout)
    real.to(memory_format=real.layout)
    said = models.memory(real, size)
    with torch.no_grad():
        running = _taken(lambda: real(x)) + x.nbytes
    learning = _taken(lambda: sum(level.sum() for level in real.deep(x)).backward()) + x.nbytes
    assert 0.95 < running / said.running < 1.25
    assert 0.95 < learning / said.learning < 1.25


def _taken(run):
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        run()
    events = profile.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    now = most = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


@pytest.mark.parametrize(
    ("axis", "first", "last", "advance"),
    [
        (Axis().windowed(3, 1, 1), (-1,), (1,), 1),
        (Axis().windowed(3, 2, 1), (-1,), (1,), 2),
        (Axis().windowed(3, 1, 2, dilation=2), (-2,), (2,), 1),
        (Axis().windowed(2, 2).spread(2, 2), (0, 0), (1, 1), 2),
        (Axis().windowed(2, 2).interpolated(2, linear=False), (0, 0), (1, 1), 2),
        # Half a place before each pair: between the pair before and this one, and the next.
        (Axis().windowed(2, 2).interpolated(2, linear=True), (-2, 0), (1, 3), 2),
        # Odd factors meet a place exactly in the middle.
        (Axis().interpolated(3, linear=True), (-1, 0, 0), (0, 0, 1), 1),
        (Axis().windowed(2, 2).spread(4, 2, 1), (-2, 0), (1, 3), 2),
    ],
)
def test_what_places_see_by_hand(axis, first, last, advance):
    assert (axis.first, axis.last, axis.advance) == (first, last, advance)


def test_ways_join_to_their_hull_when_their_places_agree():
    up = Axis().windowed(2, 2).spread(2, 2)
    joined = up.joined(Axis().windowed(3, 1, 1))
    assert (joined.first, joined.last) == ((-1, 0), (1, 2)) and joined.side == 3
    assert up.joined(Axis().windowed(2, 2)) is None
    assert hull([(up,), None]) is None
