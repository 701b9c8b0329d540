"""Every reason of the rules is said in Chinese, too, with the same numbers."""

import re

import pytest
from chinese_reading import english
from test_mask_rules import Clock, facts, fp
from test_rules import Clock as PictureClock
from test_rules import fingerprint

from tomos.config import load, parse
from tomos.plan import Plan, classify, recipe, recipes, sentences
from tomos.plan.make_segment import Wish, kinds_for
from tomos.plan.schema import told
from tomos.plan.symmetry import ORIENTATIONS
from tomos.types import Words

pytestmark = pytest.mark.fast
FREE = {"flip_x": 0.55, "flip_y": 0.56, "transpose": 0.54}


def same(words: Words) -> None:
    """In Chinese, no English sentence in it, and no number lost."""
    assert words.zh and not english(words.zh), words
    numbers = [set(re.findall(r"\d+(?:[.,]\d+)*", text)) for text in (words.en, words.zh)]
    spelt = {"1", "99", "0.5", "8"}  # "all but 1 %", "one half": said otherwise
    assert numbers[0] ^ numbers[1] <= spelt, words


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"colour": 1.0, "told_apart": FREE, "counts": {"a": 450, "b": 50}},
        {"aspect": 3.0, "units": {"HU": 400}, "told_apart": {**FREE, "flip_y": 1.0}},
        {"types": {"uint16": 400}, "aspect": 250.0},
    ],
)
def test_of_pictures(changes):
    known = fingerprint(**changes)
    choice = classify.choose(known, 8, PictureClock(1e-3, single=1.1), 32)
    assert choice.members > 1
    same(choice.reason)
    same(classify.prepare(known, (28, 28))[1])
    same(classify.augment(known)[1])
    same(classify.train(known, choice, 32, 0, "class")[1])


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (4.0, 1.0, 1.0), (10.0, 1.0, 1.0), None])
@pytest.mark.parametrize("changes", [
    {},
    {"units": {"HU": 50}, "told_apart": FREE},
    {"colour": 1.0, "labels": {"nodule": facts(0.5, 0.5, 0.5, pieces=3, piece=60)}},
])  # fmt: skip
def test_of_masks(spacing, changes):
    parts, why = kinds_for(fp((40, 300, 300), spacing, **changes), Wish(60), lambda _: Clock(1e-3))
    same(why)
    for part in parts:
        for words in part.reasons.values():
            same(words)


def test_of_pictures_with_masks():
    vessel = facts(0.5, 0.5, apart=0.6, apart_even=1.1, thickness=4.5)
    flat = fp((584, 565), labels={"vessel": vessel})
    (part,), why = kinds_for(flat, Wish(10), lambda _: Clock(1.0))
    assert not why and "270" not in part.reasons["model"].en
    same(part.reasons["augment"])
    same(sentences.evened({"vessel": (0.6, 1.1)}))
    same(sentences.tversky(["vessel"]))


def test_a_patch_takes_a_plain_number_of_milliseconds():
    said = sentences.enough((40, 56, 40), ("unet", 24), 0.2734, 7197, 5000)
    same(said)
    assert "40 x 56 x 40 voxels takes 270 ms" in said.en
    assert "40 × 56 × 40 体素的图块需 270 毫秒" in said.zh


@pytest.mark.parametrize("name", recipes())
def test_of_recipes(name):
    known = load(recipe.Recipe, recipe.FOLDER / f"{name}.toml")
    same(Words(known.source, known.source_zh))


def test_every_orientation_has_its_chinese():
    assert sentences.CHINESE.keys() == ORIENTATIONS.keys()


def test_a_plan_keeps_both_and_an_old_one_has_english_alone():
    values = {
        "classes": ["a", "b"], "size": [8, 8], "prepare": [], "model": {"name": "m"},
        "dataset": {"name": "s", "checksum": "0", "n_train": 9, "n_val": 2, "n_patients": 11},
        "budget": {"minutes": 1},
    }  # fmt: skip
    why = {"train": Words("why", "理由"), "model": Words("so"), "dimensions": Words("")}
    plan = parse(Plan, {**values, **told(why)}, "plan")
    assert plan.why == {"train": Words("why", "理由"), "model": Words("so")}
    old = parse(Plan, {**values, "reasons": {"train": "why"}}, "plan")
    assert old.why == {"train": Words("why")}
