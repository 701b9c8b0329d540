"""Who reads a page in Chinese meets no English sentence on it."""

from pathlib import Path

import numpy as np
import pytest
from chinese_reading import english, english_in
from evaluation_worlds import labels, three_classes, two_classes
from mask_worlds import by_counts, phantoms
from test_mask_report import pictures

from tomos import config
from tomos.datasets import DROPPED_ZH, Dataset, DatasetInfo, Dropped, TargetInfo
from tomos.datasets.dataset import Provenance
from tomos.evaluate import (
    Card,
    DataSummary,
    MaskReport,
    Report,
    Training,
    Words,
    compare,
    compare_masks,
    score,
    score_masks,
    write_comparison,
    write_mask_report,
    write_report,
)
from tomos.evaluate.names import intervals
from tomos.evaluate.referred import referred
from tomos.inference.appearance import WHY
from tomos.inference.mask_envelope import MaskEnvelope
from tomos.inference.masks import SHRUNK
from tomos.plan import Plan
from tomos.types import Case, Image
from tomos.workflows.background import Background, data_summary, looks_notice, plan_choices

pytestmark = pytest.mark.fast
DATA = {"name": "s", "checksum": "0", "n_train": 9, "n_val": 2, "n_patients": 11}
REASONS = ("dimensions", "prepare", "augment", "model", "train")


def plan(**changes) -> Plan:
    """Volumes, by a network of volumes and one of slices."""
    net = {"name": "unet", "options": {}}
    train = {"optimiser": "adamw", "epochs": 40, "patches": 100}
    values = {
        "task": "segment", "kind": "mask", "target": "mask", "classes": ["liver"],
        "size": [40, 56, 40], "spacing": [1.0, 1.0, 1.0], "dataset": DATA, "model": net,
        "prepare": [{"step": "channels"}, {"step": "orient"}, {"step": "resample"}],
        "train": train, "budget": {"minutes": 1},
        "also": [{"size": [64, 64], "context": 1, "model": net, "train": train}],
        "reasons": dict.fromkeys(REASONS, "why it was chosen"),
        "reasons_zh": dict.fromkeys(REASONS, "选择的理由"),
    }  # fmt: skip
    return config.parse(Plan, {**values, **changes}, "plan")


def data(part: str) -> DataSummary:
    """As a workflow fills it in."""
    label = TargetInfo(kind="mask", classes=("liver",))
    rule = "90/10/0 by patient, stratified by mask, seed 0"
    info = DatasetInfo(
        name="phantoms",
        task="segment",
        target="mask",
        classes=("liver",),
        targets={"mask": label},
        provenance=Provenance(source="../../shared/data/some/folder", split=rule),
    )
    cases = tuple(
        Case(f"c{k}", {"image": "x"}, {"mask": "m"}, patient=f"p{k}", split=split)
        for k, split in enumerate(["train", "train", "val", part])
    )
    gone = [Dropped("c1", "train", "c2", part, reason) for reason in DROPPED_ZH]
    dataset = Dataset(Path("phantoms"), info, cases)
    return data_summary(dataset, Background(dropped=gone), {"c9": ""})


CARD = Card(
    "Phantom",
    "1",
    purpose=Words("It outlines organs.", "勾画器官。"),
    versions={"python": "3.11.7", "torch": "2.13.0+cpu", "numpy": "2.4.6"},
)
TRAINING = Training(
    {"train": [1, 0.5, 0.3]},
    {"val": [0.7, 0.8, 0.9]},
    "dice",
    best=3,
    seconds=60,
    machine="AMD EPYC, 2 cores, Linux",
)


@pytest.mark.parametrize("part", ["test", "fold"])
def test_a_report_on_masks(tmp_path, part):
    said = (
        "unlike the pictures the model was made for (2.3 times the distance that is usual at "
        "most): its grain is another and edges lie elsewhere; its width is 90 mm; the model was "
        "made for 40 to 50"
    )
    verdicts = [("refer", said) if i == 3 else ("finding", "") for i in range(6)]
    table = phantoms(6, 5, split=part, verdicts=verdicts)
    report = MaskReport(
        metrics=score_masks(table, resamples=50),
        table=table,
        card=CARD,
        data=data(part),
        notices=looks_notice(3, "test"),
        pictures=pictures(table),
        plan=plan_choices(plan()),
        training=TRAINING,
    )
    write_mask_report(tmp_path / "r.html", report)
    page = (tmp_path / "r.html").read_text("utf-8")
    assert english_in(page) == []
    for words in ("1 个 unet，输入 40 × 56 × 40 体素", "通道、方位统一、重采样", "纹理颗粒不同"):
        assert words in page
    assert "按患者划分，按掩膜分层，随机种子 0" in page and "训练 2 / 2；验证 1 / 1；" in page


def test_a_report_on_classes(tmp_path):
    pictures_of = plan(
        task="classify", kind="class", size=[64, 64], spacing=[], also=[], classes=["a", "b"]
    )
    table = two_classes(40, patients_known=False)
    report = Report(
        metrics=score(table, resamples=50),
        table=table,
        card=CARD,
        data=data("test"),
        plan=plan_choices(pictures_of),
        training=TRAINING,
    )
    write_report(tmp_path / "r.html", report)
    assert english_in((tmp_path / "r.html").read_text("utf-8")) == []


@pytest.mark.parametrize("world", [three_classes, labels])
def test_a_report_on_several_classes(tmp_path, world):
    table = world(60)
    write_report(tmp_path / "r.html", Report(score(table, resamples=50), table, card=CARD))
    assert english_in((tmp_path / "r.html").read_text("utf-8")) == []


def test_masks_of_unknown_size_and_patients(tmp_path):
    cases = [{"a": (9, 9, 5), "b": (7, 7, 7)}, {"a": (7, 9, 5), "b": (0, 0, 0)}] * 3
    table = by_counts(*cases, unit="voxels", patients_known=False)
    write_mask_report(tmp_path / "r.html", MaskReport(score_masks(table, resamples=50), table))
    page = (tmp_path / "r.html").read_text("utf-8")
    assert english_in(page) == []
    assert "按图像重抽样（6 张），50 次" in page and "HD95（像素）" in page


def test_a_comparison(tmp_path):
    first, second = three_classes(60), three_classes(60)
    write_comparison(tmp_path / "c.html", compare(first, second, resamples=50, names=("A", "B")))
    assert english_in((tmp_path / "c.html").read_text("utf-8")) == []
    masks = [phantoms(6, 5, worse=worse) for worse in (1.0, 2.0)]
    write_comparison(tmp_path / "m.html", compare_masks(*masks, resamples=50, names=("A", "B")))
    assert english_in((tmp_path / "m.html").read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("<p>adamw, learning rate</p>", ["adamw, learning rate"]),
        ("<li>90/10/0 by patient, stratified</li>", ["by patient, stratified"]),
        ("<p><b>over</b> 40 images, 1,000 resamples</p>", ["over 40 images, 1,000 resamples"]),
        ("<p><b>two</b> words，two words</p>", []),
        ("<p>软件：python 3.11.7, torch 2.13.0+cpu, numpy 2.4.6</p>", []),
        ("<p>机器：AMD EPYC, 2 cores</p><p>../data/of/some/set</p>", []),
        ('<p><span class="en">as it is there</span><span class="zh">如此</span></p>', []),
        ("<p>见 <code>No such file or directory</code></p>", []),
    ],
)
def test_the_reader_sees_what_is_english(line, found):
    assert english_in(f"<h1>标题</h1>{line}") == found


AXES = {"extent": [[40, 50]] * 3, "spacing": [[1, 1]] * 3}
FACTS = {"modality": {"seen": ["MR"], "share": 1.0}, "colour": [True], "mm": AXES, "pixels": AXES}


@pytest.mark.parametrize("frame", ["patient", "pixel"])
def test_why_a_case_is_referred(frame):
    """As the envelope says it, all at once."""
    affine = np.diag([9.0, 9.0, 9.0, 1.0])
    image = Image(np.zeros((1, 4, 4, 99), np.float32), affine=affine, frame=frame, modality="CT")
    reasons = MaskEnvelope({"facts": FACTS}, {}).judge(image, image.pixels).reasons
    assert len(reasons) > 3
    assert english(referred("; ".join(reasons)).zh) == []
    looks = " and ".join(list(WHY.values())[:2])
    for said in (
        SHRUNK,
        "liver: the network is unsure of its extent: 12 ml were outlined, 3 ml expected",
        f"unlike the pictures the model was made for (2.3 times the distance): {looks}",
        *(
            f"unlike the pictures the model was made for (2 times it): {why}"
            for why in WHY.values()
        ),
    ):
        assert english(referred(said).zh) == []


@pytest.mark.parametrize(
    "end", ["", ", stratified by class", ", 620 drawn again for want of a class"]
)
def test_how_intervals_were_made(end):
    said = intervals({"intervals": f"bootstrap over 1,040 patients, 1,000 resamples{end}"})
    assert english(said.zh) == [] and said.zh.startswith(
        "自助法，按患者重抽样（1,040 名），1,000 次"
    )
    assert intervals({}) == Words("")
