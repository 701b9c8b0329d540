"""Planted faults, and what check says of them."""

import json
import shutil
import subprocess

import numpy as np
import pytest
from small_pictures import picture, save

from tomos import datasets
from tomos.cli import main
from tomos.datasets.findings import TEXTS
from tomos.datasets.page import page


def codes(data):
    return {problem.code: problem for problem in datasets.check(data).problems}


def rows(n=60, side=70):
    """A sound data set: two classes, every patient on one side, all pictures different."""
    made = []
    for k in range(n):
        split = ("train", "train", "train", "val", "test", "test")[k // 2 % 6]
        made.append((f"c{k}", picture(k, side), "ab"[k % 2], split, f"p{k // 2}"))
    return made


def replaced(made, row, **changes):
    name, pixels, label, split, patient = made[row]
    new = {"name": name, "pixels": pixels, "label": label, "split": split, "patient": patient}
    made[row] = tuple({**new, **changes}.values())
    return made


def test_a_sound_data_set_has_nothing_to_fix(make):
    found = datasets.check(make(rows()))
    assert not found.must_fix
    assert {problem.code for problem in found.problems} <= {"few_cases"}
    assert found.to_json()["duplicates"] == {"exact": [], "near": [], "across_split": []}


def test_a_damaged_file_is_named_and_the_rest_goes_on(make, tmp_path):
    data = make(rows())
    (tmp_path / "images" / "c7.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (tmp_path / "images" / "c8.png").unlink()
    problem = codes(data)["unreadable"]
    assert problem.cases == ("c7", "c8") and problem.severity == "error"
    assert "c7.png" in problem.message and "2 of 60" in problem.message


def test_copies_look_alikes_and_conflicting_labels(make):
    made = rows()
    replaced(made, 2, pixels=made[0][1])  # same picture, same class, both train
    replaced(made, 5, pixels=made[4][1])  # same picture, other class
    replaced(made, 1, pixels=(made[8][1] * 0.7 + 5).astype(np.uint8))  # test c8, darker, in train
    found = datasets.check(make(made))
    assert found.exact == (("c0", "c2"), ("c4", "c5"))
    assert found.near == (("c1", "c8"),) == found.across_split
    by_code = {problem.code: problem for problem in found.problems}
    assert by_code["conflicting_labels"].cases == ("c4", "c5") and found.must_fix
    assert "c4 is 'a', c5 is 'b'" in by_code["conflicting_labels"].message
    assert by_code["near_across_split"].severity == "warning"


def test_a_leaking_split(make):
    made = rows()
    replaced(made, 8, pixels=made[0][1])
    replaced(made, 9, patient="p0")
    found = codes(make(made))
    assert found["test_leak"].cases == ("c0", "c8") and found["test_leak"].severity == "error"
    assert found["patient_across_test"].cases == ("c0", "c1", "c9")
    assert "copies_across_split" in found


def test_a_patient_in_train_and_val_is_a_warning(make):
    made = rows()
    replaced(made, 6, patient="p0")
    problem = codes(make(made))["patient_across_val"]
    assert problem.cases == ("c0", "c1") and problem.severity == "warning"


def test_one_class_and_classes_missing(make, tmp_path):
    one = codes(make([(*row[:2], "a", *row[3:]) for row in rows(12)]))
    assert one["one_class"].severity == "error" and "'a'" in one["one_class"].message
    (tmp_path / "cases.csv").unlink()
    made = [replaced(rows(), k)[k] for k in range(60)]
    made = [(*r[:2], "a" if r[3] == "train" else r[2], *r[3:]) for r in made]
    missing = codes(make(made))["class_missing"]
    assert missing.severity == "error" and "'b' has no case in train" in missing.message
    assert missing.chinese == "类别“b”在训练集中没有病例"


@pytest.mark.fast
def test_splits_are_said_in_chinese(make):
    """Of two classes 15 each are in train; in val 10 and in test 20 are, of the first one only."""
    made = [(*row[:2], "a" if row[3] != "train" else row[2], *row[3:]) for row in rows()]
    found = codes(make(made))
    assert found["class_missing"].message == "class 'b' has no case in val, test"
    assert found["class_missing"].chinese == "类别“b”在验证集、测试集中没有病例"
    assert found["few_cases"].message.endswith("train ('a': 15, 'b': 15), val ('a': 10)")
    assert found["few_cases"].chinese.endswith("：训练集（“a”：15、“b”：15），验证集（“a”：10）")


def test_balance_blank_constant_and_odd_pictures(make):
    made = rows(120)
    made = [(*row[:2], "b" if k < 12 and k % 2 else "a", *row[3:]) for k, row in enumerate(made)]
    flat = np.full((1, 70, 70), 9, np.uint8)
    speck = flat.copy()
    speck[0, :4, :4] = 200
    replaced(made, 20, pixels=flat)
    replaced(made, 21, pixels=speck)
    replaced(made, 22, pixels=picture(500, 300))
    replaced(made, 23, pixels=np.concatenate([picture(k) for k in (23, 24, 25)]))
    replaced(made, 24, pixels=picture(24).astype(np.uint16) * 200)
    found = codes(make(made))
    assert found["constant"].cases == ("c20",) and found["nearly_blank"].cases == ("c21",)
    assert found["odd_size"].cases == ("c22",) and "300x300" in found["odd_size"].message
    assert found["mixed_channels"].cases == ("c23",) and found["mixed_depth"].cases == ("c24",)
    assert "'a' has" in found["imbalance"].message


def test_labels_that_are_not_assessed_are_a_note(make):
    made = rows()
    replaced(made, 3, label="")
    problem = codes(make(made))["some_labels_missing"]
    assert problem.severity == "note" and problem.cases == ("c3",)


def test_folder_names_above_the_source_do_not_matter(tmp_path):
    for k in range(20):
        save(tmp_path / "test" / "s" / "ab"[k % 2] / f"{k}.png", picture(k, 32))
    datasets.import_folder(tmp_path / "test" / "s", tmp_path / "train" / "d")
    found = codes(datasets.open(tmp_path / "train" / "d"))
    assert not {"test_inside_train", "split_against_folder"} & set(found)


def test_the_training_folder_as_source_with_the_test_folder_inside(tmp_path):
    for k in range(40):
        part = "train/test" if k >= 30 else "train"
        save(tmp_path / part / "ab"[k % 2] / f"{k}.png", picture(k, 32))
    datasets.import_folder(tmp_path / "train", tmp_path / "d")
    problem = codes(datasets.open(tmp_path / "d"))["test_inside_train"]
    assert len(problem.cases) == 10 and "train/test/a/30.png" in problem.message


def test_a_changed_file_is_seen(classes, tmp_path):
    source = shutil.copytree(classes, tmp_path / "s")
    datasets.import_folder(source, tmp_path / "d")
    unchanged = datasets.open(tmp_path / "d")
    assert "changed_since_import" not in codes(unchanged)
    # Cases dealt out anew for a round of cross-validation are the same cases.
    assert "changed_since_import" not in codes(datasets.fold(unchanged, 1, 3))
    save(source / "sick" / "scan00.png", picture(999, 77))
    changed = datasets.open(tmp_path / "d")
    assert "changed_since_import" in codes(changed)
    assert "changed_since_import" in codes(datasets.fold(changed, 1, 3))


def test_a_second_look_reads_nothing_again(make, monkeypatch):
    data = make(rows())
    first = datasets.check(data)
    from tomos import formats

    def never(address, *rest):
        raise AssertionError(f"{address} was read again")

    monkeypatch.setattr(formats, "read", never)
    assert datasets.check(data).to_json() == first.to_json()


def test_a_damaged_cache_is_no_harm(make, tmp_path):
    data = make(rows())
    before = datasets.check(data).to_json()
    (cache,) = (tmp_path / ".cache").glob("survey-*.npy")
    cache.write_bytes(cache.read_bytes()[:1000])
    assert datasets.check(data).to_json() == before


def test_the_command_writes_both_files_and_its_code_says_what_to_do(make, tmp_path, capsys):
    make(rows())
    assert main(["check", str(tmp_path), "--json", "-o", str(tmp_path / "out")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {"schema", "problems", "duplicates"}
    assert told == json.loads((tmp_path / "out" / "check.json").read_text())
    made = rows()
    replaced(made, 8, pixels=made[0][1])
    make(made)
    assert main(["check", str(tmp_path)]) == 1
    assert "test_leak" in capsys.readouterr().out and (tmp_path / "check.html").is_file()


def test_the_page_stands_alone_and_speaks_two_languages(make):
    made = rows()
    replaced(made, 5, pixels=made[4][1], label="<b>")
    html = page(datasets.check(make(made)))
    assert "data:image/png;base64," in html and "中文" in html and "检查结果" in html
    assert "http" not in html.replace("http-equiv", "") and "<script" not in html
    assert "<b>'" not in html and "&lt;b&gt;" in html
    assert len(html) < 1_000_000


@pytest.mark.fast
def test_every_finding_is_said_in_both_languages():
    import string

    for english, chinese in TEXTS.values():
        fields = [
            {name.removesuffix("_zh") for _, name, _, _ in string.Formatter().parse(text) if name}
            for text in (english, chinese)
        ]
        assert fields[0] == fields[1]


@pytest.mark.slow
def test_the_page_fits_a_phone(make, tmp_path):
    """No sideways scrolling at 390 px, in a real browser."""
    if not shutil.which("chromium"):
        pytest.skip("needs Chromium")
    made = rows()
    replaced(made, 5, pixels=made[4][1])
    html = page(datasets.check(make(made))).replace("</body>", "")
    probe = "<script>const e=document.documentElement;document.title=e.scrollWidth-e.clientWidth"
    html = html.replace("default-src 'none'", "default-src 'none';script-src 'unsafe-inline'")
    (tmp_path / "p.html").write_text(html + probe + "</script>", encoding="utf-8")
    done = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--window-size=390,900",
         "--dump-dom", f"file://{tmp_path}/p.html"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "<title>0</title>" in done.stdout
