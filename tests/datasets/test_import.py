"""Sources as people have them -> a data set."""

from collections import Counter

import numpy as np
import pytest
from small_pictures import picture, save

from tomos import datasets
from tomos.cli import main
from tomos.types import DatasetError, SettingsError


def splits(made):
    return {part: sum(counts.values()) for part, counts in made.counts.items()}


def test_a_folder_per_class(classes, tmp_path):
    made = datasets.import_folder(classes, tmp_path / "d")
    data = datasets.open(tmp_path / "d")
    assert data.classes == ("sick", "well") and data.cases == made.cases
    assert splits(made) == {"train": 35, "val": 5, "test": 10}
    assert made.counts["train"] == {"sick": 14, "well": 21}
    assert data.info.provenance.layout == "folders"
    assert not (tmp_path / "d" / "images").exists(), "originals are referenced"
    assert "../" in (tmp_path / "d" / "cases.csv").read_text(), "addresses are relative"


def test_the_data_set_may_lie_inside_the_source(tmp_path):
    for k in range(4):
        save(tmp_path / f"{'ab'[k % 2]}" / f"{k}.png", picture(k, 32))
    made = datasets.import_folder(tmp_path, tmp_path / "data")
    assert len(made.cases) == 4
    assert datasets.open(tmp_path / "data").cases[0].image == str(tmp_path / "a" / "0.png")


def test_a_dry_run_writes_nothing_and_says_what_it_would_do(classes, tmp_path):
    made = datasets.import_folder(classes, tmp_path / "d", dry_run=True)
    assert not made.written and list(tmp_path.iterdir()) == []
    said = made.summary()
    assert "layout 'folders', 50 cases" in said and "dry run" in said and "sick 14" in said


def test_copying_makes_it_independent(classes, tmp_path):
    datasets.import_folder(classes, tmp_path / "d", copy=True)
    (tmp_path / "d").rename(tmp_path / "moved")
    data = datasets.open(tmp_path / "moved")
    assert all(case.image.startswith(str(tmp_path / "moved")) for case in data.cases)
    assert datasets.check(data).problems[0].code != "unreadable"


@pytest.mark.parametrize("names", [("train", "test"), ("Training", "Testing")])
def test_train_and_test_pairs_keep_their_split(tmp_path, names):
    for k in range(40):
        save(tmp_path / "s" / names[k >= 30] / "ab"[k % 2] / f"{k}.png", picture(k, 32))
    made = datasets.import_folder(tmp_path / "s", tmp_path / "d")
    assert splits(made) == {"train": 26, "val": 4, "test": 10}
    assert {c.name.split("/")[0] for c in made.cases if c.split == "test"} == {names[1]}
    assert "official" in made.info.provenance.split


def test_a_test_folder_inside_the_training_folder_is_told_apart(tmp_path):
    for k in range(20):
        part = "train/test" if k >= 16 else "train"
        save(tmp_path / "s" / part / "ab"[k % 2] / f"{k}.png", picture(k, 32))
    made = datasets.import_folder(tmp_path / "s", tmp_path / "d")
    assert made.info.classes == ("a", "b") and splits(made)["test"] == 4
    codes = {p.code for p in datasets.check(datasets.open(tmp_path / "d")).problems}
    assert "test_inside_train" in codes


def test_nih_names_give_the_patient_unless_turned_off(tmp_path):
    for k in range(20):
        save(tmp_path / "s" / "ab"[k % 2] / f"{k // 4:08d}_{k % 4:03d}.png", picture(k, 32))
    made = datasets.import_folder(tmp_path / "s", tmp_path / "d")
    assert {case.patient for case in made.cases} == {f"{k:08d}" for k in range(5)}
    assert "NIH" in made.info.provenance.patient
    off = datasets.import_folder(tmp_path / "s", tmp_path / "e", patient="none")
    assert {case.patient for case in off.cases} == {""}


def test_patient_by_expression_and_by_folder(tmp_path):
    for k in range(12):
        save(tmp_path / "s" / "ab"[k % 2] / f"P{k // 2:03d}" / f"x{k}.png", picture(k, 32))
    by_folder = datasets.import_folder(tmp_path / "s", tmp_path / "d")
    assert {case.patient for case in by_folder.cases} == {f"P{k:03d}" for k in range(6)}
    assert by_folder.info.classes == ("a", "b")
    by_rule = datasets.import_folder(tmp_path / "s", tmp_path / "e", patient=r"/P(\d+)/")
    assert {case.patient for case in by_rule.cases} == {f"{k:03d}" for k in range(6)}
    with pytest.raises(SettingsError, match="fits no path"):
        datasets.import_folder(tmp_path / "s", tmp_path / "f", patient="Q(.)")


def test_a_foreign_table_is_mapped_and_the_mapping_kept(tmp_path):
    for k in range(1, 21):
        save(tmp_path / "病理" / f"{k:03d}.png", picture(k, 32))
    rows = "".join(f"{k},{'ab'[k % 2]},{k // 2},x{k}\n" for k in range(1, 21))
    table = tmp_path / "病理" / "types.csv"
    table.write_bytes(("\ufeffimage ID,class label,编号,note\n" + rows).encode())
    made = datasets.import_folder(
        tmp_path / "病理",
        tmp_path / "d",
        columns={"image": "image ID", "label": "class label"},
        images="{:03d}.png",
        patient="编号",
    )
    assert len(made.cases) == 20 and made.info.classes == ("a", "b")
    assert made.cases[0].patient == "0" and made.cases[0].clinical == {"note": "x1"}
    kept = datasets.open(tmp_path / "d").info.provenance
    assert kept.columns == {"image": "image ID", "label": "class label", "patient": "编号"}
    assert kept.images == "{:03d}.png"


def test_usual_and_chinese_column_names_need_no_mapping(tmp_path):
    for k in range(6):
        save(tmp_path / "s" / "pics" / f"胸片{k}.png", picture(k, 32))
    rows = "".join(f"胸片{k}.png,{'正常' if k % 2 else '肺炎'},p{k // 2}\n" for k in range(6))
    (tmp_path / "s" / "标注.csv").write_bytes(("文件名,诊断,患者编号\n" + rows).encode("gb18030"))
    made = datasets.import_folder(tmp_path / "s" / "标注.csv", tmp_path / "d")
    assert set(made.info.classes) == {"正常", "肺炎"}
    assert made.cases[0].patient == "p0" and made.cases[0].image.endswith("pics/胸片0.png")


def test_a_table_that_names_no_file_says_what_to_do(tmp_path):
    save(tmp_path / "s" / "cell-001.png", picture(1, 32))
    (tmp_path / "s" / "t.csv").write_text("image,label\n1,a\n2,b\n")
    said = r"t.csv, line 2, column 'image': '1'.*--images '\{:03d\}\.png'"
    with pytest.raises(DatasetError, match=said):
        datasets.import_folder(tmp_path / "s", tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_our_own_columns_are_a_source_and_a_blank_label_stays_blank(tmp_path):
    for k in range(4):
        save(tmp_path / "s" / f"{k}.png", picture(k, 32))
    (tmp_path / "s" / "cases.csv").write_text(
        "case,image,label,split\na,0.png,x,train\nb,1.png,,train\nc,2.png,y,val\nd,3.png,y,test\n"
    )
    made = datasets.import_folder(tmp_path / "s", tmp_path / "d")
    assert [case.split for case in made.cases] == ["train", "train", "val", "test"]
    assert [case.targets["label"] for case in made.cases] == ["x", "", "y", "y"]
    again = datasets.import_folder(tmp_path / "d", tmp_path / "e")
    assert [c.image for c in again.cases] == [c.image for c in made.cases]


def test_no_finding_among_several_labels_is_none_of_them(tmp_path):
    for k in range(3):
        save(tmp_path / "s" / f"{k}.png", picture(k, 32))
    (tmp_path / "s" / "t.csv").write_text(
        "Image Index,Finding Labels\n0.png,Mass|Effusion\n1.png,No Finding\n2.png,Mass\n"
    )
    made = datasets.import_folder(tmp_path / "s", tmp_path / "d")
    assert made.info.classes == ("Effusion", "Mass")
    assert made.info.targets["label"].kind == "multilabel"
    assert [case.targets["label"] for case in made.cases] == ["Mass|Effusion", "-", "Mass"]


def medmnist(path, labels, **more):
    arrays = {}
    for split, values in labels.items():
        arrays[f"{split}_images"] = np.stack([picture(k, 28)[0] for k in range(len(values))])
        arrays[f"{split}_labels"] = np.array(values, np.uint8)
    np.savez(path, **arrays, **more)
    return path


def test_medmnist(tmp_path):
    labels = {"train": [[0], [1], [1]], "val": [[0]], "test": [[1]]}
    made = datasets.import_folder(medmnist(tmp_path / "breastmnist_64.npz", labels), tmp_path / "d")
    assert made.info.classes == ("malignant", "normal, benign")
    assert [case.name for case in made.cases][:2] == ["train/0", "train/1"]
    assert splits(made) == {"train": 3, "val": 1, "test": 1}
    unknown = datasets.import_folder(medmnist(tmp_path / "mine.npz", labels), tmp_path / "e")
    assert unknown.info.classes == ("0", "1")
    several = {"train": [[0] * 14, [1] + [0] * 12 + [1]]}
    many = datasets.import_folder(medmnist(tmp_path / "chestmnist.npz", several), tmp_path / "f")
    assert [case.targets["label"] for case in many.cases] == ["-", "atelectasis|hernia"]
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(DatasetError, match="train_images and train_labels not found; it holds x"):
        datasets.import_folder(tmp_path / "other.npz", tmp_path / "g")


def test_a_flat_folder_with_a_table_of_labels_elsewhere(tmp_path):
    for k in range(4):
        save(tmp_path / "s" / f"{k}.png", picture(k, 32))
    (tmp_path / "labels.csv").write_text("file,label\n0,a\n1,b\n2.png,a\n3,b\n")
    made = datasets.import_folder(tmp_path / "s", tmp_path / "d", labels=tmp_path / "labels.csv")
    assert {case.name: case.targets["label"] for case in made.cases} == {
        "0": "a", "1": "b", "2": "a", "3": "b"
    }  # fmt: skip
    assert made.info.provenance.labels == "../labels.csv"


def test_the_command_shows_and_then_writes(classes, tmp_path, capsys):
    import json

    words = ["import", str(classes), str(tmp_path / "d"), "--split", "60/20/20"]
    assert main([*words, "--dry-run"]) == 0
    assert "train" in capsys.readouterr().out and not (tmp_path / "d").exists()
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["splits"]["val"] == {"sick": 4, "well": 6} and told["written"] is True
    assert main([*words]) == 2 and "is a data set already" in capsys.readouterr().err
    assert main([*words[:2], str(tmp_path / "e"), "--column", "label"]) == 2
    assert "expected OURS=THEIRS" in capsys.readouterr().err
    assert main(["import", "archive:x", str(tmp_path / "e")]) == 2


def test_equal_pictures_land_on_one_side(tmp_path):
    for k in range(40):
        save(tmp_path / "s" / "ab"[k % 2] / f"{k}.png", picture(k // 4 * 4 + k % 2, 32))
    made = datasets.import_folder(tmp_path / "s", tmp_path / "d")
    data = datasets.open(tmp_path / "d")
    assert datasets.check(data).across_split == ()
    assert Counter(case.split for case in made.cases)["train"] == 28


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda root: None, "there is no such file or folder"),
        (lambda root: root.mkdir(), "there is no image in it"),
        (
            lambda root: save(root / "JPEGImages" / "1.png", picture(0, 32)),
            "look like images beside masks",
        ),
    ],
)
def test_what_is_no_source_is_refused_and_leaves_nothing(tmp_path, prepare, said):
    prepare(tmp_path / "s")
    with pytest.raises(DatasetError, match=said):
        datasets.import_folder(tmp_path / "s", tmp_path / "d")
    assert sorted(p.name for p in tmp_path.iterdir()) in (["s"], [])


def test_an_existing_data_set_is_not_overwritten(classes, tmp_path):
    datasets.import_folder(classes, tmp_path / "d")
    before = (tmp_path / "d" / "cases.csv").read_bytes()
    with pytest.raises(DatasetError, match="is a data set already"):
        datasets.import_folder(classes, tmp_path / "d", seed=3)
    assert (tmp_path / "d" / "cases.csv").read_bytes() == before


def test_a_full_disk_leaves_nothing_behind(classes, tmp_path, monkeypatch):
    import shutil

    from tomos.types import StorageError

    def full(path, there):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(StorageError, match="cannot be copied"):
        datasets.import_folder(classes, tmp_path / "d", copy=True)
    assert list(tmp_path.iterdir()) == []


def test_the_finding_of_two_classes_can_be_named(classes, tmp_path):
    datasets.import_folder(classes, tmp_path / "d", positive="sick")
    assert datasets.open(tmp_path / "d").target("label").positive == "sick"
    again = datasets.import_folder(tmp_path / "d", tmp_path / "e")
    assert again.info.targets["label"].positive == "sick"
    with pytest.raises(SettingsError, match="did you mean 'sick'"):
        datasets.import_folder(classes, tmp_path / "f", positive="sic")
    assert not (tmp_path / "f").exists()
