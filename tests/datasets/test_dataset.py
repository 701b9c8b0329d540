"""The folder that a person can read: opened, written, moved, and refused with line and column."""

import shutil

import pytest

from tomos import datasets
from tomos.datasets.dataset import container
from tomos.types import Case, DatasetError, SettingsError

pytestmark = pytest.mark.fast
TOML = 'schema = 1\nname = "t"\nclasses = ["a", "b"]\n[targets.label]\nkind = "class"\n'


def write(folder, csv, toml=TOML):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cases.csv").write_text(csv, encoding="utf-8")
    (folder / "dataset.toml").write_text(toml, encoding="utf-8")
    return folder


def test_columns_become_a_case(tmp_path):
    csv = "case,patient,image,label,split,site,date,年龄\nk1,p1,img/1.png,a,Training,s,2024,54\n"
    (case,) = datasets.open(write(tmp_path / "数据 集", csv)).cases
    assert case.image == str(tmp_path / "数据 集" / "img" / "1.png")
    assert (case.name, case.patient, case.split, case.site) == ("k1", "p1", "train", "s")
    assert case.targets == {"label": "a"} and case.clinical == {"年龄": "54"}


def test_a_blank_label_is_not_assessed(tmp_path):
    data = datasets.open(write(tmp_path, "case,image,label\nk,x.png,\n"))
    assert data.labels == ("",)


def test_addresses_may_be_absolute_or_name_a_member(tmp_path):
    csv = "case,image,label\nk,/data/x.png,a\nm,../x.npz#train/12,b\n"
    first, second = datasets.open(write(tmp_path / "d", csv)).cases
    assert first.image == "/data/x.png"
    assert second.image == f"{tmp_path / 'x.npz'}#train/12"
    assert container(second.image) == (str(tmp_path / "x.npz"), "train/12")


def test_a_hash_in_a_file_name_is_no_member(tmp_path):
    (tmp_path / "a#1.png").write_bytes(b"x")
    assert container(str(tmp_path / "a#1.png")) == (str(tmp_path / "a#1.png"), "")


def test_roles_and_several_targets_survive_writing(tmp_path):
    cases = (
        Case(
            "k,1",
            {"t1": str(tmp_path / "a" / "1.png"), "t2": str(tmp_path / "2.png")},
            {"label": "a", "grade": "2"},
            patient="p",
            split="val",
            clinical={"sex": "F"},
        ),
        Case("k2", {"t1": "/abs/3.png"}, {"label": "", "grade": "1"}, date="2024-01-02"),
    )
    info = datasets.DatasetInfo(
        name="t",
        targets={
            "label": datasets.TargetInfo(classes=("a", "b")),
            "grade": datasets.TargetInfo(kind="ordinal", classes=("1", "2")),
        },
        reference="t2",
    )
    datasets.create(tmp_path, info, cases)
    back = datasets.open(tmp_path)
    assert [c.images for c in back.cases] == [c.images for c in cases]
    assert [dict(c.targets) for c in back.cases] == [dict(c.targets) for c in cases]
    assert back.classes == ("a", "b") and back.image(back.cases[0]).endswith("2.png")
    assert "a/1.png" in (tmp_path / "cases.csv").read_text()


def test_rows_of_one_case_are_its_frames_in_order(tmp_path):
    csv = "case,image,label,index\nk,2.png,a,10\nk,1.png,a,9\nm,3.png,b,\n"
    data = datasets.open(write(tmp_path, csv))
    assert [name.rsplit("/", 1)[1] for name in data.cases[0].images.values()] == ["1.png", "2.png"]
    datasets.create(tmp_path / "again", data.info, data.cases)
    assert [c.images for c in datasets.open(tmp_path / "again").cases] == [
        c.images for c in data.cases
    ]


@pytest.mark.parametrize(
    ("csv", "said"),
    [
        ("case,image,label\nk,x.png,a\nm,y.png,c\n", r"line 3, column 'label': 'c' is not one of"),
        ("case,image,label,split\nk,x.png,a,trian\n", "line 2, column 'split': expected train"),
        ("case,image,label\nk,,a\n", "line 2, column 'image': expected an address"),
        ("case,file,label\nk,x,a\n", "expected a column 'image'"),
        ("case,image,label,index\nk,x,a,one\n", "line 2, column 'index': expected a number"),
        ("case,image,label\nk,x,a\nk,y,b\n", "case 'k' has two labels"),
        ("case,image\nk,x\n", "expected a column 'label'"),
        ("case,image,label\n", "there is no case"),
    ],
)
def test_a_wrong_cell_is_named(tmp_path, csv, said):
    with pytest.raises(DatasetError, match=said):
        datasets.open(write(tmp_path, csv))


def test_no_data_set_and_unknown_settings_are_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"not a data set.*tomos import"):
        datasets.open(tmp_path)
    write(tmp_path, "case,image,label\nk,x,a\n", 'license = "MIT"\n' + TOML)
    with pytest.raises(SettingsError, match="did you mean 'licence'"):
        datasets.open(tmp_path)


def test_classes_stand_in_one_place_or_agree(tmp_path):
    only = 'schema = 1\nname = "t"\n[targets.label]\nkind = "class"\nclasses = ["a"]\n'
    assert datasets.open(write(tmp_path, "case,image,label\nk,x,a\n", only)).classes == ("a",)
    with pytest.raises(SettingsError, match="must be equal"):
        datasets.open(write(tmp_path, "case,image,label\nk,x,a\n", TOML + 'classes = ["b"]\n'))


def test_the_checksum_follows_content_not_place(tmp_path):
    csv = "case,image,label,split\nk,x.png,a,train\nt,y.png,b,test\n"
    write(tmp_path / "one", csv)
    (tmp_path / "one" / "x.png").write_bytes(b"123")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    one, two = datasets.open(tmp_path / "one"), datasets.open(tmp_path / "two")
    assert one.checksum == two.checksum
    write(tmp_path / "two", csv.replace("y.png,b", "y.png,a"))
    assert datasets.open(tmp_path / "two").checksum == one.checksum, "test rows are not learned"
    write(tmp_path / "two", csv.replace("x.png,a", "x.png,b"))
    assert datasets.open(tmp_path / "two").checksum != one.checksum


def test_splits(tmp_path):
    csv = "case,image,label,split\nk,x,a,train\nm,y,b,test\n"
    data = datasets.open(write(tmp_path, csv))
    assert [case.name for case in data.split("test").cases] == ["m"]
    assert len(data.split("val")) == 0 and len(data.split("all")) == 2
    with pytest.raises(DatasetError, match="did you mean 'train'"):
        data.split("trian")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('positive = "c"\n', "no class 'c'"),
        ('codes.c = ["RadLex:RID5350"]\n', "no class 'c'"),
        ('codes.a = ["ICD-10:J18"]\n', "expected a code as 'SNOMED-CT:233604007 Pneumonia'"),
    ],
)
def test_findings_and_codes_are_of_known_classes(tmp_path, more, said):
    toml = 'schema = 1\nname = "t"\n[targets.label]\nkind = "class"\nclasses = ["a", "b"]\n'
    with pytest.raises(SettingsError, match=said):
        datasets.open(write(tmp_path, "case,image,label\nk,x,a\n", toml + more))
    right = toml + 'positive = "a"\ncodes.a = ["SNOMED-CT:233604007 Pneumonia"]\n'
    info = datasets.open(write(tmp_path, "case,image,label\nk,x,a\n", right)).target("label")
    assert info.positive == "a" and info.codes == {"a": ("SNOMED-CT:233604007 Pneumonia",)}
