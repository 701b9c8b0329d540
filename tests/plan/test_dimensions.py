"""Volumes, slices, or both: by how far slices lie apart."""

import pytest
from test_mask_rules import Clock, facts, fp

from tomos.plan import segment
from tomos.plan.dimensions import KINDS, dimensions, flattened
from tomos.plan.make_segment import Wish, kinds_for
from tomos.types import PlanError, Words


@pytest.mark.parametrize(
    ("spacing", "way"),
    [
        ((1.0, 1.0, 1.0), "3d"),
        ((2.9, 1.0, 1.0), "3d"),
        ((3.0, 1.0, 1.0), "3d"),
        ((4.0, 1.0, 1.0), "both"),
        ((10.0, 1.5, 1.5), "2.5d"),
        ((1.0, 10.0, 1.0), "3d"),  # slices of the prepared grid do not lie along that axis
        (None, "3d"),
    ],
)
def test_the_way_follows_how_far_slices_lie_apart(spacing, way):
    found, why = dimensions(fp((20, 200, 200), spacing))
    assert found == way
    assert why.en and why.zh


def test_pictures_have_one_way():
    assert dimensions(fp((200, 200))) == ("2d", Words(""))
    with pytest.raises(PlanError, match="expected volumes"):
        dimensions(fp((200, 200)), "3d")


def test_a_wish_decides():
    way, why = dimensions(fp((20, 200, 200), (1.0, 1.0, 1.0)), "2.5d")
    assert (way, why.en) == ("2.5d", "as asked for")
    with pytest.raises(PlanError, match=r"did you mean '2\.5d'"):
        dimensions(fp((20, 200, 200), (1.0, 1.0, 1.0)), "2,5d")


def test_slices_have_the_forms_of_pictures():
    volumes = fp(
        (20, 200, 180), (5.0, 1.0, 0.8), labels={"lesion": facts(0.1, 0.2, 0.3, piece=1000)}
    )
    flat = flattened(volumes)
    assert (flat.axes, flat.sizes[1], flat.spacings[1]) == (2, (200, 180), (1.0, 0.8))
    assert flat.labels["lesion"].centre == (0.2, 0.3)
    assert flat.labels["lesion"].piece == pytest.approx(100)  # a ball of 1000 voxels is 10 deep
    assert len(segment.form(flat, "cpu").patch) == 2


@pytest.mark.parametrize(
    ("ways", "seconds", "sizes"),
    [
        ("auto", 0.001, [3, 2]),  # each half of 10 minutes shows more than enough patches
        ("auto", 1.0, [3]),
        ("both", 1.0, [3, 2]),
        ("2d", 1.0, [2]),
    ],
)
def test_both_only_where_the_minutes_show_each_enough(ways, seconds, sizes):
    between = fp((20, 200, 200), (4.0, 1.0, 1.0), labels={"organ": facts(0.5, 0.5, 0.3)})
    parts, why = kinds_for(between, Wish(10, ways=ways), lambda channels: Clock(seconds))
    assert [len(part.form.patch) for part in parts] == sizes
    assert ("minutes do not allow" in why.en) == (ways == "auto" and seconds == 1.0)
    if len(parts) == 2:
        spent = [part.choice.seconds for part in parts]
        if seconds < 1:
            assert spent == pytest.approx([240, 240], rel=0.1)  # 80 % of 5 minutes each
        assert [part.fields["context"] for part in parts] == [0, 1]
        assert all(part.fields["train"]["patches"] for part in parts)


def test_volumes_near_to_cubes_are_planned_as_before():
    cubes = fp((35, 50, 35), (1.0, 1.0, 1.0), labels={"anterior": facts(0.5, 0.5, 0.5)})
    (part,), why = kinds_for(cubes, Wish(10), lambda channels: Clock(0.01))
    assert part.form == segment.form(cubes, "cpu")
    assert part.choice == segment.choose(part.form, 10, Clock(0.01), part.batch)
    assert "1 times as long" in why.en


def test_every_way_has_its_kinds():
    assert [kind.flat for kind in KINDS["both"]] == [False, True]
    assert KINDS["2d"][0].context == 0 < KINDS["2.5d"][0].context
