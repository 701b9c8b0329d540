"""Why a reader must look, in Chinese: what `tomos.inference` says, known by its pattern."""

from __future__ import annotations

import re

from tomos.types import Words

AXES = {"length": "上下长度", "depth": "前后深度", "height": "高度", "width": "宽度"}
UNITS = {"mm": "mm", "mm2": "mm²", "ml": "ml", "pixels": "像素", "voxels": "像素"}
LOOKS = {
    "bright and dark lie elsewhere": "明暗分布的位置不同",
    "edges lie elsewhere": "边缘的位置不同",
    "its grain is another": "纹理颗粒不同",
    "its grey values spread differently": "灰度值的分布不同",
    "the network sees in it what it never saw in training": "网络从中看到训练时未见过的内容",
}
WORDS = {**AXES, **UNITS}
SENTENCES = (
    (r"modality (.+); the model was made for (.+)", "模态为 {}，而模型适用于 {}"),
    (r"body part (.+); the model was made for (.+)", "部位为 {}，而模型适用于 {}"),
    (r"a picture in colour; the model was made for .+", "彩色图像，而模型适用于灰度图像"),
    (r"a picture in grey; the model was made for .+", "灰度图像，而模型适用于彩色图像"),
    (
        r"unlike the pictures the model was made for \(([\d.]+) times .+?\): (.+)",
        "与模型所适用的图像不同（差异为通常上限的 {} 倍）：{}",
    ),
    (
        r"its (\w+) is (\d+) (\w+); the model was made for (\d+) to (\d+)",
        "{}为 {} {}，而模型适用于 {} 至 {}",
    ),
    (
        r"along its (\w+) its \w+ are (\S+) mm apart; the model was made for (\S+) mm at most",
        "沿{}方向的间距为 {} mm，而模型至多适用于 {} mm",
    ),
    (r"the picture is empty: every pixel has the same value", "图像为空：所有像素的值相同"),
    (
        r"(.+): the network is unsure of its extent: (\S+) (\w+) were outlined, (\S+) \w+ expected",
        "对 {} 的范围没有把握：勾画 {} {}，预期 {}",
    ),
    (
        r"for want of memory the network saw less .+",
        "内存不足，网络一次看到的范围小于其验证时的范围",
    ),
)
PARTS = re.compile("; (?!the model was made for)")  # a semicolon stands in some of them, too
PATTERNS = [(re.compile(pattern), form) for pattern, form in SENTENCES]


def referred(reason: str) -> Words:
    """One sentence, or several joined by "; "; what is not known is shown as it came."""
    zh = "；".join(_whole(part) or part for part in PARTS.split(reason))
    return Words(reason, zh)


def _whole(sentence: str) -> str:
    for pattern, form in PATTERNS:
        if found := pattern.fullmatch(sentence):
            return form.format(*map(_quoted, found.groups()))
    return ""


def _quoted(text: str) -> str:
    """Words of ours; the name of a class or of a modality stays as it is."""
    looks = [zh for en, zh in LOOKS.items() if en in text]
    return "、".join(looks) or WORDS.get(text, text)
