"""What `check` found: problems in words, in English and Chinese, and groups of duplicates."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tomos.datasets.dataset import Dataset
from tomos.datasets.shortcuts import Shortcut
from tomos.datasets.survey import Survey

Severity = Literal["error", "warning", "note"]

# code -> what is said, in both languages; the names in braces are filled in by `problem`.
TEXTS: dict[str, tuple[str, str]] = {
    "unreadable": (
        "{n} of {total} images cannot be read; the first: {first}",
        "{total} 幅图像中有 {n} 幅无法读取；第一幅：{first}",
    ),
    "one_class": (
        "all labelled cases are {label!r}: there is nothing to tell it from",
        "所有已标注病例都是“{label}”：没有可与之区分的类别",
    ),
    "no_labels": (
        "no case has a label: the data can be looked at, but nothing can be learned",
        "没有任何病例带有标签：可以查看数据，但无法训练",
    ),
    "some_labels_missing": (
        "{n} of {total} cases have no label; they are not learned from",
        "{total} 个病例中有 {n} 个没有标签；训练时不使用",
    ),
    "patient_across_test": (
        "{n} patients stand in test and in what is learned from ({cases} cases): the test would "
        "flatter the model. Move each patient to one side in cases.csv",
        "{n} 名患者（{cases} 个病例）同时出现在测试集和学习数据中：测试结果会虚高。"
        "请在 cases.csv 中把每名患者放在同一侧",
    ),
    "patient_across_val": (
        "{n} patients stand in train and in val; their {cases} cases in train are dropped there",
        "{n} 名患者同时出现在训练集和验证集中；训练时会去掉训练集中的 {cases} 个病例",
    ),
    "test_leak": (
        "{n} of {total} test cases ({share:.1%}) show a picture that is also learned from; "
        "training refuses that from 1 % on. Remove the copies from cases.csv",
        "{total} 个测试病例中有 {n} 个（{share:.1%}）与学习数据中的图像完全相同；"
        "达到 1% 即拒绝训练。请从 cases.csv 中删除这些副本",
    ),
    "copies_across_split": (
        "{n} groups of equal pictures lie across splits; training drops the copy from the "
        "side that is learned from and keeps the other",
        "{n} 组相同图像跨越了划分；训练时去掉学习一侧的副本，保留另一侧",
    ),
    "near_across_split": (
        "{n} groups of look-alike pictures lie across splits; look at them: if they show the same "
        "examination, move them to one side",
        "{n} 组极为相似的图像跨越了划分；请查看：若为同一次检查，请移到同一侧",
    ),
    "duplicate_exact": (
        "{n} groups of pictures are equal, pixel by pixel ({cases} cases)",
        "{n} 组图像逐像素相同（{cases} 个病例）",
    ),
    "duplicate_near": (
        "{n} groups of pictures look alike but are not equal: rescaled, recompressed, cropped or "
        "re-windowed copies ({cases} cases)",
        "{n} 组图像相似但不完全相同：可能是缩放、重新压缩、裁剪或调窗后的副本（{cases} 个病例）",
    ),
    "conflicting_labels": (
        "{n} groups of equal pictures have different labels; the first: {first}. One must be wrong",
        "{n} 组相同图像的标签不同；第一组：{first}。其中必有错误",
    ),
    "class_missing": (
        "class {label!r} has no case in {splits}",
        "类别“{label}”在{splits_zh}中没有病例",
    ),
    "few_cases": (
        "few cases of a class, so figures on it will be rough: {found}",
        "某些类别的病例很少，其指标会很粗略：{found_zh}",
    ),
    "imbalance": (
        "the classes are uneven: {most!r} has {ratio:.0f} times as many cases as {least!r} "
        "({n_most} and {n_least} in train); the plan weighs them",
        "类别不均衡：“{most}”的病例数是“{least}”的 {ratio:.0f} 倍"
        "（训练集中 {n_most} 与 {n_least}）；计划会加权",
    ),
    "masks_unfit": (
        "{n} of {total} masks cannot be read or do not lie on their image; the first: {first}",
        "{total} 个掩膜中有 {n} 个无法读取，或与图像不在同一网格上；第一个：{first}",
    ),
    "axes_slanted": (
        "{n} of {total} scans have axes that are not at right angles, as from a tilted gantry; the "
        "network sees them interpolated onto straight ones, with their masks in training, and is "
        "judged on the scan as it is. The first: {first}",
        "{total} 个扫描中有 {n} 个的各轴不垂直（如机架倾斜所致）；网络看到的是插值到直角网格上的"
        "图像，训练时掩膜也随之转换，评价则在扫描原有网格上进行。第一个：{first}",
    ),
    "masks_repaired": (
        "masks whose header says another place than the image's, but that can only be meant for "
        "its grid, and are taken so: {n}; the first: {first}",
        "{n} 个掩膜的位置信息与图像不同，但只可能属于该图像的网格，已按此处理；第一个：{first}",
    ),
    "masks_empty": (
        "{n} of {total} masks are empty: nothing was outlined, or nothing was there?",
        "{total} 个掩膜中有 {n} 个为空：是没有勾画，还是确实没有目标？",
    ),
    "label_tiny": (
        "the label {label!r} covers {share:.3g} % of its images: small things take more training",
        "标签“{label}”只占图像的 {share:.3g}%：小目标需要更多训练",
    ),
    "mixed_sizes": (
        "picture sizes differ a lot: from {small} to {large}, aspect ratios from {narrow:.2f} to "
        "{wide:.2f}",
        "图像尺寸差异很大：从 {small} 到 {large}，宽高比从 {narrow:.2f} 到 {wide:.2f}",
    ),
    "odd_size": (
        "{n} pictures differ in size from the others by more than three times; one is {first}",
        "{n} 幅图像的尺寸与其他图像相差三倍以上；其一为 {first}",
    ),
    "mixed_channels": (
        "{n} of {total} pictures have {odd} channels, the others {usual}",
        "{total} 幅图像中有 {n} 幅为 {odd} 通道，其余为 {usual} 通道",
    ),
    "mixed_depth": (
        "{n} of {total} pictures have another bit depth ({odd}) than the others ({usual})",
        "{total} 幅图像中有 {n} 幅的位深（{odd}）与其他（{usual}）不同",
    ),
    "mixed_modalities": (
        "several modalities in one data set: {found}",
        "同一数据集中有多种成像方式：{found}",
    ),
    "constant": (
        "nothing but one value everywhere: {n} pictures",
        "{n} 幅图像处处为同一数值",
    ),
    "nearly_blank": (
        "{n} pictures are nearly blank: more than 99 % of the area is one shade",
        "{n} 幅图像几乎空白：99% 以上的面积为同一灰度",
    ),
    "test_inside_train": (
        "{n} cases lie in a folder of one split inside that of another, as {first}: was the test "
        "folder put inside the training folder? Move it out, or see that no row is in both",
        "{n} 个病例位于嵌套的划分文件夹中，如 {first}：测试文件夹是否被放进了训练文件夹？"
        "请移出，或确认没有病例同时属于两者",
    ),
    "split_against_folder": (
        "{n} cases lie in a folder named after another split than theirs, as {first}",
        "{n} 个病例所在文件夹的名称与其划分不符，如 {first}",
    ),
    "not_split": (
        "{n} cases belong to no split; run tomos import again, or fill the column split",
        "{n} 个病例不属于任何划分；请重新运行 tomos import，或填写 split 列",
    ),
    "shortcut": (
        "the label can be guessed from the {clue} with balanced accuracy {value:.2f} "
        "({low:.2f} to {high:.2f}; chance {chance:.2f}; n = {n}){best}. Do the classes come from "
        "different sources? A model may learn this instead of the disease",
        "仅凭{clue_zh}就能猜出标签，平衡准确率 {value:.2f}（{low:.2f} 至 {high:.2f}；随机水平 "
        "{chance:.2f}；n = {n}）{best_zh}。各类别是否来自不同来源？模型可能学到的是它而不是疾病",
    ),
    "patients_unknown": (
        "the patient of {n} of {total} cases is not known: each counts as its own patient",
        "{total} 个病例中有 {n} 个的患者未知：每例视为单独的患者",
    ),
    "changed_since_import": (
        "cases.csv or the image files have changed since the import",
        "自导入以来 cases.csv 或图像文件已改变",
    ),
}
ONE = re.compile(r"(?<![\d.,/])1 (groups|cases|patients|pictures|images)\b")
SPLITS_ZH = {"train": "训练集", "val": "验证集", "test": "测试集"}
CLUES_ZH = {
    "picture size": "图像尺寸",
    "aspect ratio": "宽高比",
    "file type and depth": "文件类型与位深",
    "colour": "颜色",
    "border of the picture": "图像边缘",
}
SEVERITY: dict[str, Severity] = {
    **dict.fromkeys(
        ("unreadable", "masks_unfit", "one_class", "patient_across_test", "test_leak",
         "conflicting_labels", "test_inside_train", "not_split"), "error"
    ),
    **dict.fromkeys(
        ("patients_unknown", "changed_since_import", "some_labels_missing", "masks_repaired",
         "masks_empty", "label_tiny", "axes_slanted"), "note"
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """One finding; `chinese` is `message` in Chinese. An error must be fixed, a warning known."""

    code: str
    severity: Severity
    cases: tuple[str, ...]
    message: str
    chinese: str

    def to_json(self) -> dict:
        return {
            "code": self.code,
            "severity": self.severity,
            "cases": list(self.cases),
            "message": self.message,
        }


def problem(code: str, cases: Sequence[str] = (), severity: Severity | None = None, **values):
    """A `Problem` in both languages; a code without its own severity is a warning.

    `values` fill the text's places; {cases} is the number of `cases`.
    """
    english, chinese = TEXTS[code]
    values["cases"] = len(cases)
    message = ONE.sub(lambda match: match[0][:-1], english.format(**values))
    return Problem(
        code,
        severity or SEVERITY.get(code, "warning"),
        tuple(cases),
        message,
        chinese.format(**values),
    )


def class_missing(label: str, lacking: Sequence[str]) -> Problem:
    """A class that has no case in the splits `lacking`: an error where nothing can teach it."""
    return problem(
        "class_missing",
        severity="error" if "train" in lacking else "warning",
        label=label,
        splits=", ".join(lacking),
        splits_zh="、".join(SPLITS_ZH[split] for split in lacking),
    )


@dataclass(frozen=True)
class Findings:
    """Everything `check` found.

    exact, near, across_split  groups of case names; `across_split` are those of either kind whose
                               cases lie in different splits
    counts                     split -> label -> cases
    """

    dataset: Dataset
    survey: Survey
    problems: tuple[Problem, ...]
    exact: tuple[tuple[str, ...], ...]
    near: tuple[tuple[str, ...], ...]
    across_split: tuple[tuple[str, ...], ...]
    shortcuts: tuple[Shortcut, ...]
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def must_fix(self) -> bool:
        """Whether something must be fixed: `tomos check` then exits with 1."""
        return any(problem.severity == "error" for problem in self.problems)

    def to_json(self) -> dict:
        """The object of `tomos check --json`."""
        return {
            "schema": 1,
            "problems": [problem.to_json() for problem in self.problems],
            "duplicates": {
                "exact": [list(group) for group in self.exact],
                "near": [list(group) for group in self.near],
                "across_split": [list(group) for group in self.across_split],
            },
        }
