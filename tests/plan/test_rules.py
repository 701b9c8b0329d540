"""Fingerprints written by hand, and what the rules make of them."""

import pytest

from tomos.plan import classify, recipe
from tomos.plan.fingerprint import Fingerprint
from tomos.plan.probe import Speed
from tomos.types import PlanError

pytestmark = pytest.mark.fast


def fingerprint(**changes) -> Fingerprint:
    """500 grey 8-bit pictures of 28 x 28 with a clear way up."""
    values = {
        "n_cases": 500,
        "n_patients": 500,
        "patients_known": False,
        "n_val": 60,
        "n_looked_at": 400,
        "counts": {"a": 250, "b": 250},
        "sides": ((28, 28, 28), (28, 28, 28)),
        "aspect": 1.0,
        "colour": 0.0,
        "volumes": 0.0,
        "units": {"1": 400},
        "modalities": {"not stated": 400},
        "types": {"uint8": 400},
        "level_mean": 100.0,
        "level_std": 50.0,
        "spread": 0.5,
        "told_apart": {"flip_x": 0.98, "flip_y": 1.0, "transpose": 1.0},
    }
    return Fingerprint(**{**values, **changes})


class Clock:
    """A machine on which one picture takes `seconds`, or that for each of its pixels (`area`)."""

    def __init__(self, seconds: float, area: bool = False, single: float = 2.0, cores: int = 2):
        """`single`: times as long on one thread as on all."""
        self.seconds, self.area, self.single, self.cores = seconds, area, single, cores

    def quick(self, candidate, batch) -> Speed:
        seconds = self.seconds * self.work(candidate)
        return Speed(seconds, 500.0, "fp32", False, self.cores, seconds * self.single, self.cores)

    measured = quick

    def work(self, candidate) -> int:
        return candidate.side**2 if self.area else 1


def names(steps) -> list[str]:
    return [step["step"] for step in steps]


def test_films_with_a_side_are_not_flipped():
    steps, reason = classify.augment(fingerprint())
    assert "flip" not in names(steps)
    assert "no flips" in reason.en


def test_smears_without_a_side_are_flipped_and_turned_freely():
    free = {"flip_x": 0.55, "flip_y": 0.56, "transpose": 0.54}
    steps, _ = classify.augment(fingerprint(told_apart=free))
    assert {"step": "flip", "x": 0.5, "y": 0.5} in steps
    assert {"step": "rotate", "degrees": 180.0} in steps


def test_colour_is_kept_and_varied_only_where_there_is_some():
    grey, _ = classify.prepare(fingerprint(), (28, 28))
    assert grey[0] == {"step": "channels", "to": 1}
    coloured = fingerprint(colour=1.0)
    assert classify.prepare(coloured, (28, 28))[0][0] == {"step": "channels", "to": 3}
    assert "colour" in names(classify.augment(coloured)[0])


def test_ct_values_get_one_window_for_all():
    steps, reason = classify.prepare(fingerprint(units={"HU": 400}), (64, 64))
    assert {"step": "window", "source": "fixed", "centre": 0.0, "width": 2400.0} in steps
    assert {"step": "normalise", "kind": "zscore"} not in steps
    assert "HU" in reason.en


def test_very_different_shapes_are_padded_not_stretched():
    assert classify.prepare(fingerprint(aspect=3.0), (64, 64))[0][1]["mode"] == "pad"
    assert classify.prepare(fingerprint(aspect=1.1), (64, 64))[0][1]["mode"] == "stretch"


def test_volumes_are_refused_with_the_way_out():
    with pytest.raises(PlanError, match="single slices"):
        classify.prepare(fingerprint(volumes=1.0), (64, 64))


def test_small_pictures_keep_their_own_size():
    assert {c.side for c in classify.candidates(fingerprint())} == {28}


def test_a_slow_machine_gets_smaller_pictures_than_a_quick_one():
    large = fingerprint(sides=((512, 512, 512), (512, 512, 512)))
    sides = [
        classify.choose(large, 2.0, Clock(pace, area=True), 32).candidate.side
        for pace in (1e-8, 1e-6)
    ]
    assert sides[0] > sides[1]


def test_larger_pictures_are_taken_where_they_can_be_shown_twice_the_least():
    large = fingerprint(sides=((64, 64, 64), (64, 64, 64)))
    need = classify.wanted(500) * 64**2 * 1e-6 / classify.SHARE / 60

    def side(share: float) -> int:
        return classify.choose(large, share * need, Clock(1e-6, area=True), 32).candidate.side

    assert side(classify.LARGER * 1.01) == 64
    assert side(classify.LARGER * 0.99) == 48


def test_time_that_is_left_goes_into_more_networks():
    full = classify.FULL * classify.wanted(500)
    seconds_for_three = 3.2 * full * 1e-3
    choice = classify.choose(
        fingerprint(), seconds_for_three / classify.SHARE / 60, Clock(1e-3), 32
    )
    assert choice.members == 3
    # One network shown more before a second: that is what cross-validation found better.
    alone = classify.choose(
        fingerprint(), seconds_for_three / 2 / classify.SHARE / 60, Clock(1e-3), 32
    )
    assert alone.members == 1 and alone.epochs > choice.epochs


def test_the_plan_stays_within_its_minutes():
    for minutes in (0.5, 2, 10, 60):
        choice = classify.choose(fingerprint(), minutes, Clock(1e-3), 32)
        assert choice.seconds(500) <= minutes * 60


@pytest.mark.parametrize("cores", [2, 4, 64])
def test_networks_that_leave_cores_idle_are_trained_side_by_side(cores):
    full = classify.FULL * classify.wanted(500)
    minutes = 1.2 * full * 1e-3 / classify.SHARE / 60
    choice = classify.choose(fingerprint(), minutes, Clock(1e-3, single=1.1, cores=cores), 32)
    beside = min(cores, classify.NETWORKS)
    assert (choice.members, choice.together, choice.threads) == (beside, beside, 1)
    assert "side by side" in choice.reason.en
    assert choice.seconds(500) <= 60 * minutes
    # Where one network makes use of every core, side by side is slower.
    alone = classify.choose(fingerprint(), minutes, Clock(1e-3, single=cores, cores=cores), 32)
    assert (alone.members, alone.together, alone.threads) == (1, 1, cores)
    # And where the minutes are too few for one thread to show a network enough.
    hurried = Clock(1e-3, single=1.1, cores=cores)
    short = classify.choose(fingerprint(), 0.3 * minutes, hurried, 32)
    assert short.together == 1


def test_side_by_side_there_may_be_a_second_round():
    full = classify.FULL * classify.wanted(500)
    minutes = 3 * full * 1e-3 / classify.SHARE / 60
    choice = classify.choose(fingerprint(), minutes, Clock(1e-3, single=1.0), 32)
    assert (choice.members, choice.together) == (4, 2)
    assert choice.seconds(500) <= 60 * minutes


def test_rare_classes_are_drawn_as_often_as_common_ones():
    skewed = fingerprint(counts={"a": 450, "b": 50})
    choice = classify.choose(skewed, 5, Clock(1e-3), 32)
    values, reason = classify.train(skewed, choice, 32, seed=0, kind="class")
    assert values["balance"] == "sampler"
    assert "9 times" in reason.en


def test_the_fixed_recipe_gets_the_usual_size_and_the_form_it_was_timed_in(monkeypatch):
    asked = []

    def timed(name, options, shape, *more) -> Speed:
        asked.append(shape)
        return Speed(1e-3, 500.0, "bf16", True, 2)

    monkeypatch.setattr(recipe, "speed", timed)
    large = fingerprint(sides=((512, 512, 512), (100, 100, 100)))
    part = recipe.fill("resnet18_fixed", large, 5.0, 0, "cpu", 2)
    assert part["size"] == (224, 100) and asked == [(1, 224, 100)]
    assert part["train"]["precision"] == "bf16" and part["train"]["channels_last"]


def test_every_recipe_fills_a_whole_plan(monkeypatch):
    monkeypatch.setattr(recipe, "speed", lambda *given: Speed(1e-3, 500.0, "fp32", True, 2))
    for name in recipe.recipes():
        part = recipe.fill(name, fingerprint(), 5.0, 0, "cpu", 2)
        assert part["train"]["epochs"] >= 1
        assert part["reasons"]["recipe"]


@pytest.mark.parametrize("kind", ["class", "multilabel", "ordinal"])
def test_a_recipe_takes_the_loss_of_the_targets_kind(monkeypatch, tmp_path, kind):
    """It said none, and training refused cross-entropy on several findings."""
    monkeypatch.setattr(recipe, "speed", lambda *given: Speed(1e-3, 500.0, "fp32", True, 2))
    usual = {"class": "cross_entropy", "multilabel": "bce", "ordinal": "ordinal"}[kind]
    for name in recipe.recipes():
        part = recipe.fill(name, fingerprint(), 5.0, 0, "cpu", 2, kind)
        assert part["train"]["loss"] == usual
        assert (f"the loss {usual}" in part["reasons"]["recipe"]) == (kind != "class")


@pytest.mark.parametrize(
    ("kind", "stated", "taken"),
    [
        ("multilabel", "focal", "focal"),
        ("ordinal", "cross_entropy", "cross_entropy"),
        ("multilabel", "cross_entropy", "bce"),
        ("class", "ordinal", "cross_entropy"),
    ],
)
def test_a_recipes_own_loss_stays_where_it_fits(monkeypatch, tmp_path, kind, stated, taken):
    pytest.importorskip("torch")
    monkeypatch.setattr(recipe, "speed", lambda *given: Speed(1e-3, 500.0, "fp32", True, 2))
    monkeypatch.setattr(recipe, "FOLDER", tmp_path)
    own = 'source = "x"\n[model]\nname = "mlp"\n[train]\nloss_options = { smoothing = 0.1 }\n'
    (tmp_path / "own.toml").write_text(f'{own}loss = "{stated}"\n')
    part = recipe.fill("own", fingerprint(), 5.0, 0, "cpu", 2, kind)
    assert part["train"]["loss"] == taken
    kept = {"smoothing": 0.1} if taken == stated else {}
    assert part["train"]["loss_options"] == kept
    assert (f"instead of its {stated}" in part["reasons"]["recipe"]) == (taken != stated)


def test_an_unknown_recipe_is_answered_with_the_nearest():
    with pytest.raises(PlanError, match="did you mean 'liver_cnn'"):
        recipe.fill("livercnn", fingerprint(), 5.0, 0, "cpu", 2)
