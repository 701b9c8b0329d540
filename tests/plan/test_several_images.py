"""Cases of several images: what is measured of each, and what the plan makes of them."""

import numpy as np
import pytest

from tomos import datasets, formats
from tomos.datasets import Dataset, DatasetInfo, TargetInfo
from tomos.plan import segment
from tomos.plan.mask_fingerprint import MaskFingerprint, mask_fingerprint
from tomos.transforms.prepare import Chain
from tomos.types import Case, FormatError, Image, Part

UPRIGHT = np.array([[0, 0, -1, 0], [0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], float)
SIDE = 12


def written(path, values, step=1.0):
    affine = UPRIGHT @ np.diag([step, step, step, 1.0])
    formats.write_nifti(Image(values[None], affine, "patient"), path)
    return str(path)


@pytest.fixture
def made(tmp_path):
    """Six cases of a CT, 40 inside of the label, and a PET of half the steps, 4 inside of it."""
    inside = np.zeros((SIDE,) * 3, bool)
    inside[3:9, 3:9, 3:9] = True
    cases = []
    for k in range(6):
        rng = np.random.default_rng(k)
        ct = np.where(inside, 40, -1000).astype(np.int16) + rng.integers(-5, 6, inside.shape)
        pet = np.where(inside, 4.0, 0.5).astype(np.float32)[::2, ::2, ::2].copy()
        images = {
            "CT": written(tmp_path / f"{k}ct.nii", ct.astype(np.int16)),
            "PET": written(tmp_path / f"{k}pet.nii", pet, 2.0),
        }
        mask = written(tmp_path / f"{k}m.nii", inside.astype(np.uint8))
        cases.append(Case(f"c{k}", images, {"mask": mask}, split="train" if k else "val"))
    info = DatasetInfo(
        name="both", task="segment", target="mask", roles=("CT", "PET"), classes=("lesion",),
        targets={"mask": TargetInfo(kind="mask", classes=("lesion",))},
    )  # fmt: skip
    return Dataset(tmp_path, info, tuple(cases))


def test_each_image_is_measured_by_itself(made):
    fp = mask_fingerprint(made.split("train"), made.split("val"))
    ct, pet = fp.roles
    assert (ct.name, ct.channels, ct.resampled) == ("CT", 1, 0.0)
    assert (pet.name, pet.channels, pet.resampled) == ("PET", 1, 1.0)
    assert ct.inside[0] == pytest.approx(40, abs=0.5)
    assert pet.inside[3] == pytest.approx(4.0)
    assert fp.inside == ct.inside and fp.sizes[1] == (SIDE,) * 3
    assert MaskFingerprint.model_validate(fp.model_dump(mode="json")) == fp


def test_a_ct_decides_nothing_of_the_pet_beside_it(made):
    fp = mask_fingerprint(made.split("train"), made.split("val"))
    assert segment.channels(fp) == 2
    steps, why = segment.prepare(fp)
    scale = [(step["step"], step.get("kind", ""), step["only"]) for step in steps if "only" in step]
    assert scale == [("window", "", [0]), ("normalise", "fixed", [0]), ("normalise", "zscore", [1])]
    assert "2 images a case, CT, PET" in why.en and "PET in 100% of the cases" in why.en
    assert "CT: CT values are absolute" in why.en and "PET: brightness depends" in why.en
    assert "每个病例有 2 幅图像" in why.zh and "CT：CT 值为绝对值" in why.zh
    prepared, labels = datasets.prepare_case(made, made.cases[2], Chain(steps))
    ct, pet = prepared.pixels
    low, high = fp.roles[0].inside[2:]
    given = np.clip(made.read(made.cases[2]).pixels[0], low, high)
    mean, std = fp.roles[0].inside[:2]
    assert np.abs(ct - (given - mean) / std).max() < 1e-2  # the plan's figures are rounded
    assert abs(pet.mean()) < 1e-3 and abs(pet.std() - 1) < 1e-3
    assert pet[labels == 1].mean() > pet[labels == 0].mean() + 1


def test_roles_of_one_kind_give_one_reason_and_a_step_each(made):
    fp = mask_fingerprint(made.split("train"), made.split("val"))
    roles = tuple(
        role.model_copy(update={"name": name, "units": {"1": 5}})
        for role, name in zip(fp.roles, ("T1", "T2"), strict=True)
    )
    steps, why = segment.prepare(fp.model_copy(update={"roles": roles}))
    assert [step["only"] for step in steps if step["step"] == "normalise"] == [[0], [1]]
    assert "T1, T2: brightness depends on exposure" in why.en
    assert why.en.count("brightness") == 1


def test_steps_for_some_channels_leave_the_others_alone():
    rng = np.random.default_rng(0)
    pixels = rng.normal(5, 3, (3, 8, 9)).astype(np.float32)
    image = Image(pixels, parts=(Part(1), Part(2)))
    chain = Chain([{"step": "normalise", "kind": "zscore", "only": [1, 2]}])
    out = chain(image).pixels
    assert np.array_equal(out[0], pixels[0])
    both = pixels[1:]
    assert np.allclose(out[1:], (both - both.mean()) / both.std(), atol=1e-5)
    assert np.allclose(chain.many([image, image])[1], out)
    with pytest.raises(FormatError, match="expected a channel 3, counted from 0, got 3"):
        Chain([{"step": "window", "only": [3]}])(image)


def test_channels_of_several_images_are_never_taken_for_alpha_or_colour():
    two = Image(np.zeros((2, 4, 4), np.uint8), parts=(Part(1), Part(1)))
    assert Chain([{"step": "channels", "to": 2}])(two).channels == 2
    for to in (1, 3):
        with pytest.raises(FormatError, match="got 2 of 2 images of one case"):
            Chain([{"step": "channels", "to": to}])(two)
    grey = Image(np.zeros((2, 4, 4), np.uint8))  # grey and alpha, as a PNG has them
    assert Chain([{"step": "channels", "to": 1}])(grey).channels == 1
