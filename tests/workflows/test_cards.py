"""The card of a model for masks: every kind of network in it, in both languages."""

import pytest

from tomos import config
from tomos.package import Manifest
from tomos.plan import Plan
from tomos.workflows.card import grid_said, images_said, mask_card, tiles_said

pytestmark = pytest.mark.fast
DEEP = {"size": [4, 16, 16], "model": {"name": "unet"}, "train": {"members": 2}}
FLAT = {"size": [24, 32], "context": 1, "model": {"name": "resenc_unet"}}
RESAMPLE = {"step": "resample", "spacing": [4.0, 1.0, 1.5]}
DATA = {"name": "set", "n_train": 30, "n_val": 6, "n_patients": 36, "patients_known": True}


def made(graphs=3, prepare=(RESAMPLE,), **plan):
    """A model of two networks of volumes and one of slices, and the plan it came from."""
    values = {
        "task": "segment",
        "kind": "mask",
        "classes": ["liver", "tumour"],
        "spacing": [4.0, 1.0, 1.5],
        "dataset": {"name": "set", "checksum": "", "n_train": 30, "n_val": 6, "n_patients": 36},
        "prepare": list(prepare),
        "budget": {"minutes": 5},
        **DEEP,
        "also": [FLAT],
        **plan,
    }
    slices = {
        "input": {"channels": 1, "size": [24, 32], "volumes": True, "context": 1},
        "network": {"name": "resenc_unet"},
    }
    parts = [{"file": f"graphs/{n}.onnx", **(slices if n == 2 else {})} for n in range(graphs)]
    manifest = Manifest(
        name="ensemble",
        task="segment",
        kind="mask",
        classes=[{"name": "liver"}, {"name": "tumour"}],
        input={"channels": 1, "size": [4, 16, 16]},
        prepare=prepare,
        network={"name": "unet"},
        graphs=parts,
        dataset=DATA,
    )
    return manifest, config.parse(Plan, values, "plan")


def test_the_card_names_every_kind_and_its_tiles():
    card = mask_card(*made())
    assert (
        "3 networks: 2 x unet in tiles of 4 x 16 x 16 voxels; 1 x resenc_unet in tiles of 24 x 32 "
        "pixels, 3 slices at once; their probabilities are averaged, at 4 x 1 x 1.5 mm. Trained "
        "from scratch on 30 cases, with 6"
    ) in card.en
    assert (
        "共 3 个网络：2 个 unet，每块 4 × 16 × 16 体素；1 个 resenc_unet，每块 24 × 32 像素，"
        "一次看 3 层；对各种网络的概率取平均，网格 4 × 1 × 1.5 mm。用 30 个病例训练，6 个"
    ) in card.zh


def test_a_kind_that_there_was_no_time_for_is_not_named():
    card = mask_card(*made(graphs=2))
    assert "2 networks: 2 x unet in tiles of 4 x 16 x 16 voxels, at 4 x" in card.en
    assert "resenc" not in card.en + card.zh and "averaged" not in card.en


def test_where_the_kinds_began():
    from_file = {"name": "resenc_unet", "weights": "w.safetensors"}
    also = [{**FLAT, "model": from_file}]
    assert "partly from a weight file" in mask_card(*made(also=also)).en
    assert "Trained from scratch" in mask_card(*made(graphs=2, also=also)).en


def test_the_report_says_which_kind_reads_in_which_tiles():
    manifest, _ = made()
    said = tiles_said(manifest) + grid_said(manifest)
    assert said.en == (
        "read by 2 x unet in tiles of 4 x 16 x 16 voxels; by 1 x resenc_unet in tiles of 24 x 32 "
        "pixels, 3 slices at once, at 4 x 1 x 1.5 mm"
    )
    assert said.zh == (
        "分块读取：2 个 unet 为每块 4 × 16 × 16 体素；1 个 resenc_unet 为每块 24 × 32 像素，"
        "一次看 3 层，网格 4 × 1 × 1.5 mm"
    )


def test_of_one_kind_nothing_is_numbered():
    manifest, _ = made(graphs=2, prepare=())
    said = tiles_said(manifest) + grid_said(manifest)
    assert said.en == "read in tiles of 4 x 16 x 16 voxels"
    assert said.zh == "分块读取，每块 4 × 16 × 16 体素"


def test_images_of_a_case_are_named_and_a_tile_larger_than_the_patch_is_the_one_told():
    manifest, _ = made()
    given = manifest.input.model_copy(
        update={"channels": 2, "size": (16, 16), "roles": ("CT", "PET")}
    )
    whole = manifest.mask.model_copy(update={"tile": (64, 48)})
    several = manifest.model_copy(
        update={"input": given, "mask": whole, "graphs": manifest.graphs[:1]}
    )
    assert images_said(several).en == "2 images a case (CT, PET), 2 channels, "
    assert images_said(several).zh == "每个病例 2 幅图像（CT、PET），2 通道，"
    assert images_said(manifest).en == "1 channel, "
    assert tiles_said(several).en == "read in tiles of 64 x 48 pixels"
