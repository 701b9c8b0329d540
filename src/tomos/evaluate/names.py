"""What figures are called on the page, and what they mean, in one sentence each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tomos.evaluate.numbers import count
from tomos.types import Words

METRICS: dict[str, Words] = {
    "auroc": Words("AUROC", "AUROC"),
    "average_precision": Words("Average precision", "平均精确率"),
    "accuracy": Words("Accuracy", "准确率"),
    "balanced_accuracy": Words("Balanced accuracy", "平衡准确率"),
    "sensitivity": Words("Sensitivity", "敏感度"),
    "specificity": Words("Specificity", "特异度"),
    "precision": Words("Precision", "精确率"),
    "f1": Words("F1", "F1"),
    "kappa": Words("Cohen's kappa", "Cohen κ"),
    "quadratic_kappa": Words("Quadratic kappa", "二次加权 κ"),
    "brier": Words("Brier score", "Brier 分数"),
    "ece": Words("Calibration error", "校准误差"),
    "mae": Words("Mean steps off", "平均偏差级数"),
    "ppv": Words("PPV", "阳性预测值"),
    "npv": Words("NPV", "阴性预测值"),
    "lr_positive": Words("LR+", "阳性似然比"),
    "lr_negative": Words("LR−", "阴性似然比"),
    "dice": Words("Dice", "Dice 系数"),
    "iou": Words("IoU", "交并比（IoU）"),
    "nsd": Words("Normalised surface Dice (NSD)", "归一化表面 Dice（NSD）"),
    "hd95": Words("95 % Hausdorff distance (HD95)", "95 % 豪斯多夫距离（HD95）"),
    "lesion_sensitivity": Words("Lesion-wise sensitivity", "病灶水平敏感度"),
    "lesion_precision": Words("Lesion-wise precision", "病灶水平精确率"),
    "lesion_f1": Words("Lesion-wise F1", "病灶水平 F1"),
}
SHORT = {"iou": Words("IoU"), "nsd": Words("NSD"), "hd95": Words("HD95")}
MEANING: dict[str, Words] = {
    "auroc": Words(
        "chance that a case with the finding scores higher than one without",
        "有病变的病例得分高于无病变病例的概率",
    ),
    "average_precision": Words(
        "precision averaged over all sensitivities", "各敏感度下精确率的平均"
    ),
    "accuracy": Words("share of right answers", "判断正确的比例"),
    "balanced_accuracy": Words(
        "mean of the classes' shares of right answers", "各类别正确率的平均"
    ),
    "sensitivity": Words(
        "of those with the finding, share found; also called recall",
        "有病变者中被检出的比例，又称召回率",
    ),
    "specificity": Words("of those without, share left in peace", "无病变者中未被误报的比例"),
    "precision": Words(
        "of those called positive here, share that are", "在本数据中判为阳性者里真阳性的比例"
    ),
    "f1": Words("balance of precision and sensitivity", "精确率与敏感度的调和平均"),
    "kappa": Words("agreement beyond chance", "超出偶然的一致性"),
    "quadratic_kappa": Words(
        "agreement beyond chance, far misses counted more", "超出偶然的一致性，差得越远扣分越多"
    ),
    "brier": Words("squared error of the probability; 0 is best", "概率的平方误差，0 为最好"),
    "ece": Words(
        "mean gap between said and true share; 0 is best", "所报概率与实际比例的平均差距，0 为最好"
    ),
    "mae": Words("grades between answer and truth; 0 is best", "判断与真值相差的级数，0 为最好"),
    "ppv": Words("of those called positive, share that have it", "判为阳性者中真正有病变的比例"),
    "npv": Words(
        "of those called negative, share that are free of it", "判为阴性者中确无病变的比例"
    ),
    "lr_positive": Words(
        "how many times a positive answer multiplies the odds", "阳性结果使患病比数增至的倍数"
    ),
    "lr_negative": Words(
        "how many times a negative answer multiplies the odds", "阴性结果使患病比数变为的倍数"
    ),
    "dice": Words(
        "overlap: twice the shared part over the sum of both; 1 is the same",
        "重叠程度：交集的两倍除以两者之和，1 为完全一致",
    ),
    "iou": Words(
        "shared part over all that either covers; never above Dice",
        "交集除以并集，不会高于 Dice 系数",
    ),
    "nsd": Words(
        "share of both surfaces that lies within the tolerance of the other; 1 is the same",
        "两个表面上与对方的距离不超过容差的部分所占比例，1 为完全一致",
    ),
    "hd95": Words(
        "95 % of either surface lies within this distance of the other; 0 is best",
        "任一表面上 95 % 的点到另一表面的距离不超过该值，0 为最好",
    ),
}
MACRO = Words(", mean over classes", "（各类平均）")
SPLITS = {
    "all": Words("all", "全部"),
    "train": Words("training", "训练"),
    "val": Words("validation", "验证"),
    "test": Words("test", "测试"),
    "fold": Words("held-out fold", "交叉验证留出"),
}
COLUMNS = {
    "sex": Words("Sex", "性别"),
    "age": Words("Age", "年龄"),
    "site": Words("Site", "机构"),
    "device": Words("Device", "设备"),
    "date": Words("Date", "日期"),
    "modality": Words("Modality", "模态"),
    "view": Words("View", "体位"),
}
RULES = {
    "plateau": Words("middle of the plateau", "平台中点"),
    "smooth": Words("best expected balance", "预期平衡准确率最优"),
    "youden": Words("Youden's index", "约登指数"),
    "sensitivity": Words("wanted sensitivity", "指定敏感度"),
    "cost": Words("stated costs", "给定代价"),
    "half": Words("one half", "二分之一"),
}


# What `metrics.json` says of its intervals (`Bootstrap.method`), part by part.
INTERVALS = (
    (r"bootstrap over ([\d,]+) patients", r"自助法，按患者重抽样（\1 名）"),
    (r"bootstrap over ([\d,]+) images", r"自助法，按图像重抽样（\1 张）"),
    (r"([\d,]+) resamples", r"\1 次"),
    (r"stratified by class", "按类别分层"),
    (r"([\d,]+) drawn again for want of a class", r"其中 \1 次因缺少某一类别而重抽"),
)


def intervals(metrics: Mapping[str, Any]) -> Words:
    """How the intervals of `metrics.json` were made."""
    said = str(metrics.get("intervals", ""))
    zh = said
    for pattern, form in INTERVALS:
        zh = re.sub(rf"(?:^|, ){pattern}(?=,|$)", rf"，{form}", zh)
    return Words(said, zh.removeprefix("，"))


def machine(name: str) -> Words:
    """AMD EPYC, 2 cores, Linux"""
    return Words(name, re.sub(r", (\d+) cores?", r"，\1 核", name).replace(", ", "，"))


def split(name: str) -> Words:
    """A split by its name in words."""
    return SPLITS.get(name, Words(name))


def metric(name: str) -> Words:
    """A figure by its name in words."""
    return METRICS.get(name, Words(name.replace("_", " ")))


def short(name: str) -> Words:
    """The same, for the head of a table."""
    return SHORT.get(name) or metric(name)


def cases(metrics: Mapping[str, Any]) -> Words:
    """624 test cases of 332 patients: what `metrics.json` was measured on."""
    n, patients = metrics["n_cases"], metrics["n_patients"]
    part = split(metrics["split"])
    if not metrics.get("patients_known", True):
        return Words(
            f"{count(n)} {part.en} images (patients unknown)",
            f"{part.zh or part.en}集 {count(n)} 张图像（患者未知）",
        )
    return Words(
        f"{count(n)} {part.en} cases of {count(patients)} patients",
        f"{part.zh or part.en}集 {count(n)} 例（{count(patients)} 名患者）",
    )
