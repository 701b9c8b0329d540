"""Cases of several images: which they are, what is learned from them, and what they lack."""

import csv
import json

import numpy as np
import pytest
from small_pictures import picture, save

from tomos import datasets, formats
from tomos.transforms.prepare import Chain
from tomos.types import DatasetError, FormatError, Image, SettingsError

CHAIN = Chain([{"step": "channels", "to": 2}])
UPRIGHT = np.array([[0, 0, -1, 0], [0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], float)
SIDE = 24


def labels():
    found = np.zeros((SIDE, SIDE), np.uint8)
    found[4:12, 6:16] = 1
    return found


def grey(k, channel):
    return picture(100 * channel + k, side=SIDE)


@pytest.fixture
def numbered(tmp_path):
    """Ten cases as nnU-Net has them, pictures of T1 and T2."""
    root = tmp_path / "source"
    for k in range(10):
        for channel in (0, 1):
            save(root / "imagesTr" / f"c{k}_{channel:04d}.png", grey(k, channel))
        save(root / "labelsTr" / f"c{k}.png", labels())
    told = {"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "a": 1}}
    (root / "dataset.json").write_text(json.dumps(told))
    return root


def table(folder, rows, columns=("case", "image:t1", "image:t2", "mask")):
    folder.mkdir(exist_ok=True)
    with (folder / "cases.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    return folder / "cases.csv"


def test_both_images_are_learned_from_the_reference_first(numbered, tmp_path):
    made = datasets.import_folder(numbered, tmp_path / "d")
    assert (made.info.roles, made.info.reference) == (("T1", "T2"), "T1")
    assert "images: T1, T2; reference T1" in made.summary()
    opened = datasets.open(tmp_path / "d")
    case = next(case for case in opened.cases if case.name == "c3")
    assert opened.roles == ("T1", "T2")
    assert opened.image(case) == f"{case.images['T1']}|{case.images['T2']}"
    assert opened.reference(case) == case.images["T1"]
    prepared, _ = datasets.prepare_case(opened, case, CHAIN)
    assert np.array_equal(prepared.pixels, np.concatenate([grey(3, 0), grey(3, 1)]))
    shelf = datasets.shelved(opened.split("train"), CHAIN)
    row = shelf.names.index("c3") if "c3" in shelf.names else 0
    kept = int(shelf.names[row][1:])
    pixels, _ = shelf.case(row)
    for channel in (0, 1):
        assert np.abs(pixels[channel] - grey(kept, channel)).max() < 0.1


def test_another_reference_comes_first_and_the_others_keep_their_order(numbered, tmp_path):
    datasets.import_folder(numbered, tmp_path / "d", reference="T2")
    opened = datasets.open(tmp_path / "d")
    assert (opened.info.roles, opened.roles) == (("T1", "T2"), ("T2", "T1"))
    prepared, _ = datasets.prepare_case(opened, opened.cases[0], CHAIN)
    k = int(opened.cases[0].name[1:])
    assert np.array_equal(prepared.pixels, np.concatenate([grey(k, 1), grey(k, 0)]))


def test_a_reference_that_is_none_is_refused(numbered, tmp_path):
    with pytest.raises(
        SettingsError, match=r"--reference T3: no image is called so; there are: T1, T2"
    ):
        datasets.import_folder(numbered, tmp_path / "d", reference="T3")
    for path in (numbered / "imagesTr").glob("*_0001.png"):
        path.unlink()
    with pytest.raises(SettingsError, match="expected cases with several images"):
        datasets.import_folder(numbered, tmp_path / "d", reference="T1")
    made = datasets.import_folder(numbered, tmp_path / "d")
    assert made.info.roles == ()
    assert any("T1, T2; each case has one" in note for note in made.info.provenance.notes)


def test_names_that_stand_twice_do_not_hide_an_image(numbered, tmp_path):
    told = {"channel_names": {"0": "rescale", "1": "rescale"}, "labels": {"background": 0, "a": 1}}
    (numbered / "dataset.json").write_text(json.dumps(told))
    made = datasets.import_folder(numbered, tmp_path / "d")
    assert made.info.roles == ("rescale 0", "rescale 1")
    assert all(len(case.images) == 2 for case in made.cases)


def test_a_case_that_lacks_an_image_fails_alone_and_by_name(numbered, tmp_path):
    (numbered / "imagesTr" / "c4_0001.png").unlink()
    made = datasets.import_folder(numbered, tmp_path / "d")
    assert any("c4 has T1 alone" in note for note in made.info.provenance.notes)
    opened = datasets.open(tmp_path / "d")
    found = {problem.code: problem for problem in datasets.check(opened).problems}
    assert found["unreadable"].cases == ("c4",)
    assert "c4: has no image 'T2'" in found["unreadable"].message
    shelf = datasets.shelved(opened, CHAIN)
    assert len(shelf) == 9 and "has no image 'T2'" in shelf.skipped["c4"]
    case = next(case for case in opened.cases if case.name == "c4")
    with pytest.raises(FormatError, match="image 2 is missing"):
        formats.read(opened.image(case))


def test_images_that_cannot_be_put_on_one_grid_are_told_by_check(numbered, tmp_path):
    save(numbered / "imagesTr" / "c4_0001.png", picture(4, side=SIDE + 2))
    datasets.import_folder(numbered, tmp_path / "d")
    found = datasets.check(datasets.open(tmp_path / "d")).problems
    unread = next(problem for problem in found if problem.code == "unreadable")
    assert unread.cases == ("c4",) and "the sizes differ" in unread.message
    assert not any(problem.code == "masks_unfit" for problem in found)


def test_a_changed_second_image_is_prepared_anew(numbered, tmp_path):
    datasets.import_folder(numbered, tmp_path / "d")
    opened = datasets.open(tmp_path / "d")
    first = datasets.shelved(opened, CHAIN)
    save(numbered / "imagesTr" / "c0_0001.png", picture(999, side=SIDE))
    again = datasets.shelved(opened, CHAIN)
    assert again.folder != first.folder
    row = again.names.index("c0")
    assert np.abs(again.case(row)[0][1] - picture(999, side=SIDE)).max() < 0.1


def test_cases_that_share_a_second_image_are_split_together(numbered, tmp_path):
    for k in range(1, 4):
        save(numbered / "imagesTr" / f"c{k}_0001.png", grey(0, 1))
    made = datasets.import_folder(numbered, tmp_path / "d")
    assert len({case.split for case in made.cases if case.name in ("c0", "c1", "c2", "c3")}) == 1


def test_volumes_of_one_file_are_its_images(tmp_path):
    nib = pytest.importorskip("nibabel")
    root = tmp_path / "task"
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    values = [rng.integers(0, 99, (6, 7, 8, 2)).astype(np.int16) for _ in range(4)]
    mask = np.zeros((6, 7, 8), np.uint8)
    mask[2:4, 2:4, 2:4] = 1
    for k, pixels in enumerate(values):
        nib.save(nib.Nifti1Image(pixels, np.eye(4)), root / "imagesTr" / f"p{k}.nii.gz")
        nib.save(nib.Nifti1Image(mask, np.eye(4)), root / "labelsTr" / f"p{k}.nii.gz")
    told = {"modality": {"0": "FLAIR", "1": "T1w"}, "labels": {"0": "background", "1": "tumour"}}
    (root / "dataset.json").write_text(json.dumps(told))
    made = datasets.import_folder(root, tmp_path / "d")
    assert made.info.roles == ("FLAIR", "T1w")
    assert made.cases[1].images["T1w"].endswith("p1.nii.gz#1")
    opened = datasets.open(tmp_path / "d")
    case = next(case for case in opened.cases if case.name == "p2")
    assert np.array_equal(opened.read(case).pixels, values[2].transpose(3, 2, 1, 0))
    told["modality"]["2"] = "T2w"
    (root / "dataset.json").write_text(json.dumps(told))
    with pytest.raises(DatasetError, match=r"expected 3 volumes, .*FLAIR, T1w, T2w, got 2"):
        datasets.import_folder(root, tmp_path / "e")


def test_a_table_names_the_images_and_another_grid_is_resampled(tmp_path):
    rows = []
    for k in range(4):
        for name, step in (("t1", 1.0), ("t2", 2.0), ("m", 1.0)):
            side = int(8 / step)
            affine = UPRIGHT @ np.diag([step, step, step, 1.0])
            affine[:3, 3] = np.array([-1, -1, 1]) * (step - 1) / 2
            values = np.full((1, side, side, side), 10.0 * k + step, np.float32)
            if name == "m":
                values = np.pad(np.ones((1, 2, 2, 2), np.uint8), ((0, 0), *[(3, 3)] * 3))
            formats.write_nifti(Image(values, affine, "patient"), tmp_path / f"{k}{name}.nii")
        rows.append([f"case {k}", f"{k}t1.nii", f"{k}t2.nii", f"{k}m.nii"])
    datasets.import_folder(table(tmp_path, rows), tmp_path / "d", target="mask")
    opened = datasets.open(tmp_path / "d")
    assert opened.roles == ("t1", "t2")
    image = opened.read(opened.cases[2])
    assert image.size == (8, 8, 8) and image.parts[1].resampled
    assert [float(channel.mean()) for channel in image.pixels] == [21.0, 22.0]


def test_classes_are_learned_from_the_reference_alone_and_it_is_said(tmp_path):
    rows = []
    for k in range(12):
        for channel in (0, 1):
            save(tmp_path / f"{k}_{channel}.png", grey(k, channel))
        rows.append([str(k), f"{k}_0.png", f"{k}_1.png", "ab"[k % 2]])
    source = table(tmp_path, rows, ("case", "image:t1", "image:t2", "label"))
    made = datasets.import_folder(source, tmp_path / "d", reference="t2")
    assert any("from the image t2 alone, not from t1" in n for n in made.info.provenance.notes)
    opened = datasets.open(tmp_path / "d")
    assert opened.roles == ()
    assert opened.image(opened.cases[0]) == opened.cases[0].images["t2"]


def test_roles_of_a_set_written_by_hand_are_its_columns(numbered, tmp_path):
    datasets.import_folder(numbered, tmp_path / "d")
    text = (tmp_path / "d" / "dataset.toml").read_text()
    lines = [line for line in text.splitlines() if '"T' not in line or "=" in line]
    bare = "\n".join(lines).replace("roles = [\n]\n", "").replace('reference = "T1"\n', "")
    (tmp_path / "d" / "dataset.toml").write_text(bare)
    assert datasets.open(tmp_path / "d").roles == ("T1", "T2")
    (tmp_path / "d" / "dataset.toml").write_text(bare.replace("schema", 'roles=["T3"]\nschema'))
    with pytest.raises(DatasetError, match="expected a column 'image:T3'"):
        datasets.open(tmp_path / "d")


def test_a_model_sees_the_images_that_it_reads_by_their_names(numbered, tmp_path):
    datasets.import_folder(numbered, tmp_path / "d")
    opened = datasets.open(tmp_path / "d")
    assert opened.seen_as(("T2", "T1")).roles == ("T2", "T1")
    assert opened.seen_as(()).image(opened.cases[0]) == opened.cases[0].images["T1"]
    with pytest.raises(DatasetError, match="expected the images T1, FLAIR of every case"):
        opened.seen_as(("T1", "FLAIR"))
