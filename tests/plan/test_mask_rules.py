"""The rules for masks: grids, patches and stages that a person can check."""

import numpy as np
import pytest

from tomos.plan import segment
from tomos.plan.mask_fingerprint import MaskFingerprint
from tomos.plan.probe import Speed


def fp(size, spacing=None, **changes):
    axes = len(size)
    values = {
        "n_cases": 50,
        "n_patients": 50,
        "patients_known": True,
        "n_val": 8,
        "n_looked_at": 50,
        "axes": axes,
        "sizes": (size,) * 3,
        "spacings": (spacing or (1.0,) * axes,) * 3,
        "placed": spacing is not None,
        "colour": 0.0,
        "units": {"1": 50},
        "modalities": {"MR": 50},
        "types": {"int16": 50},
        "inside": (100.0, 20.0, 50.0, 150.0),
        "labels": {},
        "told_apart": {"flip_x": 1.0, "flip_y": 1.0, "transpose": 1.0},
    }
    return MaskFingerprint.model_validate({**values, **changes})


def test_a_small_volume_is_one_patch_with_three_halvings():
    # 35 -> 17.5 -> 8.75 -> 4.4: nnU-Net's own plan for the hippocampus has 40 x 56 x 40, too.
    found = segment.form(fp((35, 50, 35), (1.0, 1.0, 1.0)), "cpu")
    assert found.patch == (40, 56, 40)
    assert found.strides == ((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2))
    assert set(found.kernels) == {(3, 3, 3)}


def test_thick_slices_are_halved_later_and_looked_across_later():
    found = segment.form(fp((30, 512, 512), (5.0, 0.8, 0.8)), "cuda")
    assert found.strides[1] == (1, 2, 2)
    assert found.kernels[0] == (1, 3, 3)
    assert found.kernels[-1] == (3, 3, 3)
    assert found.patch[1] == found.patch[2] > 8 * found.patch[0]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize(
    ("size", "spacing"),
    [
        ((500, 512, 512), (1.0, 0.8, 0.8)),
        ((10, 300, 300), (8.0, 1.0, 1.0)),
        ((584, 565), None),
        ((120, 120), None),
        ((4, 5, 6), (1.0, 1.0, 1.0)),
        ((3000, 4000), None),
    ],
)
def test_a_patch_keeps_the_allowance_and_fits_its_stages(size, spacing, device):
    print_ = fp(size, spacing)
    found = segment.form(print_, device)
    kind = "cuda" if device == "cuda" else "cpu"
    assert found.voxels <= segment.VOXELS[kind, len(size)]
    step = np.prod(found.strides, axis=0)
    assert not (np.array(found.patch) % step).any()
    # No side is more than a step longer than the case itself.
    assert (np.array(found.patch) < np.array(size) + step).all()


def test_the_grid_of_coarse_slices_is_finer_than_their_median():
    spacings = ((2.0, 0.7, 0.7), (5.0, 0.8, 0.8), (7.0, 0.9, 0.9))
    mixed = fp((40, 300, 300), (5.0, 0.8, 0.8), spacings=spacings)
    assert segment.spacing(mixed) == (2.0, 0.8, 0.8)
    assert segment.spacing(fp((40, 40, 40), (2.0, 1.0, 1.0))) == (2.0, 1.0, 1.0)
    assert segment.size(mixed).tolist() == [100, 300, 300]


def test_ct_is_clipped_to_what_lies_inside_the_labels():
    steps, why = segment.prepare(fp((40, 40, 40), (1.0, 1.0, 1.0), units={"HU": 50}))
    window = next(step for step in steps if step["step"] == "window")
    assert (window["centre"], window["width"]) == (100.0, 100.0)
    normalise = steps[-1]
    # A value of 100 becomes 0.5 in the window: the mean; 20 HU are 0.2 of it.
    assert normalise["mean"] == [0.5]
    assert normalise["std"] == [0.2]
    assert "HU" in why.en


def test_pictures_of_unknown_size_keep_their_grid():
    steps, why = segment.prepare(fp((584, 565), colour=1.0))
    assert [step["step"] for step in steps] == ["channels", "normalise"]
    assert steps[0]["to"] == 3
    assert "own grid" in why.en


class Clock:
    """A machine on which a patch takes `seconds` a map of the first stage."""

    def __init__(self, seconds):
        self.seconds, self.asked = seconds, []

    def quick(self, found, net, batch):
        self.asked.append(net.width)
        return Speed(self._cost(net), 500.0, "fp32", False, 2)

    measured = quick

    def work(self, found, net):
        return round(self._cost(net) * 1e6)

    def _cost(self, net):
        return self.seconds * net.width * (1.5 if net.name == "residual_unet" else 1)


def test_the_strongest_network_that_the_minutes_allow_is_taken():
    found = segment.form(fp((35, 50, 35), (1.0, 1.0, 1.0)), "cpu")
    # 20 minutes are 960 s of learning: 5,000 patches may take 0.19 s each, 16 maps of 0.01 s.
    choice = segment.choose(found, 20, Clock(0.01), 2)
    assert choice.net == ("unet", 16)
    assert choice.patches % 2 == 0
    assert choice.seconds == pytest.approx(960, rel=0.05)
    assert segment.choose(found, 40, Clock(0.01), 2).net == ("unet", 32)
    assert segment.choose(found, 60, Clock(0.01), 2).net == ("residual_unet", 32)
    assert segment.choose(found, 0.5, Clock(0.01), 2).net == ("unet", 8)


def test_hopeless_widths_are_not_timed():
    found = segment.form(fp((35, 50, 35), (1.0, 1.0, 1.0)), "cpu")
    clock = Clock(1.0)
    assert segment.choose(found, 1, clock, 2).net.width == 8
    assert clock.asked == [8, 8]


def test_a_budget_of_a_few_steps_is_still_a_plan():
    found = segment.form(fp((35, 50, 35), (1.0, 1.0, 1.0)), "cpu")
    choice = segment.choose(found, 0.01, Clock(5.0), 2)
    assert choice.epochs >= 1
    assert choice.patches >= 2


def test_flips_follow_the_symmetry_that_was_found():
    found = segment.form(fp((120, 120)), "cpu")
    steps, _ = segment.augment(fp((120, 120)), found)
    assert "flip" not in [step["step"] for step in steps]
    told = {"flip_x": 0.55, "flip_y": 0.6, "transpose": 0.5}
    steps, why = segment.augment(fp((120, 120), told_apart=told), found)
    assert steps[0] == {"step": "flip", "x": 0.5, "y": 0.5}
    assert steps[1] == {"step": "rotate", "quarter_turns": True}
    assert "flips along x, y" in why.en
    # Pixels that are no squares would have to be resampled.
    oblong = fp((120, 120), (0.5, 0.4), told_apart=told)
    steps, _ = segment.augment(oblong, found)
    assert not [step for step in steps if "quarter_turns" in step]


def test_most_patches_keep_their_voxels():
    cube = fp((64, 64, 64), (1.0, 1.0, 1.0))
    steps, why = segment.augment(cube, segment.form(cube, "cpu"))
    moved = [step for step in steps if step["step"] in ("rotate", "scale")]
    assert [step["probability"] for step in moved] == [segment.MOVED] * 2
    assert f"{segment.MOVED:.0%}" in why.en


def facts(*centre, **more):
    return {"cases": 50, "share": 0.1, "median": 100, "smallest": 10, "centre": centre, **more}


def test_a_patch_need_not_show_more_than_there_is_about_a_thin_label():
    thin = fp((2000, 2000), labels={"vessel": facts(thickness=4.5)})
    assert segment.enough(thin).tolist() == [144, 144]
    assert max(segment.form(thin, "cpu").patch) <= 160
    organ = fp((2000, 2000), labels={"vessel": facts(thickness=4.5), "lung": facts(thickness=300)})
    assert max(segment.form(organ, "cpu").patch) >= 256
    assert segment.enough(fp((2000, 1000))).tolist() == [2000, 1000]


def test_light_is_evened_out_where_that_sets_every_label_apart():
    vessel = facts(apart=0.6, apart_even=1.1)
    steps, why = segment.prepare(fp((584, 565), labels={"vessel": vessel}))
    assert [step["step"] for step in steps] == ["channels", "even", "normalise"]
    assert "vessel 0.60 -> 1.10" in why.en
    lung = facts(apart=2.0, apart_even=0.7)
    for labels in ({"lung": lung}, {"vessel": vessel, "lung": lung}, {"vessel": facts()}):
        assert not segment.uneven(fp((584, 565), labels=labels))


def test_pictures_whose_light_was_evened_are_normalised_over_a_batch():
    vessel = {"vessel": facts(apart=0.6, apart_even=1.1)}
    lung = {"lung": facts(apart=2.0, apart_even=0.7)}
    net = segment.Net("unet", 8)
    evened, as_it_is = (segment.form(fp((128, 128), labels=of), "cpu") for of in (vessel, lung))
    assert evened.options(net)["norm"] == "batch"
    assert "norm" not in as_it_is.options(net), "instance norm, as the network has it"
    assert "norm" not in segment.form(fp((40, 56, 40)), "cpu").options(net)
    assert segment.batch(evened, "cpu") == 2 * segment.batch(as_it_is, "cpu")


def test_a_processor_takes_few_patches_at_once():
    found = segment.form(fp((128, 128)), "cpu")
    assert segment.batch(found, "cpu") == 2 < segment.batch(found, "cuda:0")


def test_tiny_lesions_are_learned_by_tversky_others_by_dice():
    lungs = (200, 300, 300)
    nodules = fp(lungs, (1.0, 1.0, 1.0), labels={"nodule": facts(pieces=3, piece=60)})
    found = segment.form(nodules, "cpu")
    values, why = segment.loss(nodules, found)
    assert values["loss"] == "tversky" and "nodule" in why.en
    organs = fp(lungs, (1.0, 1.0, 1.0), labels={"liver": facts(pieces=1, piece=10**6)})
    assert segment.loss(organs, found)[0] == {"loss": "dice_cross_entropy"}


def test_small_patches_of_labels_without_a_side_are_flipped():
    vessels = fp((584, 565), labels={"vessel": facts(0.5, 0.52)})
    found = segment.form(vessels, "cpu")
    assert max(found.patch) < 0.5 * 565
    assert segment.flips(vessels, found) == ["x", "y"]
    assert segment.views(vessels, found) == ("identity", "flip_x", "flip_y", "rotate_180")
    assert "no side" in segment.augment(vessels, found)[1].en
    kidney = fp((584, 565), labels={"vessel": facts(0.5, 0.5), "left kidney": facts(0.5, 0.3)})
    assert segment.flips(kidney, found) == ["y"]
    assert segment.views(kidney, found) == ("identity", "flip_y")
    # A patch as large as the picture sees where it lies.
    small = fp((120, 120), labels={"nucleus": facts(0.5, 0.5)})
    assert segment.views(small, segment.form(small, "cpu")) == ("identity",)


def test_a_whole_picture_is_one_tile_where_maps_are_normalised_over_a_batch():
    thin = {"vessel": facts(thickness=3.0, apart=0.3, apart_even=1.2)}
    vessels = fp((584, 565), labels=thin)
    found = segment.form(vessels, "cpu")
    assert found.norm == "batch"
    told = segment.predict(vessels, found)
    assert told["tile"] == (592, 576), "the next multiples of 16"
    assert told["overlap"] == pytest.approx(64 / 576, abs=1e-3)
    large = fp((3000, 2000), labels=thin)
    assert segment.predict(large, segment.form(large, "cpu"))["tile"] == (1024, 1024)
    # Normalised each by itself, maps of a large tile are others than those of a patch.
    plain = fp((584, 565), labels={"vessel": facts(thickness=3.0)})
    assert set(segment.predict(plain, segment.form(plain, "cpu"))) == {"views"}


def test_thick_slices_are_turned_in_their_plane_only():
    thick = fp((30, 512, 512), (5.0, 0.8, 0.8))
    steps, why = segment.augment(thick, segment.form(thick, "cpu"))
    assert (steps[0]["degrees_x"], steps[0]["degrees_y"]) == (0, 0)
    assert "plane" in why.en
    cube = fp((64, 64, 64), (1.0, 1.0, 1.0))
    assert "degrees_x" not in segment.augment(cube, segment.form(cube, "cpu"))[0][0]
