"""Why, in words: sentences that several rules say, and those of the rules for masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tomos.plan.mask_fingerprint import RoleFacts
from tomos.types import Words
from tomos.types.words import joined, plain, times

CHINESE = {"flip_x": "沿 x 轴翻转", "flip_y": "沿 y 轴翻转", "transpose": "转置"}
UNITS = {2: Words("pixels", "像素"), 3: Words("voxels", "体素")}  # of so many axes

COLOUR = Words("colour kept", "保留颜色")
GREY = Words("no picture has colour: one channel", "图像均为灰度：单通道")
OWN_GRID = Words("every case keeps its own grid", "各病例保持自身网格")
EXPOSURE = Words(
    "brightness depends on exposure: each case gets mean 0 and spread 1",
    "亮度取决于曝光：每个病例归一化为均值 0、标准差 1",
)
IN_PLANE = Words("; turned in the plane of the slices only", "；仅在层面内旋转")
DICE = Words(
    "Dice and cross-entropy together: the one does not mind how small a label is, the other "
    "teaches every voxel",
    "Dice 与交叉熵结合：前者不受标签大小影响，后者使每个体素都参与学习",
)
SAMPLED = Words(
    "; half of the patches are cut around a labelled voxel, labels alike and small pieces not "
    "hidden by large ones; AdamW with cosine decay, the average of the last weights is kept",
    "；一半图块以标签内的体素为中心裁取，各标签机会均等，小块不被大块掩盖；"
    "AdamW，余弦衰减，保留末段权重的平均值",
)


def told(apart: Mapping[str, float]) -> Words:
    """How a sentence on flips begins; orientation -> what `symmetry.told_apart` gave."""
    each = [
        Words(f"{name} {value:.2f}", f"{CHINESE.get(name, name)} {value:.2f}")
        for name, value in apart.items()
    ]
    opening = Words(
        "a flipped picture is told from an upright one with accuracy ",
        "区分翻转图像与原图的准确率：",
    )
    return opening + joined(each, ", ", "，") + Words(": ", "；因此")


def several(roles: Sequence[RoleFacts]) -> Words:
    """Of cases with several images."""
    names, first = [role.name for role in roles], roles[0].name
    said = Words(
        f"{len(names)} images a case, {', '.join(names)}, are the channels of one, on the grid of "
        f"{first}",
        f"每个病例有 {len(names)} 幅图像（{'、'.join(names)}），作为同一图像的各通道，"
        f"采用 {first} 的网格",
    )
    moved = [role for role in roles if role.resampled]
    if moved:
        each = [
            Words(f"{role.name} in {role.resampled:.0%} of the cases",
                  f"{role.name} 在 {100 * role.resampled:.0f} % 的病例中")
            for role in moved
        ]  # fmt: skip
        told = joined(each, ", ", "，")
        said += Words(f"; interpolated onto it: {told.en}", f"；需插值到该网格：{told.zh}")
    return said


def alone(reference: str, roles: Sequence[str]) -> Words:
    """Of classes, where cases have several images."""
    rest = [role for role in roles if role != reference]
    return Words(
        f"classes are learned from one image a case: {reference} (reference in dataset.toml); "
        f"{', '.join(rest)} are not looked at",
        f"分类只学习每个病例的一幅图像：{reference}（dataset.toml 中的 reference）；"
        f"不使用{'、'.join(rest)}",
    )


def of(names: Sequence[str], why: Words) -> Words:
    """A reason that is that of these of several images, of each by itself."""
    return Words(f"{', '.join(names)}: {why.en}", f"{'、'.join(names)}：{why.zh}")


def grid(spacing: Sequence[float]) -> Words:
    """Of volumes that are resampled; `spacing` in mm."""
    shown = times(f"{value:g}" for value in spacing)
    return Words(
        f"the median grid of the cases, {shown.en} mm, for all",
        f"全部重采样至各病例体素间距的中位数 {shown.zh} mm",
    )


def evened(apart: Mapping[str, tuple[float, float]]) -> Words:
    """Of pictures whose light is evened out; label -> how far apart before, and after."""
    gains = [
        Words(f"{name} {before:.2f} -> {after:.2f}", f"{name} {before:.2f} → {after:.2f}")
        for name, (before, after) in apart.items()
    ]
    told = joined(gains, ", ", "，")
    return Words(
        f"light is evened out: the labels then lie further from the rest ({told.en} spreads)",
        f"均匀化光照：标签与其余部分的差距随之增大（{told.zh} 个标准差）",
    )


def clipped(low: float, high: float) -> Words:
    """Of CT, in HU."""
    return Words(
        f"CT values are absolute: clipped to {low:g} .. {high:g} HU, where all but 1 % of the "
        "values inside the labels lie, then their mean and spread",
        f"CT 值为绝对值：截断到 {low:g} 至 {high:g} HU（标签内 99 % 的值位于此范围），"
        "再按标签内的均值和标准差归一化",
    )


def flips(free: Sequence[str], small: bool) -> Words:
    """Along which axes; `small`: since a patch is a small part of a case."""
    if not free:
        return Words("no flips", "不翻转")
    said = Words(f"flips along {', '.join(free)}", f"沿 {'、'.join(free)} 轴翻转")
    if small:
        said += Words(
            ", since a patch sees a small part and the labels have no side",
            "，因为图块只含局部，且标签不分侧别",
        )
    return said


def moved(share: float) -> Words:
    """Of patches that are resampled."""
    return Words(
        f"; changes of exposure as between two scans, and of place and size for {share:.0%} of "
        "the patches, since resampling blurs",
        f"；曝光变化如同两次扫描之间；{100 * share:.0f} % 的图块改变位置和大小，"
        "因为重采样会使图像变模糊",
    )


def enough(
    patch: Sequence[int], net: tuple[str, int], seconds: float, shown: float, least: int
) -> Words:
    """How many patches the minutes allow. `net`: name and maps; `seconds` a patch."""
    sides, units, pace, (name, maps) = times(patch), UNITS[len(patch)], plain(1e3 * seconds), net
    return Words(
        f"a patch of {sides.en} {units.en} takes {pace} ms to learn from here by {name} of {maps} "
        f"maps, so the minutes allow {shown:,.0f}; about {least:,} are the least for a network so "
        "strong",
        f"本机用首层 {maps} 个特征图的 {name} 学习一个 {sides.zh} {units.zh}的图块需 {pace} 毫秒，"
        f"给定时间内可学习 {shown:,.0f} 个；这样强的网络至少约需 {least:,} 个",
    )


def tversky(small: Sequence[str]) -> Words:
    """Of labels in tiny pieces."""
    return Words(
        f"pieces of {', '.join(small)} are tiny: Tversky, which minds what is missed more than "
        "what is added, with cross-entropy, which teaches every voxel",
        f"{'、'.join(small)} 的连通块极小：采用 Tversky 损失，对漏检的惩罚重于误检，"
        "并与交叉熵结合，使每个体素都参与学习",
    )
