"""A plan whose views cannot be is refused when it is read, not after it was carried out."""

import pytest

from tomos import config
from tomos.plan import Plan
from tomos.types import SettingsError

pytestmark = pytest.mark.fast
DATA = {"name": "s", "checksum": "0", "n_train": 8, "n_val": 2, "n_patients": 10}
FILMS = {"classes": ["a", "b"], "size": [64, 64]}
SCANS = {"task": "segment", "kind": "mask", "target": "mask", "classes": ["a"],
         "size": [16, 48, 48], "spacing": [3.0, 1.0, 1.0]}  # fmt: skip


def plan(views, given, **more) -> Plan:
    values = {"dataset": DATA, "prepare": [], "model": {"name": "m"}, "budget": {"minutes": 5},
              "predict": {"views": ["identity", *views]}, **given, **more}  # fmt: skip
    return config.parse(Plan, values, "plan.toml")


@pytest.mark.parametrize("name", ["transpose", "transpose_other", "rotate_90", "rotate_270"])
@pytest.mark.parametrize("given", [{**FILMS, "size": [64, 48]}, {**SCANS, "size": [48, 48, 16]}])
def test_a_view_that_swaps_unequal_sides_is_refused(name, given):
    said = rf"plan\.toml: .*'{name}' swaps Y and X, which needs .* both alike, got \("
    with pytest.raises(SettingsError, match=said):
        plan([name], given)


@pytest.mark.parametrize("given", [FILMS, SCANS])
def test_sides_alike_can_be_swapped(given):
    views = ["transpose", "rotate_90", "flip_x"]
    assert plan(views, given).predict.views == ("identity", *views)


def test_mirrored_views_need_no_square():
    assert plan(["flip_x", "rotate_180"], {**FILMS, "size": [64, 48]})


def test_a_further_kind_of_network_has_a_size_of_its_own():
    also = [{"size": [48, 40], "model": {"name": "m"}}]
    with pytest.raises(SettingsError, match=r"got \(48, 40\)"):
        plan(["rotate_270"], SCANS, also=also)
    with pytest.raises(SettingsError, match=r"'transpose' swaps"):
        config.override(plan([], {**SCANS, "size": [8, 16, 12]}), ['predict.views=["transpose"]'])


PICTURES = {**SCANS, "size": [32, 32], "spacing": [1.0, 1.0]}


@pytest.mark.parametrize(
    ("given", "tile"),
    [(PICTURES, [64, 16]), (PICTURES, [8, 64, 64]), (SCANS, [64, 64]), (SCANS, [64, 64, 64])],
)
def test_tiles_of_inference_are_of_pictures_and_no_smaller_than_patches(given, tile):
    with pytest.raises(SettingsError, match=r"predict\.tile: expected \(Y, X\) of pictures"):
        config.override(plan([], given), [f"predict.tile={tile}"])


def test_larger_tiles_of_pictures_are_taken_and_a_view_must_fit_them():
    wide = config.override(plan([], PICTURES), ["predict.tile=[64, 32]"])
    assert wide.predict.tile == (64, 32)
    with pytest.raises(SettingsError, match=r"'transpose' swaps .* got \(64, 32\)"):
        config.override(wide, ['predict.views=["transpose"]'])


def test_a_view_that_is_not_known_is_answered_with_the_nearest():
    with pytest.raises(SettingsError, match=r"no view named 'flip_z'.*did you mean 'flip_"):
        plan(["flip_z"], FILMS)
